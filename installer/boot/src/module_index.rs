//! Which module files a name or a modalias needs: `modules.dep` and `modules.alias` (modules.dep(5), depmod(8)).

use std::collections::{BTreeMap, BTreeSet};

/// Both index files of one kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// Module name to its file and the files it needs, as `modules.dep` lists them.
    files: BTreeMap<String, Entry>,
    /// Patterns and the modules they stand for.
    aliases: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: String,
    needs: Vec<String>,
}

impl ModuleIndex {
    /// From the text of `modules.dep` and `modules.alias`. Lines that are neither are ignored, as kmod does.
    pub fn parse(dependencies: &str, aliases: &str) -> Self {
        let mut files = BTreeMap::new();
        for line in dependencies.lines() {
            if let Some((path, needs)) = line.split_once(':') {
                let path = path.trim().to_owned();
                let needs = needs.split_whitespace().map(str::to_owned).collect();
                files.insert(name_of(&path), Entry { path, needs });
            }
        }
        let aliases = aliases
            .lines()
            .filter_map(|line| {
                let rest = line.strip_prefix("alias ")?;
                let (pattern, module) = rest.trim().rsplit_once(' ')?;
                Some((normal(pattern.trim()), normal(module)))
            })
            .collect();
        Self { files, aliases }
    }

    /// Names of the modules a modalias or a module name stands for, in the order of the index.
    pub fn resolve(&self, alias: &str) -> Vec<String> {
        let alias = normal(alias);
        if self.files.contains_key(&alias) {
            return vec![alias];
        }
        let mut seen = BTreeSet::new();
        self.aliases
            .iter()
            .filter(|(pattern, module)| {
                self.files.contains_key(module) && glob(pattern.as_bytes(), alias.as_bytes())
            })
            .map(|(_, module)| module.clone())
            .filter(|module| seen.insert(module.clone()))
            .collect()
    }

    /// Files to load for a module, what it needs first.
    pub fn load_order(&self, module: &str) -> Vec<String> {
        let Some(entry) = self.files.get(&normal(module)) else {
            return Vec::new();
        };
        // depmod writes the whole closure, nearest first: backwards every file comes after what it needs.
        let mut order: Vec<String> = entry.needs.iter().rev().cloned().collect();
        order.push(entry.path.clone());
        order
    }
}

/// `kernel/fs/ext4/ext4.ko` -> `ext4`.
pub fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    normal(file.split_once(".ko").map_or(file, |(name, _)| name))
}

/// The kernel treats `-` and `_` as the same in module names; in a modalias the character class `[a-f]` must stay.
fn normal(text: &str) -> String {
    let mut in_class = false;
    text.chars()
        .map(|letter| {
            match letter {
                '[' => in_class = true,
                ']' => in_class = false,
                '-' if !in_class => return '_',
                _ => {}
            }
            letter
        })
        .collect()
}

/// fnmatch(3) without flags, as kmod matches aliases: `*`, `?`, `[a-c]`, `[!a]`.
pub fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => match class(&pattern[p..], text[t]) {
                Some((true, length)) => Some(p + length),
                Some((false, _)) => None,
                None => (text[t] == b'[').then_some(p + 1),
            },
            Some(letter) => (*letter == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after, from))) => {
                p = after;
                t = from + 1;
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|letter| *letter == b'*')
}

/// Whether a letter is in the class at the start of `pattern`, and how long the class is. None: no closing bracket.
fn class(pattern: &[u8], letter: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some(b'!' | b'^'));
    let first = if negated { 2 } else { 1 };
    let mut at = first;
    let mut found = false;
    loop {
        match *pattern.get(at)? {
            b']' if at > first => return Some((found != negated, at + 1)),
            low => match (pattern.get(at + 1), pattern.get(at + 2)) {
                (Some(b'-'), Some(high)) if *high != b']' => {
                    found |= (low..=*high).contains(&letter);
                    at += 3;
                }
                _ => {
                    found |= low == letter;
                    at += 1;
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "\
kernel/lib/crc16.ko:
kernel/fs/jbd2/jbd2.ko:
kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
kernel/drivers/usb/storage/usb-storage.ko: kernel/drivers/scsi/scsi_mod.ko kernel/drivers/usb/core/usbcore.ko kernel/lib/scsi_common.ko kernel/drivers/usb/common/usb-common.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko

not a line
";
    const ALIASES: &str = "\
# Aliases extracted from modules themselves.
alias fs-ext4 ext4
alias usb:v*p*d*dc*dsc*dp*ic08isc06ip50in* usb_storage
alias virtio:d00000002v* virtio_blk
alias virtio:d00000002v* not_in_the_image
alias acpi*:PNP0[ab]00:* ext4
alias broken
";

    fn index() -> ModuleIndex {
        ModuleIndex::parse(DEPENDENCIES, ALIASES)
    }

    #[test]
    fn names_and_aliases() {
        let cases: [(&str, &[&str]); 9] = [
            ("ext4", &["ext4"]),
            ("fs-ext4", &["ext4"]),
            ("usb-storage", &["usb_storage"]),
            ("usb_storage", &["usb_storage"]),
            (
                "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00",
                &["usb_storage"],
            ),
            ("virtio:d00000002v00001AF4", &["virtio_blk"]),
            ("acpi:PNP0a00:", &["ext4"]),
            ("acpi:PNP0c00:", &[]),
            ("broken", &[]),
        ];
        for (alias, expected) in cases {
            assert_eq!(index().resolve(alias), expected, "{alias}");
        }
    }

    #[test]
    fn what_a_module_needs_comes_first() {
        assert_eq!(
            index().load_order("ext4"),
            [
                "kernel/fs/jbd2/jbd2.ko",
                "kernel/fs/mbcache.ko",
                "kernel/lib/crc16.ko",
                "kernel/fs/ext4/ext4.ko"
            ]
        );
        assert_eq!(index().load_order("crc16"), ["kernel/lib/crc16.ko"]);
        assert!(index().load_order("zfs").is_empty());
    }

    #[test]
    fn globs() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXbYb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]x", "]x", true),
            ("[ab", "[ab", true),
            (
                "pci:v00008086d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
                true,
            ),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in "[ab*?!\\[\\]-]{0,12}", text in "[ab\\[\\]-]{0,12}", lines in "[ -~\n]{0,200}") {
            glob(pattern.as_bytes(), text.as_bytes());
            let index = ModuleIndex::parse(&lines, &lines);
            index.load_order(&text);
            index.resolve(&text);
        }

        #[test]
        fn text_matches_itself_and_any_tail(text in "[a-z:0-9]{0,20}", tail in "[a-z]{0,5}") {
            proptest::prop_assert!(glob(text.as_bytes(), text.as_bytes()));
            let pattern = format!("{text}*");
            let longer = format!("{text}{tail}");
            proptest::prop_assert!(glob(pattern.as_bytes(), longer.as_bytes()));
        }
    }
}

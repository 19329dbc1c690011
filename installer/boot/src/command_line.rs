//! The kernel command line: which words are ours.

use anyhow::{Result, bail};

/// What the machine is booted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The live system that installs.
    Install,
    /// The live system with a shell.
    Rescue,
    /// The running appliance.
    #[default]
    Run,
}

/// One of the two root images on the disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// Partition `slot-a`.
    A,
    /// Partition `slot-b`.
    B,
}

impl Slot {
    /// Name of the partition inside the array.
    pub fn partition(self) -> &'static str {
        match self {
            Self::A => "slot-a",
            Self::B => "slot-b",
        }
    }
}

/// Our words of the kernel command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// `rackwright=install` or `rescue`; none means the running appliance.
    pub mode: Mode,
    /// `rackwright.array=UUID`: 32 lower case hexadecimal digits, without separators.
    pub array: Option<String>,
    /// `rackwright.slot=a` or `b`.
    pub slot: Option<Slot>,
    /// `rackwright.debug`.
    pub debug: bool,
}

/// Reads `/proc/cmdline`. The last of several equal words counts, as for the kernel itself.
pub fn parse(text: &str) -> Result<CommandLine> {
    let mut line = CommandLine::default();
    for word in words(text) {
        let (key, value) = word.split_once('=').unwrap_or((&word, ""));
        match key {
            "rackwright" => {
                line.mode = match value {
                    "install" => Mode::Install,
                    "rescue" => Mode::Rescue,
                    _ => bail!(
                        "`{word}` on the kernel command line is not `rackwright=install` or `rackwright=rescue`"
                    ),
                }
            }
            "rackwright.array" => {
                let Some(uuid) = normal_uuid(value) else {
                    bail!("`{word}` on the kernel command line is not the UUID of an md array");
                };
                line.array = Some(uuid);
            }
            "rackwright.slot" => {
                line.slot = Some(match value {
                    "a" => Slot::A,
                    "b" => Slot::B,
                    _ => bail!(
                        "`{word}` on the kernel command line is not `rackwright.slot=a` or `rackwright.slot=b`"
                    ),
                })
            }
            "rackwright.debug" => line.debug = true,
            _ => {}
        }
    }
    Ok(line)
}

/// 32 lower case hexadecimal digits: mdadm writes `a:b:c:d`, others write dashes.
pub fn normal_uuid(text: &str) -> Option<String> {
    let digits: String = text
        .chars()
        .filter(|letter| !matches!(letter, ':' | '-'))
        .collect();
    (digits.len() == 32 && digits.chars().all(|letter| letter.is_ascii_hexdigit()))
        .then(|| digits.to_ascii_lowercase())
}

/// Splits at white space outside double quotes (Documentation/admin-guide/kernel-parameters.rst).
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_ascii_whitespace() && !quoted => words.push(String::new()),
            letter => {
                if let Some(word) = words.last_mut() {
                    word.push(letter);
                }
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn words_of_ours() {
        let run = CommandLine::default();
        let cases = [
            ("", run.clone()),
            ("quiet console=ttyS0,115200n8 root=/dev/sda", run.clone()),
            (
                "rackwright=install\n",
                CommandLine {
                    mode: Mode::Install,
                    ..run.clone()
                },
            ),
            (
                "rackwright=install rackwright=rescue rackwright.debug",
                CommandLine {
                    mode: Mode::Rescue,
                    debug: true,
                    ..run.clone()
                },
            ),
            (
                "rackwright.array=01234567:89ABCDEF:01234567:89abcdef rackwright.slot=b",
                CommandLine {
                    array: Some(UUID.to_owned()),
                    slot: Some(Slot::B),
                    ..run.clone()
                },
            ),
            (
                "dyndbg=\"file x +p\" \"rackwright.slot=a\" rackwright.node=http://a/b?rackwright=install",
                CommandLine {
                    slot: Some(Slot::A),
                    ..run
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn wrong_words() {
        let cases = [
            (
                "rackwright=instal",
                "`rackwright=instal` on the kernel command line is not `rackwright=install` or `rackwright=rescue`",
            ),
            (
                "rackwright.slot=c",
                "`rackwright.slot=c` on the kernel command line is not `rackwright.slot=a` or `rackwright.slot=b`",
            ),
            (
                "rackwright.array=md0",
                "`rackwright.array=md0` on the kernel command line is not the UUID of an md array",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~\n\"é]{0,80}") {
            parse(&text).ok();
        }

        #[test]
        fn unknown_words_change_nothing(text in "[a-z .=]{0,40}") {
            proptest::prop_assume!(!text.contains("rackwright"));
            proptest::prop_assert_eq!(parse(&text).unwrap(), CommandLine::default());
        }
    }
}

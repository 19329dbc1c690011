//! Which module files a list of names and patterns needs: `modules.dep` and `modules.softdep` followed to the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use camino::Utf8Path;

/// The index that depmod(8) made of one kernel's modules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modules {
    /// Path to the paths it depends on.
    dependencies: BTreeMap<String, Vec<String>>,
    /// Module name (with underscores) to path.
    names: BTreeMap<String, String>,
    /// Built into the kernel.
    builtin: BTreeSet<String>,
    /// Module name to names that are loaded with it.
    soft: BTreeMap<String, Vec<String>>,
    /// Alias without wildcards to module names.
    aliases: BTreeMap<String, Vec<String>>,
}

impl Modules {
    /// Reads the index in `folder`, such as `/lib/modules/6.12.1`.
    pub fn read(folder: &Utf8Path) -> Result<Self> {
        let text = |name: &str| fs_err::read_to_string(folder.join(name));
        Ok(Self::parse(
            &text("modules.dep")?,
            &text("modules.builtin")?,
            &text("modules.softdep")?,
            &text("modules.alias")?,
        ))
    }

    /// From the texts of `modules.dep`, `modules.builtin`, `modules.softdep` and `modules.alias`.
    pub fn parse(dep: &str, builtin: &str, softdep: &str, alias: &str) -> Self {
        let mut modules = Modules::default();
        for (path, rest) in dep.lines().filter_map(|line| line.split_once(':')) {
            modules.names.insert(name_of(path), path.to_owned());
            modules.dependencies.insert(
                path.to_owned(),
                rest.split_whitespace().map(str::to_owned).collect(),
            );
        }
        modules.builtin = builtin.lines().map(name_of).collect();
        for line in softdep.lines() {
            let mut words = line.split_whitespace();
            if let (Some("softdep"), Some(name)) = (words.next(), words.next()) {
                let others = words.filter(|word| !word.ends_with(':')).map(str::to_owned);
                modules
                    .soft
                    .entry(name.replace('-', "_"))
                    .or_default()
                    .extend(others);
            }
        }
        for line in alias.lines() {
            if let ["alias", alias, name] = line.split_whitespace().collect::<Vec<_>>()[..]
                && !alias.contains('*')
            {
                modules
                    .aliases
                    .entry(alias.to_owned())
                    .or_default()
                    .push(name.to_owned());
            }
        }
        modules
    }

    /// Paths of every module that `wanted` needs, sorted. An element of `wanted` is a module name (`mpt3sas`, may hold `*`) or a
    /// pattern of paths (`kernel/drivers/nvme/*`). One that names nothing is an error: a typing mistake would show itself on a
    /// server. A name built into the kernel is fine.
    pub fn closure(&self, wanted: &[String]) -> Result<BTreeSet<String>> {
        let mut open: Vec<String> = Vec::new();
        let mut unknown = Vec::new();
        for pattern in wanted {
            let found = self.select(pattern);
            if found.is_empty() && !self.builtin.contains(&pattern.replace('-', "_")) {
                unknown.push(format!("`{pattern}`"));
            }
            open.extend(found);
        }
        if !unknown.is_empty() {
            bail!(
                "no kernel module matches {}\nhint: correct the lists in roles/common/common.toml; names are file names without `.ko`",
                unknown.join(", ")
            );
        }
        let mut closed = BTreeSet::new();
        while let Some(path) = open.pop() {
            if !closed.insert(path.clone()) {
                continue;
            }
            open.extend(self.dependencies.get(&path).into_iter().flatten().cloned());
            for name in self.soft.get(&name_of(&path)).into_iter().flatten() {
                // A soft dependency may be missing: then the kernel goes without.
                open.extend(self.resolve(name));
            }
        }
        Ok(closed)
    }

    fn select(&self, pattern: &str) -> Vec<String> {
        if pattern.contains('/') {
            let matching = |path: &&String| {
                crate::glob::matches(pattern, path)
                    || crate::glob::matches(&format!("{pattern}.ko*"), path)
            };
            return self.dependencies.keys().filter(matching).cloned().collect();
        }
        let pattern = pattern.replace('-', "_");
        self.names
            .iter()
            .filter(|(name, _)| crate::glob::matches(&pattern, name))
            .map(|(_, path)| path.clone())
            .collect()
    }

    fn resolve(&self, name: &str) -> Vec<String> {
        let by_name = |name: &str| self.names.get(&name.replace('-', "_")).cloned();
        match by_name(name) {
            Some(path) => vec![path],
            None => self
                .aliases
                .get(name)
                .into_iter()
                .flatten()
                .filter_map(|name| by_name(name))
                .collect(),
        }
    }
}

/// `kernel/fs/xfs/xfs.ko.xz` is module `xfs`; dashes and underscores are the same (modprobe(8)).
fn name_of(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEP: &str = "kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
        kernel/lib/libcrc32c.ko.xz:\n\
        kernel/crypto/crc32c_generic.ko.xz:\n\
        kernel/drivers/md/dm-multipath.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n\
        kernel/drivers/md/dm-mod.ko.xz:\n";

    fn modules() -> Modules {
        Modules::parse(
            DEP,
            "kernel/drivers/ata/ahci.ko\n",
            "softdep libcrc32c pre: crc32c post: nothing\n",
            "# comment\nalias crc32c crc32c_generic\nalias pci:v*d* xfs\n",
        )
    }

    fn closure(wanted: &[&str]) -> Result<Vec<String>> {
        let wanted: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).collect();
        Ok(modules().closure(&wanted)?.into_iter().collect())
    }

    #[test]
    fn follows_dependencies_and_soft_dependencies() {
        assert_eq!(
            closure(&["xfs"]).unwrap(),
            [
                "kernel/crypto/crc32c_generic.ko.xz",
                "kernel/fs/xfs/xfs.ko.xz",
                "kernel/lib/libcrc32c.ko.xz"
            ]
        );
        let both = [
            "kernel/drivers/md/dm-mod.ko.xz",
            "kernel/drivers/md/dm-multipath.ko.xz",
        ];
        assert_eq!(closure(&["dm_multipath"]).unwrap(), both);
        assert_eq!(closure(&["kernel/drivers/md/*"]).unwrap(), both);
        assert_eq!(closure(&["ahci"]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_matches_nothing_is_an_error() {
        assert_eq!(
            closure(&["xsf", "xfs", "mtp3sas"]).unwrap_err().to_string(),
            "no kernel module matches `xsf`, `mtp3sas`\n\
             hint: correct the lists in roles/common/common.toml; names are file names without `.ko`"
        );
    }

    proptest! {
        #[test]
        fn a_closure_is_closed(edges in prop::collection::vec((0_usize..12, 0_usize..12), 0..30), start in 0_usize..12) {
            let mut dep = String::new();
            for module in 0..12 {
                let needs: Vec<_> = edges.iter().filter(|(from, _)| *from == module).map(|(_, to)| format!("k/m{to}.ko")).collect();
                dep.push_str(&format!("k/m{module}.ko: {}\n", needs.join(" ")));
            }
            let modules = Modules::parse(&dep, "", "", "");
            let closure = modules.closure(&[format!("m{start}")]).unwrap();
            let has = |module: &usize| closure.contains(&format!("k/m{module}.ko"));
            prop_assert!(has(&start));
            for (from, to) in &edges {
                prop_assert!(!has(from) || has(to));
            }
        }
    }
}

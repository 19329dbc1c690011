//! Loads kernel modules: those init needs by name, everything else by what the hardware says it is.

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::{self, File},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    kmod::{ModuleInitFlags, finit_module},
};

use crate::{console, module_index::ModuleIndex};

/// Modules of one kernel, and which of them were tried.
pub struct Modules {
    folder: PathBuf,
    index: ModuleIndex,
    tried: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Modules {
    /// Reads the index files of the running kernel; an initrd without modules is one with everything built in.
    pub fn open() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let folder = Path::new("/lib/modules").join(release.trim());
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        Self {
            index: ModuleIndex::parse(&read("modules.dep"), &read("modules.alias")),
            folder,
            tried: BTreeSet::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Loads a module by name or alias. False if no such module is in the initrd.
    pub fn load(&mut self, name: &str) -> bool {
        let modules = self.index.resolve(name);
        for module in &modules {
            for path in self.index.load_order(module) {
                if self.tried.insert(path.clone()) {
                    self.insert(&path, "");
                }
            }
        }
        !modules.is_empty()
    }

    /// Loads a module with parameters (`rd_nr=1`).
    pub fn load_with(&mut self, name: &str, parameters: &str) {
        for path in self.index.load_order(name) {
            self.insert(&path, parameters);
        }
    }

    fn insert(&self, path: &str, parameters: &str) {
        let Ok(parameters) = CString::new(parameters) else {
            return;
        };
        match File::open(self.folder.join(path)) {
            Err(error) => console::say(&format!("module `{path}`: {error}")),
            Ok(file) => match finit_module(&file, &parameters, ModuleInitFlags::empty()) {
                Ok(()) => console::debug(&format!("loaded {path}")),
                // EEXIST: the kernel's own modprobe call was faster. ENODEV: no such hardware, as for `kvm_intel`.
                Err(Errno::EEXIST | Errno::ENODEV) => {}
                Err(error) => console::say(&format!("module `{path}`: {error}")),
            },
        }
    }

    /// One pass over all devices; false when there was no device that was not seen before.
    pub fn load_for_hardware(&mut self) -> bool {
        let mut found = false;
        for alias in modaliases(Path::new("/sys/bus")) {
            if self.seen.insert(alias.clone()) {
                found = true;
                if self.load(&alias) {
                    console::debug(&format!("device {alias}"));
                }
            }
        }
        found
    }
}

/// `/sys/bus/*/devices/*/modalias`.
fn modaliases(buses: &Path) -> Vec<String> {
    let mut aliases = Vec::new();
    for bus in entries(buses) {
        for device in entries(&bus.join("devices")) {
            if let Ok(alias) = fs::read_to_string(device.join("modalias")) {
                let alias = alias.trim();
                if !alias.is_empty() {
                    aliases.push(alias.to_owned());
                }
            }
        }
    }
    aliases
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

/// The kernel calls `/sbin/modprobe -q -- NAME` when it wants a file system, a cipher or a raid level.
pub fn modprobe(arguments: impl Iterator<Item = String>) {
    let mut modules = Modules::open();
    for name in arguments.filter(|argument| !argument.starts_with('-')) {
        modules.load(&name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modaliases_of_all_buses() {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("pci/devices/0000:00:1f.2/modalias", "pci:v00008086\n"),
            ("usb/devices/1-1:1.0/modalias", "usb:v46F4\n"),
            ("acpi/devices/PNP/modalias", "\n"),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut found = modaliases(root.path());
        found.sort();
        assert_eq!(found, ["pci:v00008086", "usb:v46F4"]);
    }
}

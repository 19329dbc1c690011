//! Writing a file onto a stick: only onto one that a person chose by its name, that is removable and not the boot medium; and
//! what was written is read back from the medium before it is called written.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use system::{Mounted, System, SystemError};

use super::{MOUNT_POINT, candidates};

/// A stick with a file system or partition named `RACKWRIGHT`, as a person knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stick {
    /// Device node of the file system, for this boot.
    pub device: String,
    /// What the stick says it is; empty if it says nothing.
    pub model: String,
    /// Bytes of the whole stick.
    pub size: u64,
}

/// Why nothing was written, or not surely.
#[derive(Debug, thiserror::Error)]
pub enum StickError {
    /// It was pulled, or another one has its name now.
    #[error("`{0}` is not the stick that was chosen any more\nhint: look for sticks again")]
    Gone(String),
    /// A name that leads elsewhere.
    #[error("`{0}` is no name of a file")]
    Name(String),
    /// The medium keeps something else.
    #[error(
        "`{file}` on `{device}` does not read back as it was written\nhint: the stick is broken: take another one"
    )]
    NotKept {
        /// File.
        file: String,
        /// Device node.
        device: String,
    },
    /// It cannot be mounted, written or read.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// All that may be written to.
pub fn list(system: &dyn System) -> Vec<Stick> {
    candidates::writable(system)
        .into_iter()
        .map(|candidate| stick(system, &candidate.device))
        .collect()
}

fn stick(system: &dyn System, device: &str) -> Stick {
    let disk = disk(system, device);
    let attribute = |name: &str| {
        let path = Utf8Path::new("/sys/class/block").join(&disk).join(name);
        let bytes = system.read(&path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    let words = [attribute("device/vendor"), attribute("device/model")];
    // sysfs counts in 512 bytes, whatever the disk does.
    let sectors: u64 = attribute("size").parse().unwrap_or(0);
    Stick {
        device: device.to_owned(),
        model: words.join(" ").trim().to_owned(),
        size: sectors.saturating_mul(512),
    }
}

/// Kernel name of the whole disk.
fn disk(system: &dyn System, device: &str) -> String {
    let name = device.strip_prefix("/dev/").unwrap_or(device);
    let path = Utf8Path::new("/sys/class/block").join(name);
    let whole = !system.exists(&path.join("partition"));
    let real = system.resolve(&path).unwrap_or(path);
    // The directory of a partition lies in that of its disk.
    let parent = real.parent().and_then(Utf8Path::file_name);
    parent.filter(|_| !whole).unwrap_or(name).to_owned()
}

/// Writes a file onto the stick that was chosen. Gives its place, for people.
///
/// # Errors
/// The stick is not the same any more, cannot be written, or does not keep what it was given.
pub fn save(
    system: &dyn System,
    chosen: &Stick,
    name: &str,
    text: &str,
) -> Result<String, StickError> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err(StickError::Name(name.to_owned()));
    }
    let candidate = candidates::writable(system)
        .into_iter()
        .find(|candidate| candidate.device == chosen.device)
        .filter(|_| stick(system, &chosen.device) == *chosen)
        .ok_or_else(|| StickError::Gone(chosen.device.clone()))?;
    let device = Utf8Path::new(&candidate.device);
    let target = Utf8Path::new(MOUNT_POINT);
    let disk = [disk(system, &chosen.device)];
    system.allow_writes(&disk, &disk);
    let written = (|| {
        let mounted = Mounted::new(system, device, target, candidate.kind, false, "")?;
        system.write(&target.join(name), text.as_bytes(), 0o600)?;
        system.sync();
        mounted.release()
    })();
    system.allow_writes(&[], &[]);
    written?;
    // Mounted anew, so that it is the medium that answers and not the page cache of the first mount.
    let mounted = Mounted::new(system, device, target, candidate.kind, true, "")?;
    let kept = system.read(&target.join(name));
    mounted.release()?;
    if kept? != text.as_bytes() {
        return Err(StickError::NotKept {
            file: name.to_owned(),
            device: candidate.device,
        });
    }
    Ok(format!("{name} on {}", candidate.device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::boot_facts;
    use system::Simulated;

    fn machine() -> Simulated {
        let system = Simulated::new();
        system.add_medium("sdg", "RACKWRIGHT", &[("/node.toml", b"old")]);
        system.put_file("/sys/class/block/sdg/device/vendor", b"SanDisk \n");
        system.put_file("/sys/class/block/sdg/device/model", b"Ultra\n");
        system
    }

    #[test]
    fn a_file_is_written_and_read_back() {
        let system = machine();
        let sticks = list(&system);
        assert_eq!(
            sticks,
            [Stick {
                device: "/dev/sdg".into(),
                model: "SanDisk Ultra".into(),
                size: 1 << 26,
            }]
        );
        let said = save(&system, &sticks[0], "mail-1.toml", "new").unwrap();
        assert_eq!(said, "mail-1.toml on /dev/sdg");
        assert_eq!(system.file_on("sdg", "/mail-1.toml").unwrap(), b"new");
        assert_eq!(system.file_on("sdg", "/node.toml").unwrap(), b"old");
        assert!(system.mounts().is_empty());
        assert!(system.violations().is_empty());
    }

    #[test]
    fn neither_the_boot_medium_nor_a_fixed_disk_is_written() {
        let system = machine();
        let chosen = list(&system).remove(0);
        let boot = r#"{"mode":"install","medium":"/dev/sdg","root_device":"/dev/sdg2","root":{"role":"lb","version":"0.1.0","size":1,"sha256":"0","kernel":"6.12"},"array":null,"slot":null,"node_file":null,"warnings":[]}"#;
        for (path, content) in [
            (boot_facts::PATH, boot),
            ("/sys/class/block/sdg/removable", "0\n"),
        ] {
            let system = machine();
            system.put_file(path, content.as_bytes());
            assert_eq!(list(&system), [], "{path}");
            let error = save(&system, &chosen, "a.toml", "new").unwrap_err();
            assert_eq!(
                error.to_string(),
                "`/dev/sdg` is not the stick that was chosen any more\nhint: look for sticks again"
            );
            assert_eq!(system.file_on("sdg", "/a.toml"), None);
            assert!(system.violations().is_empty());
        }
    }

    #[test]
    fn another_stick_of_the_same_name_is_not_the_chosen_one() {
        let system = machine();
        let chosen = list(&system).remove(0);
        system.put_file("/sys/class/block/sdg/device/model", b"Cruzer\n");
        assert!(matches!(
            save(&system, &chosen, "a.toml", "new"),
            Err(StickError::Gone(_))
        ));
        assert_eq!(system.file_on("sdg", "/a.toml"), None);
        for name in ["", "../a", ".hidden", "a/b"] {
            assert!(matches!(
                save(&machine(), &chosen, name, "new"),
                Err(StickError::Name(_))
            ));
        }
    }
}

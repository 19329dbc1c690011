//! What `rackwright-init` found: `/run/rackwright/boot.json`. Crate `boot` writes it with a struct of its own, because it may
//! use nothing of ours; the contract is in docs/architecture.md.

use serde::{Deserialize, Serialize};

/// Where it is.
pub const PATH: &str = "/run/rackwright/boot.json";

/// The file. Keys of a newer init are ignored: root image and initrd may be of different builds in a rescue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFacts {
    /// What the machine is booted for.
    pub mode: Mode,
    /// Disk or CD the live system came from; none when it came by network.
    pub medium: Option<String>,
    /// Device the root image is mounted from.
    pub root_device: String,
    /// The image.
    pub root: RootImage,
    /// md device of the running appliance.
    pub array: Option<String>,
    /// `a` or `b` in the running appliance.
    pub slot: Option<String>,
    /// Node file that was embedded in the image.
    pub node_file: Option<String>,
    /// What was not as it should be.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What the machine is booted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The live system that installs.
    Install,
    /// The live system with a shell.
    Rescue,
    /// The running appliance.
    Run,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl Mode {
    /// As it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Rescue => "rescue",
            Self::Run => "run",
            Self::Unknown => "unknown",
        }
    }
}

/// The root image that belongs to kernel and initrd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootImage {
    /// Role of the image.
    pub role: String,
    /// Version of the image.
    pub version: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Kernel release.
    pub kernel: String,
}

/// Reads the text of the file.
pub fn parse(text: &str) -> Result<BootFacts, serde_json::Error> {
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_of_the_architecture() {
        let document = include_str!("../../../../docs/architecture.md");
        let at = document.find("{\"mode\":").unwrap();
        let root = document
            .find("{\"role\": \"control\", \"version\"")
            .unwrap();
        let block = |start: usize| {
            let rest = &document[start..];
            &rest[..rest.find("```").unwrap()]
        };
        let text = block(at).replace("{ ...root.json... }", block(root).trim());
        let facts = parse(&text).unwrap();
        assert_eq!(facts.mode, Mode::Install);
        assert_eq!(facts.root.role, "control");
        assert_eq!(facts.warnings, ["array started degraded: 1 of 2 members"]);
    }

    #[test]
    fn as_init_writes_it() {
        let text = r#"{"mode":"run","medium":null,"root_device":"/dev/md127p1","root":{"role":"lb","version":"0.1.0","size":4096,"sha256":"00","kernel":"6.12"},"array":"/dev/md127","slot":"a","node_file":null,"warnings":[]}"#;
        let facts = parse(text).unwrap();
        assert_eq!(serde_json::to_string(&facts).unwrap(), text);
    }
}

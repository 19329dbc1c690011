//! What is said between a machine that is being installed and the depot: JSON, one object each way, over TLS only.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE32_NOPAD;
use run::event::Record;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a request that are read; a failure bundle is the longest.
pub const BODY: usize = 4 << 20;
/// Longest text of a fact, in bytes.
pub const FACT: usize = 128;
/// Ports that are listened to.
pub const MACS: usize = 64;

/// What a machine made at this boot and shows to nobody but the depot, over TLS: 256 random bits.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// As it travels.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(*self.0))
    }

    /// From its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(hex::decode(text).ok()?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().ok()?;
        Some(Self::new(bytes))
    }

    /// What both screens show: 100 bits of its SHA-256, in five groups of four. Who makes another secret with the same one
    /// needs 2^100 tries.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let text = BASE32_NOPAD
            .encode(&Sha256::digest(*self.0))
            .to_ascii_lowercase();
        let groups: Vec<&str> = (0..5)
            .filter_map(|at| text.get(4 * at..4 * at + 4))
            .collect();
        groups.join("-")
    }
}

/// Never shown.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// Serial number of the board.
    #[serde(default)]
    pub serial: Option<String>,
    /// MAC address of the BMC.
    #[serde(default)]
    pub bmc_mac: Option<String>,
    /// MAC addresses of the ports.
    #[serde(default)]
    pub macs: BTreeSet<String>,
    /// Role of the image that runs.
    pub role: String,
    /// Version of the image that runs.
    pub version: String,
}

/// Answer to a hello.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// Ask again later. Nothing is said of why: who asks is not known.
    Wait,
    /// This is for you.
    Granted(Delivered),
    /// Said by a later version.
    #[serde(other)]
    Unknown,
}

/// All that a machine needs. Its permit stands in the node file.
#[derive(Serialize, Deserialize)]
pub struct Delivered {
    /// Machine's name.
    pub node: String,
    /// Text of the node file. May hold a password hash.
    pub node_file: String,
    /// Secrets by purpose.
    pub secrets: BTreeMap<String, String>,
}

/// The name only.
impl std::fmt::Debug for Delivered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivered({})", self.node)
    }
}

/// Spends a permit, before the first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// Permit's name.
    pub permit: String,
    /// Digest of the plan.
    pub plan: String,
    /// Serial number of the board.
    pub board: Option<String>,
}

/// Events, in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// How many of this boot came before.
    pub from: u64,
    /// The next.
    pub records: Vec<Record>,
}

/// How many events of this boot the depot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Number.
    pub have: u64,
}

/// A failure bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// One line.
    pub summary: String,
    /// Texts by name, redacted by the machine.
    pub files: BTreeMap<String, String>,
}

/// How an installed machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// All checks hold.
    pub healthy: bool,
    /// What does not, by check.
    #[serde(default)]
    pub unwell: BTreeMap<String, String>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A line for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_short_and_the_secret_stays_out_of_it() {
        let secret = Secret::new([7; 32]);
        assert_eq!(secret.fingerprint().len(), 24);
        assert_eq!(
            Secret::parse(&secret.text()).unwrap().fingerprint(),
            secret.fingerprint()
        );
        assert_ne!(Secret::new([8; 32]).fingerprint(), secret.fingerprint());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_delivered_is_not_shown_by_accident() {
        let delivered = Delivered {
            node: "db1".into(),
            node_file: "hash".into(),
            secrets: BTreeMap::from([("bmc".into(), "word".into())]),
        };
        assert_eq!(format!("{delivered:?}"), "Delivered(db1)");
    }
}

//! Every identifier an install makes comes from here: sha256 of (seed, purpose). No clock and no randomness, so the same
//! input gives the same plan and an interrupted install can be planned again and finds its own traces.

use sha2::{Digest, Sha256};

/// What all identifiers of one install are derived from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed from what is unique to one install. Recommended: node name, board serial, permit id; a new permit then means
    /// new identifiers, so that a disk left over from the install before is never taken for a member of this one.
    #[must_use]
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Self(hash.finalize().into())
    }

    fn bytes(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(purpose.as_bytes());
        hash.finalize().into()
    }

    /// A GUID or file system UUID in lower case, shaped as version 4, variant 1 (RFC 9562, section 5.4).
    #[must_use]
    pub fn uuid(&self, purpose: &str) -> String {
        let mut bytes = self.bytes(purpose);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let text = hex::encode(&bytes[..16]);
        format!(
            "{}-{}-{}-{}-{}",
            &text[..8],
            &text[8..12],
            &text[12..16],
            &text[16..20],
            &text[20..]
        )
    }

    /// An md array UUID in the one form used throughout: four groups of eight hexadecimal digits with colons, as
    /// `mdadm --detail --export` and udev's `MD_UUID` (and so `/dev/disk/by-id/md-uuid-...`) print it.
    #[must_use]
    pub fn array(&self, purpose: &str) -> String {
        let text = hex::encode(&self.bytes(purpose)[..16]);
        format!(
            "{}:{}:{}:{}",
            &text[..8],
            &text[8..16],
            &text[16..24],
            &text[24..]
        )
    }

    /// A FAT volume id: 8 hexadecimal digits.
    #[must_use]
    pub fn volume(&self, purpose: &str) -> String {
        hex::encode(&self.bytes(purpose)[..4])
    }

    /// A hostid: 8 hexadecimal digits, never 0, which ZFS takes for "not set" (spl(4), `spl_hostid`).
    #[must_use]
    pub fn hostid(&self) -> String {
        let bytes = self.bytes("hostid");
        let text = hex::encode(&bytes[..4]);
        if text == "00000000" {
            "00000001".into()
        } else {
            text
        }
    }

    /// A machine-id: 32 hexadecimal digits, shaped as UUID version 4 (machine-id(5)).
    #[must_use]
    pub fn machine_id(&self) -> String {
        self.uuid("machine-id").replace('-', "")
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn forms() {
        let seed = Seed::new(&["mail1", "ZM17", "permit"]);
        let uuid = seed.uuid("gpt");
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
        assert_eq!(
            seed.array("os")
                .split(':')
                .map(str::len)
                .collect::<Vec<_>>(),
            [8, 8, 8, 8]
        );
        assert_eq!(seed.volume("esp").len(), 8);
        assert_eq!(seed.machine_id().len(), 32);
        assert_ne!(seed.hostid(), "00000000");
        assert_ne!(seed.uuid("a"), seed.uuid("b"));
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(Seed::new(&["ab", "c"]), Seed::new(&["a", "bc"]));
    }
}

//! Keys of replication, from the one secret that storage servers share: both know them before they first meet, so nobody is
//! trusted on first sight, and nothing has to be carried from one to the other.

use sha2::{Digest, Sha256};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The receiver shows it.
    Client,
    /// The answering server shows it.
    Host,
}

/// An Ed25519 private key in PKCS #8 (RFC 8410, section 7), which OpenSSH reads since 9.6: the seed is SHA-256 of the secret,
/// a secret of 160 bits, and what the key is for.
#[must_use]
pub fn private_key(secret: &str, usage: Use) -> String {
    const PREFIX: [u8; 16] = [
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    let label: &[u8] = match usage {
        Use::Client => b"rackwright replication client\0",
        Use::Host => b"rackwright replication host\0",
    };
    let seed = Sha256::new()
        .chain_update(label)
        .chain_update(secret.as_bytes())
        .finalize();
    let mut bytes = PREFIX.to_vec();
    bytes.extend_from_slice(&seed);
    format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64(&bytes)
    )
}

/// RFC 4648, section 4; the length must be a multiple of three, as that of a key is.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |value: u32| char::from(LETTERS[(value & 63) as usize]);
    let three = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(0u32, |value, byte| value << 8 | u32::from(*byte))
    };
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let value = three(chunk);
            [18, 12, 6, 0].map(|shift| letter(value >> shift))
        })
        .collect()
}

/// `authorized_keys` (sshd(8)): this key may start one command, which reads what is wanted against a list.
#[must_use]
pub fn authorized(public: &str) -> String {
    format!(
        "restrict,command=\"/usr/bin/rackwright-installer storage answer\" {}\n",
        public.trim()
    )
}

/// `known_hosts` (sshd(8)): this key for every address, because only storage servers know it.
#[must_use]
pub fn known(public: &str) -> String {
    format!("* {}\n", public.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_use_and_secret() {
        assert_eq!(base64(b"Man"), "TWFu");
        let one = private_key("a", Use::Client);
        assert_eq!(one.lines().nth(1).map(str::len), Some(64));
        assert_ne!(one, private_key("a", Use::Host));
        assert_ne!(one, private_key("b", Use::Client));
        assert_eq!(one, private_key("a", Use::Client));
        assert_eq!(known("ssh-ed25519 AAAA\n"), "* ssh-ed25519 AAAA\n");
    }
}

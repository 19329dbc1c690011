//! Secrets of a cluster: all from one seed, by purpose and machine, and sealed before they are written. They never stand in
//! a node file, which travels in clear.
//!
//! Derivation is HKDF-SHA256 (RFC 5869) with the seed as key material and `purpose NUL machine` as info: the same seed gives
//! the same secrets on any workstation, and one of them tells nothing of another. They
//! are sealed as `sealed.rs` says.

use std::{collections::BTreeMap, fmt};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::sealed::{self, UnlockCode};
use crate::site::{
    Site,
    model::{Proxy, SiteNode},
};

/// First line of a seed file.
const SEED_HEADER: &str = "rackwright-seed 1";
/// Thirty-two characters that nobody takes for one another, so that a password can be typed: five bits each.
pub(super) const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// What all secrets of a cluster come from: 256 bits, made once.
pub struct Seed(Zeroizing<[u8; 32]>);

/// A secret; shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

/// The secrets of one machine, by purpose.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

/// What is wrong with a seed or a sealed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not the text of a seed file.
    #[error(
        "this is no seed file\nhint: it holds the line `{SEED_HEADER}` and then 64 hexadecimal digits"
    )]
    Seed,
    /// Not the text of a sealed file.
    #[error("this is no sealed file")]
    Form,
    /// Another seed, another machine, or altered bytes.
    #[error(
        "the sealed file cannot be opened: it was made with another seed or for another machine, or it was changed"
    )]
    Closed,
    /// Not the form of a code.
    #[error(
        "this is no unlock code\nhint: it has 26 letters and digits; `rackwright unlock` shows it"
    )]
    Code,
}

impl Seed {
    /// A seed from bytes of the operating system's random generator.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads a seed file.
    ///
    /// # Errors
    /// The text is not that of a seed file. Its content is never shown.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let digits = text
            .strip_prefix(SEED_HEADER)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(SecretError::Seed)?;
        let mut bytes = Zeroizing::new([0; 32]);
        hex::decode_to_slice(digits.trim_end(), &mut *bytes).map_err(|_| SecretError::Seed)?;
        Ok(Self(bytes))
    }

    /// The seed file's text: write it with mode 0600 and nowhere else.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex::encode(*self.0));
        Zeroizing::new(format!("{SEED_HEADER}\n{}\n", *digits))
    }

    fn derive(&self, purpose: &str, machine: &str, out: &mut [u8]) {
        let generator = Hkdf::<Sha256>::new(Some(b"rackwright"), &*self.0);
        let info = format!("{purpose}\0{machine}");
        // Fails only beyond 255 times 32 bytes (RFC 5869, 2.3), and nothing here is longer than 52.
        let _ = generator.expand(info.as_bytes(), out);
    }

    /// Text of `length` characters, five bits of the seed in each. An empty `machine` is the whole cluster.
    fn password(&self, purpose: &str, machine: &str, length: usize) -> Secret {
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.derive(purpose, machine, &mut bytes);
        let text = bytes
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
            .map(|byte| char::from(*byte))
            .collect();
        Secret(Zeroizing::new(text))
    }

    /// Password of a machine's board management account: 16 characters, the length that every IPMI 2.0 firmware stores
    /// whole (a password of 20 bytes is an option of the Set User Password command).
    #[must_use]
    pub fn bmc_password(&self, machine: &str) -> Secret {
        self.password("bmc", machine, 16)
    }

    /// All secrets of a machine: its own, and those that it shares with others because of its role. What it has of the
    /// authority is [`Secrets::extend`]ed.
    #[must_use]
    pub fn secrets(&self, site: &Site, node: &SiteNode) -> Secrets {
        let mut secrets = BTreeMap::new();
        if node.bmc.is_some() {
            secrets.insert("bmc".to_owned(), self.bmc_password(&node.name));
        }
        for (purpose, roles) in SHARED {
            let is_used = match *purpose {
                "proxy-admin" | "proxy-cluster" => site.options.proxy != Proxy::Haproxy,
                "proxy-accounts" => site.options.proxy == Proxy::Maxscale,
                _ => true,
            };
            if is_used && roles.contains(&node.role.as_str()) {
                secrets.insert((*purpose).to_owned(), self.password(purpose, "", 32));
            }
        }
        Secrets(secrets)
    }

    /// What the authority and its tokens are made of.
    #[must_use]
    pub fn authority(&self) -> Secret {
        self.password(AUTHORITY, "", 32)
    }

    /// What a machine's key is made of, in a cluster without control servers.
    pub(super) fn machine_key(&self, machine: &str) -> Secret {
        self.password("identity", machine, 52)
    }

    /// What opens the sealed file of a machine: its own, so that whoever has one can open no other.
    #[must_use]
    pub fn unlock_code(&self, machine: &str) -> UnlockCode {
        UnlockCode::new(self.password("unlock", machine, sealed::CODE_LENGTH).0)
    }

    /// The secrets of a machine as a sealed file. The nonce is derived from seed and plain text, so that equal secrets give
    /// equal bytes and a second compile rewrites nothing, and no nonce is ever used for two texts.
    #[must_use]
    pub fn seal(&self, machine: &str, secrets: &Secrets) -> String {
        let plain = secrets.text();
        let mut nonce = [0; 24];
        let purpose = Zeroizing::new(format!("nonce\0{}", *plain));
        self.derive(&purpose, machine, &mut nonce);
        sealed::seal(machine, &plain, nonce, &self.unlock_code(machine))
    }

    /// Opens a sealed file: purpose to secret.
    ///
    /// # Errors
    /// The text is not that of a sealed file, or it was not made with this seed for the machine that it names.
    pub fn open(&self, text: &str) -> Result<BTreeMap<String, Secret>, SecretError> {
        let machine = sealed::machine(text).ok_or(SecretError::Form)?;
        sealed::open(text, machine, &self.unlock_code(machine))
    }
}

/// What the authority is made of: only control servers have it.
const AUTHORITY: &str = "ca-key-seed";

/// Secrets that machines share: purpose, and the roles that get it. Nobody gets what his role has no use for.
const SHARED: &[(&str, &[&str])] = &[
    (AUTHORITY, &["control"]),
    (
        "database-app",
        &["production", "standalone", "galera", "database"],
    ),
    ("database-monitor", &["lb", "galera", "database"]),
    ("database-replication", &["galera", "database"]),
    ("proxy-accounts", &["lb", "galera", "database"]),
    ("proxy-admin", &["lb"]),
    ("proxy-cluster", &["lb"]),
    ("sessions", &["production", "lb"]),
    ("storage-replication", &["storage", "backup"]),
];

impl Secret {
    pub(super) fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The secret itself. Not for logs, arguments or messages.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Secrets {
    /// Purposes and secrets, by purpose.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0
            .iter()
            .map(|(purpose, secret)| (purpose.as_str(), secret))
    }

    /// Takes further ones in.
    pub(super) fn extend(&mut self, more: impl IntoIterator<Item = (String, Secret)>) {
        self.0.extend(more);
    }

    /// Takes one that the owner brings, such as a licence.
    pub fn supply(&mut self, purpose: &str, text: &str) {
        self.0.insert(purpose.to_owned(), Secret::new(text));
    }

    /// One `purpose = "secret"` in each line; line ends, quotes and backslashes in it with a backslash before them.
    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (purpose, secret) in self.iter() {
            text.push_str(purpose);
            text.push_str(" = \"");
            for letter in secret.expose().chars() {
                match letter {
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '"' | '\\' => text.extend(['\\', letter]),
                    letter => text.push(letter),
                }
            }
            text.push_str("\"\n");
        }
        text
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Purposes only.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

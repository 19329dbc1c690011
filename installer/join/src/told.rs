//! What a database server tells others of itself, at `/node` of its health endpoint, and the proof that it was really one of
//! them: a keyed digest of the answer and of a number that the asker made up.

use std::collections::BTreeMap;

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Facts of one machine. What a machine of a newer version says beside them is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// Host name.
    pub node: String,
    /// UUID of the cluster that it knows: a member's own, else from its journal, else from its data directory.
    pub cluster: Option<String>,
    /// It took the right to make the cluster, and no cluster is recorded.
    pub holds_right: bool,
    /// Its server answers.
    pub running: bool,
    /// In a Primary component.
    pub primary: bool,
    /// `wsrep_cluster_size`.
    pub size: usize,
    /// Addresses of the members that it sees.
    pub members: Vec<String>,
    /// `wsrep_local_state`.
    pub state: u8,
    /// Why `/` answers 503; nothing: it serves.
    pub unfit: Option<String>,
    /// It has no data and waits for its turn, or receives them now.
    pub wants_data: bool,
    /// It was given its turn and starts or receives.
    pub joining: bool,
    /// `gvwstate.dat` is there.
    pub view: bool,
    /// What `galera_recovery` found, with the server stopped.
    pub position: Option<String>,
    /// Highest fencing epoch of the primary that it knows.
    pub epoch: u64,
    /// Owner of that epoch.
    pub owner: String,
    /// Its server takes writes.
    pub writable: bool,
    /// `gtid_binlog_pos`.
    pub gtid: String,
    /// What machines wrote to prove themselves, as this one reads it: name to token.
    pub canaries: BTreeMap<String, String>,
}

/// The proof of an answer: HKDF-Extract, which is HMAC-SHA256 (RFC 5869, 2.2), with the shared secret as key.
#[must_use]
pub fn proof(secret: &str, nonce: &str, body: &str) -> String {
    let message = format!("rackwright-node\n{nonce}\n{body}");
    let (digest, _) = Hkdf::<Sha256>::extract(Some(secret.as_bytes()), message.as_bytes());
    hex::encode(digest)
}

/// Whether an answer is from somebody who has the secret. Compares all bytes, whatever they are.
#[must_use]
pub fn is_proven(secret: &str, nonce: &str, body: &str, claimed: &str) -> bool {
    let right = proof(secret, nonce, body);
    right.len() == claimed.len()
        && right
            .bytes()
            .zip(claimed.bytes())
            .fold(0, |differences, (one, other)| differences | (one ^ other))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_secret_one_question_and_one_answer() {
        let proof = proof("secret", "0a", "{}");
        assert!(is_proven("secret", "0a", "{}", &proof));
        for (secret, nonce, body) in [
            ("other", "0a", "{}"),
            ("secret", "0b", "{}"),
            ("secret", "0a", "{ }"),
        ] {
            assert!(
                !is_proven(secret, nonce, body, &proof),
                "{secret} {nonce} {body}"
            );
        }
        assert!(!is_proven("secret", "0a", "{}", ""));
        assert!(!is_proven("secret", "0a", "{}", &proof[1..]));
    }

    #[test]
    fn an_answer_of_another_version_is_read() {
        let told: Told = serde_json::from_str(r#"{"node":"db1","moon":3}"#).unwrap();
        assert_eq!(told.node, "db1");
        assert!(!told.primary);
    }
}

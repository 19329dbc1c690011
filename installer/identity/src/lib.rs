//! Keys, certificates and one-time tokens of a cluster's machines. Pure: time and randomness are arguments, so that the
//! workstation, the control server and the tests make the same from the same.
//!
//! The authority is no file that somebody has to keep: it is derived from one secret (`ca-key-seed`, itself derived from the
//! site's seed), so that `rackwright compile` knows the pin before any machine exists, both control servers can issue, and a
//! lost control server loses no authority.

mod authority;
mod certificate;
mod key;
mod token;

pub use authority::{Authority, Machine, Validity};
pub use certificate::{Certificate, check_pair};
pub use key::Key;
pub use token::{Token, TokenKey};

/// Why something of an identity was refused or could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Text that is no certificate.
    #[error("this is no certificate: {0}")]
    Certificate(String),
    /// Text that is no request, or one whose signature is wrong.
    #[error("this is no certificate request: {0}")]
    Request(String),
    /// A request with a key of another kind.
    #[error("the request's key is not of the curve P-256")]
    Curve,
    /// Text that is no private key.
    #[error("this is no private key of the curve P-256")]
    Key,
    /// A certificate for another key.
    #[error("the certificate is not for this private key")]
    Pair,
    /// A certificate cannot be made.
    #[error("the certificate of `{name}` cannot be made: {reason}")]
    Issue {
        /// Machine.
        name: String,
        /// Why.
        reason: String,
    },
    /// Text that is no token.
    #[error(
        "this is no join token\nhint: it looks like `0.first.` and 26 letters and digits; `rackwright token` shows it"
    )]
    TokenForm,
    /// A token of another machine, role or cluster.
    #[error("the join token was not made for `{node}` as `{role}` of this cluster")]
    TokenOther {
        /// Machine that asked.
        node: String,
        /// Role it asked for.
        role: String,
    },
    /// A token whose time is over.
    #[error(
        "the join token of `{node}` is no longer valid\nhint: `rackwright token` makes a new one"
    )]
    TokenExpired {
        /// Machine that asked.
        node: String,
    },
}

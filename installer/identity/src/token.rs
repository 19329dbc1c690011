//! One-time join tokens: 130 bits, bound to machine and role. A token is a message authentication code under a key that the
//! control servers derive, so no list of tokens has to reach them; they keep only which were spent.
//!
//! `<seconds since 1970 until when, 0: no date>.<label>.<26 letters and digits>`. The label makes two tokens of one machine
//! two: the id of the permit that the node file has, so that each right to install is one right to enrol.

use std::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::IdentityError;

/// Thirty-two characters that nobody takes for one another: five bits each, as in unlock codes.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Characters of the code.
const LENGTH: usize = 26;
/// Longest label.
const LABEL: usize = 80;

/// Makes and checks tokens; shown by nothing.
pub struct TokenKey(Zeroizing<String>);

/// A token; shown by [`Token::text`] only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    until: u64,
    label: String,
    code: Zeroizing<String>,
}

impl TokenKey {
    /// From the secret `ca-key-seed`.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self(Zeroizing::new(secret.to_owned()))
    }

    /// Makes a token. `until`: seconds since 1970, 0 for no date. Characters of `label` other than letters, digits, `-` and
    /// `_` become `-`.
    #[must_use]
    pub fn make(&self, node: &str, role: &str, label: &str, until: u64) -> Token {
        let label: String = label
            .chars()
            .take(LABEL)
            .map(|letter| if is_plain(letter) { letter } else { '-' })
            .collect();
        let code = self.code(node, role, &label, until);
        Token { until, label, code }
    }

    fn code(&self, node: &str, role: &str, label: &str, until: u64) -> Zeroizing<String> {
        let generator = Hkdf::<Sha256>::new(Some(b"rackwright token"), self.0.as_bytes());
        let mut bytes = Zeroizing::new([0; LENGTH]);
        // No part can hold the byte that parts them.
        let info = format!("{node}\0{role}\0{label}\0{until}");
        // Fails only beyond 255 times 32 bytes (RFC 5869, 2.3).
        let _ = generator.expand(info.as_bytes(), &mut *bytes);
        let letters = bytes
            .iter()
            .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)))
            .map(|byte| char::from(*byte));
        Zeroizing::new(letters.collect())
    }

    /// Whether the token is `node`'s for `role`, and its time is not over. Whether it was spent is not known here.
    ///
    /// # Errors
    /// It is another machine's, another role's, another cluster's, or too old.
    pub fn check(
        &self,
        token: &Token,
        node: &str,
        role: &str,
        now: u64,
    ) -> Result<(), IdentityError> {
        let code = self.code(node, role, &token.label, token.until);
        if !bool::from(code.as_bytes().ct_eq(token.code.as_bytes())) {
            return Err(IdentityError::TokenOther {
                node: node.to_owned(),
                role: role.to_owned(),
            });
        }
        if token.until != 0 && now > token.until {
            return Err(IdentityError::TokenExpired {
                node: node.to_owned(),
            });
        }
        Ok(())
    }
}

impl Token {
    /// Reads a token.
    ///
    /// # Errors
    /// The text has not its form. It is never shown.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        let mut parts = text.trim().splitn(3, '.');
        let (Some(until), Some(label), Some(code)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(IdentityError::TokenForm);
        };
        let digits = !until.is_empty() && until.bytes().all(|byte| byte.is_ascii_digit());
        let until = until.parse().ok().filter(|_| digits);
        let label = Some(label).filter(|text| text.len() <= LABEL && text.chars().all(is_plain));
        let code = Some(code).filter(|code| {
            code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte))
        });
        match (until, label, code) {
            (Some(until), Some(label), Some(code)) => Ok(Self {
                until,
                label: label.to_owned(),
                code: Zeroizing::new(code.to_owned()),
            }),
            _ => Err(IdentityError::TokenForm),
        }
    }

    /// The token itself. For a terminal, a sealed file or the wire to a pinned server.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let Self { until, label, code } = self;
        Zeroizing::new(format!("{until}.{label}.{}", **code))
    }

    /// What the control servers keep of a spent token: nobody gets it back from this.
    #[must_use]
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.text().as_bytes()))
    }
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_is_for_one_machine_one_role_and_its_time() {
        let key = TokenKey::new("seed");
        let token = Token::parse(&key.make("db1", "galera", "first rack", 100).text()).unwrap();
        let other = |node: &str, role: &str| {
            Err(IdentityError::TokenOther {
                node: node.into(),
                role: role.into(),
            })
        };
        assert_eq!(key.check(&token, "db1", "galera", 100), Ok(()));
        let expired = IdentityError::TokenExpired { node: "db1".into() };
        assert_eq!(key.check(&token, "db1", "galera", 101), Err(expired));
        assert_eq!(
            key.check(&token, "db2", "galera", 1),
            other("db2", "galera")
        );
        assert_eq!(key.check(&token, "db1", "lb", 1), other("db1", "lb"));
        let stranger = TokenKey::new("other");
        assert_eq!(
            stranger.check(&token, "db1", "galera", 1),
            other("db1", "galera")
        );
        // Nobody lengthens its time or changes its label.
        let code = token.text().rsplit('.').next().unwrap().to_owned();
        for text in [format!("0.first-rack.{code}"), format!("100.second.{code}")] {
            let changed = Token::parse(&text).unwrap();
            assert_eq!(
                key.check(&changed, "db1", "galera", 1),
                other("db1", "galera")
            );
        }
        let forever = key.make("db1", "galera", "", 0);
        assert_eq!(key.check(&forever, "db1", "galera", u64::MAX), Ok(()));
        assert_eq!(format!("{forever:?}"), "Token(..)");
    }

    proptest! {
        /// No text panics, and whatever is read is written the same way.
        #[test]
        fn any_text(text in "[0-9]{0,22}\\.?[a-z0-9.\\-é]{0,40}\\.?[a-z0-9]{20,30}") {
            if let Ok(token) = Token::parse(&text) {
                let again = Token::parse(&token.text()).unwrap();
                prop_assert!(again == token);
            }
        }

        /// Every token that is made can be read.
        #[test]
        fn every_label(label in ".{0,120}", until: u64) {
            let key = TokenKey::new("seed");
            let token = key.make("a", "lb", &label, until);
            prop_assert!(Token::parse(&token.text()).unwrap() == token);
        }
    }
}

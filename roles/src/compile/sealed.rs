//! The sealed file, in which the secrets of one machine travel beside its node file, and the code that opens it, which travels
//! another way: typed at a console, or on a stick of its own.
//!
//! XChaCha20-Poly1305 under a key that HKDF-SHA256 (RFC 5869) makes of the code and the machine's name. The code has 130 bits,
//! so nobody guesses it and no slow hash is needed.

use std::{collections::BTreeMap, fmt};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::secrets::{ALPHABET, Secret, SecretError};

/// First words of a sealed file.
const HEADER: &str = "rackwright-sealed 1";
/// Characters of a code, five bits each.
pub(super) const CODE_LENGTH: usize = 26;
/// Characters between two hyphens, where a code is shown.
const GROUP: usize = 5;

/// Opens the sealed file of one machine; shown by nothing but [`UnlockCode::text`].
#[derive(Clone, PartialEq, Eq)]
pub struct UnlockCode(Zeroizing<String>);

impl UnlockCode {
    pub(super) fn new(code: Zeroizing<String>) -> Self {
        Self(code)
    }

    /// Reads a code as people type it: capitals, hyphens and spaces do not matter.
    ///
    /// # Errors
    /// It has another length, or characters that no code has. What was typed is never shown.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let code: String = text
            .chars()
            .filter(|letter| *letter != '-' && !letter.is_whitespace())
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        let code = Zeroizing::new(code);
        if code.len() != CODE_LENGTH || !code.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(SecretError::Code);
        }
        Ok(Self(code))
    }

    /// As people read and type it: groups of five. For a terminal or a file of mode 0600, not for logs.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for (index, letter) in self.0.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        text
    }

    fn cipher(&self, machine: &str) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        let generator = Hkdf::<Sha256>::new(Some(b"rackwright"), self.0.as_bytes());
        // Fails only beyond 255 times 32 bytes (RFC 5869, 2.3).
        let _ = generator.expand(format!("seal\0{machine}").as_bytes(), &mut *key);
        XChaCha20Poly1305::new((&*key).into())
    }
}

impl fmt::Debug for UnlockCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockCode(..)")
    }
}

/// One line that says for whom, which is also protected against change, and one of hexadecimal digits: nonce, then text.
pub(super) fn seal(machine: &str, plain: &str, nonce: [u8; 24], code: &UnlockCode) -> String {
    let header = format!("{HEADER} {machine}");
    let payload = Payload {
        msg: plain.as_bytes(),
        aad: header.as_bytes(),
    };
    // Fails only for texts beyond 256 GiB.
    let sealed = code
        .cipher(machine)
        .encrypt(&XNonce::from(nonce), payload)
        .unwrap_or_default();
    format!("{header}\n{}{}\n", hex::encode(nonce), hex::encode(sealed))
}

/// For whom a sealed file is; absent: it is none.
pub(super) fn machine(text: &str) -> Option<&str> {
    text.split_once('\n')?
        .0
        .strip_prefix(HEADER)?
        .strip_prefix(' ')
}

/// Opens the sealed file of `machine`: purpose to secret.
///
/// # Errors
/// It is no sealed file, that of another machine, changed, or the code is another machine's.
pub fn open(
    text: &str,
    machine: &str,
    code: &UnlockCode,
) -> Result<BTreeMap<String, Secret>, SecretError> {
    let (header, digits) = text.split_once('\n').ok_or(SecretError::Form)?;
    let named = self::machine(text).ok_or(SecretError::Form)?;
    if named != machine {
        return Err(SecretError::Closed);
    }
    let bytes = hex::decode(digits.trim_end()).map_err(|_| SecretError::Form)?;
    let (nonce, sealed) = bytes.split_at_checked(24).ok_or(SecretError::Form)?;
    let nonce: [u8; 24] = nonce.try_into().map_err(|_| SecretError::Form)?;
    let payload = Payload {
        msg: sealed,
        aad: header.as_bytes(),
    };
    let plain = code
        .cipher(machine)
        .decrypt(&XNonce::from(nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SecretError::Closed)?;
    let plain = std::str::from_utf8(&plain).map_err(|_| SecretError::Closed)?;
    Ok(plain
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(purpose, secret)| {
            let secret = secret.strip_prefix('"').unwrap_or(secret);
            let secret = plain_text(secret.strip_suffix('"').unwrap_or(secret));
            (purpose.to_owned(), Secret::new(&secret))
        })
        .collect())
}

/// Takes the backslashes away that [`super::secrets::Secrets`] wrote.
fn plain_text(text: &str) -> Zeroizing<String> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some(other) => plain.push(other),
                None => {}
            },
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(letter: char) -> UnlockCode {
        UnlockCode(Zeroizing::new(letter.to_string().repeat(CODE_LENGTH)))
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let shown = code('a').text();
        assert_eq!(*shown, "aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a");
        for typed in [
            shown.as_str(),
            "AAAAAAAAAAAAAAAAAAAAAAAAAA\n",
            " aaaaa aaaaa aaaaa aaaaa aaaaa a",
        ] {
            assert_eq!(UnlockCode::parse(typed), Ok(code('a')), "{typed}");
        }
        for wrong in [
            "",
            "aaaaa",
            "1aaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "\u{e4}",
        ] {
            assert_eq!(UnlockCode::parse(wrong), Err(SecretError::Code), "{wrong}");
        }
    }

    #[test]
    fn only_the_right_code_opens_the_right_file() {
        let sealed = seal("db1", "a = \"b\"\n", [3; 24], &code('a'));
        let opened = open(&sealed, "db1", &code('a')).unwrap();
        assert_eq!(opened.get("a").map(Secret::expose), Some("b"));
        assert_eq!(open(&sealed, "db1", &code('b')), Err(SecretError::Closed));
        assert_eq!(open(&sealed, "db2", &code('a')), Err(SecretError::Closed));
        // The name in the first line is protected too.
        let renamed = sealed.replace("db1", "db2");
        assert_eq!(open(&renamed, "db2", &code('a')), Err(SecretError::Closed));
        assert!(!format!("{:?}", code('a')).contains("aaa"));
    }
}

//! A password that cannot be printed.

use std::fmt;
use std::io::{self, Seek, Write};

/// Bytes a BMC keeps. IPMI 2.0 also has a form of 20 bytes; Supermicro's firmware refuses it with 0xc8, and who uses it
/// cannot log in by IPMI 1.5, so it is never used.
pub const LONGEST: usize = 16;

/// A BMC's password: 1 to 16 printable ASCII characters. `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text is no password for a BMC. Says nothing of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing in it.
    #[error("the BMC's password is empty")]
    Empty,
    /// Too long.
    #[error("the BMC's password has {length} characters\nhint: a BMC keeps at most {LONGEST}")]
    Long {
        /// Characters.
        length: usize,
    },
    /// Not printable ASCII.
    #[error("the BMC's password has a character that is not printable ASCII")]
    Character,
}

impl Password {
    /// From the content of a file: one line end is not part of it.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(PasswordError::Empty);
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(PasswordError::Character);
        }
        if text.len() > LONGEST {
            return Err(PasswordError::Long { length: text.len() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The factory's, `ADMIN`, on Supermicro boards of the X10 generation (newer stock has one of its own on a sticker).
    #[must_use]
    pub fn factory() -> Self {
        Self("ADMIN".to_owned())
    }

    /// Surely not this one.
    pub(super) fn another(&self) -> Self {
        let first = if self.0.starts_with('x') { 'y' } else { 'x' };
        Self(format!("{first}{}", self.0.get(1..).unwrap_or_default()))
    }

    /// Filled up with NUL.
    pub(super) fn bytes(&self) -> [u8; LONGEST] {
        let mut bytes = [0; LONGEST];
        for (target, byte) in bytes.iter_mut().zip(self.0.bytes()) {
            *target = byte;
        }
        bytes
    }

    /// For a program that reads it from a file: at the start, so that it can be read from there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_to(&self, file: &mut (impl Write + Seek)) -> io::Result<()> {
        writeln!(file, "{}", self.0)?;
        file.flush()?;
        file.rewind()
    }

    /// For the key exchange of a session, and for nothing else.
    pub(crate) fn reveal(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_password() {
        for (text, result) in [
            ("secret", Ok("secret")),
            ("secret\n", Ok("secret")),
            ("secret\r\n", Ok("secret")),
            ("sixteen letters.", Ok("sixteen letters.")),
            ("", Err("the BMC's password is empty")),
            ("\n", Err("the BMC's password is empty")),
            (
                "seventeen letters",
                Err("the BMC's password has 17 characters\nhint: a BMC keeps at most 16"),
            ),
            (
                "two\nlines",
                Err("the BMC's password has a character that is not printable ASCII"),
            ),
            (
                "heslíčko",
                Err("the BMC's password has a character that is not printable ASCII"),
            ),
        ] {
            let parsed = Password::parse(text).map(|password| password.0);
            let parsed = parsed.as_deref().map_err(ToString::to_string);
            assert_eq!(parsed, result.map_err(str::to_owned), "{text:?}");
        }
    }

    #[test]
    fn it_cannot_be_seen() {
        let password = Password::parse("hunter2").unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
        assert_eq!(&password.bytes()[..9], b"hunter2\0\0");
    }
}

//! Secrets that were delivered to this machine: files in memory, one secret each. They are in no node file, argument,
//! environment, event or journal.

use camino::Utf8Path;
use firmware::bmc::{Password, PasswordError};
use system::{System, SystemError};

/// Where they are put; in memory, gone with the next boot.
pub const FOLDER: &str = "/run/rackwright/secrets";

/// Why a delivered secret cannot be used. Says nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] SystemError),
    /// It is no text.
    #[error("the secret `{name}` is not text")]
    Text {
        /// File name.
        name: &'static str,
    },
    /// It is no password for a BMC.
    #[error(transparent)]
    Password(#[from] PasswordError),
}

/// Password of the BMC's account, from the file `bmc`; absent if none was delivered.
///
/// # Errors
/// The file is there and cannot be used.
pub fn bmc_password(system: &dyn System) -> Result<Option<Password>, SecretError> {
    let content = match system.read(&Utf8Path::new(FOLDER).join("bmc")) {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8(content).map_err(|_| SecretError::Text { name: "bmc" })?;
    Ok(Some(Password::parse(&text)?))
}

//! `rackwright keygen`, `sign` and `verify`: who an image comes from.

use std::io::Write;

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::Args;

use crate::sign::{self, Signer};

#[derive(Debug, Args)]
pub struct Keygen {
    /// File for the secret key; the public one gets `.pub` behind its name
    file: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Sign {
    /// Image folder, such as out/control/0.1.0
    image: Utf8PathBuf,
    /// Secret key, as `rackwright keygen` or `minisign -G` makes it
    #[arg(long, value_name = "FILE")]
    key: Utf8PathBuf,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Image folder, such as out/control/0.1.0
    image: Utf8PathBuf,
    /// Public key; without it, sums alone are checked
    #[arg(long, value_name = "PUB")]
    key: Option<Utf8PathBuf>,
}

pub fn keygen(arguments: &Keygen) -> Result<u8> {
    let public = sign::keygen(&arguments.file)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "made the secret key {}: who has it signs images",
        arguments.file
    )?;
    writeln!(out, "made the public key {public}")?;
    Ok(0)
}

pub fn sign(arguments: &Sign) -> Result<u8> {
    let place = Signer::read(&arguments.key)?.sign_image(&arguments.image)?;
    writeln!(std::io::stdout(), "{place}")?;
    Ok(0)
}

pub fn verify(arguments: &Verify) -> Result<u8> {
    let key = arguments.key.as_deref().map(sign::public_key).transpose()?;
    let comment = sign::check_image(&arguments.image, key.as_ref().map(|(key, _)| key))?;
    let mut out = std::io::stdout().lock();
    match comment {
        Some(comment) => writeln!(
            out,
            "{}: signed as `{comment}`, all files as signed",
            arguments.image
        )?,
        None => {
            writeln!(out, "{}: all files as the manifest says", arguments.image)?;
            writeln!(
                std::io::stderr(),
                "warning: no signature was checked\nhint: `--key PUB`"
            )?;
        }
    }
    Ok(0)
}

//! Signatures of images, in minisign's format (jedisct1.github.io/minisign, ed25519): the program of that name makes and checks
//! them too.

use std::io::{Cursor, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use minisign::{KeyPair, PublicKey, PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};
use zeroize::Zeroizing;

use crate::manifest::Manifest;

/// What is added to the name of a signed file.
pub const ENDING: &str = ".minisig";

/// A secret key. Never shown.
pub struct Signer(SecretKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Signer")
    }
}

/// Makes a key pair: `file` with mode 0600 and without a password, as the seed file is kept, and `file` with `.pub`.
///
/// # Errors
/// One of the files is there already, or cannot be written.
pub fn keygen(file: &Utf8Path) -> Result<Utf8PathBuf> {
    let public = public_file(file);
    for path in [file, &public] {
        if path.exists() {
            bail!("`{path}` is there already\nhint: a key is never replaced: choose another name");
        }
    }
    let pair = KeyPair::generate_unencrypted_keypair().context("no key can be made")?;
    let secret = Zeroizing::new(pair.sk.to_box(None)?.into_string());
    for (path, text, mode) in [
        (file, secret.as_str(), 0o600),
        (&public, pair.pk.to_box()?.into_string().as_str(), 0o644),
    ] {
        let mut made = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)
            .with_context(|| format!("cannot make `{path}`"))?;
        made.write_all(text.as_bytes())?;
        made.sync_all()?;
    }
    Ok(public)
}

/// A key that no password protects. By its bytes: Debian's `minisign -G -W` (0.11) leaves its checksum empty, which the crate
/// takes for damage.
fn without_password(text: &str) -> Option<SecretKey> {
    let line = text.lines().nth(1)?.trim();
    let bytes = Zeroizing::new(data_encoding::BASE64.decode(line.as_bytes()).ok()?);
    // Behind the algorithm of the key that of the password; zeros: none.
    (bytes.get(2..4)? == [0, 0]).then(|| SecretKey::from_bytes(&bytes).ok())?
}

/// Where the public half of a key is put.
#[must_use]
pub fn public_file(secret: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{secret}.pub"))
}

impl Signer {
    /// Reads a secret key; asks for its password on the terminal, if it has one.
    ///
    /// # Errors
    /// Others can read it, or it is no key of minisign's.
    pub fn read(file: &Utf8Path) -> Result<Self> {
        let mode = fs_err::metadata(file)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!(
                "the key `{file}` can be read by others (mode {mode:04o})\nhint: chmod 600 {file}; if somebody read it, make a new one with `rackwright keygen`"
            );
        }
        let text = Zeroizing::new(fs_err::read_to_string(file)?);
        let wrong = || format!("`{file}` is no secret key of minisign");
        let key = match without_password(&text) {
            Some(key) => key,
            None => SecretKeyBox::from_string(&text)
                .and_then(|key| key.into_secret_key(None))
                .with_context(wrong)?,
        };
        Ok(Self(key))
    }

    /// The signature of these bytes; another one each time, as random bytes are in it.
    ///
    /// # Errors
    /// The key is damaged.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> Result<String> {
        let untrusted = Some("rackwright: check with `rackwright verify` or `minisign -V`");
        // With the public half, what was made is checked: a damaged key is found here.
        let public = PublicKey::from_secret_key(&self.0)?;
        let made = minisign::sign(
            Some(&public),
            &self.0,
            Cursor::new(bytes),
            Some(comment),
            untrusted,
        )?;
        Ok(made.into_string())
    }

    /// Signs the manifest of an image folder; gives the signature's place.
    ///
    /// # Errors
    /// The image is not what its manifest says, or cannot be written to.
    pub fn sign_image(&self, folder: &Utf8Path) -> Result<Utf8PathBuf> {
        let manifest = Manifest::read(folder)?;
        manifest.verify(folder)?;
        let file = folder.join("manifest.json");
        let comment = format!("{} {}", manifest.role, manifest.version);
        let signature = self.sign(&fs_err::read(&file)?, &comment)?;
        let place = Utf8PathBuf::from(format!("{file}{ENDING}"));
        let temporary = Utf8PathBuf::from(format!("{place}.new"));
        fs_err::write(&temporary, signature)?;
        fs_err::rename(&temporary, &place)?;
        Ok(place)
    }
}

/// Reads a public key file.
///
/// # Errors
/// It is none of minisign's.
pub fn public_key(file: &Utf8Path) -> Result<(PublicKey, String)> {
    let text = fs_err::read_to_string(file)?;
    let key = PublicKeyBox::from_string(&text).and_then(PublicKeyBox::into_public_key);
    let key = key.or_else(|_| PublicKey::from_base64(text.trim()));
    Ok((
        key.with_context(|| format!("`{file}` is no public key of minisign"))?,
        text,
    ))
}

/// Checks a signature; gives its trusted comment.
///
/// # Errors
/// It is damaged, another key's, or of other bytes.
pub fn check(key: &PublicKey, bytes: &[u8], signature: &str) -> Result<String> {
    let signature = SignatureBox::from_string(signature).context("it is damaged")?;
    // Only the form with a digest, which minisign writes since 0.10: old ones are not accepted.
    minisign::verify(key, &signature, Cursor::new(bytes), true, false, false)?;
    Ok(signature.trusted_comment()?)
}

/// Checks an image folder: every file by its sum, and with a key the manifest's signature. Gives the trusted comment.
///
/// # Errors
/// Something is not as the manifest says, or the signature is missing or wrong.
pub fn check_image(folder: &Utf8Path, key: Option<&PublicKey>) -> Result<Option<String>> {
    let manifest = Manifest::read(folder)?;
    let file = folder.join("manifest.json");
    let comment = key
        .map(|key| {
            let place = format!("{file}{ENDING}");
            let signature = match fs_err::read_to_string(&place) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    bail!("`{folder}` is not signed\nhint: `rackwright sign {folder} --key FILE`")
                }
                Err(error) => return Err(error.into()),
            };
            check(key, &fs_err::read(&file)?, &signature)
                .with_context(|| format!("the signature `{place}` is not good"))
        })
        .transpose()?;
    // Who signed it also said which image it is: another one's signed manifest does not pass.
    if let Some(comment) = &comment
        && *comment != format!("{} {}", manifest.role, manifest.version)
    {
        bail!(
            "the signature is for `{comment}`, the image is `{} {}`",
            manifest.role,
            manifest.version
        );
    }
    manifest.verify(folder)?;
    Ok(comment)
}

//! An image that trusts a key boots a root of that key's owner only: `root.json` beside it must be signed, and the root image
//! must then have exactly the sum that it says.
//!
//! Key and signature lie in the initrd, as `root.json` does: what checks the initrd is the firmware's or the network's matter
//! (docs/images.md). Signatures are those of minisign.

use std::{fs, io, path::Path};

use anyhow::{Context, Result, bail};
use minisign_verify::{PublicKey, Signature};

/// Whether the image trusts a key; then `root` is signed by it. `folder` holds `trust.pub` and `root.json.minisig`.
///
/// # Errors
/// The signature is missing or wrong, or the key is damaged.
pub fn check(folder: &Path, root: &str) -> Result<bool> {
    let read = |name: &str| match fs::read_to_string(folder.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{name}` in the initrd")),
    };
    let Some(key) = read("trust.pub")? else {
        return Ok(false);
    };
    let key = PublicKey::decode(&key)
        .ok()
        .or_else(|| PublicKey::from_base64(key.trim()).ok())
        .context("the key `trust.pub` in the initrd is damaged")?;
    let Some(signature) = read("root.json.minisig")? else {
        bail!(
            "this image trusts a key, but its root is not signed\nhint: build it with `rackwright build --sign KEY --trust PUB`"
        );
    };
    let good = Signature::decode(&signature)
        .is_ok_and(|signature| key.verify(root.as_bytes(), &signature, false).is_ok());
    if !good {
        bail!(
            "the signature of this image's root is not that of the key it trusts\nhint: it was changed after it was built, or signed with another key: write the medium again"
        );
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `minisign` 0.11 of Debian on 2026-11-24.
    const KEY: &str = include_str!("trust_tests/key.pub");
    const ROOT: &str = include_str!("trust_tests/root.json");
    const SIGNATURE: &str = include_str!("trust_tests/root.json.minisig");

    #[test]
    fn only_what_the_key_signed() {
        let refused = "the signature of this image's root is not that of the key it trusts\n\
            hint: it was changed after it was built, or signed with another key: write the medium again";
        let missing = "this image trusts a key, but its root is not signed\n\
            hint: build it with `rackwright build --sign KEY --trust PUB`";
        type Case = (
            Option<&'static str>,
            Option<&'static str>,
            &'static str,
            Result<bool, &'static str>,
        );
        let cases: [Case; 6] = [
            (None, None, ROOT, Ok(false)),
            (Some(KEY), Some(SIGNATURE), ROOT, Ok(true)),
            (Some(KEY), None, ROOT, Err(missing)),
            (Some(KEY), Some(SIGNATURE), "{}", Err(refused)),
            (Some(KEY), Some("damaged"), ROOT, Err(refused)),
            (
                Some("no key"),
                Some(SIGNATURE),
                ROOT,
                Err("the key `trust.pub` in the initrd is damaged"),
            ),
        ];
        for (key, signature, root, expected) in cases {
            let folder = tempfile::tempdir().unwrap();
            for (name, text) in [("trust.pub", key), ("root.json.minisig", signature)] {
                if let Some(text) = text {
                    fs::write(folder.path().join(name), text).unwrap();
                }
            }
            let found = check(folder.path(), root).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}

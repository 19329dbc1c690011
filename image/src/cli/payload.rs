//! `rackwright payload`: the software that the owner supplies, compared with what the site file says of it. Writes nothing.

use std::io::Write;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use roles::site::model::Payload as Entry;
use serde::Serialize;

use super::derived;
use crate::snapshot::sha256;

#[derive(Debug, Args)]
pub struct Payload {
    /// Site file; payloads lie beside it
    site: Utf8PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

/// One payload.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Checked {
    name: String,
    file: Utf8PathBuf,
    /// Digest of the file; absent if it cannot be read.
    sha256: Option<String>,
    /// What is wrong; absent: nothing.
    error: Option<String>,
}

/// Exit code 0 if every file is there and is what the site file says.
pub fn run(options: &Payload) -> Result<u8> {
    let roles = derived::roles(options.role_data.as_ref())?;
    let site = derived::site(&options.site, &roles)?;
    let folder = options.site.parent().unwrap_or(Utf8Path::new(""));
    let checked: Vec<Checked> = site
        .payloads
        .iter()
        .map(|payload| check(folder, payload))
        .collect();
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&checked)?)?;
    } else if checked.is_empty() {
        writeln!(out, "this site has no payloads")?;
    }
    for payload in checked.iter().filter(|_| !options.json) {
        let said = payload.error.as_deref().unwrap_or("as the site file says");
        writeln!(out, "{} {}: {said}", payload.name, payload.file)?;
    }
    Ok(u8::from(checked.iter().any(|one| one.error.is_some())))
}

fn check(folder: &Utf8Path, payload: &Entry) -> Checked {
    let file = folder.join(&payload.file);
    let found = sha256(&file);
    let error = match (&found, &payload.sha256) {
        (Err(error), _) => Some(format!("{error:#}")),
        (Ok(found), Some(said)) if !found.eq_ignore_ascii_case(said) => Some(format!(
            "it was changed: its sha256 is {found}, the site file says {said}"
        )),
        (Ok(found), None) => Some(format!(
            "the site file has no `sha256` for it; it is {found}"
        )),
        _ => None,
    };
    Checked {
        name: payload.name.word().to_owned(),
        file,
        sha256: found.ok(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roles::site::model::PayloadName;

    #[test]
    fn a_payload_is_there_and_unchanged_or_it_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        std::fs::write(folder.join("zrepl"), "abc").unwrap();
        // FIPS 180-4, example of "abc".
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let words = |file: &str, sha256: Option<&str>| {
            let payload = Entry {
                name: PayloadName::Zrepl,
                file: file.into(),
                sha256: sha256.map(str::to_owned),
                platform: None,
                container_root: None,
            };
            check(folder, &payload).error
        };
        assert_eq!(words("zrepl", Some(right)), None);
        assert_eq!(words("zrepl", Some(&right.to_uppercase())), None);
        let changed = words("zrepl", Some("00")).unwrap();
        assert!(
            changed.starts_with("it was changed: its sha256 is ba7816bf"),
            "{changed}"
        );
        let none = words("zrepl", None).unwrap();
        assert!(
            none.starts_with("the site file has no `sha256` for it"),
            "{none}"
        );
        let missing = words("icewarp.tar.gz", Some(right)).unwrap();
        assert!(missing.contains("icewarp.tar.gz"), "{missing}");
    }
}

//! Reads what apt says: the list of URIs it would fetch, and the stanzas of a Packages index (deb822(5)). Pure.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::recipe::Package;

/// Parses `apt-get --print-uris`: `'URI' FILE SIZE SHA256:DIGEST` per line. Where it comes from is not kept: it is the
/// user's choice, and does not belong to what an image is made of.
pub fn uris(text: &str) -> Result<Vec<Package>> {
    text.lines()
        .filter(|line| line.starts_with('\'') && !is_given(line))
        .map(|line| uri(line).with_context(|| format!("cannot understand apt's line `{line}`")))
        .collect()
}

/// A package that apt was given as a file: it has no digest, because no index names it (seen with apt 2.6).
fn is_given(line: &str) -> bool {
    line.starts_with("'file:") && !line.contains(" SHA256:")
}

fn uri(line: &str) -> Option<Package> {
    let (_, rest) = line.strip_prefix('\'')?.split_once('\'')?;
    let mut words = rest.split_whitespace();
    let (file, size, digest) = (words.next()?, words.next()?, words.next()?);
    let mut parts = file.strip_suffix(".deb")?.splitn(3, '_');
    Some(Package {
        name: parts.next()?.to_owned(),
        // The only character apt quotes in a version is the colon after the epoch.
        version: parts.next()?.replace("%3a", ":"),
        architecture: parts.next()?.to_owned(),
        file: file.to_owned(),
        size: size.parse().ok()?,
        sha256: digest.strip_prefix("SHA256:")?.to_owned(),
    })
}

/// The stanzas whose SHA256 is a key of `wanted`, with `Filename` pointing to `pool/` and the file name given there. Found ones
/// are taken out of `wanted`.
pub fn stanzas(index: &str, wanted: &mut BTreeMap<&str, &str>) -> String {
    let mut text = String::new();
    for stanza in index.split("\n\n") {
        let Some(digest) = stanza
            .lines()
            .find_map(|line| line.strip_prefix("SHA256: "))
        else {
            continue;
        };
        let Some(file) = wanted.remove(digest) else {
            continue;
        };
        for line in stanza.lines() {
            if line.starts_with("Filename: ") {
                text.push_str(&format!("Filename: pool/{file}\n"));
            } else {
                text.push_str(line);
                text.push('\n');
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_uris() {
        let text = "Some note\n'file:/host/p/own_1_all.deb' own_1_all.deb 696 \n'http://m/d/pool/p/perl-base_5.40.1-6_amd64.deb' perl-base_5.40.1-6_amd64.deb 17 SHA256:aa\n\
                    'http://m/d/pool/s/x.deb' login_1%3a4.16-2_all.deb 2 SHA256:bb\n";
        let packages = uris(text).unwrap();
        assert_eq!(packages.len(), 2);
        assert_eq!(
            (
                packages[0].name.as_str(),
                packages[0].size,
                packages[0].sha256.as_str()
            ),
            ("perl-base", 17, "aa")
        );
        assert_eq!(
            (packages[1].version.as_str(), packages[1].file.as_str()),
            ("1:4.16-2", "login_1%3a4.16-2_all.deb")
        );
        assert_eq!(
            uris("'x' y z").unwrap_err().to_string(),
            "cannot understand apt's line `'x' y z`"
        );
    }

    #[test]
    fn picks_stanzas_by_digest() {
        let index = "Package: a\nFilename: pool/main/a/a_1_all.deb\nSHA256: aa\n\nPackage: b\nFilename: x\nSHA256: bb\n\n";
        let mut wanted = BTreeMap::from([("bb", "b_1_all.deb"), ("cc", "c.deb")]);
        assert_eq!(
            stanzas(index, &mut wanted),
            "Package: b\nFilename: pool/b_1_all.deb\nSHA256: bb\n\n"
        );
        assert_eq!(wanted.keys().collect::<Vec<_>>(), [&"cc"]);
    }
}

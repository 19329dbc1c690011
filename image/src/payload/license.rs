//! Licences of payloads: files of the owner's that travel as secrets, sealed or over TLS, never in an image or a node file.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use camino::Utf8Path;
use roles::{Site, compile::Compiled};
use zeroize::Zeroizing;

/// Larger ones are something else.
const LIMIT: u64 = 256 << 10;

/// Licences by machine: purpose and text.
#[derive(Default)]
pub struct Licenses(BTreeMap<String, Vec<(String, Zeroizing<String>)>>);

/// Reads the licences of all machines. `folder` is where the site file lies; `{node}` in a name is the machine's.
///
/// # Errors
/// A file is missing, empty, or no text.
pub fn read(folder: &Utf8Path, site: &Site) -> Result<Licenses> {
    let mut licenses = Licenses::default();
    for payload in &site.payloads {
        let Some(name) = &payload.license else {
            continue;
        };
        let roles = payload.roles();
        for node in site
            .nodes
            .iter()
            .filter(|node| roles.contains(&node.role.as_str()))
        {
            let path = folder.join(name.replace("{node}", &node.name));
            let what = || {
                format!(
                    "the licence of `{}` for `{}`\nhint: `license` of the payload in the site file names it, `{{node}}` in it is the machine",
                    payload.name, node.name
                )
            };
            let size = fs_err::metadata(&path).with_context(what)?.len();
            if size > LIMIT {
                bail!("`{path}` has {size} bytes, too many for a licence");
            }
            let text = Zeroizing::new(fs_err::read_to_string(&path).with_context(what)?);
            if text.trim().is_empty() {
                bail!("`{path}` is empty: {}", what());
            }
            licenses
                .0
                .entry(node.name.clone())
                .or_default()
                .push((payload.license_purpose(), text));
        }
    }
    Ok(licenses)
}

impl Licenses {
    /// Adds them to the secrets of their machines.
    pub fn supply(&self, compiled: &mut Compiled) {
        for (node, licenses) in &self.0 {
            if let Some(secrets) = compiled.secrets.get_mut(node) {
                for (purpose, text) in licenses {
                    secrets.supply(purpose, text);
                }
            }
        }
    }
}

/// Beside the site file; standard input has nothing beside it.
pub fn beside(site_file: &Utf8Path, site: &Site) -> Result<Licenses> {
    let folder = site_file.parent().unwrap_or(Utf8Path::new(""));
    read(folder, site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_gets_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let text = roles::site::init(roles::site::model::Setup::Ha, 1000, "mail")
            + "\n[[payloads]]\nname = \"icewarp\"\nfile = \"i.tgz\"\nlicense = \"{node}.key\"\nsha256 = \""
            + &"ab".repeat(32)
            + "\"\n";
        let (site, found) = roles::site::check("site.toml", &text, None);
        assert!(!found.has_errors(), "{found}");
        let site = site.unwrap();
        let names: Vec<&str> = site
            .nodes_of("production")
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        let missing = format!("{:#}", read(folder, &site).err().unwrap());
        assert!(
            missing.contains(names[0]) && missing.contains("hint: `license`"),
            "{missing}"
        );
        // As they come: several lines, quotes, backslashes.
        for name in &names {
            fs_err::write(
                folder.join(format!("{name}.key")),
                format!("<license id=\"{name}\">\r\na\\nb\"\n"),
            )
            .unwrap();
        }
        let licenses = read(folder, &site).unwrap();
        let seed = roles::compile::Seed::new([7; 32]);
        let mut compiled = roles::compile::compile(&site, &seed, None, None);
        licenses.supply(&mut compiled);
        for name in &names {
            let sealed = seed.seal(name, &compiled.secrets[*name]);
            assert!(!sealed.contains("license id"));
            let opened = seed.open(&sealed).unwrap();
            assert_eq!(
                opened["icewarp-license"].expose(),
                format!("<license id=\"{name}\">\r\na\\nb\"\n")
            );
            assert!(opened.contains_key("database-app"));
        }
        let others = compiled
            .secrets
            .iter()
            .filter(|(name, _)| !names.contains(&name.as_str()));
        for (name, secrets) in others {
            assert!(
                secrets
                    .iter()
                    .all(|(purpose, _)| purpose != "icewarp-license"),
                "{name}"
            );
        }
        fs_err::write(folder.join(format!("{}.key", names[0])), " \n").unwrap();
        assert!(
            read(folder, &site)
                .err()
                .unwrap()
                .to_string()
                .contains("is empty")
        );
    }
}

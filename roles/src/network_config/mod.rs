//! Configuration of switches and router, as text for a person to read and enter. Nothing is ever sent to a device.

pub mod junos;
pub mod junos_check;
pub mod routeros;
pub mod routeros_check;

use std::collections::BTreeMap;

use crate::site::Site;

pub use routeros::RouterError;

/// Lines that say something, each with its number from 1.
fn statements(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Said wherever such a file is written or shown.
pub const NOT_PUSHED: &str =
    "nothing was sent to any device: read the files, then enter them by hand";

/// Why there are no files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The router cannot have one.
    #[error(transparent)]
    Router(#[from] RouterError),
    /// Our own checker refuses what was made of this site; the site's rules should have found it.
    #[error("`{file}` would be refused: {}\nhint: run `rackwright check` on the site file", complaints.join("; "))]
    Refused {
        /// File.
        file: String,
        /// What is wrong.
        complaints: Vec<String>,
    },
}

/// Files by name, and what a person must add.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// File name to text.
    pub texts: BTreeMap<String, String>,
    /// What is not known.
    pub missing: Vec<String>,
}

/// All switch and router configurations of a site, read back by their checkers.
///
/// # Errors
/// A router that cannot have one, or a text that a checker refuses.
pub fn files(site: &Site) -> Result<Files, ConfigError> {
    let mut files = Files::default();
    for configuration in junos::plan(site) {
        let mut text = head(
            site,
            "set-commands for Junos (EX4550): `configure`, `load set terminal`, `commit check`, `commit`",
        );
        for statement in &configuration.statements {
            text.push_str(&format!("{statement}\n"));
        }
        let name = format!("{}.junos.set", configuration.name);
        keep(&mut files, name, text, junos_check::check)?;
        files.missing.extend(configuration.missing);
    }
    if let Some(script) = routeros::plan(site)? {
        let mut text = head(
            site,
            "script for RouterOS 7 (RB3011), on a router without configuration: `/import file-name=router.rsc`",
        );
        for command in &script.commands {
            text.push_str(&format!("{command}\n"));
        }
        keep(
            &mut files,
            "router.rsc".to_owned(),
            text,
            routeros_check::check,
        )?;
        files.missing.extend(script.missing);
    }
    Ok(files)
}

fn head(site: &Site, what: &str) -> String {
    format!(
        "# Cluster {}, made by `rackwright network-config`.\n# {what}\n# Nothing is sent to the device by Rackwright.\n",
        site.name
    )
}

fn keep(
    files: &mut Files,
    file: String,
    text: String,
    check: fn(&str) -> Vec<String>,
) -> Result<(), ConfigError> {
    let complaints = check(&text);
    if !complaints.is_empty() {
        return Err(ConfigError::Refused { file, complaints });
    }
    files.texts.insert(file, text);
    Ok(())
}

//! `rackwright draw` and `rackwright network-config`: site file -> what people read.

use std::{collections::BTreeMap, io::Write};

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::Args;

use super::derived;

#[derive(Debug, Args)]
pub struct Draw {
    /// Site file; `-` is standard input
    site: Utf8PathBuf,
    /// Folder for index.html, the drawings and cables.csv
    #[arg(short, long, value_name = "DIR", default_value = "drawings")]
    output: Utf8PathBuf,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub struct NetworkConfig {
    /// Site file; `-` is standard input
    site: Utf8PathBuf,
    /// Folder for the switches' and the router's configuration
    #[arg(short, long, value_name = "DIR", default_value = "network-config")]
    output: Utf8PathBuf,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

pub fn draw(arguments: &Draw) -> Result<u8> {
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let files: BTreeMap<String, String> = roles::draw::files(&site, Some(&roles))
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text))
        .collect();
    let done = derived::write(&arguments.output, &files, 0o644)?;
    writeln!(
        std::io::stdout(),
        "{}: {} written, {} unchanged; open {}",
        arguments.output,
        done.written,
        done.unchanged,
        arguments.output.join("index.html")
    )?;
    Ok(0)
}

pub fn network_config(arguments: &NetworkConfig) -> Result<u8> {
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let files = roles::network_config::files(&site)?;
    let mut out = std::io::stdout().lock();
    if files.texts.is_empty() {
        writeln!(
            out,
            "the site file describes no switch or router that we write for"
        )?;
        return Ok(0);
    }
    derived::write(&arguments.output, &files.texts, 0o644)?;
    for name in files.texts.keys() {
        writeln!(out, "{}", arguments.output.join(name))?;
    }
    for missing in &files.missing {
        writeln!(out, "add by hand: {missing}")?;
    }
    writeln!(out, "{}", roles::network_config::NOT_PUSHED)?;
    Ok(0)
}

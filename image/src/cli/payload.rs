//! `rackwright payload`: the software that the owner supplies, compared with what the site file says of it; and built, where
//! its source is public and Debian has no package.

use std::io::Write;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use serde::Serialize;
use system::Live;

use super::derived;
use crate::payload::{self, PayloadEntry, zrepl};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Payload {
    #[command(subcommand)]
    action: Option<Action>,
    /// Site file; payloads lie beside it
    #[arg(required = true)]
    site: Option<Utf8PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a payload from public source, at a version and checksum that are
    /// fixed here
    Build(Build),
}

#[derive(Debug, Args)]
struct Build {
    /// What to build: `zrepl`
    #[arg(value_parser = ["zrepl"])]
    what: String,
    /// Folder for the file
    #[arg(short, long, value_name = "DIR", default_value = "payloads")]
    output: Utf8PathBuf,
}

/// One payload.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Checked {
    name: String,
    file: Utf8PathBuf,
    /// What an image would carry; absent: something is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    carried: Option<PayloadEntry>,
    /// What is wrong; absent: nothing.
    error: Option<String>,
}

/// Exit code 0 if every file is there and is what the site file says.
pub fn run(options: &Payload) -> Result<u8> {
    if let Some(Action::Build(build)) = &options.action {
        let made = zrepl::build(&Live, &build.output)?;
        write!(std::io::stdout(), "{}", made.entry())?;
        return Ok(0);
    }
    let file = options.site.as_ref().context("no site file was given")?;
    let roles = derived::roles(options.role_data.as_ref())?;
    let site = derived::site(file, &roles)?;
    let folder = file.parent().unwrap_or(Utf8Path::new(""));
    let checked: Vec<Checked> = site
        .payloads
        .iter()
        .map(|entry| {
            let found = payload::one(folder, entry);
            Checked {
                name: entry.name.clone(),
                file: folder.join(&entry.file),
                error: found.as_ref().err().map(|(_, message)| message.clone()),
                carried: found.ok().map(|payload| payload.entry),
            }
        })
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

//! `rackwright unlock`: the code that opens the sealed secrets of one machine, for the console or a stick of its own.

use std::{io::Write, os::unix::fs::OpenOptionsExt};

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use clap::Args;

use super::{compile, derived};

#[derive(Debug, Args)]
pub struct Unlock {
    /// Site file
    site: Utf8PathBuf,
    /// Name of the machine
    node: String,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Write it to this file, which must not exist yet, instead of the
    /// terminal; `NODE.unlock` on a stick named RACKWRIGHT opens the secrets
    /// without anyone at the keyboard
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

pub fn run(arguments: &Unlock) -> Result<u8> {
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let names: Vec<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
    if !names.contains(&arguments.node.as_str()) {
        bail!(
            "there is no machine `{}` in `{}`\nhint: one of: {}",
            arguments.node,
            arguments.site,
            names.join(", ")
        );
    }
    let seed = compile::need_seed(&arguments.site, arguments.seed.as_ref())?;
    let code = seed.unlock_code(&arguments.node);
    match &arguments.output {
        None => writeln!(std::io::stdout(), "{}", *code.text())?,
        Some(file) => {
            let mut made = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(file)
                .with_context(|| format!("cannot make `{file}`"))?;
            made.write_all(code.text().as_bytes())?;
            made.write_all(b"\n")?;
            made.sync_all()?;
        }
    }
    Ok(0)
}

//! `rackwright compile`: site file -> node files and sealed secrets.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use roles::compile::{Compiled, Seed};
use zeroize::Zeroizing;

use super::derived;
use crate::payload::license;

#[derive(Debug, Args)]
pub struct Compile {
    /// Site file; `-` is standard input
    site: Utf8PathBuf,
    /// Folder for the node files
    #[arg(short, long, value_name = "DIR", default_value = "nodes")]
    output: Utf8PathBuf,
    /// Folder for the sealed secrets [default: `secrets` beside the node
    /// files' folder]
    #[arg(long, value_name = "DIR")]
    secrets: Option<Utf8PathBuf>,
    /// Seed file, made if absent [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Permit every machine to be installed once, under this id
    #[arg(long, value_name = "ID")]
    permit: Option<String>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

pub fn run(arguments: &Compile) -> Result<u8> {
    let permit = arguments.permit.as_deref();
    if permit.is_some_and(|id| id.trim().is_empty()) {
        bail!(
            "the permit's id is empty\nhint: write any text that was not used before, such as a date"
        );
    }
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let seed_file = seed_file(&arguments.site, arguments.seed.as_ref());
    let (seed, is_new) = match read_seed(&seed_file)? {
        Some(seed) => (seed, false),
        None => (make_seed(&seed_file)?, true),
    };
    let mut compiled = roles::compile::compile(&site, &seed, Some(&roles), permit);
    license::beside(&arguments.site, &site)?.supply(&mut compiled);
    check(&compiled, &roles)?;

    let nodes: BTreeMap<String, String> = compiled
        .texts()?
        .into_iter()
        .map(|(name, text)| (format!("{name}.toml"), text))
        .collect();
    let sealed: BTreeMap<String, String> = compiled
        .secrets
        .iter()
        .map(|(name, secrets)| (format!("{name}.sealed"), seed.seal(name, secrets)))
        .collect();
    let secrets = arguments.secrets.clone().unwrap_or_else(|| {
        arguments
            .output
            .parent()
            .unwrap_or(Utf8Path::new(""))
            .join("secrets")
    });
    let mut out = std::io::stdout().lock();
    if is_new {
        writeln!(
            out,
            "made the seed {seed_file}: keep it as you keep a key; all secrets come from it"
        )?;
    }
    for (what, folder, files, mode) in [
        ("node files", &arguments.output, nodes, 0o644),
        ("sealed secrets", &secrets, sealed, 0o600),
    ] {
        let done = derived::write(folder, &files, mode)?;
        writeln!(
            out,
            "{what} in {folder}: {} written, {} unchanged, {} removed",
            done.written, done.unchanged, done.removed
        )?;
    }
    Ok(0)
}

/// Every node file is read back as the server would read it, before any is written. Entries of other machines under `hosts`
/// are the same in all of them: they are looked at once.
pub fn check(compiled: &Compiled, roles: &roles::RoleSet) -> Result<()> {
    let whole = compiled
        .names()
        .next()
        .and_then(|name| Some((name, compiled.node_file(name)?)));
    let narrow = compiled
        .names()
        .filter_map(|name| Some((name, compiled.narrow_node_file(name)?)));
    for (name, node) in whole.into_iter().chain(narrow) {
        let text = toml::to_string(&node)?;
        roles::parse::node_file(&format!("{name}.toml"), &text, Some(roles)).map_err(|wrong| {
            anyhow::anyhow!(
                "the node file of `{name}` would fail on the server\n{}",
                wrong.render(false).trim_end()
            )
        })?;
    }
    Ok(())
}

/// The seed file: named, or beside the site file.
pub fn seed_file(site: &Utf8Path, named: Option<&Utf8PathBuf>) -> Utf8PathBuf {
    match named {
        Some(file) => file.clone(),
        None if site == "-" => Utf8PathBuf::from("site.seed"),
        None => site.with_extension("seed"),
    }
}

/// The seed, if its file is there and nobody else can read it.
pub fn read_seed(file: &Utf8Path) -> Result<Option<Seed>> {
    let mut opened = match std::fs::File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the seed file `{file}`"));
        }
    };
    let mode = opened.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "the seed file `{file}` can be read by others (mode {mode:04o})\nhint: chmod 600 {file}; if somebody read it, remove it and install anew"
        );
    }
    let mut text = Zeroizing::new(String::new());
    opened
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read the seed file `{file}`"))?;
    Ok(Some(
        Seed::parse(&text).with_context(|| format!("`{file}`"))?,
    ))
}

/// The seed, which must be there.
pub fn need_seed(site: &Utf8Path, named: Option<&Utf8PathBuf>) -> Result<Seed> {
    let file = seed_file(site, named);
    read_seed(&file)?.with_context(|| {
        format!(
            "there is no seed file `{file}`\nhint: `rackwright compile` makes it, or `--seed FILE`"
        )
    })
}

fn make_seed(file: &Utf8Path) -> Result<Seed> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random)
        .map_err(|error| anyhow::anyhow!("no random bytes from the operating system: {error}"))?;
    let seed = Seed::new(*random);
    let mut made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot make the seed file `{file}`"))?;
    made.write_all(seed.text().as_bytes())?;
    made.sync_all()?;
    Ok(seed)
}

//! `rackwright flash` and `rackwright media`: sticks.

use std::io::{BufRead, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use roles::compile::Compiled;

use super::{build, compile, derived};
use crate::flash::content::{Content, Files};
use crate::flash::disks::{Disk, Machine};
use crate::flash::medium;
use crate::flash::write::Target;
use crate::manifest::Manifest;
use crate::payload::license;
use crate::progress::{Mode, Progress};

#[derive(Debug, Args)]
pub struct Flash {
    /// Disk such as /dev/sdb, or a file
    #[arg(required_unless_present = "list")]
    target: Option<Utf8PathBuf>,
    /// List the disks that may be written to, and do nothing else
    #[arg(long, exclusive = true)]
    list: bool,
    /// Machine of the site file whose node file goes onto the stick
    #[arg(long, value_name = "NODE", conflicts_with = "all")]
    node: Option<String>,
    /// Every machine of the image's role: one stick for the rack
    #[arg(long, requires = "image")]
    all: bool,
    /// Site file; needs the seed that `rackwright compile` made
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    site: Utf8PathBuf,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Permit every machine on it to be installed once, under this id
    #[arg(long, value_name = "ID", conflicts_with = "node_file")]
    permit: Option<String>,
    /// Put the sealed secrets of the machines beside their node files
    #[arg(long, conflicts_with = "node_file")]
    sealed: bool,
    /// Node file to put onto the stick instead of one from a site file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["node", "all"])]
    node_file: Option<Utf8PathBuf>,
    /// Image folder [default: out/ROLE/VERSION of this program]
    #[arg(long, value_name = "DIR")]
    image: Option<Utf8PathBuf>,
    /// Do not ask; must be the target once more
    #[arg(long, value_name = "NAME")]
    yes: Option<String>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
    /// Progress as JSON lines on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Media {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show what is on a stick or in an ISO, without its secrets
    Inspect {
        /// Disk or file
        medium: Utf8PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

pub fn media(arguments: &Media) -> Result<u8> {
    let Task::Inspect { medium, json } = &arguments.task;
    let found = medium::look(medium)?;
    let mut out = std::io::stdout().lock();
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?,
        false => write!(out, "{}", medium::text(&found))?,
    }
    Ok(if found.root_is_whole { 0 } else { 1 })
}

pub fn run(arguments: &Flash) -> Result<u8> {
    let machine = Machine::new("/");
    let Some(target) = &arguments.target else {
        return list(&machine);
    };
    let kind = kind(&machine, target)?;
    let (files, role) = files(arguments)?;
    let image = match (&arguments.image, &role) {
        (Some(image), _) => image.clone(),
        (None, Some(role)) => Utf8Path::new("out")
            .join(role)
            .join(env!("CARGO_PKG_VERSION")),
        (None, None) => {
            bail!("no image\nhint: `--node NODE`, or an image without a node file by `--image DIR`")
        }
    };
    let manifest = Manifest::read(&image)?;
    if let Some(role) = role.filter(|role| *role != manifest.role) {
        bail!(
            "the node file is for role `{role}`, but `{image}` is the image of `{}`",
            manifest.role
        );
    }
    let name = format!("rackwright-{}.iso", manifest.role);
    let expected = manifest
        .files
        .get(&name)
        .with_context(|| format!("`{image}` has no medium"))?;
    let content = Content::open(&image.join(&name), &files)?;
    confirm(target, &kind, arguments.yes.as_deref())?;

    let progress = Progress::new(Mode::choose(arguments.json));
    let target = Target::open(target, content.length)?;
    let sum = shown(&progress, "write", content.length, |tell| {
        target.write(&content, Some(&expected.sha256), tell)
    })?;
    shown(&progress, "read back and compare", content.length, |tell| {
        target.verify(content.length, &sum, tell)
    })?;
    if !arguments.json {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{sum}  {} {}", manifest.role, manifest.version)?;
        for file in files.keys() {
            writeln!(out, "{file}")?;
        }
    }
    Ok(0)
}

/// A stage with a bar of bytes.
fn shown<T>(
    progress: &Progress,
    title: &str,
    length: u64,
    work: impl FnOnce(&mut dyn FnMut(u64)) -> Result<T>,
) -> Result<T> {
    let stage = progress.stage(title);
    let bytes = progress.bytes(length);
    let result = work(&mut |done| bytes.position(done));
    bytes.finish();
    let value = result?;
    stage.finish(true);
    Ok(value)
}

fn list(machine: &Machine) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    let disks = machine.disks();
    for disk in disks
        .iter()
        .filter(|disk| disk.refused.is_none() && !disk.name.starts_with("loop"))
    {
        writeln!(out, "{}", row(disk))?;
    }
    Ok(0)
}

fn row(disk: &Disk) -> String {
    let serial = disk.serial.as_deref().unwrap_or_default();
    let row = format!(
        "/dev/{:<10} {:>9.1} GB  {} {serial}",
        disk.name,
        disk.size as f64 / 1e9,
        disk.model
    );
    row.trim_end().to_owned()
}

/// What is written to.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// A disk that may be a stick.
    Disk(Disk),
    /// A file that is there.
    OldFile,
    /// A file that will be made.
    NewFile,
}

/// Refuses what is no stick, by name and with the reason.
fn kind(machine: &Machine, target: &Utf8Path) -> Result<Kind> {
    let Ok(real) = target.canonicalize_utf8() else {
        // A mistyped disk would become a file in memory.
        if target.starts_with("/dev") {
            bail!("there is no `{target}`\nhint: `rackwright flash --list`");
        }
        return Ok(Kind::NewFile);
    };
    let what = fs_err::metadata(&real)?.file_type();
    if what.is_file() {
        return Ok(Kind::OldFile);
    }
    if !what.is_block_device() {
        bail!("`{target}` is neither a disk nor a file");
    }
    let name = real.file_name().unwrap_or_default();
    let disk = machine.disks().into_iter().find(|disk| disk.name == name);
    let Some(disk) = disk else {
        bail!("`{target}` is no whole disk\nhint: `rackwright flash --list`");
    };
    match &disk.refused {
        Some(reason) => {
            bail!("`{target}` is not written to: {reason}\nhint: `rackwright flash --list`")
        }
        None => Ok(Kind::Disk(disk)),
    }
}

/// Everything on it will be gone: the name is typed, by a person or after `--yes`.
fn confirm(target: &Utf8Path, kind: &Kind, yes: Option<&str>) -> Result<()> {
    let is_name = |text: &str| {
        text == target.as_str() || (target.starts_with("/dev") && Some(text) == target.file_name())
    };
    match yes {
        Some(name) if is_name(name) => return Ok(()),
        Some(name) => bail!("`--yes {name}` is not `{target}`: nothing was written"),
        None if *kind == Kind::NewFile => return Ok(()),
        None => {}
    }
    let mut terminal = std::io::stderr();
    if !terminal.is_terminal() || !std::io::stdin().is_terminal() {
        bail!(
            "there is no terminal to ask whether `{target}` may be overwritten\nhint: `--yes {target}`"
        );
    }
    if let Kind::Disk(disk) = kind {
        writeln!(terminal, "{}", row(disk))?;
    }
    write!(
        terminal,
        "everything on it will be gone; type its name to go on: "
    )?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if !is_name(line.trim()) {
        bail!("`{}` is not `{target}`: nothing was written", line.trim());
    }
    Ok(())
}

/// Files for the stick, and the role they are for.
fn files(arguments: &Flash) -> Result<(Files, Option<String>)> {
    let mut files = Files::new();
    if let Some(path) = &arguments.node_file {
        let roles = derived::roles(arguments.role_data.as_ref())?;
        let text = fs_err::read_to_string(path).context("cannot read the node file")?;
        let node =
            roles::parse::node_file(path.as_str(), &text, Some(&roles)).map_err(|wrong| {
                anyhow::anyhow!(
                    "the node file would fail on the server\n{}",
                    wrong.render(false).trim_end()
                )
            })?;
        build::node_text(path, Some(&roles), std::slice::from_ref(&node.role))?;
        files.insert("node.toml".to_owned(), text.into_bytes());
        return Ok((files, Some(node.role)));
    }
    if arguments.node.is_none() && !arguments.all {
        if arguments.sealed || arguments.permit.is_some() {
            bail!("`--sealed` and `--permit` are about machines\nhint: `--node NODE` or `--all`");
        }
        return Ok((files, None));
    }
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let seed = compile::need_seed(&arguments.site, arguments.seed.as_ref())?;
    let permit = arguments.permit.as_deref().map(str::trim);
    if permit == Some("") {
        bail!(
            "the permit's id is empty\nhint: write any text that was not used before, such as a date"
        );
    }
    let mut compiled = roles::compile::compile(&site, &seed, Some(&roles), permit);
    if arguments.sealed {
        license::beside(&arguments.site, &site)?.supply(&mut compiled);
    }
    compile::check(&compiled, &roles)?;
    let role = role(arguments, &compiled)?;
    let texts = compiled.texts()?;
    for name in compiled.names() {
        let is_of_role = compiled.role(name) == Some(role.as_str());
        let (wanted, file) = match &arguments.node {
            Some(node) => (node == name, "node.toml".to_owned()),
            None => (is_of_role, format!("nodes/{name}.toml")),
        };
        let Some(text) = texts.get(name).filter(|_| wanted) else {
            continue;
        };
        files.insert(file, text.clone().into_bytes());
        if let Some(secrets) = compiled.secrets.get(name).filter(|_| arguments.sealed) {
            files.insert(
                format!("{name}.sealed"),
                seed.seal(name, secrets).into_bytes(),
            );
        }
    }
    if files.is_empty() {
        bail!("`{}` has no machine with the role `{role}`", arguments.site);
    }
    Ok((files, Some(role)))
}

/// The role of the machine, or of the image for a stick with all machines.
fn role(arguments: &Flash, compiled: &Compiled) -> Result<String> {
    let Some(node) = &arguments.node else {
        let image = arguments.image.as_deref().unwrap_or(Utf8Path::new("."));
        return Ok(Manifest::read(image)?.role);
    };
    compiled.role(node).map(str::to_owned).with_context(|| {
        let names: Vec<&str> = compiled.names().collect();
        format!(
            "`{}` has no machine `{node}`\nhint: it has {}",
            arguments.site,
            names.join(", ")
        )
    })
}

//! `rackwright build`.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use roles::folder::{FolderError, RoleSet};
use system::Live;

use crate::binaries::{self, Binaries};
use crate::build::{Options, build, check_host};
use crate::initrd::Carried;
use crate::namespace::{self, Place};
use crate::payload::{self, ByRole};
use crate::progress::{Mode, Progress};
use crate::sign::{self, Signer};

use super::compile;

#[derive(Debug, Args)]
pub struct Build {
    /// Roles to build
    #[arg(required_unless_present = "all")]
    roles: Vec<String>,
    /// Every role
    #[arg(long, conflicts_with = "roles")]
    all: bool,
    /// Where images go: DIR/ROLE/VERSION/
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: Utf8PathBuf,
    /// Cache folder [default: ~/.cache/rackwright]
    #[arg(long, value_name = "DIR", env = "RACKWRIGHT_CACHE")]
    cache: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
    /// Debian mirror, or a line of sources.list; may be repeated
    /// [default: mmdebstrap's]
    #[arg(long, value_name = "URL", env = "RACKWRIGHT_MIRROR")]
    mirror: Vec<String>,
    /// Keep package index and packages here, apart from the cache
    #[arg(long, value_name = "DIR")]
    snapshot_dir: Option<Utf8PathBuf>,
    /// Never use the network
    #[arg(long)]
    offline: bool,
    /// Renew the package index
    #[arg(long, conflicts_with = "offline")]
    refresh: bool,
    /// Node file to put on the medium's RACKWRIGHT partition
    #[arg(long, value_name = "FILE")]
    node: Option<Utf8PathBuf>,
    /// Sign the images with this secret key
    #[arg(long, value_name = "KEY")]
    sign: Option<Utf8PathBuf>,
    /// Public key that the images trust: they boot no root that it did not
    /// sign
    #[arg(long, value_name = "PUB", requires = "sign")]
    trust: Option<Utf8PathBuf>,
    /// Site file: the images carry the pin of its authority, and its
    /// payloads
    #[arg(long, value_name = "FILE")]
    site: Option<Utf8PathBuf>,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE", requires = "site")]
    seed: Option<Utf8PathBuf>,
    /// Version of the images
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    image_version: String,
    /// Source tree of Rackwright, for the programs in the image
    #[arg(long, value_name = "DIR")]
    source: Option<Utf8PathBuf>,
    /// Static rackwright-installer made elsewhere
    #[arg(long, value_name = "FILE", requires = "init")]
    installer: Option<Utf8PathBuf>,
    /// Static rackwright-init made elsewhere
    #[arg(long, value_name = "FILE", requires = "installer")]
    init: Option<Utf8PathBuf>,
    /// Progress as JSON lines on standard output
    #[arg(long)]
    json: bool,
}

/// The cache: as given, else by the XDG base directory rules.
pub fn cache_folder(given: Option<Utf8PathBuf>) -> Result<Utf8PathBuf> {
    if let Some(folder) = given {
        return Ok(camino::absolute_utf8(folder)?);
    }
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| value.starts_with('/'))
            .map(Utf8PathBuf::from)
    };
    variable("XDG_CACHE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("rackwright"))
        .context("no place for the cache\nhint: --cache DIR")
}

pub fn run(arguments: Build) -> Result<u8> {
    let source = arguments
        .source
        .clone()
        .unwrap_or_else(binaries::own_source);
    let role_data = camino::absolute_utf8(
        arguments
            .role_data
            .clone()
            .unwrap_or_else(|| source.join("roles")),
    )?;
    let set = roles::folder::read(&role_data)
        .map_err(|error| anyhow::anyhow!("{}\nhint: --roles DIR", rendered(&error)))?;
    let wanted: Vec<String> = if arguments.all {
        set.roles.keys().cloned().collect()
    } else {
        arguments.roles.clone()
    };
    for name in &wanted {
        if !set.roles.contains_key(name) {
            bail!(
                "unknown role `{name}`\nhint: {}",
                suggestion(name, set.roles.keys().map(String::as_str))
            );
        }
    }
    let node_file = match &arguments.node {
        Some(path) => Some(node_text(path, Some(&set), &wanted)?),
        None => None,
    };
    let (pin, payloads) = match &arguments.site {
        Some(site) => (
            Some(pin(site, arguments.seed.as_ref())?),
            payloads(site, &set, &wanted)?,
        ),
        None => (None, ByRole::new()),
    };
    check_host()?;
    if let Place::Outside(code) = namespace::enter()? {
        return Ok(code);
    }
    let signer = arguments.sign.as_deref().map(Signer::read).transpose()?;
    let trust = arguments
        .trust
        .as_deref()
        .map(sign::public_key)
        .transpose()?;
    if let (Some(signer), Some((key, _))) = (&signer, &trust) {
        let signature = signer.sign(b"rackwright", "trial")?;
        sign::check(key, b"rackwright", &signature).context(
            "the images would boot nothing: `--trust` is not the public half of the key of `--sign`",
        )?;
    }
    let options = Options {
        carried: Carried {
            trust: trust.map(|(_, text)| text),
            pin,
        },
        signer: signer.map(std::sync::Arc::new),
        roles: wanted,
        role_data,
        out: camino::absolute_utf8(&arguments.out)?,
        cache: cache_folder(arguments.cache)?,
        snapshot: arguments
            .snapshot_dir
            .map(camino::absolute_utf8)
            .transpose()?,
        mirrors: arguments.mirror,
        offline: arguments.offline,
        refresh: arguments.refresh,
        node_file,
        payloads,
        version: arguments.image_version,
        source: camino::absolute_utf8(source)?,
        binaries: arguments
            .installer
            .zip(arguments.init)
            .map(|(installer, init)| Binaries { installer, init }),
    };
    let progress = Progress::new(Mode::choose(arguments.json));
    build(&options, &set, &Live, &progress)?;
    Ok(0)
}

/// What the site's owner supplies for these roles. The files are compared before anything is built.
fn payloads(site: &Utf8Path, set: &RoleSet, wanted: &[String]) -> Result<ByRole> {
    if site == "-" {
        bail!("payloads lie beside the site file\nhint: give the file by its name");
    }
    let file = camino::absolute_utf8(site)?;
    let known = super::derived::site(site, set)?;
    if known.payloads.is_empty() {
        return Ok(ByRole::new());
    }
    let text = fs_err::read_to_string(&file)?;
    let folder = file.parent().unwrap_or(Utf8Path::new("/"));
    payload::of_roles(site, folder, &text, &known, wanted)
}

/// Pin of the authority of a site: it comes from the seed alone.
fn pin(site: &Utf8Path, seed: Option<&Utf8PathBuf>) -> Result<String> {
    let seed = compile::need_seed(site, seed)?;
    let authority = identity::Authority::new(seed.authority().expose())
        .context("the seed gives no authority")?;
    Ok(authority.pin())
}

/// The text of a node file that the installer would take, for one of the roles that are built.
pub fn node_text(path: &Utf8Path, set: Option<&RoleSet>, wanted: &[String]) -> Result<String> {
    let text = fs_err::read_to_string(path).context("cannot read the node file")?;
    let node = roles::parse::node_file(path.as_str(), &text, set).map_err(|wrong| {
        anyhow::anyhow!(
            "the node file would fail on the server\n{}",
            wrong.render(false).trim_end()
        )
    })?;
    if *wanted != [node.role.clone()] {
        bail!(
            "node file `{path}` is for role `{}`, but {} would carry it\nhint: rackwright build {} --node {path}",
            node.role,
            wanted
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", "),
            node.role
        );
    }
    Ok(text)
}

/// Role files that are wrong, as a compiler shows them.
pub fn rendered(error: &FolderError) -> String {
    match error {
        FolderError::Invalid(all) => all
            .iter()
            .map(|wrong| wrong.render(false).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n"),
        FolderError::Read { path, source } => format!("cannot read `{path}`: {source}"),
        other => other.to_string(),
    }
}

/// The nearest name if one is near, else all of them.
fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<_> = known.collect();
    let near = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(distance, known)| *distance <= known.len().max(name.len()).div_ceil(3))
        .min();
    near.map_or_else(
        || format!("there are {}", known.join(", ")),
        |(_, known)| format!("did you mean `{known}`?"),
    )
}

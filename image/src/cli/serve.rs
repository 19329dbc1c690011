//! `rackwright serve`: the depot on a workstation, with everything that the machines of a site file need.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use ::depot::dhcp::{self, Kind, Reservation};
use ::depot::objects::{Image, Object, Objects};
use ::depot::record::Permit;
use ::depot::service::Service;
use ::depot::store::{Known, Store};
use ::depot::view::Place;
use ::depot::wire::Delivered;
use anyhow::{Context, Result, bail};
use authority::tls::{self, Identity};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use identity::{Authority, Key, Machine, Validity};
use roles::Site;
use roles::compile::Compiled;
use run::node_source::rack;
use zeroize::Zeroizing;

use super::{compile, derived, watch};
use crate::manifest::Manifest;
use crate::payload::license;

/// The installer's messages: screen, both serial lines.
const CONSOLES: [&str; 3] = ["tty0", "ttyS0,115200n8", "ttyS1,115200n8"];

#[derive(Debug, Args)]
pub struct Serve {
    /// Site file
    site: Utf8PathBuf,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Folder of images, as `rackwright build` makes it
    #[arg(long, value_name = "DIR", default_value = "out")]
    images: Utf8PathBuf,
    /// Folder of the depot's memory: permits, events, reports
    #[arg(long, value_name = "DIR", default_value = super::depot::STATE)]
    state: Utf8PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:9211")]
    listen: SocketAddr,
    /// Where machines reach it [default: this machine's address in the
    /// site's network `mgmt`]
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertise: Option<SocketAddr>,
    /// A cache of a rack, from which its machines fetch images first; may be
    /// repeated (docs/scale.md)
    #[arg(long, value_name = "RACK=ADDRESS:PORT", value_parser = cache)]
    cache: Vec<(String, SocketAddr)>,
    /// Answer to network boots: beside the network's DHCP server, or as the
    /// only one
    #[arg(long, value_name = "KIND", requires = "interface")]
    dhcp: Option<Dhcp>,
    /// Port of this machine in the network of the servers
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// First and last address for machines, for `--dhcp own`
    #[arg(long, value_name = "FIRST-LAST", value_parser = range)]
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Where the board's web page is; it shows, and changes nothing
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9212")]
    board: SocketAddr,
    /// Lines instead of the board on this terminal
    #[arg(long)]
    plain: bool,
    /// Tell this URL when a machine is installed, healthy or failed
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// `console=` of the installer; may be repeated, the last one is /dev/console
    /// [default: tty0, ttyS0 and ttyS1 at 115200]
    #[arg(long, value_name = "CONSOLE")]
    console: Vec<String>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dhcp {
    /// Another server gives addresses
    Proxy,
    /// This one does
    Own,
}

fn range(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    let wrong = || format!("`{text}` is no range\nhint: such as 10.77.10.200-10.77.10.250");
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok((first, last)),
        _ => Err(wrong()),
    }
}

fn cache(text: &str) -> Result<(String, SocketAddr), String> {
    let wrong = || format!("`{text}` is no cache\nhint: such as rack7=10.77.12.5:80");
    let (rack, address) = text.split_once('=').ok_or_else(wrong)?;
    let address = address.parse().map_err(|_| wrong())?;
    Ok((rack.to_owned(), address))
}

pub fn run(arguments: &Serve) -> Result<u8> {
    let on_board =
        std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && !arguments.plain;
    logs(on_board.then_some(arguments.state.as_path()))?;
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let seed = compile::need_seed(&arguments.site, arguments.seed.as_ref())?;
    let compiled = roles::compile::compile(&site, &seed, Some(&roles), None);
    compile::check(&compiled, &roles)?;
    let licenses = license::beside(&arguments.site, &site)?;
    let host = host(arguments, &site)?;
    let images = images(&arguments.images)?;
    if images.is_empty() {
        bail!(
            "there is no image in `{}`\nhint: `rackwright build ROLE`, or --images DIR",
            arguments.images
        );
    }
    say("checking the images")?;
    let loaders = loaders(&images)?;
    let objects = Objects::check(images)?;
    for role in site
        .nodes
        .iter()
        .map(|node| node.role.as_str())
        .collect::<std::collections::BTreeSet<_>>()
    {
        if objects.image(role).is_none() {
            say(&format!(
                "warning: no image of role `{role}`: its machines boot their disks"
            ))?;
        }
    }

    let store = Arc::new(Store::open(
        &arguments.state,
        &site.name,
        known(&site, &compiled)?,
    )?);
    let authority = Authority::new(seed.authority().expose())?;
    let config = tls::server(&own_identity(&authority, host.ip())?)?;
    let dhcp = dhcp_settings(arguments, host, &site, &compiled);
    let consoles: Vec<String> = match arguments.console.is_empty() {
        true => CONSOLES.map(str::to_owned).into(),
        false => arguments.console.clone(),
    };
    let caches: BTreeMap<String, String> = arguments
        .cache
        .iter()
        .map(|(rack, address)| (rack.clone(), address.to_string()))
        .collect();
    for rack in caches.keys() {
        let known = site.nodes.iter().any(|node| {
            roles::draw::elevation::mounted(node).is_some_and(|(name, ..)| name == rack)
        });
        if !known {
            bail!("`--cache {rack}=...`: the site file has no machine in a rack `{rack}`");
        }
    }
    let service = Arc::new(Service {
        store: Arc::clone(&store),
        objects,
        loaders: loaders
            .iter()
            .map(|(name, path)| Ok((name.clone(), fs_err::read(path)?.into())))
            .collect::<Result<_>>()?,
        deliver: Box::new(move |node, permit| {
            let mut compiled =
                roles::compile::compile(&site, &seed, Some(&roles), Some(&permit.id));
            licenses.supply(&mut compiled);
            deliver(&compiled, node, permit)
        }),
        host: host.to_string(),
        caches,
        pin: authority.pin(),
        consoles,
        counters: Default::default(),
    });
    let listener = TcpListener::bind(arguments.listen)
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let admin = ::depot::admin::Listener::open(&arguments.state)
        .context("cannot open the depot's socket")?;
    let _dhcp = match dhcp? {
        Some(settings) => {
            let folder = absolute(&arguments.state)?;
            let server = dhcp::Server::start(&settings, &folder, &loader_folder(&loaders)?)?;
            Some(std::thread::spawn(move || server.watch()))
        }
        None => None,
    };
    say(&format!(
        "serving {} on {}, for machines http://{host}; pin {}",
        arguments.site, arguments.listen, service.pin
    ))?;
    let board = TcpListener::bind(arguments.board)
        .with_context(|| format!("cannot listen on {}", arguments.board))?;
    say(&format!("the board is on http://{}", board.local_addr()?))?;
    let pages = board::page::router(Arc::clone(&store));
    std::thread::spawn(move || {
        if let Err(error) = ::depot::server::serve_plain(board, pages) {
            tracing::error!("the board's page ended: {error}");
        }
    });
    let operators = Arc::clone(&store);
    std::thread::spawn(move || admin.serve(&operators));
    let hook = arguments
        .webhook
        .as_deref()
        .map(board::hook::Hook::start)
        .transpose()?;
    let told = Arc::clone(&store);
    std::thread::spawn(move || watch::news(&told, hook.as_ref()));
    if on_board {
        // The service runs beside the board; whoever leaves it sees lines.
        let shown = Arc::clone(&store);
        std::thread::spawn(move || {
            watch::board(&shown);
            watch::lines(&shown);
        });
    } else {
        let told = Arc::clone(&store);
        std::thread::spawn(move || watch::lines(&told));
    }
    ::depot::server::serve(listener, service, config, axum::Router::new())?;
    Ok(0)
}

/// The service's own lines: on standard error, or, beside the board, in `depot.txt` of this folder.
fn logs(folder: Option<&Utf8Path>) -> Result<()> {
    let filter = || {
        tracing_subscriber::EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"))
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_target(false);
    match folder {
        None => {
            let _ = lines
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr)
                .without_time()
                .try_init();
        }
        Some(folder) => {
            fs_err::create_dir_all(folder)?;
            let file = fs_err::File::options()
                .create(true)
                .append(true)
                .open(folder.join("depot.txt"))?;
            let _ = lines
                .with_ansi(false)
                .with_writer(Mutex::new(file.into_file()))
                .try_init();
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stderr(), "{line}")?)
}

fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf> {
    Ok(path.canonicalize_utf8()?)
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs())
}

/// A certificate for as long as this process lives and longer: two years, valid an hour ago.
fn own_identity(authority: &Authority, address: IpAddr) -> Result<Identity> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random)
        .map_err(|error| anyhow::anyhow!("no random bytes from the operating system: {error}"))?;
    let key = Key::derive(&*random, ::depot::client::NAME)?;
    let machine = Machine {
        name: ::depot::client::NAME.into(),
        role: ::depot::client::NAME.into(),
        domain: None,
        addresses: vec![address],
    };
    let validity = Validity::issued_at(i64::try_from(now())?);
    Ok(Identity {
        authority: authority.certificate(),
        certificate: authority.issue(&machine, &key, validity)?,
        key: key.pem()?,
    })
}

/// Where machines reach this one.
fn host(arguments: &Serve, site: &Site) -> Result<SocketAddr> {
    if let Some(host) = arguments.advertise {
        return Ok(host);
    }
    let port = arguments.listen.port();
    if !arguments.listen.ip().is_unspecified() {
        return Ok(arguments.listen);
    }
    let own: Vec<Ipv4Addr> = nix::ifaddrs::getifaddrs()
        .context("cannot list this machine's addresses")?
        .filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()))
        .collect();
    let inside = |subnet: &str| {
        let (network, length) = subnet.split_once('/')?;
        let network: Ipv4Addr = network.parse().ok()?;
        let length: u32 = length.parse().ok()?;
        let mask = u32::MAX
            .checked_shl(32_u32.checked_sub(length)?)
            .unwrap_or(0);
        own.iter()
            .copied()
            .find(|ip| ip.to_bits() & mask == network.to_bits() & mask)
    };
    site.networks
        .iter()
        .filter(|network| network.name == "mgmt")
        .find_map(|network| inside(&network.subnet))
        .map(|ip| SocketAddr::new(ip.into(), port))
        .context(
            "this machine has no address in the site's network `mgmt`\nhint: --advertise ADDRESS:PORT, where machines reach it",
        )
}

/// The newest image of each role below `folder`: `ROLE/VERSION/manifest.json`.
fn images(folder: &Utf8Path) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for role in folders(folder)? {
        let mut found: Vec<(std::time::SystemTime, Utf8PathBuf)> = Vec::new();
        for version in folders(&role)? {
            let manifest = version.join("manifest.json");
            if let Ok(data) = fs_err::metadata(&manifest) {
                found.push((data.modified()?, version));
            }
        }
        let Some((_, newest)) = found.into_iter().max() else {
            continue;
        };
        let manifest = Manifest::read(&newest)?;
        images.push(Image {
            role: manifest.role,
            version: manifest.version,
            files: manifest
                .files
                .into_iter()
                .map(|(name, entry)| Object {
                    path: newest.join(&name),
                    name,
                    sha256: entry.sha256,
                    size: entry.size,
                })
                .collect(),
        });
    }
    Ok(images)
}

fn folders(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut folders = Vec::new();
    let entries = folder
        .read_dir_utf8()
        .with_context(|| format!("cannot read `{folder}`\nhint: `rackwright build ROLE` makes images there, or --images DIR"))?;
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().starts_with('.');
        if entry.path().is_dir() && !hidden {
            folders.push(entry.into_path());
        }
    }
    folders.sort();
    Ok(folders)
}

/// The boot loaders of the first image that has them.
fn loaders(images: &[Image]) -> Result<BTreeMap<String, Utf8PathBuf>> {
    let of = |image: &Image| {
        [dhcp::BIOS, dhcp::UEFI]
            .iter()
            .map(|name| {
                let file = image.files.iter().find(|file| file.name == *name)?;
                Some(((*name).to_owned(), file.path.clone()))
            })
            .collect::<Option<BTreeMap<_, _>>>()
    };
    images.iter().find_map(of).context(
        "no image has the network boot loaders\nhint: `rackwright build` of this version puts them there",
    )
}

fn loader_folder(loaders: &BTreeMap<String, Utf8PathBuf>) -> Result<Utf8PathBuf> {
    let folder = loaders.values().next().and_then(|path| path.parent());
    Ok(folder.context("no boot loaders")?.to_owned())
}

fn known(site: &Site, compiled: &Compiled) -> Result<Vec<Known>> {
    site.nodes
        .iter()
        .map(|node| {
            let file = compiled
                .narrow_node_file(&node.name)
                .with_context(|| format!("`{}` has no node file", node.name))?;
            let mut facts = rack::wanted(&node.name, &toml::to_string(&file)?).facts;
            facts.serial = facts.serial.or_else(|| node.serial.clone());
            Ok(Known {
                node: node.name.clone(),
                role: node.role.clone(),
                place: roles::draw::elevation::mounted(node).map(|(rack, unit, height)| Place {
                    rack: rack.to_owned(),
                    unit: u16::try_from(unit).unwrap_or(u16::MAX),
                    height: u16::try_from(height).unwrap_or(u16::MAX),
                }),
                facts,
            })
        })
        .collect()
}

/// Node file and secrets, made for this permit: a join token is good once, so another permit brings another token.
fn deliver(compiled: &Compiled, node: &str, permit: &Permit) -> Result<Delivered, String> {
    let mut file = compiled
        .node_file(node)
        .ok_or_else(|| format!("the site file has no machine `{node}`"))?;
    file.permit = Some(roles::node::Permit {
        id: permit.id.clone(),
        board_serial: permit.board.clone(),
        plan: None,
        task: None,
    });
    if permit.keep_data {
        file.storage.data = Some("keep".to_owned());
    }
    let secrets = compiled.secrets.get(node);
    Ok(Delivered {
        node: node.to_owned(),
        node_file: toml::to_string(&file).map_err(|error| error.to_string())?,
        secrets: secrets
            .into_iter()
            .flat_map(|secrets| secrets.iter())
            .map(|(name, secret)| (name.to_owned(), secret.expose().to_owned()))
            .collect(),
    })
}

fn dhcp_settings(
    arguments: &Serve,
    host: SocketAddr,
    site: &Site,
    compiled: &Compiled,
) -> Result<Option<dhcp::Settings>> {
    let (Some(kind), Some(interface)) = (arguments.dhcp, &arguments.interface) else {
        return Ok(None);
    };
    let IpAddr::V4(address) = host.ip() else {
        bail!("network boot is served over IPv4: {host} is none");
    };
    let kind = match (kind, arguments.range) {
        (Dhcp::Proxy, _) => Kind::Proxy { network: address },
        (Dhcp::Own, Some((first, last))) => Kind::Own { first, last },
        (Dhcp::Own, None) => bail!(
            "`--dhcp own` needs the addresses that it may give\nhint: --range 10.77.10.200-10.77.10.250"
        ),
    };
    let machines = site
        .nodes
        .iter()
        .filter_map(|node| {
            let file = compiled.node_file(&node.name)?;
            let mgmt = file
                .networks
                .iter()
                .find(|network| network.name == "mgmt")?;
            Some(Reservation {
                mac: mgmt.mac.clone()?,
                address: node.addresses.get("mgmt")?.parse().ok()?,
                name: node.name.clone(),
            })
        })
        .collect();
    Ok(Some(dhcp::Settings {
        interface: interface.clone(),
        host: host.to_string(),
        kind,
        machines,
    }))
}

//! The command line of `rackwright`.

mod authority;
mod bmc;
mod build;
mod cluster;
mod compile;
mod depot;
mod derived;
mod draw;
mod flash;
mod payload;
mod provision;
mod serve;
mod sign;
mod site;
mod tui;
mod unlock;
mod watch;

pub use build::cache_folder;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use crate::cache::Cache;
use crate::manifest::Manifest;

/// Builds bootable appliance images for a mail cluster.
#[derive(Debug, Parser)]
#[command(name = "rackwright", version, max_term_width = 80)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first site file
    Init(site::Init),
    /// Show which machines so many users need, and why
    Size(site::Size),
    /// Find every mistake in a site file
    Check(site::Check),
    /// Say why a rule is there and what cures it
    Explain(site::Explain),
    /// Print the JSON schema of site or node files
    Schema(site::Schema),
    /// Build the images of roles
    Build(Box<build::Build>),
    /// Write a stick for one machine or for a whole rack
    Flash(Box<flash::Flash>),
    /// Look at sticks and ISOs
    Media(flash::Media),
    /// Show what an image is made of
    Inspect(Inspect),
    /// Make a key that signs images
    Keygen(sign::Keygen),
    /// Sign an image
    Sign(sign::Sign),
    /// Check an image and its signature
    Verify(sign::Verify),
    /// Write what a network boot needs beside kernel and initrd
    Pxe(Pxe),
    /// Show the server that a capture was taken of
    Inventory(Inventory),
    /// Switch, watch and look into a server through its management controller
    Bmc(Box<bmc::Bmc>),
    /// Serve images, node files and permits to the machines of a site
    Serve(Box<serve::Serve>),
    /// Show what the depot knows of each machine
    Depot(depot::Depot),
    /// Let a machine be installed once
    Arm(depot::Arm),
    /// Take a permit back that was not used
    Disarm(depot::Disarm),
    /// Say that a fingerprint on a machine's screen is the depot's
    Approve(depot::Approve),
    /// Install machines from afar: boot from the network, switch on, follow
    Provision(provision::Provision),
    /// Make the node files of a site file, and the secrets, sealed
    Compile(Box<compile::Compile>),
    /// Show the code that opens the sealed secrets of a machine
    Unlock(unlock::Unlock),
    /// Make a join token, with which a machine gets its certificate once
    Token(authority::TokenOptions),
    /// Show the authority that the certificates of a site come from
    Authority(authority::Show),
    /// Show a whole cluster: what its machines told the control servers
    Status(authority::Status),
    /// Act on a running cluster: recover, promote, demote, drain, replace
    Cluster(Box<cluster::Cluster>),
    /// Compare the software that you supply with what the site file says of it
    Payload(payload::Payload),
    /// Draw racks, networks and cables of a site file
    Draw(draw::Draw),
    /// Write what switches and router of a site file are to be told
    NetworkConfig(draw::NetworkConfig),
    /// Try the installer's screens on a machine that is not there
    Tui(Box<tui::Tui>),
    /// Look at the cache or make room
    Cache(CacheCommand),
    /// Write shell completions or man pages
    #[command(hide = true)]
    Generate(Generate),
}

#[derive(Debug, Args)]
struct Inspect {
    /// Image folder or manifest.json
    path: Utf8PathBuf,
    /// The whole manifest as JSON
    #[arg(long)]
    json: bool,
    /// Read every file and compare its sha256
    #[arg(long)]
    verify: bool,
}

#[derive(Debug, Args)]
struct Inventory {
    /// Capture, as `rackwright-installer inventory --capture` writes it
    file: Utf8PathBuf,
    /// Compare with this role's reference hardware
    #[arg(long)]
    role: Option<String>,
    /// As JSON; with a role `{"findings", "inventory"}`
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Pxe {
    /// Image folder, such as out/control/0.1.0
    image: Utf8PathBuf,
    /// Archive to write; served as a second initrd
    file: Utf8PathBuf,
    /// Node file to put into the archive
    #[arg(long, value_name = "FILE")]
    node: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
struct CacheCommand {
    /// Cache folder
    #[arg(long, global = true, env = "RACKWRIGHT_CACHE")]
    cache: Option<Utf8PathBuf>,
    #[command(subcommand)]
    action: CacheAction,
}

#[derive(Debug, Subcommand)]
enum CacheAction {
    /// List entries, largest first
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove entries that were not used for some days
    Clean {
        /// Days; 0 removes everything not in use
        #[arg(long, default_value_t = 30)]
        days: u64,
    },
}

#[derive(Debug, Args)]
struct Generate {
    /// What to write
    #[arg(value_parser = ["man", "bash", "zsh", "fish"])]
    what: String,
}

/// Runs the program on its command line, of which the first word is its name; every error ends here.
pub fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    match run(Cli::parse_from(words)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}", report(&error));
            ExitCode::FAILURE
        }
    }
}

/// `error: what: cause`, with the hints that the causes carry on lines of their own at the end.
fn report(error: &anyhow::Error) -> String {
    let mut hints = Vec::new();
    let mut parts = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let mut lines = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("hint: ") {
                Some(hint) => hints.push(format!("hint: {hint}")),
                None => lines.push(line.to_owned()),
            }
        }
        parts.push(lines.join("\n"));
    }
    let mut text = format!("error: {}", parts.join(": "));
    for hint in hints {
        text.push('\n');
        text.push_str(&hint);
    }
    text
}

fn run(cli: Cli) -> Result<u8> {
    match cli.command {
        Command::Init(arguments) => site::init(&arguments),
        Command::Size(arguments) => site::size(&arguments),
        Command::Check(arguments) => site::check(&arguments),
        Command::Explain(arguments) => site::explain(&arguments),
        Command::Schema(arguments) => site::schema(&arguments),
        Command::Build(arguments) => build::run(*arguments),
        Command::Flash(arguments) => flash::run(&arguments),
        Command::Media(arguments) => flash::media(&arguments),
        Command::Keygen(arguments) => sign::keygen(&arguments),
        Command::Sign(arguments) => sign::sign(&arguments),
        Command::Verify(arguments) => sign::verify(&arguments),
        Command::Inspect(arguments) => inspect(&arguments),
        Command::Pxe(arguments) => pxe(&arguments),
        Command::Inventory(arguments) => inventory(&arguments),
        Command::Bmc(arguments) => bmc::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Depot(arguments) => depot::show(&arguments),
        Command::Arm(arguments) => depot::arm(&arguments),
        Command::Disarm(arguments) => depot::disarm(&arguments),
        Command::Approve(arguments) => depot::approve(&arguments),
        Command::Provision(arguments) => provision::run(&arguments),
        Command::Compile(arguments) => compile::run(&arguments),
        Command::Unlock(arguments) => unlock::run(&arguments),
        Command::Payload(arguments) => payload::run(&arguments),
        Command::Token(arguments) => authority::token(&arguments),
        Command::Authority(arguments) => authority::show(&arguments),
        Command::Status(arguments) => authority::status(&arguments),
        Command::Cluster(arguments) => cluster::run(&arguments),
        Command::Draw(arguments) => draw::draw(&arguments),
        Command::NetworkConfig(arguments) => draw::network_config(&arguments),
        Command::Tui(arguments) => tui::run(&arguments),
        Command::Cache(arguments) => cache(&arguments),
        Command::Generate(arguments) => generate(&arguments.what),
    }
}

fn inspect(arguments: &Inspect) -> Result<u8> {
    let manifest = Manifest::read(&arguments.path)?;
    if arguments.verify {
        let folder = if arguments.path.is_dir() {
            Some(arguments.path.as_path())
        } else {
            arguments.path.parent()
        };
        manifest.verify(folder.unwrap_or(&arguments.path))?;
    }
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&manifest)?)?;
        return Ok(0);
    }
    writeln!(out, "role      {}", manifest.role)?;
    writeln!(out, "version   {}", manifest.version)?;
    writeln!(
        out,
        "source    {}",
        manifest.source.as_deref().unwrap_or("unknown")
    )?;
    writeln!(out, "kernel    {}", manifest.kernel)?;
    writeln!(out, "packages  {}", manifest.packages.len())?;
    for payload in &manifest.payloads {
        writeln!(
            out,
            "payload   {} {} {} ({} bytes)",
            payload.name, payload.file, payload.sha256, payload.size
        )?;
    }
    for (name, file) in &manifest.files {
        writeln!(out, "{:>12}  {}  {name}", file.size, file.sha256)?;
    }
    Ok(0)
}

/// What a server showed, judged far away from it.
fn inventory(arguments: &Inventory) -> Result<u8> {
    let inventory = firmware::capture::open(&arguments.file)?.inventory();
    let findings = match &arguments.role {
        Some(role) => Some(firmware::compare(
            &firmware::Reference::built_in()?,
            role,
            &inventory,
        )),
        None => None,
    };
    let mut out = std::io::stdout().lock();
    match (arguments.json, findings) {
        (true, None) => writeln!(out, "{}", serde_json::to_string_pretty(&inventory)?)?,
        (true, Some(findings)) => {
            let both = serde_json::json!({"findings": findings, "inventory": inventory});
            writeln!(out, "{}", serde_json::to_string_pretty(&both)?)?;
        }
        (false, findings) => {
            write!(out, "{}", firmware::report::text(&inventory))?;
            if let Some(findings) = findings {
                write!(out, "\n{}", firmware::report::findings(&findings))?;
            }
        }
    }
    Ok(0)
}

fn pxe(arguments: &Pxe) -> Result<u8> {
    let role = Manifest::read(&arguments.image)?.role;
    let node = arguments
        .node
        .as_ref()
        .map(|path| build::node_text(path, None, &[role]))
        .transpose()?;
    let archive = crate::pxe::archive(&arguments.image, node.as_deref())?;
    let temporary = arguments.file.with_extension("new");
    fs_err::write(&temporary, archive)?;
    fs_err::rename(&temporary, &arguments.file)?;
    Ok(0)
}

fn cache(arguments: &CacheCommand) -> Result<u8> {
    let root = build::cache_folder(arguments.cache.clone())?;
    match arguments.action {
        CacheAction::List { json } => {
            let list = Cache::open(&root)?.list()?;
            let mut out = std::io::stdout().lock();
            if json {
                writeln!(out, "{}", serde_json::to_string_pretty(&list)?)?;
            } else {
                for entry in &list {
                    writeln!(
                        out,
                        "{:>7} MB  {:<8} {}",
                        entry.bytes / 1_000_000,
                        entry.stage,
                        &entry.digest[..12]
                    )?;
                }
            }
        }
        CacheAction::Clean { days } => {
            // Layers hold files of many owners: inside the namespaces all of them are ours.
            if let crate::namespace::Place::Outside(code) = crate::namespace::enter()? {
                return Ok(code);
            }
            let now = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)?
                .as_secs();
            let before = if days == 0 {
                u64::MAX
            } else {
                now.saturating_sub(days * 86_400)
            };
            let freed = Cache::open(&root)?.clean(before)?;
            writeln!(std::io::stdout(), "freed {} MB", freed / 1_000_000)?;
        }
    }
    Ok(0)
}

fn generate(what: &str) -> Result<u8> {
    use clap::CommandFactory;
    let mut command = Cli::command();
    let mut out = std::io::stdout();
    match what {
        "man" => clap_mangen::Man::new(command).render(&mut out)?,
        shell => {
            let shell: clap_complete::Shell = shell
                .parse()
                .map_err(|error: String| anyhow::anyhow!(error))?;
            clap_complete::generate(shell, &mut command, "rackwright", &mut out);
        }
    }
    Ok(0)
}

//! The command line.

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Installs this machine, and says how it is.
#[derive(Debug, Parser)]
#[command(
    name = "rackwright-installer",
    version,
    max_term_width = 80,
    after_help = "Exit codes: 0 done or healthy; 1 refused, not healthy or wrong input: nothing\nwas written; 2 failed part way. Data goes to standard output, the rest to\nstandard error."
)]
pub struct Arguments {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Log more
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// What to do
    #[command(subcommand)]
    pub task: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Show what this machine is
    Inventory(Inventory),
    /// Light the locate LED of a disk's bay, or put it out
    Locate(Locate),
    /// Show what an install would do: every step, what it destroys, the commands
    Plan(Plan),
    /// Install after the node's name was typed
    Apply(Apply),
    /// Install unattended, as the live system does; needs a permit in the node file
    Install(Install),
    /// Install step by step on this console; an install that runs is shown
    Tui(Tui),
    /// Show the state of this appliance on this console
    Console(Console),
    /// Empty all disks of this machine, after the node's name was typed
    Decommission(Decommission),
    /// Open the sealed secrets that came with the node file; asks for the code
    Unlock(Unlock),
    /// Ask the network whether it is what the node file says; writes nothing
    Preflight(Preflight),
    /// Bring back what a changed disk took away, and nothing else
    Repair(Repair),
    /// Show or set up this machine's management controller
    Bmc(Bmc),
    /// The Galera cluster of this member; end a full outage
    Galera(GaleraOptions),
    /// The pair of this database server: who takes writes
    Database(DatabaseOptions),
    /// The control servers: who decides, who follows
    Authority(AuthorityOptions),
    /// Switch another machine off and see it off; control servers only
    Fence(Fence),
    /// Get this machine's certificate (a service)
    #[command(hide = true)]
    Enrol,
    /// Bring this machine into its cluster (a service)
    #[command(hide = true)]
    Join,
    /// Answer on port 9200 how this database is (a service)
    #[command(hide = true)]
    HealthEndpoint,
    /// Show how this machine is; exit code 0 if healthy
    Status,
    /// Who exports the mail store, how old the copies are; take over by hand
    Storage(StorageOptions),
    /// The mail store of this server
    Mail(MailOptions),
    /// Ask whether a mail server answers; exit code 0 if it does
    Probe(Probe),
    /// Take this machine out of service for maintenance, and put it back
    Drain(Drain),
    /// Look after this machine's role (a service)
    #[command(hide = true)]
    Serve(Serve),
    /// Wait for health after a boot and prove the install (a service)
    #[command(hide = true)]
    BootCheck,
    /// Render /etc before the first service starts (started by the initrd)
    #[command(hide = true)]
    PrepareBoot,
    /// Say on every console that the install is incomplete (a service)
    #[command(hide = true)]
    Incomplete,
    /// Write completions and manual pages
    #[command(hide = true)]
    Generate(Generate),
}

/// Options of `fence`.
#[derive(Debug, Args)]
pub struct Fence {
    /// Name of the machine
    pub node: String,
}

/// Options of `authority`.
#[derive(Debug, Args)]
pub struct AuthorityOptions {
    /// What to do
    #[command(subcommand)]
    pub task: AuthorityTask,
}

/// What to do with the control servers.
#[derive(Debug, Subcommand)]
pub enum AuthorityTask {
    /// Show them and what the machines told; exit code 0 if all answer
    Status,
    /// Make this control server the one that decides
    Promote(AuthorityPromote),
    /// Issue certificates and keep claims (a service)
    #[command(hide = true)]
    Serve,
}

/// Options of `authority promote`.
#[derive(Debug, Args)]
pub struct AuthorityPromote {
    /// The other control server is off: you have seen it
    #[arg(long)]
    pub fenced: bool,
}

/// Options of `galera`.
#[derive(Debug, Args)]
pub struct GaleraOptions {
    /// What to do
    #[command(subcommand)]
    pub task: GaleraTask,
}

/// What to do with a Galera cluster.
#[derive(Debug, Subcommand)]
pub enum GaleraTask {
    /// Show all members; exit code 0 if all serve
    Status,
    /// One step to end a full outage that does not end by itself; says where to
    /// go on. Exit code 0 when it is over
    Recover(GaleraRecover),
}

/// Options of `galera recover`.
#[derive(Debug, Args)]
pub struct GaleraRecover {
    /// Members that are lost for good and switched off; what only they have is
    /// lost
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub lost: Vec<String>,
    /// All members were started a minute ago, and it did not help
    #[arg(long)]
    pub waited: bool,
}

/// Options of `database`.
#[derive(Debug, Args)]
pub struct DatabaseOptions {
    /// What to do
    #[command(subcommand)]
    pub task: DatabaseTask,
}

/// What to do with a pair of database servers.
#[derive(Debug, Subcommand)]
pub enum DatabaseTask {
    /// Show both servers; exit code 0 if both serve
    Status,
    /// Make this server the one that takes writes
    Promote(DatabasePromote),
    /// Take no more writes, before the other one is promoted
    Demote,
    /// After `demote`: follow the server that was promoted
    Follow,
    /// Say that nobody took over while this server was off, when the other one
    /// cannot be asked; holds until the next boot
    Confirm,
    /// Put this server's data aside and take those of the other one
    Reseed(DatabaseReseed),
}

/// Options of `database promote`.
#[derive(Debug, Args)]
pub struct DatabasePromote {
    /// The other server is off: you have seen it
    #[arg(long)]
    pub fenced: bool,
}

/// Options of `database reseed`.
#[derive(Debug, Args)]
pub struct DatabaseReseed {
    /// Name of this machine, typed
    pub node: String,
}

/// Options of `inventory`.
#[derive(Debug, Args)]
pub struct Inventory {
    /// Look below this folder instead of `/`: a machine's files
    #[arg(long, value_name = "FOLDER", default_value = "/")]
    pub root: Utf8PathBuf,
    /// Show the machine that a capture was taken of
    #[arg(long, value_name = "FILE.tar.zst", conflicts_with_all = ["root", "capture"])]
    pub from: Option<Utf8PathBuf>,
    /// Also write all that was read to a file: for bug reports
    #[arg(long, value_name = "FILE.tar.zst")]
    pub capture: Option<Utf8PathBuf>,
    /// Replace serial numbers and addresses in the capture
    #[arg(long, requires = "capture")]
    pub without_serials: bool,
    /// Compare with this role's reference hardware; in a live image its own
    #[arg(long)]
    pub role: Option<String>,
}

/// Options of `locate`.
#[derive(Debug, Args)]
pub struct Locate {
    /// Bay (`front:3`), WWN, serial number or kernel name
    pub disk: String,
    /// Light it, or put it out
    pub light: Light,
}

/// Light on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Light {
    /// Light it
    On,
    /// Put it out
    Off,
}

/// Options of `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// Also draw the chassis, each bay coloured by its use
    #[arg(long, value_name = "FILE")]
    pub svg: Option<Utf8PathBuf>,
    /// Where the plan comes from
    #[command(flatten)]
    pub sources: Sources,
}

/// Where a plan comes from.
#[derive(Debug, Args)]
pub struct Sources {
    /// Node file; without it, searched as the unattended install does
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
    /// Role folders
    #[arg(long, value_name = "FOLDER", default_value = run::appliance::ROLES)]
    pub roles: Utf8PathBuf,
    /// A saved inventory or a capture instead of this machine
    #[arg(long, value_name = "FILE")]
    pub inventory: Option<Utf8PathBuf>,
    /// Root image to plan for; without it, the running one
    #[arg(long, value_name = "FILE")]
    pub root_image: Option<Utf8PathBuf>,
    /// Allow to destroy what is guarded, by the key that the refusal shows
    #[arg(long, value_name = "KEY")]
    pub destroy: Vec<String>,
    /// Install the system anew and leave all data as it is
    #[arg(long)]
    pub keep_data: bool,
}

/// Options of `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Use the node file's permit instead of asking
    #[arg(long)]
    pub permit: bool,
    /// Where the plan comes from
    #[command(flatten)]
    pub sources: Sources,
}

/// Options of `install`.
#[derive(Debug, Args)]
pub struct Install {
    /// Node file; without it, searched on media, network and image
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
    /// Somebody watches `tui`: nothing on the consoles, no restart at the end
    #[arg(long, hide = true)]
    pub watched: bool,
}

/// Options of `tui`.
#[derive(Debug, Args)]
pub struct Tui {
    /// Try it on the machine that a capture was taken of; writes nothing
    #[arg(long, value_name = "FILE.tar.zst")]
    pub from: Option<Utf8PathBuf>,
    /// Role to try; in a live image its own
    #[arg(long, requires = "from")]
    pub role: Option<String>,
    /// Role folders
    #[arg(long, value_name = "FOLDER", default_value = run::appliance::ROLES)]
    pub roles: Utf8PathBuf,
    /// Play a recording first
    #[arg(long, value_name = "FILE", requires = "from")]
    pub replay: Option<Utf8PathBuf>,
    /// Keep this session in a file, to be played again
    #[arg(long, value_name = "FILE", requires = "from")]
    pub record: Option<Utf8PathBuf>,
    /// Only ASCII and no colour, as on a serial line
    #[arg(long)]
    pub plain: bool,
}

/// Options of `console`.
#[derive(Debug, Args)]
pub struct Console {
    /// Only ASCII and no colour, as on a serial line
    #[arg(long)]
    pub plain: bool,
}

/// Options of `decommission`.
#[derive(Debug, Args)]
pub struct Decommission {
    /// Name of the machine, to be typed
    #[arg(long, value_name = "NAME")]
    pub name: String,
    /// Allow to destroy what is guarded, by the key that the refusal shows
    #[arg(long, value_name = "KEY")]
    pub destroy: Vec<String>,
    /// Digest of the plan that was confirmed already
    #[arg(long, hide = true)]
    pub confirmed: Option<String>,
}

/// Options of `preflight`.
#[derive(Debug, Args)]
pub struct Preflight {
    /// Node file; without it, searched as the unattended install does
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
    /// Role folders
    #[arg(long, value_name = "FOLDER", default_value = run::appliance::ROLES)]
    pub roles: Utf8PathBuf,
    /// Take each leg of each bond down and up again, as an install does; never
    /// on a machine in service
    #[arg(long)]
    pub pull_legs: bool,
}

/// Options of `unlock`.
#[derive(Debug, Args)]
pub struct Unlock {
    /// Node file; without it, searched as the unattended install does
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
    /// Role folders
    #[arg(long, value_name = "FOLDER", default_value = run::appliance::ROLES)]
    pub roles: Utf8PathBuf,
}

/// Options of `repair`.
#[derive(Debug, Args)]
pub struct Repair {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Use the node file's permit (with `task = "repair"`) instead of asking
    #[arg(long)]
    pub permit: bool,
    /// Node file; without it, searched as the unattended install does, then the
    /// one the machine was installed with
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
    /// Role folders
    #[arg(long, value_name = "FOLDER", default_value = run::appliance::ROLES)]
    pub roles: Utf8PathBuf,
    /// Allow to destroy what is guarded, by the key that the refusal shows
    #[arg(long, value_name = "KEY")]
    pub destroy: Vec<String>,
    /// Digest of the plan that was confirmed already
    #[arg(long, hide = true)]
    pub confirmed: Option<String>,
}

impl Repair {
    /// As the live system's service does it.
    pub fn unattended() -> Self {
        Self {
            dry_run: false,
            permit: true,
            node: None,
            roles: run::appliance::ROLES.into(),
            destroy: Vec::new(),
            confirmed: None,
        }
    }
}

/// Options of `bmc`.
#[derive(Debug, Args)]
pub struct Bmc {
    /// What to do
    #[command(subcommand)]
    pub task: BmcTask,
}

/// What to do with the management controller. Never restarts or resets it.
#[derive(Debug, Subcommand)]
pub enum BmcTask {
    /// Show network, accounts, console, power and label, and what differs from
    /// the node file
    Show(BmcNode),
    /// Make it what the node file's `[bmc]` says; the password comes from
    /// /run/rackwright/secrets/bmc
    Apply(BmcApply),
    /// Show its event log
    Sel(BmcSel),
    /// Show temperatures, fans, voltages, power supplies
    Sensors,
}

/// Where `[bmc]` comes from.
#[derive(Debug, Args)]
pub struct BmcNode {
    /// Node file; without it, the one this machine was installed with
    #[arg(long, value_name = "FILE")]
    pub node: Option<Utf8PathBuf>,
}

/// Options of `bmc apply`.
#[derive(Debug, Args)]
pub struct BmcApply {
    /// Where `[bmc]` comes from
    #[command(flatten)]
    pub node: BmcNode,
    /// Also set its clock to this machine's time, in UTC
    #[arg(long)]
    pub set_clock: bool,
}

/// Options of `bmc sel`.
#[derive(Debug, Args)]
pub struct BmcSel {
    /// Clear it after it was shown
    #[arg(long)]
    pub clear: bool,
}

/// Options of `storage`.
#[derive(Debug, Args)]
pub struct StorageOptions {
    /// What to do
    #[command(subcommand)]
    pub task: StorageTask,
}

/// What to do with the mail store between storage servers.
#[derive(Debug, Subcommand)]
pub enum StorageTask {
    /// Show who exports, and how much a takeover would lose now
    Status,
    /// Make this machine the one that exports
    Promote(StoragePromote),
    /// Make this machine receive; what only it has is kept beside
    Demote(StorageDemote),
    /// Say that no other machine took over, when none can be asked; holds until
    /// the next boot
    Confirm,
    /// Make a snapshot (a service)
    #[command(hide = true)]
    Snapshot,
    /// Receive what is new (a service)
    #[command(hide = true)]
    Receive,
    /// Tell another storage server of this one
    #[command(hide = true)]
    Peer,
    /// Run what another storage server asks for, if it is on the list
    #[command(hide = true)]
    Answer,
}

/// Options of `storage promote`.
#[derive(Debug, Args)]
pub struct StoragePromote {
    /// Show the steps, do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// The old owner is off: you have seen it
    #[arg(long)]
    pub fenced: bool,
    /// The old owner was demoted with `--release` before
    #[arg(long, conflicts_with = "fenced")]
    pub released: bool,
    /// Accept that mail of this many seconds is lost [default: three intervals]
    #[arg(long, value_name = "SECONDS")]
    pub accept_loss: Option<u64>,
}

/// Options of `storage demote`.
#[derive(Debug, Args)]
pub struct StorageDemote {
    /// Show the steps, do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// A planned change: this machine lets go before the other takes over
    #[arg(long)]
    pub release: bool,
}

/// Options of `mail`.
#[derive(Debug, Args)]
pub struct MailOptions {
    /// What to do
    #[command(subcommand)]
    pub task: MailTask,
}

/// What to do with the mail store of this server.
#[derive(Debug, Subcommand)]
pub enum MailTask {
    /// Make what is mounted known as the mail store; for stores that are not
    /// ours
    Adopt,
    /// Show the tables of domains, users and aliases
    Schema,
}

/// Options of `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// What it must speak; `mail` is both
    pub kind: ProbeKind,
    /// Name or address
    pub host: String,
    /// Another port than 25 or 143
    #[arg(long)]
    pub port: Option<u16>,
    /// Seconds for each answer
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProbeKind {
    /// SMTP
    Smtp,
    /// IMAP
    Imap,
    /// Both
    Mail,
}

/// Options of `drain`.
#[derive(Debug, Args)]
pub struct Drain {
    /// Put it back into service
    #[arg(long)]
    pub undo: bool,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// One round, then end
    #[arg(long)]
    pub once: bool,
}

/// Options of `generate`.
#[derive(Debug, Args)]
pub struct Generate {
    /// Folder to write to
    pub folder: Utf8PathBuf,
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;

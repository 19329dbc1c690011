//! `bmc`: a server's management controller over the network, from the workstation.
//!
//! The password comes from a file or is typed; it is never an argument, which everyone on this machine could read.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::process::Command as Process;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand, ValueEnum};
use firmware::bmc::chassis::{self, Boot, BootDevice, Power};
use firmware::bmc::remote::{PORT, Session};
use firmware::bmc::{BmcError, Password, device, fru, sel, sensors, supermicro, text};
use firmware::ipmi::IpmiTransport;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::json;

/// Account, where neither the command line nor the site file names one.
pub const USER: &str = "rackwright";
/// Time for the power to be what was asked for.
const POWER_PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Bmc {
    /// Node of the site file
    #[arg(conflicts_with = "address", required_unless_present = "address")]
    node: Option<String>,
    /// Site file
    #[arg(long, value_name = "FILE", default_value = "site.toml")]
    site: Utf8PathBuf,
    /// Address of the BMC, with `:PORT` if that is not 623; no site file is read
    #[arg(long)]
    address: Option<String>,
    /// Account [default: the site file's, else rackwright]
    #[arg(long)]
    user: Option<String>,
    /// File with the password, mode 0600; without it, the password is asked for
    #[arg(long, value_name = "FILE")]
    password_file: Option<Utf8PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Show power, faults, label and clock
    Status,
    /// Switch the machine
    Power {
        /// What to do
        action: PowerAction,
    },
    /// Choose what the machine boots from next
    Boot {
        /// From what
        device: BootFrom,
        /// Not only the next time; the firmware may forget it all the same
        #[arg(long)]
        persistent: bool,
        /// By BIOS instead of UEFI
        #[arg(long)]
        legacy: bool,
    },
    /// Use the serial console; needs the program ipmitool
    Sol,
    /// Show the event log
    Sel {
        /// Clear it after it was shown
        #[arg(long)]
        clear: bool,
    },
    /// Show temperatures, fans, voltages, power supplies
    Sensors,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PowerAction {
    /// On
    On,
    /// Off at once: what is not written is lost
    Off,
    /// Off at once, and on again
    Cycle,
    /// Reset without switching off
    Reset,
    /// Ask the system to stop, as its power button does
    Soft,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BootFrom {
    /// Network
    Pxe,
    /// Disk
    Disk,
    /// Setup pages
    Bios,
    /// The firmware's own order
    Normal,
}

/// Where to, and who.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    host: String,
    user: String,
}

pub fn run(arguments: &Bmc) -> Result<u8> {
    let place = place(arguments)?;
    let password = password(arguments.password_file.as_deref(), &place)?;
    if matches!(arguments.task, Task::Sol) {
        return console(&place, &password);
    }
    let mut session = Session::open(&place.host, &place.user, &password)?;
    let mut out = std::io::stdout().lock();
    match &arguments.task {
        Task::Status => {
            let (text, value) = status(&mut session)?;
            print(&mut out, arguments.json, &text, &value)?;
        }
        Task::Power { action } => {
            let on = power(&mut session, *action)?;
            let text = format!("power {}\n", if on { "on" } else { "off" });
            print(&mut out, arguments.json, &text, &json!({"on": on}))?;
        }
        Task::Boot {
            device,
            persistent,
            legacy,
        } => {
            let boot = boot(&mut session, *device, *persistent, !*legacy)?;
            if !chassis::set_boot(&mut session, boot)? {
                writeln!(
                    std::io::stderr(),
                    "warning: the BMC keeps the device, but does not say for how long and whether by UEFI"
                )?;
            }
            let when = match boot.persistent {
                true => "from now on",
                false => "the next time",
            };
            let text = format!("boots from {} {when}\n", device.word());
            print(&mut out, arguments.json, &text, &json!({"boot": boot}))?;
        }
        // Done above.
        Task::Sol => {}
        Task::Sel { clear } => {
            let info = sel::info(&mut session)?;
            let events = sel::read(&mut session)?;
            let value = json!({"log": info, "events": events});
            print(
                &mut out,
                arguments.json,
                &text::events(info, &events),
                &value,
            )?;
            if *clear {
                sel::clear(&mut session)?;
                writeln!(std::io::stderr(), "the event log is cleared")?;
            }
        }
        Task::Sensors => {
            let sensors = sensors::read(&mut session)?;
            let value = serde_json::to_value(&sensors)?;
            print(&mut out, arguments.json, &text::sensors(&sensors), &value)?;
        }
    }
    Ok(0)
}

fn print(
    out: &mut impl std::io::Write,
    json: bool,
    text: &str,
    value: &serde_json::Value,
) -> Result<()> {
    match json {
        true => writeln!(out, "{}", serde_json::to_string_pretty(value)?)?,
        false => write!(out, "{text}")?,
    }
    Ok(())
}

fn place(arguments: &Bmc) -> Result<Place> {
    let user = arguments.user.clone();
    if let Some(address) = &arguments.address {
        return Ok(Place {
            host: address.clone(),
            user: user.unwrap_or_else(|| USER.to_owned()),
        });
    }
    let path = &arguments.site;
    let name = arguments.node.as_deref().unwrap_or_default();
    let text = fs_err::read_to_string(path).with_context(|| {
        "no site file\nhint: give it with `--site FILE`, or the BMC with `--address`".to_owned()
    })?;
    let (address, theirs) = from_site(path, &text, name)?;
    Ok(Place {
        host: address,
        user: user.or(theirs).unwrap_or_else(|| USER.to_owned()),
    })
}

/// Address and account of a node's BMC.
fn from_site(path: &Utf8Path, text: &str, name: &str) -> Result<(String, Option<String>)> {
    let (site, diagnostics) = roles::site::check(path.as_str(), text, None);
    // What the rules say of the rest of the rack does not matter here.
    let Some(site) = site else {
        return Err(diagnostics.into());
    };
    let Some(node) = site.nodes.iter().find(|node| node.name == name) else {
        let names: Vec<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
        bail!(
            "`{path}` has no node `{name}`\nhint: it has {}",
            names.join(", ")
        );
    };
    let Some(bmc) = &node.bmc else {
        bail!("node `{name}` of `{path}` has no `bmc`\nhint: give its BMC with `--address`");
    };
    Ok((bmc.address.clone(), bmc.user.clone()))
}

fn password(file: Option<&Utf8Path>, place: &Place) -> Result<Password> {
    let text = match file {
        Some(path) => from_file(path)?,
        None => ask(place)?,
    };
    Ok(Password::parse(&text)?)
}

pub fn from_file(path: &Utf8Path) -> Result<String> {
    let mode = fs_err::metadata(path)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        bail!(
            "`{path}` can be read by others (mode {mode:04o})\nhint: `chmod 600 {path}`, and change the password"
        );
    }
    Ok(fs_err::read_to_string(path)?)
}

/// Asks on the terminal, without showing what is typed.
fn ask(place: &Place) -> Result<String> {
    let terminal = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NOCTTY)
        .open("/dev/tty");
    let mut terminal = match terminal {
        Ok(terminal) if terminal.is_terminal() => terminal,
        _ => bail!(
            "there is no terminal to ask for the password\nhint: give a file with `--password-file FILE`"
        ),
    };
    write!(terminal, "password of {} at {}: ", place.user, place.host)?;
    let shown = tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_flags.remove(LocalFlags::ECHO);
    hidden.local_flags.insert(LocalFlags::ECHONL);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden)?;
    let mut line = String::new();
    let read = BufReader::new(&terminal).read_line(&mut line);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &shown)?;
    read?;
    Ok(line)
}

fn status(session: &mut Session) -> Result<(String, serde_json::Value)> {
    let device = device::read(session)?;
    let power = chassis::status(session)?;
    let label = unless_refused(fru::read(session))?.flatten();
    let time = unless_refused(sel::time(session))?.flatten();
    let mut text = format!(
        "{:<16}manufacturer {}, product {:#06x}, firmware {}\n",
        "BMC", device.manufacturer, device.product, device.firmware
    );
    text.push_str(&text::status(&power, label.as_ref()));
    let clock = time.map_or_else(|| "not set".to_owned(), sel::utc);
    text.push_str(&format!("{:<16}{clock}\n", "clock"));
    let value = json!({"bmc": device, "power": power, "label": label, "time": time});
    Ok((text, value))
}

/// What a BMC does not have is absent.
fn unless_refused<T>(result: Result<T, BmcError>) -> Result<Option<T>, BmcError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BmcError::Refused { .. } | BmcError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Switches, and waits for on and off to be so; gives what is.
fn power(session: &mut Session, action: PowerAction) -> Result<bool> {
    let wanted = match action {
        PowerAction::On => Some(true),
        PowerAction::Off => Some(false),
        _ => None,
    };
    let action = match action {
        PowerAction::On => Power::On,
        PowerAction::Off => Power::Off,
        PowerAction::Cycle => Power::Cycle,
        PowerAction::Reset => Power::Reset,
        PowerAction::Soft => Power::Soft,
    };
    if let Err(error) = chassis::control(session, action) {
        let off = error.code() == Some(0xd5) && !chassis::status(session)?.on;
        if off {
            bail!("the machine is off\nhint: `power on`");
        }
        return Err(error.into());
    }
    let started = Instant::now();
    loop {
        let on = chassis::status(session)?.on;
        if wanted.is_none_or(|wanted| wanted == on) {
            return Ok(on);
        }
        if started.elapsed() > POWER_PATIENCE {
            bail!(
                "the BMC took the command, but the machine is still {} after {} s",
                if on { "on" } else { "off" },
                POWER_PATIENCE.as_secs()
            );
        }
        session.pause(Duration::from_millis(500));
    }
}

fn boot(session: &mut Session, from: BootFrom, persistent: bool, uefi: bool) -> Result<Boot> {
    let device = match from {
        BootFrom::Pxe => BootDevice::Pxe,
        BootFrom::Disk => BootDevice::Disk,
        BootFrom::Bios => BootDevice::Bios,
        BootFrom::Normal => BootDevice::Normal,
    };
    if persistent && device == BootDevice::Bios {
        bail!("the setup pages are shown once, never for ever\nhint: leave out `--persistent`");
    }
    let who = device::read(session)?;
    Ok(Boot {
        device,
        persistent,
        uefi,
        supermicro: supermicro::is_known(who.manufacturer, who.product.into()),
    })
}

impl BootFrom {
    fn word(self) -> &'static str {
        match self {
            Self::Pxe => "network",
            Self::Disk => "disk",
            Self::Bios => "setup pages",
            Self::Normal => "what the firmware chooses",
        }
    }
}

/// Serial over LAN is left to ipmitool: `ipmi-rs` has no such payload.
fn console(place: &Place, password: &Password) -> Result<u8> {
    let (host, port) = split(&place.host);
    // A file without a name, which the program opens through us: the password is in no argument and in no folder.
    let mut file = tempfile::tempfile()?;
    password.write_to(&mut file)?;
    let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let port = port.to_string();
    let words = [
        "-I",
        "lanplus",
        "-H",
        &host,
        "-p",
        &port,
        "-U",
        &place.user,
        "-f",
        &path,
        "sol",
        "activate",
    ];
    let status = match Process::new("ipmitool").args(words).status() {
        Ok(status) => status,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "the serial console needs `ipmitool`, which is not installed\nhint: `apt-get install ipmitool`; leave the console with ~. at the start of a line"
        ),
        Err(error) => return Err(error).context("cannot start `ipmitool`"),
    };
    Ok(u8::from(!status.success()))
}

/// Address and port apart, as ipmitool wants them.
fn split(host: &str) -> (String, u16) {
    if let Ok(address) = host.parse::<std::net::SocketAddr>() {
        return (address.ip().to_string(), address.port());
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => match port.parse() {
            Ok(port) => (name.to_owned(), port),
            Err(_) => (host.to_owned(), PORT),
        },
        _ => (host.to_owned(), PORT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_ipmitool() {
        for (host, expected) in [
            ("192.0.2.1", ("192.0.2.1", 623)),
            ("192.0.2.1:9623", ("192.0.2.1", 9623)),
            ("2001:db8::1", ("2001:db8::1", 623)),
            ("[2001:db8::1]:9", ("2001:db8::1", 9)),
            ("bmc.example.net", ("bmc.example.net", 623)),
            ("bmc.example.net:9", ("bmc.example.net", 9)),
        ] {
            assert_eq!(split(host), (expected.0.to_owned(), expected.1));
        }
    }

    #[test]
    fn a_password_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("secret")).unwrap();
        std::fs::write(&path, "correct horse\n").unwrap();
        for (mode, ok) in [(0o600, true), (0o400, true), (0o640, false), (0o644, false)] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(from_file(&path).is_ok(), ok, "{mode:o}");
        }
    }

    #[test]
    fn the_site_file_knows_address_and_account() {
        let site = "format = 1\nname = \"mail\"\ndomain = \"example.net\"\nsetup = \"ha\"\nusers = 100\nquota = \"2 GB\"\n\
            [[nodes]]\nname = \"lb1\"\nrole = \"lb\"\nbmc = { address = \"10.77.10.111\", user = \"boss\" }\n\
            [[nodes]]\nname = \"lb2\"\nrole = \"lb\"\n";
        let path = Utf8Path::new("site.toml");
        assert_eq!(
            from_site(path, site, "lb1").unwrap(),
            ("10.77.10.111".to_owned(), Some("boss".to_owned()))
        );
        for (name, message) in [
            (
                "lb2",
                "node `lb2` of `site.toml` has no `bmc`\nhint: give its BMC with `--address`",
            ),
            (
                "lb9",
                "`site.toml` has no node `lb9`\nhint: it has lb1, lb2",
            ),
        ] {
            let error = from_site(path, site, name).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert!(from_site(path, "format =", "lb1").is_err());
    }
}

//! `cargo demo`: one role from nothing to a healthy machine, for someone to watch.

mod console;
mod show;

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use run::appliance::status::Status;

use crate::machine::{Boot, Firmware, MediumKind};
use crate::scenario::{Case, NodePlace, Site};
use crate::{host, images, machines};
use show::Show;

/// Build a role's image, install it on a simulated server, reboot it, show its status.
#[derive(Debug, Parser)]
#[command(name = "demo", max_term_width = 80)]
struct Options {
    /// Role to show.
    #[arg(default_value = "control", value_parser = machines::ROLES)]
    role: String,
    /// A server with legacy BIOS instead of UEFI.
    #[arg(long)]
    bios: bool,
    /// Stay on the machine's serial console afterwards.
    #[arg(long)]
    console: bool,
    /// Keep the machine's disks and logs.
    #[arg(long)]
    keep: bool,
    /// Take an image built before instead of building: DIR/ROLE/VERSION/
    #[arg(long, value_name = "DIR")]
    images: Option<Utf8PathBuf>,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if even standard error is gone.
            let _gone = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    if options.console && !std::io::stdin().is_terminal() {
        bail!("`--console` needs a terminal");
    }
    let role = options.role.as_str();
    host::prepare()?;
    let mut show = Show::new();
    if options.images.is_none() {
        show.say(&format!("building the image of role `{role}`"));
    }
    let image = images::get(options.images.as_deref(), &[role])?
        .pop()
        .context("the builder made no image")?;
    let case = Case {
        firmware: if options.bios {
            Firmware::Bios
        } else {
            Firmware::Uefi
        },
        medium: MediumKind::Usb,
        node: NodePlace::Medium,
    };
    let password = options.console.then(Password::make).transpose()?;
    let mut site = Site::new(
        role,
        &image,
        case,
        |machine| machine,
        |node| {
            node.access.password_hash = password.as_ref().map(|password| password.hash.clone());
        },
    )?;
    let machine = &site.machine.specification;
    show.say(&format!(
        "simulated {} ({:?}, {} disks, {:?}): power on from the USB stick",
        machine.board.name,
        machine.firmware,
        machine.disks.len(),
        machine.accelerator
    ));
    show.wait("waiting for the installer");
    let installed = site.install(&mut |record| show.record(record));
    show.done();
    installed?;
    show.say("the stick is pulled, the machine starts from its own disks");
    show.wait("waiting for health");
    let started = site.start(&Boot::default(), &mut |_| {});
    show.done();
    let (running, status) = started?;
    let status: Status =
        serde_json::from_value(status).context("the machine's status cannot be read")?;
    writeln!(std::io::stdout(), "\n{}", status.text().trim_end())?;
    let times = site.timings;
    show.say(&format!(
        "power-on to installer {:.0} s, install {:.0} s, power-on to healthy {:.0} s",
        times.to_first_event.as_secs_f64(),
        times.install.as_secs_f64(),
        times.to_healthy.as_secs_f64()
    ));
    if let Some(password) = password {
        show.say(&format!(
            "log in as `{}` with `{}`; Ctrl-] leaves",
            site.shell.user, password.text
        ));
        console::attach(&running.serial(0))?;
    }
    drop(running);
    if options.keep {
        let directory = site.machine.keep().to_owned();
        show.say(&format!("kept: {directory}"));
    }
    Ok(())
}

/// A password for this one machine, shown to the person who started it.
struct Password {
    text: String,
    hash: String,
}

impl Password {
    fn make() -> anyhow::Result<Self> {
        use std::io::Read as _;
        let mut bytes = [0; 6];
        fs_err::File::open(Utf8Path::new("/dev/urandom"))?.read_exact(&mut bytes)?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // By standard input: a password is in no process list.
        let mut child = Command::new("openssl")
            .args(["passwd", "-6", "-stdin"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .context("cannot start `openssl`\nhint: apt-get install openssl")?;
        if let Some(mut stdin) = child.stdin.take() {
            writeln!(stdin, "{text}")?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("`openssl passwd` ended with {}", output.status);
        }
        Ok(Self {
            text,
            hash: String::from_utf8(output.stdout)?.trim().to_owned(),
        })
    }
}

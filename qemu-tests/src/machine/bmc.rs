//! A BMC outside of QEMU: `ipmi_sim` of Debian's package openipmi. Unlike QEMU's own it has accounts, LAN settings and a
//! network: a machine sets it up from inside, and the workstation logs in to the same BMC over the loopback.
//!
//! What it lacks: Supermicro's own commands (its product id is none of theirs here, so they are not sent), settings of the
//! serial console, and of a boot wish it keeps the device only. Without the entry for its own address (`mc_add`) it opens no
//! port and says nothing.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;
use camino::{Utf8Path, Utf8PathBuf};

use super::process::Process;
use super::segment::Segment;

/// A running BMC; ended when dropped.
#[derive(Debug)]
pub struct Bmc {
    process: Process,
    folder: Utf8PathBuf,
    /// TCP port that the machine's KCS interface connects to.
    pub machine_port: u16,
    /// UDP port of its network, on 127.0.0.1.
    pub network_port: u16,
}

impl Bmc {
    /// Account and password it has at first, as Supermicro's factory leaves it.
    pub const FACTORY: &str = "ADMIN";

    /// Starts one whose files lie in `folder`, which must exist.
    ///
    /// # Errors
    /// If the program is missing or does not answer within ten seconds.
    pub fn start(folder: &Utf8Path) -> anyhow::Result<Self> {
        // Another process may take a port between our look and its start.
        for _ in 0..5 {
            let bmc = Self::start_once(folder)?;
            if bmc.answers()? {
                return Ok(bmc);
            }
        }
        bail!(
            "`ipmi_sim` does not answer; its output is in `{}`\nhint: `apt-get install openipmi`",
            folder.join("log")
        )
    }

    /// Starts one inside a segment, at an address of its own there and the usual port; it is switched off.
    ///
    /// # Errors
    /// If the program is missing.
    pub fn start_inside(
        folder: &Utf8Path,
        segment: &Segment,
        address: &str,
        machine_port: u16,
    ) -> anyhow::Result<Self> {
        let mut own = Command::new("ip");
        own.args(["address", "add", &format!("{address}/24"), "dev", "br0"]);
        let output = segment.inside(&own).output()?;
        anyhow::ensure!(
            output.status.success(),
            "no address {address}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut bmc = Self::start_at(folder, (address, 623), machine_port, Some(segment))?;
        fs_err::write(folder.join("power"), "0")?;
        std::thread::sleep(Duration::from_secs(1));
        anyhow::ensure!(
            !bmc.exited(),
            "`ipmi_sim` ended; its output is in `{}`",
            folder.join("log")
        );
        Ok(bmc)
    }

    fn start_once(folder: &Utf8Path) -> anyhow::Result<Self> {
        let network_port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let machine_port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Self::start_at(folder, ("127.0.0.1", network_port), machine_port, None)
    }

    fn start_at(
        folder: &Utf8Path,
        network: (&str, u16),
        machine_port: u16,
        segment: Option<&Segment>,
    ) -> anyhow::Result<Self> {
        let chassis = folder.join("chassis");
        fs_err::write(
            folder.join("lan.conf"),
            settings(network, machine_port, &chassis),
        )?;
        fs_err::write(folder.join("bmc.emu"), CONTROLLER)?;
        fs_err::write(&chassis, chassis_program(folder))?;
        fs_err::set_permissions(&chassis, std::fs::Permissions::from_mode(0o700))?;
        fs_err::write(folder.join("power"), "1")?;
        fs_err::write(folder.join("boot"), "none")?;
        fs_err::create_dir_all(folder.join("state"))?;
        let mut command = Command::new("ipmi_sim");
        command
            .arg("-n")
            .args(["-c", folder.join("lan.conf").as_str()])
            .args(["-f", folder.join("bmc.emu").as_str()])
            .args(["-s", folder.join("state").as_str()]);
        if let Some(segment) = segment {
            command = segment.inside(&command);
        }
        let log = fs_err::File::create(folder.join("log"))?;
        Ok(Self {
            process: Process::start_logged(&command, Some(log))?,
            folder: folder.to_owned(),
            machine_port,
            network_port: network.1,
        })
    }

    /// It answers an RMCP ping (ASF 2.0, 3.2.4.3).
    fn answers(&self) -> anyhow::Result<bool> {
        let ping = [6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 1, 0, 0];
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(2) {
            socket.send_to(&ping, ("127.0.0.1", self.network_port)).ok();
            if socket.recv(&mut [0; 64]).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// For `rackwright bmc --address`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.network_port)
    }

    /// Power as the BMC was told last: what a test must make true of its QEMU.
    ///
    /// # Errors
    /// If its file cannot be read.
    pub fn power(&self) -> anyhow::Result<bool> {
        Ok(fs_err::read_to_string(self.folder.join("power"))?.trim() == "1")
    }

    /// All that was asked of power and boot device, in order: `power=0`, `boot=pxe`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.folder.join("done")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// It has ended by itself.
    pub fn exited(&mut self) -> bool {
        self.process.exited()
    }
}

fn settings((address, network): (&str, u16), machine: u16, chassis: &Utf8Path) -> String {
    let levels: String = ["callback", "user", "operator", "admin"]
        .iter()
        .map(|level| format!(" allowed_auths_{level} none md2 md5 straight\n"))
        .collect();
    format!(
        "name \"bmc\"\nset_working_mc 0x20\n\
         startlan 1\n addr {address} {network}\n priv_limit admin\n{levels} \
         guid a123456789abcdefa123456789abcdef\nendlan\n\
         serial 15 127.0.0.1 {machine} codec VM\n\
         chassis_control \"{chassis}\"\n\
         user 1 false \"\" \"\" user 10 none md2 md5 straight\n\
         user 2 true \"{0}\" \"{0}\" admin 10 none md2 md5 straight\n",
        Bmc::FACTORY
    )
}

/// Supermicro's number, and a product that none of its own commands is sent to.
const CONTROLLER: &str = "\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 3 0x80 0xbf 0x002a7c 0x0001 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
";

/// What it asks and tells of power and boot device: `get|set WHAT [VALUE]`; the answer is `WHAT:VALUE`.
fn chassis_program(folder: &Utf8Path) -> String {
    format!(
        "#!/bin/sh\ncd '{folder}' || exit 1\nverb=$1\nshift\n\
         while [ $# -gt 0 ]; do\n  what=$1\n  shift\n\
         \x20 if [ \"$verb\" = get ]; then\n    echo \"$what:$(cat \"$what\" 2>/dev/null || echo 0)\"\n\
         \x20 else\n    echo \"$what=$1\" >> done\n    printf %s \"$1\" > \"$what\"\n    shift\n  fi\ndone\n"
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use firmware::bmc::chassis::{self, Power};
    use firmware::bmc::difference::Way;
    use firmware::bmc::{Password, Wanted, apply, remote::Session};

    use super::*;

    #[test]
    fn it_listens_on_both_sides_and_hears_of_power() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let mut bmc = Bmc::start(folder).unwrap();
        // Kept open: it dies of a line that is closed at once.
        let _line = TcpStream::connect(("127.0.0.1", bmc.machine_port)).unwrap();
        let password = Password::parse(Bmc::FACTORY).unwrap();
        let mut session = Session::open(&bmc.address(), Bmc::FACTORY, &password).unwrap();
        assert!(bmc.power().unwrap() && chassis::status(&mut session).unwrap().on);
        chassis::control(&mut session, Power::Off).unwrap();
        assert!(!bmc.power().unwrap());
        assert_eq!(bmc.asked(), ["power=0"]);
        assert!(!bmc.exited());
    }

    /// What the installer does to it from inside, done from outside: all that it can keep is kept.
    #[test]
    fn it_can_be_set_up() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let bmc = Bmc::start(folder).unwrap();
        let factory = Password::parse(Bmc::FACTORY).unwrap();
        let mut session = Session::open(&bmc.address(), Bmc::FACTORY, &factory).unwrap();
        let settings = roles::wiring::BmcSettings {
            address: Some("192.0.2.111/24".into()),
            gateway: Some("192.0.2.1".into()),
            vlan: Some(10),
            mode: None,
            user: Some("rackwright".into()),
        };
        let wanted = Wanted::parse(&settings).unwrap();
        let password = Password::parse("correct horse ba").unwrap();
        let (now, difference) =
            apply::look(&mut session, &wanted, Some(&password), Way::InBand).unwrap();
        firmware::bmc::apply(
            &mut session,
            now.channel,
            &difference,
            Some(&password),
            Way::Lan,
            &mut |_| {},
        )
        .unwrap();
        let mut session = Session::open(&bmc.address(), "rackwright", &password).unwrap();
        let (_, left) = apply::look(&mut session, &wanted, Some(&password), Way::Lan).unwrap();
        assert!(left.is_none(), "{left:?}");
    }
}

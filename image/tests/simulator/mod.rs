//! BMCs over the network: `ipmi_sim` (Debian's package openipmi) on the loopback.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Password of its account `ADMIN`.
pub const PASSWORD: &str = "ADMIN";

/// A simulated BMC; ended by its process id when dropped, however the test ends.
pub struct Simulator {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Simulator {
    pub fn start() -> Self {
        // Another test may take the port between our look and the simulator's start: then once more with another.
        for _ in 0..5 {
            let simulator = Self::try_start();
            if simulator.answers() {
                return simulator;
            }
        }
        panic!("`ipmi_sim` does not answer");
    }

    fn try_start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let path = |name: &str| folder.path().join(name);
        fs::write(path("lan.conf"), lan_conf(port, &path("chassis"))).unwrap();
        fs::write(path("bmc.emu"), EMULATOR).unwrap();
        fs::write(path("chassis"), chassis_program(folder.path())).unwrap();
        fs::set_permissions(path("chassis"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(path("power"), "0").unwrap();
        fs::write(path("boot"), "none").unwrap();
        fs::create_dir(path("state")).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let process = Command::new("ipmi_sim")
            .arg("-n")
            .arg("-c")
            .arg(path("lan.conf"))
            .arg("-f")
            .arg(path("bmc.emu"))
            .arg("-s")
            .arg(path("state"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start `ipmi_sim`: {error}\nhint: `apt-get install openipmi`")
            });
        Self {
            process,
            port,
            folder,
        }
    }

    /// The answer to an RMCP ping (ASF 2.0, 3.2.4.3) comes.
    fn answers(&self) -> bool {
        let ping = [6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 1, 0, 0];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            socket.send_to(&ping, self.address()).ok();
            if socket.recv(&mut [0; 64]).is_ok() {
                return true;
            }
        }
        false
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A file of its state.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn lan_conf(port: u16, chassis: &Path) -> String {
    let auths: String = ["callback", "user", "operator", "admin"]
        .iter()
        .map(|level| format!(" allowed_auths_{level} none md2 md5 straight\n"))
        .collect();
    format!(
        "name \"bmc\"\nset_working_mc 0x20\n\
         startlan 1\n addr 127.0.0.1 {port}\n priv_limit admin\n{auths} \
         guid a123456789abcdefa123456789abcdef\nendlan\n\
         chassis_control \"{}\"\n\
         user 1 false \"\" \"\" user 10 none md2 md5 straight\n\
         user 2 true \"ADMIN\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n",
        chassis.display()
    )
}

/// Supermicro's maker and an X10 product. A record is a full sensor record of 43.1: CPU temperature in degrees.
const EMULATOR: &str = "\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 3 0x80 0xbf 0x002a7c 0x0859 persist_sdr
sel_enable 0x20 100 0x0a
sel_add 0x20 0x02 0x00 0x75 0x03 0x6b 0x20 0x00 0x04 0x08 0xc8 0x6f 0x03 0xff 0xff
sensor_add 0x20 0 1 1 1
sensor_set_event_support 0x20 0 1 enable scanning per-state 000000000000000 000000000000000 000000000000000 000000000000000
sensor_set_value 0x20 0 1 42 0
main_sdr_add 0x20 \\
 0x00 0x00 0x51 0x01 0x34 0x20 0x00 0x01 0x03 0x01 0x67 0x88 0x01 0x01 0x00 0x00 \\
 0x00 0x00 0x00 0x00 0x00 0x01 0x00 0x00 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00 \\
 0x00 0x00 0xff 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0xc9 \\
 0x43 0x50 0x55 0x31 0x20 0x54 0x65 0x6d 0x70
mc_enable 0x20
";

/// What the simulator asks for power and boot device: `get|set WHAT [VALUE]`; the answer is `WHAT:VALUE`.
fn chassis_program(folder: &Path) -> String {
    format!(
        "#!/bin/sh\ncd '{}' || exit 1\nverb=$1\nshift\n\
         while [ $# -gt 0 ]; do\n  what=$1\n  shift\n\
         \x20 if [ \"$verb\" = get ]; then\n    echo \"$what:$(cat \"$what\" 2>/dev/null || echo 0)\"\n\
         \x20 else\n    echo \"$what=$1\" >> done\n    printf %s \"$1\" > \"$what\"\n    shift\n  fi\ndone\n",
        folder.display()
    )
}

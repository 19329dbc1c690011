//! DHCP and TFTP for firmware that knows nothing better: dnsmasq, as a child of the depot. Its configuration is a pure function
//! of a few settings; beside a DHCP server that is there it only adds the boot file (proxyDHCP, PXE 2.1, 2.2.3), on a network of
//! its own it gives addresses too.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

/// iPXE for BIOS, which uses the card's own driver (UNDI).
pub const BIOS: &str = "undionly.kpxe";
/// iPXE for UEFI, 64 bits.
pub const UEFI: &str = "ipxe.efi";

/// Settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Port of this machine in the network of the servers.
    pub interface: String,
    /// Where machines reach the depot: `10.77.10.11:9211`.
    pub host: String,
    /// Own addresses, or beside another server.
    pub kind: Kind,
    /// Machines whose address is known, for `Own`.
    pub machines: Vec<Reservation>,
}

/// Who gives addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Another server.
    Proxy {
        /// Any address of the network.
        network: Ipv4Addr,
    },
    /// This one.
    Own {
        /// First.
        first: Ipv4Addr,
        /// Last.
        last: Ipv4Addr,
    },
}

/// A machine's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// MAC address.
    pub mac: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Host name.
    pub name: String,
}

/// The configuration, dnsmasq(8). `tftp`: folder of the two loaders.
#[must_use]
pub fn configuration(settings: &Settings, tftp: &Utf8Path) -> String {
    let Settings {
        interface, host, ..
    } = settings;
    let script = format!("http://{host}/boot.ipxe");
    let mut text = format!(
        "# Made by `rackwright serve` at each start.\n\
         # DHCP and TFTP only: no DNS.\n\
         port=0\n\
         interface={interface}\n\
         bind-interfaces\n\
         no-resolv\n\
         no-hosts\n\
         log-dhcp\n\
         enable-tftp\n\
         tftp-root={tftp}\n\
         # Option 175 is iPXE's; architectures are those of RFC 4578 and the IANA list.\n\
         dhcp-match=set:ipxe,175\n\
         dhcp-match=set:bios,option:client-arch,0\n\
         dhcp-match=set:uefi,option:client-arch,7\n\
         dhcp-match=set:uefi,option:client-arch,9\n\
         dhcp-match=set:http,option:client-arch,16\n"
    );
    match &settings.kind {
        Kind::Proxy { network } => {
            text.push_str(&format!(
                "# Beside the DHCP server of this network.\n\
                 dhcp-range={network},proxy\n\
                 pxe-service=tag:!ipxe,x86PC,\"Rackwright\",{BIOS}\n\
                 pxe-service=tag:!ipxe,BC_EFI,\"Rackwright\",{UEFI}\n\
                 pxe-service=tag:!ipxe,X86-64_EFI,\"Rackwright\",{UEFI}\n\
                 dhcp-boot=tag:ipxe,{script}\n"
            ));
        }
        Kind::Own { first, last } => {
            text.push_str(&format!(
                "# The only DHCP server of this network.\n\
                 dhcp-authoritative\n\
                 dhcp-range={first},{last},1h\n\
                 # No router: what machines need is here.\n\
                 dhcp-option=3\n\
                 dhcp-boot=tag:ipxe,{script}\n\
                 dhcp-boot=tag:!ipxe,tag:bios,{BIOS}\n\
                 dhcp-boot=tag:!ipxe,tag:uefi,{UEFI}\n\
                 # UEFI's HTTP boot wants to read its own class (UEFI 2.10, 24.7.3.1).\n\
                 dhcp-option-force=tag:!ipxe,tag:http,60,HTTPClient\n\
                 dhcp-boot=tag:!ipxe,tag:http,http://{host}/boot/{UEFI}\n"
            ));
            for machine in &settings.machines {
                text.push_str(&format!(
                    "dhcp-host={},{},{}\n",
                    machine.mac, machine.address, machine.name
                ));
            }
        }
    }
    text
}

/// The running child; ends with this value, and with the depot.
pub struct Server {
    child: Child,
    command: Vec<String>,
}

/// Pause before a child that ended is started again.
const PAUSE: Duration = Duration::from_secs(2);

impl Server {
    /// Writes configuration and loaders into `folder` and starts dnsmasq. `loaders`: folder with the two files of iPXE.
    ///
    /// # Errors
    /// A file is missing, or dnsmasq does not start.
    pub fn start(
        settings: &Settings,
        folder: &Utf8Path,
        loaders: &Utf8Path,
    ) -> std::io::Result<Self> {
        let tftp = folder.join("tftp");
        fs_err::create_dir_all(&tftp)?;
        for name in [BIOS, UEFI] {
            fs_err::copy(loaders.join(name), tftp.join(name))?;
        }
        // dnsmasq leaves root behind, and its files must be read by the account it becomes.
        let configuration_file = folder.join("dnsmasq.conf");
        fs_err::write(&configuration_file, configuration(settings, &tftp))?;
        let command = command(folder, &configuration_file);
        Ok(Self {
            child: spawn(&command)?,
            command,
        })
    }

    /// Waits for the child for as long as it lives, and starts it again, until that fails.
    pub fn watch(mut self) {
        loop {
            match self.child.wait() {
                Ok(status) => tracing::warn!("dnsmasq ended ({status}) and is started again"),
                Err(error) => tracing::warn!("dnsmasq: {error}"),
            }
            std::thread::sleep(PAUSE);
            match spawn(&self.command) {
                Ok(child) => self.child = child,
                Err(error) => {
                    tracing::error!("dnsmasq does not start: {error}");
                    return;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// setpriv(1) ends it when the depot dies by whatever signal.
fn command(folder: &Utf8Path, configuration: &Utf8Path) -> Vec<String> {
    vec![
        "setpriv".to_owned(),
        "--pdeathsig".to_owned(),
        "TERM".to_owned(),
        "dnsmasq".to_owned(),
        "--keep-in-foreground".to_owned(),
        "--log-facility=-".to_owned(),
        // Where the files of the depot lie, only its owner may read.
        "--user=root".to_owned(),
        format!("--dhcp-leasefile={}", leases(folder)),
        "--pid-file=".to_owned(),
        format!("--conf-file={configuration}"),
    ]
}

fn leases(folder: &Utf8Path) -> Utf8PathBuf {
    folder.join("dnsmasq.leases")
}

fn spawn(command: &[String]) -> std::io::Result<Child> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| std::io::Error::other("no command"))?;
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| {
            std::io::Error::new(
                error.kind(),
                format!("`{program}` cannot be started: {error}\nhint: install util-linux and dnsmasq-base"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds() {
        let settings = |kind| Settings {
            interface: "eno1".into(),
            host: "10.77.10.11:9211".into(),
            kind,
            machines: vec![Reservation {
                mac: "0c:c4:7a:00:00:01".into(),
                address: Ipv4Addr::new(10, 77, 10, 21),
                name: "db1".into(),
            }],
        };
        let proxy = Kind::Proxy {
            network: Ipv4Addr::new(10, 77, 10, 0),
        };
        let own = Kind::Own {
            first: Ipv4Addr::new(10, 77, 10, 200),
            last: Ipv4Addr::new(10, 77, 10, 250),
        };
        let tftp = Utf8Path::new("/depot/tftp");
        insta::assert_snapshot!("proxy", configuration(&settings(proxy), tftp));
        insta::assert_snapshot!("own", configuration(&settings(own), tftp));
    }
}

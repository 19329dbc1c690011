//! A network of its own for machines and a depot: a bridge with taps in a network namespace, where real daemons listen. It ends
//! with its value, whatever happens.

use std::process::Command;
use std::time::{Duration, Instant};

use super::process::Process;

/// Address of the host in a segment.
pub const HOST: &str = "10.77.10.250";
/// Bridge of the management network.
const BRIDGE: &str = "br0";

/// The first bridge is `br0`. `$1`: whether another DHCP server is there; `$2`: further bridges, as `name=address`; `$3`: the
/// bridge of each tap, which are `tap0`, `tap1`, ...
const MAKE: &str = r#"
set -e
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
ip address add 10.77.10.250/24 dev br0
for bridge in $2; do
    ip link add "${bridge%%=*}" type bridge
    ip link set "${bridge%%=*}" up
    ip address add "${bridge#*=}" dev "${bridge%%=*}"
done
number=0
for bridge in $3; do
    ip tuntap add "tap$number" mode tap
    ip link set "tap$number" master "$bridge" up
    number=$((number + 1))
done
if [ "$1" = other ]; then
    unshare --net sleep infinity &
    other=$!
    sleep 0.5
    ip link add other0 type veth peer name eth0 netns "$other"
    ip link set other0 master br0 up
    nsenter --net="/proc/$other/ns/net" ip address add 10.77.10.1/24 dev eth0
    nsenter --net="/proc/$other/ns/net" ip link set eth0 up
    nsenter --net="/proc/$other/ns/net" dnsmasq --keep-in-foreground --port=0 --interface=eth0 --bind-interfaces \
        --conf-file=/dev/null --dhcp-range=10.77.10.100,10.77.10.150,1h --user=root --pid-file= --dhcp-leasefile=/dev/null &
fi
ip link add ready type dummy 2>/dev/null || ip link add ready type bridge
exec sleep infinity
"#;

/// A network segment.
#[derive(Debug)]
pub struct Segment {
    holder: Process,
    /// The bridge of each tap.
    taps: Vec<String>,
}

impl Segment {
    /// Makes it. `other`: with a DHCP server that is not the depot's.
    ///
    /// # Errors
    /// The kernel or this account does not allow it.
    pub fn new(other: bool) -> anyhow::Result<Self> {
        Self::with(other, &[], vec![BRIDGE.to_owned(); 4])
    }

    /// Makes one with further bridges: name, and the host's address there with prefix length. `taps`: the bridge of each.
    ///
    /// # Errors
    /// The kernel or this account does not allow it.
    pub fn with(other: bool, bridges: &[(&str, &str)], taps: Vec<String>) -> anyhow::Result<Self> {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--net", "sh", "-c", MAKE, "sh"]);
        let more: Vec<String> = bridges
            .iter()
            .map(|(name, address)| format!("{name}={address}"))
            .collect();
        command.arg(if other { "other" } else { "alone" });
        command.args([more.join(" "), taps.join(" ")]);
        let mut segment = Self {
            holder: Process::start(&command)?,
            taps,
        };
        let began = Instant::now();
        let mut look = Command::new("ip");
        look.args(["link", "show", "ready"]);
        while !segment
            .inside(&look)
            .output()
            .is_ok_and(|output| output.status.success())
        {
            anyhow::ensure!(
                !segment.holder.exited() && began.elapsed() < Duration::from_secs(20),
                "no network namespace with bridge and taps can be made here"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(segment)
    }

    /// What a machine's port is plugged into.
    ///
    /// # Errors
    /// There are fewer taps.
    pub fn tap(&self, number: u32) -> anyhow::Result<super::Network> {
        anyhow::ensure!(
            usize::try_from(number).is_ok_and(|number| number < self.taps.len()),
            "there are {} taps",
            self.taps.len()
        );
        Ok(super::Network::Tap {
            name: format!("tap{number}"),
            namespace: self.holder.id(),
        })
    }

    /// Pulls the cable of a tap out of its bridge, or puts it back. The machine keeps its carrier, as behind a switch that lost
    /// its way to the others.
    ///
    /// # Errors
    /// There is no such tap.
    pub fn plug(&self, number: u32, plugged: bool) -> anyhow::Result<()> {
        self.tap(number)?;
        let mut command = Command::new("ip");
        command.args(["link", "set", &format!("tap{number}")]);
        match self.taps.get(usize::try_from(number)?) {
            Some(bridge) if plugged => command.args(["master", bridge]),
            _ => command.arg("nomaster"),
        };
        let output = self.inside(&command).output()?;
        anyhow::ensure!(
            output.status.success(),
            "tap{number}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// The process whose network namespace it is.
    #[must_use]
    pub fn namespace(&self) -> u32 {
        self.holder.id()
    }

    /// Bytes that went to a machine so far.
    ///
    /// # Errors
    /// There is no such port.
    pub fn sent(&self, number: u32) -> anyhow::Result<u64> {
        let mut command = Command::new("ip");
        command.args([
            "-json",
            "-statistics",
            "link",
            "show",
            &format!("tap{number}"),
        ]);
        let output = self.inside(&command).output()?;
        let links: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let bytes = links.pointer("/0/stats64/tx/bytes");
        bytes
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(|| anyhow::anyhow!("tap{number} has no statistics"))
    }

    /// The same command inside.
    #[must_use]
    pub fn inside(&self, command: &Command) -> Command {
        inside(self.holder.id(), command)
    }
}

/// The same command in the network namespace of a process.
pub(super) fn inside(namespace: u32, command: &Command) -> Command {
    let mut wrapped = Command::new("nsenter");
    if !nix::unistd::geteuid().is_root() {
        wrapped.args(["--user", "--preserve-credentials"]);
    }
    wrapped
        .args(["--net", "--target", &namespace.to_string(), "--"])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
}

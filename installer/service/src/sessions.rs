//! Web sessions on the load balancers: Valkey on each, one of them the primary. It is the one that has the address of the
//! databases, which keepalived moves; the other copies from that address. No sentinel and no vote of its own: two ways to
//! choose would one day choose differently.

use std::time::Duration;

use camino::Utf8Path;
use roles::NodeFile;
use system::{Command, System, delivered::secret};

use crate::{
    serve::{Report, State, run},
    settings::Front,
};

/// Read by `/etc/valkey/valkey.conf`; without it the unit does not start.
const PASSWORDS: &str = "/run/rackwright/sessions/valkey.conf";
const UNIT: &str = "valkey-server.service";
/// Valkey's.
pub const PORT: u16 = 6379;

/// What a server is to the others (`INFO replication`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// Takes writes.
    Primary,
    /// Copies from this address.
    Replica(String),
}

/// Reads `INFO replication`.
#[must_use]
pub fn read(info: &str) -> Option<Now> {
    let value = |key: &str| {
        let line = info.lines().find_map(|line| line.trim().strip_prefix(key));
        line.and_then(|rest| rest.strip_prefix(':'))
    };
    match value("role")? {
        "master" => Some(Now::Primary),
        "slave" => Some(Now::Replica(
            value("master_host").unwrap_or_default().to_owned(),
        )),
        _ => None,
    }
}

/// The command that makes a server what it should be; none if it is.
#[must_use]
pub fn command(holds: bool, now: &Now, address: &str) -> Option<[String; 3]> {
    let words =
        |host: &str, port: &str| Some(["REPLICAOF".to_owned(), host.to_owned(), port.to_owned()]);
    match (holds, now) {
        (true, Now::Primary) => None,
        (true, Now::Replica(_)) => words("NO", "ONE"),
        (false, Now::Replica(host)) if host == address => None,
        (false, _) => words(address, &PORT.to_string()),
    }
}

/// One round; nothing where the plan has no store of sessions here.
///
/// # Errors
/// What is missing, or failed.
pub fn round(system: &dyn System, node: &NodeFile, settings: &Front) -> Result<(), Report> {
    let Some(address) = settings.session_store.as_deref() else {
        return Ok(());
    };
    let failed = |text: String| Report::new(State::Failed, text);
    let password = secret(system, "sessions")
        .ok_or_else(|| Report::waits("the secret `sessions` was not delivered"))?;
    if password.bytes().any(|byte| !byte.is_ascii_alphanumeric()) {
        return Err(Report::refused(
            &"the secret `sessions` has characters that configuration files treat specially",
        ));
    }
    let text = format!("requirepass {password}\nprimaryauth {password}\n");
    let path = Utf8Path::new(PASSWORDS);
    if !system
        .read(path)
        .is_ok_and(|there| there == text.as_bytes())
    {
        let folder = Utf8Path::new("/run/rackwright/sessions");
        system
            .make_directory(folder)
            .and_then(|()| system.write(path, text.as_bytes(), 0o600))
            .map_err(|error| failed(error.to_string()))?;
        run(system, &["chown", "root:valkey", PASSWORDS]).map_err(failed)?;
        run(system, &["chmod", "0640", PASSWORDS]).map_err(failed)?;
    }
    run(system, &["systemctl", "start", UNIT]).map_err(failed)?;
    // In the environment, which only root and the program see (proc(5)).
    let ask = |words: &[String]| {
        let command = Command::new("valkey-cli")
            .args(["-h", "127.0.0.1", "--no-auth-warning"])
            .args(words.iter().cloned())
            .env("REDISCLI_AUTH", &password)
            .timeout(Duration::from_secs(5));
        let output = system.run(&command);
        output
            .map(|output| output.stdout)
            .map_err(|error| failed(format!("Valkey does not answer: {error}")))
    };
    let said = ask(&["INFO".to_owned(), "replication".to_owned()])?;
    let now = read(&said)
        .ok_or_else(|| Report::waits("Valkey to say whether it is primary or replica"))?;
    let holds = held(system, node, settings, address).map_err(failed)?;
    if let Some(words) = command(holds, &now, address) {
        // An error comes with exit code 0.
        let said = ask(&words)?;
        if !said.trim_start().starts_with("OK") {
            return Err(failed(format!(
                "Valkey to `{}`: {}",
                words.join(" "),
                said.trim()
            )));
        }
    }
    Ok(())
}

fn held(
    system: &dyn System,
    node: &NodeFile,
    settings: &Front,
    address: &str,
) -> Result<bool, String> {
    let bare = |text: &str| text.split('/').next().unwrap_or_default() == address;
    let Some(vip) = settings.vips.iter().find(|vip| bare(&vip.address)) else {
        return Ok(false);
    };
    let network = node
        .networks
        .iter()
        .find(|network| network.name == vip.network);
    let interface = network
        .and_then(roles::node::Network::interface)
        .unwrap_or_else(|| format!("{}0", vip.network));
    join::address::is_held(system, &vip.address, &interface)
}

#[cfg(test)]
mod tests {
    use system::Simulated;

    use super::*;

    #[test]
    fn the_holder_of_the_address_is_the_primary() {
        let replica = |host: &str| Now::Replica(host.to_owned());
        let table = [
            (true, Now::Primary, ""),
            (true, replica("10.0.3.9"), "REPLICAOF NO ONE"),
            (false, Now::Primary, "REPLICAOF 10.0.3.9 6379"),
            (false, replica("10.0.3.9"), ""),
            (false, replica("10.0.3.8"), "REPLICAOF 10.0.3.9 6379"),
        ];
        for (holds, now, wanted) in table {
            let words = command(holds, &now, "10.0.3.9").map(|words| words.join(" "));
            assert_eq!(words.unwrap_or_default(), wanted, "{holds} {now:?}");
        }
        assert_eq!(read("# Replication\r\nrole:master\r\n"), Some(Now::Primary));
        let info = "role:slave\r\nmaster_host:10.0.3.9\r\nmaster_port:6379\r\n";
        assert_eq!(read(info), Some(replica("10.0.3.9")));
        assert_eq!(read("NOAUTH"), None);
    }

    #[test]
    fn a_round_turns_a_new_holder_into_the_primary() {
        let system = Simulated::new();
        for program in ["systemctl", "chown", "chmod"] {
            system.answer(program, Ok(""));
        }
        let node: NodeFile = toml::from_str(
            "format = 1\nnode = \"lb1\"\nrole = \"lb\"\n[[networks]]\nname = \"cluster\"\nmac = \"0c:c4:7a:00:00:01\"\naddresses = [\"10.0.3.5/24\"]\n\
             [settings]\nsession_store = \"10.0.3.9\"\nvips = [{ name = \"database\", network = \"cluster\", address = \"10.0.3.9/24\", router_id = 5, priority = 150, peers = [\"10.0.3.6\"] }]\n",
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let settings: Front = roles::role::settings(&Default::default(), &node)
            .unwrap_or_else(|error| panic!("{error}"));
        let said = |result: Result<(), Report>| result.err().map(|report| report.detail);
        assert_eq!(
            said(round(&system, &node, &settings)).as_deref(),
            Some("the secret `sessions` was not delivered")
        );
        system.put_file("/run/rackwright/secrets/sessions", b"abc\n");
        system.answer(
            "ip -oneline",
            Ok("2: cluster0 inet 10.0.3.9/24 scope global\n"),
        );
        system.answer(
            "valkey-cli -h 127.0.0.1 --no-auth-warning INFO",
            Ok("role:slave\r\nmaster_host:10.0.3.9\r\n"),
        );
        system.answer(
            "valkey-cli -h 127.0.0.1 --no-auth-warning REPLICAOF",
            Ok("OK\n"),
        );
        assert_eq!(said(round(&system, &node, &settings)), None);
        let commands = system.commands().join("\n");
        assert!(commands.ends_with("REPLICAOF NO ONE"), "{commands}");
        assert!(!commands.contains("abc"), "{commands}");
        let written = system.read(Utf8Path::new(PASSWORDS)).unwrap_or_default();
        assert_eq!(written, b"requirepass abc\nprimaryauth abc\n");
    }
}

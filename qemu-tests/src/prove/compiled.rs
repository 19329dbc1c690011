//! From `rackwright init` to a running machine: the first site file, what its owner fills in, `compile`, and the node file
//! that comes out installs the reference machine of each role without anyone at the keyboard.

use anyhow::{Context as _, ensure};
use camino::Utf8Path;
use roles::compile::Seed;
use roles::node::NodeFile;
use roles::role::Purpose;
use roles::site::{init, model::Setup};
use toml::{Table, Value};

use super::machines::{Test, UEFI_USB, finish, more_data_disks};
use crate::images::{Image, workspace};
use crate::machine::{Bmc, add_file};
use crate::machines;
use crate::scenario::Site;

pub(super) fn tests() -> Vec<Test> {
    [
        ("compiled::storage", "storage"),
        ("compiled::backup", "backup"),
        ("compiled::control", "control"),
        ("compiled::lb", "lb"),
        ("compiled::production", "production"),
        ("compiled::standalone", "standalone"),
        ("compiled::database", "database"),
        ("compiled::galera", "galera"),
    ]
    .map(|(name, role)| Test {
        name,
        role,
        run: install,
    })
    .into()
}

/// Nobody has its other half.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzN1nJZtnBZ0qk0nQ2fFvXKwUDL0IuPSN1CZ0O4pYkM a";

/// What `compile` makes for one machine.
struct Made {
    node: NodeFile,
    sealed: String,
    code: String,
    /// Names of its secrets.
    secrets: Vec<String>,
}

impl Made {
    /// Number of spinning SAS disks that storage and backup ask for; the other roles' data disks are of other kinds.
    fn data_disks(&self) -> u32 {
        let groups = self.node.disks.iter();
        let groups = groups.filter(|need| need.purpose == Purpose::Data);
        match self.node.role.as_str() {
            "storage" | "backup" => groups.map(|need| need.count).sum(),
            _ => 0,
        }
    }
}

fn install(test: &Test, image: &Image) -> anyhow::Result<()> {
    // The BMC that QEMU has inside knows no network. A load balancer is a virtual machine and has none.
    let folder = tempfile::tempdir()?;
    let folder = Utf8Path::from_path(folder.path()).context("the folder has no UTF-8 name")?;
    let bmc = (test.role != "lb")
        .then(|| Bmc::start(folder))
        .transpose()?;
    // The sizing table wants more disks than the small machine has.
    let wanted = compiled(test.role, &[KEY.to_owned()])?.data_disks();
    let mut made = Err(anyhow::anyhow!("the node file was not asked for"));
    let mut site = Site::new(
        test.role,
        image,
        UEFI_USB,
        |machine| {
            let machine = more_data_disks(machine, wanted);
            match &bmc {
                Some(bmc) => machine.external_bmc(bmc.machine_port),
                None => machine,
            }
        },
        |file| {
            made = compiled(test.role, &file.access.ssh_keys);
            if let Ok(made) = &made {
                file.clone_from(&made.node);
            }
        },
    )?;
    let made = made?;
    let name = &made.node.node;
    add_file(&site.medium, &format!("{name}.sealed"), &made.sealed)?;
    add_file(&site.medium, &format!("{name}.unlock"), &made.code)?;
    let status = finish(&mut site)?;
    let delivered: Vec<String> = serde_json::from_value(status["secrets"].clone())?;
    ensure!(
        delivered == made.secrets,
        "after the first boot there are the secrets {delivered:?}, not {:?}",
        made.secrets
    );
    Ok(())
}

/// The machine of `role` in the first site file of a setup that has such a machine.
fn compiled(role: &str, ssh_keys: &[String]) -> anyhow::Result<Made> {
    let (setup, users) = match role {
        "standalone" => (Setup::Standard, 1000),
        "database" => (Setup::Failover, 5000),
        "control" => (Setup::Cluster, 60_000),
        _ => (Setup::Ha, 25_000),
    };
    let (text, name) = filled_in(&init(setup, users, "mail"), role, ssh_keys)?;
    let roles = roles::folder::read(&workspace().join("roles"))?;
    let (site, found) = roles::site::check("site.toml", &text, Some(&roles));
    ensure!(!found.has_errors(), "{}", found.render(false));
    let site = site.context("no site")?;
    // Secrets of a simulated machine.
    let seed = Seed::new([7; 32]);
    let all = roles::compile::compile(&site, &seed, Some(&roles), Some("test"));
    let mut node = all
        .node_file(&name)
        .with_context(|| format!("no node file of `{name}`"))?;
    // A site file has no such word: on real disks the first resync runs, on sparse images it would run for hours.
    node.storage.initial_sync = Some("skip".to_owned());
    let secrets = all
        .secrets
        .get(&name)
        .with_context(|| format!("no secrets of `{name}`"))?;
    Ok(Made {
        node,
        sealed: seed.seal(&name, secrets),
        code: seed.unlock_code(&name).text().to_string(),
        secrets: secrets.iter().map(|(name, _)| name.to_owned()).collect(),
    })
}

/// What an owner changes in the first site file: who may log in, and of one machine the board's serial number and which port
/// carries which network. Gives the text and the machine's name.
pub(super) fn filled_in(
    text: &str,
    role: &str,
    ssh_keys: &[String],
) -> anyhow::Result<(String, String)> {
    let mut site: Table = text.parse()?;
    let access = site
        .get_mut("access")
        .and_then(Value::as_table_mut)
        .context("no `access`")?;
    access.insert("ssh_keys".to_owned(), ssh_keys.to_vec().into());
    let serial = machines::board_serial(role);
    let name = fill(&mut site, role, 0, &serial, &machines::mac, None)?;
    Ok((toml::to_string(&site)?, name))
}

/// Says of machine `number` (from 0) of a role what it is: serial number of its board, MAC addresses of its ports by their
/// order, and where its BMC is reached. Gives its name.
pub(crate) fn fill(
    site: &mut Table,
    role: &str,
    number: usize,
    serial: &str,
    mac: &dyn Fn(usize) -> String,
    bmc: Option<(&str, &str)>,
) -> anyhow::Result<String> {
    let node = site
        .get_mut("nodes")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_table_mut)
        .filter(|node| node.get("role").and_then(Value::as_str) == Some(role))
        .nth(number)
        .with_context(|| format!("no machine {number} with the role `{role}`"))?;
    node.insert("serial".to_owned(), serial.into());
    let addresses = node.get("addresses").and_then(Value::as_table);
    let links: Vec<Value> = machines::networks(role)
        .iter()
        .enumerate()
        .filter(|(_, network)| addresses.is_some_and(|all| all.contains_key(**network)))
        .map(|(index, network)| {
            let port = Table::from_iter([("mac".to_owned(), mac(index).into())]);
            Value::Table(Table::from_iter([
                ("networks".to_owned(), Value::Array(vec![(*network).into()])),
                ("ports".to_owned(), Value::Array(vec![Value::Table(port)])),
            ]))
        })
        .collect();
    node.insert("links".to_owned(), Value::Array(links));
    if let Some((address, user)) = bmc {
        let bmc = Table::from_iter([
            ("address".to_owned(), Value::from(address)),
            ("user".to_owned(), user.into()),
        ]);
        node.insert("bmc".to_owned(), Value::Table(bmc));
    }
    let name = node.get("name").and_then(Value::as_str);
    Ok(name.context("a machine without name")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_a_node_file() {
        for role in machines::ROLES {
            let made = compiled(role, &[KEY.to_owned()])
                .unwrap_or_else(|error| panic!("{role}: {error:#}"));
            assert_eq!(made.node.role, role);
            // Its way to a certificate: a token, what the authority is made of, or the identity itself.
            let ways = ["join-token", "ca-key-seed", "identity-key"];
            assert!(
                ways.iter()
                    .any(|way| made.secrets.iter().any(|name| name == way)),
                "{role}"
            );
            assert!(!made.node.networks.is_empty(), "{role}");
            for network in &made.node.networks {
                assert!(network.on.is_some(), "{role}: {}", network.name);
            }
        }
    }
}

//! Mail on whole machines: a standalone server takes and gives mail; storage and backup export, replicate and change places,
//! and a mail server mounts what they export.
//!
//! Machines have their first port on QEMU's own network, where the test comes in, and the others on a switch of this process.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use roles::NodeFile;
use roles::node::Host;
use toml::{Table, Value};

use super::machines::{Test, UEFI_USB, finish};
use super::server::{Server, beside, time};
use crate::images::Image;
use crate::machine::{Network as Plug, Nic, NicModel};
use crate::machines;
use crate::scenario::Site;
use crate::switch::{Port, Switch};

pub(super) fn tests() -> Vec<Test> {
    let test = |name, role, run| Test { name, role, run };
    vec![
        test("cluster::mail-standalone", "standalone", standalone),
        test("cluster::mail-storage", "storage", storage),
    ]
}

/// What the role itself says, and the last warnings.
const LOOK: &str =
    "cat /run/rackwright/service.json; echo; sudo journalctl -q -n 15 --no-pager -o cat -p warning";
/// What the compiler would have sealed for the machine.
const SECRET: &str = "abcdefghijkmnpqrstuvwxyz23456789";

/// Installs it with these settings; its ports but the first are plugged in `VLAN` order of its networks.
pub(super) fn install(
    role: &str,
    image: &Image,
    number: u8,
    switch: &Switch,
    edit: impl FnOnce(&mut NodeFile),
) -> anyhow::Result<Server> {
    let name = format!("{role}{number}");
    let wires = machines::networks(role)
        .iter()
        .skip(1)
        .map(|network| switch.address(&format!("{name}-{network}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut site = Site::new(
        role,
        image,
        UEFI_USB,
        |builder| {
            let builder = builder.keep_first_nic();
            wires
                .iter()
                .enumerate()
                .fold(builder, |builder, (index, port)| {
                    builder.nic(Nic {
                        mac: mac(number, index + 1),
                        model: NicModel::Virtio,
                        network: Plug::Switch { port: *port },
                    })
                })
        },
        |file| {
            file.node.clone_from(&name);
            for (index, network) in file.networks.iter_mut().enumerate().skip(1) {
                network.mac = Some(mac(number, index));
                network.addresses = vec![format!("{}/24", address(&network.name, number))];
            }
            edit(file);
        },
    )?;
    finish(&mut site).with_context(|| format!("`{name}`"))?;
    let mut server = Server::new(site, LOOK);
    start(&mut server)?;
    Ok(server)
}

/// Switches it on, and puts its secrets where the sealed ones would come.
fn start(server: &mut Server) -> anyhow::Result<()> {
    server.start()?;
    server.run("sudo install -d -m 700 /run/rackwright/secrets")?;
    for purpose in ["database-app", "storage-replication"] {
        server.run(&format!(
            "printf %s {SECRET} | sudo install -m 600 /dev/stdin /run/rackwright/secrets/{purpose}"
        ))?;
    }
    Ok(())
}

fn mac(machine: u8, port: usize) -> String {
    format!("52:54:00:c1:{machine:02x}:{port:02x}")
}

pub(super) fn address(network: &str, machine: u8) -> String {
    let net = match network {
        "public" => 20,
        "cluster" => 30,
        _ => 40,
    };
    format!("10.77.{net}.{}", 10 + machine)
}

/// One VLAN for each network, access ports.
pub(super) fn switch(machines: &[(&str, u8)]) -> anyhow::Result<Switch> {
    let ports = machines.iter().flat_map(|(role, number)| {
        machines::networks(role).iter().skip(1).map(move |network| {
            let vlan = match *network {
                "public" => 20,
                "cluster" => 30,
                _ => 40,
            };
            Port::named(&format!("{role}{number}-{network}")).untagged(vlan)
        })
    });
    Switch::start("sw1", ports.collect())
}

pub(super) fn put(file: &mut NodeFile, key: &str, value: impl Into<Value>) {
    file.settings.insert(key.to_owned(), value.into());
}

fn peer(name: &str, address: String) -> Value {
    Value::Table(Table::from_iter([
        ("name".to_owned(), name.into()),
        ("address".to_owned(), address.into()),
    ]))
}

/// (d) Mail in, and out again by IMAP, on one machine.
fn standalone(test: &Test, image: &Image) -> anyhow::Result<()> {
    let switch = switch(&[("standalone", 1)])?;
    let server = install(test.role, image, 1, &switch, |file| {
        put(file, "mail_hostname", "mail.example.org")
    })?;
    server.wait("serves mail", "rackwright-installer probe mail 127.0.0.1")?;
    let users = "INSERT INTO domains VALUES ('example.org'); INSERT INTO users VALUES ('anna@example.org', '{PLAIN}right', TRUE)";
    server.run(&format!(
        "sudo mariadb --protocol=socket mail -e \"{users}\""
    ))?;
    // A message by the local client, and by the way that every other server takes.
    server.run(
        "printf 'Subject: one\\n\\nhello\\n' | sudo sendmail -f a@example.org anna@example.org",
    )?;
    let fetch = "printf 'a LOGIN anna@example.org right\\r\\nb SELECT INBOX\\r\\nc FETCH 1 BODY[]\\r\\nd LOGOUT\\r\\n' | curl -s --max-time 20 telnet://127.0.0.1:143";
    server.wait(
        "has the message",
        &format!("{fetch} | grep -q 'Subject: one'"),
    )?;
    let refused = server.run("printf 'EHLO a\\r\\nMAIL FROM:<a@example.net>\\r\\nRCPT TO:<b@example.com>\\r\\nQUIT\\r\\n' | curl -s --max-time 20 --interface public0 telnet://$(hostname -I | tr ' ' '\\n' | grep 10.77.20 | head -1):25 || true")?;
    ensure!(
        !refused.contains("250 2.1.5"),
        "mail to others was taken: {refused}"
    );
    server.wait("is healthy", "rackwright-installer status > /dev/null")?;
    Ok(())
}

/// (b) Export, mount, replication with its age, takeover and the way back.
fn storage(test: &Test, image: &Image) -> anyhow::Result<()> {
    let backup = beside(image, test.role, "backup")?;
    let production = beside(image, test.role, "production")?;
    let switch = switch(&[("storage", 1), ("backup", 2), ("production", 3)])?;
    let vip = "10.77.40.9".to_owned();
    let hosts = vec![Host {
        name: "storage-vip".to_owned(),
        role: None,
        addresses: [("storage".to_owned(), vip.clone())].into(),
    }];
    let common = |file: &mut NodeFile| {
        file.hosts.clone_from(&hosts);
        put(file, "replication_engine", "syncoid");
        put(file, "replication_interval", 30);
    };
    let mut store = install("storage", image, 1, &switch, |file| {
        common(file);
        put(file, "replication_role", "source");
        put(
            file,
            "replication_sinks",
            vec![peer("backup2", address("storage", 2))],
        );
    })?;
    let copy = install("backup", &backup, 2, &switch, |file| {
        common(file);
        put(file, "replication_role", "sink");
        put(
            file,
            "replication_source",
            peer("storage1", address("storage", 1)),
        );
    })?;
    store.wait("exports", "sudo rackwright-installer storage status")?;
    let mail = install("production", &production, 3, &switch, |file| {
        put(file, "mail_source", format!("{vip}:/"));
        put(file, "mail_mount", "/var/srv/mail");
        put(
            file,
            "mount_options",
            "vers=4.2,proto=tcp,hard,timeo=600,noatime,lookupcache=positive",
        );
        put(file, "database_address", address("cluster", 9));
    })?;
    mail.wait("has the store", "test -e /var/srv/mail/.rackwright-store")?;
    mail.run("echo one | sudo tee /var/srv/mail/mail/one > /dev/null && sync")?;
    copy.wait(
        "has a fresh copy",
        "sudo rackwright-installer storage status",
    )?;
    let age = copy
        .run("rackwright-installer --json status | grep -A6 '\"replication\"' | grep '\"age\"'")?;
    ensure!(age.contains("age"), "status says no age: {age}");
    let refusal = copy.refused("sudo rackwright-installer storage promote --fenced")?;
    ensure!(
        refusal.contains("exports the mail store at this moment"),
        "promoted beside a live owner: {refusal}"
    );
    copy.wait("has what was written", "sudo zfs list -H -t snapshot -o name -r tank/received/mail-root | grep -c rackwright- | grep -qv '^[01]$'")?;

    // The owner loses its power.
    store.kill();
    let lost = Instant::now();
    copy.run("sudo rackwright-installer storage promote --fenced --accept-loss 600")?;
    copy.wait("exports", "sudo rackwright-installer storage status")?;
    mail.wait(
        "reads through the takeover",
        "timeout 120 cat /var/srv/mail/mail/one",
    )?;
    time("production3", "reads again", lost);
    mail.run("echo two | sudo tee /var/srv/mail/mail/two > /dev/null")?;

    // It comes back, and does not export what is old.
    start(&mut store)?;
    store.wait(
        "refuses",
        "grep -q 'knows epoch 2' /run/rackwright/service.json",
    )?;
    store.run("sudo rackwright-installer storage demote")?;
    store.wait("receives", "sudo rackwright-installer storage status")?;
    store.run("sudo zfs list -H -o name tank/lost-1")?;
    Ok(())
}

//! What a mail server does when something is missing, and that it never starts without its store.

use super::*;
use crate::serve::State;
use system::Simulated;

const SETTINGS: &str = "mail_source = \"10.0.4.9:/\"\nmail_mount = \"/var/srv/mail\"\nmount_options = \"vers=4.2,hard\"\nvmail_root = \"/var/srv/mail/mail\"\n\
    database_address = \"10.0.3.9\"\nloopback_addresses = [\"192.0.2.10\"]\n";
const MOUNTED: &[u8] = b"10.0.4.9:/ /var/srv/mail nfs4 rw 0 0\n";

fn machine(settings: &str, prepare: impl Fn(&Simulated)) -> (Simulated, Report) {
    let system = Simulated::new();
    for program in [
        "ip",
        "mariadb",
        "install",
        "postfix",
        "systemctl",
        "chown",
        "chmod",
        "chattr",
        "mount",
    ] {
        system.answer(program, Ok(""));
    }
    prepare(&system);
    let node: NodeFile = toml::from_str(&format!(
        "format = 1\nnode = \"iw1\"\nrole = \"production\"\n[settings]\n{settings}"
    ))
    .unwrap_or_else(|error| panic!("{error}"));
    let settings =
        roles::role::settings(&Default::default(), &node).unwrap_or_else(|error| panic!("{error}"));
    let report = round(&system, &node, &settings, 1000);
    (system, report)
}

fn secret(system: &Simulated) {
    system.put_file("/run/rackwright/secrets/database-app", b"abc\n");
}

fn store(system: &Simulated) {
    secret(system);
    system.put_file("/proc/mounts", MOUNTED);
    system.put_file("/var/srv/mail/.rackwright-store", b"");
}

#[test]
fn it_serves_when_all_is_there() {
    let (system, report) = machine(SETTINGS, store);
    assert_eq!(
        (report.state, report.detail.as_str()),
        (State::Ready, "SMTP and IMAP"),
        "{:?}",
        system.commands()
    );
    assert!(system.exists(Utf8Path::new(READY)));
    let commands = system.commands().join("\n");
    assert!(
        commands.contains("ip address replace 192.0.2.10/32 dev lo"),
        "{commands}"
    );
    assert!(
        commands.ends_with("systemctl start dovecot.service postfix.service"),
        "{commands}"
    );
    assert!(!commands.contains("abc"), "the password is in no argument");
}

#[test]
fn what_is_missing_is_said_and_nothing_starts() {
    type Prepare = fn(&Simulated);
    let table: [(&str, Prepare, State, &str); 8] = [
        ("", |_| {}, State::Idle, "no plan"),
        (
            SETTINGS,
            |system| {
                system.put_file("/proc/mounts", MOUNTED);
                system.put_file("/var/srv/mail/.rackwright-store", b"");
            },
            State::Waits,
            "the secret `database-app` was not delivered",
        ),
        (
            SETTINGS,
            |system| {
                secret(system);
                system.answer("mount", Err("mount.nfs4: Connection refused"));
            },
            State::Waits,
            "the mail store `10.0.4.9:/` cannot be mounted: ",
        ),
        (
            SETTINGS,
            secret,
            State::Refused,
            "`/var/srv/mail` has no `.rackwright-store`",
        ),
        (
            SETTINGS,
            |system| {
                secret(system);
                system.put_file("/var/srv/mail/mail/x", b"");
            },
            State::Refused,
            "is not empty although nothing is mounted there",
        ),
        (
            SETTINGS,
            |system| {
                secret(system);
                system.put_file("/proc/mounts", b"10.0.4.8:/ /var/srv/mail nfs4 rw 0 0\n");
            },
            State::Refused,
            "has `10.0.4.8:/` mounted, not `10.0.4.9:/`",
        ),
        (
            SETTINGS,
            |system| {
                store(system);
                system.answer("mariadb", Err("ERROR 2002 (HY000): Can't connect"));
            },
            State::Waits,
            "the database at 10.0.3.9 does not answer: ",
        ),
        (
            "mail_source = \"a:/\"\nmail_engine = \"other\"\n",
            secret,
            State::Refused,
            "`mail_engine`: `other` is not known",
        ),
    ];
    for (settings, prepare, state, wanted) in table {
        let (system, report) = machine(settings, prepare);
        assert!(
            report.state == state && report.detail.contains(wanted),
            "{wanted}: {report:?}"
        );
        assert!(
            !system
                .commands()
                .iter()
                .any(|it| it.contains("systemctl start")),
            "{wanted}"
        );
    }
}

#[test]
fn what_serves_is_stopped_when_the_store_is_gone() {
    let (system, report) = machine(SETTINGS, |system| {
        store(system);
        system.put_file("/proc/mounts", b"");
        system.put_file(READY, b"");
    });
    assert_eq!(report.state, State::Refused);
    assert!(!system.exists(Utf8Path::new(READY)));
    assert!(
        system
            .commands()
            .iter()
            .any(|it| it == "systemctl stop postfix.service dovecot.service")
    );
}

#[test]
fn what_serves_goes_on_without_the_database() {
    let (system, report) = machine(SETTINGS, |system| {
        store(system);
        system.put_file(READY, b"");
        system.answer("mariadb", Err("ERROR 2002 (HY000): Can't connect"));
    });
    assert_eq!(report.state, State::Waits);
    assert!(system.exists(Utf8Path::new(READY)));
    let commands = system.commands();
    assert!(
        !commands.iter().any(|it| it.contains("systemctl stop")),
        "{commands:?}"
    );
}

#[test]
fn a_drained_server_stops_and_starts_again() {
    let (system, report) = machine(SETTINGS, |system| {
        store(system);
        system.put_file(READY, b"");
        system.put_file(drained::PATH, b"");
    });
    assert_eq!(report.state, State::Waits);
    assert!(report.detail.starts_with("drained by an operator"));
    assert!(!system.exists(Utf8Path::new(READY)));
    assert!(
        system
            .commands()
            .contains(&"systemctl stop postfix.service dovecot.service".to_owned())
    );
    let (_, report) = machine(SETTINGS, store);
    assert_eq!(report.state, State::Ready);
}

//! A storage server exports when all agree, and stops when somebody knows better.

use super::*;
use system::Simulated;

const SOURCE: &str = "format = 1\nnode = \"st1\"\nrole = \"storage\"\n[[networks]]\nname = \"storage\"\naddresses = [\"10.0.4.41/24\"]\n\
    [[hosts]]\nname = \"storage-vip\"\naddresses = { storage = \"10.0.4.9\" }\n[settings]\nreplication_engine = \"syncoid\"\nreplication_role = \"source\"\n\
    replication_sinks = [{ name = \"bk1\", address = \"10.0.4.51\" }]\n";
const SETS: &str = "tank\treadonly\toff\ntank/mail-root\treadonly\toff\n";

fn machine(
    node: &str,
    sets: &str,
    answer: Result<&str, &str>,
    prepare: impl Fn(&Simulated),
) -> (Simulated, Report) {
    let system = Simulated::new();
    for (program, said) in [
        ("zpool list", "tank\n"),
        ("zfs get", sets),
        ("zfs list", ""),
        ("zfs set", ""),
        ("systemctl", ""),
        ("ip", ""),
        ("arping", ""),
        ("ssh-keygen", "ssh-ed25519 AAAA\n"),
    ] {
        system.answer(program, Ok(said));
    }
    system.answer("ssh -F", answer);
    system.put_file("/run/rackwright/secrets/storage-replication", b"abc\n");
    system.put_file(
        "/proc/mounts",
        b"tank/mail-root /var/srv/export zfs rw 0 0\n",
    );
    prepare(&system);
    let node: NodeFile = toml::from_str(node).unwrap_or_else(|error| panic!("{error}"));
    let settings =
        roles::role::settings(&Default::default(), &node).unwrap_or_else(|error| panic!("{error}"));
    let report = round(&system, &node, &settings, 1000);
    (system, report)
}

#[test]
fn the_source_exports_when_a_peer_knows_nothing_newer() {
    let (system, report) = machine(
        SOURCE,
        SETS,
        Ok("{\"node\":\"bk1\",\"mark\":null,\"exporting\":false}"),
        |_| {},
    );
    let commands = system.commands().join("\n");
    assert_eq!(
        (report.state, report.detail.as_str()),
        (State::Ready, "exports in epoch 1"),
        "{commands}"
    );
    assert!(
        commands.contains("zfs set org.rackwright:epoch=1 org.rackwright:owner=st1 tank/mail-root"),
        "{commands}"
    );
    assert!(
        commands.contains("ip address replace 10.0.4.9/24 dev storage0"),
        "{commands}"
    );
    assert!(
        system.exists(Utf8Path::new(ALLOWED))
            && system.exists(Utf8Path::new("/var/srv/export/.rackwright-store"))
    );
    assert!(!commands.contains("abc"));
}

#[test]
fn it_does_not_export_otherwise() {
    let sink = SOURCE
        .replace("\"source\"", "\"sink\"")
        .replace("replication_sinks = [", "replication_source = ")
        .replace(" }]", " }");
    let marked = "tank/mail-root\treadonly\toff\ntank/mail-root\torg.rackwright:epoch\t1\ntank/mail-root\torg.rackwright:owner\tst1\n";
    let newer = "{\"node\":\"bk1\",\"mark\":{\"epoch\":2,\"owner\":\"bk1\"},\"exporting\":true}";
    let table = [
        (
            SOURCE.replace("replication_engine = \"syncoid\"\n", ""),
            SETS,
            Ok(""),
            State::Idle,
            "no plan",
        ),
        (
            SOURCE.to_owned(),
            SETS,
            Err("Connection refused"),
            State::Waits,
            "no answer from `bk1`",
        ),
        (
            SOURCE.to_owned(),
            marked,
            Ok(newer),
            State::Refused,
            "this machine's data is of epoch 1, `bk1` knows epoch 2",
        ),
        (
            sink,
            "tank\treadonly\toff\ntank/received\treadonly\ton\n",
            Ok(""),
            State::Waits,
            "nothing was received yet",
        ),
    ];
    for (node, sets, answer, state, wanted) in table {
        let (system, report) = machine(&node, sets, answer, |system| {
            // All but the one that may go on were in service before.
            if !wanted.starts_with("no answer") {
                system.put_file(ALLOWED, b"");
            }
        });
        assert!(
            report.state == state && report.detail.contains(wanted),
            "{wanted}: {report:?}"
        );
        if state != State::Idle {
            assert!(!system.exists(Utf8Path::new(ALLOWED)), "{wanted}");
            let stopped = system
                .commands()
                .iter()
                .any(|it| it == "systemctl stop nfs-server.service");
            assert!(stopped || wanted.starts_with("no answer"), "{wanted}");
        }
    }
}

#[test]
fn a_silent_peer_does_not_stop_what_serves() {
    let (_, report) = machine(SOURCE, SETS, Err("Connection refused"), |system| {
        system.put_file(ALLOWED, b"");
    });
    assert_eq!(report.state, State::Ready, "{report:?}");
}

const QUIET: &str = "{\"node\":\"bk1\",\"mark\":null,\"exporting\":false}";

#[test]
fn an_address_that_somebody_has_is_not_taken() {
    let (system, report) = machine(SOURCE, SETS, Ok(QUIET), |system| {
        system.answer("arping -D", Err(""));
    });
    assert_eq!(report.state, State::Refused, "{report:?}");
    assert!(
        report
            .detail
            .starts_with("another machine answers for the storage address 10.0.4.9"),
        "{report:?}"
    );
    assert!(!system.exists(Utf8Path::new(ALLOWED)));
    let commands = system.commands().join("\n");
    assert!(
        !commands.contains("start nfs-server") && !commands.contains("ip address replace"),
        "{commands}"
    );
    // Where it is here, nobody is asked.
    let (system, report) = machine(SOURCE, SETS, Ok(QUIET), |system| {
        system.forget_answers();
        for (program, said) in [
            ("zpool list", "tank\n"),
            ("zfs", ""),
            ("zfs get", SETS),
            ("systemctl", ""),
            ("ssh -F", QUIET),
            ("ssh-keygen", "ssh-ed25519 AAAA\n"),
            (
                "ip -oneline",
                "2: storage0    inet 10.0.4.9/24 scope global storage0\n",
            ),
        ] {
            system.answer(program, Ok(said));
        }
        system.answer("arping", Err(""));
    });
    assert_eq!(report.state, State::Ready, "{report:?}");
    assert!(!system.commands().join("\n").contains("arping"));
}

/// The server was told to stop once and did not: each round tries again, and peers are told the truth.
#[test]
fn what_could_not_be_stopped_is_stopped_again() {
    let newer = "{\"node\":\"bk1\",\"mark\":{\"epoch\":2,\"owner\":\"bk1\"},\"exporting\":true}";
    let (system, report) = machine(SOURCE, SETS, Ok(newer), |system| {
        system.put_file(THREADS, b"64\n");
    });
    assert_eq!(report.state, State::Refused, "{report:?}");
    let commands = system.commands();
    assert!(
        commands
            .iter()
            .any(|it| it == "systemctl stop nfs-server.service"),
        "{commands:?}"
    );
    assert!(exports(&system));
    system.put_file(THREADS, b"0\n");
    assert!(!exports(&system));

    let (_, report) = machine(SOURCE, SETS, Ok(newer), |system| {
        system.put_file(THREADS, b"64\n");
        system.forget_answers();
        system.answer("zpool list", Ok("tank\n"));
        system.answer("zfs get", Ok(SETS));
        system.answer("zfs list", Ok(""));
        system.answer("ssh-keygen", Ok("ssh-ed25519 AAAA\n"));
        system.answer("ssh -F", Ok(newer));
        system.answer("systemctl start", Ok(""));
        system.answer("systemctl stop", Err("Job timed out"));
    });
    assert_eq!(report.state, State::Failed, "{report:?}");
    assert!(
        report
            .detail
            .starts_with("this machine must not export, and cannot be stopped: "),
        "{report:?}"
    );
}

#[test]
fn a_failed_command_does_not_stop_what_serves() {
    let failing = |peer: &'static str| {
        machine(SOURCE, SETS, Ok(peer), |system| {
            system.put_file(ALLOWED, b"");
            system.forget_answers();
            system.answer("zpool list", Ok("tank\n"));
            system.answer("zfs get", Err("out of memory"));
            system.answer("ssh-keygen", Ok("ssh-ed25519 AAAA\n"));
            system.answer("ssh -F", Ok(peer));
            system.answer("systemctl", Ok(""));
            system.answer("ip", Ok(""));
        })
    };
    let (system, report) = failing(QUIET);
    assert_eq!(report.state, State::Failed, "{report:?}");
    assert!(system.exists(Utf8Path::new(ALLOWED)));
    // But not beside another.
    let (system, report) = failing("{\"node\":\"bk1\",\"mark\":null,\"exporting\":true}");
    assert_eq!(report.state, State::Failed, "{report:?}");
    assert!(!system.exists(Utf8Path::new(ALLOWED)));
}

#[test]
fn nothing_is_exported_while_the_owner_changes() {
    let answer = Ok("{\"node\":\"bk1\",\"mark\":null,\"exporting\":false}");
    let (system, report) = machine(SOURCE, SETS, answer, |system| {
        system.put_file(ALLOWED, b"");
        system.put_file(CHANGING, b"");
    });
    assert_eq!(report.state, State::Refused, "{report:?}");
    assert!(!system.exists(Utf8Path::new(ALLOWED)));
}

#[test]
fn every_machine_has_a_place() {
    let host =
        |name: &str, role: &str| format!("[[hosts]]\nname = \"{name}\"\nrole = \"{role}\"\n");
    let hosts = [
        ("st2", "storage"),
        ("bk1", "backup"),
        ("lb1", "lb"),
        ("st1", "storage"),
    ]
    .map(|(name, role)| host(name, role))
    .concat();
    for (name, wanted) in [("bk1", (0, 3)), ("st1", (1, 3)), ("st2", (2, 3))] {
        let text = format!("format = 1\nnode = \"{name}\"\nrole = \"storage\"\n{hosts}");
        let node: NodeFile = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(place(&node, &Storage::default()), wanted, "{name}");
    }
}

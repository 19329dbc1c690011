//! Every file that is rendered for a daemon, read by that daemon itself in the version the images have (Debian 13).
//!
//! `cargo prove --fast` unpacks the programs into a folder (nothing is installed, nothing started) and runs this with
//! `RACKWRIGHT_DAEMONS` naming it. Each check runs in namespaces of its own: a network with nothing at its ends, and the rendered
//! `/etc` laid over the folder. What these parsers cannot know without a real machine, such as whether a bond comes up, is
//! for the simulated servers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use std::collections::BTreeMap;
use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};
use roles::render::{Accounts, BootFacts, BootMode, Content, RenderedFile};

/// Mounts the layers and enters them. `$1` rendered, `$2` programs, `$3` an empty folder, then the command.
const ENTER: &str = r#"
set -e
rendered=$1 programs=$2 merged=$3
shift 3
mount -t overlay overlay -o "lowerdir=$rendered:$programs" "$merged"
mount -t proc proc "$merged/proc"
mount -t sysfs sysfs "$merged/sys" || mount --rbind /sys "$merged/sys"
for folder in run tmp var/lib/nfs; do mount -t tmpfs tmpfs "$merged/$folder"; done
mount --bind /dev "$merged/dev"
ip link set lo up
# keepalived wants the interfaces that it is told of; a bridge is what every kernel can make.
for name in mgmt0 cluster0 storage0; do
    ip link add "$name" type dummy 2>&- || ip link add "$name" type bridge
done
exec chroot "$merged" "$@"
"#;

/// A file, the command that reads it, and what the command says of a file that is wrong although it ends with 0.
struct Check {
    file: &'static str,
    command: &'static [&'static str],
    complaints: &'static [&'static str],
}

const CHECKS: [Check; 23] = [
    Check {
        file: "/etc/nftables.conf",
        command: &["nft", "-c", "-f", "/etc/nftables.conf"],
        complaints: &["rror"],
    },
    Check {
        file: "/etc/keepalived/keepalived.conf",
        command: &[
            "keepalived",
            "--config-test",
            "--log-console",
            "-f",
            "/etc/keepalived/keepalived.conf",
        ],
        complaints: &["nknown keyword", "nused", "nvalid"],
    },
    Check {
        file: "/etc/haproxy/haproxy.cfg",
        command: &["haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"],
        complaints: &["[WARNING]", "[ALERT]"],
    },
    Check {
        // Not in Debian: `RACKWRIGHT_ZREPL` names a program that `rackwright payload build zrepl` made; without it nothing is
        // checked here. It reads the certificates too.
        file: "/etc/zrepl/zrepl.yml",
        command: &[
            "sh",
            "-c",
            "test -x /zrepl || exit 0; mount -t tmpfs tmpfs /state; cp -r /identity /state/; \
             /zrepl --config /etc/zrepl/zrepl.yml configcheck",
        ],
        complaints: &["rror", "annot"],
    },
    Check {
        // It has no test of its own: it starts without a port, and is stopped.
        file: "/etc/valkey/valkey.conf",
        command: &[
            "sh",
            "-c",
            "mkdir -p /run/rackwright/sessions /var/lib/valkey && echo 'requirepass a' > /run/rackwright/sessions/valkey.conf && \
             echo 'primaryauth a' >> /run/rackwright/sessions/valkey.conf && \
             timeout 2 valkey-server /etc/valkey/valkey.conf --port 0 --unixsocket /tmp/valkey --dir /tmp; true",
        ],
        complaints: &["FATAL CONFIG FILE ERROR", "Bad directive"],
    },
    Check {
        file: "/etc/mysql/mariadb.conf.d/80-rackwright.cnf",
        command: &[
            "mariadbd",
            "--defaults-file=/etc/mysql/mariadb.conf.d/80-rackwright.cnf",
            "--user=root",
            "--help",
            "--verbose",
        ],
        complaints: &["nknown variable", "nknown option", "[Warning] --"],
    },
    Check {
        file: "/etc/chrony/chrony.conf",
        command: &["chronyd", "-p", "-f", "/etc/chrony/chrony.conf"],
        complaints: &["nvalid", "ould not"],
    },
    Check {
        file: "/etc/nfs.conf.d/rackwright.conf",
        command: &[
            "nfsconf",
            "--file",
            "/etc/nfs.conf.d/rackwright.conf",
            "--dump",
            "-",
        ],
        complaints: &["rror", "arning"],
    },
    Check {
        // The export table is made and shown; there is no NFS server in the kernel to be told of it.
        file: "/etc/exports",
        command: &[
            "sh",
            "-c",
            "touch /var/lib/nfs/etab /var/lib/nfs/rmtab; exportfs -a; cat /var/lib/nfs/etab",
        ],
        complaints: &["exportfs: /etc/exports", "nknown", "yntax", "arning"],
    },
    Check {
        file: "/etc/ssh/sshd_config.d/rackwright.conf",
        command: &["sshd", "-G", "-f", "/etc/ssh/sshd_config.d/rackwright.conf"],
        complaints: &["nsupported", "eprecated", "Bad configuration"],
    },
    Check {
        file: "/etc/dovecot/dovecot.conf",
        command: &["doveconf", "-n", "-c", "/etc/dovecot/dovecot.conf"],
        complaints: &["rror", "atal"],
    },
    Check {
        // Reads main.cf and master.cf; accounts and folders of an installed system are not here.
        file: "/etc/postfix/main.cf",
        command: &[
            "sh",
            "-c",
            "postconf -n > /dev/null && postconf -M > /dev/null",
        ],
        complaints: &["unused parameter", "undefined parameter", "atal"],
    },
    Check {
        file: "/etc/rackwright/lvs.nft",
        command: &["nft", "-c", "-f", "/etc/rackwright/lvs.nft"],
        complaints: &["rror"],
    },
    Check {
        file: "/etc/rackwright/peer-sshd.conf",
        command: &["sshd", "-G", "-f", "/etc/rackwright/peer-sshd.conf"],
        complaints: &["nsupported", "eprecated", "Bad configuration"],
    },
    Check {
        file: "/etc/systemd/system/rackwright-replication.timer",
        command: &[
            "systemd-analyze",
            "verify",
            "--man=no",
            "--recursive-errors=no",
            "/etc/systemd/system/rackwright-replication.timer",
        ],
        complaints: &["nknown", "rackwright-replication.timer:"],
    },
    Check {
        file: "/etc/dnsmasq.d/rackwright.conf",
        command: &[
            "dnsmasq",
            "--test",
            "--conf-file=/etc/dnsmasq.d/rackwright.conf",
        ],
        complaints: &["bad "],
    },
    Check {
        file: "/etc/prometheus/prometheus.yml",
        command: &[
            "promtool",
            "check",
            "config",
            "/etc/prometheus/prometheus.yml",
        ],
        complaints: &["FAILED"],
    },
    Check {
        // Reads its configuration before it does anything; there is no certificate here, so it ends then.
        file: "/etc/systemd/journal-remote.conf.d/rackwright.conf",
        command: &[
            "sh",
            "-c",
            "SYSTEMD_LOG_TARGET=console timeout 2 /usr/lib/systemd/systemd-journal-remote --listen-https=127.0.0.1:1 --output=/tmp; true",
        ],
        complaints: &["rackwright.conf"],
    },
    Check {
        file: "/etc/systemd/journal-upload.conf.d/rackwright.conf",
        command: &[
            "sh",
            "-c",
            "SYSTEMD_LOG_TARGET=console timeout 2 /usr/lib/systemd/systemd-journal-upload; true",
        ],
        complaints: &["rackwright.conf", "Required --url"],
    },
    Check {
        file: "/etc/udev/rules.d/70-rackwright-ports.rules",
        command: &[
            "udevadm",
            "verify",
            "/etc/udev/rules.d/70-rackwright-ports.rules",
        ],
        complaints: &[],
    },
    Check {
        file: "/etc/systemd/system/rackwright-boot-check.service",
        command: &[
            "sh",
            "-c",
            "systemd-analyze verify --man=no --recursive-errors=no /etc/systemd/system/rackwright-*.*",
        ],
        complaints: &["nknown", "rackwright-"],
    },
    Check {
        // Reads every .link file, whatever the interface.
        file: "/etc/systemd/network/10-storage0a.link",
        command: &[
            "env",
            "SYSTEMD_LOG_LEVEL=debug",
            "SYSTEMD_LOG_TARGET=console",
            "udevadm",
            "test-builtin",
            "net_setup_link",
            "/sys/class/net/mgmt0",
        ],
        complaints: &[".link:"],
    },
    Check {
        // Reads every .netdev and .network file before it does anything, and is stopped then.
        file: "/etc/systemd/network/22-bond0.network",
        command: &[
            "sh",
            "-c",
            "mkdir /run/systemd /run/systemd/netif; chown systemd-network:systemd-network /run/systemd/netif; \
             SYSTEMD_LOG_TARGET=console timeout 2 /usr/lib/systemd/systemd-networkd; test $? = 124",
        ],
        complaints: &[".network:", ".netdev:"],
    },
];

/// A machine of each role with everything that changes its files: a bond with VLANs, hosts, virtual addresses, RDMA.
fn node(role: &str) -> String {
    let wiring = include_str!("valid/wiring.toml").replace(
        "role = \"storage\"\ndomain",
        &format!("role = \"{role}\"\ndomain"),
    );
    assert!(wiring.contains(&format!("\nrole = \"{role}\"\n")));
    wiring
        + r#"
[authority]
pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
servers = ["10.77.10.5", "10.77.10.6"]

[settings]
rdma = true
arc_max = 1073741824
vips = [{ name = "mail", network = "cluster", address = "10.77.30.9/24", router_id = 51, priority = 150, source = "10.77.30.41", peers = ["10.77.30.42"] }, { name = "gateway", network = "cluster", address = "10.77.30.1/24", router_id = 52, priority = 150, peers = [] }]
databases = [{ name = "db1", address = "10.77.30.11" }, { name = "db2", address = "10.77.30.12" }]
mail_servers = [{ name = "iw1", address = "10.77.30.21", id = "a1", master = true, outbound_first = 32768, outbound_last = 35583 }, { name = "iw2", address = "10.77.30.22", id = "a2", master = false, outbound_first = 35584, outbound_last = 38399 }]
loopback_addresses = ["10.77.30.9"]
replication_sinks = [{ name = "bk1", address = "10.77.40.42" }]
members = ["10.77.30.11", "10.77.30.12", "10.77.30.13"]
"#
}

fn rendered(role: &str) -> Vec<RenderedFile> {
    let set = roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let node = roles::parse::node_file("node.toml", &node(role), Some(&set))
        .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    let system = [
        "haproxy",
        "mysql",
        "_chrony",
        "_rpc",
        "statd",
        "sshd",
        "dnsmasq",
        "dovecot",
        "dovenull",
        "postfix",
        "nobody",
        "keepalived_script",
        "systemd-network",
    ];
    let lines = |form: &dyn Fn(usize, &str) -> String| -> String {
        system
            .iter()
            .enumerate()
            .map(|(number, name)| form(number + 100, name))
            .collect()
    };
    let facts = BootFacts {
        mode: BootMode::Run,
        role: role.to_owned(),
        version: "0.1.0".to_owned(),
        slot: Some("a".to_owned()),
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: BTreeMap::new(),
        accounts: Some(Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n".to_owned()
                + &lines(&|id, name| format!("{name}:x:{id}:{id}::/:/bin/sh\n")),
            shadow: "root:*:20000:0:99999:7:::\n".to_owned(),
            group: "root:x:0:\n".to_owned() + &lines(&|id, name| format!("{name}:x:{id}:\n")),
        }),
    };
    roles::render::files(&set, &set.roles[role], Some(&node), &facts).unwrap()
}

/// The rendered files below `root`, and the programs of ours that units start.
fn write(root: &Utf8Path, files: &[RenderedFile]) {
    for file in files {
        let path = root.join(file.path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &file.content {
            Content::File { text, .. } => std::fs::write(&path, text).unwrap(),
            Content::Link { target } => std::os::unix::fs::symlink(target, &path).unwrap(),
        }
    }
    for folder in ["mail", "config", "archive", "logs"] {
        std::fs::create_dir_all(root.join("var/srv/export").join(folder)).unwrap();
    }
    for folder in ["proc", "sys", "run", "tmp", "dev", "state", "var/lib/nfs"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    if let Ok(zrepl) = std::env::var("RACKWRIGHT_ZREPL") {
        std::fs::copy(zrepl, root.join("zrepl")).unwrap();
        let folder = root.join("identity");
        std::fs::create_dir_all(&folder).unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=st1",
            ])
            .args([
                "-keyout",
                folder.join("node.key").as_str(),
                "-out",
                folder.join("node.pem").as_str(),
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::copy(folder.join("node.pem"), folder.join("ca.pem")).unwrap();
    }
    for program in ["usr/bin/rackwright-installer", "usr/sbin/zpool"] {
        let path = root.join(program);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).unwrap();
    }
}

fn programs() -> Utf8PathBuf {
    std::env::var("RACKWRIGHT_DAEMONS")
        .unwrap_or_else(|_| {
            panic!("RACKWRIGHT_DAEMONS names no folder\nhint: cargo prove --fast daemons")
        })
        .into()
}

fn run(root: &Utf8Path, merged: &Utf8Path, command: &[&str]) -> Output {
    let mut unshare = Command::new("unshare");
    if !std::fs::metadata("/proc/self")
        .is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
    {
        unshare.args(["--user", "--map-auto", "--map-root-user"]);
    }
    unshare
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["sh", "-c", ENTER, "sh"])
        .args([root, &programs(), merged])
        .args(command)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .unwrap()
}

const ROLES: [&str; 8] = [
    "backup",
    "control",
    "database",
    "galera",
    "lb",
    "production",
    "standalone",
    "storage",
];

#[test]
#[ignore = "needs the programs of Debian 13: cargo prove --fast daemons"]
fn every_daemon_takes_its_file() {
    let mut wrong = Vec::new();
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for role in ROLES {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (root, merged) = (folder.join("rendered"), folder.join("merged"));
        std::fs::create_dir(&merged).unwrap();
        let files = rendered(role);
        write(&root, &files);
        for check in &CHECKS {
            if !files.iter().any(|file| file.path == check.file) {
                continue;
            }
            *seen.entry(check.file).or_default() += 1;
            let output = run(&root, &merged, check.command);
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            let complaint = check.complaints.iter().find(|words| said.contains(**words));
            if !output.status.success() || complaint.is_some() {
                let tail: Vec<&str> = said.lines().rev().take(15).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                wrong.push(format!(
                    "{role}: `{}`: {} {complaint:?}\n{}",
                    check.command.join(" "),
                    output.status,
                    tail.join("\n")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // A check whose file nobody renders any more would pass for ever.
    for check in &CHECKS {
        assert!(seen.contains_key(check.file), "no role has {}", check.file);
    }
}

/// The same checks refuse what is wrong, so their silence means something.
#[test]
#[ignore = "needs the programs of Debian 13: cargo prove --fast daemons"]
fn what_is_wrong_is_refused() {
    let spoil = [
        (
            "lb",
            "/etc/nftables.conf",
            "tcp dport 22 accept",
            "tcp dport 22 accpt",
        ),
        (
            "lb",
            "/etc/keepalived/keepalived.conf",
            "nopreempt",
            "nopreemt",
        ),
        (
            "lb",
            "/etc/rackwright/lvs.nft",
            "notrack meta",
            "notrak meta",
        ),
        (
            "lb",
            "/etc/keepalived/keepalived.conf",
            "sorry_server_inhibit",
            "sorry_server_inhibits",
        ),
        (
            "production",
            "/etc/postfix/main.cf",
            "recipient_delimiter",
            "recipient_delimeter",
        ),
        (
            "production",
            "/etc/dovecot/dovecot.conf",
            "mail_fsync",
            "mail_fsynk",
        ),
        (
            "control",
            "/etc/prometheus/prometheus.yml",
            "static_configs",
            "static_config",
        ),
        (
            "control",
            "/etc/systemd/journal-remote.conf.d/rackwright.conf",
            "SplitMode=host",
            "SplitMode=hosts",
        ),
        (
            "storage",
            "/etc/systemd/journal-upload.conf.d/rackwright.conf",
            "ServerKeyFile",
            "ServerKeyFiles",
        ),
        (
            "storage",
            "/etc/rackwright/peer-sshd.conf",
            "DisableForwarding",
            "DisableForwardin",
        ),
        (
            "lb",
            "/etc/haproxy/haproxy.cfg",
            "balance first",
            "balance frist",
        ),
        (
            "galera",
            "/etc/mysql/mariadb.conf.d/80-rackwright.cnf",
            "binlog_format",
            "binlog_fromat",
        ),
        (
            "storage",
            "/etc/exports",
            "no_subtree_check",
            "no_subtre_check",
        ),
        (
            "storage",
            "/etc/chrony/chrony.conf",
            "makestep 1 3",
            "makestep one 3",
        ),
        (
            "storage",
            "/etc/systemd/network/10-storage0a.link",
            "RxBufferSize",
            "RxBuferSize",
        ),
        (
            "storage",
            "/etc/systemd/network/22-bond0.network",
            "ConfigureWithoutCarrier",
            "ConfigureWithoutCarier",
        ),
        (
            "storage",
            "/etc/udev/rules.d/70-rackwright-ports.rules",
            "ATTR{dev_port}==",
            "ATTRR{dev_port}==",
        ),
        (
            "storage",
            "/etc/systemd/system/rackwright-boot-check.service",
            "ExecStart=",
            "ExecStat=",
        ),
    ];
    let mut taken = Vec::new();
    for (role, path, right, bad) in spoil {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let (root, merged) = (folder.join("rendered"), folder.join("merged"));
        std::fs::create_dir(&merged).unwrap();
        let mut files = rendered(role);
        let file = files.iter_mut().find(|file| file.path == path).unwrap();
        let Content::File { text, .. } = &mut file.content else {
            panic!("{path} is a link");
        };
        assert!(text.contains(right), "{path}: {text}");
        *text = text.replace(right, bad);
        write(&root, &files);
        let check = CHECKS.iter().find(|check| check.file == path).unwrap();
        let output = run(&root, &merged, check.command);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() && !check.complaints.iter().any(|words| said.contains(words)) {
            taken.push(format!("{path} with `{bad}`\n{said}"));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

//! What ProxySQL's admin port would be told: the client is a script that keeps its input and its file of options, and answers as
//! an admin port that has not got our account yet. In a namespace of its own, because the join's files lie in `/run`.

use std::fs;
use std::process::Command;

use join::{
    context::Context,
    outside::Outside,
    proxysql,
    settings::{Balancer, Peer},
};
use system::Live;

const ENTER: &str = r#"
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/bin /run/rackwright/join /run/rackwright/secrets
export PROXYSQL_INSIDE=1 PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec "$1" inside --exact --ignored --nocapture
"#;

/// Knows `rackwright` once it was told of it, and `admin` until then.
const CLIENT: &str = r#"#!/bin/sh
options=${1#--defaults-file=}
user=$(sed -n 's/^user=//p' "$options")
echo "$*" >> /run/arguments
stat -c %a "$options" >> /run/modes
if [ -e /run/told ]; then known=rackwright; else known=admin; fi
[ "$user" = "$known" ] || { echo "ERROR 1045 (28000): ProxySQL Error: Access denied for user '$user'" >&2; exit 1; }
cat > "/run/input.$user"
touch /run/told
"#;

#[test]
fn the_admin_port_is_told_everything_by_standard_input() {
    let mut unshare = Command::new("unshare");
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
    if !is_root {
        unshare.args(["--user", "--map-root-user"]);
    }
    let output = unshare
        .args(["--mount", "sh", "-c", ENTER, "sh"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    // A filter that matches nothing is no success.
    assert!(said.contains("1 passed"), "{said}");
}

struct Nobody;

impl Outside for Nobody {
    fn ask(&self, _: &str) -> Option<join::told::Told> {
        None
    }

    fn listens(&self, _: &str, _: u16) -> bool {
        false
    }

    fn greeting(&self, _: &str, _: u16) -> Option<Vec<u8>> {
        None
    }
}

/// Runs inside the namespace.
#[test]
#[ignore = "started by the test above"]
fn inside() {
    if std::env::var_os("PROXYSQL_INSIDE").is_none() {
        return;
    }
    fs::write("/run/bin/mariadb", CLIENT).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions("/run/bin/mariadb", mode).unwrap();
    for (name, text) in [
        ("proxy-admin", "AAA"),
        ("database-monitor", "BBB"),
        ("database-app", "CCC"),
    ] {
        fs::write(format!("/run/rackwright/secrets/{name}"), text).unwrap();
    }
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    let roles = roles::folder::read(&folder).unwrap();
    let node = toml::from_str("format = 1\nnode = \"lb1\"\nrole = \"lb\"\n").unwrap();
    let context = Context {
        system: &Live,
        outside: &Nobody,
        claims: None,
        role: &roles.roles["lb"].role,
        node: &node,
        boot: String::new(),
    };
    let plan = Balancer {
        databases: vec![Peer {
            name: "db1".into(),
            address: "10.77.30.11".into(),
        }],
        ..Balancer::default()
    };
    // The account that it comes with, then ours.
    proxysql::apply(&context, &plan).unwrap();
    proxysql::apply(&context, &plan).unwrap();
    let first = fs::read_to_string("/run/input.admin").unwrap();
    assert_eq!(first, fs::read_to_string("/run/input.rackwright").unwrap());
    for line in [
        "INSERT INTO mysql_users (username, password, default_hostgroup) VALUES ('mail', 'CCC', 10);",
        "SET mysql-monitor_password='BBB';",
        "SET admin-admin_credentials='rackwright:AAA';",
    ] {
        assert!(first.lines().any(|told| told == line), "{line}\n{first}");
    }
    let arguments = fs::read_to_string("/run/arguments").unwrap();
    assert!(
        !["AAA", "BBB", "CCC"]
            .iter()
            .any(|secret| arguments.contains(secret)),
        "{arguments}"
    );
    let modes = fs::read_to_string("/run/modes").unwrap();
    assert!(modes.lines().all(|mode| mode == "600"), "{modes}");
    assert!(!std::path::Path::new("/run/rackwright/join/proxysql.cnf").exists());
}

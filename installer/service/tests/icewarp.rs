//! A mail server's rounds with a stand-in for IceWarp: an archive with the same contract (`install.sh` with its flags and exit
//! codes, `platform`, `tool.sh`, `icewarpd.sh`), made here. It is no mail server and says so. Everything runs for real, in
//! namespaces that end with the test: nothing is installed, and no file of the host is changed. systemd, the database's client
//! and the hiding of arguments have scripts in their places, which write down what they were asked.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its programs has failed"
)]

use std::fs;
use std::process::Command;

use roles::{NodeFile, folder};
use service::serve::{Report, State, round};
use sha2::{Digest, Sha256};
use system::Live;

/// Folders of their own over those of the host; then the test again, inside.
const ENTER: &str = r#"
set -e
test=$1 part=$2
mount -t tmpfs tmpfs /mnt
mkdir /mnt/etc /mnt/etc.work /mnt/share /mnt/share.work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/etc.work /etc
mount -t overlay overlay -o lowerdir=/usr/share,upperdir=/mnt/share,workdir=/mnt/share.work /usr/share
for folder in /run /var; do mount -t tmpfs tmpfs "$folder"; done
mkdir -p /var/srv/mail /var/spool/rackwright /run/bin
# The mail store's name in the list of mounts is what a mail server looks at.
mount -t tmpfs 10.0.4.9:/ /var/srv/mail
touch /var/srv/mail/.rackwright-store
export ICEWARP_INSIDE=1 PATH=/run/bin:/usr/sbin:/usr/bin:/sbin:/bin
"$test" "$part" --exact --ignored --nocapture
"#;

/// What the installer of a real archive does, as far as its flags and exit codes are public.
const INSTALL: &str = r#"#!/bin/sh
# A stand-in for tests: no mail server.
set -e
while [ $# -gt 0 ]; do
    case $1 in
        --auto|-a|--fast|-f) ;;
        --install-dir) folder=$2; shift ;;
        --user) user=$2; shift ;;
        --license) license=$2; shift ;;
        *) echo "unknown flag $1" >&2; exit 64 ;;
    esac
    shift
done
. /etc/os-release
[ "$(cat platform)" = "$ID$VERSION_ID" ] || { echo 'Incompatible Linux distribution' >&2; exit 1; }
[ ! -e missing-library ] || { echo 'libc++ is missing' >&2; exit 2; }
id "$user" > /dev/null
cp "$license" license.seen
mkdir -p "$folder" /etc/icewarp
cp -a tool.sh icewarpd.sh config calendar spam php "$folder"
echo "IWS_INSTALL_DIR=\"$folder\"" > /etc/icewarp/icewarp.conf
"#;

const TOOL: &str = r#"#!/bin/sh
# A stand-in for tests. It shows what it was given, as the real one does.
case "$1 $2" in
    'set system') printf '%s=%s\n' "$3" "$4" >> told; echo "$3: $4" ;;
    'create tables') echo "tables $3" >> told ;;
    *) exit 1 ;;
esac
"#;

const DAEMON: &str =
    "#!/bin/sh\n# A stand-in for tests.\ncd \"$(dirname \"$0\")\"; echo \"$1\" >> daemon.log\n";

/// In place of systemd: a unit is active while its lock is held by a process of it.
const SYSTEMCTL: &str = r#"#!/bin/sh
echo "systemctl $*" >> /run/commands
unit=
for word in "$@"; do unit=$word; done
case $1 in
    start)
        [ "$unit" != icewarp.service ] || touch /run/icewarp.active
        if [ "$unit" = rackwright-master.service ] && [ ! -s /run/master.pid ]; then
            command=$(sed -n 's/^ExecStart=//p' /run/systemd/system/rackwright-master.service)
            $command > /dev/null 2>&1 < /dev/null & echo $! > /run/master.pid
        fi ;;
    stop) rm -f /run/icewarp.active
        if [ -s /run/master.pid ]; then kill "$(cat /run/master.pid)" 2> /dev/null || true; : > /run/master.pid; fi ;;
    is-active)
        # A process that ended and was not waited for has no command line.
        if [ -s /run/master.pid ] && grep -q sleep "/proc/$(cat /run/master.pid)/cmdline" 2> /dev/null; then echo active
        else : > /run/master.pid; echo inactive; exit 3; fi ;;
    is-failed) if [ -e /run/icewarp.failed ]; then echo failed; else echo active; exit 1; fi ;;
esac
"#;

#[test]
fn a_payload_is_unpacked_installed_configured_and_started() {
    let mut unshare = Command::new("unshare");
    if !is_root() {
        unshare.args(["--user", "--map-auto", "--map-root-user"]);
    }
    let output = unshare
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .args(["sh", "-c", ENTER, "sh"])
        .arg(std::env::current_exe().unwrap())
        .arg("inside")
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

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

fn put(path: &str, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    let parent = camino::Utf8Path::new(path).parent().unwrap();
    fs::create_dir_all(parent).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn sh(script: &str) {
    let status = Command::new("sh").args(["-ec", script]).status().unwrap();
    assert!(status.success(), "{script}");
}

/// The archive, and what the image says of it.
fn archive(platform: &str, extra: &str) {
    let at = "/mnt/make/IceWarp-stand-in";
    let _ = fs::remove_dir_all("/mnt/make");
    put(&format!("{at}/install.sh"), INSTALL, 0o755);
    put(&format!("{at}/tool.sh"), TOOL, 0o755);
    put(&format!("{at}/icewarpd.sh"), DAEMON, 0o755);
    put(&format!("{at}/platform"), platform, 0o644);
    put(&format!("{at}/config/settings.cfg"), "stand-in\n", 0o644);
    put(&format!("{at}/calendar/x"), "", 0o644);
    put(&format!("{at}/spam/x"), "", 0o644);
    put(
        &format!("{at}/php/php.ini"),
        "session.save_handler = files\n",
        0o644,
    );
    if !extra.is_empty() {
        put(&format!("{at}/{extra}"), "", 0o644);
    }
    let share = "/usr/share/rackwright/payload/icewarp";
    fs::create_dir_all(share).unwrap();
    sh(&format!(
        "tar -C /mnt/make -czf {share}/icewarp.tar.gz IceWarp-stand-in"
    ));
    let digest = hex::encode(Sha256::digest(
        fs::read(format!("{share}/icewarp.tar.gz")).unwrap(),
    ));
    let said = format!(
        r#"{{"name":"icewarp","kind":"archive","file":"icewarp.tar.gz","path":"{share}/icewarp.tar.gz","size":1,"sha256":"{digest}"}}"#
    );
    put(&format!("{share}/payload.json"), &said, 0o644);
}

const NODE: &str = "format = 1\nnode = \"iw1\"\nrole = \"production\"\n[settings]\nmail_engine = \"icewarp\"\nmail_id = \"a1\"\nmaster = true\n\
    mail_source = \"10.0.4.9:/\"\nmail_mount = \"/var/srv/mail\"\nmount_options = \"vers=4.2,hard\"\ndatabase_address = \"10.0.3.9\"\n\
    temp_root = \"/var/spool/rackwright/temp\"\nsession_store = \"10.0.3.9\"\n[settings.icewarp]\nc_meeting_active = true\n";

fn next() -> Report {
    let roles = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    let roles = folder::read(&roles).unwrap();
    let node: NodeFile = toml::from_str(NODE).unwrap();
    round(&Live, &roles, &node, 1_000)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn expect(state: State, detail: &str) {
    let report = next();
    assert!(
        report.state == state && report.detail.contains(detail),
        "wanted {state:?} `{detail}`: {report:?}"
    );
}

/// Runs inside the namespaces.
#[test]
#[ignore = "started by the test above"]
fn inside() {
    if std::env::var_os("ICEWARP_INSIDE").is_none() {
        return;
    }
    put("/run/bin/systemctl", SYSTEMCTL, 0o755);
    put(
        "/run/bin/mariadb",
        "#!/bin/sh\necho \"mariadb $*\" >> /run/commands\n",
        0o755,
    );
    put("/run/rackwright/secrets/database-app", "topsecret\n", 0o600);
    put("/run/rackwright/secrets/sessions", "alsosecret\n", 0o600);
    put("/etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n", 0o644);
    let program = "/var/spool/rackwright/icewarp/program";

    expect(State::Waits, "this image has none");
    archive("rhel9", "");
    expect(
        State::Refused,
        "the archive is for `rhel 9`, and this would be `debian 13`",
    );
    archive("debian13", "");
    expect(
        State::Waits,
        "the secret `icewarp-license` was not delivered",
    );
    put(
        "/run/rackwright/secrets/icewarp-license",
        "LICENCE-1\n",
        0o600,
    );

    // Its own exit codes.
    archive("debian13", "missing-library");
    expect(
        State::Refused,
        "the installer ended with 2: libraries that it depends on are missing",
    );
    assert!(!camino::Utf8Path::new(program).join("tool.sh").exists());
    // It calls itself another system than the one we take it for.
    put("/etc/os-release", "ID=debian\nVERSION_ID=\"13.1\"\n", 0o644);
    archive("debian13", "");
    expect(
        State::Refused,
        "the installer ended with 1: incompatible Linux distribution",
    );
    put("/etc/os-release", "ID=debian\nVERSION_ID=\"13\"\n", 0o644);

    expect(State::Ready, "IceWarp, as master");
    let told = read(&format!("{program}/told"));
    for line in [
        "c_system_storage_accounts_odbcconnstring=iw_accounts;mail;topsecret;10.0.3.9;3;2",
        "c_system_storage_dir_temppath=/var/spool/rackwright/temp/",
        "c_system_server_id=a1",
        "c_system_server_master=1",
        "c_meeting_active=1",
        "tables 4",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    // What came with the program begins the shared folders.
    assert_eq!(read("/var/srv/mail/config/settings.cfg"), "stand-in\n");
    assert_eq!(
        fs::read_link(format!("{program}/config")).unwrap(),
        std::path::Path::new("/var/srv/mail/config")
    );
    assert!(
        read(&format!("{program}/php/php.ini")).contains("tcp://10.0.3.9:6379?auth=alsosecret")
    );
    assert_eq!(read("/var/srv/mail/.rackwright-master"), "iw1\n");
    let license = "/var/spool/rackwright/icewarp/unpacked/IceWarp-stand-in/license.seen";
    assert_eq!(read(license), "LICENCE-1\n");
    let commands = read("/run/commands");
    assert!(
        commands.contains("CREATE DATABASE IF NOT EXISTS iw_webcache"),
        "{commands}"
    );
    assert!(
        commands.contains("systemctl start icewarp.service"),
        "{commands}"
    );
    assert!(!commands.contains("secret"), "{commands}");

    // A second round changes nothing that is there.
    expect(State::Ready, "IceWarp, as master");
    assert_eq!(read(&format!("{program}/told")), told);

    // The lock went to another server while this one was cut off: no master from now on.
    sh("printf 'iw2\\n' > /var/srv/mail/.rackwright-master");
    expect(State::Ready, "IceWarp, not as master");
    let told = read(&format!("{program}/told"));
    assert!(
        told.trim_end().ends_with("c_system_server_master=0"),
        "{told}"
    );
    // Another one holds it: the planned master asks for it, and gets it when it is free.
    let mut other = Command::new("flock")
        .args([
            "--no-fork",
            "/var/srv/mail/.rackwright-master",
            "sleep",
            "60",
        ])
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    expect(State::Ready, "IceWarp, not as master");
    assert!(read("/var/srv/mail/.rackwright-master-wanted").contains("\"iw1\""));
    other.kill().unwrap();
    other.wait().unwrap();
    expect(State::Ready, "IceWarp, as master");
    assert!(!std::path::Path::new("/var/srv/mail/.rackwright-master-wanted").exists());

    // It ended by itself: the flag goes before anything else.
    put("/run/icewarp.failed", "", 0o644);
    expect(State::Failed, "IceWarp ended by itself");
    let told = read(&format!("{program}/told"));
    assert!(
        told.trim_end().ends_with("c_system_server_master=0"),
        "{told}"
    );
    fs::remove_file("/run/icewarp.failed").unwrap();
    expect(State::Ready, "IceWarp, as master");

    // After a boot /etc and memory are empty, the array is not.
    sh("umount /etc/icewarp; userdel icewarp; rm -rf /etc/icewarp /run/rackwright/icewarp");
    let installed = read(&format!("{program}/told"));
    expect(State::Ready, "IceWarp, as master");
    assert!(read("/etc/icewarp/icewarp.conf").contains(program));
    assert!(read(&format!("{program}/told")).len() > installed.len());
    sh("id icewarp > /dev/null");
}

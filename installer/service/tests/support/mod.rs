//! Daemons in namespaces, and small clients.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use roles::render::{Accounts, BootFacts, BootMode, Content};
use service::mail;
use service::settings::Mail;

/// Layers, a network with nothing at its ends, the daemons; then the part of the test that speaks to them. `$1` rendered,
/// `$2` programs, `$3` an empty folder, `$4` the test's program, `$5` its part.
const ENTER: &str = r#"
set -e
rendered=$1 programs=$2 merged=$3 test=$4 part=$5
mount -t tmpfs tmpfs "$merged"
mkdir "$merged/upper" "$merged/work" "$merged/root"
mkdir "$merged/upper/rendered"
cp -a "$rendered/." "$merged/upper/rendered"
mount -t overlay overlay -o "lowerdir=$programs,upperdir=$merged/upper/rendered,workdir=$merged/work" "$merged/root"
root=$merged/root
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" && mount --bind /dev "$root/dev"
ip link set lo up
ip link add outside0 type dummy 2>&- || ip link add outside0 type bridge
ip address add 192.0.2.200/24 dev outside0
ip link set outside0 up
daemon() { chroot "$root" "$@"; }
daemon install -d -o mysql -g mysql /var/lib/mysql /run/mysqld
daemon mariadb-install-db --user=mysql --auth-root-authentication-method=socket --skip-test-db --datadir=/var/lib/mysql > /dev/null
daemon mariadbd --no-defaults --user=mysql --datadir=/var/lib/mysql --socket=/run/mysqld/mysqld.sock --bind-address=127.0.0.1 --innodb-buffer-pool-size=32M > "$merged/mariadb.log" 2>&1 &
for try in $(seq 150); do daemon mariadb -e 'SELECT 1' > /dev/null 2>&1 && break; sleep 0.2; done
daemon mariadb < "$root/users.sql"
for file in domains.cf mailboxes.cf aliases.cf senders.cf tls.cnf; do daemon chown root:postfix /run/rackwright/mail/$file; done
daemon install -d -o 5000 -g 5000 -m 0770 /var/srv/mail/mail
daemon install -d -m 0755 /var/spool/rackwright/postfix /var/lib/postfix
daemon chown postfix /var/lib/postfix
daemon postfix check
daemon chgrp postdrop /usr/sbin/postqueue /usr/sbin/postdrop && daemon chmod g+s /usr/sbin/postqueue /usr/sbin/postdrop
daemon dovecot -F > "$merged/dovecot.log" 2>&1 &
daemon /usr/lib/postfix/sbin/master -c /etc/postfix > "$merged/postfix.log" 2>&1 &
MAIL_INSIDE=1 "$test" "$part" --exact --ignored --nocapture || {
    tail -n 15 "$merged"/*.log "$root/var/log/mail.log" "$root/var/log/dovecot.log" 2>&- ; exit 1
}
"#;

/// Is this the part inside?
pub fn inside() -> bool {
    std::env::var_os("MAIL_INSIDE").is_some()
}

/// Starts the daemons with the files of `role` and, beside them, the test `part` of this program.
pub fn start(role: &str, part: &str) {
    let programs: Utf8PathBuf = std::env::var("RACKWRIGHT_DAEMONS")
        .expect("RACKWRIGHT_DAEMONS names no folder: cargo prove --fast mail")
        .into();
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let (rendered, merged) = (folder.join("rendered"), folder.join("merged"));
    std::fs::create_dir_all(&merged).unwrap();
    write(role, &rendered, &programs);
    let mut unshare = Command::new("unshare");
    if !nix_is_root() {
        unshare.args(["--user", "--map-auto", "--map-root-user"]);
    }
    let output = unshare
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args([
            "sh",
            "-c",
            ENTER,
            "sh",
            rendered.as_str(),
            programs.as_str(),
            merged.as_str(),
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(part)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let tail: Vec<&str> = said.lines().collect();
    assert!(
        output.status.success(),
        "{}",
        tail[tail.len().saturating_sub(60)..].join("\n")
    );
    // A filter that matches nothing is no success.
    assert!(said.contains("1 passed"), "{said}");
}

fn nix_is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0)
}

/// What the role renders, what a round writes, and some users.
fn write(role: &str, root: &Utf8Path, programs: &Utf8Path) {
    let roles_folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    let set = roles::folder::read(&roles_folder).unwrap();
    let text = format!(
        "format = 1\nnode = \"iw1\"\nrole = \"{role}\"\ndomain = \"example.com\"\n[[networks]]\nname = \"public\"\nmac = \"0c:c4:7a:00:00:01\"\naddresses = [\"192.0.2.21/24\"]\n\
         [settings]\nmail_hostname = \"mail.example.com\"\ndatabase_address = \"127.0.0.1\"\n"
    );
    let node = roles::parse::node_file("node.toml", &text, Some(&set))
        .unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
    // Packages were unpacked only: their accounts are made here.
    let names = ["mysql", "postfix", "postdrop", "dovecot", "dovenull"];
    let lines = |form: &dyn Fn(usize, &str) -> String| -> String {
        names
            .iter()
            .enumerate()
            .map(|(number, name)| form(number + 300, name))
            .collect()
    };
    let facts = BootFacts {
        mode: BootMode::Run,
        role: role.to_owned(),
        version: "0.1.0".to_owned(),
        slot: None,
        machine_id: None,
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: Default::default(),
        accounts: Some(Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n".to_owned()
                + &lines(&|id, name| format!("{name}:x:{id}:{id}::/:/bin/false\n")),
            shadow: "root:*:20000:0:99999:7:::\n".to_owned(),
            group: "root:x:0:\nnogroup:x:65534:\n".to_owned()
                + &lines(&|id, name| format!("{name}:x:{id}:\n")),
        }),
    };
    let mut files: Vec<(String, String)> =
        roles::render::files(&set, &set.roles[role], Some(&node), &facts)
            .unwrap()
            .into_iter()
            .filter_map(|file| match file.content {
                Content::File { text, .. } => Some((file.path, text)),
                Content::Link { .. } => None,
            })
            .collect();
    let settings = Mail {
        database_address: Some("127.0.0.1".into()),
        ..Mail::default()
    };
    files.extend(
        mail::database_files(&settings, "testpassword")
            .unwrap()
            .into_iter()
            .map(|file| (file.path, file.text)),
    );
    files.push(("/users.sql".to_owned(), users()));
    // The script of Debian's package makes it of this.
    let maps = std::fs::read_to_string(programs.join("usr/share/postfix/dynamicmaps.cf")).unwrap();
    files.push(("/etc/postfix/dynamicmaps.cf".to_owned(), maps));
    // Logs without a journal.
    for (path, text) in &mut files {
        match path.as_str() {
            "/etc/postfix/main.cf" => {
                *text = text.replace("maillog_file =\n", "maillog_file = /var/log/mail.log\n")
            }
            "/etc/dovecot/dovecot.conf" => {
                *text = text.replace("log_path = syslog", "log_path = /var/log/dovecot.log")
            }
            _ => {}
        }
    }
    for (path, text) in files {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for folder in ["run/dovecot", "var/log", "tmp", "var/tmp"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::set_permissions(
        Path::new(root.join("tmp").as_str()),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
}

/// The account as the database's role makes it: only with TLS. Users as an operator would add them; passwords in clear so that the test needs no `doveadm`.
fn users() -> String {
    format!(
        "CREATE DATABASE mail;\nCREATE USER mail@'127.0.0.1' IDENTIFIED BY 'testpassword' REQUIRE SSL;\nGRANT ALL ON mail.* TO mail@'127.0.0.1';\nUSE mail;\n{}\
         INSERT INTO domains VALUES ('example.com');\n\
         INSERT INTO users VALUES ('anna@example.com', '{{PLAIN}}right', TRUE), ('bert@example.com', '{{PLAIN}}right', TRUE), ('off@example.com', '{{PLAIN}}right', FALSE);\n\
         INSERT INTO aliases VALUES ('sales@example.com', 'anna@example.com');\n",
        mail::SCHEMA
    )
}

/// A connection with limits.
pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    to(&format!("127.0.0.1:{port}"))
}

fn to(address: &str) -> std::io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// A client of SMTP.
pub struct Smtp(BufReader<TcpStream>);

impl Smtp {
    /// A client whom Postfix has no reason to trust.
    pub fn from_outside(port: u16) -> Self {
        let mut smtp = Self(BufReader::new(outside(port)));
        smtp.answer(220);
        smtp
    }

    /// Sends a command; gives the answer, which must have this code.
    pub fn expect(&mut self, command: &str, code: u16) -> String {
        write!(self.0.get_mut(), "{command}\r\n").unwrap();
        self.answer_to(command, code)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &str) {
        self.expect("DATA", 354);
        write!(self.0.get_mut(), "{message}.\r\n").unwrap();
        self.answer(250);
    }

    fn answer(&mut self, code: u16) -> String {
        self.answer_to("(greeting or message)", code)
    }

    fn answer_to(&mut self, command: &str, code: u16) -> String {
        let mut said = String::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            said.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                break;
            }
        }
        let last = said.lines().last().unwrap_or_default();
        assert!(
            last.starts_with(&code.to_string()),
            "`{command}`: expected {code}, got {said}"
        );
        said
    }
}

/// From 127.0.0.77, which is no address of an interface: Postfix trusts only those with `mynetworks_style = host`.
fn outside(port: u16) -> TcpStream {
    use std::os::fd::AsRawFd;
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Stream,
        nix::sys::socket::SockFlag::empty(),
        None,
    )
    .unwrap();
    let bind = nix::sys::socket::SockaddrIn::new(127, 0, 0, 77, 0);
    nix::sys::socket::bind(socket.as_raw_fd(), &bind).unwrap();
    let target = nix::sys::socket::SockaddrIn::new(127, 0, 0, 1, port);
    nix::sys::socket::connect(socket.as_raw_fd(), &target).unwrap();
    let stream: TcpStream = socket.into();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream
}

/// A client of IMAP.
pub struct Imap(BufReader<TcpStream>);

impl Imap {
    /// Connected.
    pub fn new() -> Self {
        let mut imap = Self(BufReader::new(connect(143).unwrap()));
        let mut line = String::new();
        imap.0.read_line(&mut line).unwrap();
        assert!(line.starts_with("* OK"), "{line}");
        imap
    }

    /// Sends a command; gives all lines up to its own answer.
    pub fn command(&mut self, command: &str) -> String {
        write!(self.0.get_mut(), "a {command}\r\n").unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return said;
            }
            said.push_str(&line);
            if line.starts_with("a ") {
                return said;
            }
        }
    }
}

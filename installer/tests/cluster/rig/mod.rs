//! Machines without machines: each is a namespace with a network port, the files that are rendered for it, the daemons of
//! Debian 13 and the installer's own binary; a script stands for systemd. All of it ends with the test.

use std::{
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use roles::{
    NodeFile,
    compile::{Secrets, Seed},
    render::{Accounts, BootFacts, BootMode, Content, RenderedFile},
    site::{init, model::Setup},
};

/// Where programs of Debian 13 are.
pub const PROGRAMS: &str = "RACKWRIGHT_DATABASES";
const INSIDE: &str = "RACKWRIGHT_RIG_INSIDE";

/// Starts this test again in namespaces that end with it; `true`: this is the inner one.
pub fn inside(test: &str) -> bool {
    if std::env::var(INSIDE).is_ok() {
        let script = "mount -t sysfs sysfs /sys; ip link set lo up; ip link add rack0 type bridge; ip link set rack0 up";
        assert!(sh(script).status.success());
        return true;
    }
    let output = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--uts",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    // Its summary is not one more test.
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("test result") && !line.starts_with("running "))
        .collect();
    assert!(output.status.success(), "{}", lines.join("\n"));
    println!("{}", lines.join("\n"));
    false
}

fn sh(script: &str) -> Output {
    Command::new("sh").args(["-c", script]).output().unwrap()
}

/// Node files and secrets of a site.
pub struct Compiled {
    all: roles::compile::Compiled,
    names: Vec<String>,
}

/// The first site file of a setup, small enough for a test.
pub fn compile(setup: Setup, users: u64) -> Compiled {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../roles");
    let roles = roles::folder::read(&folder).unwrap();
    let text = init(setup, users, "mail").replace(
        "ssh_keys = []",
        "ssh_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJzN1nJZtnBZ0qk0nQ2fFvXKwUDL0IuPSN1CZ0O4pYkM a\"]",
    );
    let (site, found) = roles::site::check("site.toml", &text, Some(&roles));
    let site = site.unwrap_or_else(|| panic!("{}", found.render(false)));
    let all = roles::compile::compile(&site, &Seed::new([7; 32]), Some(&roles), Some("test"));
    let names = site.nodes.iter().map(|node| node.name.clone()).collect();
    Compiled { all, names }
}

impl Compiled {
    /// Machines of a role, in the plan's order.
    pub fn of(&self, role: &str) -> Vec<NodeFile> {
        self.names
            .iter()
            .filter_map(|name| self.all.node_file(name))
            .filter(|node| node.role == role)
            .collect()
    }
    /// Secrets of a machine.
    pub fn secrets(&self, name: &str) -> &Secrets {
        &self.all.secrets[name]
    }
}

/// One machine.
pub struct Node {
    pub name: String,
    pub address: String,
    folder: Utf8PathBuf,
    file: NodeFile,
    process: Child,
}

impl Node {
    /// Makes it and switches it on. `edit`: what a small test machine has otherwise.
    pub fn new(folder: &Utf8Path, compiled: &Compiled, mut file: NodeFile) -> Self {
        file.ntp = Vec::new();
        // A third of a gigabyte in place of a server's memory.
        for (key, value) in [("buffer_pool", "48M"), ("gcache", "32M")] {
            if file.settings.contains_key(key) {
                file.settings.insert(key.to_owned(), value.into());
            }
        }
        let folder = folder.join(&file.node);
        for name in ["state", "mysql", "secrets", "units", "merged", "rendered"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("systemctl"), include_str!("systemctl")).unwrap();
        for (name, secret) in compiled.secrets(&file.node).iter() {
            std::fs::write(folder.join("secrets").join(name), secret.expose()).unwrap();
        }
        units(&folder.join("units"));
        write(&folder.join("rendered"), &rendered(&file));
        let own = file
            .networks
            .iter()
            .find(|network| network.name == "cluster")
            .unwrap();
        let address = own.addresses[0].clone();
        let name = file.node.clone();
        let process = start(&folder, &name);
        let node = Self {
            name,
            address: address.split('/').next().unwrap().to_owned(),
            folder,
            file,
            process,
        };
        node.put_node_file();
        node.plug(&address);
        node
    }

    fn put_node_file(&self) {
        let text = toml::to_string(&self.file).unwrap();
        std::fs::write(self.folder.join("state/node.toml"), text).unwrap();
    }

    fn plug(&self, address: &str) {
        let (name, pid) = (&self.name, self.process.id());
        let script = format!(
            "set -e; ip link add v-{name} type veth peer name cluster0 netns {pid}; ip link set v-{name} master rack0 up; \
             nsenter --net=/proc/{pid}/ns/net ip address add {address} dev cluster0; \
             nsenter --net=/proc/{pid}/ns/net ip link set cluster0 up"
        );
        let output = sh(&script);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs a line in it.
    pub fn try_run(&self, line: &str) -> Output {
        let pid = self.process.id().to_string();
        Command::new("nsenter")
            .args([
                "--target", &pid, "--net", "--mount", "--uts", "--root", "--wd", "bash", "-c", line,
            ])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs a line that must end well; gives what it wrote.
    pub fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}: `{line}`: {}\n{said}{}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stderr),
            self.logs()
        );
        said.trim_end().to_owned()
    }

    /// Starts the health endpoint and the join, as its services do.
    pub fn join(&self) {
        self.run(
            "for unit in identity health join; do systemctl start rackwright-$unit.service; done",
        );
    }

    /// Ends the join and begins it anew, with all that it said before forgotten.
    pub fn rejoin(&self) {
        self.run("systemctl kill rackwright-join.service; rm -f /var/log/rackwright-join.service.log; systemctl start rackwright-join.service");
    }

    /// SQL as root.
    pub fn sql(&self, statement: &str) -> String {
        self.run(&format!(
            "mariadb --no-defaults --protocol=socket --socket=/run/mysqld/mysqld.sock -uroot -BN -e \"{statement}\""
        ))
    }

    /// Status line and body of the health endpoint.
    pub fn health(&self, path: &str) -> String {
        let line = format!(
            "exec 3<>/dev/tcp/127.0.0.1/9200; printf 'GET {path} HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3 | tr -d '\\r'"
        );
        let text = String::from_utf8_lossy(&self.try_run(&line).stdout).into_owned();
        let status = text.split(' ').nth(1).unwrap_or("none").to_owned();
        let body = text
            .split_once("\n\n")
            .map_or("", |(_, body)| body.trim_end());
        format!("{status} {body}")
    }

    /// What the join said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(
            &self
                .try_run("cat /var/log/rackwright-join.service.log")
                .stdout,
        )
        .into_owned()
    }

    /// Waits until the join said this.
    pub fn wait_said(&self, words: &str, seconds: u64) -> Duration {
        self.wait_for(&format!("the join to say `{words}`"), seconds, || {
            self.said().contains(words)
        })
    }

    /// Waits for anything.
    pub fn wait_for(&self, what: &str, seconds: u64, holds: impl Fn() -> bool) -> Duration {
        let began = Instant::now();
        while !holds() {
            assert!(
                began.elapsed() < Duration::from_secs(seconds),
                "{}: waited {seconds} s for {what}\n{}",
                self.name,
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
        began.elapsed()
    }

    /// Kills the server as a power cut would.
    pub fn kill(&self) {
        self.run("systemctl kill --signal=SIGKILL mariadb.service");
    }

    /// Another boot: nothing in memory is left. `disks`: they are emptied too, as a new install does.
    pub fn restart(&mut self, disks: bool) {
        self.run("for unit in rackwright-join rackwright-identity rackwright-health mariadb; do systemctl kill $unit.service; done");
        let address = self
            .file
            .networks
            .iter()
            .find(|network| network.name == "cluster")
            .unwrap()
            .addresses[0]
            .clone();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        sh(&format!("ip link delete v-{}", self.name));
        if disks {
            for name in ["state", "mysql"] {
                std::fs::remove_dir_all(self.folder.join(name)).unwrap();
                std::fs::create_dir_all(self.folder.join(name)).unwrap();
            }
            self.put_node_file();
        }
        self.process = start(&self.folder, &self.name);
        self.plug(&address);
    }

    /// Takes its cable out, or puts it in.
    pub fn cable(&self, up: bool) {
        let state = if up { "up" } else { "down" };
        assert!(
            sh(&format!("ip link set v-{} {state}", self.name))
                .status
                .success()
        );
    }

    /// For a failed test: the end of what its programs said.
    fn logs(&self) -> String {
        let line = "for file in /var/log/*.log; do echo \"--- $file\"; tail -n 12 $file; done";
        String::from_utf8_lossy(&self.try_run(line).stdout).into_owned()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn start(folder: &Utf8Path, name: &str) -> Child {
    let programs = std::env::var(PROGRAMS)
        .unwrap_or_else(|_| panic!("{PROGRAMS} names no folder\nhint: cargo prove --fast galera"));
    let path = |name: &str| folder.join(name).into_string();
    let roles = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../roles");
    let process = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--uts",
            "sh",
            "-c",
            include_str!("node.sh"),
            "sh",
            name,
        ])
        .args([
            &path("rendered"),
            &programs,
            folder.as_str(),
            &path("merged"),
        ])
        .args([env!("CARGO_BIN_EXE_rackwright-installer"), roles.as_str()])
        .spawn()
        .unwrap();
    // Ready when its last program runs.
    let began = Instant::now();
    let comm = format!("/proc/{}/comm", process.id());
    while std::fs::read_to_string(&comm).unwrap_or_default().trim() != "sleep" {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{name} did not start"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    process
}

fn units(folder: &Utf8Path) {
    let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    // As Debian's mariadb.service: the position first, then the server.
    put(
        "mariadb.service",
        "position=$(galera_recovery)\nset -a; [ -e /run/mariadb-wsrep-new-cluster ] && . /run/mariadb-wsrep-new-cluster\nexec mariadbd --user=mysql $_WSREP_NEW_CLUSTER $position\n",
    );
    put(
        "mariadb.service.condition",
        "/run/rackwright/join/mariadb-allowed\n",
    );
    put(
        "mariadb.service.ready",
        "mariadb --no-defaults --protocol=socket --socket=/run/mysqld/mysqld.sock -uroot -e 'SELECT 1'\n",
    );
    put(
        "haproxy.service",
        "exec haproxy -W -db -f /etc/haproxy/haproxy.cfg\n",
    );
    put(
        "haproxy.service.condition",
        "/run/rackwright/join/haproxy-allowed\n",
    );
    put(
        "rackwright-identity.service",
        "exec rackwright-installer enrol\n",
    );
    put(
        "rackwright-health.service",
        "exec rackwright-installer health-endpoint\n",
    );
    put(
        "rackwright-join.service",
        "exec rackwright-installer join\n",
    );
}

/// A host file system's `mysql` is 101 here.
fn rendered(node: &NodeFile) -> Vec<RenderedFile> {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../roles");
    let set = roles::folder::read(&folder).unwrap();
    let users = [("haproxy", 100), ("mysql", 101), ("nobody", 102)];
    let lines = |form: &dyn Fn(&str, u32) -> String| -> String {
        users.iter().map(|(name, id)| form(name, *id)).collect()
    };
    let facts = BootFacts {
        mode: BootMode::Run,
        role: node.role.clone(),
        version: "0.1.0".to_owned(),
        slot: Some("a".to_owned()),
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: Default::default(),
        accounts: Some(Accounts {
            passwd: "root:x:0:0:root:/root:/bin/sh\n".to_owned()
                + &lines(&|name, id| format!("{name}:x:{id}:{id}::/:/bin/sh\n")),
            shadow: "root:*:20000:0:99999:7:::\n".to_owned(),
            group: "root:x:0:\n".to_owned() + &lines(&|name, id| format!("{name}:x:{id}:\n")),
        }),
    };
    roles::render::files(&set, &set.roles[&node.role], Some(node), &facts).unwrap()
}

fn write(root: &Utf8Path, files: &[RenderedFile]) {
    for file in files {
        let path = root.join(file.path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &file.content {
            Content::File { text, .. } => std::fs::write(&path, text).unwrap(),
            Content::Link { target } => std::os::unix::fs::symlink(target, &path).unwrap(),
        }
    }
    // What Debian's package scripts make: the tree of option files.
    let mysql = root.join("etc/mysql");
    std::fs::create_dir_all(&mysql).unwrap();
    std::fs::write(
        mysql.join("my.cnf"),
        "[client-server]\nsocket=/run/mysqld/mysqld.sock\n!includedir /etc/mysql/conf.d/\n!includedir /etc/mysql/mariadb.conf.d/\n",
    )
    .unwrap();
    std::fs::create_dir_all(mysql.join("conf.d")).unwrap();
    for folder in [
        "proc",
        "sys",
        "run",
        "tmp",
        "dev",
        "state",
        "var/lib/mysql",
        "var/log",
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
}

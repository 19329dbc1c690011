use super::*;
use crate::{outside::Outside, told::Told};
use roles::{NodeFile, Role, role::JoinStep};
use system::Simulated;

struct Nobody;
impl Outside for Nobody {
    fn ask(&self, _: &str) -> Option<Told> {
        None
    }
    fn listens(&self, _: &str, _: u16) -> bool {
        false
    }
    fn greeting(&self, _: &str, _: u16) -> Option<Vec<u8>> {
        None
    }
}

#[derive(Default)]
struct Lines(Vec<String>);
impl Say for Lines {
    fn say(&mut self, step: &str, line: &str) {
        self.0.push(format!("{step}: {line}"));
    }
}

fn role(text: &str) -> Role {
    let head = "format = 1\nname = \"galera\"\nsummary = \"x\"\n";
    toml::from_str(&format!("{head}{text}")).unwrap()
}

fn join(system: &Simulated, role: &Role, seconds: u64) -> (Result<Ended, String>, Vec<String>) {
    let node = NodeFile {
        node: "db1".into(),
        ..NodeFile::default()
    };
    let context = Context {
        system,
        outside: &Nobody,
        claims: None,
        role,
        node: &node,
        boot: "boot1".into(),
    };
    let mut lines = Lines::default();
    let ended = run(&context, &mut lines, Some(Duration::from_secs(seconds)));
    (ended, lines.0)
}

const SECRETS: &str =
    "[[join]]\nid = \"secrets\"\nkind = \"secrets\"\nnames = [\"database-app\"]\n";

#[test]
fn waits_says_so_once_and_says_when_it_is_late() {
    let system = Simulated::new();
    let role = role(&(SECRETS.to_owned() + "deadline = 10\n"));
    let (ended, lines) = join(&system, &role, 60);
    let waits = "waits for secrets that were not delivered: `database-app`; `rackwright-installer unlock` opens a sealed file";
    assert_eq!(ended, Err(format!("step `secrets` is not done: {waits}")));
    assert_eq!(
        lines,
        [
            format!("secrets: {waits}"),
            format!("secrets: late after 10 s: {waits}")
        ]
    );
}

#[test]
fn an_optional_step_is_left_out_when_it_is_late() {
    let system = Simulated::new();
    let role = role(&(SECRETS.to_owned() + "deadline = 10\noptional = true\n"));
    let (ended, lines) = join(&system, &role, 60);
    assert_eq!(ended, Ok(Ended::Joined));
    assert!(
        lines[1].starts_with("secrets: goes on without it: waits for"),
        "{lines:?}"
    );
    let journal = journal::read(&system).unwrap();
    assert_eq!(journal.steps("boot1")[0].1, "skipped");
}

#[test]
fn a_step_holds_before_it_counts() {
    let system = Simulated::new();
    system.put_file("/run/rackwright/secrets/database-app", b"abc");
    let role = role(&(SECRETS.to_owned() + "hold = 20\n"));
    let began = system.now();
    let (ended, lines) = join(&system, &role, 600);
    assert_eq!(ended, Ok(Ended::Joined));
    assert!(system.now() - began >= Duration::from_secs(20));
    assert_eq!(
        lines,
        [
            "secrets: holds for 20 s: 1 delivered",
            "secrets: 1 delivered",
            "join: all steps are done"
        ]
    );
    assert_eq!(
        journal::read(&system).unwrap().steps("boot1"),
        [("secrets", "done", "1 delivered")]
    );
}

#[test]
fn failures_are_tried_again_and_slowly() {
    let system = Simulated::new();
    system.answer("mariadbd", Err("unknown variable 'x'"));
    let role = role(
        "[[join]]\nid = \"configuration\"\nkind = \"check\"\ncommand = [\"mariadbd\", \"--help\"]\n",
    );
    let (ended, lines) = join(&system, &role, 60);
    assert_eq!(
        ended,
        Err("step `configuration` is not done: failed, tries again: unknown variable 'x'".into())
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(system.commands().len() <= 6, "{:?}", system.commands());
}

#[test]
fn the_shipped_roles_have_steps_in_the_order_of_a_join() {
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    let roles = roles::folder::read(&folder).unwrap();
    let ids = |name: &str| -> Vec<&str> {
        roles.roles[name]
            .role
            .join
            .iter()
            .map(|step: &JoinStep| step.id.as_str())
            .collect()
    };
    let looks = [
        "network",
        "clock",
        "secrets",
        "certificate",
        "store",
        "configuration",
    ];
    assert_eq!(
        ids("galera"),
        [&looks[..], &["galera", "accounts", "seen"]].concat()
    );
    assert_eq!(
        ids("database"),
        [&looks[..], &["database", "accounts", "seen"]].concat()
    );
    assert_eq!(
        ids("lb"),
        [
            "network",
            "clock",
            "certificate",
            "configuration",
            "arbitrator",
            "databases"
        ]
    );
}

#[test]
fn a_certificate_is_waited_for_only_where_tls_is_wanted() {
    const STEP: &str =
        "[[join]]\nid = \"certificate\"\nkind = \"certificate\"\ngroup = \"mysql\"\n";
    let with = role(&format!("[settings]\ntls = true\n{STEP}"));
    let without = role(&format!("[settings]\ntls = false\n{STEP}"));
    let system = Simulated::new();
    assert_eq!(join(&system, &without, 5).0, Ok(Ended::Joined));
    let waits = join(&system, &with, 5).0.unwrap_err();
    assert!(waits.contains("this machine's certificate"), "{waits}");
    system.put_file("/run/rackwright/identity/mysql/node.key", b"key");
    assert_eq!(join(&system, &with, 5).0, Ok(Ended::Joined));
}

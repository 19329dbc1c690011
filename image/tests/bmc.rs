//! BMCs over the network: `ipmi_sim` (Debian's package openipmi) on the loopback, for the session itself and for what
//! `rackwright bmc` prints. Without that program the tests fail and say how to get it; they are never skipped in silence.

#![expect(clippy::unwrap_used, reason = "a panic in a test is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use firmware::bmc::difference::Way;
use firmware::bmc::remote::{Session, SessionError};
use firmware::bmc::{
    BmcError, Password, Wanted, apply, channel, chassis, current, device, sel, users,
};

mod simulator;

use simulator::{PASSWORD, Simulator};

/// What these tests do with a simulated BMC.
trait Asked {
    fn session(&self, user: &str, password: &str) -> Result<Session, SessionError>;
    fn state(&self, name: &str) -> String;
    fn rackwright(&self, words: &[&str]) -> String;
    fn rackwright_as(&self, user: &str, password: &str, words: &[&str]) -> String;
}

impl Asked for Simulator {
    fn session(&self, user: &str, password: &str) -> Result<Session, SessionError> {
        Session::open(&self.address(), user, &Password::parse(password).unwrap())
    }

    fn state(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What `rackwright bmc` prints.
    fn rackwright(&self, words: &[&str]) -> String {
        self.rackwright_as("ADMIN", PASSWORD, words)
    }

    fn rackwright_as(&self, user: &str, password: &str, words: &[&str]) -> String {
        let file = self.path("password");
        fs::write(&file, format!("{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_rackwright"))
            .args(["bmc", "--address", &self.address(), "--user", user])
            .arg("--password-file")
            .arg(&file)
            .args(words)
            .output()
            .unwrap();
        let text = format!(
            "exit code {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().unwrap(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        text.replace(&self.address(), "[BMC]")
    }
}

#[test]
fn a_session_reads_and_writes() {
    let simulator = Simulator::start();
    let mut session = simulator.session("ADMIN", PASSWORD).unwrap();
    let who = device::read(&mut session).unwrap();
    assert_eq!((who.manufacturer, who.product), (10876, 0x0859));
    // Refused until the session's privilege is raised: `ipmi-rs` does not do that itself.
    let channel = channel::find_lan(&mut session).unwrap();
    assert_eq!(channel, 1);
    assert!(channel::is_own(&mut session, channel).unwrap());
    let users = users::read(&mut session, channel).unwrap();
    assert_eq!(users.named("ADMIN").unwrap().slot, 2);
    // The simulator calls every password right: then it is not known.
    assert_eq!(users::has_factory_password(&mut session), Ok(None));
    // A maker's own command gets its own refusal, not "an answer to something else".
    let error = firmware::bmc::supermicro::lan_mode(&mut session).unwrap_err();
    assert_eq!(error.code(), Some(0xc1), "{error}");
    sel::set_time(&mut session, 1_800_000_000).unwrap();
    assert!(sel::time(&mut session).unwrap().unwrap() < 1_800_000_020);
}

/// What a node does in its own installer, the workstation sees: the account that was made is one that can log in.
#[test]
fn an_account_that_was_made_can_log_in() {
    let simulator = Simulator::start();
    let mut session = simulator.session("ADMIN", PASSWORD).unwrap();
    let wanted = Wanted {
        user: Some("rackwright".into()),
        ..Wanted::default()
    };
    let password = Password::parse("correct horse ba").unwrap();
    let (now, difference) = apply::look(&mut session, &wanted, Some(&password), Way::Lan).unwrap();
    // Not all of a real BMC is simulated: the console has no settings here.
    let mut changes = difference.clone();
    changes.changes.retain(|change| {
        use firmware::bmc::Change;
        !matches!(
            change,
            Change::Console | Change::ConsoleUser { .. } | Change::Channel { .. }
        )
    });
    firmware::bmc::apply(
        &mut session,
        now.channel,
        &changes,
        Some(&password),
        Way::Lan,
        &mut |_| {},
    )
    .unwrap();
    drop(session);
    let mut session = simulator.session("rackwright", "correct horse ba").unwrap();
    assert!(current::read(&mut session).is_ok());
    // The simulator does not test passwords, so that the factory's is not known to be in use: it stays, with a warning.
    assert!(
        difference.warnings.iter().any(|it| it.contains("`ADMIN`")),
        "{:?}",
        difference.warnings
    );
    assert!(simulator.session("rackwright", "correct horse b").is_err());
}

/// Sessions are few on a BMC: ours are closed, so that more can follow than it has room for.
#[test]
fn sessions_are_closed() {
    let simulator = Simulator::start();
    // It has room for 63.
    for _ in 0..70 {
        let mut session = simulator.session("ADMIN", PASSWORD).unwrap();
        device::read(&mut session).unwrap();
    }
}

#[test]
fn who_is_not_let_in_and_what_does_not_answer() {
    let simulator = Simulator::start();
    for (user, password) in [("ADMIN", "wrong"), ("nobody", PASSWORD)] {
        let error = simulator.session(user, password).err().unwrap();
        assert!(matches!(error, SessionError::Refused { .. }), "{error}");
        assert!(!error.to_string().contains("wrong)"), "{error}");
    }
    let address = simulator.address();
    drop(simulator);
    let nobody = Password::parse("x").unwrap();
    let error = Session::open(&address, "ADMIN", &nobody).err().unwrap();
    assert!(matches!(error, SessionError::Silent { .. }), "{error}");
}

/// The simulator dies in the middle: an error, no panic, and no second command to the power.
#[test]
fn a_bmc_that_goes_away() {
    let simulator = Simulator::start();
    let mut session = simulator.session("ADMIN", PASSWORD).unwrap();
    drop(simulator);
    let error = chassis::control(&mut session, chassis::Power::Cycle).unwrap_err();
    assert!(matches!(error, BmcError::Unreachable(_)), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("whether it was done is not known"),
        "{error}"
    );
    assert!(device::read(&mut session).is_err());
}

#[test]
fn power_and_boot_by_the_program() {
    let simulator = Simulator::start();
    let mut all = Vec::new();
    for words in [
        &["power", "on"][..],
        &["power", "on"],
        &["power", "off"],
        &["boot", "pxe"],
        &["boot", "bios", "--persistent"],
    ] {
        all.push(format!(
            "{}: {}",
            words.join(" "),
            simulator.rackwright(words)
        ));
    }
    insta::assert_snapshot!(all.join("\n"));
    assert_eq!(simulator.state("power"), "0");
    assert_eq!(simulator.state("boot"), "pxe");
}

#[test]
fn what_the_program_shows() {
    let simulator = Simulator::start();
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "[TIME]");
    settings.bind(|| {
        insta::assert_snapshot!("status", simulator.rackwright(&["status"]));
        insta::assert_snapshot!("sensors", simulator.rackwright(&["sensors"]));
        insta::assert_snapshot!("sel", simulator.rackwright(&["sel"]));
        insta::assert_snapshot!("sel-clear", simulator.rackwright(&["sel", "--clear"]));
        insta::assert_snapshot!("sel-empty", simulator.rackwright(&["--json", "sel"]));
        insta::assert_snapshot!(
            "wrong-password",
            simulator.rackwright_as("ADMIN", "wrong", &["status"])
        );
    });
}

#[test]
fn the_command_line() {
    let run = |words: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_rackwright"))
            .arg("bmc")
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        format!(
            "exit code {}\n--- stdout\n{}--- stderr\n{}",
            output.status.code().unwrap(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    };
    let help = run(&["--help"]);
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!("help-bmc", help);
    insta::assert_snapshot!("no-node", run(&["status"]));
    insta::assert_snapshot!("no-site", run(&["lb1", "--site", "missing.toml", "status"]));
    let password = tempfile::NamedTempFile::new().unwrap();
    fs::set_permissions(password.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let path = password.path().display().to_string();
    let open = run(&["--address", "192.0.2.1", "--password-file", &path, "status"]);
    insta::assert_snapshot!("open-password", open.replace(&path, "[FILE]"));
}

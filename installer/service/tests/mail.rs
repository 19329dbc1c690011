//! Mail there and back through the daemons of Debian 13, with the files that the roles render: a message comes in by SMTP,
//! is delivered by LMTP, and is fetched by IMAP; who has no right gets nothing. The users are in a real MariaDB.
//!
//! `cargo prove --fast mail` unpacks the programs into a folder and runs this with `RACKWRIGHT_DAEMONS` naming it. All of it
//! happens in namespaces that end with the test: nothing is installed, and no port of the host is used.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot start its daemons has failed"
)]

mod support;

use std::time::{Duration, Instant};

use service::probe::{Protocol, probe};
use support::{Imap, Smtp, connect, inside, start};

/// The daemons together with the part of the test that speaks to them.
#[test]
#[ignore = "needs the programs of Debian 13: cargo prove --fast mail"]
fn mail_goes_there_and_back() {
    start("production", "speak_with_the_servers");
}

/// Runs inside the namespaces, beside the daemons.
#[test]
#[ignore = "started by the test above"]
fn speak_with_the_servers() {
    if !inside() {
        return;
    }
    wait_for_the_servers();
    for (protocol, port) in [(Protocol::Smtp, 25), (Protocol::Imap, 143)] {
        probe(protocol, connect(port).unwrap()).unwrap_or_else(|error| panic!("{error}"));
    }

    // From outside, by an address that is not this machine's own: no more rights than anybody.
    let mut smtp = Smtp::from_outside(25);
    smtp.expect("EHLO client.example.net", 250);
    smtp.expect("MAIL FROM:<a@example.net>", 250);
    let refusal = smtp.expect("RCPT TO:<somebody@example.org>", 554);
    assert!(refusal.contains("Relay access denied"), "{refusal}");
    let refusal = smtp.expect("RCPT TO:<nobody@example.com>", 550);
    assert!(refusal.contains("User unknown"), "{refusal}");
    smtp.expect("RCPT TO:<off@example.com>", 550);
    smtp.expect("RCPT TO:<sales@example.com>", 250);
    smtp.send("Subject: first\r\n\r\nto an alias, and a dot:\r\n..\r\n");
    smtp.expect("VRFY anna@example.com", 502);
    smtp.expect("AUTH PLAIN AGFubmEAeA==", 503);

    // A user who logged in may send, under no name but his own.
    let mut smtp = Smtp::from_outside(587);
    let offers = smtp.expect("EHLO client.example.net", 250);
    assert!(offers.contains("AUTH PLAIN"), "{offers}");
    smtp.expect("MAIL FROM:<anna@example.com>", 250);
    smtp.expect("RCPT TO:<bert@example.com>", 554);
    smtp.expect("RSET", 250);
    // Base64 of NUL, name, NUL, password.
    smtp.expect("AUTH PLAIN AGFubmFAZXhhbXBsZS5jb20Ad3Jvbmc=", 535);
    smtp.expect("AUTH PLAIN AGFubmFAZXhhbXBsZS5jb20AcmlnaHQ=", 235);
    smtp.expect("MAIL FROM:<bert@example.com>", 250);
    smtp.expect("RCPT TO:<bert@example.com>", 553);
    smtp.expect("RSET", 250);
    smtp.expect("MAIL FROM:<anna@example.com>", 250);
    smtp.expect("RCPT TO:<bert@example.com>", 250);
    smtp.send("Subject: second\r\n\r\nfrom a user\r\n");

    let text = message("anna@example.com", 1);
    assert!(
        text.contains("Subject: first") && text.contains("to an alias, and a dot:\r\n.\r\n"),
        "{text}"
    );
    let text = message("bert@example.com", 1);
    assert!(
        text.contains("Subject: second") && text.contains("From:") || text.contains("from a user"),
        "{text}"
    );

    for (user, password) in [
        ("anna@example.com", "wrong"),
        ("nobody@example.com", "right"),
        ("off@example.com", "right"),
        ("anna@example.com' OR '1'='1", "right"),
        ("anna", "right"),
    ] {
        let mut imap = Imap::new();
        let said = imap.command(&format!("LOGIN \"{user}\" \"{password}\""));
        assert!(said.contains("a NO"), "{user}: {said}");
    }
    // Upper case is the same mailbox.
    assert!(
        Imap::new()
            .command("LOGIN \"Anna@Example.COM\" \"right\"")
            .contains("a OK")
    );
}

/// The books of the rack test, with real servers: what was acknowledged is found exactly as sent, and a message that somebody
/// takes away is missed.
#[test]
#[ignore = "needs the programs of Debian 13: cargo prove --fast mail"]
fn books_balance() {
    start("production", "keep_books");
}

/// Runs inside the namespaces, beside the daemons.
#[test]
#[ignore = "started by the test above"]
fn keep_books() {
    if !inside() {
        return;
    }
    wait_for_the_servers();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        folder
            .path()
            .join(name)
            .into_os_string()
            .into_string()
            .unwrap()
    };
    std::fs::write(file("password"), "right\n").unwrap();
    let books = |words: &[&str]| {
        let program = std::env::var("RACKWRIGHT_BOOKS")
            .expect("RACKWRIGHT_BOOKS names no program: cargo prove --fast mail");
        let output = std::process::Command::new(program)
            .arg("books")
            .args(words)
            .args([
                "--journal",
                &file("journal"),
                "--password-file",
                &file("password"),
            ])
            .args(["--imap", "127.0.0.1:143"])
            .args(["--to", "anna@example.com", "--to", "bert@example.com"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said)
    };
    let send = ["send", "--smtp", "127.0.0.1:25", "--seed", "7"];
    let pace = ["--pause", "0.05..0.1", "--stop-after", "20"];
    let (status, said) = books(&[send.as_slice(), &pace].concat());
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = books(&["check", "--wait", "60"]);
    assert_eq!(status, Some(0), "{said}");
    println!("{said}");

    let mut imap = Imap::new();
    for command in [
        "LOGIN \"anna@example.com\" \"right\"",
        "SELECT INBOX",
        "STORE 3 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
    ] {
        let said = imap.command(command);
        assert!(said.contains("a OK"), "{command}: {said}");
    }
    let (status, said) = books(&["check"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("1 acknowledged and missing"), "{said}");
}

fn wait_for_the_servers() {
    let end = Instant::now() + Duration::from_secs(90);
    for (protocol, port) in [
        (Protocol::Smtp, 25),
        (Protocol::Imap, 143),
        (Protocol::Smtp, 587),
    ] {
        loop {
            match connect(port)
                .map_err(|error| error.to_string())
                .and_then(|stream| probe(protocol, stream).map_err(|error| error.to_string()))
            {
                Ok(()) => break,
                Err(error) => assert!(Instant::now() < end, "port {port}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// The newest message of a mailbox, when it has `count`.
fn message(user: &str, count: u32) -> String {
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let mut imap = Imap::new();
        let said = imap.command(&format!("LOGIN \"{user}\" \"right\""));
        assert!(said.contains("a OK"), "{user}: {said}");
        let said = imap.command("SELECT INBOX");
        if said.contains(&format!("* {count} EXISTS")) {
            return imap.command(&format!("FETCH {count} BODY[]"));
        }
        assert!(
            Instant::now() < end,
            "{user} has not {count} messages: {said}"
        );
        std::thread::sleep(Duration::from_millis(300));
    }
}

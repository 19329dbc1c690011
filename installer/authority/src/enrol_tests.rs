//! Every way to a certificate, and every way to have none, on a simulated machine.

use std::cell::RefCell;

use identity::TokenKey;
use system::Simulated;

use super::*;
use crate::wire::Refusal;

const SEED: &str = "seed";
const NOW: i64 = 1_800_000_000;

/// A control server in memory; `up`: it answers.
struct Servers {
    up: bool,
    asked: RefCell<Vec<String>>,
}

impl Servers {
    fn new(up: bool) -> Self {
        Self {
            up,
            asked: RefCell::default(),
        }
    }

    fn issue(&self, what: &str, request: &str, token: Option<&str>) -> Result<Issued, CallError> {
        self.asked.borrow_mut().push(what.to_owned());
        if !self.up {
            return Err(CallError::Unreachable("10.77.10.11: no answer".into()));
        }
        let refused = |message: String| {
            CallError::Refused(Refusal {
                reason: "token".into(),
                message,
            })
        };
        if let Some(token) = token {
            let token =
                identity::Token::parse(token).map_err(|error| refused(error.to_string()))?;
            TokenKey::new(SEED)
                .check(&token, "db1", "galera", 0)
                .map_err(|error| refused(error.to_string()))?;
        }
        let authority = Authority::new(SEED).unwrap();
        let later = Validity::issued_at(NOW + 500 * 86_400);
        let validity = if token.is_some() {
            Validity::issued_at(NOW)
        } else {
            later
        };
        Ok(Issued {
            certificate: authority
                .sign(&machine(&node("galera")), request, validity)
                .unwrap(),
            authority: authority.certificate(),
        })
    }
}

impl Ask for Servers {
    fn enrol(&self, _: &roles::node::Authority, enrol: &Enrol) -> Result<Issued, CallError> {
        self.issue("enrol", &enrol.request, Some(&enrol.token))
    }
    fn renew(
        &self,
        _: &roles::node::Authority,
        _: &Identity,
        renew: &Renew,
    ) -> Result<Issued, CallError> {
        self.issue("renew", &renew.request, None)
    }
}

fn node(role: &str) -> NodeFile {
    let name = if role == "galera" { "db1" } else { "ct1" };
    NodeFile {
        node: name.into(),
        role: role.into(),
        authority: Some(roles::node::Authority {
            pin: Authority::new(SEED).unwrap().pin(),
            servers: vec!["10.77.10.11".into()],
        }),
        ..NodeFile::default()
    }
}

fn secret_file(system: &Simulated, name: &str, text: &str) {
    system.put_file(delivered::path(name).as_str(), text.as_bytes());
}

fn with_token() -> Simulated {
    let system = Simulated::new();
    let token = TokenKey::new(SEED).make("db1", "galera", "first", 0);
    secret_file(&system, "join-token", &token.text());
    system
}

fn words(result: Result<Enrolled, EnrolError>) -> String {
    let error = result.unwrap_err().to_string();
    error.lines().next().unwrap().to_owned()
}

#[test]
fn a_machine_enrols_once_and_renews_in_time() {
    let (system, node) = (with_token(), node("galera"));
    let ask = |servers: &Servers, now| enrol(&system, &node, &[], servers, now).unwrap();
    let up = Servers::new(true);
    assert_eq!(ask(&up, NOW), Enrolled::Issued);
    assert_eq!(ask(&up, NOW), Enrolled::Kept);
    let third = 487 * 86_400;
    // Due, and nobody there: what it has is still good.
    let down = Servers::new(false);
    assert!(matches!(ask(&down, NOW + third), Enrolled::Late(_)));
    assert_eq!(ask(&up, NOW + third), Enrolled::Renewed);
    assert_eq!(ask(&up, NOW + 501 * 86_400), Enrolled::Kept);
    assert_eq!(*up.asked.borrow(), ["enrol", "renew"]);
}

#[test]
fn an_answer_that_was_lost_is_asked_for_with_the_same_key() {
    let (system, node) = (with_token(), node("galera"));
    let down = Servers::new(false);
    let said = words(enrol(&system, &node, &[], &down, NOW));
    assert_eq!(said, "no control server answers: 10.77.10.11: no answer");
    let key = system.read(&own("node.key")).unwrap();
    enrol(&system, &node, &[], &Servers::new(true), NOW).unwrap();
    assert_eq!(system.read(&own("node.key")).unwrap(), key);
}

#[test]
fn a_control_server_makes_its_own() {
    let (system, node) = (Simulated::new(), node("control"));
    let nobody = Servers::new(false);
    secret_file(&system, "ca-key-seed", "another seed");
    let said = words(enrol(&system, &node, &[], &nobody, NOW));
    assert_eq!(
        said,
        "the secret `ca-key-seed` is of another authority than the node file's pin says"
    );
    secret_file(&system, "ca-key-seed", SEED);
    let enrolled = |now| enrol(&system, &node, &[], &nobody, now).unwrap();
    assert_eq!(enrolled(NOW), Enrolled::Made);
    assert_eq!(enrolled(NOW), Enrolled::Kept);
    assert_eq!(enrolled(NOW + 700 * 86_400), Enrolled::Made);
    assert!(nobody.asked.borrow().is_empty());
}

#[test]
fn a_delivered_identity_is_checked_and_used() {
    let (system, node) = (Simulated::new(), node("galera"));
    let authority = Authority::new(SEED).unwrap();
    let key = Key::derive(&[3; 32], "node").unwrap();
    let certificate = authority
        .issue(&machine(&node), &key, Validity::whole())
        .unwrap();
    secret_file(&system, "identity-certificate", &certificate);
    secret_file(
        &system,
        "identity-authority",
        &Authority::new("x").unwrap().certificate(),
    );
    secret_file(
        &system,
        "identity-key",
        &Key::derive(&[4; 32], "node").unwrap().pem().unwrap(),
    );
    let nobody = Servers::new(false);
    let enrolled = || enrol(&system, &node, &["mysql".into()], &nobody, NOW);
    assert_eq!(
        words(enrolled()),
        "the certificate is not for this private key"
    );
    secret_file(&system, "identity-key", &key.pem().unwrap());
    let said = words(enrolled());
    assert_eq!(
        said,
        "the certificate among the sealed secrets is of another authority than the node file's pin says"
    );
    secret_file(&system, "identity-authority", &authority.certificate());
    assert_eq!(enrolled().unwrap(), Enrolled::Delivered);
    assert_eq!(enrolled().unwrap(), Enrolled::Kept);
    // The daemon's copy is there at each boot.
    let copy = system.read(Utf8Path::new("/run/rackwright/identity/mysql/node.key"));
    assert_eq!(copy.unwrap(), key.pem().unwrap().as_bytes());
}

#[test]
fn who_has_no_way_is_told_which_is_missing() {
    let (system, up) = (Simulated::new(), Servers::new(true));
    let ask = |node: &NodeFile, now| enrol(&system, node, &[], &up, now);
    let machine = node("galera");
    assert_eq!(
        words(ask(&machine, NOW)),
        "this machine has no certificate, and no token to ask for one"
    );
    assert_eq!(
        words(ask(&machine, 5)),
        "the clock says a time before 2020: certificates are judged by it"
    );
    let mut alone = node("galera");
    alone.authority.as_mut().unwrap().servers.clear();
    assert_eq!(
        words(ask(&alone, NOW)),
        "this machine has no certificate: its node file names no control server, and no sealed secrets came with it"
    );
    let none = NodeFile::default();
    assert_eq!(ask(&none, NOW).unwrap(), Enrolled::None);
    assert!(up.asked.borrow().is_empty());
    // A token of another machine.
    let token = TokenKey::new(SEED).make("db2", "galera", "first", 0);
    secret_file(&system, "join-token", &token.text());
    let said = words(ask(&machine, NOW));
    assert_eq!(
        said,
        "the join token was not made for `db1` as `galera` of this cluster"
    );
}

#[test]
fn what_is_broken_on_the_disk_is_had_anew() {
    let (system, node) = (with_token(), node("galera"));
    let up = Servers::new(true);
    enrol(&system, &node, &[], &up, NOW).unwrap();
    for (name, text) in [("node.pem", ""), ("ca.pem", "x"), ("node.key", "y")] {
        system.put_file(own(name).as_str(), text.as_bytes());
        assert_eq!(
            enrol(&system, &node, &[], &up, NOW).unwrap(),
            Enrolled::Issued,
            "{name}"
        );
    }
}

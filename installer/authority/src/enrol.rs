//! A machine's way to its certificate, in the order in which it is tried: it has one; it is the authority; the certificate
//! came with the sealed secrets; it enrols with its token. Run at every boot and once a day; every step may be done again.
//!
//! The key is made once and stays: an answer that was lost is asked for again with the same key, and a renewal is one file
//! that is replaced at once.

use std::net::IpAddr;

use camino::{Utf8Path, Utf8PathBuf};
use identity::{Authority, Certificate, IdentityError, Key, Machine, Validity, check_pair};
use roles::NodeFile;
use system::{Command, System, SystemError, delivered};
use zeroize::Zeroizing;

use crate::{
    client::CallError,
    tls::Identity,
    wire::{Enrol, Issued, Renew},
};

/// Where the identity lies.
pub const FOLDER: &str = "/state/identity";
// The key last: who sees it finds the others (`delivered::certificate`).
const FILES: [&str; 3] = ["ca.pem", "node.pem", "node.key"];

/// Asks the control servers; a trait, so that tests need no network.
pub trait Ask {
    /// The first certificate.
    ///
    /// # Errors
    /// See [`CallError`].
    fn enrol(&self, authority: &roles::node::Authority, enrol: &Enrol)
    -> Result<Issued, CallError>;
    /// The next certificate.
    ///
    /// # Errors
    /// See [`CallError`].
    fn renew(
        &self,
        authority: &roles::node::Authority,
        identity: &Identity,
        renew: &Renew,
    ) -> Result<Issued, CallError>;
}

/// How it went.
#[derive(Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// The certificate that is there is good.
    Kept,
    /// It was made here: this machine is a control server.
    Made,
    /// It came with the sealed secrets.
    Delivered,
    /// The control servers issued it for the token.
    Issued,
    /// The control servers issued the next one.
    Renewed,
    /// The next one is due, and nobody issues it; the present one is still valid.
    Late(String),
    /// The node file names no authority: there is nothing to have.
    None,
}

/// Why this machine has no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// A file.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Key or certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The control servers.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No token.
    #[error(
        "this machine has no certificate, and no token to ask for one\n\
         hint: `rackwright token` makes one; write it to `{folder}/join-token`, or install with `<node>.sealed`",
        folder = delivered::FOLDER
    )]
    NoToken,
    /// No control server.
    #[error(
        "this machine has no certificate: its node file names no control server, and no sealed secrets came with it\n\
         hint: install with `<node>.sealed` beside `node.toml` on a medium named RACKWRIGHT"
    )]
    NoServer,
    /// Something of another cluster.
    #[error(
        "the {what} is of another authority than the node file's pin says\n\
         hint: node file and sealed secrets must come from one `rackwright compile`"
    )]
    Pin {
        /// What.
        what: &'static str,
    },
    /// The clock.
    #[error(
        "the clock says a time before 2020: certificates are judged by it\nhint: `chronyc tracking`"
    )]
    Clock,
    /// A command.
    #[error("the copies for the group `{group}` cannot be made: {reason}")]
    Copy {
        /// Group.
        group: String,
        /// Why.
        reason: String,
    },
    /// No random bytes.
    #[error("no random bytes from the kernel: {0}")]
    Random(String),
}

/// Sees to it that this machine has a certificate, and that its daemons find it. `groups`: of daemons that use it. `now`:
/// seconds since 1970.
///
/// # Errors
/// It has none and gets none; asking again later may help.
pub fn enrol(
    system: &dyn System,
    node: &NodeFile,
    groups: &[String],
    ask: &dyn Ask,
    now: i64,
) -> Result<Enrolled, EnrolError> {
    let Some(authority) = &node.authority else {
        return Ok(Enrolled::None);
    };
    system.make_directory(Utf8Path::new(FOLDER))?;
    let done = obtain(system, node, authority, ask, now)?;
    for group in groups {
        copy(system, group)?;
    }
    Ok(done)
}

fn obtain(
    system: &dyn System,
    node: &NodeFile,
    authority: &roles::node::Authority,
    ask: &dyn Ask,
    now: i64,
) -> Result<Enrolled, EnrolError> {
    let present = present(system, node, authority);
    if let Some((_, read)) = &present
        && !read.is_due(now)
    {
        return Ok(Enrolled::Kept);
    }
    if let Some(secret) = secret(system, "ca-key-seed")? {
        return make(system, node, authority, &secret, now);
    }
    if let Some(certificate) = secret(system, "identity-certificate")? {
        return deliver(system, authority, &certificate);
    }
    // 2020: the authority's own first second.
    if now < 1_577_836_800 {
        return Err(EnrolError::Clock);
    }
    let key = key(system)?;
    let request = key.request(&node.node)?;
    if let Some((identity, read)) = present
        && now <= read.until
        && now >= read.from
    {
        return match ask.renew(authority, &identity, &Renew { request }) {
            Ok(issued) => {
                accept(system, node, authority, &key, &issued)?;
                Ok(Enrolled::Renewed)
            }
            Err(error) => Ok(Enrolled::Late(error.to_string())),
        };
    }
    if authority.servers.is_empty() {
        return Err(EnrolError::NoServer);
    }
    let token = secret(system, "join-token")?.ok_or(EnrolError::NoToken)?;
    let enrol = Enrol {
        node: node.node.clone(),
        role: node.role.clone(),
        token: token.trim().to_owned(),
        request,
    };
    let issued = ask.enrol(authority, &enrol)?;
    accept(system, node, authority, &key, &issued)?;
    Ok(Enrolled::Issued)
}

/// The identity that is there, if it is whole, this machine's and of the right authority.
fn present(
    system: &dyn System,
    node: &NodeFile,
    authority: &roles::node::Authority,
) -> Option<(Identity, Certificate)> {
    let identity = Identity {
        authority: text(system, &own("ca.pem")).ok()??.to_string(),
        certificate: text(system, &own("node.pem")).ok()??.to_string(),
        key: text(system, &own("node.key")).ok()??,
    };
    let read = check_pair(&identity.certificate, &identity.key).ok()?;
    let issuer = Certificate::parse(&identity.authority).ok()?;
    let fits = read.name == node.node && read.role == node.role && issuer.pin == authority.pin;
    fits.then_some((identity, read))
}

fn make(
    system: &dyn System,
    node: &NodeFile,
    said: &roles::node::Authority,
    secret: &str,
    now: i64,
) -> Result<Enrolled, EnrolError> {
    let authority = Authority::new(secret)?;
    if authority.pin() != said.pin {
        return Err(EnrolError::Pin {
            what: "secret `ca-key-seed`",
        });
    }
    let key = key(system)?;
    let certificate = authority.issue(&machine(node), &key, Validity::issued_at(now))?;
    write(system, &authority.certificate(), &certificate)?;
    Ok(Enrolled::Made)
}

fn deliver(
    system: &dyn System,
    authority: &roles::node::Authority,
    certificate: &str,
) -> Result<Enrolled, EnrolError> {
    let key = secret(system, "identity-key")?.unwrap_or_default();
    check_pair(certificate, &key)?;
    let issuer = secret(system, "identity-authority")?.unwrap_or_default();
    if Certificate::parse(&issuer)?.pin != authority.pin {
        return Err(EnrolError::Pin {
            what: "certificate among the sealed secrets",
        });
    }
    system.write(&own("node.key"), key.as_bytes(), 0o600)?;
    write(system, &issuer, certificate)?;
    Ok(Enrolled::Delivered)
}

fn accept(
    system: &dyn System,
    node: &NodeFile,
    authority: &roles::node::Authority,
    key: &Key,
    issued: &Issued,
) -> Result<(), EnrolError> {
    if Certificate::parse(&issued.authority)?.pin != authority.pin {
        return Err(EnrolError::Pin {
            what: "answer of the control server",
        });
    }
    let read = Certificate::parse(&issued.certificate)?;
    if read.public_key() != key.public() || read.name != node.node {
        return Err(IdentityError::Pair.into());
    }
    write(system, &issued.authority, &issued.certificate)?;
    Ok(())
}

/// The key of this install: made with the first use.
fn key(system: &dyn System) -> Result<Key, EnrolError> {
    if let Some(pem) = text(system, &own("node.key"))?
        && let Ok(key) = Key::parse(&pem)
    {
        return Ok(key);
    }
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(|error| EnrolError::Random(error.to_string()))?;
    let key = Key::derive(&*random, "node")?;
    system.write(&own("node.key"), key.pem()?.as_bytes(), 0o600)?;
    Ok(key)
}

fn write(system: &dyn System, authority: &str, certificate: &str) -> Result<(), SystemError> {
    system.write(&own("ca.pem"), authority.as_bytes(), 0o644)?;
    system.write(&own("node.pem"), certificate.as_bytes(), 0o644)
}

/// Copies for the daemons of a group, which may read the key and change nothing.
fn copy(system: &dyn System, group: &str) -> Result<(), EnrolError> {
    let folder = Utf8Path::new(delivered::IDENTITY).join(group);
    let is_same = |name: &&str| {
        let there = system.read(&folder.join(name)).map(Zeroizing::new);
        let own = system.read(&own(name)).map(Zeroizing::new);
        matches!((there, own), (Ok(there), Ok(own)) if there == own)
    };
    // A daemon may be reading them.
    if FILES.iter().all(is_same) {
        return Ok(());
    }
    system.make_directory(&folder)?;
    for name in FILES {
        let content = Zeroizing::new(system.read(&own(name))?);
        // Readable by nobody else at any moment: the group comes before the mode that lets it read.
        system.write(&folder.join(name), &content, 0o600)?;
    }
    // A role's image may lack the daemon; then nobody but root reads it.
    let groups = text(system, Utf8Path::new("/etc/group"))?.unwrap_or_default();
    if groups
        .lines()
        .any(|line| line.split(':').next() == Some(group))
    {
        let files =
            || ["ca.pem", "node.pem", "node.key"].map(|name| folder.join(name).into_string());
        let run = |command: Command| {
            system
                .run(&command)
                .map(|_| ())
                .map_err(|error| EnrolError::Copy {
                    group: group.to_owned(),
                    reason: error.to_string(),
                })
        };
        run(Command::new("chgrp")
            .arg(group)
            .arg(folder.as_str())
            .args(files()))?;
        run(Command::new("chmod").arg("0640").args(files()))?;
        run(Command::new("chmod").arg("0750").arg(folder.as_str()))?;
    }
    Ok(())
}

/// When the certificate that is there ends, in seconds since 1970.
#[must_use]
pub fn until(system: &dyn System) -> Option<i64> {
    let pem = text(system, &own("node.pem")).ok()??;
    Some(Certificate::parse(&pem).ok()?.until)
}

/// This machine as its node file says it.
#[must_use]
pub fn machine(node: &NodeFile) -> Machine {
    let own = node
        .hosts
        .iter()
        .filter(|host| host.name == node.node)
        .flat_map(|host| host.addresses.values().cloned());
    let networks = node.networks.iter().flat_map(|network| &network.addresses);
    let networks = networks.filter_map(|cidr| cidr.split('/').next().map(str::to_owned));
    let mut addresses: Vec<IpAddr> = own
        .chain(networks)
        .filter_map(|text| text.parse().ok())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Machine {
        name: node.node.clone(),
        role: node.role.clone(),
        domain: node.domain.clone(),
        addresses,
    }
}

fn own(name: &str) -> Utf8PathBuf {
    Utf8Path::new(FOLDER).join(name)
}

fn secret(system: &dyn System, name: &str) -> Result<Option<Zeroizing<String>>, SystemError> {
    text(system, &delivered::path(name))
}

fn text(system: &dyn System, path: &Utf8Path) -> Result<Option<Zeroizing<String>>, SystemError> {
    match system.read(path) {
        Ok(content) => Ok(String::from_utf8(content).ok().map(Zeroizing::new)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "enrol_tests.rs"]
mod tests;

//! `enrol` and `authority`: this machine's certificate, and the control servers that issue it.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use authority::{
    PORT,
    control::{self, ControlError, Wire},
    enrol::{self, Enrolled},
    now,
    wire::{Known, Promote, Standing},
};
use camino::Utf8Path;
use join::claims::Claims as _;
use roles::NodeFile;
use run::appliance::{self, health::Verdict};
use serde::{Deserialize, Serialize};
use system::{System, delivered};
use zeroize::Zeroizing;

use crate::arguments::{AuthorityPromote, AuthorityTask};
use crate::{fence, metrics, output, this::This};

/// Between two looks at the certificate and two reports to the control servers.
const LOOK: Duration = Duration::from_secs(60);
/// Between two attempts to get one: slower than the control servers' limit for failed ones.
const AGAIN: Duration = Duration::from_secs(15);

/// Gets this machine's certificate, as soon as it can be had, and renews it, for ever.
///
/// # Errors
/// The node file cannot be read.
pub fn enrol(system: &dyn System) -> anyhow::Result<u8> {
    let this = This::read(system)?;
    let node = &this.node;
    let groups: Vec<String> = [&this.roles.common.services, &this.role()?.services]
        .iter()
        .flat_map(|services| services.certificates.clone())
        .collect();
    let mut said = String::new();
    loop {
        let seconds = i64::try_from(now()).unwrap_or(i64::MAX);
        let (line, pause) = match enrol::enrol(system, node, &groups, &Wire, seconds) {
            Ok(Enrolled::None) => {
                output::note("the node file names no authority: this machine has no certificate");
                return Ok(0);
            }
            Ok(Enrolled::Kept) => (String::new(), LOOK),
            Ok(Enrolled::Late(why)) => (
                format!("the certificate is due for renewal, and still valid: {why}"),
                LOOK,
            ),
            Ok(done) => {
                output::note(&format!("this machine has its certificate ({done:?})"));
                (String::new(), LOOK)
            }
            Err(error) => (error.to_string(), AGAIN),
        };
        if line != said && !line.is_empty() {
            output::aloud(system, &format!("rackwright identity: {line}"));
        }
        let is_told = line.is_empty() && report(system, &this);
        said = line;
        system.sleep(if is_told { pause } else { pause.min(AGAIN) });
    }
}

/// Tells the control servers, where there are some, how this machine is; whether there is nothing more to tell now.
fn report(system: &dyn System, this: &This) -> bool {
    let Some(claims) = this.claims() else {
        return true;
    };
    let status = appliance::status(system);
    if let Err(error) = metrics::write(system, &status, enrol::until(system)) {
        tracing::debug!("{error}");
    }
    let state = if status.healthy {
        "healthy"
    } else {
        "unhealthy"
    };
    let failed = status
        .checks
        .iter()
        .filter(|check| check.result == Verdict::Fail);
    let failed: Vec<&str> = failed.map(|check| check.name.as_str()).collect();
    let join = system.read(Utf8Path::new("/run/rackwright/join.json")).ok();
    let join = join.and_then(|text| serde_json::from_slice::<Joined>(&text).ok());
    let join = join.map(|join| format!("join: {}: {}", join.step, join.detail));
    let mut detail = failed.join(", ");
    if let Some(join) = join {
        if !detail.is_empty() {
            detail.push_str("; ");
        }
        detail.push_str(&join);
    }
    let told = claims.report(&this.node.node, state, &detail);
    if let Err(error) = &told {
        tracing::debug!("{error}");
    }
    told.is_ok()
}

#[derive(Deserialize)]
struct Joined {
    step: String,
    detail: String,
}

/// `fence`.
///
/// # Errors
/// The machine was not seen off.
pub fn fence(system: &dyn System, name: &str, json: bool) -> anyhow::Result<u8> {
    fence::run(system, &This::read(system)?.node, name, json)
}

/// `authority`.
///
/// # Errors
/// This is no control server, or nobody answers.
pub fn run(system: &dyn System, task: &AuthorityTask, json: bool) -> anyhow::Result<u8> {
    let This { node, .. } = This::read(system)?;
    match task {
        AuthorityTask::Serve => serve(system, &node),
        AuthorityTask::Status => status(&node, json),
        AuthorityTask::Promote(options) => promote(&node, options, json),
    }
}

/// Serves as soon as its secret is there. A control server of a machine that was not compiled serves none.
fn serve(system: &dyn System, node: &NodeFile) -> anyhow::Result<u8> {
    if node.authority.is_none() {
        output::note("the node file names no authority: there is nothing to serve");
        return Ok(0);
    }
    let path = &Utf8Path::new(delivered::FOLDER).join("ca-key-seed");
    let mut said = false;
    while !system.exists(path) {
        if !said {
            output::aloud(
                system,
                "rackwright identity: a control server needs the secret `ca-key-seed`\nhint: install it with its `<node>.sealed`",
            );
        }
        said = true;
        system.sleep(AGAIN);
    }
    let secret = Zeroizing::new(String::from_utf8(system.read(path)?)?);
    control::run(node, &secret)?;
    Ok(0)
}

#[derive(Serialize)]
struct Servers {
    servers: Vec<Server>,
    known: Option<Known>,
}

#[derive(Serialize)]
struct Server {
    address: String,
    standing: Option<Standing>,
    error: Option<String>,
}

fn status(node: &NodeFile, json: bool) -> anyhow::Result<u8> {
    let said = node.authority.as_ref().ok_or(ControlError::NoAuthority)?;
    let folder = Utf8Path::new(enrol::FOLDER);
    let mut servers = Vec::new();
    for address in control::servers(said) {
        let answer = control::client(vec![address], folder)?.standing();
        servers.push(Server {
            address: address.to_string(),
            error: answer.as_ref().err().map(ToString::to_string),
            standing: answer.ok(),
        });
    }
    let state = control::client(control::servers(said), folder)?;
    let known: Option<Known> = state.get("/v1/state").ok();
    let healthy = servers.iter().all(|server| server.standing.is_some())
        && servers.iter().any(|server| {
            let standing = server.standing.as_ref();
            standing.is_some_and(|standing| standing.active == standing.node)
        });
    let found = Servers { servers, known };
    if json {
        output::json(&found)?;
    } else {
        output::text(&table(&found))?;
    }
    Ok(u8::from(!healthy))
}

fn table(found: &Servers) -> String {
    let mut text = String::new();
    for server in &found.servers {
        let line = match (&server.standing, &server.error) {
            (Some(standing), _) if standing.active == standing.node => {
                format!(
                    "{} active, epoch {}, record {}",
                    standing.node, standing.epoch, standing.record
                )
            }
            (Some(standing), _) => {
                let behind = standing.behind.map_or_else(
                    || "never followed".to_owned(),
                    |seconds| format!("{seconds} s behind"),
                );
                format!(
                    "{} standby of `{}`, record {}, {behind}",
                    standing.node, standing.active, standing.record
                )
            }
            (None, error) => format!(
                "{} {}",
                server.address,
                error.as_deref().unwrap_or_default()
            ),
        };
        text.push_str(&line);
        text.push('\n');
    }
    for (node, state) in found.known.iter().flat_map(|known| &known.state.nodes) {
        text.push_str(&format!("{node} {}: {}\n", state.state, state.detail));
    }
    text
}

fn promote(node: &NodeFile, options: &AuthorityPromote, json: bool) -> anyhow::Result<u8> {
    ensure!(
        node.role == "control",
        "`{}` is no control server",
        node.node
    );
    let folder = Utf8Path::new(enrol::FOLDER);
    let mut above = 0;
    for other in control::others(node) {
        match control::client(vec![other], folder)?.standing() {
            Ok(standing) if standing.active == standing.node => bail!(
                "`{}` answers as the active control server\nhint: `systemctl stop rackwright-authority` there, and try again",
                standing.node
            ),
            Ok(standing) => above = above.max(standing.epoch),
            Err(error) if !options.fenced => bail!(
                "the other control server does not say how it is: {error}\n\
                 hint: see to it that it is off, then `--fenced`; what it promised in its last second may be lost"
            ),
            Err(_) => {}
        }
    }
    let own = enrol::machine(node).addresses.into_iter().next();
    let own = own.context("the node file gives this machine no address")?;
    let client = control::client(vec![(own, PORT).into()], folder)?;
    let standing = client.promote(&Promote { above })?;
    if json {
        output::json(&standing)?;
    } else {
        output::text(&format!(
            "`{}` is the active control server, epoch {}\n",
            standing.node, standing.epoch
        ))?;
    }
    Ok(0)
}

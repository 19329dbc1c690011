//! The step `database`: a server that comes up read-only, and what is made of it.

use crate::{
    accounts::REPLICATION,
    address,
    claims::Epoch,
    context::Context,
    data,
    galera::{join::UNIT, state},
    journal::{self, Fact},
    settings::{self, Database, Peer},
    sql::{self, value},
    step::{Outcome, Refused},
    told::Told,
    unit,
};
use camino::Utf8Path;
use system::delivered::secret;

use super::{
    RESOURCE,
    decide::{Decision, Own, Planned, decide},
    gtid,
};

/// Flag: the operator said in this boot that nobody took over.
pub const CONFIRMED: &str = "confirmed";
/// Flag: `database demote` was run in this boot.
pub const RELEASED: &str = "released";

/// Asked again and again.
#[must_use]
pub fn step(context: &Context<'_>) -> Outcome {
    attempt(context).unwrap_or_else(Outcome::Failed)
}

/// By the node file; a disaster replica is none of the pair.
#[must_use]
pub fn planned(plan: &Database, peers: &[Peer]) -> Planned {
    match plan.replication_role.as_deref() {
        Some("replica") => Planned::Replica,
        _ if peers.is_empty() => Planned::Single,
        _ => Planned::Primary,
    }
}

/// All planned peers with what they tell.
pub fn ask(context: &Context<'_>, peers: &[Peer]) -> Vec<(String, Option<Told>)> {
    peers
        .iter()
        .map(|peer| (peer.name.clone(), context.outside.ask(&peer.address)))
        .collect()
}

fn attempt(context: &Context<'_>) -> Result<Outcome, String> {
    let system = context.system;
    let plan: Database = settings::of(context.role, context.node)?;
    let Ok(seen) = state::ask(system) else {
        return start(context, &plan);
    };
    if plan.replication_role.as_deref() == Some("disaster-replica") {
        return disaster(context, &plan, &seen.gtid);
    }
    if system.exists(&unit::flag(RELEASED)) {
        return Ok(Outcome::Wait(
            "another server to be promoted: `database demote` was run here".into(),
        ));
    }
    let peers = settings::pair(context.node, &plan);
    let own = Own {
        name: &context.node.node,
        planned: planned(&plan, &peers),
        epoch: journal::read(system)
            .map_err(|error| error.to_string())?
            .epoch(RESOURCE),
        gtid: &seen.gtid,
        confirmed: system.exists(&unit::flag(CONFIRMED)),
    };
    let writes = !seen.status.read_only;
    match decide(&own, &ask(context, &peers)) {
        Decision::Write(epoch) => {
            keep(context, &own.epoch, &epoch)?;
            open(context, &plan)?;
            Ok(Outcome::Done(format!(
                "takes writes, epoch {}",
                epoch.number
            )))
        }
        Decision::Follow(epoch) => {
            close(context, &plan)?;
            keep(context, &own.epoch, &epoch)?;
            let primary = peers.iter().find(|peer| peer.name == epoch.owner);
            let primary = primary.ok_or("the primary is not in the node file's list of hosts")?;
            follow(context, primary)
        }
        // It writes by its own epoch, which nobody outdoes: that a peer went away changes nothing.
        Decision::Wait(_) if writes && own.epoch.owner == own.name => Ok(Outcome::Done(format!(
            "takes writes, epoch {}; its peer does not answer",
            own.epoch.number
        ))),
        Decision::Wait(why) => Ok(Outcome::Wait(why)),
        Decision::Refuse(refused) => {
            close(context, &plan)?;
            Ok(Outcome::Refuse(refused))
        }
    }
}

fn start(context: &Context<'_>, plan: &Database) -> Result<Outcome, String> {
    let system = context.system;
    // A crash may have left it.
    if let Some((address, interface)) = address::planned(context.node, plan) {
        address::release(system, &address, &interface)?;
    }
    let state = unit::state(system, UNIT)?;
    if matches!(state.as_str(), "inactive" | "failed") {
        data::make(system, Utf8Path::new(state::DATA))?;
        unit::start(system, UNIT)?;
    }
    Ok(Outcome::Wait("MariaDB to start".into()))
}

/// Writes an epoch down before anything is done by it.
pub fn keep(context: &Context<'_>, known: &Epoch, epoch: &Epoch) -> Result<(), String> {
    if known == epoch {
        return Ok(());
    }
    let fact = Fact::Epoch {
        resource: RESOURCE.to_owned(),
        number: epoch.number,
        owner: epoch.owner.clone(),
    };
    journal::add(context.system, &fact).map_err(|error| error.to_string())
}

/// Takes writes: no replication, then writes, then the address.
pub fn open(context: &Context<'_>, plan: &Database) -> Result<(), String> {
    sql::run(
        context.system,
        "STOP ALL SLAVES;\nRESET SLAVE ALL;\nSET GLOBAL read_only=OFF;\n",
        60,
    )?;
    match address::planned(context.node, plan) {
        Some((address, interface)) => address::hold(context.system, &address, &interface),
        None => Ok(()),
    }
}

/// Takes no writes: the address, then writes, then whoever is still connected.
pub fn close(context: &Context<'_>, plan: &Database) -> Result<(), String> {
    if let Some((address, interface)) = address::planned(context.node, plan) {
        address::release(context.system, &address, &interface)?;
    }
    // Waits for commits that are under way; accounts other than ours cannot write after it.
    sql::run(context.system, "SET GLOBAL read_only=ON;\n", 60)?;
    let user = sql::literal(crate::accounts::MAIL);
    sql::run(context.system, &format!("KILL USER {user};\n"), 10).map_or_else(
        // Nobody is connected, or the account is not there yet.
        |_| Ok(()),
        |_| Ok(()),
    )
}

fn follow(context: &Context<'_>, primary: &Peer) -> Result<Outcome, String> {
    let system = context.system;
    let status = sql::columns(system, "SHOW SLAVE STATUS;")?;
    let text = |name: &str| value(&status, name).unwrap_or_default();
    let follows = text("Master_Host") == primary.address;
    let (io, applies) = (text("Slave_IO_Running"), text("Slave_SQL_Running"));
    if follows && io == "Yes" && applies == "Yes" {
        return Ok(Outcome::Done(format!(
            "follows `{}`, {} s behind",
            primary.name,
            text("Seconds_Behind_Master")
        )));
    }
    // Purged binary logs, or a position that the primary does not have (MariaDB errors 1236, 1945, 1955).
    if follows && matches!(text("Last_IO_Errno"), "1236" | "1945" | "1955") {
        return Ok(Outcome::Refuse(Refused {
            id: "database-must-reseed",
            message: format!(
                "`{}` no longer has what this server needs ({}): run `rackwright-installer database reseed`",
                primary.name,
                text("Last_IO_Error")
            ),
        }));
    }
    if follows && (io == "Connecting" || io == "Preparing") && applies == "Yes" {
        return Ok(Outcome::Wait(format!(
            "`{}` to let it replicate{}",
            primary.name,
            match text("Last_IO_Error") {
                "" => String::new(),
                error => format!(": {error}"),
            }
        )));
    }
    if follows && text("Last_SQL_Errno") != "0" {
        return Ok(Outcome::Failed(format!(
            "replication stopped: {}",
            text("Last_SQL_Error")
        )));
    }
    let password = secret(system, "database-replication")
        .ok_or("the secret `database-replication` was not delivered")?;
    let plan: Database = settings::of(context.role, context.node)?;
    let identity = plan.tls.then_some(plan.identity.as_str());
    sql::run(
        system,
        &change_master(&primary.address, &password, identity),
        30,
    )?;
    Ok(Outcome::Wait(format!(
        "`{}` to let it replicate",
        primary.name
    )))
}

/// Follow from the own position. `MASTER_DEMOTE_TO_SLAVE` counts what this server wrote as a primary (MariaDB 10.10).
/// `identity`: folder with authority, certificate and key; the address followed is a machine's own, so it stands in its
/// certificate.
fn change_master(address: &str, password: &str, identity: Option<&str>) -> String {
    let encrypted = identity.map_or_else(String::new, |folder| {
        let file = |name: &str| sql::literal(&format!("{folder}/{name}"));
        format!(
            ", MASTER_SSL=1, MASTER_SSL_CA={}, MASTER_SSL_CERT={}, MASTER_SSL_KEY={}, MASTER_SSL_VERIFY_SERVER_CERT=1",
            file("ca.pem"),
            file("node.pem"),
            file("node.key")
        )
    });
    format!(
        "STOP SLAVE;\nCHANGE MASTER TO MASTER_HOST={}, MASTER_PORT=3306, MASTER_USER={}, MASTER_PASSWORD={}, \
         MASTER_CONNECT_RETRY=5, MASTER_USE_GTID=slave_pos, MASTER_DEMOTE_TO_SLAVE=1{encrypted};\nSTART SLAVE;\n",
        sql::literal(address),
        sql::literal(REPLICATION),
        sql::literal(password),
    )
}

/// Follows the address of the plan, and never takes writes by itself.
fn disaster(context: &Context<'_>, plan: &Database, own: &str) -> Result<Outcome, String> {
    let Some(source) = &plan.replication_source else {
        return Ok(Outcome::Wait(
            "a node file that says what it follows".into(),
        ));
    };
    let peer = Peer {
        name: source.clone(),
        address: source.clone(),
    };
    if let Some(told) = context.outside.ask(source)
        && !gtid::is_contained(own, &told.gtid)
    {
        return Ok(Outcome::Refuse(Refused {
            id: "database-must-reseed",
            message: format!(
                "this replica has writes that its source does not have (here `{own}`, there `{}`): run \
                 `rackwright-installer database reseed`",
                told.gtid
            ),
        }));
    }
    follow(context, &peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_with_and_without_tls() {
        insta::assert_snapshot!(
            [None, Some("/run/rackwright/identity/mysql")]
                .map(|identity| change_master("10.77.30.11", "a'b", identity))
                .join("\n")
        );
    }
}

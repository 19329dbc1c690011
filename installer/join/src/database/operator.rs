//! What an operator does with a pair: show, promote, demote, confirm, seed anew. Never automatic: two machines without a
//! witness cannot know which of them is cut off.

use camino::Utf8Path;
use system::{Command, System, delivered::secret};

use super::{
    RESOURCE, gtid,
    join::{CONFIRMED, RELEASED, ask, close, keep, open},
};
use crate::{
    accounts::REPLICATION,
    claims::Epoch,
    context::Context,
    data,
    galera::{join::UNIT, state},
    journal,
    settings::{self, Database},
    sql::{self, value, words},
    told::Told,
    unit,
};

/// What speaks against a promotion, as facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion<'a> {
    /// This machine.
    pub name: &'a str,
    /// Highest epoch here.
    pub epoch: Epoch,
    /// `gtid_binlog_pos`.
    pub gtid: &'a str,
    /// Received and not yet applied: `Gtid_IO_Pos`, where it replicates.
    pub received: Option<String>,
    /// Applied: `Gtid_Slave_Pos`.
    pub applied: Option<String>,
    /// The operator has seen that the other one is off.
    pub fenced: bool,
}

/// The epoch of a promotion, or why not.
///
/// # Errors
/// What is to be done first.
pub fn promotion(own: &Promotion<'_>, peers: &[(String, Option<Told>)]) -> Result<Epoch, String> {
    let mut number = own.epoch.number;
    let mut owner = own.epoch.owner.as_str();
    for (name, told) in peers {
        let Some(told) = told else {
            if !own.fenced {
                return Err(format!(
                    "`{name}` does not answer, and may still take writes\nhint: switch it off and look that it is off, then add \
                     `--fenced`"
                ));
            }
            continue;
        };
        if told.writable {
            return Err(format!(
                "`{name}` takes writes at this moment\nhint: run `rackwright-installer database demote` there first"
            ));
        }
        if !gtid::is_contained(&told.gtid, own.gtid) {
            return Err(format!(
                "`{name}` has writes that this server does not have (there `{}`, here `{}`)\nhint: wait until this server \
                 has received them, or promote `{name}`",
                told.gtid, own.gtid
            ));
        }
        if told.epoch > number {
            (number, owner) = (told.epoch, told.owner.as_str());
        }
    }
    if let (Some(received), Some(applied)) = (&own.received, &own.applied)
        && !gtid::is_contained(received, applied)
    {
        return Err(format!(
            "this server has not applied all that it received (`{received}`, applied `{applied}`)\nhint: wait, then try again"
        ));
    }
    // The owner of the highest epoch keeps it.
    let number = if owner == own.name {
        number
    } else {
        number.saturating_add(1)
    };
    Ok(Epoch {
        number: number.max(1),
        owner: own.name.to_owned(),
    })
}

/// Makes this server the one that takes writes.
///
/// # Errors
/// What is to be done first, or what failed.
pub fn promote(context: &Context<'_>, fenced: bool) -> Result<String, String> {
    let system = context.system;
    let plan: Database = settings::of(context.role, context.node)?;
    let seen = state::ask(system)?;
    let status = sql::columns(system, "SHOW SLAVE STATUS;")?;
    let known = journal::read(system)
        .map_err(|error| error.to_string())?
        .epoch(RESOURCE);
    let peers = ask(context, &settings::pair(context.node, &plan));
    let own = Promotion {
        name: &context.node.node,
        epoch: known.clone(),
        gtid: &seen.gtid,
        received: value(&status, "Gtid_IO_Pos").map(str::to_owned),
        applied: value(&status, "Gtid_Slave_Pos").map(str::to_owned),
        fenced,
    };
    let epoch = promotion(&own, &peers)?;
    keep(context, &known, &epoch)?;
    unit::set(system, RELEASED, false)?;
    open(context, &plan)?;
    // The join looks again: it writes what a replica has to read to prove itself.
    unit::systemctl(
        system,
        &["restart", "--no-block", "rackwright-join.service"],
    )?;
    Ok(format!("takes writes, epoch {}", epoch.number))
}

/// Lets go, before another is promoted.
///
/// # Errors
/// What failed.
pub fn demote(context: &Context<'_>) -> Result<String, String> {
    let plan: Database = settings::of(context.role, context.node)?;
    unit::set(context.system, RELEASED, true)?;
    close(context, &plan)?;
    let seen = state::ask(context.system)?;
    Ok(format!(
        "takes no writes; its last position is `{}`\nhint: run `rackwright-installer database promote` on the other server, \
         then `rackwright-installer database follow` here",
        seen.gtid
    ))
}

/// Ends a `demote`: the join decides again.
///
/// # Errors
/// What failed.
pub fn again(context: &Context<'_>) -> Result<String, String> {
    unit::set(context.system, RELEASED, false)?;
    unit::systemctl(
        context.system,
        &["restart", "--no-block", "rackwright-join.service"],
    )?;
    Ok("the join decides again".to_owned())
}

/// The operator's word that nobody took over while this machine was off; until the next boot.
///
/// # Errors
/// What failed.
pub fn confirm(context: &Context<'_>) -> Result<String, String> {
    unit::set(context.system, CONFIRMED, true)?;
    Ok("written down until the next boot".to_owned())
}

/// Throws this server's data away and takes the primary's. What was there is kept beside.
///
/// # Errors
/// What is to be done first, or what failed.
pub fn reseed(context: &Context<'_>) -> Result<String, String> {
    let system = context.system;
    let plan: Database = settings::of(context.role, context.node)?;
    let mut peers = settings::pair(context.node, &plan);
    if plan.replication_role.as_deref() == Some("disaster-replica") {
        peers = plan
            .replication_source
            .iter()
            .map(|source| settings::Peer {
                name: source.clone(),
                address: source.clone(),
            })
            .collect();
    }
    let writes = |peer: &&settings::Peer| {
        context
            .outside
            .ask(&peer.address)
            .is_some_and(|told| told.writable || told.unfit.is_none() && told.primary)
    };
    let source = peers
        .iter()
        .find(writes)
        .ok_or("no other server takes writes: there is nothing to take the data from")?;
    let password = secret(system, "database-replication")
        .ok_or("the secret `database-replication` was not delivered")?;
    close(context, &plan)?;
    unit::systemctl(system, &["stop", UNIT])?;
    let kept = set_aside(context)?;
    data::make(system, Utf8Path::new(state::DATA))?;
    unit::allow(system, UNIT)?;
    unit::systemctl(system, &["start", UNIT])?;
    seed(system, &source.address, &password)?;
    unit::systemctl(
        system,
        &["restart", "--no-block", "rackwright-join.service"],
    )?;
    Ok(format!(
        "has the data of `{}`; what was here is kept in `{kept}`",
        source.name
    ))
}

/// One consistent state of the other server and its position, as SQL. The system tables are not in it: the accounts are made by
/// the step `accounts`. The password is in a file that only root reads, in memory, while it runs.
fn seed(system: &dyn System, address: &str, password: &str) -> Result<(), String> {
    let options = unit::flag("seed.cnf");
    let dump = Utf8Path::new("/var/lib/mysql/seed.sql");
    let text = format!("[client]\nhost={address}\nuser={REPLICATION}\npassword={password}\n");
    system
        .write(&options, text.as_bytes(), 0o600)
        .map_err(|error| error.to_string())?;
    let command = Command::new("mariadb-dump").args([
        format!("--defaults-file={options}"),
        format!("--result-file={dump}"),
        "--single-transaction".to_owned(),
        // Writes the position as `SET GLOBAL gtid_slave_pos`.
        "--gtid".to_owned(),
        "--master-data=1".to_owned(),
        "--routines".to_owned(),
        "--events".to_owned(),
        "--all-databases".to_owned(),
        "--ignore-database=mysql".to_owned(),
        "--ignore-database=sys".to_owned(),
    ]);
    let dumped = system.run(&command).map_err(|error| words(&error));
    let removed = system.remove(&options).map_err(|error| error.to_string());
    dumped.and(removed)?;
    let load = format!("SET SESSION sql_log_bin=0;\nSOURCE {dump};\n");
    // Hours for a large database; nobody waits for it but the operator.
    sql::run(system, &load, 86_400)?;
    system.remove(dump).map_err(|error| error.to_string())
}

fn set_aside(context: &Context<'_>) -> Result<String, String> {
    let system = context.system;
    let names = system
        .list(Utf8Path::new("/var/lib/mysql"))
        .map_err(|error| error.to_string())?;
    let number = (1..)
        .find(|number| !names.contains(&format!("data.lost-{number}")))
        .unwrap_or(0);
    let kept = format!("/var/lib/mysql/data.lost-{number}");
    let command = Command::new("mv").args(["-T", state::DATA, &kept]);
    system.run(&command).map_err(|error| words(&error))?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(writable: bool, epoch: u64, owner: &str, gtid: &str) -> Option<Told> {
        Some(Told {
            writable,
            epoch,
            owner: owner.into(),
            gtid: gtid.into(),
            ..Told::default()
        })
    }

    #[test]
    fn promotions() {
        let own = Promotion {
            name: "db2",
            epoch: Epoch {
                number: 1,
                owner: "db1".into(),
            },
            gtid: "11-1-9",
            received: Some("11-1-9".into()),
            applied: Some("11-1-9".into()),
            fenced: false,
        };
        let fenced = Promotion {
            fenced: true,
            ..own.clone()
        };
        let behind = Promotion {
            applied: Some("11-1-7".into()),
            ..fenced.clone()
        };
        let again = Promotion {
            epoch: Epoch {
                number: 2,
                owner: "db2".into(),
            },
            ..fenced.clone()
        };
        let cases = [
            (
                own.clone(),
                told(true, 1, "db1", "11-1-9"),
                "`db1` takes writes at this moment\nhint: run `rackwright-installer database demote` there first",
            ),
            (
                own.clone(),
                None,
                "`db1` does not answer, and may still take writes\nhint: switch it off and look that it is off, then add `--fenced`",
            ),
            (fenced, None, "epoch 2"),
            (
                behind,
                None,
                "this server has not applied all that it received (`11-1-9`, applied `11-1-7`)\nhint: wait, then try again",
            ),
            (own.clone(), told(false, 1, "db1", "11-1-9"), "epoch 2"),
            (own.clone(), told(false, 4, "db1", "11-1-9"), "epoch 5"),
            (
                own,
                told(false, 1, "db1", "11-1-12"),
                "`db1` has writes that this server does not have (there `11-1-12`, here `11-1-9`)\nhint: wait until this server has received them, or promote `db1`",
            ),
            (again, None, "epoch 2"),
        ];
        for (own, peer, expected) in cases {
            let got = match promotion(&own, &[("db1".to_owned(), peer)]) {
                Ok(epoch) => format!("epoch {}", epoch.number),
                Err(error) => error,
            };
            assert_eq!(got, expected, "{own:?}");
        }
    }
}

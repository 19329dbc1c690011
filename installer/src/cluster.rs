//! `join`, `health-endpoint`, `galera` and `database`: this machine as part of its cluster.

use anyhow::{Context as _, anyhow, bail, ensure};
use authority::control::Own;
use camino::Utf8Path;
use join::{
    claims::Claims,
    context::Context,
    database::{self, RESOURCE},
    endpoint::{self, sample},
    engine::{self, Ended, Say},
    galera, journal,
    outside::Wire,
    settings,
};
use serde::Serialize;
use system::System;

use crate::arguments::{DatabaseTask, GaleraTask};
use crate::{FAILED, REFUSED, output, this::This};

/// How far the join is, for `status` and for people.
const STATE: &str = "/run/rackwright/join.json";

/// What a join needs of this machine, kept while it runs.
struct Joining<'a> {
    this: This,
    wire: Wire<'a>,
    claims: Option<Own>,
}

impl<'a> Joining<'a> {
    fn read(system: &'a dyn System) -> anyhow::Result<Self> {
        let this = This::read(system)?;
        let claims = this.claims();
        let wire = Wire { system };
        Ok(Self { this, wire, claims })
    }

    fn context(&self, system: &'a dyn System) -> anyhow::Result<Context<'_>> {
        Ok(Context {
            system,
            outside: &self.wire,
            claims: self.claims.as_ref().map(|own| own as &dyn Claims),
            role: self.this.role()?,
            node: &self.this.node,
            boot: engine::boot(system),
        })
    }

    /// As [`Self::context`], of a machine with this role only. `what`: what such a machine is.
    fn context_as(
        &self,
        system: &'a dyn System,
        role: &str,
        what: &str,
    ) -> anyhow::Result<Context<'_>> {
        let node = &self.this.node;
        ensure!(
            node.role == role,
            "`{}` is a `{}`, not {what}",
            node.node,
            node.role
        );
        self.context(system)
    }
}

#[derive(Serialize)]
struct State<'a> {
    step: &'a str,
    detail: &'a str,
}

/// Says it in the journal and on the console, and leaves it for `status` and for the report to the control servers.
struct Aloud<'a>(&'a dyn System);

impl Say for Aloud<'_> {
    fn say(&mut self, step: &str, line: &str) {
        output::aloud(self.0, &format!("rackwright join: {step}: {line}"));
        let state = State { step, detail: line };
        if let Ok(text) = serde_json::to_string(&state) {
            self.0
                .write(Utf8Path::new(STATE), text.as_bytes(), 0o644)
                .unwrap_or_else(|error| output::note(&error.to_string()));
        }
    }
}

/// Runs the steps of this machine's role until all are done. 1: a step refused.
///
/// # Errors
/// The node file or the role data cannot be read.
pub fn join(system: &dyn System) -> anyhow::Result<u8> {
    let joining = Joining::read(system)?;
    match engine::run(&joining.context(system)?, &mut Aloud(system), None) {
        Ok(Ended::Joined) => Ok(0),
        Ok(Ended::Refused(..)) => Ok(REFUSED),
        Err(error) => {
            output::note(&error);
            Ok(FAILED)
        }
    }
}

/// Serves port 9200 for ever.
///
/// # Errors
/// The node file cannot be read or the port is taken.
pub fn health_endpoint(system: &dyn System) -> anyhow::Result<u8> {
    let joining = Joining::read(system)?;
    endpoint::serve(&joining.context(system)?).context("port 9200")?;
    Ok(0)
}

/// `galera`.
///
/// # Errors
/// Refused, or a command failed.
pub fn galera(system: &dyn System, task: &GaleraTask, json: bool) -> anyhow::Result<u8> {
    let joining = Joining::read(system)?;
    let context = joining.context_as(system, "galera", "a member of a Galera cluster")?;
    match task {
        GaleraTask::Status => status(&context, "galera", json),
        GaleraTask::Recover(options) => {
            let report = galera::operator::recover(&context, &options.lost, options.waited)
                .map_err(|error| anyhow!(error))?;
            output::text(&format!("{}\n", report.text))?;
            Ok(u8::from(!report.over))
        }
    }
}

/// `database`.
///
/// # Errors
/// Refused, or a command failed.
pub fn database(system: &dyn System, task: &DatabaseTask, json: bool) -> anyhow::Result<u8> {
    let joining = Joining::read(system)?;
    let context = joining.context_as(system, "database", "a database server of a pair")?;
    let done = match task {
        DatabaseTask::Status => return status(&context, "database", json),
        DatabaseTask::Promote(options) => database::operator::promote(&context, options.fenced),
        DatabaseTask::Demote => database::operator::demote(&context),
        DatabaseTask::Follow => database::operator::again(&context),
        DatabaseTask::Confirm => database::operator::confirm(&context),
        DatabaseTask::Reseed(options) => {
            if options.node != context.node.node {
                bail!(
                    "`{}` is not this machine's name: nothing was changed",
                    options.node
                );
            }
            database::operator::reseed(&context)
        }
    };
    output::text(&format!("{}\n", done.map_err(|error| anyhow!(error))?))?;
    Ok(0)
}

#[derive(Serialize)]
struct Row {
    node: String,
    answers: bool,
    serves: bool,
    detail: String,
}

/// This machine and its peers. 1: one of them does not serve.
fn status(context: &Context<'_>, role: &str, json: bool) -> anyhow::Result<u8> {
    let own = sample::take(context, &mut join::sql::Session::new(context.system), false).told;
    let peers = settings::peers(context.node, &[role]);
    let mut all = vec![(own.node.clone(), Some(own))];
    all.extend(
        peers
            .iter()
            .map(|peer| (peer.name.clone(), context.outside.ask(&peer.address))),
    );
    let rows: Vec<Row> = all
        .into_iter()
        .map(|(node, told)| match told {
            None => Row {
                node,
                answers: false,
                serves: false,
                detail: "does not answer on port 9200".into(),
            },
            Some(told) => Row {
                node,
                answers: true,
                serves: told.unfit.is_none(),
                detail: match (&told.unfit, told.writable) {
                    (Some(why), _) => why.clone(),
                    (None, true) => format!("takes writes; position `{}`", told.gtid),
                    (None, false) => format!("read only; position `{}`", told.gtid),
                },
            },
        })
        .collect();
    let healthy = rows.iter().all(|row| row.serves);
    if json {
        output::json(&rows)?;
    } else {
        for row in &rows {
            let word = if row.serves {
                "serves"
            } else {
                "DOES NOT SERVE"
            };
            output::text(&format!("{:<12} {word:<14} {}\n", row.node, row.detail))?;
        }
        if role == "database" {
            let epoch = journal::read(context.system)?.epoch(RESOURCE);
            output::text(&format!("epoch {} of `{}`\n", epoch.number, epoch.owner))?;
        }
    }
    Ok(u8::from(!healthy))
}

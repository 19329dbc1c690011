//! `join`, `health-endpoint`, `galera` and `database`: this machine as part of its cluster.

use anyhow::{Context as _, anyhow, bail, ensure};
use authority::control::{self, Own};
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
use roles::{NodeFile, Role};
use run::appliance;
use serde::Serialize;
use system::System;

use crate::arguments::{DatabaseTask, GaleraTask};
use crate::{FAILED, REFUSED, output};

/// How far the join is, for `status` and for people.
const STATE: &str = "/run/rackwright/join.json";
const CONSOLE: &str = "/dev/console";

struct This<'a> {
    role: Role,
    node: NodeFile,
    wire: Wire<'a>,
    /// Where the plan has control servers.
    claims: Option<Own>,
}

impl<'a> This<'a> {
    fn read(system: &'a dyn System) -> anyhow::Result<Self> {
        let roles = roles::folder::read(Utf8Path::new(appliance::ROLES))?;
        let text = system
            .read(Utf8Path::new(appliance::NODE_FILE))
            .context("this machine has no node file")?;
        let text = String::from_utf8(text).context("the node file is not text")?;
        let node = roles::parse::node_file(appliance::NODE_FILE, &text, Some(&roles))?;
        let role = roles
            .roles
            .get(&node.role)
            .with_context(|| format!("this image has no role `{}`", node.role))?
            .role
            .clone();
        let servers = node.authority.as_ref().map(control::servers);
        let claims = servers.filter(|servers| !servers.is_empty()).map(Own);
        let wire = Wire { system };
        Ok(Self {
            role,
            node,
            wire,
            claims,
        })
    }

    fn context(&self, system: &'a dyn System) -> Context<'_> {
        Context {
            system,
            outside: &self.wire,
            claims: self.claims.as_ref().map(|own| own as &dyn Claims),
            role: &self.role,
            node: &self.node,
            boot: engine::boot(system),
        }
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
        let text = format!("rackwright join: {step}: {line}");
        output::note(&text);
        self.0
            .emit(Utf8Path::new(CONSOLE), format!("{text}\r\n").as_bytes());
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
    let this = This::read(system)?;
    match engine::run(&this.context(system), &mut Aloud(system), None) {
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
    let this = This::read(system)?;
    endpoint::serve(&this.context(system)).context("port 9200")?;
    Ok(0)
}

/// `galera`.
///
/// # Errors
/// Refused, or a command failed.
pub fn galera(system: &dyn System, task: &GaleraTask, json: bool) -> anyhow::Result<u8> {
    let this = This::read(system)?;
    ensure!(
        this.role.name == "galera",
        "`{}` is a `{}`, not a member of a Galera cluster",
        this.node.node,
        this.role.name
    );
    let context = this.context(system);
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
    let this = This::read(system)?;
    ensure!(
        this.role.name == "database",
        "`{}` is a `{}`, not a database server of a pair",
        this.node.node,
        this.role.name
    );
    let context = this.context(system);
    let done = match task {
        DatabaseTask::Status => return status(&context, "database", json),
        DatabaseTask::Promote(options) => database::operator::promote(&context, options.fenced),
        DatabaseTask::Demote => database::operator::demote(&context),
        DatabaseTask::Follow => database::operator::again(&context),
        DatabaseTask::Confirm => database::operator::confirm(&context),
        DatabaseTask::Reseed(options) => {
            if options.node != this.node.node {
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
    let own = sample::take(context, false).told;
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

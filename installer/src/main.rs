//! The program inside the image: look, explain, install, and tell how the installed machine is.

mod apply;
mod arguments;
mod authority;
mod bmc;
mod cluster;
mod countdown;
mod decommission;
mod depot;
mod drain;
mod fence;
mod findings;
mod generate;
mod install;
mod inventory;
mod locate;
mod mail;
mod metrics;
mod output;
mod plan;
mod preflight;
mod probe;
mod repair;
mod serve;
mod storage;
mod survey;
mod this;
mod tui;
mod tui_live;
mod tui_looks;
mod unlock;

use std::process::ExitCode;

use arguments::{Arguments, Task};
use clap::Parser;
use run::appliance;
use system::Live;

/// Refused, or the command line or a file is wrong: nothing was written.
pub const REFUSED: u8 = 1;
/// Failed after something was written.
pub const FAILED: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { REFUSED } else { 0 };
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    output::logs(arguments.verbose);
    let json = arguments.json;
    let code = match arguments.task {
        Task::Inventory(options) => inventory::run(&Live, &options, json),
        Task::Locate(options) => locate::run(&Live, &options),
        Task::Plan(options) => plan::run(&Live, &options, json),
        Task::Apply(options) => apply::run(&Live, &Live, &options, json),
        Task::Repair(options) => repair::run(&Live, &options, json),
        Task::Bmc(options) => bmc::run(&Live, &options, json),
        Task::Install(options) => Ok(install::run(&Live, &Live, &options)),
        Task::Tui(options) => tui::run(&options),
        Task::Console(options) => tui::console(&options),
        Task::Decommission(options) => decommission::run(&Live, &options, json),
        Task::Preflight(options) => preflight::run(&Live, &Live, &options, json),
        Task::Unlock(options) => unlock::run(&Live, &options),
        Task::Galera(options) => cluster::galera(&Live, &options.task, json),
        Task::Database(options) => cluster::database(&Live, &options.task, json),
        Task::Authority(options) => authority::run(&Live, &options.task, json),
        Task::Fence(options) => authority::fence(&Live, &options.node, json),
        Task::Enrol => authority::enrol(&Live),
        Task::Join => cluster::join(&Live),
        Task::HealthEndpoint => cluster::health_endpoint(&Live),
        Task::Status => status(json),
        Task::Storage(options) => storage::run(&Live, &options.task, json),
        Task::Mail(options) => mail::run(&Live, &options.task),
        Task::Probe(options) => probe::run(&options),
        Task::Drain(options) => drain::run(&Live, &options),
        Task::Serve(options) => serve::run(&Live, &options, json),
        Task::BootCheck => {
            let status = appliance::boot_check(&Live);
            depot::health(&Live, &status);
            Ok(status.exit_code())
        }
        Task::PrepareBoot => {
            appliance::prepare_boot(&Live);
            Ok(0)
        }
        Task::Incomplete => {
            appliance::show_incomplete(&Live);
            Ok(0)
        }
        Task::Generate(options) => generate::run(&options),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output::error(&error);
            ExitCode::from(REFUSED)
        }
    }
}

fn status(json: bool) -> anyhow::Result<u8> {
    let status = appliance::status(&Live);
    if json {
        output::json(&status.json())?;
    } else {
        output::text(&status.text())?;
    }
    Ok(status.exit_code())
}

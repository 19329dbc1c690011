//! `bmc`: this machine's management controller, by the machine's own interface to it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use firmware::bmc::{
    self, BmcError, Current, chassis, current, difference::Way, fru, sel, sensors, text,
};
use roles::wiring::BmcSettings;
use run::secrets;
use serde_json::json;
use system::System;

use crate::{
    FAILED, REFUSED,
    arguments::{Bmc, BmcApply, BmcNode, BmcTask},
    output,
};

/// Node file of an installed machine.
const INSTALLED: &str = "/state/node.toml";
/// A clock that is further off is said.
const CLOCK_OFF: u32 = 60;

pub fn run(system: &dyn System, options: &Bmc, json: bool) -> anyhow::Result<u8> {
    run::bmc::load_driver(system);
    match &options.task {
        BmcTask::Show(node) => show(system, node, json),
        BmcTask::Apply(options) => apply(system, options, json),
        BmcTask::Sel(options) => events(system, options.clear, json),
        BmcTask::Sensors => {
            let sensors = sensors::read(&mut run::bmc::transport(system))?;
            if json {
                output::json(&sensors)?;
            } else {
                output::text(&text::sensors(&sensors))?;
            }
            Ok(0)
        }
    }
}

/// `[bmc]` of the node file; absent if no node file was given and none is here, or it has none.
fn settings(system: &dyn System, node: &BmcNode) -> anyhow::Result<Option<BmcSettings>> {
    let path = match &node.node {
        Some(path) => path.as_path(),
        None if system.exists(Utf8Path::new(INSTALLED)) => Utf8Path::new(INSTALLED),
        None => return Ok(None),
    };
    let text = String::from_utf8(system.read(path)?)
        .with_context(|| format!("`{path}` is not UTF-8 text"))?;
    Ok(roles::parse::node_file(path.as_str(), &text, None)?.bmc)
}

/// What has no such thing is absent.
fn unless_refused<T>(result: Result<T, BmcError>) -> Result<Option<T>, BmcError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(BmcError::Refused { .. } | BmcError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Exit code 1 if something differs or the factory's password is in use.
fn show(system: &dyn System, node: &BmcNode, json: bool) -> anyhow::Result<u8> {
    let settings = settings(system, node)?;
    let (now, difference) = match &settings {
        Some(settings) => {
            let (now, difference) = run::bmc::look(system, settings)?;
            (now, Some(difference))
        }
        None => (current::read(&mut run::bmc::transport(system))?, None),
    };
    let mut transport = run::bmc::transport(system);
    let power = unless_refused(chassis::status(&mut transport))?;
    let label = unless_refused(fru::read(&mut transport))?.flatten();
    if json {
        output::json(&json!({
            "bmc": now, "power": power, "label": label, "difference": difference,
        }))?;
    } else {
        output::text(&text::current(&now))?;
        if let Some(power) = &power {
            output::text(&text::status(power, label.as_ref()))?;
        }
        if let Some(difference) = &difference {
            output::text(&format!("\n{}", text::difference(difference)))?;
        }
    }
    if let Some(line) = clock(&now) {
        output::note(&line);
    }
    let as_wanted = difference.is_none_or(|difference| difference.is_none());
    Ok(if as_wanted && now.factory_password != Some(true) {
        0
    } else {
        REFUSED
    })
}

/// This machine's time; absent if its clock is before 1970 or after 2106.
fn seconds() -> Option<u32> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u32::try_from(now.as_secs()).ok()
}

fn clock(now: &Current) -> Option<String> {
    let ours = seconds()?;
    let hint = "hint: `rackwright-installer bmc apply --set-clock`";
    match now.time {
        None => Some(format!("warning: the BMC's clock is not set\n{hint}")),
        Some(theirs) if theirs.abs_diff(ours) > CLOCK_OFF => Some(format!(
            "warning: the BMC's clock says {}, this machine {}\n{hint}",
            sel::utc(theirs),
            sel::utc(ours)
        )),
        Some(_) => None,
    }
}

fn apply(system: &dyn System, options: &BmcApply, json: bool) -> anyhow::Result<u8> {
    let settings = settings(system, &options.node)?;
    if settings.is_none() && !options.set_clock {
        bail!(
            "there is no `[bmc]` to apply\nhint: give a node file that has it with `--node FILE`"
        );
    }
    let mut changed = Vec::new();
    let mut left = None;
    if let Some(settings) = &settings {
        let (now, difference) = run::bmc::look(system, settings)?;
        for warning in &difference.warnings {
            output::note(&format!("warning: {warning}"));
        }
        let password = secrets::bmc_password(system)?;
        let result = bmc::apply(
            &mut run::bmc::transport(system),
            now.channel,
            &difference,
            password.as_ref(),
            Way::InBand,
            &mut |change| changed.push(change.to_string()),
        );
        if let Err(error) = result {
            output::note(&format!("error: {error}"));
            if let Some((failed, done)) = changed.split_last() {
                output::note(&format!("failed at: {failed}"));
                output::note(&format!("{} changes before it were made", done.len()));
            }
            return Ok(FAILED);
        }
        left = Some(run::bmc::look(system, settings)?.1);
    }
    if options.set_clock {
        let Some(ours) = seconds() else {
            bail!("this machine's own clock is wrong");
        };
        sel::set_time(&mut run::bmc::transport(system), ours)?;
        changed.push(format!("clock: {}", sel::utc(ours)));
    }
    if json {
        output::json(&json!({"changed": changed, "left": left}))?;
    } else {
        for line in &changed {
            output::text(&format!("{line}\n"))?;
        }
        if changed.is_empty() {
            output::text("the BMC is as wanted\n")?;
        }
    }
    let done = left.is_none_or(|left| left.is_none());
    Ok(if done { 0 } else { FAILED })
}

fn events(system: &dyn System, clear: bool, json: bool) -> anyhow::Result<u8> {
    let mut transport = run::bmc::transport(system);
    let info = sel::info(&mut transport)?;
    let events = sel::read(&mut transport)?;
    if json {
        output::json(&json!({"log": info, "events": events}))?;
    } else {
        output::text(&text::events(info, &events))?;
    }
    if clear {
        sel::clear(&mut transport)?;
        output::note("the event log is cleared");
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use firmware::bmc::simulated::Simulated as Controller;
    use std::sync::{Arc, Mutex};
    use system::Simulated;

    use super::*;

    const NODE: &str = "format = 1\nnode = \"n1\"\nrole = \"control\"\n[bmc]\naddress = \"10.77.10.111/24\"\nuser = \"rackwright\"\n";

    fn machine() -> (Simulated, Arc<Mutex<Controller>>) {
        let machine = Simulated::new();
        let bmc = Arc::new(Mutex::new(Controller::x10()));
        let inside = Arc::clone(&bmc);
        machine.add_bmc(move |function, command, data| {
            inside.lock().unwrap().answer(function, command, data)
        });
        machine.put_file(INSTALLED, NODE.as_bytes());
        (machine, bmc)
    }

    fn task(task: BmcTask) -> Bmc {
        Bmc { task }
    }

    #[test]
    fn apply_then_show_then_nothing_is_left() {
        let (machine, bmc) = machine();
        let node = || BmcNode { node: None };
        assert_eq!(
            run(&machine, &task(BmcTask::Show(node())), false).unwrap(),
            REFUSED
        );
        machine.put_file("/run/rackwright/secrets/bmc", b"correct horse\n");
        let apply = BmcApply {
            node: node(),
            set_clock: true,
        };
        assert_eq!(
            run(&machine, &task(BmcTask::Apply(apply)), false).unwrap(),
            0
        );
        let theirs = bmc.lock().unwrap().time;
        assert!(theirs.abs_diff(seconds().unwrap()) < 5);
        assert_eq!(bmc.lock().unwrap().users[2].name, "rackwright");
        assert_eq!(
            run(&machine, &task(BmcTask::Show(node())), true).unwrap(),
            0
        );
    }

    #[test]
    fn nothing_to_apply_is_an_error_with_a_way_out() {
        let (machine, _) = machine();
        machine.put_file(
            INSTALLED,
            b"format = 1\nnode = \"n1\"\nrole = \"control\"\n",
        );
        let apply = BmcApply {
            node: BmcNode { node: None },
            set_clock: false,
        };
        let error = run(&machine, &task(BmcTask::Apply(apply)), false).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no `[bmc]` to apply\nhint: give a node file that has it with `--node FILE`"
        );
        let empty = Simulated::new();
        let error = run(&empty, &task(BmcTask::Sensors), false).unwrap_err();
        assert!(error.to_string().contains("/dev/ipmi0"), "{error}");
    }

    #[test]
    fn the_event_log_is_cleared_when_asked() {
        let (machine, bmc) = machine();
        bmc.lock().unwrap().sel = vec![[1; 16]];
        let clear = |clear| task(BmcTask::Sel(crate::arguments::BmcSel { clear }));
        assert_eq!(run(&machine, &clear(false), true).unwrap(), 0);
        assert_eq!(bmc.lock().unwrap().sel.len(), 1);
        assert_eq!(run(&machine, &clear(true), false).unwrap(), 0);
        assert_eq!(bmc.lock().unwrap().sel.len(), 0);
    }
}

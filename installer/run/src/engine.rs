//! Executes a plan: step by step, each looked at before and after, every event told, the first failure ends it.
//!
//! Resuming: once the state file system exists, its journal says which steps of which plan are done. A run of the very same
//! plan looks at each of them again and goes on behind them. Before that point nothing is resumed: wiping and partitioning
//! again takes seconds and is simpler to be sure of.

use camino::Utf8Path;
use plan::{Action, Check, Device, Plan, Step};
use system::{Mounted, System};

use crate::{
    Context,
    actions::{Act, ActionError},
    checks,
    devices::Devices,
    event::{Event, Outcome},
    install_state::Progress,
    journal::{self, Journal},
    permit,
    prior::{self, Prior},
};

/// Executes a plan.
///
/// Without a permit in the context the caller vouches that a person has confirmed this very plan. `consent` is asked once, when
/// everything else allows the first write: its reason to refuse is the outcome's message. `cancel` is asked between steps.
pub fn execute(
    plan: &Plan,
    context: &Context,
    system: &dyn System,
    events: &mut dyn FnMut(Event),
    consent: &mut dyn FnMut() -> Result<(), String>,
    cancel: &dyn Fn() -> bool,
) -> Outcome {
    let (outcome, message) = run(plan, context, system, events, consent, cancel);
    events(Event::Ended { outcome, message });
    outcome
}

fn run(
    plan: &Plan,
    context: &Context,
    system: &dyn System,
    events: &mut dyn FnMut(Event),
    consent: &mut dyn FnMut() -> Result<(), String>,
    cancel: &dyn Fn() -> bool,
) -> (Outcome, String) {
    let digest = plan.digest();
    let planned = Event::Planned {
        node: plan.node.clone(),
        digest: digest.clone(),
        steps: plan
            .steps
            .iter()
            .map(|step| (step.id.clone(), step.title.clone()))
            .collect(),
    };
    if let Err(reason) = admissible(plan, context) {
        return (Outcome::Refused, reason);
    }
    let devices = Devices::new(system, plan, &context.inventory);
    let priors = match look(plan, context, system, &devices, events) {
        Ok(priors) => priors,
        Err(reason) => return (Outcome::Refused, reason),
    };
    if let Err(reason) = consent() {
        return (Outcome::Refused, reason);
    }
    // Consoles show an install from here on: a plan that was refused is none.
    events(planned.clone());
    let finished = finished_steps(&priors, &digest, context);
    let mut engine = Engine {
        plan,
        context,
        system,
        devices: &devices,
        events,
        planned,
        done: Vec::new(),
        state: None,
    };
    let finished = engine.still_done(finished);
    for (index, step) in plan.steps.iter().enumerate() {
        if cancel() {
            return (
                Outcome::Cancelled,
                format!("stopped before `{}`", step.title),
            );
        }
        if let Err(error) = engine.step(index, step, &finished) {
            engine.failed(step, &error);
            return (Outcome::Failed, format!("`{}` failed", step.title));
        }
    }
    if let Some(last) = plan.steps.last()
        && let Err(error) = engine.close()
    {
        engine.failed(last, &error);
        return (
            Outcome::Failed,
            "the state file system could not be closed".into(),
        );
    }
    if plan.is_repair() {
        let message = format!(
            "`{}` is repaired; arrays and pools are being rebuilt, /proc/mdstat and `zpool status` show how far they are",
            plan.node
        );
        return (Outcome::Done, message);
    }
    if plan.is_decommission() {
        return (
            Outcome::Done,
            format!("the disks of `{}` are empty", plan.node),
        );
    }
    (Outcome::Done, format!("`{}` is installed", plan.node))
}

/// What must hold of any plan, whoever made it.
fn admissible(plan: &Plan, context: &Context) -> Result<(), String> {
    for id in plan.destroys() {
        let Some(disk) = context.inventory.disks.iter().find(|disk| disk.id == id) else {
            return Err(format!("disk `{id}` of the plan is not in this machine"));
        };
        if disk.boot_medium || disk.read_only {
            return Err(format!(
                "disk `{id}` of the plan is the boot medium or write-protected"
            ));
        }
    }
    if plan.is_decommission() {
        return Ok(());
    }
    let last = plan.steps.iter().position(|step| {
        matches!(step.action, Action::FinishInstall { .. }) || step.action.ends_repair()
    });
    if last.map(|index| index + 1) != Some(plan.steps.len()) {
        return Err(
            "the plan does not end with its one `finish-install` or `finish-repair` step".into(),
        );
    }
    Ok(())
}

/// Looks for an earlier install and asks the permit.
fn look(
    plan: &Plan,
    context: &Context,
    system: &dyn System,
    devices: &Devices<'_>,
    events: &mut dyn FnMut(Event),
) -> Result<Vec<Prior>, String> {
    let priors = match prior::look(system, devices) {
        Ok(priors) => priors,
        // A person has seen the plan and wants it; without one, "cannot tell" must be no.
        Err(error) if context.permit.is_none() => {
            events(Event::Warned {
                step: None,
                message: format!("what is on the disks cannot be read: {error}"),
            });
            Vec::new()
        }
        Err(error) => {
            return Err(format!(
                "cannot tell whether this permit was used before: {error}\nhint: use `apply` at the console, or wipe the disks"
            ));
        }
    };
    if context.permit.is_some() && plan.is_decommission() {
        return Err("a permit never empties a machine: only a person does".into());
    }
    if let Some(permit) = &context.permit {
        let states: Vec<_> = priors
            .iter()
            .filter_map(|prior| prior.install.clone())
            .collect();
        let request = permit::Request {
            board_serial: context.inventory.board.serial.as_deref(),
            plan: &plan.digest(),
            task: if plan.is_repair() {
                permit::REPAIR
            } else {
                permit::INSTALL
            },
            prior: &states,
        };
        permit::check(permit, request).map_err(|refusal| refusal.to_string())?;
    }
    Ok(priors)
}

/// Steps that an earlier run of this very plan, with this permit, has finished.
fn finished_steps(priors: &[Prior], digest: &str, context: &Context) -> Vec<String> {
    let permit = context.permit.as_ref().map(|permit| &permit.id);
    priors
        .iter()
        .filter(|prior| {
            prior.install.as_ref().is_some_and(|install| {
                let installing = install.state == Progress::Incomplete
                    && install.plan == digest
                    && install.permit.as_ref() == permit;
                let repairing = install.repairs.iter().any(|repair| {
                    !repair.done && repair.plan == digest && repair.permit.as_ref() == permit
                });
                installing || repairing
            })
        })
        .map(|prior| journal::finished(&prior.journal, digest))
        .next()
        .unwrap_or_default()
}

struct Engine<'a, 'e> {
    plan: &'a Plan,
    context: &'a Context,
    system: &'a dyn System,
    devices: &'a Devices<'a>,
    events: &'e mut dyn FnMut(Event),
    planned: Event,
    /// What ended before there was a journal.
    done: Vec<Event>,
    state: Option<(Mounted<'a>, Journal)>,
}

impl<'a> Engine<'a, '_> {
    /// The finished steps if all of them still hold; nothing if one does not, as those after it were built on it.
    fn still_done(&mut self, finished: Vec<String>) -> Vec<String> {
        let steps = &self.plan.steps;
        let Some(last) = steps.iter().rposition(|step| finished.contains(&step.id)) else {
            return Vec::new();
        };
        let all: Vec<String> = self
            .devices
            .kernel_names(&self.devices.built_from())
            .into_iter()
            .collect();
        self.system.allow_writes(&[], &all);
        for (index, step) in steps[..=last].iter().enumerate() {
            if can_be_repeated(&step.action) {
                continue;
            }
            let holds = if !finished.contains(&step.id) {
                Ok(false)
            } else if self.superseded(index, &finished) {
                Ok(true)
            } else {
                checks::holds(&step.done_when, self.plan, self.devices, self.system)
            };
            if !matches!(holds, Ok(true)) {
                let why = match holds {
                    Err(error) => error.to_string(),
                    Ok(_) => "it is not as it was left".into(),
                };
                (self.events)(Event::Warned {
                    step: Some(step.id.clone()),
                    message: format!(
                        "an earlier run of this plan cannot be continued, starting anew: {why}"
                    ),
                });
                return Vec::new();
            }
        }
        finished
    }

    /// A disk that was blank is not any more once something was made of it; that is looked at instead.
    fn superseded(&self, index: usize, finished: &[String]) -> bool {
        let Check::Blank { disk } = &self.plan.steps[index].done_when else {
            return false;
        };
        self.plan.steps[index + 1..]
            .iter()
            .any(|later| finished.contains(&later.id) && later.destroys.contains(disk))
    }

    fn step(&mut self, index: usize, step: &Step, finished: &[String]) -> Result<(), ActionError> {
        if finished.contains(&step.id) && !can_be_repeated(&step.action) {
            return self.emit(Event::Skipped {
                step: step.id.clone(),
                reason: "done by an earlier run of this plan".into(),
            });
        }
        // The step an earlier run was interrupted in may have been done all the same.
        let interrupted = !finished.is_empty()
            && !finished.contains(&step.id)
            && self.plan.steps[..index]
                .iter()
                .all(|before| finished.contains(&before.id) || can_be_repeated(&before.action));
        let conclusive = matches!(
            step.done_when,
            Check::Pool { .. }
                | Check::Dataset { .. }
                | Check::Content { .. }
                | Check::Member { .. }
                | Check::PoolMember { .. }
        );
        if interrupted
            && conclusive
            && checks::holds(&step.done_when, self.plan, self.devices, self.system)?
        {
            self.emit(Event::Skipped {
                step: step.id.clone(),
                reason: "already done".into(),
            })?;
            return self.emit(Event::Finished {
                step: step.id.clone(),
                milliseconds: 0,
            });
        }
        let began = self.system.now();
        self.emit(Event::Started {
            step: step.id.clone(),
        })?;
        if let Some(device) = state_device(&step.action) {
            self.open_state(step, device)?;
        }
        self.act(step).perform()?;
        self.verify(step)?;
        let took = self.system.now().saturating_sub(began).as_millis();
        self.emit(Event::Finished {
            step: step.id.clone(),
            milliseconds: u64::try_from(took).unwrap_or(u64::MAX),
        })
    }

    fn act<'b>(&'b mut self, step: &'b Step) -> Act<'b> {
        Act {
            system: self.system,
            context: self.context,
            plan: self.plan,
            devices: self.devices,
            step,
            events: &mut *self.events,
        }
    }

    /// Looks whether the step did what it should have; actions that read back themselves are not asked twice.
    fn verify(&mut self, step: &Step) -> Result<(), ActionError> {
        if matches!(
            step.done_when,
            Check::Never | Check::Content { .. } | Check::Blank { .. }
        ) {
            return Ok(());
        }
        if checks::holds(&step.done_when, self.plan, self.devices, self.system)? {
            return Ok(());
        }
        Err(ActionError::with_hint(
            "all commands ended well, but the result is not there",
            "look at the kernel's messages, then start again",
        ))
    }

    /// Mounts the state file system and begins, or goes on with, its journal.
    fn open_state(&mut self, step: &Step, device: &Device) -> Result<(), ActionError> {
        if self.state.is_some() {
            return Ok(());
        }
        let system = self.system;
        let path = self.act(step).ready_to_mount(device)?;
        let target = Utf8Path::new(crate::context::STATE_MOUNT);
        let mounted = Mounted::new(system, &path, target, "ext4", false, "")?;
        let mut journal = Journal::open(system, &target.join(journal::STATE), system.now())?;
        journal.append(system, &self.planned)?;
        for event in self.done.drain(..) {
            journal.append(system, &event)?;
        }
        self.state = Some((mounted, journal));
        Ok(())
    }

    fn close(&mut self) -> Result<(), ActionError> {
        self.system.sync();
        if let Some((mounted, _)) = self.state.take() {
            mounted.release()?;
        }
        Ok(())
    }

    /// Tells an event; what the journal cannot keep has not happened.
    fn emit(&mut self, event: Event) -> Result<(), ActionError> {
        if let Some((_, journal)) = &mut self.state {
            journal.append(self.system, &event)?;
        } else if matches!(event, Event::Finished { .. }) {
            self.done.push(event.clone());
        }
        (self.events)(event);
        Ok(())
    }

    fn failed(&mut self, step: &Step, error: &ActionError) {
        let event = Event::Failed {
            step: step.id.clone(),
            error: error.to_string(),
            hint: error.hint(),
        };
        (self.events)(event.clone());
        if let Some((_, journal)) = &mut self.state {
            journal.append(self.system, &event).ok();
        }
    }
}

/// The action can be done again without harm to anything after it.
fn can_be_repeated(action: &Action) -> bool {
    matches!(
        action,
        Action::ConfigureBmc { .. }
            | Action::BeginInstall { .. }
            | Action::MakeBootable { .. }
            | Action::WriteState { .. }
            | Action::FinishInstall { .. }
            | Action::BeginRepair { .. }
            | Action::CopyBootable { .. }
            | Action::FinishRepair { .. }
    )
}

fn state_device(action: &Action) -> Option<&Device> {
    match action {
        Action::BeginInstall { state }
        | Action::WriteState { state, .. }
        | Action::FinishInstall { state, .. }
        | Action::BeginRepair { state, .. }
        | Action::FinishRepair { state, .. } => Some(state),
        _ => None,
    }
}

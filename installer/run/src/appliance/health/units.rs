//! State of systemd units, from `systemctl list-units` and `systemctl show`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use system::{Command, System};

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Name it was asked for.
    pub unit: String,
    /// `active`, `activating`, `inactive`, `failed`; `unknown` if systemd did not answer.
    pub active: String,
    /// `running`, `exited`, `dead`, ...
    pub sub: String,
    /// `success`, `exit-code`, ...
    pub result: String,
    /// systemd has not come to it in this boot: what it needs is still coming, or has failed. Such a unit is `inactive` and its
    /// result `success`, like one that has done its work.
    #[serde(default)]
    pub untried: bool,
}

/// State of these units, in their order, and the names of all units in state `failed`.
///
/// One list of everything says all there is to say of a unit that is active. `show` makes systemd collect a hundred properties of
/// each unit, its control group's counters among them; it is for the others, because only it tells their result.
pub fn units(system: &dyn System, names: &[String]) -> (Vec<Unit>, Vec<String>) {
    let command = Command::new("systemctl").args([
        "list-units",
        "--all",
        "--plain",
        "--no-legend",
        "--no-pager",
    ]);
    let text = system.run(&command).map(|output| output.stdout);
    let text = text.unwrap_or_default();
    let listed: BTreeMap<&str, (&str, &str)> = text.lines().filter_map(line).collect();
    let (good, asked): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| {
        listed
            .get(name.as_str())
            .is_some_and(|unit| unit.0 == "active")
    });
    let mut units = show(system, &asked);
    for name in good {
        let unit = Unit {
            unit: name.clone(),
            active: "active".to_owned(),
            sub: listed[name.as_str()].1.to_owned(),
            result: "success".to_owned(),
            untried: false,
        };
        units.insert(name, unit);
    }
    let failed = listed.iter().filter(|(_, unit)| unit.0 == "failed");
    (
        names
            .iter()
            .filter_map(|name| units.get(name).cloned())
            .collect(),
        failed.map(|(name, _)| (*name).to_owned()).collect(),
    )
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`.
fn line(line: &str) -> Option<(&str, (&str, &str))> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    Some((name, (words.nth(1)?, words.next()?)))
}

fn show<'a>(system: &dyn System, names: &[&'a String]) -> BTreeMap<&'a String, Unit> {
    if names.is_empty() {
        return BTreeMap::new();
    }
    let command = Command::new("systemctl")
        .args([
            "show",
            "--property=ActiveState,SubState,Result,ConditionTimestampMonotonic",
        ])
        .args(names.iter().map(|name| (*name).clone()));
    let text = system.run(&command).map(|output| output.stdout);
    parse(names, &text.unwrap_or_default())
}

/// Blocks of `Key=value` lines, parted by empty lines, in the order of the arguments.
fn parse<'a>(names: &[&'a String], text: &str) -> BTreeMap<&'a String, Unit> {
    let mut blocks = text.split("\n\n");
    names
        .iter()
        .map(|&name| {
            let block = blocks.next().unwrap_or_default();
            let value = |key: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                    .unwrap_or("unknown")
                    .to_owned()
            };
            let unit = Unit {
                unit: name.clone(),
                active: value("ActiveState"),
                sub: value("SubState"),
                result: value("Result"),
                // Conditions are looked at, also if there are none, when a unit's turn has come (systemd 257, `unit_start`).
                untried: value("ActiveState") == "inactive"
                    && value("ConditionTimestampMonotonic") == "0",
            };
            (name, unit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    #[test]
    fn blocks_belong_to_the_units_in_order() {
        let system = Simulated::new();
        system.answer(
            "systemctl show",
            Ok(
                "ActiveState=active\nSubState=running\nResult=success\nConditionTimestampMonotonic=7\n\n\
                Result=exit-code\nActiveState=failed\nSubState=failed\n\n\
                Result=success\nActiveState=inactive\nSubState=dead\nConditionTimestampMonotonic=0\n\n\
                Result=success\nActiveState=inactive\nSubState=dead\nConditionTimestampMonotonic=9\n",
            ),
        );
        system.answer(
            "systemctl list-units",
            Ok(
                "b.service loaded failed failed B\nc.service loaded inactive dead C\n\
                f.service loaded active running F f\n",
            ),
        );
        let names = ["a", "b", "c", "f", "d", "e"].map(|name| format!("{name}.service"));
        let (seen, failed) = units(&system, &names);
        let seen: Vec<String> = seen
            .into_iter()
            .map(|unit| {
                format!(
                    "{} {} {} {} {}",
                    unit.unit, unit.active, unit.sub, unit.result, unit.untried
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                "a.service active running success false",
                "b.service failed failed exit-code false",
                "c.service inactive dead success true",
                "f.service active running success false",
                "d.service inactive dead success false",
                "e.service unknown unknown unknown false",
            ]
        );
        assert_eq!(failed, ["b.service"]);
        assert!(units(&system, &[]).0.is_empty());
    }
}

//! State of systemd units, from `systemctl show`.

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

/// State of these units, in their order.
pub fn units(system: &dyn System, names: &[String]) -> Vec<Unit> {
    if names.is_empty() {
        return Vec::new();
    }
    let command = Command::new("systemctl")
        .args([
            "show",
            "--property=ActiveState,SubState,Result,ConditionTimestampMonotonic",
        ])
        .args(names.iter().cloned());
    let text = system.run(&command).map(|output| output.stdout);
    parse(names, &text.unwrap_or_default())
}

/// Units in state `failed`.
pub fn failed(system: &dyn System) -> Vec<String> {
    let command = Command::new("systemctl").args([
        "list-units",
        "--state=failed",
        "--plain",
        "--no-legend",
        "--no-pager",
    ]);
    let text = system.run(&command).map(|output| output.stdout);
    text.unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// Blocks of `Key=value` lines, parted by empty lines, in the order of the arguments.
fn parse(names: &[String], text: &str) -> Vec<Unit> {
    let mut blocks = text.split("\n\n");
    names
        .iter()
        .map(|name| {
            let block = blocks.next().unwrap_or_default();
            let value = |key: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                    .unwrap_or("unknown")
                    .to_owned()
            };
            Unit {
                unit: name.clone(),
                active: value("ActiveState"),
                sub: value("SubState"),
                result: value("Result"),
                // Conditions are looked at, also if there are none, when a unit's turn has come (systemd 257, `unit_start`).
                untried: value("ActiveState") == "inactive"
                    && value("ConditionTimestampMonotonic") == "0",
            }
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
            Ok("b.service loaded failed failed B\n"),
        );
        let names = ["a", "b", "c", "d", "e"].map(|name| format!("{name}.service"));
        let seen: Vec<String> = units(&system, &names)
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
                "d.service inactive dead success false",
                "e.service unknown unknown unknown false",
            ]
        );
        assert_eq!(failed(&system), ["b.service"]);
        assert!(units(&system, &[]).is_empty());
    }
}

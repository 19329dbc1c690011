//! The findings as a gate: what the machine lacks stops an install before its first write, unless the node file waives it.

use anyhow::bail;
use firmware::{
    Finding, Inventory, Reference, Weight,
    compare::{self, Adjustments},
};
use roles::{NodeFile, role::Purpose};

/// What came out.
pub struct Judged {
    /// Worst first, waivers applied.
    pub findings: Vec<Finding>,
    /// A line for each waiver that changed nothing.
    pub useless_waivers: Vec<String>,
}

/// Compares a machine with the reference of the node's role. `planned`: the planner found every disk that the role needs.
///
/// `bmc_password`: one was delivered.
pub fn judge(
    node: &NodeFile,
    inventory: &Inventory,
    planned: bool,
    bmc_password: bool,
) -> anyhow::Result<Judged> {
    let adjustments = Adjustments {
        data_disks: node
            .disks
            .iter()
            .find(|need| need.purpose == Purpose::Data)
            .map(|need| need.count),
        planned,
        sets_bmc_password: bmc_password && node.bmc.is_some(),
    };
    let reference = Reference::built_in()?;
    let mut findings = compare::compare_adjusted(&reference, &node.role, inventory, adjustments);
    // The others are for the preflight, which comes later.
    let waivers: Vec<_> = node
        .waivers
        .iter()
        .filter(|waiver| !waiver.finding.starts_with(preflight::PREFIX))
        .cloned()
        .collect();
    let useless_waivers = compare::waive(&mut findings, &waivers)
        .into_iter()
        .map(|(waiver, why)| format!("the waiver of `{}` has no effect: {why}", waiver.finding))
        .collect();
    Ok(Judged {
        findings,
        useless_waivers,
    })
}

/// A line for each failure, warning and waived difference, worst first.
pub fn lines(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .filter_map(|finding| {
            let weight = match (finding.weight, &finding.waived) {
                (Weight::Pass | Weight::Info, _) => return None,
                (_, Some(reason)) => format!("waived ({reason})"),
                (Weight::Fail, None) => "FAIL".into(),
                (Weight::Warn, None) => "warn".into(),
            };
            Some(format!(
                "{weight}: {}: {}, expected {} [{}]",
                finding.part, finding.found, finding.expected, finding.id
            ))
        })
        .collect()
}

/// As [`lines`], with a count of the checks.
pub fn text(findings: &[Finding]) -> String {
    text_of("against the reference hardware", findings)
}

/// As [`text`], for checks of any kind.
pub fn text_of(what: &str, findings: &[Finding]) -> String {
    let passed = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Pass)
        .count();
    let mut text = format!("{passed} of {} checks {what} passed", findings.len());
    for line in lines(findings) {
        text.push_str("\n  ");
        text.push_str(&line);
    }
    text
}

/// Refuses while a finding blocks.
///
/// # Errors
/// Names each with what was expected and found, what to do, and how to waive it.
pub fn gate(findings: &[Finding]) -> anyhow::Result<()> {
    let blocking: Vec<&Finding> = findings.iter().filter(|finding| finding.blocks()).collect();
    if blocking.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "this machine has {} finding{} that must be mended or waived before an install",
        blocking.len(),
        if blocking.len() == 1 { "" } else { "s" }
    );
    for finding in blocking {
        text.push_str(&format!(
            "\n{}: {}\n  expected: {}\n  found: {}",
            finding.id, finding.part, finding.expected, finding.found
        ));
        if let Some(advice) = &finding.advice {
            text.push_str(&format!("\n  hint: {advice}"));
        }
        if finding.waivable {
            text.push_str(&format!(
                "\n  hint: to go on all the same, add to the node file:\n\
                 [[waivers]]\nfinding = \"{}\"\nreason = \"why it is accepted\"",
                finding.id
            ));
        } else {
            text.push_str("\n  it cannot be waived: the role cannot work without it");
        }
    }
    bail!(text)
}

#[cfg(test)]
mod tests {
    use firmware::fixture::Machine;

    use super::*;

    fn judged(machine: &str, spoil: fn(&mut Inventory), waivers: &str) -> Judged {
        let machine = Machine::named(machine).unwrap();
        let mut inventory = machine.inventory().unwrap();
        spoil(&mut inventory);
        let text = format!(
            "format = 1\nnode = \"n1\"\nrole = \"{}\"\n{waivers}",
            machine.role
        );
        let node = roles::parse::node_file("node.toml", &text, None).unwrap();
        judge(&node, &inventory, true, false).unwrap()
    }

    #[test]
    fn a_machine_without_enough_is_refused_with_the_lines_to_go_on() {
        let judged = judged(
            "control",
            |it| {
                it.memory = 512 << 20;
                it.nics.clear();
                it.bmc = None;
            },
            "",
        );
        insta::assert_snapshot!(gate(&judged.findings).unwrap_err().to_string());
        insta::assert_snapshot!("shown_before_the_plan", text(&judged.findings));
    }

    #[test]
    fn waivers_open_the_gate_for_what_may_be_waived() {
        let waiver = |id: &str| format!("[[waivers]]\nfinding = \"{id}\"\nreason = \"lab\"\n");
        let spoil: fn(&mut Inventory) = |it| it.memory = 512 << 20;
        let judged_so = judged("control", spoil, &waiver("memory.total"));
        assert!(gate(&judged_so.findings).is_ok());
        assert_eq!(
            lines(&judged_so.findings),
            ["waived (lab): memory: 0 GiB, expected 64 GiB, at least 1 GiB [memory.total]"]
        );
        let judged_so = judged(
            "control",
            |it| it.nics.clear(),
            &(waiver("nic.ports") + &waiver("memory.total") + &waiver("moon.phase")),
        );
        assert!(gate(&judged_so.findings).is_err());
        assert_eq!(
            judged_so.useless_waivers,
            [
                "the waiver of `nic.ports` has no effect: it cannot be waived, because the role cannot work without it",
                "the waiver of `memory.total` has no effect: the check passed, so it is not needed",
                "the waiver of `moon.phase` has no effect: there is no such finding here",
            ]
        );
    }

    /// A password that everyone knows stops an install, unless the install itself changes it.
    #[test]
    fn the_factory_password_of_the_bmc() {
        let machine = Machine::named("control").unwrap();
        let mut inventory = machine.inventory().unwrap();
        inventory.bmc.get_or_insert_default().factory_password = Some(true);
        let with = "format = 1\nnode = \"n1\"\nrole = \"control\"\n[bmc]\nuser = \"rackwright\"\n";
        let without = with.split("[bmc]").next().unwrap();
        for (text, password, opens) in [
            (with, true, true),
            (with, false, false),
            (without, true, false),
        ] {
            let node = roles::parse::node_file("node.toml", text, None).unwrap();
            let judged = judge(&node, &inventory, true, password).unwrap();
            assert_eq!(gate(&judged.findings).is_ok(), opens, "{text} {password}");
            let line = lines(&judged.findings)
                .into_iter()
                .find(|line| line.contains("[bmc.password]"))
                .unwrap();
            assert!(
                line.starts_with(if opens { "warn" } else { "FAIL" }),
                "{line}"
            );
        }
    }
}

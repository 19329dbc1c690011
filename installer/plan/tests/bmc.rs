//! The BMC's step: there when both the node file and the machine have one, first, without a password, and harmless to disks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use firmware::inventory::{Bmc, BmcLan};
use plan::{Action, Check, StablePaths, explain, make};
use support::{image, machine, node, role, seed};

#[test]
fn the_step_of_the_bmc() {
    let settings: roles::wiring::BmcSettings = toml::from_str(
        "address = \"10.77.10.111/24\"\ngateway = \"10.77.10.1\"\nvlan = 10\nmode = \"dedicated\"\nuser = \"rackwright\"",
    )
    .unwrap();
    let there = Bmc {
        answers: true,
        lan: Some(BmcLan {
            mode: Some("failover".into()),
            ..BmcLan::default()
        }),
        ..Bmc::default()
    };
    let silent = Bmc::default();
    let plan = |wanted: bool, bmc: Option<&Bmc>| {
        let (mut node, mut inventory) = (node("control"), machine("control"));
        node.bmc = wanted.then(|| settings.clone());
        inventory.bmc = bmc.cloned();
        let plan = make(&role("control"), &node, &inventory, &image(), &seed()).unwrap();
        (plan, inventory)
    };
    for (wanted, bmc, step, note) in [
        (true, Some(&there), true, false),
        (true, Some(&silent), false, true),
        (true, None, false, true),
        (false, Some(&there), false, false),
    ] {
        let (plan, _) = plan(wanted, bmc);
        let has = matches!(plan.steps[0].action, Action::ConfigureBmc { .. });
        assert_eq!(has, step);
        let noted = plan
            .notes
            .iter()
            .any(|note| note.contains("no BMC answers"));
        assert_eq!(noted, note, "{:?}", plan.notes);
    }
    let (with, inventory) = plan(true, Some(&there));
    let (without, _) = plan(false, Some(&there));
    let step = &with.steps[0];
    assert!(step.destroys.is_empty() && matches!(step.done_when, Check::Bmc { .. }));
    assert_eq!(with.destroys(), without.destroys());
    assert_ne!(with.digest(), without.digest());
    let text = explain(&with, &StablePaths::new(&inventory));
    let notes: Vec<&str> = text.lines().filter(|line| line.contains("BMC")).collect();
    let start = text.find("set up the BMC").unwrap();
    let step: Vec<&str> = text[start..].lines().take(8).collect();
    insta::assert_snapshot!(format!("{}\n\n{}", notes.join("\n"), step.join("\n")));
}

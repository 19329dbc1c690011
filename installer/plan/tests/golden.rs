//! The plan of every role on its reference machine, as text and as JSON.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use plan::{StablePaths, explain, make};
use support::{ROLES, image, machine, node, role, seed};

#[test]
fn plans_of_all_roles() {
    for name in ROLES {
        let inventory = machine(name);
        let plan = make(&role(name), &node(name), &inventory, &image(), &seed())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        insta::assert_snapshot!(
            format!("{name}-text"),
            explain(&plan, &StablePaths::new(&inventory))
        );
        insta::assert_snapshot!(
            format!("{name}-json"),
            serde_json::to_string_pretty(&plan).unwrap()
        );
    }
}

#[test]
fn chassis_drawing() {
    let inventory = machine("storage");
    let plan = make(
        &role("storage"),
        &node("storage"),
        &inventory,
        &image(),
        &seed(),
    )
    .unwrap();
    insta::assert_snapshot!(plan::svg::svg(&plan, &inventory));
}

#[test]
fn a_plan_comes_back_from_its_json() {
    for name in ROLES {
        let plan = make(&role(name), &node(name), &machine(name), &image(), &seed()).unwrap();
        let again: plan::Plan =
            serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan, "{name}");
        assert_eq!(again.digest(), plan.digest(), "{name}");
    }
}

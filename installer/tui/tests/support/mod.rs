//! Sessions on the example machines.
#![allow(dead_code, reason = "every test file uses another part")]

use std::{collections::BTreeMap, sync::LazyLock};

use camino::Utf8Path;
use firmware::Inventory;
use roles::folder::RoleSet;
use tui::{Facts, Screen, example, play::Play, state::Wizard};

pub static ROLES: LazyLock<RoleSet> = LazyLock::new(|| {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../roles");
    roles::folder::read(&folder).unwrap()
});

/// Made once: a fixture is a tree of thousands of files.
static MACHINES: LazyLock<BTreeMap<&str, (String, Inventory)>> = LazyLock::new(|| {
    example::names()
        .map(|name| (name, example::machine(name).unwrap()))
        .collect()
});

pub fn facts(name: &str) -> Facts {
    let (role, inventory) = MACHINES[name].clone();
    example::facts(&ROLES.roles[&role].role, inventory)
}

pub fn play(name: &str) -> Play {
    Play::new(facts(name))
}

pub fn wizard(play: &Play) -> &Wizard {
    play.wizard().unwrap()
}

#[track_caller]
pub fn on(play: &Play, screen: Screen) {
    let wizard = wizard(play);
    assert_eq!(
        wizard.screen,
        screen,
        "{:?}\n{}",
        wizard.notice,
        play.text(80, 24)
    );
}

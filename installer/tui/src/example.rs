//! Machines to try the screens on: the fixtures of `firmware`, and one on which much is wrong.

use camino::Utf8Path;
use firmware::{
    Inventory,
    fixture::{self, Machine},
    inventory::{Health, Holder},
};
use roles::Role;

use crate::facts::{Facts, Mode};

/// The machine with faults.
pub const FAULTS: &str = "faults";

/// Names of all examples.
pub fn names() -> impl Iterator<Item = &'static str> {
    fixture::names().chain([FAULTS])
}

/// An example's role and inventory.
#[must_use]
pub fn machine(name: &str) -> Option<(String, Inventory)> {
    if name == FAULTS {
        let mut machine = Machine::named("storage")?;
        machine.memory.count = 2;
        machine.power_supplies.truncate(1);
        let mut inventory = machine.inventory().ok()?;
        spoil(&mut inventory);
        return Some((machine.role, inventory));
    }
    let machine = Machine::named(name)?;
    let inventory = machine.inventory().ok()?;
    Some((machine.role, inventory))
}

/// A failing disk, a dead link, a pool and an array of somebody else.
fn spoil(inventory: &mut Inventory) {
    let data: Vec<_> = inventory
        .disks
        .iter()
        .filter(|disk| disk.size > 4_000_000_000_000)
        .map(|disk| disk.id.clone())
        .collect();
    if let Some(disk) = inventory
        .disks
        .iter_mut()
        .find(|disk| Some(&disk.id) == data.get(5))
    {
        let cause = "SMART: a threshold is exceeded";
        disk.faults.push(cause.into());
        disk.health = Some(Health::Failing {
            cause: cause.into(),
        });
    }
    if let Some(nic) = inventory.nics.last_mut() {
        (nic.carrier, nic.speed) = (Some(false), None);
    }
    inventory.found.push(Holder {
        kind: "zfs".into(),
        name: Some("oldmail".into()),
        uuid: Some("11467210123456789012".into()),
        disks: data.iter().take(4).cloned().collect(),
        detail: Some("4 mirrors, hostid 8a3f0c11".into()),
        host: Some("store-old".into()),
        active: false,
    });
    inventory.found.push(Holder {
        kind: "gpt".into(),
        disks: data.iter().take(4).cloned().collect(),
        ..Holder::default()
    });
}

/// Facts of an example, or of a capture: what the live image would know.
#[must_use]
pub fn facts(role: &Role, inventory: Inventory) -> Facts {
    Facts {
        mode: Mode::Install,
        role: role.clone(),
        inventory,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        image_size: 236_978_176,
        image_sha256: "ab".repeat(32),
        session: "demonstration".to_owned(),
        node: None,
        node_source: None,
        depot: None,
        simulated: true,
        bmc_password: false,
        shell: true,
        warnings: Vec::new(),
    }
}

/// Facts of an example by its name, with the role's data below a folder.
///
/// # Errors
/// In words: which name is not known, or what is wrong with the role data.
pub fn named(name: &str, roles: &Utf8Path) -> Result<Facts, String> {
    let (role, inventory) = machine(name).ok_or_else(|| {
        let known: Vec<&str> = names().collect();
        format!(
            "there is no example `{name}`\nhint: one of: {}",
            known.join(", ")
        )
    })?;
    of_role(&role, inventory, roles)
}

/// Facts of a machine for a role, with the role's data below a folder.
///
/// # Errors
/// In words: what is wrong with the role data.
pub fn of_role(role: &str, inventory: Inventory, roles: &Utf8Path) -> Result<Facts, String> {
    let set = roles::folder::read(roles).map_err(|error| error.to_string())?;
    let Some(folder) = set.roles.get(role) else {
        let known: Vec<&str> = set.roles.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no role `{role}`\nhint: one of: {}",
            known.join(", ")
        ));
    };
    Ok(facts(&folder.role, inventory))
}

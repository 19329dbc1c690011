//! The management controller's step: the first of a plan, as it touches no disk, fails early, and lets people watch the rest.

use firmware::Inventory;
use roles::NodeFile;
use roles::wiring::BmcSettings;

use crate::build::Builder;
use crate::commands::{Work, native};
use crate::step::{Action, Check};

/// Adds the step if the node file has `[bmc]` and the machine a controller that answers.
pub(crate) fn lay_out(node: &NodeFile, inventory: &Inventory, build: &mut Builder) {
    let Some(settings) = &node.bmc else {
        return;
    };
    let bmc = inventory.bmc.as_ref().filter(|bmc| bmc.answers);
    let Some(bmc) = bmc else {
        build.note("the node file has `[bmc]`, but no BMC answers here: it is left as it is");
        return;
    };
    let mode = bmc.lan.as_ref().and_then(|lan| lan.mode.as_ref());
    if let (Some(from), Some(to)) = (mode, &settings.mode)
        && from != to
    {
        build.note(format!(
            "the BMC's LAN port changes from `{from}` to `{to}`: a serial console over the network is cut by that"
        ));
    }
    build.step(
        "bmc",
        "set up the BMC".into(),
        Check::Bmc {
            settings: settings.clone(),
        },
        Action::ConfigureBmc {
            settings: settings.clone(),
        },
    );
}

/// What the engine does, in words.
pub(crate) fn words(settings: &BmcSettings) -> Vec<Work> {
    let vlan = settings.vlan.map(|id| format!(", VLAN {id}"));
    let gateway = settings
        .gateway
        .as_ref()
        .map(|ip| format!(", gateway {ip}"));
    let mut words = Vec::new();
    if let Some(user) = &settings.user {
        words.push(format!(
            "account {user}, with the delivered password if there is one; the factory's password goes"
        ));
    }
    if let Some(address) = &settings.address {
        words.push(format!(
            "static address {address}{}{}",
            gateway.unwrap_or_default(),
            vlan.unwrap_or_default()
        ));
    }
    if let Some(mode) = &settings.mode {
        words.push(format!("LAN port {mode}"));
    }
    words.push("LAN access for administrators, serial console at 115200 bit/s".into());
    words.push("read everything back; never restart the BMC, never reset it".into());
    words.iter().map(|words| native(words)).collect()
}

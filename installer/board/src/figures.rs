//! Figures for Prometheus (text format 0.0.4, prometheus.io/docs/instrumenting/exposition_formats).

use depot::view::{Phase, Rack};

use crate::words;

const PHASES: [Phase; 6] = [
    Phase::New,
    Phase::Armed,
    Phase::Installing,
    Phase::Installed,
    Phase::Healthy,
    Phase::Failed,
];

/// All of them.
#[must_use]
pub fn text(rack: &Rack) -> String {
    let mut text = String::from(
        "# HELP rackwright_depot_machines Machines of the site file by state.\n\
         # TYPE rackwright_depot_machines gauge\n",
    );
    for phase in PHASES {
        let count = rack
            .machines
            .iter()
            .filter(|machine| machine.phase == phase)
            .count();
        text.push_str(&format!(
            "rackwright_depot_machines{{state=\"{}\"}} {count}\n",
            words::phase(phase)
        ));
    }
    text.push_str(
        "# HELP rackwright_depot_install_percent How far an install is.\n\
         # TYPE rackwright_depot_install_percent gauge\n",
    );
    for machine in &rack.machines {
        if let Some(step) = &machine.step {
            text.push_str(&format!(
                "rackwright_depot_install_percent{{node=\"{}\"}} {}\n",
                escaped(&machine.node),
                step.percent
            ));
        }
    }
    text.push_str(
        "# HELP rackwright_depot_heard_seconds Since 1970, when a machine was last heard.\n\
         # TYPE rackwright_depot_heard_seconds gauge\n",
    );
    for machine in &rack.machines {
        if let Some(heard) = machine.heard {
            text.push_str(&format!(
                "rackwright_depot_heard_seconds{{node=\"{}\"}} {heard}\n",
                escaped(&machine.node)
            ));
        }
    }
    text.push_str(&format!(
        "# HELP rackwright_depot_strangers Machines that wait for approval.\n\
         # TYPE rackwright_depot_strangers gauge\n\
         rackwright_depot_strangers {}\n",
        rack.strangers.len()
    ));
    text
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

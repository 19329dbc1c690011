//! A BMC for people: 80 columns, no secret.

use std::fmt::Write as _;

use super::chassis::Status;
use super::difference::Difference;
use super::fru::Fru;
use super::sel::{self, Event, Info};
use super::sensors::Sensor;
use super::{Current, channel, sol};

/// The whole state.
#[must_use]
pub fn current(current: &Current) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<16}{value}");
    };
    let device = &current.device;
    line(
        "BMC",
        &format!(
            "manufacturer {}, product {:#06x}, firmware {}, IPMI {}",
            device.manufacturer, device.product, device.firmware, device.ipmi
        ),
    );
    let lan = &current.lan;
    line(
        "LAN",
        &format!(
            "channel {}, {}",
            current.channel,
            lan.mac.as_deref().unwrap_or("MAC address unknown")
        ),
    );
    line(
        "  address",
        &format!("{} mask {} ({})", lan.address, lan.mask, lan.source),
    );
    line("  gateway", &lan.gateway.to_string());
    let vlan = lan.vlan.map_or("none".to_owned(), |id| id.to_string());
    line("  VLAN", &vlan);
    let [kept, now] = &current.access;
    line("  access", &now.to_string());
    if kept != now {
        line("", &format!("after a restart: {kept}"));
    }
    if let Some(mode) = &current.mode {
        line("  port", &mode.to_string());
    }
    match &current.ciphers {
        Some(ciphers) => {
            let list: Vec<String> = ciphers.iter().map(u8::to_string).collect();
            line("  cipher suites", &list.join(" "));
        }
        None => line("  cipher suites", "not listed"),
    }
    match &current.sol {
        Some(console) => {
            let on = if console.enabled { "on" } else { "off" };
            let rate = sol::bits_per_second(console.rates[1]);
            let level = channel::privilege(console.privilege);
            line("serial console", &format!("{on}, {rate} bit/s, {level}"));
        }
        None => line("serial console", "none"),
    }
    let clock = current.time.map_or("not set".to_owned(), sel::utc);
    line("clock", &clock);
    for user in &current.users.slots {
        if user.name.is_empty() && user.enabled != Some(true) {
            continue;
        }
        let enabled = match user.enabled {
            Some(true) => "",
            Some(false) => ", disabled",
            None => ", not said whether enabled",
        };
        let name = if user.name.is_empty() {
            "(no name)"
        } else {
            &user.name
        };
        line(
            &format!("user {}", user.slot),
            &format!("{name}: {}{enabled}", user.access),
        );
    }
    if current.factory_password == Some(true) {
        line("FAIL", "account ADMIN still has the factory's password");
    }
    text
}

/// What would change.
#[must_use]
pub fn difference(difference: &Difference) -> String {
    let mut text = String::new();
    if difference.changes.is_empty() {
        text.push_str("the BMC is as wanted\n");
    } else {
        text.push_str("to change\n");
    }
    for change in &difference.changes {
        let _ = writeln!(text, "  {change}");
    }
    for warning in &difference.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// The event log.
#[must_use]
pub fn events(info: Info, events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = writeln!(text, "{event}");
    }
    let overflow = if info.overflow {
        "; it was full and events were lost"
    } else {
        ""
    };
    let _ = writeln!(
        text,
        "{} events, room for {} more{overflow}",
        events.len(),
        info.free / 16
    );
    text
}

/// The sensors.
#[must_use]
pub fn sensors(sensors: &[Sensor]) -> String {
    let mut text = String::new();
    for sensor in sensors {
        let mark = if sensor.complains() { "!" } else { " " };
        let _ = writeln!(text, "{mark} {}", sensor.to_string().trim_end());
    }
    text
}

/// Power and label.
#[must_use]
pub fn status(status: &Status, fru: Option<&Fru>) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "power           {}",
        if status.on { "on" } else { "off" }
    );
    if let Some(after) = status.after_power_cut {
        let _ = writeln!(text, "after power cut {after}");
    }
    for fault in &status.faults {
        let _ = writeln!(text, "fault           {fault}");
    }
    if let Some(fru) = fru {
        let words = |fields: &[&Option<String>]| {
            let words = fields.iter().filter_map(|field| field.as_deref());
            words.collect::<Vec<_>>().join(", ")
        };
        for (name, value) in [
            (
                "board",
                words(&[
                    &fru.board_manufacturer,
                    &fru.board_product,
                    &fru.board_part,
                    &fru.board_serial,
                ]),
            ),
            ("chassis", words(&[&fru.chassis_part, &fru.chassis_serial])),
            (
                "product",
                words(&[
                    &fru.product_manufacturer,
                    &fru.product_name,
                    &fru.product_part,
                    &fru.product_serial,
                ]),
            ),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "{name:<16}{value}");
            }
        }
    }
    text
}

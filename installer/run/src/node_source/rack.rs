//! One stick for the rack: which of its node files is for this machine. By what the machine is (board serial, MAC address of its
//! BMC, MAC addresses of its ports), never by an order; in doubt none, with the table of what was looked for.

use std::collections::BTreeSet;

use camino::Utf8Path;
use firmware::probe::identity::is_placeholder;
use serde::Deserialize;
use system::System;

/// What this machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Serial number of the board.
    pub serial: Option<String>,
    /// MAC address of the BMC.
    pub bmc_mac: Option<String>,
    /// MAC addresses of the ports.
    pub macs: BTreeSet<String>,
}

/// Which machine a node file is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the file, for people.
    pub file: String,
    /// What its machine should say.
    pub facts: Facts,
}

/// Why none was picked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} of the {count} node files on `{medium}` {verb} for this machine\n{table}\n\
     hint: write `serial`, `bmc.mac` or the ports' `mac` of this machine into the site file and make the stick again, or put its node file there as `node.toml`",
    match .fitting { 0 => "none".to_owned(), number => number.to_string() },
    verb = if *.fitting == 0 { "is" } else { "are" }
)]
pub struct NotOne {
    /// Device node.
    pub medium: String,
    /// Node files.
    pub count: usize,
    /// How many of them fit.
    pub fitting: usize,
    /// What was looked for and what was found.
    pub table: String,
}

/// The parts of a node file that say which machine it is for. All else, and what is wrong, is for the node file's own rules.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Partial {
    machine: Machine,
    permit: Machine,
    ports: Vec<Port>,
    networks: Vec<Port>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Machine {
    #[serde(alias = "board_serial")]
    serial: Option<String>,
    bmc_mac: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Port {
    mac: Option<String>,
}

/// Reads which machine a node file is for.
#[must_use]
pub fn wanted(file: &str, text: &str) -> Wanted {
    let partial: Partial = toml::from_str(text).unwrap_or_default();
    let ports = partial.ports.into_iter().chain(partial.networks);
    Wanted {
        file: file.to_owned(),
        facts: Facts {
            serial: partial.machine.serial.or(partial.permit.serial),
            bmc_mac: partial.machine.bmc_mac,
            macs: ports.filter_map(|port| port.mac).collect(),
        },
    }
}

/// The one that is for this machine, by index.
///
/// # Errors
/// None is, or several are.
pub fn choose(medium: &str, wanted: &[Wanted], found: &Facts) -> Result<usize, NotOne> {
    let fitting: Vec<usize> = wanted
        .iter()
        .enumerate()
        .filter(|(_, wanted)| fits(&wanted.facts, found))
        .map(|(index, _)| index)
        .collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        _ => Err(NotOne {
            medium: medium.to_owned(),
            count: wanted.len(),
            fitting: fitting.len(),
            table: table(wanted, found),
        }),
    }
}

/// Something agrees, and neither board nor BMC says otherwise. A port of another machine says nothing: cards are moved. So a
/// board that both sides know decides, and a port only where nothing better is known.
#[must_use]
pub fn fits(wanted: &Facts, found: &Facts) -> bool {
    let known = |text: &Option<String>| {
        let text = text.as_deref()?;
        (!is_placeholder(text)).then(|| text.trim().to_ascii_lowercase())
    };
    let agree = |one: &Option<String>, other: &Option<String>| Some(known(one)? == known(other)?);
    let parts = [
        agree(&wanted.serial, &found.serial),
        agree(&wanted.bmc_mac, &found.bmc_mac),
    ];
    if parts.iter().any(Option::is_some) {
        return parts.iter().all(|part| *part != Some(false));
    }
    let lower = |macs: &BTreeSet<String>| -> BTreeSet<String> {
        macs.iter().map(|mac| mac.to_ascii_lowercase()).collect()
    };
    !lower(&wanted.macs).is_disjoint(&lower(&found.macs))
}

fn table(wanted: &[Wanted], found: &Facts) -> String {
    let row = |name: &str, facts: &Facts| -> [String; 4] {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let macs: Vec<&str> = facts.macs.iter().map(String::as_str).collect();
        let macs = if macs.is_empty() {
            "-".to_owned()
        } else {
            macs.join(" ")
        };
        [
            name.to_owned(),
            text(&facts.serial),
            text(&facts.bmc_mac),
            macs,
        ]
    };
    let title = ["", "board serial", "BMC", "ports"].map(str::to_owned);
    let mut rows = vec![title, row("this machine", found)];
    rows.extend(wanted.iter().map(|wanted| row(&wanted.file, &wanted.facts)));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let line = |[name, serial, bmc, ports]: &[String; 4]| {
        let [first, second, third] = widths;
        format!("  {name:<first$}  {serial:<second$}  {bmc:<third$}  {ports}")
            .trim_end()
            .to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Asks this machine. What cannot be read is absent.
#[must_use]
pub fn facts(system: &dyn System) -> Facts {
    let text = |path: &Utf8Path| {
        let bytes = system.read(path).ok()?;
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    let class = Utf8Path::new("/sys/class/net");
    let names = system.list(class).unwrap_or_default();
    // Only what has hardware under it: no bond, no loopback.
    let ports = names
        .iter()
        .filter(|name| system.exists(&class.join(name).join("device")));
    crate::bmc::load_driver(system);
    let mut transport = crate::bmc::transport(system);
    Facts {
        serial: text(Utf8Path::new("/sys/class/dmi/id/board_serial")),
        bmc_mac: firmware::probe::bmc_mac(&mut transport),
        macs: ports
            .filter_map(|name| text(&class.join(name).join("address")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(serial: &str, bmc: &str, macs: &[&str]) -> Facts {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Facts {
            serial: some(serial),
            bmc_mac: some(bmc),
            macs: macs.iter().map(ToString::to_string).collect(),
        }
    }

    fn files() -> Vec<Wanted> {
        vec![
            wanted(
                "nodes/db1.toml",
                "[machine]\nserial = 'ZM1'\nbmc_mac = '0c:c4:7a:00:00:01'",
            ),
            wanted(
                "nodes/db2.toml",
                "[permit]\nid = 'x'\nboard_serial = 'ZM2'\n[[ports]]\nmac = 'ac:00:00:00:00:02'",
            ),
            wanted("nodes/db3.toml", "[[networks]]\nmac = 'AC:00:00:00:00:03'"),
            wanted("nodes/bad.toml", "= broken"),
        ]
    }

    #[test]
    fn what_both_sides_know_decides() {
        let cases = [
            (facts("ZM1", "", &[]), Some(0)),
            (facts("zm1 ", "0C:C4:7A:00:00:01", &[]), Some(0)),
            (facts("", "0c:c4:7a:00:00:01", &[]), Some(0)),
            // Board and BMC say two things.
            (facts("ZM1", "0c:c4:7a:00:00:99", &[]), None),
            (facts("ZM2", "", &[]), Some(1)),
            // A card that came from db2.
            (facts("ZM9", "", &["ac:00:00:00:00:02"]), None),
            (facts("Default string", "", &["ac:00:00:00:00:02"]), Some(1)),
            (facts("ZM9", "", &["ac:00:00:00:00:03"]), Some(2)),
            // Both by a port.
            (
                facts("", "", &["ac:00:00:00:00:02", "ac:00:00:00:00:03"]),
                None,
            ),
            (facts("", "", &[]), None),
        ];
        for (found, expected) in cases {
            assert_eq!(
                choose("/dev/sda2", &files(), &found).ok(),
                expected,
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_refusal_shows_what_was_looked_for() {
        let none = choose(
            "/dev/sda2",
            &files(),
            &facts("ZM9", "", &["ac:00:00:00:00:02"]),
        )
        .unwrap_err();
        insta::assert_snapshot!(none, @r"
        none of the 4 node files on `/dev/sda2` is for this machine
                          board serial  BMC                ports
          this machine    ZM9           -                  ac:00:00:00:00:02
          nodes/db1.toml  ZM1           0c:c4:7a:00:00:01  -
          nodes/db2.toml  ZM2           -                  ac:00:00:00:00:02
          nodes/db3.toml  -             -                  AC:00:00:00:00:03
          nodes/bad.toml  -             -                  -
        hint: write `serial`, `bmc.mac` or the ports' `mac` of this machine into the site file and make the stick again, or put its node file there as `node.toml`
        ");
        let both = choose(
            "/dev/sda2",
            &[files()[0].clone(), files()[0].clone()],
            &facts("ZM1", "", &[]),
        )
        .unwrap_err();
        insta::assert_snapshot!(both, @r"
        2 of the 2 node files on `/dev/sda2` are for this machine
                          board serial  BMC                ports
          this machine    ZM1           -                  -
          nodes/db1.toml  ZM1           0c:c4:7a:00:00:01  -
          nodes/db1.toml  ZM1           0c:c4:7a:00:00:01  -
        hint: write `serial`, `bmc.mac` or the ports' `mac` of this machine into the site file and make the stick again, or put its node file there as `node.toml`
        ");
    }

    fn any_facts() -> impl Strategy<Value = Facts> {
        let name = || prop::option::of("[ab]");
        (name(), name(), prop::collection::btree_set("[abc]", 0..3)).prop_map(
            |(serial, bmc_mac, macs)| Facts {
                serial,
                bmc_mac,
                macs,
            },
        )
    }

    proptest! {
        /// The rule that protects data: another machine's node file is never picked.
        #[test]
        fn never_against_board_or_bmc(all in prop::collection::vec(any_facts(), 0..5), found in any_facts()) {
            let files: Vec<Wanted> = all.into_iter().map(|facts| Wanted { file: "x".into(), facts }).collect();
            if let Ok(index) = choose("x", &files, &found) {
                let facts = &files[index].facts;
                let differ = |one: &Option<String>, other: &Option<String>| one.is_some() && other.is_some() && one != other;
                prop_assert!(!differ(&facts.serial, &found.serial) && !differ(&facts.bmc_mac, &found.bmc_mac));
                let others = files.iter().enumerate().filter(|(other, _)| *other != index);
                for (_, other) in others {
                    prop_assert!(!fits(&other.facts, &found));
                }
            }
        }
    }
}

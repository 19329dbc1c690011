//! Network, management controller and cluster: what is there above, fields below.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{View, hardware, parts};
use crate::{
    draft,
    fields::{self, Field},
    state::Wizard,
    text,
};

pub fn network(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let ports = ports(wizard, area.width as usize, view);
    let mut above = vec![Line::styled(text::PORT_HEAD, view.look.dim())];
    above.extend(ports);
    // Never more than half of the screen, so that there are fields to be seen.
    above.truncate((area.height / 2) as usize);
    let troubles: Vec<Line<'_>> = wizard
        .proposal
        .problems
        .iter()
        .take(2)
        .map(|problem| {
            Line::styled(
                parts::cut(&format!("! {problem}"), area.width as usize),
                view.look.bad(),
            )
        })
        .collect();
    form(frame, area, above, troubles, wizard, view);
}

/// A line for each port, in the order of the cards.
fn ports(wizard: &Wizard, width: usize, view: &View) -> Vec<Line<'static>> {
    let inventory = &wizard.facts.inventory;
    inventory
        .nics
        .iter()
        .map(|nic| {
            let carries: Vec<&str> = wizard
                .node
                .networks
                .iter()
                .filter(|network| {
                    draft::ports_of(&wizard.node, network, inventory)
                        .iter()
                        .any(|port| std::ptr::eq(*port, nic))
                })
                .map(|network| network.name.as_str())
                .collect();
            let neighbour = nic.mac.as_ref().and_then(|mac| {
                wizard
                    .neighbours
                    .iter()
                    .find(|neighbour| neighbour.mac.eq_ignore_ascii_case(mac))
            });
            let place = inventory
                .slots
                .iter()
                .find(|slot| {
                    let function = |address: &str| {
                        address
                            .rsplit_once('.')
                            .map(|(device, _)| device.to_owned())
                    };
                    slot.address.as_deref().and_then(function)
                        == nic.address.as_deref().and_then(function)
                        && nic.address.is_some()
                })
                .map_or_else(
                    || text::ONBOARD.to_owned(),
                    |slot| slot.name.chars().take(10).collect(),
                );
            let up = nic.carrier == Some(true);
            let look = view.look;
            let style = if up { look.good() } else { look.dim() };
            let rest = match neighbour {
                Some(neighbour) => format!("{place}, {}", neighbour.name),
                None => place,
            };
            let rest = match carries.len() {
                0 => rest,
                _ => format!("{rest} = {}", carries.join(", ")),
            };
            Line::from(vec![
                Span::raw(parts::column(&nic.kernel_name, 12)),
                Span::styled(parts::column(&text::link(nic), 10), style),
                Span::raw(format!(
                    "{}{}{}",
                    parts::column(nic.mac.as_deref().unwrap_or("-"), 19),
                    parts::column(nic.driver.as_deref().unwrap_or("-"), 11),
                    parts::cut(&rest, width.saturating_sub(52))
                )),
            ])
        })
        .collect()
}

pub fn bmc(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let mut above = vec![parts::title(text::CURRENT, look)];
    match wizard
        .facts
        .inventory
        .bmc
        .as_ref()
        .filter(|bmc| bmc.answers)
    {
        None => above.push(Line::styled(text::BMC_NONE, look.warn())),
        Some(bmc) => {
            let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            above.push(parts::pair(text::FIRMWARE, &known(&bmc.firmware), 10, look));
            if let Some(lan) = &bmc.lan {
                let vlan = lan
                    .vlan
                    .map_or_else(|| text::UNTAGGED.to_owned(), |vlan| vlan.to_string());
                for (name, value) in [
                    (
                        text::ADDRESS,
                        format!("{} ({})", known(&lan.address), known(&lan.source)),
                    ),
                    (text::GATEWAY, known(&lan.gateway)),
                    (text::VLAN, vlan),
                    (text::BMC_PORT, known(&lan.mode)),
                ] {
                    above.push(parts::pair(name, &value, 10, look));
                }
            }
        }
    }
    for line in &wizard.bmc {
        for line in parts::wrap(line, area.width as usize, 2) {
            above.push(Line::raw(line));
        }
    }
    above.push(Line::raw(""));
    above.push(Line::styled(
        parts::cut(text::BMC_LATER, area.width as usize),
        look.dim(),
    ));
    above.truncate(area.height.saturating_sub(8) as usize);
    form(frame, area, above, Vec::new(), wizard, view);
}

pub fn cluster(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let mut above = vec![parts::title(text::CLUSTER_AFTER, look)];
    for line in text::after_restart(wizard) {
        for line in parts::wrap(&line, area.width as usize, 2) {
            above.push(Line::raw(line));
        }
    }
    // What the network says of the peers.
    for finding in wizard.network.iter().flatten().filter(|finding| {
        wizard
            .node
            .hosts
            .iter()
            .any(|host| finding.part.contains(&host.name) || finding.found.contains(&host.name))
    }) {
        above.push(Line::from(vec![
            Span::styled(
                parts::pad(text::weight(finding), 7),
                hardware::style(finding, look),
            ),
            Span::raw(parts::cut(
                &format!("{}: {}", finding.part, finding.found),
                area.width.saturating_sub(8) as usize,
            )),
        ]));
    }
    above.truncate((area.height / 2) as usize);
    form(frame, area, above, Vec::new(), wizard, view);
}

fn form(
    frame: &mut Frame<'_>,
    area: Rect,
    above: Vec<Line<'_>>,
    below: Vec<Line<'_>>,
    wizard: &Wizard,
    view: &View,
) {
    let top = u16::try_from(above.len()).unwrap_or(1);
    let bottom = u16::try_from(below.len()).unwrap_or(0);
    parts::text(frame, parts::inner(area, 0, 0, area.width, top), above);
    parts::rule(frame, parts::inner(area, 0, top, area.width, 1), view.look);
    let height = area.height.saturating_sub(top + 1 + bottom);
    let place = parts::inner(area, 0, top + 1, area.width, height);
    let fields = fields::fields(wizard, wizard.screen);
    let mut before = "";
    let width = area.width as usize;
    let entries: Vec<Line<'_>> = fields
        .iter()
        .map(|field| {
            let group = if before == field.group {
                ""
            } else {
                field.group.as_str()
            };
            before = &field.group;
            line(field, group, width, view)
        })
        .collect();
    parts::list(frame, place, entries, Some(wizard.cursor()), view);
    let place = parts::inner(area, 0, top + 1 + height, area.width, bottom);
    parts::text(frame, place, below);
}

fn line(field: &Field, group: &str, width: usize, view: &View) -> Line<'static> {
    let look = view.look;
    let room = width.saturating_sub(32);
    let (value, style) = if field.value.is_empty() {
        (format!("({})", field.empty), look.dim())
    } else {
        (field.value.clone(), look.strong())
    };
    Line::from(vec![
        Span::styled(parts::column(group, 11), look.title()),
        Span::raw(parts::column(field.label, 15)),
        Span::styled(parts::cut(&value, room), style),
    ])
}

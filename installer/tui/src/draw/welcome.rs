//! What this machine is, what was found, three ways on.

use plan::size::{binary, decimal};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
};

use super::{View, WIDE, parts};
use crate::{state::Wizard, text};

pub fn draw(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    let look = view.look;
    let wide = area.width >= WIDE;
    let mut facts = vec![parts::title(text::THIS_MACHINE, look)];
    let column = if wide { area.width / 2 } else { area.width };
    facts.extend(machine(wizard, view));
    let mut found = vec![parts::title(text::WHAT_WAS_FOUND, look)];
    found.extend(what_was_found(wizard, column as usize, view));
    let height = u16::try_from(facts.len()).unwrap_or(8);
    let more = u16::try_from(found.len()).unwrap_or(6);
    if wide {
        parts::text(frame, parts::inner(area, 0, 1, column - 2, height), facts);
        parts::text(frame, parts::inner(area, column, 1, column, more), found);
        tasks(
            frame,
            parts::inner(area, 0, height.max(more) + 3, area.width, 8),
            wizard,
            view,
        );
    } else {
        parts::text(frame, parts::inner(area, 0, 0, area.width, height), facts);
        let rest = area.height.saturating_sub(height + 4 + 2);
        let more = more.min(rest);
        parts::text(
            frame,
            parts::inner(area, 0, height + 1, area.width, more),
            found,
        );
        let y = area.height.saturating_sub(4);
        tasks(frame, parts::inner(area, 0, y, area.width, 4), wizard, view);
    }
}

fn machine(wizard: &Wizard, view: &View) -> Vec<Line<'static>> {
    let inventory = &wizard.facts.inventory;
    let board = &inventory.board;
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let processors = inventory.cpus.first().map_or_else(
        || "-".to_owned(),
        |cpu| {
            let model = cpu.model.replace("(R)", "").replace("CPU ", "");
            format!("{} x {model}", inventory.cpus.len())
        },
    );
    let total: u64 = inventory
        .disks
        .iter()
        .filter(|disk| !disk.boot_medium && !disk.removable)
        .map(|disk| disk.size)
        .sum();
    let up = inventory
        .nics
        .iter()
        .filter(|nic| nic.carrier == Some(true))
        .count();
    let mode = match inventory.boot {
        firmware::inventory::BootMode::Uefi => "UEFI",
        firmware::inventory::BootMode::Bios => "BIOS",
    };
    [
        (
            text::BOARD,
            format!("{} {}", known(&board.vendor), known(&board.name)),
        ),
        (text::BOARD_SERIAL, known(&board.serial)),
        (
            text::FIRMWARE,
            format!(
                "{} {}, {mode}",
                known(&board.bios_version),
                known(&board.bios_date)
            ),
        ),
        (text::PROCESSORS, processors),
        (text::MEMORY, binary(inventory.memory)),
        (
            text::DISKS,
            format!("{}, {} in all", inventory.disks.len(), decimal(total)),
        ),
        (
            text::PORTS,
            format!("{}, {up} with link", inventory.nics.len()),
        ),
    ]
    .into_iter()
    .map(|(name, value)| parts::pair(name, &value, 12, view.look))
    .collect()
}

fn what_was_found(wizard: &Wizard, width: usize, view: &View) -> Vec<Line<'static>> {
    let facts = &wizard.facts;
    let mut earlier: Vec<String> = facts
        .inventory
        .found
        .iter()
        .filter(|holder| !matches!(holder.kind.as_str(), "gpt" | "mbr"))
        .map(|holder| match &holder.name {
            Some(name) => format!("{} {name}", holder.kind),
            None => holder.kind.clone(),
        })
        .collect();
    earlier.dedup();
    let earlier = match earlier.len() {
        0 => text::NOTHING_FOUND.to_owned(),
        _ => earlier.join(", "),
    };
    let node = match (&facts.node, &facts.node_source) {
        (Some(node), Some(source)) => format!("{}, from {source}", node.node),
        (Some(node), None) => node.node.clone(),
        (None, Some(why)) => why.clone(),
        (None, None) => text::NO_NODE_FILE.to_owned(),
    };
    let mut rows = vec![
        (
            text::IMAGE,
            format!(
                "role {}, version {}{}",
                facts.role.name,
                facts.version,
                if facts.shell {
                    ""
                } else {
                    text::SHELL_IS_CLOSED
                }
            ),
        ),
        (text::NODE_FILE, node),
        (text::EARLIER, earlier),
    ];
    if let Some(depot) = &facts.depot {
        rows.push((text::DEPOT, depot.clone()));
    }
    for warning in &facts.warnings {
        rows.push(("!", warning.clone()));
    }
    rows.into_iter()
        .map(|(name, value)| {
            parts::pair(
                name,
                &parts::cut(&value, width.saturating_sub(14)),
                12,
                view.look,
            )
        })
        .collect()
}

fn tasks(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View) {
    parts::text(
        frame,
        parts::inner(area, 0, 0, area.width, 1),
        vec![parts::title(text::WHAT_TO_DO, view.look)],
    );
    let entries = [
        (text::TASK_INSTALL, text::TASK_INSTALL_DETAIL),
        (text::TASK_REPAIR, text::TASK_REPAIR_DETAIL),
        (text::TASK_DECOMMISSION, text::TASK_DECOMMISSION_DETAIL),
    ]
    .into_iter()
    .map(|(name, detail)| {
        Line::from(vec![
            Span::styled(parts::pad(name, 18), view.look.strong()),
            Span::raw(detail),
        ])
    })
    .collect();
    let below = parts::inner(area, 0, 1, area.width, 3);
    parts::list(frame, below, entries, Some(wizard.cursor()), view);
}

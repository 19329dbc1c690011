//! What may be chosen where nothing is typed: carriers of networks, layouts of the data disks, ports of the controller.

use plan::size::decimal;
use roles::node::Shell;

use super::FieldId;
use crate::{
    draft::{self, Carrier},
    state::{Choice, MenuItem, Wizard},
    text,
};

/// Choices of a field that is not typed.
#[must_use]
pub fn choices(wizard: &Wizard, id: &FieldId) -> Option<Vec<MenuItem>> {
    match id {
        FieldId::Carrier(network) => Some(carriers(wizard, network)),
        FieldId::BmcMode => Some(
            [None, Some("dedicated"), Some("shared"), Some("failover")]
                .into_iter()
                .map(|mode| MenuItem {
                    label: mode.unwrap_or(text::AS_IT_IS).to_owned(),
                    detail: text::bmc_mode(mode).to_owned(),
                    choice: Some(Choice::BmcMode(mode.map(str::to_owned))),
                })
                .collect(),
        ),
        FieldId::Shell => Some(
            [
                (Shell::Open, text::SHELL_OPEN, text::SHELL_OPEN_DETAIL),
                (Shell::Closed, text::SHELL_CLOSED, text::SHELL_CLOSED_DETAIL),
            ]
            .into_iter()
            .map(|(shell, label, detail)| MenuItem {
                label: label.to_owned(),
                detail: detail.to_owned(),
                choice: Some(Choice::Shell(shell)),
            })
            .collect(),
        ),
        _ => None,
    }
}

fn carriers(wizard: &Wizard, network: &str) -> Vec<MenuItem> {
    let nics: Vec<_> = wizard
        .facts
        .inventory
        .nics
        .iter()
        .filter_map(|nic| Some((nic, nic.mac.clone()?)))
        .collect();
    let mut items = vec![MenuItem {
        label: text::NOT_USED.to_owned(),
        detail: text::NETWORK_LEFT_OUT.to_owned(),
        choice: Some(Choice::Carrier(network.to_owned(), Carrier::Nothing)),
    }];
    for (nic, mac) in &nics {
        items.push(MenuItem {
            label: nic.kernel_name.clone(),
            detail: format!("{mac}  {}", text::link(nic)),
            choice: Some(Choice::Carrier(
                network.to_owned(),
                Carrier::Port(mac.clone()),
            )),
        });
    }
    for (index, (first, mac)) in nics.iter().enumerate() {
        for (second, other) in &nics[index + 1..] {
            items.push(MenuItem {
                label: format!("{} + {}", first.kernel_name, second.kernel_name),
                detail: text::BOND.to_owned(),
                choice: Some(Choice::Carrier(
                    network.to_owned(),
                    Carrier::Bond(mac.clone(), other.clone()),
                )),
            });
        }
    }
    items
}

/// The data group's layouts for so many disks, with the room and the failures that each gives.
#[must_use]
pub fn layouts(wizard: &Wizard) -> Vec<MenuItem> {
    use plan::layout::PoolLayout;
    use roles::role::Layout;
    let role = &wizard.facts.role;
    let Some(need) = draft::data_need(role, &wizard.node) else {
        return Vec::new();
    };
    let uses = draft::uses(role, &wizard.node, &wizard.facts.inventory);
    let sizes: Vec<u64> = wizard
        .facts
        .inventory
        .disks
        .iter()
        .filter(|disk| uses.get(&disk.id) == Some(&need.purpose))
        .map(|disk| disk.size)
        .collect();
    let (count, size) = (sizes.len(), sizes.iter().copied().min().unwrap_or_default());
    let mut items = Vec::new();
    match &need.layout {
        Some(Layout::Zfs { pool, datasets, .. }) => {
            for (vdev, width) in [
                ("mail", 0),
                ("mirror", 2),
                ("mirror", 3),
                ("capacity", 0),
                ("raidz2", 6),
                ("raidz2 spares 2", 8),
                ("raidz3", 9),
                ("draid2:8d spares 2", 0),
            ] {
                let read = PoolLayout::read(vdev, width as usize, count);
                items.push(MenuItem {
                    label: if width == 0 {
                        vdev.to_owned()
                    } else {
                        format!("{vdev}, {width}")
                    },
                    detail: match &read {
                        Ok(layout) => text::pool_layout(layout, size),
                        Err(reason) => reason.replace(" disks after ", " after "),
                    },
                    choice: read.is_ok().then(|| {
                        Choice::Layout(Layout::Zfs {
                            pool: pool.clone(),
                            vdev: vdev.to_owned(),
                            width,
                            datasets: datasets.clone(),
                        })
                    }),
                });
            }
        }
        Some(Layout::Md {
            file_system, mount, ..
        }) => {
            for (level, least, usable, lost) in [
                (10, 2, count / 2, 1),
                (1, 2, 1, count.saturating_sub(1)),
                (5, 3, count.saturating_sub(1), 1),
                (6, 4, count.saturating_sub(2), 2),
            ] {
                let fits = count >= least && (level != 10 || count.is_multiple_of(2));
                items.push(MenuItem {
                    label: format!("RAID{level}"),
                    detail: if fits {
                        text::array_layout(&decimal(size.saturating_mul(usable as u64)), lost)
                    } else {
                        text::layout_does_not_fit(count)
                    },
                    choice: fits.then(|| {
                        Choice::Layout(Layout::Md {
                            level,
                            file_system: file_system.clone(),
                            mount: mount.clone(),
                        })
                    }),
                });
            }
        }
        None => {}
    }
    items
}

//! Where bays are: the geometry of the backplanes, shared by drawing and by the arrow keys.

use std::collections::BTreeMap;

use firmware::{Inventory, inventory::Disk};

/// Most bays of one side that are drawn.
const MOST: u32 = 128;

/// One side of the chassis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// `front`, `rear`, or the enclosure's id.
    pub name: String,
    /// Bays.
    pub slots: u32,
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// A place for a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// Side and slot; absent for disks whose bay is not known.
    pub bay: Option<(String, u32)>,
    /// Number of the disk in the inventory; absent for an empty bay.
    pub disk: Option<usize>,
}

/// Sides with their bays, as the enclosures say, else as far as disks are seen.
#[must_use]
pub fn sides(inventory: &Inventory) -> Vec<Side> {
    let mut slots: BTreeMap<&str, u32> = BTreeMap::new();
    for enclosure in &inventory.enclosures {
        slots.insert(&enclosure.side, enclosure.slots.min(MOST));
    }
    for bay in inventory.disks.iter().filter_map(|disk| disk.bay.as_ref()) {
        if bay.slot < MOST {
            let known = slots.entry(&bay.side).or_default();
            *known = (*known).max(bay.slot + 1);
        }
    }
    slots
        .into_iter()
        .map(|(name, slots)| {
            // Backplanes of the SC846, SC847 and SC826 families: four disks beside each other, six or three rows.
            let rows: usize = match slots {
                0..=8 => 1,
                9..=12 => 3,
                _ => 6,
            };
            Side {
                name: name.to_owned(),
                slots,
                columns: (slots as usize).div_ceil(rows),
                rows,
            }
        })
        .collect()
}

impl Side {
    /// Column and row of a slot: they count from the bottom up, column by column.
    #[must_use]
    pub fn place(&self, slot: u32) -> (usize, usize) {
        let slot = slot as usize;
        (slot / self.rows, self.rows - 1 - slot % self.rows)
    }

    /// The slot at a column and row, if there is one.
    #[must_use]
    pub fn slot(&self, column: usize, row: usize) -> Option<u32> {
        let slot = u32::try_from(column * self.rows + (self.rows.checked_sub(1 + row)?)).ok()?;
        (slot < self.slots && column < self.columns).then_some(slot)
    }
}

/// All places: bays side by side, then disks without a bay.
#[must_use]
pub fn spots(inventory: &Inventory) -> Vec<Spot> {
    let at = |side: &str, slot: u32| {
        inventory.disks.iter().position(|disk| {
            disk.bay
                .as_ref()
                .is_some_and(|bay| bay.side == side && bay.slot == slot)
        })
    };
    let mut spots: Vec<Spot> = sides(inventory)
        .iter()
        .flat_map(|side| {
            (0..side.slots).map(|slot| Spot {
                bay: Some((side.name.clone(), slot)),
                disk: at(&side.name, slot),
            })
        })
        .collect();
    let drawn = |disk: &Disk| disk.bay.as_ref().is_some_and(|bay| bay.slot < MOST);
    for (index, disk) in inventory.disks.iter().enumerate() {
        if !drawn(disk) {
            spots.push(Spot {
                bay: None,
                disk: Some(index),
            });
        }
    }
    spots
}

/// The next place in a direction: within its side by geometry, over its edge to the next side, else to its neighbour in
/// order. Columns and rows: `(1, 0)` is right, `(0, 1)` is down.
#[must_use]
pub fn step(inventory: &Inventory, spots: &[Spot], from: usize, by: (isize, isize)) -> usize {
    let sides = sides(inventory);
    let last = spots.len().saturating_sub(1);
    let from = from.min(last);
    let Some((side_name, slot)) = spots.get(from).and_then(|spot| spot.bay.clone()) else {
        // Disks without a bay are a list.
        let forward = by.0 + by.1 > 0;
        return if forward {
            (from + 1).min(last)
        } else {
            from.saturating_sub(1)
        };
    };
    let Some(number) = sides.iter().position(|side| side.name == side_name) else {
        return from;
    };
    let side = &sides[number];
    let (column, row) = side.place(slot);
    let target = column
        .checked_add_signed(by.0)
        .zip(row.checked_add_signed(by.1));
    if let Some((column, row)) = target
        && row < side.rows
        && let Some(slot) = side.slot(column, row)
    {
        return index_of(spots, &side.name, slot).unwrap_or(from);
    }
    match by {
        // Down over the edge: the top row of the next side, or the disks without a bay.
        (0, 1) => sides.get(number + 1).map_or_else(
            || {
                spots
                    .iter()
                    .position(|spot| spot.bay.is_none())
                    .unwrap_or(from)
            },
            |next| {
                let column = column.min(next.columns.saturating_sub(1));
                next.slot(column, 0)
                    .and_then(|slot| index_of(spots, &next.name, slot))
                    .unwrap_or(from)
            },
        ),
        (0, -1) if number > 0 => {
            let before = &sides[number - 1];
            let column = column.min(before.columns.saturating_sub(1));
            before
                .slot(column, before.rows.saturating_sub(1))
                .and_then(|slot| index_of(spots, &before.name, slot))
                .unwrap_or(from)
        }
        _ => from,
    }
}

fn index_of(spots: &[Spot], side: &str, slot: u32) -> Option<usize> {
    spots.iter().position(|spot| {
        spot.bay
            .as_ref()
            .is_some_and(|(name, number)| name == side && *number == slot)
    })
}

#[cfg(test)]
mod tests {
    use firmware::fixture::Machine;

    use super::*;

    #[test]
    fn arrows_reach_every_bay() {
        let inventory = Machine::named("storage-36").unwrap().inventory().unwrap();
        let spots = spots(&inventory);
        assert_eq!(spots.len(), 40);
        let mut seen = vec![false; spots.len()];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut seen[at], true) {
                continue;
            }
            for by in [(1, 0), (-1, 0), (0, 1), (0, -1)] {
                open.push(step(&inventory, &spots, at, by));
            }
        }
        assert!(seen.iter().all(|seen| *seen), "{seen:?}");
    }

    #[test]
    fn slots_count_from_the_bottom_up() {
        let inventory = Machine::named("storage-36").unwrap().inventory().unwrap();
        let sides = sides(&inventory);
        assert_eq!((sides[0].columns, sides[0].rows), (4, 6));
        assert_eq!((sides[1].columns, sides[1].rows), (4, 3));
        assert_eq!(sides[0].place(0), (0, 5));
        assert_eq!(sides[0].place(23), (3, 0));
        assert_eq!(sides[0].slot(3, 0), Some(23));
        assert_eq!(sides[0].slot(4, 0), None);
    }
}

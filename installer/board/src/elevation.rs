//! Machines in the order in which they hang: rack by rack, from the top.

use depot::view::{Machine, Rack};

/// A rack with its machines, the highest first.
#[derive(Debug, PartialEq, Eq)]
pub struct Column<'rack> {
    /// Name; empty for machines that nobody said where they are.
    pub name: &'rack str,
    /// Place in [`Rack::machines`], and the machine.
    pub machines: Vec<(usize, &'rack Machine)>,
}

/// Racks by name; what hangs nowhere comes last, in the site file's order.
#[must_use]
pub fn columns(rack: &Rack) -> Vec<Column<'_>> {
    let mut names: Vec<&str> = rack
        .machines
        .iter()
        .filter_map(|machine| machine.place.as_ref())
        .map(|place| place.rack.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let all = || rack.machines.iter().enumerate();
    let mut columns: Vec<Column> = names
        .into_iter()
        .map(|name| {
            let here = |machine: &Machine| {
                let place = machine.place.as_ref();
                place.is_some_and(|place| place.rack == name)
            };
            let mut machines: Vec<_> = all().filter(|(_, machine)| here(machine)).collect();
            machines.sort_by_key(|(_, machine)| {
                let unit = machine.place.as_ref().map_or(0, |place| place.unit);
                std::cmp::Reverse(unit)
            });
            Column { name, machines }
        })
        .collect();
    let rest: Vec<_> = all()
        .filter(|(_, machine)| machine.place.is_none())
        .collect();
    if !rest.is_empty() {
        columns.push(Column {
            name: "",
            machines: rest,
        });
    }
    columns
}

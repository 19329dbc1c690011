//! ZFS pools, from `zpool list` (zpool-list(8)).

use serde::{Deserialize, Serialize};
use system::{Command, System};

/// One imported pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Name.
    pub name: String,
    /// `ONLINE`, `DEGRADED`, `FAULTED`, `SUSPENDED`, ...
    pub health: String,
    /// Bytes.
    pub size: u64,
    /// Bytes in use.
    pub allocated: u64,
}

/// All imported pools; none where there is no ZFS.
pub fn pools(system: &dyn System) -> Vec<Pool> {
    let command = Command::new("zpool").args(["list", "-Hp", "-o", "name,health,size,allocated"]);
    let text = system.run(&command).map(|output| output.stdout);
    parse(&text.unwrap_or_default())
}

fn parse(text: &str) -> Vec<Pool> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some(Pool {
                name: fields.next()?.to_owned(),
                health: fields.next()?.to_owned(),
                size: fields.next()?.parse().unwrap_or(0),
                allocated: fields.next()?.trim().parse().unwrap_or(0),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_of_zpool_list() {
        let pools = parse("tank\tDEGRADED\t1000\t250\nbroken\n");
        assert_eq!(
            pools,
            [Pool {
                name: "tank".into(),
                health: "DEGRADED".into(),
                size: 1000,
                allocated: 250
            }]
        );
    }
}

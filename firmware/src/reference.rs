//! What a role's hardware should be, as data: boards, parts with firmware floors, and each role's expectations. The files
//! under `reference/` are compiled in, so that the workstation and the server judge alike.

use roles::role::Purpose;
use roles::selector::Transport;
use serde::Deserialize;

use crate::compare::Weight;
use crate::inventory::Nic;

/// Everything known of the reference hardware.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Boards.
    pub boards: Vec<BoardReference>,
    /// Storage controllers.
    pub controllers: Vec<PartReference>,
    /// Network adapters.
    pub adapters: Vec<PartReference>,
    /// Disk models.
    pub disks: Vec<DiskModel>,
    /// Roles.
    pub roles: Vec<RoleReference>,
}

/// One family of boards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoardReference {
    /// Board names as SMBIOS has them.
    pub names: Vec<String>,
    /// Processor sockets.
    pub sockets: u32,
    /// What hangs off the second processor.
    #[serde(default)]
    pub second_socket_slots: Option<String>,
    /// Oldest BIOS without known faults.
    #[serde(default)]
    pub bios_floor: Option<String>,
    /// Oldest BMC firmware without known faults; none is known so far.
    #[serde(default)]
    pub bmc_floor: Option<String>,
    /// Menu path that sets the SATA controllers to AHCI.
    pub sata_menu: String,
}

/// A controller or adapter by PCI id.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartReference {
    /// PCI id.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Oldest firmware without known faults.
    #[serde(default)]
    pub firmware_floor: Option<String>,
    /// PCI Express lanes it needs for its full speed.
    #[serde(default)]
    pub lanes: Option<u32>,
    /// Megabits per second of a port.
    #[serde(default)]
    pub speed: u32,
}

/// How good a disk is for a data group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// What the document names.
    Reference,
    /// As good or better.
    Datacentre,
    /// Not made for it.
    Desktop,
}

/// A disk model by pattern.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskModel {
    /// Pattern over the full model; `*` stands for anything.
    pub model: String,
    /// Grade.
    pub grade: Grade,
    /// Power-loss protection; absent if unknown or of no matter.
    #[serde(default)]
    pub plp: Option<bool>,
}

/// What a role expects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleReference {
    /// Role name.
    pub role: String,
    /// Board names; empty: any.
    pub boards: Vec<String>,
    /// Cores.
    pub cores: u32,
    /// Processors.
    pub sockets: u32,
    /// Memory.
    pub memory: MemoryReference,
    /// Network ports.
    pub network: NetworkReference,
    /// SAS controllers; 0: none wanted.
    #[serde(default)]
    pub controllers: u32,
    /// Slots of each enclosure.
    #[serde(default)]
    pub enclosure_slots: Vec<u32>,
    /// Needs kernel modules that are not the distribution's own.
    #[serde(default)]
    pub compiled_modules: bool,
    /// Disk groups, in the order they claim disks.
    pub disks: Vec<DiskReference>,
}

/// Memory in GiB.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryReference {
    /// Of the document.
    pub reference: u64,
    /// Below this it warns.
    pub warn_below: u64,
    /// Below this it fails: the live system itself does not fit.
    pub fail_below: u64,
}

/// Network ports.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkReference {
    /// Ports of that speed.
    pub ports: u32,
    /// Megabits per second.
    pub reference_speed: u32,
    /// Weight of having no port of that speed.
    #[serde(default = "info")]
    pub slow: Weight,
    /// Weight of having too few ports.
    #[serde(default = "warn")]
    pub few: Weight,
    /// A fast adapter of its own for storage traffic is wanted.
    #[serde(default)]
    pub separate: bool,
}

fn info() -> Weight {
    Weight::Info
}

fn warn() -> Weight {
    Weight::Warn
}

/// One disk group. `transports`, `rotational`, `minimum` and `maximum` (GB) say which disks count; the rest judges them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskReference {
    /// What for.
    pub purpose: Purpose,
    /// How many.
    pub count: u32,
    /// Claims every disk that counts, not only `count` of them.
    #[serde(default)]
    pub all: bool,
    /// Transports that count; empty: all but USB.
    #[serde(default)]
    pub transports: Vec<Transport>,
    /// Only spinning, or only solid-state disks count.
    #[serde(default)]
    pub rotational: Option<bool>,
    /// GB at least.
    #[serde(default)]
    pub minimum: u64,
    /// GB at most.
    #[serde(default)]
    pub maximum: Option<u64>,
    /// Weight of having too few.
    pub missing: Weight,
    /// GB that each should have; less warns.
    #[serde(default)]
    pub wanted_minimum: Option<u64>,
    /// Wanted kind.
    #[serde(default)]
    pub kind: Option<KindWish>,
    /// Wanted attachment.
    #[serde(default)]
    pub attached: Option<AttachedWish>,
    /// Sizes must be equal within one per cent.
    #[serde(default)]
    pub equal: bool,
    /// One sector size, and no disk below 95 % of the median size.
    #[serde(default)]
    pub uniform: bool,
    /// Models are judged by grade.
    #[serde(default)]
    pub graded: bool,
    /// Power-loss protection is wanted.
    #[serde(default)]
    pub plp: bool,
    /// Paths that each SAS disk should have.
    #[serde(default)]
    pub paths: u32,
}

/// Spinning or not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWish {
    /// Wanted.
    pub rotational: bool,
    /// Weight of the other kind.
    pub weight: Weight,
}

/// Attachment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedWish {
    /// Wanted.
    pub transports: Vec<Transport>,
    /// Weight of another.
    pub weight: Weight,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Controllers {
    controllers: Vec<PartReference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adapters {
    adapters: Vec<PartReference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disks {
    disks: Vec<DiskModel>,
}

macro_rules! data {
    ($path:literal) => {
        include_str!(concat!("../reference/", $path))
    };
}

impl Reference {
    /// The data that comes with the program.
    ///
    /// # Errors
    /// If a file is malformed; a test makes sure that none is.
    pub fn built_in() -> Result<Self, toml::de::Error> {
        let boards = [
            data!("boards/x10srl.toml"),
            data!("boards/x10drw.toml"),
            data!("boards/x10drh.toml"),
        ];
        let roles = [
            data!("roles/control.toml"),
            data!("roles/production.toml"),
            data!("roles/standalone.toml"),
            data!("roles/database.toml"),
            data!("roles/galera.toml"),
            data!("roles/storage.toml"),
            data!("roles/backup.toml"),
            data!("roles/lb.toml"),
        ];
        Ok(Self {
            boards: boards
                .into_iter()
                .map(toml::from_str)
                .collect::<Result<_, _>>()?,
            controllers: toml::from_str::<Controllers>(data!("parts/controllers.toml"))?
                .controllers,
            adapters: toml::from_str::<Adapters>(data!("parts/adapters.toml"))?.adapters,
            disks: toml::from_str::<Disks>(data!("parts/disks.toml"))?.disks,
            roles: roles
                .into_iter()
                .map(toml::from_str)
                .collect::<Result<_, _>>()?,
        })
    }

    /// Family of a board.
    pub fn board(&self, name: &str) -> Option<&BoardReference> {
        self.boards
            .iter()
            .find(|board| board.names.iter().any(|known| known == name))
    }

    /// What is known of a disk model.
    pub fn disk(&self, model: &str) -> Option<&DiskModel> {
        self.disks.iter().find(|disk| matches(&disk.model, model))
    }

    /// Expectations of a role.
    pub fn role(&self, name: &str) -> Option<&RoleReference> {
        self.roles.iter().find(|role| role.role == name)
    }

    /// Megabits per second that a port can do: what its adapter is made for, else its link of now. X540 ports may train at
    /// 1 Gbit/s at first.
    pub fn port_speed(&self, nic: &Nic) -> Option<u32> {
        let made_for = nic
            .id
            .as_deref()
            .and_then(|id| self.adapters.iter().find(|part| part.id == id))
            .map(|part| part.speed)
            .filter(|speed| *speed > 0);
        made_for.max(nic.speed)
    }
}

/// `*` stands for any text, everything else for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether firmware `found` is older than `floor`: numbers compared part by part, what is no number ends the comparison.
pub fn is_older(found: &str, floor: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', ' '])
            .map(|part| {
                part.chars()
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
            })
            .map_while(|digits| digits.parse().ok())
            .collect()
    };
    let (found, floor) = (numbers(found), numbers(floor));
    !found.is_empty()
        && found
            .iter()
            .zip(&floor)
            .find(|(a, b)| a != b)
            .is_some_and(|(a, b)| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_data_is_sound() {
        let reference = Reference::built_in().unwrap();
        for role in &reference.roles {
            for board in &role.boards {
                assert!(
                    reference.board(board).is_some(),
                    "{}: board {board} has no entry",
                    role.role
                );
            }
        }
        assert_eq!(reference.roles.len(), 8);
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("Samsung SSD * EVO*", "Samsung SSD 850 EVO 1TB", true),
            ("Samsung SSD * EVO*", "Samsung SSD 850 PRO 1TB", false),
            ("HUSMH*", "HUSMH8040BSS200", true),
            ("HUSMH*", "XHUSMH", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn versions() {
        for (found, floor, expected) in [
            ("16.00.10.00", "16.00.12.00", true),
            ("16.00.12.00", "16.00.12.00", false),
            ("2.36.5150", "2.42.5000", true),
            ("2.42.5000", "2.42.5000", false),
            ("3.0a", "3.4", true),
            ("3.5.V1", "3.4", false),
            ("unknown", "3.4", false),
        ] {
            assert_eq!(is_older(found, floor), expected, "{found} {floor}");
        }
    }
}

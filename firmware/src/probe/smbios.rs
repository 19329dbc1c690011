//! SMBIOS tables (DMTF DSP0134) from `/sys/firmware/dmi/tables/DMI`: a parser for the few structures that matter, over
//! any bytes, without panic.

use super::tree::clean;
use crate::inventory::{MemoryModule, PowerSupply, Slot};

/// One structure: type, formatted area (with its four header bytes) and strings.
#[derive(Debug, Clone)]
struct Structure<'a> {
    kind: u8,
    area: &'a [u8],
    strings: Vec<&'a [u8]>,
}

impl Structure<'_> {
    fn byte(&self, offset: usize) -> Option<u8> {
        self.area.get(offset).copied()
    }

    fn word(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes([
            self.byte(offset)?,
            self.byte(offset + 1)?,
        ]))
    }

    fn double(&self, offset: usize) -> Option<u32> {
        Some(u32::from(self.word(offset)?) | u32::from(self.word(offset + 2)?) << 16)
    }

    /// String by its number at `offset`; 0 and numbers beyond the end (seen on a SYS-6018R, BIOS 2.0) are absent.
    fn string(&self, offset: usize) -> Option<String> {
        let number = usize::from(self.byte(offset)?).checked_sub(1)?;
        clean(&String::from_utf8_lossy(self.strings.get(number)?))
    }
}

/// What the tables say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Smbios {
    /// Type 0: BIOS version.
    pub bios_version: Option<String>,
    /// Type 0: BIOS date.
    pub bios_date: Option<String>,
    /// Type 1: vendor.
    pub vendor: Option<String>,
    /// Type 1: product.
    pub product: Option<String>,
    /// Type 1: serial number.
    pub system_serial: Option<String>,
    /// Type 1: UUID.
    pub uuid: Option<String>,
    /// Type 2: vendor.
    pub board_vendor: Option<String>,
    /// Type 2: board name.
    pub board_name: Option<String>,
    /// Type 2: board serial number.
    pub board_serial: Option<String>,
    /// Type 3: vendor.
    pub chassis_vendor: Option<String>,
    /// Type 3: chassis type.
    pub chassis_type: Option<u32>,
    /// Type 3: serial number.
    pub chassis_serial: Option<String>,
    /// Type 4: processor sockets, in use or not.
    pub sockets: u32,
    /// Type 9.
    pub slots: Vec<Slot>,
    /// Type 17, fitted modules only.
    pub modules: Vec<MemoryModule>,
    /// Type 38: BMC interface type, 1 is KCS.
    pub bmc_interface: Option<u8>,
    /// Type 39.
    pub power_supplies: Vec<PowerSupply>,
    /// Type 41: reference name and PCI address of onboard devices.
    pub onboard: Vec<(String, String)>,
}

/// Reads the tables; what is cut off or malformed ends the walk, and what came before counts.
pub fn parse(tables: &[u8]) -> Smbios {
    let mut smbios = Smbios::default();
    let mut rest = tables;
    while let Some((structure, tail)) = next(rest) {
        if structure.kind == 127 {
            break;
        }
        take(&mut smbios, &structure);
        rest = tail;
    }
    smbios
}

/// Every serial number and asset tag in the tables, for removal from a capture: also those that the inventory does not
/// have (processors, memory modules, power supplies).
pub fn serials(tables: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tables;
    while let Some((structure, tail)) = next(rest) {
        let offsets: &[usize] = match structure.kind {
            1 => &[7],
            2 | 3 => &[7, 8],
            4 => &[0x20, 0x21],
            17 => &[0x18, 0x19],
            39 => &[8, 9],
            _ => &[],
        };
        found.extend(
            offsets
                .iter()
                .filter_map(|offset| structure.string(*offset)),
        );
        rest = tail;
    }
    found
}

fn next(bytes: &[u8]) -> Option<(Structure<'_>, &[u8])> {
    let (kind, length) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    if length < 4 {
        return None;
    }
    let area = bytes.get(..length)?;
    let mut rest = bytes.get(length..)?;
    let mut strings = Vec::new();
    // Strings end with NUL, the set with another one; without strings there are two NUL bytes.
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        if end == 0 {
            rest = rest
                .get(if strings.is_empty() { 2 } else { 1 }..)
                .unwrap_or_default();
            return Some((
                Structure {
                    kind,
                    area,
                    strings,
                },
                rest,
            ));
        }
        strings.push(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
    }
}

fn take(smbios: &mut Smbios, structure: &Structure<'_>) {
    match structure.kind {
        0 => {
            smbios.bios_version = structure.string(5);
            smbios.bios_date = structure.string(8);
        }
        1 => {
            smbios.vendor = structure.string(4);
            smbios.product = structure.string(5);
            smbios.system_serial = structure.string(7);
            smbios.uuid = structure.area.get(8..24).and_then(uuid);
        }
        // A blade has several boards; the first is the main one.
        2 if smbios.board_name.is_none() => {
            smbios.board_vendor = structure.string(4);
            smbios.board_name = structure.string(5);
            smbios.board_serial = structure.string(7);
        }
        3 if smbios.chassis_type.is_none() => {
            smbios.chassis_vendor = structure.string(4);
            smbios.chassis_type = structure.byte(5).map(|kind| u32::from(kind & 0x7f));
            smbios.chassis_serial = structure.string(7);
        }
        4 => smbios.sockets += 1,
        9 => smbios.slots.extend(slot(structure)),
        17 => smbios.modules.extend(module(structure)),
        38 => smbios.bmc_interface = structure.byte(4),
        39 => smbios.power_supplies.push(power_supply(structure)),
        41 => {
            if let (Some(name), Some(address)) = (structure.string(4), address(structure, 7)) {
                smbios.onboard.push((name, address));
            }
        }
        _ => {}
    }
}

/// The first three fields are little-endian since SMBIOS 2.6; all zeros or all ones mean there is none.
fn uuid(bytes: &[u8]) -> Option<String> {
    let b: &[u8; 16] = bytes.try_into().ok()?;
    if b.iter().all(|byte| *byte == 0) || b.iter().all(|byte| *byte == 0xff) {
        return None;
    }
    let head = [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]];
    Some(format!(
        "{}-{}-{}-{}-{}",
        hex::encode(&head[..4]),
        hex::encode(&head[4..6]),
        hex::encode(&head[6..]),
        hex::encode(&b[8..10]),
        hex::encode(&b[10..])
    ))
}

/// Segment group, bus and device/function at `offset`; bus `ff` stands for nothing.
fn address(structure: &Structure<'_>, offset: usize) -> Option<String> {
    let (segment, bus, function) = (
        structure.word(offset)?,
        structure.byte(offset + 2)?,
        structure.byte(offset + 3)?,
    );
    (segment != 0xffff && bus != 0xff).then(|| {
        format!(
            "{segment:04x}:{bus:02x}:{:02x}.{}",
            function >> 3,
            function & 7
        )
    })
}

fn slot(structure: &Structure<'_>) -> Option<Slot> {
    let used = match structure.byte(7)? {
        3 => Some(false),
        4 => Some(true),
        _ => None,
    };
    Some(Slot {
        name: structure.string(4)?,
        used,
        address: address(structure, 13),
    })
}

/// Size in MiB, or KiB with the top bit; 0x7fff refers to the extended field; 0 is an empty socket, 0xffff unknown.
fn module(structure: &Structure<'_>) -> Option<MemoryModule> {
    let size = match structure.word(12)? {
        0 | 0xffff => return None,
        0x7fff => u64::from(structure.double(28)? & 0x7fff_ffff) << 20,
        size if size & 0x8000 != 0 => u64::from(size & 0x7fff) << 10,
        size => u64::from(size) << 20,
    };
    let speed = |offset| {
        structure
            .word(offset)
            .filter(|speed| !matches!(speed, 0 | 0xffff))
            .map(u32::from)
    };
    Some(MemoryModule {
        locator: structure.string(16).unwrap_or_default(),
        size,
        part: structure.string(26).filter(|part| part != "NO DIMM"),
        speed: speed(21),
        configured_speed: speed(32),
    })
}

fn power_supply(structure: &Structure<'_>) -> PowerSupply {
    // Location 5, name 6, maker 7, serial 8, asset 9, model part 10, revision 11; watts 12; characteristics 14.
    let unfilled = |text: &String| text.to_ascii_lowercase().contains("to be filled");
    PowerSupply {
        model: structure
            .string(10)
            .or_else(|| structure.string(6))
            .filter(|text| !unfilled(text)),
        watts: structure
            .word(12)
            .filter(|watts| !matches!(watts, 0 | 0x8000))
            .map(u32::from),
        present: structure.word(14).is_some_and(|flags| flags & 0x2 != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::tables;
    use proptest::prelude::*;

    #[test]
    fn structures() {
        let mut bytes = tables::structure(
            2,
            &[1, 2, 0, 3],
            &["Supermicro", "X10DRH-iT", "VM17AS000123"],
        );
        // A module of 64 GiB needs the extended size.
        let mut area = vec![0; 30];
        area[8..10].copy_from_slice(&0x7fffu16.to_le_bytes());
        area[12] = 1;
        area[17..19].copy_from_slice(&2400u16.to_le_bytes());
        area[22] = 2;
        area[24..28].copy_from_slice(&65536u32.to_le_bytes());
        area[28..30].copy_from_slice(&2133u16.to_le_bytes());
        bytes.extend(tables::structure(
            17,
            &area,
            &["P1-DIMMA1", "M393A8K40B21-CRB    "],
        ));
        bytes.extend(tables::structure(127, &[], &[]));
        let smbios = parse(&bytes);
        assert_eq!(smbios.board_name.as_deref(), Some("X10DRH-iT"));
        assert_eq!(smbios.board_serial.as_deref(), Some("VM17AS000123"));
        assert_eq!(
            smbios.modules,
            [MemoryModule {
                locator: "P1-DIMMA1".into(),
                size: 64 << 30,
                part: Some("M393A8K40B21-CRB".into()),
                speed: Some(2400),
                configured_speed: Some(2133),
            }]
        );
    }

    #[test]
    fn bad_string_index_is_absent() {
        let smbios = parse(&tables::structure(2, &[1, 9, 0, 0], &["Supermicro"]));
        assert_eq!(
            (smbios.board_vendor.as_deref(), smbios.board_name),
            (Some("Supermicro"), None)
        );
    }

    #[test]
    fn uuid_of_little_endian_fields() {
        let mut area = vec![0; 4];
        area.extend(0x00u8..0x10);
        let smbios = parse(&tables::structure(1, &area, &[]));
        assert_eq!(
            smbios.uuid.as_deref(),
            Some("03020100-0504-0706-0809-0a0b0c0d0e0f")
        );
    }

    #[test]
    fn live_tables_of_a_slot_without_processor() {
        let mut area = vec![1, 0xa5, 0x0a, 3, 4, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        let empty = parse(&tables::structure(9, &area, &["CPU2 SLOT4 PCI-E 3.0 X8"]));
        assert_eq!(empty.slots[0].address, None);
        area[9..13].copy_from_slice(&[0, 0, 0x83, 0]);
        let full = parse(&tables::structure(9, &area, &["CPU2 SLOT4 PCI-E 3.0 X8"]));
        assert_eq!(full.slots[0].address.as_deref(), Some("0000:83:00.0"));
    }

    proptest! {
        #[test]
        fn no_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_panic_inside_structures(
            kinds in prop::collection::vec((prop::sample::select(vec![0u8, 1, 2, 3, 4, 9, 17, 38, 39, 41]),
                prop::collection::vec(any::<u8>(), 0..40)), 0..12)
        ) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|(kind, area)| tables::structure(*kind, area, &["a", "b"])).collect();
            let _ = parse(&bytes);
        }
    }
}

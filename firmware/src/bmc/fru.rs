//! The board's own label: FRU inventory (IPMI 2.0, 34.1, 34.2; its form is IPMI Platform Management FRU Information Storage
//! Definition 1.0, revision 1.3). Often truer than DMI, whose fields are left at `Default string`.

use serde::Serialize;

use super::BmcError;
use super::command::Command;
use crate::ipmi::IpmiTransport;

const INFO: Command = Command {
    function: 0x0a,
    command: 0x10,
    what: "say how large its label is",
};
const READ: Command = Command {
    function: 0x0a,
    command: 0x11,
    what: "read its label",
};

/// Bytes asked for at first; halved when that is too many.
const PIECE: u16 = 32;
/// Completion codes of "too many bytes".
const TOO_MANY: [u8; 4] = [0xc6, 0xc7, 0xc8, 0xca];

/// What the label says. Fields that are empty or not there are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fru {
    /// Chassis part number.
    pub chassis_part: Option<String>,
    /// Chassis serial number.
    pub chassis_serial: Option<String>,
    /// Board manufacturer.
    pub board_manufacturer: Option<String>,
    /// Board name.
    pub board_product: Option<String>,
    /// Board serial number.
    pub board_serial: Option<String>,
    /// Board part number.
    pub board_part: Option<String>,
    /// Seconds since 1970 when the board was made.
    pub board_made: Option<u32>,
    /// Manufacturer.
    pub product_manufacturer: Option<String>,
    /// Product name.
    pub product_name: Option<String>,
    /// Product part or model number.
    pub product_part: Option<String>,
    /// Product serial number.
    pub product_serial: Option<String>,
}

/// Reads and parses the label of the BMC's own device; absent if it has none.
///
/// # Errors
/// The BMC cannot be reached, or the label is damaged.
pub fn read(transport: &mut dyn IpmiTransport) -> Result<Option<Fru>, BmcError> {
    let bytes = match bytes(transport) {
        Ok(bytes) => bytes,
        Err(error) if error.is_unsupported() => return Ok(None),
        Err(error) => return Err(error),
    };
    // Never written: all bits set, or none.
    if bytes.iter().all(|byte| *byte == 0xff) || bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    parse(&bytes)
        .map(Some)
        .map_err(|reason| BmcError::Malformed {
            what: "the label",
            reason,
        })
}

fn bytes(transport: &mut dyn IpmiTransport) -> Result<Vec<u8>, BmcError> {
    let info = INFO.send(transport, &[0])?;
    let size = info.word(0)?;
    // Bit 0 of the third byte: places count words.
    let unit = 1 + u16::from(info.byte(2)? & 1);
    let mut bytes = Vec::new();
    let mut piece = PIECE;
    while bytes.len() < usize::from(size) {
        let place = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        let [low, high] = (place / unit).to_le_bytes();
        let count = piece.min(size - place).div_ceil(unit);
        let count = u8::try_from(count).unwrap_or(u8::MAX);
        match READ.send(transport, &[0, low, high, count]) {
            Ok(answer) => {
                let read = answer.rest(1)?;
                if read.is_empty() {
                    break;
                }
                bytes.extend_from_slice(read);
            }
            Err(error)
                if piece > 4 && error.code().is_some_and(|code| TOO_MANY.contains(&code)) =>
            {
                piece /= 2;
            }
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(size.into());
    Ok(bytes)
}

/// Parses the whole area.
///
/// # Errors
/// Says what does not fit. Any input is answered, never with a panic.
pub fn parse(bytes: &[u8]) -> Result<Fru, String> {
    let header = bytes
        .get(..8)
        .ok_or_else(|| format!("it has only {} bytes", bytes.len()))?;
    if header[0] & 0x0f != 1 {
        return Err(format!("its format is {}, not 1", header[0] & 0x0f));
    }
    if !sums_up(header) {
        return Err("the checksum of its header is wrong".to_owned());
    }
    let mut fru = Fru::default();
    if let Some(area) = area(bytes, header[2], "chassis")? {
        let mut fields = fields(area, 3);
        fru.chassis_part = fields.next().flatten();
        fru.chassis_serial = fields.next().flatten();
    }
    if let Some(area) = area(bytes, header[3], "board")? {
        // Minutes since 1996-01-01; 0 is not said.
        if let Some([low, middle, high]) = area.get(3..6) {
            let minutes = u32::from_le_bytes([*low, *middle, *high, 0]);
            fru.board_made = (minutes != 0).then_some(820_454_400 + minutes * 60);
        }
        let mut fields = fields(area, 6);
        fru.board_manufacturer = fields.next().flatten();
        fru.board_product = fields.next().flatten();
        fru.board_serial = fields.next().flatten();
        fru.board_part = fields.next().flatten();
    }
    if let Some(area) = area(bytes, header[4], "product")? {
        let mut fields = fields(area, 3);
        fru.product_manufacturer = fields.next().flatten();
        fru.product_name = fields.next().flatten();
        fru.product_part = fields.next().flatten();
        // The version comes between.
        fru.product_serial = fields.nth(1).flatten();
    }
    Ok(fru)
}

fn sums_up(bytes: &[u8]) -> bool {
    bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

/// The bytes of an area; absent if its place is 0.
fn area<'a>(bytes: &'a [u8], place: u8, name: &str) -> Result<Option<&'a [u8]>, String> {
    if place == 0 {
        return Ok(None);
    }
    let start = usize::from(place) * 8;
    let length = bytes
        .get(start + 1)
        .map_or(0, |blocks| usize::from(*blocks) * 8);
    match bytes.get(start..start + length) {
        Some(area) if !area.is_empty() && sums_up(area) => Ok(Some(area)),
        Some(area) if !area.is_empty() => Err(format!("the checksum of its {name} area is wrong")),
        _ => Err(format!("its {name} area lies outside of it")),
    }
}

/// The fields of an area from `start` to the end mark.
fn fields(area: &[u8], start: usize) -> impl Iterator<Item = Option<String>> {
    let mut place = start;
    std::iter::from_fn(move || {
        let form = *area.get(place)?;
        if form == 0xc1 {
            return None;
        }
        let length = usize::from(form & 0x3f);
        let bytes = area.get(place + 1..place + 1 + length)?;
        place += 1 + length;
        let text = text(form, bytes);
        Some((!text.is_empty()).then_some(text))
    })
}

/// Text by its type and length byte: binary (as hexadecimal digits), BCD plus, 6-bit ASCII, 8-bit. Longer input is cut.
pub(super) fn text(form: u8, bytes: &[u8]) -> String {
    let length = usize::from(form & 0x3f).min(bytes.len());
    let bytes = &bytes[..length];
    let text: String = match form >> 6 {
        0 => hex::encode(bytes),
        1 => bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 0x0f])
            .map(|digit| b"0123456789 -.???"[usize::from(digit)])
            .map(char::from)
            .collect(),
        2 => bytes
            .chunks(3)
            .flat_map(|group| {
                let mut word = [0; 4];
                word[..group.len()].copy_from_slice(group);
                let word = u32::from_le_bytes(word);
                (0..group.len() * 8 / 6).map(move |place| word >> (6 * place) & 0x3f)
            })
            .filter_map(|six| char::from_u32(six + 0x20))
            .collect(),
        _ => bytes
            .iter()
            .take_while(|byte| **byte != 0)
            .map(|byte| char::from(*byte))
            .filter(|letter| !letter.is_control())
            .collect(),
    };
    text.trim().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An area with length and checksum filled in.
    fn sealed(mut area: Vec<u8>) -> Vec<u8> {
        area.push(0xc1);
        while area.len() % 8 != 7 {
            area.push(0);
        }
        area[1] = u8::try_from((area.len() + 1) / 8).unwrap();
        let sum = area.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        area.push(0_u8.wrapping_sub(sum));
        area
    }

    fn field(text: &str) -> Vec<u8> {
        let mut field = vec![0xc0 | u8::try_from(text.len()).unwrap()];
        field.extend_from_slice(text.as_bytes());
        field
    }

    /// A label as Supermicro writes it.
    pub fn label() -> Vec<u8> {
        let mut board = vec![1, 0, 25, 0x40, 0x77, 0xa0];
        for text in ["Supermicro", "X10DRH-iT", "ZM15AS000001", "X10DRH-IT", ""] {
            board.extend(field(text));
        }
        let board = sealed(board);
        let mut chassis = vec![1, 0, 23];
        for text in ["CSE-847BE2C-R1K28LPB", "C8470AH00000001"] {
            chassis.extend(field(text));
        }
        let chassis = sealed(chassis);
        let board_at = 1 + chassis.len() / 8;
        let mut bytes = vec![1, 0, 1, u8::try_from(board_at).unwrap(), 0, 0, 0];
        let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        bytes.push(0_u8.wrapping_sub(sum));
        bytes.extend(chassis);
        bytes.extend(board);
        bytes
    }

    #[test]
    fn a_label() {
        insta::assert_debug_snapshot!(parse(&label()));
    }

    #[test]
    fn damage_is_said() {
        let label = label();
        let broken = |place: usize| {
            let mut label = label.clone();
            label[place] ^= 0x10;
            parse(&label).unwrap_err()
        };
        assert_eq!(parse(&label[..4]).unwrap_err(), "it has only 4 bytes");
        assert_eq!(broken(7), "the checksum of its header is wrong");
        assert_eq!(broken(12), "the checksum of its chassis area is wrong");
        assert_eq!(
            parse(&label[..label.len() - 8]).unwrap_err(),
            "its board area lies outside of it"
        );
        assert_eq!(
            parse(&[3, 0, 0, 0, 0, 0, 0, 0xfd]).unwrap_err(),
            "its format is 3, not 1"
        );
    }

    #[test]
    fn forms_of_text() {
        for (form, bytes, expected) in [
            (0x02, &[0xab, 0x01][..], "ab01"),
            (0x42, &[0x12, 0xb3], "12-3"),
            // "IPMI" in three bytes: the specification's own example (13.2).
            (0x83, &[0x29, 0xdc, 0xa6], "IPMI"),
            (0xc3, b"A\0B", "A"),
            (0xc9, b"short", "short"),
        ] {
            assert_eq!(text(form, bytes), expected, "{form:#x}");
        }
    }

    proptest! {
        #[test]
        fn any_input_is_answered(bytes: Vec<u8>) {
            parse(&bytes).ok();
        }

        /// Past the checksums.
        #[test]
        fn any_area_is_answered(mut area in proptest::collection::vec(any::<u8>(), 7..200)) {
            area[1] = 0;
            let area = sealed(area);
            let mut bytes = vec![1, 0, 1, 1, 1, 0, 0, 0xfc];
            bytes.extend(area);
            prop_assert!(parse(&bytes).is_ok());
        }
    }
}

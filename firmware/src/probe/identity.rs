//! Names of a disk from its raw pages: pure parsers, no panic on any bytes.

use super::tree::clean;

/// What an ATA disk says of itself (ACS-3, IDENTIFY DEVICE).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AtaIdentity {
    /// Full model, up to 40 characters (sysfs `model` is cut at 16).
    pub model: Option<String>,
    /// Full firmware revision, 8 characters (sysfs `rev` is cut at 4).
    pub firmware: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
}

/// VPD page 0x89 (SAT-4, ATA information): IDENTIFY data starts at byte 60, its strings have the bytes of each word
/// swapped.
pub fn ata_information(page: &[u8]) -> Option<AtaIdentity> {
    if page.get(1) != Some(&0x89) {
        return None;
    }
    let identity = AtaIdentity {
        serial: swapped(page.get(80..100)?),
        firmware: swapped(page.get(106..114)?),
        model: swapped(page.get(114..154)?),
    };
    identity.model.is_some().then_some(identity)
}

fn swapped(bytes: &[u8]) -> Option<String> {
    let turned: Vec<u8> = bytes
        .chunks_exact(2)
        .flat_map(|word| [word[1], word[0]])
        .collect();
    clean(&printable(&turned))
}

/// Bytes as text; what is not printable ASCII becomes a blank.
fn printable(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| {
            if (0x20..0x7f).contains(byte) {
                char::from(*byte)
            } else {
                ' '
            }
        })
        .collect()
}

/// VPD page 0x80 (SPC-4, unit serial number).
pub fn unit_serial(page: &[u8]) -> Option<String> {
    if page.get(1) != Some(&0x80) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let end = page.len().min(4 + length);
    clean(&printable(page.get(4..end)?))
}

/// Name of the logical unit from VPD page 0x83 (SPC-4, device identification): the NAA designator.
pub fn unit_name(page: &[u8]) -> Option<String> {
    if page.get(1) != Some(&0x83) {
        return None;
    }
    let mut rest = page.get(4..)?;
    while let (Some(kind), Some(length)) = (rest.get(1).copied(), rest.get(3).copied()) {
        let designator = rest.get(4..4 + usize::from(length))?;
        // Association 0 is the logical unit; 1 would be the port, which differs from path to path.
        if kind & 0x30 == 0 && kind & 0x0f == 3 && designator.iter().any(|byte| *byte != 0) {
            return Some(format!("0x{}", hex::encode(designator)));
        }
        rest = rest.get(4 + usize::from(length)..)?;
    }
    None
}

/// The WWN in the kernel's `wwid` attribute: `naa.5000cca261280e68`, `eui.0025385b71b00c42`. The other forms
/// (`t10.ATA ...`, `nvme.144d-...`) are names too, but no WWN.
///
/// NAA 6 names have 32 digits; all of them are kept, because volumes of one array share the first 16.
pub fn wwn(wwid: &str) -> Option<String> {
    let (kind, digits) = wwid.trim().split_once('.')?;
    let usable = matches!(kind, "naa" | "eui" | "uuid")
        && digits.len() >= 16
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && digits.bytes().any(|byte| byte != b'0');
    usable.then(|| format!("0x{}", digits.to_ascii_lowercase()))
}

/// Undoes udev's `\x20` escapes (`ID_MODEL_ENC`).
pub fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = (*first == b'\\' && tail.first() == Some(&b'x'))
            .then(|| {
                std::str::from_utf8(tail.get(1..3)?)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            })
            .flatten();
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    clean(&String::from_utf8_lossy(&bytes))
}

/// Serial numbers that many devices share and therefore name none of them.
pub fn is_placeholder(serial: &str) -> bool {
    let serial = serial.trim();
    serial.is_empty()
        || serial.bytes().all(|byte| byte == b'0' || byte == b' ')
        || [
            "0123456789",
            "123456789",
            "default string",
            "to be filled by o.e.m.",
            "none",
            "unknown",
        ]
        .contains(&serial.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wwid_forms() {
        for (wwid, expected) in [
            ("naa.5000cca261280e68", Some("0x5000cca261280e68")),
            ("naa.5000CCA261280E68\n", Some("0x5000cca261280e68")),
            (
                "naa.600508b1001c7e3b0000000000000001",
                Some("0x600508b1001c7e3b0000000000000001"),
            ),
            ("eui.0025385b71b00c42", Some("0x0025385b71b00c42")),
            ("t10.ATA     QEMU HARDDISK  QM00001", None),
            ("nvme.8086-43564654-0001", None),
            ("naa.0000000000000000", None),
            ("naa.xyz", None),
            ("", None),
        ] {
            assert_eq!(wwn(wwid).as_deref(), expected, "{wwid}");
        }
    }

    #[test]
    fn full_model_is_not_cut() {
        let page = crate::fixture::pages::ata_information(
            "Samsung SSD 850 PRO 1TB",
            "EXM02B6Q",
            "S252NXAG000001",
        );
        let identity = ata_information(&page).unwrap();
        assert_eq!(identity.model.as_deref(), Some("Samsung SSD 850 PRO 1TB"));
        assert_eq!(identity.firmware.as_deref(), Some("EXM02B6Q"));
        assert_eq!(identity.serial.as_deref(), Some("S252NXAG000001"));
    }

    #[test]
    fn serial_page() {
        assert_eq!(
            unit_serial(&crate::fixture::pages::unit_serial("VJGR0XDX")).as_deref(),
            Some("VJGR0XDX")
        );
        assert_eq!(unit_serial(&[0, 0x80, 0, 200, b'A']).as_deref(), Some("A"));
        assert_eq!(unit_serial(&[0, 0x83, 0, 1, b'A']), None);
    }

    #[test]
    fn unit_name_ignores_port_names() {
        let mut page = vec![0, 0x83, 0, 24];
        page.extend([
            0x61, 0x93, 0, 8, 0x50, 0, 0xcc, 0xa2, 0x61, 0x28, 0x0e, 0x69,
        ]);
        page.extend([
            0x01, 0x03, 0, 8, 0x50, 0, 0xcc, 0xa2, 0x61, 0x28, 0x0e, 0x68,
        ]);
        assert_eq!(unit_name(&page).as_deref(), Some("0x5000cca261280e68"));
    }

    #[test]
    fn udev_escapes() {
        assert_eq!(
            unescape("Samsung\\x20SSD\\x20850\\x20PRO\\x201TB\\x20\\x20").as_deref(),
            Some("Samsung SSD 850 PRO 1TB")
        );
        assert_eq!(unescape("a\\x2").as_deref(), Some("a\\x2"));
        assert_eq!(unescape("\\x20"), None);
    }

    proptest! {
        #[test]
        fn no_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), text in ".{0,60}", page in 0u8..=255) {
            let mut bytes = bytes;
            if bytes.len() > 1 { bytes[1] = page; }
            let _ = (ata_information(&bytes), unit_serial(&bytes), unit_name(&bytes), wwn(&text), unescape(&text));
            for page in [0x80, 0x83, 0x89] {
                if bytes.len() > 1 { bytes[1] = page; }
                let _ = (ata_information(&bytes), unit_serial(&bytes), unit_name(&bytes));
            }
        }
    }
}

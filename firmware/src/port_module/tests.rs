//! Modules byte by byte, written from the layouts of SFF-8472 and SFF-8636.

use proptest::prelude::*;

use super::*;

fn memory(length: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (place, part) in parts {
        bytes[*place..place + part.len()].copy_from_slice(part);
    }
    bytes
}

fn name(text: &str) -> Vec<u8> {
    format!("{text:<16}").into_bytes()
}

fn say(kind: u32, bytes: Vec<u8>) -> String {
    match decode(&RawModule { kind, bytes }) {
        Ok(module) => crate::report::module(&module),
        Err(reason) => format!("none: {reason}"),
    }
}

#[test]
fn modules() {
    let optic = |diagnostics: u8, length: usize| {
        let mut bytes = memory(
            512,
            &[
                // 10GBASE-SR, 10.3 GBd, 850 nm.
                (0, &[0x03, 0x04, 0x07, 0x10]),
                (12, &[103]),
                (20, &name("FINISAR CORP.")),
                (40, &name("FTLX8571D3BCL")),
                (60, &850_u16.to_be_bytes()),
                (68, &name("AKL0ABC")),
                (92, &[diagnostics]),
                // 34.5 degrees; 0.5888 mW.
                (352, &[0x22, 0x80]),
                (360, &5888_u16.to_be_bytes()),
            ],
        );
        bytes.truncate(length);
        bytes
    };
    for (title, kind, bytes, expected) in [
        (
            "passive copper",
            SFF_8472,
            memory(
                256,
                &[
                    (0, &[0x03, 0x04, 0x21]),
                    (8, &[0x04]),
                    (12, &[103]),
                    (18, &[3]),
                    (20, &name("Mellanox")),
                    (40, &name("MC3309130-003")),
                    (60, &[0x01, 0x00]),
                    (68, &name("MT1612VS00123")),
                ],
            ),
            "SFP+ direct attach copper, 3 m, Mellanox MC3309130-003 MT1612VS00123",
        ),
        (
            "optic with diagnostics",
            SFF_8472,
            optic(0x68, 512),
            "SFP+ 10GBASE-SR, 850 nm, FINISAR CORP. FTLX8571D3BCL AKL0ABC, 34 C, receives -2.3 dBm",
        ),
        (
            "the driver gives A0h alone",
            SFF_8472,
            optic(0x68, 256),
            "SFP+ 10GBASE-SR, 850 nm, FINISAR CORP. FTLX8571D3BCL AKL0ABC",
        ),
        (
            "to be calibrated by the host",
            SFF_8472,
            optic(0x58, 512),
            "SFP+ 10GBASE-SR, 850 nm, FINISAR CORP. FTLX8571D3BCL AKL0ABC",
        ),
        (
            "twisted pair",
            SFF_8079,
            memory(
                256,
                &[
                    (0, &[0x03, 0x04, 0x22]),
                    (6, &[0x08]),
                    (12, &[13]),
                    (20, &name("CISCO-AVAGO")),
                    (60, &[0, 1]),
                ],
            ),
            "SFP 1000BASE-T, CISCO-AVAGO",
        ),
        (
            "dark optic",
            SFF_8472,
            {
                let mut bytes = optic(0x68, 512);
                bytes[360..362].fill(0);
                bytes
            },
            "SFP+ 10GBASE-SR, 850 nm, FINISAR CORP. FTLX8571D3BCL AKL0ABC, 34 C, receives nothing",
        ),
        (
            "QSFP+ optic",
            SFF_8636,
            memory(
                256,
                &[
                    (22, &[0x1e, 0x00]),
                    (34, &[0x27, 0x10, 0x27, 0x10, 0x27, 0x10, 0x03, 0xe8]),
                    (128, &[0x0d, 0, 0x0c, 0x04]),
                    (148, &name("AVAGO")),
                    (168, &name("AFBR-79EQDZ")),
                    (186, &17000_u16.to_be_bytes()),
                    (196, &name("QB123")),
                ],
            ),
            "QSFP+ 40GBASE-SR4, 850 nm, AVAGO AFBR-79EQDZ QB123, 30 C, receives 0.0, 0.0, 0.0, -10.0 dBm",
        ),
        (
            "QSFP28 copper",
            SFF_8636,
            memory(
                640,
                &[
                    (128, &[0x11, 0, 0x23]),
                    (146, &[2, 0xa0]),
                    (148, &name("Mellanox")),
                    (192, &[0x0b]),
                ],
            ),
            "QSFP28 100GBASE-CR4 copper cable, 2 m, Mellanox",
        ),
        (
            "nothing on the bus",
            SFF_8472,
            vec![0xff; 256],
            "none: its memory is empty or too short",
        ),
        (
            "zeros",
            SFF_8636,
            vec![0; 256],
            "none: its memory is empty or too short",
        ),
        (
            "cut short",
            SFF_8472,
            vec![3; 20],
            "none: its memory is empty or too short",
        ),
        (
            "new layout",
            7,
            vec![0x18; 256],
            "none: its memory has the unknown layout 7",
        ),
    ] {
        assert_eq!(say(kind, bytes), expected, "{title}");
    }
}

#[test]
fn what_is_not_used_is_not_kept() {
    for (kind, serial) in [(SFF_8472, 68..84), (SFF_8636, 196..212)] {
        let full = RawModule {
            kind,
            bytes: vec![b'7'; 640],
        };
        let kept = full.clone().trimmed();
        assert_eq!(kept.bytes.len(), LENGTH);
        assert_eq!(kept.bytes[serial.clone()], [b'7'; 16]);
        assert_eq!(kept.bytes[224..256], [0; 32], "free for the maker");
        assert_eq!(kept.bytes[500], 0, "free for the user");
        assert_eq!(decode(&kept).ok(), decode(&full).ok());
        assert_eq!(full.without_serial().bytes[serial], [b'X'; 16]);
    }
}

proptest! {
    #[test]
    fn any_bytes(kind in 0_u32..6, bytes in prop::collection::vec(any::<u8>(), 0..640)) {
        let raw = RawModule { kind, bytes };
        let module = decode(&raw);
        if let Ok(module) = &module {
            prop_assert!(!crate::report::module(module).is_empty());
        }
        prop_assert_eq!(decode(&raw.clone().trimmed()), module);
        let hidden = decode(&raw.without_serial());
        prop_assert!(hidden.ok().and_then(|module| module.serial).is_none_or(|serial| serial.chars().all(|c| "X ".contains(c))));
    }
}

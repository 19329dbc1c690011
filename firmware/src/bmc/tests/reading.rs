//! What a BMC tells: its event log, its clock, its label, its sensors.

use super::*;

#[test]
fn the_event_log() {
    let mut bmc = Simulated::x10();
    assert_eq!(sel::read(&mut bmc), Ok(vec![]));
    bmc.sel = (1..=3).map(|id| record(id, 8, id)).collect();
    let events = sel::read(&mut bmc).unwrap();
    insta::assert_snapshot!(text::events(sel::info(&mut bmc).unwrap(), &events));
    // It takes some questions until it is cleared.
    bmc.clearing = 3;
    sel::clear(&mut bmc).unwrap();
    assert_eq!(sel::read(&mut bmc), Ok(vec![]));
    // Never done.
    bmc.clearing = 200;
    assert!(sel::clear(&mut bmc).is_err());
    // Someone else reserved it meanwhile.
    bmc.fault(0x0a, 0x47, Fault::Code(0xc5), 1);
    assert_eq!(sel::clear(&mut bmc).unwrap_err().code(), Some(0xc5));
}

#[test]
fn the_clock() {
    let mut bmc = Simulated::x10();
    sel::set_time(&mut bmc, 1_800_000_000).unwrap();
    assert_eq!(sel::time(&mut bmc), Ok(Some(1_800_000_000)));
    bmc.time = 42;
    assert_eq!(sel::time(&mut bmc), Ok(None));
    bmc.fault(0x0a, 0x49, Fault::Ignore, u32::MAX);
    assert!(matches!(
        sel::set_time(&mut bmc, 1_800_000_000),
        Err(BmcError::NotKept { .. })
    ));
}

#[test]
fn the_label() {
    let mut bmc = Simulated::x10();
    assert_eq!(fru::read(&mut bmc), Ok(None));
    bmc.fru = fru::tests::label();
    for piece in [32, 16, 8] {
        bmc.fru_piece = piece;
        let label = fru::read(&mut bmc).unwrap().unwrap();
        assert_eq!(label.board_serial.as_deref(), Some("ZM15AS000001"));
    }
    bmc.fru = vec![0xff; 64];
    assert_eq!(fru::read(&mut bmc), Ok(None));
    bmc.fru = vec![1; 64];
    assert!(matches!(
        fru::read(&mut bmc),
        Err(BmcError::Malformed { .. })
    ));
}

/// A full record with thresholds, in degrees.
fn full(number: u8, kind: u8, unit: u8, factor: u8, name: &str) -> Vec<u8> {
    let mut record = vec![0; 48];
    record[2] = 0x51;
    record[3] = 1;
    record[5] = 0x20;
    record[7] = number;
    record[12] = kind;
    record[13] = 1;
    record[21] = unit;
    record[24] = factor;
    record[47] = 0xc0 | u8::try_from(name.len()).unwrap();
    record.extend_from_slice(name.as_bytes());
    record[4] = u8::try_from(record.len() - 5).unwrap();
    record
}

fn compact(number: u8, kind: u8, name: &str) -> Vec<u8> {
    let mut record = vec![0; 32];
    record[2] = 0x51;
    record[3] = 2;
    record[5] = 0x20;
    record[7] = number;
    record[12] = kind;
    record[13] = 0x6f;
    record[20] = 0xc0;
    record[31] = 0xc0 | u8::try_from(name.len()).unwrap();
    record.extend_from_slice(name.as_bytes());
    record[4] = u8::try_from(record.len() - 5).unwrap();
    record
}

#[test]
fn sensors_with_units() {
    let mut bmc = Simulated::x10();
    assert_eq!(sensors::read(&mut bmc), Ok(vec![]));
    let mut locator = full(9, 1, 1, 1, "not a sensor");
    locator[3] = 0x12;
    bmc.sdr = vec![
        full(1, 1, 1, 1, "CPU1 Temp"),
        full(0x41, 4, 18, 100, "FAN1"),
        full(0x42, 4, 18, 100, "FANB"),
        locator,
        full(0x30, 2, 4, 1, "VBAT"),
        compact(0xc8, 8, "PS1 Status"),
        compact(0xc9, 8, "PS2 Status"),
    ];
    bmc.readings.insert(1, vec![42, 0xc0, 0xc0]);
    bmc.readings.insert(0x41, vec![3, 0xc0, 0x07]);
    // Not scanned.
    bmc.readings.insert(0x30, vec![3, 0x20, 0]);
    bmc.readings.insert(0xc8, vec![0, 0xc0, 0x01, 0x80]);
    bmc.readings.insert(0xc9, vec![0, 0xc0, 0x09, 0x80]);
    insta::assert_snapshot!(text::sensors(&sensors::read(&mut bmc).unwrap()));
    // Someone else takes the reservation once.
    bmc.fault(0x0a, 0x23, Fault::Code(0xc5), 1);
    assert_eq!(sensors::read(&mut bmc).unwrap().len(), 6);
}

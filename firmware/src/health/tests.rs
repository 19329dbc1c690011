//! Answers byte by byte, written from the layouts of SAT-4, SPC-5 and the NVMe base specification.

use proptest::prelude::*;

use super::*;

fn answer(command: HealthCommand, status: u16, sense: &str, data: &str) -> RawHealth {
    let bytes = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
    RawHealth {
        command,
        status,
        sense: bytes(sense),
        data: bytes(data),
    }
}

fn say(raw: &RawHealth) -> String {
    match verdict(raw) {
        Ok(Health::Passed) => "passed".to_owned(),
        Ok(Health::Warned { cause }) => format!("warned: {cause}"),
        Ok(Health::Failing { cause }) => format!("failing: {cause}"),
        Ok(Health::Unknown) => "unknown".to_owned(),
        Err(reason) => format!("no answer: {reason}"),
    }
}

#[test]
fn commands() {
    assert_eq!(
        hex::encode(SMART_RETURN_STATUS),
        "85062000da0000000000".to_owned() + "4f00c200b000"
    );
    assert_eq!(
        hex::encode(LOG_SENSE),
        "4d006f00000000".to_owned() + "00fc00"
    );
    for (transport, command) in [
        (Transport::Sata, Some(HealthCommand::Ata)),
        (Transport::Sas, Some(HealthCommand::Scsi)),
        (Transport::Nvme, Some(HealthCommand::Nvme)),
        (Transport::Usb, None),
        (Transport::Virtio, None),
        (Transport::Unknown, None),
    ] {
        assert_eq!(HealthCommand::of(transport), command, "{transport:?}");
    }
}

#[test]
fn verdicts() {
    use HealthCommand::{Ata, Nvme, Scsi};
    for (command, status, sense, data, expected) in [
        // Descriptor sense: recovered error, 00/1D, one ATA Status Return descriptor.
        (
            Ata,
            2,
            "72 01 00 1d 00 00 00 0e  09 0c 00 00 00 00 00 00 00 4f 00 c2 00 50",
            "",
            "passed",
        ),
        (
            Ata,
            2,
            "72 01 00 1d 00 00 00 0e  09 0c 00 00 00 00 00 00 00 f4 00 2c 00 50",
            "",
            "failing: SMART: a threshold is exceeded",
        ),
        // Another descriptor (information, 00h) comes first.
        (
            Ata,
            2,
            "72 01 00 1d 00 00 00 1a  00 0a 80 00 00 00 00 00 00 00 00 00  09 0c 00 00 00 00 00 00 00 f4 00 2c 00 50",
            "",
            "failing: SMART: a threshold is exceeded",
        ),
        // Aborted: error and status registers 04/51.
        (
            Ata,
            2,
            "72 0b 00 00 00 00 00 0e  09 0c 00 04 00 00 00 00 00 4f 00 c2 00 51",
            "",
            "no answer: the disk refuses SMART RETURN STATUS: SMART is switched off or missing",
        ),
        // Fixed format: error 00, status 50, LBA 00/4F/C2 or 00/F4/2C.
        (
            Ata,
            2,
            "f0 00 01 00 50 00 00 0a  00 00 4f c2 00 1d 00 00 00 00",
            "",
            "passed",
        ),
        (
            Ata,
            2,
            "f0 00 01 00 50 00 00 0a  00 00 f4 2c 00 1d 00 00 00 00",
            "",
            "failing: SMART: a threshold is exceeded",
        ),
        // QEMU's scsi-hd with vendor ATA: invalid operation code.
        (
            Ata,
            2,
            "70 00 05 00 00 00 00 0a 00 00 00 00 20 00 00 00 00 00",
            "",
            "no answer: the controller does not pass SMART on (sense 5/20/00)",
        ),
        (
            Ata,
            0,
            "",
            "",
            "no answer: the controller gives no ATA registers back",
        ),
        (
            Ata,
            2,
            "72 01 00 1d 00 00 00 0e  09 0c 00 00 00 00 00 00 00 00 00 00 00 50",
            "",
            "no answer: SMART RETURN STATUS gave 00/00, which means nothing",
        ),
        // Cut short.
        (
            Ata,
            2,
            "72 01 00 1d 00 00 00 0e  09 0c 00 00 00",
            "",
            "no answer: the controller does not pass SMART on (sense 1/00/1D)",
        ),
        // Page 2Fh, parameter 0000h of 4 bytes: code, qualifier, temperature.
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 00 00 1e 00",
            "passed",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 5d 10 1e 00",
            "failing: SMART: failure predicted, hardware (5D/10)",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 5d 00 1e 00",
            "failing: SMART: failure predicted, threshold exceeded (5D/00)",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 5d ff 1e 00",
            "warned: SMART: a test of the failure prediction is on (5D/FF)",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 0b 01 50 00",
            "warned: SMART: it is too hot (0B/01)",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 08  00 00 03 04 0b 03 1e 00",
            "failing: SMART: it warns of itself (0B/03)",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00 00 06  00 00 03 02 5d 02",
            "failing: SMART: failure predicted, logical unit (5D/02)",
        ),
        // Save parameters and subpage bits are not part of the page code.
        (
            Scsi,
            0,
            "",
            "af 00 00 08  00 00 03 04 00 00 1e 00",
            "passed",
        ),
        (
            Scsi,
            0,
            "",
            "0d 00 00 08  00 00 03 04 5d 00 1e 00",
            "no answer: the informational exceptions page is malformed",
        ),
        (
            Scsi,
            0,
            "",
            "2f 00",
            "no answer: the informational exceptions page is malformed",
        ),
        // QEMU's scsi-hd: invalid field in CDB.
        (
            Scsi,
            2,
            "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 00 00 00",
            "",
            "no answer: the disk has no informational exceptions page",
        ),
        (
            Scsi,
            2,
            "70 00 01 00 00 00 00 0a 00 00 00 00 5d 00 00 00 00 00",
            "",
            "failing: SMART: failure predicted, threshold exceeded (5D/00)",
        ),
        (
            Scsi,
            2,
            "70 00 02 00 00 00 00 0a 00 00 00 00 04 02 00 00 00 00",
            "",
            "no answer: the disk does not answer LOG SENSE (sense 2/04/02)",
        ),
        (
            Scsi,
            8,
            "",
            "",
            "no answer: LOG SENSE ended with SCSI status 0x08",
        ),
        // Critical warning, composite temperature, available spare, threshold, used.
        (Nvme, 0, "", "00 2e 01 64 0a 03", "passed"),
        (
            Nvme,
            0,
            "",
            "01 2e 01 05 0a 63",
            "failing: SMART: the spare area is nearly used up (01)",
        ),
        (
            Nvme,
            0,
            "",
            "02 71 01 64 0a 03",
            "warned: SMART: it is too hot or too cold (02)",
        ),
        (
            Nvme,
            0,
            "",
            "0c 2e 01 00 0a ff",
            "failing: SMART: it has become unreliable, it is read-only now (0C)",
        ),
        (
            Nvme,
            0,
            "",
            "80 2e 01 00 0a ff",
            "failing: SMART: critical warning (80)",
        ),
        (
            Nvme,
            0x4002,
            "",
            "",
            "no answer: Get Log Page ended with NVMe status 0x4002",
        ),
        (Nvme, 0, "", "", "no answer: the health log page is empty"),
    ] {
        let raw = answer(command, status, sense, data);
        assert_eq!(say(&raw), expected, "{command:?} {sense} {data}");
    }
}

#[test]
fn events_are_not_answers() {
    for (sense, expected) in [
        (
            "70 00 06 00 00 00 00 0a 00 00 00 00 29 00 00 00 00 00",
            true,
        ),
        ("72 06 29 00 00 00 00 00", true),
        (
            "70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 00 00 00",
            false,
        ),
        ("", false),
    ] {
        let raw = answer(HealthCommand::Scsi, 2, sense, "");
        assert_eq!(is_event(&raw), expected, "{sense}");
    }
}

#[test]
fn recorded_as_digits() {
    let raw = answer(HealthCommand::Scsi, 0, "", "2f00");
    let text = serde_json::to_string(&raw).unwrap();
    assert_eq!(
        text,
        r#"{"command":"scsi","status":0,"sense":"","data":"2f00"}"#
    );
    assert_eq!(serde_json::from_str::<RawHealth>(&text).unwrap(), raw);
}

proptest! {
    /// No answer panics, and only an answer that is long enough gives a verdict.
    #[test]
    fn any_bytes(
        kind in 0_usize..3,
        status in prop::sample::select(&[0_u16, 2, 8, 0x4002][..]),
        head in prop::sample::select(&[0x70_u8, 0x71, 0x72, 0x73, 0xf0, 0x2f, 0][..]),
        mut sense in prop::collection::vec(any::<u8>(), 0..40),
        mut data in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for bytes in [&mut sense, &mut data] {
            if let Some(first) = bytes.first_mut() {
                *first = head;
            }
        }
        let command = [HealthCommand::Ata, HealthCommand::Scsi, HealthCommand::Nvme][kind];
        let empty = sense.is_empty() && data.is_empty();
        let raw = RawHealth { command, status, sense, data };
        let verdict = verdict(&raw);
        prop_assert!(verdict.is_err() || !empty);
    }
}

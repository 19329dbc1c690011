//! Frames and datagrams: right ones are understood, anything else is never a panic.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be made here is a fault of the test"
)]

use std::net::Ipv4Addr;
use std::time::Duration;

use preflight::Neighbour;
use preflight::wire::{arp, lldp, mac_bytes, sntp};
use proptest::prelude::*;

/// An LLDP frame of type-length-value parts.
fn frame(parts: &[(u16, &[u8])]) -> Vec<u8> {
    let mut frame = vec![
        0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x3c, 0x61, 0x04, 1, 2, 3, 0x88, 0xcc,
    ];
    for (kind, value) in parts {
        let head = (kind << 9) | u16::try_from(value.len()).unwrap();
        frame.extend(head.to_be_bytes());
        frame.extend(*value);
    }
    frame
}

const CHASSIS: (u16, &[u8]) = (1, &[4, 0x3c, 0x61, 0x04, 1, 2, 3]);
const END: (u16, &[u8]) = (0, &[]);

fn neighbour(parts: &[(u16, &[u8])]) -> Option<Neighbour> {
    lldp::parse(&frame(parts))
}

#[test]
fn a_switch_is_known_by_name_and_port() {
    // Junos names the port by its SNMP index and writes the name into the description; others do it the other way round.
    let junos = neighbour(&[
        CHASSIS,
        (2, b"\x07550"),
        (3, &[0, 120]),
        (4, b"xe-0/0/0.0"),
        (5, b"sw1.example.net"),
        (127, &[0, 0x80, 0xc2, 1, 0, 40]),
        END,
    ])
    .unwrap();
    assert_eq!(junos.chassis.as_deref(), Some("3c:61:04:01:02:03"));
    assert!(lldp::is_system(&junos, "sw1") && lldp::is_system(&junos, "SW1.example.net"));
    assert!(lldp::is_port(&junos, "xe-0/0/0") && lldp::is_port(&junos, "550"));
    assert!(!lldp::is_port(&junos, "xe-0/0/1") && !lldp::is_system(&junos, "sw2"));
    let linux = neighbour(&[CHASSIS, (2, b"\x05swp1"), (3, &[0, 120]), (5, b"leaf1")]).unwrap();
    assert!(lldp::is_port(&linux, "swp1") && lldp::is_system(&linux, "leaf1"));
    let named_by_address = neighbour(&[CHASSIS, (2, &[4, 1, 192, 0, 2, 9]), END]).unwrap();
    assert_eq!(named_by_address.port.as_deref(), Some("192.0.2.9"));
}

#[test]
fn what_is_no_lldp_is_nobody() {
    assert_eq!(neighbour(&[]), None);
    assert_eq!(neighbour(&[CHASSIS, END]), None);
    assert_eq!(neighbour(&[(2, b"\x05swp1"), END]), None);
    let mut cut = frame(&[CHASSIS, (2, b"\x05swp1")]);
    cut.truncate(cut.len() - 2);
    assert_eq!(lldp::parse(&cut), None);
    let mut other = frame(&[CHASSIS, (2, b"\x05swp1"), END]);
    other[12] = 0x08;
    assert_eq!(lldp::parse(&other), None);
}

/// What a stranger says goes to consoles: no escape sequence may come along.
#[test]
fn control_characters_are_dropped() {
    let rude = neighbour(&[
        CHASSIS,
        (2, b"\x05\x1b[2Jswp1\x07"),
        (5, b"\x1b]0;owned\x07"),
        END,
    ]);
    let rude = rude.unwrap();
    assert_eq!(rude.port.as_deref(), Some("[2Jswp1"));
    assert_eq!(rude.system.as_deref(), Some("]0;owned"));
}

const OWN: [u8; 6] = [0x0c, 0xc4, 0x7a, 0, 0, 1];
const OTHER: [u8; 6] = [0x0c, 0xc4, 0x7a, 0, 0, 2];

fn answer(sender: [u8; 6], address: [u8; 4], operation: u8) -> Vec<u8> {
    let mut frame = arp::probe(sender, Ipv4Addr::from(address));
    frame[21] = operation;
    frame[28..32].copy_from_slice(&address);
    frame
}

#[test]
fn only_another_machine_claims_an_address() {
    let address = Ipv4Addr::new(10, 77, 40, 41);
    let claim = |frame: &[u8]| arp::claim(frame, OWN, address);
    let theirs = Some("0c:c4:7a:00:00:02".to_owned());
    assert_eq!(claim(&answer(OTHER, address.octets(), 2)), theirs);
    assert_eq!(
        claim(&answer(OTHER, address.octets(), 1)),
        theirs,
        "an announcement"
    );
    assert_eq!(
        claim(&arp::probe(OTHER, address)),
        theirs,
        "it probes at the same time"
    );
    assert_eq!(claim(&arp::probe(OWN, address)), None, "our own probe");
    assert_eq!(claim(&answer(OTHER, [10, 77, 40, 42], 2)), None);
    // Somebody who asks for the address does not have it.
    let mut asks = answer(OTHER, [10, 77, 40, 42], 1);
    asks[38..42].copy_from_slice(&address.octets());
    assert_eq!(claim(&asks), None);
    assert_eq!(arp::probe(OWN, address).len(), 60);
}

#[test]
fn addresses_of_ports() {
    assert_eq!(mac_bytes("0C:c4:7a:00:00:01"), Some(OWN));
    for wrong in [
        "",
        "0c:c4:7a:00:00",
        "0c:c4:7a:00:00:01:02",
        "0c:c4:7a:0:0:1",
        "0c:c4:7a:00:00:+1",
    ] {
        assert_eq!(mac_bytes(wrong), None, "{wrong}");
    }
}

/// What a server with its clock `offset` ms away from ours answers, at `now` ms since 1970.
fn time(cookie: u64, now: i128) -> Vec<u8> {
    let mut packet = vec![0; 48];
    packet[0] = 0x24;
    packet[1] = 2;
    packet[24..32].copy_from_slice(&cookie.to_be_bytes());
    let seconds = now.div_euclid(1000) + 2_208_988_800;
    let fraction = (now.rem_euclid(1000) << 32) / 1000;
    for at in [32, 40] {
        let bytes = u32::try_from(seconds % (1 << 32)).unwrap().to_be_bytes();
        packet[at..at + 4].copy_from_slice(&bytes);
        packet[at + 4..at + 8].copy_from_slice(&u32::try_from(fraction).unwrap().to_be_bytes());
    }
    packet
}

#[test]
fn a_clock_of_1970_is_56_years_behind() {
    let ours = Duration::from_secs(30);
    let offset = sntp::offset(&time(7, 1_795_421_805_000), 7, ours, ours).unwrap();
    assert_eq!(offset, 1_795_421_775_000);
}

#[test]
fn a_server_without_the_time_gives_none() {
    let ours = Duration::from_secs(1_795_421_805);
    let right = time(7, 1_795_421_805_000);
    assert_eq!(sntp::offset(&right, 7, ours, ours), Ok(0));
    assert_eq!(
        sntp::offset(&right, 8, ours, ours),
        Err(sntp::NoTime::Foreign)
    );
    assert_eq!(
        sntp::offset(&right[..47], 7, ours, ours),
        Err(sntp::NoTime::Foreign)
    );
    for (at, value) in [(1, 0), (1, 16), (0, 0xe4)] {
        let mut wrong = right.clone();
        wrong[at] = value;
        assert_eq!(
            sntp::offset(&wrong, 7, ours, ours),
            Err(sntp::NoTime::Unsynchronised)
        );
    }
}

proptest! {
    #[test]
    fn any_frame_is_survived(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut tagged = frame.clone();
        if tagged.len() > 14 {
            tagged[12..14].copy_from_slice(&[0x88, 0xcc]);
        }
        for frame in [&frame, &tagged] {
            if let Some(neighbour) = lldp::parse(frame) {
                for text in [neighbour.system, neighbour.port, neighbour.description, neighbour.chassis] {
                    prop_assert!(!text.unwrap_or_default().contains(char::is_control));
                }
            }
        }
        let _claim = arp::claim(&frame, OWN, Ipv4Addr::LOCALHOST);
        let _offset = sntp::offset(&frame, 1, Duration::ZERO, Duration::ZERO);
    }

    /// Any time of either side between 1970 and 2100, also past the end of the first era in 2036.
    #[test]
    fn offsets_are_right(theirs in 0i128..4_102_444_800_000, ours in 0u64..4_102_444_800_000) {
        let now = Duration::from_millis(ours);
        let offset = sntp::offset(&time(9, theirs), 9, now, now).unwrap();
        // A fraction of a second has 32 bits: a millisecond may be cut off.
        prop_assert!((i128::from(offset) - (theirs - i128::from(ours))).abs() <= 1);
    }
}

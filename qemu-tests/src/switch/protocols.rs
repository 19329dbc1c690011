//! What the switch says itself: LLDP, and its side of link aggregation (LACP).

use super::frame::{Frame, Mac};

/// Nearest bridge (IEEE 802.1AB, 7.1).
const LLDP_ADDRESS: Mac = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// Slow protocols (IEEE 802.3, annex 57A).
const SLOW_ADDRESS: Mac = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x02];
const LLDP: u16 = 0x88cc;
const SLOW: u16 = 0x8809;
/// Activity, short timeout, aggregation, synchronisation, collecting, distributing (IEEE 802.1AX, 6.4.2.3).
const STATE: u8 = 0b0011_1111;

/// The LLDP frame of a port: chassis and port by name, as an EX4550 says them with `port-id-subtype interface-name`.
pub(super) fn lldp(switch: &str, own: Mac, port: &str) -> Frame {
    let mut bytes = header(LLDP_ADDRESS, own, LLDP);
    let mut value = |kind: u8, subtype: Option<u8>, text: &[u8]| {
        let length = text.len() + usize::from(subtype.is_some());
        // 7 bits of type, 9 of length; names here are short.
        let length = u8::try_from(length).unwrap_or(u8::MAX);
        bytes.extend([kind << 1, length]);
        bytes.extend(subtype);
        bytes.extend(text);
    };
    value(1, Some(4), &own);
    value(2, Some(5), port.as_bytes());
    value(3, None, &[0, 120]);
    value(5, None, switch.as_bytes());
    value(0, None, &[]);
    Frame { vlan: None, bytes }
}

/// Whether a frame is from the other side of an aggregation.
pub(super) fn is_lacp(frame: &Frame) -> bool {
    frame.destination() == SLOW_ADDRESS && frame.kind() == SLOW && frame.bytes.get(14) == Some(&1)
}

/// The answer to a LACP frame: we are in the state that the other side hopes for, and know it as it said it is.
/// Absent if the frame is too short.
pub(super) fn lacp_answer(frame: &Frame, own: Mac, aggregate: u16, port: u16) -> Option<Frame> {
    // Subtype, version, then the actor's part: type 1, length 20, 18 bytes that say who it is.
    let actor = frame.bytes.get(18..18 + 15)?;
    let mut bytes = header(SLOW_ADDRESS, own, SLOW);
    bytes.extend([1, 1, 1, 20]);
    bytes.extend([0x80, 0x00]);
    bytes.extend(own);
    bytes.extend(aggregate.to_be_bytes());
    bytes.extend([0x80, 0x00]);
    bytes.extend(port.to_be_bytes());
    bytes.push(STATE);
    bytes.extend([0; 3]);
    bytes.extend([2, 20]);
    bytes.extend(actor);
    bytes.extend([0; 3]);
    // Collector: no delay; terminator; reserved.
    bytes.extend([3, 16]);
    bytes.resize(124, 0);
    Some(Frame { vlan: None, bytes })
}

fn header(destination: Mac, source: Mac, kind: u16) -> Vec<u8> {
    let mut bytes = destination.to_vec();
    bytes.extend(source);
    bytes.extend(kind.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = [2, 0, 0, 0, 0, 1];

    #[test]
    fn lldp_names_switch_and_port() {
        let frame = lldp("sw1", OWN, "xe-0/0/3");
        assert_eq!(frame.kind(), LLDP);
        let text = hex(&frame.bytes[14..]);
        assert_eq!(
            text,
            "0207 04 020000000001 0409 05 78652d302f302f33 0602 0078 0a03 737731 0000"
                .replace(' ', "")
        );
    }

    #[test]
    fn lacp_answers_with_what_it_heard() {
        let mut bytes = header(SLOW_ADDRESS, [0x52, 0x54, 0, 0, 0, 9], SLOW);
        bytes.extend([1, 1, 1, 20]);
        let actor: Vec<u8> = (100..115).collect();
        bytes.extend(&actor);
        bytes.resize(124, 0);
        let frame = Frame { vlan: None, bytes };
        assert!(is_lacp(&frame));
        let answer = lacp_answer(&frame, OWN, 7, 3).unwrap();
        assert!(is_lacp(&answer));
        assert_eq!(answer.bytes.len(), 124);
        // Partner: type 2, length 20, what the actor said of itself.
        assert_eq!(&answer.bytes[36..38], &[2, 20]);
        assert_eq!(&answer.bytes[38..53], actor);
        assert_eq!(answer.bytes[32], STATE);
        let stump = Frame {
            vlan: None,
            bytes: frame.bytes[..30].to_vec(),
        };
        assert_eq!(lacp_answer(&stump, OWN, 7, 3), None);
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

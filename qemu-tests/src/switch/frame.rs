//! Ethernet frames as the switch needs them: addresses, VLAN tag, tagged and untagged forms (IEEE 802.3, 802.1Q).

/// A MAC address.
pub(super) type Mac = [u8; 6];

/// Type of a VLAN tag.
const TAG: [u8; 2] = [0x81, 0x00];
/// Destination, source and type.
pub(super) const HEADER: usize = 14;
/// Bytes of a VLAN tag.
pub(super) const TAG_LENGTH: usize = 4;
/// A frame on the wire has at least 60 bytes without its checksum.
const SHORTEST: usize = 60;

/// A frame, untagged, with the VLAN that its tag named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// VLAN of the tag; absent: untagged. Priority tags (VLAN 0) count as untagged.
    pub vlan: Option<u16>,
    /// Destination, source, type, payload.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Reads what came from the wire; absent if it is too short.
    pub fn read(mut wire: Vec<u8>) -> Option<Self> {
        let mut vlan = None;
        if wire.get(12..14)? == TAG {
            let tag = u16::from_be_bytes([*wire.get(14)?, *wire.get(15)?]) & 0x0fff;
            wire.drain(12..16);
            vlan = (tag != 0).then_some(tag);
        }
        (wire.len() >= HEADER).then_some(Self { vlan, bytes: wire })
    }

    /// As it goes out, with a tag or without.
    pub fn wire(&self, tag: Option<u16>) -> Vec<u8> {
        let mut wire = self.bytes.clone();
        if let Some(vlan) = tag {
            let [high, low] = vlan.to_be_bytes();
            wire.splice(12..12, [TAG[0], TAG[1], high, low]);
        }
        if wire.len() < SHORTEST {
            wire.resize(SHORTEST, 0);
        }
        wire
    }

    pub fn destination(&self) -> Mac {
        self.address(0)
    }

    pub fn source(&self) -> Mac {
        self.address(6)
    }

    /// EtherType.
    pub fn kind(&self) -> u16 {
        match self.bytes.get(12..14) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        }
    }

    /// Bytes that count against an MTU.
    pub fn payload(&self) -> usize {
        self.bytes.len().saturating_sub(HEADER)
    }

    fn address(&self, at: usize) -> Mac {
        let mut mac = [0; 6];
        if let Some(bytes) = self.bytes.get(at..at + 6) {
            mac.copy_from_slice(bytes);
        }
        mac
    }
}

/// Broadcast and multicast addresses have the lowest bit of the first byte set.
pub(super) fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

/// 01:80:C2:00:00:00 to 0F never leave a bridge's port (IEEE 802.1D, table 7-10).
pub(super) fn is_link_local(mac: Mac) -> bool {
    mac[..5] == [0x01, 0x80, 0xc2, 0x00, 0x00] && mac[5] < 0x10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(tag: &[u8], payload: usize) -> Vec<u8> {
        let mut wire = vec![0xff; 6];
        wire.extend([0x52, 0x54, 0, 0, 0, 1]);
        wire.extend(tag);
        wire.extend([0x08, 0x00]);
        wire.extend(std::iter::repeat_n(7, payload));
        wire
    }

    #[test]
    fn tags_come_off_and_go_on() {
        for (tag, vlan) in [
            (&[][..], None),
            (&[0x81, 0x00, 0x00, 0x28], Some(40)),
            (&[0x81, 0x00, 0xe0, 0x28], Some(40)),
            (&[0x81, 0x00, 0xe0, 0x00], None),
        ] {
            let frame = Frame::read(wire(tag, 100)).unwrap();
            assert_eq!(frame.vlan, vlan, "{tag:?}");
            assert_eq!(frame.bytes, wire(&[], 100), "{tag:?}");
            assert_eq!(frame.payload(), 100);
            assert_eq!(frame.kind(), 0x0800);
        }
        let frame = Frame::read(wire(&[], 100)).unwrap();
        assert_eq!(frame.wire(Some(40)), wire(&[0x81, 0x00, 0x00, 0x28], 100));
        assert_eq!(Frame::read(wire(&[], 1)).unwrap().wire(None).len(), 60);
    }

    #[test]
    fn stumps_are_no_frames() {
        let whole = wire(&[0x81, 0x00, 0x00, 0x28], 4);
        for length in 0..18 {
            assert_eq!(Frame::read(whole[..length].to_vec()), None, "{length}");
        }
    }
}

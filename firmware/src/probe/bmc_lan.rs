//! The BMC's network settings (IPMI 2.0, 23.2 and table 23-4). Only questions are asked.

use crate::bmc::supermicro;
use crate::inventory::{Bmc, BmcLan};
use crate::ipmi::IpmiTransport;

/// Get Channel Info.
const CHANNEL_INFO: (u8, u8) = (0x06, 0x42);
/// Get LAN Configuration Parameters.
const LAN_PARAMETERS: (u8, u8) = (0x0c, 0x02);
/// Settings of the first LAN channel; absent if the BMC names none.
pub fn read(transport: &mut dyn IpmiTransport, bmc: &Bmc) -> Option<BmcLan> {
    let channel = (1..=0x0b).find(|channel| {
        let (function, command) = CHANNEL_INFO;
        // Medium type 4 is an 802.3 LAN.
        transport
            .request(function, command, &[*channel])
            .is_ok_and(|answer| answer.get(1).map(|medium| medium & 0x7f) == Some(4))
    })?;
    let mut parameter = |number: u8, length: usize| -> Option<Vec<u8>> {
        let (function, command) = LAN_PARAMETERS;
        let answer = transport
            .request(function, command, &[channel, number, 0, 0])
            .ok()?;
        // The first byte is the parameter revision.
        Some(answer.get(1..=length)?.to_vec())
    };
    let dotted = |bytes: Vec<u8>| {
        bytes
            .iter()
            .map(u8::to_string)
            .collect::<Vec<_>>()
            .join(".")
    };
    let colons = |bytes: Vec<u8>| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .join(":")
    };
    let source = parameter(4, 1)
        .and_then(|bytes| bytes.first().map(|source| source & 0x0f))
        .map(|source| match source {
            1 => "static".to_owned(),
            2 => "dhcp".to_owned(),
            other => other.to_string(),
        });
    let vlan = parameter(20, 2).and_then(|bytes| {
        let word = u16::from_le_bytes(bytes.try_into().ok()?);
        (word & 0x8000 != 0).then_some(word & 0x0fff)
    });
    let lan = BmcLan {
        channel,
        address: parameter(3, 4).map(dotted),
        mac: parameter(5, 6).map(colons),
        mask: parameter(6, 4).map(dotted),
        gateway: parameter(12, 4).map(dotted),
        source,
        vlan,
        mode: None,
    };
    Some(BmcLan {
        mode: mode(transport, bmc),
        ..lan
    })
}

fn mode(transport: &mut dyn IpmiTransport, bmc: &Bmc) -> Option<String> {
    let known = supermicro::is_known(bmc.manufacturer?, bmc.product?);
    let mode = known
        .then(|| supermicro::lan_mode(transport).ok())
        .flatten()?;
    Some(mode.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipmi::IpmiError;

    /// An X10 BMC with its LAN on channel 1, and a list of what it was asked.
    #[derive(Default)]
    struct Scripted(Vec<(u8, u8)>);

    impl IpmiTransport for Scripted {
        fn request(
            &mut self,
            function: u8,
            command: u8,
            data: &[u8],
        ) -> Result<Vec<u8>, IpmiError> {
            self.0.push((function, command));
            match (function, command, data) {
                (6, 0x42, [1]) => Ok(vec![1, 4, 1, 0x80, 0xf2, 0x1b, 0, 0, 0]),
                (6, 0x42, _) => Ok(vec![2, 5, 0, 0, 0, 0, 0, 0, 0]),
                (0x0c, 2, [1, 3, 0, 0]) => Ok(vec![0x11, 192, 0, 2, 10]),
                (0x0c, 2, [1, 4, 0, 0]) => Ok(vec![0x11, 1]),
                (0x0c, 2, [1, 5, 0, 0]) => Ok(vec![0x11, 0x0c, 0xc4, 0x7a, 1, 2, 3]),
                (0x0c, 2, [1, 6, 0, 0]) => Ok(vec![0x11, 255, 255, 255, 0]),
                (0x0c, 2, [1, 12, 0, 0]) => Ok(vec![0x11, 192, 0]),
                (0x0c, 2, [1, 20, 0, 0]) => Ok(vec![0x11, 0x2a, 0x80]),
                (0x30, 0x70, [0x0c, 0]) => Ok(vec![2]),
                _ => Err(IpmiError::Refused {
                    function,
                    command,
                    code: 0xc1,
                }),
            }
        }
    }

    #[test]
    fn settings_of_an_x10_bmc() {
        let bmc = Bmc {
            manufacturer: Some(10876),
            product: Some(0x859),
            ..Bmc::default()
        };
        let lan = read(&mut Scripted::default(), &bmc).unwrap();
        assert_eq!(
            lan,
            BmcLan {
                channel: 1,
                mac: Some("0c:c4:7a:01:02:03".into()),
                address: Some("192.0.2.10".into()),
                mask: Some("255.255.255.0".into()),
                // The answer was too short.
                gateway: None,
                source: Some("static".into()),
                vlan: Some(42),
                mode: Some("failover".into()),
            }
        );
    }

    #[test]
    fn oem_commands_go_only_to_boards_that_know_them() {
        for (manufacturer, product) in [
            (Some(674), Some(0x859)),
            (Some(10876), Some(1)),
            (None, None),
        ] {
            let mut transport = Scripted::default();
            let lan = read(
                &mut transport,
                &Bmc {
                    manufacturer,
                    product,
                    ..Bmc::default()
                },
            )
            .unwrap();
            assert_eq!(lan.mode, None);
            assert!(!transport.0.iter().any(|(function, _)| *function == 0x30));
        }
    }
}

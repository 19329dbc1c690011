//! The management controller's identity: from sysfs, which needs no request; else by Get Device ID.

use super::bmc_lan;
use super::tree::Tree;
use crate::inventory::{Bmc, Gap};
use crate::ipmi::IpmiTransport;

/// Network function and command of Get Device ID (IPMI 2.0, 20.1).
const GET_DEVICE_ID: (u8, u8) = (0x06, 0x01);

/// What is known of the BMC; absent if there is no trace of one.
pub fn read(
    tree: &Tree,
    transport: Option<&mut dyn IpmiTransport>,
    gaps: &mut Vec<Gap>,
) -> Option<Bmc> {
    let mut bmc = from_files(tree);
    if let Some(transport) = transport {
        let (function, command) = GET_DEVICE_ID;
        match transport.request(function, command, &[]) {
            Ok(answer) => {
                let known = bmc.get_or_insert_with(Bmc::default);
                known.answers = true;
                if let Some(told) = device_id(&answer) {
                    known.manufacturer = known.manufacturer.or(told.manufacturer);
                    known.product = known.product.or(told.product);
                    known.firmware = known.firmware.take().or(told.firmware);
                }
                known.lan = bmc_lan::read(transport, known);
            }
            Err(error) => gaps.push(Gap {
                part: "bmc".to_owned(),
                reason: error.to_string(),
            }),
        }
    }
    bmc
}

fn from_files(tree: &Tree) -> Option<Bmc> {
    let platform = "/sys/devices/platform";
    let directory = tree
        .list(platform)
        .into_iter()
        .find(|name| name.starts_with("ipmi_bmc."))?;
    let base = format!("{platform}/{directory}");
    Some(Bmc {
        manufacturer: tree.hexadecimal(&format!("{base}/manufacturer_id")),
        product: tree.hexadecimal(&format!("{base}/product_id")),
        firmware: tree.text(&format!("{base}/firmware_revision")),
        guid: tree.text(&format!("{base}/guid")),
        answers: tree.exists("/dev/ipmi0"),
        lan: None,
        factory_password: None,
    })
}

/// Answer to Get Device ID: revision in bytes 2 and 3 (the second is BCD), maker in 6 to 8, product in 9 and 10.
fn device_id(answer: &[u8]) -> Option<Bmc> {
    let byte = |offset: usize| answer.get(offset).copied().map(u32::from);
    Some(Bmc {
        firmware: Some(format!("{}.{:02x}", byte(2)? & 0x7f, byte(3)?)),
        manufacturer: Some(byte(6)? | byte(7)? << 8 | (byte(8)? & 0x0f) << 16),
        product: Some(byte(9)? | byte(10)? << 8),
        ..Bmc::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipmi::IpmiError;

    struct Scripted(Result<Vec<u8>, IpmiError>);

    impl IpmiTransport for Scripted {
        fn request(&mut self, function: u8, command: u8, _: &[u8]) -> Result<Vec<u8>, IpmiError> {
            if (function, command) == GET_DEVICE_ID {
                return self.0.clone();
            }
            Err(IpmiError::Refused {
                function,
                command,
                code: 0xc1,
            })
        }
    }

    #[test]
    fn device_id_of_a_supermicro_bmc() {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::new(camino::Utf8Path::from_path(root.path()).unwrap());
        let answer = vec![
            0x20, 1, 3, 0x80, 2, 0xbf, 0x7c, 0x2a, 0, 0x59, 0x08, 0, 0, 0, 0,
        ];
        let mut gaps = Vec::new();
        let bmc = read(&tree, Some(&mut Scripted(Ok(answer))), &mut gaps).unwrap();
        assert_eq!(
            (bmc.manufacturer, bmc.product, bmc.firmware.as_deref()),
            (Some(10876), Some(0x859), Some("3.80"))
        );
        assert!(bmc.answers && gaps.is_empty());
        let refused = IpmiError::Refused {
            function: 6,
            command: 1,
            code: 0xc0,
        };
        assert_eq!(
            read(&tree, Some(&mut Scripted(Err(refused))), &mut gaps),
            None
        );
        assert_eq!(
            gaps[0].reason,
            "the BMC refused request 0x06/0x01 with completion code 0xc0"
        );
        assert_eq!(device_id(&[1, 2]), None);
    }
}

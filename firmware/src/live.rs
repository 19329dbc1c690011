//! The live machine: reads of devices, the ethtool ioctl and `/dev/ipmi0`. The crate's one module with effects; it only
//! reads.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use ipmi_rs::connection::{
    IpmiConnection, LogicalUnit, Message, NetFn, Request, RequestTargetAddress,
};

use crate::ipmi::{IpmiError, IpmiTransport};
use crate::probe::Instruments;
use crate::signature::{self, Signature};

/// A KCS interface answers in milliseconds; some commands take the BMC seconds.
const IPMI_PATIENCE: Duration = Duration::from_secs(5);
/// Completion code of a busy BMC (IPMI 2.0, table 5-2).
const NODE_BUSY: u8 = 0xc0;
/// Attempts while the BMC is busy or the call is interrupted.
const ATTEMPTS: u32 = 5;

/// Answers of the running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live;

impl Instruments for Live {
    fn network_firmware(&mut self, kernel_name: &str) -> Option<String> {
        ethtool::firmware(kernel_name)
    }

    fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String> {
        labels(kernel_name).map_err(|error| error.to_string())
    }
}

fn labels(kernel_name: &str) -> std::io::Result<Vec<Signature>> {
    // sysfs writes `!` for the `/` in names such as `cciss/c0d0`.
    let mut device = File::open(format!("/dev/{}", kernel_name.replace('!', "/")))?;
    let size = device.seek(SeekFrom::End(0))?;
    let mut ends = [
        (SeekFrom::Start(0), signature::HEAD),
        (
            SeekFrom::Start(size.saturating_sub(signature::TAIL as u64)),
            signature::TAIL,
        ),
    ]
    .map(|(place, length)| {
        device.seek(place)?;
        let mut bytes = Vec::with_capacity(length);
        (&device).take(length as u64).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    })
    .into_iter();
    let head = ends.next().transpose()?.unwrap_or_default();
    let tail = ends.next().transpose()?.unwrap_or_default();
    Ok(signature::scan(&head, &tail, size))
}

/// The BMC over the kernel's driver.
pub struct IpmiDevice {
    device: ipmi_rs::File,
}

impl IpmiDevice {
    /// Opens `/dev/ipmi0`.
    ///
    /// # Errors
    /// If there is no such device or it cannot be opened.
    pub fn open() -> std::io::Result<Self> {
        Ok(Self {
            device: ipmi_rs::File::new("/dev/ipmi0", IPMI_PATIENCE)?,
        })
    }
}

impl IpmiTransport for IpmiDevice {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let mut last = IpmiError::Unreachable {
            function,
            command,
            reason: "no attempt was made".to_owned(),
        };
        for _ in 0..ATTEMPTS {
            let message = Message::new_request(NetFn::from(function), command, data.to_vec());
            let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
            last = match self.device.send_recv(&mut request) {
                Ok(response) if response.cc() == 0 => return Ok(response.data().to_vec()),
                Ok(response) => {
                    let refused = IpmiError::Refused {
                        function,
                        command,
                        code: response.cc(),
                    };
                    if response.cc() != NODE_BUSY {
                        return Err(refused);
                    }
                    refused
                }
                Err(error) => {
                    let unreachable = IpmiError::Unreachable {
                        function,
                        command,
                        reason: error.to_string(),
                    };
                    if error.kind() != std::io::ErrorKind::Interrupted {
                        return Err(unreachable);
                    }
                    unreachable
                }
            };
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(last)
    }
}

/// `ETHTOOL_GDRVINFO` (linux/ethtool.h): the only source of a port's firmware version besides netlink.
#[expect(unsafe_code, reason = "an ioctl with a pointer in its argument")]
mod ethtool {
    use std::os::fd::AsRawFd;

    use nix::libc::ifreq;
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

    const GET_DRIVER_INFORMATION: u32 = 3;

    #[repr(C)]
    struct DriverInformation {
        command: u32,
        driver: [u8; 32],
        version: [u8; 32],
        firmware: [u8; 32],
        bus: [u8; 32],
        option_rom: [u8; 32],
        reserved: [u8; 12],
        counts: [u32; 5],
    }

    // SIOCETHTOOL has no direction and size in its number.
    nix::ioctl_readwrite_bad!(query, 0x8946, ifreq);

    pub(super) fn firmware(name: &str) -> Option<String> {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Datagram,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .ok()?;
        let mut information = DriverInformation {
            command: GET_DRIVER_INFORMATION,
            driver: [0; 32],
            version: [0; 32],
            firmware: [0; 32],
            bus: [0; 32],
            option_rom: [0; 32],
            reserved: [0; 12],
            counts: [0; 5],
        };
        // SAFETY: `ifreq` is plain data, all zeros is a valid value.
        let mut request: ifreq = unsafe { std::mem::zeroed() };
        // The last byte stays NUL.
        let room = request.ifr_name.len() - 1;
        if name.len() > room {
            return None;
        }
        for (target, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *target = byte.cast_signed();
        }
        request.ifr_ifru.ifru_data = std::ptr::from_mut(&mut information).cast();
        // SAFETY: the kernel writes at most the structure that `ifru_data` points to, which outlives the call.
        unsafe { query(socket.as_raw_fd(), &raw mut request) }.ok()?;
        let end = information
            .firmware
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(32);
        let text = String::from_utf8_lossy(information.firmware.get(..end)?)
            .trim()
            .to_owned();
        (!text.is_empty() && text != "N/A").then_some(text)
    }
}

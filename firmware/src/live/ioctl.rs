//! The four ioctls, with their structures as the kernel's headers have them. Each is asked for data only.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::libc::ifreq;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::port_module;

/// Milliseconds a disk has for one answer.
const DISK_PATIENCE: u32 = 5_000;

/// Structures of linux/ethtool.h; their first field is the command.
trait EthtoolRequest {}

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

#[repr(C)]
struct ModuleInformation {
    command: u32,
    kind: u32,
    length: u32,
    reserved: [u32; 8],
}

#[repr(C)]
struct ModuleMemory {
    command: u32,
    magic: u32,
    offset: u32,
    /// Bytes of `data` that the kernel may fill.
    length: u32,
    data: [u8; port_module::LENGTH],
}

impl EthtoolRequest for DriverInformation {}
impl EthtoolRequest for ModuleInformation {}
impl EthtoolRequest for ModuleMemory {}

const GET_DRIVER_INFORMATION: u32 = 0x03;
const GET_MODULE_INFORMATION: u32 = 0x42;
const GET_MODULE_MEMORY: u32 = 0x43;

/// `sg_io_hdr` of scsi/sg.h.
#[repr(C)]
struct ScsiRequest {
    interface: i32,
    direction: i32,
    command_length: u8,
    most_sense: u8,
    pieces: u16,
    data_length: u32,
    data: *mut u8,
    command: *const u8,
    sense: *mut u8,
    patience: u32,
    flags: u32,
    pack: i32,
    user: *mut u8,
    status: u8,
    masked_status: u8,
    message_status: u8,
    sense_written: u8,
    host_status: u16,
    driver_status: u16,
    residual: i32,
    duration: u32,
    information: u32,
}

const NO_DATA: i32 = -1;
const FROM_DEVICE: i32 = -3;

/// `nvme_admin_cmd` of linux/nvme_ioctl.h.
#[repr(C)]
pub struct NvmeRequest {
    opcode: u8,
    flags: u8,
    reserved: u16,
    namespace: u32,
    words_2: [u32; 2],
    metadata: u64,
    data: u64,
    metadata_length: u32,
    data_length: u32,
    words_10: [u32; 6],
    patience: u32,
    result: u32,
}

// SIOCETHTOOL and SG_IO have no direction and size in their numbers.
nix::ioctl_readwrite_bad!(ethtool, 0x8946, ifreq);
nix::ioctl_readwrite_bad!(scsi_request, 0x2285, ScsiRequest);
nix::ioctl_readwrite!(nvme_request, b'N', 0x41, NvmeRequest);

/// `ETHTOOL_GDRVINFO`: the only source of a port's firmware version besides netlink.
pub(super) fn firmware(name: &str) -> Option<String> {
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
    ask_port(name, &mut information).ok()?;
    let end = information.firmware.iter().position(|byte| *byte == 0);
    let text = String::from_utf8_lossy(information.firmware.get(..end.unwrap_or(32))?)
        .trim()
        .to_owned();
    (!text.is_empty() && text != "N/A").then_some(text)
}

/// `ETHTOOL_GMODULEINFO`, then `ETHTOOL_GMODULEEEPROM`: layout and memory.
pub(super) fn module(name: &str) -> io::Result<(u32, Vec<u8>)> {
    let mut information = ModuleInformation {
        command: GET_MODULE_INFORMATION,
        kind: 0,
        length: 0,
        reserved: [0; 8],
    };
    ask_port(name, &mut information)?;
    let length = port_module::LENGTH.min(information.length as usize);
    let mut memory = ModuleMemory {
        command: GET_MODULE_MEMORY,
        magic: 0,
        offset: 0,
        length: u32::try_from(length).unwrap_or(0),
        data: [0; port_module::LENGTH],
    };
    ask_port(name, &mut memory)?;
    Ok((information.kind, memory.data[..length].to_vec()))
}

fn ask_port<T: EthtoolRequest>(name: &str, request: &mut T) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: `ifreq` is plain data, all zeros is a valid value.
    let mut port: ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays NUL.
    if name.len() >= port.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (target, byte) in port.ifr_name.iter_mut().zip(name.bytes()) {
        *target = byte.cast_signed();
    }
    port.ifr_ifru.ifru_data = std::ptr::from_mut(request).cast();
    // SAFETY: the kernel writes at most the structure that `ifru_data` points to (of `ModuleMemory` at most `length` bytes
    // behind the header, which `module` keeps within `data`); it outlives the call.
    unsafe { ethtool(socket.as_raw_fd(), &raw mut port) }?;
    Ok(())
}

/// Answer of a SCSI device.
pub(super) struct ScsiAnswer {
    /// SCSI status byte.
    pub(super) status: u8,
    /// Not zero if the command did not reach the device (`DID_*` of scsi/scsi_status.h).
    pub(super) host_status: u16,
    /// Sense data.
    pub(super) sense: Vec<u8>,
    /// Bytes of data that came.
    pub(super) data: usize,
}

/// `SG_IO` of a command that reads into `data`, or has no data if that is empty.
pub(super) fn scsi(device: &File, command: &[u8], data: &mut [u8]) -> io::Result<ScsiAnswer> {
    let refused = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut sense = [0u8; 64];
    let mut request = ScsiRequest {
        interface: i32::from(b'S'),
        direction: if data.is_empty() {
            NO_DATA
        } else {
            FROM_DEVICE
        },
        command_length: u8::try_from(command.len()).map_err(refused)?,
        most_sense: 64,
        pieces: 0,
        data_length: u32::try_from(data.len()).map_err(refused)?,
        data: data.as_mut_ptr(),
        command: command.as_ptr(),
        sense: sense.as_mut_ptr(),
        patience: DISK_PATIENCE,
        flags: 0,
        pack: 0,
        user: std::ptr::null_mut(),
        status: 0,
        masked_status: 0,
        message_status: 0,
        sense_written: 0,
        host_status: 0,
        driver_status: 0,
        residual: 0,
        duration: 0,
        information: 0,
    };
    // SAFETY: all pointers lead to buffers of the stated lengths, which outlive the call; the kernel only reads `command`.
    unsafe { scsi_request(device.as_raw_fd(), &raw mut request) }?;
    let left = usize::try_from(request.residual).unwrap_or(0);
    Ok(ScsiAnswer {
        status: request.status,
        host_status: request.host_status,
        sense: sense
            .into_iter()
            .take(usize::from(request.sense_written))
            .collect(),
        data: data.len().saturating_sub(left),
    })
}

/// Get Log Page (NVMe base specification 1.4) of the whole controller; gives the NVMe status.
pub(super) fn nvme_log(device: &File, page: u8, data: &mut [u8]) -> io::Result<u16> {
    let refused = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let length = u32::try_from(data.len()).map_err(refused)?;
    let words = (length / 4).saturating_sub(1);
    let mut request = NvmeRequest {
        opcode: 0x02,
        flags: 0,
        reserved: 0,
        namespace: u32::MAX,
        words_2: [0; 2],
        metadata: 0,
        data: data.as_mut_ptr() as u64,
        metadata_length: 0,
        data_length: length,
        words_10: [u32::from(page) | words << 16, 0, 0, 0, 0, 0],
        patience: DISK_PATIENCE,
        result: 0,
    };
    // SAFETY: `data` has the stated length and outlives the call.
    let status = unsafe { nvme_request(device.as_raw_fd(), &raw mut request) }?;
    Ok(u16::try_from(status).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Added up from the headers, for 64-bit machines.
    #[test]
    fn sizes() {
        assert_eq!(size_of::<DriverInformation>(), 196);
        assert_eq!(size_of::<ModuleInformation>(), 44);
        assert_eq!(size_of::<ModuleMemory>(), 16 + 512);
        assert_eq!(size_of::<ScsiRequest>(), 88);
        assert_eq!(size_of::<NvmeRequest>(), 72);
    }
}

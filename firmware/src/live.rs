//! The live machine: reads of devices, a few ioctls and `/dev/ipmi0`. Beside [`crate::bmc::remote`] the crate's one
//! module with effects; what it is asked to read it reads, and only a BMC is ever told anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use ipmi_rs::connection::{
    IpmiConnection, LogicalUnit, Message, NetFn, Request, RequestTargetAddress,
};

use crate::health::{self, HealthCommand, RawHealth};
use crate::ipmi::{IpmiError, IpmiTransport, Patient};
use crate::port_module::RawModule;
use crate::probe::Instruments;
use crate::signature::{self, Signature};

#[expect(unsafe_code, reason = "ioctls with a pointer in their argument")]
mod ioctl;

/// A KCS interface answers in milliseconds; some commands take the BMC seconds.
const IPMI_PATIENCE: Duration = Duration::from_secs(5);
/// Attempts while a disk has events to report first.
const ATTEMPTS: u32 = 5;

/// Answers of the running kernel.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live;

impl Instruments for Live {
    fn network_firmware(&mut self, kernel_name: &str) -> Option<String> {
        ioctl::firmware(kernel_name)
    }

    fn labels(&mut self, kernel_name: &str) -> Result<Vec<Signature>, String> {
        labels(kernel_name).map_err(|error| error.to_string())
    }

    fn health(&mut self, kernel_name: &str, command: HealthCommand) -> Result<RawHealth, String> {
        ask(kernel_name, command)
    }

    fn module(&mut self, kernel_name: &str) -> Result<Option<RawModule>, String> {
        use nix::libc::{EINVAL, EIO, ENODEV, ENXIO, EOPNOTSUPP};
        match ioctl::module(kernel_name) {
            Ok((kind, bytes)) => Ok(Some(RawModule { kind, bytes })),
            // Copper ports, virtual ones, and drivers that do not care.
            Err(error) if error.raw_os_error() == Some(EOPNOTSUPP) => Ok(None),
            // Drivers do not agree on how to say that a cage is empty.
            Err(error) if matches!(error.raw_os_error(), Some(EIO | ENXIO | ENODEV | EINVAL)) => {
                Err("the cage is empty, or its module does not answer".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The device is not waited for, and its medium is not touched.
fn ask(kernel_name: &str, command: HealthCommand) -> Result<RawHealth, String> {
    let device = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(place(kernel_name))
        .map_err(said)?;
    let (question, length): (&[u8], u8) = match command {
        HealthCommand::Ata => (&health::SMART_RETURN_STATUS, 0),
        HealthCommand::Scsi => (&health::LOG_SENSE, health::LOG_LENGTH),
        HealthCommand::Nvme => return nvme_log(&device),
        HealthCommand::Unknown => return Err("no such question is known".to_owned()),
    };
    let mut raw = scsi(&device, command, question, length)?;
    for _ in 1..ATTEMPTS {
        if !health::is_event(&raw) {
            break;
        }
        raw = scsi(&device, command, question, length)?;
    }
    Ok(raw)
}

fn scsi(
    device: &File,
    command: HealthCommand,
    question: &[u8],
    length: u8,
) -> Result<RawHealth, String> {
    let mut data = vec![0; usize::from(length)];
    let answer = ioctl::scsi(device, question, &mut data).map_err(said)?;
    data.truncate(answer.data);
    // DID_TIME_OUT; any other says that the command did not get through.
    match answer.host_status {
        0 => Ok(RawHealth {
            command,
            status: answer.status.into(),
            sense: answer.sense,
            data,
        }),
        3 => Err("it does not answer in time".to_owned()),
        code => Err(format!("its controller reports host status {code:#04x}")),
    }
}

fn nvme_log(device: &File) -> Result<RawHealth, String> {
    let mut data = vec![0; health::NVME_LENGTH];
    let status = ioctl::nvme_log(device, health::NVME_PAGE, &mut data).map_err(said)?;
    if status != 0 {
        data.clear();
    }
    Ok(RawHealth {
        command: HealthCommand::Nvme,
        status,
        sense: Vec::new(),
        data,
    })
}

fn said(error: io::Error) -> String {
    error.to_string()
}

/// sysfs writes `!` for the `/` in names such as `cciss/c0d0`.
fn place(kernel_name: &str) -> String {
    format!("/dev/{}", kernel_name.replace('!', "/"))
}

fn labels(kernel_name: &str) -> io::Result<Vec<Signature>> {
    let mut device = File::open(place(kernel_name))?;
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
        Ok::<_, io::Error>(bytes)
    })
    .into_iter();
    let head = ends.next().transpose()?.unwrap_or_default();
    let tail = ends.next().transpose()?.unwrap_or_default();
    Ok(signature::scan(&head, &tail, size))
}

/// The BMC over the kernel's driver; it is asked again while it is busy.
pub struct IpmiDevice {
    device: Patient<Driver, fn(Duration)>,
}

impl IpmiDevice {
    /// Opens `/dev/ipmi0`.
    ///
    /// # Errors
    /// If there is no such device or it cannot be opened.
    pub fn open() -> io::Result<Self> {
        let driver = Driver(ipmi_rs::File::new("/dev/ipmi0", IPMI_PATIENCE)?);
        Ok(Self {
            device: Patient::new(driver, std::thread::sleep),
        })
    }
}

impl IpmiTransport for IpmiDevice {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        self.device.request(function, command, data)
    }

    fn pause(&mut self, duration: Duration) {
        self.device.pause(duration);
    }
}

/// One attempt.
struct Driver(ipmi_rs::File);

impl IpmiTransport for Driver {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let message = Message::new_request(NetFn::from(function), command, data.to_vec());
        let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
        match self.0.send_recv(&mut request) {
            Ok(response) if response.cc() == 0 => Ok(response.data().to_vec()),
            Ok(response) => Err(IpmiError::Refused {
                function,
                command,
                code: response.cc(),
            }),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(IpmiError::Interrupted { function, command })
            }
            Err(error) => Err(IpmiError::Unreachable {
                function,
                command,
                reason: error.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is no disk and no port with a cage gives a reason, with the real ioctls.
    #[test]
    fn devices_that_cannot_answer() {
        for command in [HealthCommand::Ata, HealthCommand::Scsi, HealthCommand::Nvme] {
            assert!(Live.health("null", command).is_err(), "{command:?}");
            assert!(Live.health("no-such-disk", command).is_err(), "{command:?}");
        }
        assert_eq!(Live.module("lo"), Ok(None));
        assert!(Live.module("no-such-port").is_err());
        assert!(Live.module("a-name-that-is-too-long").is_err());
    }
}

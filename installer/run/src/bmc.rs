//! The machine's management controller as the engine and the command line reach it: through [`System`], so that a recorded,
//! failing or simulated machine has one too.

use std::io;
use std::time::Duration;

use camino::Utf8Path;
use firmware::bmc::{self, BmcError, Difference, Wanted, difference::Way};
use firmware::ipmi::{IpmiError, IpmiTransport, Patient};
use roles::wiring::BmcSettings;
use system::{Command, System, SystemError};

use crate::secrets;

/// Makes `/dev/ipmi0` appear: the interface's driver is loaded by its hardware, the device's by nobody. Only on a machine of
/// ours, and a machine without a controller is no error.
pub fn load_driver(system: &dyn System) {
    let ours = system.exists(Utf8Path::new(crate::appliance::boot_facts::PATH));
    if ours && !system.exists(Utf8Path::new("/dev/ipmi0")) {
        let load = Command::new("modprobe").args(["--quiet", "--all", "ipmi_si", "ipmi_devintf"]);
        system.run(&load).ok();
    }
}

/// The controller of this machine; a busy one is waited for.
pub fn transport(system: &dyn System) -> impl IpmiTransport + '_ {
    Patient::new(InBand(system), move |time: Duration| system.sleep(time))
}

struct InBand<'a>(&'a dyn System);

impl IpmiTransport for InBand<'_> {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let unreachable = |reason: String| IpmiError::Unreachable {
            function,
            command,
            reason,
        };
        match self.0.ipmi(function, command, data) {
            Ok(mut answer) if answer.first() == Some(&0) => {
                answer.remove(0);
                Ok(answer)
            }
            Ok(answer) => Err(answer.first().map_or_else(
                || unreachable("an empty answer".to_owned()),
                |code| IpmiError::Refused {
                    function,
                    command,
                    code: *code,
                },
            )),
            Err(SystemError::File { cause, .. }) if cause.kind() == io::ErrorKind::Interrupted => {
                Err(IpmiError::Interrupted { function, command })
            }
            Err(error) => Err(unreachable(error.to_string())),
        }
    }
}

/// Looks at the controller with the password that was delivered.
///
/// # Errors
/// It cannot be reached, the settings mean nothing, or the delivered password is none.
pub fn look(
    system: &dyn System,
    settings: &BmcSettings,
) -> Result<(bmc::Current, Difference), LookError> {
    let wanted = Wanted::parse(settings)?;
    let password = secrets::bmc_password(system)?;
    let mut transport = transport(system);
    Ok(bmc::apply::look(
        &mut transport,
        &wanted,
        password.as_ref(),
        Way::InBand,
    )?)
}

/// Nothing is left to change.
pub(crate) fn is_as_wanted(system: &dyn System, settings: &BmcSettings) -> bool {
    look(system, settings).is_ok_and(|(_, difference)| difference.is_none())
}

/// Why the controller could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The controller.
    #[error(transparent)]
    Bmc(#[from] BmcError),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] bmc::WantedError),
    /// The password.
    #[error(transparent)]
    Secret(#[from] secrets::SecretError),
}

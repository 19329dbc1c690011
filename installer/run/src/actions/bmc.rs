//! The management controller's step. Looks first: what is as wanted is not written, so that doing the step again is harmless.

use firmware::bmc::{self, BmcError, difference::Way};
use roles::wiring::BmcSettings;

use super::{Act, ActionError};
use crate::{bmc::LookError, secrets};

const HINT: &str = "look at the BMC with `rackwright-installer bmc show`; this step touches no disk, so start again when it is \
                    mended; to install without, take `[bmc]` out of the node file";

impl Act<'_> {
    pub(super) fn configure_bmc(&mut self, settings: &BmcSettings) -> Result<(), ActionError> {
        let (current, difference) =
            crate::bmc::look(self.system, settings).map_err(|error| match error {
                LookError::Bmc(error) => failed(&error),
                other => said(&other.to_string()),
            })?;
        for warning in &difference.warnings {
            self.warn(format!("BMC: {warning}"));
        }
        let password =
            secrets::bmc_password(self.system).map_err(|error| said(&error.to_string()))?;
        let mut transport = crate::bmc::transport(self.system);
        bmc::apply(
            &mut transport,
            current.channel,
            &difference,
            password.as_ref(),
            Way::InBand,
            &mut |_| {},
        )
        .map_err(|error| failed(&error))
    }
}

fn failed(error: &BmcError) -> ActionError {
    said(&error.to_string())
}

/// Some carry a hint of their own.
fn said(text: &str) -> ActionError {
    match text.split_once("\nhint: ") {
        Some((message, hint)) => ActionError::with_hint(message, hint),
        None => ActionError::with_hint(text, HINT),
    }
}

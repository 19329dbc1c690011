//! The one door to a management controller: a request goes in, an answer comes out. Everything that asks the BMC takes
//! this trait, so that `/dev/ipmi0`, a recording and a scripted BMC are the same to it.

/// Sends one IPMI request and waits for its answer.
pub trait IpmiTransport {
    /// Network function (even, request form), command and data; gives the data after the completion code.
    ///
    /// # Errors
    /// [`IpmiError`] if the BMC cannot be reached or refuses.
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError>;
}

/// Why a request got no data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IpmiError {
    /// The BMC answered with a completion code (IPMI 2.0, table 5-2).
    #[error(
        "the BMC refused request {function:#04x}/{command:#04x} with completion code {code:#04x}"
    )]
    Refused {
        /// Network function.
        function: u8,
        /// Command.
        command: u8,
        /// Completion code.
        code: u8,
    },
    /// No answer, or no device.
    #[error("the BMC does not answer request {function:#04x}/{command:#04x}: {reason}")]
    Unreachable {
        /// Network function.
        function: u8,
        /// Command.
        command: u8,
        /// Cause.
        reason: String,
    },
}

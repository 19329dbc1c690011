//! One command of the specification: its numbers, and what it does in words, so that a refusal says what was refused.

use crate::ipmi::{IpmiError, IpmiTransport};

/// A command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    /// Network function, request form.
    pub function: u8,
    /// Command number.
    pub command: u8,
    /// `read the device id`.
    pub what: &'static str,
}

/// Why the BMC was not asked with success. No variant ever holds data of a request: it may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BmcError {
    /// A completion code.
    #[error("the BMC refused to {what}: {} (completion code {code:#04x})", meaning(*code))]
    Refused {
        /// What was asked.
        what: &'static str,
        /// Completion code.
        code: u8,
    },
    /// No answer.
    #[error(transparent)]
    Unreachable(IpmiError),
    /// An answer that holds less than it must.
    #[error("the BMC's answer when asked to {what} has only {length} bytes")]
    Short {
        /// What was asked.
        what: &'static str,
        /// Bytes after the completion code.
        length: usize,
    },
    /// It was taken without complaint, but it is not what is read back.
    #[error("the BMC took {what} `{wanted}` without complaint, but still says `{found}`")]
    NotKept {
        /// What was set.
        what: &'static str,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// No LAN channel.
    #[error("the BMC has no LAN channel")]
    NoLan,
    /// Nowhere to put a user.
    #[error(
        "the BMC has no free slot for user `{user}`\nhint: its {slots} slots are taken; remove an account in its web page"
    )]
    NoSlot {
        /// Name.
        user: String,
        /// Slots it has.
        slots: u8,
    },
    /// Data that is not what it should be.
    #[error("{what} of the BMC cannot be read: {reason}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl BmcError {
    /// The completion code, if it was a refusal.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The BMC has no such thing: invalid command, invalid for this LUN, parameter not supported, data field out of range,
    /// no such sensor or record, not supported at present (IPMI 2.0, table 5-2; 0x80 of the parameter commands).
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(
            self.code(),
            Some(0x80 | 0xc1 | 0xc2 | 0xc9 | 0xcb | 0xcc | 0xd5 | 0xd6)
        )
    }
}

/// Words for a completion code (IPMI 2.0, table 5-2; 0x80 and up depend on the command).
#[must_use]
pub fn meaning(code: u8) -> &'static str {
    match code {
        0x80..=0xbe => "an error of this command's own",
        0xc0 => "it is busy",
        0xc1 => "it does not know the command",
        0xc2 => "it does not know the command for this unit",
        0xc3 => "it took too long",
        0xc4 => "it is out of space",
        0xc5 => "the reservation was lost to someone else",
        0xc6 | 0xc7 => "the length of the request is wrong",
        0xc8 => "the request is too long",
        0xc9 => "a value is out of range",
        0xca => "it cannot give that many bytes",
        0xcb => "there is no such sensor or record",
        0xcc => "the request holds a value it does not take",
        0xcd => "not for this sensor or record",
        0xce => "it could not answer",
        0xcf => "it takes the request for a duplicate",
        0xd0 => "its sensor records are being updated",
        0xd1 => "its firmware is being updated",
        0xd2 => "it is starting",
        0xd3 => "the destination is not there",
        0xd4 => "the privilege is too low, or the firmware forbids it on this interface",
        0xd5 => "not in its present state",
        0xd6 => "it is switched off",
        0xff => "it gives no reason",
        _ => "for a reason of its own",
    }
}

impl Command {
    /// Sends it.
    pub(crate) fn send(
        self,
        transport: &mut dyn IpmiTransport,
        data: &[u8],
    ) -> Result<Answer, BmcError> {
        match transport.request(self.function, self.command, data) {
            Ok(bytes) => Ok(Answer {
                what: self.what,
                bytes,
            }),
            Err(IpmiError::Refused { code, .. }) => Err(BmcError::Refused {
                what: self.what,
                code,
            }),
            Err(error) => Err(BmcError::Unreachable(error)),
        }
    }
}

/// The data of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    what: &'static str,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The byte at `offset`.
    pub(crate) fn byte(&self, offset: usize) -> Result<u8, BmcError> {
        self.bytes.get(offset).copied().ok_or(self.short())
    }

    /// Two bytes, low one first.
    pub(crate) fn word(&self, offset: usize) -> Result<u16, BmcError> {
        Ok(u16::from_le_bytes(self.array(offset)?))
    }

    /// Four bytes, low one first.
    pub(crate) fn long(&self, offset: usize) -> Result<u32, BmcError> {
        Ok(u32::from_le_bytes(self.array(offset)?))
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N], BmcError> {
        self.bytes
            .get(offset..offset + N)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(self.short())
    }

    /// From `offset` to the end.
    pub(crate) fn rest(&self, offset: usize) -> Result<&[u8], BmcError> {
        self.bytes.get(offset..).ok_or(self.short())
    }

    fn short(&self) -> BmcError {
        BmcError::Short {
            what: self.what,
            length: self.bytes.len(),
        }
    }
}

//! The management controller: typed commands, what it should be, what differs, and the change with proof.
//!
//! One small file per area of the specification; all of them talk through [`IpmiTransport`]. "IPMI 2.0" is the Intelligent
//! Platform Management Interface Specification, second generation, revision 1.1. Every write is read back ([`keep`]).
//! Nothing here restarts the BMC or sets it back to the factory's settings: the first cuts others' sessions, the second
//! loses what people set.

pub mod apply;
pub mod channel;
pub mod chassis;
mod command;
pub mod current;
pub mod device;
pub mod difference;
pub mod fru;
mod keep;
pub mod lan;
pub mod password;
pub mod remote;
pub mod sel;
pub mod sensors;
pub mod simulated;
pub mod sol;
pub mod supermicro;
pub mod text;
pub mod users;
pub mod wanted;

pub use apply::apply;
pub use command::{BmcError, meaning};
pub use current::Current;
pub use difference::{Change, Difference, difference};
pub use password::{Password, PasswordError};
pub use supermicro::LanMode;
pub use wanted::{Wanted, WantedError};

#[cfg(test)]
mod tests;

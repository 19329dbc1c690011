//! A BMC over the network: RMCP+ by `ipmi-rs`, with cipher suite 3 (all it has), behind the same trait as `/dev/ipmi0`.
//!
//! What that crate (0.6) leaves to us:
//! - It never sends Set Session Privilege Level: a new session has the privilege of a user, and everything else is refused.
//! - Its `send_recv` for typed commands takes answers of a maker's own commands for answers to something else; ours go one
//!   level lower.
//! - It neither repeats lost packets nor compares sequence numbers: after a silence the session is thrown away, with the
//!   socket a late answer would come to, and the question is put in a new one.
//! - It panics where its socket gives an error, as when a port is closed meanwhile: caught here, and told as an error.

use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ipmi_rs::connection::{
    IpmiConnection, LogicalUnit, Message, NetFn, Request, RequestTargetAddress,
};
use ipmi_rs::rmcp::Rmcp;

use super::Password;
use super::channel::ADMINISTRATOR;
use crate::ipmi::{IpmiError, IpmiTransport, Patient};

/// Port of RMCP (IPMI 2.0, 13.1.2).
pub const PORT: u16 = 623;
/// Time for one answer; an AST2400 takes up to two seconds for a session.
const PATIENCE: Duration = Duration::from_secs(4);
/// Attempts for a question and for a session.
const ATTEMPTS: u32 = 3;

/// Set Session Privilege Level (22.18), Close Session (22.19).
const SET_PRIVILEGE: (u8, u8) = (0x06, 0x3b);
const CLOSE_SESSION: (u8, u8) = (0x06, 0x3c);

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// No such address.
    #[error("`{host}` is no address: {reason}")]
    Address {
        /// As given.
        host: String,
        /// Cause.
        reason: String,
    },
    /// Nothing answers.
    #[error(
        "nothing answers at {address}\nhint: is the BMC's cable in, its VLAN right, and UDP port {} open?",
        address.port()
    )]
    Silent {
        /// Address.
        address: SocketAddr,
    },
    /// Name, password or privilege are not taken.
    #[error("the BMC at {address} does not let `{user}` in: {reason}")]
    Refused {
        /// Address.
        address: SocketAddr,
        /// Name.
        user: String,
        /// Cause.
        reason: String,
    },
}

/// A session. Closed when dropped: BMCs have few.
pub struct Session {
    transport: Patient<Raw, fn(Duration)>,
}

impl Session {
    /// Logs in as an administrator. `host`: an address or name, with or without a port.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn open(host: &str, user: &str, password: &Password) -> Result<Self, SessionError> {
        let mut raw = Raw {
            address: resolve(host)?,
            user: user.to_owned(),
            password: password.clone(),
            session: None,
        };
        raw.log_in()?;
        Ok(Self {
            transport: Patient::new(raw, std::thread::sleep),
        })
    }

    /// Where it leads.
    pub fn address(&mut self) -> SocketAddr {
        self.transport.inner_mut().address
    }
}

impl IpmiTransport for Session {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        self.transport.request(function, command, data)
    }

    fn pause(&mut self, duration: Duration) {
        self.transport.pause(duration);
    }
}

fn resolve(host: &str) -> Result<SocketAddr, SessionError> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found = match host.parse::<std::net::IpAddr>() {
        Ok(address) => return Ok(SocketAddr::new(address, PORT)),
        Err(_) if host.contains(':') => host.to_socket_addrs(),
        Err(_) => (host, PORT).to_socket_addrs(),
    };
    let wrong = |reason: String| SessionError::Address {
        host: host.to_owned(),
        reason,
    };
    found
        .map_err(|error| wrong(error.to_string()))?
        .next()
        .ok_or_else(|| wrong("it has no address".to_owned()))
}

/// One attempt at a time; logs in again after a silence.
struct Raw {
    address: SocketAddr,
    user: String,
    password: Password,
    session: Option<Rmcp>,
}

/// What came of one exchange.
enum Exchange {
    Answer { code: u8, data: Vec<u8> },
    Silence(String),
}

impl Raw {
    fn log_in(&mut self) -> Result<(), SessionError> {
        self.close();
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.activate() {
                Ok(session) => {
                    self.session = Some(session);
                    return self.raise();
                }
                Err(error @ SessionError::Silent { .. }) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(SessionError::Silent {
            address: self.address,
        }))
    }

    fn activate(&self) -> Result<Rmcp, SessionError> {
        use ipmi_rs::rmcp::ActivationError as Error;
        use ipmi_rs::rmcp::V2_0ActivationError as Inner;
        let address = self.address;
        let silent = || SessionError::Silent { address };
        let mut session = Rmcp::new(address, PATIENCE).map_err(|_| silent())?;
        let result =
            quietly(|| session.activate(true, Some(&self.user), Some(self.password.reveal())));
        let refused = |reason: &str| SessionError::Refused {
            address,
            user: self.user.clone(),
            reason: reason.to_owned(),
        };
        match result {
            Some(Ok(())) => Ok(session),
            None => Err(silent()),
            Some(Err(error)) => Err(match error {
                Error::BindSocket(_)
                | Error::PingSend(_)
                | Error::PongReceive(_)
                | Error::PongRead
                | Error::GetChannelAuthenticationCapabilities(_)
                | Error::RmcpError(_) => silent(),
                Error::IpmiNotSupported | Error::NoSupportedIpmiLANVersions => {
                    refused("it does not speak IPMI 2.0")
                }
                Error::V2_0(Inner::ServerAuthenticationFailed) => refused(
                    "the password is wrong\nhint: a BMC may lock an account after some wrong passwords",
                ),
                Error::V2_0(Inner::RakpMessage2Parse(error)) => refused(&format!(
                    "there is no such user, or it may not log in ({error:?})"
                )),
                Error::V2_0(Inner::OpenSessionResponseParse(error)) => {
                    let error = format!("{error:?}");
                    let hint = match error.contains("InsufficientResources") {
                        true => "it has few sessions: wait a minute, until forgotten ones run out",
                        false => "cipher suite 3 must be allowed for administrators",
                    };
                    refused(&format!("it opens no session ({error})\nhint: {hint}"))
                }
                Error::V2_0(
                    Inner::OpenSessionResponseReceive(_)
                    | Inner::RakpMessage2Receive(_)
                    | Inner::RakpMessage4Receive(_),
                ) => silent(),
                // Their own words hold numbers and no secret.
                Error::V2_0(error) => refused(&format!("{error:?}")),
                Error::V1_5(_) => refused("it offers IPMI 1.5 only, which is not safe"),
            }),
        }
    }

    /// A session begins with the privilege of a user.
    fn raise(&mut self) -> Result<(), SessionError> {
        let (function, command) = SET_PRIVILEGE;
        let reason = match self.exchange(function, command, &[ADMINISTRATOR]) {
            Exchange::Answer { code: 0, .. } => return Ok(()),
            Exchange::Answer { code, .. } => {
                format!("it may not be administrator here (completion code {code:#04x})")
            }
            Exchange::Silence(reason) => reason,
        };
        Err(SessionError::Refused {
            address: self.address,
            user: self.user.clone(),
            reason,
        })
    }

    fn exchange(&mut self, function: u8, command: u8, data: &[u8]) -> Exchange {
        let Some(session) = &mut self.session else {
            return Exchange::Silence("there is no session".into());
        };
        let message = Message::new_request(NetFn::from(function), command, data.to_vec());
        let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
        match quietly(|| session.send_recv(&mut request)) {
            Some(Ok(answer)) if answer.cmd() == command && answer.netfn_raw() == (function | 1) => {
                Exchange::Answer {
                    code: answer.cc(),
                    data: answer.data().to_vec(),
                }
            }
            Some(Ok(_)) => Exchange::Silence("an answer to something else came".into()),
            Some(Err(_)) => Exchange::Silence("no answer came in time".into()),
            None => Exchange::Silence("the connection broke".into()),
        }
    }

    /// Says good-bye; what is not heard runs out after a minute.
    fn close(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        if let Some(id) = session_id(session) {
            let (function, command) = CLOSE_SESSION;
            self.exchange(function, command, &id.to_le_bytes());
        }
        self.session = None;
    }
}

/// The crate keeps the number of a session to itself, and has no way to close one. It does print it: what else is in that
/// text (keys) leaves this function in no way.
fn session_id(session: &Rmcp) -> Option<u32> {
    let text = format!("{session:?}");
    let (_, rest) = text.split_once(" session_id: ")?;
    rest.split(|letter: char| !letter.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.close();
    }
}

impl IpmiTransport for Raw {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                // The old session is lost, with whatever may still come by it.
                self.session = None;
                if let Err(error) = self.log_in() {
                    reason = error.to_string();
                    break;
                }
            }
            match self.exchange(function, command, data) {
                Exchange::Answer { code: 0, data } => return Ok(data),
                Exchange::Answer { code, .. } => {
                    return Err(IpmiError::Refused {
                        function,
                        command,
                        code,
                    });
                }
                Exchange::Silence(why) => reason = why,
            }
            // Once more could switch off and on twice.
            if !may_be_repeated(function, command) {
                reason.push_str("; whether it was done is not known");
                break;
            }
        }
        Err(IpmiError::Unreachable {
            function,
            command,
            reason,
        })
    }
}

/// Chassis Control is the one request that does something else the second time.
fn may_be_repeated(function: u8, command: u8) -> bool {
    (function, command) != (0x00, 0x02)
}

/// Nothing if it panicked. The session is not used again then.
fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (host, expected) in [
            ("192.0.2.10", Ok("192.0.2.10:623")),
            ("192.0.2.10:9623", Ok("192.0.2.10:9623")),
            ("2001:db8::1", Ok("[2001:db8::1]:623")),
            ("[2001:db8::1]:9", Ok("[2001:db8::1]:9")),
            ("127.0.0.1:port", Err("`127.0.0.1:port` is no address")),
        ] {
            let found = resolve(host).map(|address| address.to_string());
            match expected {
                Ok(address) => assert_eq!(found.as_deref(), Ok(address)),
                Err(start) => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.starts_with(start), "{error}");
                }
            }
        }
    }

    #[test]
    fn what_changes_the_machine_is_not_sent_twice() {
        assert!(!may_be_repeated(0x00, 0x02));
        assert!(may_be_repeated(0x00, 0x01) && may_be_repeated(0x06, 0x47));
    }
}

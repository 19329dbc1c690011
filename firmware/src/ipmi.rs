//! The one door to a management controller: a request goes in, an answer comes out. Everything that asks the BMC takes
//! this trait, so that `/dev/ipmi0`, the network, a recording and a simulated BMC are the same to it.

use std::time::Duration;

/// Sends one IPMI request and waits for its answer.
pub trait IpmiTransport {
    /// Network function (even, request form), command and data; gives the data after the completion code.
    ///
    /// # Errors
    /// [`IpmiError`] if the BMC cannot be reached or refuses.
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError>;

    /// Waits, where waiting makes sense: a recording and a simulated BMC need no time.
    fn pause(&mut self, duration: Duration) {
        let _ = duration;
    }
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
    /// A signal came while waiting (EINTR): asking again is safe, as every request here can be repeated.
    #[error("waiting for the answer to request {function:#04x}/{command:#04x} was interrupted")]
    Interrupted {
        /// Network function.
        function: u8,
        /// Command.
        command: u8,
    },
}

/// First pause after a busy answer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Attempts: about six seconds in all. An AST2400 that is writing its settings is busy for one or two.
const ATTEMPTS: u32 = 10;

/// Completion codes after which the same request may succeed (IPMI 2.0, table 5-2): node busy, timeout while processing, BMC
/// initialization in progress.
const TRANSIENT: [u8; 3] = [0xc0, 0xc3, 0xd2];

/// Asks a BMC again that is busy, or that was interrupted; everything else is passed on.
pub struct Patient<T, P> {
    inner: T,
    pause: P,
}

impl<T: IpmiTransport, P: FnMut(Duration)> Patient<T, P> {
    /// Waits between attempts with `pause`.
    pub fn new(inner: T, pause: P) -> Self {
        Self { inner, pause }
    }

    /// The transport inside.
    pub fn inner_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: IpmiTransport, P: FnMut(Duration)> IpmiTransport for Patient<T, P> {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match self.inner.request(function, command, data) {
                Err(IpmiError::Refused { code, .. }) if TRANSIENT.contains(&code) => {}
                Err(IpmiError::Interrupted { .. }) => {}
                answer => return answer,
            }
            (self.pause)(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        self.inner.request(function, command, data)
    }

    fn pause(&mut self, duration: Duration) {
        (self.pause)(duration);
    }
}

impl<T: IpmiTransport + ?Sized> IpmiTransport for &mut T {
    fn request(&mut self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, IpmiError> {
        (**self).request(function, command, data)
    }

    fn pause(&mut self, duration: Duration) {
        (**self).pause(duration);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers in order, then for ever with the last.
    struct Scripted(Vec<Result<Vec<u8>, IpmiError>>, usize);

    impl IpmiTransport for Scripted {
        fn request(&mut self, _: u8, _: u8, _: &[u8]) -> Result<Vec<u8>, IpmiError> {
            let place = self.1.min(self.0.len() - 1);
            self.1 += 1;
            self.0[place].clone()
        }
    }

    fn refused(code: u8) -> Result<Vec<u8>, IpmiError> {
        Err(IpmiError::Refused {
            function: 6,
            command: 1,
            code,
        })
    }

    #[test]
    fn busy_is_asked_again_with_limits_and_refusals_are_not() {
        let interrupted = Err(IpmiError::Interrupted {
            function: 6,
            command: 1,
        });
        for (script, asked, ok) in [
            (vec![Ok(vec![1])], 1, true),
            (vec![refused(0xc0), refused(0xc3), Ok(vec![1])], 3, true),
            (
                vec![refused(0xd2), interrupted.clone(), Ok(vec![1])],
                3,
                true,
            ),
            (vec![refused(0xc0)], 10, false),
            (vec![interrupted], 10, false),
            (vec![refused(0xc1), Ok(vec![1])], 1, false),
            (vec![refused(0xd4), Ok(vec![1])], 1, false),
            (
                vec![Err(IpmiError::Unreachable {
                    function: 6,
                    command: 1,
                    reason: "no device".into(),
                })],
                1,
                false,
            ),
        ] {
            let mut waited = Duration::ZERO;
            let mut patient = Patient::new(Scripted(script.clone(), 0), |time| waited += time);
            assert_eq!(patient.request(6, 1, &[]).is_ok(), ok, "{script:?}");
            assert_eq!(patient.inner_mut().1, asked, "{script:?}");
            assert!(waited < Duration::from_secs(10), "{waited:?}");
        }
    }
}

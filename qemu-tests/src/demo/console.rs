//! The user's terminal becomes the machine's serial console, until Ctrl-].

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use camino::Utf8Path;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// Ctrl-]: what telnet leaves with.
const LEAVE: u8 = 0x1d;

/// Joins standard input and output with the serial port's socket.
pub(super) fn attach(socket: &Utf8Path) -> anyhow::Result<()> {
    let mut port = UnixStream::connect(socket)?;
    let mut output = port.try_clone()?;
    let raw = Raw::enter()?;
    let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut Unbuffered));
    // The getty's prompt came before we did: Enter brings it back.
    port.write_all(b"\r")?;
    let mut stdin = std::io::stdin().lock();
    let mut bytes = [0; 256];
    loop {
        let count = stdin.read(&mut bytes)?;
        let typed = bytes.get(..count).unwrap_or_default();
        let leave = typed.iter().position(|byte| *byte == LEAVE);
        // A machine that was switched off takes no keys.
        let gone = port
            .write_all(typed.get(..leave.unwrap_or(count)).unwrap_or_default())
            .is_err();
        if leave.is_some() || count == 0 || gone {
            break;
        }
    }
    // Already closed if the machine went away.
    let _closed = port.shutdown(Shutdown::Both);
    let _copied = reader.join();
    drop(raw);
    writeln!(std::io::stdout())?;
    Ok(())
}

/// Standard output that shows every byte at once.
struct Unbuffered;

impl std::io::Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Raw mode; the old one comes back when dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> anyhow::Result<Self> {
        let old = tcgetattr(std::io::stdin())?;
        let mut raw = old.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &raw)?;
        Ok(Self(old))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that went away.
        let _gone = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &self.0);
    }
}

//! The screen of a machine's serial line, as a technician's terminal would show it, and the keyboard before it.

use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use anyhow::bail;

use super::line::SerialLine;
use crate::machine::Running;

/// The second serial line: serial over LAN on the X10 boards.
pub const LINE: usize = 1;
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;
/// Between two keys: the emulated UART loses what comes faster than the guest reads.
const PAUSE: Duration = Duration::from_millis(150);

/// Everything that was written to the line so far, as it stands on a screen of 80 columns and 24 rows.
#[must_use]
pub fn screen(running: &Running) -> String {
    let (Some(rows), Some(columns)) = (NonZeroU16::new(ROWS), NonZeroU16::new(COLUMNS)) else {
        return String::new();
    };
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(running.console(LINE).as_bytes());
    parser.screen().contents()
}

/// Waits until words stand on the screen.
///
/// # Errors
/// With the screen, if they do not come.
pub fn sees(running: &mut Running, words: &str, patience: Duration) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let shown = screen(running);
        if shown.contains(words) {
            return Ok(());
        }
        if !running.is_on() || start.elapsed() > patience {
            bail!(
                "`{words}` does not stand on the screen of the second serial line after {} s:\n{}\n{shown}\n{}",
                start.elapsed().as_secs(),
                "-".repeat(usize::from(COLUMNS)),
                "-".repeat(usize::from(COLUMNS)),
            );
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Presses keys, one after the other.
///
/// # Errors
/// If the line cannot be written.
pub fn press(running: &Running, keys: &[&str]) -> anyhow::Result<()> {
    let mut line = SerialLine::open(running, LINE)?;
    for key in keys {
        line.write(key)?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

//! Typing at a live system's console, as a technician on a serial line would.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::screen::{press, screen};
use crate::machine::Running;

/// The second serial line: serial over LAN on the X10 boards.
const LINE: usize = 1;
/// From the refusal to the prompt.
const PROMPT: Duration = Duration::from_secs(180);
/// Until the shell key is pressed again.
const SHELL: Duration = Duration::from_secs(15);
/// F12, as terminals of DEC's VT220 kind and all after them send it.
const F12: &str = "\u{1b}[24~";
/// Typed at once, each piece after the echo of the one before. In some machines the emulated UART stops listening for good
/// after 272 bytes all the same (QEMU 7.2, Linux 6.12, 2026-11-23); why is not known.
const PIECE: usize = 16;
const ECHO: Duration = Duration::from_secs(20);
/// For a script.
const SCRIPT: Duration = Duration::from_secs(300);

/// Types a script at the root shell of a live system that waits, and gives what it wrote.
///
/// # Errors
/// If there is no prompt, or the script fails.
pub fn type_in(running: &mut Running, script: &str) -> anyhow::Result<String> {
    let start = Instant::now();
    let mut asked = start;
    while !running.console(LINE).trim_end().ends_with('#') {
        // Where nobody permitted anything the wizard waits; its shell key leads to the same prompt.
        if asked.elapsed() > SHELL && screen(running).contains("Rackwright") {
            asked = Instant::now();
            press(running, &[F12])?;
        }
        ensure!(
            running.is_on() && start.elapsed() < PROMPT,
            "no shell on the second serial line:\n{}",
            running.console(LINE)
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    // In two pieces, so that the echo of what is typed is not taken for the answer.
    const BEGIN: &str = "script-begins.";
    const END: &str = "script-ended-with-";
    let before = running.console(LINE).len();
    let mut line = UnixStream::connect(running.serial(LINE))?;
    let text = format!("echo script-''begins.; ( {script} ); echo script-''ended-with-$?.\n");
    for piece in text.as_bytes().chunks(PIECE) {
        let echoed = running.console(LINE).len() + piece.len();
        line.write_all(piece)?;
        let start = Instant::now();
        while running.console(LINE).len() < echoed && start.elapsed() < ECHO {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let start = Instant::now();
    loop {
        let console = running.console(LINE);
        let said = console.get(before..).unwrap_or_default();
        if let Some((_, after)) = said.split_once(BEGIN)
            && let Some((output, rest)) = after.split_once(END)
            && let Some((code, _)) = rest.split_once('.')
        {
            ensure!(code == "0", "the script ended with {code}:\n{output}");
            return Ok(output.replace('\r', ""));
        }
        ensure!(
            running.is_on() && start.elapsed() < SCRIPT,
            "the shell on the second serial line did not answer:\n{said}"
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

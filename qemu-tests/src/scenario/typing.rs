//! Typing at a live system's console, as a technician on a serial line would.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::line::SerialLine;
use super::screen::{LINE, press, screen};
use crate::machine::Running;

/// From the refusal to the prompt.
const PROMPT: Duration = Duration::from_secs(180);
/// Until the shell key is pressed again.
const SHELL: Duration = Duration::from_secs(15);
/// F12, as terminals of DEC's VT220 kind and all after them send it.
const F12: &str = "\u{1b}[24~";
/// For a script.
const SCRIPT: Duration = Duration::from_secs(300);

/// Before and after what the script writes. They are typed in two pieces, so that the echo of what is typed is not taken for
/// the answer.
const BEGIN: &str = "script-begins.";
const BEGIN_TYPED: &str = "script-''begins.";
const END: &str = "script-ended-with-";
const END_TYPED: &str = "script-''ended-with-";

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
    let mut line = SerialLine::open(running, LINE)?;
    line.write(&format!(
        "echo {BEGIN_TYPED}; ( {script} ); echo {END_TYPED}$?.\n"
    ))?;
    answer(running, &line)
}

/// What stands between the two marks, when the second is there.
fn answer(running: &mut Running, line: &SerialLine) -> anyhow::Result<String> {
    let start = Instant::now();
    loop {
        let said = line.heard();
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
        std::thread::sleep(Duration::from_millis(100));
    }
}

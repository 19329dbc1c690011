//! Typing at a live system's console, as a technician on a serial line would.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::machine::Running;

/// The second serial line: serial over LAN on the X10 boards.
const LINE: usize = 1;
/// From the refusal to the prompt.
const PROMPT: Duration = Duration::from_secs(180);
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
    while !running.console(LINE).trim_end().ends_with('#') {
        ensure!(
            running.is_on() && start.elapsed() < PROMPT,
            "no shell on the second serial line:\n{}",
            running.console(LINE)
        );
        std::thread::sleep(Duration::from_millis(500));
    }
    let mut line = UnixStream::connect(running.serial(LINE))?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    // Somebody must read all the time: QEMU writes byte by byte, each costs the socket's buffer 768 bytes, and when its
    // 208 KiB are full after 272 of them the UART sends nothing more.
    let reader = {
        let (mut line, heard) = (line.try_clone()?, Arc::clone(&heard));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = line.read(&mut piece)
                && let Ok(mut heard) = heard.lock()
            {
                heard.extend_from_slice(piece.get(..length).unwrap_or_default());
            }
        })
    };
    let said = line
        .write_all(format!("echo {BEGIN_TYPED}; ( {script} ); echo {END_TYPED}$?.\n").as_bytes())
        .map_err(anyhow::Error::from)
        .and_then(|()| answer(running, &heard));
    // Ends the reader; a line that is gone already has ended it.
    let _closed = line.shutdown(std::net::Shutdown::Both);
    let _read = reader.join();
    said
}

/// What stands between the two marks, when the second is there.
fn answer(running: &mut Running, heard: &Mutex<Vec<u8>>) -> anyhow::Result<String> {
    let start = Instant::now();
    loop {
        let said = heard
            .lock()
            .map(|heard| String::from_utf8_lossy(&heard).into_owned())
            .unwrap_or_default();
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

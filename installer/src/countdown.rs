//! The seconds before an unattended install, in which Esc on any console leads to the wizard instead. Whoever stands at the
//! machine must have a chance to say no; a rack that boots by network must not wait long.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    sys::termios::{self, FlushArg, LocalFlags, SetArg, Termios},
};

/// The only key that counts. Not any key: a concentrator or a modem that echoes what it is sent would stop every install, and
/// no plain line of ours holds this byte. Arrow and function keys begin with it, too.
const ESC: u8 = 0x1b;
/// How often the consoles are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// A line for the reader so often.
const SAY: u32 = 5;

/// A console that is listened to; its modes come back when it is dropped.
struct Line {
    name: String,
    file: File,
    before: Termios,
}

/// Consoles that are listened to.
pub struct Listeners(Vec<Line>);

impl Listeners {
    /// On these; one that is not there or is no terminal is left out.
    pub fn on(paths: &[&str]) -> Self {
        Self(paths.iter().filter_map(|path| Line::open(path)).collect())
    }

    /// The console on which Esc came.
    fn escaped(&mut self) -> Option<String> {
        self.0.iter_mut().find_map(|line| {
            let mut bytes = [0; 64];
            // Nothing to read is an error (EAGAIN), and a line that broke says nothing either.
            let count = line.file.read(&mut bytes).unwrap_or(0);
            let escaped = bytes.iter().take(count).any(|byte| *byte == ESC);
            escaped.then(|| line.name.clone())
        })
    }
}

impl Line {
    fn open(path: &str) -> Option<Self> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits())
            .open(path)
            .ok()?;
        let before = termios::tcgetattr(&file).ok()?;
        let mut modes = before.clone();
        // Key by key and without an echo. What is written keeps its form: only input is changed (termios(3)).
        modes
            .local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // What was typed before the question was asked is no answer to it. Not by TCSAFLUSH: that waits until all output is
        // sent (termios(3)), and a line whose other end holds it back would hold the install.
        termios::tcsetattr(&file, SetArg::TCSANOW, &modes).ok()?;
        termios::tcflush(&file, FlushArg::TCIFLUSH).ok()?;
        let name = path.strip_prefix("/dev/").unwrap_or(path).to_owned();
        Some(Self { name, file, before })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        termios::tcsetattr(&self.file, SetArg::TCSANOW, &self.before).ok();
    }
}

/// Waits so many seconds. `tell` gets the seconds that are left, at once and every five seconds. Gives the console on which Esc
/// was pressed; none if the time is over or `stop` says so.
pub fn wait(
    seconds: u32,
    listeners: &mut Listeners,
    sleep: &dyn Fn(Duration),
    tell: &mut dyn FnMut(u32),
    stop: &dyn Fn() -> bool,
) -> Option<String> {
    let looks = Duration::from_secs(1).as_millis() / LOOK.as_millis();
    for left in (1..=seconds).rev() {
        if left == seconds || left % SAY == 0 {
            tell(left);
        }
        for _ in 0..looks {
            if stop() {
                return None;
            }
            if let Some(console) = listeners.escaped() {
                return Some(console);
            }
            sleep(LOOK);
        }
    }
    listeners.escaped()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use portable_pty::{MasterPty, PtySize, native_pty_system};

    fn terminal() -> (
        Box<dyn MasterPty + Send>,
        Box<dyn portable_pty::SlavePty + Send>,
        String,
    ) {
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let path = pair.master.tty_name().unwrap();
        (pair.master, pair.slave, path.to_str().unwrap().to_owned())
    }

    /// With these bytes typed after the first second: the console, and what was told.
    fn typed(bytes: &'static [u8], seconds: u32) -> (bool, Vec<u32>) {
        let (master, _slave, path) = terminal();
        let mut keys = master.take_writer().unwrap();
        let mut listeners = Listeners::on(&[&path, "/dev/null", "/dev/none"]);
        assert_eq!(listeners.0.len(), 1);
        let slept = std::cell::Cell::new(0);
        let keys = std::cell::RefCell::new(&mut keys);
        let mut told = Vec::new();
        let console = wait(
            seconds,
            &mut listeners,
            &|_| {
                slept.set(slept.get() + 1);
                if slept.get() == 10 {
                    keys.borrow_mut().write_all(bytes).unwrap();
                    keys.borrow_mut().flush().unwrap();
                    // The line discipline hands bytes on in a thread of the kernel.
                    std::thread::sleep(Duration::from_millis(100));
                }
            },
            &mut |left| told.push(left),
            &|| false,
        );
        assert!(
            console
                .as_ref()
                .is_none_or(|name| path.ends_with(name.as_str()))
        );
        (console.is_some(), told)
    }

    #[test]
    fn esc_and_keys_that_begin_with_it_count_and_nothing_else() {
        for (bytes, expected) in [
            (&b"\x1b"[..], true),
            (b"\x1b[A", true),
            (b"abc\x1b", true),
            (b"\r\n", false),
            (b"unattended install of mail-1 in 10 s\r\n", false),
            (b"", false),
        ] {
            assert_eq!(typed(bytes, 12).0, expected, "{bytes:?}");
        }
    }

    #[test]
    fn it_counts_down_and_needs_no_console() {
        assert_eq!(typed(b"", 12).1, [12, 10, 5]);
        assert!(typed(b"", 0).1.is_empty());
        let slept = std::cell::Cell::new(Duration::ZERO);
        let mut none = Listeners::on(&[]);
        let sleep = |time| slept.set(slept.get() + time);
        assert_eq!(wait(10, &mut none, &sleep, &mut |_| {}, &|| false), None);
        assert_eq!(slept.get(), Duration::from_secs(10));
        assert_eq!(wait(10, &mut none, &sleep, &mut |_| {}, &|| true), None);
        assert_eq!(slept.get(), Duration::from_secs(10));
    }

    #[test]
    fn the_line_is_left_as_it_was_and_earlier_keys_are_no_answer() {
        let (master, _slave, path) = terminal();
        let modes = || {
            let file = File::open(&path).unwrap();
            termios::tcgetattr(&file).unwrap().local_flags
        };
        let before = modes();
        let mut keys = master.take_writer().unwrap();
        keys.write_all(b"\x1b").unwrap();
        keys.flush().unwrap();
        std::thread::sleep(Duration::from_millis(100));
        let mut listeners = Listeners::on(&[&path]);
        assert!(!modes().contains(LocalFlags::ICANON));
        assert_eq!(listeners.escaped(), None);
        drop(listeners);
        assert_eq!(modes(), before);
    }
}

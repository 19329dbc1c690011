//! The wire to a serial line of a machine: what is typed goes in, what the machine writes is read all the time.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::machine::Running;

/// Plugged in until it is dropped. Only one can be.
pub struct SerialLine {
    wire: UnixStream,
    heard: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl SerialLine {
    /// Plugs into line `number`.
    ///
    /// # Errors
    /// If QEMU does not listen.
    pub fn open(running: &Running, number: usize) -> std::io::Result<Self> {
        let wire = UnixStream::connect(running.serial(number))?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        // Somebody must read, although a log has it all: QEMU writes byte by byte, each costs the socket's buffer 768 bytes,
        // and when its 208 KiB are full after 272 of them the UART sends nothing more.
        let (mut ear, memory) = (wire.try_clone()?, Arc::clone(&heard));
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = ear.read(&mut piece)
                && let Ok(mut heard) = memory.lock()
            {
                heard.extend_from_slice(piece.get(..length).unwrap_or_default());
            }
        });
        Ok(Self {
            wire,
            heard,
            reader: Some(reader),
        })
    }

    /// Types.
    ///
    /// # Errors
    /// If the line is gone.
    pub fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.wire.write_all(text.as_bytes())
    }

    /// What the machine wrote since the line was plugged in.
    #[must_use]
    pub fn heard(&self) -> String {
        self.heard
            .lock()
            .map(|heard| String::from_utf8_lossy(&heard).into_owned())
            .unwrap_or_default()
    }
}

impl Drop for SerialLine {
    fn drop(&mut self) {
        // Ends the reader; a line that is gone already has ended it.
        let _closed = self.wire.shutdown(std::net::Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _read = reader.join();
        }
    }
}

//! QEMU's control socket (QMP): screen, disks, cables, stop and go.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use camino::Utf8Path;
use serde_json::{Value, json};

use super::MachineError;

/// A connection to QMP.
#[derive(Debug)]
pub struct Qmp {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects and agrees on capabilities.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn connect(path: &Utf8Path) -> Result<Self, MachineError> {
        let stream = UnixStream::connect(path)?;
        // Under emulation and load QEMU can be slow, but not this slow.
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let lines = BufReader::new(stream.try_clone()?);
        let mut qmp = Self { stream, lines };
        qmp.line()?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and returns its answer; events in between are passed over.
    ///
    /// # Errors
    /// If QEMU refuses it or the connection ends.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value, MachineError> {
        let line = json!({"execute": command, "arguments": arguments});
        self.stream.write_all(format!("{line}\n").as_bytes())?;
        loop {
            let mut answer = self.line()?;
            if let Some(error) = answer.get("error") {
                let reason = error
                    .get("desc")
                    .and_then(Value::as_str)
                    .unwrap_or("no reason given");
                return Err(MachineError::Qmp {
                    command: command.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            if let Some(result) = answer.get_mut("return") {
                return Ok(result.take());
            }
        }
    }

    /// Writes the screen to a PNG file.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn screendump(&mut self, file: &Utf8Path) -> Result<(), MachineError> {
        self.execute("screendump", &json!({"filename": file, "format": "png"}))
            .map(drop)
    }

    /// Plugs the cable of port `index` in or out.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn set_link(&mut self, index: usize, up: bool) -> Result<(), MachineError> {
        self.execute(
            "set_link",
            &json!({"name": format!("net{index}"), "up": up}),
        )
        .map(drop)
    }

    /// Pulls a device that has an id.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn device_del(&mut self, id: &str) -> Result<(), MachineError> {
        self.execute("device_del", &json!({"id": id})).map(drop)
    }

    /// Freezes the guest.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn stop(&mut self) -> Result<(), MachineError> {
        self.execute("stop", &json!({})).map(drop)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn resume(&mut self) -> Result<(), MachineError> {
        self.execute("cont", &json!({})).map(drop)
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// If QEMU refuses.
    pub fn power_button(&mut self) -> Result<(), MachineError> {
        self.execute("system_powerdown", &json!({})).map(drop)
    }

    fn line(&mut self) -> Result<Value, MachineError> {
        let mut line = String::new();
        if self.lines.read_line(&mut line)? == 0 {
            return Err(MachineError::File(std::io::ErrorKind::UnexpectedEof.into()));
        }
        serde_json::from_str(&line).map_err(|error| MachineError::File(error.into()))
    }
}

//! Writes down every effect on its way to another system.

use std::{sync::Mutex, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    Access, BlockDevice, Command, CommandError, DownloadError, Output, System, SystemError,
};

/// Records effects as lines: `run mdadm --stop ...`, `write /state/node.toml`, `open /dev/sda for writing`.
pub struct Recorded<S> {
    inner: S,
    lines: Mutex<Vec<String>>,
}

impl<S: System> Recorded<S> {
    /// Records what goes to `inner`.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            lines: Mutex::new(Vec::new()),
        }
    }

    /// What was recorded so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .map(|lines| lines.clone())
            .unwrap_or_default()
    }

    fn record(&self, line: String) {
        if let Ok(mut lines) = self.lines.lock() {
            lines.push(line);
        }
    }
}

impl<S: System> System for Recorded<S> {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        self.record(format!("run {command}"));
        self.inner.run(command)
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SystemError> {
        self.record(format!("read {path}"));
        self.inner.read(path)
    }

    fn write(&self, path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SystemError> {
        self.record(format!("write {path} mode {mode:04o}"));
        self.inner.write(path, content, mode)
    }

    fn append(&self, path: &Utf8Path, content: &[u8]) -> Result<(), SystemError> {
        self.record(format!("append {path}"));
        self.inner.append(path, content)
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), SystemError> {
        self.record(format!("remove {path}"));
        self.inner.remove(path)
    }

    fn make_directory(&self, path: &Utf8Path) -> Result<(), SystemError> {
        self.record(format!("make directory {path}"));
        self.inner.make_directory(path)
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, SystemError> {
        self.record(format!("list {path}"));
        self.inner.list(path)
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        self.inner.exists(path)
    }

    fn resolve(&self, path: &Utf8Path) -> Result<Utf8PathBuf, SystemError> {
        self.inner.resolve(path)
    }

    fn mount(
        &self,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
        data: &str,
    ) -> Result<(), SystemError> {
        let how = if read_only { " read only" } else { "" };
        self.record(format!("mount {source} at {target} as {kind}{how}"));
        self.inner.mount(source, target, kind, read_only, data)
    }

    fn unmount(&self, target: &Utf8Path) -> Result<(), SystemError> {
        self.record(format!("unmount {target}"));
        self.inner.unmount(target)
    }

    fn open(&self, device: &Utf8Path, access: Access) -> Result<Box<dyn BlockDevice>, SystemError> {
        let how = match access {
            Access::Read => "reading",
            Access::Write => "writing",
        };
        self.record(format!("open {device} for {how}"));
        self.inner.open(device, access)
    }

    fn allow_writes(&self, disks: &[String], built_from: &[String]) {
        self.inner.allow_writes(disks, built_from);
    }

    fn emit(&self, path: &Utf8Path, content: &[u8]) {
        self.inner.emit(path, content);
    }

    fn ipmi(&self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, SystemError> {
        // Never the data: it may be a password.
        self.record(format!("ipmi {function:#04x}/{command:#04x}"));
        self.inner.ipmi(function, command, data)
    }

    fn download(&self, url: &str, limit: u64) -> Result<Vec<u8>, DownloadError> {
        self.record(format!("download {url}"));
        self.inner.download(url, limit)
    }

    fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration);
    }

    fn sync(&self) {
        self.record("sync".to_owned());
        self.inner.sync();
    }

    fn now(&self) -> Duration {
        self.inner.now()
    }
}

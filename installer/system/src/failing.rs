//! Makes one effect of another system fail, or all from one on (a power cut): for tests that fail call N for every N.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    Access, BlockDevice, Command, CommandError, DownloadError, Output, System, SystemError,
};

/// What is done to effect number N, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This one fails, without having happened.
    Once(u64),
    /// The power goes before change number N: this effect and all after it fail, clean-up too. Only effects that change
    /// something are counted, as a power cut before a look is the same as one after it.
    From(u64),
    /// None fails; for counting.
    Never,
}

/// Wraps a system.
pub struct Failing<'system> {
    inner: &'system dyn System,
    counter: Arc<Counter>,
}

struct Counter {
    fault: Fault,
    effects: AtomicU64,
    changes: AtomicU64,
}

/// Whether an effect changes anything that outlives a power cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Look,
    Change,
}

impl Counter {
    fn fails(&self, kind: Kind) -> bool {
        let number = self.effects.fetch_add(1, Ordering::Relaxed);
        let changes = self.changes.load(Ordering::Relaxed);
        if kind == Kind::Change {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        match self.fault {
            Fault::Once(fault) => number == fault,
            Fault::From(fault) => changes > fault || (changes == fault && kind == Kind::Change),
            Fault::Never => false,
        }
    }

    fn check(&self, kind: Kind, doing: &'static str, path: &Utf8Path) -> Result<(), SystemError> {
        if self.fails(kind) {
            return Err(SystemError::file(doing, path)(io::Error::other(
                "injected fault",
            )));
        }
        Ok(())
    }
}

impl<'system> Failing<'system> {
    /// Fails as said.
    pub fn new(inner: &'system dyn System, fault: Fault) -> Self {
        Self {
            inner,
            counter: Arc::new(Counter {
                fault,
                effects: AtomicU64::new(0),
                changes: AtomicU64::new(0),
            }),
        }
    }

    /// Effects so far.
    pub fn count(&self) -> u64 {
        self.counter.effects.load(Ordering::Relaxed)
    }

    /// Effects so far that changed something.
    pub fn changes(&self) -> u64 {
        self.counter.changes.load(Ordering::Relaxed)
    }
}

impl System for Failing<'_> {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        if self.counter.fails(Kind::Change) {
            return Err(CommandError::Failed {
                line: command.to_string(),
                status: "exit code 1".to_owned(),
                stderr: "injected fault".to_owned(),
            });
        }
        self.inner.run(command)
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SystemError> {
        self.counter.check(Kind::Look, "read", path)?;
        self.inner.read(path)
    }

    fn write(&self, path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "write", path)?;
        self.inner.write(path, content, mode)
    }

    fn append(&self, path: &Utf8Path, content: &[u8]) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "append to", path)?;
        self.inner.append(path, content)
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "remove", path)?;
        self.inner.remove(path)
    }

    fn make_directory(&self, path: &Utf8Path) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "make directory", path)?;
        self.inner.make_directory(path)
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, SystemError> {
        self.counter.check(Kind::Look, "list", path)?;
        self.inner.list(path)
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        self.inner.exists(path)
    }

    fn resolve(&self, path: &Utf8Path) -> Result<Utf8PathBuf, SystemError> {
        self.counter.check(Kind::Look, "resolve", path)?;
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
        self.counter.check(Kind::Change, "mount", source)?;
        self.inner.mount(source, target, kind, read_only, data)
    }

    fn unmount(&self, target: &Utf8Path) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "unmount", target)?;
        self.inner.unmount(target)
    }

    fn open(&self, device: &Utf8Path, access: Access) -> Result<Box<dyn BlockDevice>, SystemError> {
        self.counter.check(Kind::Look, "open", device)?;
        Ok(Box::new(FailingDevice {
            path: device.to_owned(),
            inner: self.inner.open(device, access)?,
            counter: Arc::clone(&self.counter),
        }))
    }

    fn allow_writes(&self, disks: &[String], built_from: &[String]) {
        self.inner.allow_writes(disks, built_from);
    }

    fn emit(&self, path: &Utf8Path, content: &[u8]) {
        self.inner.emit(path, content);
    }

    fn ipmi(&self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, SystemError> {
        let path = Utf8Path::new(crate::live::IPMI);
        self.counter.check(Kind::Change, "ask", path)?;
        self.inner.ipmi(function, command, data)
    }

    fn download(&self, url: &str, limit: u64) -> Result<Vec<u8>, DownloadError> {
        if self.counter.fails(Kind::Look) {
            return Err(DownloadError::Transfer {
                url: url.to_owned(),
                reason: "injected fault".to_owned(),
            });
        }
        self.inner.download(url, limit)
    }

    fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration);
    }

    fn sync(&self) {
        self.inner.sync();
    }

    fn now(&self) -> Duration {
        self.inner.now()
    }
}

struct FailingDevice {
    path: Utf8PathBuf,
    inner: Box<dyn BlockDevice>,
    counter: Arc<Counter>,
}

impl BlockDevice for FailingDevice {
    fn size(&mut self) -> Result<u64, SystemError> {
        self.counter.check(Kind::Look, "seek", &self.path)?;
        self.inner.size()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SystemError> {
        self.counter.check(Kind::Look, "read", &self.path)?;
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "write", &self.path)?;
        self.inner.write_at(offset, bytes)
    }

    fn flush(&mut self) -> Result<(), SystemError> {
        self.counter.check(Kind::Change, "flush", &self.path)?;
        self.inner.flush()
    }

    fn reread_partitions(&mut self) -> Result<(), SystemError> {
        self.counter
            .check(Kind::Change, "re-read the partition table of", &self.path)?;
        self.inner.reread_partitions()
    }
}

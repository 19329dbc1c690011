//! Every effect the installer can have, as one trait.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{Command, CommandError, Conversation, DownloadError, Output};

/// What the installer can do to a machine. Paths are absolute.
pub trait System: Send + Sync {
    /// Runs a command to its end.
    fn run(&self, command: &Command) -> Result<Output, CommandError>;

    /// Starts a command that stays and is asked again and again. `None`: it did not start, or this system has only [`Self::run`].
    fn converse(&self, command: &Command) -> Option<Box<dyn Conversation>> {
        let _ = command;
        None
    }

    /// The whole content of a file.
    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SystemError>;

    /// Replaces a file: new content or old content, never a mixture, also after a power cut. The file never exists with
    /// wider permission bits than `mode`.
    fn write(&self, path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SystemError>;

    /// Appends to a file, made if absent with mode 0600, and waits until it is on the medium.
    fn append(&self, path: &Utf8Path, content: &[u8]) -> Result<(), SystemError>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &Utf8Path) -> Result<(), SystemError>;

    /// Makes a directory and its parents.
    fn make_directory(&self, path: &Utf8Path) -> Result<(), SystemError>;

    /// Names in a directory, sorted.
    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, SystemError>;

    /// Something is there.
    fn exists(&self, path: &Utf8Path) -> bool;

    /// Where a symbolic link leads, all links resolved.
    fn resolve(&self, path: &Utf8Path) -> Result<Utf8PathBuf, SystemError>;

    /// Mounts; `data` are the file system's own options, comma separated. Prefer [`crate::Mounted`].
    fn mount(
        &self,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
        data: &str,
    ) -> Result<(), SystemError>;

    /// Unmounts.
    fn unmount(&self, target: &Utf8Path) -> Result<(), SystemError>;

    /// Opens a block device. For writing it must not be in use by anything else (`O_EXCL` of open(2)).
    fn open(&self, device: &Utf8Path, access: Access) -> Result<Box<dyn BlockDevice>, SystemError>;

    /// Says by kernel name which `disks` may be written raw from now on, and from which disks an array or file system may be
    /// `built_from` to be written. The live system ignores this, the engine has its own guard; a simulated one checks the
    /// engine with it.
    fn allow_writes(&self, disks: &[String], built_from: &[String]) {
        let _ = (disks, built_from);
    }

    /// Writes to a console or port if that is possible at once; never waits long, never fails.
    fn emit(&self, path: &Utf8Path, content: &[u8]);

    /// Asks the machine's management controller once: network function, command and data of an IPMI request. Gives the
    /// completion code and the data after it. The data of a request may be a password: nobody may write it down.
    fn ipmi(&self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, SystemError>;

    /// Fetches a URL of at most `limit` bytes.
    fn download(&self, url: &str, limit: u64) -> Result<Vec<u8>, DownloadError>;

    /// Waits.
    fn sleep(&self, duration: Duration);

    /// Flushes all file systems.
    fn sync(&self);

    /// A clock that never goes back; only differences mean something.
    fn now(&self) -> Duration;
}

/// How a block device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    Read,
    /// Read and write.
    Write,
}

/// An open block device.
pub trait BlockDevice: Send {
    /// Size in bytes.
    fn size(&mut self) -> Result<u64, SystemError>;
    /// Fills the buffer from `offset`; less than that is an error.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SystemError>;
    /// Writes all bytes at `offset`.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SystemError>;
    /// Waits until everything is on the medium and forgets the cache, so that the next read is from the medium.
    fn flush(&mut self) -> Result<(), SystemError>;
    /// Makes the kernel read the partition table again.
    fn reread_partitions(&mut self) -> Result<(), SystemError>;
}

/// Why an effect failed.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// A command.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A file, directory, mount or device.
    #[error("cannot {doing} `{path}`: {cause}")]
    File {
        /// `read`, `write`, `mount`, ...
        doing: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Cause; part of the message, so it is not repeated as a source.
        cause: std::io::Error,
    },
}

impl SystemError {
    /// For use with `map_err`.
    pub fn file(doing: &'static str, path: &Utf8Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File { doing, path, cause }
    }

    /// The file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::File { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound)
    }
}

//! The real machine.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{FileExt, FileTypeExt, OpenOptionsExt},
        io::AsFd,
    },
    sync::OnceLock,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use ipmi_rs::connection::{
    IpmiConnection, LogicalUnit, Message, NetFn, Request, RequestTargetAddress,
};
use nix::{
    fcntl::OFlag,
    mount::{MntFlags, MsFlags},
    poll::{PollFd, PollFlags, PollTimeout},
};

use crate::{
    Access, BlockDevice, Command, CommandError, Conversation, DownloadError, Output, System,
    SystemError, conversation::Spoken, ioctl,
};

/// The machine's management controller.
pub(crate) const IPMI: &str = "/dev/ipmi0";
/// A KCS interface answers in milliseconds; some commands take the controller seconds.
const IPMI_PATIENCE: Duration = Duration::from_secs(5);

/// The real machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live;

impl System for Live {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        Live::run(self, command)
    }

    fn converse(&self, command: &Command) -> Option<Box<dyn Conversation>> {
        let spoken = Spoken::start(command);
        spoken.ok().map(|spoken| Box::new(spoken) as _)
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SystemError> {
        std::fs::read(path).map_err(SystemError::file("read", path))
    }

    fn write(&self, path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SystemError> {
        replace(path, content, mode).map_err(SystemError::file("write", path))
    }

    fn append(&self, path: &Utf8Path, content: &[u8]) -> Result<(), SystemError> {
        let append = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)?;
            file.write_all(content)?;
            file.sync_data()
        };
        append().map_err(SystemError::file("append to", path))
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), SystemError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SystemError::file("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn make_directory(&self, path: &Utf8Path) -> Result<(), SystemError> {
        std::fs::create_dir_all(path).map_err(SystemError::file("make directory", path))
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, SystemError> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in path.read_dir_utf8()? {
                names.push(entry?.file_name().to_owned());
            }
            names.sort();
            Ok(names)
        };
        list().map_err(SystemError::file("list", path))
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        path.exists()
    }

    fn resolve(&self, path: &Utf8Path) -> Result<Utf8PathBuf, SystemError> {
        path.canonicalize_utf8()
            .map_err(SystemError::file("resolve", path))
    }

    fn mount(
        &self,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
        data: &str,
    ) -> Result<(), SystemError> {
        let mut flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        if read_only {
            flags |= MsFlags::MS_RDONLY;
        }
        let data = Some(data).filter(|data| !data.is_empty());
        nix::mount::mount(
            Some(source.as_std_path()),
            target.as_std_path(),
            Some(kind),
            flags,
            data,
        )
        .map_err(|error| SystemError::file("mount", source)(error.into()))
    }

    fn unmount(&self, target: &Utf8Path) -> Result<(), SystemError> {
        nix::mount::umount2(target.as_std_path(), MntFlags::UMOUNT_NOFOLLOW)
            .map_err(|error| SystemError::file("unmount", target)(error.into()))
    }

    fn open(&self, device: &Utf8Path, access: Access) -> Result<Box<dyn BlockDevice>, SystemError> {
        let mut options = OpenOptions::new();
        options.read(true);
        let mut flags = OFlag::O_CLOEXEC;
        if access == Access::Write {
            options.write(true);
            // open(2): on a block device, O_EXCL without O_CREAT fails with EBUSY if the device is mounted or held.
            flags |= OFlag::O_EXCL;
        }
        let file = options
            .custom_flags(flags.bits())
            .open(device)
            .map_err(SystemError::file("open", device))?;
        Ok(Box::new(LiveDevice {
            path: device.to_owned(),
            file,
        }))
    }

    fn emit(&self, path: &Utf8Path, content: &[u8]) {
        emit(path, content).ok();
    }

    fn ipmi(&self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, SystemError> {
        let path = Utf8Path::new(IPMI);
        let mut device =
            ipmi_rs::File::new(IPMI, IPMI_PATIENCE).map_err(SystemError::file("open", path))?;
        let message = Message::new_request(NetFn::from(function), command, data.to_vec());
        let mut request = Request::new(message, RequestTargetAddress::Bmc(LogicalUnit::Zero));
        let answer = device
            .send_recv(&mut request)
            .map_err(SystemError::file("ask", path))?;
        Ok([&[answer.cc()], answer.data()].concat())
    }

    fn download(&self, url: &str, limit: u64) -> Result<Vec<u8>, DownloadError> {
        crate::download(url, limit)
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn sync(&self) {
        nix::unistd::sync();
    }

    fn now(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }
}

/// Temporary file, fsync, rename, fsync of the directory: rename(2) is atomic, and without the second fsync the new name may
/// be gone after a power cut.
fn replace(path: &Utf8Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Utf8Path::new("/"));
    let temporary = directory.join(format!(".{}.new", path.file_name().unwrap_or("file")));
    std::fs::remove_file(&temporary).ok();
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        File::open(directory)?.sync_all()
    };
    written().inspect_err(|_| {
        std::fs::remove_file(&temporary).ok();
    })
}

/// Waits at most this long in all for a console that is slow; a console nobody reads must not hold up an install.
const CONSOLE_PATIENCE: Duration = Duration::from_millis(300);

fn emit(path: &Utf8Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(flags.bits())
        .open(path)?;
    let started = Instant::now();
    let mut rest = content;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Ok(()),
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let Some(left) = CONSOLE_PATIENCE.checked_sub(started.elapsed()) else {
                    return Ok(());
                };
                let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
                nix::poll::poll(
                    &mut [PollFd::new(file.as_fd(), PollFlags::POLLOUT)],
                    timeout,
                )?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct LiveDevice {
    path: Utf8PathBuf,
    file: File,
}

impl LiveDevice {
    fn is_block(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.file_type().is_block_device())
    }
}

impl BlockDevice for LiveDevice {
    fn size(&mut self) -> Result<u64, SystemError> {
        self.file
            .seek(SeekFrom::End(0))
            .map_err(SystemError::file("seek", &self.path))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SystemError> {
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.file.read_exact(buffer))
            .map_err(SystemError::file("read", &self.path))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SystemError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(SystemError::file("write", &self.path))
    }

    fn flush(&mut self) -> Result<(), SystemError> {
        self.file
            .sync_all()
            .and_then(|()| {
                if self.is_block() {
                    ioctl::drop_cache(&self.file)
                } else {
                    Ok(())
                }
            })
            .map_err(SystemError::file("flush", &self.path))
    }

    fn reread_partitions(&mut self) -> Result<(), SystemError> {
        if !self.is_block() {
            return Ok(());
        }
        ioctl::reread_partitions(&self.file).map_err(SystemError::file(
            "re-read the partition table of",
            &self.path,
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        (folder, path)
    }

    #[test]
    fn files_are_replaced_whole_and_with_their_mode() {
        let (_guard, folder) = folder();
        let path = folder.join("node.toml");
        Live.write(&path, b"first", 0o600).unwrap();
        Live.write(&path, b"second", 0o640).unwrap();
        assert_eq!(Live.read(&path).unwrap(), b"second");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(Live.list(&folder).unwrap(), ["node.toml"]);
        Live.append(&path, b"+").unwrap();
        assert_eq!(Live.read(&path).unwrap(), b"second+");
        Live.remove(&path).unwrap();
        Live.remove(&path).unwrap();
        assert!(Live.read(&path).unwrap_err().is_not_found());
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let (_guard, folder) = folder();
        let target = folder.join("a-directory");
        Live.make_directory(&target.join("not-empty")).unwrap();
        let error = Live.write(&target, b"x", 0o600).unwrap_err();
        assert!(error.to_string().contains("cannot write"), "{error}");
        assert_eq!(Live.list(&folder).unwrap(), ["a-directory"]);
    }

    #[test]
    fn devices_are_read_and_written_at_offsets() {
        let (_guard, folder) = folder();
        let path = folder.join("disk");
        std::fs::write(&path, vec![0_u8; 4096]).unwrap();
        let mut device = Live.open(&path, Access::Write).unwrap();
        assert_eq!(device.size().unwrap(), 4096);
        device.write_at(4000, b"tail").unwrap();
        device.flush().unwrap();
        let mut buffer = [0; 4];
        device.read_at(4000, &mut buffer).unwrap();
        assert_eq!(&buffer, b"tail");
        assert!(device.read_at(4094, &mut buffer).is_err());
    }

    #[test]
    fn a_console_nobody_reads_does_not_stop_us() {
        let (_guard, folder) = folder();
        let pipe = folder.join("console");
        nix::unistd::mkfifo(pipe.as_std_path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
        Live.emit(&pipe, b"no reader");
        let _reader = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&pipe)
            .unwrap();
        let started = Instant::now();
        Live.emit(&pipe, &vec![b'x'; 1 << 20]);
        assert!(started.elapsed() < Duration::from_secs(5));
        Live.emit(Utf8Path::new("/dev/no-such-console"), b"x");
    }
}

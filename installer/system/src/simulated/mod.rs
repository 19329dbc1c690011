//! A machine in memory: disks as sparse bytes, partition tables, md arrays, file systems, pools and the programs that make
//! them, good enough that the engine runs a whole plan on it.
//!
//! The bytes are the only truth: `sfdisk`, `mdadm` and `mkfs` leave a record in the sectors where the real ones do, so that
//! zeroing those sectors makes it go away, and a power cut ([`Simulated::power_cycle`]) leaves what was written.

mod programs;
mod sparse;
mod state;
mod sysfs;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

pub use sparse::Sparse as Content;
pub use state::SimulatedDisk;
use state::State;

use crate::{
    Access, BlockDevice, Command, CommandError, DownloadError, Output, System, SystemError,
};

/// A machine in memory. Clones share it.
#[derive(Clone, Default)]
pub struct Simulated {
    state: Arc<Mutex<State>>,
}

impl Simulated {
    /// A machine without disks.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked while holding the lock has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a disk under a kernel name such as `sda`.
    pub fn add_disk(&self, name: &str, disk: SimulatedDisk) {
        self.state().add_disk(name, disk);
    }

    /// Writes bytes to a device behind everybody's back.
    pub fn put(&self, name: &str, offset: u64, bytes: &[u8]) {
        self.state().write_node(name, offset, bytes).ok();
    }

    /// Makes a file of the live system.
    pub fn put_file(&self, path: &str, content: &[u8]) {
        self.state()
            .live_files
            .insert(path.into(), (content.to_vec(), 0o644));
    }

    /// What a disk holds: equal before and after means untouched.
    pub fn content(&self, name: &str) -> Content {
        self.state()
            .disks
            .get(name)
            .map(|disk| disk.bytes.clone())
            .unwrap_or_default()
    }

    /// A file of the file system with this UUID, without mounting.
    pub fn file_on(&self, uuid: &str, path: &str) -> Option<Vec<u8>> {
        let state = self.state();
        let files = state.file_systems.get(&state::plain(uuid))?;
        files
            .get(Utf8Path::new(path))
            .map(|(content, _)| content.clone())
    }

    /// Leaves a stick or CD as somebody brings it: a whole disk that is removable and holds a file system with this label.
    pub fn add_medium(&self, name: &str, label: &str, files: &[(&str, &[u8])]) {
        let mut state = self.state();
        let number = u32::try_from(state.disks.len()).unwrap_or(0);
        state.add_disk(name, SimulatedDisk::new(1 << 26, (8, 16 * number)));
        let record = state::FileSystemRecord {
            kind: "vfat".to_owned(),
            uuid: name.to_owned(),
        };
        // The disk is larger than the record.
        let _ = state.put_record(name, state::FILE_SYSTEM_AT, &record);
        drop(state);
        self.put_file(&format!("/sys/class/block/{name}/removable"), b"1\n");
        self.answer("blkid", Ok(&format!("LABEL={label}\nTYPE=vfat\n")));
        for (file, content) in files {
            self.put_file_on(name, file, content);
        }
    }

    /// Replaces a file of the file system with this UUID.
    pub fn put_file_on(&self, uuid: &str, path: &str, content: &[u8]) {
        let mut state = self.state();
        let files = state.file_systems.entry(state::plain(uuid)).or_default();
        files.insert(path.into(), (content.to_vec(), 0o600));
    }

    /// Reads from a device.
    pub fn get(&self, name: &str, offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; length];
        self.state().read_node(name, offset, &mut buffer).ok()?;
        Some(buffer)
    }

    /// Writes that were not allowed: must stay empty.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// The commands run so far.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    /// What was written to a console or port.
    pub fn console(&self, path: &str) -> String {
        let state = self.state();
        let bytes = state
            .consoles
            .get(Utf8Path::new(path))
            .cloned()
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Mount points in use.
    pub fn mounts(&self) -> Vec<Utf8PathBuf> {
        self.state()
            .mounts
            .iter()
            .map(|mount| mount.target.clone())
            .collect()
    }

    /// Answers commands whose line begins so, instead of the simulated program; `Err` is its standard error.
    pub fn answer(&self, prefix: &str, answer: Result<&str, &str>) {
        let answer = answer.map(str::to_owned).map_err(str::to_owned);
        self.state().answers.push((prefix.to_owned(), answer));
    }

    /// Lets the simulated programs answer again.
    pub fn forget_answers(&self) {
        self.state().answers.clear();
    }

    /// Answers a URL.
    pub fn put_url(&self, url: &str, content: &[u8]) {
        self.state().urls.insert(url.to_owned(), content.to_vec());
    }

    /// Gives the machine a management controller: network function, command and data in; completion code and data out, or
    /// nothing for silence. Copies of the machine share it.
    pub fn add_bmc(&self, answer: impl FnMut(u8, u8, &[u8]) -> Option<Vec<u8>> + Send + 'static) {
        self.state().bmc = Some(Arc::new(Mutex::new(answer)));
    }

    /// Power off and on: mounts, assembled arrays, imported pools and the live system's files are gone, disks stay.
    pub fn power_cycle(&self) {
        self.state().power_cycle();
    }

    /// Adds a mapped device, such as `dm-0`, on other nodes.
    pub fn add_mapping(&self, name: &str, under: &[&str]) {
        let under = under.iter().map(ToString::to_string).collect();
        self.state().mappings.insert(name.to_owned(), under);
    }

    /// A machine of its own that is as this one is now.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.state().clone();
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Pulls a disk.
    pub fn remove_disk(&self, name: &str) {
        self.state().remove_disk(name);
    }

    /// Swaps the kernel names of two disks, as another boot may.
    pub fn swap_names(&self, one: &str, other: &str) {
        self.state().swap_names(one, other);
    }
}

impl System for Simulated {
    fn run(&self, command: &Command) -> Result<Output, CommandError> {
        let mut state = self.state();
        state.commands.push(command.to_string());
        let line = command.to_string();
        let scripted = state
            .answers
            .iter()
            .rev()
            .find(|(prefix, _)| line.starts_with(prefix))
            .map(|(_, answer)| answer.clone());
        let answer = match scripted {
            Some(answer) => answer.map_err(|stderr| (1, stderr)),
            None => programs::run(&mut state, command),
        };
        match answer {
            Ok(stdout) => Ok(Output {
                stdout,
                stderr: String::new(),
            }),
            Err((code, stderr)) => Err(CommandError::Failed {
                line,
                status: format!("exit code {code}"),
                stderr,
            }),
        }
    }

    fn read(&self, path: &Utf8Path) -> Result<Vec<u8>, SystemError> {
        let state = self.state();
        if let Some(text) = sysfs::read(&state, path) {
            return Ok(text.into_bytes());
        }
        let (files, inner) = state.files_at(path);
        files
            .and_then(|files| files.get(&inner))
            .map(|(content, _)| content.clone())
            .ok_or_else(|| SystemError::file("read", path)(io::ErrorKind::NotFound.into()))
    }

    fn write(&self, path: &Utf8Path, content: &[u8], mode: u32) -> Result<(), SystemError> {
        self.state()
            .put_file(path, content.to_vec(), mode)
            .map_err(SystemError::file("write", path))
    }

    fn append(&self, path: &Utf8Path, content: &[u8]) -> Result<(), SystemError> {
        let mut whole = self.read(path).unwrap_or_default();
        whole.extend_from_slice(content);
        self.state()
            .put_file(path, whole, 0o600)
            .map_err(SystemError::file("append to", path))
    }

    fn remove(&self, path: &Utf8Path) -> Result<(), SystemError> {
        self.state().remove_file(path);
        Ok(())
    }

    fn make_directory(&self, _path: &Utf8Path) -> Result<(), SystemError> {
        Ok(())
    }

    fn list(&self, path: &Utf8Path) -> Result<Vec<String>, SystemError> {
        let state = self.state();
        sysfs::list(&state, path)
            .or_else(|| state.list_files(path))
            .ok_or_else(|| SystemError::file("list", path)(io::ErrorKind::NotFound.into()))
    }

    fn exists(&self, path: &Utf8Path) -> bool {
        let state = self.state();
        sysfs::exists(&state, path) || {
            let (files, inner) = state.files_at(path);
            files.is_some_and(|files| files.contains_key(&inner))
        }
    }

    fn resolve(&self, path: &Utf8Path) -> Result<Utf8PathBuf, SystemError> {
        if path.starts_with("/dev/disk") {
            let name = self.state().node_name(path);
            return match name {
                Some(name) => Ok(Utf8Path::new("/dev").join(name)),
                None => Err(SystemError::file("resolve", path)(
                    io::ErrorKind::NotFound.into(),
                )),
            };
        }
        Ok(path.to_owned())
    }

    fn mount(
        &self,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
        _data: &str,
    ) -> Result<(), SystemError> {
        self.state()
            .mount(source, target, kind, read_only)
            .map_err(SystemError::file("mount", source))
    }

    fn unmount(&self, target: &Utf8Path) -> Result<(), SystemError> {
        self.state()
            .unmount(target)
            .map_err(SystemError::file("unmount", target))
    }

    fn open(&self, device: &Utf8Path, access: Access) -> Result<Box<dyn BlockDevice>, SystemError> {
        let mut state = self.state();
        let name = state
            .node_name(device)
            .ok_or_else(|| SystemError::file("open", device)(io::ErrorKind::NotFound.into()))?;
        if access == Access::Write {
            state
                .check_write(&name)
                .map_err(SystemError::file("open", device))?;
        }
        Ok(Box::new(SimulatedDevice {
            system: self.clone(),
            path: device.to_owned(),
            name,
            access,
        }))
    }

    fn allow_writes(&self, disks: &[String], built_from: &[String]) {
        let mut state = self.state();
        state.allowed = Some((
            disks.iter().cloned().collect(),
            built_from.iter().cloned().collect(),
        ));
    }

    fn emit(&self, path: &Utf8Path, content: &[u8]) {
        let mut state = self.state();
        state
            .consoles
            .entry(path.to_owned())
            .or_default()
            .extend_from_slice(content);
    }

    fn ipmi(&self, function: u8, command: u8, data: &[u8]) -> Result<Vec<u8>, SystemError> {
        let path = Utf8Path::new(crate::live::IPMI);
        let bmc = self.state().bmc.clone();
        let bmc =
            bmc.ok_or_else(|| SystemError::file("open", path)(io::ErrorKind::NotFound.into()))?;
        let mut answer = bmc.lock().unwrap_or_else(PoisonError::into_inner);
        answer(function, command, data)
            .ok_or_else(|| SystemError::file("ask", path)(io::ErrorKind::TimedOut.into()))
    }

    fn download(&self, url: &str, limit: u64) -> Result<Vec<u8>, DownloadError> {
        let content = self.state().urls.get(url).cloned();
        match content {
            Some(content) if content.len() as u64 <= limit => Ok(content),
            Some(_) => Err(DownloadError::TooLarge {
                url: url.to_owned(),
                limit,
            }),
            None => Err(DownloadError::Transfer {
                url: url.to_owned(),
                reason: "connection refused".to_owned(),
            }),
        }
    }

    fn sleep(&self, duration: Duration) {
        self.state().clock += duration;
    }

    fn sync(&self) {}

    fn now(&self) -> Duration {
        let mut state = self.state();
        // Time passes while things are done.
        state.clock += Duration::from_millis(1);
        state.clock
    }
}

struct SimulatedDevice {
    system: Simulated,
    path: Utf8PathBuf,
    name: String,
    access: Access,
}

impl BlockDevice for SimulatedDevice {
    fn size(&mut self) -> Result<u64, SystemError> {
        self.system
            .state()
            .node_size(&self.name)
            .ok_or_else(|| SystemError::file("seek", &self.path)(io::ErrorKind::NotFound.into()))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), SystemError> {
        self.system
            .state()
            .read_node(&self.name, offset, buffer)
            .map_err(SystemError::file("read", &self.path))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SystemError> {
        if self.access == Access::Read {
            return Err(SystemError::file("write", &self.path)(
                io::ErrorKind::PermissionDenied.into(),
            ));
        }
        self.system
            .state()
            .write_node(&self.name, offset, bytes)
            .map_err(SystemError::file("write", &self.path))
    }

    fn flush(&mut self) -> Result<(), SystemError> {
        Ok(())
    }

    fn reread_partitions(&mut self) -> Result<(), SystemError> {
        Ok(())
    }
}

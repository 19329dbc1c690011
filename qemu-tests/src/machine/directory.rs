//! Where machines live: one directory for each, gone with it, or with the next run if we were killed.

use camino::{Utf8Path, Utf8PathBuf};
use fs_err as fs;

/// Directories of machines begin with this, followed by the process id of their owner.
const PREFIX: &str = "rackwright-machine-";

/// Where directories are made: `TMPDIR`, else `/var/tmp`, which is on a disk (file-hierarchy(7)); `/tmp` is memory on
/// Debian 13, and an install writes more than a GB.
fn parent() -> Utf8PathBuf {
    std::env::var("TMPDIR").map_or_else(|_| Utf8PathBuf::from("/var/tmp"), Utf8PathBuf::from)
}

/// Makes a directory that is removed when dropped.
pub(super) fn make(name: &str) -> std::io::Result<tempfile::TempDir> {
    let parent = parent();
    sweep(&parent);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-{name}-", std::process::id()))
        .tempdir_in(parent)
}

/// Removes what killed runs left behind.
fn sweep(parent: &Utf8Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|owner| owner.parse::<u32>().ok()) else {
            continue;
        };
        if !Utf8Path::new(&format!("/proc/{owner}")).exists() {
            // Another run may be sweeping too.
            let _gone = fs::remove_dir_all(entry.path());
        }
    }
}

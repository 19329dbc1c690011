//! One look at a running appliance for all its consoles. Three of them stand beside each other (the screen, two serial lines),
//! and a look starts a dozen programs: on a busy machine three looks for the same answer were a tenth of a processor each
//! (2026-11-30). Who comes first looks, under a lock that the kernel takes back from one that dies; the others wait for it and
//! read what it saw.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    time::Duration,
};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

/// What was seen; in memory, root's alone.
const SEEN: &str = "consoles-saw.json";
/// Held by the one that looks.
const LOCK: &str = "consoles-look.lock";

#[derive(Serialize, Deserialize)]
struct Look {
    /// Since boot: the clock of a young machine jumps.
    at: Duration,
    seen: serde_json::Value,
}

/// What this or another console saw at most `age` ago, else what `look` sees now. `since_boot` is asked for the time before and
/// after the look. Where `folder` cannot be written each console looks for itself.
pub fn shared(
    folder: &Utf8Path,
    age: Duration,
    since_boot: impl Fn() -> Duration,
    look: impl FnOnce() -> serde_json::Value,
) -> serde_json::Value {
    let lock = lock(folder);
    if lock.is_ok()
        && let Some(last) = last(folder)
        // One from the future was not left by this boot.
        && let Some(passed) = since_boot().checked_sub(last.at)
        && passed <= age
    {
        return last.seen;
    }
    let seen = look();
    if lock.is_ok() {
        let at = since_boot();
        // Who cannot write leaves the looking to each.
        let _ = leave(
            folder,
            &Look {
                at,
                seen: seen.clone(),
            },
        );
    }
    seen
}

fn lock(folder: &Utf8Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::options()
        .create(true)
        .append(true)
        .open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

fn last(folder: &Utf8Path) -> Option<Look> {
    let text = fs::read(folder.join(SEEN)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn leave(folder: &Utf8Path, look: &Look) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    let mut file = options
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(folder.join(SEEN))?;
    serde_json::to_writer(&mut file, look)?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        thread,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn three_consoles_look_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let looks = AtomicU32::new(0);
        let seen: Vec<serde_json::Value> = thread::scope(|scope| {
            let consoles: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        shared(
                            folder,
                            SECOND,
                            || 100 * SECOND,
                            || {
                                thread::sleep(Duration::from_millis(20));
                                looks.fetch_add(1, Ordering::Relaxed).into()
                            },
                        )
                    })
                })
                .collect();
            consoles
                .into_iter()
                .map(|console| console.join().unwrap())
                .collect()
        });
        assert_eq!(seen, [0, 0, 0]);
        assert_eq!(looks.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn an_old_look_or_one_that_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let at = |second: u32, word: &str| {
            let seen = shared(folder, 5 * SECOND, || second * SECOND, || word.into());
            seen.as_str().unwrap().to_owned()
        };
        for (second, word, seen) in [
            (10, "first", "first"),
            (15, "second", "first"),
            (16, "third", "third"),
            // The clock of another boot.
            (3, "fourth", "fourth"),
        ] {
            assert_eq!(at(second, word), seen, "{second}");
        }
        fs::write(folder.join(SEEN), "{").unwrap();
        assert_eq!(at(3, "fifth"), "fifth");
    }

    #[test]
    fn without_a_folder_each_looks() {
        let none = Utf8Path::new("/proc/no-such-folder");
        assert_eq!(shared(none, SECOND, || SECOND, || "seen".into()), "seen");
    }
}

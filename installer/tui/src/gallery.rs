//! The screens of the documentation: made by keys, as a person would see them.

use std::{collections::VecDeque, io};

use camino::Utf8Path;

use crate::{
    example, facts,
    look::Look,
    play::{self, Play},
    screenshot,
};

/// File, machine, keys, width, height.
const SCREENS: [(&str, &str, &str, u16, u16); 13] = [
    ("welcome", "storage-36", "", 100, 30),
    ("repair", "storage-36", "<Down><Enter>", 100, 30),
    ("hardware", "faults", "2", 100, 30),
    ("disks", "storage-36", "3<Right><Up><Up>", 110, 34),
    ("disks-serial", "storage-36", "3<Right><Up><Up>", 80, 24),
    ("disks-wide", "storage-36", "3<Right><Up><Up>", 128, 48),
    ("layout", "storage-36", "3l<Down>", 110, 34),
    ("network", "storage-36", "4p<Down><Down>", 100, 30),
    ("bmc", "storage-36", "5t", 100, 24),
    ("cluster", "galera", "6", 100, 30),
    ("review", "storage-36", "7", 128, 36),
    ("confirm", "storage-36", "7<Enter>storage", 100, 30),
    ("console", "storage-36", "", 128, 36),
];

/// Writes all of them into a folder; gives their names.
///
/// # Errors
/// If role data or folder cannot be used.
pub fn write(folder: &Utf8Path, roles: &Utf8Path) -> io::Result<Vec<String>> {
    std::fs::create_dir_all(folder)?;
    let facts = |machine: &str| example::named(machine, roles).map_err(io::Error::other);
    let mut names = Vec::new();
    let mut save = |name: &str, play: &Play, width: u16, height: u16| -> io::Result<()> {
        let look = if width < 100 { Look::PLAIN } else { Look::FULL };
        let buffer = screenshot::buffer(&play.state, &play::view(look), width, height);
        std::fs::write(folder.join(format!("{name}.svg")), screenshot::svg(&buffer))?;
        names.push(name.to_owned());
        Ok(())
    };
    for (name, machine, keys, width, height) in SCREENS {
        let mut facts = facts(machine)?;
        if name == "console" {
            facts.mode = facts::Mode::Console;
        }
        let mut play = Play::new(facts);
        play.keys(keys);
        save(name, &play, width, height)?;
    }
    let mut play = Play::new(facts("storage-36")?);
    play.executor.fail_once = Some("pool".to_owned());
    play.held = Some(VecDeque::new());
    play.keys("7<Enter>storage-1<Enter>");
    let image = play.held.iter().flatten().position(
        |message| matches!(message, crate::Message::Event { record, .. } if matches!(record.event, run::Event::Progress { .. })),
    );
    play.release(image.unwrap_or(0) + 4);
    save("progress", &play, 110, 34)?;
    play.release(usize::MAX);
    save("failed", &play, 100, 30)?;
    play.keys("r").release(usize::MAX);
    save("done", &play, 100, 24)?;
    Ok(names)
}

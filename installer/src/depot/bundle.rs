//! What a failed install leaves at the depot: all that helps to understand it far away from the machine, and no secret.

use std::collections::BTreeMap;

use camino::Utf8Path;
use depot::wire::Bundle;
use run::Outcome;
use system::{Command, System};

/// Bytes of one text; the end of it says most.
const MOST: usize = 512 << 10;
/// What the install wrote down on its way.
const FILES: [&str; 5] = [
    "events.jsonl",
    "inventory.json",
    "findings.json",
    "preflight.json",
    "boot.json",
];
const FOLDER: &str = "/run/rackwright";

/// Collects it. What cannot be had is left out.
pub fn make(system: &dyn System, outcome: Outcome) -> Bundle {
    let mut files = BTreeMap::new();
    for name in FILES {
        if let Ok(bytes) = system.read(&Utf8Path::new(FOLDER).join(name)) {
            files.insert(name.to_owned(), end(&String::from_utf8_lossy(&bytes)));
        }
    }
    let commands: [(&str, &[&str]); 4] = [
        // The kernel's words only: services might repeat what they were given.
        (
            "kernel.txt",
            &["journalctl", "-k", "-b", "--no-pager", "-n", "2000"],
        ),
        ("disks.json", &["lsblk", "--json", "--bytes", "-O"]),
        ("arrays.txt", &["cat", "/proc/mdstat"]),
        ("pools.txt", &["zpool", "status", "-P"]),
    ];
    for (name, line) in commands {
        let Some((program, arguments)) = line.split_first() else {
            continue;
        };
        if let Ok(output) = system.run(&Command::new(*program).args(arguments.iter().copied())) {
            files.insert(name.to_owned(), end(&output.stdout));
        }
    }
    Bundle {
        summary: match outcome {
            Outcome::Cancelled => "the install was stopped",
            _ => "the install failed",
        }
        .to_owned(),
        files,
    }
}

/// The last bytes of a text, from the beginning of a line.
fn end(text: &str) -> String {
    if text.len() <= MOST {
        return text.to_owned();
    }
    let mut from = text.len() - MOST;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let rest = &text[from..];
    rest.split_once('\n')
        .map_or(rest, |(_, after)| after)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_lose_their_beginning() {
        assert_eq!(end("a\nb"), "a\nb");
        let text = "é\n".repeat(MOST / 2);
        let kept = end(&text);
        assert!(
            kept.len() <= MOST && kept.starts_with('é'),
            "{}",
            kept.len()
        );
    }
}

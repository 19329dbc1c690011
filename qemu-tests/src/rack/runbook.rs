//! The runbook says nothing that no fault of the rack does. Compared are words; that they work is shown by a run.

use crate::images::workspace;

/// Sources of all that is run on a rack's machines.
const RUNS: &str = concat!(
    include_str!("green.rs"),
    include_str!("faults/data.rs"),
    include_str!("faults/links.rs"),
    include_str!("faults/power.rs"),
);

/// Commands of the code blocks of a section; `&&` separates two.
fn commands<'a>(text: &'a str, section: &str) -> Vec<&'a str> {
    let Some((_, rest)) = text.split_once(&format!("\n## {section}\n")) else {
        return Vec::new();
    };
    let section = rest
        .split_once("\n## ")
        .map_or(rest, |(section, _)| section);
    section
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split_once("```").map(|(code, _)| code))
        .flat_map(str::lines)
        .flat_map(|line| line.split(" && "))
        .map(|command| command.trim())
        .collect()
}

#[test]
fn each_command_stands_in_a_fault() {
    let text = fs_err::read_to_string(workspace().join("docs/operations.md")).unwrap();
    let commands = commands(&text, "Three in the morning");
    assert!(commands.len() > 5, "the section or its commands are gone");
    for command in commands {
        // The name of the lost member is the fault's own.
        let run = command.replace("db3", "{lost}");
        assert!(RUNS.contains(&run), "no fault runs `{command}`");
    }
}

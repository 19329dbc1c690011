//! Puts node files where the installer looks for them: a FAT partition labelled RACKWRIGHT.

use std::io::Write as _;
use std::process::{Command, Stdio};

use camino::Utf8Path;
use fs_err as fs;
use serde::Deserialize;

use super::MachineError;

/// Name of partition and file system.
const LABEL: &str = "RACKWRIGHT";
/// Where the first partition of a stick begins.
const START: u64 = 1 << 20;
const SECTOR: u64 = 512;

/// Makes a 64 MiB stick with one FAT partition labelled RACKWRIGHT that holds `node.toml`.
///
/// # Errors
/// If a host tool fails.
pub fn make_stick(path: &Utf8Path, node_file: &str) -> Result<(), MachineError> {
    let size: u64 = 64 << 20;
    fs::File::create(path)?.set_len(size)?;
    program(
        "sfdisk",
        &["--quiet", path.as_str()],
        &format!("label: dos\nstart={}, type=c\n", START / SECTOR),
    )?;
    let sectors = ((size - START) / SECTOR).to_string();
    let image = format!("{path}@@{START}");
    program(
        "mformat",
        &[
            "-i", &image, "-T", &sectors, "-h", "64", "-s", "32", "-v", LABEL, "::",
        ],
        "",
    )?;
    write(&image, "node.toml", node_file)
}

/// Text of a file on a stick that [`make_stick`] made.
///
/// # Errors
/// If it is not there.
pub fn read_from_stick(path: &Utf8Path, name: &str) -> Result<String, MachineError> {
    let (image, name) = (format!("{path}@@{START}"), format!("::{name}"));
    program("mtype", &["-i", &image, &name], "")
}

/// Writes `node.toml` onto the medium's own partition named RACKWRIGHT.
///
/// # Errors
/// If the medium has no such partition or a host tool fails.
pub fn add_node_file(medium: &Utf8Path, node_file: &str) -> Result<(), MachineError> {
    add_file(medium, "node.toml", node_file)
}

/// Puts a file onto the partition `RACKWRIGHT` of a medium.
///
/// # Errors
/// If the medium has no such partition, or the file cannot be written.
pub fn add_file(medium: &Utf8Path, name: &str, text: &str) -> Result<(), MachineError> {
    #[derive(Deserialize)]
    struct Output {
        partitiontable: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        partitions: Vec<Partition>,
    }
    #[derive(Deserialize)]
    struct Partition {
        start: u64,
        #[serde(default)]
        name: String,
    }
    let json = program("sfdisk", &["--json", medium.as_str()], "")?;
    let output: Output = serde_json::from_str(&json).map_err(std::io::Error::from)?;
    let partition = output
        .partitiontable
        .partitions
        .iter()
        .find(|partition| partition.name == LABEL);
    let partition = partition.ok_or_else(|| MachineError::NoPartition {
        path: medium.to_owned(),
        name: LABEL.to_owned(),
    })?;
    write(
        &format!("{medium}@@{}", partition.start * SECTOR),
        name,
        text,
    )
}

fn write(image: &str, name: &str, text: &str) -> Result<(), MachineError> {
    let name = format!("::{name}");
    program("mcopy", &["-o", "-i", image, "-", &name], text).map(drop)
}

/// Runs a host tool with standard input; returns its standard output.
fn program(name: &str, arguments: &[&str], input: &str) -> Result<String, MachineError> {
    let line = format!("{name} {}", arguments.join(" "));
    let failed = |reason: String| MachineError::Program {
        line: line.clone(),
        reason,
    };
    let mut child = Command::new(name)
        .args(arguments)
        // sfdisk lives in a directory that is not in everyone's PATH.
        .env("PATH", crate::host::search_path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool may end without reading: its status says more than our broken pipe.
        let _broken = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{}: {}", output.status, stderr.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn a_stick_gives_the_node_file_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("stick")).unwrap();
        make_stick(&path, "format = 1\n").unwrap();
        let image = format!("{path}@@{START}");
        assert_eq!(read_from_stick(&path, "node.toml").unwrap(), "format = 1\n");
        assert!(
            program("mdir", &["-i", &image, "::"], "")
                .unwrap()
                .contains(LABEL)
        );
    }

    #[test]
    fn a_medium_without_the_partition_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::try_from(directory.path().join("stick")).unwrap();
        make_stick(&path, "").unwrap();
        let error = add_node_file(&path, "").unwrap_err().to_string();
        assert!(
            error.ends_with("has no partition named `RACKWRIGHT`"),
            "{error}"
        );
    }
}

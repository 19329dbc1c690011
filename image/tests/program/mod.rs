//! The program as a user starts it: words and standard input in, exit code and both outputs out.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Exit code, standard output and standard error.
pub fn run(folder: &Path, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rackwright"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// As [`run`], as one text for a snapshot.
pub fn shown(folder: &Path, arguments: &[&str], input: &str) -> String {
    let (code, stdout, stderr) = run(folder, arguments, input);
    format!("exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}")
}

//! How far the install of this machine got: `state` in `/state/install.json`. Other keys are the engine's and stay as they are.

use camino::Utf8Path;
use serde::Deserialize;
use system::{System, SystemError};

use crate::install_state::Progress;

/// Where it is.
pub const PATH: &str = "/state/install.json";

/// As it stands in the file.
pub fn name(progress: Progress) -> &'static str {
    match progress {
        Progress::Incomplete => "incomplete",
        Progress::Unproven => "unproven",
        Progress::Installed => "installed",
        Progress::Unknown => "unknown",
    }
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ProgressError {
    /// Not readable or writable.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Not what the installer writes.
    #[error("`{PATH}` is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    /// It has no object with a state.
    #[error("`{PATH}` has no `state`")]
    NoState,
}

/// Reads the state out of the text of the file.
pub fn parse(text: &str) -> Result<Progress, ProgressError> {
    #[derive(Deserialize)]
    struct State {
        state: Progress,
    }
    Ok(serde_json::from_str::<State>(text)?.state)
}

/// Turns `unproven` into `installed`; true if it was so. The file is replaced as a whole (promise 3).
pub fn prove(system: &dyn System) -> Result<bool, ProgressError> {
    let path = Utf8Path::new(PATH);
    let mut document: serde_json::Value = serde_json::from_slice(&system.read(path)?)?;
    let state = document.get_mut("state").ok_or(ProgressError::NoState)?;
    if *state != name(Progress::Unproven) {
        return Ok(false);
    }
    *state = name(Progress::Installed).into();
    let mut text = serde_json::to_vec_pretty(&document)?;
    text.push(b'\n');
    system.write(path, &text, 0o644)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    #[test]
    fn only_unproven_becomes_installed() {
        let cases = [
            ("incomplete", false, "incomplete"),
            ("unproven", true, "installed"),
            ("installed", false, "installed"),
            ("of the future", false, "of the future"),
        ];
        for (before, changed, after) in cases {
            let system = Simulated::new();
            let text = format!(r#"{{"state": "{before}", "plan": "abc", "slots": {{}}}}"#);
            system.put_file(PATH, text.as_bytes());
            assert_eq!(prove(&system).unwrap(), changed, "{before}");
            let text = system.read(Utf8Path::new(PATH)).unwrap();
            let document: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!(document["state"], after);
            assert_eq!(document["plan"], "abc");
        }
    }

    #[test]
    fn damaged_files() {
        for (text, expected) in [
            (
                "{}",
                "`/state/install.json` is damaged: missing field `state` at line 1 column 2",
            ),
            (
                "",
                "`/state/install.json` is damaged: EOF while parsing a value at line 1 column 0",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
        assert_eq!(parse(r#"{"state": "later"}"#).unwrap(), Progress::Unknown);
    }
}

//! zrepl from its Go module: Debian 13 has no package of it, and its source is public. Version and checksum are fixed here; what
//! it is made of besides is fixed by the `go.sum` inside the module, which the checksum covers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use system::{Command, CommandError, System};

use crate::snapshot::sha256;

const MODULE: &str = "github.com/zrepl/zrepl";
/// Of 2026; its `go.mod` asks for Go 1.24.13.
pub const VERSION: &str = "v0.7.0";
/// Hash of the module's files (`h1`, golang.org/x/mod/sumdb/dirhash), as Go's checksum database has it (2026-11-29).
const SUM: &str = "h1:I0P2exH3xKIu4/cUh1Zfk/fna/NarvSDTWYqucl4+MY=";

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The program.
    pub file: Utf8PathBuf,
    /// Hexadecimal.
    pub sha256: String,
}

impl Made {
    /// The entry of the site file.
    #[must_use]
    pub fn entry(&self) -> String {
        format!(
            "[[payloads]]\nname = \"zrepl\"\nfile = \"{}\"\nsha256 = \"{}\"\n",
            self.file, self.sha256
        )
    }
}

/// What `go mod download -json` says.
#[derive(Debug, Deserialize)]
struct Module {
    #[serde(rename = "Dir")]
    folder: Option<String>,
    #[serde(rename = "Sum")]
    sum: Option<String>,
    #[serde(rename = "Error")]
    error: Option<String>,
}

/// Builds the program into `folder`. Needs Go, and its module proxy the first time.
pub fn build(system: &dyn System, folder: &Utf8Path) -> Result<Made> {
    let go = |words: &[&str]| Command::new("go").args(words.iter().copied());
    let at = format!("{MODULE}@{VERSION}");
    // Outside of any module of the user's.
    let download = go(&["mod", "download", "-json", &at])
        .current_dir("/")
        .timeout(Duration::from_secs(600));
    let said = match system.run(&download) {
        Ok(output) => output.stdout,
        Err(error @ CommandError::Start { .. }) => {
            return Err(error).context(
                "zrepl is built with Go, which is not here\nhint: Go 1.24.13 or newer from https://go.dev/dl/ (Debian 13's is older), or a zrepl that you built elsewhere as payload",
            );
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot get the module `{at}`\nhint: is Go's module proxy reachable? `go env GOPROXY` says which"));
        }
    };
    let module: Module =
        serde_json::from_str(&said).context("cannot understand what `go mod download` says")?;
    if let Some(error) = module.error {
        bail!("cannot get the module `{at}`: {error}");
    }
    let sum = module.sum.unwrap_or_default();
    if sum != SUM {
        bail!(
            "the module `{at}` is not the one that is meant here: its checksum is `{sum}`, not `{SUM}`\nhint: empty the module cache (`go clean -modcache`) or look at the proxy; do not use it"
        );
    }
    let source = module
        .folder
        .context("`go mod download` does not say where the module is")?;
    let folder = camino::absolute_utf8(folder)?;
    fs_err::create_dir_all(&folder)?;
    let name = format!("zrepl-{VERSION}-linux-amd64");
    let temporary = folder.join(format!(".{name}.new"));
    let version = format!("-s -w -X {MODULE}/internal/version.zreplVersion={VERSION}");
    let mut compile = go(&[
        "build",
        // The module's own go.sum decides what it is made of.
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        &version,
        "-o",
        temporary.as_str(),
        ".",
    ])
    .current_dir(source)
    .timeout(Duration::from_secs(3600));
    // Static, and for the machines, whatever this one is.
    for (name, value) in [
        ("CGO_ENABLED", "0"),
        ("GOOS", "linux"),
        ("GOARCH", "amd64"),
        ("GOFLAGS", ""),
        ("GOWORK", "off"),
    ] {
        compile = compile.env(name, value);
    }
    system.run(&compile).context(
        "cannot compile zrepl\nhint: its `go.mod` asks for Go 1.24.13 or newer; `go version` says what is here",
    )?;
    let file = folder.join(name);
    fs_err::rename(&temporary, &file)?;
    Ok(Made {
        sha256: sha256(&file)?,
        file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(answer: &str) -> String {
        let system = system::Simulated::new();
        system.answer("go mod download", Ok(answer));
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        format!("{:#}", build(&system, folder).unwrap_err())
    }

    #[test]
    fn another_module_than_the_one_that_is_meant_is_not_compiled() {
        let other = refusal(r#"{"Dir":"/m","Sum":"h1:other="}"#);
        assert!(
            other.contains("its checksum is `h1:other=`, not `h1:I0P2"),
            "{other}"
        );
        let gone = refusal(r#"{"Error":"not found: 410 Gone"}"#);
        assert!(gone.contains("cannot get the module"), "{gone}");
        assert!(gone.contains("410 Gone"), "{gone}");
    }

    /// `cargo test --release -p image zrepl -- --ignored`.
    #[test]
    #[ignore = "Go, its module proxy, a minute"]
    fn it_is_built_and_static() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let made = build(&system::Live, folder).unwrap();
        let said = system::System::run(
            &system::Live,
            &Command::new(made.file.as_str()).arg("version"),
        );
        assert!(said.unwrap().stdout.contains(VERSION));
        let bytes = fs_err::read(&made.file).unwrap();
        assert_eq!(crate::binaries::interpreter(&bytes), Some(false));
    }

    #[test]
    fn an_entry_can_be_pasted() {
        let made = Made {
            file: "/p/zrepl-v0.7.0-linux-amd64".into(),
            sha256: "ab".repeat(32),
        };
        let site =
            roles::site::init(roles::site::model::Setup::Ha, 1000, "mail") + "\n" + &made.entry();
        let (site, found) = roles::site::check("site.toml", &site, None);
        assert!(!found.has_errors(), "{found}");
        let payload = &site.unwrap().payloads[0];
        assert_eq!(payload.target().as_deref(), Some("/usr/local/bin/zrepl"));
        assert_eq!(payload.roles(), ["storage", "backup"]);
    }
}

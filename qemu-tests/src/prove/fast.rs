//! The fast tier: format, lints, and all tests of the workspace, by cargo itself.

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::images;

/// A test that needs no machine.
pub(super) struct Test {
    /// Name.
    pub name: &'static str,
    /// May run at the same time as others of its kind.
    pub beside: bool,
    /// Gives the number of tests it stands for.
    pub run: fn() -> anyhow::Result<u64>,
}

pub(super) fn tests() -> Vec<Test> {
    vec![
        Test {
            name: "format",
            beside: false,
            run: || cargo(&["fmt", "--all", "--check"]).map(|_| 1),
        },
        Test {
            name: "lints",
            beside: false,
            run: || {
                cargo(&[
                    "clippy",
                    "--quiet",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ])
                .map(|_| 1)
            },
        },
        Test {
            name: "workspace",
            beside: false,
            run: || cargo(&["test", "--workspace", "--no-fail-fast"]).map(|text| passed(&text)),
        },
        Test {
            name: "mutations",
            // It silences panics of the whole process.
            beside: false,
            run: changed_files,
        },
        Test {
            name: "namespaces",
            beside: true,
            run: || real("live", &[], &[]),
        },
        Test {
            name: "dhcp",
            beside: true,
            run: || real("dhcp", &[], &[]),
        },
        Test {
            name: "mail",
            beside: true,
            run: || {
                let folder = super::daemons::folder(&cache()?)?;
                let folder = ("RACKWRIGHT_DAEMONS", folder.as_str());
                // This program is `books`, too ([`crate::guise`]).
                let own = camino::Utf8PathBuf::try_from(std::env::current_exe()?)?;
                let books = ("RACKWRIGHT_BOOKS", own.as_str());
                let tests = ["mail_goes", "books_balance"];
                real("mail", &tests, &[folder, books])
            },
        },
        Test {
            name: "galera",
            beside: true,
            run: || {
                let folder = super::daemons::databases(&cache()?)?;
                let folder = ("RACKWRIGHT_DATABASES", folder.as_str());
                real("cluster", &[], &[folder])
            },
        },
        Test {
            name: "daemons",
            beside: true,
            run: || {
                let folder = super::daemons::folder(&cache()?)?;
                let folder = ("RACKWRIGHT_DAEMONS", folder.as_str());
                real("daemons", &[], &[folder])
            },
        },
    ]
}

/// Changed files at a time, and their seed; more of them: `cargo measure --mutations NUMBER`.
const CHANGES: (u64, u64) = (2_000, 8);

/// Node and site files that were changed in one place: refused with a place, or taken for what they say.
fn changed_files() -> anyhow::Result<u64> {
    let (count, seed) = CHANGES;
    let tally = crate::mutations::run(count, seed)?;
    anyhow::ensure!(tally.is_green(), "{}", tally.markdown());
    Ok(tally.files())
}

/// Real builds by the builder: without a network, killed half way, twice the same bytes. Begins with what the cache has.
pub(super) fn builder() -> Test {
    Test {
        name: "builder",
        beside: false,
        run: || {
            let cache = cache()?;
            let cache = ("RACKWRIGHT_CACHE", cache.as_str());
            cargo_with(
                &ignored(
                    &["--release", "--package", "image", "--test", "builds"],
                    &[],
                ),
                &[cache],
            )
            .map(|text| passed(&text))
        },
    }
}

/// Tests in a file of this name that are not run by `cargo test`: they need root and real programs. `--workspace`, not a package:
/// the features are those that `workspace` has compiled.
fn real(test: &str, names: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<u64> {
    let words = ignored(&["--workspace", "--test", test], names);
    cargo_with(&words, variables).map(|text| passed(&text))
}

fn ignored<'a>(which: &[&'a str], names: &[&'a str]) -> Vec<&'a str> {
    [&["test"], which, &["--", "--ignored"], names].concat()
}

/// The builder's own choice, so that its tests find what building the images left.
fn cache() -> anyhow::Result<camino::Utf8PathBuf> {
    let given = std::env::var("RACKWRIGHT_CACHE").ok().map(Into::into);
    image::cli::cache_folder(given)
}

/// Lines of a failed command that are shown.
const TAIL: usize = 80;

fn cargo(words: &[&str]) -> anyhow::Result<String> {
    cargo_with(words, &[])
}

fn cargo_with(words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    for name in image::binaries::variables_of_cargo() {
        command.env_remove(name);
    }
    let output = command
        .args(words)
        .current_dir(images::workspace())
        .env("CARGO_TERM_COLOR", "never")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `cargo {}`", words.join(" ")))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!(
            "`cargo {}` ended with {}\n{}{}",
            words.join(" "),
            output.status,
            tail(&interesting(&stdout)),
            tail(&stderr)
        );
    }
    Ok(stdout)
}

/// Without the lines of tests that passed.
fn interesting(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !(line.starts_with("test ") && line.ends_with(" ok")));
    lines.map(|line| format!("{line}\n")).collect()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let rest = lines.iter().skip(lines.len().saturating_sub(TAIL));
    rest.map(|line| format!("{line}\n")).collect()
}

/// Sum over libtest's summary lines.
fn passed(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("test result: ok. ")?;
        rest.split_once(" passed")?.0.parse::<u64>().ok()
    });
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed() {
        let text = "test a ... ok\ntest result: ok. 12 passed; 0 failed; 0 ignored\n\ntest result: ok. 3 passed; 0 failed\n";
        assert_eq!(passed(text), 15);
        assert_eq!(
            interesting("test a ... ok\ntest b ... FAILED\n"),
            "test b ... FAILED\n"
        );
    }
}

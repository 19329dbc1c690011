//! The mutation run: many node and site files, each changed in one place, and none may bring the readers down, be refused without
//! a place, or be taken for something it does not say.

pub mod change;
pub mod judge;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use roles::RoleSet;
use roles::compile::{Seed, compile};
use roles::site::model::Setup;

use crate::images;
use crate::random::Random;
use change::{Kind, change};
use judge::{Form, Verdict, judge};

/// A file before its change.
struct Base {
    name: String,
    form: Form,
    text: String,
}

/// What came of a run.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Seed of the run.
    pub seed: u64,
    /// By kind of change.
    pub kinds: BTreeMap<Kind, Counts>,
    /// Files that were changed.
    pub bases: usize,
    /// Number of the change and what went wrong.
    pub wrong: Vec<(u64, String)>,
    /// The change that took longest.
    pub slowest: (u64, Duration),
}

/// Of one kind of change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files.
    pub files: u64,
    /// Refused with line and column.
    pub rejected: u64,
    /// Accepted with the meaning of before.
    pub same: u64,
    /// Accepted with another meaning, which is the text's.
    pub other: u64,
    /// Accepted or refused as it must not be.
    pub wrong: u64,
    /// Panics.
    pub panics: u64,
}

/// A file that takes longer than this is a way to bring a machine to a halt.
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes `count` files.
///
/// # Errors
/// If the shipped files cannot be read.
pub fn run(count: u64, seed: u64) -> anyhow::Result<Tally> {
    let roles = shipped()?;
    let bases = bases(&roles)?;
    // Panics are counted, not shown one by one; the hook is the whole process's.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally {
        seed,
        bases: bases.len(),
        ..Tally::default()
    };
    for number in 0..count {
        let Some((base, kind, text)) = mutated(&bases, seed, number) else {
            continue;
        };
        let start = Instant::now();
        let verdict = judge(base.form, &base.text, &text, &roles);
        tally.add(number, base, kind, verdict, start.elapsed());
    }
    std::panic::set_hook(hook);
    Ok(tally)
}

/// The file of one change, and what came of it.
///
/// # Errors
/// If the shipped files cannot be read.
pub fn show(seed: u64, number: u64) -> anyhow::Result<String> {
    let roles = shipped()?;
    let bases = bases(&roles)?;
    let (base, kind, text) = mutated(&bases, seed, number).context("there are no files")?;
    let verdict = judge(base.form, &base.text, &text, &roles);
    Ok(format!(
        "# seed {seed}, change {number}: {} in {}: {verdict:?}\n{text}",
        kind.word(),
        base.name
    ))
}

fn mutated(bases: &[Base], seed: u64, number: u64) -> Option<(&Base, Kind, String)> {
    let mut random = Random::of(seed, number);
    let form = if number.is_multiple_of(2) {
        Form::Node
    } else {
        Form::Site
    };
    let of_form: Vec<&Base> = bases.iter().filter(|base| base.form == form).collect();
    let base = random.pick(&of_form).copied()?;
    let kind = random.pick(&Kind::ALL).copied()?;
    Some((base, kind, change(&base.text, kind, &mut random)))
}

fn shipped() -> anyhow::Result<RoleSet> {
    Ok(roles::folder::read(&images::workspace().join("roles"))?)
}

/// What users have: files as `init` and `compile` make them, and those with every key.
fn bases(roles: &RoleSet) -> anyhow::Result<Vec<Base>> {
    let mut bases = Vec::new();
    for setup in Setup::ALL {
        let text = roles::site::init(setup, 12_000, "mail");
        let (site, _) = roles::site::check("site.toml", &text, Some(roles));
        let site = site.context("a site file of `init` has no value")?;
        let compiled = compile(&site, &Seed::new([1; 32]), Some(roles), Some("permit"));
        // One machine of each role: the others differ in addresses only.
        let mut seen = std::collections::BTreeSet::new();
        for (name, text) in compiled.texts()? {
            if seen.insert(compiled.role(name).map(str::to_owned)) {
                bases.push(Base {
                    name: format!("{setup:?}/{name}"),
                    form: Form::Node,
                    text,
                });
            }
        }
        bases.push(Base {
            name: format!("{setup:?}"),
            form: Form::Site,
            text,
        });
    }
    let tests = images::workspace().join("roles/tests");
    for (folder, form) in [("valid", Form::Node), ("site", Form::Site)] {
        let mut paths: Vec<_> = tests
            .join(folder)
            .read_dir_utf8()?
            .filter_map(|entry| Some(entry.ok()?.into_path()))
            .filter(|path| path.extension() == Some("toml"))
            .collect();
        paths.sort();
        for path in paths {
            let base = Base {
                name: path.file_name().unwrap_or_default().to_owned(),
                form,
                text: fs_err::read_to_string(&path)?,
            };
            bases.push(base);
        }
    }
    Ok(bases)
}

impl Tally {
    fn add(&mut self, number: u64, base: &Base, kind: Kind, verdict: Verdict, took: Duration) {
        let counts = self.kinds.entry(kind).or_default();
        counts.files += 1;
        if took > self.slowest.1 {
            self.slowest = (number, took);
        }
        let mut wrong = |text: String| {
            let line = format!("{} in {}: {text}", kind.word(), base.name);
            self.wrong.push((number, line));
        };
        match verdict {
            Verdict::Rejected => counts.rejected += 1,
            Verdict::Same => counts.same += 1,
            Verdict::Other => counts.other += 1,
            Verdict::Wrong(text) => {
                counts.wrong += 1;
                wrong(text);
            }
            Verdict::Panicked(text) => {
                counts.panics += 1;
                wrong(format!("panic: {text}"));
            }
        }
        if took > PATIENCE {
            wrong(format!("took {} s", took.as_secs()));
        }
    }

    /// Nothing went wrong, and something was looked at.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.wrong.is_empty() && !self.kinds.is_empty()
    }

    /// Files that were looked at.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.kinds.values().map(|counts| counts.files).sum()
    }

    /// The table, and what went wrong.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from(
            "| change | files | rejected with line:column | accepted, same meaning | accepted, the text's new meaning | wrong | panics |\n|---|---|---|---|---|---|---|\n",
        );
        let mut sum = Counts::default();
        let mut row = |name: &str, counts: &Counts| {
            let Counts {
                files,
                rejected,
                same,
                other,
                wrong,
                panics,
            } = counts;
            let _ = writeln!(
                text,
                "| {name} | {files} | {rejected} | {same} | {other} | {wrong} | {panics} |"
            );
        };
        for (kind, counts) in &self.kinds {
            row(kind.word(), counts);
            sum.files += counts.files;
            sum.rejected += counts.rejected;
            sum.same += counts.same;
            sum.other += counts.other;
            sum.wrong += counts.wrong;
            sum.panics += counts.panics;
        }
        row("all", &sum);
        let _ = writeln!(
            text,
            "\nseed {}, {} files to begin with; the slowest took {} ms (change {})",
            self.seed,
            self.bases,
            self.slowest.1.as_millis(),
            self.slowest.0
        );
        for (number, wrong) in self.wrong.iter().take(40) {
            let wrong: String = wrong.chars().take(400).collect();
            let _ = writeln!(text, "- change {number}: {}", wrong.replace('\n', " "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_hundred_changes() {
        let tally = run(300, 20_261_130).unwrap();
        assert_eq!(tally.files(), 300);
        assert!(tally.is_green(), "{}", tally.markdown());
        let rejected: u64 = tally.kinds.values().map(|counts| counts.rejected).sum();
        assert!((100..300).contains(&rejected), "{}", tally.markdown());
    }

    #[test]
    fn the_same_change_is_made_again() {
        assert_eq!(show(1, 2).unwrap(), show(1, 2).unwrap());
    }
}

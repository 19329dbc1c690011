//! Figures that are counted over many runs: changed files, power cuts. A red run ends with an error.

use std::io::Write as _;

use anyhow::{Context as _, ensure};
use camino::Utf8Path;
use qemu_tests::{host, images, mutations, scenario};

/// Changes files and counts what comes of them; or shows one of them.
///
/// # Errors
/// If one is taken as it must not be.
pub fn mutations(count: u64, seed: u64, show: Option<u64>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(number) = show {
        writeln!(out, "{}", mutations::show(seed, number)?)?;
        return Ok(());
    }
    // Said first: a stack that runs over leaves no time for it.
    writeln!(std::io::stderr(), "seed {seed}")?;
    let tally = mutations::run(count, seed)?;
    write!(out, "{}", tally.markdown())?;
    ensure!(tally.is_green(), "{} changes went wrong", tally.wrong.len());
    Ok(())
}

/// Cuts power and counts what comes of it.
///
/// # Errors
/// If something looked installed that was not, or a foreign byte was touched.
pub fn power_cuts(
    role: &str,
    built: Option<&Utf8Path>,
    runs: u64,
    seed: u64,
) -> anyhow::Result<()> {
    host::prepare()?;
    writeln!(std::io::stderr(), "seed {seed}")?;
    let image = images::get(built, &[role])?
        .pop()
        .context("no image was built")?;
    let cuts = scenario::power_cuts(role, &image, runs, seed, &mut |line| {
        // Nothing is left to tell it to if even standard error is gone.
        let _gone = writeln!(std::io::stderr(), "{line}");
    })?;
    write!(
        std::io::stdout(),
        "{}",
        scenario::markdown(role, seed, &cuts)
    )?;
    ensure!(
        scenario::is_green(&cuts),
        "something looked installed that was not, or a foreign byte was touched"
    );
    Ok(())
}

//! Racks: four machines by provision alone, and the small one that carries mail through four faults (docs/rack-test.md).
//!
//! Four machines with blank disks: `rackwright serve`, `rackwright provision`, and nobody presses a key. Their BMCs are
//! simulated, the power that these are asked for is switched here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use camino::Utf8PathBuf;

use super::machines::Test;
use super::server::beside;
use crate::images::Image;
use crate::rack::{Rack, Shape, faults, run};

/// Four machines on two cores, emulated.
const PATIENCE: Duration = Duration::from_secs(5400);

/// The small rack with its faults, from blank disks.
pub(super) fn small(test: &Test, image: &Image) -> anyhow::Result<()> {
    let mut images = BTreeMap::from([(test.role.to_owned(), image.clone())]);
    for role in Shape::Small.roles() {
        if role != test.role {
            images.insert(role.to_owned(), beside(image, test.role, role)?);
        }
    }
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let path = Utf8PathBuf::try_from(folder.path().to_owned()).context("no UTF-8 name")?;
    let chosen: Vec<_> = faults::of(Shape::Small).collect();
    let verdict = run::run(Shape::Small, &images, &path, &chosen)?;
    ensure!(verdict.is_green, "the books say:\n{}", verdict.table);
    Ok(())
}

pub(super) fn rack(test: &Test, image: &Image) -> anyhow::Result<()> {
    let control = beside(image, test.role, "control")?;
    let images = BTreeMap::from([
        ("lb".to_owned(), image.clone()),
        ("control".to_owned(), control),
    ]);
    let folder = tempfile::tempdir_in("/var/tmp")?;
    let folder = Utf8PathBuf::try_from(folder.path().to_owned()).context("no UTF-8 name")?;
    let mut rack = Rack::new(Shape::Four, &images, folder)?;
    let began = Instant::now();
    rack.provision(PATIENCE)?;
    super::server::time("rack", "four machines are healthy", began);
    Ok(())
}

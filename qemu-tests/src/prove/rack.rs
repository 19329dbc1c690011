//! A rack of four machines with blank disks: `rackwright serve`, `rackwright provision`, and nobody presses a key. Their BMCs are
//! simulated, the power that these are asked for is switched here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use camino::Utf8PathBuf;

use super::machines::Test;
use super::server::beside;
use crate::images::Image;
use crate::rack::{Rack, Shape};

/// Four machines on two cores, emulated.
const PATIENCE: Duration = Duration::from_secs(5400);

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

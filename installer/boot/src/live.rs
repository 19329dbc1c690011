//! Finds the root image of the live system: in the initramfs, on a partition of its own, or on a CD.

use std::{
    fs::{self, File},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    block::{self, Block},
    console,
    facts::RootImage,
    medium::{self, Iso},
    modules::Modules,
    ram_disk,
    write_protect::write_protect,
};

/// USB hubs, SAS expanders and virtual media of a BMC take their time.
const PATIENCE: Duration = Duration::from_secs(90);
/// Partitions may be rounded up to whole MiB.
const PADDING: u64 = 1 << 20;
const IN_INITRAMFS: &str = "/root.squashfs";

/// Where the root image is.
pub struct LiveRoot {
    /// Block device to mount.
    pub device: String,
    /// Disk or CD it came from.
    pub medium: Option<String>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
}

/// Waits for the root image. `trusts`: the image trusts a key, so no root is taken without its sum.
pub fn find(modules: &mut Modules, image: &RootImage, trusts: bool) -> Result<LiveRoot> {
    if Path::new(IN_INITRAMFS).exists() {
        return from_initramfs(modules, image);
    }
    let began = Instant::now();
    let mut told = false;
    let mut cd_error = None;
    loop {
        modules.load_for_hardware();
        let blocks = block::list(Path::new("/sys"));
        if let Some(found) = from_partition(&blocks, image, trusts)? {
            return Ok(found);
        }
        for cd in blocks
            .iter()
            .filter(|block| block.name.starts_with("sr") && block.size > 0)
        {
            match from_cd(modules, cd, image) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(error) => cd_error = Some(error),
            }
        }
        if began.elapsed() > PATIENCE || (cd_error.is_some() && began.elapsed() > PATIENCE / 3) {
            if let Some(error) = cd_error {
                return Err(error);
            }
            bail!(
                "no medium with the root image was found in {} s: looked for a partition named `rackwright-root` of {} bytes, \
                 a CD with `/root.squashfs`, and `{IN_INITRAMFS}` in the initrd (image `{}` {})\n\
                 hint: is the stick or CD still attached, and is it the one this kernel came from?",
                PATIENCE.as_secs(),
                image.size,
                image.role,
                image.version
            );
        }
        if !told && began.elapsed() > Duration::from_secs(5) {
            console::say("waiting for the medium with the root image");
            told = true;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The one partition that can be it; of several the one with the right sum (two sticks of different builds).
fn from_partition(blocks: &[Block], image: &RootImage, trusts: bool) -> Result<Option<LiveRoot>> {
    let candidates = candidates(blocks, image);
    let chosen = match candidates.as_slice() {
        [] => return Ok(None),
        // A damaged stick shows itself when it is read; an image that trusts a key boots no changed one either.
        [one] if !trusts => *one,
        several => several
            .iter()
            .find(|block| has_sum(block, image))
            .copied()
            .with_context(|| {
                let names: Vec<String> = several.iter().map(|block| block.node()).collect();
                format!(
                    "none of the partitions {} is the root image of this kernel: SHA-256 `{}` is expected",
                    names.join(", "),
                    image.sha256
                )
            })?,
    };
    let medium = chosen.disk_node();
    let mut warnings = Vec::new();
    if let Err(error) = medium::boot_files_from_disk(&medium, blocks) {
        warnings.push(format!(
            "the medium's kernel and initrd could not be read: {error:#}"
        ));
    }
    if let Err(error) = write_protect(&medium) {
        warnings.push(format!(
            "the medium `{medium}` could not be write-protected: {error}"
        ));
    }
    Ok(Some(LiveRoot {
        device: chosen.node(),
        medium: Some(medium),
        warnings,
    }))
}

fn candidates<'a>(blocks: &'a [Block], image: &RootImage) -> Vec<&'a Block> {
    blocks
        .iter()
        .filter(|block| block.partition_name.as_deref() == Some("rackwright-root"))
        .filter(|block| (image.size..image.size.saturating_add(PADDING)).contains(&block.size))
        .collect()
}

fn has_sum(block: &Block, image: &RootImage) -> bool {
    console::say(&format!("checking the root image on {}", block.node()));
    File::open(block.node())
        .and_then(|mut file| ram_disk::sum(&mut file, image.size))
        .is_ok_and(|sum| sum == image.sha256)
}

/// None: no CD, or not one with an ISO file system.
fn from_cd(modules: &mut Modules, cd: &Block, image: &RootImage) -> Result<Option<LiveRoot>> {
    let device = cd.node();
    let iso = match Iso::mount(&device) {
        Ok(iso) => iso,
        Err(error) => {
            console::debug(&format!("{error:#}"));
            return Ok(None);
        }
    };
    let mut source = medium::root_on_cd(&iso, &device, image.size)?;
    let mut warnings = Vec::new();
    if let Err(error) = medium::boot_files_from_iso(&iso) {
        warnings.push(format!(
            "the CD's kernel and initrd could not be read: {error:#}"
        ));
    }
    let root = ram_disk::fill(modules, &mut source, image, false)?;
    if let Some(mut node) = medium::node_on_cd(&iso)
        && let Err(error) = ram_disk::fill_node(&mut node)
    {
        warnings.push(format!(
            "the CD's node partition could not be read: {error:#}"
        ));
    }
    Ok(Some(LiveRoot {
        device: root,
        medium: Some(device),
        warnings,
    }))
}

fn from_initramfs(modules: &mut Modules, image: &RootImage) -> Result<LiveRoot> {
    let mut source = File::options()
        .read(true)
        .write(true)
        .open(IN_INITRAMFS)
        .with_context(|| format!("cannot open `{IN_INITRAMFS}`"))?;
    let mut warnings = Vec::new();
    if let Err(error) = medium::boot_files_from_initramfs() {
        warnings.push(format!(
            "no kernel and initrd for the installer in the initrd: {error:#}"
        ));
    }
    let device = ram_disk::fill(modules, &mut source, image, true)?;
    fs::remove_file(IN_INITRAMFS).ok();
    Ok(LiveRoot {
        device,
        medium: None,
        warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, label: Option<&str>, size: u64) -> Block {
        Block {
            name: name.into(),
            size,
            partition_name: label.map(str::to_owned),
            disk: Some("sda".into()),
            model: String::new(),
        }
    }

    #[test]
    fn only_a_partition_of_that_name_and_size() {
        let image = RootImage {
            role: "lb".into(),
            version: "1".into(),
            size: 10_000_000,
            sha256: String::new(),
            kernel: String::new(),
        };
        let blocks = [
            block("sda1", Some("rackwright-efi"), 10_000_000),
            block("sda2", Some("rackwright-root"), 10_000_000),
            block("sdb2", Some("rackwright-root"), 10_000_384),
            block("sdc2", Some("rackwright-root"), 9_999_488),
            block("sdd2", Some("rackwright-root"), 12_000_000),
            block("sde", None, 10_000_000),
        ];
        let names: Vec<&str> = candidates(&blocks, &image)
            .iter()
            .map(|block| block.name.as_str())
            .collect();
        assert_eq!(names, ["sda2", "sdb2"]);
    }
}

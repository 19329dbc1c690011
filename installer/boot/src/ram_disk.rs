//! Copies a root image that has no partition of its own (CD, network) into a RAM block device and checks it.
//!
//! Never a loop device: the first start of a big program through one took ten times as long (measured).

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FallocateFlags, PosixFadviseAdvice, fallocate, posix_fadvise};
use sha2::{Digest, Sha256};

use crate::{console, facts::RootImage, modules::Modules};

const DEVICE: &str = "/dev/ram0";
const NODE_DEVICE: &str = "/dev/ram1";
/// No node partition is larger.
const NODE_LIMIT: u64 = 64 << 20;
const PIECE: usize = 1 << 20;

/// Copies `image.size` bytes from `source`, and gives the device. With `free`, pages of the source are given back as
/// they are copied, so that the image is not in memory twice.
pub fn fill(
    modules: &mut Modules,
    source: &mut File,
    image: &RootImage,
    free: bool,
) -> Result<String> {
    // Two devices: the second is for the node partition of a CD. Memory is taken only for what is written.
    let kibibytes = image.size.max(NODE_LIMIT).div_ceil(1024);
    modules.load_with("brd", &format!("rd_nr=2 max_part=0 rd_size={kibibytes}"));
    let mut device = OpenOptions::new()
        .write(true)
        .open(DEVICE)
        .with_context(|| format!("cannot open the RAM block device `{DEVICE}`"))?;
    console::say(&format!(
        "copying the root image ({} MB) to RAM",
        image.size / 1_000_000
    ));
    let (sum, copied) = copy(source, &mut device, image.size, free)?;
    if copied != image.size {
        bail!(
            "the root image is cut short: {copied} of {} bytes\nhint: write the medium again",
            image.size
        );
    }
    if sum != image.sha256 {
        bail!(
            "the root image is damaged: its SHA-256 is `{sum}`, `{}` is expected\nhint: write the medium again",
            image.sha256
        );
    }
    Ok(DEVICE.to_owned())
}

/// Copies the node partition of a CD, after [`fill`]: the kernel shows no partitions of a CD.
pub fn fill_node(source: &mut File) -> Result<()> {
    let size = source
        .metadata()
        .context("cannot look at the node partition")?
        .len();
    if size > NODE_LIMIT {
        bail!("the node partition has {size} bytes, more than {NODE_LIMIT}");
    }
    let mut device = OpenOptions::new()
        .write(true)
        .open(NODE_DEVICE)
        .with_context(|| format!("cannot open the RAM block device `{NODE_DEVICE}`"))?;
    copy(source, &mut device, size, false).map(|_| ())
}

fn copy(source: &mut File, device: &mut File, size: u64, free: bool) -> Result<(String, u64)> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut copied = 0_u64;
    while copied < size {
        let wanted = usize::try_from(size - copied).unwrap_or(PIECE).min(PIECE);
        let length = source
            .read(&mut piece[..wanted])
            .with_context(|| format!("cannot read the root image at byte {copied}"))?;
        if length == 0 {
            break;
        }
        digest.update(&piece[..length]);
        device
            .write_all(&piece[..length])
            .with_context(|| format!("cannot write `{DEVICE}`: is there too little memory?"))?;
        if free {
            punch(source, copied, length);
        }
        copied += length as u64;
        if copied % (32 << 20) < length as u64 {
            drop_cache(device)?;
        }
    }
    drop_cache(device)?;
    Ok((hex::encode(digest.finalize()), copied))
}

/// Best effort: the initramfs is a tmpfs on our kernels, a ramfs (without holes) on others.
fn punch(source: &File, offset: u64, length: usize) {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    if let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) {
        fallocate(source, flags, offset, length).ok();
    }
}

/// brd keeps its own pages: those of the page cache are a second copy.
fn drop_cache(device: &File) -> Result<()> {
    device
        .sync_all()
        .with_context(|| format!("cannot write `{DEVICE}`"))?;
    posix_fadvise(device, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).ok();
    Ok(())
}

/// SHA-256 of the first `size` bytes.
pub fn sum(source: &mut File, size: u64) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut limited = source.take(size);
    loop {
        match limited.read(&mut piece)? {
            0 => return Ok(hex::encode(digest.finalize())),
            length => digest.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Seek;

    #[test]
    fn copies_and_sums_the_image_only() {
        let mut source = tempfile::tempfile().unwrap();
        let mut device = tempfile::tempfile().unwrap();
        source.write_all(&vec![7; PIECE + 10]).unwrap();
        source.rewind().unwrap();
        let size = PIECE as u64 + 3;
        let (digest, copied) = copy(&mut source, &mut device, size, false).unwrap();
        assert_eq!(copied, size);
        assert_eq!(device.metadata().unwrap().len(), size);
        source.rewind().unwrap();
        assert_eq!(sum(&mut source, size).unwrap(), digest);
        source.rewind().unwrap();
        assert_ne!(sum(&mut source, size + 1).unwrap(), digest);
    }

    #[test]
    fn a_short_source_is_seen() {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(b"abc").unwrap();
        source.rewind().unwrap();
        let (_, copied) = copy(&mut source, &mut tempfile::tempfile().unwrap(), 9, true).unwrap();
        assert_eq!(copied, 3);
    }
}

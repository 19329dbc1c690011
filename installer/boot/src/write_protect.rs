//! Sets the boot medium read-only in the kernel, so that nothing in the live system can write to it. Seen in a test: systemd
//! mounted a stick's EFI system partition by itself and a power cut left it marked dirty.
#![expect(unsafe_code, reason = "nix declares ioctls as unsafe functions")]

use std::{fs::File, io, os::fd::AsRawFd};

mod raw {
    // linux/fs.h: BLKROSET is _IO(0x12, 93) and takes a pointer to an int.
    nix::ioctl_write_ptr_bad!(blkroset, nix::request_code_none!(0x12, 93), i32);
}

/// Write-protects a disk and, with it, all its partitions until the machine restarts.
///
/// # Errors
/// If the disk cannot be opened or the kernel refuses.
pub fn write_protect(disk: &str) -> io::Result<()> {
    let file = File::open(disk)?;
    // SAFETY: descriptor and integer live for the whole call, which only reads the integer.
    unsafe { raw::blkroset(file.as_raw_fd(), &1) }?;
    Ok(())
}

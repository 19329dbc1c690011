//! The two ioctls of linux/fs.h that have no safe wrapper.
#![expect(unsafe_code, reason = "nix declares ioctls as unsafe functions")]

use std::{fs::File, io, os::fd::AsRawFd};

mod raw {
    nix::ioctl_none!(blkrrpart, 0x12, 95);
    nix::ioctl_none!(blkflsbuf, 0x12, 97);
}

/// BLKRRPART: read the partition table again.
pub fn reread_partitions(file: &File) -> io::Result<()> {
    // SAFETY: the descriptor is open for the whole call and the ioctl takes no argument.
    unsafe { raw::blkrrpart(file.as_raw_fd()) }?;
    Ok(())
}

/// BLKFLSBUF: write out and drop the device's page cache.
pub fn drop_cache(file: &File) -> io::Result<()> {
    // SAFETY: as above.
    unsafe { raw::blkflsbuf(file.as_raw_fd()) }?;
    Ok(())
}

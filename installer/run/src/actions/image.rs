//! WriteImage: the running root image into a slot. The first MiB, without which the slot cannot be mounted, comes last, after
//! everything else was found right; so a slot that was cut short is never taken for a good one.

use plan::Device;
use sha2::{Digest, Sha256};
use system::{Access, BlockDevice};

use super::{Act, ActionError};
use crate::checks::{self, CHUNK};

const FIRST: usize = 1 << 20;

impl Act<'_> {
    pub(super) fn write_image(
        &mut self,
        device: &Device,
        size: u64,
        sha256: &str,
    ) -> Result<(), ActionError> {
        let from = self.context.root_device.clone();
        let mut source = self.system.open(&from, Access::Read)?;
        let available = source.size()?;
        if available < size {
            return Err(ActionError::with_hint(
                format!("the root image on `{from}` has {available} bytes, not {size}"),
                "the medium is incomplete: write it again and compare it with its SHA256SUMS",
            ));
        }
        let mut target = self.open_for_writing(device)?;
        let room = target.size()?;
        if room < size {
            return Err(ActionError::with_hint(
                format!("the slot has {room} bytes, the root image {size}"),
                "the image is too large for this layout",
            ));
        }
        // From here on the slot is unbootable until the last write.
        target.write_at(0, &vec![0; first_length(size)])?;
        target.flush()?;
        let first = self.copy(&mut *source, &mut *target, size, sha256)?;
        target.write_at(0, &first)?;
        target.flush()?;
        let read_back = checks::digest(&mut *target, size, &mut |_| {})?;
        if read_back != sha256.to_lowercase() {
            target.write_at(0, &vec![0; first.len()])?;
            target.flush()?;
            return Err(ActionError::with_hint(
                format!("the slot reads back with sha256 `{read_back}`, not `{sha256}`"),
                "a disk does not keep what is written to it: look at the kernel's messages and at `smartctl -a`",
            ));
        }
        Ok(())
    }

    /// Copies all but the first MiB and gives that back, once the whole has the right digest.
    fn copy(
        &mut self,
        source: &mut dyn BlockDevice,
        target: &mut dyn BlockDevice,
        size: u64,
        sha256: &str,
    ) -> Result<Vec<u8>, ActionError> {
        let mut hash = Sha256::new();
        let mut first = vec![0; first_length(size)];
        source.read_at(0, &mut first)?;
        hash.update(&first);
        let mut buffer = vec![0; CHUNK];
        let mut done = first.len() as u64;
        let mut progress = self.progress(size);
        while done < size {
            let count = usize::try_from((size - done).min(CHUNK as u64)).unwrap_or(CHUNK);
            source.read_at(done, &mut buffer[..count])?;
            hash.update(&buffer[..count]);
            target.write_at(done, &buffer[..count])?;
            done += count as u64;
            progress(done);
        }
        let found = hex::encode(hash.finalize());
        if found == sha256.to_lowercase() {
            return Ok(first);
        }
        Err(ActionError::with_hint(
            format!("the root image on the medium has sha256 `{found}`, not `{sha256}`"),
            "the medium is damaged: write it again and compare it with its SHA256SUMS",
        ))
    }
}

fn first_length(size: u64) -> usize {
    usize::try_from(size).unwrap_or(FIRST).min(FIRST)
}

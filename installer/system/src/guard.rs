//! Mounts that are released however the code that needed them ends.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{System, SystemError};

/// A mounted file system; unmounted when dropped.
pub struct Mounted<'system> {
    system: &'system dyn System,
    target: Utf8PathBuf,
    mounted: bool,
}

impl<'system> Mounted<'system> {
    /// Makes the mount point and mounts; see [`System::mount`].
    pub fn new(
        system: &'system dyn System,
        source: &Utf8Path,
        target: &Utf8Path,
        kind: &str,
        read_only: bool,
        data: &str,
    ) -> Result<Self, SystemError> {
        system.make_directory(target)?;
        system.mount(source, target, kind, read_only, data)?;
        Ok(Self {
            system,
            target: target.to_owned(),
            mounted: true,
        })
    }

    /// Where.
    pub fn path(&self) -> &Utf8Path {
        &self.target
    }

    /// Unmounts now, so that an error is seen. Written data is on the medium afterwards.
    pub fn release(mut self) -> Result<(), SystemError> {
        self.mounted = false;
        self.system.unmount(&self.target)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = self.system.unmount(&self.target)
        {
            tracing::warn!(%error, "a mount is left behind");
        }
    }
}

//! What the engine needs to know besides the plan.

use camino::Utf8PathBuf;
use firmware::Inventory;
use roles::node::Permit;

/// Facts of this run.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// The machine as it was when the plan was made.
    pub inventory: Inventory,
    /// The node file as it was given, word for word. May hold a password hash: never logged.
    pub node_file: String,
    /// The right to install without anyone at the keyboard; absent: a person confirmed the plan.
    pub permit: Option<Permit>,
    /// Role of the running image.
    pub role: String,
    /// Version of the running image.
    pub version: String,
    /// Block device the running root image lies on.
    pub root_device: Utf8PathBuf,
    /// The running kernel, on the live system.
    pub kernel: Utf8PathBuf,
    /// The initrd that belongs to it.
    pub initrd: Utf8PathBuf,
}

impl Context {
    /// For a plan that a person confirms, with the kernel and initrd of the live system.
    #[must_use]
    pub fn new(
        inventory: Inventory,
        node_file: String,
        role: String,
        version: String,
        root_device: Utf8PathBuf,
    ) -> Self {
        Self {
            inventory,
            node_file,
            permit: None,
            role,
            version,
            root_device,
            kernel: KERNEL.into(),
            initrd: INITRD.into(),
        }
    }
}

/// Where the live system keeps the kernel it was booted with.
pub const KERNEL: &str = "/run/rackwright/boot/vmlinuz";
/// Where the live system keeps its initrd.
pub const INITRD: &str = "/run/rackwright/boot/initrd.zst";
/// Where the engine mounts the state file system.
pub const STATE_MOUNT: &str = "/run/rackwright/state";

//! The story of a boot, from mounting `/proc` to becoming systemd.

use std::{
    convert::Infallible,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    command_line::{self, Mode},
    console,
    facts::{self, BootFacts, RootImage},
    live,
    modules::Modules,
    mounts, running, switch, trust,
};

/// What init itself asks the kernel for; what is built in or missing is skipped.
const FILE_SYSTEMS: [&str; 7] = [
    "crc32c_generic",
    "squashfs",
    "overlay",
    "isofs",
    "ext4",
    "md_mod",
    "raid1",
];
/// One module name a line: what `initrd_load` of `common.toml` asks for.
const MODULES_TO_LOAD: &str = "/rackwright/modules-load";
const EMBEDDED: &str = "/rackwright/node.toml";
const NODE_FILE: &str = "/run/rackwright/embedded-node.toml";
/// Pin of the cluster's authority.
const PIN: &str = "/rackwright/pin";
const PIN_LEFT: &str = "/run/rackwright/pin";
const BOOT_FACTS: &str = "/run/rackwright/boot.json";

/// Boots. Comes back only with an error.
pub fn start() -> Result<Infallible> {
    mounts::kernel_file_systems()?;
    let line = command_line::parse(
        &fs::read_to_string("/proc/cmdline").context("cannot read `/proc/cmdline`")?,
    )?;
    console::set_verbose(line.debug);
    let text = fs::read_to_string("/rackwright/root.json")
        .context("cannot read `/rackwright/root.json` in the initrd")?;
    let trusts = trust::check(Path::new("/rackwright"), &text)?;
    let image = facts::parse_root(&text)?;
    console::say(&format!("role {}, version {}", image.role, image.version));

    let mut modules = Modules::open();
    load_first(&mut modules);
    let facts = match line.mode {
        Mode::Install | Mode::Rescue => {
            let found = live::find(&mut modules, &image, trusts)?;
            mounts::root(&found.device)?;
            mounts::layers()?;
            mounts::overlay("var")?;
            mounts::empty_state()?;
            BootFacts {
                mode: line.mode,
                medium: found.medium,
                root_device: found.device,
                root: image,
                array: None,
                slot: None,
                node_file: None,
                warnings: found.warnings,
            }
        }
        Mode::Run => {
            let found = running::find(&mut modules, &line)?;
            mounts::root(&found.device)?;
            mounts::layers()?;
            running::mount_persistent(&found, &image)?;
            BootFacts {
                mode: line.mode,
                medium: None,
                root_device: found.device,
                root: image,
                array: Some(found.array),
                slot: line.slot,
                node_file: None,
                warnings: found.warnings,
            }
        }
    };
    mounts::overlay("etc")?;
    leave_facts(facts)?;
    switch::switch_root()?;
    switch::prepare_boot()?;
    console::debug("starting systemd");
    Err(switch::systemd())
}

fn load_first(modules: &mut Modules) {
    // Calls of the kernel for modules come back to this program.
    fs::create_dir_all("/sbin").ok();
    if let Err(error) = symlink("/init", "/sbin/modprobe") {
        console::debug(&format!("`/sbin/modprobe`: {error}"));
    }
    let asked = fs::read_to_string(MODULES_TO_LOAD).unwrap_or_default();
    let asked = asked
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for name in FILE_SYSTEMS.into_iter().chain(asked) {
        if !modules.load(name) {
            console::debug(&format!("no module `{name}` in the initrd"));
        }
    }
}

fn leave_facts(mut facts: BootFacts) -> Result<()> {
    if Path::new(EMBEDDED).exists() {
        // It may hold a password hash.
        fs::copy(EMBEDDED, NODE_FILE)
            .and_then(|_| fs::set_permissions(NODE_FILE, fs::Permissions::from_mode(0o600)))
            .with_context(|| format!("cannot copy `{EMBEDDED}` to `{NODE_FILE}`"))?;
        facts.node_file = Some(NODE_FILE.to_owned());
    }
    if Path::new(PIN).exists() {
        fs::copy(PIN, PIN_LEFT).with_context(|| format!("cannot copy `{PIN}` to `{PIN_LEFT}`"))?;
    }
    check_kernel(&facts.root, &mut facts.warnings);
    for warning in &facts.warnings {
        console::say(&format!("warning: {warning}"));
    }
    let text = serde_json::to_string(&facts).context("cannot write down the boot facts")?;
    fs::write(BOOT_FACTS, text + "\n").with_context(|| format!("cannot write `{BOOT_FACTS}`"))
}

/// A kernel of another build finds none of its modules in the root image.
fn check_kernel(image: &RootImage, warnings: &mut Vec<String>) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if release.trim() != image.kernel {
        warnings.push(format!(
            "kernel `{}` runs, but the image was built for `{}`",
            release.trim(),
            image.kernel
        ));
    }
}

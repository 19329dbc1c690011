//! One build from options to files under their final name: the recipe's stages in order.

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use roles::folder::RoleSet;
use system::{Command, System};

use crate::binaries::{self, Binaries};
use crate::cache::{self, Cache};
use crate::initrd::{self, RootFile};
use crate::layers::kernel::Kernel;
use crate::layers::{base, kernel, loaders, payload, role, root, zfs};
use crate::manifest::Manifest;
use crate::media;
use crate::payload::{ByRole, Payload};
use crate::progress::{BuildEvent, Progress};
use crate::recipe::{self, Identity, Lock, Programs, RoleLayers, Shared};
use crate::sign::Signer;
use crate::snapshot::{Snapshot, sha256};
use crate::tools::{self, Tools};

/// What to build and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Role names; every one must be in the role set.
    pub roles: Vec<String>,
    /// Folder with `common/` and the role folders.
    pub role_data: Utf8PathBuf,
    /// Output folder.
    pub out: Utf8PathBuf,
    /// Cache folder.
    pub cache: Utf8PathBuf,
    /// Snapshot folder; absent: in the cache.
    pub snapshot: Option<Utf8PathBuf>,
    /// Mirrors as mmdebstrap takes them; empty: its default.
    pub mirrors: Vec<String>,
    /// Never use the network.
    pub offline: bool,
    /// Renew the package index.
    pub refresh: bool,
    /// Text of the node file for the medium.
    pub node_file: Option<String>,
    /// What the initrds carry.
    pub carried: initrd::Carried,
    /// Signs the images.
    pub signer: Option<std::sync::Arc<Signer>>,
    /// Version of the image.
    pub version: String,
    /// Source tree.
    pub source: Utf8PathBuf,
    /// What the owner supplies, by role, checked.
    pub payloads: ByRole,
    /// Programs made elsewhere.
    pub binaries: Option<Binaries>,
}

/// Builds every wanted role. Must run inside the builder's namespaces. Returns the folders.
pub fn build(
    options: &Options,
    set: &RoleSet,
    runner: &dyn System,
    progress: &Progress,
) -> Result<Vec<Utf8PathBuf>> {
    stages(options, set, runner, progress).map_err(|error| {
        // What failed has been taken away again, so the disk may have room by now: the program's own words count as well.
        let said = format!("{error:#}").contains("No space left on device");
        let folder = [&options.cache, &options.out].into_iter().find(|folder| full(folder));
        match folder.or(said.then_some(&options.cache)) {
            Some(folder) => error.context(format!(
                "no space left for `{folder}`\nhint: make room, for example with `rackwright cache clean --days 0`, or --cache DIR"
            )),
            None => error,
        }
    })
}

fn stages(
    options: &Options,
    set: &RoleSet,
    runner: &dyn System,
    progress: &Progress,
) -> Result<Vec<Utf8PathBuf>> {
    let cache = Cache::open(&options.cache)?;
    let stage = progress.stage("programs of the image");
    let binaries = match &options.binaries {
        Some(binaries) => binaries.clone(),
        None => binaries::build(&options.source, runner)?,
    };
    binaries.check()?;
    stage.finish(options.binaries.is_none());
    let programs = Programs {
        installer: sha256(&binaries.installer)?,
        init: sha256(&binaries.init)?,
    };

    let tools_recipe = recipe::Tools::new(&options.mirrors);
    let tools_key = tools_recipe.key();
    let stage = progress.stage("tool root");
    let known = cache.find(&tools_key).is_some();
    let tool_root = tools::make(&cache, &tools_recipe, runner, options.offline)?;
    let tools = Tools::enter(&tool_root, runner)?;
    stage.finish(!known);

    let snapshot_folder = options.snapshot.clone().unwrap_or_else(|| {
        cache
            .root()
            .join("snapshots")
            .join(cache::Key::new("snapshot", &options.mirrors).short())
    });
    let stage = progress.stage("packages");
    let snapshot = Snapshot::open(
        &snapshot_folder,
        &tools,
        runner,
        options.refresh,
        options.offline,
    )?;
    let requests = recipe::requests(set, &options.roles, &options.payloads);
    let lock = snapshot.resolve(&requests)?;
    let fetched = snapshot.download(&lock, &requests, progress)?;
    snapshot.share()?;
    stage.finish(fetched || options.refresh);

    let identity = Identity {
        version: options.version.clone(),
        source: revision(&options.source, runner),
        node_file: options.node_file.as_deref().map(digest),
        carried: match &options.carried {
            initrd::Carried {
                trust: None,
                pin: None,
            } => None,
            initrd::Carried { trust, pin } => Some(digest(&format!("{trust:?} {pin:?}"))),
        },
    };
    let work = Work {
        options,
        set,
        cache: &cache,
        tools: &tools,
        snapshot: &snapshot,
        lock: &lock,
        binaries: &binaries,
        programs: &programs,
        shared: Shared::new(set, &lock, &tools_key, &programs),
        identity,
        progress,
    };
    options.roles.iter().map(|name| work.role(name)).collect()
}

struct Work<'a> {
    options: &'a Options,
    set: &'a RoleSet,
    cache: &'a Cache,
    tools: &'a Tools<'a>,
    snapshot: &'a Snapshot<'a>,
    lock: &'a Lock,
    binaries: &'a Binaries,
    programs: &'a Programs,
    shared: Shared,
    identity: Identity,
    progress: &'a Progress,
}

/// What the layers made for an image.
struct Made {
    squashfs: Utf8PathBuf,
    /// Without what says which root belongs to it.
    initrd: Utf8PathBuf,
    /// Folder of the network boot loaders.
    loaders: Utf8PathBuf,
}

impl Work<'_> {
    fn role(&self, name: &str) -> Result<Utf8PathBuf> {
        let folder = self
            .set
            .roles
            .get(name)
            .with_context(|| format!("unknown role `{name}`"))?;
        let keys = RoleLayers::new(
            self.set,
            name,
            self.lock,
            &self.shared,
            self.programs,
            &self.identity,
            self.payloads(name),
        )
        .with_context(|| format!("unknown role `{name}`"))?;
        let place = self.options.out.join(name).join(&self.options.version);
        if Manifest::up_to_date(&place, &keys.image.digest) {
            self.sign(&place)?;
            self.progress.show(BuildEvent::Cached {
                title: format!("{name}: image"),
            });
            self.progress.show(BuildEvent::Built {
                role: name.to_owned(),
                path: place.to_string(),
            });
            return Ok(place);
        }
        let (tools, snapshot, lock) = (self.tools, self.snapshot, self.lock);
        let common = &self.set.common;

        let base = self.layer("base", &self.shared.base, |to| {
            base::fill(to, tools, snapshot, lock, &common.packages)
        })?;
        let kernel = self.layer("kernel", &self.shared.kernel, |to| {
            kernel::fill(to, tools, snapshot, lock)
        })?;
        let kernel = Kernel::read(&kernel)?;
        let zfs = if recipe::wants_zfs(&folder.role) {
            let entry = self.layer("zfs modules", &self.shared.zfs, |to| {
                zfs::fill(to, tools, snapshot, lock, &kernel.version)
            })?;
            Some(entry.join("content"))
        } else {
            None
        };
        let base = base.join("content");
        let modules = self.layer(&format!("{name}: kernel modules"), &keys.modules, |to| {
            kernel::prune(to, tools, &kernel, &common.image_modules, zfs.as_deref())
        })?;
        let packages = self.layer(&format!("{name}: packages"), &keys.packages, |to| {
            role::fill(to, tools, snapshot, lock, name, &folder.role, &base)
        })?;
        let (modules, packages) = (modules.join("content"), packages.join("content"));
        let payloads = match &keys.payloads {
            None => None,
            Some(key) => {
                let entry = self.layer(&format!("{name}: payloads"), key, |to| {
                    let below = [packages.as_path(), base.as_path()];
                    payload::fill(to, tools, snapshot, lock, name, self.payloads(name), &below)
                })?;
                Some(entry.join("content"))
            }
        };
        let layers: Vec<&Utf8Path> = [
            Some(&modules),
            payloads.as_ref(),
            Some(&packages),
            Some(&base),
        ]
        .into_iter()
        .flatten()
        .map(Utf8PathBuf::as_path)
        .collect();
        let root = self.layer(&format!("{name}: root"), &keys.root, |to| {
            root::fill(
                to,
                tools,
                &root::Parts {
                    layers: &layers,
                    installer: &self.binaries.installer,
                    role_data: &self.options.role_data,
                    role: &folder.role,
                    image: root::ImageFile {
                        role: name,
                        version: &self.identity.version,
                        source: self.identity.source.as_deref(),
                    },
                    epoch: lock.epoch,
                },
            )
        })?;
        let initrd = self.layer("initrd", &self.shared.initrd, |to| {
            initrd::fill(
                to,
                tools,
                &initrd::Parts {
                    kernel: &kernel,
                    base: &base,
                    init: &self.binaries.init,
                    modules: &common.initrd_modules,
                    load: &common.initrd_load,
                    epoch: lock.epoch,
                },
            )
        })?;
        let loaders = self.layer("network boot loader", &self.shared.loaders, |to| {
            loaders::fill(to, tools, snapshot, lock)
        })?;
        let stage = self.progress.stage(format!("{name}: medium"));
        self.image(
            name,
            &keys,
            &place,
            &kernel,
            &Made {
                squashfs: root.join("root.squashfs"),
                initrd: initrd.join("shared.cpio.zst"),
                loaders,
            },
        )?;
        self.sign(&place)?;
        stage.finish(true);
        self.progress.show(BuildEvent::Built {
            role: name.to_owned(),
            path: place.to_string(),
        });
        Ok(place)
    }

    fn payloads(&self, role: &str) -> &[Payload] {
        self.options.payloads.get(role).map_or(&[], Vec::as_slice)
    }

    /// Signs an image, if there is a key; once more if it was there already, as it may have been another key's.
    fn sign(&self, place: &Utf8Path) -> Result<()> {
        if let Some(signer) = &self.options.signer {
            signer.sign_image(place)?;
        }
        Ok(())
    }

    fn layer(
        &self,
        title: &str,
        key: &cache::Key,
        fill: impl FnOnce(&Utf8Path) -> Result<()>,
    ) -> Result<Utf8PathBuf> {
        let stage = self.progress.stage(title);
        let (path, made) = self
            .cache
            .make(key, &key.digest, fill)
            .with_context(|| format!("`{title}` was not built"))?;
        stage.finish(made);
        Ok(path)
    }

    /// Puts the files of one image into a folder beside the final one, and renames it when it is whole.
    fn image(
        &self,
        name: &str,
        keys: &RoleLayers,
        place: &Utf8Path,
        kernel: &Kernel,
        made: &Made,
    ) -> Result<()> {
        let squashfs = &made.squashfs;
        let version = &self.identity.version;
        let parent = place.parent().unwrap_or(place);
        fs_err::create_dir_all(parent)?;
        let temporary = parent.join(format!(".{version}.new"));
        let lock = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(parent.join(".lock"))?
            .into_parts()
            .0;
        lock.lock()?;
        cache::remove(&temporary)?;
        fs_err::create_dir_all(&temporary)?;
        let at = |file: &str| temporary.join(file);
        fs_err::copy(&kernel.vmlinuz, at("vmlinuz"))?;
        fs_err::copy(squashfs, at("root.squashfs"))?;
        for (file, _) in loaders::FILES {
            fs_err::copy(made.loaders.join(file), at(file))?;
        }
        let root_file = RootFile {
            role: name.to_owned(),
            version: version.clone(),
            size: fs_err::metadata(squashfs)?.len(),
            sha256: sha256(squashfs)?,
            kernel: kernel.version.clone(),
        };
        let mut bytes = fs_err::read(&made.initrd)?;
        // The kernel looks for the next archive at a multiple of four (Documentation/driver-api/early-userspace).
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(initrd::second_part(
            &root_file,
            &self.options.carried,
            &|bytes| {
                let signer = self.options.signer.as_ref();
                let signer = signer.context("an image that trusts a key must be signed")?;
                signer.sign(bytes, &format!("root of {name} {version}"))
            },
            self.lock.epoch,
        )?);
        fs_err::write(at("initrd.zst"), bytes)?;
        let iso = at(&format!("rackwright-{name}.iso"));
        media::make(
            &iso,
            &at("scratch"),
            self.tools,
            &media::Parts {
                role: name,
                version,
                vmlinuz: &at("vmlinuz"),
                initrd: &at("initrd.zst"),
                squashfs: &at("root.squashfs"),
                digest: &keys.image.digest,
                node_file: self.options.node_file.as_deref(),
                epoch: self.lock.epoch,
            },
        )?;
        let mut packages: Vec<_> = self
            .lock
            .set(&format!("role:{name}"))
            .iter()
            .chain(self.lock.kernel())
            .collect();
        packages.sort();
        let manifest = Manifest {
            format: 1,
            role: name.to_owned(),
            version: version.clone(),
            source: self.identity.source.clone(),
            kernel: kernel.version.clone(),
            epoch: self.lock.epoch,
            key: keys.image.digest.clone(),
            files: std::collections::BTreeMap::new(),
            packages: packages.into_iter().map(Into::into).collect(),
            payloads: self
                .payloads(name)
                .iter()
                .map(|payload| payload.entry.clone())
                .collect(),
        };
        manifest.seal(&temporary)?;
        fs_err::write(
            at("build.json"),
            serde_json::to_vec_pretty(&self.progress.history())?,
        )?;
        publish(&temporary, place)
    }
}

/// Whether there is next to no room where this folder is.
fn full(folder: &Utf8Path) -> bool {
    let there = folder.ancestors().find(|folder| folder.exists());
    there
        .and_then(|folder| nix::sys::statvfs::statvfs(folder.as_std_path()).ok())
        .is_some_and(|space| space.blocks_available() * space.fragment_size() <= 64 << 20)
}

/// Gives a whole folder its final name. The old one is moved aside first: a folder cannot be renamed over a full one.
fn publish(temporary: &Utf8Path, place: &Utf8Path) -> Result<()> {
    let folder = fs_err::File::open(temporary)?;
    nix::unistd::syncfs(folder.file()).context("cannot sync the output folder")?;
    let old = temporary.with_extension("old");
    cache::remove(&old)?;
    if place.exists() {
        fs_err::rename(place, &old)?;
    }
    fs_err::rename(temporary, place)?;
    cache::remove(&old)
}

/// The source revision, with `-changed` if the tree differs from it.
fn revision(source: &Utf8Path, runner: &dyn System) -> Option<String> {
    let git = |words: &[&str]| {
        let words = ["-C", source.as_str()]
            .into_iter()
            .chain(words.iter().copied());
        runner
            .run(&Command::new("git").args(words))
            .ok()
            .map(|output| output.stdout.trim().to_owned())
    };
    let revision = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])
        .is_some_and(|text| !text.is_empty());
    Some(if changed {
        format!("{revision}-changed")
    } else {
        revision
    })
}

fn digest(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}

/// Stops before anything is made if the host lacks a program. Names all of them at once.
pub fn check_host() -> Result<()> {
    let needed = [
        ("mmdebstrap", "mmdebstrap"),
        ("unshare", "util-linux"),
        ("chroot", "coreutils"),
        ("apt-get", "apt"),
    ];
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let there = |program: &str| {
        path.split(':')
            .any(|folder| Utf8Path::new(folder).join(program).is_file())
    };
    let missing: Vec<_> = needed
        .into_iter()
        .filter(|(program, _)| !there(program))
        .collect();
    if !missing.is_empty() {
        let names = |pick: fn(&(&'static str, &'static str)) -> &'static str, glue: &str| {
            missing.iter().map(pick).collect::<Vec<_>>().join(glue)
        };
        bail!(
            "this host lacks {}\nhint: apt-get install {}",
            names(|(program, _)| program, ", "),
            names(|(_, package)| package, " ")
        );
    }
    Ok(())
}

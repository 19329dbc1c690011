//! Which layers an image is made of, and what each depends on. Pure: the same role data, lock and programs give the same keys.

use std::collections::BTreeMap;

use roles::folder::RoleSet;
use roles::site::model::PayloadKind;
use serde::{Deserialize, Serialize};

use crate::cache::Key;
use crate::payload::{self, ByRole, Payload};

/// Debian release of every image.
pub const SUITE: &str = "trixie";

/// The package with the network boot loader.
const LOADER: &str = "ipxe";

/// Packages of the tool root.
const TOOL_PACKAGES: [&str; 14] = [
    "ca-certificates",
    "dosfstools",
    "fdisk",
    "grub-common",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "kmod",
    "mmdebstrap",
    "mtools",
    "squashfs-tools",
    "xorriso",
    "xz-utils",
    "mount",
    "zstd",
];

/// What never goes into an image. Licence texts stay: their distribution is a condition of many licences.
pub const PATH_RULES: [&str; 11] = [
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/groff/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*/LC_MESSAGES/*.mo",
    "path-exclude=/usr/share/bash-completion/*",
    "path-exclude=/usr/share/zsh/*",
    "path-exclude=/usr/share/perl5/*.pod",
    "path-exclude=/usr/share/mysql/mysql-test/*",
];

/// What the tool root is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tools {
    /// Counts up when the way it is made changes.
    pub format: u32,
    /// Debian release.
    pub suite: String,
    /// In alphabetical order.
    pub packages: Vec<String>,
    /// Mirrors as given by the user, empty for mmdebstrap's default.
    pub mirrors: Vec<String>,
}

impl Tools {
    /// The tool root that uses these mirrors.
    pub fn new(mirrors: &[String]) -> Self {
        let mut packages: Vec<_> = TOOL_PACKAGES.map(str::to_owned).into();
        packages.sort();
        Tools {
            format: 1,
            suite: SUITE.to_owned(),
            packages,
            mirrors: mirrors.to_vec(),
        }
    }

    /// Its cache key.
    pub fn key(&self) -> Key {
        Key::new("tools", self)
    }
}

/// A set of packages to resolve together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `base`, `kernel`, `loaders`, `zfs` or `role:NAME`.
    pub name: String,
    /// apt package names and patterns.
    pub packages: Vec<String>,
    /// A dpkg status stanza of what the image brings without a package; empty if nothing.
    pub provided: String,
    /// Debian packages that the owner supplies, whose dependencies belong to the set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub debs: Vec<LocalDeb>,
}

/// A Debian package on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDeb {
    /// Absolute path.
    pub file: camino::Utf8PathBuf,
    /// Hexadecimal.
    pub sha256: String,
}

/// Every set that the wanted roles need, with what their payloads depend on.
pub fn requests(set: &RoleSet, wanted: &[String], payloads: &ByRole) -> Vec<Request> {
    let base: Vec<String> = ["?essential", "apt"]
        .map(str::to_owned)
        .into_iter()
        .chain(set.common.packages.iter().cloned())
        .collect();
    let request = |name: &str, packages: Vec<String>, provided: String| Request {
        name: name.to_owned(),
        packages,
        provided,
        debs: Vec::new(),
    };
    let mut requests = vec![
        request("base", base.clone(), String::new()),
        request(
            "kernel",
            vec!["linux-image-amd64".to_owned()],
            String::new(),
        ),
        request("loaders", vec![LOADER.to_owned()], String::new()),
    ];
    if wanted
        .iter()
        .filter_map(|name| set.roles.get(name))
        .any(|folder| wants_zfs(&folder.role))
    {
        let build = [
            "?essential",
            "apt",
            "dkms",
            "zfs-dkms",
            "linux-headers-amd64",
        ];
        requests.push(request(
            "zfs",
            build.map(str::to_owned).into(),
            String::new(),
        ));
    }
    for name in wanted {
        if let Some(folder) = set.roles.get(name) {
            let packages = base.iter().chain(&folder.role.packages).cloned().collect();
            let mut own = request(&format!("role:{name}"), packages, provided(&folder.role));
            own.debs = payloads
                .get(name)
                .into_iter()
                .flatten()
                .filter(|payload| payload.entry.kind == PayloadKind::Deb)
                .map(|payload| LocalDeb {
                    file: payload.source.file.clone(),
                    sha256: payload.source.sha256.clone(),
                })
                .collect();
            requests.push(own);
        }
    }
    requests
}

/// A dpkg status stanza saying that the modules of a role are there. Without it, `zfs-zed` brings `zfs-dkms` and a compiler: it
/// depends on `zfs-modules | zfs-dkms`.
pub fn provided(role: &roles::Role) -> String {
    if !wants_zfs(role) {
        return String::new();
    }
    "Package: rackwright-kernel-modules\nStatus: install ok installed\nPriority: optional\nSection: kernel\n\
     Maintainer: Rackwright <nobody@localhost>\nArchitecture: all\nVersion: 1\nProvides: zfs-modules\n\
     Description: kernel modules that are part of the image\n\n"
        .to_owned()
}

/// Whether a role needs the compiled ZFS modules.
pub fn wants_zfs(role: &roles::Role) -> bool {
    role.compiled_modules.iter().any(|module| module == "zfs")
}

/// One package of the lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Package name.
    pub name: String,
    /// Version with epoch.
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// File name in the pool.
    pub file: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// Exactly which packages each set is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Seconds since 1970 of the newest signed index: every time stamp in the images.
    pub epoch: u64,
    /// Packages by set name, in alphabetical order.
    pub sets: BTreeMap<String, Vec<Package>>,
}

impl Lock {
    /// The packages of a set; empty if there is no such set.
    pub fn set(&self, name: &str) -> &[Package] {
        self.sets.get(name).map_or(&[], Vec::as_slice)
    }

    fn digests(&self, set: &str) -> Vec<&str> {
        self.set(set)
            .iter()
            .map(|package| package.sha256.as_str())
            .collect()
    }

    /// The kernel package itself, without what it depends on.
    pub fn kernel(&self) -> Option<&Package> {
        self.set("kernel").iter().find(|package| {
            package
                .name
                .strip_prefix("linux-image-")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// The package with the network boot loader.
    pub fn loader(&self) -> Option<&Package> {
        self.named("loaders", LOADER)
    }

    fn named(&self, set: &str, name: &str) -> Option<&Package> {
        self.set(set).iter().find(|package| package.name == name)
    }
}

/// Digests of what is not a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// sha256 of `rackwright-installer`.
    pub installer: String,
    /// sha256 of `rackwright-init`.
    pub init: String,
}

/// The layers shared by all roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Common packages.
    pub base: Key,
    /// The kernel package, unpacked.
    pub kernel: Key,
    /// Compiled ZFS modules.
    pub zfs: Key,
    /// Initrd without what says which root belongs to it.
    pub initrd: Key,
    /// The network boot loader.
    pub loaders: Key,
}

impl Shared {
    /// Keys of the shared layers.
    pub fn new(set: &RoleSet, lock: &Lock, tools: &Key, programs: &Programs) -> Self {
        let kernel_package = lock.kernel().map(|package| &package.sha256);
        let base = Key::new(
            "base",
            &(
                1,
                &tools.digest,
                lock.epoch,
                lock.digests("base"),
                &set.common.packages,
                PATH_RULES,
            ),
        );
        let kernel = Key::new("kernel", &(1, kernel_package, &tools.digest));
        let zfs_package = lock.named("zfs", "zfs-dkms").map(|package| &package.sha256);
        let zfs = Key::new("zfs", &(1, &tools.digest, kernel_package, zfs_package));
        let initrd = Key::new(
            "initrd",
            &(
                1,
                lock.epoch,
                &kernel.digest,
                &base.digest,
                &set.common.initrd_modules,
                &set.common.initrd_load,
                &programs.init,
            ),
        );
        let loader = lock.loader().map(|package| &package.sha256);
        let loaders = Key::new("loaders", &(1, &tools.digest, loader));
        Shared {
            base,
            kernel,
            zfs,
            initrd,
            loaders,
        }
    }
}

/// The layers of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleLayers {
    /// Packages of the role over the base.
    pub packages: Key,
    /// Kernel modules that stay in the image.
    pub modules: Key,
    /// What the owner supplies; absent: nothing.
    pub payloads: Option<Key>,
    /// The packed root.
    pub root: Key,
    /// Everything that goes into `out/`.
    pub image: Key,
}

/// What an image carries besides role data and packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Version of the image.
    pub version: String,
    /// Source revision, if it is known.
    pub source: Option<String>,
    /// sha256 of the node file on the medium, if there is one.
    pub node_file: Option<String>,
    /// sha256 of what the initrd carries of its owner: trusted key, pin of the authority; absent: nothing.
    pub carried: Option<String>,
}

impl RoleLayers {
    /// Keys of a role's layers. `name` must be in `set`.
    pub fn new(
        set: &RoleSet,
        name: &str,
        lock: &Lock,
        shared: &Shared,
        programs: &Programs,
        identity: &Identity,
        payloads: &[Payload],
    ) -> Option<Self> {
        let folder = set.roles.get(name)?;
        let zfs = wants_zfs(&folder.role).then_some(&shared.zfs.digest);
        let packages = Key::new(
            "role",
            &(
                1,
                &shared.base.digest,
                lock.digests(&format!("role:{name}")),
                &folder.role.packages,
            ),
        );
        let modules = Key::new(
            "modules",
            &(1, &shared.kernel.digest, &set.common.image_modules, zfs),
        );
        let data = (
            &set.common,
            &set.common_templates,
            &folder.role,
            &folder.templates,
        );
        let payloads = (!payloads.is_empty()).then(|| {
            Key::new(
                "payload",
                &(1, &packages.digest, payload::digests(payloads)),
            )
        });
        let inputs = (
            1,
            &packages.digest,
            &modules.digest,
            &programs.installer,
            data,
            &identity.version,
            &identity.source,
            lock.epoch,
        );
        let root = match &payloads {
            // Without payloads nothing is named, so that such images keep their key.
            None => Key::new("root", &inputs),
            Some(payloads) => Key::new("root", &(inputs, &payloads.digest)),
        };
        let image = Key::new(
            "image",
            &(
                3,
                crate::media::MENU,
                &root.digest,
                &shared.initrd.digest,
                &shared.loaders.digest,
                (&identity.node_file, &identity.carried),
            ),
        );
        Some(RoleLayers {
            packages,
            modules,
            payloads,
            root,
            image,
        })
    }
}

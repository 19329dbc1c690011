//! The same package set built by mkosi and by plain mmdebstrap + mksquashfs, for comparison.
//!
//! mkosi is run from a root of its own made from trixie, since the host's may be older (bookworm has version 14).

use std::process::Command;

use anyhow::ensure;
use camino::{Utf8Path, Utf8PathBuf};

use crate::clock::{Figure, time};

/// Packages mkosi and the tool root need to work.
const TOOLS: &str = "mkosi,systemd,systemd-repart,systemd-boot-efi,squashfs-tools,mmdebstrap,debian-archive-keyring,\
                     dpkg,zstd,cpio,kmod,bubblewrap,ca-certificates,e2fsprogs,dosfstools,mtools,uidmap,util-linux";

/// What mkosi makes its image bootable with, beside the packages of our image (which has GRUB).
const BOOT_LOADER: [&str; 2] = ["systemd-boot", "systemd-boot-efi"];

/// The rivals' workshop: a trixie root that holds their tools.
pub struct Workshop {
    root: Utf8PathBuf,
    packages: Vec<String>,
    mirror: Option<String>,
}

impl Workshop {
    /// Makes the tool root below `directory` if it is not there yet. Its making is not measured.
    ///
    /// # Errors
    /// If mmdebstrap fails.
    pub fn open(
        directory: &Utf8Path,
        packages: &[String],
        mirror: Option<&str>,
    ) -> anyhow::Result<Self> {
        let root = directory.join("workshop");
        if !root.join("usr/bin/mkosi").exists() {
            let mut command = Command::new("mmdebstrap");
            command.args(["--variant=apt", "--components=main,contrib"]);
            command
                .arg(format!("--include={TOOLS}"))
                .arg("trixie")
                .arg(&root);
            command.args(mirror);
            time("workshop", &mut command)?;
        }
        Ok(Self {
            root,
            packages: packages.to_vec(),
            mirror: mirror.map(str::to_owned),
        })
    }

    /// mmdebstrap into a directory, then mksquashfs with the level that we use.
    ///
    /// # Errors
    /// If a command fails.
    pub fn mmdebstrap(&self) -> anyhow::Result<Figure> {
        let script = format!(
            "rm -rf /rival && mkdir /rival && mmdebstrap --variant=apt --components=main,contrib --include={} trixie /rival/root {} \
             && mksquashfs /rival/root /rival/root.squashfs -comp zstd -Xcompression-level 3 -quiet -noappend",
            self.packages.join(","),
            self.mirror.as_deref().unwrap_or_default()
        );
        self.measured(
            "plain mmdebstrap + mksquashfs, cold",
            &script,
            "rival/root.squashfs",
        )
    }

    /// The same after one changed file: mmdebstrap has nothing to reuse but the directory, so only the image is made again.
    ///
    /// # Errors
    /// If a command fails.
    pub fn mmdebstrap_again(&self) -> anyhow::Result<Figure> {
        self.measured(
            "mksquashfs of a kept directory, one file changed",
            "date > /rival/root/etc/changed && mksquashfs /rival/root /rival/root.squashfs -comp zstd -Xcompression-level 3 -quiet -noappend",
            "rival/root.squashfs",
        )
    }

    /// mkosi, nothing cached.
    ///
    /// # Errors
    /// If a command fails.
    pub fn mkosi(&self) -> anyhow::Result<Figure> {
        self.write_mkosi()?;
        self.measured(
            "mkosi, cold",
            "cd /mkosi && rm -rf out cache && mkdir out cache && mkosi --force build",
            "mkosi/out/image.raw",
        )
    }

    /// mkosi with `Incremental=yes` after one changed file.
    ///
    /// # Errors
    /// If a command fails.
    pub fn mkosi_again(&self) -> anyhow::Result<Figure> {
        self.measured(
            "mkosi incremental, one file changed",
            "cd /mkosi && date > mkosi.extra/etc/changed && mkosi --force build",
            "mkosi/out/image.raw",
        )
    }

    /// mkosi's configuration: the same packages, a disk image with a squashfs root.
    fn write_mkosi(&self) -> anyhow::Result<()> {
        let directory = self.root.join("mkosi");
        let sources = directory.join("mkosi.sandbox/etc/apt/sources.list.d");
        fs_err::create_dir_all(&sources)?;
        fs_err::create_dir_all(directory.join("mkosi.extra/etc"))?;
        fs_err::write(
            directory.join("mkosi.conf"),
            format!(
                "[Distribution]\nDistribution=debian\nRelease=trixie\nRepositories=main,contrib\n\n\
                 [Output]\nFormat=disk\nOutputDirectory=/mkosi/out\n\n\
                 [Content]\nBootable=yes\nWithDocs=no\nPackages={}\n\n\
                 [Build]\nIncremental=yes\nCacheDirectory=/mkosi/cache\n",
                self.packages
                    .iter()
                    .map(String::as_str)
                    .chain(BOOT_LOADER)
                    .collect::<Vec<_>>()
                    .join("\n  ")
            ),
        )?;
        // mkosi 25 adds a debug archive by default, which most mirrors lack; use what mmdebstrap wrote for the tool root,
        // security updates included: our kernel may come from there.
        let list = fs_err::read_to_string(self.root.join("etc/apt/sources.list"))?;
        let stanzas: Vec<String> = list.lines().filter_map(stanza).collect();
        ensure!(
            !stanzas.is_empty(),
            "the tool root's sources.list names no mirror:\n{list}"
        );
        fs_err::write(sources.join("mkosi.sources"), stanzas.join("\n"))?;
        Ok(())
    }

    /// Runs a script inside the tool root, in a mount namespace of its own so that nothing stays mounted.
    fn measured(&self, name: &str, script: &str, result: &str) -> anyhow::Result<Figure> {
        let prepare = "cd \"$0\" && mount --bind . . && cd \"$0\" && mount -t proc proc proc && mount -t sysfs sys sys \
                       && mount --rbind /dev dev && mount -t tmpfs run run && exec chroot . sh -ec \"$1\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-ec", prepare])
            .arg(&self.root)
            .arg(script);
        let mut figure = time(name, &mut command)?;
        figure.bytes = Some(fs_err::metadata(self.root.join(result))?.len());
        Ok(figure)
    }
}

/// A line of `sources.list` in deb822 form, as mkosi wants it.
fn stanza(line: &str) -> Option<String> {
    let mut words = line.strip_prefix("deb ")?.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let components = words.collect::<Vec<_>>().join(" ");
    Some(format!(
        "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: {components}\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    ))
}

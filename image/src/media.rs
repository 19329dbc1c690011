//! The hybrid medium: one file that boots as USB stick and as CD, by BIOS and by UEFI.
//!
//! xorriso makes an ISO 9660 file system with two El Torito entries and GRUB's hybrid boot code. sfdisk then writes a GPT whose
//! partitions lie on the extents of files in that file system. So the root image is there once: as `/root.squashfs` for a CD,
//! whose partitions the kernel does not read, and as partition `rackwright-root` for a stick, mounted without a loop device.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::cache;
use crate::tools::Tools;

/// GRUB's menu.
pub(crate) const MENU: &str = include_str!("grub.cfg");
/// EFI system partition: FAT with the boot loader alone.
const EFI_SIZE: u64 = 4 << 20;
/// For `node.toml`, written by the user.
const NODE_SIZE: u64 = 8 << 20;

/// GRUB modules inside both boot loaders, so that none is looked for on the medium.
const GRUB_MODULES: [&str; 22] = [
    "all_video",
    "boot",
    "cat",
    "chain",
    "configfile",
    "echo",
    "fat",
    "gfxterm",
    "iso9660",
    "linux",
    "ls",
    "normal",
    "part_gpt",
    "part_msdos",
    "probe",
    "reboot",
    "search",
    "search_fs_file",
    "search_label",
    "serial",
    "terminal",
    "test",
];

/// Kinds of partition on the medium: name, GPT type, path in the ISO file system.
const PARTITIONS: [(&str, &str, &str); 3] = [
    (
        "rackwright-efi",
        "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
        "/boot/efi.img",
    ),
    (
        "RACKWRIGHT",
        "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
        "/rackwright/node.img",
    ),
    (
        "rackwright-root",
        "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
        "/root.squashfs",
    ),
];

/// What the medium holds.
pub struct Parts<'a> {
    /// Role name.
    pub role: &'a str,
    /// Version of the image.
    pub version: &'a str,
    /// Kernel.
    pub vmlinuz: &'a Utf8Path,
    /// Initrd.
    pub initrd: &'a Utf8Path,
    /// Root image.
    pub squashfs: &'a Utf8Path,
    /// sha256 of everything on the medium: identifiers are made from it.
    pub digest: &'a str,
    /// Node file for the RACKWRIGHT partition.
    pub node_file: Option<&'a str>,
    /// Every time stamp.
    pub epoch: u64,
}

/// Makes the medium at `iso`, with `scratch` for what it is made of.
pub fn make(iso: &Utf8Path, scratch: &Utf8Path, tools: &Tools, parts: &Parts) -> Result<()> {
    let tree = scratch.join("tree");
    fs_err::create_dir_all(tree.join("boot/grub"))?;
    fs_err::create_dir_all(tree.join("rackwright"))?;
    for (from, to) in [
        (parts.vmlinuz, "rackwright/vmlinuz"),
        (parts.initrd, "rackwright/initrd.zst"),
        (parts.squashfs, "root.squashfs"),
    ] {
        if fs_err::hard_link(from, tree.join(to)).is_err() {
            fs_err::copy(from, tree.join(to))?;
        }
    }
    let menu = MENU
        .replace("{role}", parts.role)
        .replace("{version}", parts.version);
    fs_err::write(tree.join("boot/grub/grub.cfg"), menu)?;
    boot_loaders(&tree, scratch, tools, parts)?;
    let node = tree.join("rackwright/node.img");
    fat(
        &node,
        NODE_SIZE,
        "RACKWRIGHT",
        "52574e44",
        tools,
        parts.epoch,
    )?;
    if let Some(text) = parts.node_file {
        let file = scratch.join("node.toml");
        fs_err::write(&file, text)?;
        copy_into(&node, &file, "::node.toml", tools, parts.epoch)?;
    }
    iso_file_system(iso, &tree, tools, parts)?;
    partition(iso, tools, parts.digest)?;
    cache::remove(scratch)
}

fn boot_loaders(tree: &Utf8Path, scratch: &Utf8Path, tools: &Tools, parts: &Parts) -> Result<()> {
    // GRUB finds its medium by a file that no other medium has.
    let mark = format!("/rackwright/{}", &parts.digest[..16]);
    fs_err::write(tree.join(mark.trim_start_matches('/')), "")?;
    let early = scratch.join("early.cfg");
    fs_err::write(
        &early,
        format!("search --no-floppy --file {mark} --set=root\nset prefix=($root)/boot/grub\n"),
    )?;
    let image = |format: &str, output: &Utf8Path, extra: &[&str]| {
        let fixed = ["-O", format, "-p", "/boot/grub", "-c"].map(str::to_owned);
        let paths = [tools.path(&early), "-o".to_owned(), tools.path(output)];
        let modules = GRUB_MODULES
            .iter()
            .chain(extra)
            .map(|name| (*name).to_owned());
        tools.run(
            "grub-mkimage",
            fixed.into_iter().chain(paths).chain(modules),
        )
    };
    image(
        "i386-pc-eltorito",
        &tree.join("boot/grub/eltorito.img"),
        &["biosdisk"],
    )?;
    let efi_program = scratch.join("BOOTX64.EFI");
    image("x86_64-efi", &efi_program, &["efi_gop"])?;
    let efi = tree.join("boot/efi.img");
    fat(&efi, EFI_SIZE, "RW-EFI", "52574546", tools, parts.epoch)?;
    mtools(
        tools,
        parts.epoch,
        &["mmd", "-i", &tools.path(&efi), "::EFI", "::EFI/BOOT"],
    )?;
    copy_into(
        &efi,
        &efi_program,
        "::EFI/BOOT/BOOTX64.EFI",
        tools,
        parts.epoch,
    )
}

fn iso_file_system(iso: &Utf8Path, tree: &Utf8Path, tools: &Tools, parts: &Parts) -> Result<()> {
    let label = format!("RACKWRIGHT_{}", parts.role.to_uppercase().replace('-', "_"));
    let epoch = format!("SOURCE_DATE_EPOCH={}", parts.epoch);
    let dates = format!("={}", parts.epoch);
    let target = tools.path(iso);
    let source = tools.path(tree);
    tools
        .run(
            "env",
            [
                &epoch,
                "xorriso",
                "-as",
                "mkisofs",
                "-quiet",
                // Time stamps of the files too, or two builds differ.
                "--set_all_file_dates",
                &dates,
                "-r",
                "-J",
                "-V",
                // ISO 9660: a volume identifier has 32 characters.
                label.get(..32).unwrap_or(&label),
                "-o",
                &target,
                "--grub2-mbr",
                "/usr/lib/grub/i386-pc/boot_hybrid.img",
                "-b",
                "boot/grub/eltorito.img",
                "-no-emul-boot",
                "-boot-load-size",
                "4",
                "-boot-info-table",
                "--grub2-boot-info",
                "-eltorito-alt-boot",
                "-e",
                "boot/efi.img",
                "-no-emul-boot",
                &source,
            ],
        )
        .context("cannot make the ISO file system")?;
    Ok(())
}

fn partition(iso: &Utf8Path, tools: &Tools, digest: &str) -> Result<()> {
    let report = tools.run(
        "xorriso",
        [
            "-indev",
            &tools.path(iso),
            "-find",
            "/",
            "-type",
            "f",
            "-exec",
            "report_lba",
            "--",
        ],
    )?;
    let extents = extents(&report.stdout);
    let script = script(&extents, digest)?;
    // The backup GPT lies behind the ISO file system.
    let file = fs_err::OpenOptions::new().write(true).open(iso)?;
    let length = file.metadata()?.len();
    file.set_len(length.next_multiple_of(1 << 20) + (1 << 20))?;
    drop(file);
    tools.run_with_input(
        "sfdisk",
        [
            "--no-reread",
            "--no-tell-kernel",
            "--wipe=never",
            "--wipe-partitions=never",
            "--quiet",
            &tools.path(iso),
        ],
        script,
    )?;
    let json = tools.run("sfdisk", ["--json", &tools.path(iso)])?;
    verify(&json.stdout, &extents)
}

/// Where a file lies in the ISO file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Extent {
    /// In sectors of 512 bytes.
    start: u64,
    /// In sectors of 512 bytes.
    sectors: u64,
}

/// Reads xorriso's report: `File data lba:  0 ,  12212 ,  51200 , 104857600 , '/root.squashfs'`. Blocks have 2048 bytes.
fn extents(report: &str) -> BTreeMap<String, Extent> {
    report
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix("File data lba:")?;
            let mut fields = rest.splitn(5, ',').map(str::trim);
            let (_, start, _, bytes) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
            );
            let (start, bytes): (u64, u64) = (start.parse().ok()?, bytes.parse().ok()?);
            let path = fields.next()?.trim_matches('\'').to_owned();
            Some((
                path,
                Extent {
                    start: start * 4,
                    sectors: bytes / 512,
                },
            ))
        })
        .collect()
}

/// The partition table as sfdisk reads it.
fn script(extents: &BTreeMap<String, Extent>, digest: &str) -> Result<String> {
    // The first 64 sectors are the ISO file system's unused area: the primary GPT fits there.
    let mut script = format!(
        "label: gpt\nlabel-id: {}\nfirst-lba: 64\n",
        uuid(digest, "disk")
    );
    for (name, kind, path) in PARTITIONS {
        let extent = extents
            .get(path)
            .with_context(|| format!("`{path}` is not on the medium"))?;
        script.push_str(&format!(
            "start={}, size={}, type={kind}, name={name}, uuid={}\n",
            extent.start,
            extent.sectors,
            uuid(digest, name)
        ));
    }
    Ok(script)
}

/// Reads the table back: names and places must be what the first process of the image looks for.
fn verify(json: &str, extents: &BTreeMap<String, Extent>) -> Result<()> {
    #[derive(Deserialize)]
    struct Dump {
        partitiontable: Table,
    }
    #[derive(Deserialize)]
    struct Table {
        partitions: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        start: u64,
        size: u64,
        name: String,
    }
    let dump: Dump = serde_json::from_str(json).context("cannot read the partition table back")?;
    for (name, _, path) in PARTITIONS {
        let row = dump
            .partitiontable
            .partitions
            .iter()
            .find(|row| row.name == name);
        let found = row.map(|row| Extent {
            start: row.start,
            sectors: row.size,
        });
        if found.is_none() || found != extents.get(path).copied() {
            bail!("partition `{name}` of the medium is not where it should be");
        }
    }
    Ok(())
}

/// A version 8 UUID (RFC 9562) from the medium's digest, so that the same medium has the same table.
fn uuid(digest: &str, what: &str) -> String {
    let mut bytes = Sha256::new()
        .chain_update(digest)
        .chain_update(what)
        .finalize();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(&bytes[..16]);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

fn fat(
    path: &Utf8PathBuf,
    size: u64,
    label: &str,
    id: &str,
    tools: &Tools,
    epoch: u64,
) -> Result<()> {
    fs_err::File::create(path)?.set_len(size)?;
    let epoch = format!("SOURCE_DATE_EPOCH={epoch}");
    tools.run(
        "env",
        [
            &epoch,
            "mkfs.vfat",
            "--invariant",
            "-i",
            id,
            "-n",
            label,
            &tools.path(path),
        ],
    )?;
    Ok(())
}

fn copy_into(
    image: &Utf8Path,
    file: &Utf8Path,
    target: &str,
    tools: &Tools,
    epoch: u64,
) -> Result<()> {
    mtools(
        tools,
        epoch,
        &["mcopy", "-i", &tools.path(image), &tools.path(file), target],
    )
}

fn mtools(tools: &Tools, epoch: u64, words: &[&str]) -> Result<()> {
    let epoch = format!("SOURCE_DATE_EPOCH={epoch}");
    tools.run(
        "env",
        std::iter::once(epoch.as_str()).chain(words.iter().copied()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Report layout: xt , Startlba ,   Blocks , Filesize , ISO image path\n\
        File data lba:  0 ,       35 ,     2048 ,  4194304 , '/boot/efi.img'\n\
        File data lba:  0 ,     2173 ,     4096 ,  8388608 , '/rackwright/node.img'\n\
        File data lba:  0 ,    12212 ,    51200 , 104857600 , '/root.squashfs'\n";

    #[test]
    fn partitions_lie_on_the_extents_of_files() {
        insta::assert_snapshot!(script(&extents(REPORT), "digest").unwrap(), @r"
        label: gpt
        label-id: 15d650b2-26c2-805e-b8f5-db69f5350c3b
        first-lba: 64
        start=140, size=8192, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=rackwright-efi, uuid=e02af5b8-1c08-8019-8428-65c5fe481fd3
        start=8692, size=16384, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, name=RACKWRIGHT, uuid=ef7c095a-b607-8f26-b3c0-8bc6dc636c29
        start=48848, size=204800, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4, name=rackwright-root, uuid=29631612-dc0f-8f18-b9d6-fb17172d8fbc
        ");
    }

    #[test]
    fn a_table_that_is_not_as_written_is_refused() {
        let json = r#"{"partitiontable": {"partitions": [{"start": 140, "size": 8192, "name": "rackwright-efi"},
            {"start": 8692, "size": 16384, "name": "RACKWRIGHT"}, {"start": START, "size": 204800, "name": "rackwright-root"}]}}"#;
        assert!(verify(&json.replace("START", "48848"), &extents(REPORT)).is_ok());
        assert_eq!(
            verify(&json.replace("START", "48849"), &extents(REPORT))
                .unwrap_err()
                .to_string(),
            "partition `rackwright-root` of the medium is not where it should be"
        );
    }
}

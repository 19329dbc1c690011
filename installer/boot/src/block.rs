//! Block devices as the kernel shows them in `/sys/class/block`.

use std::{fs, path::Path};

use crate::device_uevent;

/// One block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Kernel name; valid for this boot only.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Name of the GPT partition.
    pub partition_name: Option<String>,
    /// Kernel name of the disk this is a partition of.
    pub disk: Option<String>,
    /// Model of the disk, for people.
    pub model: String,
}

impl Block {
    /// Device node.
    pub fn node(&self) -> String {
        format!("/dev/{}", self.name)
    }

    /// Device node of the disk; the device itself if it is one.
    pub fn disk_node(&self) -> String {
        format!("/dev/{}", self.disk.as_ref().unwrap_or(&self.name))
    }
}

/// All block devices, by name. `sys` is `/sys`.
pub fn list(sys: &Path) -> Vec<Block> {
    let class = sys.join("class/block");
    let Ok(entries) = fs::read_dir(&class) else {
        return Vec::new();
    };
    let mut blocks: Vec<Block> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .map(|name| read(&class, name))
        .collect();
    blocks.sort_by(|a, b| a.name.cmp(&b.name));
    blocks
}

fn read(class: &Path, name: String) -> Block {
    let folder = class.join(&name);
    let text = |path: &str| {
        fs::read_to_string(folder.join(path))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let uevent = device_uevent::parse(&text("uevent"));
    // /sys/class/block/sda1 is a link to .../block/sda/sda1.
    let disk = uevent.partition.then(|| {
        let path = fs::canonicalize(&folder).ok()?;
        Some(path.parent()?.file_name()?.to_str()?.to_owned())
    });
    let model = if uevent.partition {
        String::new()
    } else {
        text("device/model")
    };
    Block {
        size: text("size").parse::<u64>().unwrap_or(0).saturating_mul(512),
        partition_name: uevent.partition_name,
        disk: disk.flatten(),
        model,
        name,
    }
}

/// What exists, for a message about what was not found.
pub fn table(blocks: &[Block]) -> String {
    let mut text = String::from("block devices (name, bytes, partition name or model):");
    for block in blocks.iter().filter(|block| block.size > 0) {
        let label = block.partition_name.as_ref().unwrap_or(&block.model);
        text.push_str(&format!(
            "\n  {:<12} {:>16} {label}",
            block.name, block.size
        ));
    }
    if blocks.iter().all(|block| block.size == 0) {
        text.push_str("\n  none: no disk controller was recognised");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn disks_and_partitions_from_sysfs() {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("devices/pci0/block/sda");
        let class = root.path().join("class/block");
        fs::create_dir_all(disk.join("sda3")).unwrap();
        fs::create_dir_all(disk.join("device")).unwrap();
        fs::create_dir_all(&class).unwrap();
        fs::write(disk.join("size"), "4096\n").unwrap();
        fs::write(disk.join("uevent"), "DEVNAME=sda\nDEVTYPE=disk\n").unwrap();
        fs::write(disk.join("device/model"), "SuperMicro SSD  \n").unwrap();
        fs::write(disk.join("sda3/size"), "1024\n").unwrap();
        fs::write(disk.join("sda3/uevent"), "DEVTYPE=partition\nPARTNAME=os\n").unwrap();
        symlink(&disk, class.join("sda")).unwrap();
        symlink(disk.join("sda3"), class.join("sda3")).unwrap();

        let blocks = list(root.path());
        assert_eq!(blocks[1].node(), "/dev/sda3");
        assert_eq!(blocks[1].disk_node(), "/dev/sda");
        assert_eq!(blocks[0].disk_node(), "/dev/sda");
        insta::assert_snapshot!(table(&blocks), @r"
        block devices (name, bytes, partition name or model):
          sda                   2097152 SuperMicro SSD
          sda3                   524288 os
        ");
        insta::assert_snapshot!(table(&[]), @r"
        block devices (name, bytes, partition name or model):
          none: no disk controller was recognised
        ");
    }
}

//! What stands on disks, and what the kernel and mdadm say of them, read by the first process.

use crate::{samples, text};

/// A partition table, and texts about disks.
pub(crate) fn disk(bytes: &[u8]) {
    for (name, range) in boot::gpt::list(bytes) {
        let end = range.start.checked_add(range.size);
        // A caller adds these two.
        assert!(end.is_some(), "`{name}` ends beyond all numbers");
    }
    let _ = boot::gpt::find(bytes, "rackwright-root");
    let text = text(bytes);
    let _ = boot::mdadm::parse(&text);
    let _ = boot::device_uevent::parse(&text);
    let (dependencies, aliases) = text.split_once("\n\n").unwrap_or((&text, ""));
    let index = boot::module_index::ModuleIndex::parse(dependencies, aliases);
    for name in ["virtio_blk", "pci:v00001AF4d00001001sv*"] {
        let _ = index.resolve(name);
        let _ = index.load_order(name);
    }
    let (pattern, rest) = bytes.split_at(bytes.len().min(24));
    let _ = boot::module_index::glob(pattern, rest.get(..64).unwrap_or(rest));
}

pub(crate) fn disks() -> Vec<Vec<u8>> {
    let mut table = vec![0; 2048];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in table.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    put(512, b"EFI PART");
    put(512 + 72, &2_u64.to_le_bytes());
    put(512 + 80, &4_u32.to_le_bytes());
    put(512 + 84, &128_u32.to_le_bytes());
    put(1024 + 32, &34_u64.to_le_bytes());
    put(1024 + 40, &99_u64.to_le_bytes());
    put(1024 + 56, b"r\0o\0o\0t\0");
    let mut all = samples(&[
        "MD_LEVEL=raid1\nMD_DEVICES=2\nMD_UUID=2f0c5cd5:50bdc0a1:5e2f1f6c:8bd6ab47\n",
        "MAJOR=8\nMINOR=1\nDEVNAME=sda1\nDEVTYPE=partition\nPARTN=1\nPARTNAME=esp\n",
        "kernel/a/virtio_blk.ko: kernel/b/virtio.ko kernel/b/virtio_ring.ko\nkernel/b/virtio.ko: kernel/a/virtio_blk.ko\n\n\
         alias pci:v00001AF4d00001001sv*sd*bc*sc*i* virtio_blk\n",
    ]);
    all.push(table);
    all
}

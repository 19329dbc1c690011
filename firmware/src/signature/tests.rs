//! Each format is made by hand at its documented place and found there.

use super::*;
use proptest::prelude::*;

const SIZE: u64 = 64 << 20;

/// A device with some bytes at some places.
fn scanned(pieces: &[(u64, &[u8])]) -> Vec<Signature> {
    let (head, tail) = device(pieces);
    scan(&head, &tail, SIZE)
}

fn device(pieces: &[(u64, &[u8])]) -> (Vec<u8>, Vec<u8>) {
    let mut head = vec![0; HEAD];
    let mut tail = vec![0; TAIL];
    for (place, bytes) in pieces {
        let place = usize::try_from(*place).unwrap();
        let start = usize::try_from(SIZE).unwrap() - TAIL;
        if place + bytes.len() <= HEAD {
            head[place..place + bytes.len()].copy_from_slice(bytes);
        } else {
            tail[place - start..place - start + bytes.len()].copy_from_slice(bytes);
        }
    }
    (head, tail)
}

fn md_1() -> Vec<u8> {
    let mut block = vec![0u8; 256];
    block[..4].copy_from_slice(&0xa92b_4efcu32.to_le_bytes());
    block[4] = 1;
    block[16..32].copy_from_slice(&[0x11; 16]);
    block[32..44].copy_from_slice(b"mail01:array");
    block[72] = 1;
    block[92] = 2;
    block
}

fn md_0() -> Vec<u8> {
    let mut block = vec![0u8; 128];
    block[..4].copy_from_slice(&0xa92b_4efcu32.to_le_bytes());
    block[8] = 90;
    block[20..24].copy_from_slice(&[0x22; 4]);
    block[28] = 5;
    block[40] = 3;
    block[52..64].copy_from_slice(&[0x22; 12]);
    block
}

fn xdr_text(text: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.bytes());
    bytes.resize(4 + text.len().next_multiple_of(4), 0);
    bytes
}

fn pair(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
    let mut body = xdr_text(name);
    body.extend(kind.to_be_bytes());
    body.extend(1u32.to_be_bytes());
    body.extend(value);
    let mut bytes = u32::try_from(body.len() + 8)
        .unwrap()
        .to_be_bytes()
        .to_vec();
    bytes.extend(0u32.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn zfs_list(name: &str, guid: u64) -> Vec<u8> {
    let mut bytes = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend(pair("version", 8, &5000u64.to_be_bytes()));
    bytes.extend(pair("name", 9, &xdr_text(name)));
    bytes.extend(pair("state", 8, &0u64.to_be_bytes()));
    bytes.extend(pair("txg", 8, &4711u64.to_be_bytes()));
    bytes.extend(pair("pool_guid", 8, &guid.to_be_bytes()));
    bytes.extend(pair("hostid", 8, &0x00c0_ffeeu64.to_be_bytes()));
    bytes.extend(pair("hostname", 9, &xdr_text("store1")));
    // A nested list that must be stepped over.
    bytes.extend(pair("vdev_tree", 19, &[0xff; 64]));
    bytes.extend([0; 8]);
    bytes
}

/// What `vdev_label_init` writes for a cache device: no pool at all.
fn zfs_cache() -> Vec<u8> {
    let mut bytes = vec![1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    bytes.extend(pair("version", 8, &5000u64.to_be_bytes()));
    bytes.extend(pair("state", 8, &4u64.to_be_bytes()));
    bytes.extend(pair("guid", 8, &77u64.to_be_bytes()));
    bytes.extend([0; 8]);
    bytes
}

fn lvm() -> Vec<u8> {
    let mut block = vec![0u8; 8192];
    block[..8].copy_from_slice(b"LABELONE");
    block[20] = 32;
    block[24..32].copy_from_slice(b"LVM2 001");
    block[32..64].copy_from_slice(b"AAAAAAbbbbCCCCddddEEEEffffGGGGGG");
    // One data area at 1 MiB, the end of that list, one metadata area at 4 KiB.
    block[72..80].copy_from_slice(&(1u64 << 20).to_le_bytes());
    block[104..112].copy_from_slice(&(4096u64 - 512).to_le_bytes());
    let area = 4096 - 512 - 512;
    block[area + 4..area + 20].copy_from_slice(b" LVM2 x[5A%r0N*>");
    let text = b"vg0 {\nid = \"XyZ-123\"\nseqno = 1\n}\ncreation_host = \"old-server\"\n";
    block[area + 40..area + 48].copy_from_slice(&512u64.to_le_bytes());
    block[area + 48..area + 56].copy_from_slice(&(text.len() as u64).to_le_bytes());
    block[area + 512..area + 512 + text.len()].copy_from_slice(text);
    block
}

fn at(mut bytes: Vec<u8>, place: usize, more: &[u8]) -> Vec<u8> {
    if bytes.len() < place + more.len() {
        bytes.resize(place + more.len(), 0);
    }
    bytes[place..place + more.len()].copy_from_slice(more);
    bytes
}

#[test]
fn every_format_at_its_place() {
    let label = 256u64 << 10;
    let gpt = at(
        at(at(vec![], 0, b"EFI PART"), 56, &[0x33; 16]),
        72,
        &2u64.to_le_bytes(),
    );
    let gpt = at(at(gpt, 80, &4u32.to_le_bytes()), 84, &128u32.to_le_bytes());
    let name: Vec<u8> = "esp".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let entry = at(at(vec![], 0, &[0x44; 16]), 56, &name);
    let mbr = at(at(vec![], 446 + 4, &[0x83]), 510, &[0x55, 0xaa]);
    let fat = at(
        at(
            at(at(vec![], 67, &[1, 2, 3, 4]), 71, b"RACKWRIGHT "),
            82,
            b"FAT32   ",
        ),
        510,
        &[0x55, 0xaa],
    );
    let ext = at(
        at(at(vec![], 56, &[0x53, 0xef]), 104, &[0x55; 16]),
        120,
        b"state",
    );
    let gfs2 = at(
        at(vec![], 0, &0x0116_1970u32.to_be_bytes()),
        160,
        b"cluster:mail",
    );
    for (title, pieces, expected) in [
        ("blank", vec![], vec![]),
        (
            "gpt",
            vec![(512, gpt.clone()), (1024, entry)],
            vec!["gpt 33333333-3333-3333-3333-333333333333 partitions: esp"],
        ),
        (
            "backup gpt",
            vec![(SIZE - 512, gpt)],
            vec!["gpt 33333333-3333-3333-3333-333333333333 backup header only"],
        ),
        ("mbr", vec![(0, mbr)], vec!["mbr 1 partition"]),
        (
            "fat is no mbr",
            vec![(0, fat)],
            vec!["vfat RACKWRIGHT 0403-0201"],
        ),
        (
            "md 1.1",
            vec![(0, md_1())],
            vec![
                "md array 11111111-1111-1111-1111-111111111111 @mail01 metadata 1.1, RAID 1, 2 disks",
            ],
        ),
        (
            "md 1.2",
            vec![(4096, md_1())],
            vec![
                "md array 11111111-1111-1111-1111-111111111111 @mail01 metadata 1.2, RAID 1, 2 disks",
            ],
        ),
        (
            "md 1.0",
            vec![(SIZE - 8192, md_1())],
            vec![
                "md array 11111111-1111-1111-1111-111111111111 @mail01 metadata 1.0, RAID 1, 2 disks",
            ],
        ),
        (
            "md 0.90",
            vec![(SIZE - 65536, md_0())],
            vec!["md 22222222-2222-2222-2222-222222222222 metadata 0.90, RAID 5, 3 disks"],
        ),
        (
            "imsm",
            vec![(
                SIZE - 1024,
                at(
                    b"Intel Raid ISM Cfg Sig. 1.3.00".to_vec(),
                    40,
                    &[1, 0, 0, 0],
                ),
            )],
            vec![
                "imsm 00000001 Intel RST RAID: made by the BIOS; set the controller to AHCI before it is used here",
            ],
        ),
        (
            "ddf",
            vec![(
                SIZE - 512,
                at(0xde11_de11u32.to_be_bytes().to_vec(), 8, &[0x4c; 24]),
            )],
            vec![
                "ddf 4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c4c member of a hardware RAID volume",
            ],
        ),
        (
            "lvm",
            vec![(512, lvm())],
            vec!["lvm vg0 XyZ-123 @old-server physical volume AAAAAAbbbbCCCCddddEEEEffffGGGGGG"],
        ),
        (
            "zfs at the head",
            vec![(16384, zfs_list("tank", 42))],
            vec!["zfs tank 42 @store1 (hostid 00c0ffee) active, txg 4711, labels 0"],
        ),
        (
            "zfs at the tail only",
            vec![(SIZE - label + 16384, zfs_list("tank", 42))],
            vec!["zfs tank 42 @store1 (hostid 00c0ffee) active, txg 4711, labels 3"],
        ),
        (
            "zfs cache",
            vec![(16384, zfs_cache())],
            vec!["zfs-cache 77 cache, txg 0, labels 0"],
        ),
        (
            "two pools",
            vec![
                (16384, zfs_list("new", 1)),
                (SIZE - 2 * label + 16384, zfs_list("old", 2)),
            ],
            vec![
                "zfs new 1 @store1 (hostid 00c0ffee) active, txg 4711, labels 0",
                "zfs old 2 @store1 (hostid 00c0ffee) active, txg 4711, labels 2",
            ],
        ),
        (
            "xfs",
            vec![(0, at(at(b"XFSB".to_vec(), 32, &[0x66; 16]), 108, b"mail"))],
            vec!["xfs mail 66666666-6666-6666-6666-666666666666"],
        ),
        (
            "ext",
            vec![(1024, ext)],
            vec!["ext state 55555555-5555-5555-5555-555555555555"],
        ),
        (
            "swap",
            vec![(4086, b"SWAPSPACE2".to_vec())],
            vec!["swap 00000000-0000-0000-0000-000000000000"],
        ),
        (
            "bcache",
            vec![(
                4096 + 24,
                vec![
                    0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48,
                    0xba, 0x6d, 0x81,
                ],
            )],
            vec!["bcache 00000000-0000-0000-0000-000000000000"],
        ),
        (
            "ceph",
            vec![(
                0,
                b"bluestore block device\n5e8c6a1e-1111-2222-3333-444455556666\n".to_vec(),
            )],
            vec!["ceph 5e8c6a1e-1111-2222-3333-444455556666 Ceph BlueStore"],
        ),
        (
            "gfs2",
            vec![(65536, gfs2)],
            vec![
                "gfs2 cluster:mail 00000000-0000-0000-0000-000000000000 a file system that several hosts share",
            ],
        ),
        (
            "vmfs",
            vec![(1 << 20, 0xc001_d00du32.to_le_bytes().to_vec())],
            vec!["vmfs a VMware file system that several hosts may share"],
        ),
        (
            "btrfs",
            vec![(65536 + 64, b"_BHRfS_M".to_vec())],
            vec!["btrfs 00000000-0000-0000-0000-000000000000"],
        ),
        (
            "luks",
            vec![(0, at(b"LUKS\xba\xbe".to_vec(), 168, b"abc"))],
            vec!["luks abc"],
        ),
    ] {
        let pieces: Vec<(u64, &[u8])> = pieces
            .iter()
            .map(|(place, bytes)| (*place, bytes.as_slice()))
            .collect();
        let lines: Vec<String> = scanned(&pieces).iter().map(line).collect();
        assert_eq!(lines, expected, "{title}");
    }
}

fn line(signature: &Signature) -> String {
    let host = signature.host.as_ref().map(|host| format!("@{host}"));
    [
        Some(signature.kind.clone()),
        signature.name.clone(),
        signature.uuid.clone(),
        host,
        signature.detail.clone(),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(" ")
}

proptest! {
    #[test]
    fn no_panic_on_noise(head in prop::collection::vec(any::<u8>(), 0..2048), tail in prop::collection::vec(any::<u8>(), 0..2048), size in any::<u64>()) {
        let _ = scan(&head, &tail, size);
    }

    /// Known magic numbers with noise behind them.
    #[test]
    fn no_panic_behind_a_magic_number(which in 0usize..5, noise in prop::collection::vec(any::<u8>(), 0..512), from in 0usize..200) {
        let (place, block) = match which {
            0 => (0u64, md_1()),
            1 => (512, lvm()),
            2 => (16384, zfs_list("tank", 1)),
            3 => (512, b"EFI PART".to_vec()),
            _ => (SIZE - 65536, md_0()),
        };
        let block = at(block, from, &noise);
        let (head, tail) = device(&[(place, &block)]);
        let _ = scan(&head, &tail, SIZE);
    }
}

//! The little of ISO 9660 (ECMA-119) that it takes to find one file of our own medium, and the little of cpio to find
//! `root.json` in its initrd: the medium then says itself what it is.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail};

/// Bytes of a sector.
const SECTOR: u64 = 2048;
/// No folder of our medium is larger.
const FOLDER_LIMIT: u64 = 1 << 20;

/// Where a file lies: byte offset and length. `path`: names as ISO 9660 has them, without version.
///
/// # Errors
/// It is no ISO file system, has no such file, or cannot be read.
pub fn find(medium: &mut (impl Read + Seek), path: &[&str]) -> Result<(u64, u64)> {
    let mut descriptor = [0; SECTOR as usize];
    medium.seek(SeekFrom::Start(16 * SECTOR))?;
    medium
        .read_exact(&mut descriptor)
        .context("it is cut short")?;
    // 8.4: type 1 and `CD001`; the record of the root folder stands at byte 156.
    if !descriptor.starts_with(b"\x01CD001") {
        bail!("it has no ISO file system");
    }
    let mut place = record(&descriptor[156..])
        .context("its root folder is damaged")?
        .1;
    for name in path {
        let (start, length) = place;
        if length > FOLDER_LIMIT {
            bail!("its folders are damaged");
        }
        let mut folder = vec![0; usize::try_from(length)?];
        medium.seek(SeekFrom::Start(start))?;
        medium.read_exact(&mut folder).context("it is cut short")?;
        place = search(&folder, name).with_context(|| format!("it has no `{}`", path.join("/")))?;
    }
    Ok(place)
}

fn search(folder: &[u8], name: &str) -> Option<(u64, u64)> {
    folder.chunks(SECTOR as usize).find_map(|sector| {
        let mut rest = sector;
        // Records do not cross sectors; the rest of one is zeros (6.8.1).
        while rest.first().is_some_and(|length| *length > 0) {
            let (found, place) = record(rest)?;
            let found = found.split(|byte| *byte == b';').next()?;
            if found == name.as_bytes() {
                return Some(place);
            }
            rest = rest.get(usize::from(*rest.first()?)..)?;
        }
        None
    })
}

/// A directory record (9.1): name, and place in bytes.
fn record(bytes: &[u8]) -> Option<(&[u8], (u64, u64))> {
    let number = |at: usize| -> Option<u64> {
        let field = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(field)))
    };
    let length = usize::from(*bytes.get(32)?);
    let name = bytes.get(33..33 + length)?;
    Some((name, (number(2)? * SECTOR, number(10)?)))
}

/// A file of the last archives of an initrd: those that are not compressed. The kernel takes the last one of a name.
#[must_use]
pub fn in_initrd<'a>(initrd: &'a [u8], name: &str) -> Option<&'a [u8]> {
    const HEADER: usize = 110;
    let wanted = format!("{name}\0");
    let mut end = initrd.len();
    while end >= wanted.len() {
        let at = initrd[..end]
            .windows(wanted.len())
            .rposition(|window| window == wanted.as_bytes())?;
        end = (at + wanted.len()).checked_sub(1)?;
        let Some(header) = at
            .checked_sub(HEADER)
            .and_then(|start| initrd.get(start..at))
        else {
            continue;
        };
        if !header.starts_with(b"070701") {
            continue;
        }
        let field = |index: usize| {
            let text = std::str::from_utf8(header.get(6 + index * 8..14 + index * 8)?).ok()?;
            usize::from_str_radix(text, 16).ok()
        };
        // Content after header and name, at a multiple of four from the archive's start, which is one itself.
        let start = (at + wanted.len()).next_multiple_of(4);
        return initrd.get(start..start.checked_add(field(6)?)?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::initrd::{Carried, RootFile, second_part};
    use std::io::Cursor;

    #[test]
    fn root_json_of_an_initrd() {
        let root = RootFile {
            role: "lb".into(),
            version: "1".into(),
            size: 7,
            sha256: "ab".into(),
            kernel: "6".into(),
        };
        let mut initrd = b"compressed rackwright/root.json\0 ....".to_vec();
        initrd.resize(initrd.len().next_multiple_of(4), 0);
        initrd.extend(second_part(&root, &Carried::default(), &|_| Ok(String::new()), 0).unwrap());
        let text = in_initrd(&initrd, "rackwright/root.json").unwrap();
        assert_eq!(serde_json::from_slice::<RootFile>(text).unwrap(), root);
        assert_eq!(in_initrd(&initrd, "rackwright/node.toml"), None);
        assert_eq!(in_initrd(&initrd[..40], "rackwright/root.json"), None);
        assert_eq!(in_initrd(b"", "x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_medium_is_an_answer(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), at in 0_usize..2000) {
            let mut medium = vec![0; 40 * 2048];
            medium[16 * 2048..16 * 2048 + 6].copy_from_slice(b"\x01CD001");
            let at = 16 * 2048 + at;
            medium[at..at + bytes.len()].copy_from_slice(&bytes);
            let _ = find(&mut Cursor::new(medium), &["A", "B"]);
            let _ = in_initrd(&bytes, "x");
        }
    }
}

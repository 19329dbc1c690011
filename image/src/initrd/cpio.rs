//! Writes cpio archives in the "newc" format, the one the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst).
//!
//! Written here because device nodes can be named in an archive without being allowed to make them, and because the same
//! entries must give the same bytes: owner 0, one time stamp, counted inode numbers.

use std::collections::BTreeMap;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file with permission bits.
    File {
        /// Permission bits.
        mode: u32,
        /// Content.
        data: Vec<u8>,
    },
    /// A symbolic link.
    Link(String),
    /// A character device.
    CharacterDevice {
        /// Permission bits.
        mode: u32,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// An archive: path without a leading slash to entry. Parents come before children because the paths are sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    nodes: BTreeMap<String, Node>,
}

impl Archive {
    /// Adds an entry and the folders above it.
    pub fn add(&mut self, path: &str, node: Node) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.nodes
                .entry(path[..end].to_owned())
                .or_insert(Node::Folder);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, mode: u32, data: impl Into<Vec<u8>>) {
        self.add(
            path,
            Node::File {
                mode,
                data: data.into(),
            },
        );
    }

    /// The bytes, every entry with this time stamp (seconds since 1970).
    pub fn bytes(&self, epoch: u64) -> Vec<u8> {
        let mut out = Vec::new();
        // The field has 32 bits.
        let time = u32::try_from(epoch).unwrap_or(u32::MAX);
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let (mode, links, data, device): (u32, u32, &[u8], (u32, u32)) = match node {
                Node::Folder => (0o040_755, 2, &[], (0, 0)),
                Node::File { mode, data } => (0o100_000 | mode, 1, data, (0, 0)),
                Node::Link(target) => (0o120_777, 1, target.as_bytes(), (0, 0)),
                Node::CharacterDevice { mode, major, minor } => {
                    (0o020_000 | mode, 1, &[], (*major, *minor))
                }
            };
            entry(
                &mut out,
                number as u32 + 1,
                path,
                mode,
                links,
                time,
                data,
                device,
            );
        }
        entry(&mut out, 0, "TRAILER!!!", 0, 1, 0, &[], (0, 0));
        out
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "the fields of the format's header"
)]
fn entry(
    out: &mut Vec<u8>,
    inode: u32,
    path: &str,
    mode: u32,
    links: u32,
    time: u32,
    data: &[u8],
    device: (u32, u32),
) {
    let fields = [
        inode,
        mode,
        0,
        0,
        links,
        time,
        // Files over 4 GiB cannot be in this format; nothing here comes near.
        data.len() as u32,
        0,
        0,
        device.0,
        device.1,
        path.len() as u32 + 1,
        0,
    ];
    out.extend_from_slice(b"070701");
    for field in fields {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    pad(out);
    out.extend_from_slice(data);
    pad(out);
}

/// Header with name and data each end at a multiple of four.
fn pad(out: &mut Vec<u8>) {
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let mut archive = Archive::default();
        archive.file("etc/hi", 0o644, "hello");
        let console = Node::CharacterDevice {
            mode: 0o600,
            major: 5,
            minor: 1,
        };
        archive.add("/dev/console", console);
        archive.add("bin", Node::Link("usr/bin".to_owned()));
        let bytes = archive.bytes(1_700_000_000);
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8(bytes).unwrap().replace('\0', ".");
        // One entry per line; dots are zero bytes.
        insta::assert_snapshot!(text.replace("070701", "\n070701").trim_start(), @r"
        070701000000010000a1ff0000000000000000000000016553f10000000007000000000000000000000000000000000000000400000000bin...usr/bin.
        07070100000002000041ed0000000000000000000000026553f10000000000000000000000000000000000000000000000000400000000dev...
        07070100000003000021800000000000000000000000016553f10000000000000000000000000000000005000000010000000c00000000dev/console...
        07070100000004000041ed0000000000000000000000026553f10000000000000000000000000000000000000000000000000400000000etc...
        07070100000005000081a40000000000000000000000016553f10000000005000000000000000000000000000000000000000700000000etc/hi....hello...
        07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!....
        ");
    }

    #[test]
    fn order_of_adding_does_not_matter() {
        let (mut one, mut two) = (Archive::default(), Archive::default());
        one.file("a/b", 0o644, "x");
        one.file("a/c", 0o644, "y");
        two.file("a/c", 0o644, "y");
        two.file("a/b", 0o644, "x");
        assert_eq!(one.bytes(1), two.bytes(1));
    }
}

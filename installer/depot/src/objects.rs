//! What may be fetched: files of images by their SHA-256, and nothing else. A path is never made from what somebody asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use camino::Utf8PathBuf;
use sha2::{Digest, Sha256};

/// Files of an image that a network boot needs, in this order.
pub const BOOT: [&str; 3] = ["vmlinuz", "initrd.zst", "root.squashfs"];

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Name in its image.
    pub name: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// Where it lies.
    pub path: Utf8PathBuf,
}

/// An image, as its manifest says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Role.
    pub role: String,
    /// Version.
    pub version: String,
    /// Its files.
    pub files: Vec<Object>,
}

impl Image {
    /// What a network boot needs, in the order of [`BOOT`]; absent if the image has not all of it.
    #[must_use]
    pub fn boot(&self) -> Option<[&Object; 3]> {
        let file = |name: &str| self.files.iter().find(|file| file.name == name);
        Some([file(BOOT[0])?, file(BOOT[1])?, file(BOOT[2])?])
    }
}

/// Why an image is not served.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A file is not there.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is not what the manifest says.
    #[error(
        "`{path}` is not what its manifest says: SHA-256 {found}, expected {wanted}\nhint: build or copy the image again"
    )]
    Changed {
        /// File.
        path: Utf8PathBuf,
        /// Of the file.
        found: String,
        /// Of the manifest.
        wanted: String,
    },
    /// Two images of a role.
    #[error("two images of role `{role}`: {one} and {other}\nhint: name one with `--image DIR`")]
    Twice {
        /// Role.
        role: String,
        /// Version.
        one: String,
        /// Version.
        other: String,
    },
}

/// All images, by role, and all files, by SHA-256.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    images: BTreeMap<String, Image>,
    /// Open: what was checked is what is served, though another file takes its name.
    files: BTreeMap<String, (Object, Arc<File>)>,
}

/// An answer to who asks for a file.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200, 206 or 416.
    pub status: u16,
    /// Names in lower case, values in plain ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// What it is read from.
    pub file: Arc<File>,
    /// First byte.
    pub from: u64,
    /// Bytes.
    pub length: u64,
}

impl Reply {
    /// Its head by HTTP/1.1.
    #[must_use]
    pub fn head(&self, close: bool) -> String {
        let reason = match self.status {
            200 => "OK",
            206 => "Partial Content",
            _ => "Range Not Satisfiable",
        };
        let mut text = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if close {
            text.push_str("connection: close\r\n");
        }
        text.push_str("\r\n");
        text
    }
}

impl Objects {
    /// Reads every file once: what is served is what the manifests say.
    ///
    /// # Errors
    /// See [`ObjectError`].
    pub fn check(images: Vec<Image>) -> Result<Self, ObjectError> {
        let mut all = Self::default();
        for image in images {
            for file in &image.files {
                let opened = File::from(fs_err::File::open(&file.path)?);
                let found = sum(&opened)?;
                if found != file.sha256 {
                    return Err(ObjectError::Changed {
                        path: file.path.clone(),
                        found,
                        wanted: file.sha256.clone(),
                    });
                }
                all.files
                    .insert(file.sha256.clone(), (file.clone(), Arc::new(opened)));
            }
            let (role, version) = (image.role.clone(), image.version.clone());
            if let Some(other) = all.images.insert(role.clone(), image) {
                return Err(ObjectError::Twice {
                    role,
                    one: other.version,
                    other: version,
                });
            }
        }
        Ok(all)
    }

    /// The image of a role.
    #[must_use]
    pub fn image(&self, role: &str) -> Option<&Image> {
        self.images.get(role)
    }

    /// The file with this SHA-256.
    #[must_use]
    pub fn file(&self, sha256: &str) -> Option<&Object> {
        self.files.get(sha256).map(|(object, _)| object)
    }

    /// The answer to who asks for the file with this sum and this name, or for a part of it. `if_range`: of the file that was
    /// begun; if that is another one, all of this is sent (RFC 9110, 13.1.5). None: there is no such file.
    #[must_use]
    pub fn reply(
        &self,
        sha256: &str,
        name: &str,
        range: Option<&str>,
        if_range: Option<&str>,
    ) -> Option<Reply> {
        let (object, file) = self.files.get(sha256)?;
        if object.name != name {
            return None;
        }
        let etag = format!("\"{sha256}\"");
        let same = if_range.is_none_or(|value| value == etag);
        let size = object.size;
        let (status, part, range) = match span(range.filter(|_| same), size) {
            Err(Behind) => (
                416,
                Span { from: 0, length: 0 },
                Some(format!("bytes */{size}")),
            ),
            Ok(None) => (
                200,
                Span {
                    from: 0,
                    length: size,
                },
                None,
            ),
            Ok(Some(part)) => {
                let last = part.from + part.length - 1;
                (
                    206,
                    part,
                    Some(format!("bytes {}-{last}/{size}", part.from)),
                )
            }
        };
        let mut headers = vec![("content-length", part.length.to_string())];
        headers.extend(range.map(|range| ("content-range", range)));
        if status != 416 {
            headers.extend([
                ("accept-ranges", "bytes".to_owned()),
                ("etag", etag),
                ("content-type", "application/octet-stream".to_owned()),
                // What is named after its sum never changes.
                (
                    "cache-control",
                    "public, max-age=31536000, immutable".to_owned(),
                ),
            ]);
        }
        Some(Reply {
            status,
            headers,
            file: Arc::clone(file),
            from: part.from,
            length: part.length,
        })
    }

    /// Roles that have an image.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }
}

fn sum(mut file: &File) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            count => digest.update(buffer.get(..count).unwrap_or_default()),
        }
    }
}

/// A part of a file: first byte, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// From 0.
    pub from: u64,
    /// Bytes.
    pub length: u64,
}

/// A part that lies behind the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind;

/// The part that `Range` asks for of `size` bytes (RFC 9110, section 14). `Ok(None)`: all of it, as several parts and other
/// units may be answered so.
///
/// # Errors
/// It lies behind the end.
pub fn span(range: Option<&str>, size: u64) -> Result<Option<Span>, Behind> {
    let Some(asked) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((from, to)) = asked.trim().split_once('-') else {
        return Ok(None);
    };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok())?
    };
    match (from.is_empty(), number(from), to.is_empty(), number(to)) {
        // The last so many.
        (true, _, false, Some(last)) => {
            let length = last.min(size);
            match length {
                0 => Err(Behind),
                length => Ok(Some(Span {
                    from: size - length,
                    length,
                })),
            }
        }
        (false, Some(from), true, _) if from < size => Ok(Some(Span {
            from,
            length: size - from,
        })),
        (false, Some(from), false, Some(to)) if from <= to && from < size => Ok(Some(Span {
            from,
            length: to.min(size - 1) - from + 1,
        })),
        (false, Some(from), _, to) if from >= size && to.is_none_or(|to| to >= from) => Err(Behind),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_ten_bytes() {
        let part = |from, length| Ok(Some(Span { from, length }));
        for (range, expected) in [
            (None, Ok(None)),
            (Some("bytes=0-"), part(0, 10)),
            (Some("bytes=4-"), part(4, 6)),
            (Some("bytes=4-4"), part(4, 1)),
            (Some("bytes=4-99"), part(4, 6)),
            (Some("bytes=-3"), part(7, 3)),
            (Some("bytes=-30"), part(0, 10)),
            (Some("bytes=-0"), Err(Behind)),
            (Some("bytes=10-"), Err(Behind)),
            (Some("bytes=10-12"), Err(Behind)),
            (Some("bytes=5-4"), Ok(None)),
            (Some("bytes=0-1,3-4"), Ok(None)),
            (Some("bytes=+1-2"), Ok(None)),
            (Some("lines=1-2"), Ok(None)),
            (Some("bytes=-"), Ok(None)),
            (Some("bytes=99999999999999999999-"), Ok(None)),
        ] {
            assert_eq!(span(range, 10), expected, "{range:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_within(range in "(bytes=)?[0-9,-]{0,12}", size in 0_u64..100) {
            if let Ok(Some(part)) = span(Some(&range), size) {
                proptest::prop_assert!(part.length > 0 && part.from + part.length <= size);
            }
        }
    }

    #[test]
    fn a_flipped_byte_is_found_before_anything_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("root.squashfs")).unwrap();
        fs_err::write(&path, b"hsqs").unwrap();
        let image = |sha256: String| Image {
            role: "control".into(),
            version: "1".into(),
            files: vec![Object {
                name: "root.squashfs".into(),
                sha256,
                size: 4,
                path: path.clone(),
            }],
        };
        let right = hex::encode(Sha256::digest(b"hsqs"));
        let objects = Objects::check(vec![image(right.clone())]).unwrap();
        assert!(objects.file(&right).is_some());
        assert!(objects.image("control").unwrap().boot().is_none());
        fs_err::write(&path, b"hsqt").unwrap();
        let error = Objects::check(vec![image(right)]).unwrap_err().to_string();
        assert!(error.contains("is not what its manifest says"), "{error}");
    }
}

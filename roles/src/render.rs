//! Renders templates: role + node file + facts of this boot give the files of `/etc`. Pure.

use serde::{Deserialize, Serialize};

/// One file of `/etc`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    /// Absolute path.
    pub path: String,
    /// What it is.
    pub content: Content,
}

/// Content of a rendered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A file with permission bits.
    File {
        /// Text.
        text: String,
        /// Permission bits, such as `0o644`.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: String,
    },
}

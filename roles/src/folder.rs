//! Reads role folders. The only file access in this crate.

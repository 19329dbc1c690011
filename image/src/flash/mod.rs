//! Sticks: which disks may be one, what goes onto it, how it gets there whole or says that it is not, and what is on one.

pub mod content;
pub mod disks;
pub mod incomplete;
pub mod iso;
pub mod medium;
pub mod signatures;
pub mod write;

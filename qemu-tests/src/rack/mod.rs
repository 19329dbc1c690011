//! The rack test's parts that need no rack: the books of a mail client, and the report.

pub mod books;
pub mod report;

//! All English of the screens, so that it can be translated in one place: words and lines that stand for themselves, and
//! sentences that are made from values.

mod sentences;
mod words;

pub use sentences::*;
pub use words::*;

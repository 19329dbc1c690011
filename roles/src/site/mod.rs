//! The site file: one description of the whole rack, read, judged and made.

pub mod duration;
mod init;
mod machine;
pub mod model;
mod names;
mod options;
pub mod payload;
pub mod rules;
pub(crate) mod schema;
pub mod sizing;

pub use init::init;
pub use model::Site;

use crate::{Diagnostics, folder::RoleSet, parse};

/// Reads and judges a site file. The site is there if the types could be filled, whatever the rules say of it; warnings
/// and errors are in order of the text. With a [`RoleSet`] role names are checked too.
#[must_use]
pub fn check(file: &str, text: &str, roles: Option<&RoleSet>) -> (Option<Site>, Diagnostics) {
    parse::read(file, text, schema::SITE, |site: &Site, checker| {
        names::check(site, roles, checker);
        rules::check(site, checker);
    })
}

/// Something that is wrong with what the site file speaks of, found by who looked at it: a file beside it, for example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Dotted path of the value, list items by number: `payloads.0.sha256`.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Shows where in the text of a right site file what was found elsewhere belongs.
#[must_use]
pub fn locate(file: &str, text: &str, wrong: &[Wrong]) -> Diagnostics {
    let (_, found) = parse::read(file, text, schema::SITE, |_: &Site, checker| {
        for wrong in wrong {
            checker
                .bad(&wrong.path, wrong.message.clone())
                .hint(wrong.hint.clone());
        }
    });
    found
}

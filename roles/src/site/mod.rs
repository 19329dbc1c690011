//! The site file: one description of the whole rack, read, judged and made.

pub mod duration;
mod init;
mod machine;
pub mod model;
mod names;
mod options;
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

//! From text to checked types. Takes `&str`, never a path: reading files is [`crate::folder`]'s business.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::{
    Common, NodeFile, Role, Site,
    check::{self, Checker},
    diagnostic::Diagnostics,
    folder::RoleSet,
    schema,
    shape::{self, Field},
    site,
};

/// Reads a node file. With a [`RoleSet`] its role name is checked too.
///
/// # Errors
/// Everything that is wrong with the file, in order of its text. `file` is only used to name it.
pub fn node_file(file: &str, text: &str, roles: Option<&RoleSet>) -> Result<NodeFile, Diagnostics> {
    parse(file, text, schema::NODE, |node: &NodeFile, checker| {
        check::node::check(node, roles, checker);
    })
}

/// Reads a `role.toml`. `templates` are the names of the files in its `templates/`.
///
/// # Errors
/// Everything that is wrong with the file, in order of its text.
pub fn role(file: &str, text: &str, templates: &[&str]) -> Result<Role, Diagnostics> {
    parse(file, text, schema::ROLE, |role: &Role, checker| {
        check::role::check_role(role, templates, checker);
    })
}

/// Reads `common.toml`. `templates` are the names of the files in its `templates/`.
///
/// # Errors
/// Everything that is wrong with the file, in order of its text.
pub fn common(file: &str, text: &str, templates: &[&str]) -> Result<Common, Diagnostics> {
    parse(file, text, schema::COMMON, |common: &Common, checker| {
        check::role::check_common(common, templates, checker);
    })
}

/// Reads a site file. Warnings do not fail it; [`crate::site::check`] shows them too.
///
/// # Errors
/// Everything that is wrong with the file, warnings included, in order of its text.
pub fn site_file(file: &str, text: &str, roles: Option<&RoleSet>) -> Result<Site, Diagnostics> {
    let (site, found) = site::check(file, text, roles);
    found.into_result(site)
}

fn parse<T: DeserializeOwned>(
    file: &str,
    text: &str,
    fields: &[Field],
    rules: impl FnOnce(&T, &mut Checker<'_, '_>),
) -> Result<T, Diagnostics> {
    let (value, found) = read(file, text, fields, rules);
    found.into_result(value)
}

/// The value as far as the types can be filled, and everything that is to be said about the file.
pub(crate) fn read<T: DeserializeOwned>(
    file: &str,
    text: &str,
    fields: &[Field],
    rules: impl FnOnce(&T, &mut Checker<'_, '_>),
) -> (Option<T>, Diagnostics) {
    let mut found = Diagnostics::new(file, text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // Recovery guesses after the first mistake of a line; what it says about the rest of that line is noise.
        let mut last_line = usize::MAX;
        for error in errors {
            let span = error.span().unwrap_or_default();
            let line = text
                .get(..span.start)
                .unwrap_or_default()
                .matches('\n')
                .count();
            if line != last_line {
                found.push("syntax", span, error.message().to_owned());
                last_line = line;
            }
        }
        // After a syntax error the rest of the document is a guess: no further complaints about it.
        return (None, found);
    }
    shape::check_document(table.get_ref(), fields, &mut found);
    // Unknown keys do no harm to the types, so the rules can still be checked.
    let mut value = None;
    match toml::from_str::<T>(text) {
        Ok(parsed) => {
            let mut checker = Checker {
                document: table.get_ref(),
                found: &mut found,
                within: String::new(),
            };
            rules(&parsed, &mut checker);
            value = Some(parsed);
        }
        Err(error) if found.is_empty() => {
            found.push(
                "wrong-type",
                error.span().unwrap_or_default(),
                error.message().to_owned(),
            );
        }
        Err(_) => {}
    }
    (value, found)
}

/// Place of a value in the text. `path` is dotted, list items by number: `networks.0.gateway`. A key that is absent
/// gives the place of the nearest table around it.
pub(crate) fn span_of(document: &DeTable<'_>, path: &str) -> Range<usize> {
    let mut span = 0..0;
    let mut steps = path.split('.');
    let Some((_, mut value)) = steps
        .next()
        .and_then(|step| document.iter().find(|(key, _)| key.get_ref() == step))
    else {
        return span;
    };
    span = value.span();
    for step in steps {
        let next = match value.get_ref() {
            DeValue::Table(table) => table
                .iter()
                .find(|(key, _)| key.get_ref() == step)
                .map(|(_, value)| value),
            DeValue::Array(array) => step.parse().ok().and_then(|index: usize| array.get(index)),
            _ => None,
        };
        let Some(next) = next else { return span };
        value = next;
        span = value.span();
    }
    span
}

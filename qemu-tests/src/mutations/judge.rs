//! What must come of a file, whatever it holds: a refusal that says where, or a value that says what the file says.

use std::panic::{AssertUnwindSafe, catch_unwind};

use roles::compile::{Seed, compile};
use roles::render::{BootFacts, BootMode};
use roles::{Diagnostics, NodeFile, RoleSet, Site};

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `NODE.toml`.
    Node,
    /// `site.toml`.
    Site,
}

/// What came of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Refused, with line and column.
    Rejected,
    /// Accepted, and it means what the file before the change meant.
    Same,
    /// Accepted: another file, whose value says all that its text says.
    Other,
    /// What must not be.
    Wrong(String),
    /// Worse.
    Panicked(String),
}

/// Judges a file. `before` is what it was before the change.
#[must_use]
pub fn judge(form: Form, before: &str, text: &str, roles: &RoleSet) -> Verdict {
    let run = AssertUnwindSafe(|| match form {
        Form::Node => node(before, text, roles),
        Form::Site => site(before, text, roles),
    });
    catch_unwind(run).unwrap_or_else(|cause| {
        let text = cause
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| cause.downcast_ref::<String>().cloned());
        Verdict::Panicked(text.unwrap_or_else(|| "without a word".to_owned()))
    })
}

fn node(before: &str, text: &str, roles: &RoleSet) -> Verdict {
    let value = match roles::parse::node_file("node.toml", text, Some(roles)) {
        Ok(value) => value,
        Err(found) => return rejected(text, &found),
    };
    if let Err(wrong) = rendered(&value, roles) {
        return Verdict::Wrong(wrong);
    }
    let same = roles::parse::node_file("node.toml", before, Some(roles)).as_ref() == Ok(&value);
    said(text, &value, same, |written| {
        roles::parse::node_file("node.toml", written, Some(roles)).ok()
    })
}

fn site(before: &str, text: &str, roles: &RoleSet) -> Verdict {
    let (value, found) = roles::site::check("site.toml", text, Some(roles));
    let Some(value) = value.filter(|_| !found.has_errors()) else {
        return rejected(text, &found);
    };
    // Warnings have places, too.
    if let Some(wrong) = places(text, &found) {
        return Verdict::Wrong(wrong);
    }
    if let Err(wrong) = compiled(&value, roles) {
        return Verdict::Wrong(wrong);
    }
    let same = roles::site::check("site.toml", before, Some(roles))
        .0
        .as_ref()
        == Some(&value);
    said(text, &value, same, |written| {
        roles::site::check("site.toml", written, Some(roles)).0
    })
}

/// Rendered for its role, live and running.
fn rendered(node: &NodeFile, roles: &RoleSet) -> Result<(), String> {
    let Some(folder) = roles.roles.get(&node.role) else {
        return Err(format!(
            "accepted with the role `{}`, which is none",
            node.role
        ));
    };
    for mode in [BootMode::Install, BootMode::Run] {
        let facts = BootFacts {
            mode,
            role: node.role.clone(),
            version: "0.1.0".to_owned(),
            slot: None,
            machine_id: None,
            mounts: Vec::new(),
            multipath: Vec::new(),
            ports: Default::default(),
            accounts: None,
        };
        roles::render::files(roles, folder, Some(node), &facts)
            .map_err(|error| format!("accepted, but nothing can be rendered of it: {error}"))?;
    }
    Ok(())
}

/// A site that passes makes node files that pass.
fn compiled(site: &Site, roles: &RoleSet) -> Result<(), String> {
    let compiled = compile(site, &Seed::new([7; 32]), Some(roles), Some("permit"));
    let texts = compiled
        .texts()
        .map_err(|error| format!("accepted, but a node file of it is no TOML: {error}"))?;
    for (name, text) in texts {
        roles::parse::node_file(name, &text, Some(roles)).map_err(|found| {
            format!("accepted, but the node file that is made of it is refused: {found}")
        })?;
    }
    Ok(())
}

fn rejected(text: &str, found: &Diagnostics) -> Verdict {
    if found.is_empty() {
        return Verdict::Wrong("refused without a word".to_owned());
    }
    places(text, found).map_or(Verdict::Rejected, Verdict::Wrong)
}

/// A place that is not in the text; nothing if all are. The long form is drawn, too: it cuts the text at these places.
fn places(text: &str, found: &Diagnostics) -> Option<String> {
    if !found.is_empty() && found.render(false).is_empty() {
        return Some("nothing is shown of what is wrong".to_owned());
    }
    let lines: Vec<&str> = text.split('\n').collect();
    found.items().iter().find_map(|item| {
        // A column may be the one after the last.
        let wide = lines
            .get(item.line.wrapping_sub(1))
            .map(|line| line.chars().count() + 1);
        let is_there = wide.is_some_and(|wide| (1..=wide).contains(&item.column))
            && text.get(item.span.clone()).is_some();
        (!is_there).then(|| {
            format!(
                "refused at {}:{} ({:?}), which is no place in the file: {}",
                item.line, item.column, item.span, item.message
            )
        })
    })
}

/// What was accepted, written out and read again, is the same; and it has every value of the text.
fn said<T: PartialEq + serde::Serialize>(
    text: &str,
    value: &T,
    same: bool,
    read: impl Fn(&str) -> Option<T>,
) -> Verdict {
    let written = match toml::to_string(value) {
        Ok(written) => written,
        Err(error) => {
            return Verdict::Wrong(format!("accepted, but it is no TOML any more: {error}"));
        }
    };
    if read(&written).as_ref() != Some(value) {
        return Verdict::Wrong("accepted, but written out it reads differently".to_owned());
    }
    let parse = |text: &str| toml::from_str::<toml::Value>(text).ok();
    let (Some(of_text), Some(of_value)) = (parse(text), parse(&written)) else {
        return Verdict::Wrong("accepted, but it is no TOML".to_owned());
    };
    match missing("", &of_text, &of_value) {
        Some(path) => Verdict::Wrong(format!(
            "accepted, but `{path}` was not taken as it is written"
        )),
        None if same => Verdict::Same,
        None => Verdict::Other,
    }
}

/// The first value of the text that the accepted one has not. What says nothing (an empty table, a default) need not be there.
fn missing(path: &str, text: &toml::Value, value: &toml::Value) -> Option<String> {
    use toml::Value::{Array, Table};
    match (text, value) {
        (Table(text), Table(value)) => text.iter().find_map(|(key, inner)| {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            match value.get(key) {
                Some(value) => missing(&path, inner, value),
                None if says_nothing(inner) => None,
                None => Some(path),
            }
        }),
        (Array(text), Array(value)) if text.len() == value.len() => text
            .iter()
            .zip(value)
            .enumerate()
            .find_map(|(index, (text, value))| missing(&format!("{path}[{index}]"), text, value)),
        (text, value) if text == value => None,
        _ => Some(path.to_owned()),
    }
}

/// Left out when a value is written, because it is what its absence means.
fn says_nothing(value: &toml::Value) -> bool {
    match value {
        toml::Value::Boolean(flag) => !flag,
        toml::Value::Array(items) => items.is_empty(),
        toml::Value::Table(table) => table.values().all(says_nothing),
        _ => false,
    }
}

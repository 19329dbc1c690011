//! Checks a TOML document against a described shape and reports everything at once: unknown keys with the nearest name,
//! missing keys, wrong types. serde stops at its first error, which costs a user one round trip per mistake.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostics;

/// What a value should look like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// Any text.
    Text,
    /// Text that is one of these.
    Word(&'static [&'static str]),
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// `true` or `false`.
    Flag,
    /// A list.
    List(&'static Shape),
    /// A table with these keys.
    Table(&'static [Field]),
    /// A table whose key of this name picks the other keys.
    Tagged(&'static str, &'static [(&'static str, &'static [Field])]),
    /// A table of any keys with text values.
    TextMap,
    /// A table of anything.
    Anything,
}

/// One key of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// One line for people, and an example as TOML; both empty where the types' own words are enough.
    pub(crate) says: &'static str,
    pub(crate) example: &'static str,
}

impl Field {
    /// The same key with its line of documentation and an example value.
    pub(crate) const fn says(self, says: &'static str, example: &'static str) -> Self {
        Self {
            says,
            example,
            ..self
        }
    }
}

/// A key that must be there.
pub(crate) const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
        says: "",
        example: "",
    }
}

/// A key that may be absent.
pub(crate) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
        says: "",
        example: "",
    }
}

/// Checks a whole document.
pub(crate) fn check_document(table: &DeTable<'_>, fields: &[Field], found: &mut Diagnostics) {
    check_table(table, &(0..0), "", fields, None, found);
}

fn check_value(
    value: &DeValue<'_>,
    span: Range<usize>,
    path: &str,
    shape: Shape,
    found: &mut Diagnostics,
) {
    match (shape, value) {
        (Shape::Text, DeValue::String(_)) | (Shape::Flag, DeValue::Boolean(_)) => {}
        (Shape::Anything, DeValue::Table(_)) => {}
        (Shape::Word(words), DeValue::String(word)) => check_word(word, words, span, path, found),
        (Shape::Integer(min, max), DeValue::Integer(number)) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            if !parsed.is_ok_and(|n| (min..=max).contains(&n)) {
                found
                    .push("bad-value", span, format!("`{path}` is out of range"))
                    .label(format!("expected {min} to {max}"));
            }
        }
        (Shape::List(item), DeValue::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                let path = format!("{path}[{index}]");
                check_value(value.get_ref(), value.span(), &path, *item, found);
            }
        }
        (Shape::Table(fields), DeValue::Table(table)) => {
            check_table(table, &span, path, fields, None, found);
        }
        (Shape::Tagged(tag, kinds), DeValue::Table(table)) => {
            check_tagged(table, span, path, tag, kinds, found);
        }
        (Shape::TextMap, DeValue::Table(table)) => {
            for (key, value) in table {
                let path = join(path, key.get_ref());
                check_value(value.get_ref(), value.span(), &path, Shape::Text, found);
            }
        }
        (shape, value) => {
            let diagnostic = found.push(
                "wrong-type",
                span,
                format!("`{path}` must be {}, not {}", expected(shape), kind(value)),
            );
            diagnostic.label(format!("expected {}", expected(shape)));
            if let Shape::List(_) = shape {
                diagnostic.hint("put the value in square brackets, or write the table with double brackets: `[[...]]`");
            }
        }
    }
}

fn check_table(
    table: &DeTable<'_>,
    span: &Range<usize>,
    path: &str,
    fields: &[Field],
    tag: Option<&str>,
    found: &mut Diagnostics,
) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        if tag == Some(name) {
            continue;
        }
        if let Some(field) = fields.iter().find(|field| field.name == name) {
            let path = join(path, name);
            check_value(value.get_ref(), value.span(), &path, field.shape, found);
            continue;
        }
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" in `{path}`")
        };
        let names: Vec<&str> = fields.iter().map(|field| field.name).chain(tag).collect();
        let diagnostic = found.push(
            "unknown-key",
            key.span(),
            format!("unknown key `{name}`{place}"),
        );
        match nearest(name, &names) {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic.hint(format!("known keys: {}", names.join(", "))),
        };
    }
    for field in fields.iter().filter(|field| field.required) {
        if !table.iter().any(|(key, _)| key.get_ref() == field.name) {
            let place = if path.is_empty() {
                "the file".to_owned()
            } else {
                format!("`{path}`")
            };
            found
                .push(
                    "missing-key",
                    span.clone(),
                    format!("{place} lacks the key `{}`", field.name),
                )
                .hint(format!(
                    "add `{} = ...` ({})",
                    field.name,
                    expected(field.shape)
                ));
        }
    }
}

fn check_tagged(
    table: &DeTable<'_>,
    span: Range<usize>,
    path: &str,
    tag: &'static str,
    kinds: &[(&'static str, &'static [Field])],
    found: &mut Diagnostics,
) {
    let words: Vec<&str> = kinds.iter().map(|(kind, _)| *kind).collect();
    let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == tag) else {
        found
            .push(
                "missing-key",
                span,
                format!("`{path}` lacks the key `{tag}`"),
            )
            .hint(format!("add `{tag} = ...`, one of: {}", words.join(", ")));
        return;
    };
    let tag_path = join(path, tag);
    let DeValue::String(word) = value.get_ref() else {
        check_value(value.get_ref(), value.span(), &tag_path, Shape::Text, found);
        return;
    };
    match kinds.iter().find(|(kind, _)| *kind == word.as_ref()) {
        Some((_, fields)) => check_table(table, &span, path, fields, Some(tag), found),
        None => check_word(word, &words, value.span(), &tag_path, found),
    }
}

fn check_word(word: &str, words: &[&str], span: Range<usize>, path: &str, found: &mut Diagnostics) {
    if words.contains(&word) {
        return;
    }
    let diagnostic = found.push("bad-value", span, format!("`{path}` cannot be `{word}`"));
    diagnostic.hint(format!("one of: {}", words.join(", ")));
    if let Some(near) = nearest(word, words) {
        diagnostic.label(format!("did you mean `{near}`?"));
    }
}

/// The known name that was probably meant: one letter in three may differ.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        // Too long to be meant, and the distance costs the product of both lengths: a key of a million letters took 20 s.
        .filter(|known| name.len() <= 3 * known.len())
        .map(|known| (strsim::damerau_levenshtein(name, known), *known))
        .filter(|(distance, known)| *distance <= known.len().max(name.len()).div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn expected(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Word(_) => "text in quotes",
        Shape::Integer(..) => "a whole number",
        Shape::Flag => "`true` or `false`",
        Shape::List(_) => "a list",
        Shape::Table(_) | Shape::Tagged(..) | Shape::TextMap | Shape::Anything => "a table",
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

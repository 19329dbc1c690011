//! What the shape tables say, for others: JSON schema for editors, and a reference of every key for people. Both files are
//! committed; a test compares them with what is made here.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::{
    schema,
    shape::{Field, Shape},
    site,
};

/// JSON schema (draft 2020-12) of a site file.
#[must_use]
pub fn site_schema() -> Value {
    document("Rackwright site file", site::schema::SITE)
}

/// JSON schema (draft 2020-12) of a node file.
#[must_use]
pub fn node_schema() -> Value {
    document("Rackwright node file", schema::NODE)
}

fn document(title: &str, fields: &[Field]) -> Value {
    let mut schema = table(fields, None);
    if let Value::Object(object) = &mut schema {
        object.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        object.insert("title".to_owned(), json!(title));
    }
    schema
}

/// `tag`: the key that picked these fields, and its value.
fn table(fields: &[Field], tag: Option<(&str, &str)>) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    if let Some((key, word)) = tag {
        properties.insert(key.to_owned(), json!({"const": word}));
        required.push(key);
    }
    for field in fields {
        let mut value = of_shape(field.shape);
        if let (Value::Object(object), false) = (&mut value, field.says.is_empty()) {
            object.insert("description".to_owned(), json!(field.says));
        }
        properties.insert(field.name.to_owned(), value);
        if field.required {
            required.push(field.name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn of_shape(shape: Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Word(words) => json!({"type": "string", "enum": words}),
        Shape::Integer(min, max) => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::List(item) => json!({"type": "array", "items": of_shape(*item)}),
        Shape::Table(fields) => table(fields, None),
        Shape::Tagged(tag, kinds) => {
            let kinds: Vec<Value> = kinds
                .iter()
                .map(|(word, fields)| table(fields, Some((tag, word))))
                .collect();
            json!({"oneOf": kinds})
        }
        Shape::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        Shape::Anything => json!({"type": "object"}),
    }
}

/// `docs/site-file.md`: every key of a site file with a line and an example, and every rule.
#[must_use]
pub fn site_document() -> String {
    let mut text = String::from(
        "# The site file\n\n\
        <!-- Made from the key tables in roles/src/site/schema.rs by `UPDATE_GOLDEN=1 cargo test -p roles --test reference`. -->\n\n\
        `site.toml` describes the whole cluster once. `rackwright init` writes a first one, `rackwright check` finds every\n\
        mistake in it before a server is touched, and everything else is made from it. A key that is not listed here is an\n\
        error. Keys in bold must be there.\n\n\
        Passwords, tokens and keys have no place in it: they are made from the seed.\n",
    );
    section(&mut text, "", "The file", "", site::schema::SITE);
    text.push_str(
        "\n## Disk groups\n\n\
        `[[nodes.disks]]` has the keys of `[[disks]]` in role and node files; see [roles.md](roles.md) and [storage.md](storage.md).\n\n\
        ## Rules\n\n\
        `rackwright explain RULE` says the same. Errors (E) fail the check, warnings (W) do not. A rule that is broken on purpose\n\
        is waived:\n\n\
        ```toml\n[[waivers]]\nrule = \"W10\"\nreason = \"the SSDs are replaced in March\"\n```\n\n\
        A waiver that no longer hides anything is a warning itself. Names, forms and references cannot be waived.\n\n\
        Some rules speak of what is generated and so cannot be wrong in a site file: the peers of E14, `fsid` (E24), mount options\n\
        (E25), secrets (E38), timeouts and the writers' order (E12, E40). For these the keys that override what is generated are\n\
        judged, open `settings` tables of single nodes among them.\n\n\
        | rule | says | because | cure |\n|---|---|---|---|\n",
    );
    for rule in site::rules::RULES {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            rule.id,
            rule.title,
            rule.reason,
            rule.cure.replace('|', "\\|")
        );
    }
    text
}

/// One table of keys, then the tables within it. `path` is its TOML name, empty for the file.
fn section(text: &mut String, path: &str, heading: &str, says: &str, fields: &[Field]) {
    let _ = writeln!(text, "\n## {heading}\n");
    if !says.is_empty() {
        let _ = writeln!(text, "{says}.\n");
    }
    let _ = writeln!(text, "| key | value | says | example |\n|---|---|---|---|");
    for field in fields {
        let name = if field.required {
            format!("**`{}`**", field.name)
        } else {
            format!("`{}`", field.name)
        };
        let example = if field.example.is_empty() {
            "below".to_owned()
        } else {
            format!("`{} = {}`", field.name, field.example)
        };
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {example} |",
            value(field.shape),
            field.says
        );
    }
    for field in fields {
        let (inner, brackets) = match field.shape {
            Shape::Table(inner) => (inner, ("[", "]")),
            Shape::List(Shape::Table(inner)) => (*inner, ("[[", "]]")),
            _ => continue,
        };
        // Documented with roles.
        if field.name == "disks" {
            continue;
        }
        let path = if path.is_empty() {
            field.name.to_owned()
        } else {
            format!("{path}.{}", field.name)
        };
        let heading = format!("`{}{path}{}`", brackets.0, brackets.1);
        section(text, &path, &heading, field.says, inner);
    }
}

fn value(shape: Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Word(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Shape::Integer(min, max) => format!("{min} to {max}"),
        Shape::Flag => "`true`, `false`".to_owned(),
        Shape::List(Shape::Text) => "list of texts".to_owned(),
        Shape::List(Shape::Word(words)) => format!("list of {}", value(Shape::Word(words))),
        Shape::List(_) => "list of tables".to_owned(),
        Shape::Table(_) | Shape::Tagged(..) | Shape::Anything => "table".to_owned(),
        Shape::TextMap => "table of texts".to_owned(),
    }
}

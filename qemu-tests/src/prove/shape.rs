//! What a live machine says of itself and what a fixture says have one form: whoever reads one can read the other.

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Compares `inventory --json` of a live machine with that of a fixture.
///
/// # Errors
/// If a key is in one and not in the other, or a value is of another kind.
pub(super) fn same_as_fixture(live: &str, fixture: &str) -> anyhow::Result<()> {
    let live: Value = serde_json::from_str(live).context("the live inventory is not JSON")?;
    let machine = firmware::fixture::Machine::named(fixture)
        .with_context(|| format!("there is no fixture `{fixture}`"))?;
    let recorded = serde_json::to_value(machine.inventory()?)?;
    match difference(&live, &recorded, "inventory") {
        Some(text) => bail!("a live machine and the fixture `{fixture}` differ in form: {text}"),
        None => Ok(()),
    }
}

/// The first place where the forms differ. What is absent (`null`, an empty list) says nothing about form.
fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => None,
        (Value::Object(one), Value::Object(other)) => {
            let only = |these: &serde_json::Map<String, Value>,
                        those: &serde_json::Map<String, Value>| {
                these.keys().find(|key| !those.contains_key(*key)).cloned()
            };
            if let Some(key) = only(one, other).or_else(|| only(other, one)) {
                return Some(format!("`{at}.{key}` is in one of them only"));
            }
            one.iter()
                .find_map(|(key, value)| difference(value, other.get(key)?, &format!("{at}.{key}")))
        }
        (Value::Array(one), Value::Array(other)) => {
            let (one, other) = (one.first()?, other.first()?);
            difference(one, other, &format!("{at}[]"))
        }
        (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => None,
        _ => Some(format!("`{at}` is {one} and {other}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named() {
        for (one, other, want) in [
            (
                json!({"a": [1], "b": null}),
                json!({"a": [], "b": "x"}),
                None,
            ),
            (
                json!({"a": 1}),
                json!({"a": "1"}),
                Some("`i.a` is 1 and \"1\""),
            ),
            (
                json!({"a": [{"b": 1}]}),
                json!({"a": [{"c": 1}]}),
                Some("`i.a[].b` is in one of them only"),
            ),
        ] {
            assert_eq!(difference(&one, &other, "i").as_deref(), want);
        }
    }
}

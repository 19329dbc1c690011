//! Changes to a text of TOML, of the kinds that editors, copies, broken sticks and other programs make. They work on the text, at the
//! places where its keys and values stand, so that most results are still TOML and reach the rules behind the parser.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};

use crate::random::Random;

/// Kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something is gone.
    Drop,
    /// Two things have changed places.
    Swap,
    /// Something is there twice.
    Duplicate,
    /// A value of another type.
    WrongType,
    /// A value beyond what its type or its meaning allows.
    OutOfRange,
    /// Letters that look like others, turn the line around, or are none.
    Unicode,
    /// Much too long, too many, too deep.
    Huge,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Drop,
        Self::Swap,
        Self::Duplicate,
        Self::WrongType,
        Self::OutOfRange,
        Self::Unicode,
        Self::Huge,
    ];

    /// As in the table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Swap => "swap",
            Self::Duplicate => "duplicate",
            Self::WrongType => "wrong type",
            Self::OutOfRange => "out of range",
            Self::Unicode => "Unicode",
            Self::Huge => "huge",
        }
    }
}

/// Where a key and its value stand.
#[derive(Debug, Clone)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
    kind: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Text,
    Integer,
    List,
    Other,
}

/// Changes a text.
#[must_use]
pub fn change(text: &str, kind: Kind, random: &mut Random) -> String {
    let places = places(text);
    let Some(place) = random.pick(&places).cloned() else {
        return text.to_owned();
    };
    match kind {
        Kind::Drop => dropped(text, &place, random),
        Kind::Swap => swapped(text, &places, &place, random),
        Kind::Duplicate => doubled(text, &place, random),
        Kind::WrongType => {
            let others = [
                "true",
                "0",
                "\"text\"",
                "[]",
                "{}",
                "1.5",
                "[[]]",
                "1979-05-27T07:32:00Z",
                "07:32:00",
                "{ a = 1 }",
                "[1, \"a\"]",
                "''",
            ];
            let other = random.pick(&others).copied().unwrap_or_default();
            replaced(text, &place.value, other)
        }
        Kind::OutOfRange => out_of_range(text, &places, &place, random),
        Kind::Unicode => unicode(text, &place, random),
        Kind::Huge => huge(text, &place, random),
    }
}

/// Keys with their values, tables of tables included.
fn places(text: &str) -> Vec<Place> {
    let mut places = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        collect(table.get_ref(), &mut places);
    }
    places
}

fn collect(table: &DeTable<'_>, places: &mut Vec<Place>) {
    for (key, value) in table {
        let kind = match value.get_ref() {
            DeValue::Table(inner) => {
                collect(inner, places);
                continue;
            }
            DeValue::Array(items) => {
                let mut tables = false;
                for item in items.iter() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        collect(inner, places);
                        tables = true;
                    }
                }
                if tables {
                    continue;
                }
                What::List
            }
            DeValue::String(_) => What::Text,
            DeValue::Integer(_) => What::Integer,
            _ => What::Other,
        };
        places.push(Place {
            key: key.span(),
            value: value.span(),
            kind,
        });
    }
}

fn replaced(text: &str, range: &Range<usize>, with: &str) -> String {
    let mut changed = text.to_owned();
    if text.get(range.clone()).is_some() {
        changed.replace_range(range.clone(), with);
    }
    changed
}

/// From the begin of its key to the end of its value.
fn whole(place: &Place) -> Range<usize> {
    place.key.start..place.value.end.max(place.key.end)
}

/// Begins and ends of the tables `[...]` and `[[...]]`, each up to the next one.
fn sections(text: &str) -> Vec<Range<usize>> {
    let mut begins: Vec<usize> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with('[') {
            begins.push(at);
        }
        at += line.len();
    }
    begins.push(text.len());
    begins
        .windows(2)
        .filter_map(|pair| Some(*pair.first()?..*pair.last()?))
        .collect()
}

fn lines(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n')
        .map(|line| {
            at += line.len();
            at - line.len()..at
        })
        .collect()
}

fn dropped(text: &str, place: &Place, random: &mut Random) -> String {
    match random.below(4) {
        0 => drop_range(text, random.pick(&lines(text))),
        1 => drop_range(text, random.pick(&sections(text))),
        2 => replaced(text, &place.value, ""),
        _ => replaced(text, &whole(place), ""),
    }
}

fn drop_range(text: &str, range: Option<&Range<usize>>) -> String {
    range.map_or_else(|| text.to_owned(), |range| replaced(text, range, ""))
}

fn swapped(text: &str, places: &[Place], place: &Place, random: &mut Random) -> String {
    let other = random.pick(places).unwrap_or(place);
    match random.below(4) {
        0 => exchanged(text, &place.value, &other.value),
        1 => exchanged(text, &place.key, &other.key),
        choice => {
            let ranges = if choice == 2 {
                lines(text)
            } else {
                sections(text)
            };
            match (random.pick(&ranges), random.pick(&ranges)) {
                (Some(one), Some(other)) => exchanged(text, one, other),
                _ => text.to_owned(),
            }
        }
    }
}

/// Two pieces that do not overlap change places.
fn exchanged(text: &str, one: &Range<usize>, other: &Range<usize>) -> String {
    let (first, second) = if one.start <= other.start {
        (one, other)
    } else {
        (other, one)
    };
    if first.end > second.start {
        return text.to_owned();
    }
    let piece = |range: Range<usize>| text.get(range).unwrap_or_default();
    [
        piece(0..first.start),
        piece(second.clone()),
        piece(first.end..second.start),
        piece(first.clone()),
        piece(second.end..text.len()),
    ]
    .concat()
}

fn doubled(text: &str, place: &Place, random: &mut Random) -> String {
    let range = match random.below(3) {
        0 => random.pick(&lines(text)).cloned(),
        1 => random.pick(&sections(text)).cloned(),
        _ if place.kind == What::List => {
            // Its items a second time, behind the first.
            let items = text
                .get(place.value.start + 1..place.value.end.saturating_sub(1))
                .unwrap_or_default();
            let both = format!("[{}, {items}]", items.trim_end().trim_end_matches(','));
            return replaced(text, &place.value, &both);
        }
        _ => Some(whole(place)),
    };
    let Some(range) = range else {
        return text.to_owned();
    };
    let piece = text.get(range.clone()).unwrap_or_default();
    replaced(text, &range, &format!("{piece}\n{piece}"))
}

fn out_of_range(text: &str, places: &[Place], place: &Place, random: &mut Random) -> String {
    // Numbers are rare among the values: take them for half of the changes.
    let numbers: Vec<&Place> = places
        .iter()
        .filter(|place| place.kind == What::Integer)
        .collect();
    let number = random.pick(&numbers).copied();
    if let (Some(number), 0) = (number, random.below(2)) {
        let values = [
            "-1",
            "0",
            "65536",
            "4294967296",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "0xffff_ffff_ffff_ffff",
            "1e999",
            "nan",
            "-inf",
        ];
        let value = random.pick(&values).copied().unwrap_or_default();
        return replaced(text, &number.value, value);
    }
    let old = text.get(place.value.clone()).unwrap_or_default();
    // A number inside of a text: an address, a size, a time, a name.
    let digits: Vec<Range<usize>> = runs_of_digits(old);
    if let (Some(run), 0..3) = (random.pick(&digits), random.below(4)) {
        let values = [
            "0",
            "256",
            "99999",
            "18446744073709551616",
            "-1",
            "00",
            "1e9",
            "340282366920938463463374607431768211456",
        ];
        let value = random.pick(&values).copied().unwrap_or_default();
        return replaced(text, &place.value, &replaced(old, run, value));
    }
    let values = [
        "\"\"",
        "\"999.999.999.999/99\"",
        "\"::/129\"",
        "\"0.0.0.0/0\"",
        "\"-5 TB\"",
        "\"0 B\"",
        "\"99999999999999999999 TB\"",
        "\"9 TB..1 TB\"",
        "\"..\"",
        "\"/\"",
        "\"../../etc/passwd\"",
        "\"ff:ff:ff:ff:ff:ff\"",
        "\"-\"",
        "\" \"",
        "\"a b\"",
        "\"front:9-2\"",
        "\"a'; DROP TABLE x; --\"",
        "\"$(reboot)\"",
        "\"{{ settings }}\"",
        "\"a\\nb\"",
    ];
    let value = random.pick(&values).copied().unwrap_or_default();
    replaced(text, &place.value, value)
}

fn runs_of_digits(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, letter) in text.char_indices() {
        if !letter.is_ascii_digit() {
            continue;
        }
        match runs.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn unicode(text: &str, place: &Place, random: &mut Random) -> String {
    let letters = [
        "\u{0}",
        "\u{7f}",
        "\u{a0}",
        "\u{e9}",
        "\u{301}",
        "\u{131}",
        "\u{430}",
        "\u{200b}",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "\u{ff10}",
        "\u{1f4be}",
        "\u{10ffff}",
        "\u{2019}",
        "\u{201c}",
        "\\u0000",
        "\\uD800",
        "\\U0010FFFF",
        "\r",
    ];
    let letter = random.pick(&letters).copied().unwrap_or_default();
    let range = match random.below(5) {
        0 => place.key.clone(),
        1 => 0..0,
        2 => 0..text.len(),
        // Twice as often: inside of a value.
        _ => place.value.start + 1..place.value.end.saturating_sub(1),
    };
    let length = range.end.saturating_sub(range.start);
    let mut at = range.start + random.below(length + 1);
    while !text.is_char_boundary(at.min(text.len())) {
        at += 1;
    }
    let at = at.min(text.len());
    replaced(text, &(at..at), letter)
}

fn huge(text: &str, place: &Place, random: &mut Random) -> String {
    let length = [1_000, 70_000, 1_000_000]
        .get(random.below(3))
        .copied()
        .unwrap_or(1_000);
    let value = text.get(place.value.clone()).unwrap_or_default();
    match random.below(8) {
        0 => replaced(text, &place.value, &format!("\"{}\"", "a".repeat(length))),
        1 => replaced(
            text,
            &place.value,
            &format!("[{}]", format!("{value}, ").repeat(length / 100)),
        ),
        2 => replaced(text, &place.value, &"9".repeat(length)),
        3 => replaced(
            text,
            &place.value,
            &("[".repeat(length / 10) + &"]".repeat(length / 10)),
        ),
        4 => replaced(
            text,
            &place.value,
            &("{a=".repeat(length / 10) + "1" + &"}".repeat(length / 10)),
        ),
        5 => replaced(text, &place.key, &"k".repeat(length)),
        6 => {
            let Some(section) = random.pick(&sections(text)).cloned() else {
                return text.to_owned();
            };
            let piece = text.get(section.clone()).unwrap_or_default();
            let piece = format!("{piece}\n");
            replaced(text, &section, &piece.repeat(length / 1_000))
        }
        // A text that is long, but of the same form: a name, an address with a long tail.
        _ => match value.strip_suffix('"') {
            Some(begin) => replaced(
                text,
                &place.value,
                &format!("{begin}{}\"", "0".repeat(length)),
            ),
            None => replaced(text, &(0..0), &"# a comment\n".repeat(length / 12)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "format = 1\nname = \"mail1\"\nlist = [\"a\", \"b\"]\n[table]\nkey = true\n[[many]]\nnumber = 7\n[[many]]\nnumber = 8\n";

    #[test]
    fn places_are_keys_with_their_values() {
        let shown: Vec<(&str, &str)> = places(TEXT)
            .iter()
            .map(|place| (&TEXT[place.key.clone()], &TEXT[place.value.clone()]))
            .collect();
        assert_eq!(
            shown,
            [
                ("format", "1"),
                ("name", "\"mail1\""),
                ("list", "[\"a\", \"b\"]"),
                ("key", "true"),
                ("number", "7"),
                ("number", "8")
            ]
        );
        let sections: Vec<&str> = sections(TEXT)
            .into_iter()
            .map(|range| &TEXT[range])
            .collect();
        assert_eq!(
            sections,
            [
                "[table]\nkey = true\n",
                "[[many]]\nnumber = 7\n",
                "[[many]]\nnumber = 8\n"
            ]
        );
        assert_eq!(runs_of_digits("10.77.x9"), [0..2, 3..5, 7..8]);
        assert_eq!(exchanged("abcdef", &(4..5), &(0..2)), "ecdabf");
        assert_eq!(exchanged("abcdef", &(0..3), &(2..4)), "abcdef");
    }

    #[test]
    fn every_kind_changes_the_text_nearly_always_and_the_same_way_again() {
        for kind in Kind::ALL {
            let made = |index| change(TEXT, kind, &mut Random::of(1, index));
            let changed = (0..200).filter(|index| made(*index) != TEXT).count();
            assert!(changed > 120, "{kind:?}: {changed}");
            assert_eq!(made(3), made(3));
        }
    }
}

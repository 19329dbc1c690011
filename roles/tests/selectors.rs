//! Sizes, bays and globs: tables for the forms, properties for the rules that protect data.

use proptest::prelude::*;
use roles::selector::{BaySet, SizeRange, glob_matches, parse_size};

const GB: u64 = 1_000_000_000;
const TB: u64 = 1000 * GB;

#[test]
fn size_forms() {
    let table = [
        ("200 GB..", 200 * GB, u64::MAX),
        ("..1 TB", 0, TB),
        ("7 TB..9 TB", 7 * TB, 9 * TB),
        ("8 TB", 7_600 * GB, 8_400 * GB),
        ("1.92TB..", 1_920 * GB, u64::MAX),
        ("16 GiB .. 1tib", 16 << 30, 1 << 40),
        ("512 B..4 kB", 512, 4000),
    ];
    for (text, min, max) in table {
        assert_eq!(SizeRange::parse(text), Ok(SizeRange { min, max }), "{text}");
    }
}

#[test]
fn sizes_that_are_none() {
    let table = [
        ("", "`` is not a size: it does not begin with a number"),
        ("..", "`..` is not a size: a range needs at least one end"),
        ("GB", "`GB` is not a size: it does not begin with a number"),
        ("200", "`200` is not a size: the unit is missing"),
        (
            "200 Gb..x",
            "`x` is not a size: it does not begin with a number",
        ),
        ("1.2.3 TB", "`1.2.3` is not a size: `1.2.3` is not a number"),
        (".5 TB", "`.5 TB` is not a size: `.5` is not a number"),
        (
            "-1 TB",
            "`-1 TB` is not a size: it does not begin with a number",
        ),
        (
            "2 TB..1 TB",
            "`2 TB..1 TB` is not a size: the range ends before it begins",
        ),
        (
            "99999999999999999999 B",
            "`99999999999999999999 B` is not a size: it is larger than any disk",
        ),
        (
            "99999 PB",
            "`99999 PB` is not a size: it is larger than any disk",
        ),
    ];
    for (text, message) in table {
        // `1.2.3 TB` complains about the number inside the text, so only the tail is the same everywhere.
        let error = SizeRange::parse(text).unwrap_err().to_string();
        let tail = message.split_once(": ").map(|(_, tail)| tail);
        assert_eq!(error.split_once(": ").map(|(_, tail)| tail), tail, "{text}");
    }
}

#[test]
fn bay_forms() {
    let set = BaySet::parse("front:0-3, rear:1").unwrap();
    for (side, slot, inside) in [
        ("front", 0, true),
        ("front", 3, true),
        ("front", 4, false),
        ("rear", 1, true),
        ("rear", 0, false),
        ("left", 1, false),
    ] {
        assert_eq!(set.contains(side, slot), inside, "{side}:{slot}");
        assert_eq!(set.contains_name(&format!("{side}:{slot}")), inside);
    }
    assert!(!set.contains_name("front"));
    for text in [
        "",
        "front",
        "front:",
        "front:x",
        "front:3-1",
        ":3",
        "Front:1",
        "front:1,",
        "front:99999999999",
    ] {
        assert!(BaySet::parse(text).is_err(), "{text}");
    }
}

#[test]
fn glob_forms() {
    for (glob, text, matches) in [
        ("Samsung SSD 850*", "Samsung SSD 850 PRO 2TB", true),
        ("samsung*pro*", "Samsung SSD 850 PRO 2TB", true),
        ("*", "", true),
        ("", "", true),
        ("", "x", false),
        ("?", "", false),
        ("0000:03:00.?", "0000:03:00.1", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXbYbZ", false),
        ("[ab]", "a", false),
        ("ST1000NM00[23]3", "ST1000NM0023", false),
    ] {
        assert_eq!(glob_matches(glob, text), matches, "{glob} {text}");
    }
}

proptest! {
    /// Parsing never panics, whatever it is given.
    #[test]
    fn no_input_panics(text in ".{0,40}") {
        let _ = SizeRange::parse(&text);
        let _ = BaySet::parse(&text);
        let _ = glob_matches(&text, &text);
    }

    /// A larger number is never a smaller size, in any unit.
    #[test]
    fn sizes_are_monotonic(a in 0_u64..100_000, b in 0_u64..100_000, unit in "(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)") {
        let (low, high) = (a.min(b), a.max(b));
        let low_size = parse_size(&format!("{low} {unit}")).unwrap();
        let high_size = parse_size(&format!("{high} {unit}")).unwrap();
        prop_assert!(low_size <= high_size);
    }

    /// A range holds exactly what lies between its ends, and an open end takes nothing away.
    #[test]
    fn ranges_hold_what_lies_between(a in 0_u64..50_000, b in 0_u64..50_000, size in 0_u64..60_000) {
        let (low, high) = (a.min(b), a.max(b));
        let bytes = size * GB;
        let closed = SizeRange::parse(&format!("{low} GB..{high} GB")).unwrap().contains(bytes);
        let from = SizeRange::parse(&format!("{low} GB..")).unwrap().contains(bytes);
        let to = SizeRange::parse(&format!("..{high} GB")).unwrap().contains(bytes);
        prop_assert_eq!(closed, (low..=high).contains(&size));
        prop_assert_eq!(closed, from && to);
    }

    /// Widening a range never loses a disk.
    #[test]
    fn widening_never_loses(low in 100_u64..1000, high in 1000_u64..9000, slack in 0_u64..100, size in 0_u64..10_000) {
        let narrow = SizeRange::parse(&format!("{low} GB..{high} GB")).unwrap();
        let wide = SizeRange::parse(&format!("{} GB..{} GB", low - slack, high + slack)).unwrap();
        prop_assert!(!narrow.contains(size * GB) || wide.contains(size * GB));
    }

    /// A single size holds itself and nothing that is more than 5 % away.
    #[test]
    fn a_single_size_is_close(size in 1_u64..100_000, other in 1_u64..100_000) {
        let range = SizeRange::parse(&format!("{size} GB")).unwrap();
        prop_assert!(range.contains(size * GB));
        prop_assert_eq!(range.contains(other * GB), size.abs_diff(other) * 20 <= size);
    }

    /// A text matches itself, and a star in front or behind keeps every match.
    #[test]
    fn stars_only_widen(glob in "[a-c?*]{0,8}", text in "[a-c]{0,8}") {
        prop_assert!(glob_matches(&text, &text));
        if glob_matches(&glob, &text) {
            let front = format!("*{glob}");
            let behind = format!("{glob}*");
            prop_assert!(glob_matches(&front, &text));
            prop_assert!(glob_matches(&behind, &text));
        }
    }

    /// A set of bays is the union of its parts.
    #[test]
    fn bays_are_a_union(a in 0_u32..40, b in 0_u32..40, c in 0_u32..40, slot in 0_u32..50) {
        let (first, last) = (a.min(b), a.max(b));
        let set = BaySet::parse(&format!("front:{first}-{last},front:{c}")).unwrap();
        prop_assert_eq!(set.contains("front", slot), (first..=last).contains(&slot) || slot == c);
    }
}

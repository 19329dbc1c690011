//! Every reader with noise, and with samples that were changed in a few places. libFuzzer searches deeper (docs/testing.md); this
//! is what runs each time.

use inputs::{ALL, Input};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// One change.
#[derive(Debug, Clone)]
enum Change {
    Set(prop::sample::Index, u8),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, usize, usize),
    Cut(prop::sample::Index),
    /// Another number, where there is one.
    Number(prop::sample::Index, String),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let place = any::<prop::sample::Index>;
    let words = prop::sample::select(vec![
        "0",
        "-1",
        "1",
        "255",
        "65536",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "1e999",
        "",
        "null",
    ]);
    let change = prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (place(), 1_usize..20).prop_map(|(at, count)| Change::Remove(at, count)),
        (place(), prop::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (place(), 1_usize..40, 1_usize..30)
            .prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        place().prop_map(Change::Cut),
        (place(), words).prop_map(|(at, word)| Change::Number(at, word.to_owned())),
    ];
    prop::collection::vec(change, 1..5)
}

fn changed(sample: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let end = |at: usize, count: usize| (at + count).min(length);
        match change {
            Change::Set(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Change::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..end(at, *count));
            }
            Change::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Repeat(at, count, times) => {
                let at = at.index(length);
                let part = bytes[at..end(at, *count)].repeat(*times);
                bytes.splice(at..at, part);
            }
            Change::Cut(at) => bytes.truncate(at.index(length)),
            Change::Number(at, word) => {
                let from = at.index(length);
                let is_digit = |place: &usize| bytes[*place].is_ascii_digit();
                let Some(begin) = (from..length).find(is_digit) else {
                    continue;
                };
                let stop = (begin..length).find(|place| !is_digit(place));
                bytes.splice(begin..stop.unwrap_or(length), word.bytes());
            }
        }
    }
    bytes
}

fn cases(input: &Input) -> u32 {
    match input.name {
        // Unpacks into a folder; draws a screen.
        "capture" => 60,
        "recording" | "report" | "site_file" => 150,
        _ => 600,
    }
}

fn run(inputs: &[Input]) {
    for input in inputs {
        let samples = (input.samples)();
        assert!(!samples.is_empty(), "{}: no sample", input.name);
        for sample in &samples {
            (input.read)(sample);
        }
        let mut runner = TestRunner::new(Config::with_cases(cases(input)));
        let noise = prop::collection::vec(any::<u8>(), 0..400);
        runner
            .run(&noise, |bytes| {
                (input.read)(&bytes);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", input.name));
        let near = (prop::sample::select(samples), changes());
        runner
            .run(&near, |(sample, changes)| {
                (input.read)(&changed(&sample, &changes));
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{}: {error}", input.name));
    }
}

#[test]
fn no_reader_panics() {
    let (first, second) = ALL.split_at(ALL.len() / 2);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| run(first));
        run(second);
        one.join().unwrap();
    });
}

/// A target for each of them stands in the fuzz crate, and nothing else does.
#[test]
fn each_has_a_fuzz_target() {
    let folder = camino::Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs_err::read_to_string(folder.join("Cargo.toml")).unwrap();
    let targets = manifest.matches("[[bin]]").count();
    assert_eq!(targets, ALL.len());
    for Input { name, .. } in ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
        let target = folder.join(format!("fuzz_targets/{name}.rs"));
        let text = fs_err::read_to_string(target).unwrap();
        assert!(text.contains(&format!("inputs::read(\"{name}\", bytes)")));
    }
}

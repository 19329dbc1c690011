//! Positions in MariaDB's binary log: `domain-server-sequence`, one for each domain (MariaDB Knowledge Base, "GTID").

use std::collections::BTreeMap;

/// Sequence by domain.
#[must_use]
pub fn parse(text: &str) -> BTreeMap<u64, u64> {
    text.split(',')
        .filter_map(|part| {
            let mut numbers = part.trim().split('-').map(|number| number.parse().ok());
            let (domain, _, sequence) = (numbers.next()??, numbers.next()??, numbers.next()??);
            Some((domain, sequence))
        })
        .collect()
}

/// Everything in `one` is in `other` too. A server whose position is not contained in the primary's has written what nobody
/// else has.
#[must_use]
pub fn is_contained(one: &str, other: &str) -> bool {
    let other = parse(other);
    parse(one)
        .iter()
        .all(|(domain, sequence)| other.get(domain).is_some_and(|has| has >= sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        for (one, other, expected) in [
            ("", "", true),
            ("", "11-1-5", true),
            ("11-1-5", "11-1-5", true),
            ("11-1-5", "11-2-9", true),
            ("11-1-6", "11-1-5", false),
            ("11-1-5,12-2-3", "11-1-9", false),
            ("11-1-5,12-2-3", "12-2-3,11-1-9", true),
        ] {
            assert_eq!(is_contained(one, other), expected, "`{one}` in `{other}`");
        }
    }
}

//! Bay conditions of a selector: `front:3`, `rear:0`, `front:0-23`, `front:0-3,rear:0`.

use super::SelectorError;

/// A set of bays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaySet {
    /// Side of the chassis and slots on it, both ends included.
    ranges: Vec<(String, u32, u32)>,
}

impl BaySet {
    /// Reads a bay condition. Slots count from 0, as SES does on SAS3 backplanes.
    ///
    /// # Errors
    /// Says what is wrong and what a right form looks like.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut ranges = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((side, slots)) = part.split_once(':') else {
                return Err(SelectorError::bay(part, "`:` is missing"));
            };
            if side.is_empty()
                || !side
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            {
                return Err(SelectorError::bay(part, "the side is not a word"));
            }
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            let number = |slot: &str| {
                if slot.is_empty() || !slot.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(SelectorError::bay(
                        part,
                        &format!("`{slot}` is not a slot number"),
                    ));
                }
                slot.parse::<u32>()
                    .map_err(|_| SelectorError::bay(part, "the slot number is too large"))
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(SelectorError::bay(part, "the range ends before it begins"));
            }
            ranges.push((side.to_owned(), first, last));
        }
        Ok(Self { ranges })
    }

    /// Is this bay in the set?
    #[must_use]
    pub fn contains(&self, side: &str, slot: u32) -> bool {
        self.ranges
            .iter()
            .any(|(name, first, last)| name == side && (*first..=*last).contains(&slot))
    }

    /// Is the bay that the inventory calls `front:3` in the set? Anything else is not.
    #[must_use]
    pub fn contains_name(&self, bay: &str) -> bool {
        bay.split_once(':').is_some_and(|(side, slot)| {
            slot.parse()
                .is_ok_and(|slot: u32| self.contains(side, slot))
        })
    }
}

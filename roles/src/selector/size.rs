//! Size conditions of a selector: `200 GB..`, `..1 TB`, `7 TB..9 TB`, `8 TB`.

use super::SelectorError;

/// An inclusive range of sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeRange {
    /// Smallest size that matches, in bytes.
    pub min: u64,
    /// Largest size that matches, in bytes.
    pub max: u64,
}

/// Units, largest first within a family. Decimal as on disk labels (SI), binary as in IEC 80000-13.
const UNITS: [(&str, u64); 11] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
];

impl SizeRange {
    /// Reads a size condition. `..` ranges include both ends; a single size means within 5 % of it, because a "1 TB"
    /// disk is sold as 960 GB, 1000 GB or 1024 GB.
    ///
    /// # Errors
    /// Says what is wrong and what a right form looks like.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        let Some((low, high)) = text.split_once("..") else {
            let size = parse_size(text)?;
            let slack = size / 20;
            return Ok(Self {
                min: size - slack,
                max: size.saturating_add(slack),
            });
        };
        let (low, high) = (low.trim(), high.trim());
        if low.is_empty() && high.is_empty() {
            return Err(SelectorError::size(text, "a range needs at least one end"));
        }
        let min = if low.is_empty() { 0 } else { parse_size(low)? };
        let max = if high.is_empty() {
            u64::MAX
        } else {
            parse_size(high)?
        };
        if min > max {
            return Err(SelectorError::size(text, "the range ends before it begins"));
        }
        Ok(Self { min, max })
    }

    /// Does a disk of this many bytes match?
    #[must_use]
    pub fn contains(&self, bytes: u64) -> bool {
        (self.min..=self.max).contains(&bytes)
    }
}

/// Reads `200 GB`, `1.92 TB`, `512MiB` as bytes; a fraction of a byte is cut off.
///
/// # Errors
/// Unknown unit, no number, or more than 2^64 - 1 bytes.
pub fn parse_size(text: &str) -> Result<u64, SelectorError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim());
    if number.is_empty() {
        return Err(SelectorError::size(text, "it does not begin with a number"));
    }
    if unit.is_empty() {
        return Err(SelectorError::size(text, "the unit is missing"));
    }
    let Some((_, factor)) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))
    else {
        return Err(SelectorError::size(
            text,
            &format!("`{unit}` is not a unit"),
        ));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let malformed = || SelectorError::size(text, &format!("`{number}` is not a number"));
    if whole.is_empty() || fraction.contains('.') || fraction.len() > 9 {
        return Err(malformed());
    }
    let factor = u128::from(*factor);
    let too_large = || SelectorError::size(text, "it is larger than any disk");
    let whole: u64 = whole.parse().map_err(|_| too_large())?;
    let mut bytes = u128::from(whole) * factor;
    if !fraction.is_empty() {
        let digits: u64 = fraction.parse().map_err(|_| malformed())?;
        let scale = 10_u128.pow(u32::try_from(fraction.len()).map_err(|_| malformed())?);
        bytes += u128::from(digits) * factor / scale;
    }
    u64::try_from(bytes).map_err(|_| too_large())
}

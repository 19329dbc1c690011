//! Sizes for people, as disk makers print them (decimal) and as partitions are cut (binary).

/// `8.0 TB`, `400 GB`: decimal, as on the label of the disk.
#[must_use]
pub fn decimal(bytes: u64) -> String {
    scaled(bytes, 1000, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// `4.0 GiB`: binary.
#[must_use]
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

fn scaled(bytes: u64, base: u64, units: &[&str]) -> String {
    let mut unit = 0;
    let mut divisor: u64 = 1;
    while unit + 1 < units.len() && bytes / divisor >= base {
        divisor *= base;
        unit += 1;
    }
    let tenths = (u128::from(bytes) * 10 + u128::from(divisor) / 2) / u128::from(divisor);
    if tenths >= 1000 || unit == 0 {
        format!("{} {}", (tenths + 5) / 10, units[unit])
    } else {
        format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::{binary, decimal};

    #[test]
    fn table() {
        for (bytes, want) in [
            (0, "0 B"),
            (999, "999 B"),
            (8_001_563_222_016, "8.0 TB"),
            (400_088_457_216, "400 GB"),
            (1_000_204_886_016, "1.0 TB"),
            (u64::MAX, "18447 PB"),
        ] {
            assert_eq!(decimal(bytes), want);
        }
        assert_eq!(binary(4 << 30), "4.0 GiB");
    }
}

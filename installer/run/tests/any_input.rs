//! Files on a state file system that lost power, and on a boot that went wrong: read without a panic.

use proptest::prelude::*;
use run::appliance::boot_facts;
use run::journal;

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,300}") {
        let _facts = boot_facts::parse(&text).is_ok();
        prop_assert!(journal::parse(&text).is_empty());
    }

    /// Power went while a line was written: what stands before it counts.
    #[test]
    fn a_cut_journal(cut in 0_usize..400) {
        let lines: String = (0..4)
            .map(|sequence| format!("{{\"sequence\":{sequence},\"at\":{sequence},\"event\":\"finished\",\"step\":\"0{sequence}-x\",\"milliseconds\":1}}\n"))
            .collect();
        let cut = cut.min(lines.len());
        let whole = lines[..cut].matches('\n').count();
        let records = journal::parse(&lines[..cut]);
        // A line that is whole but for its line feed counts, too.
        prop_assert!(records.len() == whole || records.len() == whole + 1);
        prop_assert!(records.iter().zip(0..).all(|(record, sequence)| record.sequence == sequence));
    }
}

//! PID 1 reads what firmware, disks and other programs left: whatever it is, no panic.

use boot::{command_line, device_uevent, facts, gpt, mdadm, module_index};
use proptest::prelude::*;

/// A head of a disk that looks like a GPT: signature, then fields that say anything.
fn table() -> impl Strategy<Value = Vec<u8>> {
    (
        any::<[u8; 84]>(),
        proptest::collection::vec(any::<u8>(), 0..4096),
    )
        .prop_map(|(header, entries)| {
            let mut head = vec![0; 512];
            head.extend_from_slice(b"EFI PART");
            head.extend_from_slice(&header);
            head.resize(1024, 0);
            head.extend(entries);
            head
        })
}

proptest! {
    #[test]
    fn any_bytes_as_a_partition_table(bytes in proptest::collection::vec(any::<u8>(), 0..2048), table in table()) {
        for head in [bytes, table] {
            let _answer = gpt::find(&head, "rackwright-root");
        }
    }

    #[test]
    fn any_text(text in "\\PC{0,300}", words in "[a-z_.=:0-9 \\n\"\\\\-]{0,200}") {
        for text in [&text, &words] {
            let _answers = (
                command_line::parse(text).is_ok(),
                command_line::normal_uuid(text),
                mdadm::parse(text).is_some(),
                facts::parse_root(text).is_ok(),
                device_uevent::parse(text).partition,
            );
            let index = module_index::ModuleIndex::parse(text, &words);
            let _order = (index.resolve(text), index.load_order(&words));
        }
    }

    #[test]
    fn modules_that_depend_on_each_other_end(names in proptest::collection::vec("[abc]", 2..8)) {
        let lines: String = names.windows(2).map(|pair| format!("{}.ko: {}.ko\n", pair[0], pair[1])).collect();
        let index = module_index::ModuleIndex::parse(&lines, "");
        let order = index.load_order(&names[0]);
        prop_assert!(order.len() <= 3, "{order:?}");
    }
}

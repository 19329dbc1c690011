//! `/sys/class/block/<name>/uevent`: lines of `KEY=value` that the kernel wrote.

/// What we use of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockUevent {
    /// Device node below `/dev`.
    pub device: Option<String>,
    /// It is a partition, not a disk.
    pub partition: bool,
    /// Name of a GPT partition (PARTLABEL).
    pub partition_name: Option<String>,
}

/// Reads the text; unknown keys are the kernel's business.
pub fn parse(text: &str) -> BlockUevent {
    let mut uevent = BlockUevent::default();
    for line in text.lines() {
        match line.split_once('=') {
            Some(("DEVNAME", value)) => uevent.device = Some(value.to_owned()),
            Some(("DEVTYPE", value)) => uevent.partition = value == "partition",
            Some(("PARTNAME", value)) => uevent.partition_name = Some(value.to_owned()),
            _ => {}
        }
    }
    uevent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_and_partitions() {
        let cases = [
            ("", BlockUevent::default()),
            (
                "MAJOR=8\nMINOR=0\nDEVNAME=sda\nDEVTYPE=disk\nDISKSEQ=9\n",
                BlockUevent {
                    device: Some("sda".into()),
                    ..BlockUevent::default()
                },
            ),
            (
                "MAJOR=259\nMINOR=3\nDEVNAME=md127p1\nDEVTYPE=partition\nPARTN=1\nPARTNAME=slot-a=1\n",
                BlockUevent {
                    device: Some("md127p1".into()),
                    partition: true,
                    partition_name: Some("slot-a=1".into()),
                },
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[A-Z=\na]{0,60}") {
            parse(&text);
        }
    }
}

//! Output of `mdadm --examine --export` (mdadm(8)): lines of `MD_KEY=value`.

use crate::command_line::normal_uuid;

/// The superblock of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Array UUID, 32 lower case hexadecimal digits.
    pub array: String,
    /// How many members the array has when it is whole.
    pub members: u32,
}

/// None if this is not the superblock of an array member.
pub fn parse(text: &str) -> Option<Member> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Some(Member {
        array: normal_uuid(value("MD_UUID")?)?,
        members: value("MD_DEVICES")?.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superblocks() {
        let whole = "MD_LEVEL=raid1\nMD_DEVICES=2\nMD_NAME=any:os\nMD_ARRAY_SIZE=5.99GB\n\
            MD_UUID=2f0c5cd5:50bdc0a1:5e2f1f6c:8bd6ab47\nMD_UPDATE_TIME=1700000000\nMD_EVENTS=17\n";
        let cases = [
            (
                whole,
                Some(Member {
                    array: "2f0c5cd550bdc0a15e2f1f6c8bd6ab47".into(),
                    members: 2,
                }),
            ),
            ("", None),
            ("MD_DEVICES=2\nMD_UUID=2f0c5cd5\n", None),
            ("MD_UUID=2f0c5cd5:50bdc0a1:5e2f1f6c:8bd6ab47\n", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(MD_UUID=|MD_DEVICES=|[0-9a-f:\n]){0,60}") {
            parse(&text);
        }
    }
}

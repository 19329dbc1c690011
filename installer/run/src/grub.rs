//! The installed disk's boot menu, as text. Pure.

/// Name of the file with GRUB's saved variables, next to `grub.cfg`.
pub const ENVIRONMENT: &str = "grubenv";

/// `grub.cfg` of one disk. `esp` is the volume id of its own EFI system partition as GRUB writes it (`1A2B-3C4D`), `array` the
/// md array's UUID.
///
/// GRUB only ever reads the disk it was loaded from. Boot counting (`boot_tries_a`): unset means the slot is trusted; a number
/// is counted down at each boot, and at 0 the other slot is taken. The running system unsets it when it is healthy.
pub fn configuration(esp: &str, array: &str) -> String {
    let mut text = format!(
        "# Written by the installer; the administrator's changes are lost with the next upgrade.\n\
         search --no-floppy --fs-uuid --set=root {esp}\n"
    );
    text.push_str(
        r#"set timeout=3
load_env
terminal_input console
terminal_output console
if serial --unit=0 --speed=115200; then
  terminal_input --append serial_com0
  terminal_output --append serial_com0
fi
if serial --unit=1 --speed=115200; then
  terminal_input --append serial_com1
  terminal_output --append serial_com1
fi
if [ -z "$slot" ]; then set slot=a; fi
"#,
    );
    // One pass only: falling back must not count the other slot down in the same boot.
    for (word, slot, other) in [("if", "a", "b"), ("elif", "b", "a")] {
        let tries = format!("boot_tries_{slot}");
        text.push_str(&format!("{word} [ \"$slot\" = {slot} ]; then\n"));
        for (word, now, next) in [("if", 3, 2), ("elif", 2, 1), ("elif", 1, 0)] {
            text.push_str(&format!(
                "  {word} [ \"${tries}\" = {now} ]; then set {tries}={next}; save_env {tries}\n"
            ));
        }
        text.push_str(&format!(
            "  elif [ \"${tries}\" = 0 ]; then set slot={other}; save_env slot; fi\n"
        ));
    }
    text.push_str("fi\n");
    text.push_str("set default=\"slot-$slot\"\n");
    let consoles = "console=tty0 console=ttyS0,115200n8 console=ttyS1,115200n8 loglevel=4";
    let mut entry = |id: &str, title: &str, slot: &str, words: &str| {
        text.push_str(&format!(
            "menuentry \"{title}\" --id {id} {{\n  linux /rackwright/{slot}/vmlinuz {words}rackwright.array={array} \
             rackwright.slot={slot} {consoles}\n  initrd /rackwright/{slot}/initrd.zst\n}}\n"
        ));
    };
    entry("slot-a", "Rackwright, slot A", "a", "");
    entry("slot-b", "Rackwright, slot B", "b", "");
    entry("rescue", "Rescue shell, slot A", "a", "rackwright=rescue ");
    text
}

/// `grubenv`: exactly 1024 bytes, filled up with `#` (GRUB manual, "The GRUB environment block").
pub fn environment(variables: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::from("# GRUB Environment Block\n");
    for (name, value) in variables {
        text.push_str(&format!("{name}={value}\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.resize(1024, b'#');
    bytes
}

/// A FAT volume id as GRUB and blkid write it: `1a2b3c4d` to `1A2B-3C4D`.
pub fn volume_id(digits: &str) -> String {
    let digits: String = digits
        .chars()
        .filter(char::is_ascii_hexdigit)
        .map(|digit| digit.to_ascii_uppercase())
        .collect();
    match digits.split_at_checked(4) {
        Some((first, second)) => format!("{first}-{second}"),
        None => digits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn menu() {
        insta::assert_snapshot!(configuration(
            "1A2B-3C4D",
            "01234567:89abcdef:01234567:89abcdef"
        ));
    }

    #[test]
    fn environment_block_is_1024_bytes() {
        let block = environment(&[("slot", "a")]);
        assert_eq!(block.len(), 1024);
        assert!(block.starts_with(b"# GRUB Environment Block\nslot=a\n####"));
        assert_eq!(volume_id("1a2b3c4d"), "1A2B-3C4D");
        assert_eq!(volume_id("1a2b-3c4d"), "1A2B-3C4D");
    }
}

//! The first sector of a stick that is not written to its end: a boot program that says so. The real first bytes come last.

/// Bytes that are written last: partition table, boot program and the start of the file system. No firmware boots without them.
pub const HEAD: usize = 1 << 20;

const WORDS: &str =
    "This Rackwright stick is incomplete: writing it did not come to its end. Write it again.";

/// Prints the words behind it by BIOS interrupt 10h, function 0Eh, and halts. Assembled by hand:
/// `xor ax,ax; mov ds,ax; mov si,0x7c1b; cld; next: lodsb; test al,al; jz stop; mov ah,0xe; mov bx,7; int 0x10; jmp next;`
/// `stop: hlt; jmp stop`, and two bytes to fill up.
const PROGRAM: [u8; 0x1b] = [
    0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x1b, 0x7c, 0xfc, 0xac, 0x84, 0xc0, 0x74, 0x09, 0xb4, 0x0e, 0xbb,
    0x07, 0x00, 0xcd, 0x10, 0xeb, 0xf2, 0xf4, 0xeb, 0xfd, 0x90, 0x90,
];

/// What stands at the start of the stick until all else is written: nothing a UEFI would boot, and words on a BIOS.
#[must_use]
pub fn head() -> Vec<u8> {
    let mut head = vec![0; HEAD];
    head[..PROGRAM.len()].copy_from_slice(&PROGRAM);
    head[PROGRAM.len()..PROGRAM.len() + WORDS.len()].copy_from_slice(WORDS.as_bytes());
    // Boot signature of a BIOS.
    head[510..512].copy_from_slice(&[0x55, 0xaa]);
    head
}

/// Whether a medium that starts so was not written to its end.
#[must_use]
pub fn is_incomplete(head: &[u8]) -> bool {
    head.starts_with(&PROGRAM) && head[PROGRAM.len()..].starts_with(WORDS.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_points_at_the_words_and_loops_right() {
        let address = u16::from_le_bytes([PROGRAM[5], PROGRAM[6]]);
        assert_eq!(usize::from(address), 0x7c00 + PROGRAM.len());
        // jz stop, from behind it to hlt; jmp next, back to lodsb; jmp stop.
        assert_eq!(
            (PROGRAM[11], PROGRAM[13 + usize::from(PROGRAM[12])]),
            (0x74, 0xf4)
        );
        assert_eq!((PROGRAM[20], PROGRAM[22 + 0xf2 - 0x100]), (0xeb, 0xac));
        assert_eq!((PROGRAM[23], PROGRAM[25 + 0xfd - 0x100]), (0xeb, 0xf4));
        let head = head();
        assert!(is_incomplete(&head));
        assert_eq!(&head[510..512], [0x55, 0xaa]);
        assert!(!is_incomplete(&vec![0; HEAD]) && !is_incomplete(&[]));
        assert!(boot::gpt::list(&head).is_empty());
    }
}

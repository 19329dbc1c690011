//! Matches `*` and `?`, for module and file patterns.

/// Whether all of `text` matches `pattern`. `*` matches any number of characters, also `/`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((back, taken)) = star {
            star = Some((back, taken + 1));
            p = back + 1;
            t = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn table() {
        for (pattern, text, expected) in [
            ("raid1", "raid1", true),
            ("raid1", "raid10", false),
            ("raid*", "raid456", true),
            ("kernel/fs/*/nfs*.ko*", "kernel/fs/nfs/nfsv4.ko.xz", true),
            ("ip_vs*", "ip_vs", true),
            ("*_x", "a_x_x", true),
            ("?", "", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}

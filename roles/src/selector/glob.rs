//! Globs of a selector and of module lists: `*` any run of characters, `?` one character, everything else itself.

/// Does `text` match `glob` as a whole? ASCII letters match in either case: vendors write `INTEL`, `Intel` and `intel`.
/// Takes at most `glob.len() * text.len()` steps.
#[must_use]
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut g, mut t) = (0, 0);
    // Where the last star stood, and how much of the text it has swallowed.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || c.eq_ignore_ascii_case(&text[t]) => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((star_at, swallowed)) => {
                    g = star_at + 1;
                    t = swallowed + 1;
                    star = Some((star_at, swallowed + 1));
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == '*')
}

//! The table that every failed choice prints: all there is, and under each row why it was not taken.

use std::fmt;

/// Writes `head` and `rows` in columns, indented by two spaces, without a line break at the end. What was said of a row
/// stands below it, indented by six.
///
/// # Errors
/// Those of the formatter.
pub(crate) fn write<'a, const COLUMNS: usize>(
    formatter: &mut fmt::Formatter<'_>,
    head: [&str; COLUMNS],
    rows: impl Iterator<Item = (&'a [String; COLUMNS], &'a [String])> + Clone,
) -> fmt::Result {
    let mut widths = head.map(str::len);
    for (cells, _) in rows.clone() {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |formatter: &mut fmt::Formatter<'_>, cells: [&str; COLUMNS]| -> fmt::Result {
        let text: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        write!(formatter, "  {}", text.join("  ").trim_end())
    };
    line(formatter, head)?;
    for (cells, verdicts) in rows {
        writeln!(formatter)?;
        line(formatter, cells.each_ref().map(String::as_str))?;
        for verdict in verdicts {
            write!(formatter, "\n      {verdict}")?;
        }
    }
    Ok(())
}

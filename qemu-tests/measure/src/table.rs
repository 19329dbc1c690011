//! Figures as a Markdown table, with ratios against the first row of each group.

use crate::clock::Figure;

/// A heading and rows that are compared with the first of them.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Group {
    /// Heading.
    pub title: String,
    /// Rows.
    pub figures: Vec<Figure>,
}

/// Markdown of one group.
pub fn markdown(group: &Group) -> String {
    let mut text = format!(
        "### {}\n\n| what | wall s | CPU s | size MB | wall ratio | CPU ratio |\n|---|---|---|---|---|---|\n",
        group.title
    );
    let first = group.figures.first();
    for figure in &group.figures {
        let size = figure
            .bytes
            .map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / 1e6));
        let ratio = |value: f64, base: Option<f64>| match base {
            Some(base) if base > 0.0 && value > 0.0 => format!("{:.2}", value / base),
            _ => String::new(),
        };
        text.push_str(&format!(
            "| {} | {:.1} | {:.1} | {} | {} | {} |\n",
            figure.name,
            figure.wall,
            figure.cpu,
            size,
            ratio(figure.wall, first.map(|row| row.wall)),
            ratio(figure.cpu, first.map(|row| row.cpu)),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_against_the_first_row() {
        let row = |name: &str, wall, cpu, bytes| Figure {
            name: name.to_owned(),
            wall,
            cpu,
            bytes,
        };
        insta::assert_snapshot!(markdown(&Group {
            title: "cold".to_owned(),
            figures: vec![row("ours", 10.0, 5.0, Some(200_000_000)), row("other", 20.0, 20.0, None)],
        }), @r"
        ### cold

        | what | wall s | CPU s | size MB | wall ratio | CPU ratio |
        |---|---|---|---|---|---|
        | ours | 10.0 | 5.0 | 200 | 1.00 | 1.00 |
        | other | 20.0 | 20.0 |  | 2.00 | 4.00 |
        ");
    }
}

//! Just enough SVG: boxes, lines, and text that fits its box.

use std::fmt::Write;

/// Mean width of a letter in heights of the font, for the sans-serif fonts that browsers take; on the wide side, so that text
/// never runs out of its box.
const LETTER: f64 = 0.58;

/// A drawing that is being made. All measures are CSS pixels.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// By its left end.
    Start,
    /// By its middle.
    Middle,
    /// By its right end.
    End,
}

/// How a line is drawn: told apart without any colour.
pub const DASHES: [&str; 6] = ["", "9 4", "2 3", "12 3 2 3", "6 2 2 2 2 2", "1 5"];

/// `&`, `<`, `>` and quotes as XML writes them.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write the others.
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Width that a text of this size takes at most.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    f64::from(u32::try_from(text.chars().count()).unwrap_or(u32::MAX)) * size * LETTER
}

/// The text, cut with an ellipsis where it is wider than `width`.
#[must_use]
pub fn fit(text: &str, width: f64, size: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for letter in text.chars() {
        if text_width(&short, size) + 2.0 * size * LETTER > width {
            break;
        }
        short.push(letter);
    }
    short.push('\u{2026}');
    short
}

impl Svg {
    /// An empty drawing.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    /// A box with square corners. `style` is SVG attributes.
    pub fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, style: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" {style}/>"
        );
    }

    /// A line. `style` is SVG attributes.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), style: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// A filled dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"#222\"/>",
            at.0, at.1
        );
    }

    /// A text on its base line.
    pub fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, bold: bool, text: &str) {
        self.put_text(at, size, anchor, bold, "", text);
    }

    /// A text that runs upwards.
    pub fn upwards(&mut self, at: (f64, f64), size: f64, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {:.1} {:.1})\"", at.0, at.1);
        self.put_text(at, size, Anchor::Start, false, &turn, text);
    }

    fn put_text(
        &mut self,
        at: (f64, f64),
        size: f64,
        anchor: Anchor,
        bold: bool,
        more: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{weight}{more}>{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }

    /// A text in a box: cut to fit, whole as its title, which a pointer shows.
    pub fn label(
        &mut self,
        at: (f64, f64),
        width: f64,
        size: f64,
        anchor: Anchor,
        bold: bool,
        text: &str,
    ) {
        let short = fit(text, width, size);
        if short == text {
            self.text(at, size, anchor, bold, text);
        } else {
            let _ = write!(self.body, "<g><title>{}</title>", escape(text));
            self.text(at, size, anchor, bold, &short);
            self.body.push_str("</g>\n");
        }
    }

    /// The whole drawing. `title` is read out to people who do not see it.
    #[must_use]
    pub fn finish(self, title: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" width=\"{:.0}\" height=\"{:.0}\" \
             role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\" fill=\"#222\">\n\
             <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.width,
            self.height,
            self.width,
            self.height,
            escape(title),
            self.body
        )
    }
}

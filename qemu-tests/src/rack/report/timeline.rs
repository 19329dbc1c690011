//! The report as a timeline: strips of equal length one below the other, faults as bands, a tick wherever the client was served.
//! Drawn for light and dark pages, and readable without any colour.

use std::fmt::Write as _;

use roles::draw::svg::{escape, fit, text_width};

use super::{Gap, Report, Row, seconds};

/// Where strips begin.
const LEFT: f64 = 64.0;
/// Length of a strip.
const WIDTH: f64 = 1000.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 62.0;
/// Two lines of fault names above the lanes.
const NAME: f64 = 15.0;
const LANE: f64 = 20.0;
const BETWEEN: f64 = 5.0;
const STRIP: f64 = 2.0 * NAME + 2.0 * LANE + BETWEEN + 40.0;
const LETTERS: f64 = 11.0;
/// Strips at most; a strip is as long as that needs.
const STRIPS: u64 = 8;
/// Lengths of a strip in minutes.
const MINUTES: [u64; 11] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 240, 480];

const STYLE: &str = ".page{fill:#fff}.text{fill:#1c1c1c}.faint{fill:#5c5c5c}.lane{fill:#ececec}.tick{fill:#1d6f42}\
.band{fill:#b07d00;fill-opacity:.16}.edge{stroke:#8a6100;stroke-width:1.5;stroke-dasharray:4 3}\
.gap{fill:url(#hatch);stroke:#b3261e;stroke-width:1}.hatch{stroke:#b3261e;stroke-width:1.6}.rule{stroke:#9a9a9a}\
.halo{fill:#fff}\
@media(prefers-color-scheme:dark){.page{fill:#16181b}.text{fill:#e8e8e8}.faint{fill:#a9a9a9}.lane{fill:#2a2d31}.tick{fill:#5fce8f}\
.band{fill:#e0b040;fill-opacity:.2}.edge{stroke:#e0b040}.gap{stroke:#ff8a80}.hatch{stroke:#ff8a80}.rule{stroke:#6f6f6f}\
.halo{fill:#16181b}}";

/// The drawing.
#[must_use]
pub fn svg(report: &Report) -> String {
    let minutes = MINUTES
        .into_iter()
        .find(|minutes| report.length.div_ceil(minutes * 60_000) <= STRIPS)
        .unwrap_or_else(|| report.length.div_ceil(STRIPS * 60_000));
    let length = minutes.max(1) * 60_000;
    let strips = report.length.div_ceil(length).max(1);
    let height = TOP + strips as f64 * STRIP + 22.0;
    let width = LEFT + WIDTH + RIGHT;
    let mut drawing = Drawing {
        body: String::new(),
        length,
    };
    drawing.text((LEFT, 24.0), 16.0, "text", "start", true, &report.title);
    let about = fit(&report.about, WIDTH, LETTERS);
    drawing.text((LEFT, 42.0), LETTERS, "faint", "start", false, &about);
    for strip in 0..strips {
        drawing.strip(report, strip, TOP + strip as f64 * STRIP);
    }
    drawing.text(
        (LEFT, height - 10.0),
        LETTERS,
        "faint",
        "start",
        false,
        "tick: a message was acknowledged (SMTP), a mailbox was looked at (IMAP) \u{b7} band: a fault until all was well again \
         \u{b7} hatched: its longest time without",
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"img\" font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <path class=\"hatch\" d=\"M0 0V5\"/></pattern></defs>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{}</svg>\n",
        escape(&report.title),
        drawing.body
    )
}

struct Drawing {
    body: String,
    /// Milliseconds in a strip.
    length: u64,
}

impl Drawing {
    fn strip(&mut self, report: &Report, strip: u64, top: f64) {
        let begin = strip * self.length;
        let end = begin + self.length;
        let lanes = [top + 2.0 * NAME, top + 2.0 * NAME + LANE + BETWEEN];
        for (y, name) in lanes.into_iter().zip(["SMTP", "IMAP"]) {
            self.rect("lane", (LEFT, y), (WIDTH, LANE));
            self.text((LEFT - 8.0, y + 14.0), LETTERS, "text", "end", false, name);
        }
        for row in &report.rows {
            self.band(row, begin, top);
        }
        for (index, row) in report.rows.iter().enumerate() {
            self.name(report, index, row, begin, top);
        }
        for (y, times) in lanes.into_iter().zip([&report.smtp, &report.imap]) {
            self.ticks(times, begin, y);
        }
        for row in &report.rows {
            for (y, gap) in lanes.into_iter().zip([row.smtp_outage, row.imap_outage]) {
                self.gap(gap, begin, y);
            }
        }
        let y = lanes[1] + LANE;
        for part in 0..=5 {
            let at = begin + self.length / 5 * part;
            let x = LEFT + WIDTH / 5.0 * part as f64;
            let _ = writeln!(self.body, "<path class=\"rule\" d=\"M{x:.1} {y:.1}v4\"/>");
            // The end of a strip is the begin of the next one.
            if part < 5 || end >= report.length {
                self.text(
                    (x, y + 15.0),
                    LETTERS - 1.0,
                    "faint",
                    "middle",
                    false,
                    &clock(at),
                );
            }
        }
    }

    /// Where a time lies in the strip that begins at `begin`, kept within it.
    fn x(&self, at: u64, begin: u64) -> f64 {
        let within = at.saturating_sub(begin).min(self.length);
        LEFT + within as f64 / self.length as f64 * WIDTH
    }

    fn band(&mut self, row: &Row, begin: u64, top: f64) {
        if row.end <= begin || row.begin >= begin + self.length {
            return;
        }
        let (from, to) = (self.x(row.begin, begin), self.x(row.end, begin));
        let height = 2.0 * NAME + 2.0 * LANE + BETWEEN;
        self.rect("band", (from, top), ((to - from).max(1.0), height));
        if row.begin >= begin {
            let _ = writeln!(
                self.body,
                "<path class=\"edge\" d=\"M{from:.1} {top:.1}v{height:.1}\"/>"
            );
        }
    }

    /// Names take two lines by turns: each has the room up to the one after the next.
    fn name(&mut self, report: &Report, index: usize, row: &Row, begin: u64, top: f64) {
        let end = begin + self.length;
        if row.end <= begin || row.begin >= end {
            return;
        }
        let mark = if row.problems.is_empty() {
            "\u{2713}"
        } else {
            "\u{2717} RED"
        };
        let name = format!("{} {} {mark}", index + 1, row.fault);
        let from = self.x(row.begin, begin);
        let room = report
            .rows
            .get(index + 2)
            .filter(|next| next.begin < end)
            .map_or(LEFT + WIDTH, |next| self.x(next.begin, begin))
            - from
            - 8.0;
        // Too narrow for more than the number: the next strip has it again.
        let short = if room < 60.0 {
            (index + 1).to_string()
        } else {
            fit(&name, room, LETTERS)
        };
        let y = top + NAME - 4.0 + if index.is_multiple_of(2) { 0.0 } else { NAME };
        let _ = write!(self.body, "<g><title>{}</title>", escape(&name));
        self.text((from + 4.0, y), LETTERS, "text", "start", false, &short);
        self.body.push_str("</g>\n");
    }

    /// Ticks of one pixel; neighbours become one.
    fn ticks(&mut self, times: &[u64], begin: u64, y: f64) {
        let mut pixels: Vec<u32> = times
            .iter()
            .filter(|at| begin <= **at && **at < begin + self.length)
            .map(|at| ((at - begin) as f64 / self.length as f64 * WIDTH) as u32)
            .collect();
        pixels.dedup();
        let mut path = String::new();
        let mut rest = pixels.as_slice();
        while let Some(first) = rest.first() {
            let length = rest
                .iter()
                .zip(*first..)
                .take_while(|(pixel, expected)| *pixel == expected)
                .count();
            let _ = write!(
                path,
                "M{:.0} {y:.0}h{length}v{LANE:.0}h-{length}z",
                LEFT + f64::from(*first)
            );
            rest = rest.get(length..).unwrap_or_default();
        }
        if !path.is_empty() {
            let _ = writeln!(self.body, "<path class=\"tick\" d=\"{path}\"/>");
        }
    }

    /// Outages that can be seen at this scale.
    fn gap(&mut self, gap: Gap, begin: u64, y: f64) {
        let end = begin + self.length;
        let until = gap.begin + gap.milliseconds;
        if until <= begin || gap.begin >= end {
            return;
        }
        let (from, to) = (self.x(gap.begin, begin), self.x(until, begin));
        if to - from < 4.0 {
            return;
        }
        self.rect("gap", (from, y + 2.0), (to - from, LANE - 4.0));
        let label = seconds(gap.milliseconds);
        let wide = text_width(&label, LETTERS) + 4.0;
        if to - from > wide + 4.0 {
            let middle = f64::midpoint(from, to);
            self.rect("halo", (middle - wide / 2.0, y + 4.0), (wide, LANE - 8.0));
            self.text((middle, y + 14.0), LETTERS, "text", "middle", false, &label);
        }
    }

    fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64)) {
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            at.0, at.1, size.0, size.1
        );
    }

    fn text(
        &mut self,
        at: (f64, f64),
        size: f64,
        class: &str,
        anchor: &str,
        bold: bool,
        text: &str,
    ) {
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{weight}>{}</text>",
            at.0,
            at.1,
            escape(text)
        );
    }
}

/// Time since the begin.
fn clock(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

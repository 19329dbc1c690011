//! Lines for people and a summary that tools understand.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::anyhow;

/// What came out so far.
pub(super) struct Report {
    start: Instant,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    passed: u64,
    left_out: u64,
    failures: Vec<String>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            counts: Mutex::new(Counts::default()),
        }
    }

    /// `count`: how many tests this line stands for.
    pub(super) fn passed(&self, name: &str, count: u64, time: Duration) -> anyhow::Result<()> {
        self.counts
            .lock()
            .map_err(|_| anyhow!("a reporter panicked"))?
            .passed += count;
        let many = if count == 1 {
            String::new()
        } else {
            format!("{count} tests, ")
        };
        writeln!(
            std::io::stdout(),
            "test {name} ... ok ({many}{:.1} s)",
            time.as_secs_f64()
        )?;
        Ok(())
    }

    /// `needed`: seconds that there are not.
    pub(super) fn left_out(&self, name: &str, needed: u64) -> anyhow::Result<()> {
        let mut counts = self
            .counts
            .lock()
            .map_err(|_| anyhow!("a reporter panicked"))?;
        counts.left_out += 1;
        writeln!(
            std::io::stdout(),
            "test {name} ... ignored, it would take {needed} s and the time of this run would be over"
        )?;
        Ok(())
    }

    /// The error is printed at once: whoever ends the run from outside still gets it.
    pub(super) fn failed(
        &self,
        name: &str,
        error: &anyhow::Error,
        time: Duration,
    ) -> anyhow::Result<()> {
        let mut counts = self
            .counts
            .lock()
            .map_err(|_| anyhow!("a reporter panicked"))?;
        counts.failures.push(name.to_owned());
        writeln!(
            std::io::stdout(),
            "test {name} ... FAILED ({:.1} s)\n{error:#}\n",
            time.as_secs_f64()
        )?;
        Ok(())
    }

    /// Whether nothing has failed so far.
    pub(super) fn is_green(&self) -> bool {
        let counts = self.counts.lock();
        counts.is_ok_and(|counts| counts.failures.is_empty())
    }

    /// Prints the names of what failed and the summary; `true` if there was a test and none failed.
    pub(super) fn summary(&self) -> anyhow::Result<bool> {
        let counts = self
            .counts
            .lock()
            .map_err(|_| anyhow!("a reporter panicked"))?;
        let (text, good) = summary(&counts, self.start.elapsed());
        std::io::stdout().write_all(text.as_bytes())?;
        Ok(good)
    }
}

fn summary(counts: &Counts, time: Duration) -> (String, bool) {
    let mut text = String::new();
    let failed = counts.failures.len();
    if failed > 0 {
        // Writing to a string cannot fail.
        let _always = writeln!(text, "\nfailures:\n    {}", counts.failures.join("\n    "));
    }
    // No test at all is a mistyped filter, not a success.
    let good = failed == 0 && counts.passed > 0;
    let word = if good { "ok" } else { "FAILED" };
    let _always = writeln!(
        text,
        "\ntest result: {word}. {} passed; {failed} failed; {} ignored; 0 measured; 0 filtered out; finished in {:.2}s\n\
         {} passed, {failed} failed",
        counts.passed,
        counts.left_out,
        time.as_secs_f64(),
        counts.passed
    );
    (text, good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let time = Duration::from_millis(61_500);
        let counts = Counts {
            passed: 7,
            left_out: 2,
            failures: Vec::new(),
        };
        let good = "\ntest result: ok. 7 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 61.50s\n\
                    7 passed, 0 failed\n";
        assert_eq!(summary(&counts, time), (good.to_owned(), true));
        assert!(!summary(&Counts::default(), time).1);
        let counts = Counts {
            passed: 7,
            left_out: 0,
            failures: vec!["a".into(), "b".into()],
        };
        let (text, good) = summary(&counts, time);
        assert!(
            !good
                && text.starts_with(
                    "\nfailures:\n    a\n    b\n\ntest result: FAILED. 7 passed; 2 failed;"
                ),
            "{text}"
        );
    }
}

//! What the user sees while a build runs: bars on a terminal, plain lines otherwise, JSON lines on request. All of it on
//! standard error (JSON on standard output): a fold over [`BuildEvent`].

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A spinner or bar, rewritten in place.
    Bars,
    /// One line per event.
    Lines,
    /// One JSON object per line on standard output.
    Json,
}

impl Mode {
    /// JSON if asked for, bars if standard error is a terminal.
    pub fn choose(json: bool) -> Self {
        match (json, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Json,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Lines,
        }
    }
}

/// Something happened during a build.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum BuildEvent {
    /// A stage begins.
    Started {
        /// What is being made, for people.
        title: String,
    },
    /// A stage's result was in the cache.
    Cached {
        /// What was needed.
        title: String,
    },
    /// A stage ended well.
    Finished {
        /// What was made.
        title: String,
        /// Time of a clock on the wall.
        wall_seconds: f64,
        /// Processor time of the builder and of every program it ran.
        cpu_seconds: f64,
    },
    /// A download goes on.
    Downloading {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Files are complete under their final name.
    Built {
        /// Role name.
        role: String,
        /// Folder.
        path: String,
    },
}

/// Where events go.
pub struct Progress {
    mode: Mode,
    bar: Mutex<Option<ProgressBar>>,
    history: Mutex<Vec<BuildEvent>>,
}

/// A running stage.
pub struct Stage<'a> {
    progress: &'a Progress,
    title: String,
    wall: Instant,
    cpu: f64,
}

/// A download.
pub struct Bytes<'a> {
    progress: &'a Progress,
    total: u64,
    shown: Mutex<u64>,
}

impl Progress {
    /// Shows events in this way.
    pub fn new(mode: Mode) -> Self {
        Progress {
            mode,
            bar: Mutex::new(None),
            history: Mutex::new(Vec::new()),
        }
    }

    /// A stage begins; [`Stage::finish`] ends it.
    pub fn stage(&self, title: impl Into<String>) -> Stage<'_> {
        let title = title.into();
        self.show(BuildEvent::Started {
            title: title.clone(),
        });
        Stage {
            progress: self,
            title,
            wall: Instant::now(),
            cpu: cpu_seconds(),
        }
    }

    /// A download of `total` bytes begins.
    pub fn bytes(&self, total: u64) -> Bytes<'_> {
        if self.mode == Mode::Bars {
            self.set_bar(Some(
                ProgressBar::new(total).with_style(
                    ProgressStyle::with_template(
                        "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                    )
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
                ),
            ));
        }
        Bytes {
            progress: self,
            total,
            shown: Mutex::new(0),
        }
    }

    /// Takes an event.
    pub fn show(&self, event: BuildEvent) {
        if self.mode == Mode::Json {
            let line = serde_json::to_string(&event).unwrap_or_default();
            // A reader that went away is no reason to stop a build.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        if self.mode == Mode::Lines
            && let Some(line) = line(&event)
        {
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        if self.mode == Mode::Bars {
            self.draw(&event);
        }
        if let Ok(mut history) = self.history.lock() {
            history.push(event);
        }
    }

    /// Everything so far.
    pub fn history(&self) -> Vec<BuildEvent> {
        self.history
            .lock()
            .map(|history| history.clone())
            .unwrap_or_default()
    }

    fn draw(&self, event: &BuildEvent) {
        match event {
            BuildEvent::Started { title } => {
                let bar = ProgressBar::new_spinner().with_message(title.clone());
                bar.enable_steady_tick(Duration::from_millis(120));
                self.set_bar(Some(bar));
            }
            BuildEvent::Downloading { done, .. } => {
                if let Ok(Some(bar)) = self.bar.lock().as_deref() {
                    bar.set_position(*done);
                }
            }
            _ => {
                self.set_bar(None);
                if let Some(line) = line(event) {
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }

    fn set_bar(&self, new: Option<ProgressBar>) {
        if let Ok(mut bar) = self.bar.lock() {
            if let Some(old) = bar.take() {
                old.finish_and_clear();
            }
            *bar = new;
        }
    }
}

impl Stage<'_> {
    /// The stage did its work, or (`made` false) found it done.
    pub fn finish(self, made: bool) {
        let event = if made {
            BuildEvent::Finished {
                title: self.title,
                wall_seconds: (self.wall.elapsed().as_secs_f64() * 100.0).round() / 100.0,
                cpu_seconds: ((cpu_seconds() - self.cpu) * 100.0).round() / 100.0,
            }
        } else {
            BuildEvent::Cached { title: self.title }
        };
        self.progress.show(event);
    }
}

impl Bytes<'_> {
    /// So many bytes are there.
    pub fn position(&self, done: u64) {
        let done = done.min(self.total);
        if let Ok(mut shown) = self.shown.lock() {
            // Plain lines once per tenth: a log is not a bar.
            if self.progress.mode == Mode::Bars
                || done * 10 / self.total.max(1) > *shown * 10 / self.total.max(1)
            {
                *shown = done;
                self.progress.show(BuildEvent::Downloading {
                    done,
                    total: self.total,
                });
            }
        }
    }

    /// All bytes are there, or the download failed.
    pub fn finish(self) {
        self.progress.set_bar(None);
    }
}

fn line(event: &BuildEvent) -> Option<String> {
    Some(match event {
        BuildEvent::Started { title } => format!("      {title}"),
        BuildEvent::Cached { title } => format!("cache {title}"),
        BuildEvent::Finished {
            title,
            wall_seconds,
            cpu_seconds,
        } => {
            format!("done  {title} ({wall_seconds:.1} s, {cpu_seconds:.1} s CPU)")
        }
        BuildEvent::Downloading { done, total } => {
            format!(
                "      {} of {} MB",
                done / 1_000_000,
                total.div_ceil(1_000_000)
            )
        }
        BuildEvent::Built { role, path } => format!("built {role}: {path}"),
    })
}

/// User and system time of this process and its ended children, in seconds.
fn cpu_seconds() -> f64 {
    // proc_pid_stat(5): fields 14 to 17, counted in ticks of 1/100 s (the kernel's USER_HZ, fixed on x86). The name in field 2
    // may hold blanks, so counting starts after its closing bracket.
    let text = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

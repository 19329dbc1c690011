//! Tells the depot what happens, from a thread of its own: a slow or absent depot never holds up an install. What was not taken
//! is told again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use depot::client::{CallError, Client};
use depot::wire::Events;
use run::event::{Event, Record};

/// Progress of one step is told at most this often, in milliseconds of the stream.
const PROGRESS: u64 = 1000;
/// Events in one question.
const BATCH: usize = 500;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of an install waits for the depot.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes events now, tells them later.
#[derive(Default)]
pub struct Reporter {
    /// Before the depot was met.
    early: Vec<Record>,
    progress: Option<u64>,
    running: Option<(Sender<Record>, JoinHandle<bool>)>,
}

impl Reporter {
    /// Begins to tell.
    pub fn start(&mut self, client: Client) {
        let (sender, receiver) = channel();
        for record in self.early.drain(..) {
            sender.send(record).ok();
        }
        let thread = std::thread::spawn(move || run(&client, &receiver));
        self.running = Some((sender, thread));
    }

    /// Takes one.
    pub fn tell(&mut self, record: &Record) {
        if matches!(record.event, Event::Progress { .. }) {
            let soon = self
                .progress
                .is_some_and(|last| record.at.saturating_sub(last) < PROGRESS);
            if soon {
                return;
            }
            self.progress = Some(record.at);
        }
        match &self.running {
            Some((sender, _)) => {
                sender.send(record.clone()).ok();
            }
            None => self.early.push(record.clone()),
        }
    }

    /// No more come; waits until all are told, or for as long as is reasonable. Whether all were.
    pub fn end(&mut self) -> bool {
        let Some((sender, thread)) = self.running.take() else {
            return true;
        };
        drop(sender);
        thread.join().unwrap_or(false)
    }
}

fn run(client: &Client, receiver: &Receiver<Record>) -> bool {
    let mut all: Vec<Record> = Vec::new();
    let mut told = 0;
    let mut ended: Option<Instant> = None;
    loop {
        match receiver.recv_timeout(PAUSE) {
            Ok(record) => {
                all.push(record);
                all.extend(receiver.try_iter());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let since = *ended.get_or_insert_with(Instant::now);
                if told >= all.len() {
                    return true;
                }
                if since.elapsed() > PATIENCE {
                    return false;
                }
                std::thread::sleep(PAUSE / 4);
            }
        }
        let next: Vec<Record> = all.iter().skip(told).take(BATCH).cloned().collect();
        if next.is_empty() {
            continue;
        }
        let events = Events {
            from: told as u64,
            records: next,
        };
        match client.events(&events) {
            Ok(have) => told = usize::try_from(have).unwrap_or(told).min(all.len()),
            // The depot was started again and has fewer of them.
            Err(CallError::Refused { status: 409, .. }) => told = 0,
            Err(error) if error.is_temporary() => std::thread::sleep(PAUSE),
            // It does not know this install any more: nobody listens.
            Err(error) => {
                tracing::warn!("{error}");
                return false;
            }
        }
    }
}

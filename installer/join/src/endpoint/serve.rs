//! The sockets of the health endpoint: one thread looks, one takes connections, one answers each.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    answer::answer,
    sample::{Sample, take},
};
use crate::{context::Context, outside::PORT, settings, sql};

/// Between two looks: at least, and at most on a machine where a look takes seconds.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// The same where no server answers: the service manager is asked then, and that nobody is there hurries nobody (a fifth of an emulated
/// machine that waited for its peers; 2026-11-30).
const LONGEST_OFF: Duration = Duration::from_secs(15);
/// Between two looks at the peers, at least.
const PEERS: Duration = Duration::from_secs(2);
/// Connections at a time; more are closed at once.
const MOST: usize = 64;
/// Bytes of a request that are read.
const REQUEST: u64 = 2048;

/// The last look.
struct Look {
    ended: Instant,
    /// The slowest of late: an emulated member's looks took from one to ten seconds, and at each long one after short ones the
    /// balancer cut its clients off (2026-11-30).
    slowest: Duration,
    sample: Sample,
}

impl Look {
    /// How long nothing has been known, beyond what a look and the rest after it take here: on a slow machine each one would be too
    /// old before the next one is there (an emulated member with 20 % of a processor never told its peers anything,
    /// 2026-11-30). A look has a time limit (`sql::LOOK`), so what is taken off has an end.
    fn age(&self) -> Duration {
        self.ended.elapsed().saturating_sub(self.slowest * 2)
    }
}

struct Shared {
    last: Mutex<Option<Look>>,
    /// No other member is synced.
    alone: Mutex<bool>,
    open: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves for ever.
///
/// # Errors
/// The port is taken.
pub fn serve(context: &Context<'_>) -> std::io::Result<()> {
    // Both families where there are two (net.ipv6.bindv6only is 0), else one.
    let listener =
        TcpListener::bind(("::", PORT)).or_else(|_| TcpListener::bind(("0.0.0.0", PORT)))?;
    let shared = Shared {
        last: Mutex::new(None),
        alone: Mutex::new(false),
        open: AtomicUsize::new(0),
    };
    let peers = settings::peers(context.node, &["galera"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session = sql::Session::new(context.system);
            let mut slowest = Duration::ZERO;
            loop {
                let alone = *lock(&shared.alone);
                let began = Instant::now();
                let sample = take(context, &mut session, alone);
                let took = began.elapsed();
                slowest = took.max(slowest * 7 / 8);
                let most = match sample.answers {
                    true => LONGEST_PAUSE,
                    false => LONGEST_OFF,
                };
                *lock(&shared.last) = Some(Look {
                    ended: Instant::now(),
                    slowest,
                    sample,
                });
                thread::sleep(system::rest(PAUSE, most, took));
            }
        });
        if !peers.is_empty() {
            scope.spawn(|| {
                loop {
                    let began = Instant::now();
                    let synced = peers
                        .iter()
                        .filter_map(|peer| context.outside.ask(&peer.address))
                        .any(|told| told.primary && told.state == 4);
                    *lock(&shared.alone) = !synced;
                    thread::sleep(system::rest(PEERS, LONGEST_PAUSE, began.elapsed()));
                }
            });
        }
        for stream in listener.incoming().flatten() {
            if shared.open.fetch_add(1, Ordering::Relaxed) >= MOST {
                shared.open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let shared = &shared;
            scope.spawn(move || {
                if let Err(error) = one(&stream, shared) {
                    tracing::debug!(%error, "connection");
                }
                shared.open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    });
    Ok(())
}

fn one(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let mut reader = BufReader::new(stream.take(REQUEST));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    // The rest of the request is read, so that closing does not reset the connection under the answer.
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let text = {
        let last = lock(&shared.last);
        let age = last.as_ref().map(Look::age).unwrap_or_default();
        let sample = last.as_ref().map(|look| &look.sample);
        answer(request.trim_end(), sample, age).text()
    };
    let mut stream = stream;
    stream.write_all(text.as_bytes())
}

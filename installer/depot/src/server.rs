//! Takes connections. One port for both kinds: the first byte of a TLS connection is 22 (RFC 8446, 5.1), that of an HTTP request
//! a letter. Slow clients, many connections and many of one address cost little: each has a limit.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router, body::Bytes};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::direct;
use crate::line::Line;
use crate::service::{Peer, Service, router};

/// Bytes of a request's head.
pub(crate) const HEAD: usize = 16 << 10;
/// Bytes of a file that are read at once, where they cannot go by sendfile.
const CHUNK: usize = 64 << 10;
/// First byte of TLS.
const HANDSHAKE: u8 = 22;

/// How much one side may ask of the other.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Of one address: a rack behind one address translation still fits.
    pub of_one: usize,
    /// Until the first byte, the handshake, and the head of each request.
    pub patience: Duration,
    /// For who takes nothing, or less than a megabyte of a file in this time.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            of_one: 128,
            patience: Duration::from_secs(10),
            stall: Duration::from_secs(60),
        }
    }
}

/// Serves until the process ends. `more`: routes of others, for the board.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    config: Arc<ServerConfig>,
    more: Router,
) -> std::io::Result<()> {
    serve_within(listener, service, config, more, Limits::default())
}

/// [`serve`] with other limits, for tests and measurements.
///
/// # Errors
/// The listener cannot be used.
pub fn serve_within(
    listener: TcpListener,
    service: Arc<Service>,
    config: Arc<ServerConfig>,
    more: Router,
    limits: Limits,
) -> std::io::Result<()> {
    descriptors();
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let router = router(Arc::clone(&service)).merge(more);
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let depot = Depot {
            service,
            router,
            tls: TlsAcceptor::from(config),
            limits,
        };
        accept(listener, Arc::new(depot)).await
    })
}

/// A process may usually open 1024 files, and as many more as it asks for (getrlimit(2)).
fn descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!("the limit of open files cannot be raised: {error}");
    }
}

/// Serves routes without TLS, on an address that machines are not told.
///
/// # Errors
/// The listener cannot be used.
pub fn serve_plain(listener: TcpListener, router: Router) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = Peer {
                        address,
                        tls: false,
                    };
                    let patience = Limits::default().patience;
                    tokio::spawn(answer(stream, router.clone(), peer, patience));
                }
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    })
}

struct Depot {
    service: Arc<Service>,
    router: Router,
    tls: TlsAcceptor,
    limits: Limits,
}

async fn accept(listener: tokio::net::TcpListener, depot: Arc<Depot>) -> std::io::Result<()> {
    let permits = Arc::new(Semaphore::new(depot.limits.connections));
    let counts = Arc::new(Counts::default());
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return Ok(());
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, for instance: others end soon.
                tracing::warn!("a connection could not be taken: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(place) = counts.enter(address.ip(), depot.limits.of_one) else {
            continue;
        };
        let depot = Arc::clone(&depot);
        tokio::spawn(async move {
            let _held = (permit, place);
            depot.connection(stream, address).await;
        });
    }
}

impl Depot {
    async fn connection(&self, stream: tokio::net::TcpStream, address: std::net::SocketAddr) {
        let Limits {
            patience, stall, ..
        } = self.limits;
        let mut first = [0];
        let Ok(Ok(1)) = tokio::time::timeout(patience, stream.peek(&mut first)).await else {
            return;
        };
        // Small answers at once; large ones fill whole segments anyway.
        let _ = stream.set_nodelay(true);
        let peer = |tls| Peer { address, tls };
        if first == [HANDSHAKE] {
            let handshake = self.tls.accept(Line::new(stream, Vec::new(), stall));
            if let Ok(Ok(stream)) = tokio::time::timeout(patience, handshake).await {
                answer(stream, self.router.clone(), peer(true), patience).await;
            }
        } else if let Some((stream, before)) =
            direct::files(stream, &self.service.objects, &self.limits).await
        {
            let line = Line::new(stream, before, stall);
            answer(line, self.router.clone(), peer(false), patience).await;
        }
    }
}

async fn answer<S>(stream: S, router: Router, peer: Peer, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let app = router.layer(Extension(peer));
    // What the other side does wrong, or a line that breaks, is no news here.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD.max(hyper_least()))
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
        .await;
}

/// hyper refuses smaller buffers by a panic.
const fn hyper_least() -> usize {
    8192
}

/// Connections by address.
#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<IpAddr, usize>>);

/// One of them, until it is dropped.
struct InPlace {
    counts: Arc<Counts>,
    address: IpAddr,
}

impl Counts {
    fn enter(self: &Arc<Self>, address: IpAddr, of_one: usize) -> Option<InPlace> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= of_one {
            return None;
        }
        *count += 1;
        Some(InPlace {
            counts: Arc::clone(self),
            address,
        })
    }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// A part of a file as the body of an answer, read when the last piece was taken: one piece lies in memory for each connection.
/// Reading is not handed to another thread: it comes from the page cache but for the first time, and then is read ahead.
pub(crate) struct FileBody {
    /// The file.
    pub(crate) file: Arc<File>,
    /// Next byte.
    pub(crate) at: u64,
    /// Bytes that are left.
    pub(crate) left: u64,
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut space = vec![0; usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK)];
        let count = match self.file.read_at(&mut space, self.at) {
            // Shorter than it was: the other side must not take it for whole.
            Ok(0) => return Poll::Ready(Some(Err(std::io::ErrorKind::UnexpectedEof.into()))),
            Ok(count) => count,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        space.truncate(count);
        let count = count as u64;
        self.at += count;
        self.left = self.left.saturating_sub(count);
        Poll::Ready(Some(Ok(hyper::body::Frame::data(space.into()))))
    }
}

//! Takes connections. One port for both kinds: the first byte of a TLS connection is 22 (RFC 8446, 5.1), that of an HTTP request
//! a letter. Slow clients, many connections and many of one address cost little: each has a limit.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router, body::Bytes};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, ReadBuf, Take};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::service::{Peer, Service, router};

/// Connections at a time.
const CONNECTIONS: usize = 4096;
/// Of one address: a rack behind one address translation still fits.
const OF_ONE: usize = 128;
/// Until the first byte, the handshake, and the head of each request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const HEAD: usize = 16 << 10;
/// First byte of TLS.
const HANDSHAKE: u8 = 22;

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
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let router = router(service).merge(more);
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        accept(listener, router, TlsAcceptor::from(config)).await
    })
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
                    tokio::spawn(answer(stream, router.clone(), peer));
                }
                Err(error) => {
                    tracing::warn!("a connection could not be taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    })
}

async fn accept(
    listener: tokio::net::TcpListener,
    router: Router,
    tls: TlsAcceptor,
) -> std::io::Result<()> {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
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
        let Some(place) = counts.enter(address.ip()) else {
            continue;
        };
        let (router, tls) = (router.clone(), tls.clone());
        tokio::spawn(async move {
            let _held = (permit, place);
            let mut first = [0];
            let Ok(Ok(1)) = tokio::time::timeout(PATIENCE, stream.peek(&mut first)).await else {
                return;
            };
            // Small answers at once; large ones fill whole segments anyway.
            let _ = stream.set_nodelay(true);
            let peer = |tls| Peer { address, tls };
            if first == [HANDSHAKE] {
                let handshake = tls.accept(stream);
                if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, handshake).await {
                    answer(stream, router, peer(true)).await;
                }
            } else {
                answer(stream, router, peer(false)).await;
            }
        });
    }
}

async fn answer<S>(stream: S, router: Router, peer: Peer)
where
    S: AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let app = router.layer(Extension(peer));
    // What the other side does wrong, or a line that breaks, is no news here.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
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
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<InPlace> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= OF_ONE && !address.is_loopback() {
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

/// A part of a file as the body of an answer: one buffer, filled when the last was taken.
pub struct FileBody {
    file: Take<tokio::fs::File>,
    chunk: usize,
}

impl FileBody {
    /// Of what is left of the file.
    #[must_use]
    pub fn new(file: Take<tokio::fs::File>, chunk: usize) -> Self {
        Self { file, chunk }
    }
}

impl hyper::body::Body for FileBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        let left = usize::try_from(self.file.limit()).unwrap_or(usize::MAX);
        if left == 0 {
            return Poll::Ready(None);
        }
        let mut space = vec![0; self.chunk.min(left)];
        let mut buffer = ReadBuf::new(&mut space);
        match Pin::new(&mut self.file).poll_read(context, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len();
                if count == 0 {
                    // Shorter than it was: the other side must not take it for whole.
                    let error = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                    return Poll::Ready(Some(Err(error)));
                }
                space.truncate(count);
                Poll::Ready(Some(Ok(hyper::body::Frame::data(space.into()))))
            }
        }
    }
}

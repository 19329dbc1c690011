//! Takes connections: TLS, a limit of them, and no patience with who says nothing.

use std::{net::TcpListener, sync::Arc, time::Duration};

use axum::Extension;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use rustls::ServerConfig;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::{
    service::{Peer, Service, router},
    store::Caller,
    tls,
};

/// Connections at a time. Each is one request.
const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST: Duration = Duration::from_secs(30);

/// Where the server's own certificate comes from; asked for each connection, so that a renewed one is used at once.
pub type Config = dyn Fn() -> Option<Arc<ServerConfig>> + Send + Sync;

/// Serves until the process ends.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(
    listener: TcpListener,
    service: Arc<Service>,
    config: Arc<Config>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        let router = router(service);
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
            let (router, config) = (router.clone(), config());
            tokio::spawn(async move {
                let _permit = permit;
                let Some(config) = config else { return };
                let handshake = TlsAcceptor::from(config).accept(stream);
                let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, handshake).await else {
                    return;
                };
                let caller = tls::peer(stream.get_ref().1.peer_certificates()).map(|read| Caller {
                    node: read.name,
                    role: read.role,
                });
                let app = router.layer(Extension(Peer { address, caller }));
                let connection = hyper::server::conn::http1::Builder::new()
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
                let _ = tokio::time::timeout(REQUEST, connection).await;
            });
        }
    })
}

//! The machine's side: over TLS verified by the pin of the cluster's authority, after the clock was looked at.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::wire::{Answer, BODY, Bundle, Events, Have, Health, Hello, Refusal, Secret, Spend};

const CONNECT: Duration = Duration::from_secs(10);
/// Of a whole question.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer; asking again may help.
    #[error("the depot at {host} does not answer: {reason}")]
    Unreachable {
        /// Where.
        host: String,
        /// Why.
        reason: String,
    },
    /// It said no.
    #[error("the depot refuses: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The pin is none.
    #[error("the pin `{0}` is not usable: {1}")]
    Pin(String, String),
}

impl CallError {
    /// Asking again may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            // Too many questions, or a full disk of the depot.
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Pin(..) => false,
        }
    }
}

/// A depot, as one machine sees it.
#[derive(Clone)]
pub struct Client {
    host: String,
    config: Arc<ClientConfig>,
    secret: Secret,
}

impl Client {
    /// `host`: address and port. `pin`: of the cluster's authority.
    ///
    /// # Errors
    /// The pin is not usable.
    pub fn new(host: &str, pin: &str, secret: Secret) -> Result<Self, CallError> {
        let config = authority::tls::pinned(pin)
            .map_err(|error| CallError::Pin(pin.to_owned(), error.to_string()))?;
        Ok(Self {
            host: host.to_owned(),
            config,
            secret,
        })
    }

    /// Where the depot is.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// What an operator compares.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.secret.fingerprint()
    }

    /// Its time of day, seconds since 1970; without TLS, which needs a clock.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn time(&self) -> Result<u64, CallError> {
        let bytes = self.run(&Method::GET, "/v1/time", Bytes::new(), false)?;
        let time: crate::service::Time =
            serde_json::from_slice(&bytes).map_err(|error| self.unreachable(&error))?;
        Ok(time.now)
    }

    /// Says hello.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn hello(&self, hello: &Hello) -> Result<Answer, CallError> {
        self.call("/v1/hello", hello)
    }

    /// Spends the permit.
    ///
    /// # Errors
    /// See [`CallError`]. Unless it is temporary, nothing may be written.
    pub fn spend(&self, spend: &Spend) -> Result<(), CallError> {
        self.send("/v1/spend", spend)
    }

    /// Tells events; gives how many the depot has.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn events(&self, events: &Events) -> Result<u64, CallError> {
        self.call("/v1/events", events).map(|have: Have| have.have)
    }

    /// Leaves a failure bundle.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn bundle(&self, bundle: &Bundle) -> Result<(), CallError> {
        self.send("/v1/bundle", bundle)
    }

    /// Says how the installed machine is.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn health(&self, health: &Health) -> Result<(), CallError> {
        self.send("/v1/health", health)
    }

    fn call<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreachable(&error))?;
        let bytes = self.run(&Method::POST, path, Bytes::from(body), true)?;
        serde_json::from_slice(&bytes).map_err(|error| self.unreachable(&error))
    }

    fn send(&self, path: &str, body: &impl Serialize) -> Result<(), CallError> {
        let body = serde_json::to_vec(body).map_err(|error| self.unreachable(&error))?;
        self.run(&Method::POST, path, Bytes::from(body), true)
            .map(drop)
    }

    fn unreachable(&self, reason: &dyn std::fmt::Display) -> CallError {
        CallError::Unreachable {
            host: self.host.clone(),
            reason: reason.to_string(),
        }
    }

    fn run(&self, method: &Method, path: &str, body: Bytes, tls: bool) -> Result<Bytes, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| self.unreachable(&error))?;
        let asked = self.ask(method, path, body, tls);
        let answer = runtime
            .block_on(async { tokio::time::timeout(ANSWER, asked).await })
            .map_err(|_| self.unreachable(&"it takes too long"))?;
        let (status, bytes) = answer.map_err(|reason| self.unreachable(&reason))?;
        if status.is_success() {
            return Ok(bytes);
        }
        let message = serde_json::from_slice(&bytes).map_or_else(
            |_| format!("it answered {status}"),
            |refusal: Refusal| refusal.message,
        );
        Err(CallError::Refused {
            status: status.as_u16(),
            message,
        })
    }

    async fn ask(
        &self,
        method: &Method,
        path: &str,
        body: Bytes,
        tls: bool,
    ) -> Result<(StatusCode, Bytes), String> {
        let addresses: Vec<SocketAddr> = self
            .host
            .to_socket_addrs()
            .map_err(|error| error.to_string())?
            .collect();
        let connect = tokio::net::TcpStream::connect(addresses.as_slice());
        let stream = tokio::time::timeout(CONNECT, connect)
            .await
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.host)
            .header("content-type", "application/json");
        if !tls {
            let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
            return exchange(stream, request).await;
        }
        let request = request
            .header("authorization", format!("Bearer {}", *self.secret.text()))
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        // The certificate is the depot's by its name: addresses of a workstation change.
        let name = ServerName::try_from(NAME).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        let peer = authority::tls::peer(stream.get_ref().1.peer_certificates());
        // Every machine has a certificate of the cluster; only a depot may speak for the depot.
        if peer.is_none_or(|peer| peer.role != NAME) {
            return Err("it is no depot".into());
        }
        exchange(stream, request).await
    }
}

/// Name and role in a depot's certificate.
pub const NAME: &str = "depot";

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), BODY)
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    driver.abort();
    Ok((status, body.to_bytes()))
}

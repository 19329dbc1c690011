//! The side of a machine: asks the control servers, one after the other, and takes the answer of the one that decides.
//!
//! hyper and not reqwest: reqwest with rustls switches every client of the program, that of the node file too, to TLS with a
//! process-wide provider and the host's certificates, which the appliance has no use for.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes};
use hyper_util::rt::TokioIo;
use join::claims::{Bootstrap, ClaimError, Claims, Epoch};
use rustls::{ClientConfig, pki_types::ServerName};
use serde::{Serialize, de::DeserializeOwned};
use tokio_rustls::TlsConnector;

use crate::{
    tls,
    wire::{Answer, Claim, Enrol, Issued, Promote, Refusal, Renew, Standing},
};

const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of an answer: a log of ten thousand records and a whole state fit.
const LIMIT: usize = 64 << 20;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No control server answered; what each said.
    #[error("no control server answers: {0}")]
    Unreachable(String),
    /// One answered, and said no.
    #[error("{}", .0.message)]
    Refused(Refusal),
}

/// The control servers, as one machine sees them.
#[derive(Clone)]
pub struct Client {
    servers: Vec<SocketAddr>,
    config: Arc<ClientConfig>,
}

impl Client {
    /// `servers`: addresses of the control servers, the one that is tried first first.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, config: Arc<ClientConfig>) -> Self {
        Self { servers, config }
    }

    /// The first certificate.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn enrol(&self, enrol: &Enrol) -> Result<Issued, CallError> {
        self.call(&Method::POST, "/v1/enrol", Some(enrol))
    }

    /// The next certificate.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn renew(&self, renew: &Renew) -> Result<Issued, CallError> {
        self.call(&Method::POST, "/v1/renew", Some(renew))
    }

    /// Decides on a claim.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn claim(&self, claim: &Claim) -> Result<Answer, CallError> {
        self.call(&Method::POST, "/v1/claim", Some(claim))
    }

    /// Something that is only read: `/v1/state`, `/v1/secrets`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(&Method::GET, path, None::<&()>)
    }

    /// How the first server that answers stands.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn standing(&self) -> Result<Standing, CallError> {
        self.get("/v1/standing")
    }

    /// Makes the server the active one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn promote(&self, promote: &Promote) -> Result<Standing, CallError> {
        self.call(&Method::POST, "/v1/promote", Some(promote))
    }

    /// Lines of the log.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn log(&self, path: &str) -> Result<String, CallError> {
        let bytes = self.bytes(&Method::GET, path, Bytes::new())?;
        String::from_utf8(bytes.to_vec()).map_err(|_| garbled())
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, CallError> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|_| garbled())?.unwrap_or_default();
        let answer = self.bytes(method, path, Bytes::from(body))?;
        serde_json::from_slice(&answer).map_err(|_| garbled())
    }

    fn bytes(&self, method: &Method, path: &str, body: Bytes) -> Result<Bytes, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CallError::Unreachable(error.to_string()))?;
        let mut said = Vec::new();
        for server in &self.servers {
            let asked = self.ask(*server, method, path, body.clone());
            let answer = runtime.block_on(async {
                match tokio::time::timeout(ANSWER + Duration::from_secs(20), asked).await {
                    Ok(answer) => answer,
                    Err(_) => Err("it takes too long".to_owned()),
                }
            });
            match answer {
                Ok((StatusCode::OK, bytes)) => return Ok(bytes),
                Ok((status, bytes)) => {
                    let refusal = serde_json::from_slice(&bytes).unwrap_or_else(|_| Refusal {
                        reason: "form".into(),
                        message: format!("the control server answered {status}"),
                    });
                    // The one that decides may be the next.
                    if refusal.reason != "standby" && status != StatusCode::SERVICE_UNAVAILABLE {
                        return Err(CallError::Refused(refusal));
                    }
                    said.push(format!("{server}: {}", refusal.message));
                }
                Err(error) => said.push(format!("{server}: {error}")),
            }
        }
        if said.is_empty() {
            said.push("the node file names none".into());
        }
        Err(CallError::Unreachable(said.join("; ")))
    }

    async fn ask(
        &self,
        server: SocketAddr,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        let connect = tokio::net::TcpStream::connect(server);
        let stream = tokio::time::timeout(CONNECT, connect)
            .await
            .map_err(|_| "no answer".to_owned())?
            .map_err(|error| error.to_string())?;
        let name = ServerName::from(server.ip());
        let stream = TlsConnector::from(Arc::clone(&self.config))
            .connect(name, stream)
            .await
            .map_err(|error| error.to_string())?;
        // Every machine has a certificate of the cluster; only control servers may speak for the authority.
        let peer = tls::peer(stream.get_ref().1.peer_certificates());
        if peer.is_none_or(|peer| peer.role != "control") {
            return Err("it is no control server".into());
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", server.to_string())
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let answer = sender
            .send_request(request)
            .await
            .map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LIMIT)
            .collect()
            .await
            .map_err(|error| error.to_string())?;
        driver.abort();
        Ok((status, body.to_bytes()))
    }
}

fn garbled() -> CallError {
    CallError::Unreachable("the answer of the control server is not understood".into())
}

/// Claims of this machine, kept by the control servers. Who claims is in the certificate: `node` is not sent.
pub struct Remote(pub Client);

impl Remote {
    fn ask(&self, claim: &Claim) -> Result<Answer, ClaimError> {
        self.0
            .claim(claim)
            .map_err(|error| ClaimError::Unreachable(error.to_string()))
    }
}

fn unexpected(answer: &Answer) -> ClaimError {
    ClaimError::Unreachable(format!("an answer that does not belong here: {answer:?}"))
}

impl Claims for Remote {
    fn take_bootstrap(&self, cluster: &str, _node: &str) -> Result<Bootstrap, ClaimError> {
        let cluster = cluster.to_owned();
        match self.ask(&Claim::TakeBootstrap { cluster })? {
            Answer::Granted => Ok(Bootstrap::Granted),
            Answer::HeldBy { node } => Ok(Bootstrap::HeldBy(node)),
            Answer::Spent { by, uuid } => Ok(Bootstrap::Spent { by, uuid }),
            other => Err(unexpected(&other)),
        }
    }

    fn spend_bootstrap(&self, cluster: &str, node: &str, uuid: &str) -> Result<(), ClaimError> {
        let claim = Claim::SpendBootstrap {
            cluster: cluster.to_owned(),
            uuid: uuid.to_owned(),
        };
        match self.ask(&claim)? {
            Answer::Done => Ok(()),
            Answer::NotHeld => Err(ClaimError::NotHeld {
                cluster: cluster.to_owned(),
                node: node.to_owned(),
            }),
            other => Err(unexpected(&other)),
        }
    }

    fn lease(&self, what: &str, _node: &str, seconds: u64) -> Result<bool, ClaimError> {
        let what = what.to_owned();
        match self.ask(&Claim::Lease { what, seconds })? {
            Answer::Lease { granted } => Ok(granted),
            other => Err(unexpected(&other)),
        }
    }

    fn release(&self, what: &str, _node: &str) -> Result<(), ClaimError> {
        let what = what.to_owned();
        self.ask(&Claim::Release { what }).map(|_| ())
    }

    fn epoch(&self, resource: &str) -> Result<Epoch, ClaimError> {
        let resource = resource.to_owned();
        match self.ask(&Claim::Epoch { resource })? {
            Answer::Epoch { number, owner } => Ok(Epoch { number, owner }),
            other => Err(unexpected(&other)),
        }
    }

    fn raise_epoch(&self, resource: &str, from: u64, owner: &str) -> Result<Epoch, ClaimError> {
        let claim = Claim::RaiseEpoch {
            resource: resource.to_owned(),
            from,
            owner: owner.to_owned(),
        };
        match self.ask(&claim)? {
            Answer::Epoch { number, owner } => Ok(Epoch { number, owner }),
            Answer::Changed { number } => Err(ClaimError::Epoch {
                resource: resource.to_owned(),
                from,
                is: number,
            }),
            other => Err(unexpected(&other)),
        }
    }

    fn report(&self, _node: &str, state: &str, detail: &str) -> Result<(), ClaimError> {
        let claim = Claim::Report {
            state: state.to_owned(),
            detail: detail.to_owned(),
        };
        self.ask(&claim).map(|_| ())
    }
}

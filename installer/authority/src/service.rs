//! What the control servers answer. Enrolling needs a token; everything else a certificate, whose name is the caller's name.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use identity::{Authority, IdentityError, Machine, Token, TokenKey, Validity};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{
    now,
    store::{Caller, Store, StoreError},
    wire::{BODY, Claim, Delivered, Enrol, Issued, Known, Promote, Refusal, Renew, Standing},
};

/// Enrolments that one address may fail in a minute.
const FAILURES: u32 = 10;
/// Addresses that are remembered for that.
const ADDRESSES: usize = 4096;

/// Secrets of a machine, by purpose; absent if nothing is known of it.
pub type Secrets = dyn Fn(&str) -> Option<BTreeMap<String, String>> + Send + Sync;

/// One control server.
pub struct Service {
    /// Claims.
    pub store: Arc<Store>,
    /// Issues certificates.
    pub authority: Authority,
    /// Checks tokens.
    pub tokens: TokenKey,
    /// The machines of the plan, by name.
    pub machines: BTreeMap<String, Machine>,
    /// Secrets that are delivered over the wire.
    pub secrets: Box<Secrets>,
    /// Failed enrolments by address: count, and since when.
    pub failures: Mutex<BTreeMap<IpAddr, (u32, u64)>>,
    /// When each machine last said something, in seconds since 1970. In memory: a restart forgets it for a minute.
    pub heard: Mutex<BTreeMap<String, u64>>,
}

/// The other side of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// From its certificate, where it has one.
    pub caller: Option<Caller>,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("a certificate of this cluster is needed")]
    NoCertificate,
    #[error("`{node}` as `{role}` is not in the plan of this cluster")]
    Unknown { node: String, role: String },
    #[error("only control servers may ask for this")]
    NotControl,
    #[error("too many failed attempts from this address\nhint: try again in a minute")]
    TooMany,
    #[error("the request is not understood: {0}")]
    Form(String),
    #[error("the histories differ, or this one begins later")]
    Diverged,
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the request could not be worked on")]
    Internal,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, reason) = match &self {
            Self::NoCertificate => (StatusCode::UNAUTHORIZED, "certificate"),
            Self::Unknown { .. } => (StatusCode::FORBIDDEN, "unknown"),
            Self::NotControl => (StatusCode::FORBIDDEN, "role"),
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "rate"),
            Self::Form(_) => (StatusCode::BAD_REQUEST, "form"),
            Self::Diverged => (StatusCode::CONFLICT, "diverged"),
            Self::Identity(error) => match error {
                IdentityError::TokenExpired { .. } => (StatusCode::FORBIDDEN, "token-expired"),
                IdentityError::TokenOther { .. } | IdentityError::TokenForm => {
                    (StatusCode::FORBIDDEN, "token")
                }
                _ => (StatusCode::BAD_REQUEST, "request"),
            },
            Self::Store(error) => match error {
                StoreError::Standby { .. } => (StatusCode::SERVICE_UNAVAILABLE, "standby"),
                StoreError::TokenSpent { .. } => (StatusCode::FORBIDDEN, "token-spent"),
                StoreError::NotYours { .. } => (StatusCode::FORBIDDEN, "role"),
                StoreError::Name { .. } => (StatusCode::BAD_REQUEST, "form"),
                StoreError::Log(_) => (StatusCode::SERVICE_UNAVAILABLE, "store"),
            },
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        let refusal = Refusal {
            reason: reason.to_owned(),
            message: self.to_string(),
        };
        (status, Json(refusal)).into_response()
    }
}

type Shared = State<Arc<Service>>;

/// All that can be asked.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/enrol", post(enrol))
        .route("/v1/renew", post(renew))
        .route("/v1/claim", post(claim))
        .route("/v1/secrets", get(secrets))
        .route("/v1/state", get(state))
        .route("/v1/standing", get(standing))
        .route("/v1/promote", post(promote))
        .route("/v1/log", get(log))
        .route("/v1/log/whole", get(whole_log))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(service)
}

/// Runs what touches the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Refused::Internal))
}

fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::Form(error.to_string()))
}

fn caller(peer: &Peer) -> Result<Caller, Refused> {
    peer.caller.clone().ok_or(Refused::NoCertificate)
}

async fn enrol(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Issued>, Refused> {
    let address = peer.address.ip();
    service.may_try(address, now())?;
    let worker = Arc::clone(&service);
    let enrolled = blocking(move || worker.enrol(&read(&body)?, now())).await;
    // Another server decides, or the disk is full: nobody guessed.
    let guessed = |error: &Refused| {
        !matches!(
            error,
            Refused::Store(StoreError::Standby { .. } | StoreError::Log(_)) | Refused::Internal
        )
    };
    if let Err(error) = &enrolled {
        tracing::warn!("enrolment from {address} refused: {error}");
        if guessed(error) {
            service.failed(address, now());
        }
    }
    enrolled.map(Json)
}

async fn renew(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Issued>, Refused> {
    let caller = caller(&peer)?;
    blocking(move || service.renew(&caller, &read(&body)?, now()))
        .await
        .map(Json)
}

async fn claim(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Response, Refused> {
    let caller = caller(&peer)?;
    blocking(move || {
        let claim: Claim = read(&body)?;
        service.known(&caller)?;
        let answer = service.store.claim(now(), &caller, claim)?;
        let mut heard = service.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(caller.node.clone(), now());
        drop(heard);
        Ok(Json(answer).into_response())
    })
    .await
}

async fn secrets(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Delivered>, Refused> {
    let caller = caller(&peer)?;
    blocking(move || {
        service.known(&caller)?;
        let found = (service.secrets)(&caller.node).unwrap_or_default();
        Ok(Json(Delivered(found)))
    })
    .await
}

/// Without the digests of tokens, which are nobody's business.
async fn state(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Known>, Refused> {
    caller(&peer)?;
    let mut state = service.store.state();
    state.tokens.clear();
    let heard = service.heard.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Json(Known {
        now: now(),
        heard: heard.clone(),
        state,
    }))
}

async fn standing(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
) -> Result<Json<Standing>, Refused> {
    caller(&peer)?;
    Ok(Json(service.store.standing(now())))
}

/// Whether the other one is off, whoever promotes has seen to.
async fn promote(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    body: Bytes,
) -> Result<Json<Standing>, Refused> {
    control(&peer)?;
    blocking(move || {
        let promote: Promote = read(&body)?;
        let epoch = service.store.promote(now(), promote.above)?;
        tracing::warn!("promoted: this is the active control server, epoch {epoch}");
        Ok(Json(service.store.standing(now())))
    })
    .await
}

#[derive(Deserialize)]
struct From {
    record: u64,
    digest: String,
}

async fn log(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    from: Query<From>,
) -> Result<String, Refused> {
    control(&peer)?;
    service
        .store
        .lines_after(from.record, &from.digest)
        .ok_or(Refused::Diverged)
}

async fn whole_log(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
) -> Result<String, Refused> {
    control(&peer)?;
    Ok(service.store.all_lines())
}

fn control(peer: &Peer) -> Result<(), Refused> {
    if caller(peer)?.role == "control" {
        Ok(())
    } else {
        Err(Refused::NotControl)
    }
}

impl Service {
    fn machine(&self, node: &str, role: &str) -> Result<&Machine, Refused> {
        let machine = self.machines.get(node).filter(|known| known.role == role);
        machine.ok_or_else(|| Refused::Unknown {
            node: node.to_owned(),
            role: role.to_owned(),
        })
    }

    /// A machine that left the plan claims nothing more, whatever its certificate says.
    fn known(&self, caller: &Caller) -> Result<(), Refused> {
        self.machine(&caller.node, &caller.role).map(|_| ())
    }

    fn issued(&self, certificate: String) -> Issued {
        Issued {
            certificate,
            authority: self.authority.certificate(),
        }
    }

    fn enrol(&self, enrol: &Enrol, now: u64) -> Result<Issued, Refused> {
        let token = Token::parse(&enrol.token)?;
        self.tokens.check(&token, &enrol.node, &enrol.role, now)?;
        let machine = self.machine(&enrol.node, &enrol.role)?;
        let certificate = self.sign(machine, &enrol.request, now)?;
        // Only now: a request that cannot be signed spends nothing.
        let read = identity::Certificate::parse(&certificate)?;
        let key = hex::encode(Sha256::digest(read.public_key()));
        self.store
            .spend_token(now, &enrol.node, &token.digest(), &key)?;
        Ok(self.issued(certificate))
    }

    fn renew(&self, caller: &Caller, renew: &Renew, now: u64) -> Result<Issued, Refused> {
        let machine = self.machine(&caller.node, &caller.role)?;
        let certificate = self.sign(machine, &renew.request, now)?;
        self.store.renewed(now, &caller.node)?;
        Ok(self.issued(certificate))
    }

    fn sign(&self, machine: &Machine, request: &str, now: u64) -> Result<String, Refused> {
        let validity = Validity::issued_at(i64::try_from(now).unwrap_or(i64::MAX));
        Ok(self.authority.sign(machine, request, validity)?)
    }

    fn may_try(&self, address: IpAddr, now: u64) -> Result<(), Refused> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(&address) {
            Some((count, since)) if *count >= FAILURES && now.saturating_sub(*since) < 60 => {
                Err(Refused::TooMany)
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, address: IpAddr, now: u64) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES {
            failures.retain(|_, (_, since)| now.saturating_sub(*since) < 60);
        }
        let entry = failures.entry(address).or_insert((0, now));
        if now.saturating_sub(entry.1) >= 60 {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

//! What can be asked, by whom. Without TLS only what is no secret; over TLS a machine's own things, to the machine that shows
//! the secret of its fingerprint.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::Semaphore;

use crate::objects::{Objects, Reply};
use crate::record::Permit;
use crate::server::FileBody;
use crate::store::{Met, Refused, Store};
use crate::wire::{self, Answer, Bundle, Delivered, Events, Have, Health, Hello, Refusal, Spend};
use crate::{script, view};

/// Hellos of one address in a minute.
const HELLOS: u32 = 60;
/// Addresses that are remembered for that.
const ADDRESSES: usize = 4096;
/// Bytes of what a machine that was not taken for any may say, and of all short messages.
const SHORT: usize = 64 << 10;
/// For the body of a request to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Long bodies that are read at a time: what they can take of memory.
const LONG: usize = 32;

/// What a machine gets: made when it is asked for, so that nothing lies about.
pub type Deliver = dyn Fn(&str, &Permit) -> Result<Delivered, String> + Send + Sync;

/// One depot.
pub struct Service {
    /// What is remembered.
    pub store: Arc<Store>,
    /// What may be fetched.
    pub objects: Objects,
    /// Boot loaders by name, for firmware that fetches them by HTTP.
    pub loaders: BTreeMap<String, Bytes>,
    /// Node files and secrets.
    pub deliver: Box<Deliver>,
    /// Where machines reach it: `10.77.10.11:9211`.
    pub host: String,
    /// Caches by rack, `10.77.12.5:80`: where a rack's machines fetch files first.
    pub caches: BTreeMap<String, String>,
    /// Pin of the cluster's authority.
    pub pin: String,
    /// `console=` words of the installer's kernel, the last one gets its messages.
    pub consoles: Vec<String>,
    /// What who asked for, so that nobody asks for too much.
    pub counters: Counters,
}

/// Who asked how often, and how much is read at this moment.
pub struct Counters {
    /// Hellos by address: count, and since when.
    hellos: Mutex<BTreeMap<IpAddr, (u32, u64)>>,
    /// Long bodies that may be read.
    long: Semaphore,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            hellos: Mutex::default(),
            long: Semaphore::new(LONG),
        }
    }
}

/// The other side of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The connection is encrypted.
    pub tls: bool,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
enum No {
    #[error("nothing is here")]
    NotFound,
    #[error("this is answered over TLS only")]
    Plain,
    #[error("the request is not understood: {0}")]
    Form(String),
    #[error("the request is longer than {0} bytes")]
    TooLong(usize),
    #[error("the request did not arrive in time")]
    Slow,
    #[error("too many questions from this address\nhint: try again in a minute")]
    TooMany,
    #[error("the node file cannot be made: {0}")]
    Deliver(String),
    #[error(transparent)]
    Store(#[from] Refused),
    #[error("the request could not be worked on")]
    Internal,
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Plain => StatusCode::UPGRADE_REQUIRED,
            Self::Form(_) => StatusCode::BAD_REQUEST,
            Self::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(Refused::Log(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(Refused::Gap(_)) => StatusCode::CONFLICT,
            Self::Store(_) => StatusCode::FORBIDDEN,
            Self::Deliver(_) | Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = self.to_string();
        (status, Json(Refusal { message })).into_response()
    }
}

type Shared = State<Arc<Service>>;

/// All that can be asked. There is no list of what is there.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/boot.ipxe", get(first))
        .route("/boot/machine.ipxe", get(machine))
        .route("/boot/{name}", get(loader))
        .route("/objects/{sha256}/{name}", get(object))
        .route("/v1/time", get(time))
        .route("/v1/hello", post(hello))
        .route("/v1/spend", post(spend))
        .route("/v1/events", post(events))
        .route("/v1/bundle", post(bundle))
        .route("/v1/health", post(health))
        .fallback(async || No::NotFound)
        .layer(DefaultBodyLimit::max(wire::BODY))
        .with_state(service)
}

/// Runs what touches the disk where it holds up nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, No> + Send + 'static,
) -> Result<T, No> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(No::Internal))
}

/// What a machine says: all of it in time, and no longer than it may be.
async fn read<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, No> {
    let body = axum::body::to_bytes(body, most);
    let bytes = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            return Err(match std::error::Error::source(&error) {
                Some(cause) if cause.is::<http_body_util::LengthLimitError>() => No::TooLong(most),
                _ => No::Form(error.to_string()),
            });
        }
        Err(_) => return Err(No::Slow),
    };
    serde_json::from_slice(&bytes).map_err(|error| No::Form(error.to_string()))
}

/// The same of events and bundles, which are long: only of machines that are known, and of a few at a time.
async fn read_long<T: DeserializeOwned>(
    service: &Service,
    fingerprint: &str,
    body: Body,
) -> Result<T, No> {
    if !service.store.knows(fingerprint) {
        return Err(Refused::Unknown.into());
    }
    let _place = service
        .counters
        .long
        .acquire()
        .await
        .map_err(|_| No::Internal)?;
    read(body, wire::BODY).await
}

/// Fingerprint of who asks, over TLS.
fn fingerprint(peer: Peer, headers: &HeaderMap) -> Result<String, No> {
    if !peer.tls {
        return Err(No::Plain);
    }
    let secret = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .and_then(wire::Secret::parse)
        .ok_or_else(|| No::Form("no secret of a machine".into()))?;
    Ok(secret.fingerprint())
}

fn text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

async fn first(State(service): Shared) -> Response {
    text(script::first(&format!("http://{}", service.host)))
}

/// Who has a permit is booted into its installer. To everybody else the answer is the same: the local disk.
async fn machine(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let found = script::facts(&query);
    let version = service
        .loaders
        .get(crate::dhcp::UEFI)
        .and_then(|loader| script::version(loader));
    let made = service.store.recognise(&found).and_then(|known| {
        if !service.store.may_install(authority::now(), &known.node) {
            return None;
        }
        let image = service.objects.image(&known.role);
        if image.is_none() {
            tracing::warn!(
                "`{}` may be installed, but there is no image of role `{}`",
                known.node,
                known.role
            );
        }
        let made = script::install(
            &known.node,
            image?,
            version.as_deref(),
            &service.host,
            known
                .place
                .as_ref()
                .and_then(|place| service.caches.get(&place.rack))
                .map(String::as_str),
            &service.pin,
            &service.consoles,
        )?;
        tracing::info!(
            "{}: `{}` boots its installer",
            peer.address.ip(),
            known.node
        );
        Some(made)
    });
    text(made.unwrap_or_else(|| {
        // Escaped: what a machine says of itself may be anything.
        tracing::info!(
            "{}: board {:?} starts its disk",
            peer.address.ip(),
            found.serial.as_deref().unwrap_or("unknown")
        );
        script::local()
    }))
}

async fn loader(State(service): Shared, Path(name): Path<String>) -> Result<Response, No> {
    let loader = service.loaders.get(&name).cloned().ok_or(No::NotFound)?;
    // UEFI asks for this type (UEFI 2.10, 24.7.3.2).
    Ok(([(header::CONTENT_TYPE, "application/efi")], loader).into_response())
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Time {
    /// Seconds since 1970.
    pub(crate) now: u64,
}

async fn time() -> Json<Time> {
    Json(Time {
        now: authority::now(),
    })
}

async fn object(
    State(service): Shared,
    Path((sha256, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, No> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &header::HeaderValue| value.to_str().ok())
    };
    // What cannot be read is another file's.
    let if_range = headers
        .get(header::IF_RANGE)
        .map(|value| value.to_str().unwrap_or_default());
    let reply = service
        .objects
        .reply(&sha256, &name, text(header::RANGE), if_range);
    let Reply {
        status,
        headers,
        file,
        from,
        length,
    } = reply.ok_or(No::NotFound)?;
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(name, value);
    }
    let body = FileBody {
        file,
        at: from,
        left: length,
    };
    answer.body(Body::new(body)).map_err(|_| No::Internal)
}

async fn hello(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, No> {
    let fingerprint = fingerprint(peer, &headers)?;
    let now = authority::now();
    service.count(peer.address.ip(), now)?;
    let hello: Hello = read(body, SHORT).await?;
    blocking(move || {
        let from = peer.address.ip().to_string();
        match service.store.hello(now, &fingerprint, &hello, &from)? {
            Met::Wait => Ok(Json(Answer::Wait)),
            Met::Granted { node, permit } => {
                let delivered = (service.deliver)(&node, &permit).map_err(No::Deliver)?;
                tracing::info!("`{node}` has its node file");
                Ok(Json(Answer::Granted(delivered)))
            }
        }
    })
    .await
}

async fn spend(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, No> {
    let fingerprint = fingerprint(peer, &headers)?;
    let spend: Spend = read(body, SHORT).await?;
    blocking(move || {
        service
            .store
            .spend(authority::now(), &fingerprint, &spend)?;
        tracing::info!("the permit `{}` is spent", spend.permit);
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

async fn events(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Have>, No> {
    let fingerprint = fingerprint(peer, &headers)?;
    let events: Events = read_long(&service, &fingerprint, body).await?;
    blocking(move || {
        let have = service
            .store
            .events(authority::now(), &fingerprint, &events)?;
        Ok(Json(Have { have }))
    })
    .await
}

async fn bundle(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, No> {
    let fingerprint = fingerprint(peer, &headers)?;
    let bundle: Bundle = read_long(&service, &fingerprint, body).await?;
    blocking(move || {
        service
            .store
            .bundle(authority::now(), &fingerprint, &bundle)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

async fn health(
    State(service): Shared,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, No> {
    let fingerprint = fingerprint(peer, &headers)?;
    let health: Health = read(body, SHORT).await?;
    blocking(move || {
        service
            .store
            .health(authority::now(), &fingerprint, &health)?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

impl Service {
    /// Counts a hello.
    fn count(&self, address: IpAddr, now: u64) -> Result<(), No> {
        let mut hellos = self
            .counters
            .hellos
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if hellos.len() >= ADDRESSES {
            hellos.retain(|_, (_, since)| now.saturating_sub(*since) < 60);
        }
        if hellos.len() >= ADDRESSES && !hellos.contains_key(&address) {
            return Err(No::TooMany);
        }
        let (count, since) = hellos.entry(address).or_insert((0, now));
        if now.saturating_sub(*since) >= 60 {
            (*count, *since) = (0, now);
        }
        *count += 1;
        if *count > HELLOS {
            Err(No::TooMany)
        } else {
            Ok(())
        }
    }

    /// All of it, for people.
    #[must_use]
    pub fn rack(&self) -> view::Rack {
        self.store.rack(authority::now())
    }
}

//! A control server as a whole: its part of the log, its service, and the look at the other control server.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use camino::Utf8Path;
use identity::{Authority, Machine, TokenKey};
use join::claims::{Bootstrap, ClaimError, Claims, Epoch};
use roles::NodeFile;
use rustls::ServerConfig;

use crate::{
    PORT,
    client::{CallError, Client, Remote},
    enrol, follow,
    server::serve,
    service::Service,
    store::Store,
    tls::{self, Identity, TlsError},
    wire::{Enrol, Issued, Renew},
};

/// Claims of the cluster.
pub const STORE: &str = "/state/authority";
/// Secrets that machines without sealed files get over the wire, one folder for each machine.
pub const SECRETS: &str = "/state/authority/secrets";
/// The identity on the disk is read again after this long: a renewed one is then in use.
const FRESH: Duration = Duration::from_secs(600);
/// Between two looks at the other control server.
const LOOK: Duration = Duration::from_secs(1);

/// Why a control server does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The role is another.
    #[error("`{0}` is no control server")]
    Role(String),
    /// The node file says nothing of an authority.
    #[error("the node file has no `[authority]`\nhint: it must come from `rackwright compile`")]
    NoAuthority,
    /// Disk.
    #[error(transparent)]
    Log(#[from] crate::log::LogError),
    /// Certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Authority.
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    /// Port.
    #[error("port {PORT}: {0}")]
    Io(#[from] std::io::Error),
}

/// The machines that the node file lists.
#[must_use]
pub fn machines(node: &NodeFile) -> BTreeMap<String, Machine> {
    let listed = node.hosts.iter().filter_map(|host| {
        let machine = Machine {
            name: host.name.clone(),
            role: host.role.clone()?,
            domain: node.domain.clone(),
            addresses: host
                .addresses
                .values()
                .filter_map(|address| address.parse().ok())
                .collect(),
        };
        Some((machine.name.clone(), machine))
    });
    listed.collect()
}

/// Control servers of the node file other than this machine.
#[must_use]
pub fn others(node: &NodeFile) -> Vec<SocketAddr> {
    let own = enrol::machine(node).addresses;
    let servers = node.authority.iter().flat_map(|said| &said.servers);
    servers
        .filter_map(|text| text.parse::<IpAddr>().ok())
        .filter(|address| !own.contains(address))
        .map(|address| SocketAddr::new(address, PORT))
        .collect()
}

/// All control servers of a node file.
#[must_use]
pub fn servers(authority: &roles::node::Authority) -> Vec<SocketAddr> {
    let addresses = authority
        .servers
        .iter()
        .filter_map(|text| text.parse().ok());
    addresses
        .map(|address: IpAddr| SocketAddr::new(address, PORT))
        .collect()
}

/// A client of the control servers with the identity of this machine.
///
/// # Errors
/// The identity cannot be read.
pub fn client(servers: Vec<SocketAddr>, identity: &Utf8Path) -> Result<Client, TlsError> {
    let config = tls::client(&Identity::read(identity)?)?;
    Ok(Client::new(servers, config))
}

/// Claims of this machine. The identity is read for each: it may come while a join waits.
#[derive(Debug, Clone)]
pub struct Own(pub Vec<SocketAddr>);

impl Own {
    fn ask<T>(&self, ask: impl FnOnce(&Remote) -> Result<T, ClaimError>) -> Result<T, ClaimError> {
        match client(self.0.clone(), Utf8Path::new(enrol::FOLDER)) {
            Ok(client) => ask(&Remote(client)),
            Err(error) => Err(ClaimError::Unreachable(error.to_string())),
        }
    }
}

impl Claims for Own {
    fn take_bootstrap(&self, cluster: &str, node: &str) -> Result<Bootstrap, ClaimError> {
        self.ask(|remote| remote.take_bootstrap(cluster, node))
    }
    fn spend_bootstrap(&self, cluster: &str, node: &str, uuid: &str) -> Result<(), ClaimError> {
        self.ask(|remote| remote.spend_bootstrap(cluster, node, uuid))
    }
    fn lease(&self, what: &str, node: &str, seconds: u64) -> Result<bool, ClaimError> {
        self.ask(|remote| remote.lease(what, node, seconds))
    }
    fn release(&self, what: &str, node: &str) -> Result<(), ClaimError> {
        self.ask(|remote| remote.release(what, node))
    }
    fn epoch(&self, resource: &str) -> Result<Epoch, ClaimError> {
        self.ask(|remote| remote.epoch(resource))
    }
    fn raise_epoch(&self, resource: &str, from: u64, owner: &str) -> Result<Epoch, ClaimError> {
        self.ask(|remote| remote.raise_epoch(resource, from, owner))
    }
    fn report(&self, node: &str, state: &str, detail: &str) -> Result<(), ClaimError> {
        self.ask(|remote| remote.report(node, state, detail))
    }
}

/// Asks over the wire.
pub struct Wire;

impl enrol::Ask for Wire {
    fn enrol(
        &self,
        authority: &roles::node::Authority,
        enrol: &Enrol,
    ) -> Result<Issued, CallError> {
        let config = tls::pinned(&authority.pin).map_err(unusable)?;
        Client::new(servers(authority), config).enrol(enrol)
    }

    fn renew(
        &self,
        authority: &roles::node::Authority,
        identity: &Identity,
        renew: &Renew,
    ) -> Result<Issued, CallError> {
        let config = tls::client(identity).map_err(unusable)?;
        Client::new(servers(authority), config).renew(renew)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn unusable(error: TlsError) -> CallError {
    CallError::Unreachable(error.to_string())
}

/// Serves for ever. `secret`: `ca-key-seed`.
///
/// # Errors
/// See [`ControlError`].
pub fn run(node: &NodeFile, secret: &str) -> Result<(), ControlError> {
    if node.role != "control" {
        return Err(ControlError::Role(node.role.clone()));
    }
    let said = node.authority.as_ref().ok_or(ControlError::NoAuthority)?;
    let store = Arc::new(Store::open(Utf8Path::new(STORE), &node.node)?);
    let service = Arc::new(Service {
        store: Arc::clone(&store),
        authority: Authority::new(secret)?,
        tokens: TokenKey::new(secret),
        machines: machines(node),
        secrets: Box::new(|name| secrets(Utf8Path::new(SECRETS), name)),
        failures: Mutex::default(),
        heard: Mutex::default(),
    });
    let others = others(node);
    let own = enrol::machine(node).addresses;
    let first = servers(said)
        .first()
        .is_some_and(|server| own.contains(&server.ip()));
    std::thread::spawn(move || look(&store, &others, first));
    // Both families; without IPv6 in the kernel the other alone.
    let listener = TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, PORT))
        .or_else(|_| TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, PORT)))?;
    Ok(serve(listener, service, Arc::new(Shown::config()))?)
}

/// Looks at the other control server for ever.
fn look(store: &Store, others: &[SocketAddr], first: bool) {
    let mut last = None;
    loop {
        let other = client(others.to_vec(), Utf8Path::new(enrol::FOLDER)).ok();
        let other = other.filter(|_| !others.is_empty());
        match follow::once(store, other.as_ref(), first, others.is_empty()) {
            Ok(step) => {
                if last != Some(step) {
                    tracing::info!("{step:?}");
                }
                last = Some(step);
            }
            Err(error) => tracing::error!("{error}"),
        }
        std::thread::sleep(LOOK);
    }
}

/// The server's TLS, read from the disk now and then.
struct Shown;

impl Shown {
    fn config() -> impl Fn() -> Option<Arc<ServerConfig>> + Send + Sync {
        let kept: Mutex<Option<(Instant, Arc<ServerConfig>)>> = Mutex::default();
        move || {
            let mut kept = kept
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some((since, config)) = kept.as_ref()
                && since.elapsed() < FRESH
            {
                return Some(Arc::clone(config));
            }
            let read =
                Identity::read(Utf8Path::new(enrol::FOLDER)).and_then(|own| tls::server(&own));
            match read {
                Ok(config) => *kept = Some((Instant::now(), config)),
                Err(error) => tracing::error!("{error}"),
            }
            kept.as_ref().map(|(_, config)| Arc::clone(config))
        }
    }
}

/// Files of a machine's folder. The name is one of the plan: it reaches no other folder.
fn secrets(folder: &Utf8Path, name: &str) -> Option<BTreeMap<String, String>> {
    let entries = fs_err::read_dir(folder.join(name)).ok()?;
    let found = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        Some((name, fs_err::read_to_string(entry.path()).ok()?))
    });
    Some(found.collect())
}

//! What the templates of each role need from the rest of the rack. Public facts only; secrets are [`super::secrets`].

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::{
    selector::parse_size,
    site::{
        Site, duration,
        model::{
            Delivery, Mail, NfsTransport, Replication, ServiceGroups, Sessions, SiteNode,
            StorageKind, VipName,
        },
        sizing,
    },
};

use super::{
    Context, identity,
    vips::{self, proxy_word},
};

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Settings of one machine: what follows from the site, and over it what the site file says for this machine.
pub(super) fn of(context: &Context<'_>, node: &SiteNode) -> BTreeMap<String, Value> {
    let mut settings = Settings(BTreeMap::new());
    match node.role.as_str() {
        "galera" => galera(context, node, &mut settings),
        "database" => database(context, node, &mut settings),
        "lb" => balancer(context, node, &mut settings),
        "production" => mail(context, node, &mut settings),
        "standalone" => {
            mail(context, node, &mut settings);
            settings.put("buffer_pool", buffer_pool(context.site, node, 35));
            settings.put("server_id", server_id(node));
        }
        "storage" | "backup" => storage(context, node, &mut settings),
        "control" => control(context, node, &mut settings),
        _ => {}
    }
    let held = vips::values(context.site, &context.vips, node);
    if !held.is_empty() {
        settings.put("vips", held);
    }
    let mut settings = settings.0;
    settings.extend(node.settings.clone());
    settings
}

struct Settings(BTreeMap<String, Value>);

impl Settings {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect::<Table>()
        .into()
}

/// The address at which others of the cluster speak to this machine.
fn inner(node: &SiteNode) -> Option<&String> {
    ["cluster", "mgmt"]
        .iter()
        .find_map(|network| node.addresses.get(*network))
}

fn galera(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    settings.put("cluster_name", site.name.as_str());
    // Always the whole list, garbd included: a list without the others would make a cluster of its own.
    settings.put("members", context.members.clone());
    // The same compile gives every machine its way to a certificate (docs/security.md).
    settings.put("tls", true);
    settings.put("voters", i64::try_from(context.voters).unwrap_or(i64::MAX));
    // Data for the join, which asks the witness before it acts; a node that was reinstalled joins all the same.
    settings.put(
        "bootstrap",
        site.galera.bootstrap.as_ref() == Some(&node.name),
    );
    settings.put("buffer_pool", buffer_pool(site, node, 70));
    settings.put(
        "gcache",
        program_size(site.galera.gcache.as_deref(), 2 * GIB),
    );
    // One for all members, so that a replica may follow any of them (wsrep_gtid_mode).
    settings.put("server_id", i64::from(node.database_id.unwrap_or(1)));
    settings.put(
        "gtid_domain",
        i64::from(site.galera.gtid_domain.unwrap_or(77)),
    );
    settings.put("gtid_domain_id", gtid_domain_id(node));
    settings.put("segment", segment(context, node));
    settings.put("weight", i64::from(node.weight.unwrap_or(1)));
    settings.put("flush_log", i64::from(site.database.flush_log.unwrap_or(1)));
    settings.put(
        "max_connections",
        i64::from(site.database.max_connections.unwrap_or(500)),
    );
    timeouts(site, settings);
}

/// A member's segment: with several places the number of its own, from 1.
fn segment(context: &Context<'_>, node: &SiteNode) -> i64 {
    let place = || {
        let places = &context.site.sites;
        let index = places
            .iter()
            .position(|place| Some(&place.name) == node.site.as_ref());
        index
            .filter(|_| places.len() > 1)
            .map_or(0, |index| index + 1)
    };
    match node.segment {
        Some(segment) => i64::from(segment),
        None => i64::try_from(place()).unwrap_or(0),
    }
}

/// Times after which a silent member is put out. Over a wide-area line shorter ones put healthy members out.
fn timeouts(site: &Site, settings: &mut Settings) {
    let wide = site.sites.len() > 1;
    let milliseconds = |text: &Option<String>, near: u64, far: u64| {
        let said = text.as_deref().and_then(duration::parse);
        said.unwrap_or(if wide { far } else { near })
    };
    let galera = &site.galera;
    let keepalive = milliseconds(&galera.keepalive, 500, 1_000);
    let inactive = milliseconds(&galera.inactive_timeout, 6_000, 15_000);
    for (key, value) in [
        ("evs_keepalive", keepalive),
        // Looked for twice as often as members speak.
        ("evs_check", keepalive / 2),
        (
            "evs_suspect",
            milliseconds(&galera.suspect_timeout, 2_000, 5_000),
        ),
        ("evs_inactive", inactive),
        ("evs_install", inactive),
    ] {
        settings.put(key, iso_period(value));
    }
}

/// `PT0.5S`: ISO 8601, as Galera reads times.
fn iso_period(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    if rest == 0 {
        return format!("PT{seconds}S");
    }
    let text = format!("PT{seconds}.{rest:03}");
    format!("{}S", text.trim_end_matches('0'))
}

fn server_id(node: &SiteNode) -> i64 {
    i64::from(
        node.database_id
            .unwrap_or_else(|| identity::number_of(node)),
    )
}

fn gtid_domain_id(node: &SiteNode) -> i64 {
    i64::from(
        node.gtid_domain
            .unwrap_or_else(|| identity::number_of(node)),
    )
}

fn database(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    settings.put("server_id", server_id(node));
    settings.put("gtid_domain_id", gtid_domain_id(node));
    settings.put("buffer_pool", buffer_pool(site, node, 70));
    settings.put(
        "max_connections",
        i64::from(site.database.max_connections.unwrap_or(500)),
    );
    settings.put("flush_log", i64::from(site.database.flush_log.unwrap_or(1)));
    // Who follows whom at the first start; after a takeover the machines know better than any file.
    let is_disaster_copy = site.database.replica.as_ref() == Some(&node.name);
    let pair: Vec<&&SiteNode> = context
        .databases
        .iter()
        .filter(|other| site.database.replica.as_ref() != Some(&other.name))
        .collect();
    let source = if is_disaster_copy {
        context
            .galera
            .first()
            .copied()
            .or(pair.first().map(|node| **node))
    } else {
        pair.first()
            .map(|node| **node)
            .filter(|first| first.name != node.name)
    };
    let role = match source {
        _ if is_disaster_copy => "disaster-replica",
        Some(_) => "replica",
        None => "primary",
    };
    settings.put("tls", true);
    settings.put("replication_role", role);
    settings.put_some("disaster_copy", site.database.replica.as_deref());
    settings.put_some(
        "replication_source",
        source.and_then(inner).map(String::as_str),
    );
}

/// InnoDB's buffer pool: of the memory less what system, connections and Galera's ring need, `share` percent, at least
/// 256 MiB, at most all but 4 GiB, in steps of 128 MiB.
fn buffer_pool(site: &Site, node: &SiteNode, share: u64) -> String {
    if let Some(text) = &site.database.buffer_pool {
        return program_size(Some(text), GIB);
    }
    let memory = sizing::power(node).0.saturating_mul(GIB);
    if memory == 0 {
        return program_size(None, GIB);
    }
    let free = memory.saturating_sub(sizing::beside_the_pool(site));
    let most = memory.saturating_sub(4 * GIB);
    let bytes = (free / 100 * share).min(most).max(256 * MIB);
    program_size(None, bytes / (128 * MIB) * (128 * MIB))
}

/// A size as MariaDB writes it: `340G`, `1280M`, or bytes.
fn program_size(text: Option<&str>, otherwise: u64) -> String {
    let bytes = text
        .and_then(|text| parse_size(text).ok())
        .unwrap_or(otherwise);
    match bytes {
        _ if bytes.is_multiple_of(GIB) => format!("{}G", bytes / GIB),
        _ if bytes.is_multiple_of(MIB) => format!("{}M", bytes / MIB),
        _ => bytes.to_string(),
    }
}

fn balancer(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    let here = |other: &&&SiteNode| site.sites.len() < 2 || other.site == node.site;
    // The same order on every balancer, or two would write to two members at once.
    let databases: Vec<Value> = context
        .writers
        .iter()
        .filter_map(|database| {
            let address = inner(database)?;
            Some(table([
                ("name", database.name.as_str().into()),
                ("address", address.as_str().into()),
            ]))
        })
        .collect();
    settings.put("databases", databases);
    settings.put("proxy", proxy_word(site.options.proxy));
    let database_vip = context
        .vips
        .iter()
        .find(|vip| vip.vip.name == VipName::Database && vip.is_candidate(node));
    settings.put_some(
        "database_vip",
        database_vip.map(|vip| vip.vip.address.as_str()),
    );
    if database_vip.is_some() {
        settings.put_some("session_store", session_store(context, node));
    }
    let mail_vip = context
        .vips
        .iter()
        .find(|vip| vip.vip.name == VipName::Mail && vip.is_candidate(node));
    let servers: Vec<Value> = context
        .production
        .iter()
        .filter(here)
        .filter_map(|server| {
            let network = mail_vip.map_or("public", |vip| &vip.vip.network);
            let address = server.addresses.get(network).or_else(|| inner(server))?;
            let id = context.identities.mail_ids.get(&server.name)?;
            let mut entry = vec![
                ("name", server.name.as_str().into()),
                ("address", address.as_str().into()),
                ("id", id.as_str().into()),
                ("master", is_master(context, server).into()),
            ];
            if let Some((first, last)) = outbound_ports(context, server) {
                entry.push(("outbound_first", first.into()));
                entry.push(("outbound_last", last.into()));
            }
            Some(table(entry))
        })
        .collect();
    settings.put("mail_servers", servers);
    let delivery = match site.options.delivery {
        Delivery::Direct => "direct",
        Delivery::Nat => "nat",
    };
    settings.put("delivery", delivery);
    settings.put("together", site.options.services == ServiceGroups::Together);
    // Balancers tell one another of connections.
    let peers: Vec<Value> = context
        .balancers
        .iter()
        .filter(here)
        .filter_map(|peer| {
            Some(table([
                ("name", peer.name.as_str().into()),
                ("address", inner(peer)?.as_str().into()),
            ]))
        })
        .collect();
    settings.put("balancers", peers);
    if runs_garbd(context, node) {
        settings.put("garbd", true);
        settings.put("tls", true);
        settings.put("members", context.members.clone());
        settings.put("cluster_name", site.name.as_str());
        timeouts(site, settings);
    }
}

fn runs_garbd(context: &Context<'_>, node: &SiteNode) -> bool {
    context.site.galera.garbd.as_ref() == Some(&node.name)
}

/// Ports that a mail server's own connections come from, first and last. With direct routing all servers send mail from the
/// one address that names resolve to, and the balancer hands the answers to the server whose port they go to. Pieces of
/// 32768 to 60999, of one width whatever the number of servers is: a new server changes nobody else's.
fn outbound_ports(context: &Context<'_>, node: &SiteNode) -> Option<(i64, i64)> {
    const FIRST: i64 = 32_768;
    const WIDTH: i64 = 2_816;
    const PIECES: usize = 10;
    if context.site.options.delivery != Delivery::Direct {
        return None;
    }
    let place = context
        .production
        .iter()
        .position(|server| server.name == node.name)
        .filter(|place| *place < PIECES)?;
    let first = FIRST + WIDTH * i64::try_from(place).ok()?;
    Some((first, first + WIDTH - 1))
}

/// Works while all is well, and owns the configuration: the one that says so, else the first.
fn is_master(context: &Context<'_>, node: &SiteNode) -> bool {
    let said = context.production.iter().find(|server| server.master);
    said.or(context.production.first())
        .is_some_and(|master| master.name == node.name)
}

fn mail(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    // The name that other mail servers see; its address is the virtual one.
    settings.put(
        "mail_hostname",
        format!("mail.{}", site.domain.trim_start_matches("mail.")),
    );
    settings.put("tls", true);
    if let Some(id) = context.identities.mail_ids.get(&node.name) {
        settings.put("mail_id", id.as_str());
    }
    settings.put_some(
        "database_address",
        vips::database_address(site, &context.vips, node),
    );
    if site.options.mail == Mail::Icewarp {
        settings.put("mail_engine", "icewarp");
    }
    if node.role != "production" {
        return;
    }
    settings.put_some("session_store", session_store(context, node));
    settings.put("master", is_master(context, node));
    let storage = &site.storage;
    let mount = storage.mount.as_deref().unwrap_or("/var/srv/mail");
    settings.put("mail_mount", mount);
    let paths = &storage.paths;
    let below = |said: &Option<String>, folder: &str| {
        said.clone().unwrap_or_else(|| format!("{mount}/{folder}"))
    };
    settings.put("vmail_root", below(&paths.mail, "mail"));
    settings.put("config_root", below(&paths.config, "config"));
    settings.put("spam_root", below(&paths.spam, "config/spam"));
    settings.put("calendar_root", below(&paths.calendar, "config/calendar"));
    settings.put("log_root", below(&paths.logs, "logs"));
    // Never shared: two servers would overwrite each other's files.
    let temp = paths
        .temp
        .as_deref()
        .unwrap_or("/var/spool/rackwright/temp");
    settings.put("temp_root", temp);
    match site.options.storage {
        StorageKind::Fc => settings.put_some("lun", storage.lun.as_deref()),
        StorageKind::Zfs | StorageKind::Nfs => {
            settings.put_some("mail_source", mail_source(context, node));
            settings.put("mount_options", mount_options(site));
        }
    }
    // Direct routing: the server answers with the virtual address, which it must have without telling the network.
    if site.options.delivery == Delivery::Direct {
        let held: Vec<Value> = context
            .vips
            .iter()
            .filter(|vip| vip.vip.name == VipName::Mail)
            .filter(|vip| vip.vip.site.is_none() || vip.vip.site == node.site)
            .map(|vip| vip.vip.address.as_str().into())
            .collect();
        settings.put("loopback_addresses", held);
        if let Some((first, last)) = outbound_ports(context, node) {
            settings.put("outbound_first", first);
            settings.put("outbound_last", last);
        }
    }
}

/// Address of the store of web sessions: that of the databases on the balancers, which run it. Only the mail program that is a
/// payload has web sessions.
fn session_store<'a>(context: &'a Context<'_>, node: &SiteNode) -> Option<&'a str> {
    let site = context.site;
    let wanted = site.options.sessions == Sessions::Valkey && site.options.mail == Mail::Icewarp;
    let near = |vip: &&vips::PlannedVip<'_>| {
        vip.vip.name == VipName::Database
            && vip
                .candidates
                .iter()
                .any(|candidate| candidate.role == "lb")
            && (vip.vip.site.is_none() || vip.vip.site == node.site)
    };
    let vip = context.vips.iter().find(near).filter(|_| wanted)?;
    Some(vip.vip.address.as_str())
}

/// `server:/path` of the mail store. NFS 4 shows paths below the export with `fsid=0` (exports(5)).
fn mail_source(context: &Context<'_>, node: &SiteNode) -> Option<String> {
    let site = context.site;
    if site.options.storage == StorageKind::Nfs {
        let export = site.storage.export.as_deref().unwrap_or("/");
        return Some(format!("{}:{export}", site.storage.server.as_ref()?));
    }
    let near = |vip: &&vips::PlannedVip<'_>| {
        vip.vip.name == VipName::Storage && (vip.vip.site.is_none() || vip.vip.site == node.site)
    };
    let vip = context.vips.iter().find(near).map(|vip| &vip.vip.address);
    let address = vip.or_else(|| context.source?.addresses.get("storage"))?;
    Some(format!("{address}:/"))
}

/// `hard`: an error instead of a wait would be lost mail.
fn mount_options(site: &Site) -> String {
    if let Some(said) = &site.storage.mount_options {
        return said.clone();
    }
    let way = match site.options.transport {
        NfsTransport::Tcp => "proto=tcp,nconnect=4",
        NfsTransport::Rdma => "proto=rdma,port=20049",
    };
    format!(
        "vers=4.2,{way},hard,timeo=600,retrans=2,noatime,nodiratime,rsize=1048576,wsize=1048576,\
         acregmin=3,acregmax=10,acdirmin=3,acdirmax=10,lookupcache=positive,_netdev"
    )
}

fn storage(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    // All memory but 8 GiB for the cache: nothing else runs here.
    let memory = sizing::power(node).0.saturating_mul(GIB);
    if memory > 16 * GIB {
        let bytes = memory.saturating_sub(8 * GIB);
        settings.put("arc_max", i64::try_from(bytes).unwrap_or(0));
    }
    settings.put("rdma", site.options.transport == NfsTransport::Rdma);
    let is_source = context
        .source
        .is_some_and(|source| source.name == node.name);
    if node.role == "storage" {
        settings.put("export", export(site));
        settings.put("fsid", i64::from(site.storage.fsid.unwrap_or(1)));
    }
    let engine = match site.options.replication {
        Replication::Syncoid => "syncoid",
        Replication::Zrepl => "zrepl",
        Replication::None => "none",
    };
    settings.put("replication_engine", engine);
    let role = match (site.options.replication, is_source) {
        (Replication::None, _) => "none",
        (_, true) => "source",
        (_, false) => "sink",
    };
    // The direction on the first day; a promotion turns it, and the control servers remember.
    settings.put("replication_role", role);
    let interval = site
        .options
        .replication_interval
        .as_deref()
        .and_then(duration::parse);
    let seconds = interval.unwrap_or(60_000).div_ceil(1000);
    settings.put(
        "replication_interval",
        i64::try_from(seconds).unwrap_or(i64::MAX),
    );
    let address = |other: &&SiteNode| {
        let network = ["storage", "cluster", "mgmt"]
            .into_iter()
            .find(|name| other.addresses.contains_key(*name))?;
        Some(table([
            ("name", other.name.as_str().into()),
            ("address", other.addresses.get(network)?.as_str().into()),
        ]))
    };
    if role == "source" {
        let sinks: Vec<Value> = context.sinks.iter().filter_map(address).collect();
        settings.put("replication_sinks", sinks);
    } else if role == "sink" {
        settings.put_some(
            "replication_source",
            context.source.as_ref().and_then(address),
        );
    }
}

/// Folder that is exported.
pub(super) fn export(site: &Site) -> &str {
    site.storage.export.as_deref().unwrap_or("/var/srv/export")
}

/// Management controllers of all other machines: name, address and user.
fn fence(context: &Context<'_>, node: &SiteNode) -> Vec<Value> {
    let others = context.site.nodes.iter();
    let known = others.filter(|other| other.name != node.name);
    let known = known.filter_map(|other| {
        let bmc = other.bmc.as_ref()?;
        let entry = [
            ("name", other.name.as_str()),
            ("address", bmc.address.as_str()),
            ("user", bmc.user.as_deref().unwrap_or("rackwright")),
        ];
        let entry = entry.map(|(key, text)| (key.to_owned(), Value::from(text)));
        Some(Value::Table(entry.into_iter().collect()))
    });
    known.collect()
}

fn control(context: &Context<'_>, node: &SiteNode, settings: &mut Settings) {
    let site = context.site;
    let witness = site.failover.witness.as_ref() == Some(&node.name);
    settings.put("witness", witness);
    let peers: Vec<Value> = context
        .controls
        .iter()
        .filter(|other| other.name != node.name)
        .filter_map(|other| inner(other))
        .map(|address| address.as_str().into())
        .collect();
    settings.put("peers", peers);
    settings.put("fence", fence(context, node));
    if runs_garbd(context, node) {
        settings.put("garbd", true);
        settings.put("members", context.members.clone());
        settings.put("cluster_name", site.name.as_str());
        timeouts(site, settings);
    }
}

//! `rackwright token`, `authority` and `status`: the authority of a site from the workstation, which has its seed.

use std::{
    io::Write,
    net::{IpAddr, SocketAddr},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Result, bail};
use authority::{
    PORT,
    client::Client,
    tls::{self, Identity},
    wire::{Known, Standing},
};
use camino::Utf8PathBuf;
use clap::Args;
use identity::{Authority, Key, Machine, TokenKey, Validity};
use roles::{compile::Seed, site::Site};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{compile, derived};

/// A machine that said nothing for this long is not heard of: three reports.
const SILENT: u64 = 180;

/// Where a site and its seed are.
#[derive(Debug, Args)]
pub struct Source {
    /// Site file
    site: Utf8PathBuf,
    /// Seed file [default: the site file's name with .seed]
    #[arg(long, value_name = "FILE")]
    seed: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub struct TokenOptions {
    #[command(flatten)]
    source: Source,
    /// Name of the machine
    #[arg(value_name = "NODE")]
    node: String,
    /// Hours for which it is good; 0: until it was used
    #[arg(long, default_value_t = 24)]
    hours: u64,
}

#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    source: Source,
    /// The certificate itself, PEM
    #[arg(long)]
    certificate: bool,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    source: Source,
    /// As JSON
    #[arg(long)]
    json: bool,
}

fn read(source: &Source) -> Result<(Site, Seed)> {
    let roles = derived::roles(source.role_data.as_ref())?;
    let site = derived::site(&source.site, &roles)?;
    let file = compile::seed_file(&source.site, source.seed.as_ref());
    match compile::read_seed(&file)? {
        Some(seed) => Ok((site, seed)),
        None => bail!(
            "there is no seed file `{file}`\nhint: `rackwright compile` makes it, or `--seed FILE`"
        ),
    }
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| elapsed.as_secs())
}

pub fn token(options: &TokenOptions) -> Result<u8> {
    let (site, seed) = read(&options.source)?;
    let Some(node) = site.nodes.iter().find(|node| node.name == options.node) else {
        let names: Vec<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
        bail!(
            "there is no machine `{}` in `{}`\nhint: one of: {}",
            options.node,
            options.source.site,
            names.join(", ")
        );
    };
    if site.nodes_of("control").is_empty() {
        bail!(
            "this site has no control servers that would take a token\nhint: the machine's certificate is among its sealed secrets"
        );
    }
    let until = match options.hours {
        0 => 0,
        hours => now().saturating_add(hours.saturating_mul(3600)),
    };
    let key = TokenKey::new(seed.authority().expose());
    // Made at another second, it is another token: each is good for one key.
    let token = key.make(&node.name, &node.role, &format!("made-{}", now()), until);
    writeln!(std::io::stdout(), "{}", *token.text())?;
    Ok(0)
}

pub fn show(options: &Show) -> Result<u8> {
    let (site, seed) = read(&options.source)?;
    let authority = Authority::new(seed.authority().expose())?;
    let mut out = std::io::stdout().lock();
    if options.certificate {
        write!(out, "{}", authority.certificate())?;
        return Ok(0);
    }
    writeln!(out, "pin     {}", authority.pin())?;
    let servers = site.nodes_of("control");
    let names: Vec<&str> = servers.iter().map(|node| node.name.as_str()).collect();
    let names = match names[..] {
        [] => "none: certificates come with the sealed secrets".to_owned(),
        _ => names.join(", "),
    };
    writeln!(out, "servers {names}")?;
    Ok(0)
}

/// A certificate of the workstation for one look: its role may claim nothing.
fn operator(seed: &Seed) -> Result<Identity> {
    let authority = Authority::new(seed.authority().expose())?;
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random)
        .map_err(|error| anyhow::anyhow!("no random bytes from the operating system: {error}"))?;
    let key = Key::derive(&*random, "operator")?;
    let machine = Machine {
        name: "operator".into(),
        role: "operator".into(),
        domain: None,
        addresses: Vec::new(),
    };
    let validity = Validity::issued_at(i64::try_from(now())?);
    Ok(Identity {
        authority: authority.certificate(),
        certificate: authority.issue(&machine, &key, validity)?,
        key: key.pem()?,
    })
}

#[derive(Debug, Serialize)]
struct Cluster {
    controls: Vec<Control>,
    nodes: Vec<Node>,
    healthy: bool,
}

#[derive(Debug, Serialize)]
struct Control {
    name: String,
    standing: Option<Standing>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    role: String,
    /// `healthy`, `unhealthy`, `silent`, `unknown`.
    state: &'static str,
    detail: String,
    /// Seconds since it last said something.
    heard: Option<u64>,
}

pub fn status(options: &Status) -> Result<u8> {
    let (site, seed) = read(&options.source)?;
    let config = tls::client(&operator(&seed)?)?;
    let mut controls = Vec::new();
    let mut known: Option<Known> = None;
    for node in site.nodes_of("control") {
        let address = node.addresses.get("mgmt").or(node.addresses.get("cluster"));
        let address: Option<IpAddr> = address.and_then(|text| text.parse().ok());
        let Some(address) = address else { continue };
        let client = Client::new(vec![SocketAddr::new(address, PORT)], config.clone());
        let answer = client.standing();
        if answer
            .as_ref()
            .is_ok_and(|standing| standing.active == standing.node)
        {
            known = client.get("/v1/state").ok();
        }
        controls.push(Control {
            name: node.name.clone(),
            error: answer.as_ref().err().map(ToString::to_string),
            standing: answer.ok(),
        });
    }
    if controls.is_empty() {
        bail!(
            "this site has no control servers to ask\nhint: `rackwright-installer status` on each machine"
        );
    }
    let cluster = judge(&site, controls, known.as_ref());
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&cluster)?)?;
    } else {
        write!(out, "{}", table(&cluster))?;
    }
    Ok(u8::from(!cluster.healthy))
}

fn judge(site: &Site, controls: Vec<Control>, known: Option<&Known>) -> Cluster {
    let nodes: Vec<Node> = site
        .nodes
        .iter()
        .map(|node| {
            let told = known.and_then(|known| known.state.nodes.get(&node.name));
            let heard = known.and_then(|known| {
                let at = known.heard.get(&node.name)?;
                Some(known.now.saturating_sub(*at))
            });
            let state = match (told, heard) {
                (None, _) => "unknown",
                (_, None) => "silent",
                (_, Some(seconds)) if seconds > SILENT => "silent",
                (Some(told), _) if told.state == "healthy" => "healthy",
                _ => "unhealthy",
            };
            Node {
                name: node.name.clone(),
                role: node.role.clone(),
                state,
                detail: told.map(|told| told.detail.clone()).unwrap_or_default(),
                heard,
            }
        })
        .collect();
    let healthy = nodes.iter().all(|node| node.state == "healthy")
        && controls.iter().all(|control| control.standing.is_some());
    Cluster {
        controls,
        nodes,
        healthy,
    }
}

fn table(cluster: &Cluster) -> String {
    let mut text = String::new();
    for control in &cluster.controls {
        let line = match (&control.standing, &control.error) {
            (Some(standing), _) if standing.active == standing.node => {
                format!(
                    "active, epoch {}, record {}",
                    standing.epoch, standing.record
                )
            }
            (Some(standing), _) => match standing.behind {
                Some(seconds) => format!("standby, {seconds} s behind"),
                None => "standby, never followed".to_owned(),
            },
            (None, error) => error.clone().unwrap_or_default(),
        };
        text.push_str(&format!("authority {}: {line}\n", control.name));
    }
    let width = |of: fn(&Node) -> &str, title: &str| {
        let longest = cluster.nodes.iter().map(|node| of(node).len()).max();
        longest.unwrap_or(0).max(title.len())
    };
    let (name, role) = (
        width(|node| &node.name, "NODE"),
        width(|node| &node.role, "ROLE"),
    );
    text.push_str(&format!(
        "\n{:name$}  {:role$}  {:9}  {:>6}  DETAIL\n",
        "NODE", "ROLE", "STATE", "HEARD"
    ));
    for node in &cluster.nodes {
        let heard = node
            .heard
            .map_or("-".to_owned(), |seconds| format!("{seconds} s"));
        let line = format!(
            "{:name$}  {:role$}  {:9}  {heard:>6}  {}",
            node.name, node.role, node.state, node.detail
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use authority::record::{NodeState, State};

    #[test]
    fn a_cluster_is_healthy_when_everybody_says_so_and_is_heard() {
        let text = roles::site::init(roles::site::model::Setup::Cluster, 1000, "mail");
        let site = roles::site::check("site.toml", &text, None).0.unwrap();
        let controls = || {
            vec![Control {
                name: "control1".into(),
                standing: Some(Standing {
                    node: "control1".into(),
                    active: "control1".into(),
                    epoch: 1,
                    record: 9,
                    digest: String::new(),
                    behind: Some(0),
                }),
                error: None,
            }]
        };
        let mut known = Known {
            now: 1000,
            heard: std::collections::BTreeMap::new(),
            state: State::default(),
        };
        for node in &site.nodes {
            known.heard.insert(node.name.clone(), 990);
            let told = NodeState {
                state: "healthy".into(),
                detail: "join: join: all steps are done".into(),
                at: 500,
            };
            known.state.nodes.insert(node.name.clone(), told);
        }
        assert!(judge(&site, controls(), Some(&known)).healthy);
        assert!(!judge(&site, controls(), None).healthy);
        let names: Vec<String> = site.nodes.iter().map(|node| node.name.clone()).collect();
        known.heard.insert(names[0].clone(), 1);
        known.heard.remove(&names[1]);
        known.state.nodes.remove(&names[2]);
        if let Some(told) = known.state.nodes.get_mut(&names[3]) {
            told.state = "unhealthy".into();
            told.detail = "service mariadb.service".into();
        }
        let judged = judge(&site, controls(), Some(&known));
        assert!(!judged.healthy);
        insta::assert_snapshot!(table(&judged), @r"
        authority control1: active, epoch 1, record 9

        NODE      ROLE        STATE       HEARD  DETAIL
        control1  control     silent      999 s  join: join: all steps are done
        control2  control     silent          -  join: join: all steps are done
        lb1       lb          unknown      10 s
        lb2       lb          unhealthy    10 s  service mariadb.service
        iw1       production  healthy      10 s  join: join: all steps are done
        iw2       production  healthy      10 s  join: join: all steps are done
        db1       galera      healthy      10 s  join: join: all steps are done
        db2       galera      healthy      10 s  join: join: all steps are done
        db3       galera      healthy      10 s  join: join: all steps are done
        st1       storage     healthy      10 s  join: join: all steps are done
        st2       storage     healthy      10 s  join: join: all steps are done
        backup1   backup      healthy      10 s  join: join: all steps are done
        ");
    }
}

//! Rules of the mail program: folders, sessions, ports.

use std::collections::BTreeMap;

use super::{Finding, facts::Facts};
use crate::{
    check::role::port_range,
    site::model::{Exposed, Mail, Sessions, VipName},
};

pub(super) fn folders(facts: &Facts<'_>) -> Vec<Finding> {
    let storage = &facts.site.storage;
    if !facts.shares_mail() {
        return Vec::new();
    }
    let mount = storage
        .mount
        .as_deref()
        .unwrap_or("/var/srv/mail")
        .trim_end_matches('/');
    let inside = |path: &str| {
        path == mount
            || path
                .strip_prefix(mount)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let paths = &storage.paths;
    let shared = [
        ("mail", &paths.mail),
        ("config", &paths.config),
        ("spam", &paths.spam),
        ("calendar", &paths.calendar),
        ("logs", &paths.logs),
    ];
    let mut findings = Vec::new();
    for (key, path) in shared {
        if let Some(path) = path.as_deref().filter(|path| !inside(path)) {
            findings.push(Finding::new(
                format!("storage.paths.{key}"),
                format!("`{path}` is not on the shared storage at `{mount}`"),
            ));
        }
    }
    if let Some(path) = paths.temp.as_deref().filter(|path| inside(path)) {
        findings.push(Finding::new(
            "storage.paths.temp",
            format!("`{path}` is on the shared storage at `{mount}`"),
        ));
    }
    findings
}

pub(super) fn sessions(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.site.setup.has_galera() && facts.site.options.sessions == Sessions::None {
        return vec![Finding::new(
            "options.sessions",
            "a takeover ends every web session",
        )];
    }
    // It runs on the balancers, at the address of the databases.
    let has_place = facts
        .site
        .vips
        .iter()
        .any(|vip| vip.name == VipName::Database && vip.name.role(facts.site.setup) == "lb");
    if facts.site.setup.has_galera() && facts.site.options.mail == Mail::Icewarp && !has_place {
        return vec![Finding::new(
            "options.sessions",
            "the store of web sessions has no place: no load balancer holds the address `database`",
        )];
    }
    Vec::new()
}

pub(super) fn exposed(facts: &Facts<'_>) -> Vec<Finding> {
    let risk = |service: &Exposed| match service {
        Exposed::Mysql => "MariaDB (3306) is open to the internet",
        Exposed::Snmp => "SNMP (161) is open to the internet",
        Exposed::Ldap => "LDAP (389, 636) is open to the internet",
        Exposed::Dns => "DNS (53) is open to the internet",
        Exposed::Socks => "SOCKS (1080) is open to the internet",
        Exposed::Daytime => "daytime (13) is open to the internet",
        Exposed::Minger => "Minger (4069, 4070) is open to the internet",
    };
    facts
        .site
        .ports
        .expose
        .iter()
        .enumerate()
        .map(|(index, service)| Finding::new(format!("ports.expose.{index}"), risk(service)))
        .collect()
}

/// The port table of the reference, as first and last port. TCP unless said; `expose` does not change what listens.
const TABLE: &[(&str, bool, u16, u16)] = &[
    ("daytime", true, 13, 13),
    ("FTP", true, 21, 21),
    ("SMTP", true, 25, 25),
    ("DNS", true, 53, 53),
    ("HTTP", true, 80, 80),
    ("POP3", true, 110, 110),
    ("IMAP", true, 143, 143),
    ("LDAP", true, 389, 389),
    ("HTTPS", true, 443, 443),
    ("SMTP over TLS", true, 465, 465),
    ("SMTP submission", true, 587, 587),
    ("LDAP over TLS", true, 636, 636),
    ("FTP over TLS", true, 990, 990),
    ("IMAP over TLS", true, 993, 993),
    ("POP3 over TLS", true, 995, 995),
    ("SOCKS", true, 1080, 1080),
    ("MariaDB", true, 3306, 3306),
    ("Minger", true, 4069, 4070),
    ("SIP", true, 5060, 5061),
    ("IM", true, 5222, 5223),
    ("groupware", true, 5229, 5229),
    ("HTTP and HTTPS, alternative", true, 32_000, 32_001),
    ("DNS", false, 53, 53),
    ("SNMP", false, 161, 161),
    ("SIP", false, 5060, 5060),
];

pub(super) fn ports(facts: &Facts<'_>) -> Vec<Finding> {
    let ports = &facts.site.ports;
    let range = |text: &Option<String>, default: (u16, u16)| match text {
        Some(text) => port_range(text),
        None => Some(default),
    };
    let mut taken: Vec<(&str, &str, bool, u16, u16)> = TABLE
        .iter()
        .map(|(name, tcp, first, last)| (*name, "", *tcp, *first, *last))
        .collect();
    let mut ours: BTreeMap<&str, (&str, bool, u16, u16)> = BTreeMap::new();
    if let Some((first, last)) = range(&ports.sip_streams, (10_000, 10_255)) {
        ours.insert("ports.sip_streams", ("SIP streams", false, first, last));
    }
    if let Some((first, last)) = ports.ftp_passive.as_deref().and_then(port_range) {
        ours.insert("ports.ftp_passive", ("passive FTP", true, first, last));
    }
    let mut findings = Vec::new();
    for (path, (name, tcp, first, last)) in &ours {
        if let Some((other, ..)) = taken
            .iter()
            .find(|(_, _, kind, low, high)| kind == tcp && low <= last && high >= first)
        {
            findings.push(Finding::new(
                *path,
                format!("{name} ({first}-{last}) and {other} have the same ports"),
            ));
        }
        taken.push((name, path, *tcp, *first, *last));
    }
    // Kernel default of net.ipv4.ip_local_port_range.
    let Some((low, high)) = range(&ports.ephemeral, (32_768, 60_999)) else {
        return findings;
    };
    for (name, path, _, first, last) in taken {
        if first <= high && last >= low {
            let at = if ports.ephemeral.is_some() || path.is_empty() {
                "ports.ephemeral"
            } else {
                path
            };
            findings.push(Finding::new(at, format!("outgoing connections come from {low}-{high}, where {name} ({first}-{last}) listens")));
        }
    }
    findings
}

pub(super) fn ftp(facts: &Facts<'_>) -> Vec<Finding> {
    let ports = &facts.site.ports;
    if ports.ftp == Some(false) || ports.ftp_passive.is_some() {
        return Vec::new();
    }
    vec![Finding::new(
        "ports.ftp",
        "FTP is open, but no ports for its passive mode are",
    )]
}

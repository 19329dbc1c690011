//! Rules of the node file.

use std::net::IpAddr;

use crate::{
    NodeFile,
    folder::RoleSet,
    node::Access,
    render::{self, BootFacts, BootMode},
    shape::nearest,
};

use super::{Checker, check_format, disks, hosts, is_domain, is_label, network, wiring};

/// Checks a node file; with roles its role name too.
pub(crate) fn check(node: &NodeFile, roles: Option<&RoleSet>, checker: &mut Checker<'_, '_>) {
    check_format(node.format, checker);
    if !is_label(&node.node) {
        checker
            .bad("node", format!("`{}` is not a host name", node.node))
            .hint("lower-case letters, digits and hyphens, at most 63 characters (RFC 1123)");
    }
    if let Some(roles) = roles
        && !roles.roles.contains_key(&node.role)
    {
        let names: Vec<&str> = roles.roles.keys().map(String::as_str).collect();
        let diagnostic = checker.bad("role", format!("there is no role `{}`", node.role));
        diagnostic.hint(format!("roles: {}", names.join(", ")));
        if let Some(near) = nearest(&node.role, &names) {
            diagnostic.label(format!("did you mean `{near}`?"));
        }
    }
    if let Some(domain) = &node.domain
        && !is_domain(domain)
    {
        checker.bad("domain", format!("`{domain}` is not a DNS domain"));
    }
    if let Some(permit) = &node.permit {
        for (key, value) in [
            ("id", Some(&permit.id)),
            ("board_serial", permit.board_serial.as_ref()),
            ("plan", permit.plan.as_ref()),
        ] {
            if value.is_some_and(|text| text.trim().is_empty()) {
                checker
                    .bad(&format!("permit.{key}"), format!("the permit's `{key}` is empty"))
                    .hint("an empty value would permit every install; write a value or leave the key out");
            }
        }
    }
    for (index, waiver) in node.waivers.iter().enumerate() {
        for (key, value) in [("finding", &waiver.finding), ("reason", &waiver.reason)] {
            if value.trim().is_empty() {
                checker
                    .bad(
                        &format!("waivers.{index}.{key}"),
                        format!("the waiver's `{key}` is empty"),
                    )
                    .hint("write the finding's id and why it is accepted");
            }
        }
    }
    check_access(&node.access, checker);
    disks::check(&node.disks, checker);
    wiring::check(node, checker);
    network::check(node, checker);
    hosts::check(node, checker);
    for (index, server) in node.dns.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() {
            checker.bad(
                &format!("dns.{index}"),
                format!("`{server}` is not an IP address"),
            );
        }
    }
    for (index, server) in node.ntp.iter().enumerate() {
        if server.parse::<IpAddr>().is_err() && !is_domain(server) {
            checker.bad(
                &format!("ntp.{index}"),
                format!("`{server}` is neither an IP address nor a host name"),
            );
        }
    }
    for (key, value) in &node.settings {
        if !is_finite(value) {
            checker.bad(
                &format!("settings.{key}"),
                format!("`{key}` has a number that is none"),
            );
        }
    }
    if let Some(roles) = roles
        && !checker.found.has_errors()
    {
        check_settings(node, roles, checker);
    }
}

/// `nan` and `inf` are TOML, and no setting means them.
fn is_finite(value: &toml::Value) -> bool {
    match value {
        toml::Value::Float(number) => number.is_finite(),
        toml::Value::Array(items) => items.iter().all(is_finite),
        toml::Value::Table(table) => table.values().all(is_finite),
        _ => true,
    }
}

/// Settings have no schema but the role's templates: they are rendered, so that what would fail at the server's first boot fails
/// here.
fn check_settings(node: &NodeFile, roles: &RoleSet, checker: &mut Checker<'_, '_>) {
    let Some(folder) = roles.roles.get(&node.role) else {
        return;
    };
    let facts = BootFacts {
        mode: BootMode::Run,
        role: node.role.clone(),
        version: String::new(),
        slot: None,
        machine_id: None,
        mounts: Vec::new(),
        multipath: Vec::new(),
        ports: Default::default(),
        accounts: None,
    };
    if let Err(error) = render::files(roles, folder, Some(node), &facts) {
        checker
            .bad(
                "settings",
                format!("nothing can be rendered of these settings: {error}"),
            )
            .hint("`rackwright compile` writes them; by hand, compare with docs/roles.md");
    }
}

pub(crate) fn check_access(access: &Access, checker: &mut Checker<'_, '_>) {
    if let Some(user) = &access.user {
        let plain = (1..=31).contains(&user.len())
            && user.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && user
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        if user == "root" {
            checker
                .bad("access.user", "`root` is always locked".to_owned())
                .hint("name an administrator's account; it may use sudo");
        } else if !plain {
            checker.bad(
                "access.user",
                format!("`{user}` cannot be the name of an account"),
            );
        }
    }
    for (index, key) in access.ssh_keys.iter().enumerate() {
        if !is_public_key(key) {
            let diagnostic = checker.bad(
                &format!("access.ssh_keys.{index}"),
                "this is not an OpenSSH public key".to_owned(),
            );
            if key.contains("PRIVATE KEY") {
                diagnostic.hint("this is a private key: remove it here and make a new pair, it is no longer secret");
            } else {
                diagnostic.hint(
                    "write one line as in `~/.ssh/id_ed25519.pub`, without options before it",
                );
            }
        }
    }
    if let Some(hash) = &access.password_hash
        && !is_password_hash(hash)
    {
        checker
            .bad(
                "access.password_hash",
                "this is not a crypt(5) password hash".to_owned(),
            )
            .hint(
                "make one with `mkpasswd` (package whois); it begins with `$y$`, `$6$` or the like",
            );
    }
}

/// `type base64 [comment]`, the types that OpenSSH 10 takes.
fn is_public_key(key: &str) -> bool {
    let types = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];
    let mut words = key.split(' ');
    let (kind, blob) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    // Every blob begins with the length of the type name, three zero bytes and a small one: `AAAA` in base64.
    types.contains(&kind)
        && blob.len() >= 40
        && blob.starts_with("AAAA")
        && blob
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
        && !key.contains(['\n', '\r', '\0'])
}

/// crypt(5), the methods that Debian's libxcrypt takes for new passwords.
fn is_password_hash(hash: &str) -> bool {
    ["$y$", "$gy$", "$7$", "$2b$", "$6$", "$5$"]
        .iter()
        .any(|method| hash.starts_with(method))
        && hash.len() >= 20
        && hash.split('$').count() >= 4
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"./$,=-".contains(&b))
}

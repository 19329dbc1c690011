//! Rules of `role.toml` and `common.toml`.

use crate::{
    Common, Role,
    role::{HealthCheck, JoinAction, JoinStep, Port, Services, Template},
};

use super::{Checker, check_format, disks, is_label, is_network_name, is_plain_path};

/// Checks a role; `templates` are the files it has.
pub(crate) fn check_role(role: &Role, templates: &[&str], checker: &mut Checker<'_, '_>) {
    check_format(role.format, checker);
    if !is_label(&role.name) {
        checker.bad(
            "name",
            format!("`{}` cannot be the name of a role", role.name),
        );
    }
    if role.summary.trim().is_empty() || role.summary.contains('\n') {
        checker.bad("summary", "the summary must be one line".to_owned());
    }
    check_packages(&role.packages, checker);
    for list in [
        ("modules", &role.modules),
        ("compiled_modules", &role.compiled_modules),
    ] {
        check_modules(list.0, list.1, checker);
    }
    disks::check(&role.disks, checker);
    for (index, network) in role.networks.iter().enumerate() {
        if !is_network_name(&network.name) {
            checker.bad(
                &format!("networks.{index}.name"),
                format!("`{}` cannot be the name of a network", network.name),
            );
        }
    }
    check_join(&role.join, checker);
    check_shared(
        &role.services,
        &role.ports,
        &role.templates,
        &role.health,
        templates,
        checker,
    );
}

/// A step's name stands in the journal: two steps of one name could not be told apart there.
fn check_join(steps: &[JoinStep], checker: &mut Checker<'_, '_>) {
    for (index, step) in steps.iter().enumerate() {
        if !is_label(&step.id) {
            checker.bad(
                &format!("join.{index}.id"),
                format!("`{}` cannot be the name of a step", step.id),
            );
        }
        if steps[..index].iter().any(|other| other.id == step.id) {
            checker.conflict(
                &format!("join.{index}.id"),
                format!("a second step `{}`", step.id),
            );
        }
        match &step.does {
            JoinAction::Mount { path } if !is_plain_path(path) => {
                checker.bad(
                    &format!("join.{index}.path"),
                    format!("`{path}` is not a plain absolute path"),
                );
            }
            JoinAction::Check { command } if command.is_empty() => {
                checker.bad(
                    &format!("join.{index}.command"),
                    "a check needs a command".to_owned(),
                );
            }
            _ => {}
        }
    }
}

/// Checks the common part; `templates` are the files it has.
pub(crate) fn check_common(common: &Common, templates: &[&str], checker: &mut Checker<'_, '_>) {
    check_format(common.format, checker);
    check_packages(&common.packages, checker);
    for list in [
        ("image_modules", &common.image_modules),
        ("initrd_modules", &common.initrd_modules),
        ("initrd_load", &common.initrd_load),
    ] {
        check_modules(list.0, list.1, checker);
    }
    check_shared(
        &common.services,
        &common.ports,
        &common.templates,
        &common.health,
        templates,
        checker,
    );
}

fn check_shared(
    services: &Services,
    ports: &[Port],
    templates: &[Template],
    health: &[HealthCheck],
    files: &[&str],
    checker: &mut Checker<'_, '_>,
) {
    for (key, units) in [("start", &services.start), ("masked", &services.masked)] {
        for (index, unit) in units.iter().enumerate() {
            check_unit(unit, &format!("services.{key}.{index}"), checker);
        }
    }
    for (index, unit) in services.masked.iter().enumerate() {
        if services.start.contains(unit) {
            checker.conflict(
                &format!("services.masked.{index}"),
                format!("`{unit}` is both started and masked"),
            );
        }
    }
    for (index, port) in ports.iter().enumerate() {
        check_port(port, &format!("ports.{index}"), checker);
    }
    for (index, template) in templates.iter().enumerate() {
        check_template(template, files, &format!("templates.{index}"), checker);
        if templates[..index]
            .iter()
            .any(|other| other.target == template.target)
        {
            checker.conflict(
                &format!("templates.{index}.target"),
                format!("a second template for `{}`", template.target),
            );
        }
    }
    for (index, check) in health.iter().enumerate() {
        match check {
            HealthCheck::Service { unit } => {
                check_unit(unit, &format!("health.{index}.unit"), checker)
            }
            HealthCheck::Mount { path } | HealthCheck::Array { path } => {
                if !is_plain_path(path) {
                    checker.bad(
                        &format!("health.{index}.path"),
                        format!("`{path}` is not a plain absolute path"),
                    );
                }
            }
            HealthCheck::Pool { .. } | HealthCheck::Listen { .. } | HealthCheck::Module { .. } => {}
        }
    }
}

/// Debian policy section 5.6.1: lower case letters, digits, `+`, `-`, `.`; at least two characters.
fn check_packages(packages: &[String], checker: &mut Checker<'_, '_>) {
    for (index, package) in packages.iter().enumerate() {
        let path = format!("packages.{index}");
        let plain = package.len() >= 2
            && package.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && package
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
        if !plain {
            checker.bad(&path, format!("`{package}` is not a package name"));
        } else if package.starts_with("linux-image") {
            checker
                .bad(&path, format!("`{package}` does not belong here"))
                .hint("the builder adds the kernel to every image by itself");
        }
        if packages[..index].contains(package) {
            checker.conflict(&path, format!("`{package}` is listed twice"));
        }
    }
}

fn check_modules(key: &str, modules: &[String], checker: &mut Checker<'_, '_>) {
    for (index, module) in modules.iter().enumerate() {
        let plain = !module.is_empty()
            && !module.starts_with('/')
            && module
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-*?/.".contains(&b))
            && !module.contains("..");
        if !plain {
            checker
                .bad(&format!("{key}.{index}"), format!("`{module}` is not a module name or glob"))
                .hint("write a name such as `ixgbe`, or a glob below `kernel/` such as `net/netfilter/nft_*`");
        }
        if modules[..index].contains(module) {
            checker.conflict(
                &format!("{key}.{index}"),
                format!("`{module}` is listed twice"),
            );
        }
    }
}

fn check_unit(unit: &str, path: &str, checker: &mut Checker<'_, '_>) {
    let kinds = [
        ".service", ".socket", ".timer", ".target", ".path", ".mount",
    ];
    let plain = unit
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
    if !plain
        || !kinds
            .iter()
            .any(|kind| unit.len() > kind.len() && unit.ends_with(kind))
    {
        checker
            .bad(path, format!("`{unit}` is not a unit name"))
            .hint("write the full name, such as `ssh.service`");
    }
}

fn check_port(port: &Port, path: &str, checker: &mut Checker<'_, '_>) {
    let with_ports = matches!(port.protocol.as_str(), "tcp" | "udp");
    let known = with_ports
        || matches!(
            port.protocol.as_str(),
            "vrrp" | "ah" | "esp" | "gre" | "igmp"
        );
    if !known {
        checker
            .bad(
                &format!("{path}.protocol"),
                format!("`{}` is not a known protocol", port.protocol),
            )
            .hint("one of: tcp, udp, vrrp, ah, esp, gre, igmp");
    }
    match (&port.port, with_ports) {
        (None, true) => {
            checker
                .bad(path, format!("`{}` needs a port number", port.service))
                .hint("add `port = \"25\"` or a range `port = \"10000-10255\"`");
        }
        (Some(_), false) if known => {
            checker.conflict(
                &format!("{path}.port"),
                format!("`{}` has no ports", port.protocol),
            );
        }
        (Some(text), _) => {
            if port_range(text).is_none() {
                checker
                    .bad(
                        &format!("{path}.port"),
                        format!("`{text}` is not a port or a range of ports"),
                    )
                    .hint("write `25` or `10000-10255`, from 1 to 65535");
            }
        }
        (None, false) => {}
    }
    if port.from.is_empty() {
        checker
            .bad(
                &format!("{path}.from"),
                format!("no network may reach `{}`", port.service),
            )
            .hint("name at least one network: public, mgmt, cluster, storage");
    }
    for (index, network) in port.from.iter().enumerate() {
        if !is_network_name(network) {
            checker.bad(
                &format!("{path}.from.{index}"),
                format!("`{network}` cannot be the name of a network"),
            );
        }
    }
}

/// First and last port of `25` or `10000-10255`.
pub(crate) fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u16>().ok())
            .flatten()
            .filter(|port| *port > 0)
    };
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

fn check_template(template: &Template, files: &[&str], path: &str, checker: &mut Checker<'_, '_>) {
    if !files.contains(&template.source.as_str()) {
        let diagnostic = checker.bad(
            &format!("{path}.source"),
            format!("there is no template `{}`", template.source),
        );
        match crate::shape::nearest(&template.source, files) {
            Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
            None => diagnostic.hint("put the file into `templates/` beside this file"),
        };
    }
    let target = template.target.as_str();
    if !is_plain_path(target) || !target.starts_with("/etc/") {
        checker
            .bad(
                &format!("{path}.target"),
                format!("`{target}` is not a plain path below `/etc`"),
            )
            .hint("only `/etc` is rendered at boot; write an absolute path without `..`");
    }
    if let Some(mode) = &template.mode
        && file_mode(mode).is_none()
    {
        checker
            .bad(
                &format!("{path}.mode"),
                format!("`{mode}` is not a file mode"),
            )
            .hint("write four octal digits, such as `0644`");
    }
}

/// Permission bits of `0644`.
pub(crate) fn file_mode(text: &str) -> Option<u32> {
    (text.len() == 4 && text.bytes().all(|b| matches!(b, b'0'..=b'7')))
        .then(|| u32::from_str_radix(text, 8).ok())
        .flatten()
}

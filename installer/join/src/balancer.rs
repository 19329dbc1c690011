//! The balancer in front of the databases, and the arbitrator: what starts them, and what shows that they work.

use crate::{
    context::Context,
    maxscale, proxysql,
    settings::{self, Balancer},
    step::Outcome,
    unit,
};

/// Port that programs use, on the balancer as on the servers.
const PORT: u16 = 3306;
const PROXYSQL: &str = "proxysql.service";
/// Set when ProxySQL was started again once, in this boot.
const RESTARTED: &str = "proxysql-restarted";

/// The step `balancer`.
#[must_use]
pub fn step(context: &Context<'_>) -> Outcome {
    attempt(context).unwrap_or_else(Outcome::Failed)
}

fn attempt(context: &Context<'_>) -> Result<Outcome, String> {
    let plan: Balancer = settings::of(context.role, context.node)?;
    if plan.databases.is_empty() {
        return Ok(Outcome::Done("the node file plans no databases".into()));
    }
    let unit = match plan.proxy.as_deref() {
        None | Some("haproxy") => "haproxy.service",
        Some("proxysql") => PROXYSQL,
        Some("maxscale") => maxscale::UNIT,
        Some(other) => {
            return Ok(Outcome::Wait(format!(
                "a version that configures `{other}`; this one has `haproxy`, `proxysql` and `maxscale`"
            )));
        }
    };
    // Before it starts: it has no port to be told by.
    let changed = unit == maxscale::UNIT && maxscale::write(context, &plan)?;
    if changed && unit::state(context.system, unit)? == "active" {
        unit::systemctl(context.system, &["restart", unit])?;
        return Ok(Outcome::Wait(format!("`{unit}` to read its new file")));
    }
    if unit::state(context.system, unit)? != "active" {
        unit::start(context.system, unit)?;
        return Ok(Outcome::Wait(format!("`{unit}` to start")));
    }
    if unit == PROXYSQL {
        proxysql::apply(context, &plan)?;
    }
    // Through the balancer's own address, so through the firewall too.
    let own = settings::own_address(context.node).unwrap_or_else(|| "127.0.0.1".to_owned());
    Ok(match context.outside.greeting(&own, PORT) {
        Some(bytes) if is_greeting(&bytes) => {
            Outcome::Done(format!("a database answers through {own}:{PORT}"))
        }
        // ProxySQL listens on another port until it starts with what it was told (`mysql-interfaces`).
        None if unit == PROXYSQL && !context.system.exists(&unit::flag(RESTARTED)) => {
            unit::set(context.system, RESTARTED, true)?;
            unit::systemctl(context.system, &["restart", unit])?;
            Outcome::Wait(format!("`{unit}` to start on port {PORT}"))
        }
        _ => Outcome::Wait(format!("a database to answer through {own}:{PORT}")),
    })
}

/// The first packet of a MariaDB server: three bytes of length, number 0, protocol version 10 (Initial Handshake Packet). A
/// server that refuses sends an error packet, which begins with 255.
fn is_greeting(bytes: &[u8]) -> bool {
    bytes.get(3..5) == Some(&[0, 10])
}

/// The step `arbitrator`.
#[must_use]
pub fn arbitrator(context: &Context<'_>) -> Outcome {
    const UNIT: &str = "garb.service";
    let attempt = || -> Result<Outcome, String> {
        let plan: Balancer = settings::of(context.role, context.node)?;
        if !plan.garbd {
            return Ok(Outcome::Done("the plan puts it elsewhere".into()));
        }
        if unit::state(context.system, UNIT)? == "active" {
            return Ok(Outcome::Done("votes".into()));
        }
        unit::start(context.system, UNIT)?;
        Ok(Outcome::Wait("the arbitrator to find a member".into()))
    };
    attempt().unwrap_or_else(Outcome::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings() {
        for (bytes, expected) in [
            (&[0x4a, 0, 0, 0, 10, b'1', b'1'][..], true),
            (&[0x4a, 0, 0, 0, 255, 0x10, 0x04][..], false),
            (&[][..], false),
            (b"HTTP/1.1", false),
        ] {
            assert_eq!(is_greeting(bytes), expected, "{bytes:?}");
        }
    }
}

//! MaxScale is third-party software that the user supplies. Its own file has passwords in it, so it is written when they were
//! delivered, into the part of `/etc` that is in memory. Keys are those of MaxScale 24.02's reference (galeramon,
//! readconnroute, readwritesplit); no MaxScale has read them here.

use system::{System, delivered::secret};

use crate::{
    accounts::{MONITOR, PROXY},
    context::Context,
    settings::Balancer,
    unit,
};

/// MaxScale reads what lies here beside `/etc/maxscale.cnf`.
const FILE: &str = "/etc/maxscale.cnf.d/rackwright.cnf";
/// The unit of its package.
pub const UNIT: &str = "maxscale.service";

/// Secrets that go into the file.
pub struct Passwords {
    /// Of `monitor` on the databases.
    pub monitor: String,
    /// Of `maxscale` on the databases, with which it reads who may log in.
    pub proxy: String,
}

/// One writer, in the plan's order, and no way back to a server that returned: as the other balancers do it. With
/// `split_reads` statements that only read go to the other members.
#[must_use]
pub fn configuration(plan: &Balancer, passwords: &Passwords) -> String {
    let names: Vec<&str> = plan.databases.iter().map(|it| it.name.as_str()).collect();
    let servers = names.join(",");
    let mut text = String::from("# Written by the join: it has passwords.\n");
    for (rank, database) in plan.databases.iter().enumerate() {
        // The lowest number is the first writer (galeramon, `use_priority`).
        text.push_str(&format!(
            "\n[{}]\ntype=server\naddress={}\nport=3306\npriority={}\nssl=true\n",
            database.name,
            database.address,
            rank + 1
        ));
    }
    text.push_str(&format!(
        "\n[cluster]\ntype=monitor\nmodule=galeramon\nservers={servers}\nuser={MONITOR}\npassword={}\nmonitor_interval=1000ms\n\
         use_priority=true\ndisable_master_failback=true\navailable_when_donor=false\n",
        passwords.monitor
    ));
    let router = if plan.split_reads {
        // A statement that fails says so; the session stays for reading until there is a writer again.
        "router=readwritesplit\nmaster_failure_mode=fail_on_write\nmaster_reconnection=true\n"
    } else {
        "router=readconnroute\nrouter_options=master\n"
    };
    text.push_str(&format!(
        "\n[databases]\ntype=service\ncluster=cluster\n{router}user={PROXY}\npassword={}\nenable_root_user=false\n",
        passwords.proxy
    ));
    text.push_str(
        "\n[databases-listener]\ntype=listener\nservice=databases\nprotocol=MariaDBProtocol\naddress=0.0.0.0\nport=3306\n",
    );
    text
}

/// Writes its file. Gives whether it is another one than before.
///
/// # Errors
/// A secret is missing or would mean something else in the file, or the file cannot be written.
pub fn write(context: &Context<'_>, plan: &Balancer) -> Result<bool, String> {
    let system = context.system;
    let need = |purpose: &str| {
        let secret = secret(system, purpose)
            .ok_or_else(|| format!("the secret `{purpose}` was not delivered"))?;
        let plain = secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        plain.then_some(secret).ok_or_else(|| {
            format!("the secret `{purpose}` has characters that MaxScale's file treats specially")
        })
    };
    let passwords = Passwords {
        monitor: need("database-monitor")?,
        proxy: need("proxy-accounts")?,
    };
    let text = configuration(plan, &passwords);
    let path = camino::Utf8Path::new(FILE);
    if system
        .read(path)
        .is_ok_and(|there| there == text.as_bytes())
    {
        return Ok(false);
    }
    put(system, path, &text)?;
    Ok(true)
}

fn put(system: &dyn System, path: &camino::Utf8Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    system
        .make_directory(folder)
        // First for root alone: nobody else may read it before it has its group.
        .and_then(|()| system.write(path, text.as_bytes(), 0o600))
        .map_err(|error| error.to_string())?;
    unit::tool(system, "chown", &["root:maxscale", path.as_str()])?;
    unit::tool(system, "chmod", &["0640", path.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Peer;

    #[test]
    fn files_for_a_cluster_of_three() {
        let peer = |number: u8| Peer {
            name: format!("db{number}"),
            address: format!("10.77.30.1{number}"),
        };
        let mut plan = Balancer {
            databases: vec![peer(1), peer(2), peer(3)],
            ..Balancer::default()
        };
        let passwords = Passwords {
            monitor: "AAA".into(),
            proxy: "BBB".into(),
        };
        let one = configuration(&plan, &passwords);
        plan.split_reads = true;
        let split = configuration(&plan, &passwords);
        insta::assert_snapshot!(format!("{one}\n---- split_reads\n{split}"));
    }
}

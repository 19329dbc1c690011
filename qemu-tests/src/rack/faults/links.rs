//! Cables: a member that is cut off, a mail server without its store, a split brain forced by hand.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::rack::{Rack, Unit, green};

/// Until a member that is alone knows it, emulated.
const NOTICE: Duration = Duration::from_secs(180);
/// What the health endpoint answers.
const CODE: &str = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:9200/";

/// A member that does not take writes.
fn bystander(rack: &Rack) -> anyhow::Result<String> {
    let writer = green::writer(rack)?;
    let mut members = rack.of("galera").map(|unit| unit.name().to_owned());
    members
        .find(|name| *name != writer)
        .context("no other member")
}

/// Whether the health endpoint says that a member serves; a machine that says nothing is an error, not a no.
fn serves(unit: &Unit) -> anyhow::Result<bool> {
    match unit.run(CODE)?.as_str() {
        "200" => Ok(true),
        "503" => Ok(false),
        other => bail!("the health endpoint answers `{other}`"),
    }
}

fn refuses(rack: &mut Rack, name: &str) -> anyhow::Result<()> {
    let began = Instant::now();
    while serves(rack.unit(name)?)? {
        ensure!(
            began.elapsed() < NOTICE,
            "`{name}` is cut off and still says that it serves"
        );
        std::thread::sleep(Duration::from_secs(2));
    }
    Ok(())
}

pub(super) fn member(rack: &mut Rack) -> anyhow::Result<()> {
    let name = bystander(rack)?;
    rack.plug(&name, "cluster", false)?;
    refuses(rack, &name)?;
    let said = rack.unit(&name)?.run(
        "sudo timeout 60 mariadb mail -e \"INSERT INTO domains VALUES ('cut-off.example.org')\" 2>&1 || true",
    )?;
    // ER_UNKNOWN_COM_ERROR: "WSREP has not yet prepared node for application use".
    ensure!(
        said.contains("ERROR 1047"),
        "`{name}` is cut off, and said to a write: `{said}`"
    );
    rack.plug(&name, "cluster", true)?;
    green::wait(rack.unit(&name)?).map(drop)
}

pub(super) fn storage(rack: &mut Rack) -> anyhow::Result<()> {
    let name = rack.of("production").next().context("no mail server")?;
    let name = name.name().to_owned();
    rack.plug(&name, "storage", false)?;
    std::thread::sleep(Duration::from_secs(120));
    rack.plug(&name, "storage", true)?;
    green::wait(rack.unit(&name)?).map(drop)
}

pub(super) fn split_brain(rack: &mut Rack) -> anyhow::Result<()> {
    let name = bystander(rack)?;
    rack.plug(&name, "cluster", false)?;
    refuses(rack, &name)?;
    let alone = rack.unit(&name)?;
    alone.run("sudo mariadb -e 'SET GLOBAL wsrep_provider_pc_bootstrap=ON'")?;
    let primary =
        "sudo mariadb -BN -e \"SHOW STATUS LIKE 'wsrep_cluster_status'\" | grep -qw Primary";
    alone.wait("Primary by force", primary, "true", NOTICE)?;
    ensure!(
        !serves(alone)?,
        "`{name}` is a split brain, and its health endpoint says that it serves"
    );
    rack.plug(&name, "cluster", true)?;
    std::thread::sleep(Duration::from_secs(60));
    // Both halves are Primary now and do not merge; only the larger one is used.
    ensure!(
        !serves(rack.unit(&name)?)?,
        "`{name}` is a split brain, and its health endpoint says that it serves"
    );
    ensure!(
        green::writer(rack)? != name,
        "the balancer writes to the split brain"
    );
    let alone = rack.unit(&name)?;
    alone.run(
        "sudo systemctl stop rackwright-join mariadb && sudo mv /var/lib/mysql/data /var/lib/mysql/data.split && \
         sudo systemctl start --no-block rackwright-join",
    )?;
    green::wait(alone)?;
    alone.run("sudo rm -rf /var/lib/mysql/data.split").map(drop)
}

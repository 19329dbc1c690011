//! A mail server's round: addresses, store, database, then Dovecot and Postfix.

use camino::Utf8Path;
use roles::NodeFile;
use system::{System, delivered::secret, drained};

use crate::{
    mail::{self, DATABASE, FOLDER, SENTINEL},
    round::icewarp,
    serve::{Report, run},
    settings::Mail,
};

/// Postfix and Dovecot start only while this is there (their units' `ConditionPathExists`).
const READY: &str = "/run/rackwright/mail/ready";

pub(crate) fn round(system: &dyn System, node: &NodeFile, settings: &Mail, now: u64) -> Report {
    match steps(system, node, settings, now) {
        Ok(report) => report,
        Err(Halt::Stop(report)) => {
            if system.exists(Utf8Path::new(READY)) {
                let _ = system.remove(Utf8Path::new(READY));
                if is_icewarp(settings) {
                    icewarp::stop(system);
                } else {
                    let _ = run(
                        system,
                        &["systemctl", "stop", "postfix.service", "dovecot.service"],
                    );
                }
            }
            report
        }
        Err(Halt::Wait(report)) => report,
    }
}

/// Why a round did not come to its end.
enum Halt {
    /// The store is not what it should be: what serves must not write on.
    Stop(Report),
    /// Nothing is started. What serves goes on: without its database Postfix says 451 and Dovecot a temporary failure, and
    /// both go on by themselves; a restart for one lost question would cut every connection.
    Wait(Report),
}

impl From<Report> for Halt {
    fn from(report: Report) -> Self {
        Self::Wait(report)
    }
}

fn is_icewarp(settings: &Mail) -> bool {
    settings.mail_engine.as_deref() == Some("icewarp")
}

fn steps(system: &dyn System, node: &NodeFile, settings: &Mail, now: u64) -> Result<Report, Halt> {
    let standalone = node.role == "standalone";
    if !standalone && settings.mail_source.is_none() && settings.lun.is_none() {
        return Ok(Report::idle());
    }
    if let Some(engine) = &settings.mail_engine
        && !matches!(engine.as_str(), "builtin" | "icewarp")
    {
        return Err(Halt::Stop(Report::refused(&format!(
            "`mail_engine`: `{engine}` is not known\nhint: `builtin` or `icewarp`"
        ))));
    }
    if drained::is(system) {
        return Err(Halt::Stop(Report::waits(drained::WORDS)));
    }
    let failed = |text: String| Report::new(crate::serve::State::Failed, text);
    for address in &settings.loopback_addresses {
        let length = if address.contains(':') { "128" } else { "32" };
        run(
            system,
            &[
                "ip",
                "address",
                "replace",
                &format!("{address}/{length}"),
                "dev",
                "lo",
            ],
        )
        .map_err(failed)?;
    }
    if standalone {
        local_store(system).map_err(Halt::Stop)?;
    } else {
        store(system, settings).map_err(Halt::Stop)?;
    }
    // IceWarp has certificates of its own.
    if settings.tls && !is_icewarp(settings) {
        let key = settings.certificate_key.as_deref().unwrap_or_default();
        if !system.exists(Utf8Path::new(key)) {
            return Err(Report::waits(format!(
                "the certificate for clients: there is no `{key}`; `journalctl -u rackwright-identity` says what it waits for"
            ))
            .into());
        }
    }
    let password = secret(system, "database-app")
        .ok_or_else(|| Report::waits("the secret `database-app` was not delivered"))?;
    // Before it stands in a statement.
    mail::database_files(settings, &password).map_err(|refusal| Report::refused(&refusal))?;
    if standalone {
        local_database(system, &password)?;
    }
    write_files(system, settings, &password)?;
    let client = format!("--defaults-file={FOLDER}/client.cnf");
    let address = settings.database_address.as_deref().unwrap_or("127.0.0.1");
    run(
        system,
        &["mariadb", &client, "--batch", "--execute", "SELECT 1"],
    )
    .map_err(|error| {
        Report::waits(format!(
            "the database at {address} does not answer: {}",
            last(&error)
        ))
    })?;
    if is_icewarp(settings) {
        let work = icewarp::Work {
            system,
            node,
            settings,
            password: &password,
            client: &client,
            now,
        };
        return work.round(READY).map_err(Halt::Wait);
    }
    if !system.exists(Utf8Path::new(READY)) {
        run(
            system,
            &["mariadb", &client, "--batch", "--execute", mail::SCHEMA],
        )
        .map_err(failed)?;
        let root = settings
            .vmail_root
            .as_deref()
            .unwrap_or("/var/srv/mail/mail");
        run(
            system,
            &[
                "install", "-d", "-o", "5000", "-g", "5000", "-m", "0770", root,
            ],
        )
        .map_err(failed)?;
        // Makes the queue's folders, and complains about what it cannot read (postfix(1)).
        run(
            system,
            &["install", "-d", "-m", "0755", &queue(settings, node)],
        )
        .map_err(failed)?;
        run(system, &["postfix", "check"]).map_err(failed)?;
        system
            .write(Utf8Path::new(READY), b"", 0o644)
            .map_err(|error| failed(error.to_string()))?;
    }
    run(
        system,
        &["systemctl", "start", "dovecot.service", "postfix.service"],
    )
    .map_err(failed)?;
    let mut report = Report::ready("SMTP and IMAP");
    report.listens = vec![25, 143, 587];
    Ok(report)
}

fn queue(_settings: &Mail, node: &NodeFile) -> String {
    let said = node
        .settings
        .get("queue_root")
        .and_then(toml::Value::as_str);
    let usual = if node.role == "standalone" {
        "/var/srv/mail/queue"
    } else {
        "/var/spool/rackwright/postfix"
    };
    said.unwrap_or(usual).to_owned()
}

/// The store is mounted, it is the planned one, and it says that it is a store.
fn store(system: &dyn System, settings: &Mail) -> Result<(), Report> {
    let failed = |text: String| Report::new(crate::serve::State::Failed, text);
    let mount = settings.mail_mount.as_deref().unwrap_or("/var/srv/mail");
    let Some(source) = settings.mail_source.as_deref() else {
        return Err(Report::waits(
            "a store on a LUN is mounted by hand: see docs/mail.md",
        ));
    };
    let options = settings.mount_options.as_deref().unwrap_or_default();
    if let Some(refusal) = mail::check_options(options).first() {
        return Err(Report::refused(refusal));
    }
    let mounts = crate::view::text(system, "/proc/mounts").unwrap_or_default();
    if !mail::mounted(&mounts, mount, source).map_err(|refusal| Report::refused(&refusal))? {
        let path = Utf8Path::new(mount);
        system
            .make_directory(path)
            .map_err(|error| failed(error.to_string()))?;
        if !system.list(path).unwrap_or_default().is_empty() {
            return Err(Report::refused(&mail::Refusal::NotEmpty {
                mount: mount.to_owned(),
            }));
        }
        // So that nothing can be written where the store is not; a file system without the flag is no reason to stop.
        let _ = run(system, &["chattr", "+i", mount]);
        // `retry=0`: the next round tries again, and says why in between.
        let options = format!("{options},retry=0");
        run(
            system,
            &["mount", "-t", "nfs4", "-o", &options, source, mount],
        )
        .map_err(|error| {
            Report::waits(format!(
                "the mail store `{source}` cannot be mounted: {}",
                last(&error)
            ))
        })?;
    }
    if !system.exists(&Utf8Path::new(mount).join(SENTINEL)) {
        return Err(Report::refused(&mail::Refusal::NoSentinel {
            mount: mount.to_owned(),
        }));
    }
    Ok(())
}

/// The files with the password, only where they differ: Dovecot and Postfix need not read them again every round.
fn write_files(system: &dyn System, settings: &Mail, password: &str) -> Result<(), Report> {
    let failed = |text: String| Report::new(crate::serve::State::Failed, text);
    let files =
        mail::database_files(settings, password).map_err(|refusal| Report::refused(&refusal))?;
    system
        .make_directory(Utf8Path::new(FOLDER))
        .map_err(|error| failed(error.to_string()))?;
    // IceWarp has settings of its own; the client asks for both.
    let wanted =
        |file: &&mail::Secret| !is_icewarp(settings) || file.path == format!("{FOLDER}/client.cnf");
    for file in files.iter().filter(wanted) {
        let path = Utf8Path::new(&file.path);
        if system
            .read(path)
            .is_ok_and(|there| there == file.text.as_bytes())
        {
            continue;
        }
        // First for root alone: nobody else may read it before it has its group.
        system
            .write(path, file.text.as_bytes(), 0o600)
            .map_err(|error| failed(error.to_string()))?;
        run(system, &["chown", file.owner, &file.path]).map_err(failed)?;
        run(system, &["chmod", &format!("{:o}", file.mode), &file.path]).map_err(failed)?;
    }
    Ok(())
}

/// The one disk array has everything on a machine that stands alone.
fn local_store(system: &dyn System) -> Result<(), Report> {
    let mounts = crate::view::text(system, "/proc/mounts").unwrap_or_default();
    let is_mounted = mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == Some("/var/srv/mail"));
    is_mounted
        .then_some(())
        .ok_or_else(|| Report::waits("`/var/srv/mail` is not mounted"))
}

/// MariaDB on this machine: made once, started, and the account for mail in it.
fn local_database(system: &dyn System, password: &str) -> Result<(), Report> {
    let failed = |text: String| Report::new(crate::serve::State::Failed, text);
    const DATA: &str = "/var/srv/mail/database";
    join::data::make(system, Utf8Path::new(DATA)).map_err(failed)?;
    run(system, &["systemctl", "start", "mariadb.service"]).map_err(failed)?;
    // By standard input: what stands in arguments everybody on the machine can read.
    let command = system::Command::new("mariadb")
        .args(["--protocol=socket", "--user=root", "--batch"])
        .input(account(password))
        .timeout(std::time::Duration::from_secs(60));
    system.run(&command).map_err(|_| {
        failed(
            "the account for mail cannot be made: is `root` of the database by socket there?"
                .to_owned(),
        )
    })?;
    Ok(())
}

/// Database and account for mail; the secret has letters and digits only.
fn account(password: &str) -> String {
    let mut text = format!("CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n");
    for host in ["127.0.0.1", "localhost"] {
        text.push_str(&format!(
            "CREATE USER IF NOT EXISTS {DATABASE}@'{host}' IDENTIFIED BY '{password}';\nALTER USER {DATABASE}@'{host}' IDENTIFIED BY '{password}';\nGRANT ALL ON {DATABASE}.* TO {DATABASE}@'{host}';\nGRANT ALL ON `iw\\_%`.* TO {DATABASE}@'{host}';\n"
        ));
    }
    text
}

/// The last line of an error: what the program itself said.
fn last(error: &str) -> &str {
    error
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(error)
}

#[cfg(test)]
#[path = "mail_tests.rs"]
mod tests;

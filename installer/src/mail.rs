//! `mail`: what an operator does with the mail store of this server.

use anyhow::{Context as _, ensure};
use camino::Utf8Path;
use service::{mail, settings};
use system::System;

use crate::arguments::MailTask;
use crate::{output, this::This};

/// Runs the command.
///
/// # Errors
/// Refused, or a file cannot be written.
pub fn run(system: &dyn System, task: &MailTask) -> anyhow::Result<u8> {
    match task {
        MailTask::Schema => output::text(mail::SCHEMA)?,
        MailTask::Adopt => {
            let settings: settings::Mail = This::read(system)?.settings()?;
            let mount = settings.mail_mount.as_deref().unwrap_or("/var/srv/mail");
            let source = settings
                .mail_source
                .as_deref()
                .context("the node file names no mail store")?;
            let mounts = system.read(Utf8Path::new("/proc/mounts"))?;
            let mounts = String::from_utf8_lossy(&mounts);
            ensure!(
                mail::mounted(&mounts, mount, source)?,
                "`{source}` is not mounted at `{mount}`: a bare mount point is never adopted"
            );
            let text = "The mail store. Mail servers write only where this file is.\n";
            system.write(
                &Utf8Path::new(mount).join(mail::SENTINEL),
                text.as_bytes(),
                0o444,
            )?;
            output::text(&format!("`{source}` is the mail store\n"))?;
        }
    }
    Ok(0)
}

//! The builder runs in namespaces of its own: mounts (so that none outlives it), processes (so that none does either), and
//! users if it was not started as root.
//!
//! The process the user started stays outside, holds one end of a pipe and waits. The builder inside is process 1 of its
//! process namespace; when the pipe closes, because the outer process was interrupted or killed, it exits, and the kernel
//! ends everything in the namespace (pid_namespaces(7)) and with the last process its mounts (mount_namespaces(7)).

use std::io::Read;
use std::process::{Command as Process, Stdio};

use anyhow::{Context, Result, bail};

/// Set for the inner process.
const INSIDE: &str = "RACKWRIGHT_INSIDE";

/// In which of the two processes this is.
pub enum Place {
    /// Inside: build.
    Inside,
    /// Outside: the inner process ended with this exit code.
    Outside(u8),
}

/// Starts this program again inside, or says that this already is inside.
pub fn enter() -> Result<Place> {
    if std::env::var_os(INSIDE).is_some() {
        std::thread::spawn(|| {
            // Nothing is ever written to the pipe: the read returns when the outer process is gone.
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(130);
        });
        return Ok(Place::Inside);
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut unshare = Process::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        if let Some(reason) = rootless_obstacle() {
            bail!("{reason}");
        }
        unshare.args(["--user", "--map-auto", "--map-root-user"]);
    }
    let mut child = unshare
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start `unshare`\nhint: apt-get install util-linux")?;
    // Held until the child ended: closing it is the signal to stop.
    let pipe = child.stdin.take();
    let status = child.wait()?;
    drop(pipe);
    Ok(Place::Outside(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}

/// Why a build without root cannot work here, if it cannot.
fn rootless_obstacle() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())
        .ok()
        .flatten()?;
    let subordinate = fs_err::read_to_string("/etc/subuid").unwrap_or_default();
    let listed = |line: &str| {
        line.split(':')
            .next()
            .is_some_and(|name| name == user.name || name == user.uid.to_string())
    };
    if !subordinate.lines().any(listed) {
        return Some(format!(
            "user `{}` has no subordinate user ids, so it cannot build without root\n\
             hint: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {}, or build with sudo",
            user.name, user.name
        ));
    }
    if !std::path::Path::new("/usr/bin/newuidmap").exists() {
        return Some("`newuidmap` is missing, so a build without root is not possible\nhint: apt-get install uidmap".to_owned());
    }
    None
}

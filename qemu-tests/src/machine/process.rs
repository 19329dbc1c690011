//! A child process in a process group of its own that never outlives the thread that started it.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use fs_err::File;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Killed, with its whole group, when dropped; by the kernel (PR_SET_PDEATHSIG, prctl(2)) if we are killed ourselves.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts program and arguments of `command`; only those are taken over. setpriv(1) sets the death signal and
    /// becomes the program, so the process id is the program's.
    pub(crate) fn start(command: &Command) -> std::io::Result<Self> {
        Self::start_logged(command, None)
    }

    /// As [`Self::start`], with standard output and standard error in a file.
    pub(crate) fn start_logged(command: &Command, log: Option<File>) -> std::io::Result<Self> {
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.process_group(0).stdin(Stdio::null());
        match log {
            Some(file) => {
                let file = file.into_file();
                wrapped.stdout(file.try_clone()?).stderr(file);
            }
            None => {
                wrapped.stdout(Stdio::null()).stderr(Stdio::null());
            }
        }
        Ok(Self {
            child: wrapped.spawn()?,
            ended: None,
        })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets others go first: so many steps of nice(2) behind this program, all its threads; 0 undoes it. Nothing is done about it
    /// if that is not allowed.
    pub(crate) fn stand_back(&self, steps: i32) {
        // proc_pid_stat(5): field 19, counted from the third behind the name in parentheses.
        let own = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let own = own.rsplit(')').next().unwrap_or_default();
        let own = own.split_whitespace().nth(16);
        let own: i32 = own.and_then(|nice| nice.parse().ok()).unwrap_or(0);
        let (nice, group) = ((own + steps).to_string(), self.id().to_string());
        let mut renice = Command::new("renice");
        renice.args(["-n", &nice, "-g", &group]);
        let _not_allowed = renice.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }

    /// Whether it has ended.
    pub(crate) fn exited(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }

    /// Whether it ended well; absent while it runs.
    pub(crate) fn success(&mut self) -> Option<bool> {
        self.exited();
        self.ended.map(|status| status.success())
    }

    /// Kills the group and waits for the child.
    pub(crate) fn kill(&mut self) {
        if self.exited() {
            return;
        }
        if let Ok(id) = i32::try_from(self.child.id()) {
            // Not there any more is as good as killed.
            let _gone = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        self.ended = self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_stands_back_is_nicer_by_so_much() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let process = Process::start(&command).unwrap();
        let nice = |id: &str| -> i32 {
            let stat = fs_err::read_to_string(format!("/proc/{id}/stat")).unwrap();
            let rest = stat.rsplit(')').next().unwrap();
            rest.split_whitespace().nth(16).unwrap().parse().unwrap()
        };
        process.stand_back(3);
        let id = process.id().to_string();
        assert_eq!(nice(&id), (nice("self") + 3).min(19));
    }

    #[test]
    fn a_dropped_process_takes_its_children_along() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            &format!(
                "sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait",
                file.display()
            ),
        ]);
        let process = Process::start(&command).unwrap();
        let start = std::time::Instant::now();
        while !file.exists() && start.elapsed().as_secs() < 10 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let id: i32 = fs_err::read_to_string(&file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        drop(process);
        let gone = || match fs_err::read_to_string(format!("/proc/{id}/stat")) {
            Err(_) => true,
            Ok(stat) => stat.contains(") Z"),
        };
        while !gone() && start.elapsed().as_secs() < 10 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(gone(), "process {id} is still there");
    }
}

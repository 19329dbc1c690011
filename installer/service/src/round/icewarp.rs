//! A mail server whose mail program is the payload IceWarp: unpacked, installed, told its settings, started. The store and the
//! database were looked at before (`round::mail`).

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use roles::NodeFile;
use sha2::{Digest, Sha256};
use system::{Command, CommandError, System, delivered};

use crate::{
    icewarp::{
        self, Entry, Halt, Next, Place, Seen,
        duty::{self, Duty, Wish},
        settings as script,
    },
    serve::{Report, State, run},
    settings::Mail,
};

/// Says what is there, in the folder of the local array.
const MARKS: [&str; 3] = ["root.sha256", "unpacked.sha256", "installed.sha256"];
/// Units that are written at run time (systemd.unit(5)).
const UNITS: &str = "/run/systemd/system";
/// Digests of what it was told since the machine started, in memory.
const TOLD: &str = "/run/rackwright/icewarp";
/// A big archive on a slow array.
const LONG: Duration = Duration::from_secs(3600);

/// What one server's round needs.
pub(crate) struct Work<'a> {
    pub system: &'a dyn System,
    pub node: &'a NodeFile,
    pub settings: &'a Mail,
    /// Of the account `mail` in the database.
    pub password: &'a str,
    /// Options of the database's client.
    pub client: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

fn failed(text: impl Into<String>) -> Report {
    Report::new(State::Failed, text)
}

/// Stops it and gives the master's lock up.
pub(crate) fn stop(system: &dyn System) {
    let _ = run(system, &["systemctl", "stop", icewarp::UNIT, duty::UNIT]);
}

impl Work<'_> {
    /// One round after store and database are there.
    pub(crate) fn round(&self, ready: &str) -> Result<Report, Report> {
        let entry = self.entry()?;
        let place = self.place(&entry);
        // A step leads to the next; there are four.
        for _ in 0..8 {
            let seen = self.look(&place);
            match icewarp::next(&entry, &seen) {
                Ok(Next::UnpackRoot) => self.unpack_root(&entry, &place)?,
                Ok(Next::Unpack) => self.unpack(&entry, &place)?,
                Ok(Next::Install) => self.install(&entry, &place)?,
                Ok(Next::Configure) => return self.serve(&place, ready),
                Err(Halt::Refused(refusal)) => return Err(Report::refused(&refusal)),
                Err(Halt::Waits(what)) => return Err(Report::waits(what)),
            }
        }
        Err(failed("the payload's steps lead to no end"))
    }

    fn entry(&self) -> Result<Entry, Report> {
        let path = format!(
            "{}/{}/payload.json",
            roles::site::payload::FOLDER,
            icewarp::NAME
        );
        let bytes = self.system.read(Utf8Path::new(&path)).map_err(|_| {
            Report::waits(
                "the mail program is a payload, and this image has none: `rackwright build ROLE --site site.toml` puts it there (docs/mail.md)",
            )
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| failed(format!("cannot understand `{path}`: {error}")))
    }

    fn place(&self, entry: &Entry) -> Place {
        let settings = self.settings;
        let local = if self.node.role == "standalone" {
            "/var/srv/mail"
        } else {
            "/var/spool/rackwright"
        };
        Place {
            work: format!("{local}/{}", icewarp::NAME),
            has_root: entry.root.is_some(),
            binds: vec![self.mount().to_owned(), temp(settings).to_owned()],
        }
    }

    fn mount(&self) -> &str {
        self.settings
            .mail_mount
            .as_deref()
            .unwrap_or("/var/srv/mail")
    }

    fn text(&self, path: &str) -> String {
        let bytes = self.system.read(Utf8Path::new(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn look(&self, place: &Place) -> Seen {
        let mark = |name: &str| {
            let text = self.text(&format!("{}/{name}", place.work));
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let above = if place.has_root {
            place.root()
        } else {
            String::new()
        };
        // In most distributions /etc/os-release is a link to the other one, which leads out of a root.
        let os_release = ["/usr/lib/os-release", "/etc/os-release"]
            .iter()
            .map(|path| self.text(&format!("{above}{path}")))
            .find(|text| !text.is_empty())
            .unwrap_or_default();
        let platform = self
            .installer(place)
            .map(|at| self.text(&format!("{}/{at}/platform", place.unpacked())));
        Seen {
            root: mark(MARKS[0]),
            unpacked: mark(MARKS[1]),
            platform: platform.unwrap_or_default(),
            os_release,
            installed: mark(MARKS[2]),
            has_license: delivered::secret(self.system, icewarp::LICENSE).is_some(),
        }
    }

    /// The folder with `install.sh`: the archive's top, or the one folder in it.
    fn installer(&self, place: &Place) -> Result<String, icewarp::Refusal> {
        let top = place.unpacked();
        let has = |at: &str| {
            self.system
                .exists(Utf8Path::new(&format!("{top}/{at}/install.sh")))
        };
        if has(".") {
            return Ok(String::new());
        }
        let names = self.system.list(Utf8Path::new(&top)).unwrap_or_default();
        let mut found = names.into_iter().filter(|name| has(name));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(icewarp::Refusal::NoInstaller),
        }
    }

    fn unpack_root(&self, entry: &Entry, place: &Place) -> Result<(), Report> {
        let Some(root) = &entry.root else {
            return Ok(());
        };
        stop(self.system);
        for mark in MARKS {
            self.remove(&format!("{}/{mark}", place.work))?;
        }
        self.extract(&root.path, &root.sha256, &place.root())?;
        self.mark(place, MARKS[0], &root.sha256)
    }

    fn unpack(&self, entry: &Entry, place: &Place) -> Result<(), Report> {
        let path = entry.path.as_deref().unwrap_or_default();
        self.remove(&format!("{}/{}", place.work, MARKS[1]))?;
        self.extract(path, &entry.sha256, &place.unpacked())?;
        self.installer(place)
            .map_err(|refusal| Report::refused(&refusal))?;
        self.mark(place, MARKS[1], &entry.sha256)
    }

    /// Into a folder beside, which gets its name when it is whole.
    fn extract(&self, archive: &str, digest: &str, to: &str) -> Result<(), Report> {
        let said = self.long(&["sha256sum", archive])?;
        let found = said.split_whitespace().next().unwrap_or_default();
        if !found.eq_ignore_ascii_case(digest) {
            return Err(Report::refused(&icewarp::Refusal::Checksum {
                path: archive.to_owned(),
                found: found.to_owned(),
                wanted: digest.to_owned(),
            }));
        }
        let new = format!("{to}.new");
        self.long(&["rm", "-rf", "--one-file-system", &new, to])?;
        self.system
            .make_directory(Utf8Path::new(&new))
            .map_err(|error| failed(error.to_string()))?;
        self.long(&[
            "tar",
            "--extract",
            "--file",
            archive,
            "--directory",
            &new,
            "--numeric-owner",
        ])?;
        self.long(&["mv", &new, to])?;
        Ok(())
    }

    fn install(&self, entry: &Entry, place: &Place) -> Result<(), Report> {
        stop(self.system);
        self.prepare(place)?;
        let license = delivered::path(icewarp::LICENSE).to_string();
        let at = self
            .installer(place)
            .map_err(|refusal| Report::refused(&refusal))?;
        let (words, folder) = place.install(&at, &license);
        let (program, arguments) = words
            .split_first()
            .map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        let command = Command::new(program)
            .args(arguments.iter().cloned())
            .current_dir(folder)
            .timeout(LONG);
        let code = match self.system.run(&command) {
            Ok(_) => 0,
            Err(CommandError::Failed { status, .. }) if status.starts_with("exit code ") => {
                let code = status.trim_start_matches("exit code ").parse();
                code.unwrap_or(-1)
            }
            Err(error) => return Err(failed(error.to_string())),
        };
        icewarp::installed(code).map_err(|refusal| Report::refused(&refusal))?;
        self.mark(place, MARKS[2], &entry.sha256)
    }

    /// Its account, with the number that files in the store have on every server, and the folders it works in.
    fn prepare(&self, place: &Place) -> Result<(), Report> {
        let number = self.settings.vmail_id.unwrap_or(5000).to_string();
        let script = format!(
            "id {name} > /dev/null 2>&1 || {{ groupadd --gid {number} {name}; useradd --no-create-home --home-dir {folder} --shell /bin/false --uid {number} --gid {number} {name}; }}\n",
            name = icewarp::NAME,
            folder = place.folder(),
        );
        self.script(place, &script)?;
        let mut folders = vec![temp(self.settings).to_owned()];
        if !place.has_root {
            folders.push(place.folder());
        }
        for folder in folders {
            run(
                self.system,
                &[
                    "install", "-d", "-o", &number, "-g", &number, "-m", "0750", &folder,
                ],
            )
            .map_err(failed)?;
        }
        if place.has_root {
            return Ok(());
        }
        // Its installer writes there where it is; /etc is made anew at every boot.
        let kept = format!("{}/etc", place.work);
        run(self.system, &["install", "-d", &kept, "/etc/icewarp"]).map_err(failed)?;
        let mounts = self.text("/proc/mounts");
        let mounted = |line: &str| line.split(' ').nth(1) == Some("/etc/icewarp");
        if !mounts.lines().any(mounted) {
            run(self.system, &["mount", "--bind", &kept, "/etc/icewarp"]).map_err(failed)?;
        }
        Ok(())
    }

    fn serve(&self, place: &Place, ready: &str) -> Result<Report, Report> {
        self.prepare(place)?;
        let settings = self.settings;
        let folder = place.folder();
        let refused = |refusal: icewarp::Refusal| Report::refused(&refusal);
        // Before anything is changed: what cannot be written is refused as a whole.
        let own = script::own(&folder, settings).map_err(refused)?;
        let shared = script::shared(&folder, settings, self.password).map_err(refused)?;
        // The balancer goes by its checks and takes another server; the master's flag follows.
        let ended = run(self.system, &["systemctl", "is-failed", icewarp::UNIT])
            .is_ok_and(|said| said.trim() == "failed");
        if ended {
            self.release(place)?;
            run(self.system, &["systemctl", "start", icewarp::UNIT]).map_err(failed)?;
            return Err(failed(format!(
                "IceWarp ended by itself and is started again: see `journalctl -u {}`",
                icewarp::UNIT
            )));
        }
        let is_master = self.duty(place)?;
        run(
            self.system,
            &[
                "mariadb",
                self.client,
                "--batch",
                "--execute",
                &script::databases(),
            ],
        )
        .map_err(|error| failed(format!("its databases cannot be made: {error}")))?;
        self.share(place, is_master)?;
        self.sessions(place)?;
        let flag = script::master(&folder, settings, is_master).map_err(refused)?;
        if is_master {
            self.tell(place, "shared", &shared)?;
        }
        self.tell(place, "own", &own)?;
        self.tell(place, "master", &flag)?;
        self.system
            .write(Utf8Path::new(ready), b"", 0o644)
            .map_err(|error| failed(error.to_string()))?;
        self.unit(icewarp::UNIT, &place.unit())?;
        run(self.system, &["systemctl", "start", icewarp::UNIT]).map_err(failed)?;
        let mut report = Report::ready(if is_master {
            "IceWarp, as master"
        } else {
            "IceWarp, not as master"
        });
        report.listens = vec![25, 143];
        Ok(report)
    }

    /// Whether this server is the master, after it did what it takes.
    fn duty(&self, place: &Place) -> Result<bool, Report> {
        if self.node.role == "standalone" {
            return Ok(true);
        }
        let mount = self.mount();
        let (lock, wanted) = (
            format!("{mount}/{}", duty::LOCK),
            format!("{mount}/{}", duty::WANTED),
        );
        self.unit(duty::UNIT, &duty::unit(mount))?;
        let holds = self.holds();
        let holder = self.text(&lock).trim().to_owned();
        let wish: Option<Wish> = serde_json::from_str(&self.text(&wanted)).ok();
        let node = self.node.node.as_str();
        let decided = duty::decide(&duty::Seen {
            node,
            planned: self.settings.master,
            holds,
            holder: (!holder.is_empty()).then_some(holder.as_str()),
            wish: wish.as_ref(),
            now: self.now,
        });
        match decided {
            Duty::Master => Ok(true),
            Duty::Yield => {
                if holds {
                    self.release(place)?;
                }
                Ok(false)
            }
            Duty::Try | Duty::Ask => {
                run(self.system, &["systemctl", "start", duty::UNIT]).map_err(failed)?;
                if self.holds() {
                    // In place: a new file under its name would be another lock.
                    self.script_here(&format!("printf '%s\\n' '{node}' > '{lock}'\n"))?;
                    self.remove(&wanted)?;
                    return Ok(true);
                }
                if decided == Duty::Ask {
                    let wish = Wish {
                        node: node.to_owned(),
                        at: self.now,
                    };
                    let text = serde_json::to_vec(&wish).unwrap_or_default();
                    self.system
                        .write(Utf8Path::new(&wanted), &text, 0o644)
                        .map_err(|error| failed(error.to_string()))?;
                }
                Ok(false)
            }
        }
    }

    /// Flag first, then the lock: between the two steps nobody is the master, never two.
    fn release(&self, place: &Place) -> Result<(), Report> {
        let flag = script::master(&place.folder(), self.settings, false)
            .map_err(|refusal| Report::refused(&refusal))?;
        self.tell(place, "master", &flag)?;
        run(self.system, &["systemctl", "stop", duty::UNIT])
            .map(drop)
            .map_err(failed)
    }

    fn holds(&self) -> bool {
        // `flock` ends at once where another one has the lock; a moment is enough for it.
        self.system.sleep(Duration::from_millis(300));
        run(self.system, &["systemctl", "is-active", duty::UNIT])
            .is_ok_and(|said| said.trim() == "active")
    }

    /// Configuration, spam filter and calendar lie in the store, and the program's folder has links to them. What came with the
    /// program begins them, once, by the master.
    fn share(&self, place: &Place, is_master: bool) -> Result<(), Report> {
        let here = place.folder_here();
        let number = self.settings.vmail_id.unwrap_or(5000).to_string();
        for (name, target) in script::shared_folders(self.settings) {
            let link = format!("{here}/{name}");
            if run(self.system, &["readlink", &link]).is_ok_and(|said| said.trim() == target) {
                continue;
            }
            let is_empty = self
                .system
                .list(Utf8Path::new(&target))
                .unwrap_or_default()
                .is_empty();
            if is_empty && !is_master {
                return Err(Report::waits(format!(
                    "the master to begin `{target}` in the store"
                )));
            }
            let has_own = self.system.exists(Utf8Path::new(&link));
            if is_empty {
                run(
                    self.system,
                    &[
                        "install", "-d", "-o", &number, "-g", &number, "-m", "0770", &target,
                    ],
                )
                .map_err(failed)?;
                if has_own {
                    let (from, new) = (format!("{link}/."), format!("{target}.new"));
                    self.long(&["rm", "-rf", "--one-file-system", &new])?;
                    self.long(&["cp", "-a", &from, &new])?;
                    // Whole or not at all: the empty folder is replaced by the copy (rename(2)).
                    self.long(&["mv", "--no-target-directory", &new, &target])?;
                }
            }
            if has_own {
                let kept = format!("{link}.installed");
                self.long(&["rm", "-rf", "--one-file-system", &kept])?;
                self.long(&["mv", "--no-target-directory", &link, &kept])?;
            }
            run(self.system, &["ln", "-s", &target, &link]).map_err(failed)?;
        }
        Ok(())
    }

    /// Sessions of the web interface in the store of the plan.
    fn sessions(&self, place: &Place) -> Result<(), Report> {
        let Some(address) = &self.settings.session_store else {
            return Ok(());
        };
        let path = format!("{}/php/php.ini", place.folder_here());
        let text = self.text(&path);
        if text.is_empty() {
            return Ok(());
        }
        let password = delivered::secret(self.system, "sessions")
            .ok_or_else(|| Report::waits("the secret `sessions` was not delivered"))?;
        let new = script::php_ini(&text, address, Some(&password));
        if new == text {
            return Ok(());
        }
        self.system
            .write(Utf8Path::new(&path), new.as_bytes(), 0o600)
            .map_err(|error| failed(error.to_string()))?;
        let number = self.settings.vmail_id.unwrap_or(5000);
        run(
            self.system,
            &["chown", &format!("{number}:{number}"), &path],
        )
        .map_err(failed)?;
        Ok(())
    }

    /// Runs a script of settings, if it is another one than the last.
    fn tell(&self, place: &Place, what: &str, script: &str) -> Result<(), Report> {
        let digest = hex::encode(Sha256::digest(script.as_bytes()));
        let path = Utf8PathBuf::from(format!("{TOLD}/{what}"));
        if self.text(path.as_str()) == digest {
            return Ok(());
        }
        // `tool.sh` takes values by its arguments only. While it runs, other accounts see no arguments at all (proc(5)).
        let hide = |how: &str| {
            let options = format!("remount,hidepid={how}");
            run(self.system, &["mount", "-o", &options, "/proc"])
        };
        hide("invisible").map_err(|error| {
            failed(format!(
                "arguments cannot be hidden from other accounts, so no password is said: {error}"
            ))
        })?;
        let said = self.script(place, script);
        let shown = hide("off").map_err(failed);
        said?;
        shown?;
        self.system
            .make_directory(Utf8Path::new(TOLD))
            .and_then(|()| self.system.write(&path, digest.as_bytes(), 0o600))
            .map_err(|error| failed(error.to_string()))
    }

    fn script(&self, place: &Place, script: &str) -> Result<(), Report> {
        self.shell(&place.shell(), script)
    }

    fn script_here(&self, script: &str) -> Result<(), Report> {
        let words = ["/bin/sh", "-e", "-s"].map(str::to_owned);
        self.shell(&words, script)
    }

    fn shell(&self, words: &[String], script: &str) -> Result<(), Report> {
        let (program, arguments) = words
            .split_first()
            .map_or(("", &[][..]), |(a, b)| (a.as_str(), b));
        let command = Command::new(program)
            .args(arguments.iter().cloned())
            .input(script)
            .timeout(Duration::from_secs(600));
        self.system
            .run(&command)
            .map(drop)
            .map_err(|error| failed(error.to_string()))
    }

    fn unit(&self, name: &str, text: &str) -> Result<(), Report> {
        let path = format!("{UNITS}/{name}");
        if self.text(&path) == text {
            return Ok(());
        }
        self.system
            .make_directory(Utf8Path::new(UNITS))
            .and_then(|()| {
                self.system
                    .write(Utf8Path::new(&path), text.as_bytes(), 0o644)
            })
            .map_err(|error| failed(error.to_string()))?;
        run(self.system, &["systemctl", "daemon-reload"])
            .map(drop)
            .map_err(failed)
    }

    fn mark(&self, place: &Place, name: &str, digest: &str) -> Result<(), Report> {
        let path = format!("{}/{name}", place.work);
        self.system
            .write(Utf8Path::new(&path), digest.as_bytes(), 0o600)
            .map_err(|error| failed(error.to_string()))
    }

    fn remove(&self, path: &str) -> Result<(), Report> {
        self.system
            .remove(Utf8Path::new(path))
            .map_err(|error| failed(error.to_string()))
    }

    fn long(&self, words: &[&str]) -> Result<String, Report> {
        let (program, arguments) = words.split_first().map_or(("", &[][..]), |(a, b)| (*a, b));
        let command = Command::new(program)
            .args(arguments.iter().copied())
            .timeout(LONG);
        self.system
            .run(&command)
            .map(|output| output.stdout)
            .map_err(|error| failed(error.to_string()))
    }
}

fn temp(settings: &Mail) -> &str {
    settings
        .temp_root
        .as_deref()
        .unwrap_or("/var/spool/rackwright/temp")
}

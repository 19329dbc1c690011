//! The snapshot: one state of the Debian archive, kept so that a build can be repeated without the network.
//!
//! A folder with `lists/` (the signed indexes as apt checked them), `pool/` (debs) and `sources.list`. What a build needs is
//! resolved from the kept indexes every time, so another role added later gets packages of the same day. apt checks every
//! download against the signed index before it moves it into the pool; what is half there stays in `pool/partial` and is
//! taken up again, never used.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};
use system::{Command, System};

use crate::cache::{self, Key};
use crate::index;
use crate::progress::Progress;
use crate::recipe::{Lock, Package, Request, SUITE};
use crate::tools::Tools;

/// A snapshot that is locked for this process.
pub struct Snapshot<'a> {
    root: Utf8PathBuf,
    tools: &'a Tools<'a>,
    acquire: Vec<String>,
    offline: bool,
    lock: Flock<std::fs::File>,
}

impl<'a> Snapshot<'a> {
    /// Opens the snapshot in `root`, fetching the indexes if there are none or if `refresh` is set.
    pub fn open(
        root: &Utf8Path,
        tools: &'a Tools<'a>,
        runner: &dyn System,
        refresh: bool,
        offline: bool,
    ) -> Result<Self> {
        for folder in ["pool/partial", "tmp"] {
            fs_err::create_dir_all(root.join(folder)).context("cannot make the snapshot folder")?;
        }
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root.join("lock"))?
            .into_parts()
            .0;
        let lock = Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| error)
            .context("cannot lock the snapshot")?;
        let snapshot = Snapshot {
            root: root.to_owned(),
            tools,
            acquire: acquire_settings(runner),
            offline,
            lock,
        };
        let sources = fs_err::read_to_string(tools.merged().join("../etc/apt/sources.list"))?;
        let kept = fs_err::read_to_string(root.join("sources.list")).ok();
        match &kept {
            Some(kept) if *kept == sources && !refresh => {}
            Some(kept) if *kept != sources && !refresh => bail!(
                "snapshot `{root}` was made from another mirror\nhint: `--refresh` renews it, another `--snapshot-dir` keeps both"
            ),
            _ => snapshot.update(&sources)?,
        }
        Ok(snapshot)
    }

    /// Lets other builders use the snapshot too, from now on without changing it.
    pub fn share(&self) -> Result<()> {
        self.lock
            .relock(FlockArg::LockShared)
            .context("cannot share the snapshot")
    }

    /// Fetches the signed indexes; the old ones stay until the new ones are whole.
    fn update(&self, sources: &str) -> Result<()> {
        if self.offline {
            bail!(
                "snapshot `{}` has no package index and `--offline` was given\nhint: build once with the network",
                self.root
            );
        }
        let new = self.root.join("tmp/new");
        cache::remove(&new)?;
        fs_err::create_dir_all(new.join("lists/partial"))?;
        fs_err::write(new.join("sources.list"), sources)?;
        // apt says "some index files failed to download, old ones used" with exit code 0 unless told otherwise.
        let mut arguments = self.options(&new, "")?;
        arguments.extend(["--error-on=any", "update"].map(str::to_owned));
        self.tools
            .run("apt-get", arguments)
            .context("cannot fetch the package index\nhint: is the mirror reachable? another one: --mirror URL")?;
        cache::remove(&self.root.join("sources.list"))?;
        cache::remove(&self.root.join("lists"))?;
        fs_err::rename(new.join("lists"), self.root.join("lists"))?;
        // Last, because its presence says that the lists are whole.
        fs_err::rename(new.join("sources.list"), self.root.join("sources.list"))?;
        Ok(())
    }

    /// Decides exactly which packages each request is. No network. The same index and requests give the same answer, so it is
    /// kept.
    pub fn resolve(&self, requests: &[Request]) -> Result<Lock> {
        let mut signed = Vec::new();
        for file in self.lists("InRelease")? {
            signed.push(sha256(&file)?);
        }
        let key = Key::new("lock", &(2, &signed, requests));
        let kept = self.root.join("locks").join(format!("{}.json", key.digest));
        if let Some(lock) = fs_err::read_to_string(&kept)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
        {
            return Ok(lock);
        }
        let lock = self.resolve_anew(requests)?;
        fs_err::create_dir_all(self.root.join("locks"))?;
        let temporary = self.root.join("tmp/lock.json");
        fs_err::write(&temporary, serde_json::to_vec_pretty(&lock)?)?;
        fs_err::rename(&temporary, &kept)?;
        Ok(lock)
    }

    fn resolve_anew(&self, requests: &[Request]) -> Result<Lock> {
        let mut sets = BTreeMap::new();
        // apt names no URI for what it already has, so it is shown an empty pool.
        let empty = self.root.join("tmp/empty");
        fs_err::create_dir_all(empty.join("partial"))?;
        for request in requests {
            let mut arguments = self.options(&self.root, &request.provided)?;
            arguments.extend([
                "-o".to_owned(),
                format!("Dir::Cache::archives={}", self.tools.path(&empty)),
            ]);
            arguments.extend(["--print-uris", "-qq", "-y", "install"].map(str::to_owned));
            arguments.extend(self.wanted(request));
            let output = self.tools.run("apt-get", arguments).with_context(|| {
                format!(
                    "cannot resolve the packages of `{}`\n\
                     hint: a name in `packages` may be wrong, or the index old: --refresh",
                    request.name
                )
            })?;
            let mut packages = index::uris(&output.stdout)?;
            if packages.is_empty() {
                bail!(
                    "apt resolves the packages of `{}` to nothing\nhint: --refresh",
                    request.name
                );
            }
            packages.sort();
            sets.insert(request.name.clone(), packages);
        }
        Ok(Lock {
            epoch: self.epoch()?,
            sets,
        })
    }

    /// Seconds since 1970 of the newest index.
    fn epoch(&self) -> Result<u64> {
        let mut dates = Vec::new();
        for file in self.lists("InRelease")? {
            let text = fs_err::read_to_string(&file)?;
            dates.extend(
                text.lines()
                    .find_map(|line| line.strip_prefix("Date: "))
                    .map(str::to_owned),
            );
        }
        let mut newest = 0;
        for date in dates {
            let seconds = self.tools.run("date", ["-u", "-d", &date, "+%s"])?;
            newest = newest.max(
                seconds
                    .stdout
                    .trim()
                    .parse()
                    .with_context(|| format!("cannot read the date `{date}`"))?,
            );
        }
        if newest == 0 {
            bail!(
                "snapshot `{}` has no signed index\nhint: --refresh",
                self.root
            );
        }
        Ok(newest)
    }

    fn lists(&self, ending: &str) -> Result<Vec<Utf8PathBuf>> {
        let mut files = Vec::new();
        for entry in self.root.join("lists").read_dir_utf8()? {
            let path = entry?.into_path();
            if path.as_str().ends_with(ending) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Brings everything of the lock into the pool. Says whether anything had to be fetched.
    pub fn download(&self, lock: &Lock, requests: &[Request], progress: &Progress) -> Result<bool> {
        let missing = self.missing(lock);
        if missing.is_empty() {
            return Ok(false);
        }
        let total: u64 = missing.iter().map(|package| package.size).sum();
        if self.offline {
            let names: Vec<_> = missing
                .iter()
                .take(5)
                .map(|package| package.name.as_str())
                .collect();
            bail!(
                "{} packages ({} MB) are not in snapshot `{}` and `--offline` was given: {}{}\nhint: build this role once with the network",
                missing.len(),
                total / 1_000_000,
                self.root,
                names.join(", "),
                if missing.len() > names.len() {
                    ", ..."
                } else {
                    ""
                }
            );
        }
        let pool = self.root.join("pool");
        let before = cache::size(&pool)?;
        let done = AtomicBool::new(false);
        let bar = progress.bytes(total);
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(200));
                    bar.position(cache::size(&pool).unwrap_or(before).saturating_sub(before));
                }
            });
            let result = self.fetch(lock, requests);
            done.store(true, Ordering::Relaxed);
            result
        });
        bar.finish();
        result?;
        let rest = self.missing(lock);
        if let Some(package) = rest.first() {
            bail!(
                "`{}` did not arrive whole in the pool\nhint: run the same command again",
                package.file
            );
        }
        Ok(true)
    }

    fn fetch(&self, lock: &Lock, requests: &[Request]) -> Result<()> {
        for request in requests {
            if lock
                .set(&request.name)
                .iter()
                .all(|package| self.has(package))
            {
                continue;
            }
            let mut arguments = self.options(&self.root, &request.provided)?;
            arguments.extend(["--download-only", "-qq", "-y", "install"].map(str::to_owned));
            arguments.extend(self.wanted(request));
            self.tools.run("apt-get", arguments).with_context(|| {
                format!(
                    "cannot download the packages of `{}`\n\
                     hint: run the same command again, what arrived is kept; if the mirror has moved on (404): --refresh",
                    request.name
                )
            })?;
        }
        Ok(())
    }

    /// What apt is asked for: names, and the owner's packages by their path.
    fn wanted(&self, request: &Request) -> Vec<String> {
        let names = request.packages.iter().cloned();
        let debs = request.debs.iter().map(|deb| self.tools.path(&deb.file));
        names.chain(debs).collect()
    }

    fn missing(&self, lock: &Lock) -> Vec<Package> {
        let all: BTreeSet<_> = lock.sets.values().flatten().collect();
        all.into_iter()
            .filter(|package| !self.has(package))
            .cloned()
            .collect()
    }

    fn has(&self, package: &Package) -> bool {
        let path = self.root.join("pool").join(&package.file);
        fs_err::metadata(path).is_ok_and(|metadata| metadata.len() == package.size)
    }

    /// A deb of the lock, checked against its sha256.
    pub fn deb(&self, package: &Package) -> Result<Utf8PathBuf> {
        let path = self.root.join("pool").join(&package.file);
        let found = sha256(&path)?;
        if found != package.sha256 {
            // Removed, so that the next build fetches it again.
            cache::remove(&path)?;
            bail!(
                "`{path}` has sha256 {found}, but the signed index says {}\nhint: it was removed; run the same command again",
                package.sha256
            );
        }
        Ok(path)
    }

    /// Makes a local archive in `folder` that has exactly the packages of one set, every one checked.
    pub fn archive(&self, lock: &Lock, set: &str, folder: &Utf8Path) -> Result<()> {
        let index = folder.join(format!("dists/{SUITE}/main/binary-amd64"));
        fs_err::create_dir_all(&index)?;
        fs_err::create_dir_all(folder.join("pool"))?;
        let packages = lock.set(set);
        let mut digests: BTreeMap<&str, &str> = BTreeMap::new();
        for package in packages {
            let deb = self.deb(package)?;
            let target = folder.join("pool").join(&package.file);
            if fs_err::hard_link(&deb, &target).is_err() {
                fs_err::copy(&deb, &target)?;
            }
            digests.insert(&package.sha256, &package.file);
        }
        let mut text = String::new();
        for list in self.lists("_Packages")? {
            text.push_str(&index::stanzas(
                &fs_err::read_to_string(list)?,
                &mut digests,
            ));
        }
        if let Some(file) = digests.values().next() {
            bail!("`{file}` is in the lock but not in the index\nhint: --refresh");
        }
        fs_err::write(index.join("Packages"), &text)?;
        // mmdebstrap selects essential packages by archive name: without Suite and Codename it finds none (measured).
        let release = format!(
            "Origin: Rackwright\nSuite: {SUITE}\nCodename: {SUITE}\nArchitectures: amd64\nComponents: main\nSHA256:\n {} {} main/binary-amd64/Packages\n",
            hex::encode(Sha256::digest(&text)),
            text.len()
        );
        fs_err::write(folder.join(format!("dists/{SUITE}/Release")), release)?;
        Ok(())
    }

    fn options(&self, state: &Utf8Path, provided: &str) -> Result<Vec<String>> {
        // Nothing is installed but what the image brings itself. apt locks the folder of this file, so it is one of ours.
        let status = self.root.join("tmp/status");
        fs_err::write(&status, provided)?;
        let state = self.tools.path(state);
        let pool = self.tools.path(&self.root.join("pool"));
        let mut options: Vec<String> = [
            format!("Dir::State::status={}", self.tools.path(&status)),
            format!("Dir::State::lists={state}/lists"),
            format!("Dir::Etc::sourcelist={state}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::Cache::archives={pool}"),
            "Dir::Cache::pkgcache=".to_owned(),
            "Dir::Cache::srcpkgcache=".to_owned(),
            "APT::Install-Recommends=false".to_owned(),
            // apt's own user cannot write to the user's cache.
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::ForceHash=sha256".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ]
        .into();
        options.extend(self.acquire.iter().cloned());
        Ok(options
            .into_iter()
            .flat_map(|option| ["-o".to_owned(), option])
            .collect())
    }
}

/// The host's own download settings (proxies and the like): the tool root knows nothing of them.
fn acquire_settings(runner: &dyn System) -> Vec<String> {
    let dump =
        Command::new("apt-config").args(["dump", "--no-empty", "--format", "%f=%v%n", "Acquire"]);
    let text = runner
        .run(&dump)
        .map(|output| output.stdout)
        .unwrap_or_default();
    let wanted = ["Acquire::http", "Acquire::Check-", "Acquire::ForceIPv"];
    text.lines()
        .filter(|line| wanted.iter().any(|start| line.starts_with(start)))
        .map(str::to_owned)
        .collect()
}

/// Hexadecimal sha256 of a file.
pub fn sha256(path: &Utf8Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = fs_err::File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hex::encode(hasher.finalize()))
}

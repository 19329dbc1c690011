//! Secrets that were delivered to this machine: files in memory, one secret each. They are in no node file, argument,
//! environment, event or journal.
//!
//! They travel sealed (`NODE.sealed`, from `rackwright compile`) on a medium named `RACKWRIGHT`, and are opened with a code that
//! comes on another stick (`NODE.unlock`) or is typed (`rackwright-installer unlock`). The install leaves a copy on the state
//! file system, and every boot puts it back into memory.

use camino::Utf8Path;
use firmware::bmc::{Password, PasswordError};
use roles::compile::{UnlockCode, open_sealed};
use system::{System, SystemError, delivered::FOLDER};

use crate::node_source::{self, Beside};

/// On the state file system of the installed machine.
const KEPT: &str = "secrets";

/// Why delivered secrets cannot be used. Says nothing of them.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file cannot be read or written.
    #[error(transparent)]
    System(#[from] SystemError),
    /// It is no text.
    #[error("the secret `{name}` is not text")]
    Text {
        /// File name.
        name: String,
    },
    /// It is no password for a BMC.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There is a sealed file and no code.
    #[error(
        "the secrets of `{node}` are sealed ({file}), and there is no code that opens them\n\
         hint: `rackwright unlock SITE {node}` shows the code; type it after `rackwright-installer unlock`, or put it into \
         `{node}.unlock` on a stick named RACKWRIGHT, then start the install again"
    )]
    Locked {
        /// Machine.
        node: String,
        /// Where the sealed file is.
        file: String,
    },
    /// There is nothing to open.
    #[error(
        "there is no `{node}.sealed` on a medium named RACKWRIGHT\n\
         hint: `rackwright compile` writes it; copy it beside `node.toml`"
    )]
    Nothing {
        /// Machine.
        node: String,
    },
    /// The sealed file or the code is wrong.
    #[error("{file}: {error}")]
    Wrong {
        /// Which.
        file: String,
        /// Why.
        error: roles::compile::SecretError,
    },
}

/// Password of the BMC's account, from the file `bmc`; absent if none was delivered.
///
/// # Errors
/// The file is there and cannot be used.
pub fn bmc_password(system: &dyn System) -> Result<Option<Password>, SecretError> {
    let content = match system.read(&Utf8Path::new(FOLDER).join("bmc")) {
        Ok(content) => content,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8(content).map_err(|_| SecretError::Text { name: "bmc".into() })?;
    Ok(Some(Password::parse(&text)?))
}

/// In the live system, before anything is planned: opens the sealed secrets of `node`, if some medium has them and they are not
/// open yet.
///
/// # Errors
/// They are there and cannot be opened: an install must not go on and leave a machine without its secrets.
pub fn receive(system: &dyn System, node: &str) -> Result<(), SecretError> {
    if !delivered(system).is_empty() {
        return Ok(());
    }
    let Some(sealed) = node_source::beside(system, &format!("{node}.sealed"))? else {
        return Ok(());
    };
    let Some(code) = node_source::beside(system, &format!("{node}.unlock"))? else {
        return Err(SecretError::Locked {
            node: node.to_owned(),
            file: sealed.name,
        });
    };
    let wrong = |error| SecretError::Wrong {
        file: code.name.clone(),
        error,
    };
    let code = UnlockCode::parse(&String::from_utf8_lossy(&code.content)).map_err(wrong)?;
    open(system, node, &sealed, &code)
}

/// Opens the sealed secrets of `node` with a code that somebody typed.
///
/// # Errors
/// There are none, or the code does not open them.
pub fn unlock(system: &dyn System, node: &str, code: &UnlockCode) -> Result<(), SecretError> {
    let sealed = node_source::beside(system, &format!("{node}.sealed"))?;
    let sealed = sealed.ok_or_else(|| SecretError::Nothing {
        node: node.to_owned(),
    })?;
    open(system, node, &sealed, code)
}

fn open(
    system: &dyn System,
    node: &str,
    sealed: &Beside,
    code: &UnlockCode,
) -> Result<(), SecretError> {
    let text = String::from_utf8_lossy(&sealed.content);
    let secrets = open_sealed(&text, node, code).map_err(|error| SecretError::Wrong {
        file: sealed.name.clone(),
        error,
    })?;
    system.make_directory(Utf8Path::new(FOLDER))?;
    for (name, secret) in secrets {
        // Names come from the sealed file: no other folder is reached.
        let name = name.replace('/', "_");
        let file = Utf8Path::new(FOLDER).join(name);
        system.write(&file, secret.expose().as_bytes(), 0o600)?;
    }
    Ok(())
}

/// Names of what was delivered, sorted.
pub(crate) fn delivered(system: &dyn System) -> Vec<String> {
    system.list(Utf8Path::new(FOLDER)).unwrap_or_default()
}

/// Leaves a copy of what was delivered on the state file system, each file readable by root only.
pub(crate) fn keep(system: &dyn System, state: &Utf8Path) -> Result<(), SystemError> {
    let names = delivered(system);
    if names.is_empty() {
        return Ok(());
    }
    copy(system, Utf8Path::new(FOLDER), &state.join(KEPT), &names)
}

/// Puts the copy of the installed machine back into memory.
///
/// # Errors
/// A file cannot be read or written.
pub fn restore(system: &dyn System) -> Result<(), SystemError> {
    let kept = Utf8Path::new("/state").join(KEPT);
    let names = match system.list(&kept) {
        Ok(names) => names,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    copy(system, &kept, Utf8Path::new(FOLDER), &names)
}

fn copy(
    system: &dyn System,
    from: &Utf8Path,
    to: &Utf8Path,
    names: &[String],
) -> Result<(), SystemError> {
    system.make_directory(to)?;
    names.iter().try_for_each(|name| {
        let content = system.read(&from.join(name))?;
        system.write(&to.join(name), &content, 0o600)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    /// `rackwright-sealed` of the machine `db1` with a secret `bmc`, and its code.
    fn sealed() -> (String, UnlockCode) {
        let text = roles::site::init(roles::site::model::Setup::Ha, 1000, "mail");
        let (site, _) = roles::site::check("site.toml", &text, None);
        let (site, seed) = (site.unwrap(), roles::compile::Seed::new([7; 32]));
        let compiled = roles::compile::compile(&site, &seed, None, None);
        let sealed = seed.seal("db1", &compiled.secrets["db1"]);
        (sealed, seed.unlock_code("db1"))
    }

    fn medium(name: &str, text: &str) -> Beside {
        Beside {
            name: format!("/dev/sdb1:{name}"),
            content: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_was_opened_is_kept_and_comes_back() {
        let system = Simulated::new();
        let (text, code) = sealed();
        open(&system, "db1", &medium("db1.sealed", &text), &code).unwrap();
        let names = delivered(&system);
        assert!(names.contains(&"bmc".to_owned()), "{names:?}");
        assert!(bmc_password(&system).unwrap().is_some());
        let password = system.read(Utf8Path::new("/run/rackwright/secrets/bmc"));

        keep(&system, Utf8Path::new("/state")).unwrap();
        let next = Simulated::new();
        restore(&next).unwrap();
        assert!(delivered(&next).is_empty());
        for name in &names {
            let path = format!("/state/secrets/{name}");
            next.put_file(&path, &system.read(Utf8Path::new(&path)).unwrap());
        }
        restore(&next).unwrap();
        assert_eq!(delivered(&next), names);
        assert_eq!(
            next.read(Utf8Path::new("/run/rackwright/secrets/bmc"))
                .unwrap(),
            password.unwrap()
        );
    }

    #[test]
    fn a_medium_brings_both_or_the_install_is_refused() {
        let (sealed, code) = sealed();
        let (text, wrong) = (code.text(), "a".repeat(26));
        let file = |name: &'static str, text: &str| (name, text.as_bytes().to_vec());
        let cases = [
            (vec![], Ok(0)),
            (vec![file("/db2.sealed", &sealed)], Ok(0)),
            (
                vec![file("/db1.sealed", &sealed), file("/db1.unlock", &text)],
                Ok(7),
            ),
            (
                vec![file("/db1.sealed", &sealed)],
                Err(
                    "the secrets of `db1` are sealed (/dev/sdb:db1.sealed), and there is no code that opens them",
                ),
            ),
            (
                vec![file("/db1.sealed", &sealed), file("/db1.unlock", "no code")],
                Err("/dev/sdb:db1.unlock: this is no unlock code"),
            ),
            (
                vec![file("/db1.sealed", &sealed), file("/db1.unlock", &wrong)],
                Err(
                    "/dev/sdb:db1.sealed: the sealed file cannot be opened: it was made with another seed or for another machine, or it was changed",
                ),
            ),
            (
                vec![file("/db1.sealed", "db1"), file("/db1.unlock", &text)],
                Err("/dev/sdb:db1.sealed: this is no sealed file"),
            ),
        ];
        for (files, expected) in cases {
            let system = Simulated::new();
            let files: Vec<(&str, &[u8])> = files
                .iter()
                .map(|(name, content)| (*name, content.as_slice()))
                .collect();
            system.add_medium("sdb", "RACKWRIGHT", &files);
            let got = receive(&system, "db1").map_err(|error| error.to_string());
            let got = got.map(|()| delivered(&system).len());
            let first_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
            assert_eq!(got.map_err(first_line), expected.map_err(str::to_owned));
            assert!(system.mounts().is_empty());
            assert!(system.violations().is_empty());
        }
    }

    #[test]
    fn what_cannot_be_opened_leaves_nothing() {
        let (text, _) = sealed();
        let other = roles::compile::Seed::new([8; 32]).unlock_code("db1");
        let system = Simulated::new();
        let file = medium("db1.sealed", &text);
        let error = open(&system, "db1", &file, &other).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"/dev/sdb1:db1.sealed: the sealed file cannot be opened: it was made with another seed or for another machine, or it was changed");
        let error = unlock(&system, "db1", &other).unwrap_err().to_string();
        insta::assert_snapshot!(error, @r"
        there is no `db1.sealed` on a medium named RACKWRIGHT
        hint: `rackwright compile` writes it; copy it beside `node.toml`
        ");
        assert!(delivered(&system).is_empty());
        receive(&system, "db1").unwrap();
        assert!(delivered(&system).is_empty());
    }
}

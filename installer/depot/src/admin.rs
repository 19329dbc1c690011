//! How an operator speaks to a running depot: one JSON line each way over a socket in its folder, which only its owner may open.
//! The board's buttons and `rackwright arm` and its like come here, and nowhere else.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::store::{Store, Wish};
use crate::view::{Permit, Rack};

const SOCKET: &str = "depot.sock";
/// Bytes of a line; a rack of a thousand machines is the longest.
const LINE: u64 = 64 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time for which a permit is armed: a week.
const LONGEST: u64 = 7 * 86_400;

/// A wish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// All of it.
    Rack,
    /// A permit.
    Arm {
        /// Machine.
        node: String,
        /// Data disks keep what is on them.
        keep_data: bool,
        /// How long it may be spent.
        seconds: u64,
        /// The first machine with the right board is taken for the right one.
        on_sight: bool,
    },
    /// Take a permit back.
    Disarm {
        /// Machine.
        node: String,
    },
    /// The fingerprint is the machine's.
    Approve {
        /// Machine.
        node: String,
        /// As both screens show it.
        fingerprint: String,
    },
    /// A report that is kept.
    Report {
        /// Machine.
        node: String,
        /// Name.
        name: String,
    },
}

/// Answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told<T> {
    /// What was asked for.
    Ok(T),
    /// Why not.
    Error(String),
}

/// Why the depot was not reached, or said no.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error(
        "no depot runs with the folder `{folder}`: {cause}\nhint: `rackwright serve`, or name its folder with `--state`"
    )]
    Nobody {
        /// Its folder.
        folder: Utf8PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It broke off.
    #[error("the depot's answer was not understood: {0}")]
    Garbled(String),
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// Asks the depot of a folder.
///
/// # Errors
/// See [`AskError`].
pub fn ask<T: DeserializeOwned>(folder: &Utf8Path, wish: &Ask) -> Result<T, AskError> {
    let nobody = |cause| AskError::Nobody {
        folder: folder.to_owned(),
        cause,
    };
    let mut stream = UnixStream::connect(folder.join(SOCKET)).map_err(nobody)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(nobody)?;
    let garbled = |error: &dyn std::fmt::Display| AskError::Garbled(error.to_string());
    let mut line = serde_json::to_vec(wish).map_err(|error| garbled(&error))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(|error| garbled(&error))?;
    let mut text = String::new();
    BufReader::new(stream.take(LINE))
        .read_line(&mut text)
        .map_err(|error| garbled(&error))?;
    match serde_json::from_str(&text).map_err(|error| garbled(&error))? {
        Told::Ok(value) => Ok(value),
        Told::Error(message) => Err(AskError::Refused(message)),
    }
}

/// The socket of a folder; removed when it is dropped.
pub struct Listener {
    listener: UnixListener,
    path: Utf8PathBuf,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Listener {
    /// Opens it. The folder's log is locked already: a socket that lies there is a dead depot's.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Utf8Path) -> std::io::Result<Self> {
        let path = folder.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Nobody else may come between making and closing it.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until the process ends.
    pub fn serve(&self, store: &Arc<Store>) {
        for stream in self.listener.incoming() {
            let store = Arc::clone(store);
            match stream {
                Ok(stream) => {
                    std::thread::spawn(move || {
                        // Who goes away without waiting for the answer asks again, or not.
                        let _ = answer(stream, &store);
                    });
                }
                Err(error) => {
                    tracing::warn!("an operator could not be heard: {error}");
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
    }
}

fn answer(mut stream: UnixStream, store: &Store) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(64 << 10)).read_line(&mut line)?;
    let text = match serde_json::from_str::<Ask>(&line) {
        Err(error) => serde_json::to_string(&Told::<()>::Error(format!(
            "the wish is not understood: {error}"
        )))?,
        Ok(Ask::Rack) => serde_json::to_string(&Told::<Rack>::Ok(store.rack(authority::now())))?,
        Ok(Ask::Report { node, name }) => {
            let report = store.report(&node, &name);
            let text = report.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            serde_json::to_string(&text.map_or_else(
                || Told::Error(format!("`{node}` has no report `{name}`")),
                Told::Ok,
            ))?
        }
        Ok(wish) => serde_json::to_string(&act(store, &wish))?,
    };
    stream.write_all(text.as_bytes())?;
    stream.write_all(b"\n")
}

fn act(store: &Store, wish: &Ask) -> Told<Option<Permit>> {
    let done = match wish {
        Ask::Arm {
            node,
            keep_data,
            seconds,
            on_sight,
        } => {
            return match arm(store, node, *keep_data, *seconds, *on_sight) {
                Ok(permit) => Told::Ok(Some(permit)),
                Err(message) => Told::Error(message),
            };
        }
        Ask::Disarm { node } => store.disarm(authority::now(), node),
        Ask::Approve { node, fingerprint } => {
            store.approve(authority::now(), node, &fingerprint.trim().to_lowercase())
        }
        Ask::Rack | Ask::Report { .. } => Ok(()),
    };
    done.map_or_else(|error| Told::Error(error.to_string()), |()| Told::Ok(None))
}

/// Arms a permit with a name that was never used.
///
/// # Errors
/// Why not, for people.
pub fn arm(
    store: &Store,
    node: &str,
    keep_data: bool,
    seconds: u64,
    on_sight: bool,
) -> Result<Permit, String> {
    if seconds == 0 || seconds > LONGEST {
        return Err(format!(
            "a permit lasts from one second to {LONGEST} seconds, a week"
        ));
    }
    let mut random = [0; 6];
    getrandom::fill(&mut random)
        .map_err(|error| format!("no random bytes from the operating system: {error}"))?;
    let now = authority::now();
    let id = format!("{now}-{}", hex::encode(random));
    let wish = Wish {
        keep_data,
        seconds,
        on_sight,
    };
    store
        .arm(now, node, &id, wish)
        .map(|permit| Permit {
            id: permit.id,
            keep_data: permit.keep_data,
            expires: permit.expires,
            spent: None,
        })
        .map_err(|error| error.to_string())
}

//! Where the node file comes from: a depot, the kernel command line, a removable medium, or the image itself; the first that
//! has one counts.

use std::time::Duration;

use camino::Utf8Path;
use roles::{NodeFile, RoleSet, diagnostic::Diagnostics};
use system::{DownloadError, Mounted, System, SystemError};

mod candidates;
pub mod rack;
pub mod stick;

use candidates::Candidate;

/// Embedded node file, left there by `rackwright-init`.
const EMBEDDED: &str = "/run/rackwright/embedded-node.toml";
/// Node file that came from a depot over TLS, for this boot; root's alone.
pub const DELIVERED: &str = "/run/rackwright/delivered-node.toml";
const MOUNT_POINT: &str = "/run/rackwright/node-medium";
/// No node file is larger.
const LIMIT: u64 = 1 << 20;
/// A switch port may forward only after 30 s of spanning tree, a DHCP server may be slow.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_secs(3);

/// A node file, not yet parsed. May hold a password hash: never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeText {
    /// Where it came from, as it stands in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl std::fmt::Debug for NodeText {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "NodeText({})", self.name)
    }
}

/// Why there is no node file.
#[derive(Debug, thiserror::Error)]
pub enum NodeSourceError {
    /// None of the places has one.
    #[error(
        "no node file was found\n\
         hint: put it in one of three places: `rackwright.node=http://...` on the kernel command line, `node.toml` on a USB \
         stick whose file system or partition is named `RACKWRIGHT`, or in the image (`rackwright build --node FILE`)"
    )]
    Nowhere,
    /// Several media have different ones.
    #[error("several media hold different node files: {}\nhint: leave only the right one attached", .0.join(", "))]
    Several(Vec<String>),
    /// The URL could not be fetched.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// It is not text.
    #[error("{0}: not UTF-8 text")]
    NotText(String),
    /// A place could not be read.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A stick with many node files, of which not exactly one is for this machine.
    #[error(transparent)]
    NotOne(#[from] rack::NotOne),
    /// The file is wrong.
    #[error("{0}")]
    Invalid(Diagnostics),
}

/// Finds and parses the node file. `tell` gets a line when it has to wait.
pub fn load(
    system: &dyn System,
    roles: &RoleSet,
    tell: &mut dyn FnMut(&str),
) -> Result<(NodeText, NodeFile), NodeSourceError> {
    let found = find(system, tell)?;
    let node = roles::parse::node_file(&found.name, &found.text, Some(roles))
        .map_err(NodeSourceError::Invalid)?;
    Ok((found, node))
}

/// Finds the node file in one of the three places.
pub fn find(system: &dyn System, tell: &mut dyn FnMut(&str)) -> Result<NodeText, NodeSourceError> {
    match system.read(Utf8Path::new(DELIVERED)) {
        Ok(bytes) => return text("the node file of the depot".to_owned(), bytes),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    if let Some(url) = url(system) {
        let bytes = fetch(system, &url, tell)?;
        return text(url, bytes);
    }
    find_offline(system)?.ok_or(NodeSourceError::Nowhere)
}

/// Finds it without a network: none if it comes by network, or is nowhere.
pub fn find_offline(system: &dyn System) -> Result<Option<NodeText>, NodeSourceError> {
    if url(system).is_some() || depot(system).is_some() {
        return Ok(None);
    }
    if let Some(found) = choose(on_media(system)?)? {
        return Ok(Some(found));
    }
    match system.read(Utf8Path::new(EMBEDDED)) {
        Ok(bytes) => text(EMBEDDED.to_owned(), bytes).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn text(name: String, bytes: Vec<u8>) -> Result<NodeText, NodeSourceError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(NodeText { name, text }),
        Err(_) => Err(NodeSourceError::NotText(name)),
    }
}

fn url(system: &dyn System) -> Option<String> {
    command_line(system, "rackwright.node=")
}

/// `rackwright.depot=ADDRESS:PORT`: the depot that this machine is to ask.
#[must_use]
pub fn depot(system: &dyn System) -> Option<String> {
    command_line(system, "rackwright.depot=")
}

/// A word of the kernel command line; the last one counts, as for the kernel.
#[must_use]
pub fn command_line(system: &dyn System, key: &str) -> Option<String> {
    let line = system.read(Utf8Path::new("/proc/cmdline")).ok()?;
    word_in(&String::from_utf8_lossy(&line), key)
}

fn word_in(line: &str, key: &str) -> Option<String> {
    line.split_whitespace()
        .filter_map(|word| word.trim_matches('"').strip_prefix(key))
        .next_back()
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
}

fn fetch(
    system: &dyn System,
    url: &str,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, DownloadError> {
    let began = system.now();
    let mut told = false;
    loop {
        match system.download(url, LIMIT) {
            Err(error) if error.is_temporary() => {
                if system.now().saturating_sub(began) > PATIENCE {
                    return Err(error);
                }
                if !told {
                    tell(&format!("waiting for the node file: {error}"));
                    told = true;
                }
                system.sleep(PAUSE);
            }
            result => return result,
        }
    }
}

/// A file that lies beside node files on a medium. May hold a secret: never logged.
pub struct Beside {
    /// Where it is, as it stands in messages.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The first medium's file of this name; absent if no medium has one.
///
/// # Errors
/// Some medium cannot be read, and no other has the file.
pub fn beside(system: &dyn System, file: &str) -> Result<Option<Beside>, SystemError> {
    let mut unreadable = None;
    for candidate in candidates::list(system) {
        match read_medium(system, &candidate, file) {
            Ok(Some(content)) => {
                let name = format!("{}:{file}", candidate.device);
                return Ok(Some(Beside { name, content }));
            }
            Ok(None) => {}
            Err(error) => unreadable = Some(error),
        }
    }
    unreadable.map_or(Ok(None), Err)
}

/// What every removable medium has for this machine: its `node.toml`, else the one of its `nodes/` that fits.
fn on_media(system: &dyn System) -> Result<Vec<NodeText>, NodeSourceError> {
    let mut found = Vec::new();
    let mut unreadable = None;
    let mut refused = None;
    for candidate in candidates::list(system) {
        let looked = match read_medium(system, &candidate, "node.toml") {
            Ok(Some(bytes)) => text(candidate.file_name(), bytes).map(Some),
            Ok(None) => of_rack(system, &candidate),
            Err(error) => Err(error.into()),
        };
        match looked {
            Ok(node) => found.extend(node),
            Err(NodeSourceError::System(error)) => {
                tracing::warn!(%error, device = %candidate.device, "a medium named RACKWRIGHT cannot be read");
                unreadable.get_or_insert(error);
            }
            Err(NodeSourceError::NotOne(error)) => refused = refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    // One good medium is enough; none at all must not be reported as if there had been no medium.
    match (refused, unreadable) {
        (Some(error), _) if found.is_empty() => Err(error.into()),
        (_, Some(error)) if found.is_empty() => Err(error.into()),
        _ => Ok(found),
    }
}

/// Folder of a stick for the rack.
const RACK: &str = "nodes";

/// The node file of a stick for the rack that is for this machine; none if it is no such stick.
fn of_rack(
    system: &dyn System,
    candidate: &Candidate,
) -> Result<Option<NodeText>, NodeSourceError> {
    let mut texts = on_medium(system, candidate, |folder| {
        let folder = folder.join(RACK);
        let mut names = match system.list(&folder) {
            Ok(names) => names,
            Err(error) if error.is_not_found() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        names.retain(|name| name.ends_with(".toml") && !name.starts_with('.'));
        names.sort();
        let read = |name: &String| Ok((format!("{RACK}/{name}"), system.read(&folder.join(name))?));
        names
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, SystemError>>()
    })?;
    if texts.is_empty() {
        return Ok(None);
    }
    let wanted: Vec<rack::Wanted> = texts
        .iter()
        .map(|(name, bytes)| rack::wanted(name, &String::from_utf8_lossy(bytes)))
        .collect();
    let index = rack::choose(&candidate.device, &wanted, &rack::facts(system))?;
    let (name, bytes) = texts.swap_remove(index);
    text(format!("{}:{name}", candidate.device), bytes).map(Some)
}

fn read_medium(
    system: &dyn System,
    candidate: &Candidate,
    file: &str,
) -> Result<Option<Vec<u8>>, SystemError> {
    on_medium(system, candidate, |folder| {
        match system.read(&folder.join(file)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    })
}

/// Looks into a medium while it is mounted.
fn on_medium<T>(
    system: &dyn System,
    candidate: &Candidate,
    look: impl FnOnce(&Utf8Path) -> Result<T, SystemError>,
) -> Result<T, SystemError> {
    let mounted = Mounted::new(
        system,
        Utf8Path::new(&candidate.device),
        Utf8Path::new(MOUNT_POINT),
        candidate.kind,
        true,
        "",
    )?;
    let seen = look(mounted.path())?;
    mounted.release()?;
    Ok(seen)
}

/// One file, or several that say the same.
fn choose(found: Vec<NodeText>) -> Result<Option<NodeText>, NodeSourceError> {
    let different = found
        .first()
        .is_some_and(|first| found.iter().any(|other| other.text != first.text));
    if different {
        let names = found.into_iter().map(|found| found.name).collect();
        return Err(NodeSourceError::Several(names));
    }
    Ok(found.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use system::Simulated;

    fn node(name: &str, text: &str) -> NodeText {
        NodeText {
            name: name.into(),
            text: text.into(),
        }
    }

    #[test]
    fn the_url_of_the_command_line() {
        let cases = [
            ("quiet", None),
            ("rackwright.node=", None),
            ("rackwright.node=http://a/b.toml\n", Some("http://a/b.toml")),
            (
                "rackwright.node=http://a x \"rackwright.node=http://b\"",
                Some("http://b"),
            ),
            ("xrackwright.node=http://a", None),
        ];
        for (line, expected) in cases {
            assert_eq!(
                word_in(line, "rackwright.node=").as_deref(),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn the_command_line_comes_first_and_the_image_last() {
        let system = Simulated::new();
        let nowhere = find(&system, &mut |_| {}).unwrap_err().to_string();
        insta::assert_snapshot!(nowhere, @r"
        no node file was found
        hint: put it in one of three places: `rackwright.node=http://...` on the kernel command line, `node.toml` on a USB stick whose file system or partition is named `RACKWRIGHT`, or in the image (`rackwright build --node FILE`)
        ");
        system.put_file(EMBEDDED, b"embedded");
        assert_eq!(
            find(&system, &mut |_| {}).unwrap(),
            node(EMBEDDED, "embedded")
        );
        system.put_file("/proc/cmdline", b"rackwright.node=http://depot/n.toml");
        system.put_url("http://depot/n.toml", b"from the network");
        assert_eq!(
            find(&system, &mut |_| {}).unwrap(),
            node("http://depot/n.toml", "from the network")
        );
        assert_eq!(find_offline(&system).unwrap(), None);
    }

    #[test]
    fn one_stick_for_the_rack() {
        let system = Simulated::new();
        let one = b"node = 'db1'\n[machine]\nserial = 'ZM1'\n";
        let other = b"node = 'db2'\n[machine]\nserial = 'ZM2'\n";
        let files: [(&str, &[u8]); 2] = [("/nodes/db1.toml", one), ("/nodes/db2.toml", other)];
        system.add_medium("sda", "RACKWRIGHT", &files);
        let refused = find(&system, &mut |_| {}).unwrap_err().to_string();
        assert!(
            refused.starts_with("none of the 2 node files on `/dev/sda` is for this machine\n"),
            "{refused}"
        );
        system.put_file("/sys/class/dmi/id/board_serial", b"ZM2\n");
        let found = find(&system, &mut |_| {}).unwrap();
        assert_eq!(
            found,
            node(
                "/dev/sda:nodes/db2.toml",
                "node = 'db2'\n[machine]\nserial = 'ZM2'\n"
            )
        );
        // A `node.toml` is for the machine it is put into.
        system.put_file_on("sda", "/node.toml", b"by hand");
        assert_eq!(
            find(&system, &mut |_| {}).unwrap().name,
            "/dev/sda:node.toml"
        );
    }

    #[test]
    fn several_media_must_agree() {
        let same = [
            node("/dev/sda1:node.toml", "x"),
            node("/dev/sdb1:node.toml", "x"),
        ];
        assert_eq!(
            choose(same.to_vec()).unwrap().unwrap().name,
            "/dev/sda1:node.toml"
        );
        assert_eq!(choose(vec![]).unwrap(), None);
        let different = [
            node("/dev/sda1:node.toml", "x"),
            node("/dev/sdb1:node.toml", "y"),
        ];
        assert_eq!(
            choose(different.to_vec()).unwrap_err().to_string(),
            "several media hold different node files: /dev/sda1:node.toml, /dev/sdb1:node.toml\n\
             hint: leave only the right one attached"
        );
    }

    #[test]
    fn a_node_file_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", node("a", "secret")), "NodeText(a)");
    }
}

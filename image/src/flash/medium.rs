//! What is on a medium: role and version as its kernel will ask for them, sums, partitions, node files without their secrets.

use std::io::{Read, Seek, SeekFrom};

use anyhow::{Context, Result, bail};
use boot::gpt;
use camino::Utf8Path;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::content::{self, PARTITION};
use super::{incomplete, iso};
use crate::initrd::RootFile;

/// No initrd is larger.
const INITRD_LIMIT: u64 = 512 << 20;
/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// A medium.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Medium {
    /// What the initrd says belongs to it.
    pub root: RootFile,
    /// The root image has the sum that the initrd demands.
    pub root_is_whole: bool,
    /// The keys that the image trusts, as `rackwright keygen` prints them; absent: none.
    pub trust: Option<String>,
    /// Pin of the cluster's authority, if the image carries it.
    pub pin: Option<String>,
    /// Partitions.
    pub partitions: Vec<Partition>,
    /// Node files.
    pub nodes: Vec<Node>,
    /// Machines with sealed secrets.
    pub sealed: Vec<String>,
    /// Machines whose unlock code lies beside them: who has the stick has their secrets.
    pub unlocked: Vec<String>,
    /// Other files.
    pub others: Vec<String>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// Name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Hexadecimal.
    pub sha256: String,
}

/// A node file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Path on the partition.
    pub file: String,
    /// Its content, secrets hidden; absent if it is no TOML.
    pub content: Option<toml::Table>,
}

/// Looks at a file or disk.
///
/// # Errors
/// It is no whole medium of ours, or cannot be read.
pub fn look(path: &Utf8Path) -> Result<Medium> {
    let mut file: std::fs::File = fs_err::File::open(path)?.into();
    read(&mut file).with_context(|| format!("`{path}` is no medium of Rackwright"))
}

fn read(file: &mut std::fs::File) -> Result<Medium> {
    let mut head = Vec::new();
    file.by_ref()
        .take(incomplete::HEAD as u64)
        .read_to_end(&mut head)?;
    if incomplete::is_incomplete(&head) {
        bail!("it was not written to its end\nhint: write it again with `rackwright flash`");
    }
    let partitions = gpt::list(&head);
    let (start, length) = iso::find(file, &["RACKWRIG", "INITRD.ZST"])?;
    if length > INITRD_LIMIT {
        bail!("its initrd is damaged");
    }
    let initrd = range(file, start, length)?;
    let root: RootFile = iso::in_initrd(&initrd, "rackwright/root.json")
        .and_then(|text| serde_json::from_slice(text).ok())
        .context("its initrd does not say which root belongs to it")?;
    let text = |name: &str| {
        let bytes = iso::in_initrd(&initrd, name)?;
        Some(String::from_utf8_lossy(bytes).trim().to_owned())
    };
    let mut medium = Medium {
        trust: text("rackwright/trust.pub"),
        pin: text("rackwright/pin"),
        root_is_whole: false,
        root,
        partitions: Vec::new(),
        nodes: Vec::new(),
        sealed: Vec::new(),
        unlocked: Vec::new(),
        others: Vec::new(),
    };
    for (name, place) in partitions {
        if name == "rackwright-root" {
            let sum = sum(file, place.start, medium.root.size.min(place.size))?;
            medium.root_is_whole = sum == medium.root.sha256;
        }
        if name == PARTITION && place.size <= 64 << 20 {
            let mut partition = range(file, place.start, place.size)?;
            take(&mut medium, content::files(&mut partition)?);
        }
        medium.partitions.push(Partition {
            sha256: sum(file, place.start, place.size)?,
            size: place.size,
            name,
        });
    }
    Ok(medium)
}

fn range(file: &mut (impl Read + Seek), start: u64, length: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length)?];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes).context("it is cut short")?;
    Ok(bytes)
}

fn sum(file: &mut (impl Read + Seek), start: u64, length: u64) -> Result<String> {
    file.seek(SeekFrom::Start(start))?;
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let count = left.min(buffer.len() as u64) as usize;
        file.read_exact(&mut buffer[..count])
            .context("it is cut short")?;
        sha256.update(&buffer[..count]);
        left -= count as u64;
    }
    Ok(hex::encode(sha256.finalize()))
}

fn take(medium: &mut Medium, files: content::Files) {
    for (file, bytes) in files {
        let node = file == "node.toml" || (file.starts_with("nodes/") && file.ends_with(".toml"));
        if node {
            let table = std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse::<toml::Table>().ok());
            let content = table.map(|mut table| {
                hide(&mut table);
                table
            });
            medium.nodes.push(Node { file, content });
        } else if let Some(name) = file.strip_suffix(".sealed") {
            medium.sealed.push(name.to_owned());
        } else if let Some(name) = file.strip_suffix(".unlock") {
            medium.unlocked.push(name.to_owned());
        } else {
            medium.others.push(file);
        }
    }
}

/// Replaces everything that is or may be a secret: what is called so, and what looks like a password's hash.
fn hide(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        const WORDS: [&str; 5] = ["password", "secret", "token", "hash", "passphrase"];
        if WORDS.iter().any(|word| key.to_lowercase().contains(word)) {
            *value = HIDDEN.into();
        } else {
            hide_value(value);
        }
    }
}

fn hide_value(value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => hide(table),
        toml::Value::Array(values) => values.iter_mut().for_each(hide_value),
        // crypt(5).
        toml::Value::String(text) if text.starts_with('$') && text[1..].contains('$') => {
            *text = HIDDEN.to_owned();
        }
        _ => {}
    }
}

/// For people.
#[must_use]
pub fn text(medium: &Medium) -> String {
    let root = &medium.root;
    let mut text = format!(
        "role        {}\nversion     {}\nkernel      {}\nroot        {}  {}\n",
        root.role,
        root.version,
        root.kernel,
        root.sha256,
        match medium.root_is_whole {
            true => "as the initrd demands",
            false => "NOT what is on the medium: it will not boot",
        }
    );
    for (name, value) in [("trusts", &medium.trust), ("pin", &medium.pin)] {
        if let Some(value) = value {
            text.push_str(&format!(
                "{name:<11} {}\n",
                value.lines().last().unwrap_or_default()
            ));
        }
    }
    for partition in &medium.partitions {
        let Partition { name, size, sha256 } = partition;
        text.push_str(&format!("partition   {name:<16} {size:>12}  {sha256}\n"));
    }
    for (title, names) in [
        ("sealed", &medium.sealed),
        ("unlock code", &medium.unlocked),
        ("also there", &medium.others),
    ] {
        if !names.is_empty() {
            text.push_str(&format!("{title:<11} {}\n", names.join(", ")));
        }
    }
    if !medium.unlocked.is_empty() {
        text.push_str("warning: who has this medium has the secrets of the machines whose unlock code is on it\n");
    }
    for node in &medium.nodes {
        let content = node.content.as_ref().map(toml::to_string);
        let content = match content {
            Some(Ok(content)) => content,
            _ => "(no TOML)\n".to_owned(),
        };
        text.push_str(&format!("\n--- {}\n{content}", node.file));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut table: toml::Table = "node = 'db1'\n[access]\npassword_hash = '$y$j9T$abc'\nssh_keys = ['ssh-ed25519 A']\n\
            [settings]\njoin_token = 'x'\nlist = [{ Secret = 1, other = '$6$salt$hash' }]\nprice = '$5'\n"
            .parse()
            .unwrap();
        hide(&mut table);
        insta::assert_snapshot!(toml::to_string(&table).unwrap(), @r#"
        node = "db1"

        [access]
        password_hash = "(hidden)"
        ssh_keys = ["ssh-ed25519 A"]

        [settings]
        join_token = "(hidden)"
        price = "$5"

        [[settings.list]]
        Secret = "(hidden)"
        other = "(hidden)"
        "#);
    }
}

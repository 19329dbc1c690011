//! What a capture must not carry: anything beyond hardware always, serial numbers on request.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::Inventory;
use crate::probe::{TABLES, identity, smbios};

/// Shorter texts occur by chance.
const SHORTEST: usize = 6;

/// Cuts a file down to what the probe uses of it.
pub(super) fn cut_down(path: &str, content: &mut Vec<u8>) {
    let name = path.rsplit('/').next().unwrap_or_default();
    let text = String::from_utf8_lossy(content).into_owned();
    if name == "mountinfo" {
        // Options may name credentials; sources of network file systems name servers and users.
        let lines = text.lines().filter_map(|line| {
            let (fields, tail) = line.split_once(" - ")?;
            let fields: Vec<&str> = fields.split(' ').take(6).collect();
            let mut tail = tail.split(' ');
            let (kind, source) = (tail.next()?, tail.next()?);
            source
                .starts_with("/dev/")
                .then(|| format!("{} - {kind} {source} ro\n", fields.join(" ")))
        });
        *content = lines.collect::<String>().into_bytes();
    } else if path.starts_with("/run/udev/data/") {
        let wanted = |line: &&str| {
            line.starts_with("S:disk/by-path/")
                || [
                    "ID_MODEL_ENC",
                    "ID_REVISION",
                    "ID_WWN",
                    "ID_WWN_WITH_EXTENSION",
                    "ID_SERIAL_SHORT",
                    "SCSI_IDENT_SERIAL",
                    "ID_PATH",
                ]
                .iter()
                .any(|key| {
                    line.strip_prefix("E:")
                        .and_then(|line| line.strip_prefix(key))
                        .is_some_and(|rest| rest.starts_with('='))
                })
        };
        *content = text
            .lines()
            .filter(wanted)
            .map(|line| format!("{line}\n"))
            .collect::<String>()
            .into_bytes();
    } else if name == "boot.json" {
        let facts: Option<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&text).ok();
        let kept: BTreeMap<String, serde_json::Value> = facts
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| matches!(key.as_str(), "mode" | "medium" | "root_device"))
            .collect();
        *content = serde_json::to_vec(&kept).unwrap_or_default();
    } else if name == "mounts" {
        let lines = text
            .lines()
            .filter(|line| line.starts_with("/dev/"))
            .filter_map(|line| {
                let mut fields = line.split(' ');
                Some(format!(
                    "{} {} {} ro 0 0\n",
                    fields.next()?,
                    fields.next()?,
                    fields.next()?
                ))
            });
        *content = lines.collect::<String>().into_bytes();
    }
}

/// Replaces every serial number, WWN, MAC address and UUID by a stand-in of the same length and kind, the same one in
/// every file: paths of one disk still fold, lengths in binary tables stay true.
pub(super) fn serials(inventory: &Inventory, mut contents: Vec<(&str, &mut Vec<u8>)>) {
    let mut secrets: BTreeSet<String> = BTreeSet::new();
    let board = &inventory.board;
    secrets.extend(
        [
            &board.serial,
            &board.system_serial,
            &board.chassis_serial,
            &board.uuid,
        ]
        .into_iter()
        .flatten()
        .cloned(),
    );
    secrets.extend(
        inventory
            .disks
            .iter()
            .filter_map(|disk| disk.serial.clone()),
    );
    secrets.extend(inventory.nics.iter().filter_map(|nic| nic.mac.clone()));
    secrets.extend(inventory.bmc.iter().filter_map(|bmc| bmc.guid.clone()));
    let lan = inventory
        .bmc
        .iter()
        .filter_map(|bmc| bmc.lan.as_ref()?.mac.clone());
    // The recorded answer has it without colons.
    secrets.extend(lan.map(|mac| mac.replace(':', "")));
    for (path, content) in &contents {
        secrets.extend(names(content));
        if *path == TABLES {
            secrets.extend(smbios::serials(content));
        }
    }
    secrets.retain(|secret| {
        secret.len() >= SHORTEST && !identity::is_placeholder(secret) && !is_word(secret)
    });
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (number, secret) in secrets.iter().enumerate() {
        let mask = stand_in(secret, number);
        // The same name as raw bytes: NAA designators and the SMBIOS UUID.
        let digits: String = secret
            .chars()
            .filter(|character| *character != '-')
            .collect();
        if matches!(digits.len(), 16 | 32)
            && let (Ok(raw), Ok(other)) = (hex::decode(&digits), hex::decode(mask.replace('-', "")))
        {
            if digits.len() == 32 {
                pairs.push((little_endian(&raw), little_endian(&other)));
            }
            pairs.push((raw, other));
        }
        pairs.push((swapped(secret), swapped(&mask)));
        pairs.push((secret.clone().into_bytes(), mask.into_bytes()));
    }
    // Longest first: a serial number may contain another.
    pairs.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
    let starts = by_start(pairs);
    for (_, content) in &mut contents {
        replace(content, &starts);
    }
}

/// Runs of 16 or more hexadecimal digits in text: WWNs, SAS addresses, enclosure ids.
fn names(content: &[u8]) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(content) else {
        return Vec::new();
    };
    text.split(|character: char| !character.is_ascii_hexdigit())
        .flat_map(|run| [run, run.trim_start_matches('0')])
        .filter(|run| matches!(run.len(), 16 | 32) && !run.bytes().all(|byte| byte == b'0'))
        .map(str::to_owned)
        .collect()
}

/// Words such as `Supermicro` in a serial field are no serial numbers.
fn is_word(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Same length, letters stay letters and digits digits; the number makes it unique.
fn stand_in(secret: &str, number: usize) -> String {
    let digits = format!("{number:05}");
    let mut left = digits.bytes().rev();
    let mut mask: Vec<u8> = Vec::with_capacity(secret.len());
    let is_name = secret
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b':');
    for (place, byte) in secret
        .bytes()
        .enumerate()
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        mask.push(match byte {
            // The first digits of a WWN name its maker, and its form.
            byte if is_name && matches!(secret.len(), 16 | 32) && place < 7 => byte,
            byte if !byte.is_ascii_alphanumeric() => byte,
            _ => left.next().unwrap_or(if is_name { b'0' } else { b'X' }),
        });
    }
    mask.reverse();
    String::from_utf8(mask).unwrap_or_default()
}

/// As IDENTIFY DEVICE holds it: padded, bytes of each word swapped.
fn swapped(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(b' ');
    }
    bytes
        .chunks_exact(2)
        .flat_map(|word| [word[1], word[0]])
        .collect()
}

/// The first three fields turned, as SMBIOS keeps a UUID.
fn little_endian(raw: &[u8]) -> Vec<u8> {
    let mut turned = raw.to_vec();
    for range in [0..4, 4..6, 6..8] {
        if let Some(field) = turned.get_mut(range) {
            field.reverse();
        }
    }
    turned
}

/// Pairs by the first bytes of the secret, longest first: one pass over a file looks for all of them.
fn by_start(pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Starts {
    let mut starts = Starts::new();
    for (secret, mask) in pairs
        .into_iter()
        .filter(|(secret, mask)| secret.len() == mask.len())
    {
        if let Some(start) = secret.first_chunk::<4>() {
            starts.entry(*start).or_default().push((secret, mask));
        }
    }
    starts
}

type Starts = HashMap<[u8; 4], Vec<(Vec<u8>, Vec<u8>)>>;

fn replace(content: &mut [u8], starts: &Starts) {
    let mut place = 0;
    while let Some(rest) = content.get_mut(place..) {
        let Some(start) = rest.first_chunk::<4>() else {
            return;
        };
        let known = starts
            .get(start)
            .and_then(|pairs| pairs.iter().find(|(secret, _)| rest.starts_with(secret)));
        let step = match known {
            Some((secret, mask)) => {
                rest[..secret.len()].copy_from_slice(mask);
                secret.len()
            }
            None => 1,
        };
        place += step;
    }
}

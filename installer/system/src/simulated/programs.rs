//! The programs a plan calls, as far as the engine can see them.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::state::{
    ARRAY_AT, Array, ArrayRecord, FILE_SYSTEM_AT, FileSystemRecord, POOL_AT, PoolLeaf, PoolRecord,
    State, TABLE_AT, Table, TableEntry, plain,
};
use crate::Command;

/// Standard output, or exit code and standard error.
type Answer = Result<String, (i32, String)>;

const MIB: u64 = 1 << 20;

fn fail(text: impl Into<String>) -> (i32, String) {
    (1, text.into())
}

fn refused(error: std::io::Error) -> (i32, String) {
    fail(error.to_string())
}

pub(super) fn run(state: &mut State, command: &Command) -> Answer {
    let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
    match command.program.as_str() {
        "mdadm" => mdadm(state, &arguments),
        "sfdisk" => sfdisk(
            state,
            &arguments,
            command.input.as_deref().unwrap_or_default(),
        ),
        "wipefs" => wipefs(state, &arguments),
        "blkid" => blkid(state, &arguments),
        "zpool" => zpool(state, &arguments),
        "zfs" => zfs(state, &arguments),
        "grub-install" => grub_install(state, &arguments),
        // dmsetup remove --retry /dev/dm-0
        "dmsetup" => {
            let name = node(state, arguments.last().copied().unwrap_or_default())?;
            if let Some(user) = state.users(&name).first() {
                return Err(fail(format!("device {name} is in use by {user}")));
            }
            state.mappings.remove(&name);
            Ok(String::new())
        }
        "ssh-keygen" => ssh_keygen(state, &arguments),
        program if program.starts_with("mkfs.") => {
            make_file_system(state, &program[5..], &arguments)
        }
        "udevadm" | "zgenhostid" | "modprobe" | "sync" | "blockdev" => Ok(String::new()),
        program => Err((127, format!("{program}: not simulated"))),
    }
}

fn node(state: &State, path: &str) -> Result<String, (i32, String)> {
    state
        .node_name(Utf8Path::new(path))
        .ok_or_else(|| fail(format!("{path}: No such file or directory")))
}

fn writable(state: &mut State, path: &str) -> Result<String, (i32, String)> {
    let name = node(state, path)?;
    state.check_write(&name).map_err(refused)?;
    Ok(name)
}

/// `--name=value` or `--name value`.
fn option<'a>(arguments: &[&'a str], name: &str) -> Option<&'a str> {
    arguments.iter().enumerate().find_map(|(index, argument)| {
        if *argument == name {
            arguments.get(index + 1).copied()
        } else {
            argument.strip_prefix(name)?.strip_prefix('=')
        }
    })
}

fn devices<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let is_node =
        |argument: &&&str| argument.starts_with("/dev/") && !argument.starts_with("/dev/md/");
    arguments.iter().filter(is_node).copied().collect()
}

fn mdadm(state: &mut State, arguments: &[&str]) -> Answer {
    match arguments.first().copied().unwrap_or_default() {
        "--create" => mdadm_create(state, arguments),
        "--assemble" => mdadm_assemble(state, arguments),
        "--stop" => {
            for path in &arguments[1..] {
                let name = node(state, path)?;
                if let Some(user) = state.users(&name).first() {
                    return Err(fail(format!(
                        "mdadm: failed to stop array {path}: in use by {user}"
                    )));
                }
                state.arrays.remove(&name);
            }
            Ok(String::new())
        }
        "--manage" => {
            let [array, "--add", member] = arguments[1..] else {
                return Err(fail("mdadm: not simulated"));
            };
            let name = node(state, array)?;
            let member = writable(state, member)?;
            let array = state
                .arrays
                .get(&name)
                .filter(|array| !array.read_only)
                .ok_or_else(|| fail("mdadm: array is read-only"))?;
            let record = array.record.clone();
            let least = record.size.saturating_add(MIB);
            if record.level == 1 && state.node_size(&member).is_none_or(|size| size < least) {
                return Err(fail(format!("mdadm: /dev/{member} not large enough")));
            }
            state
                .put_record(&member, ARRAY_AT, &record)
                .map_err(refused)?;
            if let Some(array) = state.arrays.get_mut(&name) {
                array.members.push(member);
            }
            Ok(String::new())
        }
        "--readwrite" => {
            let name = node(state, arguments.get(1).copied().unwrap_or_default())?;
            if let Some(array) = state.arrays.get_mut(&name) {
                array.read_only = false;
            }
            Ok(String::new())
        }
        "--examine" => {
            let path = devices(arguments).first().copied().unwrap_or_default();
            let name = node(state, path)?;
            let record: ArrayRecord = state
                .record(&name, ARRAY_AT)
                .ok_or_else(|| fail(format!("mdadm: No md superblock detected on {path}.")))?;
            Ok(format!(
                "MD_LEVEL=raid{}\nMD_DEVICES={}\nMD_UUID={}\n",
                record.level, record.devices, record.uuid
            ))
        }
        "--detail" => {
            let path = devices(arguments).first().copied().unwrap_or_default();
            let name = node(state, path)?;
            let array = state
                .arrays
                .get(&name)
                .ok_or_else(|| fail("not an md array"))?;
            let record = &array.record;
            Ok(format!(
                "MD_LEVEL=raid{}\nMD_DEVICES={}\nMD_UUID={}\n",
                record.level, record.devices, record.uuid
            ))
        }
        "--zero-superblock" => {
            let path = devices(arguments).first().copied().unwrap_or_default();
            let name = writable(state, path)?;
            state
                .write_node(&name, ARRAY_AT, &[0; 2048])
                .map_err(refused)?;
            Ok(String::new())
        }
        _ => Err(fail("mdadm: not simulated")),
    }
}

fn free_array_name(state: &State) -> String {
    let mut number = 127;
    while state.arrays.contains_key(&format!("md{number}")) {
        number -= 1;
    }
    format!("md{number}")
}

fn mdadm_create(state: &mut State, arguments: &[&str]) -> Answer {
    let uuid = option(arguments, "--uuid").unwrap_or_default().to_owned();
    let level = option(arguments, "--level")
        .and_then(|level| level.parse().ok())
        .unwrap_or(1);
    let count: usize = option(arguments, "--raid-devices")
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let mut members = Vec::new();
    for path in devices(arguments) {
        members.push(writable(state, path)?);
    }
    members.truncate(count);
    if members.is_empty() || members.len() != count {
        return Err(fail("mdadm: wrong number of devices"));
    }
    let smallest = members
        .iter()
        .filter_map(|member| state.node_size(member))
        .min()
        .unwrap_or(0);
    let factor = match level {
        0 => count as u64,
        10 => count as u64 / 2,
        5 => count as u64 - 1,
        6 => count as u64 - 2,
        _ => 1,
    };
    let record = ArrayRecord {
        uuid: uuid.clone(),
        level,
        devices: count,
        size: smallest.saturating_sub(MIB) * factor,
    };
    for member in &members {
        state
            .put_record(member, ARRAY_AT, &record)
            .map_err(refused)?;
    }
    state.array_bytes.remove(&plain(&uuid));
    let name = free_array_name(state);
    state.arrays.insert(
        name,
        Array {
            record,
            members,
            read_only: false,
        },
    );
    Ok(String::new())
}

fn mdadm_assemble(state: &mut State, arguments: &[&str]) -> Answer {
    let uuid = plain(option(arguments, "--uuid").unwrap_or_default());
    let mut candidates: Vec<String> = Vec::new();
    for path in devices(arguments) {
        candidates.push(node(state, path)?);
    }
    let mut found: Option<ArrayRecord> = None;
    let mut members = Vec::new();
    for candidate in candidates {
        let record: Option<ArrayRecord> = state.record(&candidate, ARRAY_AT);
        if let Some(record) = record.filter(|record| plain(&record.uuid) == uuid) {
            if !state.users(&candidate).is_empty() {
                return Err(fail(format!("mdadm: {candidate} is busy")));
            }
            found = Some(record);
            members.push(candidate);
        }
    }
    let record = found.ok_or_else(|| fail("mdadm: no devices found for array"))?;
    let name = free_array_name(state);
    let read_only = arguments.contains(&"--readonly");
    if !read_only {
        let under: BTreeSet<String> = members
            .iter()
            .flat_map(|member| state.disks_under(member))
            .collect();
        let allowed = state
            .allowed
            .as_ref()
            .is_some_and(|(_, built_from)| under.is_subset(built_from));
        if !allowed {
            state
                .violations
                .push(format!("assembly for writing of {members:?}"));
            return Err(fail("mdadm: outside of what may be destroyed"));
        }
    }
    state.arrays.insert(
        name,
        Array {
            record,
            members,
            read_only,
        },
    );
    Ok(String::new())
}

fn sfdisk(state: &mut State, arguments: &[&str], script: &str) -> Answer {
    let path = arguments.last().copied().unwrap_or_default();
    let name = writable(state, path)?;
    let size = state.node_size(&name).unwrap_or(0);
    let mut table = Table {
        uuid: String::new(),
        partitions: Vec::new(),
    };
    let mut start = MIB;
    for line in script.lines() {
        if let Some(uuid) = line.strip_prefix("label-id: ") {
            uuid.clone_into(&mut table.uuid);
            continue;
        }
        if !line.contains("type=") {
            continue;
        }
        let field = |key: &str| {
            line.split(',')
                .find_map(|part| part.trim().strip_prefix(key))
                .map(|value| value.trim_matches('"').to_owned())
        };
        let wanted = field("size=")
            .and_then(|size| size.trim_end_matches("MiB").parse::<u64>().ok())
            .map(|size| size * MIB);
        let last = size.saturating_sub(MIB);
        let length = wanted.unwrap_or_else(|| last.saturating_sub(start));
        if length == 0 || start + length > last {
            return Err(fail("sfdisk: no space for this partition"));
        }
        table.partitions.push(TableEntry {
            name: field("name=").unwrap_or_default(),
            uuid: field("uuid=").unwrap_or_default(),
            start,
            size: length,
        });
        start += length;
    }
    state.put_record(&name, TABLE_AT, &table).map_err(refused)?;
    // --wipe-partitions=always
    for partition in state.partition_names(&name) {
        for at in [ARRAY_AT, FILE_SYSTEM_AT, POOL_AT, TABLE_AT] {
            state.write_node(&partition, at, &[0; 2048]).ok();
        }
    }
    Ok(String::new())
}

fn wipefs(state: &mut State, arguments: &[&str]) -> Answer {
    let name = writable(state, arguments.last().copied().unwrap_or_default())?;
    for at in [TABLE_AT, FILE_SYSTEM_AT, ARRAY_AT, POOL_AT] {
        state.write_node(&name, at, &[0; 2048]).map_err(refused)?;
    }
    Ok(String::new())
}

fn make_file_system(state: &mut State, kind: &str, arguments: &[&str]) -> Answer {
    let uuid = option(arguments, "-U")
        .or_else(|| option(arguments, "-i"))
        .or_else(|| option(arguments, "-m").and_then(|value| value.strip_prefix("uuid=")))
        .unwrap_or_default()
        .to_owned();
    let name = writable(state, arguments.last().copied().unwrap_or_default())?;
    state
        .file_systems
        .insert(plain(&uuid), super::state::Files::new());
    let record = FileSystemRecord {
        kind: kind.to_owned(),
        uuid,
    };
    state
        .put_record(&name, FILE_SYSTEM_AT, &record)
        .map_err(refused)?;
    Ok(String::new())
}

/// `blkid --probe --output export DEVICE`.
fn blkid(state: &mut State, arguments: &[&str]) -> Answer {
    let name = node(state, arguments.last().copied().unwrap_or_default())?;
    let record: Option<FileSystemRecord> = state.record(&name, FILE_SYSTEM_AT);
    if let Some(table) = state.table(&name) {
        return Ok(format!(
            "PTUUID={}\nPTTYPE=gpt\n",
            table.uuid.to_lowercase()
        ));
    }
    match record {
        Some(record) => Ok(format!("UUID={}\nTYPE={}\n", record.uuid, record.kind)),
        None => Err((2, String::new())),
    }
}

fn pool_members(state: &State, pool: &str) -> Vec<String> {
    let disks: Vec<&String> = state.disks.keys().collect();
    let partitions = disks.iter().flat_map(|disk| state.partition_names(disk));
    partitions
        .filter(|name| {
            state
                .record::<PoolRecord>(name, POOL_AT)
                .is_some_and(|record| record.pool == pool)
        })
        .collect()
}

/// Labels a device as part of a pool, and lets the pool know it.
fn join_pool(state: &mut State, pool: &str, path: &str) -> Answer {
    let member = writable(state, path)?;
    let known = state.pools.values().flatten().map(|leaf| leaf.guid);
    let guid = known.max().unwrap_or(1000) + 1;
    let record = PoolRecord {
        pool: pool.to_owned(),
        guid,
    };
    state
        .put_record(&member, POOL_AT, &record)
        .map_err(refused)?;
    state
        .pools
        .entry(pool.to_owned())
        .or_default()
        .push(PoolLeaf {
            guid,
            path: path.to_owned(),
        });
    Ok(String::new())
}

fn leave_pool(state: &mut State, pool: &str, guid: &str) -> Answer {
    if !state.imported.contains(pool) {
        return Err(fail(format!("cannot open '{pool}': no such pool")));
    }
    let leaves = state.pools.entry(pool.to_owned()).or_default();
    let before = leaves.len();
    leaves.retain(|leaf| leaf.guid.to_string() != guid);
    if leaves.len() == before {
        return Err(fail(format!("no such device in pool: {guid}")));
    }
    Ok(String::new())
}

/// As `zpool status -j -P` shows it, as far as it is read.
fn pool_status(state: &State, pool: &str) -> String {
    let members = pool_members(state, pool);
    let leaves = state.pools.get(pool).into_iter().flatten();
    let leaves = leaves.map(|leaf| {
        let found = members.iter().find(|name| {
            state
                .record::<PoolRecord>(name, POOL_AT)
                .is_some_and(|record| record.guid == leaf.guid)
        });
        let (path, health) = match found {
            Some(name) => (format!("/dev/{name}"), "ONLINE"),
            None => (leaf.path.clone(), "UNAVAIL"),
        };
        format!(
            r#""{path}": {{"guid": "{}", "path": "{path}", "state": "{health}"}}"#,
            leaf.guid
        )
    });
    let leaves: Vec<String> = leaves.collect();
    format!(
        r#"{{"pools": {{"{pool}": {{"vdevs": {{{}}}}}}}}}"#,
        leaves.join(", ")
    )
}

fn zpool(state: &mut State, arguments: &[&str]) -> Answer {
    let last = arguments.last().copied().unwrap_or_default().to_owned();
    match arguments.first().copied().unwrap_or_default() {
        "create" => {
            let first_device = arguments
                .iter()
                .position(|argument| argument.starts_with("/dev/"));
            let words = &arguments[..first_device.unwrap_or(arguments.len())];
            let kinds = [
                "mirror", "raidz1", "raidz2", "raidz3", "log", "cache", "spare", "special",
            ];
            let name = words
                .iter()
                .rev()
                .find(|word| !kinds.contains(word))
                .copied()
                .unwrap_or_default()
                .to_owned();
            state.pools.remove(&name);
            for path in devices(arguments) {
                join_pool(state, &name, path)?;
            }
            state
                .datasets
                .retain(|dataset| !dataset.starts_with(&format!("{name}/")));
            state.altroot.insert(name.clone());
            state.imported.insert(name);
            Ok(String::new())
        }
        "status" if state.imported.contains(&last) => Ok(pool_status(state, &last)),
        "get" if state.imported.contains(&last) => Ok(if state.altroot.contains(&last) {
            "/run/rackwright/pool\n".to_owned()
        } else {
            "-\n".to_owned()
        }),
        // replace -f -o ashift=N POOL GUID PATH
        "replace" => {
            let [.., pool, guid, path] = arguments else {
                return Err(fail("zpool: not simulated"));
            };
            leave_pool(state, pool, guid)?;
            join_pool(state, pool, path)
        }
        // remove POOL GUID
        "remove" => leave_pool(state, arguments.get(1).copied().unwrap_or_default(), &last),
        // add -f -o ashift=N POOL KIND PATH
        "add" => {
            let [.., pool, _, path] = arguments else {
                return Err(fail("zpool: not simulated"));
            };
            join_pool(state, pool, path)
        }
        "list" if arguments.contains(&"-v") => {
            let mut text = String::new();
            for pool in &state.imported {
                text.push_str(&format!("{pool}\t1\n"));
                for member in pool_members(state, pool) {
                    text.push_str(&format!("\t/dev/{member}\t1\n"));
                }
            }
            Ok(text)
        }
        "list" if state.imported.contains(&last) => Ok(format!("{last}\n")),
        "import" if !state.imported.contains(&last) && !pool_members(state, &last).is_empty() => {
            if arguments.contains(&"-R") {
                state.altroot.insert(last.clone());
            }
            state.imported.insert(last);
            Ok(String::new())
        }
        "export" if state.imported.remove(&last) => {
            state.altroot.remove(&last);
            Ok(String::new())
        }
        _ => Err(fail(format!("cannot open '{last}': no such pool"))),
    }
}

fn zfs(state: &mut State, arguments: &[&str]) -> Answer {
    let name = arguments.last().copied().unwrap_or_default().to_owned();
    let pool = name.split('/').next().unwrap_or_default();
    if !state.imported.contains(pool) {
        return Err(fail(format!("cannot open '{name}': no such pool")));
    }
    match arguments.first().copied().unwrap_or_default() {
        "create" if state.datasets.insert(name.clone()) => Ok(String::new()),
        "create" => Err(fail(format!(
            "cannot create '{name}': dataset already exists"
        ))),
        "list" if state.datasets.contains(&name) => Ok(format!("{name}\n")),
        _ => Err(fail(format!(
            "cannot open '{name}': dataset does not exist"
        ))),
    }
}

fn grub_install(state: &mut State, arguments: &[&str]) -> Answer {
    if let Some(path) = devices(arguments).first() {
        let name = node(state, path)?;
        // It writes to the disk's first sector and the BIOS boot partition, past the mounted ESP.
        let allowed = state
            .allowed
            .as_ref()
            .is_some_and(|(disks, _)| disks.contains(&name));
        if !allowed {
            state.violations.push(format!("grub-install on {name}"));
            return Err(fail("outside of what may be destroyed"));
        }
        state
            .write_node(&name, 0, b"GRUB boot sector")
            .map_err(refused)?;
    }
    if let Some(directory) = option(arguments, "--efi-directory") {
        let path = Utf8Path::new(directory).join("EFI/BOOT/BOOTX64.EFI");
        state
            .put_file(&path, b"grub image".to_vec(), 0o644)
            .map_err(refused)?;
    }
    Ok(String::new())
}

fn ssh_keygen(state: &mut State, arguments: &[&str]) -> Answer {
    let prefix = option(arguments, "-f").unwrap_or_default();
    for kind in ["ecdsa", "ed25519", "rsa"] {
        let path = format!("{prefix}/etc/ssh/ssh_host_{kind}_key");
        if state
            .files_at(Utf8Path::new(&path))
            .0
            .is_some_and(|files| files.keys().any(|file| path.ends_with(file.as_str())))
        {
            continue;
        }
        state
            .put_file(Utf8Path::new(&path), b"private".to_vec(), 0o600)
            .map_err(refused)?;
        let public = format!("{path}.pub");
        state
            .put_file(Utf8Path::new(&public), b"public".to_vec(), 0o644)
            .map_err(refused)?;
    }
    Ok(String::new())
}

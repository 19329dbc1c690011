//! What IceWarp is told by its `tool.sh`, as a script for a shell's standard input. Values of the owner's come from the node
//! file, the database's password is a secret: `tool.sh` takes values by its arguments only, so the round hides arguments from
//! other accounts while the script runs.

use std::collections::BTreeMap;

use toml::Value;

use super::Refusal;
use crate::settings::Mail;

/// Its databases. They are made by this server: the account `mail` has the right to (`join::accounts`).
pub const DATABASES: [&str; 6] = [
    "iw_accounts",
    "iw_antispam",
    "iw_groupware",
    "iw_dircache",
    "iw_activesync",
    "iw_webcache",
];

/// Setting with the connection to a database, the database, and the number of its tables for `tool.sh create tables`.
const CONNECTIONS: [(&str, &str, Option<u8>); 5] = [
    (
        "c_system_storage_accounts_odbcconnstring",
        "iw_accounts",
        Some(0),
    ),
    ("c_gw_connectionstring", "iw_groupware", Some(2)),
    ("c_as_challenge_connectionstring", "iw_antispam", Some(3)),
    (
        "c_accounts_global_accounts_directorycacheconnectionstring",
        "iw_dircache",
        Some(4),
    ),
    ("c_activesync_dbconnection", "iw_activesync", None),
];

/// Statements that make the databases; nothing secret.
#[must_use]
pub fn databases() -> String {
    DATABASES
        .iter()
        .map(|name| {
            format!(
                "CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n"
            )
        })
        .collect()
}

/// Folders that all servers share: name in the program's folder, and where it lies in the store.
#[must_use]
pub fn shared_folders(settings: &Mail) -> Vec<(&'static str, String)> {
    let mount = settings.mail_mount.as_deref().unwrap_or("/var/srv/mail");
    let or = |said: &Option<String>, name: &str| {
        said.clone().unwrap_or_else(|| format!("{mount}/{name}"))
    };
    vec![
        ("config", or(&settings.config_root, "config")),
        ("spam", or(&settings.spam_root, "spam")),
        ("calendar", or(&settings.calendar_root, "calendar")),
    ]
}

/// Settings of the whole cluster: only the master writes them.
///
/// # Errors
/// A value cannot be written safely.
pub fn shared(folder: &str, settings: &Mail, password: &str) -> Result<String, Refusal> {
    let mount = settings.mail_mount.as_deref().unwrap_or("/var/srv/mail");
    let host = settings.database_address.as_deref().unwrap_or("127.0.0.1");
    for (key, value) in [("database_address", host), ("database-app", password)] {
        // A semicolon would end the field.
        if value.is_empty() || value.contains([';', '\n', '\'']) {
            return Err(text(
                key,
                "it has a character that ends a connection's field",
            ));
        }
    }
    let mail = settings
        .vmail_root
        .clone()
        .unwrap_or_else(|| format!("{mount}/mail"));
    let logs = settings
        .log_root
        .clone()
        .unwrap_or_else(|| format!("{mount}/logs"));
    let mut script = Script::new(folder);
    script.set("c_system_storage_accounts_storagemode", "2")?;
    for (key, database, _) in CONNECTIONS {
        script.set(key, &format!("{database};mail;{password};{host};3;2"))?;
    }
    for (_, database, tables) in CONNECTIONS {
        if let Some(number) = tables {
            script.create(number, &format!("{database};mail;{password};{host};3;2"))?;
        }
    }
    script.set("c_system_storage_dir_mailpath", &format!("{mail}/"))?;
    script.set("c_system_storage_dir_logpath", &format!("{logs}/"))?;
    for (key, value) in &settings.icewarp {
        script.set(key, &answer(key, value)?)?;
    }
    Ok(script.0)
}

/// Settings of this server alone.
///
/// # Errors
/// The id cannot be a prefix of files, or temporary files would be shared.
pub fn own(folder: &str, settings: &Mail) -> Result<String, Refusal> {
    let id = settings.mail_id.clone().unwrap_or_default();
    let plain = (1..=2).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        return Err(Refusal::Id(id));
    }
    let temp = settings
        .temp_root
        .as_deref()
        .unwrap_or("/var/spool/rackwright/temp");
    let mount = settings.mail_mount.as_deref().unwrap_or("/var/srv/mail");
    if settings.mail_source.is_some() && camino::Utf8Path::new(temp).starts_with(mount) {
        return Err(Refusal::SharedTemp(temp.to_owned()));
    }
    let mut script = Script::new(folder);
    script.set("c_system_storage_dir_temppath", &format!("{temp}/"))?;
    script.set(&settings.icewarp_keys.id, &id)?;
    Ok(script.0)
}

/// The flag that follows the lock.
///
/// # Errors
/// The key of the node file is none.
pub fn master(folder: &str, settings: &Mail, is_master: bool) -> Result<String, Refusal> {
    let mut script = Script::new(folder);
    script.set(
        &settings.icewarp_keys.master,
        if is_master { "1" } else { "0" },
    )?;
    Ok(script.0)
}

/// The two settings whose names no public source has. These are placeholders until an installed payload was seen: its
/// `tool.sh` lists its own (docs/mail.md).
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Id of this server, two characters.
    pub id: String,
    /// This server is the master.
    pub master: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            id: "c_system_server_id".to_owned(),
            master: "c_system_server_master".to_owned(),
        }
    }
}

/// Owner's answers: `KEY = value`, text, number or flag.
pub type Answers = BTreeMap<String, Value>;

fn answer(key: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
        _ => Err(text(key, "only text, whole numbers and flags can be said")),
    }
}

fn text(key: &str, why: &'static str) -> Refusal {
    Refusal::Text {
        key: key.to_owned(),
        why,
    }
}

struct Script(String);

impl Script {
    fn new(folder: &str) -> Self {
        Self(format!("cd '{folder}'\n"))
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refusal> {
        let is_key = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if key.is_empty() || !key.bytes().all(is_key) {
            return Err(text(key, "no name of a setting: letters, digits and `_`"));
        }
        self.line(key, &format!("set system {key}"), value)
    }

    fn create(&mut self, number: u8, connection: &str) -> Result<(), Refusal> {
        self.line(
            "database-app",
            &format!("create tables {number}"),
            connection,
        )
    }

    fn line(&mut self, key: &str, what: &str, value: &str) -> Result<(), Refusal> {
        if value.contains(|c: char| c.is_control()) {
            return Err(text(key, "it has control characters"));
        }
        let value = value.replace('\'', r"'\''");
        // What it says could name the value.
        self.0
            .push_str(&format!("./tool.sh {what} '{value}' > /dev/null\n"));
        Ok(())
    }
}

/// `php.ini` with its sessions in the key-value store, or as it was.
#[must_use]
pub fn php_ini(text: &str, address: &str, password: Option<&str>) -> String {
    let address = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    let login = password.map_or_else(String::new, |password| format!("?auth={password}"));
    let wanted = [
        ("session.save_handler", "redis".to_owned()),
        (
            "session.save_path",
            format!("\"tcp://{address}:6379{login}\""),
        ),
    ];
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| {
            let key = line.split('=').next().unwrap_or_default().trim();
            !wanted.iter().any(|(name, _)| *name == key)
        })
        .map(str::to_owned)
        .collect();
    // php.ini: sections other than [PATH=] and [HOST=] mean nothing, so the end is as good as any place.
    lines.extend(
        wanted
            .iter()
            .map(|(name, value)| format!("{name} = {value}")),
    );
    lines.join("\n") + "\n"
}

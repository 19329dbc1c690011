//! `rackwright cluster`: what an operator does to a running cluster, from the workstation. Each is a command of the machine itself,
//! which knows what it may and refuses the rest; here is only which machine, which command, and the way there.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use roles::{site::Site, site::model::SiteNode};

use super::derived;

/// Where people log in when the node file names nobody (roles::render).
const USER: &str = "admin";
/// ssh itself failed (ssh(1)).
const UNREACHABLE: i32 = 255;

#[derive(Debug, Args)]
pub struct Cluster {
    /// Site file
    site: Utf8PathBuf,
    /// Show the command that would be run, and stop
    #[arg(long, global = true)]
    dry_run: bool,
    /// Log in as [default: admin]
    #[arg(long, global = true, value_name = "NAME")]
    user: Option<String>,
    /// Key for ssh [default: what ssh itself takes]
    #[arg(long, global = true, value_name = "FILE")]
    identity: Option<Utf8PathBuf>,
    /// Role data [default: the source tree's]
    #[arg(long = "roles", value_name = "DIR", id = "role-data", global = true)]
    role_data: Option<Utf8PathBuf>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring a Galera cluster back that does not come back by itself
    Recover(Machine),
    /// Make this machine the one that takes writes, exports, or decides
    Promote(Machine),
    /// Make this machine follow
    Demote(Machine),
    /// Take a balancer, mail server or Galera member out of service
    Drain(Machine),
    /// Show the steps that put a new server in the place of a dead one
    Replace {
        /// Name of the machine
        node: String,
    },
}

#[derive(Debug, Args)]
struct Machine {
    /// Name of the machine
    node: String,
    /// Options of the machine's own command, after `--`
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

pub fn run(arguments: &Cluster) -> Result<u8> {
    let roles = derived::roles(arguments.role_data.as_ref())?;
    let site = derived::site(&arguments.site, &roles)?;
    let (word, machine) = match &arguments.task {
        Task::Recover(machine) => ("recover", machine),
        Task::Promote(machine) => ("promote", machine),
        Task::Demote(machine) => ("demote", machine),
        Task::Drain(machine) => ("drain", machine),
        Task::Replace { node } => {
            let node = find(&site, node)?;
            let text = replace(&arguments.site, &site, node);
            write!(std::io::stdout(), "{text}")?;
            return Ok(0);
        }
    };
    let node = find(&site, &machine.node)?;
    let Some(command) = command(word, &node.role) else {
        bail!(
            "`{}` is a `{}`: there is no `{word}` for it\nhint: {}",
            node.name,
            node.role,
            has(word)
        );
    };
    let address = ["mgmt", "cluster", "public"]
        .iter()
        .find_map(|network| node.addresses.get(*network))
        .with_context(|| format!("`{}` has no address that it could be reached at", node.name))?;
    let user = arguments.user.as_deref().unwrap_or(USER);
    let mut ssh = vec!["ssh".to_owned()];
    // The machine's own commands ask questions: they need a terminal if we have one.
    if std::io::stdin().is_terminal() {
        ssh.push("-t".into());
    }
    ssh.extend(["-o".into(), "ConnectTimeout=10".into()]);
    if let Some(identity) = &arguments.identity {
        ssh.extend(["-i".into(), identity.to_string()]);
    }
    ssh.push(format!("{user}@{address}"));
    ssh.push("--".into());
    ssh.push(words(command, &machine.options));
    writeln!(std::io::stderr(), "{}: {}", node.name, ssh.join(" "))?;
    if arguments.dry_run {
        return Ok(0);
    }
    let (program, rest) = ssh.split_first().context("no command")?;
    let status = Command::new(program)
        .args(rest)
        .stdin(Stdio::inherit())
        .status()
        .context("cannot start `ssh`")?;
    match status.code() {
        Some(UNREACHABLE) => bail!(
            "`{}` cannot be reached at {address}\nhint: `rackwright status {}` shows when it was last heard of; \
             over its management controller: `rackwright bmc {} status`",
            node.name,
            arguments.site,
            node.name
        ),
        Some(code) => Ok(u8::try_from(code).unwrap_or(1)),
        None => bail!("ssh was ended by a signal; what the machine did is not known"),
    }
}

fn find<'a>(site: &'a Site, name: &str) -> Result<&'a SiteNode> {
    site.nodes
        .iter()
        .find(|node| node.name == name)
        .with_context(|| {
            let names: Vec<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
            format!(
                "there is no machine `{name}` in the site file\nhint: one of: {}",
                names.join(", ")
            )
        })
}

/// The machine's own command.
fn command(word: &str, role: &str) -> Option<&'static str> {
    let command = match (word, role) {
        ("recover", "galera") => "galera recover",
        ("promote", "database") => "database promote",
        ("promote", "storage" | "backup") => "storage promote",
        ("promote", "control") => "authority promote",
        ("demote", "database") => "database demote",
        ("demote", "storage" | "backup") => "storage demote",
        ("drain", "lb" | "production" | "galera") => "drain",
        _ => return None,
    };
    Some(command)
}

/// What has such a command.
const fn has(word: &str) -> &'static str {
    match word.as_bytes() {
        b"recover" => "`recover` is for Galera members",
        b"promote" => "`promote` is for databases of a pair, storage, backup and control servers",
        b"demote" => "`demote` is for databases of a pair, storage and backup servers",
        _ => "`drain` is for balancers, mail servers and Galera members; others are demoted",
    }
}

/// One text for the shell at the other end: ssh joins its arguments with blanks, so each option is quoted.
fn words(command: &str, options: &[String]) -> String {
    let mut text = format!("sudo rackwright-installer {command}");
    for option in options {
        let plain = !option.is_empty()
            && option
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_=.:/@,".contains(letter));
        text.push(' ');
        if plain {
            text.push_str(option);
        } else {
            text.push_str(&format!("'{}'", option.replace('\'', "'\\''")));
        }
    }
    text
}

/// What to do when a server is dead, with this site's names.
fn replace(file: &camino::Utf8Path, site: &Site, node: &SiteNode) -> String {
    let (name, role) = (&node.name, &node.role);
    let stores = ["storage", "backup"];
    let same = |other: &&SiteNode| {
        let both_store = stores.contains(&role.as_str()) && stores.contains(&other.role.as_str());
        other.name != *name && (other.role == *role || both_store)
    };
    let others: Vec<&str> = site
        .nodes
        .iter()
        .filter(same)
        .map(|other| other.name.as_str())
        .collect();
    let others = others.join("|");
    let before = match role.as_str() {
        "storage" => format!(
            "If `{name}` exported the mail: make the other one export first, and say how sure you are that this one is off:\n     \
             rackwright cluster {file} promote {others} -- --fenced"
        ),
        "database" => format!(
            "If `{name}` took the writes: rackwright cluster {file} promote {others} -- --fenced"
        ),
        "galera" => format!(
            "The other members go on. With less than half of them left: rackwright cluster {file} recover {others}"
        ),
        "control" => format!(
            "If `{name}` was the active one: rackwright cluster {file} promote {others} -- --fenced"
        ),
        _ => "The others have taken over by themselves.".to_owned(),
    };
    let after = match role.as_str() {
        "galera" => "It receives the data from another member by itself.",
        "storage" | "backup" => {
            "It receives the whole store; the pool's disks are new, or kept with `storage.data = \"keep\"`."
        }
        "database" => "rackwright-installer database reseed NAME on it, then it follows.",
        _ => "It needs nothing more.",
    };
    format!(
        "1. Switch the dead server off, and be sure of it: rackwright bmc {name} power off\n\
         2. {before}\n\
         3. Put the new board's serial number, MAC addresses and disks of `{name}` into `{file}`, then: rackwright check {file}\n\
         4. A new right to install and to enrol: rackwright compile {file} -o nodes/ --permit replace-{name}-1\n\
         5. A stick: rackwright build {role} --node nodes/{name}.toml; copy nodes/secrets/{name}.sealed onto its partition RACKWRIGHT\n\
         6. Boot it; type the code of: rackwright unlock {file} {name}\n\
         7. {after}\n\
         8. rackwright status {file}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_own_command() {
        let mut table = String::new();
        for role in [
            "control",
            "production",
            "standalone",
            "database",
            "galera",
            "lb",
            "storage",
            "backup",
        ] {
            for word in ["recover", "promote", "demote", "drain"] {
                if let Some(command) = command(word, role) {
                    table += &format!("{role} {word}: {command}\n");
                }
            }
        }
        assert_eq!(
            table,
            "control promote: authority promote\n\
             production drain: drain\n\
             database promote: database promote\n\
             database demote: database demote\n\
             galera recover: galera recover\n\
             galera drain: drain\n\
             lb drain: drain\n\
             storage promote: storage promote\n\
             storage demote: storage demote\n\
             backup promote: storage promote\n\
             backup demote: storage demote\n"
        );
    }

    #[test]
    fn options_reach_the_machine_as_they_are() {
        let options = ["--fenced", "--lost=db3", "a b", "it's", "", "$(reboot)"];
        let options = options.map(str::to_owned);
        assert_eq!(
            words("galera recover", &options),
            r"sudo rackwright-installer galera recover --fenced --lost=db3 'a b' 'it'\''s' '' '$(reboot)'"
        );
    }
}

//! `rackwright init`, `size`, `check`, `explain` and `schema`: the site file from the workstation's side.

use std::io::{IsTerminal, Read, Write};

use anyhow::{Context, Result, bail};
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use roles::{
    Diagnostics, Site,
    diagnostic::Severity,
    folder::RoleSet,
    site::{self, model::Setup, rules, sizing},
};
use serde_json::{Value, json};

/// A setup, as the command line writes it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum SetupName {
    Standard,
    Failover,
    Ha,
    Cluster,
}

impl From<SetupName> for Setup {
    fn from(name: SetupName) -> Self {
        match name {
            SetupName::Standard => Self::Standard,
            SetupName::Failover => Self::Failover,
            SetupName::Ha => Self::Ha,
            SetupName::Cluster => Self::Cluster,
        }
    }
}

#[derive(Debug, Args)]
pub struct Init {
    /// Setup [default: ha, above 25000 users cluster]
    #[arg(long)]
    setup: Option<SetupName>,
    /// Mail users
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: u64,
    /// Name of the cluster
    #[arg(long, default_value = "mail")]
    name: String,
    /// Write to this file, which must not exist yet
    #[arg(short, long, value_name = "FILE")]
    output: Option<Utf8PathBuf>,
}

#[derive(Debug, Args)]
pub struct Size {
    /// Mail users
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    users: u64,
    /// Setup [default: ha, above 25000 users cluster]
    #[arg(long)]
    setup: Option<SetupName>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Site file; `-` is standard input
    file: Utf8PathBuf,
    /// How to say what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Role data, for roles of your own
    #[arg(long = "roles", value_name = "DIR", id = "role-data")]
    role_data: Option<Utf8PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// As a compiler does
    Text,
    /// A list, for programs
    Json,
    /// For code review and editors
    Sarif,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// Rule, such as E15; none: the list of all
    rule: Option<String>,
}

#[derive(Debug, Args)]
pub struct Schema {
    /// Which file
    #[arg(value_parser = ["site", "node"])]
    what: String,
}

pub fn init(arguments: &Init) -> Result<u8> {
    let setup = arguments
        .setup
        .map_or_else(|| sizing::default_setup(arguments.users), Setup::from);
    let text = site::init(setup, arguments.users, &arguments.name);
    // Only a name that is none can make the text wrong.
    if let (_, found) = site::check("site.toml", &text, None)
        && found.has_errors()
    {
        bail!(
            "`{}` cannot be the name of a cluster\nhint: lower-case letters, digits and hyphens, at most 63 characters",
            arguments.name
        );
    }
    match &arguments.output {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => {
            // A site file that somebody has worked on is worth more than this one.
            let mut file = fs_err::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .context("cannot write the site file")?;
            file.write_all(text.as_bytes())?;
            writeln!(
                std::io::stderr(),
                "wrote {path}; next: rackwright check {path}"
            )?;
        }
    }
    Ok(0)
}

pub fn size(arguments: &Size) -> Result<u8> {
    let setup = arguments
        .setup
        .map_or_else(|| sizing::default_setup(arguments.users), Setup::from);
    let bill = sizing::size(arguments.users, setup);
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&bill)?)?;
        return Ok(0);
    }
    writeln!(
        out,
        "setup {} for {} users: row {} of the sizing table, network {} Mbit/s\n",
        setup.word(),
        bill.users,
        bill.row,
        bill.speed
    )?;
    for item in &bill.items {
        let mut words = Vec::new();
        if item.memory > 0 {
            words.push(format!("{} GiB", item.memory));
            words.push(format!("{} cores", item.cores));
        }
        if item.hdd > 0 {
            words.push(format!("{} disks for mail", item.hdd));
        }
        if item.may_be_virtual {
            words.push("may be virtual".to_owned());
        }
        if item.optional {
            words.push("optional".to_owned());
        }
        let least = if words.is_empty() {
            String::new()
        } else {
            format!("at least {}", words.join(", "))
        };
        writeln!(
            out,
            "{}",
            format!("{:>3} x {:<11} {least}", item.count, item.what).trim_end()
        )?;
        writeln!(out, "      why        {}", item.why)?;
        writeln!(out, "      reference  {}", item.reference)?;
    }
    for note in &bill.notes {
        writeln!(out, "\nnote: {note}")?;
    }
    Ok(0)
}

/// A site file and everything that is to be said about it. `-` is standard input.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Utf8Path, roles: Option<&RoleSet>) -> Result<(Option<Site>, Diagnostics)> {
    let (name, text) = if file == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        ("<stdin>", text)
    } else {
        (
            file.as_str(),
            fs_err::read_to_string(file).context("cannot read the site file")?,
        )
    };
    Ok(site::check(name, &text, roles))
}

pub fn check(arguments: &Check) -> Result<u8> {
    let role_data = arguments.role_data.as_ref();
    let roles = role_data
        .map(|folder| super::derived::roles(Some(folder)))
        .transpose()?;
    let (site, found) = read(&arguments.file, roles.as_ref())?;
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => text(&mut out, site.as_ref(), &found)?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&list(&found))?)?,
        Format::Sarif => writeln!(out, "{}", serde_json::to_string_pretty(&sarif(&found))?)?,
    }
    Ok(u8::from(found.has_errors()))
}

fn text(out: &mut impl Write, site: Option<&Site>, found: &Diagnostics) -> Result<()> {
    let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    write!(out, "{}", found.render(color))?;
    let errors = found
        .items()
        .iter()
        .filter(|item| item.severity == Severity::Error)
        .count();
    let warnings = found.items().len() - errors;
    if !found.is_empty() {
        writeln!(out)?;
    }
    let plural =
        |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match site {
        Some(site) if errors == 0 => writeln!(
            out,
            "{} is right: {}, {} users, {}{}",
            site.name,
            site.setup.word(),
            site.users,
            plural(site.nodes.len(), "machine"),
            if warnings == 0 {
                String::new()
            } else {
                format!(", {}", plural(warnings, "warning"))
            }
        )?,
        _ => writeln!(
            out,
            "{}, {}; `rackwright explain RULE` says more",
            plural(errors, "error"),
            plural(warnings, "warning")
        )?,
    }
    Ok(())
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn list(found: &Diagnostics) -> Value {
    found
        .items()
        .iter()
        .map(|item| {
            json!({
                "code": item.code, "severity": level(item.severity), "message": item.message, "file": item.file,
                "line": item.line, "column": item.column, "start": item.span.start, "end": item.span.end,
                "label": item.label, "hint": item.hint,
            })
        })
        .collect()
}

/// SARIF 2.1.0 (OASIS standard), as much as code review shows.
fn sarif(found: &Diagnostics) -> Value {
    let rules: Vec<Value> = rules::RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id, "shortDescription": {"text": rule.title}, "fullDescription": {"text": rule.reason},
                "help": {"text": rule.cure}, "defaultConfiguration": {"level": level(rule.severity())},
            })
        })
        .collect();
    let results: Vec<Value> = found
        .items()
        .iter()
        .map(|item| {
            let text = match &item.hint {
                Some(hint) => format!("{} ({hint})", item.message),
                None => item.message.clone(),
            };
            json!({
                "ruleId": item.code, "level": level(item.severity), "message": {"text": text},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": item.file},
                    "region": {"startLine": item.line, "startColumn": item.column},
                }}],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "rackwright", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints", "results": results,
        }],
    })
}

pub fn explain(arguments: &Explain) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    let Some(id) = &arguments.rule else {
        for rule in rules::RULES {
            writeln!(out, "{}  {}", rule.id, rule.title)?;
        }
        return Ok(0);
    };
    match rules::find(id) {
        Ok(rule) => {
            writeln!(
                out,
                "{} ({}): {}\n",
                rule.id,
                level(rule.severity()),
                rule.title
            )?;
            writeln!(out, "why   {}", rule.reason)?;
            writeln!(out, "cure  {}", rule.cure)?;
            writeln!(
                out,
                "\nTo break it on purpose:\n\n[[waivers]]\nrule = \"{}\"\nreason = \"...\"",
                rule.id
            )?;
            Ok(0)
        }
        Err(Some(near)) => bail!("there is no rule `{id}`\nhint: did you mean `{near}`?"),
        Err(None) => bail!("there is no rule `{id}`\nhint: `rackwright explain` lists all"),
    }
}

pub fn schema(arguments: &Schema) -> Result<u8> {
    let schema = match arguments.what.as_str() {
        "node" => roles::reference::node_schema(),
        _ => roles::reference::site_schema(),
    };
    writeln!(
        std::io::stdout(),
        "{}",
        serde_json::to_string_pretty(&schema)?
    )?;
    Ok(0)
}

//! Logs in and looks, as a client of a mailbox does every few seconds (RFC 9051). Reading a mailbox for the check is another
//! module's ([`super::reader`]), on purpose.

use super::journal::Failure;
use super::message::HEADER;
use super::wire::{Server, Wire};

/// A mailbox.
#[derive(Debug, Clone)]
pub struct Account {
    /// User, who is the address, too.
    pub user: String,
    /// Password.
    pub password: String,
}

/// What a look shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Messages in the mailbox.
    pub messages: u64,
    /// Name of the last one, if it is ours.
    pub newest: Option<String>,
}

/// Logs in, selects, fetches one header of the newest message, leaves.
///
/// # Errors
/// What went wrong, and after what was said.
pub fn look(
    server: &Server,
    account: &Account,
    greeted: &mut dyn FnMut(),
) -> Result<Look, Failure> {
    let mut wire = Wire::open(server)?;
    let greeting = wire.line("connecting")?;
    if !greeting.starts_with("* OK") {
        return Err(refused("connecting", &greeting));
    }
    greeted();
    let login = format!(
        "LOGIN {} {}",
        quoted(&account.user),
        quoted(&account.password)
    );
    command(&mut wire, "LOGIN", &login)?;
    let said = command(&mut wire, "SELECT", "SELECT INBOX")?;
    let messages = said
        .iter()
        .filter_map(|line| {
            line.strip_prefix("* ")?
                .strip_suffix(" EXISTS")?
                .parse()
                .ok()
        })
        .next_back()
        .unwrap_or_default();
    let mut newest = None;
    if messages > 0 {
        let fetch = format!("FETCH {messages} BODY.PEEK[HEADER.FIELDS ({HEADER})]");
        let said = command(&mut wire, "FETCH", &fetch)?;
        newest = said.iter().find_map(|line| {
            let id = line.strip_prefix(HEADER)?.strip_prefix(": ")?;
            Some(id.to_owned())
        });
    }
    command(&mut wire, "NOOP", "NOOP")?;
    // Its answer does not matter any more.
    let _farewell = command(&mut wire, "LOGOUT", "LOGOUT");
    Ok(Look { messages, newest })
}

/// Says a command; gives the lines up to its own answer. Literals are lines here: no more than a header is asked for.
fn command(wire: &mut Wire, stage: &str, line: &str) -> Result<Vec<String>, Failure> {
    wire.say(stage, format!("b {line}\r\n").as_bytes())?;
    let mut said = Vec::new();
    loop {
        let line = wire.line(stage)?;
        match line.strip_prefix("b ") {
            Some(answer) if answer.starts_with("OK") => return Ok(said),
            Some(_) => return Err(refused(stage, &line)),
            None => said.push(line),
        }
        if said.len() > 10_000 {
            return Err(refused(stage, "an answer without an end"));
        }
    }
}

fn refused(stage: &str, answer: &str) -> Failure {
    Failure::Refused {
        stage: stage.to_owned(),
        answer: answer.chars().take(200).collect(),
    }
}

/// A quoted string (RFC 9051, 4.3).
pub fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

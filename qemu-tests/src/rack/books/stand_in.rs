//! Small servers for tests: they speak enough SMTP and IMAP for the books, and misbehave when asked to.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Deliver,
    Twice,
    /// One byte differs.
    Change,
    /// 250, and then it is gone.
    Lose,
    /// The line is cut after the final dot, and the message is delivered all the same.
    CutAfterDelivery,
    /// The line is cut after the final dot, and the message is gone.
    CutAndLose,
    /// 451 for the recipient.
    RefuseRecipient,
    /// Nothing is said after the final dot.
    Hang,
    /// Delivered into the mailbox of somebody else.
    Elsewhere,
}

/// Messages by mailbox, as they lie there.
pub type Store = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Starts a server of SMTP: `fates` in the order of messages, then all are delivered.
pub fn smtp(store: &Store, fates: &[Fate]) -> SocketAddr {
    let fates = Arc::new(Mutex::new(fates.iter().copied().collect::<VecDeque<_>>()));
    let store = Arc::clone(store);
    listen(move |stream| {
        let fate = fates.lock().unwrap().pop_front().unwrap_or(Fate::Deliver);
        // A client that goes away is no failure of this side.
        let _gone = receive(stream, fate, &store);
    })
}

/// Starts a server of IMAP that shows the store; user and password are not looked at.
pub fn imap(store: &Store) -> SocketAddr {
    let store = Arc::clone(store);
    listen(move |stream| {
        let _gone = show(stream, &store);
    })
}

fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn receive(stream: TcpStream, fate: Fate, store: &Store) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    reader.get_mut().write_all(b"220 stand-in\r\n")?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250-stand-in\r\n250 8BITMIME\r\n",
            "RCPT" if fate == Fate::RefuseRecipient => "451 4.3.0 later\r\n",
            "RCPT" => {
                to = line
                    .trim()
                    .trim_start_matches("RCPT TO:<")
                    .trim_end_matches('>')
                    .to_owned();
                "250 ok\r\n"
            }
            "DATA" => {
                reader.get_mut().write_all(b"354 go on\r\n")?;
                let bytes = message(&mut reader)?;
                if !deliver(fate, &to, bytes, store) {
                    return Ok(());
                }
                "250 2.0.0 Ok: queued as 1\r\n"
            }
            "QUIT" => return reader.get_mut().write_all(b"221 bye\r\n"),
            _ => "250 ok\r\n",
        };
        reader.get_mut().write_all(answer.as_bytes())?;
    }
}

fn message(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut bytes = b"Received: by stand-in; X-Rackwright-Books: not this one\r\n".to_vec();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 || line == b".\r\n" {
            return Ok(bytes);
        }
        bytes.extend(line.strip_prefix(b".").unwrap_or(&line));
    }
}

/// Whether 250 is said afterwards.
fn deliver(fate: Fate, to: &str, mut bytes: Vec<u8>, store: &Store) -> bool {
    let copies = match fate {
        Fate::Lose | Fate::CutAndLose | Fate::Hang | Fate::RefuseRecipient => 0,
        Fate::Twice => 2,
        _ => 1,
    };
    if fate == Fate::Change
        && let Some(last) = bytes.iter_mut().rev().nth(2)
    {
        *last ^= 1;
    }
    let to = if fate == Fate::Elsewhere {
        "elsewhere@example.org"
    } else {
        to
    };
    for _ in 0..copies {
        store.lock().unwrap().push((to.to_owned(), bytes.clone()));
    }
    if fate == Fate::Hang {
        std::thread::sleep(Duration::from_secs(5));
    }
    !matches!(fate, Fate::CutAfterDelivery | Fate::CutAndLose | Fate::Hang)
}

fn show(stream: TcpStream, store: &Store) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    reader.get_mut().write_all(b"* OK stand-in\r\n")?;
    let mut user = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let (tag, command) = (words.next().unwrap_or("*").to_owned(), words.next());
        let rest: Vec<&str> = words.collect();
        let mine: Vec<Vec<u8>> = {
            let store = store.lock().unwrap();
            let own = store.iter().filter(|(to, _)| *to == user);
            own.map(|(_, bytes)| bytes.clone()).collect()
        };
        let mut out = Vec::new();
        match (command, rest.first().copied()) {
            (Some("LOGIN"), Some(name)) => user = name.trim_matches('"').to_owned(),
            (Some("SELECT" | "EXAMINE"), _) => {
                out.extend(format!("* {} EXISTS\r\n", mine.len()).bytes());
            }
            (Some("UID"), Some("SEARCH")) => {
                out.extend(b"* SEARCH");
                (1..=mine.len()).for_each(|uid| out.extend(format!(" {uid}").bytes()));
                out.extend(b"\r\n");
            }
            (Some("UID"), Some("FETCH")) => {
                for uid in rest.get(1).unwrap_or(&"").split(',') {
                    let number: usize = uid.parse().unwrap();
                    let bytes = &mine[number - 1];
                    let head = format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}\r\n", bytes.len());
                    out.extend(head.bytes());
                    out.extend(bytes);
                    out.extend(b")\r\n");
                }
            }
            (Some("FETCH"), Some(number)) => {
                let header = mine[number.parse::<usize>().unwrap() - 1]
                    .split(|byte| *byte == b'\n')
                    .find(|line| line.starts_with(b"X-Rackwright-Books"))
                    .unwrap()
                    .to_vec();
                let length = header.len() + 3;
                out.extend(format!("* {number} FETCH (BODY[HEADER] {{{length}}}\r\n").bytes());
                out.extend(header);
                out.extend(b"\n\r\n)\r\n");
            }
            _ => {}
        }
        out.extend(format!("{tag} OK done\r\n").bytes());
        reader.get_mut().write_all(&out)?;
        if command == Some("LOGOUT") {
            return Ok(());
        }
    }
}

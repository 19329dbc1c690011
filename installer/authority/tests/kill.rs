//! A control server that is killed while it writes: what it said holds. The process is a real one and the kill is SIGKILL;
//! that the disk keeps what fsync promised is the disk's part.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use authority::{
    store::{Caller, Store},
    wire::{Answer, Claim},
};
use camino::Utf8PathBuf;

const FOLDER: &str = "RACKWRIGHT_TEST_STORE";

fn raise(from: u64) -> Claim {
    Claim::RaiseEpoch {
        resource: "r".into(),
        from,
        owner: "ct1".into(),
    }
}

fn caller() -> Caller {
    Caller {
        node: "ct1".into(),
        role: "control".into(),
    }
}

/// The process that is killed: raises an epoch as fast as it can, and says each number once it is promised. No test where
/// nobody names a folder.
#[test]
fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let store = Store::open(&Utf8PathBuf::from(folder), "ct1").unwrap();
    if !store.is_active() {
        store.promote(0, 0).unwrap();
    }
    let mut number = store
        .state()
        .epochs
        .get("r")
        .map_or(0, |owner| owner.number);
    loop {
        if let Answer::Epoch { number: new, .. } = store.claim(0, &caller(), raise(number)).unwrap()
        {
            number = new;
            // Straight to the descriptor: the harness would keep it back.
            let line = format!("promised {number}\n");
            std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
        }
    }
}

#[test]
fn what_was_promised_holds_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    let mut last = 0;
    for round in 0..12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(FOLDER, &path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("promised ")?.parse::<u64>().ok())
                .max()
        });
        std::thread::sleep(Duration::from_millis(150 + round * 37));
        child.kill().unwrap();
        child.wait().unwrap();
        let promised = reader.join().unwrap().unwrap_or(last);
        let store = Store::open(&path, "ct1").unwrap();
        let kept = store
            .state()
            .epochs
            .get("r")
            .map_or(0, |owner| owner.number);
        // At most one more than was promised: written, and killed before it was said.
        assert!(
            (promised..=promised + 1).contains(&kept),
            "promised {promised}, kept {kept}"
        );
        assert!(kept >= last);
        last = kept;
    }
    assert!(
        last > 12,
        "the writer wrote too little to be killed at work: {last}"
    );
}

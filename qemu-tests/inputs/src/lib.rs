//! Everything that reads what others wrote, as functions of bytes: what comes over the wire, from a stick, from a disk that was
//! somebody else's. None of it may panic, whatever the bytes are. The fast tier gives them changed samples and noise
//! (`tests/any_bytes.rs`), `qemu-tests/fuzz` lets libFuzzer search.

mod depot;
mod disks;
mod files;
mod wizard;

/// One kind of input.
#[derive(Clone, Copy)]
pub struct Input {
    /// Name, as `cargo fuzz run` has it.
    pub name: &'static str,
    /// What reads it.
    pub read: fn(&[u8]),
    /// What it looks like when all is well: to begin from.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ALL: [Input; 11] = [
    Input {
        name: "depot_request",
        read: depot::request,
        samples: depot::requests,
    },
    Input {
        name: "depot_message",
        read: depot::message,
        samples: depot::messages,
    },
    Input {
        name: "boot_arguments",
        read: depot::arguments,
        samples: depot::queries,
    },
    Input {
        name: "boot_loader",
        read: depot::loader,
        samples: depot::loaders,
    },
    Input {
        name: "report",
        read: wizard::report,
        samples: wizard::reports,
    },
    Input {
        name: "recording",
        read: wizard::recording,
        samples: wizard::recordings,
    },
    Input {
        name: "node_file",
        read: files::node,
        samples: files::nodes,
    },
    Input {
        name: "site_file",
        read: files::site,
        samples: files::sites,
    },
    Input {
        name: "installed",
        read: files::installed,
        samples: files::installs,
    },
    Input {
        name: "capture",
        read: files::capture,
        samples: files::captures,
    },
    Input {
        name: "disk",
        read: disks::disk,
        samples: disks::disks,
    },
];

/// Gives bytes to the reader of this name; a name that is not there is a mistake in the caller.
pub fn read(name: &str, bytes: &[u8]) {
    let input = ALL.iter().find(|input| input.name == name);
    assert!(input.is_some(), "there is no input `{name}`");
    if let Some(input) = input {
        (input.read)(bytes);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn samples(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

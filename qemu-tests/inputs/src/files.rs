//! Files that people and other machines wrote.

use camino::Utf8Path;
use roles::compile::{UnlockCode, open_sealed};
use roles::site::{init, model::Setup};

use crate::{samples, text};

/// Of any machine.
const CODE: &str = "aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a";

/// A node file on a stick, beside it sealed secrets: read whole, and, of a stick for the rack, just for whom it is.
pub(crate) fn node(bytes: &[u8]) {
    let text = text(bytes);
    let wanted = run::node_source::rack::wanted("node.toml", &text);
    let _ = run::node_source::rack::choose("stick", &[wanted], &Default::default());
    if let Ok(code) = UnlockCode::parse(CODE) {
        let _ = open_sealed(&text, "db1", &code);
    }
    match roles::parse::node_file("node.toml", &text, None) {
        Ok(_) => {}
        Err(diagnostics) => drop(diagnostics.to_string()),
    }
}

pub(crate) fn nodes() -> Vec<Vec<u8>> {
    samples(&[
        include_str!("../../../roles/tests/valid/full.toml"),
        include_str!("../../../roles/tests/valid/small.toml"),
        "rackwright-sealed 1 db1\n00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n",
    ])
}

/// A site file.
pub(crate) fn site(bytes: &[u8]) {
    let text = text(bytes);
    let (site, diagnostics) = roles::site::check("site.toml", &text, None);
    drop((site, diagnostics.to_string()));
}

pub(crate) fn sites() -> Vec<Vec<u8>> {
    vec![
        init(Setup::Ha, 1000, "mail").into_bytes(),
        init(Setup::Standard, 100, "mail").into_bytes(),
    ]
}

/// What an installed system left on its disks, and what the initrd says of its root.
pub(crate) fn installed(bytes: &[u8]) {
    let text = text(bytes);
    let _ = run::appliance::progress::parse(&text);
    let _ = serde_json::from_slice::<run::install_state::InstallState>(bytes);
    let _ = serde_json::from_slice::<plan::Plan>(bytes);
    let records = run::journal::parse(&text);
    let _ = run::journal::finished(&records, "ab");
    let _ = boot::facts::parse_root(&text);
    let _ = boot::command_line::parse(&text);
}

pub(crate) fn installs() -> Vec<Vec<u8>> {
    samples(&[
        r#"{"state": "unproven", "permit": "p1", "plan": "ab", "role": "lb", "version": "1", "slots": {}, "repairs": []}"#,
        r#"{"role": "control", "version": "0.1.0", "size": 236978176, "sha256": "ab", "kernel": "6.12.117+deb13-amd64"}"#,
        r#"{"sequence": 0, "at": 0, "event": "planned", "node": "a", "digest": "ab", "steps": [["x", "X"]]}"#,
        "quiet rackwright=install rackwright.array=2f0c5cd5:50bdc0a1:5e2f1f6c:8bd6ab47 rackwright.slot=a rackwright.depot=10.0.0.1:9211 \
         rackwright.pin=sha256:ab rackwright.node=http://x/n console=ttyS0",
    ])
}

/// A captured machine: an archive that anybody may have made.
pub(crate) fn capture(bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    let Some(folder) = Utf8Path::from_path(folder.path()) else {
        return;
    };
    let file = folder.join("capture.tar.zst");
    if fs_err::write(&file, bytes).is_err() {
        return;
    }
    match firmware::capture::open(&file) {
        Ok(capture) => drop(capture.inventory()),
        Err(error) => drop(error.to_string()),
    }
    let left = folder.read_dir_utf8().map_or(1, Iterator::count);
    assert_eq!(left, 1, "something was written beside the capture");
}

pub(crate) fn captures() -> Vec<Vec<u8>> {
    let made = || -> Option<Vec<u8>> {
        let folder = tempfile::tempdir().ok()?;
        let folder = Utf8Path::from_path(folder.path())?;
        let machine = firmware::fixture::Machine::named("control")?;
        let root = folder.join("root");
        machine.write(&root).ok()?;
        let file = folder.join("capture.tar.zst");
        let options = firmware::capture::Options::default();
        firmware::capture::write(&root, None, &file, options).ok()?;
        fs_err::read(file).ok()
    };
    made().into_iter().collect()
}

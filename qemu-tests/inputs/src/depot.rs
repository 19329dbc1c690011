//! What reaches the depot, and what a machine takes from it.

use axum::extract::Query;
use axum::http::Uri;
use depot::admin::{Ask, Told};
use depot::direct::{Asked, asked};
use depot::objects::span;
use depot::view::Rack;
use depot::wire::{Answer, Bundle, Events, Have, Health, Hello, Refusal, Secret, Spend};
use depot::{script, store};

use crate::{samples, text};

/// The head of a request for a file; the rest of HTTP is hyper's.
pub(crate) fn request(bytes: &[u8]) {
    if let Asked::File { range, length, .. } = asked(bytes) {
        assert!(length <= bytes.len(), "the head is longer than what came");
        for size in [0, 1, 1000, u64::MAX] {
            if let Ok(Some(part)) = span(range, size) {
                let end = part.from.checked_add(part.length);
                assert!(end.is_some_and(|end| end <= size), "a part lies outside");
            }
        }
    }
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    samples(&[
        "GET /objects/ab/root.squashfs HTTP/1.1\r\nHost: x\r\nRange: bytes=1-9\r\nIf-Range: \"ab\"\r\nConnection: close\r\n\r\n",
        "GET /objects/ab/vmlinuz HTTP/1.0\r\nRange: bytes=-5\r\n\r\n",
    ])
}

/// One line says which message it is: there is no other tag on the wire than the path.
pub(crate) fn message(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Hello>(bytes);
    let _ = serde_json::from_slice::<Spend>(bytes);
    let _ = serde_json::from_slice::<Bundle>(bytes);
    let _ = serde_json::from_slice::<Health>(bytes);
    let _ = serde_json::from_slice::<Answer>(bytes);
    let _ = serde_json::from_slice::<Have>(bytes);
    let _ = serde_json::from_slice::<Refusal>(bytes);
    let _ = serde_json::from_slice::<Ask>(bytes);
    let _ = serde_json::from_slice::<Told<Rack>>(bytes);
    let _ = Secret::parse(&text(bytes)).map(|secret| secret.fingerprint());
    if let Ok(events) = serde_json::from_slice::<Events>(bytes) {
        let mut live = store::Live::default();
        for record in &events.records {
            live.take(record);
            let percent = live.step().map_or(0, |step| step.percent);
            assert!(percent <= 100, "more than all");
        }
    }
}

pub(crate) fn messages() -> Vec<Vec<u8>> {
    samples(&[
        r#"{"serial": "ZM1", "bmc_mac": "0c:c4:7a:00:00:01", "macs": ["0c:c4:7a:00:00:02"], "role": "lb", "version": "1"}"#,
        r#"{"permit": "p1", "plan": "ab", "board": "ZM1"}"#,
        r#"{"from": 0, "records": [{"sequence": 0, "at": 0, "event": "planned", "node": "a", "digest": "b", "steps": [["x", "X"], ["y", "Y"]]},
            {"sequence": 1, "at": 5, "event": "started", "step": "y"},
            {"sequence": 2, "at": 6, "event": "progress", "step": "y", "done": 5, "total": 10, "unit": "bytes"},
            {"sequence": 3, "at": 7, "event": "warned", "step": null, "message": "m"},
            {"sequence": 4, "at": 8, "event": "failed", "step": "y", "error": "e", "hint": null},
            {"sequence": 5, "at": 9, "event": "ended", "outcome": "failed", "message": "m"}]}"#,
        r#"{"summary": "x", "files": {"events.jsonl": "y"}}"#,
        r#"{"healthy": false, "unwell": {"pool": "degraded"}}"#,
        r#"{"answer": "granted", "node": "a", "node_file": "b", "secrets": {"c": "d"}}"#,
        r#"{"wish": "arm", "node": "a", "keep_data": false, "seconds": 3600, "on_sight": true}"#,
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
    ])
}

/// What iPXE says of a machine.
pub(crate) fn arguments(bytes: &[u8]) {
    let Ok(uri) = Uri::try_from(text(bytes)) else {
        return;
    };
    if let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) {
        let facts = script::facts(&pairs);
        let wanted = run::node_source::rack::wanted("a", "[machine]\nserial = \"ZM1\"\n").facts;
        let _ = run::node_source::rack::fits(&wanted, &facts);
    }
}

pub(crate) fn queries() -> Vec<Vec<u8>> {
    samples(&[
        "/boot/machine.ipxe?mac=0c:c4:7a:00:00:01&mac=&serial=ZM%201&platform=efi",
        "/boot/machine.ipxe?serial=%ff%fe&mac=%0a",
    ])
}

/// A boot loader's own version; words of a script are made of it.
pub(crate) fn loader(bytes: &[u8]) {
    let version = script::version(bytes);
    let script = script::newer("10.0.0.1:9211", version.as_deref());
    assert!(
        script
            .bytes()
            .all(|byte| (32..127).contains(&byte) || byte == b'\n'),
        "a version leaves its place"
    );
}

pub(crate) fn loaders() -> Vec<Vec<u8>> {
    samples(&[
        "MZ\u{0}sbat,1,SBAT Version,sbat,1,https://x\nipxe,1,iPXE,ipxe.efi,1.21.1+git-1,https://ipxe.org\n\u{0}",
    ])
}

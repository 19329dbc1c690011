//! Golden node files: one folder that is right, one that is wrong with the exact message of each.
//!
//! `UPDATE_GOLDEN=1 cargo test -p roles` writes the messages anew; read the difference before you commit it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its files has failed"
)]

use camino::{Utf8Path, Utf8PathBuf};
use roles::{NodeFile, RoleSet, parse};

fn shipped() -> RoleSet {
    roles::folder::read(Utf8Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn files(folder: &str) -> Vec<Utf8PathBuf> {
    let dir = Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(folder);
    let mut files: Vec<Utf8PathBuf> = dir
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension() == Some("toml"))
        .collect();
    files.sort();
    files
}

fn read(path: &Utf8Path, roles: &RoleSet) -> Result<NodeFile, roles::Diagnostics> {
    let text = std::fs::read_to_string(path).unwrap();
    parse::node_file(path.file_name().unwrap(), &text, Some(roles))
}

#[test]
fn valid_files_survive_a_round_trip() {
    let roles = shipped();
    for path in files("valid") {
        let node = read(&path, &roles).unwrap_or_else(|wrong| panic!("{}", wrong.render(false)));
        let written = toml::to_string(&node).unwrap();
        assert_eq!(
            parse::node_file("written", &written, Some(&roles)).as_ref(),
            Ok(&node),
            "{path}"
        );
    }
}

#[test]
fn invalid_files_say_exactly_this() {
    let roles = shipped();
    let paths = files("invalid");
    assert!(paths.len() >= 25);
    let mut wrong = Vec::new();
    for path in paths {
        let found = match read(&path, &roles) {
            Ok(_) => "no error\n".to_owned(),
            Err(found) => format!("{found}\n\n{}", found.render(false)),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &found).unwrap();
        }
        if std::fs::read_to_string(&golden).unwrap_or_default() != found {
            wrong.push(format!("{golden} differs; now:\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_secret_is_never_shown() {
    for secret in ["s3cret-password", "$1$old$s3cret", "tr\u{e8}s s3cret"] {
        for line in [
            format!("password_hash = \"{secret}\""),
            format!("password_hash = ['{secret}']"),
            format!("password_hash = \"{secret}"),
            format!("password_hash = {secret}"),
        ] {
            let text = format!("format = 1\nnode = \"n1\"\nrole = \"lb\"\n[access]\n{line}\n");
            let wrong = parse::node_file("n1.toml", &text, None).unwrap_err();
            let shown = format!("{wrong}{}{wrong:?}", wrong.render(false));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}

/// A key that the schema knows but no type has would be read and forgotten; between them the valid files have every key.
#[test]
fn no_known_key_is_forgotten() {
    for path in files("valid") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut ignored = Vec::new();
        let _: NodeFile =
            serde_ignored::deserialize(toml::Deserializer::parse(&text).unwrap(), |path| {
                ignored.push(path.to_string());
            })
            .unwrap();
        assert_eq!(ignored, Vec::<String>::new(), "{path}");
    }
}

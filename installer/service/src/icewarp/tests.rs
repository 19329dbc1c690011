//! Decisions by tables, texts as snapshots.

use super::*;
use crate::settings::Mail;

const DEBIAN: &str = "PRETTY_NAME=\"x\"\nVERSION_ID=\"13\"\nID=debian\n";
const ROCKY: &str = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n";

fn entry(root: bool) -> Entry {
    Entry {
        kind: PayloadKind::Archive,
        path: Some("/usr/share/rackwright/payload/icewarp/i.tar.gz".into()),
        sha256: "aa".into(),
        root: root.then(|| Root {
            path: "/usr/share/rackwright/payload/icewarp/root-rhel9.tar".into(),
            sha256: "bb".into(),
        }),
    }
}

fn place(has_root: bool) -> Place {
    Place {
        work: "/var/spool/rackwright/icewarp".into(),
        has_root,
        binds: vec!["/var/srv/mail".into(), "/var/spool/rackwright/temp".into()],
    }
}

fn seen(marks: [&str; 3], platform: &str, os_release: &str, has_license: bool) -> Seen {
    let [root, unpacked, installed] = marks.map(|mark| (!mark.is_empty()).then(|| mark.to_owned()));
    Seen {
        root,
        unpacked,
        installed,
        platform: platform.into(),
        os_release: os_release.into(),
        has_license,
    }
}

#[test]
fn one_step_after_the_other() {
    let said = |entry: &Entry, seen: &Seen| match next(entry, seen) {
        Ok(next) => format!("{next:?}"),
        Err(Halt::Waits(what)) => format!("waits: {what}"),
        Err(Halt::Refused(refusal)) => format!("refused: {refusal}"),
    };
    let table = [
        (false, seen(["", "", ""], "", DEBIAN, true), "Unpack"),
        (true, seen(["", "", ""], "", "", true), "UnpackRoot"),
        (
            true,
            seen(["cc", "aa", "aa"], "rhel 9", ROCKY, true),
            "UnpackRoot",
        ),
        (true, seen(["bb", "", ""], "", ROCKY, true), "Unpack"),
        // Another version in a newer image.
        (
            true,
            seen(["bb", "99", "99"], "rhel 9", ROCKY, true),
            "Unpack",
        ),
        (
            true,
            seen(["bb", "aa", "99"], "rhel 9", ROCKY, true),
            "Install",
        ),
        (
            true,
            seen(["bb", "aa", ""], "RHEL9_x64\n", ROCKY, true),
            "Install",
        ),
        (
            true,
            seen(["bb", "aa", "aa"], "rocky-9", ROCKY, false),
            "Configure",
        ),
        (
            false,
            seen(["", "aa", ""], "debian13", DEBIAN, true),
            "Install",
        ),
        (
            false,
            seen(["", "aa", ""], "debian13", DEBIAN, false),
            "waits: the secret `icewarp-license` was not delivered",
        ),
        (
            false,
            seen(["", "aa", ""], "RHEL9_x64", DEBIAN, true),
            "refused: the archive is for `rhel 9`, and this would be `debian 13`\nhint: give the root",
        ),
        (
            true,
            seen(["bb", "aa", ""], "rhel 8", ROCKY, true),
            "refused: the archive is for `rhel 8`, and this would be `rocky 9`",
        ),
        (
            false,
            seen(["", "aa", ""], "", DEBIAN, true),
            "refused: the archive has no file `platform`",
        ),
    ];
    for (root, seen, wanted) in table {
        let said = said(&entry(root), &seen);
        assert!(said.starts_with(wanted), "{wanted}: {said}");
    }
    let binary = Entry {
        kind: PayloadKind::Binary,
        ..entry(false)
    };
    let all = seen(["", "", ""], "", DEBIAN, true);
    assert!(said(&binary, &all).contains("is of kind `binary`"));
}

#[test]
fn exit_codes_are_said_plainly() {
    for (code, wanted) in [
        (
            1,
            "the installer ended with 1: incompatible Linux distribution",
        ),
        (
            2,
            "the installer ended with 2: libraries that it depends on are missing",
        ),
        (77, "not a code that is known"),
    ] {
        let said = installed(code).map_err(|refusal| refusal.to_string());
        assert!(
            said.as_ref().is_err_and(|said| said.contains(wanted)),
            "{said:?}"
        );
    }
    assert_eq!(installed(0), Ok(()));
}

fn settings() -> Mail {
    toml::from_str(
        "mail_id = \"a1\"\nmail_source = \"10.0.4.9:/\"\nmail_mount = \"/var/srv/mail\"\ndatabase_address = \"10.0.3.9\"\n\
         config_root = \"/var/srv/mail/config\"\nspam_root = \"/var/srv/mail/config/spam\"\n\
         [icewarp]\nc_system_tools_autoarchive_path = \"/var/srv/mail/archive/\"\nc_meeting_active = true\nit_s = \"it's\"\n",
    )
    .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn commands_units_and_scripts() {
    let mut text = String::new();
    for has_root in [false, true] {
        let place = place(has_root);
        let (words, folder) =
            place.install("IceWarp-14", "/run/rackwright/secrets/icewarp-license");
        text.push_str(&format!("{}\n  in {folder}\n", words.join(" ")));
        text.push_str(&format!("{}\n{}\n", place.shell().join(" "), place.unit()));
    }
    let parts = [
        settings::shared("/opt/icewarp", &settings(), "secret"),
        settings::own("/opt/icewarp", &settings()),
        settings::master("/opt/icewarp", &settings(), true),
    ];
    for part in parts {
        text.push_str(&part.unwrap_or_else(|refusal| panic!("{refusal}")));
    }
    text.push_str(&settings::databases());
    text.push_str(&settings::php_ini(
        "[PHP]\nsession.save_handler = files\nsession.save_path=/tmp\nmemory_limit = 1G\n",
        "10.0.3.9",
        Some("secret"),
    ));
    text.push_str(&duty::unit("/var/srv/mail"));
    insta::assert_snapshot!("icewarp", text);
    // A second time it changes nothing.
    let once = settings::php_ini("a = b\n", "10.0.3.9", None);
    assert_eq!(settings::php_ini(&once, "10.0.3.9", None), once);
}

#[test]
fn what_cannot_be_said_safely_is_refused_without_the_secret() {
    let change = |change: &dyn Fn(&mut Mail)| {
        let mut settings = settings();
        change(&mut settings);
        let all = settings::shared("/opt/icewarp", &settings, "secret")
            .and_then(|_| settings::own("/opt/icewarp", &settings))
            .and_then(|_| settings::master("/opt/icewarp", &settings, false));
        all.map_or_else(|refusal| refusal.to_string(), |_| "good".to_owned())
    };
    assert_eq!(change(&|_| {}), "good");
    for id in ["", "abc", "a/", "ä"] {
        assert!(change(&|it| it.mail_id = Some(id.into())).contains("is no server id"));
    }
    let shared = change(&|it| it.temp_root = Some("/var/srv/mail/temp".into()));
    assert!(shared.contains("lies on the shared store"), "{shared}");
    let key = change(&|it| {
        it.icewarp.insert("a; rm".into(), "x".into());
    });
    assert!(key.contains("no name of a setting"), "{key}");
    let table = change(&|it| {
        it.icewarp.insert("a".into(), toml::Table::new().into());
    });
    assert!(table.contains("only text"), "{table}");
    for password in ["", "a;b", "a\nb", "a'b"] {
        let said = settings::shared("/opt", &settings(), password).map_err(|it| it.to_string());
        let said = said.err().unwrap_or_default();
        assert!(said.contains("`database-app`"), "{said}");
        assert!(password.is_empty() || !said.contains(password), "{said}");
    }
}

//! Payloads of a made-up site beside a made-up site file.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// FIPS 180-4, example of "abc".
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn place() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
    (folder, path)
}

fn site(entries: &str) -> (String, Site) {
    let text = site::init(site::model::Setup::Ha, 1000, "mail") + "\n" + entries;
    let (site, found) = site::check("site.toml", &text, None);
    assert!(!found.has_errors(), "{found}");
    (text, site.unwrap())
}

fn entries(digest: &str) -> String {
    format!(
        "[[payloads]]\nname = \"zrepl\"\nfile = \"zrepl\"\nsha256 = \"{digest}\"\n\n\
         [[payloads]]\nname = \"icewarp\"\nfile = \"p/icewarp.tar.gz\"\nsha256 = \"{digest}\"\nplatform = \"rhel9\"\n\
         container_root = \"p/rhel9.tar\"\ncontainer_sha256 = \"{ABC}\"\n"
    )
}

#[test]
fn a_role_gets_its_payloads_and_no_other() {
    let (_keep, folder) = place();
    fs_err::create_dir(folder.join("p")).unwrap();
    for file in ["zrepl", "p/icewarp.tar.gz", "p/rhel9.tar"] {
        fs_err::write(folder.join(file), "abc").unwrap();
    }
    let (text, site) = site(&entries(&ABC.to_uppercase()));
    let wanted = ["lb", "production", "storage"].map(str::to_owned);
    let found = of_roles(Utf8Path::new("site.toml"), &folder, &text, &site, &wanted).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["production", "storage"]);
    let own = folder.join("own");
    lay_out(&own, &found["production"]).unwrap();
    lay_out(&own, &found["storage"]).unwrap();
    let share = own.join("usr/share/rackwright/payload");
    for (path, mode) in [
        (share.join("icewarp/icewarp.tar.gz"), 0o644),
        (share.join("icewarp/root-rhel9.tar"), 0o644),
        (own.join("usr/local/bin/zrepl"), 0o755),
    ] {
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "abc");
        let mode_found = fs_err::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode_found & 0o777, mode, "{path}");
    }
    let said = fs_err::read_to_string(share.join("icewarp/payload.json")).unwrap();
    insta::assert_snapshot!("payload_json", said);
    assert!(share.join("zrepl/payload.json").exists());
    // Changed between the check and the copy.
    fs_err::write(folder.join("zrepl"), "abd").unwrap();
    let error = lay_out(&own, &found["storage"]).unwrap_err().to_string();
    assert!(
        error.contains("was changed while the image was built"),
        "{error}"
    );
}

#[test]
fn what_is_missing_or_changed_is_shown_in_the_site_file() {
    let (_keep, folder) = place();
    fs_err::write(folder.join("zrepl"), "other").unwrap();
    let (text, site) = site(&entries(ABC));
    let file = Utf8Path::new("site.toml");
    let wanted = ["production", "storage"].map(str::to_owned);
    let error = of_roles(file, &folder, &text, &site, &wanted).unwrap_err();
    let shown = error.to_string().replace(folder.as_str(), "DIR");
    insta::assert_snapshot!("missing_or_changed", shown);
    // Images of other roles need none of it.
    let others = ["lb", "galera"].map(str::to_owned);
    assert!(
        of_roles(file, &folder, &text, &site, &others)
            .unwrap()
            .is_empty()
    );
}

//! What a mirror or a half-written folder gives is parsed without a panic.

use std::collections::BTreeMap;

use image::{glob, index, manifest::Manifest};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text(text in "\\PC{0,300}", lines in "([A-Za-z-]{0,12}: ?[a-z0-9.:/' _-]{0,30}\n){0,12}") {
        for text in [&text, &lines] {
            let _packages = index::uris(text).is_ok();
            let mut wanted = BTreeMap::from([("a", "1"), ("lib", "2")]);
            let _stanzas = index::stanzas(text, &mut wanted);
            let _matches = glob::matches(text, &lines);
        }
    }

    #[test]
    fn any_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().map_err(|error| TestCaseError::fail(error.to_string()))?;
        let path = camino::Utf8Path::from_path(folder.path()).ok_or_else(|| TestCaseError::fail("path"))?.join("manifest.json");
        fs_err::write(&path, bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(Manifest::read(&path).is_err());
    }

    #[test]
    fn a_glob_of_many_stars_ends(stars in 1_usize..40, text in "a{0,60}") {
        prop_assert!(!glob::matches(&("a*".repeat(stars) + "b"), &text));
    }
}

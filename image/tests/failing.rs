//! A host whose programs fail: the error says what to do, and the cache holds nothing half-made.

use camino::Utf8Path;
use image::cache::Cache;
use image::recipe::Tools;
use image::{binaries, tools};
use system::Simulated;

#[test]
fn no_space_for_the_tool_root_then_enough() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
    let recipe = Tools::new(&["http://mirror.example/debian".to_owned()]);

    let full = Simulated::new();
    full.answer("mmdebstrap", Err("E: write error: No space left on device"));
    let error = format!(
        "{:#}",
        tools::make(&cache, &recipe, &full, false).unwrap_err()
    );
    assert!(
        error.starts_with("cannot make the tool root\nhint: is the mirror reachable?"),
        "{error}"
    );
    assert!(
        error.ends_with("E: write error: No space left on device"),
        "{error}"
    );
    assert_eq!(cache.find(&recipe.key()), None);
    assert_eq!(cache.list().unwrap(), []);

    let roomy = Simulated::new();
    roomy.answer("mmdebstrap", Ok(""));
    let root = tools::make(&cache, &recipe, &roomy, false).unwrap();
    assert!(root.join("merged").is_dir());
    assert!(
        roomy.commands()[0].ends_with("/content http://mirror.example/debian"),
        "{:?}",
        roomy.commands()
    );

    // Found from now on: nothing is started.
    let idle = Simulated::new();
    assert_eq!(tools::make(&cache, &recipe, &idle, true).unwrap(), root);
    assert_eq!(idle.commands(), Vec::<String>::new());
}

#[test]
fn offline_without_a_tool_root() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
    let error = tools::make(&cache, &Tools::new(&[]), &Simulated::new(), true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the tool root is not in the cache and `--offline` was given\nhint: build once with the network"
    );
}

#[test]
fn no_source_tree_for_our_programs() {
    let error = binaries::build(Utf8Path::new("/nowhere"), &Simulated::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the source tree is not at `/nowhere`, so the programs of the image cannot be compiled\n\
         hint: --source DIR, or both --installer FILE and --init FILE"
    );
}

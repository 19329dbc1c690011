//! What may be asked, what is kept, and how age is counted.

use super::*;
use crate::view;
use proptest::prelude::*;

#[test]
fn syncoid_is_told_to_lose_nothing() {
    let view = View {
        pool: "tank".into(),
        ..View::default()
    };
    insta::assert_snapshot!("pull", pull(&view, "10.77.40.41", "tank").join("\n"));
    assert!(pull(&view, "fd00::1", "tank").contains(&"root@[fd00::1]:tank/mail-root".to_owned()));
}

/// The first part is what syncoid 2.2.0 of Debian 13 sends; its source names the lines.
#[test]
fn the_other_side_may_ask_for_little() {
    let table = [
        ("exit", true),
        ("echo -n", true),
        ("command -v mbuffer", true),
        ("ps -Ao args=", true),
        (
            "zpool get -o value -H feature@extensible_dataset 'tank'",
            true,
        ),
        (
            "zfs list -o name,origin -t filesystem,volume -Hr 'tank/mail-root'",
            true,
        ),
        ("zfs get -H name 'tank/mail-root/mail'", true),
        (
            "zfs get -Hpd 1 -t snapshot guid,creation 'tank/mail-root/mail'",
            true,
        ),
        (
            "zfs send  -nvP -I 'tank/mail-root/mail'@'rackwright-1' 'tank/mail-root/mail'@'rackwright-2'",
            true,
        ),
        (
            "zfs send  -I 'tank/mail-root/mail'@'rackwright-1' 'tank/mail-root/mail'@'rackwright-2' | mbuffer  -q -s 128k -m 16M",
            true,
        ),
        (
            "zfs hold syncoid_rackwright_bk1 tank/mail-root/mail@rackwright-2",
            true,
        ),
        (
            "zfs release syncoid_rackwright_bk1 tank/mail-root/mail@rackwright-1",
            true,
        ),
        ("rackwright-installer storage peer", true),
        ("", false),
        ("sh", false),
        ("exit; reboot", false),
        ("zfs destroy -r tank/mail-root", false),
        ("zfs receive tank/mail-root", false),
        ("zfs rollback tank/mail-root@a", false),
        ("zfs set readonly=off tank/mail-root", false),
        ("zfs list", false),
        ("zfs send tank/secret@a", false),
        ("zfs send tank/mail-rootless@a", false),
        ("zfs send tank/mail-root@a tank/secret@a", false),
        ("zfs send tank/mail-root@a > /etc/shadow", false),
        ("zfs send tank/mail-root@a | sh", false),
        ("zfs send tank/mail-root@a | mbuffer -o /etc/shadow", false),
        ("zfs send $(reboot) tank/mail-root@a", false),
        ("zfs send tank/mail-root@a && reboot", false),
        ("zfs send `reboot`", false),
        ("zfs send tank/mail-root@a\nreboot", false),
        ("zpool get -o value -H all other", false),
        ("zfs send 'tank/mail-root@a", false),
    ];
    for (line, wanted) in table {
        assert_eq!(allowed("tank", line).is_ok(), wanted, "{line}");
    }
    let refusal = allowed("tank", "zfs destroy tank/mail-root")
        .err()
        .map(|it| it.to_string());
    assert_eq!(
        refusal.as_deref(),
        Some("`zfs destroy tank/mail-root` is nothing that replication needs: another program")
    );
}

fn pool(times: &[u64]) -> View {
    let snapshots: String = times
        .iter()
        .map(|at| format!("tank/mail-root@{}\t{at}\t{at}\n", snapshot_name(*at)))
        .collect();
    view::parse("tank", "tank/mail-root\treadonly\toff\n", &snapshots)
}

#[test]
fn age_is_that_of_the_oldest_data_set() {
    let snapshots = "tank/received/mail-root@rackwright-1\t1\t1000\ntank/received/mail-root@rackwright-2\t2\t1060\n\
                     tank/received/mail-root/mail@rackwright-1\t3\t1000\ntank/received/mail-root/mail@manual\t9\t1070\n";
    let sets =
        "tank/received/mail-root\treadonly\ton\ntank/received/mail-root/mail\treadonly\ton\n";
    let copy = view::parse("tank", sets, snapshots);
    let seen = state(&copy, "tank/received/mail-root", "sink", 60, 1100);
    assert_eq!(
        (seen.age, seen.good, seen.snapshot.as_deref()),
        (Some(100), true, Some("rackwright-1"))
    );
    assert!(!state(&copy, "tank/received/mail-root", "sink", 30, 1100).good);
    let nothing = state(
        &view::parse("tank", sets, ""),
        "tank/received/mail-root",
        "sink",
        60,
        1100,
    );
    assert_eq!((nothing.age, nothing.good), (None, false));
}

proptest! {
    /// The newest and what the other side has stay, whatever the ages; what goes once does not make more go.
    #[test]
    fn pruning_keeps_what_is_needed(ages in proptest::collection::btree_set(0u64..5_000_000, 1..80), pick in 0usize..80) {
        let now = 1_800_000_000;
        let times: Vec<u64> = ages.iter().rev().map(|age| now - age).collect();
        let view = pool(&times);
        let needed = times[pick % times.len()];
        let gone = prune(&view, "tank/mail-root", &[needed].into(), now);
        let name = |at: u64| format!("tank/mail-root@{}", snapshot_name(at));
        prop_assert!(!gone.contains(&name(needed)));
        prop_assert!(!gone.contains(&name(times[times.len() - 1])));
        prop_assert!(times.len() - gone.len() <= 3600 + 48 + 31 + 2);
        let rest: Vec<u64> = times.iter().copied().filter(|at| !gone.contains(&name(*at))).collect();
        prop_assert!(prune(&pool(&rest), "tank/mail-root", &[needed].into(), now).is_empty());
    }
}

#[test]
fn cursors_of_zrepl() {
    let text = "tank/mail-root#zrepl_CURSOR_G_000000000000002a_J_push-bk1\n\
         tank/mail-root#zrepl_CURSORTENTATIVE_G_000000000000002b_J_push-bk1\n\
         tank/mail-root#other\n";
    assert_eq!(carried(text).into_iter().collect::<Vec<_>>(), [42]);
    assert_eq!(
        wake("bk1").join(" "),
        "/usr/local/bin/zrepl --config /etc/zrepl/zrepl.yml signal wakeup push-bk1"
    );
}

//! Whole journeys by keys, as a technician on a serial line makes them: the screen is 80x24 and ASCII.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use roles::role::Purpose;
use support::{facts, on, play, wizard};
use tui::{Effect, Key, Message, Screen, play::Play, proposal};

fn installs(play: &Play) -> Vec<(&str, &str)> {
    play.effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Install { node, digest } => Some((node.as_str(), digest.as_str())),
            _ => None,
        })
        .collect()
}

#[test]
fn every_role_by_enter_and_n_alone() {
    for machine in tui::example::names().filter(|name| *name != tui::example::FAULTS) {
        let mut play = play(machine);
        on(&play, Screen::Welcome);
        play.keys("<Enter>");
        on(&play, Screen::Hardware);
        play.keys("n");
        on(&play, Screen::Disks);
        if machine == "lb" {
            // One disk, mirrored below the virtual machine: its group is settled as it is.
            play.keys("<Enter><Enter>");
        }
        play.keys("nnnn");
        on(&play, Screen::Review);
        assert!(
            wizard(&play).can_install(),
            "{machine}\n{}",
            play.text(80, 24)
        );
        let digest = wizard(&play).proposal.digest.clone();
        let name = wizard(&play).node.node.clone();
        play.keys("<Enter>").keys(&name).keys("<Enter>");
        on(&play, Screen::Done);
        assert_eq!(installs(&play).len(), 1);
        assert_eq!(installs(&play)[0].1, digest);
        play.keys("<Enter><Down><Enter>");
        assert_eq!(play.effects.last(), Some(&Effect::Restart), "{machine}");
    }
}

/// What is saved installs unattended: parsed and planned as `install` does, it gives the plan that was on the screen.
#[test]
fn the_saved_node_file_gives_the_same_plan() {
    for machine in tui::example::names().filter(|name| *name != tui::example::FAULTS) {
        let mut play = play(machine);
        if machine == "lb" {
            play.keys("3<Enter><Enter>");
        }
        play.keys("7w<Enter><Down><Enter>");
        let saved = play.effects.iter().find_map(|effect| match effect {
            Effect::SaveOn { text, .. } => Some(text.clone()),
            _ => None,
        });
        let node = roles::parse::node_file("saved", &saved.unwrap(), Some(&support::ROLES))
            .map_err(|wrong| wrong.to_string());
        let node = node.unwrap();
        let again = proposal::propose(&facts(machine), &node);
        let digest = &wizard(&play).proposal.digest;
        assert_eq!(again.digest, *digest, "{machine}");
        let permit = node.permit.unwrap();
        assert_eq!(permit.plan.as_ref(), Some(digest));
        assert_eq!(permit.board_serial, facts(machine).inventory.board.serial);
    }
}

#[test]
fn a_changed_disk_changes_the_plan() {
    let mut play = play("storage-36");
    let before = wizard(&play).proposal.digest.clone();
    // The bay on the left at the bottom becomes a spare: 35 disks are no pairs.
    play.keys("3u<Down><Enter>");
    let spare = wizard(&play).disk().unwrap().id.clone();
    assert!(wizard(&play).proposal.error.is_some());
    assert!(
        play.text(80, 24).contains("do not divide"),
        "{}",
        play.text(80, 24)
    );
    assert!(wizard(&play).trouble(Screen::Disks));
    // A second one, and there is a plan again.
    play.keys("<Up>u<Down><Enter>");
    let plan = wizard(&play).plan().unwrap();
    let spares: Vec<_> = plan
        .disks
        .iter()
        .filter(|disk| disk.purpose == Purpose::Spare)
        .map(|disk| disk.id.clone())
        .collect();
    assert_eq!(spares.len(), 2);
    assert!(spares.contains(&spare));
    assert_ne!(wizard(&play).proposal.digest, before);
    // As the role has them.
    play.keys("x");
    assert_eq!(wizard(&play).proposal.digest, before);
}

#[test]
fn a_layout_is_chosen_with_its_room() {
    let mut play = play("storage-36");
    play.keys("3l");
    let text = play.text(80, 24);
    assert!(
        text.contains("mirror, 2") && text.contains("raidz2, 6"),
        "{text}"
    );
    play.keys("<Down><Down><Down><Down><Enter>");
    let notes = wizard(&play).plan().unwrap().notes.join("\n");
    assert!(notes.contains("raidz2"), "{notes}");
}

#[test]
fn refused_until_it_is_right() {
    let mut play = play("faults");
    play.keys("7<Enter>");
    assert!(
        play.text(80, 24).contains("cannot be confirmed"),
        "{}",
        play.text(80, 24)
    );
    // The pool of somebody else may go, by its name.
    play.keys("<Esc>3g<Enter>");
    assert!(
        wizard(&play)
            .node
            .storage
            .destroy
            .contains(&"11467210123456789012".to_owned())
    );
    // The failing disk leaves 15: the layout takes one as a spare.
    play.keys("l<Enter>");
    assert!(wizard(&play).plan().is_some(), "{}", play.text(80, 24));
    // Each finding that blocks is waived with a reason.
    play.keys("2");
    for _ in 0..10 {
        if !wizard(&play).trouble(Screen::Hardware) {
            break;
        }
        play.keys("<Home>w")
            .keys("it is a test machine")
            .keys("<Enter>");
    }
    play.keys("7");
    assert!(wizard(&play).can_install(), "{}", play.text(80, 24));
    play.keys("<Enter>storage<Enter>");
    assert!(installs(&play).is_empty());
    assert!(play.text(80, 24).contains("is not `storage-1`"));
    play.keys("-1<Enter>");
    on(&play, Screen::Done);
}

#[test]
fn back_and_forth() {
    let mut play = play("galera");
    play.keys("<Enter>nn<Esc>");
    on(&play, Screen::Disks);
    play.keys("<Esc><Esc>");
    on(&play, Screen::Welcome);
    play.keys("<Esc>");
    on(&play, Screen::Welcome);
    play.keys("7<Enter><Esc>");
    on(&play, Screen::Review);
    assert!(wizard(&play).popup.is_none());
    // A change while the question is open cannot be: it is asked again.
    play.keys("<Enter>");
    let mut inventory = facts("galera").inventory;
    inventory.disks.remove(0);
    play.take(Message::Probed {
        inventory: Box::new(inventory),
    });
    play.keys("galera-1<Enter>");
    assert!(installs(&play).is_empty());
}

#[test]
fn failure_and_retry() {
    let mut play = play("control");
    play.executor.fail_once = Some("wipe".into());
    play.keys("7<Enter>control-1<Enter>");
    on(&play, Screen::Progress);
    let text = play.text(80, 24);
    assert!(
        text.contains("sgdisk --zap-all") && text.contains("r retry"),
        "{text}"
    );
    // What an engineer needs, without any secret.
    play.keys("b<Down><Down><Enter>");
    let Some(Effect::Save { name, text, .. }) = play.effects.last() else {
        panic!("no bundle");
    };
    assert_eq!(name, "control-1-failure.txt");
    assert!(text.contains("sgdisk --zap-all") && text.contains("ZM168S001234"));
    play.keys("r");
    on(&play, Screen::Done);
    let runs = installs(&play);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0], runs[1]);
}

/// After a failure the plan may be changed; it is then confirmed anew, and not simply tried again.
#[test]
fn another_plan_is_never_retried() {
    let mut play = play("storage-36");
    play.executor.fail_once = Some("wipe".into());
    play.keys("7<Enter>storage-1<Enter>");
    on(&play, Screen::Progress);
    play.keys("p3l<Down><Down><Down><Down><Enter>7");
    on(&play, Screen::Review);
    assert_eq!(installs(&play).len(), 1);
    play.keys("<Enter>storage-1<Enter>");
    on(&play, Screen::Done);
    let digests: Vec<_> = installs(&play)
        .iter()
        .map(|(_, digest)| digest.to_string())
        .collect();
    assert_ne!(digests[0], digests[1]);
}

#[test]
fn decommission() {
    let mut play = play("galera");
    play.keys("<End><Enter>");
    on(&play, Screen::Review);
    let plan = wizard(&play).plan().unwrap().clone();
    assert!(plan.is_decommission());
    let medium = |disk: &&firmware::inventory::Disk| disk.boot_medium;
    for disk in facts("galera").inventory.disks.iter().filter(medium) {
        assert!(!plan.destroys().contains(&disk.id));
    }
    play.keys("<Enter>galera-1<Enter>");
    on(&play, Screen::Done);
    assert!(installs(&play).is_empty());
    assert!(
        matches!(&play.effects[..], [Effect::Decommission { digest, .. }] if *digest == plan.digest())
    );
    assert!(play.text(80, 24).contains("is empty"));
}

#[test]
fn fields_say_what_is_wrong_with_them() {
    let mut play = play("control");
    play.keys("4");
    for (field, typed, said) in [
        (0, "Mail_1", "lower case letters"),
        (3, "10.0.0.300/24", "address with prefix"),
        (3, "10.0.0.3", "address with prefix"),
        (5, "5000", "1 to 4094"),
        (6, "99", "1280 to 9216"),
    ] {
        play.keys("<Home>");
        for _ in 0..field {
            play.keys("<Down>");
        }
        let before = wizard(&play).node.clone();
        play.keys("<Enter><C-u>").keys(typed).keys("<Enter>");
        assert!(
            play.text(80, 24).contains(said),
            "{typed}\n{}",
            play.text(80, 24)
        );
        assert_eq!(wizard(&play).node, before);
        play.keys("<Esc>");
    }
    play.keys("<Home><Down><Down><Down><Enter><C-u>192.0.2.10/24<Enter>");
    play.keys("<Down><Enter>192.0.3.1<Enter>");
    assert!(play.text(80, 24).contains("in none of"));
    play.keys("<C-u>192.0.2.1<Enter>");
    let network = &wizard(&play).node.networks[0];
    assert_eq!(network.addresses, ["192.0.2.10/24"]);
    assert_eq!(network.gateway.as_deref(), Some("192.0.2.1"));
    assert!(
        wizard(&play).can_install(),
        "{:?}",
        wizard(&play).proposal.problems
    );
}

#[test]
fn bonds_and_vlans() {
    let mut play = play("storage");
    // The network on the first line of ports goes onto a pair, tagged.
    play.keys("4<Down><Down><Enter><End><Enter>");
    play.keys("<Down><Down><Down><Enter>40<Enter>");
    let node = &wizard(&play).node;
    assert_eq!(node.bonds.len(), 1, "{node:?}");
    assert_eq!(node.bonds[0].ports.len(), 2);
    assert_eq!(node.networks[0].vlan, Some(40));
    assert_eq!(
        node.networks[0].on.as_deref(),
        Some(node.bonds[0].name.as_str())
    );
    assert!(
        wizard(&play).proposal.problems.is_empty(),
        "{:?}",
        wizard(&play).proposal.problems
    );
    // Away with it again: nothing of the bond is left.
    play.keys("<Home><Down><Down><Enter><Home><Enter>");
    assert!(wizard(&play).node.bonds.is_empty());
    assert!(wizard(&play).node.ports.is_empty());
}

#[test]
fn one_console_holds_the_keyboard_and_all_show_the_same() {
    let mut play = play("control");
    play.take_from(
        "tty1",
        Message::Key {
            key: Key::Char('3'),
        },
    );
    on(&play, Screen::Disks);
    play.keys("4");
    on(&play, Screen::Disks);
    assert!(play.text(80, 24).contains("the keyboard is at tty1"));
    play.keys("<C-t>4");
    on(&play, Screen::Network);
    play.take_from(
        "tty1",
        Message::Key {
            key: Key::Char('3'),
        },
    );
    on(&play, Screen::Network);
    // A console that starts now folds the same list.
    let mut late = tui::State::default();
    for line in &play.lines {
        tui::update(&mut late, line);
    }
    let late = tui::screenshot::text(&tui::screenshot::buffer(
        &late,
        &tui::play::view(tui::Look::PLAIN),
        80,
        24,
    ));
    assert_eq!(late, play.text(80, 24));
}

/// A slow probe, a dead link: everything else works meanwhile, and the line above the keys says what is waited for.
#[test]
fn nothing_waits_for_anything() {
    let mut play = play("storage-36");
    play.held = Some(std::collections::VecDeque::new());
    play.keys("2r4p");
    let text = play.text(80, 24);
    assert!(
        text.contains("looking at the machine, asking the network"),
        "{text}"
    );
    play.keys("7<Enter>storage-1<Enter>");
    assert_eq!(installs(&play).len(), 1);
    play.release(usize::MAX);
    on(&play, Screen::Done);
}

#[test]
fn a_recording_holds_no_password() {
    let mut facts = facts("control");
    facts.node = Some(roles::NodeFile {
        format: 1,
        node: "control-1".into(),
        role: "control".into(),
        access: roles::node::Access {
            password_hash: Some("$y$j9T$secret".into()),
            ..Default::default()
        },
        ..Default::default()
    });
    let play = Play::new(facts);
    let recording = tui::log::redacted(&play.lines);
    assert!(recording.contains("control-1") && !recording.contains("secret"));
    assert_eq!(tui::log::parse(&recording).len(), play.lines.len());
}

/// `[console] shell = "closed"` of the node file that was found: no key of any screen leads to a shell, and each says why.
#[test]
fn a_closed_shell_stays_closed_and_says_so() {
    let mut closed = facts("control");
    closed.shell = false;
    closed.simulated = false;
    let mut play = Play::new(closed.clone());
    let text = play.text(80, 24);
    assert!(text.contains("closed by the node file"), "{text}");
    for keys in ["<F12>", "!", "?<F12>", "<Esc>7d<F12>"] {
        play.keys(keys);
        let text = play.text(80, 24);
        assert!(
            text.contains("the node file keeps the shell closed"),
            "{keys}\n{text}"
        );
    }
    // Leaving would end at a shell, too.
    play.keys("<Esc>q");
    assert!(
        play.text(80, 24).contains("Restart?"),
        "{}",
        play.text(80, 24)
    );
    play.keys("<Down><Enter>");
    assert_eq!(play.effects, [Effect::Restart]);
    closed.mode = tui::facts::Mode::Console;
    let mut play = Play::new(closed);
    assert!(
        !play.text(80, 24).contains("log in"),
        "{}",
        play.text(80, 24)
    );
    play.keys("<Enter>");
    assert!(
        play.text(80, 24).contains("reached by ssh"),
        "{}",
        play.text(80, 24)
    );
    assert!(!play.effects.contains(&Effect::Shell));
}

/// What is chosen here is for the installed machine: it opens or closes nothing now.
#[test]
fn the_shell_of_the_installed_machine_is_chosen() {
    let mut play = play("control");
    play.keys("6<Down><Down><Enter><Down><Enter>");
    assert_eq!(
        wizard(&play).node.console.shell,
        Some(roles::node::Shell::Closed),
        "{}",
        play.text(80, 24)
    );
    assert!(proposal::text(&wizard(&play).node).contains("shell = \"closed\""));
    assert!(wizard(&play).facts.shell);
    play.keys("<Delete>");
    assert!(wizard(&play).node.console.is_default());
}

/// Repair and rescue: what is missing, what takes its place, the plan, the typed name; on every role that mirrors its system.
#[test]
fn a_changed_disk_is_brought_back() {
    for machine in ["control", "galera", "storage-36"] {
        let mut play = play(machine);
        play.keys("<Down><Enter>");
        on(&play, Screen::Repair);
        let text = play.text(80, 24);
        assert!(
            text.contains("MISSING") && text.contains("PULLED-OUT-1"),
            "{text}"
        );
        play.keys("<Enter>");
        on(&play, Screen::Review);
        let plan = wizard(&play).plan().unwrap().clone();
        assert!(plan.is_repair());
        assert_eq!(plan.destroys().len(), 1, "only the new disk");
        play.keys("<Enter>other<Enter>");
        assert!(!play.effects.iter().any(Effect::destroys));
        play.keys("<C-u>").keys(&plan.node).keys("<Enter>");
        on(&play, Screen::Done);
        assert!(
            play.text(80, 24).contains("is whole again"),
            "{}",
            play.text(80, 24)
        );
        let repairs: Vec<_> = play
            .effects
            .iter()
            .filter(|effect| effect.destroys())
            .collect();
        assert!(
            matches!(&repairs[..], [Effect::Repair { digest, .. }] if *digest == plan.digest()),
            "{repairs:?}"
        );
    }
}

/// Where nothing can be brought back, the screen says why, and nothing can be confirmed.
#[test]
fn no_repair_without_an_installed_system() {
    let mut play = play("control");
    play.held = Some(std::collections::VecDeque::new());
    play.keys("<Down><Enter>");
    assert!(
        play.text(80, 24)
            .contains("looking for the installed system")
    );
    let inventory = Box::new(wizard(&play).facts.inventory.clone());
    play.take(Message::Installed {
        installed: Box::new(tui::message::Installed {
            problem: Some("no installed system was found\nhint: install".into()),
            ..Default::default()
        }),
        inventory,
    });
    let text = play.text(80, 24);
    assert!(
        text.contains("No installed system") && text.contains("hint: install"),
        "{text}"
    );
    play.keys("<Enter><Esc>7<Enter>control-1<Enter>");
    assert!(!play.effects.iter().any(Effect::destroys));
    // Back, and to an install: the plan is the install's again.
    play.keys("<Esc><Esc><Esc><Up><Enter>");
    on(&play, Screen::Hardware);
    assert!(wizard(&play).can_install());
}

/// A stick is written only after it was chosen by its name; the first line of the question is no.
#[test]
fn a_stick_is_chosen_by_its_name() {
    let mut play = play("control");
    play.keys("7w<Enter>");
    let text = play.text(80, 24);
    assert!(text.contains("SanDisk Ultra, 30.8 GB"), "{text}");
    play.keys("<Enter>");
    assert!(
        !play
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::SaveOn { .. }))
    );
    play.keys("w<Enter><Down><Enter>");
    assert!(
        matches!(play.effects.last(), Some(Effect::SaveOn { stick, .. }) if stick.device == "/dev/sdx1")
    );
    // None is there.
    play.held = Some(std::collections::VecDeque::new());
    play.keys("w<Enter>");
    play.take(Message::Sticks { sticks: Vec::new() });
    let text = play.text(80, 24);
    assert!(text.contains("no stick named RACKWRIGHT"), "{text}");
}

/// Esc before an unattended install leads here with a permit that may be spent, or be for a repair: a confirmation is a new one.
#[test]
fn a_confirmation_is_a_permit_of_its_own() {
    let mut facts = facts("control");
    let mut node = wizard(&Play::new(facts.clone())).node.clone();
    node.permit = Some(roles::node::Permit {
        id: "from-the-stick".into(),
        board_serial: Some("another".into()),
        plan: Some("0123".into()),
        task: Some("repair".into()),
    });
    facts.node = Some(node);
    let mut play = Play::new(facts.clone());
    play.keys("7<Enter>control-1<Enter>");
    on(&play, Screen::Done);
    let (text, digest) = installs(&play)[0];
    let node = roles::parse::node_file("node", text, Some(&support::ROLES))
        .map_err(|wrong| wrong.to_string());
    let permit = node.unwrap().permit.unwrap();
    assert_eq!(permit.id, facts.session);
    assert_eq!(permit.task, None);
    assert_eq!(permit.plan.as_deref(), Some(digest));
    assert_eq!(permit.board_serial, facts.inventory.board.serial);
}

//! Every command against a BMC in memory, and every way in which one goes wrong.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::apply::look;
use super::chassis::{Boot, BootDevice, Power};
use super::difference::Way;
use super::simulated::{Fault, Simulated};
use super::*;
use crate::ipmi::{IpmiTransport, Patient};
use crate::recording::{BmcRecorder, Recording};

mod reading;

fn wanted() -> Wanted {
    Wanted {
        address: Some((
            Ipv4Addr::new(10, 77, 10, 111),
            Ipv4Addr::new(255, 255, 255, 0),
        )),
        gateway: Some(Ipv4Addr::new(10, 77, 10, 1)),
        vlan: Some(10),
        mode: Some(LanMode::Dedicated),
        user: Some("rackwright".into()),
    }
}

fn password() -> Password {
    Password::parse("correct horse ba").unwrap()
}

fn bytes(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// Looks and applies; gives what was changed.
fn configure(
    transport: &mut dyn IpmiTransport,
    wanted: &Wanted,
    password: Option<&Password>,
) -> Result<Vec<String>, BmcError> {
    let (current, difference) = look(transport, wanted, password, Way::InBand)?;
    let mut done = Vec::new();
    apply(
        transport,
        current.channel,
        &difference,
        password,
        Way::InBand,
        &mut |change| done.push(change.to_string()),
    )?;
    Ok(done)
}

#[test]
fn a_factory_bmc_becomes_what_is_wanted() {
    let mut bmc = Simulated::x10();
    let (current, difference) = look(&mut bmc, &wanted(), Some(&password()), Way::InBand).unwrap();
    insta::assert_snapshot!("factory_state", text::current(&current));
    insta::assert_snapshot!("factory_difference", text::difference(&difference));

    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    assert_eq!(bmc.lan[&3], [10, 77, 10, 111]);
    assert_eq!(bmc.lan[&4], [1]);
    assert_eq!(bmc.lan[&6], [255, 255, 255, 0]);
    assert_eq!(bmc.lan[&10], [2]);
    assert_eq!(bmc.lan[&12], [10, 77, 10, 1]);
    assert_eq!(bmc.lan[&20], [10, 0x80]);
    assert_eq!(bmc.lan[&0], [0], "the lock is left behind");
    assert_eq!(bmc.mode, 0);
    // The first slot that is nobody's: 1 is the anonymous user's, 2 the factory's.
    let user = &bmc.users[2];
    assert_eq!(user.name, "rackwright");
    assert_eq!(user.password, bytes("correct horse ba"));
    assert_eq!((user.rights, user.enabled), (0x14, true));
    assert!(bmc.console_users.contains(&3));
    // Everyone knows the factory's password.
    assert_eq!(bmc.users[1].password, bytes("correct horse ba"));
    assert_eq!(bmc.sol[&1], 1);
    assert_eq!([bmc.sol[&5], bmc.sol[&6]], [10, 10]);
    assert_eq!(bmc.sol[&2], 0xc4);

    let before = bmc.clone();
    let (current, difference) = look(&mut bmc, &wanted(), Some(&password()), Way::InBand).unwrap();
    assert!(difference.is_none() && difference.warnings.is_empty());
    assert_eq!(difference.changes, []);
    insta::assert_snapshot!("configured_state", text::current(&current));
    assert_eq!((bmc.lan, bmc.users), (before.lan, before.users));
}

/// The order that matters: no user may log in before the password is set, the privilege comes before the messages, and the
/// port of the board is last.
#[test]
fn changes_come_in_a_safe_order() {
    let mut bmc = Simulated::x10();
    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    let writes: Vec<(u8, u8, Vec<u8>)> = bmc
        .requests
        .iter()
        .filter(|(function, command, data)| {
            matches!(
                (function, command),
                (6, 0x40 | 0x43 | 0x45 | 0x4c) | (0x0c, 0x01 | 0x21)
            ) || (*function == 6 && *command == 0x47 && data[1] != 3)
                || (*function == 0x30 && data[1] == 1)
        })
        .cloned()
        .collect();
    let place = |function: u8, command: u8, start: &[u8]| {
        writes
            .iter()
            .position(|(f, c, data)| (*f, *c) == (function, command) && data.starts_with(start))
            .unwrap_or_else(|| panic!("no {function:x}/{command:x} {start:x?} in {writes:x?}"))
    };
    let set_password = place(6, 0x47, &[3, 2]);
    let privilege = place(6, 0x43, &[0x01, 3, 4]);
    let messages = place(6, 0x43, &[0x91, 3, 4]);
    let enable = place(6, 0x47, &[3, 1]);
    let address = place(0x0c, 1, &[1, 3]);
    let mode = place(0x30, 0x70, &[0x0c, 1]);
    assert!(set_password < privilege && privilege < messages && messages < enable);
    assert!(enable < address && address < mode);
    assert_eq!(mode + 1, writes.len());
    // The set-in-progress lock is around the LAN settings.
    assert!(place(0x0c, 1, &[1, 0, 1]) < address && address < place(0x0c, 1, &[1, 0, 0]));
}

/// Neither a restart (06/02, 06/03) nor a way back to the factory's settings (3c/40), whatever is wanted and goes wrong.
#[test]
fn it_is_never_restarted_or_reset() {
    for fault in [
        Fault::Code(0xff),
        Fault::Ignore,
        Fault::Silent,
        Fault::Short,
    ] {
        for (function, command) in commands() {
            let mut bmc = Simulated::x10();
            bmc.fault(function, command, fault, u32::MAX);
            configure(&mut bmc, &wanted(), Some(&password())).ok();
            for (function, command, _) in &bmc.requests {
                let forbidden = matches!((function, command), (6, 2 | 3) | (0x3c, _) | (0, 2));
                assert!(!forbidden, "{function:x}/{command:x}");
            }
        }
    }
}

/// All that a configuration asks and tells.
fn commands() -> Vec<(u8, u8)> {
    let mut bmc = Simulated::x10();
    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    let mut commands: Vec<(u8, u8)> = bmc.requests.iter().map(|(f, c, _)| (*f, *c)).collect();
    commands.sort_unstable();
    commands.dedup();
    commands
}

/// Whatever single command is refused, lost or cut short: an error or a poorer result, and the lock is not left behind.
#[test]
fn one_command_that_never_works() {
    let mut lines = Vec::new();
    for (function, command) in commands() {
        for fault in [Fault::Code(0xd4), Fault::Ignore, Fault::Silent] {
            let mut bmc = Simulated::x10();
            bmc.fault(function, command, fault, u32::MAX);
            let result = match configure(&mut bmc, &wanted(), Some(&password())) {
                Ok(_) => "done".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(!result.contains("correct horse"), "{result}");
            lines.push(format!("{function:02x}/{command:02x} {fault:?}: {result}"));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// Each request of a configuration fails once in each way: busy is waited for; forgetting is done again.
#[test]
fn what_goes_wrong_once_is_done_again() {
    for (function, command) in commands() {
        for fault in [Fault::Code(0xc0), Fault::Code(0xc3)] {
            let mut bmc = Simulated::x10();
            bmc.fault(function, command, fault, 2);
            let mut patient = Patient::new(&mut bmc, |_| {});
            configure(&mut patient, &wanted(), Some(&password())).unwrap();
            assert_eq!(bmc.mode, 0, "{function:x}/{command:x} {fault:?}");
        }
    }
    for (function, command) in [(6, 0x40), (6, 0x43), (6, 0x45), (6, 0x4c), (0x0c, 0x21)] {
        let mut bmc = Simulated::x10();
        bmc.access = [[0x02, 4], [0x00, 4]];
        bmc.fault(function, command, Fault::Ignore, 2);
        configure(&mut bmc, &wanted(), Some(&password())).unwrap();
        let (_, left) = look(&mut bmc, &wanted(), Some(&password()), Way::InBand).unwrap();
        assert_eq!(left.changes, [], "{function:x}/{command:x}");
    }
}

#[test]
fn a_bmc_that_is_always_busy_is_given_up() {
    let mut bmc = Simulated::x10();
    bmc.fault(6, 1, Fault::Code(0xc0), u32::MAX);
    let mut pauses = 0;
    let mut patient = Patient::new(&mut bmc, |_| pauses += 1);
    let error = configure(&mut patient, &wanted(), None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the BMC refused to read its device id: it is busy (completion code 0xc0)"
    );
    assert_eq!(pauses, 9);
}

/// Firmware that keeps new settings only while the channel is closed; it is open again afterwards.
#[test]
fn settings_that_stick_only_while_the_channel_is_closed() {
    let mut bmc = Simulated::x10();
    bmc.only_when_closed = true;
    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    assert_eq!(bmc.lan[&3], [10, 77, 10, 111]);
    assert_eq!(bmc.access, [[0x22, 4]; 2]);
    // By the LAN itself nobody closes the door behind himself.
    let mut bmc = Simulated::x10();
    bmc.only_when_closed = true;
    let setting = [lan::Setting::Address(Ipv4Addr::new(192, 0, 2, 1))];
    let error = lan::change(&mut bmc, 1, &setting, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the BMC took the address `192.0.2.1` without complaint, but still says `192.168.1.99`"
    );
    assert_eq!(bmc.access, [[0x22, 4]; 2]);
    assert_eq!(bmc.lan[&0], [0]);
}

/// Seen with `ipmi_sim`: what is not committed before the lock is left is gone, though it was read back before.
#[test]
fn settings_are_committed() {
    let mut bmc = Simulated::x10();
    bmc.rolls_back = true;
    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    assert_eq!(bmc.lan[&3], [10, 77, 10, 111]);
    assert_eq!(bmc.before, None);
    // After a setting that did not stick, the others go back.
    let mut bmc = Simulated::x10();
    bmc.rolls_back = true;
    let settings = [
        lan::Setting::Address(Ipv4Addr::new(192, 0, 2, 1)),
        lan::Setting::Gateway(Ipv4Addr::new(192, 0, 2, 254)),
    ];
    bmc.lan.remove(&12);
    assert!(lan::change(&mut bmc, 1, &settings, true).is_err());
    assert_eq!(bmc.lan[&3], [192, 168, 1, 99]);
    assert_eq!(bmc.before, None);
}

/// Seen with `ipmi_sim`, too: "right" means nothing where everything is right.
#[test]
fn a_bmc_that_calls_every_password_right() {
    let mut bmc = Simulated::x10();
    assert_eq!(users::has_factory_password(&mut bmc), Ok(Some(true)));
    bmc.believes_any_password = true;
    assert_eq!(users::has_factory_password(&mut bmc), Ok(None));
    configure(&mut bmc, &wanted(), Some(&password())).unwrap();
    let (_, left) = look(&mut bmc, &wanted(), Some(&password()), Way::InBand).unwrap();
    assert!(left.is_none() && left.changes.len() == 1, "{left:?}");
}

#[test]
fn accounts() {
    let user = |name: &str| simulated::SimulatedUser {
        name: name.into(),
        password: bytes("x"),
        enabled: true,
        rights: 0x02,
    };
    type Spoil = fn(&mut Simulated);
    let cases: [(&str, Spoil, Wanted, Option<Password>); 9] = [
        ("no wish", |_| {}, Wanted::default(), None),
        ("no password", |_| {}, wanted(), None),
        (
            "the factory's own account",
            |_| {},
            Wanted {
                user: Some("ADMIN".into()),
                ..Wanted::default()
            },
            Some(password()),
        ),
        (
            "there already, less rights, switched off",
            |bmc| {
                bmc.users[4].name = "rackwright".into();
                bmc.users[4].rights = 0x02;
            },
            Wanted {
                user: Some("rackwright".into()),
                ..Wanted::default()
            },
            Some(password()),
        ),
        (
            "no test of passwords",
            |bmc| {
                bmc.tests_passwords = false;
                bmc.users[4].name = "rackwright".into();
            },
            Wanted {
                user: Some("rackwright".into()),
                ..Wanted::default()
            },
            Some(password()),
        ),
        (
            "all slots taken",
            |bmc| {
                for (slot, user) in bmc.users.iter_mut().enumerate() {
                    user.name = format!("user{slot}");
                }
            },
            wanted(),
            Some(password()),
        ),
        (
            "an unknown board, console in use, cipher 0",
            |bmc| {
                bmc.product = 1;
                bmc.console_in_use = true;
                bmc.ciphers = vec![0xc0, 0, 0, 0x40, 0x80];
            },
            wanted(),
            Some(password()),
        ),
        (
            "an anonymous administrator",
            |bmc| {
                bmc.users[0].enabled = true;
                bmc.users[0].rights = 0x14;
            },
            Wanted::default(),
            None,
        ),
        (
            "no console, no ARP setting, no clock",
            |bmc| {
                bmc.sol.clear();
                bmc.lan.remove(&10);
                bmc.time = 17;
            },
            wanted(),
            Some(password()),
        ),
    ];
    let mut all = String::new();
    for (name, spoil, wanted, password) in cases {
        let mut bmc = Simulated::x10();
        bmc.users[5] = user("operator");
        spoil(&mut bmc);
        let result = match look(&mut bmc, &wanted, password.as_ref(), Way::InBand) {
            Ok((_, difference)) => text::difference(&difference),
            Err(error) => format!("error: {error}\n"),
        };
        all.push_str(&format!("{name}\n{result}\n"));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_session_over_the_port_that_is_moved_is_warned() {
    let mut bmc = Simulated::x10();
    let (_, difference) = look(&mut bmc, &wanted(), Some(&password()), Way::Lan).unwrap();
    assert_eq!(
        difference.warnings,
        [
            "this session runs over the LAN port that is moved: it ends with the change, which cannot be read back"
        ]
    );
    let nothing = Wanted::default();
    let (_, difference) = look(&mut bmc, &nothing, Some(&password()), Way::Lan).unwrap();
    assert_eq!(difference.warnings, [""; 0]);
}

#[test]
fn the_lan_channel_is_found_wherever_it_is() {
    for channel in [1, 2, 8, 0x0b] {
        let mut bmc = Simulated::x10();
        bmc.channel = channel;
        assert_eq!(channel::find_lan(&mut bmc), Ok(channel));
        configure(&mut bmc, &wanted(), Some(&password())).unwrap();
        assert_eq!(bmc.lan[&3], [10, 77, 10, 111]);
    }
    let mut bmc = Simulated::x10();
    bmc.channel = 0x0c;
    assert_eq!(channel::find_lan(&mut bmc), Err(BmcError::NoLan));
}

#[test]
fn power() {
    let mut bmc = Simulated::x10();
    let status = chassis::status(&mut bmc).unwrap();
    assert_eq!((status.on, status.faults), (true, vec![]));
    for (power, before, on, ok) in [
        (Power::Off, true, false, true),
        (Power::Off, false, false, true),
        (Power::On, false, true, true),
        (Power::On, true, true, true),
        (Power::Soft, true, false, true),
        (Power::Soft, false, false, true),
        (Power::Cycle, true, true, true),
        (Power::Cycle, false, false, false),
        (Power::Reset, false, false, false),
    ] {
        bmc.on = before;
        let result = chassis::control(&mut bmc, power);
        assert_eq!((result.is_ok(), bmc.on), (ok, on), "{power:?} {before}");
    }
}

#[test]
fn the_boot_device_is_read_back() {
    let boot = Boot {
        device: BootDevice::Disk,
        persistent: true,
        uefi: true,
        supermicro: true,
    };
    let mut bmc = Simulated::x10();
    assert_eq!(chassis::set_boot(&mut bmc, boot), Ok(true));
    assert_eq!(bmc.boot[&5], [0xe0, 0x24, 0, 0, 0]);
    assert_eq!(bmc.boot[&3], [0x0b]);
    assert_eq!(bmc.boot[&0], [0]);
    let mut bmc = Simulated::x10();
    bmc.fault(0, 8, Fault::Ignore, u32::MAX);
    let error = chassis::set_boot(&mut bmc, boot).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the BMC took the boot device `e0 24` without complaint, but still says `00 00`"
    );
}

fn record(id: u8, kind: u8, state: u8) -> [u8; 16] {
    let [a, b, c, d] = 1_795_420_800_u32.to_le_bytes();
    [
        id, 0, 2, a, b, c, d, 0x20, 0, 4, kind, 0x10, 0x6f, state, 0xff, 0xff,
    ]
}

#[test]
fn what_was_recorded_is_read_again() {
    let mut bmc = Simulated::x10();
    let mut recorder = BmcRecorder::new(&mut bmc);
    let first = current::read(&mut recorder).unwrap();
    let exchanges = recorder.exchanges;
    let text = serde_json::to_string(&Recording {
        ipmi: Some(exchanges),
        ..Recording::default()
    })
    .unwrap();
    let recording: Recording = serde_json::from_str(&text).unwrap();
    let again = current::read(&mut recording.transport().unwrap()).unwrap();
    assert_eq!(first, again);
}

/// What the probe asks is kept in captures, and those leave the house.
#[test]
fn the_probe_tries_no_password_and_sets_nothing() {
    let mut bmc = Simulated::x10();
    let before = bmc.clone();
    let root = crate::fixture::scratch().unwrap();
    let root = camino::Utf8Path::from_path(root.path()).unwrap();
    let inventory = crate::probe::inventory(root, Some(&mut bmc));
    let found = inventory.bmc.unwrap();
    assert_eq!(found.factory_password, None);
    assert_eq!(found.lan.unwrap().mode.as_deref(), Some("failover"));
    assert!(!bmc.requests.iter().any(|(f, c, _)| (*f, *c) == (6, 0x47)));
    assert_eq!(
        (bmc.lan, bmc.users, bmc.access),
        (before.lan, before.users, before.access)
    );
}

/// Answers anything to anything.
struct Noise {
    answers: Vec<Vec<u8>>,
    place: usize,
}

impl IpmiTransport for Noise {
    fn request(&mut self, _: u8, _: u8, _: &[u8]) -> Result<Vec<u8>, crate::ipmi::IpmiError> {
        self.place += 1;
        let known = self.answers.get(self.place % (self.answers.len() + 1));
        Ok(known.cloned().unwrap_or_else(|| vec![1, 4, 2, 0x14, 0, 1]))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No answer of a BMC makes us panic or go on for ever.
    #[test]
    fn any_answer_is_survived(answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..12)) {
        let mut noise = Noise { answers, place: 0 };
        current::read(&mut noise).ok();
        configure(&mut noise, &wanted(), Some(&password())).ok();
        sensors::read(&mut noise).ok();
        fru::read(&mut noise).ok();
        sel::info(&mut noise).ok();
        sel::clear(&mut noise).ok();
        chassis::status(&mut noise).ok();
    }

    /// What is wanted is what is there afterwards, and nothing is left to do.
    #[test]
    fn any_wish_is_fulfilled(address: u32, prefix in 1..=30_u32, vlan in proptest::option::of(1..=4094_u16), mode in 0..3_u8, name in "[a-z][a-z0-9]{0,15}", secret in "[ -~]{1,16}") {
        let mut bmc = Simulated::x10();
        let wanted = Wanted {
            address: Some((Ipv4Addr::from_bits(address), Ipv4Addr::from_bits(u32::MAX << (32 - prefix)))),
            gateway: None,
            vlan,
            mode: Some([LanMode::Dedicated, LanMode::Shared, LanMode::Failover][usize::from(mode)]),
            user: Some(name.clone()),
        };
        let password = Password::parse(&secret).unwrap();
        let done = configure(&mut bmc, &wanted, Some(&password)).unwrap();
        // A short password may occur in words by chance.
        prop_assert!(secret.len() < 6 || done.iter().all(|line| !line.contains(&secret)));
        let (current, left) = look(&mut bmc, &wanted, Some(&password), Way::InBand).unwrap();
        prop_assert_eq!(left.changes, vec![]);
        prop_assert_eq!(Some((current.lan.address, current.lan.mask)), wanted.address);
        prop_assert_eq!(current.lan.vlan, vlan);
        prop_assert_eq!(current.mode, wanted.mode);
        prop_assert!(current.users.named(&name).is_some());
    }
}

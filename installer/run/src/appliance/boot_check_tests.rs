//! The first boot of simulated machines.

use camino::Utf8Path;

use super::*;
use crate::appliance::status::{
    status_with,
    tests::{ACTIVE, machine, roles},
};
use crate::console;

fn run(state: &str, services: &str) -> (Status, String, String, Duration) {
    let system = machine(state);
    system.answer("systemctl show", Ok(services));
    system.put_file(console::PORT, b"");
    let began = system.now();
    let status = check(&system, &mut |system| status_with(system, Ok(roles())));
    let install = system.read(Utf8Path::new(progress::PATH)).unwrap();
    (
        status,
        String::from_utf8(install).unwrap(),
        system.console(console::PORT) + &system.console("/dev/ttyS0"),
        system.now() - began,
    )
}

#[test]
fn a_healthy_first_boot_proves_the_install() {
    let (status, install, told, waited) = run("unproven", ACTIVE);
    assert!(status.healthy);
    assert_eq!(status.state, "installed");
    assert!(install.contains(r#""state": "installed""#));
    assert!(
        told.contains(r#""event":"health","healthy":true"#),
        "{told}"
    );
    assert!(
        told.contains("rackwright: toy1 (toy 0.1.0) is healthy"),
        "{told}"
    );
    assert!(
        told.contains("WARN array /state: md127 raid1 DEGRADED"),
        "{told}"
    );
    assert!(waited < PATIENCE);
}

#[test]
fn an_unhealthy_boot_proves_nothing_and_says_why() {
    let (status, install, told, waited) = run(
        "unproven",
        "ActiveState=failed\nSubState=failed\nResult=exit-code\n",
    );
    assert!(!status.healthy);
    assert!(install.contains(r#""state": "unproven""#));
    assert!(told.contains(r#""healthy":false"#), "{told}");
    assert!(
        told.contains("FAIL service ssh.service: failed (exit-code)"),
        "{told}"
    );
    assert!(waited >= PATIENCE);
}

#[test]
fn an_incomplete_install_never_becomes_installed() {
    let (status, install, _, _) = run("incomplete", ACTIVE);
    assert!(!status.healthy);
    assert!(install.contains(r#""state": "incomplete""#));
}

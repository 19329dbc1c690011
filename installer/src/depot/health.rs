//! After the reboot: the installed machine tells its depot how it is, once per boot.

use std::collections::BTreeMap;
use std::time::Duration;

use depot::client::Client;
use depot::wire::{Health, Secret};
use run::appliance::{health::Verdict, status::Status};
use system::{System, delivered};

use super::{KEPT, Kept};

/// How long a depot that does not answer is asked: it may be a workstation that was switched off.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_secs(5);

/// Tells it, if this machine was installed by a depot.
pub fn health(system: &dyn System, status: &Status) {
    let Some(text) = delivered::secret(system, KEPT) else {
        return;
    };
    let Ok(kept) = serde_json::from_str::<Kept>(&text) else {
        tracing::warn!("what is known of the depot cannot be read");
        return;
    };
    let client = Secret::parse(&kept.secret)
        .and_then(|secret| Client::new(&kept.host, &kept.pin, secret).ok());
    let Some(client) = client else {
        tracing::warn!("what is known of the depot cannot be used");
        return;
    };
    let health = Health {
        healthy: status.healthy,
        unwell: unwell(status),
    };
    let began = system.now();
    loop {
        match client.health(&health) {
            Ok(()) => return,
            Err(error) if error.is_temporary() && system.now().saturating_sub(began) < PATIENCE => {
                system.sleep(PAUSE);
            }
            Err(error) => {
                tracing::warn!("{error}");
                return;
            }
        }
    }
}

fn unwell(status: &Status) -> BTreeMap<String, String> {
    status
        .checks
        .iter()
        .filter(|check| check.result == Verdict::Fail)
        .map(|check| (check.name.clone(), check.detail.clone()))
        .collect()
}

//! The depot as this machine sees it: who it is told to ask on the kernel command line, the wait until it knows this machine,
//! its permit, and what it is told. The install goes on without it once the permit is spent.

mod bundle;
mod health;
mod reporter;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context as _, bail};
use camino::Utf8Path;
use depot::client::{CallError, Client};
use depot::wire::{Answer, Delivered, Hello, Secret, Spend};
use run::{
    Outcome,
    event::Record,
    node_source::{self, rack},
};
use serde::{Deserialize, Serialize};
use system::{Network, System, delivered};

pub use health::health;
use reporter::Reporter;

/// Name of the delivered secret by which the installed machine knows its depot.
const KEPT: &str = "depot";
/// Pin of the cluster's authority that the image brought, as `rackwright-init` left it.
const PIN: &str = "/run/rackwright/pin";
/// Between two hellos.
const PAUSE: Duration = Duration::from_secs(3);
/// The same line is said again after so many hellos.
const SAY: u32 = 20;
/// How long a spent permit is waited for: the depot may be starting again.
const SPEND_PATIENCE: Duration = Duration::from_secs(120);
/// A clock that is further off than this is set. Certificates are backdated an hour.
const CLOCK: u64 = 3600;

/// How the installed machine reaches its depot.
#[derive(Serialize, Deserialize)]
struct Kept {
    host: String,
    pin: String,
    secret: String,
}

/// The depot that the kernel command line names.
pub struct Depot {
    host: String,
    /// By the command line, where there is one.
    pin: Option<String>,
    reporter: RefCell<Reporter>,
    client: RefCell<Option<Client>>,
}

impl Depot {
    /// None is named: the node file comes another way.
    pub fn of(system: &dyn System) -> Option<Self> {
        Some(Self {
            host: node_source::depot(system)?,
            pin: node_source::command_line(system, "rackwright.pin="),
            reporter: RefCell::default(),
            client: RefCell::default(),
        })
    }

    /// Says hello until the depot knows this machine and has a permit for it; leaves node file and secrets where the install
    /// looks for them.
    pub fn meet(
        &self,
        system: &dyn System,
        network: &dyn Network,
        role: &str,
        version: &str,
        say: &mut dyn FnMut(&str),
    ) -> anyhow::Result<()> {
        let pin = pin(system, self.pin.as_deref())?;
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| anyhow::anyhow!("no random bytes from the kernel: {error}"))?;
        let secret = Secret::new(random);
        let client = Client::new(&self.host, &pin, secret.clone())?;
        let facts = rack::facts(system);
        let hello = Hello {
            serial: facts.serial,
            bmc_mac: facts.bmc_mac,
            macs: facts.macs,
            role: role.to_owned(),
            version: version.to_owned(),
        };
        say(&format!(
            "asking the depot at {} for this machine's node file\nfingerprint of this machine: {}",
            self.host,
            client.fingerprint()
        ));
        let mut last = String::new();
        let mut since = 0;
        let delivered = loop {
            let line = match ask(network, &client, &hello, say) {
                Ok(Answer::Granted(delivered)) => break delivered,
                Ok(Answer::Wait) => format!(
                    "waiting for the depot: `rackwright arm NODE` and `rackwright approve NODE {}` there",
                    client.fingerprint()
                ),
                Ok(Answer::Unknown) => {
                    "the depot is of a later version and says something unknown".to_owned()
                }
                Err(error) if error.is_temporary() => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            if line != last || since >= SAY {
                say(&line);
                (last, since) = (line, 0);
            }
            since += 1;
            system.sleep(PAUSE);
        };
        leave(system, &delivered)?;
        let kept = Kept {
            host: self.host.clone(),
            pin,
            secret: secret.text().to_string(),
        };
        let kept = serde_json::to_vec(&kept).context("cannot write down the depot")?;
        system.write(&delivered::path(KEPT), &kept, 0o600)?;
        say(&format!(
            "the depot takes this machine for `{}`",
            delivered.node
        ));
        self.reporter.borrow_mut().start(client.clone());
        *self.client.borrow_mut() = Some(client);
        Ok(())
    }

    /// Spends the permit. Nothing may be written otherwise.
    pub fn spend(
        &self,
        system: &dyn System,
        permit: &str,
        plan: &str,
        board: Option<String>,
    ) -> Result<(), String> {
        let client = self.client.borrow();
        let Some(client) = client.as_ref() else {
            return Err("the depot was not met".to_owned());
        };
        let spend = Spend {
            permit: permit.to_owned(),
            plan: plan.to_owned(),
            board,
        };
        let began = system.now();
        loop {
            match client.spend(&spend) {
                Ok(()) => return Ok(()),
                Err(error)
                    if error.is_temporary()
                        && system.now().saturating_sub(began) < SPEND_PATIENCE =>
                {
                    system.sleep(PAUSE);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Tells a record, some time.
    pub fn tell(&self, record: &Record) {
        self.reporter.borrow_mut().tell(record);
    }

    /// Waits a little until everything was told; after a failure leaves a bundle.
    pub fn end(&self, system: &dyn System, outcome: Outcome, say: &mut dyn FnMut(&str)) {
        let told = self.reporter.borrow_mut().end();
        let client = self.client.borrow();
        let Some(client) = client.as_ref() else {
            return;
        };
        let mut problem = (!told).then(|| "the depot did not take all events".to_owned());
        if matches!(outcome, Outcome::Failed | Outcome::Cancelled) {
            let sent = client.bundle(&bundle::make(system, outcome));
            problem = problem.or_else(|| sent.err().map(|error| error.to_string()));
        }
        if let Some(problem) = problem {
            say(&format!("warning: {problem}"));
        }
    }
}

/// The pin that counts: what the image brought cannot be changed on the way, so it must agree.
fn pin(system: &dyn System, word: Option<&str>) -> anyhow::Result<String> {
    let carried = match system.read(Utf8Path::new(PIN)) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).trim().to_owned()),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    match (carried, word) {
        (Some(carried), Some(word)) if carried != word => bail!(
            "the depot belongs to another cluster: its pin is `{word}`, this image trusts `{carried}`\n\
             hint: boot an image of that cluster, or `rackwright build` without `--pin`"
        ),
        (Some(pin), _) => Ok(pin),
        (None, Some(pin)) => Ok(pin.to_owned()),
        (None, None) => bail!(
            "no pin says which depot is the right one\nhint: `rackwright.pin=sha256:...` on the kernel command line, as `rackwright serve` shows it"
        ),
    }
}

/// One hello, after a look at the clock: certificates are judged by it.
fn ask(
    network: &dyn Network,
    client: &Client,
    hello: &Hello,
    say: &mut dyn FnMut(&str),
) -> Result<Answer, CallError> {
    let theirs = client.time()?;
    let ours = network.clock().as_secs();
    if theirs.abs_diff(ours) > CLOCK {
        match network.set_clock(Duration::from_secs(theirs)) {
            Ok(()) => say(&format!(
                "warning: the clock was {} h off and is set to the depot's",
                theirs.abs_diff(ours) / 3600
            )),
            Err(error) => say(&format!("warning: {error}")),
        }
    }
    client.hello(hello)
}

/// Where the install looks for them.
fn leave(system: &dyn System, delivered: &Delivered) -> anyhow::Result<()> {
    system.make_directory(Utf8Path::new(delivered::FOLDER))?;
    for (name, secret) in &delivered.secrets {
        // Names come over the wire: no other folder is reached.
        let name = name.replace('/', "_");
        system.write(&delivered::path(&name), secret.as_bytes(), 0o600)?;
    }
    let path = Utf8Path::new(node_source::DELIVERED);
    system.write(path, delivered.node_file.as_bytes(), 0o600)?;
    Ok(())
}

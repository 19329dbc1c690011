//! An installed machine in a test of several: commands, waiting that ends with a short reason, power.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::images::Image;
use crate::machine::{Boot, Running, Wish};
use crate::scenario::Site;

/// Under emulation everything takes ten times as long, and a daemon may take minutes to come up.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The machine.
pub(super) struct Server {
    // Order of the fields is the order in which they are dropped.
    running: Option<Running>,
    site: Site,
    look: &'static str,
}

impl Server {
    /// An installed machine that is off. `look`: a command that says in a few lines how far it is, for failures.
    pub(super) fn new(site: Site, look: &'static str) -> Self {
        Self {
            running: None,
            site,
            look,
        }
    }

    /// Switches it on and waits until it answers.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let (running, _) = self.site.start(&Boot::default(), &mut |_| {})?;
        self.running = Some(running);
        Ok(())
    }

    /// Pulls the plug.
    pub(super) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// Host name.
    pub(super) fn name(&self) -> &str {
        &self.site.node.node
    }

    /// Its address in a network, without prefix length.
    pub(super) fn address(&self, network: &str) -> anyhow::Result<String> {
        let networks = &self.site.node.networks;
        let own = networks.iter().find(|known| known.name == network);
        let own = own.and_then(|network| network.addresses.first());
        let own =
            own.with_context(|| format!("`{}` has no address in `{network}`", self.name()))?;
        Ok(own.split('/').next().unwrap_or_default().to_owned())
    }

    /// Whether a command ends well.
    pub(super) fn holds(&self, command: &str) -> anyhow::Result<bool> {
        Ok(self.site.shell.run(command, PATIENCE)?.status == 0)
    }

    /// Runs a command, which must end well. Gives what it prints.
    pub(super) fn run(&self, command: &str) -> anyhow::Result<String> {
        self.site.shell.must(self.name(), command, PATIENCE)
    }

    /// Runs a command, which must be refused. Gives what it says.
    pub(super) fn refused(&self, command: &str) -> anyhow::Result<String> {
        let answer = self.site.shell.run(command, PATIENCE)?;
        ensure!(
            answer.status != 0,
            "`{}`: `{command}` was not refused\n{}",
            self.name(),
            answer.stdout
        );
        Ok(answer.stderr)
    }

    /// Runs a command until it ends well. A failure says what the machine itself says.
    pub(super) fn wait(&self, what: &str, command: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        let wish = Wish {
            what,
            command,
            look: self.look,
        };
        self.site.shell.until(self.name(), wish, PATIENCE)?;
        time(self.name(), what, start);
        Ok(())
    }
}

/// For the log of the test run; nothing is left to tell it to if even standard error is gone.
pub(super) fn time(node: &str, what: &str, since: Instant) {
    use std::io::Write as _;
    let _gone = writeln!(
        std::io::stderr(),
        "    {node}: {what} after {:.0} s",
        since.elapsed().as_secs_f64()
    );
}

/// Images of other roles lie beside the first one: `DIR/ROLE/VERSION`.
///
/// # Errors
/// If it was not built. Said before anything is installed.
pub(super) fn beside(image: &Image, own: &str, role: &str) -> anyhow::Result<Image> {
    let other = |path: &camino::Utf8PathBuf| -> camino::Utf8PathBuf {
        path.as_str()
            .replace(&format!("/{own}/"), &format!("/{role}/"))
            .replace(&format!("-{own}."), &format!("-{role}."))
            .into()
    };
    let iso = other(&image.iso);
    ensure!(
        iso.is_file(),
        "there is no `{iso}`: this test needs the images of several roles beside each other, `rackwright build {role}`"
    );
    Ok(Image {
        folder: other(&image.folder),
        iso,
        kernel: other(&image.kernel),
        initrd: other(&image.initrd),
        root: other(&image.root),
    })
}

//! Makes the figures of `docs/performance.md`: our builder beside mkosi and plain mmdebstrap, in one run, on this machine; and those
//! of `docs/testing.md` that are counted over many runs.
//!
//! Standard output is the report (Markdown, or JSON with `--json`); everything the builders say goes to standard error.

mod boots;
mod clock;
mod counted;
mod load;
mod ours;
mod rivals;
mod table;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use camino::Utf8PathBuf;
use clap::Parser;

/// Measure builds: ours, mkosi and mmdebstrap side by side; count installs
/// with power cuts, and changed files.
#[derive(Debug, Parser)]
#[command(name = "measure", max_term_width = 80)]
struct Options {
    /// Role to build.
    #[arg(default_value = "lb")]
    role: String,
    /// Directory for everything that is made (some GB); kept afterwards.
    #[arg(long, required_unless_present_any = ["mutations", "power_cuts"])]
    directory: Option<Utf8PathBuf>,
    /// Package mirror for all builders; absent: mmdebstrap's own choice.
    #[arg(long, env = "RACKWRIGHT_MIRROR")]
    mirror: Option<String>,
    /// Only our own builder.
    #[arg(long)]
    no_rivals: bool,
    /// Also build all roles.
    #[arg(long)]
    all: bool,
    /// Only boots of a simulated server, beside plain Debian.
    #[arg(long, conflicts_with_all = ["all", "no_rivals"])]
    boots: bool,
    /// Change so many node and site files in one place each, and count what the
    /// readers make of them.
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["all", "boots", "load"])]
    mutations: Option<u64>,
    /// Show one of these changes: the file and what is made of it.
    #[arg(long, value_name = "NUMBER", requires = "mutations")]
    show: Option<u64>,
    /// Install this role again and again in QEMU with a power cut at a random
    /// moment each time.
    #[arg(long, value_name = "ROLE", conflicts_with_all = ["all", "boots", "load", "mutations"])]
    power_cuts: Option<String>,
    /// Number of these installs.
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    runs: u64,
    /// Take images built before instead of building: DIR/ROLE/VERSION/
    #[arg(long, value_name = "DIR")]
    images: Option<Utf8PathBuf>,
    /// The same seed makes the same run [default: from the clock]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only the depot under load, beside nginx.
    #[arg(long, conflicts_with_all = ["all", "no_rivals", "boots"])]
    load: bool,
    /// JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    qemu_tests::guise::asked().unwrap_or_else(|| match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if even standard error is gone.
            let _gone = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run() -> anyhow::Result<()> {
    if let Ok(folder) = std::env::var(load::CHILD) {
        return load::serve(camino::Utf8Path::new(&folder));
    }
    let options = Options::parse();
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    if let Some(count) = options.mutations {
        return counted::mutations(count, seed, options.show);
    }
    if let Some(role) = &options.power_cuts {
        return counted::power_cuts(role, options.images.as_deref(), options.runs, seed);
    }
    let directory = options
        .directory
        .as_deref()
        .context("`--directory` is missing")?;
    fs_err::create_dir_all(directory)?;
    if options.load {
        return load::run(directory, &mut std::io::stdout().lock());
    }
    if options.boots {
        let title = "Simulated `control` server".to_owned();
        let figures = boots::all(directory, options.mirror.as_deref())?;
        return show(&[table::Group { title, figures }], options.json);
    }
    let ours = ours::Builder::new(directory, options.mirror.as_deref())?;

    let mut cold = vec![ours.cold(&options.role)?];
    let mut again = vec![ours.template_changed(&options.role)?];
    let mut roles = Vec::new();
    if options.all {
        roles = ours.all()?;
    }
    if !options.no_rivals {
        let packages = ours.packages(&options.role)?;
        let workshop = rivals::Workshop::open(directory, &packages, options.mirror.as_deref())?;
        cold.push(workshop.mmdebstrap()?);
        cold.push(workshop.mkosi()?);
        again.push(workshop.mmdebstrap_again()?);
        again.push(workshop.mkosi_again()?);
    }

    let groups: Vec<table::Group> = [
        (format!("`{}`, nothing cached", options.role), cold),
        (format!("`{}`, one file changed", options.role), again),
        ("All roles, warm snapshot, tools and base".to_owned(), roles),
    ]
    .into_iter()
    .filter(|(_, figures)| !figures.is_empty())
    .map(|(title, figures)| table::Group { title, figures })
    .collect();

    show(&groups, options.json)
}

fn show(groups: &[table::Group], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, groups)?;
        writeln!(out)?;
    } else {
        for group in groups {
            writeln!(out, "{}", table::markdown(group))?;
        }
    }
    Ok(())
}

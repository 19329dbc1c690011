//! Makes the figures of `docs/performance.md`: our builder beside mkosi and plain mmdebstrap, in one run, on this machine.
//!
//! Standard output is the report (Markdown, or JSON with `--json`); everything the builders say goes to standard error.

mod boots;
mod clock;
mod load;
mod ours;
mod rivals;
mod table;

use std::io::Write as _;

use camino::Utf8PathBuf;
use clap::Parser;

/// Measure builds: ours, mkosi and mmdebstrap side by side.
#[derive(Debug, Parser)]
struct Options {
    /// Role to build.
    #[arg(default_value = "lb")]
    role: String,
    /// Directory for everything that is made (some GB); kept afterwards.
    #[arg(long)]
    directory: Utf8PathBuf,
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
    /// Only the depot under load, beside nginx.
    #[arg(long, conflicts_with_all = ["all", "no_rivals", "boots"])]
    load: bool,
    /// JSON instead of Markdown.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    if let Ok(folder) = std::env::var(load::CHILD) {
        return load::serve(camino::Utf8Path::new(&folder));
    }
    let options = Options::parse();
    fs_err::create_dir_all(&options.directory)?;
    if options.load {
        return load::run(&options.directory, &mut std::io::stdout().lock());
    }
    if options.boots {
        let title = "Simulated `control` server".to_owned();
        let figures = boots::all(&options.directory, options.mirror.as_deref())?;
        return show(&[table::Group { title, figures }], options.json);
    }
    let ours = ours::Builder::new(&options.directory, options.mirror.as_deref())?;

    let mut cold = vec![ours.cold(&options.role)?];
    let mut again = vec![ours.template_changed(&options.role)?];
    let mut roles = Vec::new();
    if options.all {
        roles = ours.all()?;
    }
    if !options.no_rivals {
        let packages = ours.packages(&options.role)?;
        let workshop =
            rivals::Workshop::open(&options.directory, &packages, options.mirror.as_deref())?;
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

//! `generate`: completions and manual pages from the command line's own definition.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::{self, Arguments};

const NAME: &str = "rackwright-installer";

pub fn run(options: &arguments::Generate) -> anyhow::Result<u8> {
    std::fs::create_dir_all(&options.folder)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), NAME, &options.folder)?;
    }
    clap_mangen::generate_to(Arguments::command(), &options.folder)?;
    Ok(0)
}

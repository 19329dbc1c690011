//! The command line fits a terminal of 80 columns and does not contradict itself.

use clap::CommandFactory;

use super::*;

#[test]
fn help_fits_80_columns() {
    let mut command = Arguments::command().term_width(80);
    command.build();
    let mut pages = vec![command.render_long_help().to_string()];
    pages.extend(command.get_subcommands_mut().map(|task| {
        let mut task = task.clone().term_width(80);
        task.render_long_help().to_string()
    }));
    for line in pages.iter().flat_map(|page| page.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    insta::assert_snapshot!(pages.join("\n--------\n"));
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

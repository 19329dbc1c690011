//! `rackwright`: builds images on a workstation.

use std::process::ExitCode;

fn main() -> ExitCode {
    image::cli::main(std::env::args_os())
}

//! `cargo demo`.

fn main() -> std::process::ExitCode {
    qemu_tests::guise::asked().unwrap_or_else(qemu_tests::demo::main)
}

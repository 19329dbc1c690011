//! `cargo prove`.

fn main() -> std::process::ExitCode {
    qemu_tests::guise::asked().unwrap_or_else(qemu_tests::prove::main)
}

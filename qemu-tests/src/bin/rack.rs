//! `cargo rack`.

fn main() -> std::process::ExitCode {
    qemu_tests::rack::books::asked().unwrap_or_else(qemu_tests::rack::run::main)
}

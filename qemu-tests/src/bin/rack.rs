//! `cargo rack`.

fn main() -> std::process::ExitCode {
    qemu_tests::rack::run::main()
}

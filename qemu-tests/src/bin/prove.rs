//! `cargo prove`.

fn main() -> std::process::ExitCode {
    qemu_tests::prove::main()
}

//! `cargo demo`.

fn main() -> std::process::ExitCode {
    qemu_tests::demo::main()
}

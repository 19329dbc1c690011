//! `books`.

fn main() -> std::process::ExitCode {
    qemu_tests::rack::books::main()
}

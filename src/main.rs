//! The exit code of the library's main, nothing else.

fn main() -> std::process::ExitCode {
    kico::commands::main()
}

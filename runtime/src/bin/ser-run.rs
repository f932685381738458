//! `ser-run`: predictions, features and facts about a bundle on the command line.

fn main() -> std::process::ExitCode {
    ser_runtime::cli::main()
}

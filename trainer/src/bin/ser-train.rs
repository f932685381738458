//! `ser-train`: corpora, feature tables, training, evaluation and export. See `ser-train --help`.

fn main() -> std::process::ExitCode {
    ser_trainer::cli::main()
}

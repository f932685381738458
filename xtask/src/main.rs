//! `cargo xtask …`: the project's automation.
//!
//! * `demo`   the main job, end to end, on synthetic voices
//! * `test`   installs what the tests need and runs everything that CI runs
//! * `parity` the table of our features against openSMILE's
//! * `machines` the features on other processors, under emulation
//! * `firmware` every firmware example, under emulation
//! * `slurm`  an experiment through Slurm: the same results as without?

mod browser;
mod demo;
mod embedded;
mod firmware;
mod firmware_page;
mod machines;
mod setup;
mod shell;
mod slurm;
mod slurm_daemons;
mod sound_server;
mod suite;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  demo            build, make a small corpus of synthetic voices, and run
                  corpus -> extract -> fit -> verify -> predict on it
  test            install what the tests need, then format check, lints, tests, docs
  setup           only install what the tests need
  parity [ARGS]   our 1582 features against openSMILE's, by group and file
  machines        the features on aarch64 and Cortex-M under QEMU: the same bits?
  firmware [PART] every firmware example under QEMU, and the page in browsers: the same events?
                  what do they cost? PART: boards, raspberry-pi, c-api, call-centre or page;
                  --bless writes what the boards print to their golden.txt
  slurm           an experiment as an array job on a Slurm of its own: the same results?
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    if !rest.is_empty() && !["parity", "firmware"].contains(&command.as_str()) {
        eprintln!(
            "xtask {command}: unexpected argument `{}`\n\n{USAGE}",
            rest[0]
        );
        return ExitCode::from(2);
    }
    let outcome = match command.as_str() {
        "demo" => demo::run_demo(),
        "test" => suite::run(),
        "setup" => setup::test_tools().map(drop),
        "parity" => suite::parity(&rest),
        "machines" => embedded::Toolchain::install().and_then(|t| machines::run(&t)),
        "firmware" => firmware::Request::parse(&rest).and_then(|request| {
            embedded::Toolchain::install().and_then(|t| firmware::run(&t, &request))
        }),
        "slurm" => slurm::run_slurm(),
        "" | "help" | "-h" | "--help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("xtask: no command `{other}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask {command}: {message}");
            ExitCode::FAILURE
        }
    }
}

//! `cargo xtask firmware`: every firmware example built, run and compared with this computer.

use std::fs;

use crate::embedded::{Toolchain, machine, number_before};
use crate::setup;
use crate::shell::{Result, root};

/// A Cortex-M example: crate and machine, and the size of the parts it is linked for.
struct Example {
    name: &'static str,
    machine: &'static str,
    flash: usize,
    ram: usize,
    /// Clock of such a part, in Hz, for the estimate of the load.
    clock: f64,
}

const EXAMPLES: [Example; 3] = [
    Example {
        name: "cortex-m7-qemu",
        machine: "cortex-m7",
        flash: 2 << 20,
        ram: 512 << 10,
        clock: 480e6,
    },
    Example {
        name: "cortex-m4f-qemu",
        machine: "cortex-m4f",
        flash: 1 << 20,
        ram: 256 << 10,
        clock: 180e6,
    },
    Example {
        name: "cortex-m55-qemu",
        machine: "cortex-m55",
        flash: 512 << 10,
        ram: 512 << 10,
        clock: 400e6,
    },
];

/// What the runs print that must not depend on the machine.
fn results(printed: &str) -> Vec<&str> {
    printed.lines().filter(|l| !l.starts_with('#')).collect()
}

/// Builds and runs them all.
pub fn run(toolchain: &Toolchain) -> Result<()> {
    setup::debian_packages(&[setup::ESPEAK])?;
    let mut table = vec![format!(
        "{:<16} {:>9} {:>7} {:>9} {:>7} {:>8} {:>12} {:>12} {:>12}  {}",
        "example", "flash", "of", "RAM", "of", "stack", "instr/s*", "/inference", "load**", "label"
    )];
    for example in &EXAMPLES {
        let expected = {
            let host = machine("host")?;
            toolchain.run(host, &toolchain.build(host, example.name, &[])?)?
        };
        let machine = machine(example.machine)?;
        let printed = toolchain.run(machine, &toolchain.build(machine, example.name, &[])?)?;
        if results(&printed) != results(&expected) {
            return Err(format!(
                "{}: label and probabilities are not the computer's:\n{printed}\nthe computer has:\n{expected}",
                example.name
            ));
        }
        let golden = root().join(format!("firmware-examples/{}/golden.txt", example.name));
        let committed =
            fs::read_to_string(&golden).map_err(|e| format!("{}: {e}", golden.display()))?;
        if results(&printed) != results(&committed) {
            println!(
                "{}: not what {} says; another version of espeak-ng speaks differently:\n{printed}",
                example.name,
                golden.display()
            );
        }
        let number = |word: &str, unit: &str| -> Result<f64> {
            let text = number_before(&printed, word, unit);
            text.parse()
                .map_err(|_| format!("{}: no number before {unit:?} in:\n{printed}", example.name))
        };
        let flash = number("# flash", " bytes, static")?;
        let ram = number("# flash", " bytes, stack")?;
        let stack = number("# flash", " bytes at most")?;
        let per_second = number("# instructions", " per second")?;
        let inference = number("# instructions", " per inference")?;
        if flash > example.flash as f64 || ram + stack > example.ram as f64 {
            return Err(format!(
                "{}: does not fit its part:\n{printed}",
                example.name
            ));
        }
        table.push(format!(
            "{:<16} {flash:>9} {:>6}K {ram:>9} {:>6}K {stack:>8} {per_second:>12} {inference:>12} {:>11.1}%  {}",
            example.name,
            example.flash >> 10,
            example.ram >> 10,
            100.0 * per_second / example.clock,
            results(&printed).first().unwrap_or(&"").trim_start_matches("label "),
        ));
    }
    println!("{}", table.join("\n"));
    println!(
        "every example gives the label and the probabilities of this computer, bit for bit\n\
         * instructions per second of audio, counted by the emulator\n\
         ** estimate: those instructions at one a cycle and {} MHz; waits for flash and memory are not in it",
        EXAMPLES.map(|e| format!("{:.0}", e.clock / 1e6)).join(", ")
    );
    Ok(())
}

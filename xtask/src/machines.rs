//! `cargo xtask machines`: the features on other processors.

use crate::embedded::{MACHINES, Toolchain, number_before};
use crate::shell::Result;

/// Builds and runs `features-qemu` on every machine and compares the bits of the features with this computer's.
pub fn run(toolchain: &Toolchain) -> Result<()> {
    let mut expected: Option<Vec<Recording>> = None;
    let mut lines = vec![format!(
        "{:<12} {:>9} {:>10} {:>12} {:>14} {:>9}",
        "machine", "features", "different", "largest |Δ|", "instructions*", "stack, B"
    )];
    let mut all_equal = true;
    for machine in &MACHINES {
        let program = toolchain.build(machine, "features-qemu")?;
        let printed = toolchain.run(machine, &program, &[])?;
        let ours = recordings(&printed).map_err(|e| format!("{}: {e}", machine.name))?;
        let reference = expected.get_or_insert_with(|| ours.clone());
        let difference = compare(reference, &ours).map_err(|e| format!("{}: {e}", machine.name))?;
        all_equal &= difference.count == 0;
        lines.push(format!(
            "{:<12} {:>9} {:>10} {:>12e} {:>14} {:>9}  {}",
            machine.name,
            difference.compared,
            difference.count,
            difference.largest,
            number_before(&printed, "sh_300ms 16000", " instructions"),
            number_before(&printed, "# ", " bytes of stack"),
            machine.about
        ));
    }
    println!("{}", lines.join("\n"));
    println!("* per 10-ms frame of half-voiced speech at 16 kHz, counted by the emulator");
    if all_equal {
        println!("every machine gives the same bits");
        Ok(())
    } else {
        Err("the features depend on the machine".to_owned())
    }
}

/// Name and rate of a recording, and the bits of its features.
#[derive(Clone)]
struct Recording {
    name: String,
    bits: Vec<u32>,
}

fn recordings(printed: &str) -> Result<Vec<Recording>> {
    let mut out = Vec::new();
    for line in printed.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(bits)) = (words.get(..2), words.get(2..)) else {
            return Err(format!("unexpected line {line:?}"));
        };
        let bits: std::result::Result<Vec<u32>, _> =
            bits.iter().map(|w| u32::from_str_radix(w, 16)).collect();
        out.push(Recording {
            name: name.join(" "),
            bits: bits.map_err(|e| format!("{name:?}: {e}"))?,
        });
    }
    if out.is_empty() {
        return Err("it printed no features".to_owned());
    }
    Ok(out)
}

/// What differs between two machines.
struct Difference {
    compared: usize,
    count: usize,
    largest: f32,
}

fn compare(expected: &[Recording], ours: &[Recording]) -> Result<Difference> {
    let mut out = Difference {
        compared: 0,
        count: 0,
        largest: 0.0,
    };
    if expected.len() != ours.len() {
        return Err(format!("{} recordings, not {}", ours.len(), expected.len()));
    }
    for (a, b) in expected.iter().zip(ours) {
        if a.name != b.name || a.bits.len() != b.bits.len() || a.bits.len() != 1582 {
            return Err(format!("{}: {} features", b.name, b.bits.len()));
        }
        for (&x, &y) in a.bits.iter().zip(&b.bits) {
            out.compared += 1;
            if x != y {
                out.count += 1;
                let difference = (f32::from_bits(x) - f32::from_bits(y)).abs();
                out.largest = out.largest.max(difference);
            }
        }
    }
    Ok(out)
}

//! Puts the committed recordings and the machine's memory map where the compiler finds them.

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;

/// Recordings in `tests/golden/features`.
const RECORDINGS: [&str; 6] = [
    "sh_070ms",
    "sh_080ms",
    "sh_090ms",
    "sh_130ms",
    "sh_300ms",
    "sh_400ms_pulse",
];

fn main() -> Result<(), Box<dyn Error>> {
    let here = env::var("CARGO_MANIFEST_DIR")?;
    let out = env::var("OUT_DIR")?;
    let mut source = String::from("pub static RECORDINGS: &[(&str, u32, &[i16])] = &[\n");
    for name in RECORDINGS {
        let file = Path::new(&here).join(format!("../../tests/golden/features/{name}.samples.txt"));
        println!("cargo:rerun-if-changed={}", file.display());
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let (rate, samples) = text.split_once('\n').ok_or("no sampling rate")?;
        let samples = samples.split_whitespace().collect::<Vec<_>>().join(",");
        source += &format!("({name:?}, {rate}, &[{samples}]),\n");
    }
    source += "];\n";
    fs::write(Path::new(&out).join("recordings.rs"), source)?;

    if env::var("CARGO_CFG_TARGET_OS")? == "none" {
        println!("cargo:rerun-if-env-changed=MACHINE");
        let machine = env::var("MACHINE").unwrap_or_else(|_| "mps2".to_owned());
        let map = Path::new(&here).join(format!("memory-{machine}.x"));
        println!("cargo:rerun-if-changed={}", map.display());
        fs::copy(&map, Path::new(&out).join("memory.x"))
            .map_err(|e| format!("{}: {e}", map.display()))?;
        println!("cargo:rustc-link-search={out}");
        println!("cargo:rustc-link-arg=-Tlink.x");
        println!("cargo:rustc-env=MACHINE={machine}");
    }
    Ok(())
}

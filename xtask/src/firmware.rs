//! `cargo xtask firmware`: every firmware example built, run and compared with this computer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::embedded::{Toolchain, artifacts, cargo_for_examples, machine, number_before};
use crate::shell::{Result, capture, cargo, root, run as run_command};
use crate::{browser, firmware_page, setup, sound_server};

/// Sampling rate of what the firmware hears, in Hz.
const RATE: u32 = 16_000;

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
        flash: 512 << 10,
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

/// An utterance, or what was discarded, as the examples print it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// First sample and first one after it, in seconds; three decimals are printed.
    pub start: f64,
    pub end: f64,
    pub has_label: bool,
    /// The label, or why there is none.
    pub name: String,
    pub probabilities: Vec<f32>,
}

impl Line {
    /// Those of `printed`: `START END LABEL` or `START END - REASON`, then `  LABEL P BITS`.
    fn all(printed: &str) -> Vec<Self> {
        let mut lines: Vec<Self> = Vec::new();
        for line in results(printed) {
            let mut words = line.split_whitespace();
            if line.starts_with(' ') {
                let bits = words.nth(2).and_then(|w| u32::from_str_radix(w, 16).ok());
                if let (Some(bits), Some(last)) = (bits, lines.last_mut()) {
                    last.probabilities.push(f32::from_bits(bits));
                }
                continue;
            }
            let (start, end) = (words.next(), words.next());
            let number = |word: Option<&str>| word?.parse::<f64>().ok();
            if let (Some(start), Some(end)) = (number(start), number(end)) {
                let name: Vec<&str> = words.collect();
                let (has_label, name) = match name.split_first() {
                    Some((&"-", reason)) => (false, reason.join(" ")),
                    _ => (true, name.join(" ")),
                };
                lines.push(Self {
                    start,
                    end,
                    has_label,
                    name,
                    probabilities: Vec::new(),
                });
            }
        }
        lines
    }
}

/// What the command line asks for.
#[derive(Default)]
pub struct Request {
    /// What the boards print becomes what they must print.
    bless: bool,
    /// One of [`PARTS`] alone.
    part: Option<String>,
}

/// What can be asked for by itself.
const PARTS: [&str; 5] = ["boards", "raspberry-pi", "c-api", "call-centre", "page"];

impl Request {
    /// From the arguments behind `firmware`.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut request = Self::default();
        for argument in arguments {
            match argument.as_str() {
                "--bless" => request.bless = true,
                part if PARTS.contains(&part) => request.part = Some(part.to_owned()),
                other => {
                    return Err(format!(
                        "no part `{other}`; there are --bless and {}",
                        PARTS.join(", ")
                    ));
                }
            }
        }
        Ok(request)
    }

    fn wants(&self, part: &str) -> bool {
        self.part.as_ref().is_none_or(|wanted| wanted == part)
    }
}

/// Builds and runs them all, or one.
pub fn run(toolchain: &Toolchain, request: &Request) -> Result<()> {
    setup::debian_packages(&[
        setup::ESPEAK,
        browser::CHROMIUM,
        browser::CHROMIUM_DRIVER,
        browser::FIREFOX,
        sound_server::PULSEAUDIO,
    ])?;
    if request.wants("boards") {
        cortex_m(toolchain, request.bless)?;
    }
    let (sound, expected) = sound(toolchain)?;
    if request.wants("raspberry-pi") {
        raspberry_pi(toolchain, &sound)?;
    }
    if request.wants("c-api") {
        c_api(&sound, &expected)?;
    }
    if request.wants("call-centre") {
        call_centre()?;
    }
    if request.wants("page") {
        firmware_page::wasm(toolchain, &sound.wav, &Line::all(&expected))?;
    }
    Ok(())
}

/// What the Cortex-M program prints when it is compiled for this computer.
fn results_on_host(toolchain: &Toolchain, name: &str) -> Result<String> {
    let host = machine("host")?;
    toolchain.run(host, &toolchain.build(host, name)?, &[])
}

/// What the firmware hears.
struct Sound {
    /// 16-bit samples without a header, and with one.
    raw: PathBuf,
    wav: PathBuf,
}

/// What the firmware hears, and what it makes of it with the full model.
fn sound(toolchain: &Toolchain) -> Result<(Sound, String)> {
    let (host, name) = (machine("host")?, EXAMPLES[0].name);
    let program = toolchain.build(host, name)?;
    let raw = artifacts().join("sound.raw");
    let wav = artifacts().join("sound.wav");
    toolchain.run(host, &program, &[&raw.display().to_string()])?;
    let samples = fs::read(&raw).map_err(|e| format!("{}: {e}", raw.display()))?;
    let mut file = Vec::from(wav_header(samples.len() as u32));
    file.extend(samples);
    fs::write(&wav, file).map_err(|e| format!("{}: {e}", wav.display()))?;
    let printed = toolchain.run(host, &program, &[])?;
    Ok((Sound { raw, wav }, printed))
}

/// Header of a WAV file of `bytes` bytes of 16-bit mono samples at [`RATE`].
fn wav_header(bytes: u32) -> [u8; 44] {
    let mut header = *b"RIFF....WAVEfmt ....................data....";
    let mut put = |at: usize, value: u32| header[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(4, bytes + 36);
    put(16, 16);
    // PCM, one channel; bytes a second; two bytes a frame of 16 bits.
    put(20, 1 | 1 << 16);
    put(24, RATE);
    put(28, 2 * RATE);
    put(32, 2 | 16 << 16);
    put(40, bytes);
    header
}

fn cortex_m(toolchain: &Toolchain, bless: bool) -> Result<()> {
    let espeak = espeak_version()?;
    let mut table = vec![format!(
        "{:<16} {:>9} {:>6} {:>9} {:>6} {:>7} {:>10} {:>11} {:>6} {:>10} {:>11}",
        "example",
        "flash",
        "of",
        "RAM",
        "of",
        "stack",
        "silence/s*",
        "speech/s*",
        "load**",
        "/inference",
        "10 ms most"
    )];
    for example in &EXAMPLES {
        let expected = results_on_host(toolchain, example.name)?;
        let machine = machine(example.machine)?;
        let printed = toolchain.run(machine, &toolchain.build(machine, example.name)?, &[])?;
        if results(&printed) != results(&expected) {
            return Err(format!(
                "{}: label and probabilities are not the computer's:\n{printed}\nthe computer has:\n{expected}",
                example.name
            ));
        }
        golden(example.name, &printed, &espeak, bless)?;
        let number = |word: &str, unit: &str| -> Result<f64> {
            let text = number_before(&printed, word, unit);
            text.parse()
                .map_err(|_| format!("{}: no number before {unit:?} in:\n{printed}", example.name))
        };
        let flash = number("# flash", " bytes, static")?;
        let ram = number("# flash", " bytes, stack")?;
        let stack = number("# flash", " bytes at most")?;
        let silence = number("# instructions", " per second of silence")?;
        let speech = number("# instructions", " per second of speech")?;
        let inference = number("# instructions", " per inference")?;
        let most = number("# instructions", " in 10 ms at most")?;
        // A stack that reaches the static RAM has run over.
        if flash > example.flash as f64 || ram + stack >= example.ram as f64 {
            return Err(format!(
                "{}: does not fit its part:\n{printed}",
                example.name
            ));
        }
        table.push(format!(
            "{:<16} {flash:>9} {:>5}K {ram:>9} {:>5}K {stack:>7} {silence:>10} {speech:>11} \
             {:>5.1}% {inference:>10} {most:>11}",
            example.name,
            example.flash >> 10,
            example.ram >> 10,
            100.0 * speech / example.clock,
        ));
    }
    println!("{}", table.join("\n"));
    println!(
        "every example hears what this computer hears, bit for bit\n\
         * instructions per second of audio, counted by the emulator\n\
         ** estimate: those of speech at one a cycle and {} MHz; waits for flash and memory are not \
         in it",
        EXAMPLES.map(|e| format!("{:.0}", e.clock / 1e6)).join(", ")
    );
    Ok(())
}

fn espeak_version() -> Result<String> {
    let said = capture(Command::new(setup::ESPEAK.1).arg("--version"), false)?;
    let version = said.split_whitespace().find(|word| {
        let mut signs = word.chars();
        signs.next().is_some_and(|c| c.is_ascii_digit())
    });
    Ok(format!("espeak-ng {}", version.unwrap_or("?")))
}

/// Compares with what was printed when the repository was written, or writes that.
fn golden(name: &str, printed: &str, espeak: &str, bless: bool) -> Result<()> {
    let file = root().join(format!("firmware-examples/{name}/golden.txt"));
    if bless {
        let text = format!("# {espeak}\n{}\n", results(printed).join("\n"));
        return fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()));
    }
    let committed = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    if results(printed) == results(&committed) {
        return Ok(());
    }
    let spoken = committed.lines().next().unwrap_or_default();
    if spoken.trim_start_matches("# ") == espeak {
        return Err(format!(
            "{name}: not what {} says; if that is as it should be, `cargo xtask firmware --bless` \
             writes it anew:\n{printed}",
            file.display()
        ));
    }
    println!(
        "{name}: not what {} says, which was made with another voice ({spoken}, here {espeak}):\n\
         {printed}",
        file.display()
    );
    Ok(())
}

/// `ser-run` without tract, on aarch64 and here: the same line of JSON.
fn raspberry_pi(toolchain: &Toolchain, sound: &Sound) -> Result<()> {
    let arguments = [
        "--package",
        "ser-runtime",
        "--bin",
        "ser-run",
        "--no-default-features",
        "--features",
        "cli",
    ];
    let sound = sound.wav.display().to_string();
    let model = root().join("models/emodb-4class").display().to_string();
    for engine in ["static", "static-int8"] {
        let mut lines = Vec::new();
        for name in ["host", "aarch64"] {
            let machine = machine(name)?;
            let program = toolchain.build_with(machine, "ser-run", &arguments)?;
            let predict = ["predict", "-m", &model, "--engine", engine, &sound];
            lines.push(toolchain.run(machine, &program, &predict)?);
        }
        if lines[0] != lines[1] {
            return Err(format!(
                "raspberry-pi: {engine} gives another prediction than this computer:\n{}{}",
                lines[1], lines[0]
            ));
        }
        println!(
            "raspberry-pi, {engine}: as on this computer: {}",
            lines[1].trim_end()
        );
    }
    Ok(())
}

/// A C program, linked with the static and with the shared library, prints what the firmware prints.
fn c_api(sound: &Sound, expected: &str) -> Result<()> {
    let folder = root().join("firmware-examples/c-api");
    let manifest = "firmware-examples/c-api/Cargo.toml";
    run_command(&mut cargo_for_examples(&["--manifest-path", manifest]))?;
    let libraries = artifacts().join("release");
    for shared in [false, true] {
        let program = artifacts().join(if shared {
            "stream-shared"
        } else {
            "stream-static"
        });
        let mut cc = Command::new("cc");
        cc.args([
            "-std=c99",
            "-pedantic",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-O1",
            "-I",
        ])
        .arg(folder.join("include"))
        .arg(folder.join("stream.c"));
        if shared {
            cc.arg("-L").arg(&libraries).arg("-lser_recognizer");
            cc.arg(format!("-Wl,-rpath,{}", libraries.display()));
        } else {
            cc.arg(libraries.join("libser_recognizer.a"));
            cc.args(["-lm", "-lpthread", "-ldl"]);
        }
        run_command(cc.arg("-o").arg(&program))?;
        let model = root().join("models/emodb-4class/model-int8.ser");
        let samples = fs::File::open(&sound.raw).map_err(|e| e.to_string())?;
        let mut stream = Command::new(&program);
        stream.arg(&model).arg(RATE.to_string()).stdin(samples);
        let printed = capture(&mut stream, false)?;
        if results(&printed) != results(expected) {
            return Err(format!(
                "c-api: it printed\n{printed}\nthe firmware has\n{expected}"
            ));
        }
    }
    println!("c-api: the C program gives the same bits, static and shared");
    Ok(())
}

/// The call centre's own tests, on a call that espeak-ng speaks.
fn call_centre() -> Result<()> {
    run_command(
        cargo()
            .args([
                "test",
                "--quiet",
                "--release",
                "--locked",
                "--manifest-path",
            ])
            .arg("firmware-examples/call-centre/Cargo.toml")
            .env("CARGO_TARGET_DIR", artifacts()),
    )
}

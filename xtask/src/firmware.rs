//! `cargo xtask firmware`: every firmware example built, run and compared with this computer.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::embedded::{Toolchain, artifacts, cargo_for_examples, machine, number_before};
use crate::setup;
use crate::shell::{Result, capture, cargo, root, run as run_command};

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

/// Builds and runs them all.
pub fn run(toolchain: &Toolchain) -> Result<()> {
    setup::debian_packages(&[setup::ESPEAK, ("chromium", CHROMIUM)])?;
    cortex_m(toolchain)?;
    let clip = clip()?;
    raspberry_pi(toolchain, &clip)?;
    let expected = results_on_host(toolchain, EXAMPLES[0].name)?;
    c_api(&clip, &expected)?;
    call_centre()?;
    wasm(toolchain, &clip, &expected)
}

/// What the Cortex-M program prints when it is compiled for this computer.
fn results_on_host(toolchain: &Toolchain, name: &str) -> Result<String> {
    let host = machine("host")?;
    toolchain.run(host, &toolchain.build(host, name)?, &[])
}

fn cortex_m(toolchain: &Toolchain) -> Result<()> {
    let mut table = vec![format!(
        "{:<16} {:>9} {:>7} {:>9} {:>7} {:>8} {:>12} {:>12} {:>12}  {}",
        "example", "flash", "of", "RAM", "of", "stack", "instr/s*", "/inference", "load**", "label"
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

/// The clip that the firmware holds, as a WAV file.
fn clip() -> Result<PathBuf> {
    let manifest = "firmware-examples/build-support/Cargo.toml";
    run_command(&mut cargo_for_examples(&["--manifest-path", manifest]))?;
    let out = artifacts().join("clip.wav");
    run_command(Command::new(artifacts().join("release/clip")).arg(&out))?;
    Ok(out)
}

/// `ser-run` without tract, on aarch64 and here: the same line of JSON.
fn raspberry_pi(toolchain: &Toolchain, clip: &Path) -> Result<()> {
    let arguments = [
        "--package",
        "ser-runtime",
        "--bin",
        "ser-run",
        "--no-default-features",
        "--features",
        "cli",
    ];
    let clip = clip.display().to_string();
    let model = root().join("models/emodb-4class").display().to_string();
    for engine in ["static", "static-int8"] {
        let mut lines = Vec::new();
        for name in ["host", "aarch64"] {
            let machine = machine(name)?;
            let program = toolchain.build_with(machine, "ser-run", &arguments)?;
            let predict = ["predict", "-m", &model, "--engine", engine, &clip];
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
fn c_api(clip: &Path, expected: &str) -> Result<()> {
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
        cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
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
        let printed = capture(Command::new(&program).arg(&model).arg(clip), false)?;
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

const CHROMIUM: &str = "/usr/bin/chromium";

/// The page in headless Chromium, with the clip: the same probabilities.
fn wasm(toolchain: &Toolchain, clip: &Path, expected: &str) -> Result<()> {
    let page = artifacts().join("page");
    fs::create_dir_all(&page).map_err(|e| format!("{}: {e}", page.display()))?;
    let source = root().join("firmware-examples/wasm/page");
    for (from, name) in [
        (source.join("index.html"), "index.html"),
        (source.join("page.js"), "page.js"),
        (toolchain.build_wasm("wasm")?, "wasm.wasm"),
        (clip.to_path_buf(), "clip.wav"),
    ] {
        fs::copy(&from, page.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    // a port that was free a moment ago
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|e| format!("no free port: {e}"))?
        .port()
        .to_string();
    let mut server = Command::new("python3")
        .args(["-m", "http.server", "--bind", "127.0.0.1", &port])
        .current_dir(&page)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| format!("python3 -m http.server: {e}"))?;
    let dom = in_chromium(&port);
    // it has no other way to end
    let _ = server.kill();
    let _ = server.wait();
    let dom = dom?;
    let shown: Vec<f32> = dom
        .split("data-probability=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect();
    let wanted: Vec<f32> = results(expected)
        .iter()
        .filter_map(|line| u32::from_str_radix(line.split_whitespace().nth(2)?, 16).ok())
        .map(f32::from_bits)
        .collect();
    if shown.is_empty() || shown != wanted {
        return Err(format!(
            "wasm: the page shows {shown:?}, not {wanted:?}:\n{dom}"
        ));
    }
    println!("wasm: the page in Chromium shows the same bits: {shown:?}");
    Ok(())
}

/// The page as it is when the clip was recognised.
fn in_chromium(port: &str) -> Result<String> {
    let profile = artifacts().join("chromium");
    let address = format!("http://127.0.0.1:{port}/index.html?file=clip.wav");
    let mut last = String::new();
    // the server may need a moment
    for _ in 0..10 {
        last = capture(
            Command::new("timeout")
                .args([
                    "60",
                    CHROMIUM,
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                ])
                .args([
                    "--disable-background-networking",
                    "--disable-sync",
                    "--no-first-run",
                ])
                .arg(format!("--user-data-dir={}", profile.display()))
                .args(["--virtual-time-budget=20000", "--dump-dom", &address])
                .stderr(Stdio::null()),
            true,
        )?;
        if last.contains("data-ready=\"yes\"") {
            return Ok(last);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    Err(format!(
        "wasm: the page never got ready in Chromium:\n{last}"
    ))
}

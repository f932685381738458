//! A C program, built with the system's compiler, extracts the features of a WAV file: the same bits as in Rust.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ser_features::FeatureSet;

/// The static library beside this test binary.
fn library() -> PathBuf {
    let deps = std::env::current_exe().expect("test binary");
    let deps = deps.parent().expect("folder");
    let found = fs::read_dir(deps)
        .expect("folder")
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            name.starts_with("libser_features_capi") && name.ends_with(".a")
        });
    found
        .max_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).ok())
        .expect("static library")
}

#[test]
fn c_program_gives_the_bits_of_rust() {
    if Command::new("cc").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no C compiler `cc`: the C interface was not checked"
        );
        return;
    }
    let folder = std::env::temp_dir().join(format!("ser-features-capi-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("temporary folder");
    let (rate, samples, _) = common::golden("sh_300ms");
    let bytes = (samples.len() * 2) as u32;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend([16, 0, 0, 0, 1, 0, 1, 0]);
    wav.extend(rate.to_le_bytes());
    wav.extend((2 * rate).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    fs::write(folder.join("voice.wav"), wav).expect("WAV file");

    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = folder.join("extract");
    let build = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-I"])
        .arg(here.join("include"))
        .arg(here.join("tests/extract.c"))
        .arg(library())
        .args(["-lm", "-lpthread", "-ldl", "-o"])
        .arg(&program)
        .output()
        .expect("cc");
    assert!(
        build.status.success(),
        "{}",
        String::from_utf8_lossy(&build.stderr)
    );
    let run = Command::new(&program)
        .arg(folder.join("voice.wav"))
        .output()
        .expect("program");
    assert!(
        run.status.success(),
        "status {:?}: {}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );

    let samples: Vec<f32> = samples.iter().map(|&v| f32::from(v) / 32767.0).collect();
    let expected = common::extract(FeatureSet::Emobase2010, rate, &samples);
    let expected: Vec<String> = expected
        .as_slice()
        .iter()
        .map(|v| format!("{:08x}", v.to_bits()))
        .collect();
    let printed = String::from_utf8(run.stdout).expect("hex");
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    fs::remove_dir_all(&folder).expect("clean up");
}

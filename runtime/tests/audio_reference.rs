//! Against libsndfile: what it reads of files with wrong headers is read here, sample by sample.
//!
//! Needs Python with soundfile and numpy, from `SER_PYTHON` (`cargo xtask test` installs them and
//! sets it) or `python3`; without them the test says so and does nothing.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use common::Random;
use common::flac::Flac;
use common::riff::{Chunk, Format, riff_of};
use ser_runtime::audio::AudioReader;

const FILES: usize = 600;

/// Writes what soundfile reads of each file beside it: rate, channels, interleaved samples, as
/// 64-bit floats. Integers are brought to our scale, whose largest value is 1.
const SCRIPT: &str = r#"
import pathlib, sys
import numpy, soundfile
bits = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "ALAW": 16, "ULAW": 16}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
        subtype = soundfile.info(path).subtype
    except (soundfile.LibsndfileError, RuntimeError, ValueError):
        continue
    if subtype in bits:
        full = 2.0 ** (bits[subtype] - 1)
        samples = samples * (full / (full - 1))
    head = [float(rate), float(samples.shape[1])]
    numpy.concatenate([head, samples.ravel()]).tofile(str(path) + ".ref")
"#;

/// A WAV file of some format with some of its sizes, chunks and tags wrong.
fn wav(random: &mut Random) -> Vec<u8> {
    let kinds = [
        (1, 8),
        (1, 16),
        (1, 24),
        (1, 32),
        (3, 32),
        (3, 64),
        (6, 8),
        (7, 8),
    ];
    let (tag, bits) = kinds[random.below(kinds.len())];
    let channels = [1, 1, 2, 3][random.below(4)];
    let block = channels * bits / 8;
    let mut format = Format {
        tag,
        channels,
        rate: 16_000,
        block,
        bits,
    };
    let count = [1, 50, 400][random.below(3)] * usize::from(channels);
    let data: Vec<u8> = match (tag, bits) {
        (3, 32) => (0..count)
            .flat_map(|_| random.float().to_le_bytes())
            .collect(),
        (3, _) => (0..count)
            .flat_map(|_| f64::from(random.float()).to_le_bytes())
            .collect(),
        _ => (0..count * usize::from(bits / 8))
            .map(|_| random.below(256) as u8)
            .collect(),
    };
    let length = data.len() as u32;
    let mut data = Chunk::new(b"data", &data);
    let mut size = None;
    match random.below(8) {
        0 | 1 => {
            let sizes = [
                1,
                length - 1,
                length + 1,
                length / 2,
                2 * length,
                u32::MAX,
                0x7fff_f000,
            ];
            data = data.declaring(sizes[random.below(sizes.len())]);
        }
        2 => size = Some([0, 4, 36, u32::MAX, 99][random.below(5)]),
        // Not 4 for 3 bytes, which is refused: programs read it in different ways.
        3 => format.block = [0, 1, block + 5, 0xffff][random.below(4)],
        4 if tag == 1 => format.bits = bits - 1,
        _ => {}
    }
    let mut extra = |most: usize| -> Vec<Chunk> {
        let ids = [b"LIST", b"JUNK", b"bext", b"cue ", b"id3 ", b"mine"];
        let chunk = |_| {
            Chunk::new(
                ids[random.below(ids.len())],
                &vec![0x41; 2 * random.below(30)],
            )
        };
        (0..most).map(chunk).collect()
    };
    let (before, between, after) = (extra(1), extra(2), extra(1));
    let odd = Chunk::new(b"JUNK", b"odd");
    let fields: &[u8] = if tag == 1 { &[] } else { &[0, 0] };
    let chunks = [
        before,
        vec![format.chunk(fields), odd],
        between,
        vec![data],
        after,
    ]
    .concat();
    let mut bytes = riff_of(&chunks, size);
    match random.below(8) {
        0 => bytes.truncate(bytes.len() - random.below(100)),
        1 => bytes.extend([&b"TAG"[..], &[b'x'; 125]].concat()),
        2 => bytes.extend([0; 300]),
        _ => {}
    }
    bytes
}

/// A FLAC file with some of its fields and ends wrong.
fn flac(random: &mut Random) -> Vec<u8> {
    let channels = 1 + random.below(3) as u8;
    let frames = 100 + random.below(1_000);
    let values: Vec<i16> = (0..frames * usize::from(channels))
        .map(|_| (random.float() * 30_000.0) as i16)
        .collect();
    let mut flac = Flac {
        channels,
        ..Flac::MONO
    };
    match random.below(4) {
        0 => flac.total = Some(frames as u64 - 50),
        1 => flac.md5 = [9; 16],
        _ => {}
    }
    let mut bytes = flac.file(&values);
    match random.below(5) {
        0 => bytes.extend([&b"TAG"[..], &[b'x'; 125]].concat()),
        1 => bytes.extend([0; 300]),
        2 => bytes
            .splice(0..0, *b"ID3\x03\0\0\0\0\0\x02ab")
            .for_each(drop),
        _ => {}
    }
    bytes
}

#[test]
fn what_libsndfile_reads_is_read_alike() {
    let python = std::env::var("SER_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python)
        .args(["-c", "import numpy, soundfile"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {python} has no soundfile (cargo xtask test installs it and sets SER_PYTHON)"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(2_026);
    let paths: Vec<_> = (0..FILES)
        .map(|index| {
            let (ending, bytes) = match index % 4 {
                0 => ("flac", flac(&mut random)),
                _ => ("wav", wav(&mut random)),
            };
            let path = folder.path().join(format!("{index:03}.{ending}"));
            fs::write(&path, bytes).unwrap();
            path
        })
        .collect();
    let script = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        script.status.success(),
        "{}",
        String::from_utf8_lossy(&script.stderr)
    );
    let compared = paths.iter().filter(|path| compare(path)).count();
    assert!(
        compared > FILES * 3 / 4,
        "libsndfile read {compared} of {FILES}"
    );
}

/// Compares one file; `false` where soundfile gives no samples.
fn compare(path: &Path) -> bool {
    let Ok(reference) = fs::read(format!("{}.ref", path.display())) else {
        return false;
    };
    let numbers: Vec<f64> = reference
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let [rate, channels, expected @ ..] = &numbers[..] else {
        panic!("{numbers:?}")
    };
    // A size that is too large takes in chunks of comment: as floats they may be anything.
    if expected.is_empty() || !expected.iter().all(|v| v.is_finite() && v.abs() < 1e30) {
        return false;
    }
    let mut reader = AudioReader::open(path).unwrap();
    let info = reader.info();
    assert_eq!(
        (f64::from(info.sample_rate), f64::from(info.channels)),
        (*rate, *channels)
    );
    let (mut found, mut block) = (Vec::new(), Vec::new());
    while reader.read(&mut block).unwrap() {
        found.extend_from_slice(&block);
    }
    let name = path.display();
    assert_eq!(
        found.len(),
        expected.len(),
        "{name}: {:?}",
        reader.warnings()
    );
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(*found) - expected).abs();
        assert!(
            off <= 2e-7 * expected.abs().max(1.0),
            "{name}: sample {index}"
        );
    }
    true
}

//! Extraction through the program: same table whatever happens on the way.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use ser_features::{FeatureSet, feature_names};
use ser_runtime::hearing::Hearing;
use ser_trainer::corpus::{Corpus, SyntheticOptions, Utterance, synthesise};
use ser_trainer::extract::{ExtractionOptions, extract};
use ser_trainer::table::FeatureTable;

/// A corpus file over synthetic recordings.
struct Voices {
    dir: tempfile::TempDir,
    corpus: Corpus,
}

impl Voices {
    fn new(speakers: usize, per_label: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SyntheticOptions {
            speakers,
            per_label,
            seed: 5,
            sample_rate: 16000,
        };
        let corpus = synthesise(&dir.path().join("voices"), &options, || {}).unwrap();
        corpus.write(&dir.path().join("corpus.csv")).unwrap();
        let corpus = Corpus::read(&dir.path().join("corpus.csv")).unwrap();
        Self { dir, corpus }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, output: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ser-train"));
        command
            .arg("extract")
            .arg(self.at("corpus.csv"))
            .arg("-o")
            .arg(self.at(output))
            // Synthetic voices are no speech.
            .arg("--whole");
        command
    }

    fn extract(&self, output: &str, more: &[&str]) -> Output {
        self.command(output).args(more).output().unwrap()
    }

    fn recording(&self, index: usize) -> PathBuf {
        self.corpus.resolve(&self.corpus.utterances[index])
    }
}

fn succeed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn rows_stand_in_the_order_of_the_corpus_and_say_where_they_come_from() {
    let voices = Voices::new(3, 1);
    let stdout = succeed(&voices.extract("t.parquet", &["--jobs", "3"]));
    assert!(
        stdout.contains("12 rows of 1582 features (emobase2010)"),
        "{stdout}"
    );
    succeed(&voices.extract("t.csv", &["--jobs", "1"]));
    let table = FeatureTable::read(&voices.at("t.parquet")).unwrap();
    assert_eq!(FeatureTable::read(&voices.at("t.csv")).unwrap(), table);
    assert_eq!(table.names, feature_names(FeatureSet::Emobase2010));
    assert_eq!(
        table.feature_set.extractor_version.as_deref(),
        Some(ser_features::EXTRACTOR_VERSION)
    );
    for (m, u) in table.meta.iter().zip(&voices.corpus.utterances) {
        assert_eq!(Path::new(&m.path), u.path);
        assert_eq!(
            (&m.speaker, &m.emotion, &m.gender),
            (&u.speaker, &u.emotion, &u.gender)
        );
        assert_eq!(m.sample_rate, Some(16000));
        assert!(m.duration_s.is_some_and(|s| (1.5..3.0).contains(&s)));
    }
    assert!(!voices.at("t.parquet.part").exists());

    succeed(&voices.extract("other.parquet", &["--feature-set", "is10-paraling-compat"]));
    let other = FeatureTable::read(&voices.at("other.parquet")).unwrap();
    assert_eq!(other.feature_set.id, "is10-paraling-compat");
    assert_ne!(other.values, table.values);
    let unknown = voices.extract("x.parquet", &["--feature-set", "egemaps"]);
    assert!(text(&unknown.stderr).contains("emobase2010 and is10-paraling-compat"));
}

#[test]
fn a_killed_run_goes_on_and_ends_with_the_same_bytes() {
    let voices = Voices::new(8, 8);
    succeed(&voices.extract("whole.parquet", &[]));
    let journal = voices.at("killed.parquet.part");
    let mut child = voices
        .command("killed.parquet")
        .args(["--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while std::fs::metadata(&journal).map_or(0, |m| m.len()) < 40_000 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "no journal after a minute"
        );
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be killed"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!voices.at("killed.parquet").exists());

    let stdout = succeed(&voices.extract("killed.parquet", &[]));
    let taken: usize = stdout
        .lines()
        .find_map(|l| l.strip_prefix("taken over from the run before: "))
        .and_then(|l| l.split(' ').next())
        .and_then(|n| n.parse().ok())
        .expect("the second run says what it took over");
    assert!((5..256).contains(&taken), "{taken} rows");
    assert_eq!(
        read(&voices.at("killed.parquet")),
        read(&voices.at("whole.parquet"))
    );
    assert!(!journal.exists());
}

/// Leaves a journal with all rows but those of the broken recording, and gives back its path.
fn with_broken(voices: &Voices, index: usize) -> PathBuf {
    let good = read(&voices.recording(index));
    std::fs::write(voices.recording(index), "this is a text").unwrap();
    let failed = voices.extract("t.parquet", &[]);
    assert_eq!(failed.status.code(), Some(1));
    std::fs::write(voices.recording(index), good).unwrap();
    voices.at("t.parquet.part")
}

#[test]
fn torn_changed_and_foreign_records_are_measured_again() {
    let voices = Voices::new(2, 1);
    succeed(&voices.extract("whole.parquet", &[]));
    let whole = read(&voices.at("whole.parquet"));
    let taken = |stdout: &str| stdout.contains("taken over from the run before");

    let journal = with_broken(&voices, 3);
    let bytes = read(&journal);
    let header = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    let mut other = bytes.clone();
    let version = other.windows(10).position(|w| w == b"extractor=").unwrap() + 10;
    other[version] = b'0';
    for (case, content, some_taken) in [
        ("torn at the end", bytes[..bytes.len() - 5].to_vec(), true),
        ("torn in the length", bytes[..header + 2].to_vec(), false),
        ("torn in the first line", bytes[..7].to_vec(), false),
        ("a flipped bit", flipped, true),
        (
            "a huge length",
            [&bytes[..header], &[0xff; 40][..]].concat(),
            false,
        ),
        ("another extractor", other, false),
        ("nothing", Vec::new(), false),
        ("all of it", bytes.clone(), true),
    ] {
        std::fs::write(&journal, content).unwrap();
        let stdout = succeed(&voices.extract("t.parquet", &[]));
        assert_eq!(taken(&stdout), some_taken, "{case}: {stdout}");
        assert_eq!(read(&voices.at("t.parquet")), whole, "{case}");
    }

    // A recording that has changed since is measured again.
    std::fs::write(&journal, &bytes).unwrap();
    let (first, second) = (read(&voices.recording(0)), read(&voices.recording(1)));
    std::fs::write(voices.recording(0), second).unwrap();
    std::fs::write(voices.recording(1), first).unwrap();
    succeed(&voices.extract("t.parquet", &[]));
    let before = FeatureTable::read(&voices.at("whole.parquet")).unwrap();
    let table = FeatureTable::read(&voices.at("t.parquet")).unwrap();
    assert_eq!((table.row(0), table.row(1)), (before.row(1), before.row(0)));

    // Somebody's own file of that name is not overwritten.
    std::fs::write(&journal, "my notes\n").unwrap();
    let refused = voices.extract("t.parquet", &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("move it away"));
    assert_eq!(read(&journal), b"my notes\n");
}

#[test]
fn broken_recordings_are_named_at_the_end_or_left_out() {
    let voices = Voices::new(2, 1);
    std::fs::write(voices.recording(1), "this is a text").unwrap();
    std::fs::remove_file(voices.recording(4)).unwrap();
    let whole = read(&voices.recording(6));
    std::fs::write(voices.recording(6), &whole[..whole.len() / 2]).unwrap();

    let failed = voices.extract("t.parquet", &[]);
    let stderr = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr.contains("2 of 8 recordings are broken"), "{stderr}");
    for index in [1, 4] {
        let name = voices.corpus.utterances[index].path.to_str().unwrap();
        assert!(stderr.contains(name), "{stderr}");
    }
    assert!(!voices.at("t.parquet").exists());

    let stdout = succeed(&voices.extract("t.parquet", &["--skip-broken"]));
    assert!(stdout.contains("left out: 2 broken recordings"), "{stdout}");
    assert!(
        stdout.contains("taken over from the run before: 6 rows"),
        "{stdout}"
    );
    let table = FeatureTable::read(&voices.at("t.parquet")).unwrap();
    let left: Vec<&Path> = table.meta.iter().map(|m| Path::new(&m.path)).collect();
    let expected: Vec<&Path> = [0, 2, 3, 5, 6, 7]
        .map(|i| voices.corpus.utterances[i].path.as_path())
        .to_vec();
    assert_eq!(left, expected);

    for u in &voices.corpus.utterances {
        std::fs::write(voices.corpus.resolve(u), b"").unwrap();
    }
    let nothing = voices.extract("u.parquet", &["--skip-broken"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("none of the 8 recordings"));
}

/// A write that fails half way, as on a full disk: here the limit on the size of files.
#[cfg(unix)]
#[test]
fn a_failing_write_loses_nothing() {
    let voices = Voices::new(2, 2);
    succeed(&voices.extract("whole.parquet", &[]));
    let limited = |blocks: u32, output: &str| {
        let program = env!("CARGO_BIN_EXE_ser-train");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let mut command = Command::new("bash");
        command
            .args(["-c", &script, "bash", program, "extract"])
            .arg(voices.at("corpus.csv"))
            .arg("--whole");
        command.arg("-o").arg(voices.at(output)).output().unwrap()
    };
    // 32 KiB: room for some rows of the journal, not for all.
    let stopped = limited(32, "t.parquet");
    let stderr = text(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("t.parquet.part") && stderr.contains("rows before are safe"),
        "{stderr}"
    );
    assert!(!voices.at("t.parquet").exists());
    let stdout = succeed(&voices.extract("t.parquet", &[]));
    assert!(
        stdout.contains("taken over from the run before"),
        "{stdout}"
    );
    assert_eq!(
        read(&voices.at("t.parquet")),
        read(&voices.at("whole.parquet"))
    );

    // 140 KiB: the journal of 16 rows fits, the CSV does not; the table that stood there stays.
    std::fs::write(voices.at("t.csv"), "the table of yesterday").unwrap();
    let stopped = limited(140, "t.csv");
    assert_eq!(stopped.status.code(), Some(1));
    assert!(
        text(&stopped.stderr).contains("cannot write"),
        "{}",
        text(&stopped.stderr)
    );
    assert_eq!(read(&voices.at("t.csv")), b"the table of yesterday");
    let stdout = succeed(&voices.extract("t.csv", &[]));
    assert!(
        stdout.contains("taken over from the run before: 16 rows"),
        "{stdout}"
    );
    let [csv, parquet] =
        ["t.csv", "whole.parquet"].map(|n| FeatureTable::read(&voices.at(n)).unwrap());
    assert_eq!(csv, parquet);
}

#[test]
fn a_wrong_output_is_refused_before_any_work() {
    let voices = Voices::new(1, 1);
    for (output, expected) in [("t.xlsx", ".parquet"), ("t.arff", "write .parquet or .csv")] {
        let refused = voices.extract(output, &[]);
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            text(&refused.stderr).contains(expected),
            "{}",
            text(&refused.stderr)
        );
        assert!(!voices.at(&format!("{output}.part")).exists());
    }
    let missing = voices.extract("no/such/corpus/t.parquet", &["--jobs", "0"]);
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn a_table_that_lost_a_column_is_refused_by_name() {
    let voices = Voices::new(1, 1);
    succeed(&voices.extract("t.csv", &[]));
    let text = std::fs::read_to_string(voices.at("t.csv")).unwrap();
    let mut lines: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|l| l.split(',').collect())
        .collect();
    let column = lines[0]
        .iter()
        .position(|c| *c == "pcm_loudness_sma_amean")
        .unwrap();
    for line in &mut lines {
        line.remove(column);
    }
    let cut: Vec<String> = lines.iter().map(|l| l.join(",")).collect();
    let comment = text.lines().next().unwrap();
    std::fs::write(
        voices.at("t.csv"),
        format!("{comment}\n{}\n", cut.join("\n")),
    )
    .unwrap();
    let error = FeatureTable::read(&voices.at("t.csv"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("are missing (\"pcm_loudness_sma_amean\")"),
        "{error}"
    );
}

/// The team's reference folder beside the checkout, or where `SER_SHARED` says.
fn shared(what: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("SER_SHARED")
        .map_or_else(beside, PathBuf::from)
        .join("data");
    if !folder.is_dir() {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {what}, since {} is not here (SER_SHARED names another place)",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// Row `index` of a little-endian float32 matrix of 1582 columns in NumPy's format.
fn npy_row(bytes: &[u8], index: usize) -> Vec<f32> {
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let about = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
    assert!(about.contains("'<f4'") && about.contains("1582"), "{about}");
    let row = &bytes[10 + header + index * 4 * 1582..][..4 * 1582];
    row.as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

/// On real speech: the MFCC columns against openSMILE's own numbers for the same recordings.
#[test]
fn mfcc_of_real_recordings_agree_with_opensmile() {
    let Some(data) = shared("comparison with openSMILE on real recordings") else {
        return;
    };
    let mut corpus = Corpus::read(&data.join("manifest.csv")).unwrap();
    let chosen: Vec<usize> = (0..corpus.utterances.len()).step_by(45).collect();
    let all: Vec<Utterance> = std::mem::take(&mut corpus.utterances);
    corpus.utterances = chosen.iter().map(|i| all[*i].clone()).collect();
    let dir = tempfile::tempdir().unwrap();
    let done = extract(
        &corpus,
        &dir.path().join("t.parquet"),
        &ExtractionOptions {
            hearing: Hearing::WHOLE,
            ..ExtractionOptions::default()
        },
    )
    .unwrap();
    assert_eq!(done.table.rows, chosen.len());

    let reference = read(&data.join("opensmile_emobase2010.npy"));
    let mut compared = 0;
    for (r, index) in chosen.iter().enumerate() {
        let expected = npy_row(&reference, *index);
        for (c, name) in done.table.names.iter().enumerate() {
            if name.contains("mfcc_sma[") {
                let (ours, theirs) = (done.table.row(r)[c], expected[c]);
                let tolerance = 2e-3 + 1e-4 * theirs.abs();
                let path = &done.table.meta[r].path;
                assert!(
                    (ours - theirs).abs() <= tolerance,
                    "{path}: {name}: {ours}, openSMILE {theirs}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, chosen.len() * 15 * 21);
}

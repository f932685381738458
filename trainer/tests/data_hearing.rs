//! What of a recording comes into a table: the speech in it, as a device hears it.

use std::path::{Path, PathBuf};

use ser_runtime::audio::read_audio;
use ser_runtime::hearing::Hearing;
use ser_trainer::corpus::{Corpus, Segment};
use ser_trainer::data::folds::{Grouping, leave_one_out};
use ser_trainer::data::task::Task;
use ser_trainer::extract::{Extraction, ExtractionOptions, Room, Vary, extract};
use ser_trainer::table::FeatureTable;

/// Every `step`-th of the committed recordings of real speech.
fn corpus(step: usize) -> Corpus {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/emodb/corpus.csv");
    let mut corpus = Corpus::read(&file).unwrap();
    let all = std::mem::take(&mut corpus.utterances);
    corpus.utterances = all.into_iter().step_by(step).collect();
    corpus
}

fn measured(corpus: &Corpus, options: &ExtractionOptions) -> Extraction {
    let folder = tempfile::tempdir().unwrap();
    extract(corpus, &folder.path().join("t.parquet"), options).unwrap()
}

/// Where each recording's rows lie, in seconds.
fn places(table: &FeatureTable, path: &Path) -> Vec<(f32, f32)> {
    let rows = table.meta.iter().filter(|m| Path::new(&m.path) == path);
    rows.map(|m| (m.start_s.unwrap(), m.duration_s.unwrap()))
        .collect()
}

#[test]
fn rows_are_what_a_device_hears() {
    let corpus = corpus(20);
    let done = measured(&corpus, &ExtractionOptions::default());
    assert!(done.speechless.is_empty() && done.broken.is_empty());
    let hearing = done.table.feature_set.hearing.as_ref().unwrap().hearing();
    assert_eq!(hearing, Hearing::default());
    let mut row = 0;
    for u in &corpus.utterances {
        let pcm = read_audio(&corpus.resolve(u)).unwrap();
        let set = ExtractionOptions::default().feature_set;
        let heard = ser_runtime::extract::extract(&pcm, set, &hearing).unwrap();
        for utterance in heard.utterances {
            assert_eq!(done.table.row(row), utterance.features.as_slice());
            row += 1;
        }
    }
    assert_eq!(row, done.table.rows);
}

#[test]
fn pauses_change_little_and_noise_below_speech_as_little() {
    let corpus = corpus(12);
    let bare = measured(&corpus, &ExtractionOptions::default()).table;
    for (pad_s, noise_dbfs) in [(0.5, None), (1.0, Some(-60.0)), (3.0, Some(-60.0))] {
        let options = ExtractionOptions {
            room: Room { pad_s, noise_dbfs },
            seed: 4,
            ..ExtractionOptions::default()
        };
        let padded = measured(&corpus, &options).table;
        let (mut same, mut all) = (0, 0);
        for u in &corpus.utterances {
            let (a, b) = (places(&bare, &u.path), places(&padded, &u.path));
            all += 1;
            let near = |(a, b): (&(f32, f32), &(f32, f32))| {
                (b.0 - pad_s - a.0).abs() < 0.1 && (a.1 - b.1).abs() < 0.15
            };
            same += usize::from(a.len() == b.len() && a.iter().zip(&b).all(near));
        }
        assert!(
            same * 10 >= all * 9,
            "{pad_s} s, {noise_dbfs:?}: {same} of {all}"
        );
    }
}

#[test]
fn copies_have_other_ends_and_are_never_tested_on() {
    let corpus = corpus(4);
    let options = ExtractionOptions {
        vary: Some(Vary {
            copies: 2,
            by_ms: 150,
            noise_dbfs: Some(-45.0),
        }),
        seed: 3,
        ..ExtractionOptions::default()
    };
    let table = measured(&corpus, &options).table;
    assert_eq!(table, measured(&corpus, &options).table, "a seed decides");
    let originals = measured(&corpus, &ExtractionOptions::default()).table;
    let copies = table.meta.iter().filter(|m| m.copy.is_some()).count();
    assert_eq!(table.rows - copies, originals.rows);
    assert!(copies as f64 > 1.8 * originals.rows as f64);
    let mut moved = 0;
    for (row, m) in table
        .meta
        .iter()
        .enumerate()
        .filter(|(_, m)| m.copy.is_some())
    {
        let first = (0..row)
            .rev()
            .find(|&r| table.meta[r].copy.is_none())
            .unwrap();
        let original = &table.meta[first];
        assert_eq!((&m.path, &m.emotion), (&original.path, &original.emotion));
        let apart = (m.start_s.unwrap() - original.start_s.unwrap()).abs();
        assert!(apart <= 0.151, "{apart}");
        moved += usize::from(table.row(row) != table.row(first));
    }
    assert!(moved * 20 > copies * 19);

    let task = Task::new(&table, &[]).unwrap();
    for fold in leave_one_out(&task, Grouping::Speaker).unwrap() {
        assert!(fold.held_out.iter().all(|&i| !task.is_copy(i)));
        assert!(fold.train.iter().any(|&i| task.is_copy(i)));
        let speaker = |i: usize| &table.meta[task.rows[i]].speaker;
        let out = speaker(fold.held_out[0]);
        assert!(fold.train.iter().all(|&i| speaker(i) != out));
    }
}

#[test]
fn recordings_without_speech_are_left_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut corpus = corpus(60);
    let silence: PathBuf = folder.path().join("silence.wav");
    let mut bytes = Vec::new();
    for (text, number) in [(&b"RIFF"[..], 36 + 64_000), (b"WAVEfmt ", 16)] {
        bytes.extend(text);
        bytes.extend(u32::to_le_bytes(number));
    }
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend(32_000_u32.to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(64_000_u32.to_le_bytes());
    bytes.resize(bytes.len() + 64_000, 0);
    std::fs::write(&silence, bytes).unwrap();
    let mut quiet = corpus.utterances[0].clone();
    quiet.path = silence.clone();
    corpus.utterances.insert(1, quiet);
    let done = measured(&corpus, &ExtractionOptions::default());
    assert_eq!(done.speechless.len(), 1);
    assert_eq!(Path::new(&done.speechless[0].path), silence);
    assert_eq!(done.speechless[0].reason, "no speech");
    // Taken whole it is a row, and a doubtful one.
    let whole = ExtractionOptions {
        hearing: Hearing::WHOLE,
        ..ExtractionOptions::default()
    };
    let done = measured(&corpus, &whole);
    assert_eq!(done.table.rows, corpus.utterances.len());
    assert!(done.table.meta.iter().all(|m| m.start_s.is_none()));
    assert!(
        done.doubtful
            .iter()
            .any(|(path, q)| Path::new(path) == silence && q.silent)
    );
}

#[test]
fn a_label_for_a_part_of_a_file_is_learnt_from_that_part() {
    let mut corpus = corpus(70);
    let whole = corpus.utterances[0].clone();
    let file = corpus.resolve(&whole);
    let pcm = read_audio(&file).unwrap();
    let middle = pcm.duration_s() / 2.0;
    let part = |start_s, end_s| {
        let mut part = whole.clone();
        part.segment = Segment::new(start_s, end_s).unwrap();
        part
    };
    corpus.utterances = vec![part(0.0, Some(middle)), part(middle, None)];
    let taken_whole = ExtractionOptions {
        hearing: Hearing::WHOLE,
        ..ExtractionOptions::default()
    };
    let table = measured(&corpus, &taken_whole).table;
    let places: Vec<(f32, f32)> = places(&table, &whole.path);
    let half = middle as f32;
    assert_eq!(places.len(), 2);
    for ((start, duration), wanted) in places.iter().zip([0.0, half]) {
        assert!((start - wanted).abs() < 1e-3 && (duration - half).abs() < 1e-3);
    }
    let at = (middle * f64::from(pcm.sample_rate)).round() as usize;
    let set = taken_whole.feature_set;
    let second = ser_runtime::extract::extract_range(&pcm, at..pcm.samples.len(), set, None);
    assert_eq!(table.row(1), second.unwrap().features.as_slice());

    // The one channel that there is, and one that is not; a part that is not there.
    let mut first = part(0.0, Some(middle));
    first.channel = Some(0);
    corpus.utterances = vec![first];
    assert_eq!(measured(&corpus, &taken_whole).table.row(0), table.row(0));
    let mut second = part(0.0, Some(middle));
    second.channel = Some(1);
    corpus.utterances.extend([second, part(middle * 4.0, None)]);
    let folder = tempfile::tempdir().unwrap();
    let error = extract(&corpus, &folder.path().join("t.csv"), &taken_whole);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("channel 1"), "{error}");
    assert!(error.contains("times those of this file"), "{error}");
}

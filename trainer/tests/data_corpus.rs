//! Corpora in their original layouts, in miniature: the files are empty but for their names, since an importer
//! reads names and never audio.

use std::path::Path;
use std::process::{Command, Output};

use ser_trainer::corpus::{Corpus, CorpusError, CorpusFormat, ImportOptions, Labels, import};

fn touch(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, b"").unwrap();
    }
}

fn ser_train(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .args(args)
        .output()
        .unwrap()
}

fn labels(corpus: &Corpus) -> Vec<(&str, &str)> {
    corpus
        .utterances
        .iter()
        .map(|u| (u.speaker.as_str(), u.emotion.as_str()))
        .collect()
}

#[test]
fn emodb_in_its_own_layout_and_below_other_folders() {
    let dir = tempfile::tempdir().unwrap();
    touch(
        dir.path(),
        &[
            "wav/03a01Fa.wav",
            "wav/16b10Wb.wav",
            "EMO08/08a02Na.flac",
            "wav/07a01Fa.wav",
            "wav/noise.wav",
            "wav/._03a01Fa.wav",
            "lablaut/03a01Fa.lablaut",
            "erklaerung.txt",
            "wav/03a04Ld.WAV",
        ],
    );
    let found = import(CorpusFormat::Emodb, dir.path(), &ImportOptions::default()).unwrap();
    assert_eq!(
        labels(&found.corpus),
        [
            ("emodb-08", "neutral"),
            ("emodb-03", "happy"),
            ("emodb-03", "bored"),
            ("emodb-16", "angry")
        ]
    );
    let unknown: Vec<_> = found
        .unknown
        .iter()
        .map(|(p, _)| p.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(unknown, ["07a01Fa.wav", "noise.wav"]);
    assert_eq!(found.corpus.utterances[1].gender.as_deref(), Some("M"));

    let out = dir.path().join("corpus.csv");
    found.corpus.write(&out).unwrap();
    let back = Corpus::read(&out).unwrap();
    assert_eq!(back.utterances, found.corpus.utterances);
    assert_eq!(
        back.resolve(&back.utterances[0]),
        dir.path().join("EMO08/08a02Na.flac")
    );
}

#[test]
fn ravdess_takes_speech_and_counts_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    touch(
        dir.path(),
        &[
            "Actor_12/03-01-05-01-02-01-12.wav",
            "Actor_01/03-01-02-01-01-01-01.wav",
            "Actor_01/03-02-02-01-01-01-01.wav",
            "Actor_01/03-01-09-01-01-01-01.wav",
        ],
    );
    let found = import(CorpusFormat::Ravdess, dir.path(), &ImportOptions::default()).unwrap();
    assert_eq!(
        labels(&found.corpus),
        [("ravdess-01", "calm"), ("ravdess-12", "angry")]
    );
    assert_eq!(found.left_out["song"], 1);
    assert!(
        found.unknown[0].1.contains("\"09\" is no emotion"),
        "{}",
        found.unknown[0].1
    );
}

#[test]
fn labels_are_renamed_then_selected() {
    let dir = tempfile::tempdir().unwrap();
    touch(
        dir.path(),
        &["03a01Fa.wav", "03a01Wa.wav", "03a01La.wav", "03a01Ta.wav"],
    );
    let set = |names: &[&str]| Labels::These(names.iter().map(|s| (*s).to_owned()).collect());
    let map = |old: &str| Some([(old.to_owned(), "neutral".to_owned())].into());
    let options = ImportOptions {
        map: map("bored"),
        labels: set(&["neutral", "sad"]),
        ..Default::default()
    };
    let found = import(CorpusFormat::Emodb, dir.path(), &options).unwrap();
    assert_eq!(
        labels(&found.corpus),
        [("emodb-03", "neutral"), ("emodb-03", "sad")]
    );
    assert_eq!((found.left_out["happy"], found.left_out["angry"]), (1, 1));

    for options in [
        ImportOptions {
            map: map("joy"),
            ..Default::default()
        },
        ImportOptions {
            labels: set(&["sad", "joy"]),
            ..Default::default()
        },
    ] {
        let error = import(CorpusFormat::Emodb, dir.path(), &options).unwrap_err();
        assert!(
            matches!(&error, CorpusError::UnknownLabel { label, .. } if label == "joy"),
            "{error}"
        );
        assert!(
            error.to_string().contains("angry, bored, happy, sad"),
            "{error}"
        );
    }
}

#[test]
fn a_recording_that_is_there_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["wav/03a01Fa.wav", "flac/03a01Fa.flac"]);
    let error = import(CorpusFormat::Emodb, dir.path(), &ImportOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("wav/03a01Fa.wav") && error.contains("flac/03a01Fa.flac"),
        "{error}"
    );
}

#[test]
fn folders_without_the_corpus_say_what_was_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    for format in [CorpusFormat::Emodb, CorpusFormat::Ravdess] {
        let error = import(format, dir.path(), &ImportOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no WAV or FLAC"), "{error}");
    }
    touch(dir.path(), &["x.wav"]);
    let error = import(CorpusFormat::Emodb, dir.path(), &ImportOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("x.wav") && error.contains("03a01Fa"),
        "{error}"
    );
    let missing = dir.path().join("no such folder");
    let error = import(CorpusFormat::Ravdess, &missing, &ImportOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no such folder"), "{error}");
}

#[test]
fn manifests_name_line_and_column_of_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    touch(dir.path(), &["a.wav", "b.wav"]);
    let path = dir.path().join("manifest.csv");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        import(
            CorpusFormat::Manifest,
            dir.path(),
            &ImportOptions::default(),
        )
    };
    let good =
        read("path,speaker,emotion,session,note\na.wav,s1,angry,1,x\nb.wav,s2,sad,,y\n").unwrap();
    assert_eq!(labels(&good.corpus), [("s1", "angry"), ("s2", "sad")]);
    assert_eq!(good.corpus.utterances[0].session.as_deref(), Some("1"));
    assert_eq!(good.corpus.utterances[1].session, None);
    assert_eq!(
        good.corpus.utterances[0].corpus,
        dir.path().file_name().unwrap().to_str().unwrap()
    );

    for (text, expected) in [
        ("", "empty"),
        ("path,speaker,emotion\n", "no recordings"),
        ("path,speaker\na.wav,s\n", "column \"emotion\" is missing"),
        ("path,speaker,emotion,speaker\na.wav,s,angry,s\n", "twice"),
        (
            "path,speaker,emotion\na.wav,s1,angry\n,s1,sad\n",
            "line 3, column \"path\": the field is empty",
        ),
        (
            "path,speaker,emotion\na.wav,s1,angry\nc.wav,s1,sad\n",
            "line 3, column \"path\": there is no file c.wav",
        ),
        (
            "path,speaker,emotion\na.wav,s1,angry\na.wav,s1,sad\n",
            "line 3, column \"path\": a.wav stands in line 2",
        ),
        (
            "path,speaker,emotion\na.wav,s1\n",
            "line 2: 2 fields, the header has 3",
        ),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text:?} gave {error:?}");
        assert!(error.contains("manifest.csv"), "{error}");
    }
}

#[test]
fn the_command_writes_the_file_and_prints_the_counts() {
    let dir = tempfile::tempdir().unwrap();
    touch(
        dir.path(),
        &[
            "d/03a01Fa.wav",
            "d/03a02Fa.wav",
            "d/08a01Wa.wav",
            "d/08a01La.wav",
            "d/what.wav",
        ],
    );
    let folder = dir.path().join("d");
    let out = dir.path().join("out/corpus.csv");
    let args = [
        "corpus",
        "emodb",
        folder.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
        "--labels",
        "angry,joy",
        "--map",
        "happy=joy",
    ];
    let done = ser_train(&args);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{stderr}");
    assert!(stdout.contains("speaker   angry  joy  all\nemodb-03      0    2    2\nemodb-08      1    0    1\nall           1    2    3\n"), "{stdout}");
    assert!(stdout.contains("left out: 1 × bored"), "{stdout}");
    assert!(stderr.contains("what.wav"), "{stderr}");
    assert_eq!(Corpus::read(&out).unwrap().utterances.len(), 3);

    let strict = ser_train(&[&args[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    let wrong = ser_train(&[
        "corpus",
        "emodb",
        "/nowhere/at/all",
        "-o",
        out.to_str().unwrap(),
    ]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("/nowhere/at/all"));
}

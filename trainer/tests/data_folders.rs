//! Recordings that folders or names label, corpora that are there twice, folders that cannot be read.

mod corpora;

use std::process::Command;

use corpora::{Tree, wav};
use regex_lite::Regex;
use ser_trainer::corpus::{Corpus, CorpusFormat, Import, ImportOptions, import};

fn audio(names: &[&str]) -> Tree {
    let tree = Tree::new();
    for name in names {
        tree.write(name, b"");
    }
    tree
}

fn read(format: CorpusFormat, tree: &Tree) -> Result<Import, String> {
    import(format, tree.path(), &ImportOptions::default()).map_err(|e| e.to_string())
}

fn dropping(format: CorpusFormat, tree: &Tree) -> Import {
    let options = ImportOptions {
        drop_duplicates: true,
        ..ImportOptions::default()
    };
    import(format, tree.path(), &options).unwrap()
}

fn rows(import: &Import) -> Vec<[&str; 2]> {
    let row = |u: &'_ ser_trainer::corpus::Utterance| [u.speaker.clone(), u.emotion.clone()];
    let rows: Vec<[String; 2]> = import.corpus.utterances.iter().map(row).collect();
    rows.into_iter()
        .map(|r| r.map(|s| &*Box::leak(s.into_boxed_str())))
        .collect()
}

fn findings(import: &Import) -> String {
    let lines = import.findings.iter().map(|f| f.what.clone());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn folders_of_emotions_and_speakers() {
    let flat = audio(&["angry/1.wav", "sad/1.wav", "sad/2.flac", "top.wav"]);
    let found = read(CorpusFormat::Folders, &flat).unwrap();
    assert_eq!(
        rows(&found),
        [["unknown", "angry"], ["unknown", "sad"], ["unknown", "sad"]]
    );
    assert!(findings(&found).contains("nothing says who speaks"));
    assert_eq!(found.unknown.len(), 1);
    assert!(found.notes[0].contains("EMOTION/file"), "{:?}", found.notes);

    let expected = [
        ["anna", "angry"],
        ["anna", "sad"],
        ["ben", "angry"],
        ["ben", "sad"],
    ];
    for (names, pattern) in [
        (
            [
                "anna/angry/1.wav",
                "anna/sad/1.wav",
                "ben/angry/1.wav",
                "ben/sad/1.wav",
            ],
            "SPEAKER/EMOTION/file",
        ),
        (
            [
                "angry/anna/1.wav",
                "sad/anna/1.wav",
                "angry/ben/1.wav",
                "sad/ben/1.wav",
            ],
            "EMOTION/SPEAKER/file",
        ),
        (
            [
                "all/anna/angry/1.wav",
                "all/anna/sad/1.wav",
                "all/ben/angry/1.wav",
                "all/ben/sad/1.wav",
            ],
            "(one folder)/SPEAKER/EMOTION/file",
        ),
    ] {
        let tree = audio(&names);
        let found = read(CorpusFormat::Folders, &tree).unwrap();
        let mut there = rows(&found);
        there.sort_unstable();
        assert_eq!(there, expected, "{names:?}");
        assert!(found.notes[0].contains(pattern), "{:?}", found.notes);
        assert_eq!(findings(&found), "");
    }

    let split = audio(&["train/happy/1.wav", "train/sad/1.wav", "test/happy/2.wav"]);
    let found = read(CorpusFormat::Folders, &split).unwrap();
    let splits: Vec<_> = found
        .corpus
        .utterances
        .iter()
        .map(|u| u.split.as_deref())
        .collect();
    assert_eq!(splits, [Some("test"), Some("train"), Some("train")]);
}

/// Where no name is a word for an emotion, what repeats decides, or nothing does.
#[test]
fn folders_whose_names_tell_nothing() {
    let tree = audio(&[
        "p1/x/1.wav",
        "p1/y/1.wav",
        "p2/x/1.wav",
        "p2/y/1.wav",
        "p3/x/1.wav",
    ]);
    let found = read(CorpusFormat::Folders, &tree).unwrap();
    assert_eq!(rows(&found)[0], ["p1", "x"]);
    assert!(findings(&found).contains("none of the labels is a word"));
    let tree = audio(&[
        "x/p1/1.wav",
        "y/p1/1.wav",
        "x/p2/1.wav",
        "y/p2/1.wav",
        "x/p3/1.wav",
    ]);
    assert_eq!(
        rows(&read(CorpusFormat::Folders, &tree).unwrap())[0],
        ["p1", "x"]
    );

    for (names, expected) in [
        (&["a/1/x.wav", "b/2/x.wav"][..], "--pattern"),
        (&["a/1/c/x.wav", "b/2/d/x.wav"], "more than SPEAKER/EMOTION"),
        (&["x.wav"], "lie in no folders"),
        (&["notes.txt"], "no WAV or FLAC"),
    ] {
        let error = read(CorpusFormat::Folders, &audio(names)).unwrap_err();
        assert!(error.contains(expected), "{names:?}: {error}");
    }
}

#[test]
fn patterns_take_paths_apart() {
    let tree = audio(&[
        "a/s1_happy_01.wav",
        "a/s2_sad_01.wav",
        "b/noise.wav",
        "b/_sad_3.wav",
    ]);
    let read = |pattern: &str| {
        let options = ImportOptions {
            pattern: Some(Regex::new(pattern).unwrap()),
            ..ImportOptions::default()
        };
        import(CorpusFormat::Pattern, tree.path(), &options).map_err(|e| e.to_string())
    };
    let found = read("(?<session>[^/]+)/(?<speaker>[a-z0-9]*)_(?<emotion>[a-z]+)_").unwrap();
    assert_eq!(
        rows(&found),
        [["s1", "happy"], ["s2", "sad"], ["unknown", "sad"]]
    );
    assert_eq!(found.corpus.utterances[0].session.as_deref(), Some("a"));
    assert_eq!(found.unknown[0].0.to_str(), Some("b/noise.wav"));
    assert!(findings(&found).contains("1 of 3 rows do not say who speaks"));
    for (pattern, expected) in [
        ("(?<speaker>x)", "no group for the emotion"),
        ("(?<emotion>x)(?<mood>y)", "\"mood\" is none of"),
        ("(?<emotion>[A-Z]{9})", "none of the 4 audio files fits"),
    ] {
        let error = read(pattern).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let error = import(
        CorpusFormat::Pattern,
        tree.path(),
        &ImportOptions::default(),
    );
    assert!(error.unwrap_err().to_string().contains("--pattern"));
}

/// The archives that go around hold everything a second time.
#[test]
fn nested_copies_are_dropped_by_name_if_asked() {
    let tree = audio(&[
        "Actor_01/03-01-05-01-02-01-01.wav",
        "Actor_01/03-01-04-01-02-01-01.wav",
        "audio_speech_actors_01-24/Actor_01/03-01-05-01-02-01-01.wav",
        "audio_speech_actors_01-24/Actor_01/03-01-04-01-02-01-01.wav",
    ]);
    let error = read(CorpusFormat::Ravdess, &tree).unwrap_err();
    assert!(
        error.contains("2 recordings are there twice") && error.contains("--drop-duplicates"),
        "{error}"
    );
    let found = dropping(CorpusFormat::Ravdess, &tree);
    let paths: Vec<_> = found
        .corpus
        .utterances
        .iter()
        .map(|u| u.path.to_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "Actor_01/03-01-04-01-02-01-01.wav",
            "Actor_01/03-01-05-01-02-01-01.wav"
        ]
    );
    assert_eq!(found.left_out.values().sum::<usize>(), 2);

    let tree = audio(&[
        "TESS/OAF_Fear/OAF_back_fear.wav",
        "TESS/TESS/OAF_Fear/OAF_back_fear.wav",
        "TESS/YAF_sad/YAF_back_sad.wav",
    ]);
    assert_eq!(rows(&dropping(CorpusFormat::Tess, &tree)).len(), 2);
}

#[test]
fn equal_samples_are_dropped_whatever_their_names_and_layout() {
    let tree = Tree::new();
    for (file, seed) in [
        ("happy/a.wav", 1),
        ("happy/copy of a.wav", 1),
        ("sad/b.wav", 2),
    ] {
        tree.write(file, &wav(seed, 16_000));
    }
    let out = tree.path().join("out.csv");
    let run = |more: &[&str]| {
        let source = tree.path().to_str().unwrap();
        let args = [
            &["corpus", "folders", source, "-o", out.to_str().unwrap()],
            more,
        ]
        .concat();
        let done = Command::new(env!("CARGO_BIN_EXE_ser-train"))
            .args(args)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
        (done.status.success(), text.into_owned())
    };
    let (fine, text) = run(&[]);
    assert!(!fine && text.contains("--drop-duplicates"), "{text}");
    let (fine, text) = run(&["--drop-duplicates"]);
    assert!(
        fine && text.contains("left out: 1 × the same samples"),
        "{text}"
    );
    assert_eq!(Corpus::read(&out).unwrap().utterances.len(), 2);

    // Two parts of one file have not the same samples; the same part twice is one row too many.
    tree.write(
        "manifest.csv",
        b"path,speaker,emotion,start,end\nhappy/a.wav,s,happy,0,0.2\nhappy/a.wav,s,sad,0.2,0.4\nsad/b.wav,s,sad,0,0.2\nsad/b.wav,s,sad,0,0.2\n",
    );
    let manifest = |more: &[&str]| {
        let source = tree.path().to_str().unwrap();
        let args = [
            &["corpus", "manifest", source, "-o", out.to_str().unwrap()],
            more,
        ]
        .concat();
        Command::new(env!("CARGO_BIN_EXE_ser-train"))
            .args(args)
            .output()
            .unwrap()
    };
    assert!(!manifest(&[]).status.success());
    let done = manifest(&["--drop-duplicates"]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(Corpus::read(&out).unwrap().utterances.len(), 3);
}

/// Root may read everything, so as root the program is run as nobody.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_read_is_a_warning() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    const NOBODY: u32 = 65_534;
    let tree = Tree::new();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for file in ["in/happy/a.wav", "in/sad/b.wav", "in/locked/c.wav"] {
        tree.write(file, &wav(file.len() as u32, 16_000));
    }
    let (source, locked) = (tree.path().join("in"), tree.path().join("in/locked"));
    let program = tree.path().join("ser-train");
    std::fs::copy(env!("CARGO_BIN_EXE_ser-train"), &program).unwrap();
    let root = std::fs::metadata(tree.path()).unwrap().uid() == 0;
    std::fs::create_dir(tree.path().join("out")).unwrap();
    if root {
        chown(tree.path().join("out"), Some(NOBODY), None).unwrap();
    }
    mode(tree.path(), 0o755);
    mode(&locked, 0o000);
    let mut command = Command::new(&program);
    command
        .args(["corpus", "folders"])
        .arg(&source)
        .arg("-o")
        .arg(tree.path().join("out/corpus.csv"));
    if root {
        use std::os::unix::process::CommandExt;
        command.uid(NOBODY);
    }
    let done = command.output().unwrap();
    mode(&locked, 0o755);
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{text}");
    assert!(text.contains("warning: 1 folders cannot be read"), "{text}");
    assert!(text.contains("in/locked: Permission denied"), "{text}");
    assert!(!text.contains("may write"), "{text}");
    assert!(text.contains("2 recordings in"), "{text}");
}

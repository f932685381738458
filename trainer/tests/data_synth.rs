//! The synthetic corpus through the program that makes it.

use std::path::Path;
use std::process::{Command, Output};

use ser_trainer::corpus::{CorpusFormat, ImportOptions, import};

fn synthesise(folder: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    command
        .arg("synth-corpus")
        .arg(folder)
        .args(["--speakers", "3", "--per-label", "2"])
        .args(more);
    command.output().unwrap()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("wav"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .map(|p| {
            (
                p.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(&p).unwrap(),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_folder_is_a_corpus_that_says_that_it_is_synthetic() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/voices");
    let done = synthesise(&folder, &[]);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(String::from_utf8_lossy(&done.stdout).contains("SYNTHETIC"));
    assert!(
        std::fs::read_to_string(folder.join("README.txt"))
            .unwrap()
            .contains("SYNTHETIC")
    );

    let found = import(CorpusFormat::Manifest, &folder, &ImportOptions::default())
        .unwrap()
        .corpus;
    assert_eq!(found.utterances.len(), 3 * 4 * 2);
    for label in ["angry", "happy", "neutral", "sad"] {
        assert_eq!(
            found
                .utterances
                .iter()
                .filter(|u| u.emotion == label)
                .count(),
            6
        );
    }
    assert!(found.utterances.iter().all(|u| u.corpus == "synthetic"));
    for u in &found.utterances {
        let pcm = ser_runtime::audio::read_audio(&found.resolve(u)).unwrap();
        assert_eq!(pcm.sample_rate, 16000);
        let peak = pcm.samples.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        assert!(
            (0.02..0.99).contains(&peak),
            "{}: peak {peak}",
            u.path.display()
        );
    }
    // Nothing but the corpus: no temporary folder stays behind.
    assert_eq!(
        std::fs::read_dir(dir.path().join("new")).unwrap().count(),
        1
    );
}

#[test]
fn equal_seeds_give_equal_files_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, seed) in [("a", "7"), ("b", "7"), ("c", "8")] {
        assert!(synthesise(&at(name), &["--seed", seed]).status.success());
    }
    assert_eq!(files(&at("a")), files(&at("b")));
    let names = |f: Vec<(String, Vec<u8>)>| f.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let (a, c) = (names(files(&at("a"))), names(files(&at("c"))));
    assert!(
        a.iter().all(|name| !c.contains(name)),
        "two seeds share a file name"
    );
    assert!(
        files(&at("a"))
            .iter()
            .zip(files(&at("c")))
            .all(|(a, c)| a.1 != c.1)
    );
}

#[test]
fn what_cannot_be_made_is_refused_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("mine.txt"), "keep").unwrap();
    for (more, expected) in [
        (&[][..], "not empty"),
        (&["--rate", "4000"][..], "8000 to 48000 Hz"),
        (&["--rate", "96000"][..], "8000 to 48000 Hz"),
    ] {
        let folder = if more.is_empty() {
            dir.path().to_owned()
        } else {
            dir.path().join("x")
        };
        let done = synthesise(&folder, more);
        assert_eq!(done.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&done.stderr).contains(expected),
            "{done:?}"
        );
    }
    let mut none = Command::new(env!("CARGO_BIN_EXE_ser-train"));
    let done = none
        .arg("synth-corpus")
        .arg(dir.path().join("x"))
        .args(["--speakers", "0"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&done.stderr).contains("0 speakers"),
        "{done:?}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

//! The same samples under two names: refused or dropped where a corpus is made, refused where features are measured.

mod corpora;

use std::path::Path;
use std::process::{Command, Output};

use corpora::{Tree, wav};
use ser_trainer::corpus::Corpus;

fn ser_train(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .args(args)
        .output()
        .unwrap()
}

/// Whether `ser-train corpus emodb` went well, and all that it printed.
fn copies(path: &Path, more: &[&str]) -> (bool, String) {
    let out = path.join("corpus.csv");
    let source = path.to_str().unwrap();
    let done = ser_train(
        &[
            &["corpus", "emodb", source, "-o", out.to_str().unwrap()],
            more,
        ]
        .concat(),
    );
    let text = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    (done.status.success(), text.into_owned())
}

#[test]
fn the_same_samples_under_two_names_are_refused() {
    let tree = Tree::new();
    tree.write("03a01Fa.wav", &wav(1, 16_000));
    tree.write("03a02Fa.wav", &wav(2, 16_000));
    tree.write("03a04Fa.wav", &wav(1, 8_000));
    tree.write("03b02Ta.wav", &wav(4, 16_000));
    assert!(
        copies(tree.path(), &[]).0,
        "the same numbers at another rate are other audio"
    );

    // The same recording with a chunk of metadata in front of the samples.
    tree.write("03a05Fa.wav", &corpora::remuxed(&wav(1, 16_000)));
    let before = tree.read("corpus.csv");
    let (fine, text) = copies(tree.path(), &[]);
    assert!(!fine && tree.read("corpus.csv") == before, "{text}");
    assert!(
        text.contains("1 recordings have the same samples"),
        "{text}"
    );
    assert!(
        text.contains("03a01Fa.wav (happy, emodb-03) and 03a05Fa.wav"),
        "{text}"
    );
    assert!(text.contains("--drop-duplicates"), "{text}");
    let (fine, text) = copies(tree.path(), &["--drop-duplicates"]);
    assert!(
        fine && text.contains("left out: 1 × the same samples"),
        "{text}"
    );
    let kept = Corpus::read(&tree.path().join("corpus.csv")).unwrap();
    let kept: Vec<_> = kept
        .utterances
        .iter()
        .map(|u| u.path.to_str().unwrap())
        .collect();
    assert_eq!(
        kept,
        ["03a01Fa.wav", "03a02Fa.wav", "03a04Fa.wav", "03b02Ta.wav"]
    );

    // With another label, nobody knows which of the two is right.
    tree.write("03a07Wa.wav", &wav(2, 16_000));
    let (fine, text) = copies(tree.path(), &["--drop-duplicates"]);
    assert!(
        !fine && text.contains("different label or speaker"),
        "{text}"
    );
    assert!(
        text.contains("03a02Fa.wav (happy, emodb-03) and 03a07Wa.wav (angry"),
        "{text}"
    );

    // Where that label is not asked for, there is no conflict.
    assert!(copies(tree.path(), &["--drop-duplicates", "--labels", "happy"]).0);

    // What cannot be decoded is said, and left to extraction.
    tree.remove("03a07Wa.wav");
    tree.write("03b01Fa.wav", b"RIFF");
    let (fine, text) = copies(tree.path(), &["--drop-duplicates"]);
    assert!(
        fine && text.contains("1 recordings cannot be decoded"),
        "{text}"
    );
    assert!(text.contains("03b01Fa.wav: truncated"), "{text}");
    assert!(!copies(tree.path(), &["--drop-duplicates", "--strict"]).0);
}

/// A corpus file may be put together by hand, so extraction looks again.
#[test]
fn extraction_refuses_the_same_samples_too() {
    let tree = Tree::new();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 1)] {
        tree.write(&format!("{name}.wav"), &wav(seed, 16_000));
    }
    tree.write(
        "corpus.csv",
        b"path,corpus,speaker,session,gender,emotion\na.wav,x,s1,,,happy\nb.wav,x,s1,,,happy\nc.wav,y,s2,,,sad\n",
    );
    let (corpus, table) = (tree.path().join("corpus.csv"), tree.path().join("t.csv"));
    let args = [
        "extract",
        corpus.to_str().unwrap(),
        "-o",
        table.to_str().unwrap(),
        // These sounds are no speech.
        "--whole",
    ];
    let done = ser_train(&args);
    let error = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{error}");
    assert!(
        error.contains("a.wav (happy, s1) and c.wav (sad, s2)"),
        "{error}"
    );
    assert!(!table.exists());
    tree.write(
        "corpus.csv",
        b"path,corpus,speaker,session,gender,emotion\na.wav,x,s1,,,happy\nb.wav,x,s1,,,happy\n",
    );
    assert!(ser_train(&args).status.success());
}

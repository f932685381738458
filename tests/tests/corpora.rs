//! Published recordings, where they are at hand: what is in them, and that a copy is found in whatever container it comes.

use ser_runtime::audio::read_audio;
use ser_tests::{fail, ser_train, shared, succeed, wav};

/// A fault of RAVDESS, one take under two names, is left out; nothing else is there twice.
#[test]
fn no_recording_is_there_twice() {
    let Some(shared) = shared("copies in EMO-DB and RAVDESS") else {
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    for (corpus, recordings) in [("emodb", 339), ("ravdess", 335)] {
        let report = succeed(
            ser_train()
                .args(["corpus", corpus])
                .arg(shared.join("data").join(corpus))
                .args(["--strict", "-o"])
                .arg(folder.path().join("corpus.csv")),
        );
        assert!(
            report.contains(&format!("{recordings} recordings in")),
            "{report}"
        );
        let copy = "left out: 1 × copy of another recording, as published";
        assert_eq!(report.contains(copy), corpus == "ravdess", "{report}");
    }
}

#[test]
fn a_wav_copy_of_a_flac_recording_is_found() {
    let Some(shared) = shared("copies in another container") else {
        return;
    };
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let original = shared.join("data/emodb/EMO03/03a01Fa.flac");
    let audio = read_audio(&original).expect("a recording");
    let samples: Vec<i16> = audio
        .samples
        .iter()
        .map(|s| (s * 32767.0).round() as i16)
        .collect();
    std::fs::copy(original, at("03a01Fa.flac")).expect("copied");
    let copy = |samples: &[i16]| {
        std::fs::write(at("03a02Fa.wav"), wav(audio.sample_rate, 1, samples)).expect("written");
    };
    let import = || {
        let mut command = ser_train();
        command.args(["corpus", "emodb", "--labels", "happy"]);
        command.arg(folder.path());
        command.arg("-o").arg(at("corpus.csv"));
        command
    };
    copy(&samples);
    let error = fail(&mut import());
    assert!(
        error.contains("03a01Fa.flac (happy, emodb-03) and 03a02Fa.wav"),
        "{error}"
    );
    // One bit of one sample makes it another recording.
    let mut other = samples;
    other[1000] ^= 1;
    copy(&other);
    succeed(&mut import());
}

//! Published corpora beyond those of the paper, in miniature trees of their own layouts: files without content, since
//! importers read names and tables, never audio.

mod corpora;

use corpora::Tree;
use ser_trainer::corpus::{CorpusFormat, Import, ImportOptions, import};

fn audio(names: &[&str]) -> Tree {
    let tree = Tree::new();
    for name in names {
        tree.write(name, b"");
    }
    tree
}

fn read(format: CorpusFormat, tree: &Tree) -> Import {
    import(format, tree.path(), &ImportOptions::default()).unwrap()
}

fn refused(format: CorpusFormat, tree: &Tree) -> String {
    import(format, tree.path(), &ImportOptions::default())
        .unwrap_err()
        .to_string()
}

/// Speaker, gender, emotion and split of each recording, with blanks for what is not known.
fn rows(import: &Import) -> Vec<String> {
    let row = |u: &ser_trainer::corpus::Utterance| {
        let known = |t: &Option<String>| t.clone().unwrap_or_else(|| "-".into());
        format!(
            "{} {} {} {}",
            u.speaker,
            known(&u.gender),
            u.emotion,
            known(&u.split)
        )
    };
    import.corpus.utterances.iter().map(row).collect()
}

fn findings(import: &Import) -> String {
    let lines = import
        .findings
        .iter()
        .map(|f| format!("{}\n{}", f.what, f.examples.join("\n")));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn corpora_whose_names_tell_everything() {
    for (format, names, expected, whole) in [
        (
            CorpusFormat::Nemo,
            [
                "nEMO/samples/SB0_anger_1.wav",
                "nEMO/samples/WK1_surprised_12.wav",
                "x.wav",
            ],
            ["nemo-SB0 - angry -", "nemo-WK1 - surprised -"],
            "nEMO has 4481",
        ),
        (
            CorpusFormat::Subesco,
            [
                "F_02_MONIKA_S_1_NEUTRAL_5.wav",
                "M_02_TITAS_S_10_DISGUST_1.wav",
                "F_02_x.wav",
            ],
            ["subesco-F02 F neutral -", "subesco-M02 M disgusted -"],
            "SUBESCO has 7000",
        ),
        (
            CorpusFormat::JlCorpus,
            [
                "Raw JL corpus/JL(wav+txt)/female1_angry_10a_1.wav",
                "Raw JL corpus/male2_anxious_1b_2.wav",
                "y/male9_sad_1a_1.wav",
            ],
            ["jl-corpus-female1 F angry -", "jl-corpus-male2 M anxious -"],
            "JL-Corpus has 2400",
        ),
        (
            CorpusFormat::Esd,
            [
                "0001/Angry/train/0001_000351.wav",
                "0011/Sad/0011_001051.wav",
                "0011/Sad/0011_000001.wav",
            ],
            ["esd-0001 F angry train", "esd-0011 M sad -"],
            "ESD has 35000",
        ),
        (
            CorpusFormat::Emovo,
            [
                "EMOVO/f1/gio-f1-b1.wav",
                "EMOVO/m3/rab-m3-n5.wav",
                "EMOVO/m3/rab-m4-n5.wav",
            ],
            ["emovo-f1 F happy -", "emovo-m3 M angry -"],
            "EMOVO has 588",
        ),
        (
            CorpusFormat::Shemo,
            ["female/F01A01.wav", "male/M44W03.wav", "male/M44.wav"],
            ["shemo-F01 F angry -", "shemo-M44 M surprised -"],
            "ShEMO has 3000",
        ),
    ] {
        let tree = audio(&names);
        let found = read(format, &tree);
        assert_eq!(rows(&found), expected, "{format:?}");
        assert_eq!(found.unknown.len(), 1, "{format:?}: {:?}", found.unknown);
        assert!(findings(&found).contains(whole), "{}", findings(&found));
        let error = refused(format, &audio(&["z.wav"]));
        assert!(
            error.contains("none of the 1 audio files is one of"),
            "{error}"
        );
    }
}

/// A corpus of the published counts is whole.
#[test]
fn whole_corpora_are_told_from_parts() {
    let tree = Tree::new();
    let mut names = Vec::new();
    for speaker in ["f1", "f2", "f3", "m1", "m2", "m3"] {
        for emotion in ["dis", "gio", "neu", "pau", "rab", "sor", "tri"] {
            for sentence in 0..14 {
                let letter = [b'b', b'l', b'n'][sentence / 5] as char;
                names.push(format!(
                    "{speaker}/{emotion}-{speaker}-{letter}{}.wav",
                    sentence % 5
                ));
            }
        }
    }
    for name in &names {
        tree.write(name, b"");
    }
    assert_eq!(findings(&read(CorpusFormat::Emovo, &tree)), "");
    tree.remove(&names[0]);
    assert!(findings(&read(CorpusFormat::Emovo, &tree)).contains("disgusted 13 of 14"));
}

fn meld() -> Tree {
    let tree = audio(&[
        "MELD.Raw/train_splits/dia0_utt0.wav",
        "MELD.Raw/train_splits/dia0_utt1.wav",
        "MELD.Raw/dev_splits_complete/dia0_utt0.wav",
        "MELD.Raw/output_repeated_splits_test/dia0_utt0.wav",
        "MELD.Raw/output_repeated_splits_test/final_videos_testdia1_utt0.wav",
    ]);
    let header = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n";
    for (file, lines) in [
        // The published tables are in Windows-1252 in places.
        (
            "train",
            "1,\"Oh, it\u{92}s you\",Chandler,neutral,neutral,0,0,8,21,\"00:16:16,059\",\"00:16:21,731\"\n2,No,Ross,joy,positive,0,1,8,21,,\n3,Hm,Ross,joy,positive,7,7,8,21,,\n",
        ),
        ("dev", "1,Oh my God,Phoebe,sadness,negative,0,0,4,7,,\n"),
        (
            "test",
            "1,Why,Mark,surprise,positive,0,0,3,19,,\n2,Why,Mark,wonder,positive,0,1,3,19,,\n",
        ),
    ] {
        let text = format!("{header}{lines}");
        let bytes: Vec<u8> = text.chars().map(|c| c as u32 as u8).collect();
        tree.write(&format!("{file}_sent_emo.csv"), &bytes);
    }
    tree
}

#[test]
fn meld_joins_three_tables_and_three_folders() {
    let tree = meld();
    let found = read(CorpusFormat::Meld, &tree);
    assert_eq!(
        rows(&found),
        [
            "meld-Phoebe - sad dev",
            "meld-Mark - surprised test",
            "meld-Chandler - neutral train",
            "meld-Ross - happy train"
        ]
    );
    let text = findings(&found);
    assert_eq!(found.unknown.len(), 1);
    for expected in [
        "1 label lines cannot be read",
        "test_sent_emo.csv, line 3: \"wonder\" is none of the emotions",
        "1 labels have no recording",
        "train/dia7_utt7 (happy; train_sent_emo.csv, line 4)",
        "the whole MELD has 13708",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    tree.write("more/train/dia0_utt0.wav", b"");
    assert!(refused(CorpusFormat::Meld, &tree).contains("--drop-duplicates"));
    assert!(refused(CorpusFormat::Meld, &audio(&["a.mp4"])).contains("ffmpeg"));
    let error = refused(CorpusFormat::Meld, &audio(&["train/dia0_utt0.wav"]));
    assert!(error.contains("train_sent_emo.csv"), "{error}");
}

#[test]
fn emozionalmente_joins_samples_and_users() {
    let tree = audio(&["e/audio/1.wav", "e/audio/2.wav", "e/audio/3.wav"]);
    tree.write(
        "e/metadata/samples.csv",
        b"file_name,timestamp,actor,sentence,emotion_expressed\n1.wav,x,anna,Ciao,joy\n2.wav,x,ugo,Ciao,neutrality\n4.wav,x,ugo,Ciao,anger\n",
    );
    tree.write(
        "e/metadata/users.csv",
        b"username,age,gender\nanna,30,female\nugo,40,male\n",
    );
    let found = read(CorpusFormat::Emozionalmente, &tree);
    assert_eq!(
        rows(&found),
        [
            "emozionalmente-anna F happy -",
            "emozionalmente-ugo M neutral -"
        ]
    );
    let text = findings(&found);
    for expected in [
        "1 recordings have no label",
        "4.wav (angry; e/metadata/samples.csv, line 4)",
        "Emozionalmente has 6902",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    tree.write("e/metadata/samples.csv", b"file,actor\n1.wav,anna\n");
    let error = refused(CorpusFormat::Emozionalmente, &tree);
    assert!(error.contains("\"file_name\" is missing"), "{error}");
    tree.remove("e/metadata/samples.csv");
    assert!(refused(CorpusFormat::Emozionalmente, &tree).contains("samples.csv"));
}

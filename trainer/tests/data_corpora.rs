//! Published corpora in miniature, in the layouts and label files that they come in. None of their content is here: names, formats and
//! published counts are facts, the audio is made up.

mod corpora;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use corpora::{Tree, iemocap_line, msp_line, wav};
use ser_trainer::corpus::{
    Corpus, CorpusError, CorpusFormat, Finding, Import, ImportOptions, Labels, Utterance, import,
};

fn read(format: CorpusFormat, tree: &Tree) -> Import {
    import(format, tree.path(), &ImportOptions::default()).unwrap()
}

fn refused(format: CorpusFormat, tree: &Tree) -> String {
    import(format, tree.path(), &ImportOptions::default())
        .unwrap_err()
        .to_string()
}

/// Speaker, session, gender and emotion of each recording.
fn rows(corpus: &Corpus) -> Vec<[String; 4]> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let row = |u: &Utterance| {
        let (session, gender) = (text(&u.session), text(&u.gender));
        [u.speaker.clone(), session, gender, u.emotion.clone()]
    };
    corpus.utterances.iter().map(row).collect()
}

/// What the findings say, with their examples.
fn findings(import: &Import) -> String {
    let lines = |f: &Finding| format!("{}\n{}\n", f.what, f.examples.join("\n"));
    import.findings.iter().map(lines).collect()
}

fn ser_train(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .args(args)
        .output()
        .unwrap()
}

/// A corner of IEMOCAP as it is published: audio of sentences and dialogues, label files between others of the same names.
fn iemocap() -> Tree {
    let tree = Tree::new();
    let utterances = [
        ("Ses01F_impro01", "F000", "neu"),
        ("Ses01F_impro01", "M000", "exc"),
        ("Ses01F_impro01", "M001", "xxx"),
        ("Ses01M_script01_1", "F003", "ang"),
        ("Ses05M_impro08a", "M012", "hap"),
        ("Ses05M_impro08a", "F002", "fru"),
        ("Ses05M_impro08a", "F007", "sad"),
    ];
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (i, (dialogue, turn, label)) in utterances.iter().enumerate() {
        let session = format!("Session{}", &dialogue[4..5]);
        let id = format!("{dialogue}_{turn}");
        tree.write(
            &format!("{session}/sentences/wav/{dialogue}/{id}.wav"),
            &wav(i as u32, 16_000),
        );
        tree.write(
            &format!("{session}/dialog/wav/{dialogue}.wav"),
            &wav(900, 16_000),
        );
        files
            .entry(dialogue)
            .or_insert_with(|| {
                "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n".to_owned()
            })
            .push_str(&iemocap_line(i, &id, label));
    }
    for (dialogue, text) in files {
        let session = format!("Session{}", &dialogue[4..5]);
        let at = |folder: &str| format!("{session}/dialog/{folder}/{dialogue}.txt");
        tree.write(&at("EmoEvaluation"), text.as_bytes());
        tree.write(
            &at("transcriptions"),
            format!("{dialogue}_F000 [006.2901-008.2357]: Words.\n").as_bytes(),
        );
        tree.write(
            &format!("{session}/dialog/EmoEvaluation/Categorical/{dialogue}_e2_cat.txt"),
            format!("{dialogue}_F000 :Anger; ()\n").as_bytes(),
        );
    }
    tree
}

#[test]
fn iemocap_gives_the_four_classes_with_speaker_session_and_gender() {
    let tree = iemocap();
    let found = read(CorpusFormat::Iemocap, &tree);
    assert_eq!(
        rows(&found.corpus),
        [
            ["iemocap-1F", "1", "F", "neutral"],
            ["iemocap-1M", "1", "M", "happy"],
            ["iemocap-1F", "1", "F", "angry"],
            ["iemocap-5F", "5", "F", "sad"],
            ["iemocap-5M", "5", "M", "happy"],
        ]
    );
    assert!(
        found
            .corpus
            .utterances
            .iter()
            .all(|u| u.corpus == "iemocap")
    );
    assert!(found.unknown.is_empty(), "{:?}", found.unknown);
    assert_eq!(
        found.left_out,
        [
            ("frustrated".to_owned(), 1),
            ("sound track of a whole dialogue".to_owned(), 3),
            ("undecided".to_owned(), 1)
        ]
        .into()
    );
    let text = findings(&found);
    assert_eq!(found.findings.len(), 1, "{text}");
    for expected in [
        "the whole IEMOCAP has 5531 recordings of these labels, here are 5",
        "session 1: 3 of 1085 (angry 1 of 229, happy 1 of 278, neutral 1 of 384, sad 0 of 194)",
        "session 2: none of 1023",
        "session 5: 2 of 1241",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn labels_of_iemocap_can_be_mapped_otherwise() {
    let tree = iemocap();
    let with = |map: Option<(&str, &str)>, labels: Labels| {
        let options = ImportOptions {
            map: map.map(|(old, new)| [(old.to_owned(), new.to_owned())].into()),
            labels,
            ..ImportOptions::default()
        };
        let found = import(CorpusFormat::Iemocap, tree.path(), &options).unwrap();
        assert!(found.findings.is_empty(), "{}", findings(&found));
        let mut labels: Vec<_> = rows(&found.corpus)
            .into_iter()
            .map(|r| r[3].clone())
            .collect();
        labels.sort_unstable();
        labels
    };
    let these = |names: &[&str]| Labels::These(names.iter().map(|s| (*s).to_owned()).collect());
    assert_eq!(
        with(None, Labels::All),
        [
            "angry",
            "excited",
            "frustrated",
            "happy",
            "neutral",
            "sad",
            "undecided"
        ]
    );
    assert_eq!(
        with(None, these(&["happy", "frustrated"])),
        ["frustrated", "happy", "happy"]
    );
    assert_eq!(
        with(Some(("frustrated", "angry")), Labels::Default),
        ["angry", "angry", "happy", "neutral", "sad"]
    );
    assert_eq!(
        with(Some(("excited", "aroused")), these(&["aroused", "sad"])),
        ["aroused", "sad"]
    );
}

#[test]
fn label_files_with_a_byte_order_mark_and_windows_line_ends_are_read() {
    let tree = iemocap();
    let path = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt";
    let text = String::from_utf8(tree.read(path)).unwrap();
    let mut bytes = b"\xef\xbb\xbf".to_vec();
    // Comments in another encoding between the labels.
    bytes.extend(
        text.replace("()", "(caf\u{1})")
            .replace('\n', "\r\n")
            .bytes()
            .map(|b| if b == 1 { 0xe9 } else { b }),
    );
    tree.write(path, &bytes);
    assert_eq!(
        read(CorpusFormat::Iemocap, &tree).corpus.utterances.len(),
        5
    );
    tree.write(
        path,
        text.lines()
            .skip(2)
            .collect::<Vec<_>>()
            .join("\r\n")
            .as_bytes(),
    );
    assert_eq!(
        read(CorpusFormat::Iemocap, &tree).corpus.utterances.len(),
        5
    );

    let wide: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    tree.write(path, &wide);
    assert_eq!(
        read(CorpusFormat::Iemocap, &tree).corpus.utterances.len(),
        5
    );
}

#[test]
fn what_is_missing_or_damaged_in_iemocap_is_named() {
    let tree = iemocap();
    let labels = "Session5/dialog/EmoEvaluation/Ses05M_impro08a.txt";
    let text = String::from_utf8(tree.read(labels)).unwrap();
    let damaged = text
        .replace("\tfru\t", "\tfury\t")
        .replace("Ses05M_impro08a_F007\tsad", "Ses05M_impro08a_F007");
    tree.write(labels, damaged.as_bytes());
    tree.remove("Session1/dialog/EmoEvaluation/Ses01M_script01_1.txt");
    tree.remove("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav");
    tree.remove("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav");
    tree.write(
        "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M0.wav",
        b"",
    );
    let found = read(CorpusFormat::Iemocap, &tree);
    assert_eq!(rows(&found.corpus).len(), 2);
    assert_eq!(found.unknown.len(), 1, "{:?}", found.unknown);
    let text = findings(&found);
    for expected in [
        "2 label lines cannot be read",
        "Session5/dialog/EmoEvaluation/Ses05M_impro08a.txt, line 9: Ses05M_impro08a_F002: \"fury\" is none of the labels ang",
        "line 15: the line is not",
        "1 label files are missing (EmoEvaluation/<dialogue>.txt), so 1 recordings have no label",
        "Ses01M_script01_1: 1 recordings",
        "2 recordings have no label",
        "Ses05M_impro08a_F007.wav",
        // The label that is not kept (xxx) is not missed.
        "1 labels have no recording",
        "Ses01F_impro01_F000 (neutral; Session1/dialog/EmoEvaluation/Ses01F_impro01.txt, line 3)",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }

    let tree = iemocap();
    let twice = [
        tree.read(labels),
        iemocap_line(1, "Ses05M_impro08a_F007", "sad").into_bytes(),
    ]
    .concat();
    tree.write(labels, &twice);
    let text = findings(&read(CorpusFormat::Iemocap, &tree));
    assert!(
        text.contains("line 21: Ses05M_impro08a_F007 is in Session5"),
        "{text}"
    );
    let conflict = [
        tree.read(labels),
        iemocap_line(1, "Ses05M_impro08a_F007", "ang").into_bytes(),
    ]
    .concat();
    tree.write(labels, &conflict);
    let error = refused(CorpusFormat::Iemocap, &tree);
    assert!(
        error.contains("Ses05M_impro08a_F007 is sad in") && error.contains("but angry in"),
        "{error}"
    );
}

#[test]
fn a_tree_without_labels_or_audio_says_what_was_looked_for() {
    let tree = Tree::new();
    assert!(refused(CorpusFormat::Iemocap, &tree).contains("Ses01F_impro01_M003.wav"));
    tree.write("a/Ses01F_impro01_F000.wav", b"");
    let error = refused(CorpusFormat::Iemocap, &tree);
    assert!(
        error.contains("no label file of iemocap (EmoEvaluation/"),
        "{error}"
    );
    tree.write("EmoEvaluation/Ses01F_impro02.txt", b"% nothing\n");
    let error = refused(CorpusFormat::Iemocap, &tree);
    assert!(
        error.contains("none of the 1 recordings has a label"),
        "{error}"
    );
    tree.write(
        "EmoEvaluation/Ses01F_impro01.txt",
        iemocap_line(0, "Ses01F_impro01_F000", "oth").as_bytes(),
    );
    let error = refused(CorpusFormat::Iemocap, &tree);
    assert!(error.contains("labels that are kept"), "{error}");
    tree.write("b/Ses01F_impro01_F000.flac", b"");
    assert!(refused(CorpusFormat::Iemocap, &tree).contains("there twice"));

    let tree = Tree::new();
    tree.write("MSP-IMPROV-S01A-F01-P-FM01.wav", b"");
    let error = refused(CorpusFormat::MspImprov, &tree);
    assert!(error.contains("Evalution.txt"), "{error}");
}

/// A corner of MSP-IMPROV: 44.1 kHz, label file and audio with different prefixes.
fn msp_improv() -> Tree {
    let tree = Tree::new();
    let mut text = String::new();
    for (i, (id, label)) in [
        ("S01A-F01-P-FM01", "N"),
        ("S01A-F01-T-FM02", "A"),
        ("S14H-M06-S-MF11", "H"),
        ("S14H-M06-R-MM01", "S"),
        ("S14H-M06-R-MM02", "X"),
        ("S03N-M02-P-MF01", "O"),
    ]
    .into_iter()
    .enumerate()
    {
        let parts: Vec<&str> = id.split('-').collect();
        let folder = format!("session{}/{}/{}", &parts[1][2..], parts[0], parts[2]);
        tree.write(
            &format!("Audio/{folder}/MSP-IMPROV-{id}.wav"),
            &wav(i as u32, 44_100),
        );
        text.push_str(&msp_line(i, id, label));
    }
    tree.write("Evalution.txt", text.as_bytes());
    tree
}

#[test]
fn msp_improv_joins_names_of_different_prefixes() {
    let tree = msp_improv();
    let found = read(CorpusFormat::MspImprov, &tree);
    assert_eq!(
        rows(&found.corpus),
        [
            ["msp-improv-F01", "1", "F", "neutral"],
            ["msp-improv-F01", "1", "F", "angry"],
            ["msp-improv-M06", "6", "M", "sad"],
            ["msp-improv-M06", "6", "M", "happy"],
        ]
    );
    assert_eq!(
        (found.left_out["other"], found.left_out["undecided"]),
        (1, 1)
    );
    let text = findings(&found);
    for expected in [
        "the whole MSP-IMPROV has 7798 recordings of these labels, here are 4",
        "condition P: 1 of 2640 (angry 0 of 38, happy 0 of 1372, neutral 1 of 1164, sad 0 of 66)",
    ] {
        assert!(text.contains(expected), "{text}");
    }

    let text = String::from_utf8(tree.read("Evalution.txt")).unwrap();
    tree.remove("Evalution.txt");
    let damaged = format!(
        "\u{feff}{}UTD-IMPROV-S01A-F01-P-FM09.avi; H",
        text.replace("F01-P-FM01.avi; N", "F01-P-FM01.avi; Z")
            .replace('\n', "\r\n")
    );
    tree.write("labels/Evaluation.txt", damaged.as_bytes());
    tree.remove("Audio/session6/S14H/S/MSP-IMPROV-S14H-M06-S-MF11.wav");
    tree.write("Audio/session1/S01A/P/MSP-IMPROV-S01A-F07-P-FM01.wav", b"");
    let found = read(CorpusFormat::MspImprov, &tree);
    assert_eq!(rows(&found.corpus).len(), 2);
    let text = findings(&found);
    for expected in [
        "2 label lines cannot be read",
        "labels/Evaluation.txt, line 1: S01A-F01-P-FM01: \"Z\" is none of the labels A H N S O X",
        "1 recordings have no label",
        "1 labels have no recording\nS14H-M06-S-MF11 (happy; labels/Evaluation.txt",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
    assert_eq!(found.unknown.len(), 1);
}

/// As many utterances of each class as the published corpora have, empty files for audio: the whole corpora are accepted without a
/// word, and one recording less is noticed.
#[test]
fn whole_corpora_have_the_published_counts() {
    let tree = corpora::whole_iemocap();
    let found = read(CorpusFormat::Iemocap, &tree);
    assert_eq!(found.corpus.utterances.len(), 5531);
    assert!(found.findings.is_empty(), "{}", findings(&found));
    let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sessions: BTreeMap<&str, usize> = BTreeMap::new();
    for u in &found.corpus.utterances {
        *classes.entry(&u.emotion).or_insert(0) += 1;
        *sessions.entry(u.session.as_deref().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(
        classes,
        [
            ("angry", 1103),
            ("happy", 1636),
            ("neutral", 1708),
            ("sad", 1084)
        ]
        .into()
    );
    assert_eq!(
        sessions,
        [
            ("1", 1085),
            ("2", 1023),
            ("3", 1151),
            ("4", 1031),
            ("5", 1241)
        ]
        .into()
    );
    let gone = &found.corpus.utterances[0];
    std::fs::remove_file(found.corpus.resolve(gone)).unwrap();
    let text = findings(&read(CorpusFormat::Iemocap, &tree));
    assert!(
        text.contains("here are 5530") && text.contains("session 1: 1084 of 1085"),
        "{text}"
    );
    assert!(
        text.contains("1 labels have no recording") && !text.contains("session 2"),
        "{text}"
    );

    let tree = corpora::whole_msp_improv();
    let found = read(CorpusFormat::MspImprov, &tree);
    assert_eq!(found.corpus.utterances.len(), 7798);
    assert!(found.findings.is_empty(), "{}", findings(&found));
    assert_eq!(
        (found.left_out["other"], found.left_out["undecided"]),
        (85, 555)
    );
}

#[test]
fn crema_d_takes_gender_from_the_table_beside_or_below() {
    let tree = Tree::new();
    // One has no sound, and two are one recording under two emotions, as published.
    let faulty = ["1006_TIE_HAP_XX", "1006_TIE_NEU_XX", "1076_MTI_SAD_XX"];
    let sound = ["1001_DFA_ANG_XX", "1002_IEO_HAP_HI", "1040_ITH_SAD_X"];
    for name in faulty.iter().chain(&sound) {
        tree.write(&format!("AudioWAV/{name}.wav"), b"");
    }
    tree.write("AudioWAV/1092_DFA_ANG_XX.wav", b"");
    let found = read(CorpusFormat::CremaD, &tree);
    assert_eq!(
        rows(&found.corpus),
        [
            ["crema-d-1001", "", "", "angry"],
            ["crema-d-1002", "", "", "happy"],
            ["crema-d-1040", "", "", "sad"]
        ]
    );
    assert_eq!(found.unknown.len(), 1);
    assert_eq!(found.left_out.values().sum::<usize>(), 3);
    assert!(findings(&found).contains("the whole CREMA-D has 7434"));

    tree.write(
        "VideoDemographics.csv",
        b"ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Caucasian,Not Hispanic\n",
    );
    let audio = tree.path().join("AudioWAV");
    for folder in [tree.path(), audio.as_path()] {
        let found = import(CorpusFormat::CremaD, folder, &ImportOptions::default()).unwrap();
        let genders: Vec<_> = rows(&found.corpus)
            .into_iter()
            .map(|r| r[2].clone())
            .collect();
        assert_eq!(genders, ["M", "F", ""]);
    }
    tree.write("VideoDemographics.csv", b"ActorID,Sex\n1001,?\n");
    let error = refused(CorpusFormat::CremaD, &tree);
    assert!(error.contains("line 2, column \"Sex\""), "{error}");
}

#[test]
fn savee_and_tess_in_the_layouts_that_go_around() {
    let tree = Tree::new();
    for name in [
        "AudioData/DC/a01",
        "AudioData/JE/a01",
        "ALL/KL_su15",
        "AudioData/a01",
    ] {
        tree.write(&format!("{name}.wav"), b"");
    }
    let found = read(CorpusFormat::Savee, &tree);
    assert_eq!(
        rows(&found.corpus),
        [
            ["savee-KL", "", "M", "surprised"],
            ["savee-DC", "", "M", "angry"],
            ["savee-JE", "", "M", "angry"]
        ]
    );
    assert!(
        found.unknown[0].1.contains("none of the speakers"),
        "{:?}",
        found.unknown
    );
    assert!(findings(&found).contains("speaker savee-JK: none of 120"));
    tree.write("ALL/DC_a01.wav", b"");
    assert!(refused(CorpusFormat::Savee, &tree).contains("there twice"));

    let tree = Tree::new();
    for name in [
        "OAF_Fear/OAF_back_fear",
        "OAF_neutral/OA_bite_neutral",
        "YAF_pleasant_surprised/YAF_food_ps",
    ] {
        tree.write(&format!("TESS/{name}.wav"), b"");
    }
    let found = read(CorpusFormat::Tess, &tree);
    assert_eq!(
        rows(&found.corpus),
        [
            ["tess-OAF", "", "F", "fearful"],
            ["tess-OAF", "", "F", "neutral"],
            ["tess-YAF", "", "F", "surprised"]
        ]
    );
    assert!(findings(&found).contains("the whole TESS has 2800"));
    // The archive that goes around holds everything a second time, one folder deeper.
    tree.write("TESS/TESS/OAF_Fear/OAF_back_fear.wav", b"");
    assert!(refused(CorpusFormat::Tess, &tree).contains("there twice"));
}

#[test]
fn the_command_warns_of_a_partial_corpus_and_refuses_it_if_strict() {
    let tree = iemocap();
    let out = tree.path().join("out.csv");
    let args = [
        "corpus",
        "iemocap",
        tree.path().to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
    ];
    let done = ser_train(&args);
    let (stdout, stderr) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{stderr}");
    assert!(
        stderr.contains("warning: the whole IEMOCAP has 5531"),
        "{stderr}"
    );
    assert!(stderr.contains("\n  session 2: none of 1023"), "{stderr}");
    assert!(stdout.contains("5 recordings in"), "{stdout}");
    assert_eq!(Corpus::read(&out).unwrap().utterances.len(), 5);

    let strict = ser_train(&[&args[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&strict.stderr).contains("refused by --strict"));
    let all = ser_train(&[&args[..], &["--strict", "--labels", "all"]].concat());
    assert!(
        all.status.success(),
        "{}",
        String::from_utf8_lossy(&all.stderr)
    );
    assert_eq!(Corpus::read(&out).unwrap().utterances.len(), 7);
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let error = import(
        CorpusFormat::MspImprov,
        Path::new("/no/such/folder"),
        &ImportOptions::default(),
    )
    .unwrap_err();
    assert!(
        matches!(&error, CorpusError::Io { .. }) && error.to_string().contains("/no/such/folder")
    );
}

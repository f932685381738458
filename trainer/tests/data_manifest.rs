//! Tables of recordings as spreadsheets, data frames and annotation tools write them.

mod corpora;

use std::path::Path;
use std::process::{Command, Output};

use corpora::{Tree, wav};
use ser_trainer::corpus::{Corpus, CorpusFormat, Import, ImportOptions, Segment, import};
use ser_trainer::data::text::parse_column;

fn options(columns: &[&str]) -> ImportOptions {
    ImportOptions {
        columns: columns.iter().map(|c| parse_column(c).unwrap()).collect(),
        ..ImportOptions::default()
    }
}

/// Reads `text` as a manifest beside the tree's files.
fn read_with(tree: &Tree, text: &[u8], options: &ImportOptions) -> Result<Import, String> {
    tree.write("manifest.csv", text);
    import(CorpusFormat::Manifest, tree.path(), options).map_err(|e| e.to_string())
}

fn read(tree: &Tree, text: &str) -> Result<Import, String> {
    read_with(tree, text.as_bytes(), &ImportOptions::default())
}

fn audio(names: &[&str]) -> Tree {
    let tree = Tree::new();
    for name in names {
        tree.write(name, b"");
    }
    tree
}

fn rows(import: &Import) -> Vec<(String, String, String)> {
    let row = |u: &ser_trainer::corpus::Utterance| {
        let path = u.path.to_string_lossy().into_owned();
        (path, u.speaker.clone(), u.emotion.clone())
    };
    import.corpus.utterances.iter().map(row).collect()
}

fn findings(import: &Import) -> String {
    let lines = import.findings.iter().map(|f| f.what.clone());
    lines.collect::<Vec<_>>().join("\n")
}

fn ser_train(args: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    (status.code(), text.into_owned())
}

#[test]
fn every_spelling_of_a_table_gives_the_same_corpus() {
    let tree = audio(&["d/a b.wav", "d/ä.wav"]);
    let expected = [
        ("d/a b.wav".into(), "s1".into(), "happy".into()),
        ("d/ä.wav".into(), "Jörg".into(), "sad".into()),
    ];
    let plain = "path,speaker,emotion\nd/a b.wav,s1,happy\nd/ä.wav,Jörg,sad\n";
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin: Vec<u8> = plain.chars().map(|c| c as u32 as u8).collect();
    let texts: Vec<Vec<u8>> = vec![
        plain.into(),
        format!("\u{feff}{plain}").replace('\n', "\r\n").into(),
        format!("sep=;\r\n{}", plain.replace(',', ";")).into(),
        plain.replace(',', "\t").into(),
        [&b"\xff\xfe"[..], &utf16].concat(),
        latin.clone(),
        "# by hand\n\nFile Name;Spk;Label;;\n\nd\\a b.wav; s1 ;happy;;\n.\\d\\ä.wav;Jörg;sad;;\n;;;;\n".into(),
        ",filename,Speaker_ID,EMOTION\n0,d/a b.wav,s1,happy\n1,./d/ä.wav,Jörg,sad\n".into(),
        "\"wav\",\"actor\",\"class\"\n\"1\",\"d/a b.wav\",\"s1\",\"happy\"\n\"2\",\"d/ä.wav\",\"Jörg\",\"sad\"\n".into(),
    ];
    for text in texts {
        let found = read_with(&tree, &text, &ImportOptions::default())
            .unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(&text)));
        assert_eq!(rows(&found), expected, "{}", String::from_utf8_lossy(&text));
        let warned = findings(&found).contains("Windows-1252");
        assert_eq!(warned, text == latin, "{}", findings(&found));
    }
}

#[test]
fn columns_are_named_where_their_names_do_not_tell() {
    let tree = audio(&["a.wav", "b.wav"]);
    let text = "Datei,Sprecher,Gefühl,rating\na.wav,s1,Wut,3\nb.wav,s2,Freude,4\n";
    let error = read(&tree, text).unwrap_err();
    assert!(
        error.contains("--column path=NAME") && error.contains("Datei, Sprecher"),
        "{error}"
    );
    let named = options(&["path=Datei", "emotion=Gefühl", "speaker=sprecher"]);
    let found = read_with(&tree, text.as_bytes(), &named).unwrap();
    assert_eq!(
        rows(&found)[1],
        ("b.wav".into(), "s2".into(), "Freude".into())
    );
    assert_eq!(found.notes, ["columns that are not used: rating"]);

    let two = "file,class,Target\na.wav,x,y\n";
    let error = read(&tree, two).unwrap_err();
    assert!(
        error.contains("\"class\" and \"Target\"") && error.contains("--column emotion=class"),
        "{error}"
    );
    let found = read_with(&tree, two.as_bytes(), &options(&["emotion=target"])).unwrap();
    assert_eq!(rows(&found)[0].2, "y");
    let error = read_with(&tree, two.as_bytes(), &options(&["emotion=Clas"])).unwrap_err();
    assert!(error.contains("did you mean \"class\""), "{error}");
    let headless = read(&tree, "a.wav,s1,happy\nb.wav,s2,sad\n").unwrap_err();
    assert!(
        headless.contains("path,speaker,emotion above"),
        "{headless}"
    );
}

#[test]
fn recordings_are_found_beside_the_table_or_below_the_root() {
    let tree = audio(&["t/here.wav", "audio/x/There.wav"]);
    let manifest = tree.path().join("t/list.csv");
    tree.write(
        "t/list.csv",
        b"path,emotion,speaker\nhere.wav,sad,s\nx\\There.wav,happy,s\n",
    );
    let error = import(CorpusFormat::Manifest, &manifest, &options(&[])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("line 3, column \"path\"") && error.contains("--root DIR"),
        "{error}"
    );
    let options = ImportOptions {
        root: Some(tree.path().join("audio")),
        ..ImportOptions::default()
    };
    let found = import(CorpusFormat::Manifest, &manifest, &options).unwrap();
    let there = &found.corpus.utterances[1];
    assert!(found.corpus.resolve(there).ends_with("audio/x/There.wav"));

    tree.write(
        "t/list.csv",
        b"path,emotion\nhere,sad\nHERE.wav,sad\nC:\\data\\x.wav,sad\n",
    );
    let error = import(CorpusFormat::Manifest, &manifest, &options).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("there is here.wav") && error.contains("3 of 3 recordings"),
        "{error}"
    );
}

/// As audformat and nkululeko write them: an index of file, start and end as pandas prints times.
#[test]
fn segments_of_files_are_rows() {
    let tree = audio(&["call.wav", "whole.wav"]);
    let text = "file,start,end,speaker,emotion,channel,split\n\
        call.wav,0 days 00:00:00.200000,0 days 00:00:01.500000,s1,happy,0,train\n\
        call.wav,0 days 00:00:01.500000,0 days 00:00:03,s2,sad,0.0,train\n\
        call.wav,0 days 00:00:01.500000,NaT,s2,sad,1,test\n\
        whole.wav,0 days,NaT,s3,sad,,\n";
    let found = read(&tree, text).unwrap();
    let u = &found.corpus.utterances;
    let segment = |start_s, end_s| Some(Segment { start_s, end_s });
    assert_eq!(
        u.iter().map(|u| u.segment).collect::<Vec<_>>(),
        [
            segment(0.2, Some(1.5)),
            segment(1.5, Some(3.0)),
            segment(1.5, None),
            None
        ]
    );
    assert_eq!(
        u.iter().map(|u| u.channel).collect::<Vec<_>>(),
        [Some(0), Some(0), Some(1), None]
    );
    assert_eq!(u[2].split.as_deref(), Some("test"));

    let out = tree.path().join("corpus.csv");
    found.corpus.write(&out).unwrap();
    let text = String::from_utf8(tree.read("corpus.csv")).unwrap();
    assert!(
        text.starts_with("path,corpus,speaker,session,gender,emotion,start,end,channel,split\n")
    );
    assert_eq!(&Corpus::read(&out).unwrap().utterances, u);
}

#[test]
fn times_in_other_columns_and_units() {
    let tree = audio(&["a.wav"]);
    let first = |text: &str, columns: &[&str]| {
        let found = read_with(&tree, text.as_bytes(), &options(columns));
        found.map(|f| f.corpus.utterances[0].segment.map(|s| (s.start_s, s.end_s)))
    };
    for (text, expected) in [
        (
            "path;emotion;start;end\na.wav;x;0,5;1,25\n",
            Some((0.5, Some(1.25))),
        ),
        (
            "path,emotion,Start (ms),End (ms)\na.wav,x,500,1250\n",
            Some((0.5, Some(1.25))),
        ),
        (
            "path,emotion,start,duration\na.wav,x,0.5,0.75\n",
            Some((0.5, Some(1.25))),
        ),
        (
            "path,emotion,offset,duration\na.wav,x,0.5,0.75\n",
            Some((0.5, Some(1.25))),
        ),
        ("path,emotion,offset\na.wav,x,0.5\n", Some((0.5, None))),
        (
            "path,emotion,onset,offset\na.wav,x,0.5,1.25\n",
            Some((0.5, Some(1.25))),
        ),
        (
            "path,emotion,begin,stop\na.wav,x,00:00:00.5,00:00:01.25\n",
            Some((0.5, Some(1.25))),
        ),
        (
            "path,emotion,duration\na.wav,x,1.25\n",
            Some((0.0, Some(1.25))),
        ),
        (
            "path,emotion,start,end,duration\na.wav,x,0.5,1.25,0.75\n",
            Some((0.5, Some(1.25))),
        ),
        ("path,emotion,start,end\na.wav,x,,\n", None),
    ] {
        assert_eq!(first(text, &[]), Ok(expected), "{text}");
    }
    let whole = first("path,emotion,duration\na.wav,x,1.25\n", &["duration="]);
    assert_eq!(whole, Ok(None));
    for (text, expected) in [
        (
            "path,emotion,start,end\na.wav,x,-1,2\n",
            "line 2: the start is -1 s",
        ),
        ("path,emotion,start,end\na.wav,x,2,1\n", "exchanged"),
        ("path,emotion,start,end\na.wav,x,1,1\n", "line 2"),
        ("path,emotion,start,end\na.wav,x,0,250000\n", "64 hours"),
        (
            "path,emotion,start,end\na.wav,x,nought,1\n",
            "line 2, column \"start\"",
        ),
        (
            "path,emotion,duration\na.wav,x,0\n",
            "line 2, column \"duration\"",
        ),
        (
            "path,emotion,start,end,duration\na.wav,x,1,2,3\n",
            "--column duration=",
        ),
        (
            "path,emotion,start,offset\na.wav,x,1,2\n",
            "--column end=offset",
        ),
        (
            "path,emotion,start_sample\na.wav,x,16000\n",
            "counts samples",
        ),
        (
            "path,emotion,channel\na.wav,x,telephone\n",
            "--column channel=",
        ),
        (
            "path,emotion,start\na.wav,x,1\na.wav,y,1.0\n",
            "line 3, column \"path\"",
        ),
        (
            "path;emotion;start\na.wav;x;0,5\na.wav;x;1.5\n",
            "decimal marks",
        ),
    ] {
        let error = first(text, &[]).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn rows_without_speaker_or_label_are_said() {
    let tree = audio(&["a.wav", "b.wav", "c.wav"]);
    let found = read(&tree, "path,emotion\na.wav,x\nb.wav,y\nc.wav,\n").unwrap();
    assert_eq!(
        rows(&found),
        [
            ("a.wav".into(), "unknown".into(), "x".into()),
            ("b.wav".into(), "unknown".into(), "y".into())
        ]
    );
    let text = findings(&found);
    assert!(text.contains("nothing says who speaks"), "{text}");
    assert!(text.contains("1 rows have no label"), "{text}");
    let found = read(&tree, "path,emotion,speaker\na.wav,x,s1\nb.wav,y,NA\n").unwrap();
    assert!(findings(&found).contains("1 of 2 rows do not say who speaks"));
    // A corpus file is measured as it stands, so there a label must not be missing.
    tree.write("c.csv", b"path,emotion\na.wav,\n");
    let error = Corpus::read(&tree.path().join("c.csv")).unwrap_err();
    assert!(
        error.to_string().contains("line 2, column \"emotion\""),
        "{error}"
    );
}

/// A corpus that would teach the wrong thing is told of before anything is measured or trained.
#[test]
fn labels_and_columns_that_mislead_are_warned_about() {
    let tree = Tree::new();
    let mut text = "path,speaker,emotion\n".to_owned();
    for i in 0..24 {
        // Anger was recorded elsewhere, at another rate.
        let (emotion, rate) = [
            ("angry", 44_100),
            ("happy", 16_000),
            ("Happy ", 16_000),
            ("sad", 16_000),
        ][i % 4];
        tree.write(&format!("{i}.wav"), &wav(i as u32, rate));
        text.push_str(&format!(
            "{i}.wav,{}{},\"{emotion}\"\n",
            ["s", "S"][i / 12],
            i % 3
        ));
    }
    tree.write("list.csv", text.as_bytes());
    let (list, out) = (tree.path().join("list.csv"), tree.path().join("out.csv"));
    let args = [
        "corpus",
        "manifest",
        list.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
    ];
    let (code, printed) = ser_train(&args);
    assert_eq!(code, Some(0), "{printed}");
    for expected in [
        "labels that differ only in how they are written",
        "\"Happy\" (6 rows), \"happy\" (6 rows)",
        "speakers that differ only",
        "the sampling rate alone tells \"angry\" from the other labels in 100 % of rows",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    let (code, printed) = ser_train(&[&args[..], &["--strict"]].concat());
    assert_eq!(code, Some(1), "{printed}");
}

#[test]
fn a_corpus_of_one_label_is_refused_unless_it_is_asked_for() {
    let tree = Tree::new();
    tree.write("a.wav", &wav(1, 16_000));
    tree.write("b.wav", &wav(2, 16_000));
    tree.write(
        "list.csv",
        b"path,speaker,emotion,mood\na.wav,s,1,sad\nb.wav,s,1,happy\n",
    );
    let (list, out) = (tree.path().join("list.csv"), tree.path().join("out.csv"));
    let args = [
        "corpus",
        "manifest",
        list.to_str().unwrap(),
        "-o",
        out.to_str().unwrap(),
    ];
    let (code, printed) = ser_train(&args);
    assert_eq!(code, Some(1), "{printed}");
    assert!(
        printed.contains("all 2 recordings have the label \"1\"")
            && printed.contains("--column emotion=NAME"),
        "{printed}"
    );
    for more in [&["--labels", "1"][..], &["--column", "emotion=mood"]] {
        let (code, printed) = ser_train(&[&args[..], more].concat());
        assert_eq!(code, Some(0), "{printed}");
    }
}

#[test]
fn no_advice_about_writing_follows_a_failed_read() {
    let missing = Path::new("/no/such/table.csv");
    let error = import(CorpusFormat::Manifest, missing, &options(&[])).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("cannot read /no/such/table.csv") && !text.contains("write"),
        "{text}"
    );
    let tree = Tree::new();
    tree.write(
        "list.xlsx",
        b"PK\x03\x04\x14\0\x06\0\x08\0\0\0!\0[Content_Types].xml",
    );
    let error = import(
        CorpusFormat::Manifest,
        &tree.path().join("list.xlsx"),
        &options(&[]),
    );
    assert!(error.unwrap_err().to_string().contains("save it as CSV"));
}

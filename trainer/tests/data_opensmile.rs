//! Tables of openSMILE, its Python package, pandas and spreadsheets, as they are.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ser_features::{FeatureSet, feature_names};
use ser_trainer::Error;
use ser_trainer::table::{
    ColumnMap, Duplicates, FeatureSetTag, FeatureTable, ImportOptions, Imported, MetaField,
    ReadOptions, RowMeta, WantedSet, import, read_all,
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.at(name), text).unwrap();
        self.at(name)
    }
}

fn import_text(name: &str, text: &str, options: &ImportOptions) -> Result<Imported, Error> {
    let folder = Folder::new();
    import(&[folder.file(name, text)], options)
}

fn paths(table: &FeatureTable) -> Vec<&str> {
    table.meta.iter().map(|m| m.path.as_str()).collect()
}

fn emotions(table: &FeatureTable) -> Vec<&str> {
    table.meta.iter().map(|m| m.emotion.as_str()).collect()
}

/// Labels and speakers from names such as `a-sad.wav`.
fn from_name() -> ImportOptions {
    ImportOptions {
        from_path: Some(regex_lite::Regex::new("(?<speaker>[a-z]+)-(?<emotion>[a-z]+)").unwrap()),
        ..Default::default()
    }
}

/// As SMILExtract 3.0 writes it: escaped names, a class of its own invention.
const ARFF_3: &str = r"@relation smile

@attribute name string
@attribute frameIndex numeric
@attribute frameTime numeric
@attribute pcm_RMSenergy_max numeric
@attribute pcm_RMSenergy_min numeric
@attribute class {0,1,2,3}

@data

'C:\\data\\new dir\\a-sad.wav',0,0.000000,1.118037e-02,5.096888e-03,0
'o\'brien, b-happy.wav',0,0.000000,9.800509e-03,5.657476e-03,0
";

/// As SMILExtract 2.x writes it: names as they are, a comma at the end of each line.
const ARFF_2: &str = "@relation 'openSMILE features'\r\n\r\n@attribute name string\r\n\
    @attribute frameTime numeric\r\n@attribute 'F0 final' numeric\r\n@attribute e numeric\r\n\
    @attribute class numeric\r\n\r\n@data\r\n\r\n'C:\\new\\a-sad.wav',0.0,1.5,2,?,\r\n\
    'd'or, b-happy.wav',0.0,-2.5,3,?,\r\n";

#[test]
fn arff_of_both_versions_under_any_name() {
    for name in ["t.arff", "t.csv", "t.txt", "t.parquet", "t"] {
        let t = import_text(name, ARFF_3, &from_name()).unwrap().read.table;
        assert_eq!(t.names, ["pcm_RMSenergy_max", "pcm_RMSenergy_min"]);
        assert_eq!(
            paths(&t),
            [r"C:\data\new dir\a-sad.wav", "o'brien, b-happy.wav"]
        );
        assert_eq!(emotions(&t), ["sad", "happy"]);
        let t = import_text(name, ARFF_2, &from_name()).unwrap().read.table;
        assert_eq!(t.names, ["F0 final", "e"]);
        assert_eq!(t.values, [1.5, 2.0, -2.5, 3.0]);
        assert_eq!(paths(&t), [r"C:\new\a-sad.wav", "d'or, b-happy.wav"]);
    }
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(ARFF_3.encode_utf16().flat_map(u16::to_le_bytes));
    let folder = Folder::new();
    let imported = import(&[folder.file("t.csv", utf16)], &from_name()).unwrap();
    assert_eq!(imported.read.table.rows, 2);
}

#[test]
fn a_class_that_the_extractor_made_up_is_no_label() {
    let classes = [
        ("numeric", "0.000000"),
        ("numeric", "?"),
        ("{0,1,2,3}", "1"),
        ("string", "unassigned"),
        ("{unassigned}", "unassigned"),
        ("", "?"),
        ("", "0"),
    ];
    for (kind, value) in classes {
        let text = format!(
            "@relation r\n@attribute name string\n@attribute f numeric\n@attribute class {kind}\n@data\n'a',1,{value}\n'b',2,{value}\n"
        );
        let pattern = regex_lite::Regex::new("(?<speaker>[ab])").unwrap();
        let options = ImportOptions {
            from_path: Some(pattern),
            ..Default::default()
        };
        let error = import_text("t.arff", &text, &options)
            .expect_err(value)
            .to_string();
        assert!(
            error.contains("column \"class\"") && error.contains("--manifest"),
            "{kind} {value}: {error}"
        );
        let folder = Folder::new();
        let with_manifest = ImportOptions {
            manifest: Some(folder.file("m.csv", "path,speaker,emotion\na,s,sad\nb,t,glad\n")),
            ..Default::default()
        };
        let t = import_text("t.arff", &text, &with_manifest).unwrap();
        assert_eq!(emotions(&t.read.table), ["sad", "glad"], "{kind} {value}");
        // Whoever says that it is a label is believed.
        if value == "1" {
            let sure = ImportOptions {
                read: ReadOptions {
                    columns: ColumnMap {
                        fields: [(MetaField::Emotion, "class".to_owned())].into(),
                        ..Default::default()
                    },
                    ..Default::default()
                },
                ..options
            };
            let t = import_text("t.arff", &text, &sure).unwrap().read.table;
            assert_eq!(emotions(&t), ["1", "1"]);
        }
    }
    // Classes that differ are labels, also as numbers.
    let text = "@attribute name string\n@attribute f numeric\n@attribute speaker string\n@attribute class numeric\n@data\n\
        'a',1,s,0.000000\n'b',2,t,1.000000\n";
    let t = import_text("t.arff", text, &ImportOptions::default()).unwrap();
    assert_eq!(emotions(&t.read.table), ["0", "1"]);
    // A speaker in the last place is no label.
    let text = "@attribute name string\n@attribute f numeric\n@attribute speaker {s,t}\n@data\na-sad,1,s\nb-glad,2,t\n";
    let error = import_text("t.arff", text, &ImportOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("\"emotion\" is missing"),
        "{error}"
    );
}

#[test]
fn recordings_that_opensmile_does_not_name_are_nameless() {
    let text = "name;frameTime;f\n'unknown';0;1\n'unknown';0;2\n";
    let folder = Folder::new();
    let options = ImportOptions {
        manifest: Some(folder.file("m.csv", "path,speaker,emotion\na,s,sad\nb,t,glad\n")),
        ..Default::default()
    };
    let error = import_text("t.csv", text, &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("--join order"), "{error}");
    let options = ImportOptions {
        join: ser_trainer::table::Join::Order,
        ..options
    };
    let t = import_text("t.csv", text, &options).unwrap().read.table;
    assert_eq!(paths(&t), ["a", "b"]);
}

/// A table of `set` as text, columns in the order of `order`, with what `more` puts before and behind.
fn whole_set(
    set: FeatureSet,
    rows: &[&str],
    header: &str,
    order: impl Fn(usize) -> usize,
) -> String {
    let names = feature_names(set);
    let mut text = header.to_owned();
    for i in 0..names.len() {
        let _ = write!(text, ",{}", names[order(i)]);
    }
    text.push('\n');
    for (r, row) in rows.iter().enumerate() {
        text.push_str(row);
        for i in 0..names.len() {
            let _ = write!(text, ",{}.5", order(i) + r);
        }
        text.push('\n');
    }
    text
}

#[test]
fn all_names_of_a_set_are_that_set_whoever_wrote_them() {
    let folder = Folder::new();
    for set in FeatureSet::ALL {
        let names = feature_names(set);
        let reversed = |i: usize| names.len() - 1 - i;
        let text = whole_set(
            set,
            &["0,a,s,sad,xy,30", "1,b,t,glad,z,40"],
            "Unnamed: 0,file,speaker,emotion,remark,age",
            reversed,
        );
        // As R writes names: no brackets, no hyphens.
        let r_names = text
            .replace(['[', ']'], ".")
            .replacen("iqr1-2", "iqr1.2", 1000);
        for (name, text) in [("t.csv", &text), ("r.csv", &r_names)] {
            let path = folder.file(name, text);
            let read = FeatureTable::read_with(&path, &ReadOptions::default()).unwrap();
            assert_eq!(read.table.feature_set.id, set.id());
            assert_eq!(read.table.names, names);
            let expected: Vec<f32> = (0..names.len()).map(|i| i as f32 + 0.5).collect();
            assert_eq!(read.table.row(0), expected);
            assert!(
                read.notes.iter().any(|n| n.contains(set.id())),
                "{:?}",
                read.notes
            );
            assert_eq!(read.ignored, ["Unnamed: 0", "remark", "age"]);
            // What this program writes of it keeps all.
            let out = folder.at("out.parquet");
            read.table.write(&out).unwrap();
            assert_eq!(FeatureTable::read(&out).unwrap(), read.table);
            let custom = ReadOptions {
                columns: ColumnMap {
                    drop: ["remark".to_owned()].into(),
                    ..Default::default()
                },
                feature_set: WantedSet::Custom,
                ..Default::default()
            };
            let read = FeatureTable::read_with(&path, &custom).unwrap();
            assert!(read.table.feature_set.is_custom());
        }
    }
}

#[test]
fn a_table_of_ours_that_was_called_custom_is_recognised_and_still_checked() {
    let folder = Folder::new();
    let names = feature_names(FeatureSet::Emobase2010);
    let meta = RowMeta {
        path: "a".into(),
        corpus: "c".into(),
        speaker: "s".into(),
        session: None,
        gender: None,
        emotion: "sad".into(),
        sample_rate: None,
        start_s: None,
        duration_s: None,
        copy: None,
    };
    let table = FeatureTable {
        feature_set: FeatureSetTag::custom(),
        names: names.iter().rev().cloned().collect(),
        rows: 1,
        values: (0..1582).map(|i| i as f32).collect(),
        meta: vec![meta],
    };
    let path = folder.at("t.parquet");
    table.write(&path).unwrap();
    let read = FeatureTable::read(&path).unwrap();
    assert_eq!(read.feature_set.id, "emobase2010");
    assert_eq!((read.values[0], read.values[1581]), (1581.0, 0.0));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).position(|w| w == 777f32.to_le_bytes());
    bytes[at.unwrap()] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(FeatureTable::read(&path).is_err());
}

#[test]
fn a_set_that_is_asked_for_or_stated_must_be_whole() {
    let folder = Folder::new();
    let text = whole_set(
        FeatureSet::Emobase2010,
        &["a,s,sad"],
        "file,speaker,emotion",
        |i| i,
    )
    .replacen("pcm_loudness_sma_maxPos", "loud", 1);
    let path = folder.file("t.csv", &text);
    let asked = ReadOptions {
        feature_set: "emobase2010".parse().unwrap(),
        ..Default::default()
    };
    let error = FeatureTable::read_with(&path, &asked)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("asks for emobase2010, but 1 of the 1582")
            && error.contains("pcm_loudness_sma_maxPos")
            && error.contains("\"loud\""),
        "{error}"
    );
    let read = FeatureTable::read_with(&path, &ReadOptions::default()).unwrap();
    assert!(read.table.feature_set.is_custom());
    assert!(read.notes[0].contains("nearly"), "{:?}", read.notes);
    let stated = format!(
        "# ser-edge feature table; feature_set=emobase2010; extractor=1; ser-edge=0.1.0,,,\n{text}"
    );
    let error = FeatureTable::read(&folder.file("t.csv", stated))
        .unwrap_err()
        .to_string();
    assert!(error.contains("says that it holds emobase2010"), "{error}");
    assert!(
        "emobase"
            .parse::<WantedSet>()
            .unwrap_err()
            .contains("is10-paraling-compat")
    );
}

#[test]
fn python_tables_with_segments_and_spreadsheets_with_decimal_commas() {
    let folder = Folder::new();
    let text = "file,start,end,F0,speaker,emotion\n\
        a.wav,0 days 00:00:00,0 days 00:00:01.500000,1,s,sad\n\
        a.wav,0 days 00:00:01.500000,NaT,2,s,glad\n";
    let t = FeatureTable::read(&folder.file("t.csv", text)).unwrap();
    assert_eq!(t.names, ["F0"]);
    assert_eq!(
        (t.meta[0].start_s, t.meta[0].duration_s),
        (Some(0.0), Some(1.5))
    );
    assert_eq!((t.meta[1].start_s, t.meta[1].duration_s), (Some(1.5), None));
    let text = "file;speaker;emotion;start_ms;F0;e\na.wav;3.0;sad;250;1,5;2\nb.wav;4.0;glad;0;-2,5E-03;3\n";
    let t = FeatureTable::read(&folder.file("e.csv", text)).unwrap();
    assert_eq!(t.values, [1.5, 2.0, -2.5e-3, 3.0]);
    assert_eq!(t.speakers(), ["3", "4"]);
    assert_eq!(t.meta[0].start_s, Some(0.25));
    let error =
        FeatureTable::read(&folder.file("c.csv", "file,speaker,emotion,F0\na,s,sad,\"1,5\"\n"));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("semicolons") && !error.contains("drop"),
        "{error}"
    );
}

#[test]
fn manifests_find_windows_paths_and_segments() {
    let folder = Folder::new();
    let with = |manifest: &str| ImportOptions {
        manifest: Some(folder.file("m.csv", manifest)),
        ..Default::default()
    };
    let t = import_text(
        "t.arff",
        ARFF_3,
        &with("path,speaker,emotion\nx/a-sad.flac,s,sad\ny/b-happy.wav,t,happy\n"),
    );
    let error = t.unwrap_err().to_string();
    assert!(
        error.contains("row 2: \"o'brien, b-happy.wav\" is not in"),
        "{error}"
    );
    let t = import_text(
        "t.arff",
        ARFF_2,
        &with("path,speaker,emotion\nx/a-sad.flac,s,sad\n\"d'or, b-happy.wav\",t,happy\n"),
    );
    assert_eq!(emotions(&t.unwrap().read.table), ["sad", "happy"]);
    let text = "file,start,end,F0\n\
        a.wav,0 days 00:00:00,0 days 00:00:01.500000,1\n\
        a.wav,0 days 00:00:01.500000,NaT,2\n";
    let segments = "file,start,end,speaker,emotion\na.wav,1.5,3,s,sad\na.wav,0,1.5,t,glad\n";
    let t = import_text("t.csv", text, &with(segments))
        .unwrap()
        .read
        .table;
    assert_eq!(emotions(&t), ["glad", "sad"]);
    assert_eq!(t.speakers(), ["s", "t"]);
}

/// Our own CSV, saved again by a spreadsheet: what it says of itself survives, or its names speak.
#[test]
fn our_own_csv_comes_back_from_a_spreadsheet() {
    let folder = Folder::new();
    let text = whole_set(
        FeatureSet::Emobase2010,
        &["a,s,sad", "b,t,glad"],
        "path,speaker,emotion",
        |i| i,
    );
    let mut table = FeatureTable::read(&folder.file("t.csv", text)).unwrap();
    table.feature_set = FeatureSetTag {
        id: "emobase2010".to_owned(),
        extractor_version: Some("1".to_owned()),
        hearing: Some(ser_runtime::hearing::Hearing::default().into()),
    };
    let path = folder.at("t.csv");
    table.write(&path).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    let (comment, rows) = written.split_once('\n').unwrap();
    let quoted = |cell: &str| match cell.contains('"') {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    };
    for (delimiter, point) in [(",", "."), (";", ",")] {
        let cells: Vec<String> = comment.split(',').map(quoted).collect();
        let rows = rows
            .replace(',', "\t")
            .replace('.', point)
            .replace('\t', delimiter);
        let filled = delimiter.repeat(1592 - cells.len());
        let text = format!("{}{filled}\r\n{rows}", cells.join(delimiter));
        assert_eq!(
            FeatureTable::read(&folder.file("s.csv", &text)).unwrap(),
            table
        );
        // A line that was changed further says nothing.
        let text = text.replace("sample_rate", "rate");
        let read = FeatureTable::read_with(&folder.file("s.csv", &text), &ReadOptions::default());
        let read = read.unwrap();
        assert_eq!(read.table.feature_set.id, "emobase2010");
        assert_eq!(read.table.feature_set.hearing, None);
        assert!(
            read.notes.iter().any(|n| n.contains("changed the line")),
            "{:?}",
            read.notes
        );
    }
}

#[test]
fn keys_are_no_features() {
    let folder = Folder::new();
    let manifest = folder.file("m.csv", "path,speaker,emotion\nx1,s,sad\nx2,t,glad\n");
    let table = folder.file("t.csv", "id,F0\nx1,1\nx2,2\n");
    let mut options = ImportOptions {
        manifest: Some(manifest),
        ..Default::default()
    };
    let error = import(std::slice::from_ref(&table), &options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("--column path=id"), "{error}");
    options.read.columns.fields = [(MetaField::Path, "id".to_owned())].into();
    let t = import(&[table], &options).unwrap().read.table;
    assert_eq!(
        (t.names.as_slice(), emotions(&t)),
        (&["F0".to_owned()][..], vec!["sad", "glad"])
    );
    // Names of a data frame's rows are better than none.
    let table = folder.file("u.csv", ",F0\nx1,1\nx2,2\n");
    options.read.columns.fields.clear();
    let t = import(&[table], &options).unwrap().read.table;
    assert_eq!(paths(&t), ["x1", "x2"]);
}

#[test]
fn broken_rows_are_named_or_left_out() {
    let folder = Folder::new();
    let text = "path,speaker,emotion,f1,f2\na,s,sad,1,2\nb,s,sad,NaN,2\nc,s,glad,1,-1.#IND\nd,t,glad\ne,t,,1,2\nf,t,glad,3,4\n";
    let csv = folder.file("t.csv", text);
    let error = FeatureTable::read(&csv).unwrap_err().to_string();
    assert!(
        error.contains("t.csv: row 2, column \"f1\": the value is NaN")
            && error.contains("--skip-broken"),
        "{error}"
    );
    let options = ReadOptions {
        skip_broken: true,
        ..Default::default()
    };
    let read = FeatureTable::read_with(&csv, &options).unwrap();
    assert_eq!(paths(&read.table), ["a", "f"]);
    assert_eq!(read.table.values, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read.broken.len(), 4, "{:?}", read.broken);
    assert!(
        read.broken[3].contains("row 5 has no emotion"),
        "{:?}",
        read.broken
    );
    let all = folder.file("u.csv", "path,speaker,emotion,f1\na,s,sad,\nb,s,sad,\n");
    let error = FeatureTable::read_with(&all, &options)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("every one of the 2 rows") && error.contains("row 1, column \"f1\""),
        "{error}"
    );
}

fn rows(folder: &Folder, name: &str, text: &str) -> PathBuf {
    folder.file(name, format!("path,corpus,speaker,emotion,{text}"))
}

fn joined(paths: &[PathBuf], duplicates: Duplicates) -> Result<FeatureTable, String> {
    read_all(paths, &ReadOptions::default(), duplicates)
        .map(|read| read.table)
        .map_err(|e| e.to_string())
}

#[test]
fn several_tables_are_one_below_the_other() {
    let folder = Folder::new();
    let a = rows(&folder, "a.csv", "f,g\na1,x,s,sad,1,2\na2,x,t,glad,3,4\n");
    let b = rows(&folder, "b.csv", "g,f\nb1,y,s,sad,6,5\n");
    let t = joined(&[a.clone(), b], Duplicates::Refuse).unwrap();
    assert_eq!(t.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!((t.meta[2].corpus.as_str(), t.rows), ("y", 3));

    let other = rows(&folder, "o.csv", "f,h\nb1,y,s,sad,6,5\n");
    let error = joined(&[a.clone(), other], Duplicates::Refuse).unwrap_err();
    assert!(
        error.contains("without \"g\"") && error.contains("with \"h\"") && error.contains("o.csv"),
        "{error}"
    );

    // The same name, and other names of the same recording.
    for text in [
        "f,g\na2,x,t,glad,9,9\nn,x,t,glad,8,8\n",
        "f,g\nc2,y,t,glad,3,4\nn,x,t,glad,8,8\n",
    ] {
        let twice = rows(&folder, "t.csv", text);
        let error = joined(&[a.clone(), twice.clone()], Duplicates::Refuse).unwrap_err();
        assert!(
            error.contains("t.csv: row 1")
                && error.contains("row 2 of")
                && error.contains("--drop-duplicates"),
            "{error}"
        );
        let t = joined(&[a.clone(), twice], Duplicates::KeepFirst).unwrap();
        assert_eq!(paths(&t), ["a1", "a2", "n"]);
    }
    let contradicts = rows(&folder, "t.csv", "f,g\nc2,y,t,sad,3,4\n");
    let error = joined(&[a, contradicts], Duplicates::KeepFirst).unwrap_err();
    assert!(error.contains("'sad' here and 'glad' there"), "{error}");
}

#[test]
fn halves_of_one_corpus_do_not_make_two_people_of_a_speaker_unsaid() {
    let folder = Folder::new();
    let parts = [
        folder.file("p1.csv", "path,speaker,emotion,f\na,s,sad,1\nb,t,glad,2\n"),
        folder.file("p2.csv", "path,speaker,emotion,f\nc,s,sad,3\n"),
    ];
    let imported = import(&parts, &ImportOptions::default()).unwrap();
    assert!(
        imported
            .read
            .notes
            .iter()
            .any(|n| n.contains("--corpus-name") && n.contains("\"s\"")),
        "{:?}",
        imported.read.notes
    );
    let named = ImportOptions {
        corpus: Some("mine".to_owned()),
        ..Default::default()
    };
    let imported = import(&parts, &named).unwrap();
    assert!(imported.read.notes.is_empty());
    assert_eq!(imported.read.table.rows, 3);
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let folder = Folder::new();
    for (bytes, expected) in [
        (&b"PK\x03\x04[Content_Types].xml"[..], "Excel"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"\x93NUMPY\x01\0v\0", "NumPy"),
        (b"", "0 bytes"),
    ] {
        let error = FeatureTable::read(&folder.file("t.csv", bytes)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let error = FeatureTable::check_writable(Path::new("t.xlsx"))
        .unwrap_err()
        .to_string();
    assert!(!error.contains("arff"), "{error}");
}

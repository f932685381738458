//! Feature tables made elsewhere: openSMILE's CSV and ARFF, any CSV, and bytes of no meaning.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use ser_trainer::Error;
use ser_trainer::table::{
    ColumnMap, FeatureTable, ImportOptions, Imported, Join, MetaField, ReadOptions, import,
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn import_text(name: &str, text: &str, options: &ImportOptions) -> Result<Imported, Error> {
    let folder = Folder::new();
    import(&[folder.file(name, text)], options)
}

fn who(table: &FeatureTable) -> Vec<(&str, &str, &str)> {
    table
        .meta
        .iter()
        .map(|m| (m.path.as_str(), m.speaker.as_str(), m.emotion.as_str()))
        .collect()
}

const SMILE_CSV: &str = "name;frameTime;pcm_loudness_sma_maxPos;mfcc_sma[0]_amean\n\
    'wav/03a01Fa.wav';0.000000;1.500000e+00;-2.25\n\
    'wav/08a01Wa.wav';0.000000;7;1e-3\n";

const SMILE_ARFF: &str = "@relation SMILEfeatures\n\n@attribute name string\n@attribute frameTime numeric\n\
    @attribute F0_sma numeric\n@ATTRIBUTE 'mfcc sma[1]' REAL\n@attribute class numeric\n\n@data\n\n\
    '03a01Fa.wav',0.0,1.5,-2.25,?\n% a comment\n'08a01Wa.wav',0.0,7,1e-3,?\n";

const MANIFEST: &str =
    "path,speaker,emotion,gender\nx/08a01Wa.flac,s08,angry,F\nx/03a01Fa.flac,s03,happy,M\n";

#[test]
fn opensmile_csv_joins_a_manifest_by_name() {
    let folder = Folder::new();
    let options = ImportOptions {
        manifest: Some(folder.file("m.csv", MANIFEST)),
        ..Default::default()
    };
    let imported = import(&[folder.file("is10.csv", SMILE_CSV)], &options).unwrap();
    let t = imported.read.table;
    assert_eq!(t.names, ["pcm_loudness_sma_maxPos", "mfcc_sma[0]_amean"]);
    assert_eq!(t.values, [1.5, -2.25, 7.0, 1.0e-3]);
    assert_eq!(
        who(&t),
        [
            ("wav/03a01Fa.wav", "s03", "happy"),
            ("wav/08a01Wa.wav", "s08", "angry")
        ]
    );
    assert_eq!(
        (t.meta[0].gender.as_deref(), t.meta[0].corpus.as_str()),
        (Some("M"), "is10")
    );
    assert_eq!(imported.read.ignored, ["frameTime"]);
    assert!(t.feature_set.is_custom());
}

#[test]
fn the_python_packages_csv_joins_too() {
    let folder = Folder::new();
    let text = "file,start,end,F0\na/03a01Fa.wav,0 days,0 days 00:00:01.898250,3.5\n";
    let options = ImportOptions {
        manifest: Some(folder.file("m.csv", MANIFEST)),
        ..Default::default()
    };
    let t = import(&[folder.file("t.csv", text)], &options)
        .unwrap()
        .read
        .table;
    assert_eq!(
        (t.names.as_slice(), t.values.as_slice()),
        (&["F0".to_owned()][..], &[3.5][..])
    );
    assert_eq!(who(&t), [("a/03a01Fa.wav", "s03", "happy")]);
}

#[test]
fn arff_takes_fields_from_the_name_or_its_own_class() {
    let pattern =
        regex_lite::Regex::new("(?<speaker>[0-9]{2})[ab][0-9]{2}(?<emotion>[A-Z])").unwrap();
    let options = ImportOptions {
        from_path: Some(pattern),
        map: [("W".to_owned(), "angry".to_owned())].into(),
        ..Default::default()
    };
    let t = import_text("t.arff", SMILE_ARFF, &options)
        .unwrap()
        .read
        .table;
    assert_eq!(t.names, ["F0_sma", "mfcc sma[1]"]);
    assert_eq!(t.values, [1.5, -2.25, 7.0, 1.0e-3]);
    assert_eq!(
        who(&t),
        [("03a01Fa.wav", "03", "F"), ("08a01Wa.wav", "08", "angry")]
    );

    let weka = "@relation r\n@attribute spk {a, 'b c'}\n@attribute f1 numeric\n@attribute mood {glad,\"very sad\"}\n@data\n'b c', 1, \"very sad\"\na,2,glad\n";
    let t = import_text("t.arff", weka, &ImportOptions::default())
        .unwrap()
        .read
        .table;
    assert_eq!(
        who(&t),
        [("t.arff#1", "b c", "very sad"), ("t.arff#2", "a", "glad")]
    );
    assert_eq!(t.names, ["f1"]);
}

#[test]
fn rows_join_in_order_when_asked() {
    let folder = Folder::new();
    let manifest = Some(folder.file("m.csv", MANIFEST));
    let table = folder.file("t.csv", "f1,f2\n1,2\n3,4\n");
    let options = ImportOptions {
        manifest,
        join: Join::Order,
        ..Default::default()
    };
    let t = import(&[table], &options).unwrap().read.table;
    assert_eq!(
        who(&t),
        [
            ("x/08a01Wa.flac", "s08", "angry"),
            ("x/03a01Fa.flac", "s03", "happy")
        ]
    );
    let longer = folder.file("u.csv", "f1,f2\n1,2\n3,4\n5,6\n");
    let error = import(&[longer], &options).unwrap_err().to_string();
    assert!(
        error.contains("3 rows") && error.contains("has 2"),
        "{error}"
    );
}

#[test]
fn columns_of_other_names_are_mapped_and_dropped() {
    let text = "\"\",Sprecher,Laune,note,f1\n0,a,froh,x,1\n1,b,traurig,y,2\n";
    let map = |drop: &str| ImportOptions {
        read: ReadOptions {
            columns: ColumnMap {
                fields: [
                    (MetaField::Speaker, "Sprecher".to_owned()),
                    (MetaField::Emotion, "Laune".to_owned()),
                ]
                .into(),
                drop: [drop.to_owned()].into(),
            },
            ..Default::default()
        },
        labels: Some(["froh".to_owned()].into()),
        ..Default::default()
    };
    let imported = import_text("t.csv", text, &map("note")).unwrap();
    assert_eq!(who(&imported.read.table), [("t.csv#1", "a", "froh")]);
    assert_eq!(
        (imported.read.table.rows, imported.left_out["traurig"]),
        (1, 1)
    );
    let error = import_text("t.csv", text, &map("Note"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("\"Note\" is missing") && error.contains("did you mean \"note\""),
        "{error}"
    );
}

#[test]
fn what_does_not_fit_is_refused_by_row() {
    let folder = Folder::new();
    let with = |manifest: &str| ImportOptions {
        manifest: Some(folder.file(&format!("m{}.csv", manifest.len()), manifest)),
        ..Default::default()
    };
    let pattern = |p: &str| ImportOptions {
        from_path: Some(regex_lite::Regex::new(p).unwrap()),
        ..Default::default()
    };
    let cases = [
        (
            "t.csv",
            SMILE_CSV,
            ImportOptions::default(),
            "column \"speaker\" is missing",
        ),
        (
            "t.csv",
            SMILE_CSV,
            with("path,speaker,emotion\n03a01Fa.wav,s,e\n"),
            "row 2: \"wav/08a01Wa.wav\" is not in",
        ),
        (
            "t.csv",
            SMILE_CSV,
            with("path,speaker,emotion\na/03a01Fa.wav,s,e\nb/03a01Fa.wav,s,e\n"),
            "row 1: \"wav/03a01Fa.wav\" fits 2 lines",
        ),
        (
            "t.csv",
            "path,speaker,emotion,f\n03a01Fa,s03,sad,1\n",
            with(MANIFEST),
            "row 1: the emotion is \"sad\" in the table, but \"happy\"",
        ),
        ("t.csv", "f\n1\n", with(MANIFEST), "--join order"),
        (
            "t.csv",
            SMILE_CSV,
            pattern("(?<speaker>[0-9]+)a01W"),
            "row 1: the pattern does not match",
        ),
        (
            "t.csv",
            SMILE_CSV,
            pattern("(?<spkr>[0-9]+)"),
            "\"spkr\" is none of",
        ),
        ("t.csv", SMILE_CSV, pattern("[0-9]+"), "no named group"),
        ("t.arff", "", ImportOptions::default(), "0 bytes"),
        (
            "t.arff",
            "@relation r\n",
            ImportOptions::default(),
            "no @data",
        ),
        (
            "t.arff",
            "@relation r\n@attribute f numeric\n@data\n",
            ImportOptions::default(),
            "no rows",
        ),
        ("t.arff", "hello\n", ImportOptions::default(), "no rows"),
        (
            "t.arff",
            "@attribute f numeric\n@attribute f numeric\n@data\n1,2\n",
            ImportOptions::default(),
            "both named \"f\"",
        ),
        (
            "t.arff",
            "@attribute f numeric\n@attribute class {a,b}\n@data\n1,a\n2,c\n",
            ImportOptions::default(),
            "line 5: \"c\" is no value",
        ),
        (
            "t.arff",
            "@attribute f numeric\n@attribute class {a,b}\n@data\n{0 1}\n",
            ImportOptions::default(),
            "line 4: a sparse row",
        ),
        (
            "t.arff",
            "@attribute f numeric\n@attribute g numeric\n@data\n1,2\n3\n",
            ImportOptions::default(),
            "row 2, line 5: 1 fields, the header has 2",
        ),
        (
            "t.arff",
            "@attribute f numeric\n@attribute g numeric\n@data\n1,?\n",
            ImportOptions::default(),
            "row 1, column \"g\": the value is missing",
        ),
        (
            "t.arff",
            "@attribute f numeric\n@data\n'1\n",
            ImportOptions::default(),
            "line 3: the quotation mark ' is never closed",
        ),
    ];
    for (name, text, options, expected) in cases {
        let error = import_text(name, text, &options)
            .expect_err(expected)
            .to_string();
        assert!(
            error.contains(expected),
            "{error:?} does not say {expected:?}"
        );
        assert!(error.contains(name), "{error}");
    }
}

fn ser_train(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ser-train"))
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn the_command_writes_a_table_that_reads_back() {
    let folder = Folder::new();
    let (table, manifest) = (
        folder.file("t.csv", SMILE_CSV),
        folder.file("m.csv", MANIFEST),
    );
    let out = folder.0.path().join("out.parquet");
    let [table, manifest, out_text] =
        [&table, &manifest, &out].map(|p: &PathBuf| p.to_str().unwrap());
    let done = ser_train(&["import", table, "--manifest", manifest, "-o", out_text]);
    let stdout = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        stdout.contains("2 rows of 2 features (custom) by 2 speakers"),
        "{stdout}"
    );
    assert!(
        stdout.contains("passed over: column \"frameTime\""),
        "{stdout}"
    );
    assert_eq!(
        FeatureTable::read(&out).unwrap().values,
        [1.5, -2.25, 7.0, 1.0e-3]
    );

    let wrong = ser_train(&["import", table, "--column", "speker=x", "-o", out_text]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("\"speker\" is none of path"));
    let arff = ser_train(&["import", table, "--manifest", manifest, "-o", "out.arff"]);
    assert!(String::from_utf8_lossy(&arff.stderr).contains("write .parquet or .csv"));
}

/// Reads the bytes as every kind of table and manifest; what matters is that it returns.
fn read_all(folder: &Path, bytes: &[u8]) {
    for name in ["t.csv", "t.arff", "t.parquet", "t.tsv"] {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        if let Ok(table) = FeatureTable::read(&path) {
            assert_eq!(table.values.len(), table.rows * table.names.len());
            assert!(table.values.iter().all(|v| v.is_finite()));
            assert_eq!(table.meta.len(), table.rows);
        }
        let _ = ser_trainer::corpus::Corpus::read(&path).map(|c| assert!(!c.utterances.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let folder = Folder::new();
        read_all(folder.0.path(), &bytes);
    }

    #[test]
    fn text_close_to_a_table_never_panics(
        head in "(@attribute (a|'b|\"c d\"|f1|class) (numeric|string|\\{x, 'y'\\}|date)\n){0,4}(@data\n)?",
        body in "[-pathspeakremotionf1;,\t\"'\n\r?{}%\\\\ \u{e9}0-9.e]{0,120}",
    ) {
        let folder = Folder::new();
        read_all(folder.0.path(), format!("{head}{body}").as_bytes());
        read_all(folder.0.path(), format!("path,speaker,emotion,f1\n{body}").as_bytes());
    }
}

/// Each byte of a table replaced in several ways: never a panic, and never other numbers than were written.
#[test]
fn damaged_parquet_is_refused_or_harmless() {
    let folder = Folder::new();
    let source = folder.file(
        "s.csv",
        "path,speaker,session,emotion,f1,f2\na,s,,e,1,2\nb,s,1,g,3,4\n",
    );
    let path = folder.0.path().join("t.parquet");
    let table = FeatureTable::read(&source).unwrap();
    table.write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for i in 0..whole.len() {
        for value in [0xff, whole[i] ^ 1, whole[i] ^ 0x80] {
            let mut bytes = whole.clone();
            bytes[i] = value;
            std::fs::write(&path, &bytes).unwrap();
            match FeatureTable::read(&path) {
                Ok(read) => assert_eq!(read.values, table.values, "byte {i} set to {value}"),
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains("t.parquet"), "{error}");
                }
            }
        }
    }
    assert!(refused > whole.len());
}

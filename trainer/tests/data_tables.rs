//! Feature tables through the files that hold them.

use std::path::Path;

use ser_runtime::hearing::Hearing;
use ser_trainer::table::{FeatureSetTag, FeatureTable, RowMeta, TableError};

fn meta(i: usize) -> RowMeta {
    RowMeta {
        path: format!("wav/a, \"b\"/{i}.wav"),
        corpus: "made".to_owned(),
        speaker: format!("made-{:02}", i % 3),
        session: i.is_multiple_of(2).then(|| "1".to_owned()),
        gender: (!i.is_multiple_of(3)).then(|| "F".to_owned()),
        emotion: ["angry", "sad"][i % 2].to_owned(),
        sample_rate: (i != 1).then_some(16000),
        start_s: (i != 0).then_some(i as f32 / 7.0),
        duration_s: (i != 2).then_some(1.25 + i as f32 / 3.0),
        copy: (i == 3).then_some(2),
    }
}

/// Values that text formats get wrong: subnormal, huge, negative zero, not exact in decimal.
fn table(rows: usize, width: usize) -> FeatureTable {
    let odd = [
        1.0e-42,
        f32::MAX,
        -0.0,
        0.1,
        -1.0 / 3.0,
        16_777_217.0,
        f32::MIN_POSITIVE,
    ];
    FeatureTable {
        feature_set: FeatureSetTag::custom(),
        names: (0..width).map(|c| format!("feat[{c}]_amean")).collect(),
        rows,
        values: (0..rows * width)
            .map(|i| odd[i % odd.len()] * if i % 5 == 0 { 0.5 } else { 1.0 })
            .collect(),
        meta: (0..rows).map(meta).collect(),
    }
}

fn bits(table: &FeatureTable) -> Vec<u32> {
    table.values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn parquet_and_csv_give_back_every_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (rows, width) in [(1, 1), (5, 3), (7, 1582)] {
        let mut table = table(rows, width);
        table.feature_set = FeatureSetTag {
            id: "mine-1".to_owned(),
            extractor_version: Some("7".to_owned()),
            hearing: Some(Hearing::default().into()),
        };
        for name in ["t.parquet", "t.csv"] {
            let path = dir.path().join(name);
            table.write(&path).unwrap();
            let back = FeatureTable::read(&path).unwrap();
            assert_eq!(back, table, "{name}");
            assert_eq!(bits(&back), bits(&table), "{name}");
            assert_eq!(back.sha256(), table.sha256(), "{name}");
        }
    }
}

#[test]
fn the_hash_sees_every_part() {
    let original = table(3, 2);
    let mut changed = vec![original.clone(); 7];
    changed[0].values[5] += 1.0;
    changed[1].names[0].push('x');
    changed[2].meta[2].emotion = "happy".to_owned();
    changed[3].feature_set.extractor_version = Some("2".to_owned());
    changed[4].feature_set.hearing = Some(Hearing::WHOLE.into());
    changed[5].meta[1].start_s = Some(0.5);
    changed[6].meta[1].copy = Some(1);
    for t in changed {
        assert_ne!(t.sha256(), original.sha256());
    }
}

#[test]
fn labels_and_speakers_are_sorted_and_distinct() {
    let t = table(6, 1);
    assert_eq!(t.labels(), ["angry", "sad"]);
    assert_eq!(t.speakers(), ["made-00", "made-01", "made-02"]);
    assert_eq!(t.label_counts()["sad"], 3);
}

fn read_text(text: &str) -> Result<FeatureTable, TableError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, text).unwrap();
    FeatureTable::read(&path)
}

#[test]
fn bad_csv_is_refused_by_row_and_column() {
    let cases = [
        ("", "empty"),
        ("\n", "empty"),
        ("path,speaker,emotion,f1\n", "no rows"),
        ("path,speaker,emotion\na,s,e\n", "no feature columns"),
        (
            "path,emotion,f1\na,angry,1\n",
            "column \"speaker\" is missing",
        ),
        ("path,speaker,f1\na,s1,1\n", "column \"emotion\" is missing"),
        (
            "path,speaker,emotion,f1,f1\na,s,e,1,2\n",
            "columns 4 and 5 are both named \"f1\"",
        ),
        (
            "path,speaker,emotion,f1,f2\na,s,e,1,2\nb,s,e,1\n",
            "line 3: 4 fields, the header has 5",
        ),
        (
            "path,speaker,emotion,f1,f2\na,s,e,1,2\nb,s,e,1,NaN\n",
            "row 2, column \"f2\": the value is NaN",
        ),
        (
            "path,speaker,emotion,f1,f2\na,s,e,inf,2\n",
            "row 1, column \"f1\": the value is inf",
        ),
        (
            "path,speaker,emotion,f1,f2\na,s,e,,2\n",
            "row 1, column \"f1\": the value is missing",
        ),
        (
            "path,speaker,emotion,f1,f2\na,s,e,1,loud\n",
            "row 1, column \"f2\": \"loud\" is not a number",
        ),
        (
            "path,speaker,emotion,f1\na,s,e,1\nb,,e,1\n",
            "row 2 has no speaker",
        ),
        (
            "path,speaker,emotion,,f1\na,s,e,1,1\n",
            "column 4 has no name",
        ),
        (
            "path,speaker,emotion,label,f1\na,s,e,l,1\n",
            "\"l\" is not a number",
        ),
        (
            "path,speaker,class,label,f1\na,s,e,l,1\n",
            "both look like the emotion",
        ),
    ];
    for (text, expected) in cases {
        let message = read_text(text).expect_err(text).to_string();
        assert!(
            message.contains(expected),
            "{text:?} gave {message:?}, not {expected:?}"
        );
        assert!(message.contains("t.csv"), "{message}");
    }
}

#[test]
fn other_delimiters_marks_and_aliases_are_understood() {
    let t =
        read_text("\u{feff}FILE;Speaker;label;start;f1\r\n'x.wav';s1;angry;0.0;2.5\r\n").unwrap();
    assert_eq!(
        (t.names.as_slice(), t.values.as_slice()),
        (&["f1".to_owned()][..], &[2.5][..])
    );
    assert_eq!(
        (t.meta[0].path.as_str(), t.meta[0].emotion.as_str()),
        ("x.wav", "angry")
    );
    assert!(t.feature_set.is_custom());
}

#[test]
fn not_even_bad_tables_reach_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let mut nan = table(3, 2);
    nan.values[3] = f32::NAN;
    let message = nan.write(&path).unwrap_err().to_string();
    assert!(
        message.contains("row 2, column \"feat[1]_amean\""),
        "{message}"
    );
    let mut short = table(3, 2);
    short.values.pop();
    assert!(matches!(
        short.write(&path),
        Err(TableError::Inconsistent { .. })
    ));
    let mut twice = table(3, 2);
    twice.names[1] = twice.names[0].clone();
    assert!(matches!(
        twice.write(&path),
        Err(TableError::Inconsistent { .. })
    ));
    assert!(matches!(
        table(1, 1).write(Path::new("t.xlsx")),
        Err(TableError::UnknownFormat { .. })
    ));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn damaged_parquet_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    table(4, 8).write(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 1, 4, 11, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let message = FeatureTable::read(&path).unwrap_err().to_string();
        assert!(message.contains("t.parquet"), "{message}");
    }
    // The contents decide, not the name.
    std::fs::write(&path, "path,speaker,emotion,f1\na,s,e,1\n").unwrap();
    assert_eq!(FeatureTable::read(&path).unwrap().values, [1.0]);
}

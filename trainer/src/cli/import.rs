//! `ser-train import`: feature tables made elsewhere.

use std::path::PathBuf;

use regex_lite::Regex;

use super::corpus::{parse_pair, warn};
use super::tables::{TABLES_ONLY, TableOptions, lines};
use crate::data::checks::Described;
use crate::table::{ColumnMap, FeatureTable, ImportOptions, Join, MetaField, ReadOptions, import};

/// Arguments of `ser-train import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Tables: openSMILE's CSV or ARFF, or any CSV or Parquet file with named feature columns; the rows of several are put together
    #[arg(value_name = "TABLE", required = true)]
    tables: Vec<PathBuf>,
    #[command(flatten)]
    reading: TableOptions,
    /// Table to write: .parquet or .csv
    #[arg(short, long, value_name = "TABLE")]
    output: PathBuf,
    /// CSV file with path, speaker, emotion (and corpus, session, gender) of the rows
    #[arg(long, value_name = "CSV")]
    manifest: Option<PathBuf>,
    /// How rows find their line in the manifest
    #[arg(long, value_enum, default_value_t, requires = "manifest")]
    join: Join,
    /// Which column holds a field that its name does not tell: speaker=Sprecher,path=datei
    #[arg(long, value_delimiter = ',', value_parser = parse_pair, value_name = "FIELD=COLUMN,…")]
    column: Vec<(String, String)>,
    /// Columns to leave out
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    drop: Vec<String>,
    /// Pattern with named groups to find in each row's path: '(?<speaker>[0-9]{2})[ab][0-9]{2}(?<emotion>[A-Z])'
    #[arg(long, value_name = "REGEX", value_parser = |s: &str| Regex::new(s))]
    from_path: Option<Regex>,
    /// Corpus name of rows without one [default: the table's file name]
    #[arg(long, value_name = "NAME")]
    corpus_name: Option<String>,
    /// Labels to keep, by their new names: angry,happy,neutral,sad
    #[arg(long, value_delimiter = ',', value_name = "LABEL,…")]
    labels: Option<Vec<String>>,
    /// Rename labels: W=angry,F=happy
    #[arg(long, value_delimiter = ',', value_parser = parse_pair, value_name = "OLD=NEW,…")]
    map: Vec<(String, String)>,
}

/// Writes the table and prints what is in it.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let mut columns = ColumnMap {
        drop: args.drop.into_iter().collect(),
        ..ColumnMap::default()
    };
    for (field, column) in args.column {
        let known = MetaField::from_name(&field).ok_or_else(|| {
            let fields = MetaField::ALL.map(MetaField::name).join(", ");
            crate::Error::Usage(format!("--column: \"{field}\" is none of {fields}"))
        })?;
        columns.fields.insert(known, column);
    }
    FeatureTable::check_writable(&args.output)?;
    let options = ImportOptions {
        read: ReadOptions {
            columns,
            ..args.reading.read()
        },
        duplicates: args.reading.duplicates(),
        manifest: args.manifest,
        join: args.join,
        from_path: args.from_path,
        corpus: args.corpus_name,
        map: args.map.into_iter().collect(),
        labels: args
            .labels
            .map(|l| l.into_iter().map(|s| s.trim().to_owned()).collect()),
    };
    let imported = import(&args.tables, &options)?;
    let table = &imported.read.table;
    table.write(&args.output)?;
    for line in lines(&imported.read) {
        println!("{line}");
    }
    if table.feature_set.is_custom() {
        println!("{TABLES_ONLY}");
    }
    warn(&Described::table_findings(table, &[]));
    if let [label] = &table.labels()[..] {
        println!(
            "note: every row has the label \"{label}\": a model needs a second one, from another table or another column (--column \
             emotion=NAME)"
        );
    }
    for (label, count) in &imported.left_out {
        println!("left out: {count} × {label}");
    }
    for (label, count) in table.label_counts() {
        println!("{count:>6} × {label}");
    }
    println!(
        "{} rows of {} features ({}) by {} speakers in {}",
        table.rows,
        table.names.len(),
        table.feature_set.id,
        table.speakers().len(),
        args.output.display()
    );
    Ok(())
}

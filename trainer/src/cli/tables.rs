//! Feature tables as arguments: what `fit`, `evaluate` and `import` have in common.

use std::path::PathBuf;

use crate::table::{Duplicates, Read, ReadOptions, WantedSet, read_all};

/// What a model of foreign features can do.
pub const TABLES_ONLY: &str = "note: these columns are no feature set that this program measures: the model will take tables with them, not \
     audio (for a model that takes audio: ser-train extract, or a table with all columns of emobase2010)";

/// Lines of a kind that are printed one by one.
const SHOWN: usize = 10;

/// How tables are read.
#[derive(Debug, Clone, clap::Args)]
pub struct TableOptions {
    /// Leave broken rows out instead of failing: a value that is missing, NaN or no number, a row cut short, a row without label
    #[arg(long)]
    skip_broken: bool,
    /// Where a recording is in two tables, by its name or with the same features, keep the first
    #[arg(long)]
    drop_duplicates: bool,
    /// What the columns are: emobase2010, is10-paraling-compat or custom [default: what their names say]
    #[arg(long, value_name = "ID")]
    feature_set: Option<WantedSet>,
}

impl TableOptions {
    /// The options for reading.
    pub fn read(&self) -> ReadOptions {
        ReadOptions {
            feature_set: self.feature_set.unwrap_or_default(),
            skip_broken: self.skip_broken,
            ..ReadOptions::default()
        }
    }

    /// Reads tables to train or test on, and says on standard error what was found on the way.
    pub fn read_tables(&self, paths: &[PathBuf]) -> Result<Read, crate::Error> {
        let read = read_all(paths, &self.read(), self.duplicates())?;
        for line in lines(&read) {
            eprintln!("{line}");
        }
        Ok(read)
    }

    /// What to do with recordings that are there twice.
    pub fn duplicates(&self) -> Duplicates {
        if self.drop_duplicates {
            Duplicates::KeepFirst
        } else {
            Duplicates::Refuse
        }
    }
}

/// What was found while reading, a line each.
pub fn lines(read: &Read) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(read.notes.iter().map(|note| format!("note: {note}")));
    let ignored = read.ignored.iter();
    some(
        &mut lines,
        "passed over: column ",
        ignored.map(|c| format!("{c:?}")),
    );
    some(&mut lines, "left out: ", read.broken.iter().cloned());
    if !read.broken.is_empty() {
        lines.push(format!("left out: {} broken rows", read.broken.len()));
    }
    some(&mut lines, "left out: ", read.dropped.iter().cloned());
    if !read.dropped.is_empty() {
        lines.push(format!(
            "left out: {} recordings that were there before",
            read.dropped.len()
        ));
    }
    lines
}

/// The first few, and how many more there are.
fn some(lines: &mut Vec<String>, what: &str, all: impl ExactSizeIterator<Item = String>) {
    let more = all.len().saturating_sub(SHOWN);
    lines.extend(all.take(SHOWN).map(|text| format!("{what}{text}")));
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
}

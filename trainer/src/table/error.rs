//! What can be wrong with a feature table.

use std::path::PathBuf;

use crate::data::text::TextError;

/// What to do about a value that is none.
const SKIP: &str =
    " (mend the row, or leave such rows out: --skip-broken of ser-train import, fit and evaluate)";

/// Why a feature table could not be read or written. Rows are counted from 1, the first below the header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Reading or writing failed.
    #[error("cannot {action} {}: {source}{}", path.display(), crate::atomic::hint(action, source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read" or "write".
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A name to write to that ends neither in `.parquet` nor in `.csv`.
    #[error("{}: cannot tell from the name which format to write; use one ending in .parquet or .csv", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The format can be read but not written.
    #[error("{}: ARFF tables can be read, not written; write .parquet or .csv", path.display())]
    ReadOnlyFormat {
        /// The file.
        path: PathBuf,
    },
    /// No header, or no row below it.
    #[error("{}: the table is empty: {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
    },
    /// The file cannot be read as the text that it is.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The file is damaged, or holds something else than a table of features.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// A column that must be there is not.
    #[error("{}: column \"{column}\" is missing{hint}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What to do about it.
        hint: String,
    },
    /// Two columns of one name, or two that both look like the same field.
    #[error("{}: {message}", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// Which columns.
        message: String,
    },
    /// A cell that should hold a number does not.
    #[error("{}: row {row}, column \"{column}\": {message}", path.display())]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// What stands there, and what to do about it.
        message: String,
    },
    /// A value is NaN, infinite or missing.
    #[error("{}: row {row}, column \"{column}\": the value is {value}; features must be finite numbers{SKIP}", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The column.
        column: String,
        /// "NaN", "infinite", "missing" …
        value: String,
    },
    /// A row that cannot be understood for another reason.
    #[error("{}: row {row}, line {line}: {message}", path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The line in the file.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// With `--skip-broken`: no row is whole.
    #[error("{}: every one of the {rows} rows is broken; the first: {first}", path.display())]
    AllBroken {
        /// The file.
        path: PathBuf,
        /// Rows of the file.
        rows: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// The columns are not those of the feature set that is asked for or stated.
    #[error("{}: {message}", path.display())]
    OtherFeatures {
        /// The file.
        path: PathBuf,
        /// Which columns are missing or too many.
        message: String,
    },
    /// A row without speaker, emotion or path.
    #[error("{}: row {row} has no {field}{hint}", path.display())]
    MissingField {
        /// The file.
        path: PathBuf,
        /// The row.
        row: usize,
        /// The field.
        field: &'static str,
        /// What to do about it.
        hint: String,
    },
    /// The table says one thing of a row and the manifest (or the path) another.
    #[error("{}: row {row}: {message}; to go by the latter, drop the column", path.display())]
    Conflict {
        /// The table.
        path: PathBuf,
        /// The row.
        row: usize,
        /// Which field, and what each says.
        message: String,
    },
    /// The table cannot be joined with what is to complete it.
    #[error("{}: {message}", path.display())]
    Join {
        /// The table.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The table breaks what [`FeatureTable`](super::FeatureTable) promises (a defect of the caller, found before writing).
    #[error("{}: the table is inconsistent: {message}", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl TableError {
    /// Whether it is one row that is wrong, so that the others can do without it.
    #[must_use]
    pub fn is_of_a_row(&self) -> bool {
        matches!(
            self,
            Self::NotANumber { .. }
                | Self::NotFinite { .. }
                | Self::BadRow { .. }
                | Self::MissingField { .. }
                | Self::Text(TextError::Line { .. })
        )
    }

    /// The message for a row that is left out, without the advice to leave it out.
    pub(super) fn of_left_out(&self) -> String {
        self.to_string().replace(SKIP, "")
    }
}

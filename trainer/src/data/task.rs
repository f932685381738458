//! What is to be learned: the classes, the rows that have them, and who speaks in each row.

use std::collections::BTreeMap;

use crate::config::nearest_word;
use crate::table::FeatureTable;

/// A feature table reduced to the rows that carry one of the wanted labels.
#[derive(Clone, Debug)]
pub struct Task<'t> {
    /// Where the values lie.
    pub table: &'t FeatureTable,
    /// The classes, sorted.
    pub labels: Vec<String>,
    /// Table rows that take part, ascending.
    pub rows: Vec<usize>,
    /// Class index of each of `rows`.
    pub classes: Vec<usize>,
}

/// Why a feature table cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// No rows or no columns.
    #[error("the feature table has {rows} rows and {columns} feature columns: nothing to train on")]
    Empty {
        /// Rows of the table.
        rows: usize,
        /// Feature columns of the table.
        columns: usize,
    },
    /// `labels` names an emotion that the table does not have.
    #[error("configuration key `labels` asks for '{label}', which no row has{}; the table has: {present}",
            .nearest.as_ref().map_or(String::new(), |n| format!(" (the nearest is '{n}')")))]
    UnknownLabel {
        /// The name asked for.
        label: String,
        /// The nearest label of the table.
        nearest: Option<String>,
        /// All labels of the table.
        present: String,
    },
    /// `labels` names an emotion twice.
    #[error("configuration key `labels` names '{label}' twice")]
    RepeatedLabel {
        /// The name.
        label: String,
    },
    /// Fewer than two classes.
    #[error("the rows have one label only ('{label}'): a classifier needs at least two")]
    OneLabel {
        /// That label.
        label: String,
    },
    /// A class with a single row.
    #[error(
        "label '{label}' occurs once (row {row}, {path}): it cannot be both learned and tested; \
             add recordings of it, or leave it out by listing the others in the configuration key `labels`"
    )]
    LabelOnce {
        /// The label.
        label: String,
        /// Its row, from 1.
        row: usize,
        /// Its recording.
        path: String,
    },
    /// NaN or infinity.
    #[error(
        "row {row} ({path}), column '{column}': the value is {value}; \
             mend or remove that row (features of real recordings are finite)"
    )]
    NotFinite {
        /// Row, from 1.
        row: usize,
        /// Its recording.
        path: String,
        /// Feature name.
        column: String,
        /// NaN, inf or -inf.
        value: f32,
    },
}

impl<'t> Task<'t> {
    /// Picks the rows whose emotion is among `labels` (all of them where `labels` is empty) and checks them.
    ///
    /// # Errors
    /// An empty table, an unknown or repeated label, fewer than two classes, a class with one row, a value
    /// that is not finite.
    pub fn new(table: &'t FeatureTable, labels: &[String]) -> Result<Self, TaskError> {
        let columns = table.names.len();
        if table.rows == 0 || columns == 0 {
            return Err(TaskError::Empty {
                rows: table.rows,
                columns,
            });
        }
        let mut present: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, meta) in table.meta.iter().enumerate() {
            present.entry(&meta.emotion).or_default().push(row);
        }
        let mut wanted: Vec<String> = if labels.is_empty() {
            present.keys().map(|&l| l.to_owned()).collect()
        } else {
            labels.to_vec()
        };
        wanted.sort();
        for pair in wanted.windows(2) {
            if pair[0] == pair[1] {
                return Err(TaskError::RepeatedLabel {
                    label: pair[0].clone(),
                });
            }
        }
        for label in &wanted {
            match present.get(label.as_str()).map(Vec::as_slice) {
                None | Some([]) => {
                    return Err(TaskError::UnknownLabel {
                        label: label.clone(),
                        nearest: nearest_word(label, present.keys().copied()).map(str::to_owned),
                        present: present.keys().copied().collect::<Vec<_>>().join(", "),
                    });
                }
                Some([row]) => {
                    return Err(TaskError::LabelOnce {
                        label: label.clone(),
                        row: row + 1,
                        path: table.meta[*row].path.clone(),
                    });
                }
                Some(_) => {}
            }
        }
        if let [label] = wanted.as_slice() {
            return Err(TaskError::OneLabel {
                label: label.clone(),
            });
        }
        let (rows, classes): (Vec<_>, Vec<_>) = table
            .meta
            .iter()
            .enumerate()
            .filter_map(|(row, m)| Some((row, wanted.binary_search(&m.emotion).ok()?)))
            .unzip();
        for &row in &rows {
            if let Some(c) = table.row(row).iter().position(|v| !v.is_finite()) {
                return Err(TaskError::NotFinite {
                    row: row + 1,
                    path: table.meta[row].path.clone(),
                    column: table.names[c].clone(),
                    value: table.row(row)[c],
                });
            }
        }
        Ok(Self {
            table,
            labels: wanted,
            rows,
            classes,
        })
    }

    /// Rows that take part.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never true: [`new`](Self::new) refuses tables without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the `i`-th row that takes part is a copy with moved ends: nothing is tested on it.
    pub fn is_copy(&self, i: usize) -> bool {
        self.table.meta[self.rows[i]].copy.is_some()
    }

    /// Feature columns.
    pub fn width(&self) -> usize {
        self.table.names.len()
    }

    /// Raw features of the `i`-th row that takes part.
    pub fn features(&self, i: usize) -> &'t [f32] {
        self.table.row(self.rows[i])
    }
}

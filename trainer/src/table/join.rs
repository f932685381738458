//! Several tables, one below the other.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use super::advice::some;
use super::{FeatureSetTag, FeatureTable, Read, ReadOptions, RowMeta, TableError};

/// What to do with a recording that is in two tables, by its name or by its features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Refuse the tables.
    #[default]
    Refuse,
    /// Keep the first, unless the labels differ.
    KeepFirst,
}

/// Several tables as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// Their rows, in order.
    pub table: FeatureTable,
    /// What was understood in another way than it stands there.
    pub notes: Vec<String>,
    /// Recordings that were there before, for [`Duplicates::KeepFirst`].
    pub dropped: Vec<String>,
}

/// Reads tables and joins their rows. Of several, notes begin with the file's name.
///
/// # Errors
/// As [`FeatureTable::read_with`] and [`join`].
pub fn read_all(
    paths: &[PathBuf],
    options: &ReadOptions,
    duplicates: Duplicates,
) -> Result<Read, TableError> {
    let read = |path: &PathBuf| FeatureTable::read_with(path, options);
    let reads: Vec<Read> = paths.iter().map(read).collect::<Result<_, _>>()?;
    join_reads(paths, reads, duplicates)
}

/// Joins what was read from `paths`.
pub(super) fn join_reads(
    paths: &[PathBuf],
    reads: Vec<Read>,
    duplicates: Duplicates,
) -> Result<Read, TableError> {
    let (mut ignored, mut notes, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    let mut tables = Vec::with_capacity(paths.len());
    for (path, read) in paths.iter().zip(reads) {
        let from = |text: String| match paths {
            [_] => text,
            _ => format!("{}: {text}", path.display()),
        };
        ignored.extend(read.ignored.into_iter().map(from));
        notes.extend(read.notes.into_iter().map(from));
        broken.extend(read.broken);
        tables.push((path.as_path(), read.table));
    }
    let joined = join(tables, duplicates)?;
    notes.extend(joined.notes);
    Ok(Read {
        table: joined.table,
        ignored,
        notes,
        broken,
        dropped: joined.dropped,
    })
}

/// The rows of several tables, in their order. Feature set and columns must be the same, if need be in another
/// order; a recording may occur once.
///
/// # Errors
/// [`TableError::Join`] naming the table that does not fit, and why; [`TableError::Empty`] for no table at all.
pub fn join(
    tables: Vec<(&Path, FeatureTable)>,
    duplicates: Duplicates,
) -> Result<Joined, TableError> {
    let mut tables = tables.into_iter();
    let Some((first, mut all)) = tables.next() else {
        return Err(TableError::Empty {
            path: PathBuf::new(),
            what: "there is no table",
        });
    };
    let mut seen = Seen::default();
    (0..all.rows).for_each(|row| seen.add(&all, row, (first, row)));
    let (mut notes, mut dropped) = (Vec::new(), Vec::new());
    for (path, mut table) in tables {
        in_order_of(&mut table, &all.names);
        all.check_same_columns(&table, path)?;
        if table.feature_set.extractor_version.is_none()
            && all.feature_set.extractor_version.is_some()
        {
            notes.push(format!(
                "{}: who measured its features is not stated, unlike those before it",
                path.display()
            ));
            all.feature_set.extractor_version = None;
        }
        let mut kept = Vec::with_capacity(table.rows);
        for row in 0..table.rows {
            if let Some(found) = seen.find(&all, &table, row) {
                match duplicates {
                    Duplicates::KeepFirst if found.same_label => dropped.push(found.message),
                    _ => {
                        let remedy = if found.same_label {
                            "; leave one out, or keep the first with --drop-duplicates"
                        } else {
                            "; only one of the labels can be right"
                        };
                        return Err(TableError::Join {
                            path: path.to_owned(),
                            message: format!("{}{remedy}", found.message),
                        });
                    }
                }
                continue;
            }
            all.values.extend_from_slice(table.row(row));
            all.meta.push(table.meta[row].clone());
            kept.push(row);
        }
        for row in kept {
            all.rows += 1;
            seen.add(&all, all.rows - 1, (path, row));
        }
    }
    Ok(Joined {
        table: all,
        notes,
        dropped,
    })
}

/// Puts the columns in the order of `names`, if they are those.
fn in_order_of(table: &mut FeatureTable, names: &[String]) {
    if table.names == names || table.names.len() != names.len() {
        return;
    }
    let at: HashMap<&str, usize> = table
        .names
        .iter()
        .enumerate()
        .map(|(i, n)| (n.as_str(), i))
        .collect();
    let order: Option<Vec<usize>> = names.iter().map(|n| at.get(n.as_str()).copied()).collect();
    if let Some(order) = order {
        let rows = (0..table.rows).map(|r| table.row(r));
        table.values = rows.flat_map(|row| order.iter().map(|i| row[*i])).collect();
        table.names = names.to_vec();
    }
}

/// What a row is: corpus, recording, where it begins there, and which copy.
type Key = (String, String, Option<u32>, Option<u32>);

fn key(m: &RowMeta) -> Key {
    let start = m.start_s.map(f32::to_bits);
    (m.corpus.clone(), m.path.clone(), start, m.copy)
}

/// Rows of the tables so far, by name and by features.
#[derive(Default)]
struct Seen<'p> {
    by_name: HashMap<Key, usize>,
    by_values: HashMap<u64, Vec<usize>>,
    /// The table of each row, and its row there.
    from: Vec<(&'p Path, usize)>,
}

struct Duplicate {
    message: String,
    same_label: bool,
}

impl<'p> Seen<'p> {
    fn add(&mut self, all: &FeatureTable, row: usize, from: (&'p Path, usize)) {
        self.by_name.entry(key(&all.meta[row])).or_insert(row);
        self.by_values
            .entry(hash(all.row(row)))
            .or_default()
            .push(row);
        self.from.push(from);
    }

    /// The row of an earlier table that is the recording of `row` in `table`.
    fn find(&self, all: &FeatureTable, table: &FeatureTable, row: usize) -> Option<Duplicate> {
        let m = &table.meta[row];
        let named = self.by_name.get(&key(m));
        let values = table.row(row);
        let equal = || {
            let alike = self.by_values.get(&hash(values))?;
            alike.iter().find(|r| all.row(**r) == values)
        };
        let (&found, what) = match named {
            Some(found) => (found, "is there already"),
            None => (equal()?, "has the same features"),
        };
        let other = &all.meta[found];
        let (path, at) = self.from[found];
        let same_label = other.emotion == m.emotion;
        let labels = if same_label {
            String::new()
        } else {
            format!(
                ", labelled '{}' here and '{}' there",
                m.emotion, other.emotion
            )
        };
        Some(Duplicate {
            message: format!(
                "row {} ({}, corpus {}) {what}: row {} of {} ({}){labels}",
                row + 1,
                m.path,
                m.corpus,
                at + 1,
                path.display(),
                other.path
            ),
            same_label,
        })
    }
}

fn hash(values: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for v in values {
        // Equal numbers have equal hashes, also 0 and -0.
        (v + 0.0).to_bits().hash(&mut hasher);
    }
    hasher.finish()
}

impl FeatureTable {
    /// The rows of several tables, as [`join`] puts them together.
    ///
    /// # Errors
    /// As [`join`], where a recording may occur once.
    pub fn join(tables: Vec<(&Path, Self)>) -> Result<Self, TableError> {
        join(tables, Duplicates::Refuse).map(|joined| joined.table)
    }

    /// Whether `other` (read from `path`) has the columns of this table, measured by the same extractor of recordings
    /// that were heard alike, as far as that is stated.
    ///
    /// # Errors
    /// [`TableError::Join`] naming the first difference.
    pub fn check_same_columns(&self, other: &Self, path: &Path) -> Result<(), TableError> {
        let fail = |message: String| {
            Err(TableError::Join {
                path: path.to_owned(),
                message,
            })
        };
        let (a, b) = (&self.feature_set, &other.feature_set);
        let whole = |t: &FeatureSetTag| t.hearing.as_ref().is_none_or(|h| h.cut.is_none());
        let stated = a.hearing.is_some() && b.hearing.is_some();
        if a.hearing != b.hearing && (stated || !whole(a) || !whole(b)) {
            let show = |t: &FeatureSetTag| match t.hearing_json() {
                json if json.is_empty() => "not stated, so whole".to_owned(),
                json => json,
            };
            return fail(format!(
                "its recordings were heard otherwise ({}) than those of the tables before it ({}): extract all of them with the same \
                 options",
                show(b),
                show(a)
            ));
        }
        self.check_same_features(other, path)
    }

    /// Whether `other` (read from `path`) has the columns of this table, measured by the same extractor, as far as
    /// that is stated, however its recordings were heard.
    ///
    /// # Errors
    /// [`TableError::Join`] naming the first difference.
    pub fn check_same_features(&self, other: &Self, path: &Path) -> Result<(), TableError> {
        let fail = |message: String| {
            Err(TableError::Join {
                path: path.to_owned(),
                message,
            })
        };
        let (a, b) = (&self.feature_set, &other.feature_set);
        let versions = (&a.extractor_version, &b.extractor_version);
        let other_version = matches!(versions, (Some(x), Some(y)) if x != y);
        if a.id != b.id || other_version {
            let show = |t: &FeatureSetTag| match &t.extractor_version {
                Some(v) => format!("{} (extractor {v})", t.id),
                None => t.id.clone(),
            };
            return fail(format!(
                "its feature set is {}, that of the tables before it {}: extract all of them with one version",
                show(b),
                show(a)
            ));
        }
        if self.names == other.names {
            return Ok(());
        }
        let lacks = |a: &[String], b: &[String]| {
            let there: std::collections::HashSet<&String> = b.iter().collect();
            let names = a.iter().filter(|n| !there.contains(n));
            some(names.map(String::as_str))
        };
        let (missing, extra) = (
            lacks(&self.names, &other.names),
            lacks(&other.names, &self.names),
        );
        let mut text = format!(
            "it has {} feature columns, the tables before it have {}",
            other.names.len(),
            self.names.len()
        );
        for (names, what) in [(&missing, "without"), (&extra, "with")] {
            if !names.is_empty() {
                text.push_str(&format!(", {what} {names}"));
            }
        }
        if missing.is_empty() && extra.is_empty() {
            text.push_str(", in another order");
        }
        fail(text)
    }
}

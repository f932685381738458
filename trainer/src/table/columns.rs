//! Which column of a table means what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::TableError;

/// A column that describes the row instead of measuring it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the fields of RowMeta, documented there")]
pub enum MetaField {
    Path,
    Corpus,
    Speaker,
    Session,
    Gender,
    Emotion,
    SampleRate,
    StartS,
    DurationS,
    Copy,
}

impl MetaField {
    /// Every field, in the order in which our own tables write them.
    pub const ALL: [Self; 10] = [
        Self::Path,
        Self::Corpus,
        Self::Speaker,
        Self::Session,
        Self::Gender,
        Self::Emotion,
        Self::SampleRate,
        Self::StartS,
        Self::DurationS,
        Self::Copy,
    ];

    /// The column name in our own tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Corpus => "corpus",
            Self::Speaker => "speaker",
            Self::Session => "session",
            Self::Gender => "gender",
            Self::Emotion => "emotion",
            Self::SampleRate => "sample_rate",
            Self::StartS => "start_s",
            Self::DurationS => "duration_s",
            Self::Copy => "copy",
        }
    }

    /// The field that a column of this exact name (any case) holds.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|f| f.name().eq_ignore_ascii_case(name))
    }

    /// Names that other tools use for the field.
    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Path => &["file", "filename", "file_name", "name"],
            Self::Corpus => &["database", "dataset"],
            Self::Speaker => &["speaker_id", "spk", "actor", "subject"],
            Self::Session => &["session_id"],
            Self::Gender => &["sex"],
            Self::Emotion => &["label", "class", "emo"],
            Self::SampleRate => &["sampling_rate"],
            Self::StartS | Self::DurationS | Self::Copy => &[],
        }
    }
}

/// Columns of openSMILE's outputs that say where in the recording a row lies: neither field nor feature.
const POSITION_COLUMNS: [&str; 4] = ["frametime", "frameindex", "start", "end"];

/// How the reader is to understand the columns; the default goes by the names alone.
#[derive(Debug, Clone, Default)]
pub struct ColumnMap {
    /// Field to column name; wins over recognition by name.
    pub fields: BTreeMap<MetaField, String>,
    /// Columns to leave out.
    pub drop: BTreeSet<String>,
}

/// What one column of the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Meta(MetaField),
    /// Index among the features.
    Feature(usize),
    Ignored,
}

/// The roles of all columns of a file.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub roles: Vec<Role>,
    /// Names of the features, in file order.
    pub features: Vec<String>,
    /// The file's own column names.
    pub columns: Vec<String>,
}

impl Layout {
    /// Gives each column its role: by `map` first, then by the field's own name, then by an alias.
    /// A first column without a name is the row index that data frames write, and is passed over.
    pub fn new(path: &Path, columns: Vec<String>, map: &ColumnMap) -> Result<Self, TableError> {
        let mut position: HashMap<&str, usize> = HashMap::new();
        for (i, name) in columns.iter().enumerate() {
            if name.is_empty() && i > 0 {
                return Err(TableError::Malformed {
                    path: path.to_owned(),
                    message: format!("column {} has no name in the header", i + 1),
                });
            }
            if let Some(first) = position.insert(name, i) {
                let message = format!(
                    "columns {} and {} are both named \"{name}\"",
                    first + 1,
                    i + 1
                );
                return Err(TableError::DuplicateColumn {
                    path: path.to_owned(),
                    message,
                });
            }
        }
        let mut field_of: HashMap<usize, MetaField> = HashMap::new();
        for (&field, name) in &map.fields {
            let Some(&i) = position.get(name.as_str()) else {
                return Err(missing(path, name, &columns));
            };
            if let Some(other) = field_of.insert(i, field) {
                let message = format!(
                    "column \"{name}\" cannot be both the {} and the {}",
                    other.name(),
                    field.name()
                );
                return Err(TableError::DuplicateColumn {
                    path: path.to_owned(),
                    message,
                });
            }
        }
        if let Some(name) = map.drop.iter().find(|n| !position.contains_key(n.as_str())) {
            return Err(missing(path, name, &columns));
        }
        for field in MetaField::ALL {
            if !map.fields.contains_key(&field)
                && let Some(i) = recognise(path, field, &columns, map, &field_of)?
            {
                field_of.insert(i, field);
            }
        }
        let mut features = Vec::new();
        let mut roles = Vec::with_capacity(columns.len());
        for (i, name) in columns.iter().enumerate() {
            roles.push(if let Some(&field) = field_of.get(&i) {
                Role::Meta(field)
            } else if name.is_empty()
                || map.drop.contains(name)
                || POSITION_COLUMNS
                    .iter()
                    .any(|p| p.eq_ignore_ascii_case(name))
            {
                Role::Ignored
            } else {
                features.push(name.clone());
                Role::Feature(features.len() - 1)
            });
        }
        if features.is_empty() {
            let what = "it has no feature columns";
            return Err(TableError::Empty {
                path: path.to_owned(),
                what,
            });
        }
        Ok(Self {
            roles,
            features,
            columns,
        })
    }
}

/// The one column that holds `field` by its name, or by an alias if none has the name itself.
fn recognise(
    path: &Path,
    field: MetaField,
    columns: &[String],
    map: &ColumnMap,
    taken: &HashMap<usize, MetaField>,
) -> Result<Option<usize>, TableError> {
    let free = |i: &usize| !taken.contains_key(i) && !map.drop.contains(&columns[*i]);
    for names in [&[field.name()][..], field.aliases()] {
        let hits: Vec<usize> = (0..columns.len())
            .filter(free)
            .filter(|&i| names.iter().any(|n| n.eq_ignore_ascii_case(&columns[i])))
            .collect();
        match hits[..] {
            [] => {}
            [one] => return Ok(Some(one)),
            [first, second, ..] => {
                let message = format!(
                    "columns \"{}\" and \"{}\" both look like the {}; say which with ser-train import --column {}=NAME",
                    columns[first],
                    columns[second],
                    field.name(),
                    field.name()
                );
                return Err(TableError::DuplicateColumn {
                    path: path.to_owned(),
                    message,
                });
            }
        }
    }
    Ok(None)
}

/// The error for a column that is asked for but not there, with the nearest name that is.
fn missing(path: &Path, name: &str, columns: &[String]) -> TableError {
    let nearest = columns
        .iter()
        .map(|c| (strsim::jaro_winkler(c, name), c))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = nearest.map_or(String::new(), |(_, c)| format!("; did you mean \"{c}\"?"));
    TableError::MissingColumn {
        path: path.to_owned(),
        column: name.to_owned(),
        hint,
    }
}

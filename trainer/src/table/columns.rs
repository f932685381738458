//! Which column of a table means what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ser_features::{FeatureSet, feature_names};

use super::known::{self, Known};
use super::{FeatureSetTag, ReadOptions, TableError};
use crate::data::text::{Columns, Meaning, nearest};

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

    /// What a column of text that has the field is found by; none for fields that only our own tables have.
    const fn meaning(self) -> Option<Meaning> {
        Some(match self {
            Self::Path => Meaning::Path,
            Self::Corpus => Meaning::Corpus,
            Self::Speaker => Meaning::Speaker,
            Self::Session => Meaning::Session,
            Self::Gender => Meaning::Gender,
            Self::Emotion => Meaning::Emotion,
            Self::StartS => Meaning::Start,
            Self::DurationS => Meaning::Duration,
            Self::SampleRate | Self::Copy => return None,
        })
    }
}

/// Columns that say where in the recording a row lies, as openSMILE names them: neither field nor feature.
const FRAME_COLUMNS: [&str; 2] = ["frametime", "frameindex"];

/// Names of the column with the sampling rate.
const SAMPLE_RATE: [&str; 3] = ["sample_rate", "sampling_rate", "samplerate"];

/// Columns that describe a recording but are no field of [`RowMeta`](super::RowMeta); as features they would
/// give away what is to be predicted, or mean nothing.
const DESCRIPTIONS: [&str; 16] = [
    "split",
    "fold",
    "partition",
    "subset",
    "channel",
    "age",
    "language",
    "lang",
    "text",
    "transcript",
    "transcription",
    "sentence",
    "valence",
    "arousal",
    "dominance",
    "activation",
];

/// Columns that are likely to name the recording, but are not sure enough to be taken for its path.
const KEYS: [&str; 12] = [
    "id",
    "utt",
    "utt_id",
    "uttid",
    "utterance",
    "utterance_id",
    "key",
    "uuid",
    "recording_id",
    "sample_id",
    "item",
    "instance",
];

/// Whether a column of this name is likely to name the recordings.
pub(super) fn names_a_key(column: &str) -> bool {
    is_one_of(column, &KEYS)
}

fn is_one_of(column: &str, names: &[&str]) -> bool {
    names.iter().any(|n| n.eq_ignore_ascii_case(column))
}

/// Whether a column is the row index that data frames write: nameless in CSV, `Unnamed: 0` once read again,
/// `__index_level_0__` in Parquet.
fn is_index(column: &str) -> bool {
    column.is_empty()
        || column.starts_with("Unnamed: ")
        || column.starts_with("__index_level_")
        || is_one_of(column, &["index", "level_0"])
}

/// How the reader is to understand the columns; the default goes by the names alone.
#[derive(Debug, Clone, Default)]
pub struct ColumnMap {
    /// Field to column name; wins over recognition by name.
    pub fields: BTreeMap<MetaField, String>,
    /// Columns to leave out.
    pub drop: BTreeSet<String>,
}

/// Which feature set the columns are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WantedSet {
    /// The one whose names they have, else [`FeatureSetTag::CUSTOM`].
    #[default]
    ByName,
    /// This one; other columns are refused.
    Set(FeatureSet),
    /// None of ours, whatever their names.
    Custom,
}

impl std::str::FromStr for WantedSet {
    type Err = String;

    fn from_str(id: &str) -> Result<Self, String> {
        if id == FeatureSetTag::CUSTOM {
            return Ok(Self::Custom);
        }
        let known = FeatureSet::ALL.map(FeatureSet::id).join(", ");
        FeatureSet::from_id(id)
            .map(Self::Set)
            .ok_or_else(|| format!("the feature sets are {known} and {}", FeatureSetTag::CUSTOM))
    }
}

/// What one column of the file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Meta(MetaField),
    /// Index among the features.
    Feature(usize),
    /// Where in the recording the row ends.
    End,
    /// The row index of a data frame.
    Index,
    Ignored,
}

/// The roles of all columns of a file.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub roles: Vec<Role>,
    /// Names of the features, in the order of the table.
    pub features: Vec<String>,
    /// For each feature, in the order of the file, its name there and its place in `features`.
    pub in_file: Vec<(String, usize)>,
    /// The file's own column names.
    pub columns: Vec<String>,
    /// Seconds in one of the numbers of a column of times, by its index, where its name says so.
    pub scale: HashMap<usize, f64>,
    /// What the features are.
    pub tag: FeatureSetTag,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Whether the emotion's column was named by the user.
    pub emotion_is_sure: bool,
}

impl Layout {
    /// Gives each column its role: by `map` first, then by the field's own name, then by an alias. Columns
    /// among which are all names of a feature set are that set; `claimed` is what the file says it holds.
    pub fn new(
        path: &Path,
        columns: Vec<String>,
        options: &ReadOptions,
        claimed: FeatureSetTag,
    ) -> Result<Self, TableError> {
        let map = &options.columns;
        check_names(path, &columns, map)?;
        let found = Fields::find(path, &columns, map)?;
        let mut roles: Vec<Role> = Vec::with_capacity(columns.len());
        let mut candidates: Vec<usize> = Vec::new();
        for (i, name) in columns.iter().enumerate() {
            roles.push(if let Some(&field) = found.fields.get(&i) {
                Role::Meta(field)
            } else if map.drop.contains(name) || is_one_of(name, &FRAME_COLUMNS) {
                Role::Ignored
            } else if found.end == Some(i) {
                Role::End
            } else if is_index(name) {
                Role::Index
            } else {
                candidates.push(i);
                Role::Ignored
            });
        }
        let mut layout = Self {
            roles,
            features: Vec::new(),
            in_file: Vec::new(),
            columns,
            scale: found.scale,
            tag: FeatureSetTag::custom(),
            notes: Vec::new(),
            emotion_is_sure: map.fields.contains_key(&MetaField::Emotion),
        };
        layout.choose(path, &candidates, options, claimed)?;
        if layout.features.is_empty() {
            let what = "it has no feature columns";
            return Err(TableError::Empty {
                path: path.to_owned(),
                what,
            });
        }
        Ok(layout)
    }

    /// Decides which of the `candidates` are features, and of which set.
    fn choose(
        &mut self,
        path: &Path,
        candidates: &[usize],
        options: &ReadOptions,
        claimed: FeatureSetTag,
    ) -> Result<(), TableError> {
        let names: Vec<&str> = candidates
            .iter()
            .map(|&i| self.columns[i].as_str())
            .collect();
        let stated = FeatureSet::from_id(&claimed.id);
        let known = match (options.feature_set, stated) {
            (WantedSet::Custom, _) => None,
            (WantedSet::Set(set), _) => known::recognise(&names, &[set]),
            (WantedSet::ByName, Some(set)) => known::recognise(&names, &[set]),
            (WantedSet::ByName, None) if claimed.is_custom() => {
                known::recognise(&names, &FeatureSet::ALL)
            }
            (WantedSet::ByName, None) => None,
        };
        if let Some(known) = known {
            self.adopt(candidates, known, claimed);
            return Ok(());
        }
        let refused = |start: &str, set: FeatureSet, end: &str| TableError::OtherFeatures {
            path: path.to_owned(),
            message: format!("{start}, but {}{end}", known::difference(&names, set)),
        };
        match (options.feature_set, stated) {
            (WantedSet::Set(set), _) => {
                let asked = format!("--feature-set asks for {}", set.id());
                return Err(refused(&asked, set, ""));
            }
            (WantedSet::ByName, Some(set)) if options.columns.drop.is_empty() => {
                let id = set.id();
                return Err(refused(
                    &format!("the table says that it holds {id}"),
                    set,
                    "; extract it again, or, to train on the columns as they are, ser-train import --feature-set custom",
                ));
            }
            _ => {}
        }
        if options.feature_set == WantedSet::ByName
            && let Some(set) = known::nearly(&names)
        {
            self.notes.push(format!(
                "the columns are nearly those of {}, but {}",
                set.id(),
                known::difference(&names, set)
            ));
        }
        let has_path = self.has(Role::Meta(MetaField::Path));
        for &i in candidates {
            let name = &self.columns[i];
            if is_one_of(name, &DESCRIPTIONS) {
                continue;
            }
            if names_a_key(name) {
                if !has_path {
                    self.notes.push(format!(
                        "column \"{name}\" is no feature; if it names the recordings: ser-train import --column path={name}"
                    ));
                }
                continue;
            }
            let at = self.features.len();
            self.roles[i] = Role::Feature(at);
            self.in_file.push((name.clone(), at));
            self.features.push(name.clone());
        }
        if !claimed.is_custom() && stated.is_none() && options.columns.drop.is_empty() {
            self.tag = claimed;
        }
        Ok(())
    }

    /// Takes the columns for the feature set that they are.
    fn adopt(&mut self, candidates: &[usize], known: Known, claimed: FeatureSetTag) {
        let id = known.set.id();
        for (&i, place) in candidates.iter().zip(&known.place) {
            if let Some(at) = *place {
                self.roles[i] = Role::Feature(at);
                self.in_file.push((self.columns[i].clone(), at));
            }
        }
        self.features = feature_names(known.set);
        if claimed.id == id {
            self.tag = claimed;
        } else {
            self.notes.push(format!("the columns are those of {id}"));
            self.tag = FeatureSetTag {
                id: id.to_owned(),
                ..FeatureSetTag::custom()
            };
        }
        if let Some((here, ours)) = known.renamed {
            self.notes.push(format!(
                "column names were changed on the way here (\"{here}\" is \"{ours}\")"
            ));
        }
        if known.reordered {
            self.notes.push(format!(
                "the columns were in another order and are put into that of {id}"
            ));
        }
    }
}

impl Layout {
    /// Whether some column has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The name of the column that has the role.
    pub fn name_of(&self, role: Role) -> Option<&str> {
        let i = self.roles.iter().position(|r| *r == role)?;
        Some(&self.columns[i])
    }

    /// The columns that are neither features nor describe the row.
    pub fn ignored(&self) -> Vec<String> {
        self.roles
            .iter()
            .zip(&self.columns)
            .filter(|(role, name)| matches!(role, Role::Ignored | Role::Index) && !name.is_empty())
            .map(|(_, name)| name.clone())
            .collect()
    }
}

/// Whether names are there, and once each.
fn check_names(path: &Path, columns: &[String], map: &ColumnMap) -> Result<(), TableError> {
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
    match map.drop.iter().find(|n| !position.contains_key(n.as_str())) {
        Some(name) => Err(missing(path, name, columns)),
        None => Ok(()),
    }
}

/// The columns that describe the row.
struct Fields {
    fields: HashMap<usize, MetaField>,
    /// Where in the recording the row ends.
    end: Option<usize>,
    /// Seconds in one of the numbers of columns of times, where their names say so.
    scale: HashMap<usize, f64>,
}

impl Fields {
    fn find(path: &Path, columns: &[String], map: &ColumnMap) -> Result<Self, TableError> {
        let failed = |message: String| TableError::DuplicateColumn {
            path: path.to_owned(),
            message,
        };
        // A column that is left out means nothing.
        let header: Vec<String> = columns
            .iter()
            .map(|c| match map.drop.contains(c) {
                true => String::new(),
                false => c.clone(),
            })
            .collect();
        let fields = || {
            MetaField::ALL
                .into_iter()
                .filter_map(|f| Some((f, f.meaning()?)))
        };
        let mut wanted: Vec<Meaning> = fields().map(|(_, meaning)| meaning).collect();
        wanted.push(Meaning::End);
        let assigned = fields()
            .map(|(field, meaning)| (meaning, map.fields.get(&field).cloned()))
            .filter(|(_, name)| name.is_some())
            .collect();
        let found = Columns::find(&header, &wanted, &assigned).map_err(failed)?;
        let mut all = Self {
            fields: HashMap::new(),
            end: None,
            scale: HashMap::new(),
        };
        for (field, meaning) in fields() {
            if let Some((i, scale)) = found.time(meaning) {
                all.fields.insert(i, field);
                all.scale.insert(i, scale);
            }
        }
        if let Some((i, scale)) = found.time(Meaning::End) {
            all.end = Some(i);
            all.scale.insert(i, scale);
        }
        for (field, names) in [
            (MetaField::SampleRate, &SAMPLE_RATE[..]),
            (MetaField::Copy, &[MetaField::Copy.name()]),
        ] {
            let given = map.fields.get(&field);
            let is_it = |c: &String| given.map_or_else(|| is_one_of(c, names), |g| g == c);
            let (name, i) = match (given, header.iter().position(is_it)) {
                (_, Some(i)) => (&header[i], i),
                (Some(given), None) => return Err(missing(path, given, columns)),
                (None, None) => continue,
            };
            if let Some(other) = all.fields.insert(i, field) {
                return Err(failed(format!(
                    "column \"{name}\" cannot be both the {} and the {}",
                    other.name(),
                    field.name()
                )));
            }
        }
        Ok(all)
    }
}

/// The error for a column that is asked for but not there, with the nearest name that is.
fn missing(path: &Path, name: &str, columns: &[String]) -> TableError {
    let hint = nearest(name, columns).map_or(String::new(), |c| format!("; did you mean \"{c}\"?"));
    TableError::MissingColumn {
        path: path.to_owned(),
        column: name.to_owned(),
        hint,
    }
}

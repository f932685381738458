//! Which column of a table means what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use ser_features::{FeatureSet, feature_names};

use super::known::{self, Known};
use super::{FeatureSetTag, ReadOptions, TableError};

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
    DurationS,
}

impl MetaField {
    /// Every field, in the order in which our own tables write them.
    pub const ALL: [Self; 8] = [
        Self::Path,
        Self::Corpus,
        Self::Speaker,
        Self::Session,
        Self::Gender,
        Self::Emotion,
        Self::SampleRate,
        Self::DurationS,
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
            Self::DurationS => "duration_s",
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
            Self::Path => &["file", "filename", "file_name", "filepath", "file_path", "name", "wav", "audio"],
            Self::Corpus => &["database", "dataset"],
            Self::Speaker => &["speaker_id", "spk", "actor", "subject"],
            Self::Session => &["session_id"],
            Self::Gender => &["sex"],
            Self::Emotion => &["label", "class", "emo", "target"],
            Self::SampleRate => &["sampling_rate"],
            Self::DurationS => &["duration"],
        }
    }
}

/// Columns that say where in the recording a row lies, as openSMILE names them: neither field nor feature.
const FRAME_COLUMNS: [&str; 2] = ["frametime", "frameindex"];

/// Columns that describe a recording but are no field of [`RowMeta`](super::RowMeta); as features they would
/// give away what is to be predicted, or mean nothing.
const DESCRIPTIONS: [&str; 16] = [
    "split", "fold", "partition", "subset", "channel", "age", "language", "lang", "text", "transcript",
    "transcription", "sentence", "valence", "arousal", "dominance", "activation",
];

/// Columns that are likely to name the recording, but are not sure enough to be taken for its path.
const KEYS: [&str; 14] = [
    "id", "utt", "utt_id", "uttid", "utterance", "utterance_id", "key", "uuid", "recording", "recording_id",
    "clip", "sample_id", "item", "instance",
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
    /// Where in the recording the row begins.
    Start,
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
        let field_of = fields(path, &columns, map)?;
        let mut roles: Vec<Role> = Vec::with_capacity(columns.len());
        let mut candidates: Vec<usize> = Vec::new();
        for (i, name) in columns.iter().enumerate() {
            roles.push(if let Some(&field) = field_of.get(&i) {
                Role::Meta(field)
            } else if map.drop.contains(name) || is_one_of(name, &FRAME_COLUMNS) {
                Role::Ignored
            } else if name.eq_ignore_ascii_case("start") {
                Role::Start
            } else if name.eq_ignore_ascii_case("end") {
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
                return Err(refused("--feature-set asks for", set, ""));
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
                extractor_version: None,
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
            .filter(|(role, name)| {
                matches!(role, Role::Ignored | Role::Index) && !name.is_empty()
            })
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
    let asked = map.drop.iter().chain(map.fields.values());
    match asked
        .into_iter()
        .find(|n| !position.contains_key(n.as_str()))
    {
        Some(name) => Err(missing(path, name, columns)),
        None => Ok(()),
    }
}

/// The columns that describe the row.
fn fields(
    path: &Path,
    columns: &[String],
    map: &ColumnMap,
) -> Result<HashMap<usize, MetaField>, TableError> {
    let mut field_of: HashMap<usize, MetaField> = HashMap::new();
    for (&field, name) in &map.fields {
        let Some(i) = columns.iter().position(|c| c == name) else {
            return Err(missing(path, name, columns));
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
    for field in MetaField::ALL {
        if !map.fields.contains_key(&field)
            && let Some(i) = recognise(path, field, columns, map, &field_of)?
        {
            field_of.insert(i, field);
        }
    }
    Ok(field_of)
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

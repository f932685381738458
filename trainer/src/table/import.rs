//! Foreign tables made whole: speaker and emotion from a manifest or from the recording's name.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::advice::some;
use super::columns::names_a_key;
use super::join::join_reads;
use super::{
    Duplicates, FeatureTable, MetaField, PartialMeta, PartialTable, Read, ReadOptions, TableError,
};
use crate::Error;
use crate::corpus::{Corpus, Utterance};

/// How far apart two times are that are meant to be the same, in seconds.
const SAME_TIME_S: f64 = 2e-3;

/// How rows of the table find their lines in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Join {
    /// By the recording: the same path, or else the same file name without folder and extension
    #[default]
    Name,
    /// Row by row: the first row belongs to the manifest's first line, and both have as many
    Order,
}

/// Where the fields come from that the table itself lacks.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// How the tables are read.
    pub read: ReadOptions,
    /// What to do with recordings that are in several of them.
    pub duplicates: Duplicates,
    /// A CSV file with path, speaker, emotion and, where known, corpus, session, gender.
    pub manifest: Option<PathBuf>,
    /// How its lines are found.
    pub join: Join,
    /// A pattern with groups named after fields, searched in each row's path.
    pub from_path: Option<Regex>,
    /// Corpus name of rows that have none; none means the table's file name.
    pub corpus: Option<String>,
    /// New names of labels; applied first.
    pub map: BTreeMap<String, String>,
    /// The labels to keep, by their new names; none means all.
    pub labels: Option<BTreeSet<String>>,
}

/// Foreign tables made whole, as one.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The table, and what was found on the way.
    pub read: Read,
    /// Rows left out, by label.
    pub left_out: BTreeMap<String, usize>,
}

/// Reads tables of any origin, fills in what they do not say of their rows, and joins them.
///
/// What a table says itself stands; a manifest that says otherwise is an error, not a correction.
///
/// # Errors
/// [`Error`] from the tables or the manifest; a row that the manifest does not have or contradicts; a path
/// that the pattern does not match; a speaker or emotion that nothing tells; tables that cannot be joined.
pub fn import(paths: &[PathBuf], options: &ImportOptions) -> Result<Imported, Error> {
    let manifest = options.manifest.as_deref();
    let manifest = manifest
        .map(|file| Ok::<_, Error>((file, Corpus::read(file)?)))
        .transpose()?;
    let mut reads = Vec::with_capacity(paths.len());
    for path in paths {
        reads.push(complete(path, manifest.as_ref(), options)?);
    }
    let mut read = join_reads(paths, reads, options.duplicates)?;
    if options.corpus.is_none() {
        read.notes.extend(same_names(&read.table));
    }
    let whole = match paths {
        [one] => one.clone(),
        _ => PathBuf::from("the tables"),
    };
    let left_out = select(&whole, &mut read.table, options)?;
    Ok(Imported { read, left_out })
}

/// Reads one table and fills in what it does not say.
fn complete(
    path: &Path,
    manifest: Option<&(&Path, Corpus)>,
    options: &ImportOptions,
) -> Result<Read, Error> {
    let mut partial = PartialTable::read(path, &options.read)?;
    if let Some(pattern) = &options.from_path {
        fill_from_path(path, &mut partial.meta, pattern)?;
    }
    if let Some((file, manifest)) = manifest {
        fill_from_manifest(path, &mut partial, file, manifest, options.join)?;
    }
    let stem = path
        .file_stem()
        .map(|s| s.to_string_lossy().into_owned())
        .unwrap_or_default();
    let corpus = options.corpus.as_deref().unwrap_or(&stem);
    for m in &mut partial.meta {
        m.corpus.get_or_insert_with(|| corpus.to_owned());
    }
    let ignored = std::mem::take(&mut partial.ignored);
    let notes = std::mem::take(&mut partial.notes);
    let mut broken = std::mem::take(&mut partial.broken);
    let (table, nameless) = partial.into_table(path, options.read.skip_broken)?;
    broken.extend(nameless);
    Ok(Read {
        table,
        ignored,
        notes,
        broken,
        dropped: Vec::new(),
    })
}

/// A note if speakers of two corpora have the same names: they count as different people.
fn same_names(all: &FeatureTable) -> Option<String> {
    let mut corpus: HashMap<&str, &str> = HashMap::new();
    let mut twice: BTreeSet<&str> = BTreeSet::new();
    let mut example = None;
    for m in &all.meta {
        let first = corpus.entry(&m.speaker).or_insert(&m.corpus);
        if *first != m.corpus {
            twice.insert(&m.speaker);
            example = example.or(Some((*first, m.corpus.as_str())));
        }
    }
    let (a, b) = example?;
    Some(format!(
        "speakers of corpus {a} and corpus {b} have the same names ({}) and count as different people; if they are the same, give both \
         tables one --corpus-name",
        some(twice)
    ))
}

/// Sets a field that nobody has set, or compares it with what stands there.
fn fill(
    path: &Path,
    row: usize,
    field: MetaField,
    place: &mut Option<String>,
    value: Option<&str>,
    source: &str,
) -> Result<(), TableError> {
    match (place.as_deref(), value) {
        (None, Some(new)) => *place = Some(new.to_owned()),
        (Some(old), Some(new)) if old != new => {
            let field = field.name();
            let message =
                format!("the {field} is \"{old}\" in the table, but \"{new}\" in {source}");
            return Err(TableError::Conflict {
                path: path.to_owned(),
                row,
                message,
            });
        }
        _ => {}
    }
    Ok(())
}

fn fill_from_path(
    path: &Path,
    meta: &mut [PartialMeta],
    pattern: &Regex,
) -> Result<(), TableError> {
    let bad = |message: String| TableError::Join {
        path: path.to_owned(),
        message,
    };
    let mut fields = Vec::new();
    for name in pattern.capture_names().flatten() {
        match MetaField::from_name(name) {
            Some(
                f @ (MetaField::Corpus
                | MetaField::Speaker
                | MetaField::Session
                | MetaField::Gender
                | MetaField::Emotion),
            ) => {
                fields.push((f, name.to_owned()));
            }
            _ => {
                return Err(bad(format!(
                    "the pattern's group \"{name}\" is none of corpus, speaker, session, gender, emotion"
                )));
            }
        }
    }
    if fields.is_empty() {
        return Err(bad(
            "the pattern has no named group, such as (?<speaker>[0-9]+)".to_owned(),
        ));
    }
    for m in meta {
        let row = m.row;
        let Some(recording) = m.path.clone() else {
            return Err(bad(format!(
                "row {row} has no path that the pattern could be searched in"
            )));
        };
        let Some(found) = pattern.captures(&recording) else {
            return Err(bad(format!(
                "row {row}: the pattern does not match the path {recording:?}"
            )));
        };
        for (field, name) in &fields {
            let value = found.name(name).map(|m| m.as_str());
            fill(
                path,
                row,
                *field,
                place(m, *field),
                value,
                "the path's name",
            )?;
        }
    }
    Ok(())
}

/// The text fields that a manifest or a pattern may fill.
fn place(meta: &mut PartialMeta, field: MetaField) -> &mut Option<String> {
    match field {
        MetaField::Corpus => &mut meta.corpus,
        MetaField::Speaker => &mut meta.speaker,
        MetaField::Session => &mut meta.session,
        MetaField::Gender => &mut meta.gender,
        MetaField::Emotion => &mut meta.emotion,
        MetaField::Path
        | MetaField::SampleRate
        | MetaField::StartS
        | MetaField::DurationS
        | MetaField::Copy => &mut meta.path,
    }
}

fn fill_from_manifest(
    path: &Path,
    table: &mut PartialTable,
    file: &Path,
    manifest: &Corpus,
    join: Join,
) -> Result<(), TableError> {
    let bad = |message: String| TableError::Join {
        path: path.to_owned(),
        message,
    };
    let key = table.ignored.iter().find(|c| names_a_key(c));
    let key = key.map_or(String::new(), |key| {
        format!("if column \"{key}\" names it, add --column path={key}; ")
    });
    let meta = &mut table.meta;
    let lines: Vec<&Utterance> = match join {
        Join::Order => {
            if manifest.utterances.len() != meta.len() {
                return Err(bad(format!(
                    "the table has {} rows, the manifest {} has {}; row by row they must have as many",
                    meta.len(),
                    file.display(),
                    manifest.utterances.len()
                )));
            }
            manifest.utterances.iter().collect()
        }
        Join::Name => {
            let index = NameIndex::new(manifest);
            let find = |m: &PartialMeta| {
                let row = m.row;
                let recording = m.path.as_deref().ok_or_else(|| {
                    bad(format!(
                        "row {row} names no recording to look up in the manifest; {key}if both are in one order, use --join order"
                    ))
                })?;
                index
                    .find(recording, m.start_s)
                    .map_err(|e| bad(format!("row {row}: {recording:?} {e} {}", file.display())))
            };
            meta.iter().map(find).collect::<Result<_, _>>()?
        }
    };
    let source = file.display().to_string();
    for (m, u) in meta.iter_mut().zip(lines) {
        let row = m.row;
        if join == Join::Order || m.path.is_none() {
            m.path = Some(u.path.to_string_lossy().into_owned());
        }
        let corpus = Some(u.corpus.as_str()).filter(|c| !c.is_empty());
        let known = [
            (MetaField::Corpus, corpus),
            (MetaField::Speaker, Some(u.speaker.as_str())),
            (MetaField::Session, u.session.as_deref()),
            (MetaField::Gender, u.gender.as_deref()),
            (MetaField::Emotion, Some(u.emotion.as_str())),
        ];
        for (field, value) in known {
            fill(path, row, field, place(m, field), value, &source)?;
        }
    }
    Ok(())
}

/// Lines of a manifest by path and by file name.
struct NameIndex<'a> {
    by_path: HashMap<String, Vec<&'a Utterance>>,
    by_stem: HashMap<String, Vec<&'a Utterance>>,
}

impl<'a> NameIndex<'a> {
    fn new(manifest: &'a Corpus) -> Self {
        let mut index = Self {
            by_path: HashMap::new(),
            by_stem: HashMap::new(),
        };
        for u in &manifest.utterances {
            let path = u.path.to_string_lossy().replace('\\', "/");
            let stem = stem(&path);
            index.by_stem.entry(stem).or_default().push(u);
            index.by_path.entry(path).or_default().push(u);
        }
        index
    }

    /// The line of a recording, of its segment that begins at `start_s` if there are several.
    fn find(&self, recording: &str, start_s: Option<f32>) -> Result<&'a Utterance, String> {
        let path = recording.replace('\\', "/");
        let lines = match self.by_path.get(&path) {
            Some(lines) => lines,
            None => match self.by_stem.get(&stem(&path)) {
                Some(lines) => lines,
                None => return Err("is not in".to_owned()),
            },
        };
        if let [one] = lines[..] {
            return Ok(one);
        }
        let begins = |u: &&&Utterance| {
            let start = u.segment.map_or(0.0, |s| s.start_s);
            start_s.is_some_and(|s| (f64::from(s) - start).abs() <= SAME_TIME_S)
        };
        let mut hits = lines.iter().filter(begins);
        match (hits.next(), hits.next()) {
            (Some(one), None) => Ok(one),
            _ => Err(format!("fits {} lines of", lines.len())),
        }
    }
}

/// The file name without its folder and ending.
fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = Path::new(name).file_stem().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Renames and selects labels; one that does not occur is refused.
fn select(
    path: &Path,
    table: &mut FeatureTable,
    options: &ImportOptions,
) -> Result<BTreeMap<String, usize>, TableError> {
    let check = |asked: Vec<&String>, there: &[String]| match asked
        .into_iter()
        .find(|a| !there.contains(a))
    {
        None => Ok(()),
        Some(label) => Err(TableError::Join {
            path: path.to_owned(),
            message: format!(
                "no row has the label \"{label}\"; the labels are: {}",
                there.join(", ")
            ),
        }),
    };
    check(options.map.keys().collect(), &table.labels())?;
    for m in &mut table.meta {
        if let Some(new) = options.map.get(&m.emotion) {
            m.emotion.clone_from(new);
        }
    }
    let mut left_out = BTreeMap::new();
    if let Some(keep) = &options.labels {
        check(keep.iter().collect(), &table.labels())?;
        let width = table.names.len();
        let (mut values, mut meta) = (Vec::new(), Vec::new());
        for (m, row) in table.meta.drain(..).zip(table.values.chunks_exact(width)) {
            if keep.contains(&m.emotion) {
                values.extend_from_slice(row);
                meta.push(m);
            } else {
                *left_out.entry(m.emotion).or_insert(0) += 1;
            }
        }
        table.rows = meta.len();
        table.values = values;
        table.meta = meta;
    }
    Ok(left_out)
}

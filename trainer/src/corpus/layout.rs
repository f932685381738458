//! Corpora in the layout in which they are published: who speaks stands in the names of the files, the emotion there too or in
//! label files beside them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::files::{files_below, folder_name, is_audio, stem};
use super::import::{Finding, Import};
use super::{Corpus, CorpusError, Utterance};
use crate::data::text;

/// How a corpus lies on disk. Folders may be nested in any way; names are what counts.
pub(super) struct Layout {
    /// Name of the corpus.
    pub corpus: &'static str,
    /// What its files look like, for messages.
    pub names: &'static str,
    /// Understands the name of an audio file without its extension, and that of its folder; or says why not.
    pub recognise: fn(stem: &str, folder: &str) -> Result<Recognised, String>,
    /// Ids of recordings that are useless in the corpus as it is published, and why; they are left out.
    pub faulty: &'static [(&'static str, &'static str)],
    /// Where emotions stand, if not in the names.
    pub labels: Option<LabelFiles>,
}

/// What a file name says.
#[derive(Debug)]
pub(super) enum Recognised {
    Recording(Recording),
    /// Of the corpus, but not for this purpose.
    LeftOut(&'static str),
}

#[derive(Debug)]
pub(super) struct Recording {
    /// Unique in the corpus.
    pub id: String,
    pub speaker: String,
    pub session: Option<String>,
    pub gender: Option<String>,
    /// None where label files have it.
    pub emotion: Option<&'static str>,
    /// Part of the corpus, as its publisher divided it.
    pub split: Option<String>,
}

/// Id and emotion, or what is wrong with the line.
pub(super) type LabelLine = Result<(String, &'static str), String>;

/// Text files in which a line gives a recording's emotion.
pub(super) struct LabelFiles {
    /// What they are called, for messages.
    pub names: &'static str,
    pub is_one: fn(&Path) -> bool,
    /// Reads a line of the file of this stem: none if it holds no label.
    pub line: fn(line: &str, stem: &str) -> Option<LabelLine>,
    /// Stem of the file that holds the label of this recording, where there are several files.
    pub stem_for: fn(id: &str) -> Option<&str>,
}

/// What was found of a corpus.
pub(super) struct Found {
    pub import: Import,
    /// Labels without recordings.
    pub without_audio: Vec<Label>,
}

impl Found {
    /// Recordings that carry their labels.
    pub fn only(import: Import) -> Self {
        let without_audio = Vec::new();
        Self {
            import,
            without_audio,
        }
    }
}

/// A label in a label file.
pub(super) struct Label {
    pub id: String,
    pub emotion: &'static str,
    /// File and line, for messages.
    pub place: String,
}

/// Searches `root` and the folders below it. A recording that is there twice is refused, or with
/// `drop_duplicates` the first is taken.
///
/// # Errors
/// [`CorpusError`]: nothing recognised, no label files, a recording that is there twice, two labels for one recording.
pub(super) fn read(
    root: &Path,
    layout: &Layout,
    drop_duplicates: bool,
) -> Result<Found, CorpusError> {
    let is_label = |p: &Path| layout.labels.as_ref().is_some_and(|l| (l.is_one)(p));
    let mut below = files_below(root, &|p| is_audio(p) || is_label(p))?;
    let files = std::mem::take(&mut below.files);
    let (audio, label_files): (Vec<_>, Vec<_>) = files.into_iter().partition(|p| is_audio(p));
    let found = by_name(root, layout, audio, drop_duplicates)?;
    let mut found = assemble(root, layout, found, &label_files)?;
    found.import.findings.extend(below.finding());
    Ok(found)
}

/// Recordings with their labels.
fn assemble(
    root: &Path,
    layout: &Layout,
    mut found: ByName,
    label_files: &[PathBuf],
) -> Result<Found, CorpusError> {
    if let Some(rules) = &layout.labels {
        if label_files.is_empty() {
            let message = format!(
                "{} recordings, but no label file of {} ({}) in this folder or below",
                found.recordings.len(),
                layout.corpus,
                rules.names
            );
            return Err(empty(root, message));
        }
        return with_labels(root, layout, rules, found, label_files);
    }
    let utterances = found.recordings.drain(..).map(|(file, r)| {
        let emotion = r.emotion.unwrap_or_default().to_owned();
        utterance(layout, file, r, emotion)
    });
    let corpus = Corpus {
        root: root.to_owned(),
        utterances: utterances.collect(),
    };
    Ok(Found {
        import: Import {
            corpus,
            unknown: found.unknown,
            left_out: found.left_out,
            ..Import::default()
        },
        without_audio: Vec::new(),
    })
}

/// The audio files by what their names say.
struct ByName {
    /// Path below the root.
    recordings: Vec<(PathBuf, Recording)>,
    unknown: Vec<(PathBuf, String)>,
    left_out: BTreeMap<String, usize>,
}

fn by_name(
    root: &Path,
    layout: &Layout,
    files: Vec<PathBuf>,
    drop_duplicates: bool,
) -> Result<ByName, CorpusError> {
    let mut out = ByName {
        recordings: Vec::new(),
        unknown: Vec::new(),
        left_out: BTreeMap::new(),
    };
    let mut seen: HashMap<String, PathBuf> = HashMap::new();
    let mut twice = Vec::new();
    for file in files {
        match (layout.recognise)(&stem(&file), &folder_name(&file)) {
            Err(reason) => out.unknown.push((file, reason)),
            Ok(Recognised::LeftOut(what)) => *out.left_out.entry(what.to_owned()).or_insert(0) += 1,
            Ok(Recognised::Recording(r)) => {
                if let Some(first) = seen.get(&r.id) {
                    twice.push((first.clone(), file));
                    continue;
                }
                seen.insert(r.id.clone(), file.clone());
                if let Some((_, why)) = layout.faulty.iter().find(|(id, _)| *id == r.id) {
                    *out.left_out.entry((*why).to_owned()).or_insert(0) += 1;
                    continue;
                }
                let path = file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
                out.recordings.push((path, r));
            }
        }
    }
    drop_copies(root, &twice, drop_duplicates, &mut out.left_out)?;
    if out.recordings.is_empty() {
        let (corpus, names) = (layout.corpus, layout.names);
        let message = match out.unknown.first() {
            None => format!("no WAV or FLAC files in this folder or below; {corpus} has {names}"),
            Some((file, reason)) => format!(
                "none of the {} audio files is one of {corpus}, which has {names}; {}: {reason}",
                out.unknown.len(),
                file.display()
            ),
        };
        return Err(empty(root, message));
    }
    Ok(out)
}

/// Refuses recordings that have the name of an earlier one, or counts them as left out.
pub(super) fn drop_copies(
    root: &Path,
    twice: &[(PathBuf, PathBuf)],
    drop_duplicates: bool,
    left_out: &mut BTreeMap<String, usize>,
) -> Result<(), CorpusError> {
    let Some((first, second)) = twice.first() else {
        return Ok(());
    };
    if drop_duplicates {
        let what = "the same recording as an earlier one, by its name".to_owned();
        *left_out.entry(what).or_insert(0) += twice.len();
        return Ok(());
    }
    let message = format!(
        "{} recordings are there twice, such as {} and {}; point at a folder that has each once, or keep the first of each with \
         --drop-duplicates",
        twice.len(),
        first.display(),
        second.display()
    );
    Err(CorpusError::Duplicate {
        path: root.to_owned(),
        message,
    })
}

/// Brings recordings and labels together.
fn with_labels(
    root: &Path,
    layout: &Layout,
    rules: &LabelFiles,
    found: ByName,
    files: &[PathBuf],
) -> Result<Found, CorpusError> {
    let (mut labels, damaged) = read_labels(root, rules, files)?;
    let (mut utterances, mut unlabelled) = (Vec::new(), Vec::new());
    for (file, r) in found.recordings {
        match labels.remove(&r.id) {
            None => unlabelled.push((file, r.id)),
            Some(label) => {
                utterances.push(utterance(layout, file, r, label.emotion.to_owned()));
            }
        }
    }
    if utterances.is_empty() {
        let message = format!(
            "none of the {} recordings has a label in the {} label files ({}); {} holds no label line for it",
            unlabelled.len(),
            files.len(),
            rules.names,
            unlabelled
                .first()
                .map_or(String::new(), |(file, _)| file.display().to_string())
        );
        return Err(empty(root, message));
    }
    let mut findings = Vec::new();
    if !damaged.is_empty() {
        findings.push(Finding {
            what: format!("{} label lines cannot be read", damaged.len()),
            examples: damaged,
        });
    }
    findings.extend(missing_labels(rules, files, unlabelled));
    Ok(Found {
        import: Import {
            corpus: Corpus {
                root: root.to_owned(),
                utterances,
            },
            unknown: found.unknown,
            left_out: found.left_out,
            findings,
            notes: Vec::new(),
        },
        without_audio: labels.into_values().collect(),
    })
}

/// Label files that are not there, with the recordings that need them; then recordings that their label file does not name.
fn missing_labels(
    rules: &LabelFiles,
    files: &[PathBuf],
    unlabelled: Vec<(PathBuf, String)>,
) -> Vec<Finding> {
    let there: BTreeSet<String> = files.iter().map(|f| stem(f)).collect();
    let mut absent: BTreeMap<String, usize> = BTreeMap::new();
    let mut alone = Vec::new();
    for (file, id) in unlabelled {
        match (rules.stem_for)(&id) {
            Some(stem) if !there.contains(stem) => {
                *absent.entry(stem.to_owned()).or_insert(0) += 1;
            }
            _ => alone.push(file.display().to_string()),
        }
    }
    let mut findings = Vec::new();
    if !absent.is_empty() {
        findings.push(Finding {
            what: format!(
                "{} label files are missing ({}), so {} recordings have no label",
                absent.len(),
                rules.names,
                absent.values().sum::<usize>()
            ),
            examples: absent
                .iter()
                .map(|(stem, n)| format!("{stem}: {n} recordings"))
                .collect(),
        });
    }
    if !alone.is_empty() {
        findings.push(Finding {
            what: format!("{} recordings have no label", alone.len()),
            examples: alone,
        });
    }
    findings
}

type Labels = (BTreeMap<String, Label>, Vec<String>);

/// The labels by id, and what is wrong with lines that should hold one.
fn read_labels(root: &Path, rules: &LabelFiles, files: &[PathBuf]) -> Result<Labels, CorpusError> {
    let mut labels: BTreeMap<String, Label> = BTreeMap::new();
    let mut damaged = Vec::new();
    for file in files {
        // Annotators' comments may be in any encoding; ids and labels are ASCII.
        let text = text::read(file)?.text;
        let shown = file.strip_prefix(root).unwrap_or(file).display();
        let stem = stem(file);
        for (i, line) in text.lines().enumerate() {
            let place = format!("{shown}, line {}", i + 1);
            match (rules.line)(line, &stem) {
                None => {}
                Some(Err(reason)) => damaged.push(format!("{place}: {reason}")),
                Some(Ok((id, emotion))) => match labels.get(&id) {
                    Some(first) if first.emotion != emotion => {
                        return Err(CorpusError::Duplicate {
                            path: root.to_owned(),
                            message: format!(
                                "{id} is {} in {} but {emotion} in {place}; remove the line that is wrong",
                                first.emotion, first.place
                            ),
                        });
                    }
                    Some(first) => {
                        damaged.push(format!("{place}: {id} is in {} already", first.place));
                    }
                    None => {
                        let label = Label {
                            id: id.clone(),
                            emotion,
                            place,
                        };
                        labels.insert(id, label);
                    }
                },
            }
        }
    }
    Ok((labels, damaged))
}

fn utterance(layout: &Layout, path: PathBuf, r: Recording, emotion: String) -> Utterance {
    Utterance {
        path,
        corpus: layout.corpus.to_owned(),
        speaker: r.speaker,
        session: r.session,
        gender: r.gender,
        emotion,
        segment: None,
        channel: None,
        split: r.split,
    }
}

/// The label that a corpus's code or word stands for.
///
/// # Errors
/// A message that lists the codes.
pub(super) fn listed(
    emotions: &[(&str, &'static str)],
    code: &str,
) -> Result<&'static str, String> {
    let label = emotions.iter().find(|(c, _)| *c == code);
    label.map(|(_, label)| *label).ok_or_else(|| {
        let codes: Vec<&str> = emotions.iter().map(|(c, _)| *c).collect();
        format!("{code:?} is none of the emotions {}", codes.join(" "))
    })
}

fn empty(root: &Path, message: String) -> CorpusError {
    CorpusError::Empty {
        path: root.to_owned(),
        message,
    }
}

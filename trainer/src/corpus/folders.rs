//! Recordings in folders named after emotions, and perhaps speakers: `EMOTION/x.wav`, `SPEAKER/EMOTION/x.wav` or
//! `EMOTION/SPEAKER/x.wav`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::emotion_words::is_emotion;
use super::files::{files_below, is_audio};
use super::import::{Import, ImportOptions};
use super::manifest::folder_name;
use super::table::unknown_speakers;
use super::{Corpus, CorpusError, Finding, UNKNOWN_SPEAKER, Utterance};

/// Names of folders that divide a corpus.
const SPLITS: [&str; 10] = [
    "train",
    "training",
    "dev",
    "devel",
    "val",
    "valid",
    "validation",
    "evaluation",
    "test",
    "testing",
];

/// What the folders of one depth are named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Emotion,
    Speaker,
    Split,
    /// One folder that holds everything.
    Passed,
}

/// Reads the recordings of `root`.
///
/// # Errors
/// [`CorpusError`]: no audio files, no folders, or folders of which nobody can tell what they are named after.
pub(super) fn read(root: &Path, options: &ImportOptions) -> Result<Import, CorpusError> {
    let below = files_below(root, &is_audio)?;
    let mut import = Import::default();
    import.findings.extend(below.finding());
    if below.files.is_empty() {
        let message = "no WAV or FLAC files in this folder or below".to_owned();
        return Err(empty(root, message));
    }
    let files: Vec<(PathBuf, Vec<String>)> = below
        .files
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(root).map(Path::to_owned).unwrap_or(file);
            let folders = path.parent().into_iter().flat_map(Path::components);
            let names = folders.map(|c| c.as_os_str().to_string_lossy().into_owned());
            let names = names.collect();
            (path, names)
        })
        .collect();
    let depth = usual_depth(&files);
    if depth == 0 {
        let message = "the audio files lie in no folders below this one, so that nothing names their emotion: put those of each emotion \
                       into a folder (angry/x.wav), or take their names apart with corpus pattern"
            .to_owned();
        return Err(empty(root, message));
    }
    let (taken, odd): (Vec<_>, Vec<_>) = files.into_iter().partition(|(_, n)| n.len() == depth);
    for (file, names) in odd {
        let reason = format!("{} folders deep, most are {depth}", names.len());
        import.unknown.push((file, reason));
    }
    let names: Vec<BTreeSet<&str>> = (0..depth)
        .map(|d| taken.iter().map(|(_, n)| n[d].as_str()).collect())
        .collect();
    let levels = understand(root, &names, &taken)?;
    let corpus = options.corpus.clone().unwrap_or_else(|| folder_name(root));
    let name_at = |names: &[String], level| {
        let i = levels.iter().position(|l| *l == level)?;
        Some(names[i].trim().to_owned())
    };
    let utterances: Vec<Utterance> = taken
        .iter()
        .map(|(path, names)| Utterance {
            path: path.clone(),
            corpus: corpus.clone(),
            speaker: name_at(names, Level::Speaker).unwrap_or_else(|| UNKNOWN_SPEAKER.to_owned()),
            session: None,
            gender: None,
            emotion: name_at(names, Level::Emotion).unwrap_or_default(),
            segment: None,
            channel: None,
            split: name_at(names, Level::Split),
        })
        .collect();
    let pattern: Vec<&str> = levels
        .iter()
        .map(|l| match l {
            Level::Emotion => "EMOTION",
            Level::Speaker => "SPEAKER",
            Level::Split => "SPLIT",
            Level::Passed => "(one folder)",
        })
        .collect();
    let (path, first) = (&utterances[0].path, &utterances[0]);
    let shown = format!(
        "understood as {}/file: {} is \"{}\" by {}",
        pattern.join("/"),
        path.display(),
        first.emotion,
        if first.speaker == UNKNOWN_SPEAKER {
            "an unknown speaker".to_owned()
        } else {
            format!("speaker \"{}\"", first.speaker)
        }
    );
    import.notes.push(shown);
    let labels: BTreeSet<&str> = utterances.iter().map(|u| u.emotion.as_str()).collect();
    if !labels.iter().any(|l| is_emotion(l)) {
        import.findings.push(Finding {
            what: "none of the labels is a word for an emotion that is known here: are the folders named after something else? Take \
                   the paths apart with corpus pattern then"
                .to_owned(),
            examples: labels.iter().map(|l| (*l).to_owned()).collect(),
        });
    }
    if !levels.contains(&Level::Speaker) {
        let rows = utterances.len();
        let lines: Vec<u64> = (0..rows as u64).collect();
        import.findings.extend(unknown_speakers(&lines, rows));
    }
    import.corpus = Corpus {
        root: root.to_owned(),
        utterances,
    };
    Ok(import)
}

/// The number of folders that most files lie in.
fn usual_depth(files: &[(PathBuf, Vec<String>)]) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, names) in files {
        *counts.entry(names.len()).or_insert(0) += 1;
    }
    let most = counts.iter().max_by_key(|(_, count)| **count);
    most.map_or(0, |(depth, _)| *depth)
}

/// What the folders of each depth are named after.
fn understand(
    root: &Path,
    names: &[BTreeSet<&str>],
    files: &[(PathBuf, Vec<String>)],
) -> Result<Vec<Level>, CorpusError> {
    let mut levels: Vec<Option<Level>> = vec![None; names.len()];
    for (level, names) in levels.iter_mut().zip(names) {
        let split = |n: &&str| SPLITS.contains(&n.to_lowercase().as_str());
        if names.iter().all(split) {
            *level = Some(Level::Split);
        }
    }
    // A single folder around everything says nothing, unless nothing else could be the emotion.
    for d in 0..names.len() {
        let open = levels.iter().filter(|l| l.is_none()).count();
        let alone = names[d].len() == 1 && !names[d].iter().any(|n| is_emotion(n));
        if open > 1 && levels[d].is_none() && alone {
            levels[d] = Some(Level::Passed);
        }
    }
    let open: Vec<usize> = (0..names.len()).filter(|d| levels[*d].is_none()).collect();
    let example = || {
        files
            .first()
            .map_or(String::new(), |(p, _)| p.display().to_string())
    };
    match open[..] {
        [one] => levels[one] = Some(Level::Emotion),
        [a, b] => {
            let emotion = emotion_of_two(names, files, a, b).ok_or_else(|| {
                let message = format!(
                    "nobody can tell which folders are named after emotions and which after speakers ({}): say it with \
                     corpus pattern --pattern '(?<speaker>[^/]+)/(?<emotion>[^/]+)/[^/]+$'",
                    example()
                );
                empty(root, message)
            })?;
            levels[emotion] = Some(Level::Emotion);
            levels[a + b - emotion] = Some(Level::Speaker);
        }
        _ => {
            let message = format!(
                "the files lie {} folders deep ({}), which is more than SPEAKER/EMOTION: take the paths apart with corpus pattern, such as \
                 --pattern '(?<speaker>[^/]+)/[^/]+/(?<emotion>[^/]+)/[^/]+$'",
                names.len(),
                example()
            );
            return Err(empty(root, message));
        }
    }
    Ok(levels.into_iter().flatten().collect())
}

/// Which of two depths is the emotion's: the one with more words for emotions; else the one whose names repeat in
/// the folders of the other while the other's do not; else the one with fewer names.
fn emotion_of_two(
    names: &[BTreeSet<&str>],
    files: &[(PathBuf, Vec<String>)],
    a: usize,
    b: usize,
) -> Option<usize> {
    let share = |d: usize| {
        let words = names[d].iter().filter(|n| is_emotion(n)).count();
        words as f64 / names[d].len() as f64
    };
    let (in_a, in_b) = (share(a), share(b));
    if in_a.max(in_b) >= 0.5 && (in_a - in_b).abs() >= 0.25 {
        return Some(if in_a > in_b { a } else { b });
    }
    // Speakers inside emotions that never repeat would be as many voices with one emotion each.
    let mut inside: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, n) in files {
        inside.entry(&n[b]).or_default().insert(&n[a]);
    }
    let repeats = inside.values().filter(|outer| outer.len() > 1).count();
    match (names[a].len(), names[b].len()) {
        _ if repeats == 0 => None,
        (outer, inner) if inner < outer => Some(b),
        (outer, inner) if outer < inner => Some(a),
        _ => None,
    }
}

fn empty(root: &Path, message: String) -> CorpusError {
    CorpusError::Empty {
        path: root.to_owned(),
        message,
    }
}

//! From a folder in a corpus's own layout to a [`Corpus`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::counts::Whole;
use super::layout::{self, Found, Layout};
use super::{
    Corpus, CorpusError, crema_d, emodb, iemocap, manifest, msp_improv, ravdess, savee, tess,
};

/// A layout that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CorpusFormat {
    /// Berlin EMO-DB: names such as 03a01Fa.wav
    Emodb,
    /// RAVDESS speech: names such as 03-01-05-01-02-01-12.wav
    Ravdess,
    /// IEMOCAP: names such as Ses01F_impro01_M003.wav, labels in EmoEvaluation/*.txt; four classes, excited is happy
    Iemocap,
    /// MSP-IMPROV: names such as MSP-IMPROV-S01A-F01-P-FM01.wav, labels in Evalution.txt; four classes
    MspImprov,
    /// CREMA-D: names such as 1001_DFA_ANG_XX.wav, gender from VideoDemographics.csv
    CremaD,
    /// SAVEE: names such as DC/a01.wav or DC_a01.wav
    Savee,
    /// TESS: names such as OAF_back_angry.wav
    Tess,
    /// A CSV file with path, speaker, emotion and, where known, corpus, session, gender
    Manifest,
}

/// The paper's four classes.
const FOUR: &[&str] = &["angry", "happy", "neutral", "sad"];

/// What is done with a corpus's labels unless something else is asked for.
struct Defaults {
    map: &'static [(&'static str, &'static str)],
    /// None means all.
    labels: Option<&'static [&'static str]>,
    /// What the whole corpus has then, where that is checked.
    whole: Option<&'static Whole>,
}

impl CorpusFormat {
    fn layout(self) -> Option<&'static Layout> {
        match self {
            Self::Emodb => Some(&emodb::LAYOUT),
            Self::Ravdess => Some(&ravdess::LAYOUT),
            Self::Iemocap => Some(&iemocap::LAYOUT),
            Self::MspImprov => Some(&msp_improv::LAYOUT),
            Self::CremaD => Some(&crema_d::LAYOUT),
            Self::Savee => Some(&savee::LAYOUT),
            Self::Tess => Some(&tess::LAYOUT),
            Self::Manifest => None,
        }
    }

    fn defaults(self) -> Defaults {
        let (map, labels, whole): (&[_], _, _) = match self {
            Self::Iemocap => (iemocap::MAP, Some(FOUR), Some(&iemocap::WHOLE)),
            Self::MspImprov => (&[], Some(FOUR), Some(&msp_improv::WHOLE)),
            Self::CremaD => (&[], None, Some(&crema_d::WHOLE)),
            Self::Savee => (&[], None, Some(&savee::WHOLE)),
            Self::Tess => (&[], None, Some(&tess::WHOLE)),
            Self::Emodb | Self::Ravdess | Self::Manifest => (&[], None, None),
        };
        Defaults { map, labels, whole }
    }
}

/// Which recordings to take, and what their labels are to be called.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// New names of labels, applied first; none means the corpus's default: for IEMOCAP excited becomes happy (unless all labels
    /// are asked for), for all others nothing.
    pub map: Option<BTreeMap<String, String>>,
    /// The labels to keep.
    pub labels: Labels,
    /// Corpus name of manifest rows that have none; none means the folder's name.
    pub corpus: Option<String>,
}

/// Which labels to keep, by their new names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Labels {
    /// The corpus's default: angry, happy, neutral and sad of IEMOCAP and MSP-IMPROV, every label of the others.
    #[default]
    Default,
    /// Every label.
    All,
    /// These.
    These(BTreeSet<String>),
}

/// What an import found.
#[derive(Debug, Clone)]
pub struct Import {
    /// The recordings taken, by path.
    pub corpus: Corpus,
    /// Audio files whose names the layout does not know, with the reason.
    pub unknown: Vec<(PathBuf, String)>,
    /// Recordings left out, counted by what they are.
    pub left_out: BTreeMap<String, usize>,
    /// What is not as it is in the whole, sound corpus.
    pub findings: Vec<Finding>,
}

/// Something that is missing from a corpus or damaged in it. The import goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, in one line.
    pub what: String,
    /// Where: files, lines, ids or counts.
    pub examples: Vec<String>,
}

/// Searches `source` and the folders below it (for a manifest: reads that file, or `manifest.csv` in that folder).
///
/// Names and label files are read, audio is not. With the default labels, IEMOCAP, MSP-IMPROV, CREMA-D, SAVEE and TESS are compared
/// with the published counts; a difference is among the findings.
///
/// # Errors
/// [`CorpusError`]: nothing recognised, no label files where the corpus has them, a recording there twice (as WAV and as FLAC, say),
/// two labels for one recording, a label in `options` that does not occur, a label or path that breaks the manifest.
pub fn import(
    format: CorpusFormat,
    source: &Path,
    options: &ImportOptions,
) -> Result<Import, CorpusError> {
    let mut found = match format.layout() {
        Some(layout) => layout::read(source, layout)?,
        None => Found {
            import: Import {
                corpus: manifest::read(source, options.corpus.as_deref())?,
                unknown: Vec::new(),
                left_out: BTreeMap::new(),
                findings: Vec::new(),
            },
            without_audio: Vec::new(),
        },
    };
    if format == CorpusFormat::CremaD {
        crema_d::add_gender(&mut found.import.corpus)?;
    }
    let defaults = format.defaults();
    select(source, &mut found, options, &defaults)?;
    let mut import = found.import;
    let as_published = options.map.is_none() && options.labels == Labels::Default;
    if as_published
        && let Some(difference) = defaults.whole.and_then(|w| w.difference(&import.corpus))
    {
        import.findings.push(difference);
    }
    Ok(import)
}

/// Renames and selects labels. A label that is asked for and does not occur is a slip of the pen and is refused.
fn select(
    source: &Path,
    found: &mut Found,
    options: &ImportOptions,
    defaults: &Defaults,
) -> Result<(), CorpusError> {
    let Found {
        import,
        without_audio,
    } = found;
    let check = |asked: Vec<&String>, there: &BTreeSet<String>| match asked
        .into_iter()
        .find(|a| !there.contains(*a))
    {
        None => Ok(()),
        Some(label) => Err(CorpusError::UnknownLabel {
            path: source.to_owned(),
            label: label.clone(),
            found: there.iter().cloned().collect::<Vec<_>>().join(", "),
        }),
    };
    let labels = |c: &Corpus| {
        c.utterances
            .iter()
            .map(|u| u.emotion.clone())
            .collect::<BTreeSet<_>>()
    };
    let owned = |(old, new): &(&str, &str)| ((*old).to_owned(), (*new).to_owned());
    let map = match (&options.map, &options.labels) {
        (Some(map), _) => {
            check(map.keys().collect(), &labels(&import.corpus))?;
            map.clone()
        }
        (None, Labels::All) => BTreeMap::new(),
        (None, _) => defaults.map.iter().map(owned).collect(),
    };
    for u in &mut import.corpus.utterances {
        if let Some(new) = map.get(&u.emotion) {
            u.emotion.clone_from(new);
        }
    }
    let keep: Option<BTreeSet<String>> = match &options.labels {
        Labels::These(keep) => {
            check(keep.iter().collect(), &labels(&import.corpus))?;
            Some(keep.clone())
        }
        Labels::All => None,
        Labels::Default => defaults
            .labels
            .map(|l| l.iter().map(|s| (*s).to_owned()).collect()),
    };
    let kept = |label: &str| keep.as_ref().is_none_or(|k| k.contains(label));
    let left_out = &mut import.left_out;
    import.corpus.utterances.retain(|u| {
        let kept = kept(&u.emotion);
        if !kept {
            *left_out.entry(u.emotion.clone()).or_insert(0) += 1;
        }
        kept
    });
    let missing: Vec<String> = without_audio
        .iter()
        .filter(|l| kept(map.get(l.emotion).map_or(l.emotion, String::as_str)))
        .map(|l| format!("{} ({}; {})", l.id, l.emotion, l.place))
        .collect();
    if !missing.is_empty() {
        import.findings.push(Finding {
            what: format!("{} labels have no recording", missing.len()),
            examples: missing,
        });
    }
    if import.corpus.utterances.is_empty() {
        let message = "no recording has any of the labels that are kept".to_owned();
        return Err(CorpusError::Empty {
            path: source.to_owned(),
            message,
        });
    }
    Ok(())
}

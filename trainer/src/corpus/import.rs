//! From a folder in a corpus's own layout to a [`Corpus`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use super::counts::Whole;
use super::layout::{self, Found, Layout};
use super::{
    Corpus, CorpusError, crema_d, emodb, emovo, emozionalmente, esd, folders, iemocap, jl,
    manifest, meld, msp_improv, nemo, pattern, ravdess, savee, shemo, subesco, tess,
};
use crate::data::text::Meaning;

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
    /// nEMO (Polish): names such as SB0_anger_12.wav
    Nemo,
    /// Emozionalmente (Italian): audio/*.wav, labels in metadata/samples.csv, gender in users.csv
    Emozionalmente,
    /// SUBESCO (Bangla): names such as F_02_MONIKA_S_1_NEUTRAL_5.wav
    Subesco,
    /// JL-Corpus (New Zealand English): names such as female1_angry_10a_1.wav
    JlCorpus,
    /// ESD (English and Mandarin): names such as 0011_000351.wav, in folders of any kind
    Esd,
    /// EMOVO (Italian): names such as dis-f1-b1.wav
    Emovo,
    /// ShEMO (Persian): names such as F01A01.wav
    Shemo,
    /// MELD (Friends): names such as train_splits/dia0_utt0.wav, labels in train_sent_emo.csv, dev_…, test_…
    Meld,
    /// A table (CSV, TSV) with path and emotion and, where known, speaker, corpus, session, gender, start, end, channel, split
    Manifest,
    /// Folders named after emotions: EMOTION/x.wav, SPEAKER/EMOTION/x.wav or EMOTION/SPEAKER/x.wav
    Folders,
    /// Names that a regular expression with named groups takes apart: `--pattern '(?<speaker>[^/_]+)_(?<emotion>[a-z]+)'`
    Pattern,
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
            Self::Nemo => Some(&nemo::LAYOUT),
            Self::Subesco => Some(&subesco::LAYOUT),
            Self::JlCorpus => Some(&jl::LAYOUT),
            Self::Esd => Some(&esd::LAYOUT),
            Self::Emovo => Some(&emovo::LAYOUT),
            Self::Shemo => Some(&shemo::LAYOUT),
            Self::Emozionalmente | Self::Meld => None,
            Self::Manifest | Self::Folders | Self::Pattern => None,
        }
    }

    fn defaults(self) -> Defaults {
        let (map, labels, whole): (&[_], _, _) = match self {
            Self::Iemocap => (iemocap::MAP, Some(FOUR), Some(&iemocap::WHOLE)),
            Self::MspImprov => (&[], Some(FOUR), Some(&msp_improv::WHOLE)),
            Self::CremaD => (&[], None, Some(&crema_d::WHOLE)),
            Self::Savee => (&[], None, Some(&savee::WHOLE)),
            Self::Tess => (&[], None, Some(&tess::WHOLE)),
            Self::Nemo => (&[], None, Some(&nemo::WHOLE)),
            Self::Emozionalmente => (&[], None, Some(&emozionalmente::WHOLE)),
            Self::Subesco => (&[], None, Some(&subesco::WHOLE)),
            Self::JlCorpus => (&[], None, Some(&jl::WHOLE)),
            Self::Esd => (&[], None, Some(&esd::WHOLE)),
            Self::Emovo => (&[], None, Some(&emovo::WHOLE)),
            Self::Shemo => (&[], None, Some(&shemo::WHOLE)),
            Self::Meld => (&[], None, Some(&meld::WHOLE)),
            Self::Emodb | Self::Ravdess => (&[], None, None),
            Self::Manifest | Self::Folders | Self::Pattern => (&[], None, None),
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
    /// Corpus name of recordings of which nothing else tells it (manifest, folders, pattern); none means the folder's name.
    pub corpus: Option<String>,
    /// Which column of a manifest means what; none says that no column means this.
    pub columns: BTreeMap<Meaning, Option<String>>,
    /// Where relative paths of a manifest may start, beside its own folder.
    pub root: Option<PathBuf>,
    /// Takes paths apart, for [`CorpusFormat::Pattern`].
    pub pattern: Option<Regex>,
    /// Of recordings that are there twice by their name, take the first.
    pub drop_duplicates: bool,
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
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// The recordings taken, by path.
    pub corpus: Corpus,
    /// Audio files whose names the layout does not know, with the reason.
    pub unknown: Vec<(PathBuf, String)>,
    /// Recordings left out, counted by what they are.
    pub left_out: BTreeMap<String, usize>,
    /// What is not as it is in the whole, sound corpus.
    pub findings: Vec<Finding>,
    /// What was understood and what was passed over, where that is worth knowing but nothing is wrong.
    pub notes: Vec<String>,
}

/// Something that is missing from a corpus or damaged in it. The import goes on without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, in one line.
    pub what: String,
    /// Where: files, lines, ids or counts.
    pub examples: Vec<String>,
}

impl Finding {
    /// One that needs no examples.
    #[must_use]
    pub fn plain(what: String) -> Self {
        let examples = Vec::new();
        Self { what, examples }
    }
}

/// Searches `source` and the folders below it (for a manifest: reads that file, or `manifest.csv` in that folder).
///
/// Names and label files are read, audio is not. With the default labels, corpora whose published counts are known are compared
/// with them; a difference is among the findings.
///
/// # Errors
/// [`CorpusError`]: nothing recognised, no label files where the corpus has them, a recording there twice (as WAV and as FLAC, say),
/// two labels for one recording, a label in `options` that does not occur, a label or path that breaks the manifest.
pub fn import(
    format: CorpusFormat,
    source: &Path,
    options: &ImportOptions,
) -> Result<Import, CorpusError> {
    let mut found = match (format.layout(), format) {
        (Some(layout), _) => layout::read(source, layout, options.drop_duplicates)?,
        (None, CorpusFormat::Meld) => meld::read(source, options.drop_duplicates)?,
        (None, CorpusFormat::Emozionalmente) => {
            emozionalmente::read(source, options.drop_duplicates)?
        }
        (None, CorpusFormat::Folders) => Found::only(folders::read(source, options)?),
        (None, CorpusFormat::Pattern) => Found::only(pattern::read(source, options)?),
        (None, _) => Found::only(manifest::read(source, options)?),
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

//! The same audio under two names.
//!
//! A copy on both sides of a split makes scores look better than they are, and a copy within a class counts twice. Samples are
//! compared, not bytes: the same recording as WAV and as FLAC, or with other tags, is the same audio. A copy at another rate,
//! gain or resolution is not found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use ser_runtime::audio::{AudioError, Pcm, read_audio};
use sha2::{Digest, Sha256};

use super::{Corpus, CorpusError, Finding, Utterance};
use crate::progress::Progress;

/// Copies that are named one by one in an error.
const SHOWN: usize = 20;

/// What tells decoded audio from all other: SHA-256 of rate and samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a recording in memory.
    #[must_use]
    pub fn of(pcm: &Pcm) -> Self {
        let mut hash = Sha256::new();
        hash.update(pcm.sample_rate.to_le_bytes());
        let mut bytes = [0; 4096];
        for block in pcm.samples.chunks(bytes.len() / 4) {
            for (to, sample) in bytes.chunks_exact_mut(4).zip(block) {
                to.copy_from_slice(&sample.to_le_bytes());
            }
            hash.update(&bytes[..4 * block.len()]);
        }
        Self(hash.finalize().into())
    }

    /// Of a WAV or FLAC file.
    ///
    /// # Errors
    /// [`AudioError`] naming the file.
    pub fn read(path: &Path) -> Result<Self, AudioError> {
        Ok(Self::of(&read_audio(path)?))
    }
}

/// A recording whose samples an earlier one of the corpus has too; both as indices of [`Corpus::utterances`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SameAudio {
    /// The first in the corpus.
    pub first: usize,
    /// The later one.
    pub second: usize,
}

/// What decoding the recordings tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// Recordings with the samples of an earlier one.
    pub copies: Vec<SameAudio>,
    /// Files that cannot be decoded.
    pub broken: Option<Finding>,
    /// The sampling rate of each recording in Hz, where it could be decoded.
    pub rates: Vec<Option<u32>>,
}

/// Decodes every file of `corpus`, on all cores and one at a time on each, and finds recordings that have the same samples: equal
/// files, of which the same part and channel is taken. Files that cannot be decoded come back as a finding, since extraction is
/// where they must be dealt with.
#[must_use]
pub fn find_copies(corpus: &Corpus) -> Compared {
    let mut files: BTreeMap<&Path, usize> = BTreeMap::new();
    for u in &corpus.utterances {
        let next = files.len();
        files.entry(&u.path).or_insert(next);
    }
    let mut paths: Vec<&Path> = vec![Path::new(""); files.len()];
    for (path, i) in &files {
        paths[*i] = path;
    }
    let progress = Progress::new("comparing audio", paths.len() as u64);
    let read = |path: &&Path| {
        let pcm = read_audio(&corpus.root.join(path));
        progress.add(1);
        pcm.map(|pcm| (Fingerprint::of(&pcm), pcm.sample_rate))
    };
    let decoded: Vec<_> = paths.par_iter().with_max_len(1).map(read).collect();
    progress.finish();
    let broken: Vec<String> = decoded
        .iter()
        .filter_map(|f| f.as_ref().err().map(ToString::to_string))
        .collect();
    let broken = (!broken.is_empty()).then(|| Finding {
        what: format!(
            "{} recordings cannot be decoded, so that nobody knows whether they are there twice",
            broken.len()
        ),
        examples: broken,
    });
    let of = |u: &Utterance| decoded[files[u.path.as_path()]].as_ref().ok().copied();
    let rows = corpus.utterances.iter().enumerate();
    let known = rows.filter_map(|(i, u)| {
        let part = (u.segment.map(|s| s.key()), u.channel);
        Some((i, (of(u)?.0, part)))
    });
    Compared {
        copies: copies(known),
        broken,
        rates: corpus
            .utterances
            .iter()
            .map(|u| of(u).map(|(_, rate)| rate))
            .collect(),
    }
}

/// The recordings, by index in rising order, that have a key which an earlier one has.
pub(crate) fn copies<K: Ord>(keys: impl Iterator<Item = (usize, K)>) -> Vec<SameAudio> {
    let mut seen: BTreeMap<K, usize> = BTreeMap::new();
    let mut copies = Vec::new();
    for (second, key) in keys {
        match seen.get(&key) {
            Some(&first) => copies.push(SameAudio { first, second }),
            None => {
                seen.insert(key, second);
            }
        }
    }
    copies
}

/// Refuses copies, or with `drop` takes the later ones out of the corpus and returns how many those were.
///
/// # Errors
/// [`CorpusError::Duplicate`]: there are copies and they are not to be dropped, or two copies have different labels or speakers, so that
/// nobody knows which to keep.
pub fn settle_copies(
    corpus: &mut Corpus,
    copies: &[SameAudio],
    drop: bool,
) -> Result<usize, CorpusError> {
    let error = |message| CorpusError::Duplicate {
        path: corpus.root.clone(),
        message,
    };
    let differ = |c: &&SameAudio| {
        let (a, b) = (&corpus.utterances[c.first], &corpus.utterances[c.second]);
        (&a.emotion, &a.speaker) != (&b.emotion, &b.speaker)
    };
    let conflicts: Vec<SameAudio> = copies.iter().filter(differ).copied().collect();
    if !conflicts.is_empty() {
        return Err(error(format!(
            "{} recordings have the same samples as another one but a different label or speaker:{}\nFind out which is right and take the \
             other away, from the folder or from a manifest",
            conflicts.len(),
            list(corpus, &conflicts)
        )));
    }
    if !copies.is_empty() && !drop {
        return Err(error(format!(
            "{} recordings have the same samples as another one:{}\nRemove the copies, or keep only the first of each with \
             --drop-duplicates",
            copies.len(),
            list(corpus, copies)
        )));
    }
    let later: BTreeSet<usize> = copies.iter().map(|c| c.second).collect();
    let mut index = 0..;
    corpus
        .utterances
        .retain(|_| !index.next().is_some_and(|i| later.contains(&i)));
    Ok(later.len())
}

/// One line for each pair.
pub(crate) fn list(corpus: &Corpus, copies: &[SameAudio]) -> String {
    let shown = |u: &Utterance| format!("{} ({}, {})", u.path.display(), u.emotion, u.speaker);
    let mut text = String::new();
    for c in copies.iter().take(SHOWN) {
        let (a, b) = (&corpus.utterances[c.first], &corpus.utterances[c.second]);
        text.push_str(&format!("\n  {} and {}", shown(a), shown(b)));
    }
    if copies.len() > SHOWN {
        text.push_str(&format!("\n  … and {} more", copies.len() - SHOWN));
    }
    text
}

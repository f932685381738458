//! From a corpus to a feature table: every recording decoded and measured, on all cores.
//!
//! Decoding and features are those of the device ([`ser_runtime::audio`], [`ser_runtime::extract`]). Finished rows
//! are kept in a journal beside the table (`TABLE.part`), so that a run that was killed, or that found broken files,
//! goes on where it stopped and ends with the same table, byte for byte.

mod journal;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use ser_features::{EXTRACTOR_VERSION, FeatureSet, feature_names};
use ser_runtime::audio::read_audio;
use ser_runtime::extract::extract_features;
use ser_runtime::quality::Quality;

use crate::corpus::{Corpus, Fingerprint, SameAudio, Utterance, duplicates};
use crate::progress::Progress;
use crate::table::{FeatureSetTag, FeatureTable, RowMeta, TableError};
use journal::{Journal, Key, Row};

/// How to extract.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractionOptions {
    /// Which features.
    pub feature_set: FeatureSet,
    /// Recordings measured at a time; none means one for each core.
    pub jobs: Option<usize>,
    /// Leave broken recordings out instead of failing.
    pub skip_broken: bool,
}

/// What an extraction did.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// The table, rows in the order of the corpus.
    pub table: FeatureTable,
    /// Recordings left out, with the reason.
    pub broken: Vec<Broken>,
    /// Rows taken over from an earlier run that did not end.
    pub resumed: usize,
    /// Recordings in the table that are hardly fit for training, with what was measured.
    pub doubtful: Vec<(String, Quality)>,
}

/// A recording that has no features.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The recording, as the corpus names it.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Why an extraction failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractionError {
    /// The journal of finished rows cannot be read or written.
    #[error("cannot keep finished rows in {}: {source}{}; the rows before are safe, the same command goes on from there", path.display(), crate::atomic::write_hint(source))]
    Journal {
        /// The journal.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Another process extracts to the same table.
    #[error("{}: another ser-train works on this table; wait for it or choose another output", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// A file that is no journal stands where the journal must be.
    #[error("{}: this is no extraction journal; move it away, since finished rows are to be kept there", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// Recordings that cannot be measured. All others are safe in the journal.
    #[error("{} of {total} recordings are broken:{}\nRepair them and run the same command again, which measures only those; or leave them out with --skip-broken", broken.len(), list(broken))]
    Broken {
        /// The recordings.
        broken: Vec<Broken>,
        /// Recordings in the corpus.
        total: usize,
    },
    /// No recording could be measured.
    #[error("none of the {total} recordings could be measured:{}", list(broken))]
    NothingLeft {
        /// The recordings.
        broken: Vec<Broken>,
        /// Recordings in the corpus.
        total: usize,
    },
    /// Recordings that are there twice. Their rows are safe in the journal.
    #[error(
        "{count} recordings have the same samples as another one:{pairs}\nTake the copies out of the corpus file; `ser-train corpus manifest CORPUS.csv -o NEW.csv --drop-duplicates` keeps the first of each"
    )]
    SameAudio {
        /// How many copies.
        count: usize,
        /// A line for each, with its original.
        pairs: String,
    },
    /// The threads could not be started.
    #[error("cannot start {jobs} threads: {reason}")]
    Threads {
        /// How many were asked for.
        jobs: usize,
        /// Why not.
        reason: String,
    },
    /// The table could not be written.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// One line for each broken recording.
fn list(broken: &[Broken]) -> String {
    broken
        .iter()
        .map(|b| format!("\n  {}: {}", b.path, b.reason))
        .collect()
}

/// What the threads write to.
struct Shared {
    journal: Journal,
    outcomes: Vec<Option<Result<Row, String>>>,
    failure: Option<ExtractionError>,
}

/// Measures every recording of `corpus` and writes the table to `output` (`.parquet` or `.csv`).
///
/// Rows are in the order of the corpus, whatever the number of threads. If the process is killed or the disk fills up, the
/// same call goes on with the recordings that are not done yet; one whose size or time of change differs is measured again.
///
/// # Errors
/// [`ExtractionError`]; broken recordings, and those with the same samples as another, are listed only when all others are done.
pub fn extract(
    corpus: &Corpus,
    output: &Path,
    options: &ExtractionOptions,
) -> Result<Extraction, ExtractionError> {
    FeatureTable::check_writable(output)?;
    let (journal, finished) = Journal::open(output, options.feature_set)?;
    let mut finished: HashMap<Key, Row> = finished.into_iter().collect();

    let total = corpus.utterances.len();
    let mut outcomes: Vec<Option<Result<Row, String>>> = Vec::with_capacity(total);
    let mut pending: Vec<(usize, Key)> = Vec::new();
    for (i, u) in corpus.utterances.iter().enumerate() {
        outcomes.push(match Key::of(&name(u), &corpus.resolve(u)) {
            Err(e) => Some(Err(format!("cannot read it: {e}"))),
            Ok(key) => match finished.remove(&key) {
                Some(row) => Some(Ok(row)),
                None => {
                    pending.push((i, key));
                    None
                }
            },
        });
    }
    let resumed = outcomes.iter().flatten().filter(|o| o.is_ok()).count();

    let jobs = options
        .jobs
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let threads = |e: rayon::ThreadPoolBuildError| ExtractionError::Threads {
        jobs,
        reason: e.to_string(),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(jobs)
        .build()
        .map_err(threads)?;
    let progress = Progress::new("extracting", pending.len() as u64);
    if resumed > 0 {
        progress.note(format!(
            "going on: {resumed} of {total} recordings are done already"
        ));
    }
    let stop = AtomicBool::new(false);
    let shared = Mutex::new(Shared {
        journal,
        outcomes,
        failure: None,
    });
    pool.install(|| {
        pending.par_iter().with_max_len(1).for_each(|(i, key)| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let u = &corpus.utterances[*i];
            let outcome = measure(&corpus.resolve(u), options.feature_set);
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match &outcome {
                Ok(row) => {
                    if let Err(e) = shared.journal.add(key, row) {
                        stop.store(true, Ordering::Relaxed);
                        shared.failure.get_or_insert(e);
                    }
                }
                Err(reason) => progress.note(format!("broken: {}: {reason}", key.path)),
            }
            shared.outcomes[*i] = Some(outcome);
            progress.add(1);
        });
    });
    progress.finish();
    let Shared {
        journal,
        outcomes,
        failure,
    } = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = failure {
        return Err(failure);
    }

    let copies = same_audio(corpus, &outcomes);
    let (table, broken, doubtful) = assemble(corpus, outcomes, options.feature_set);
    if table.rows == 0 {
        return Err(ExtractionError::NothingLeft { broken, total });
    }
    if !broken.is_empty() && !options.skip_broken {
        return Err(ExtractionError::Broken { broken, total });
    }
    if !copies.is_empty() {
        return Err(ExtractionError::SameAudio {
            count: copies.len(),
            pairs: duplicates::list(corpus, &copies),
        });
    }
    table.write(output)?;
    journal.remove()?;
    Ok(Extraction {
        table,
        broken,
        resumed,
        doubtful,
    })
}

/// Recordings with the same samples: the corpus may have been put together from several. Equal samples give equal rows, so only
/// recordings with equal rows need be decoded again.
fn same_audio(corpus: &Corpus, outcomes: &[Option<Result<Row, String>>]) -> Vec<SameAudio> {
    let rows = outcomes.iter().enumerate();
    let rows = rows.filter_map(|(i, outcome)| Some((i, outcome.as_ref()?.as_ref().ok()?)));
    let keys = rows.map(|(i, row)| {
        let features: Vec<u32> = row.features.iter().map(|v| v.to_bits()).collect();
        (i, (row.sample_rate, row.duration_s.to_bits(), features))
    });
    let read = |i: usize| Fingerprint::read(&corpus.resolve(&corpus.utterances[i]));
    let mut copies = duplicates::copies(keys);
    copies.retain(|c| match (read(c.first), read(c.second)) {
        (Ok(a), Ok(b)) => a == b,
        // Not readable any more: the equal rows are evidence enough.
        _ => true,
    });
    copies
}

/// The name of a recording in messages, in the journal and in the table.
fn name(utterance: &Utterance) -> String {
    utterance.path.to_string_lossy().into_owned()
}

/// Decodes and measures one recording.
fn measure(file: &Path, set: FeatureSet) -> Result<Row, String> {
    let pcm = read_audio(file).map_err(|e| e.to_string())?;
    let extracted = extract_features(&pcm, set).map_err(|e| e.to_string())?;
    Ok(Row {
        sample_rate: pcm.sample_rate,
        duration_s: pcm.duration_s() as f32,
        quality: extracted.quality,
        features: extracted.features.as_slice().to_vec(),
    })
}

type Assembled = (FeatureTable, Vec<Broken>, Vec<(String, Quality)>);

/// Puts the rows in the order of the corpus.
fn assemble(
    corpus: &Corpus,
    outcomes: Vec<Option<Result<Row, String>>>,
    set: FeatureSet,
) -> Assembled {
    let (mut values, mut meta) = (Vec::new(), Vec::new());
    let (mut broken, mut doubtful) = (Vec::new(), Vec::new());
    for (u, outcome) in corpus.utterances.iter().zip(outcomes) {
        let path = name(u);
        // A recording without an outcome was never begun: its thread was told to stop, which is a failure above.
        match outcome.unwrap_or_else(|| Err("it was not measured".to_owned())) {
            Err(reason) => broken.push(Broken { path, reason }),
            Ok(row) => {
                if !row.quality.is_good() {
                    doubtful.push((path.clone(), row.quality));
                }
                values.extend_from_slice(&row.features);
                meta.push(RowMeta {
                    path,
                    corpus: u.corpus.clone(),
                    speaker: u.speaker.clone(),
                    session: u.session.clone(),
                    gender: u.gender.clone(),
                    emotion: u.emotion.clone(),
                    sample_rate: Some(row.sample_rate),
                    duration_s: Some(row.duration_s),
                });
            }
        }
    }
    let feature_set = FeatureSetTag {
        id: set.id().to_owned(),
        extractor_version: Some(EXTRACTOR_VERSION.to_owned()),
    };
    let table = FeatureTable {
        feature_set,
        names: feature_names(set),
        rows: meta.len(),
        values,
        meta,
    };
    (table, broken, doubtful)
}

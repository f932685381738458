//! From a corpus to a feature table: every recording decoded, cut to its speech and measured, on all cores.
//!
//! Decoding, cut, rate and features are those of the device ([`ser_runtime::audio`], [`ser_runtime::extract`]): a row
//! is what a device would hear of a recording, one for each utterance. Finished recordings are kept in a journal beside the table (`TABLE.part`), so that a run that was killed, or that found broken files,
//! goes on where it stopped and ends with the same table, byte for byte.

mod journal;
mod room;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use ser_features::{EXTRACTOR_VERSION, FeatureSet, FinishError, feature_names};
use ser_runtime::audio::Pcm;
use ser_runtime::audio::{read_audio, read_channel};
use ser_runtime::cut::Span;
use ser_runtime::extract::{ExtractError, Extracted, extract_range};
use ser_runtime::hearing::{Hearing, HearingInfo};
use ser_runtime::quality::Quality;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::corpus::{Corpus, Fingerprint, SameAudio, Utterance, duplicates};
use crate::data::stream;
use crate::progress::Progress;
use crate::table::{FeatureSetTag, FeatureTable, RowMeta, TableError};
use journal::{Journal, Key, Measured, Row};
pub use room::Room;

/// How to extract.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractionOptions {
    /// Which features.
    pub feature_set: FeatureSet,
    /// What is made of a recording.
    pub hearing: Hearing,
    /// Copies with moved ends.
    pub vary: Option<Vary>,
    /// What is added to recordings before they are heard: for tests of a model.
    pub room: Room,
    /// Seed of the copies and of the noise.
    pub seed: u64,
    /// Recordings measured at a time; none means one for each core.
    pub jobs: Option<usize>,
    /// Leave broken recordings out instead of failing.
    pub skip_broken: bool,
}

/// Copies of every utterance whose ends are drawn anew, so that a model learns that the place of a cut means nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vary {
    /// Copies of each utterance.
    pub copies: u32,
    /// Each end moves by up to so many milliseconds, within the recording.
    pub by_ms: u32,
    /// Every other copy gets pink noise, too: its level is drawn from the [`NOISE_RANGE_DB`] below this one, in dB
    /// relative to full scale.
    pub noise_dbfs: Option<f32>,
}

/// Range of the levels of noise in copies, in dB.
pub const NOISE_RANGE_DB: f32 = 30.0;

/// What an extraction did.
#[derive(Debug, Clone)]
pub struct Extraction {
    /// The table, rows in the order of the corpus.
    pub table: FeatureTable,
    /// Recordings left out, with the reason.
    pub broken: Vec<Broken>,
    /// Recordings without a row: nothing in them is fit speech, and why.
    pub speechless: Vec<Broken>,
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
    outcomes: Vec<Option<Result<Measured, String>>>,
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
    let heard = heard_as(options);
    let (journal, finished) = Journal::open(output, options.feature_set, &heard)?;
    let mut finished: HashMap<Key, Measured> = finished.into_iter().collect();

    let total = corpus.utterances.len();
    let mut outcomes: Vec<Option<Result<Measured, String>>> = Vec::with_capacity(total);
    let mut pending: Vec<(usize, Key)> = Vec::new();
    for (i, u) in corpus.utterances.iter().enumerate() {
        outcomes.push(match Key::of(&part_name(u), &corpus.resolve(u)) {
            Err(e) => Some(Err(format!("cannot read it: {e}"))),
            Ok(key) => match finished.remove(&key) {
                Some(measured) => Some(Ok(measured)),
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
            let outcome = measure(u, &corpus.resolve(u), options);
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
    let Assembled {
        table,
        broken,
        speechless,
        doubtful,
    } = assemble(corpus, outcomes, options);
    if table.rows == 0 {
        let broken = [broken, speechless].concat();
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
        speechless,
        resumed,
        doubtful,
    })
}

/// What the rows of a journal depend on beside the extractor.
fn heard_as(options: &ExtractionOptions) -> String {
    let hearing = serde_json::to_string(&HearingInfo::from(options.hearing)).unwrap_or_default();
    let vary = options.vary.map_or_else(String::new, |v| {
        let noise = v
            .noise_dbfs
            .map_or_else(String::new, |n| format!(", noise to {n} dBFS"));
        format!("{} by {} ms{noise}", v.copies, v.by_ms)
    });
    let Room { pad_s, noise_dbfs } = options.room;
    let noise = noise_dbfs.map_or_else(String::new, |level| format!("{level} dBFS"));
    format!(
        "{hearing}; copies={vary}; pauses={pad_s} s; noise={noise}; seed={}",
        options.seed
    )
}

/// Recordings with the same samples: the corpus may have been put together from several. Equal samples give equal rows, so only
/// recordings with equal rows need be decoded again.
fn same_audio(corpus: &Corpus, outcomes: &[Option<Result<Measured, String>>]) -> Vec<SameAudio> {
    let rows = outcomes.iter().enumerate();
    let rows = rows.filter_map(|(i, outcome)| Some((i, outcome.as_ref()?.as_ref().ok()?)));
    let keys = rows.filter_map(|(i, measured)| {
        let row = measured.rows.first()?;
        let features: Vec<u32> = row.features.iter().map(|v| v.to_bits()).collect();
        let duration = row.duration_s.to_bits();
        Some((i, (measured.sample_rate, duration, features)))
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

/// The name of the part of a recording that an utterance of the corpus is: several may lie in one file.
fn part_name(utterance: &Utterance) -> String {
    let mut name = name(utterance);
    if let Some(segment) = utterance.segment {
        name.push_str(&format!(", {segment}"));
    }
    if let Some(channel) = utterance.channel {
        name.push_str(&format!(", channel {channel}"));
    }
    name
}

/// By how much a part may reach beyond the end of its recording: annotations are rounded.
const BEYOND_S: f64 = 1.0;

/// The samples that an utterance of the corpus is labelled for, and where they begin in the file, in seconds.
fn read_part(utterance: &Utterance, file: &Path) -> Result<(Pcm, f64), String> {
    let mut pcm = match utterance.channel {
        None => read_audio(file),
        Some(channel) => read_channel(file, channel),
    }
    .map_err(|e| e.to_string())?;
    let Some(segment) = utterance.segment else {
        return Ok((pcm, 0.0));
    };
    let (rate, length) = (f64::from(pcm.sample_rate), pcm.duration_s());
    let end_s = segment.end_s.unwrap_or(length);
    if segment.start_s >= length || end_s > length + BEYOND_S {
        return Err(format!(
            "the label is for {segment}, but the recording has {length:.2} s: are the times those of this file, and in seconds?"
        ));
    }
    let end = ((end_s * rate).round() as usize).min(pcm.samples.len());
    let start = ((segment.start_s * rate).round() as usize).min(end);
    pcm.samples.truncate(end);
    pcm.samples.drain(..start);
    Ok((pcm, start as f64 / rate))
}

/// Decodes, cuts and measures what an utterance of the corpus is labelled for.
fn measure(
    utterance: &Utterance,
    file: &Path,
    options: &ExtractionOptions,
) -> Result<Measured, String> {
    let name = &part_name(utterance);
    let (mut pcm, begins_s) = read_part(utterance, file)?;
    options.room.around(&mut pcm, name, options.seed);
    let set = options.feature_set;
    let extract = |hearing: &Hearing| ser_runtime::extract::extract(&pcm, set, hearing);
    let heard = extract(&options.hearing).map_err(|e| e.to_string())?;
    let nothing = heard.utterances.is_empty();
    let nothing = nothing.then(|| heard.reason().words().to_owned());
    let whole = options.hearing.cut.is_none() && utterance.segment.is_none();
    let mut rows = Vec::new();
    for (index, utterance) in heard.utterances.into_iter().enumerate() {
        let copies = match &options.vary {
            Some(vary) => copies(&pcm, name, index, utterance.span, vary, options),
            None => Ok(Vec::new()),
        };
        rows.push(row(utterance, &pcm, whole, None));
        rows.extend(copies.map_err(|e| e.to_string())?);
    }
    for start_s in rows.iter_mut().filter_map(|row| row.start_s.as_mut()) {
        *start_s += begins_s as f32;
    }
    Ok(Measured {
        sample_rate: pcm.sample_rate,
        rows,
        nothing,
    })
}

fn row(extracted: Extracted, pcm: &Pcm, whole: bool, copy: Option<u32>) -> Row {
    let seconds = |samples: u64| samples as f32 / pcm.sample_rate as f32;
    Row {
        start_s: (!whole).then(|| seconds(extracted.span.start)),
        duration_s: seconds(extracted.span.samples()),
        copy,
        quality: extracted.quality,
        features: extracted.features.as_slice().to_vec(),
    }
}

/// Copies of utterance `index` of recording `name`, which lies at `span`. A copy that is unfit is left out.
fn copies(
    pcm: &Pcm,
    name: &str,
    index: usize,
    span: Span,
    vary: &Vary,
    options: &ExtractionOptions,
) -> Result<Vec<Row>, ExtractError> {
    let reach = i64::from(vary.by_ms) * i64::from(pcm.sample_rate) / 1_000;
    let mut random = stream(options.seed, name, index);
    let moved = |at: u64, random: &mut ChaCha8Rng| {
        let by = random.random_range(-reach..=reach);
        let at = usize::try_from(at.saturating_add_signed(by)).unwrap_or(usize::MAX);
        at.min(pcm.samples.len())
    };
    let mut rows = Vec::new();
    for copy in 1..=vary.copies {
        let start = moved(span.start, &mut random);
        let end = moved(span.end, &mut random).max(start);
        let mut part = Pcm {
            samples: pcm.samples[start..end].to_vec(),
            sample_rate: pcm.sample_rate,
            channels: pcm.channels,
        };
        let noise = vary.noise_dbfs.filter(|_| copy % 2 == 0);
        let room = Room {
            pad_s: 0.0,
            noise_dbfs: noise.map(|most| most - random.random_range(0.0..=NOISE_RANGE_DB)),
        };
        room.around(&mut part, &format!("{name}, {index}, {copy}"), options.seed);
        let set = options.feature_set;
        match extract_range(&part, 0..end - start, set, options.hearing.sample_rate) {
            Ok(mut extracted) if extracted.quality.unfit().is_none() => {
                extracted.span.start += start as u64;
                extracted.span.end += start as u64;
                rows.push(row(extracted, pcm, false, Some(copy)));
            }
            Ok(_) | Err(ExtractError::Finish(FinishError::TooShort { .. })) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(rows)
}

struct Assembled {
    table: FeatureTable,
    broken: Vec<Broken>,
    speechless: Vec<Broken>,
    doubtful: Vec<(String, Quality)>,
}

/// Puts the rows in the order of the corpus.
fn assemble(
    corpus: &Corpus,
    outcomes: Vec<Option<Result<Measured, String>>>,
    options: &ExtractionOptions,
) -> Assembled {
    let set = options.feature_set;
    let (mut values, mut meta) = (Vec::new(), Vec::new());
    let (mut broken, mut speechless, mut doubtful) = (Vec::new(), Vec::new(), Vec::new());
    for (u, outcome) in corpus.utterances.iter().zip(outcomes) {
        let path = name(u);
        // A recording without an outcome was never begun: its thread was told to stop, which is a failure above.
        let measured = match outcome.unwrap_or_else(|| Err("it was not measured".to_owned())) {
            Err(reason) => {
                broken.push(Broken { path, reason });
                continue;
            }
            Ok(measured) => measured,
        };
        if let Some(reason) = measured.nothing {
            speechless.push(Broken { path, reason });
            continue;
        }
        for row in measured.rows {
            if row.copy.is_none() && !row.quality.is_good() {
                doubtful.push((path.clone(), row.quality));
            }
            values.extend_from_slice(&row.features);
            meta.push(RowMeta {
                path: path.clone(),
                corpus: u.corpus.clone(),
                speaker: u.speaker.clone(),
                session: u.session.clone(),
                gender: u.gender.clone(),
                emotion: u.emotion.clone(),
                sample_rate: Some(measured.sample_rate),
                start_s: row.start_s,
                duration_s: Some(row.duration_s),
                copy: row.copy,
            });
        }
    }
    let feature_set = FeatureSetTag {
        id: set.id().to_owned(),
        extractor_version: Some(EXTRACTOR_VERSION.to_owned()),
        hearing: Some(options.hearing.into()),
    };
    let table = FeatureTable {
        feature_set,
        names: feature_names(set),
        rows: meta.len(),
        values,
        meta,
    };
    Assembled {
        table,
        broken,
        speechless,
        doubtful,
    }
}

//! A corpus of synthetic voices, so that the whole path can be tried without anybody's recordings.
//!
//! A source-filter synthesiser: glottal pulses and breath ([`source`]) through formant resonators ([`filter`]),
//! along a made-up sentence ([`sentence`]), by a made-up speaker with a made-up mood ([`voice`]). The moods differ
//! in what the literature on vocal emotion agrees on - level, pitch, pitch range, tempo, voice quality - and
//! overlap, since every speaker and every utterance has its own offsets. It is no speech and shows nothing about
//! how well real emotions are recognised.

mod filter;
mod sentence;
mod source;
mod voice;
mod wav;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Corpus, CorpusError, Utterance};
use sentence::Sentence;
pub use voice::Mood;
use voice::{Delivery, Speaker};

/// What to make. Equal settings give equal files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyntheticOptions {
    /// Number of speakers, half of them female.
    pub speakers: usize,
    /// Utterances of each speaker with each label.
    pub per_label: usize,
    /// Seed of everything; two seeds share no speaker and no sentence.
    pub seed: u64,
    /// Sampling rate in Hz, [`SyntheticOptions::RATES`].
    pub sample_rate: u32,
}

impl SyntheticOptions {
    /// Sampling rates that can be made, in Hz.
    pub const RATES: std::ops::RangeInclusive<u32> = 8000..=48000;
    /// Most speakers, and most utterances of a speaker with a label.
    pub const MOST: usize = 10_000;
}

/// What the folder says of itself.
const README: &str = "These recordings are SYNTHETIC: a source-filter synthesiser (ser-train synth-corpus) made them.\n\
    Nobody speaks here and nobody feels anything. They exist to try the programs; what a model scores on\n\
    them says nothing about real emotional speech.\n";

/// Name of the corpus in its manifest.
const CORPUS_NAME: &str = "synthetic";

/// Makes the corpus in `folder`: `wav/*.wav` (16 bit, mono), `manifest.csv` and `README.txt`, all or nothing.
///
/// # Errors
/// [`CorpusError`] where the options are out of range, `folder` is there and not empty, or cannot be written.
pub fn synthesise(
    folder: &Path,
    options: &SyntheticOptions,
    done: impl Fn() + Sync,
) -> Result<Corpus, CorpusError> {
    let refuse = |message: String| CorpusError::Synthetic {
        path: folder.to_owned(),
        message,
    };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CorpusError::Io {
            path,
            action: "write",
            source,
        }
    };
    for (name, value) in [
        ("speakers", options.speakers),
        ("utterances per label", options.per_label),
    ] {
        if !(1..=SyntheticOptions::MOST).contains(&value) {
            return Err(refuse(format!(
                "{value} {name}: there must be 1 to {}",
                SyntheticOptions::MOST
            )));
        }
    }
    if !SyntheticOptions::RATES.contains(&options.sample_rate) {
        let (low, high) = SyntheticOptions::RATES.into_inner();
        return Err(refuse(format!(
            "{} Hz: the sampling rate must be {low} to {high} Hz",
            options.sample_rate
        )));
    }
    if folder.exists() && folder.read_dir().map_err(io(folder))?.next().is_some() {
        return Err(refuse("the folder is not empty; name a new one".to_owned()));
    }
    let parent = super::folder_of(folder);
    std::fs::create_dir_all(&parent).map_err(io(&parent))?;
    let temporary = tempfile::Builder::new()
        .prefix(".synth-")
        .tempdir_in(&parent)
        .map_err(io(&parent))?;
    let wav = temporary.path().join("wav");
    std::fs::create_dir(&wav).map_err(io(&wav))?;

    let jobs: Vec<(usize, Mood, usize)> = (0..options.speakers)
        .flat_map(|s| {
            Mood::ALL
                .into_iter()
                .flat_map(move |m| (0..options.per_label).map(move |t| (s, m, t)))
        })
        .collect();
    let utterances = jobs
        .par_iter()
        .map(|&(speaker, mood, take)| {
            let voice = Speaker::draw(
                speaker,
                &mut generator(options.seed, Stream::Speaker(speaker)),
            );
            let name = format!(
                "x{}v{speaker:02}_{}_{take:02}.wav",
                options.seed,
                mood.label()
            );
            let samples = utterance(&voice, speaker, mood, take, options);
            let path = wav.join(&name);
            std::fs::write(&path, wav::encode(&samples, options.sample_rate)).map_err(io(&path))?;
            done();
            Ok(Utterance {
                path: PathBuf::from("wav").join(name),
                corpus: CORPUS_NAME.to_owned(),
                speaker: format!("x{}v{speaker:02}", options.seed),
                session: None,
                gender: Some(if voice.female { "F" } else { "M" }.to_owned()),
                emotion: mood.label().to_owned(),
                segment: None,
                channel: None,
                split: None,
            })
        })
        .collect::<Result<Vec<_>, CorpusError>>()?;

    let corpus = Corpus {
        root: temporary.path().to_owned(),
        utterances,
    };
    corpus.write(&temporary.path().join("manifest.csv"))?;
    let readme = temporary.path().join("README.txt");
    let text = format!(
        "{README}\nMade by: ser-train synth-corpus --speakers {} --per-label {} --seed {} --rate {}\n",
        options.speakers, options.per_label, options.seed, options.sample_rate
    );
    std::fs::File::create(&readme)
        .and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(io(&readme))?;
    publish(temporary, folder).map_err(io(folder))?;
    Ok(Corpus {
        root: folder.to_owned(),
        ..corpus
    })
}

/// Moves the finished folder to its place, which is empty if it is there.
fn publish(temporary: tempfile::TempDir, folder: &Path) -> io::Result<()> {
    make_readable(temporary.path())?;
    if folder.exists() {
        std::fs::remove_dir(folder)?;
    }
    std::fs::rename(temporary.path(), folder)?;
    // The folder has gone to its place: nothing is left to clean up.
    let _ = temporary.keep();
    Ok(())
}

/// Temporary folders are private to their owner; a finished one is readable like any other.
#[cfg(unix)]
fn make_readable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// What a random stream is for: each has its own, so that more speakers do not change those there already.
enum Stream {
    Speaker(usize),
    Sentence(usize),
    Utterance {
        speaker: usize,
        mood: Mood,
        take: usize,
    },
}

fn generator(seed: u64, stream: Stream) -> ChaCha8Rng {
    let number = match stream {
        Stream::Speaker(speaker) => speaker as u64,
        Stream::Sentence(take) => (1 << 32) | take as u64,
        Stream::Utterance {
            speaker,
            mood,
            take,
        } => (2 << 60) | ((mood as u64) << 56) | ((speaker as u64) << 28) | take as u64,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// One utterance, samples in ±1. Take `n` says the same sentence in every mood: words do not tell the label.
fn utterance(
    voice: &Speaker,
    speaker: usize,
    mood: Mood,
    take: usize,
    options: &SyntheticOptions,
) -> Vec<f32> {
    let sentence = Sentence::draw(&mut generator(options.seed, Stream::Sentence(take)));
    let mut rng = generator(
        options.seed,
        Stream::Utterance {
            speaker,
            mood,
            take,
        },
    );
    let delivery = Delivery::draw(voice, mood, &mut rng);
    sentence.speak(voice, &delivery, f64::from(options.sample_rate), &mut rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: SyntheticOptions = SyntheticOptions {
        speakers: 2,
        per_label: 1,
        seed: 3,
        sample_rate: 16000,
    };

    fn speak(mood: Mood, speaker: usize, take: usize) -> Vec<f32> {
        let voice = Speaker::draw(
            speaker,
            &mut generator(OPTIONS.seed, Stream::Speaker(speaker)),
        );
        utterance(&voice, speaker, mood, take, &OPTIONS)
    }

    fn rms(samples: &[f32]) -> f64 {
        (samples.iter().map(|s| f64::from(s * s)).sum::<f64>() / samples.len() as f64).sqrt()
    }

    #[test]
    fn utterances_last_as_long_as_they_should_and_never_clip() {
        for rate in [8000, 16000, 44100, 48000] {
            let options = SyntheticOptions {
                sample_rate: rate,
                ..OPTIONS
            };
            for mood in Mood::ALL {
                for take in 0..4 {
                    let voice = Speaker::draw(take, &mut generator(9, Stream::Speaker(take)));
                    let samples = utterance(&voice, take, mood, take, &options);
                    let seconds = samples.len() as f64 / f64::from(rate);
                    assert!((1.5..=2.75).contains(&seconds), "{seconds} s");
                    let peak = samples.iter().fold(0.0f32, |m, s| m.max(s.abs()));
                    assert!(
                        peak.is_finite() && (0.02..1.0).contains(&peak),
                        "peak {peak} at {rate} Hz"
                    );
                }
            }
        }
    }

    #[test]
    fn moods_differ_on_average_but_not_always() {
        let mean = |mood| {
            (0..12)
                .map(|i| 20.0 * rms(&speak(mood, i, i)).log10())
                .sum::<f64>()
                / 12.0
        };
        let (angry, neutral, sad) = (mean(Mood::Angry), mean(Mood::Neutral), mean(Mood::Sad));
        assert!(
            angry > neutral + 2.0 && neutral > sad + 2.0,
            "{angry} {neutral} {sad} dB"
        );
        let quietest_angry = (0..12)
            .map(|i| rms(&speak(Mood::Angry, i, i)))
            .fold(f64::MAX, f64::min);
        let loudest_neutral = (0..12)
            .map(|i| rms(&speak(Mood::Neutral, i, i)))
            .fold(0.0, f64::max);
        assert!(
            quietest_angry < loudest_neutral,
            "level alone would tell angry from neutral"
        );
    }

    #[test]
    fn the_seed_decides_everything() {
        assert_eq!(speak(Mood::Happy, 1, 0), speak(Mood::Happy, 1, 0));
        assert_ne!(speak(Mood::Happy, 1, 0), speak(Mood::Happy, 1, 1));
        assert_ne!(speak(Mood::Happy, 1, 0), speak(Mood::Happy, 0, 0));
    }
}

//! What the Cortex-M examples do: a stream of samples to utterances and emotions, in memory that
//! the caller owns.
//!
//! Lines that begin with `#` are measurements of one machine; all others must be the same, bit for
//! bit, on every machine.
#![no_std]

mod selected;
mod sound;

use core::fmt::{self, Write};

use ser_features::{Config, FEATURE_COUNT, FeatureSet, Features};
use ser_runtime::adapt::{self, AdaptConfig};
use ser_runtime::cut::CutConfig;
use ser_runtime::engine::Engine;
use ser_runtime::engine::static_model::{StaticEngine, StaticModel};
use ser_runtime::hearing::DEFAULT_RATE;
use ser_runtime::live::{Event, LiveConfig, LiveError, LiveRecognizer, Span};
use ser_runtime::prediction::{Outcome, Reason};
use ser_runtime::quality::Quality;
use ser_runtime::recognizer::Recognizer;

use selected::Selected;
pub use sound::Sound;

/// Samples that arrive at once, as from a DMA buffer: 10 ms.
pub const CHUNK: usize = 160;

/// Shorter ones are no longest utterances, in milliseconds.
const SHORTEST_MS: u32 = 500;

/// Sampling rate of the stream.
pub const SAMPLE_RATE: u32 = 16_000;

/// Most floats of the adaptive normaliser: running mean and variance of each feature.
pub const ADAPT: usize = adapt::memory_len(FEATURE_COUNT);

/// Floats that the extractor needs for utterances of up to `ms` milliseconds, if the model reads
/// every group of features.
pub const fn extractor_memory(ms: usize) -> usize {
    let samples = ms * SAMPLE_RATE as usize / 1_000 + 1;
    Config::for_samples(SAMPLE_RATE, samples, FeatureSet::Emobase2010).memory_len()
}

/// How the stream is cut: as the training recordings were, but that the longest utterance is one
/// for which `floats` of memory are enough. A model that reads fewer groups of features leaves room
/// for longer ones.
fn cut_within(floats: usize, model: &StaticModel<'_>, rate: u32, set: FeatureSet) -> CutConfig {
    let mut cut = CutConfig::default();
    let needed = |cut: &CutConfig| {
        let config = cut.extractor(rate, set);
        let groups = config.groups.intersection(model.groups());
        config.with_groups(groups).memory_len()
    };
    while needed(&cut) > floats && cut.max_utterance_ms > SHORTEST_MS {
        cut.max_utterance_ms -= 100;
    }
    cut
}

/// Memory of the caller, static on a device.
pub struct Memory<'a> {
    /// The longest utterance follows from it: see [`extractor_memory`].
    pub extractor: &'a mut [f32],
    /// The engine's scratch memory: `StaticModel::scratch_len` floats.
    pub engine: &'a mut [f32],
    /// Code and probabilities: `recognizer::scratch_len` floats.
    pub codes: &'a mut [f32],
    /// The delay line: `live::memory_len` floats.
    pub delay: &'a mut [f32],
    /// [`ADAPT`] floats; without any there is no adaptation.
    pub adapt: &'a mut [f32],
}

/// Why the program ended early.
#[derive(Debug)]
pub struct Failed;

impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

fn fail(out: &mut impl Write, what: &str, why: &dyn fmt::Display) -> Failed {
    let _ = writeln!(out, "{what}: {why}");
    Failed
}

/// Instructions by what the stream was doing in a chunk.
#[derive(Default)]
struct Cost {
    /// Chunks and instructions while nobody spoke, and in an utterance.
    silence: [u64; 2],
    speech: [u64; 2],
    /// The chunk that took most: an end, or a start, whose pre-roll is caught up with.
    most: u64,
}

impl Cost {
    fn add(&mut self, instructions: u64, in_speech: bool, ended: bool) {
        self.most = self.most.max(instructions);
        let sum = match (ended, in_speech) {
            (true, _) => return,
            (false, true) => &mut self.speech,
            (false, false) => &mut self.silence,
        };
        *sum = [sum[0] + 1, sum[1] + instructions];
    }

    fn per_second([chunks, instructions]: [u64; 2]) -> u64 {
        instructions * u64::from(SAMPLE_RATE) / (chunks.max(1) * CHUNK as u64)
    }
}

type Live<'a> = LiveRecognizer<
    StaticEngine<'a, &'a mut [f32]>,
    &'a mut [f32],
    &'a mut [f32],
    &'a mut [f32],
    Option<Selected<'a>>,
>;

/// The recogniser. Not inlined, and the last call makes the result where the caller wants it: what
/// is moved on the way would lie on the stack for the whole run.
#[inline(never)]
fn make<'a>(
    engine: StaticEngine<'a, &'a mut [f32]>,
    adapter: Option<Selected<'a>>,
    config: Config,
    live: LiveConfig,
    [extractor, codes, delay]: [&'a mut [f32]; 3],
) -> Result<Live<'a>, LiveError> {
    let decision = engine.model().decision();
    let recognizer = Recognizer::new(config, engine, decision, extractor, codes)?;
    LiveRecognizer::new(SAMPLE_RATE, recognizer, delay, live, adapter)
}

/// Hears `sound` and prints what happens in it to `out`; `count` measures some work in
/// instructions.
///
/// # Errors
/// [`Failed`], after a line that says why.
pub fn run(
    out: &mut impl Write,
    model: &[u8],
    sound: Sound<'_>,
    memory: Memory<'_>,
    mut count: impl FnMut(&mut dyn FnMut()) -> u64,
) -> Result<(), Failed> {
    let parsed = StaticModel::from_bytes(model).map_err(|e| fail(out, "the model", &e))?;
    let Some(set) = parsed.built_in_features() else {
        return Err(fail(out, "the model", &"its features are not built in"));
    };
    let labels = parsed.labels();
    // A model that does not say was trained before models said: at this rate.
    let rate = parsed.sample_rate().unwrap_or(DEFAULT_RATE);
    let cut = cut_within(memory.extractor.len(), &parsed, rate, set);
    let (as_trained, max_utterance_ms) = (parsed.cut_as(&cut), cut.max_utterance_ms);
    let adapter = if memory.adapt.is_empty() {
        None
    } else {
        let made = Selected::new(parsed.clone(), memory.adapt, AdaptConfig::default());
        Some(made.map_err(|e| fail(out, "adaptation", &e))?)
    };
    let mut engine =
        StaticEngine::new(parsed, memory.engine).map_err(|e| fail(out, "the engine", &e))?;
    let inference = inference(&mut engine, &mut count).map_err(|e| fail(out, "the engine", &e))?;
    let config = LiveConfig { cut, update_ms: 0 };
    let mut made = make(
        engine,
        adapter,
        cut.extractor(rate, set),
        config,
        [memory.extractor, memory.codes, memory.delay],
    );
    // A reference: the recogniser stays where it was made.
    let live = match &mut made {
        Ok(live) => live,
        Err(error) => return Err(fail(out, "the live recogniser", error)),
    };
    let (live_bytes, segmenter_bytes) = (size_of_val(live), size_of_val(live.segmenter()));
    let mut printed = Ok(());
    let mut cost = Cost::default();
    let mut chunk = [0; CHUNK];
    for start in (0..sound.len()).step_by(CHUNK) {
        sound.fill(start, &mut chunk);
        let mut ended = false;
        let instructions = count(&mut || {
            live.push_i16(&chunk, |event| {
                ended |= !matches!(event, Event::Start { .. });
                printed = printed.and_then(|()| print(out, &event, labels.clone()));
            });
        });
        cost.add(instructions, live.segmenter().in_speech(), ended);
    }
    live.finish(|event| printed = printed.and_then(|()| print(out, &event, labels.clone())));
    printed?;
    if let Some(adapter) = live.adapt() {
        writeln!(out, "learnt {:.3}", adapter.learnt())?;
    }
    let cut = if as_trained { "as" } else { "not as" };
    writeln!(
        out,
        "# cut {cut} the recordings were that the model was trained on, after {max_utterance_ms} ms \
         at most"
    )?;
    writeln!(
        out,
        "# model: {} bytes; live recogniser: {live_bytes} bytes of stack, {segmenter_bytes} of them \
         the segmenter's",
        model.len()
    )?;
    writeln!(
        out,
        "# instructions: {} per second of silence, {} per second of speech, {inference} per \
         inference, {} in 10 ms at most",
        Cost::per_second(cost.silence),
        Cost::per_second(cost.speech),
        cost.most
    )?;
    Ok(())
}

/// Instructions of an inference alone: what it costs does not depend on the features. Not inlined:
/// its features would lie on the stack for the whole run.
#[inline(never)]
fn inference(
    engine: &mut impl Engine,
    count: &mut impl FnMut(&mut dyn FnMut()) -> u64,
) -> Result<u64, ser_runtime::engine::EngineError> {
    let (mut code, mut logits) = ([0.0; 256], [0.0; 16]);
    let code = &mut code[..engine.code_len().min(256)];
    let logits = &mut logits[..engine.label_count().min(16)];
    let features = Features::zeroed();
    let mut done = Ok(());
    let instructions = count(&mut || {
        done = engine
            .encode(features.as_slice(), code)
            .and_then(|()| engine.classify(code, logits));
    });
    done.map(|()| instructions)
}

/// A sample's place in seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 * 1_000 / u64::from(SAMPLE_RATE);
        write!(f, "{}.{:03}", ms / 1_000, ms % 1_000)
    }
}

fn print<'a>(
    out: &mut impl Write,
    event: &Event<'_>,
    labels: impl Iterator<Item = &'a str> + Clone,
) -> fmt::Result {
    match event {
        Event::Start { .. } | Event::Update { .. } => Ok(()),
        Event::Discarded { span, reason } => line(out, *span, &Err(*reason), labels),
        Event::Failed { span, error } => {
            writeln!(
                out,
                "{} {} failed: {error}",
                Seconds(span.start),
                Seconds(span.end)
            )
        }
        Event::End { span, outcome, .. } => {
            line(out, *span, &outcome.label, labels.clone())?;
            details(out, outcome, labels)
        }
    }
}

fn line<'a>(
    out: &mut impl Write,
    span: Span,
    label: &Result<usize, Reason>,
    mut labels: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    write!(out, "{} {} ", Seconds(span.start), Seconds(span.end))?;
    match label {
        Ok(index) => writeln!(out, "{}", labels.nth(*index).unwrap_or("?")),
        Err(reason) => writeln!(out, "- {}", reason.words()),
    }
}

fn details<'a>(
    out: &mut impl Write,
    outcome: &Outcome<'_>,
    labels: impl Iterator<Item = &'a str>,
) -> fmt::Result {
    for (label, probability) in labels.zip(outcome.probabilities) {
        let bits = probability.to_bits();
        writeln!(out, "  {label:<10} {probability:.6} {bits:08x}")?;
    }
    let Quality {
        clipped,
        narrow_band,
        ..
    } = outcome.quality;
    for (raised, name) in [(clipped, "clipped"), (narrow_band, "narrow band")] {
        if raised {
            writeln!(out, "  flag {name}")?;
        }
    }
    Ok(())
}

/// The program of a board: `main` for the board and for a computer, around `CLIP` (a static array
/// of samples) and `fn model() -> &'static [u8]`.
///
/// `$machine` is the variant of `ser_qemu_support::Machine`; `$extractor`, `$engine`, `$codes` and
/// `$adapt` are floats of memory for the extractor, the engine, code and probabilities, and
/// adaptation (0 for none).
///
/// On a computer, the argument FILE writes the samples that are heard there, 16 bits each.
#[macro_export]
macro_rules! program {
    ($machine:ident, $extractor:expr, $engine:literal, $codes:literal, $adapt:expr) => {
        const EXTRACTOR: usize = $extractor;
        const ENGINE: usize = $engine;
        const CODES: usize = $codes;
        const ADAPT: usize = $adapt;
        /// 620 ms: what is held back until a start or a pause is certain.
        const DELAY: usize = 62 * $crate::CHUNK;

        #[cfg(not(target_os = "none"))]
        fn main() -> std::process::ExitCode {
            let sound = $crate::Sound::around(&CLIP);
            if let Some(file) = std::env::args_os().nth(1) {
                let mut samples = vec![0; sound.len()];
                sound.fill(0, &mut samples);
                let bytes: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
                return match std::fs::write(&file, bytes) {
                    Ok(()) => std::process::ExitCode::SUCCESS,
                    Err(error) => {
                        eprintln!("{}: {error}", file.display());
                        std::process::ExitCode::FAILURE
                    }
                };
            }
            let mut text = String::new();
            let memory = $crate::Memory {
                extractor: &mut vec![0.0; EXTRACTOR],
                engine: &mut vec![0.0; ENGINE],
                codes: &mut vec![0.0; CODES],
                delay: &mut vec![0.0; DELAY],
                adapt: &mut vec![0.0; ADAPT],
            };
            let done = $crate::run(&mut text, model(), sound, memory, |work| {
                work();
                0
            });
            print!("{text}");
            match done {
                Ok(()) => std::process::ExitCode::SUCCESS,
                Err(_) => std::process::ExitCode::FAILURE,
            }
        }

        #[cfg(target_os = "none")]
        mod firmware {
            use cortex_m::singleton;
            use cortex_m_rt::entry;
            use cortex_m_semihosting::{hio, hprintln};
            use panic_semihosting as _;
            use ser_qemu_support::{InstructionCounter, Machine, exit, linked_size, stack_high_water};

            use super::{ADAPT, CLIP, CODES, DELAY, ENGINE, EXTRACTOR};

            #[entry]
            fn main() -> ! {
                let (Some(peripherals), Ok(mut out)) = (cortex_m::Peripherals::take(), hio::hstdout())
                else {
                    exit(false)
                };
                let (Some(extractor), Some(engine), Some(codes), Some(delay), Some(adapt)) = (
                    singleton!(: [f32; EXTRACTOR] = [0.0; EXTRACTOR]),
                    singleton!(: [f32; ENGINE] = [0.0; ENGINE]),
                    singleton!(: [f32; CODES] = [0.0; CODES]),
                    singleton!(: [f32; DELAY] = [0.0; DELAY]),
                    singleton!(: [f32; ADAPT] = [0.0; ADAPT]),
                ) else {
                    exit(false)
                };
                let memory = $crate::Memory {
                    extractor,
                    engine,
                    codes,
                    delay,
                    adapt,
                };
                let counter = InstructionCounter::start(peripherals.SYST, Machine::$machine);
                let sound = $crate::Sound::around(&CLIP);
                let done = $crate::run(&mut out, super::model(), sound, memory, |work| {
                    counter.count(work).0
                });
                let (flash, ram) = linked_size();
                hprintln!(
                    "# flash {} bytes, static RAM {} bytes, stack {} bytes at most",
                    flash,
                    ram,
                    stack_high_water()
                );
                exit(done.is_ok())
            }
        }
    };
}

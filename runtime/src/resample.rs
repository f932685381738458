//! Sampling-rate conversion by a polyphase filter, streaming, in memory of the caller: how audio
//! gets to the rate that a model expects.
//!
//! Features depend on the rate at which they are taken: frames are zero-padded to other lengths and
//! some bands end at half the rate. Measured on EMO-DB (339 recordings of 10 speakers at 16 kHz,
//! four emotions; leave one speaker out; logistic regression, C = 0.01, classes balanced, features
//! z-scored on the training rows and limited to ±10; trained on features at 16 kHz), UAR pooled
//! over the speakers. The copies at other rates were made from the 16 kHz recordings by soxr (VHQ)
//! and rounded to 16 bits; what brings them to 16 kHz is the filter of this module:
//!
//! | speech at | features at that rate | brought to 16 kHz first |
//! |---|---|---|
//! | 16 kHz | 0.843 | |
//! | 48 kHz | 0.602 | 0.848 |
//! | 44.1 kHz | 0.498 | 0.859 |
//! | 24.414 kHz | 0.648 | 0.861 |
//! | 22.05 kHz | 0.525 | 0.842 |
//! | 8 kHz, µ-law | 0.701 | 0.744 |
//!
//! One recording is 0.003. So audio of another rate is brought to the model's.
//!
//! # The filter
//!
//! A windowed sine cardinal (Kaiser), 112 samples of the lower rate long. Of the band up to the
//! lower rate's Nyquist frequency it passes 92 % within 0.02 dB; from that frequency on, 70 dB are
//! taken off: the tests measure both. Output sample m lies at input time m · from / to, a position
//! that is kept in whole numbers and never drifts: nothing is delayed, what lies ahead is waited
//! for.
//!
//! Every whole rate from [`MIN_SAMPLE_RATE`] to [`MAX_SAMPLE_RATE`] is taken to every other. Where
//! the ratio in lowest terms has few phases, each has its filter. Where it has many, filters are
//! kept at 64 places for each sample of the lower rate, and an output between two of them lies on
//! the straight line between theirs, for the price of a second sum; what that adds lies below the
//! stop band. Memory is thus bounded:
//!
//! | from, Hz | to, Hz | memory, kB |
//! |---|---|---|
//! | 8 000 | 16 000 | 1.8 |
//! | 48 000 | 16 000 | 4.0 |
//! | 24 414 | 16 000 | 31.7 |
//! | 44 100 | 16 000 | 33.7 |
//! | 95 999 | 8 000 | 48.4, the most |
//!
//! All arithmetic has a fixed order and the table comes from `libm`: the same bits on every
//! machine. `rubato`, the well-kept crate for this, allocates.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

use ser_features::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

/// Filter taps a phase where the rate does not go down; otherwise so many for each output sample.
const TAPS: u64 = 112;
/// Sums that are kept side by side.
const LANES: usize = 8;
/// Kaiser's window parameter, for 71 dB.
const BETA: f64 = 6.92;
/// Middle of the filter's slope, in cycles per sample of the lower rate: the slope ends at 0.5.
const CORNER: f64 = 0.48;
/// Filters that are kept for each sample of the lower rate where the ratio has more phases than
/// that. A straight line between two of them is wrong by images of a tone of f cycles per sample
/// that lie (f / FINENESS)² below it: 84 dB at the end of the band, 13 dB under the stop band.
const FINENESS: u64 = 64;

/// Why there is no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// A rate that nothing here is made for.
    #[error(
        "sampling rate {rate} Hz is not supported ({MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are)"
    )]
    Rate {
        /// The rate, of the audio or of what is wanted.
        rate: u32,
    },
    /// The memory is too small.
    #[error("{found} floats of memory for the conversion, {needed} are needed")]
    Memory {
        /// Its length.
        found: usize,
        /// [`memory_len`].
        needed: usize,
    },
}

/// Greatest common divisor.
const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// What follows from two rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    /// The ratio in lowest terms. Output m lies at input sample m · down / up.
    up: u32,
    down: u32,
    /// Steps from one input sample to the next for which the filter is kept: `up`, or fewer.
    steps: u32,
    /// Taps of each filter, a multiple of [`LANES`]; 0 where the rates are equal.
    taps: usize,
}

const fn supported(rate: u32) -> bool {
    MIN_SAMPLE_RATE <= rate && rate <= MAX_SAMPLE_RATE
}

impl Plan {
    const fn new(from: u32, to: u32) -> Result<Self, ResampleError> {
        if !supported(from) {
            return Err(ResampleError::Rate { rate: from });
        }
        if !supported(to) {
            return Err(ResampleError::Rate { rate: to });
        }
        let common = gcd(from, to);
        let (up, down) = (to / common, from / common);
        if from == to {
            return Ok(Self {
                up,
                down,
                steps: up,
                taps: 0,
            });
        }
        let low = (if from < to { from } else { to }) as u64;
        let taps = (TAPS * from as u64)
            .div_ceil(low)
            .next_multiple_of(LANES as u64);
        // The filter is as wide as the lower rate wants: seen from the input it changes slowly.
        let fine = (FINENESS * low).div_ceil(from as u64) as u32;
        Ok(Self {
            up,
            down,
            steps: if up <= fine { up } else { fine },
            taps: taps as usize,
        })
    }

    /// Whether every phase of the ratio has a filter of its own.
    const fn exact(&self) -> bool {
        self.steps == self.up
    }

    /// Floats of the filters: one a step, and the end of the last step where there is something
    /// between two steps.
    const fn filters_len(&self) -> usize {
        let filters = self.steps as usize + if self.exact() { 0 } else { 1 };
        filters * self.taps
    }

    /// The filters, and twice as many input samples as one spans.
    const fn memory_len(&self) -> usize {
        self.filters_len() + 2 * self.taps
    }

    /// Memory as filters and input samples.
    fn split<'m>(&self, memory: &'m mut [f32]) -> Option<(&'m mut [f32], &'m mut [f32])> {
        memory
            .get_mut(..self.memory_len())?
            .split_at_mut_checked(self.filters_len())
    }
}

/// Floats of memory that a conversion needs: 0 where the rates are equal, or one is not supported.
pub const fn memory_len(from: u32, to: u32) -> usize {
    match Plan::new(from, to) {
        Ok(plan) => plan.memory_len(),
        Err(_) => 0,
    }
}

/// A streaming conversion. The memory is handed to each call: it may be a part of something larger.
#[derive(Debug, Clone)]
pub struct Resampler {
    plan: Plan,
    /// Input samples at hand, and the index among them at which the filter of the next output
    /// starts.
    filled: usize,
    next: usize,
    /// Phase of the next output, 0 to `up - 1`.
    phase: u32,
    /// Input samples and output samples since the start or the last reset.
    heard: u64,
    given: u64,
}

impl Resampler {
    /// A conversion from `from` to `to` Hz, each [`MIN_SAMPLE_RATE`] to [`MAX_SAMPLE_RATE`];
    /// computes the filters into `memory`, of which the first [`memory_len`] floats are used.
    ///
    /// # Errors
    /// [`ResampleError`].
    pub fn new(from: u32, to: u32, memory: &mut [f32]) -> Result<Self, ResampleError> {
        let plan = Plan::new(from, to)?;
        let (found, needed) = (memory.len(), plan.memory_len());
        let Some((filters, history)) = plan.split(memory) else {
            return Err(ResampleError::Memory { found, needed });
        };
        let corner = CORNER * f64::from(from.min(to)) / f64::from(from);
        // Equal rates have no filter, and no chunk may have no length.
        for (step, filter) in filters.chunks_exact_mut(plan.taps.max(1)).enumerate() {
            design(filter, step as f64 / f64::from(plan.steps), corner);
        }
        let mut new = Self {
            plan,
            filled: 0,
            next: 0,
            phase: 0,
            heard: 0,
            given: 0,
        };
        new.start(history);
        Ok(new)
    }

    /// Before the first sample there is silence.
    fn start(&mut self, history: &mut [f32]) {
        self.filled = (self.plan.taps / 2).saturating_sub(1);
        if let Some(before) = history.get_mut(..self.filled) {
            before.fill(0.0);
        }
        (self.next, self.phase, self.heard, self.given) = (0, 0, 0, 0);
    }

    /// Forgets the input; the filter stays.
    pub fn reset(&mut self, memory: &mut [f32]) {
        if let Some((_, history)) = self.plan.split(memory) {
            self.start(history);
        }
    }

    /// Input position of output position `at`, rounded down.
    pub fn input_position(&self, at: u64) -> u64 {
        (u128::from(at) * u128::from(self.plan.down) / u128::from(self.plan.up)) as u64
    }

    /// Takes some of `samples` and fills some of `out`: returns how many were taken and how many
    /// were given. Call it until both are 0. The output does not depend on the chunks, bit for bit.
    pub fn step(&mut self, memory: &mut [f32], samples: &[f32], out: &mut [f32]) -> (usize, usize) {
        let Plan {
            up,
            down,
            steps,
            taps,
        } = self.plan;
        let Some((filters, history)) = self.plan.split(memory) else {
            return (0, 0);
        };
        if taps == 0 {
            let both = samples.len().min(out.len());
            out[..both].copy_from_slice(&samples[..both]);
            self.heard += both as u64;
            self.given += both as u64;
            return (both, both);
        }
        // What no later output needs makes room for what comes.
        if samples.len() > history.len() - self.filled {
            let done = self.next.min(self.filled);
            history.copy_within(done..self.filled, 0);
            (self.filled, self.next) = (self.filled - done, self.next - done);
        }
        let taken = samples.len().min(history.len() - self.filled);
        history[self.filled..self.filled + taken].copy_from_slice(&samples[..taken]);
        self.filled += taken;
        self.heard += taken as u64;
        let mut given = 0;
        while given < out.len() && self.next + taps <= self.filled {
            let input = &history[self.next..self.next + taps];
            // Below 2^23, as is `up`: whole numbers of f32, whose quotient is rounded once.
            let place = self.phase * steps;
            let at = (place / up) as usize * taps;
            out[given] = if self.plan.exact() {
                dot(&filters[at..at + taps], input)
            } else {
                let (before, after) = filters[at..at + 2 * taps].split_at(taps);
                let [low, high] = dots(before, after, input);
                low + (place % up) as f32 / up as f32 * (high - low)
            };
            given += 1;
            self.phase += down;
            self.next += (self.phase / up) as usize;
            self.phase %= up;
        }
        self.given += given as u64;
        (taken, given)
    }

    /// After the last sample there is silence: fills some of `out` with what is left, up to the end
    /// of the input, and returns how many. Call it until that is 0, then [`reset`](Self::reset).
    pub fn finish(&mut self, memory: &mut [f32], out: &mut [f32]) -> usize {
        let Plan { up, down, .. } = self.plan;
        let whole = (u128::from(self.heard) * u128::from(up)).div_ceil(u128::from(down)) as u64;
        let left = whole.saturating_sub(self.given).min(out.len() as u64) as usize;
        let (heard, mut given) = (self.heard, 0);
        while given < left {
            let (taken, more) = self.step(memory, &[0.0; LANES], &mut out[given..left]);
            given += more;
            if taken == 0 && more == 0 {
                break;
            }
        }
        self.heard = heard;
        given
    }
}

/// The filter for an output that lies `between` (0 to 1) of the way from one input sample to the
/// next; `corner` in cycles per input sample.
fn design(filter: &mut [f32], between: f64, corner: f64) {
    let half = (filter.len() / 2) as f64;
    let mut sum = 0.0;
    for (tap, out) in filter.iter_mut().enumerate() {
        let distance = between + half - 1.0 - tap as f64;
        let angle = 2.0 * core::f64::consts::PI * corner * distance;
        let sinc = if angle == 0.0 {
            1.0
        } else {
            libm::sin(angle) / angle
        };
        let within = (1.0 - (distance / half) * (distance / half)).max(0.0);
        let weight = sinc * bessel(BETA * libm::sqrt(within));
        sum += weight;
        *out = weight as f32;
    }
    // A filter that sums to 1 leaves an offset as it is.
    filter
        .iter_mut()
        .for_each(|w| *w = (f64::from(*w) / sum) as f32);
}

/// Sum of products in a fixed order. Not inlined, as [`dots`]: inside [`Resampler::step`] the
/// compiler finds fewer vectors (2.9 in the place of 1.3 ms for a second of audio, 44.1 to 16 kHz).
#[inline(never)]
fn dot(filter: &[f32], samples: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (filter, _) = filter.as_chunks::<LANES>();
    let (samples, _) = samples.as_chunks::<LANES>();
    for (f, s) in filter.iter().zip(samples) {
        for lane in 0..LANES {
            sums[lane] += f[lane] * s[lane];
        }
    }
    sums.iter().sum()
}

/// [`dot`] with two filters, in one walk over the samples.
#[inline(never)]
fn dots(a: &[f32], b: &[f32], samples: &[f32]) -> [f32; 2] {
    let (mut of_a, mut of_b) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (a, _) = a.as_chunks::<LANES>();
    let (b, _) = b.as_chunks::<LANES>();
    let (samples, _) = samples.as_chunks::<LANES>();
    for ((a, b), s) in a.iter().zip(b).zip(samples) {
        for lane in 0..LANES {
            of_a[lane] += a[lane] * s[lane];
        }
        for lane in 0..LANES {
            of_b[lane] += b[lane] * s[lane];
        }
    }
    [of_a, of_b].map(|sums| sums.iter().sum())
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
    while term > 1e-12 * sum {
        term *= quarter / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// A whole recording at another rate; as long, in time, as it was.
///
/// # Errors
/// [`ResampleError::Rate`].
#[cfg(feature = "alloc")]
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, ResampleError> {
    let mut memory = alloc::vec![0.0; memory_len(from, to)];
    let mut resampler = Resampler::new(from, to, &mut memory)?;
    let (mut out, mut block, mut rest) = (Vec::new(), [0.0; 256], samples);
    loop {
        let (taken, given) = resampler.step(&mut memory, rest, &mut block);
        rest = &rest[taken..];
        out.extend_from_slice(&block[..given]);
        if taken == 0 && given == 0 {
            break;
        }
    }
    loop {
        let given = resampler.finish(&mut memory, &mut block);
        if given == 0 {
            return Ok(out);
        }
        out.extend_from_slice(&block[..given]);
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;

    /// Usual and unusual ratios, near 1 and far from it, with few phases and with all of them.
    const PAIRS: [(u32, u32); 24] = [
        (8_000, 16_000),
        (11_025, 16_000),
        (11_127, 16_000),
        (12_000, 16_000),
        (15_999, 16_000),
        (22_050, 16_000),
        (22_255, 16_000),
        (24_000, 16_000),
        (24_414, 16_000),
        (32_000, 16_000),
        (44_056, 16_000),
        (44_100, 16_000),
        (47_999, 16_000),
        (48_000, 16_000),
        (96_000, 16_000),
        (95_999, 8_000),
        (96_000, 8_000),
        (16_000, 8_000),
        (16_000, 8_001),
        (16_000, 44_100),
        (16_000, 48_000),
        (44_100, 48_000),
        (8_000, 96_000),
        (8_009, 95_989),
    ];

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f32> {
        let step = core::f64::consts::TAU * hertz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize)
            .map(|i| (0.5 * libm::sin(i as f64 * step)) as f32)
            .collect()
    }

    fn decibel(amplitude: f64) -> f64 {
        20.0 * libm::log10(amplitude.max(1e-12))
    }

    /// What becomes of a tone: its level, and that of all else, in dB of the tone that went in. The
    /// ends, beside silence, do not count.
    fn levels(from: u32, to: u32, hertz: f64) -> (f64, f64) {
        let found = resample(&tone(from, hertz, 0.25), from, to).unwrap();
        let margin = 60 * to as usize / from.min(to) as usize;
        let inner = &found[margin..found.len() - margin];
        let step = core::f64::consts::TAU * hertz / f64::from(to);
        let at = |i: usize| libm::sin((margin + i) as f64 * step);
        let square: f64 = (0..inner.len()).map(|i| at(i) * at(i)).sum();
        // Output sample m lies at the time of input sample m · from / to: the phase is known.
        let product = inner.iter().enumerate().map(|(i, v)| f64::from(*v) * at(i));
        let gain = product.sum::<f64>() / square;
        let rest = inner.iter().enumerate();
        let rest = rest.map(|(i, v)| f64::from(*v) - gain * at(i));
        let rest: f64 = rest.map(|d| d * d).sum();
        let rms = libm::sqrt(rest / inner.len() as f64);
        (decibel(gain / 0.5), decibel(rms / (0.5 / libm::sqrt(2.0))))
    }

    #[test]
    fn the_pass_band_is_flat_and_clean() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for share in [0.013, 0.11, 0.31, 0.53, 0.77, 0.88, 0.92] {
                let (gain, rest) = levels(from, to, share * nyquist);
                assert!(gain.abs() < 0.02, "{from} -> {to}, {share}: {gain} dB");
                assert!(rest < -70.0, "{from} -> {to}, {share}: rest {rest} dB");
            }
        }
    }

    #[test]
    fn nothing_from_the_lower_nyquist_on_is_left() {
        for (from, to) in PAIRS {
            let (from_end, to_end) = (f64::from(from) / 2.0, f64::from(to) / 2.0);
            if from > to {
                // Tones that the output cannot hold.
                for share in [1.0, 1.001, 1.01, 1.04, 1.1, 1.3, 1.9, 2.7, 5.0, 11.5] {
                    let hertz = share * to_end;
                    if hertz < from_end {
                        // Whatever is there; at a multiple of the output's rate a sine would be 0
                        // anyway.
                        let found = resample(&tone(from, hertz + 3.0, 0.25), from, to).unwrap();
                        let inner = &found[60..found.len() - 60];
                        let square: f64 = inner.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
                        let rms = libm::sqrt(square / inner.len() as f64);
                        let level = decibel(rms / (0.5 / libm::sqrt(2.0)));
                        assert!(level < -70.0, "{from} -> {to}, {share}: {level} dB");
                    }
                }
            } else {
                // Mirror images of tones on the slope, which lie beyond the input's Nyquist
                // frequency.
                for share in [0.93, 0.95, 0.98] {
                    let (_, rest) = levels(from, to, share * from_end);
                    assert!(rest < -70.0, "{from} -> {to}, {share}: {rest} dB");
                }
            }
        }
    }

    #[test]
    fn every_rate_is_taken_in_little_memory() {
        let rates = || (MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).step_by(7);
        let others = [
            8_000, 8_009, 16_000, 22_050, 24_414, 44_100, 48_000, 95_989, 96_000,
        ];
        for (rate, other) in rates().flat_map(|rate| others.map(|other| (rate, other))) {
            for (from, to) in [(rate, other), (other, rate)] {
                let needed = memory_len(from, to);
                assert!(needed <= 12_100, "{from} -> {to}: {needed}");
                assert_eq!(needed == 0, from == to);
            }
        }
        assert_eq!(
            [(8_000, 16_000), (48_000, 16_000), (44_100, 16_000)].map(|(a, b)| memory_len(a, b)),
            [448, 1_008, 8_424]
        );
        let mut memory = alloc::vec![0.0; 12_288];
        for from in rates().step_by(97) {
            let mut resampler = Resampler::new(from, 16_000, &mut memory).unwrap();
            let (mut out, mut all) = ([0.0; 300], 0);
            let samples = alloc::vec![0.25; 3_000];
            let mut rest = &samples[..];
            loop {
                let (taken, given) = resampler.step(&mut memory, rest, &mut out);
                rest = &rest[taken..];
                all += given;
                if taken == 0 && given == 0 {
                    break;
                }
            }
            loop {
                let given = resampler.finish(&mut memory, &mut out);
                all += given;
                if given == 0 {
                    break;
                }
            }
            assert_eq!(all, (3_000 * 16_000_u32).div_ceil(from) as usize, "{from}");
        }
    }

    #[test]
    fn rates_out_of_range_and_short_memory_are_refused() {
        for (from, to, rate) in [
            (7_999, 16_000, 7_999),
            (16_000, 96_001, 96_001),
            (0, 16_000, 0),
            (16_000, u32::MAX, u32::MAX),
        ] {
            assert_eq!(memory_len(from, to), 0);
            assert_eq!(
                resample(&[0.0; 10], from, to).unwrap_err(),
                ResampleError::Rate { rate }
            );
        }
        let needed = memory_len(24_414, 16_000);
        let mut memory = alloc::vec![0.0; needed - 1];
        assert_eq!(
            Resampler::new(24_414, 16_000, &mut memory).unwrap_err(),
            ResampleError::Memory {
                found: needed - 1,
                needed
            }
        );
    }

    #[test]
    fn equal_rates_change_nothing() {
        let samples = tone(16_000, 440.0, 0.1);
        assert_eq!(memory_len(16_000, 16_000), 0);
        assert_eq!(resample(&samples, 16_000, 16_000).unwrap(), samples);
    }

    #[test]
    fn positions_are_exact_after_years() {
        let mut memory = alloc::vec![0.0; memory_len(47_999, 16_000)];
        let resampler = Resampler::new(47_999, 16_000, &mut memory).unwrap();
        let ten_years = 16_000 * 86_400 * 3_652;
        assert_eq!(resampler.input_position(ten_years), 47_999 * 86_400 * 3_652);
        assert_eq!(
            resampler.input_position(ten_years + 1),
            47_999 * 86_400 * 3_652 + 2
        );
    }

    #[test]
    fn chunks_do_not_matter() {
        for (from, to) in [
            (44_100, 16_000),
            (24_414, 16_000),
            (8_000, 16_000),
            (96_000, 8_000),
        ] {
            let samples = tone(from, 440.0, 0.2);
            let whole = resample(&samples, from, to).unwrap();
            for (chunk, room) in [(1, 1), (7, 100), (500, 3), (8_000, 64)] {
                let mut memory = alloc::vec![0.0; memory_len(from, to)];
                let mut resampler = Resampler::new(from, to, &mut memory).unwrap();
                let (mut out, mut block) = (Vec::new(), alloc::vec![0.0; room]);
                for mut rest in samples.chunks(chunk) {
                    loop {
                        let (taken, given) = resampler.step(&mut memory, rest, &mut block);
                        rest = &rest[taken..];
                        out.extend_from_slice(&block[..given]);
                        if taken == 0 && given == 0 {
                            break;
                        }
                    }
                }
                loop {
                    let given = resampler.finish(&mut memory, &mut block);
                    out.extend_from_slice(&block[..given]);
                    if given == 0 {
                        break;
                    }
                }
                assert_eq!(
                    out, whole,
                    "{from} -> {to}, chunks of {chunk}, room for {room}"
                );
            }
        }
    }

    /// The same bits on every machine: checksums of what comes out for a signal of whole numbers.
    #[test]
    fn the_bits_are_those_of_every_machine() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from((state >> 16) as i16) / 32_768.0
        };
        let samples: Vec<f32> = (0..4_000).map(|_| random()).collect();
        let sums = [(48_000, 16_000), (24_414, 16_000), (8_000, 44_100)].map(|(from, to)| {
            let out = resample(&samples, from, to).unwrap();
            crate::crc32::crc32_of(out.into_iter().flat_map(f32::to_le_bytes))
        });
        assert_eq!(sums, [0x7f69_ff21, 0x468a_ba6b, 0xb11b_6b6c], "{sums:#x?}");
    }

    #[test]
    fn an_offset_stays_and_nothing_stays_nothing() {
        for from in [44_100, 24_414, 8_000] {
            let found = resample(&[0.25; 4_000], from, 16_000).unwrap();
            assert!(found[200..1_200].iter().all(|v| (v - 0.25).abs() < 1e-6));
            assert!(resample(&[], from, 16_000).unwrap().is_empty());
        }
    }
}

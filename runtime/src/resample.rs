//! Sampling-rate conversion by a polyphase filter, streaming, in memory of the caller: how audio gets to the rate that a model expects.
//!
//! Features depend on the rate at which they are taken: frames are zero-padded to other lengths and some bands end at half the rate. Measured
//! on EMO-DB (recorded at 16 kHz, leave one speaker out, a 400-256 perceptron trained at 16 kHz, one seed, the other rates made by a sharper
//! filter than this one), UAR:
//!
//! | speech at | features at that rate | brought to 16 kHz first |
//! |---|---|---|
//! | 16 kHz | 0.855 | |
//! | 48 kHz | 0.762 | 0.845 |
//! | 44.1 kHz | 0.740 | |
//! | 8 kHz, µ-law | 0.717 | 0.758 |
//!
//! So audio of another rate is brought to the model's.
//!
//! The filter is a windowed sine cardinal (Kaiser, 70 dB) that passes 95 % of the narrower band. Output sample m lies at input time
//! m · from / to: nothing is delayed, what lies ahead is waited for. A rate is converted by a fraction in lowest terms, which needs
//! memory in proportion to its numerator: 48 to 16 kHz 3.3 kB, 8 to 16 kHz 1.5 kB, 44.1 to 16 kHz 166 kB. `rubato`, the well-kept
//! crate for this, allocates.

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// Filter taps a phase where the rate does not go down.
const TAPS: u64 = 88;
/// Sums that are kept side by side.
const LANES: usize = 8;
/// Kaiser's window parameter for 70 dB.
const BETA: f64 = 6.76;
/// Largest numerator of a conversion: 11 025 to 16 000 Hz needs 640.
const MAX_PHASES: u64 = 640;

/// Why there is no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// The rates have no simple ratio.
    #[error(
        "audio at {from} Hz cannot be brought to the model's {to} Hz: the ratio {to}/{from} is too fine; record or convert to {to} Hz"
    )]
    Ratio {
        /// Rate of the audio.
        from: u32,
        /// Rate that is wanted.
        to: u32,
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
const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// What follows from two rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    up: usize,
    down: usize,
    taps: usize,
}

impl Plan {
    const fn new(from: u32, to: u32) -> Option<Self> {
        if from == 0 || to == 0 {
            return None;
        }
        let common = gcd(from as u64, to as u64);
        let (up, down) = (to as u64 / common, from as u64 / common);
        let low = if from < to { from } else { to } as u64;
        let taps = (TAPS * from as u64)
            .div_ceil(low)
            .next_multiple_of(2 * LANES as u64);
        if up > MAX_PHASES || taps > 1 << 16 {
            return None;
        }
        Some(Self {
            up: up as usize,
            down: down as usize,
            taps: taps as usize,
        })
    }

    /// The filter of every phase, and twice as many input samples as it spans.
    const fn memory_len(&self) -> usize {
        (self.up + 2) * self.taps
    }
}

/// Floats of memory that a conversion needs: 0 where the rates are equal, or where there is none.
pub const fn memory_len(from: u32, to: u32) -> usize {
    if from == to {
        return 0;
    }
    match Plan::new(from, to) {
        Some(plan) => plan.memory_len(),
        None => 0,
    }
}

/// A streaming conversion. The memory is handed to each call: it may be a part of something larger.
#[derive(Debug, Clone)]
pub struct Resampler {
    plan: Plan,
    /// Input samples at hand, and the index among them at which the filter of the next output starts.
    filled: usize,
    next: usize,
    /// Phase of the next output, 0 to `up - 1`.
    phase: usize,
    /// Input samples and output samples since the start or the last reset.
    heard: u64,
    given: u64,
}

impl Resampler {
    /// A conversion from `from` to `to` Hz; computes the filter into `memory`, of which the first [`memory_len`] floats are used.
    ///
    /// # Errors
    /// [`ResampleError`].
    pub fn new(from: u32, to: u32, memory: &mut [f32]) -> Result<Self, ResampleError> {
        let plan = Plan::new(from, to).ok_or(ResampleError::Ratio { from, to })?;
        let (found, needed) = (memory.len(), plan.memory_len());
        let Some((filter, history)) = memory
            .get_mut(..needed)
            .and_then(|m| m.split_at_mut_checked(plan.up * plan.taps))
        else {
            return Err(ResampleError::Memory { found, needed });
        };
        let half = (plan.taps / 2) as f64;
        // Corner of the filter in cycles per input sample: half the lower rate.
        let corner = 0.5 * f64::from(from.min(to)) / f64::from(from);
        let pi = core::f64::consts::PI;
        for (phase, taps) in filter.chunks_exact_mut(plan.taps).enumerate() {
            let between = phase as f64 / plan.up as f64;
            let weight = |tap: usize| {
                let distance = between + half - 1.0 - tap as f64;
                let angle = 2.0 * pi * corner * distance;
                let sinc = if angle == 0.0 {
                    1.0
                } else {
                    libm::sin(angle) / angle
                };
                let within = (1.0 - (distance / half) * (distance / half)).max(0.0);
                sinc * bessel(BETA * libm::sqrt(within))
            };
            // A phase that sums to 1 leaves an offset as it is.
            let sum: f64 = (0..plan.taps).map(weight).sum();
            for (tap, out) in taps.iter_mut().enumerate() {
                *out = (weight(tap) / sum) as f32;
            }
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
        self.filled = self.plan.taps / 2 - 1;
        if let Some(before) = history.get_mut(..self.filled) {
            before.fill(0.0);
        }
        (self.next, self.phase, self.heard, self.given) = (0, 0, 0, 0);
    }

    /// Forgets the input; the filter stays.
    pub fn reset(&mut self, memory: &mut [f32]) {
        let filter = self.plan.up * self.plan.taps;
        if let Some(history) = memory.get_mut(filter..) {
            self.start(history);
        }
    }

    /// Input position of output position `at`, rounded down.
    pub fn input_position(&self, at: u64) -> u64 {
        (u128::from(at) * self.plan.down as u128 / self.plan.up as u128) as u64
    }

    /// Takes some of `samples` and fills some of `out`: returns how many were taken and how many were given. Call it until both are 0.
    /// The output does not depend on the chunks, bit for bit.
    pub fn step(&mut self, memory: &mut [f32], samples: &[f32], out: &mut [f32]) -> (usize, usize) {
        let Plan { up, down, taps } = self.plan;
        let Some((filter, history)) = memory
            .get_mut(..self.plan.memory_len())
            .and_then(|m| m.split_at_mut_checked(up * taps))
        else {
            return (0, 0);
        };
        let taken = samples.len().min(history.len() - self.filled);
        history[self.filled..self.filled + taken].copy_from_slice(&samples[..taken]);
        self.filled += taken;
        self.heard += taken as u64;
        let mut given = 0;
        while given < out.len() && self.next + taps <= self.filled {
            let phase = &filter[self.phase * taps..(self.phase + 1) * taps];
            out[given] = dot(phase, &history[self.next..self.next + taps]);
            given += 1;
            self.phase += down;
            self.next += self.phase / up;
            self.phase %= up;
        }
        self.given += given as u64;
        // What no later output needs makes room.
        let done = self.next.min(self.filled);
        history.copy_within(done..self.filled, 0);
        (self.filled, self.next) = (self.filled - done, self.next - done);
        (taken, given)
    }

    /// After the last sample there is silence: fills some of `out` with what is left, up to the end of the input, and returns how
    /// many. Call it until that is 0, then [`reset`](Self::reset).
    pub fn finish(&mut self, memory: &mut [f32], out: &mut [f32]) -> usize {
        let Plan { up, down, .. } = self.plan;
        let whole = (u128::from(self.heard) * up as u128).div_ceil(down as u128) as u64;
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

/// Sum of products in a fixed order.
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
/// [`ResampleError::Ratio`].
#[cfg(feature = "alloc")]
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, ResampleError> {
    let mut memory = alloc::vec![0.0; memory_len(from, to)];
    if from == to {
        return Ok(samples.to_vec());
    }
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

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<f32> {
        let step = core::f64::consts::TAU * hertz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize)
            .map(|i| (0.5 * libm::sin(i as f64 * step)) as f32)
            .collect()
    }

    #[test]
    fn a_tone_is_the_same_tone_at_another_rate() {
        for (from, to) in [
            (8_000, 16_000),
            (11_025, 16_000),
            (22_050, 16_000),
            (32_000, 16_000),
            (44_100, 16_000),
            (48_000, 16_000),
            (96_000, 16_000),
            (16_000, 8_000),
            (16_000, 48_000),
        ] {
            let found = resample(&tone(from, 1_000.0, 0.5), from, to).unwrap();
            let wanted = tone(to, 1_000.0, 0.5);
            assert!(found.len().abs_diff(wanted.len()) <= 1, "{from} -> {to}");
            // The ends lie beside silence.
            let margin = to as usize / 50;
            for i in margin..wanted.len() - margin {
                let error = (found[i] - wanted[i]).abs();
                assert!(error < 1e-3, "{from} -> {to}, sample {i}: off by {error}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_taken_out() {
        let found = resample(&tone(48_000, 9_000.0, 0.5), 48_000, 16_000).unwrap();
        let loudest = found[400..7_600]
            .iter()
            .fold(0.0_f32, |m, v| m.max(v.abs()));
        assert!(loudest < 5e-4, "{loudest}");
    }

    #[test]
    fn chunks_do_not_matter() {
        let samples = tone(44_100, 440.0, 0.2);
        let whole = resample(&samples, 44_100, 16_000).unwrap();
        for (chunk, room) in [(1, 1), (7, 100), (500, 3), (8_000, 64)] {
            let mut memory = alloc::vec![0.0; memory_len(44_100, 16_000)];
            let mut resampler = Resampler::new(44_100, 16_000, &mut memory).unwrap();
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
            assert_eq!(out, whole, "chunks of {chunk}, room for {room}");
        }
    }

    #[test]
    fn an_offset_stays_and_odd_ratios_are_refused() {
        let found = resample(&[0.25; 4_000], 44_100, 16_000).unwrap();
        assert!(found[200..1_200].iter().all(|v| (v - 0.25).abs() < 1e-6));
        assert!(matches!(
            resample(&[0.0; 10], 44_101, 16_000),
            Err(ResampleError::Ratio { .. })
        ));
        assert_eq!(memory_len(16_000, 16_000), 0);
        assert!(resample(&[], 48_000, 16_000).unwrap().is_empty());
    }
}

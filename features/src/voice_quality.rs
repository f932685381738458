//! Jitter and shimmer from the waveform (SPEC section 7).

use crate::frame::{Geometry, PERIOD_SEARCH};
use crate::parabola;

/// Jitter and shimmer of one pitch frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct VoiceQuality {
    /// Mean difference of neighbouring periods over the mean period, ≤ 1.
    pub jitter_local: f32,
    /// Mean difference of neighbouring differences over the mean period, ≤ 1.
    pub jitter_ddp: f32,
    /// Mean amplitude difference of neighbouring periods over the mean amplitude, ≤ 1.
    pub shimmer_local: f32,
}

/// What is carried from frame to frame.
#[derive(Clone, Debug)]
pub(crate) struct PeriodTracker {
    hop: usize,
    hop_ceil: usize,
    frame: usize,
    /// Seconds per sample.
    period: f64,
    /// Absolute index of the first sample not yet walked over.
    position: u64,
    /// Samples between `position` and the frame.
    lag: usize,
    /// Last period, and last difference of periods, in seconds; 0: none.
    last_period: f32,
    last_difference: f32,
    held: VoiceQuality,
}

/// A maximum of the correlation over the lags.
struct Peak {
    /// Lag counted from the smallest one.
    index: usize,
    /// Correlations below, at and above it.
    around: [f64; 3],
}

#[derive(Default)]
struct Accumulator {
    periods: (f32, u32),
    differences: (f32, u32),
    second_differences: (f32, u32),
    amplitude: f32,
    amplitude_difference: f32,
}

impl PeriodTracker {
    pub fn new(geometry: &Geometry) -> Self {
        Self {
            hop: geometry.hop,
            hop_ceil: geometry.hop_ceil,
            frame: geometry.frame_b,
            period: 1.0 / f64::from(geometry.sample_rate),
            position: 0,
            lag: 0,
            last_period: 0.0,
            last_difference: 0.0,
            held: VoiceQuality::default(),
        }
    }

    pub fn reset(&mut self) {
        (self.position, self.lag) = (0, 0);
        self.forget();
    }

    fn forget(&mut self) {
        (self.last_period, self.last_difference) = (0.0, 0.0);
        self.held = VoiceQuality::default();
    }

    /// Measures pitch frame `n` with pitch `f0` (Hz; 0: unvoiced). `samples` starts at the absolute index `base` and reaches at least to the end
    /// of stream B frame n + 1 and 2·τmax samples back from its start.
    pub fn push(&mut self, n: u64, f0: f32, samples: &[f32], base: u64) -> VoiceQuality {
        let start = (n + 1) * self.hop as u64;
        let need_hop = self.hop_ceil + self.lag;
        if f0 <= 0.0 {
            if self.position + self.lag as u64 != start {
                self.position = start;
            }
            self.position += need_hop as u64;
            self.lag = 0;
            self.forget();
            return VoiceQuality::default();
        }
        let tau = (1.0 / f64::from(f0)) / self.period;
        let tau_round = libm::round(tau) as usize;
        let tau_min = libm::floor((1.0 - PERIOD_SEARCH) * tau) as usize;
        let tau_max = libm::ceil((1.0 + PERIOD_SEARCH) * tau) as usize;
        let mut need = need_hop.max(2 * tau_max + 2).min(self.lag + self.frame);
        if self.position + self.lag as u64 != start {
            self.position = start;
            need = need.min(self.frame);
        }
        let from = self.position.saturating_sub(base).min(samples.len() as u64) as usize;
        let block = &samples[from..(from + need).min(samples.len())];

        let (sums, advance) = self.walk(block, need_hop, [tau_min, tau_round, tau_max]);
        self.lag = need_hop - advance;
        self.position += advance as u64;
        self.output(&sums)
    }

    /// Steps from period to period through `block`; returns the sums and the samples to advance.
    fn walk(
        &mut self,
        block: &[f32],
        need_hop: usize,
        [tau_min, tau_round, tau_max]: [usize; 3],
    ) -> (Accumulator, usize) {
        let mut sums = Accumulator::default();
        let (mut q, mut advance) = (0, 0);
        let mut lowest: Option<f32> = None;
        while q + 2 * tau_max + 1 < block.len() {
            match peak(&block[q..], tau_min, tau_max) {
                None => q += tau_round.max(1),
                Some(peak) => {
                    let lag = tau_min + peak.index;
                    let before = peak_to_peak(&block[q..q + lag]);
                    q += lag;
                    let after = peak_to_peak(&block[q..q + lag]);
                    let i = peak.index as f64;
                    let (at, height) = parabola::vertex([i - 1.0, i, i + 1.0], peak.around);
                    let period = ((tau_min as f64 + at).abs() * self.period) as f32;
                    let floor = match lowest {
                        Some(floor) if floor <= height as f32 => floor,
                        _ => height as f32,
                    };
                    lowest = Some(floor);
                    if height > f64::from(floor) {
                        self.accept(period, before, after, &mut sums);
                    }
                }
            }
            if q + 1 < need_hop {
                advance = q;
            }
        }
        (sums, advance)
    }

    fn accept(&mut self, period: f32, before: f32, after: f32, sums: &mut Accumulator) {
        add(&mut sums.periods, period);
        if self.last_period > 0.0 {
            let difference = (self.last_period - period).abs();
            add(&mut sums.differences, difference);
            if self.last_difference > 0.0 {
                add(
                    &mut sums.second_differences,
                    (self.last_difference - difference).abs(),
                );
            }
            self.last_difference = difference;
        }
        self.last_period = period;
        sums.amplitude += (before + after) / 2.0;
        sums.amplitude_difference += (before - after).abs();
    }

    fn output(&mut self, sums: &Accumulator) -> VoiceQuality {
        if sums.periods.1 == 0 {
            return self.held;
        }
        let mean_period = sums.periods.0 / sums.periods.1 as f32;
        let relative = |(sum, count): (f32, u32), held: &mut f32| {
            if count == 0 {
                return 0.0;
            }
            *held = (sum / count as f32 / mean_period).min(1.0);
            *held
        };
        let shimmer = if sums.amplitude == 0.0 {
            0.0
        } else {
            sums.amplitude_difference / sums.amplitude
        };
        self.held.shimmer_local = shimmer.min(1.0);
        VoiceQuality {
            jitter_local: relative(sums.differences, &mut self.held.jitter_local),
            jitter_ddp: relative(sums.second_differences, &mut self.held.jitter_ddp),
            shimmer_local: self.held.shimmer_local,
        }
    }
}

fn add((sum, count): &mut (f32, u32), value: f32) {
    *sum += value;
    *count += 1;
}

/// Range of the interior samples 1..=len−2 of a period.
fn peak_to_peak(period: &[f32]) -> f32 {
    let interior = period
        .get(1..period.len().saturating_sub(1))
        .unwrap_or_default();
    let Some(&first) = interior.first() else {
        return 0.0;
    };
    let (mut low, mut high) = (first, first);
    for &v in interior {
        low = low.min(v);
        high = high.max(v);
    }
    high - low
}

/// Highest strict interior maximum of the correlation of neighbouring stretches over lags `tau_min..=tau_max`, the last interior one excluded.
fn peak(w: &[f32], tau_min: usize, tau_max: usize) -> Option<Peak> {
    let correlate = |i: usize| correlation(&w[..tau_min + i], &w[tau_min + i..2 * (tau_min + i)]);
    let mut best: Option<Peak> = None;
    let mut around = [0.0, correlate(0), correlate(1)];
    for index in 1..(tau_max - tau_min).saturating_sub(1) {
        around = [around[1], around[2], correlate(index + 1)];
        if around[0] < around[1]
            && around[1] > around[2]
            && best.as_ref().is_none_or(|b| around[1] > b.around[1])
        {
            best = Some(Peak { index, around });
        }
    }
    best
}

/// Pearson correlation of two stretches of equal length: two passes of sequential sums in f64. NaN where one of them is constant.
///
/// The order of the sums is part of the definition (see [`parabola::vertex`]).
fn correlation(x: &[f32], y: &[f32]) -> f64 {
    let n = x.len() as f64;
    let (mut sum_x, mut sum_y) = (0.0, 0.0);
    for (&a, &b) in x.iter().zip(y) {
        sum_x += f64::from(a);
        sum_y += f64::from(b);
    }
    let (mean_x, mean_y) = (sum_x / n, sum_y / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (&a, &b) in x.iter().zip(y) {
        let (dx, dy) = (f64::from(a) - mean_x, f64::from(b) - mean_y);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    xy / (libm::sqrt(xx) * libm::sqrt(yy))
}

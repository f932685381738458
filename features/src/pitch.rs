//! Pitch by subharmonic summation, and the correction of its contour (SPEC sections 6.3 to 6.5).

use heapless::Vec;

use crate::frame::PITCH_RANGE_HZ;
use crate::parabola;
use crate::spline::OctaveAxis;

/// Harmonics that are summed, the fundamental included.
const HARMONICS: usize = 15;
/// Weight of a harmonic relative to the one below.
const COMPRESSION: f32 = 0.85;
/// Points of the octave axis that are summed at once.
const BLOCK: usize = 32;
/// Points that the summation needs beyond the spectrum.
pub(crate) const MARGIN: usize = BLOCK - 1;
/// Candidates kept per frame.
const CANDIDATES: usize = 3;

/// A peak of the subharmonic sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Candidate {
    /// Hz; 0: none.
    pub f0: f32,
    /// Height of the peak.
    pub score: f32,
    /// 1 − mean/peak, 0..1.
    pub voicing: f32,
}

/// Summation over a spectrum on the octave axis.
#[derive(Clone, Debug)]
pub(crate) struct SubharmonicSum {
    axis: OctaveAxis,
    /// Shift along the axis and weight of harmonics 2, 3, ….
    harmonics: [(usize, f32); HARMONICS - 1],
}

impl SubharmonicSum {
    pub fn new(axis: OctaveAxis) -> Self {
        let mut weight = 1.0;
        let harmonics = core::array::from_fn(|i| {
            weight *= COMPRESSION;
            let octaves = libm::log((i + 2) as f64) / core::f64::consts::LN_2;
            (
                (f64::from(axis.points_per_octave) * octaves) as usize,
                weight,
            )
        });
        Self { axis, harmonics }
    }

    /// The subharmonic sum of the first `sum.len()` points of `spectrum` into `sum`. `spectrum` is longer by [`MARGIN`], which is overwritten.
    pub fn apply(&self, spectrum: &mut [f32], sum: &mut [f32]) {
        let n = sum.len();
        let spectrum = &mut spectrum[..n + MARGIN];
        // what changes no sum, whatever its sign
        spectrum[n..].fill(-0.0);
        let (blocks, rest) = sum.as_chunks_mut::<BLOCK>();
        let whole = BLOCK * blocks.len();
        for (number, block) in blocks.iter_mut().enumerate() {
            *block = self.sum_block(spectrum, number * BLOCK);
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&self.sum_block(spectrum, whole)[..rest.len()]);
        }
    }

    /// The sum at points `first..first + BLOCK`, over ascending harmonics.
    #[inline(always)]
    fn sum_block(&self, spectrum: &[f32], first: usize) -> [f32; BLOCK] {
        let mut sum = [0.0f32; BLOCK];
        sum.copy_from_slice(&spectrum[first..first + BLOCK]);
        for &(shift, weight) in &self.harmonics {
            let at = first + shift;
            // none where the block lies beyond the spectrum: the margin is too short for it
            let Some(shifted) = spectrum.get(at..at + BLOCK) else {
                break;
            };
            for (s, &h) in sum.iter_mut().zip(shifted) {
                *s += h * weight;
            }
        }
        for s in &mut sum {
            let mean = *s / HARMONICS as f32;
            *s = if mean < 0.0 { 0.0 } else { mean };
        }
        sum
    }

    /// Candidates of a subharmonic sum, the best first.
    pub fn candidates(&self, sum: &[f32]) -> Vec<Candidate, CANDIDATES> {
        let mean = crate::sums::sum(sum) / sum.len() as f64;
        // The newest three of the running record, oldest first.
        let mut peaks = [0usize; CANDIDATES];
        let mut record = f32::NEG_INFINITY;
        for (i, w) in sum.windows(3).enumerate() {
            if w[1] > record && w[0] < w[1] && w[1] > w[2] {
                record = w[1];
                peaks.rotate_left(1);
                peaks[CANDIDATES - 1] = i + 1;
            }
        }
        let mut out = Vec::new();
        for &j in peaks.iter().rev().filter(|&&j| j > 0) {
            let candidate = self.refine(sum, j, mean);
            if candidate.f0 >= PITCH_RANGE_HZ.0 && candidate.f0 <= PITCH_RANGE_HZ.1 {
                // three peaks at most: there is room
                let _ = out.push(candidate);
            }
        }
        let mut best = 0;
        for (i, c) in out.iter().enumerate() {
            if c.score > out[best].score {
                best = i;
            }
        }
        if !out.is_empty() {
            out.swap(0, best);
        }
        out
    }

    fn refine(&self, sum: &[f32], j: usize, mean: f64) -> Candidate {
        let x = [j - 1, j, j + 1].map(|i| f64::from(i as f32 * self.axis.step + self.axis.first));
        let y = [sum[j - 1], sum[j], sum[j + 1]].map(f64::from);
        let (position, peak) = parabola::vertex(x, y);
        Candidate {
            f0: libm::exp(position * core::f64::consts::LN_2) as f32,
            score: peak as f32,
            voicing: if peak > 0.0 && peak > mean {
                (1.0 - mean / peak) as f32
            } else {
                0.0
            },
        }
    }
}

/// One frame of the corrected pitch contour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PitchFrame {
    /// `F0final`: Hz, 0 where unvoiced.
    pub f0: f32,
    /// `F0finEnv`: follows F0, held where unvoiced.
    pub envelope: f32,
    /// `voicingFinalUnclipped`.
    pub voicing: f32,
}

/// Correction of the pitch contour, one frame behind its input.
#[derive(Clone, Debug)]
pub(crate) struct PitchContour {
    threshold: f32,
    started: bool,
    previous: f32,
    previous_voicing: f32,
    /// +1 after an onset, −1 after an end of voicing, else 0.
    onset: i8,
    /// +1 after a rise, −1 after a fall, else 0.
    direction: i8,
    envelope: f32,
}

impl PitchContour {
    /// `threshold`: the voicing above which a candidate counts as voiced.
    pub fn new(threshold: f32) -> Self {
        Self {
            threshold,
            started: false,
            previous: 0.0,
            previous_voicing: 0.0,
            onset: 0,
            direction: 0,
            envelope: 0.0,
        }
    }

    /// Takes the best candidate of a frame; emits the corrected frame before it. The first frame is swallowed, data and all.
    pub fn push(&mut self, best: Candidate) -> Option<PitchFrame> {
        if !self.started {
            self.started = true;
            return None;
        }
        let pitch = if best.voicing > self.threshold {
            best.f0
        } else {
            0.0
        };
        let voicing = core::mem::replace(&mut self.previous_voicing, best.voicing);

        if self.previous == 0.0 && pitch > 0.0 {
            self.onset = 1;
        } else if self.previous > 0.0 && pitch == 0.0 {
            if self.onset == 0 {
                self.onset = -1;
            }
        } else {
            self.onset = 0;
        }
        if pitch == 0.0 && self.onset == 1 {
            self.previous = 0.0;
        } else if pitch > 0.0 && self.onset == -1 {
            self.previous = pitch;
        }

        let (mut rise, mut fall) = (false, false);
        if self.previous > 0.0 && pitch > 0.0 {
            let ratio = self.previous / pitch;
            fall = ratio > 1.2;
            rise = ratio < 0.8;
            if (rise && self.direction == -1) || (fall && self.direction == 1) {
                self.previous = pitch;
            }
        }
        if rise {
            self.direction = 1;
        } else if fall {
            if self.onset == 0 {
                self.direction = -1;
            }
        } else {
            self.direction = 0;
        }

        let f0 = self.previous;
        if f0 > 0.0 {
            self.envelope = if self.envelope == 0.0 {
                f0
            } else {
                0.75 * self.envelope + 0.25 * f0
            };
        }
        self.previous = pitch;
        Some(PitchFrame {
            f0,
            envelope: self.envelope,
            voicing,
        })
    }
}

//! How fit a recording is for recognition: measured while samples pass, without memory that grows.

use crate::prediction::Reason;

/// Shorter utterances, in seconds, are unfit: the functionals describe too few frames.
pub const TOO_SHORT_S: f32 = 0.3;
/// Quieter utterances, in dB relative to a full-scale square wave, are unfit.
pub const SILENT_DBFS: f32 = -60.0;
/// Level that is reported for digital silence, in dB.
pub const FLOOR_DBFS: f32 = -120.0;
/// A sample of at least this magnitude counts as clipped.
pub const CLIP_LEVEL: f32 = 0.999;
/// A larger share of clipped samples is flagged.
pub const CLIPPED_FRACTION: f32 = 0.001;
/// A smaller share of voiced pitch frames makes an utterance unfit.
pub const VOICED_FRACTION: f32 = 0.1;
/// Less voice, in seconds, makes an utterance unfit.
pub const VOICED_S: f32 = 0.1;
/// Samples above this magnitude are not on the scale -1..1, 18 dB above which no recorder goes.
pub const LARGEST_SAMPLE: f32 = 8.0;
/// With less of its energy above [`BAND_HZ`], in dB, an utterance is flagged: a telephone's band.
pub const NARROW_BAND_DB: f32 = -55.0;
/// Corner of the high-pass behind [`Quality::narrow_band`], in Hz.
pub const BAND_HZ: f32 = 5_000.0;
/// Lowest sampling rate, in Hz, at which there is a band above [`BAND_HZ`] to look at.
const WIDE_HZ: u32 = 14_000;
/// Time of a pitch frame, in seconds.
const FRAME_S: f32 = 0.01;

/// What was measured on an utterance, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize))]
pub struct Quality {
    /// Shorter than [`TOO_SHORT_S`]. Unfit.
    pub too_short: bool,
    /// Level below [`SILENT_DBFS`]. Unfit.
    pub silent: bool,
    /// More than [`CLIPPED_FRACTION`] of the samples at full scale.
    pub clipped: bool,
    /// Less than [`VOICED_FRACTION`] of the pitch frames voiced, or less than [`VOICED_S`]
    /// seconds; not flagged where no pitch is computed. Unfit.
    pub unvoiced: bool,
    /// Next to nothing above the band of a telephone, at a rate that could hold more: the model
    /// may have been trained on wider speech.
    pub narrow_band: bool,
    /// Samples beyond [`LARGEST_SAMPLE`]: floats that hold whole numbers, say. Unfit.
    pub not_in_range: bool,
    /// Largest magnitude of a sample; 1 is full scale.
    pub peak: f32,
    /// Root mean square in dB relative to full scale, at least [`FLOOR_DBFS`].
    pub rms_dbfs: f32,
    /// Share of samples of magnitude [`CLIP_LEVEL`] or more, 0 to 1.
    pub clipped_fraction: f32,
    /// Share of pitch frames that are voiced, 0 to 1; `None` where the model reads nothing of the
    /// pitch, so that it is not computed.
    pub voiced_fraction: Option<f32>,
    /// Seconds of voice; `None` as above.
    pub voiced_s: Option<f32>,
}

impl Quality {
    /// Whether no flag is raised.
    pub fn is_good(&self) -> bool {
        self.unfit().is_none() && !(self.clipped || self.narrow_band)
    }

    /// Of several utterances together, each with its weight (seconds, say); `None` for none.
    #[cfg(feature = "alloc")]
    pub fn of_all(parts: &[(Self, f64)]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let total: f64 = parts.iter().map(|(_, weight)| weight).sum();
        let any = |flag: fn(&Self) -> bool| parts.iter().any(|(quality, _)| flag(quality));
        let mean = |value: fn(&Self) -> f64| {
            let sum: f64 = parts.iter().map(|(q, weight)| value(q) * weight).sum();
            (sum / total) as f32
        };
        let power = |q: &Self| libm::pow(10.0, f64::from(q.rms_dbfs) / 10.0);
        let voiced = |q: &Self| f64::from(q.voiced_fraction.unwrap_or(0.0));
        let voice_known = parts.iter().all(|(q, _)| q.voiced_fraction.is_some());
        let clipped_fraction = mean(|q| f64::from(q.clipped_fraction));
        Some(Self {
            too_short: any(|q| q.too_short),
            silent: any(|q| q.silent),
            clipped: clipped_fraction > CLIPPED_FRACTION,
            unvoiced: any(|q| q.unvoiced),
            narrow_band: any(|q| q.narrow_band),
            not_in_range: any(|q| q.not_in_range),
            peak: rest.iter().fold(first.0.peak, |m, (q, _)| m.max(q.peak)),
            rms_dbfs: (10.0 * libm::log10(f64::from(mean(power)))) as f32,
            clipped_fraction,
            voiced_fraction: voice_known.then(|| mean(voiced)),
            voiced_s: parts.iter().map(|(q, _)| q.voiced_s).sum(),
        })
    }

    /// Why nothing can be said about the emotion of such an utterance, and nothing be learnt from
    /// it.
    pub fn unfit(&self) -> Option<Reason> {
        [
            (self.not_in_range, Reason::NotInRange),
            (self.silent, Reason::Silent),
            (self.too_short, Reason::TooShort),
            (self.unvoiced, Reason::Unvoiced),
        ]
        .iter()
        .find_map(|&(raised, reason)| raised.then_some(reason))
    }
}

/// Running measurements of samples at one rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityMeter {
    sample_rate: u32,
    samples: u64,
    clipped: u64,
    peak: f32,
    squares: f64,
    band: HighPass,
    band_squares: f64,
}

/// Butterworth high-pass of order 6 at [`BAND_HZ`]: three biquads in transposed form II. It passes
/// nothing where the rate holds no such band.
#[derive(Debug, Clone, Copy, PartialEq)]
struct HighPass {
    /// Gain of the numerator (1, -2, 1), and the denominator's two coefficients.
    biquads: [[f32; 3]; 3],
    state: [[f32; 2]; 3],
}

impl HighPass {
    fn new(sample_rate: u32) -> Self {
        let mut biquads = [[0.0; 3]; 3];
        if sample_rate >= WIDE_HZ {
            let k = libm::tan(core::f64::consts::PI * f64::from(BAND_HZ) / f64::from(sample_rate));
            for (pair, biquad) in biquads.iter_mut().enumerate() {
                // Angle of the pole pair from the negative real axis: 15, 45, 75 degrees.
                let angle = core::f64::consts::PI * (2 * pair + 1) as f64 / 12.0;
                let damping = 2.0 * libm::cos(angle) * k;
                let norm = 1.0 / (1.0 + damping + k * k);
                *biquad = [
                    norm as f32,
                    (2.0 * (k * k - 1.0) * norm) as f32,
                    ((1.0 - damping + k * k) * norm) as f32,
                ];
            }
        }
        Self {
            biquads,
            state: [[0.0; 2]; 3],
        }
    }

    fn next(&mut self, sample: f32) -> f32 {
        let mut x = sample;
        for ([gain, a1, a2], [s1, s2]) in self.biquads.iter().zip(&mut self.state) {
            let scaled = gain * x;
            let y = scaled + *s1;
            *s1 = *s2 - 2.0 * scaled - a1 * y;
            *s2 = scaled - a2 * y;
            x = y;
        }
        x
    }
}

impl QualityMeter {
    /// A meter of samples at `sample_rate` Hz that has heard nothing.
    pub fn new(sample_rate: u32) -> Self {
        Self {
            sample_rate,
            samples: 0,
            clipped: 0,
            peak: 0.0,
            squares: 0.0,
            band: HighPass::new(sample_rate),
            band_squares: 0.0,
        }
    }

    /// Forgets what was heard.
    pub fn reset(&mut self) {
        *self = Self {
            sample_rate: self.sample_rate,
            samples: 0,
            clipped: 0,
            peak: 0.0,
            squares: 0.0,
            band: HighPass {
                biquads: self.band.biquads,
                state: [[0.0; 2]; 3],
            },
            band_squares: 0.0,
        };
    }

    /// Hears `samples`, in any chunking.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples += samples.len() as u64;
        let wide = self.sample_rate >= WIDE_HZ;
        for &sample in samples {
            let magnitude = sample.abs();
            self.peak = self.peak.max(magnitude);
            self.clipped += u64::from(magnitude >= CLIP_LEVEL);
            self.squares += f64::from(sample) * f64::from(sample);
            if wide {
                let above = self.band.next(sample);
                self.band_squares += f64::from(above) * f64::from(above);
            }
        }
    }

    /// Samples heard.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The verdict on what was heard, given the extractor's count of pitch frames, and of voiced
    /// ones where the pitch was computed.
    pub fn quality(&self, pitch_frames: usize, voiced_frames: Option<usize>) -> Quality {
        let share = |part: f64, whole: f64| {
            if whole > 0.0 {
                (part / whole) as f32
            } else {
                0.0
            }
        };
        let mean_square = if self.samples > 0 {
            self.squares / self.samples as f64
        } else {
            0.0
        };
        // 10·log10 of the mean square; the logarithm of 0 is -inf, which the floor takes up.
        let rms_dbfs = ((10.0 * libm::log10(mean_square)) as f32).max(FLOOR_DBFS);
        let clipped_fraction = share(self.clipped as f64, self.samples as f64);
        let voiced_fraction = voiced_frames.map(|voiced| share(voiced as f64, pitch_frames as f64));
        let voiced_s = voiced_frames.map(|voiced| voiced as f32 * FRAME_S);
        let limit = libm::pow(10.0, f64::from(NARROW_BAND_DB) / 10.0);
        let silent = rms_dbfs < SILENT_DBFS;
        Quality {
            too_short: (self.samples as f64) < f64::from(TOO_SHORT_S) * f64::from(self.sample_rate),
            silent,
            clipped: clipped_fraction > CLIPPED_FRACTION,
            unvoiced: voiced_fraction.is_some_and(|share| share < VOICED_FRACTION)
                || voiced_s.is_some_and(|seconds| seconds < VOICED_S),
            narrow_band: self.sample_rate >= WIDE_HZ
                && !silent
                && self.band_squares < limit * self.squares,
            not_in_range: self.peak > LARGEST_SAMPLE,
            peak: self.peak,
            rms_dbfs,
            clipped_fraction,
            voiced_fraction,
            voiced_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(samples: &[f32]) -> QualityMeter {
        let mut meter = QualityMeter::new(16_000);
        meter.push(samples);
        meter
    }

    #[test]
    fn a_square_wave_of_half_scale_is_six_decibels_down() {
        let wave: [f32; 16_000] = core::array::from_fn(|i| if i % 100 < 50 { 0.5 } else { -0.5 });
        let quality = heard(&wave).quality(100, Some(60));
        assert!((quality.rms_dbfs + 6.0206).abs() < 1e-3, "{quality:?}");
        assert_eq!(
            (
                quality.peak,
                quality.clipped_fraction,
                quality.voiced_fraction
            ),
            (0.5, 0.0, Some(0.6))
        );
        assert!(quality.is_good());
    }

    #[test]
    fn each_flag_has_its_cause() {
        let silence = heard(&[0.0; 16_000]).quality(100, Some(0));
        assert!(silence.silent && silence.unvoiced && !silence.clipped && !silence.too_short);
        assert_eq!(silence.rms_dbfs, FLOOR_DBFS);
        let clipped = heard(&core::array::from_fn::<f32, 16_000, _>(|i| {
            if i < 17 { -1.0 } else { 0.1 }
        }))
        .quality(100, Some(50));
        assert!(clipped.clipped && !clipped.silent && clipped.peak == 1.0);
        let one_peak = heard(&core::array::from_fn::<f32, 16_000, _>(|i| {
            if i < 16 { 1.0 } else { 0.1 }
        }))
        .quality(100, Some(50));
        assert!(!one_peak.clipped);
        let short = heard(&[0.1; 4_799]).quality(20, Some(19));
        assert!(short.too_short && !heard(&[0.1; 4_801]).quality(20, Some(19)).too_short);
        assert!(heard(&[]).quality(0, Some(0)).silent);
        let unknown = heard(&[0.1; 8_000]).quality(10, None);
        assert!(unknown.unfit().is_none() && unknown.voiced_fraction.is_none());
        let far = heard(&[0.1; 8_000].map(|v: f32| v * 327.0)).quality(40, Some(30));
        assert_eq!(far.unfit(), Some(Reason::NotInRange));
    }

    #[test]
    fn a_telephone_s_band_is_flagged_at_rates_that_hold_more() {
        let tone = |hertz: f32, rate: f32, level: f32| {
            let step = core::f32::consts::TAU * hertz / rate;
            core::array::from_fn::<f32, 16_000, _>(|i| level * libm::sinf(i as f32 * step))
        };
        let narrow = |samples: &[f32], rate: u32| {
            let mut meter = QualityMeter::new(rate);
            meter.push(samples);
            meter.quality(100, Some(60)).narrow_band
        };
        let low = tone(1_000.0, 16_000.0, 0.3);
        assert!(narrow(&low, 16_000));
        let both: [f32; 16_000] = {
            // 40 dB below is as much as there is of a voice up there.
            let high = tone(6_500.0, 16_000.0, 0.003);
            core::array::from_fn(|i| low[i] + high[i])
        };
        assert!(!narrow(&both, 16_000));
        assert!(
            !narrow(&tone(3_000.0, 8_000.0, 0.3), 8_000),
            "all that it can hold"
        );
        assert!(!narrow(&[0.0; 16_000], 16_000), "silence has no band");
    }

    #[test]
    fn chunks_do_not_matter() {
        let wave: [f32; 999] = core::array::from_fn(|i| (i as f32 * 0.37).sin());
        let mut meter = QualityMeter::new(16_000);
        wave.chunks(7).for_each(|chunk| meter.push(chunk));
        assert_eq!(meter, heard(&wave));
    }
}

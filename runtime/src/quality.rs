//! How fit a recording is for recognition: measured while samples pass, without memory that grows.

/// Shorter utterances, in seconds, are flagged: the functionals describe too few frames.
pub const TOO_SHORT_S: f32 = 0.5;
/// Quieter utterances, in dB relative to a full-scale square wave, are flagged.
pub const SILENT_DBFS: f32 = -60.0;
/// Level that is reported for digital silence, in dB.
pub const FLOOR_DBFS: f32 = -120.0;
/// A sample of at least this magnitude counts as clipped.
pub const CLIP_LEVEL: f32 = 0.999;
/// A larger share of clipped samples is flagged.
pub const CLIPPED_FRACTION: f32 = 0.001;
/// A smaller share of voiced pitch frames is flagged.
pub const VOICED_FRACTION: f32 = 0.1;

/// What was measured on an utterance, and what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "std", derive(serde::Serialize, serde::Deserialize))]
pub struct Quality {
    /// Shorter than [`TOO_SHORT_S`].
    pub too_short: bool,
    /// Level below [`SILENT_DBFS`].
    pub silent: bool,
    /// More than [`CLIPPED_FRACTION`] of the samples at full scale.
    pub clipped: bool,
    /// Less than [`VOICED_FRACTION`] of the pitch frames voiced; not flagged where no pitch is computed.
    pub unvoiced: bool,
    /// Largest magnitude of a sample; 1 is full scale.
    pub peak: f32,
    /// Root mean square in dB relative to full scale, at least [`FLOOR_DBFS`].
    pub rms_dbfs: f32,
    /// Share of samples of magnitude [`CLIP_LEVEL`] or more, 0 to 1.
    pub clipped_fraction: f32,
    /// Share of pitch frames that are voiced, 0 to 1; `None` where the model reads nothing of the pitch, so that it is not computed.
    pub voiced_fraction: Option<f32>,
}

impl Quality {
    /// Whether no flag is raised.
    pub fn is_good(&self) -> bool {
        !(self.too_short || self.silent || self.clipped || self.unvoiced)
    }
}

/// Running measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QualityMeter {
    samples: u64,
    clipped: u64,
    peak: f32,
    squares: f64,
}

impl QualityMeter {
    /// A meter that has heard nothing.
    pub const fn new() -> Self {
        Self {
            samples: 0,
            clipped: 0,
            peak: 0.0,
            squares: 0.0,
        }
    }

    /// Hears `samples`, in any chunking.
    pub fn push(&mut self, samples: &[f32]) {
        self.samples += samples.len() as u64;
        for &sample in samples {
            let magnitude = sample.abs();
            self.peak = self.peak.max(magnitude);
            self.clipped += u64::from(magnitude >= CLIP_LEVEL);
            self.squares += f64::from(sample) * f64::from(sample);
        }
    }

    /// Samples heard.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The verdict on what was heard, given its rate in Hz and the extractor's count of pitch frames, and of voiced ones where the pitch
    /// was computed.
    pub fn quality(
        &self,
        sample_rate: u32,
        pitch_frames: usize,
        voiced_frames: Option<usize>,
    ) -> Quality {
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
        Quality {
            too_short: (self.samples as f64) < f64::from(TOO_SHORT_S) * f64::from(sample_rate),
            silent: rms_dbfs < SILENT_DBFS,
            clipped: clipped_fraction > CLIPPED_FRACTION,
            unvoiced: voiced_fraction.is_some_and(|share| share < VOICED_FRACTION),
            peak: self.peak,
            rms_dbfs,
            clipped_fraction,
            voiced_fraction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(samples: &[f32]) -> QualityMeter {
        let mut meter = QualityMeter::new();
        meter.push(samples);
        meter
    }

    #[test]
    fn a_square_wave_of_half_scale_is_six_decibels_down() {
        let wave: [f32; 16_000] = core::array::from_fn(|i| if i % 100 < 50 { 0.5 } else { -0.5 });
        let quality = heard(&wave).quality(16_000, 100, Some(60));
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
        let silence = heard(&[0.0; 16_000]).quality(16_000, 100, Some(0));
        assert!(silence.silent && silence.unvoiced && !silence.clipped && !silence.too_short);
        assert_eq!(silence.rms_dbfs, FLOOR_DBFS);
        let clipped = heard(&core::array::from_fn::<f32, 16_000, _>(|i| {
            if i < 17 { -1.0 } else { 0.1 }
        }))
        .quality(16_000, 100, Some(50));
        assert!(clipped.clipped && !clipped.silent && clipped.peak == 1.0);
        let one_peak = heard(&core::array::from_fn::<f32, 16_000, _>(|i| {
            if i < 16 { 1.0 } else { 0.1 }
        }))
        .quality(16_000, 100, Some(50));
        assert!(!one_peak.clipped);
        let short = heard(&[0.1; 7_999]).quality(16_000, 10, Some(9));
        assert!(short.too_short && !heard(&[0.1; 8_000]).quality(16_000, 10, Some(9)).too_short);
        assert!(heard(&[]).quality(16_000, 0, Some(0)).silent);
        let unknown = heard(&[0.1; 8_000]).quality(16_000, 10, None);
        assert!(unknown.is_good() && unknown.voiced_fraction.is_none());
    }

    #[test]
    fn chunks_do_not_matter() {
        let wave: [f32; 999] = core::array::from_fn(|i| (i as f32 * 0.37).sin());
        let mut meter = QualityMeter::new();
        wave.chunks(7).for_each(|chunk| meter.push(chunk));
        assert_eq!(meter, heard(&wave));
    }
}

//! Framing (SPEC section 3): frame lengths, hop and FFT sizes of a sampling rate.
//!
//! Two frame streams share one hop. Stream A (25 ms) feeds loudness, MFCC, log-mel bands and LSP; stream B (60 ms) feeds pitch.

/// Lowest sampling rate that the extractor takes, in Hz.
pub const MIN_SAMPLE_RATE: u32 = 8_000;
/// Highest sampling rate that the extractor takes, in Hz.
pub const MAX_SAMPLE_RATE: u32 = 96_000;

/// Nominal length of a stream A frame, in seconds.
pub(crate) const FRAME_A_SECONDS: f64 = 0.025;
/// Nominal length of a stream B frame, in seconds.
pub(crate) const FRAME_B_SECONDS: f64 = 0.060;
/// Nominal hop, in seconds.
pub(crate) const HOP_SECONDS: f64 = 0.010;
/// Lowest and highest pitch candidate that survives, in Hz.
pub(crate) const PITCH_RANGE_HZ: (f32, f32) = (52.0, 620.0);
/// Half-width of the period search around the pitch period.
pub(crate) const PERIOD_SEARCH: f64 = 0.25;

/// Everything about framing that follows from the sampling rate alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Geometry {
    pub sample_rate: u32,
    /// Samples of a stream A frame (`nA`).
    pub frame_a: usize,
    /// Samples of a stream B frame (`nB`).
    pub frame_b: usize,
    /// Samples between frame starts (`h`).
    pub hop: usize,
    /// Hop of the period search (`hj`): rounded up where `hop` is rounded to nearest.
    pub hop_ceil: usize,
    /// FFT length of stream A (`NA`).
    pub fft_a: usize,
    /// FFT length of stream B (`NB`).
    pub fft_b: usize,
    /// Samples of the frame resampled to 11 kHz (`I`).
    pub resampled: usize,
    /// Samples that the period search may look back from the start of the newest stream B frame.
    pub history: usize,
}

impl Geometry {
    /// `None` outside [`MIN_SAMPLE_RATE`]..=[`MAX_SAMPLE_RATE`].
    pub const fn new(sample_rate: u32) -> Option<Self> {
        if sample_rate < MIN_SAMPLE_RATE || sample_rate > MAX_SAMPLE_RATE {
            return None;
        }
        let fs = sample_rate as f64;
        let period = 1.0 / fs;
        let frame_a = round(FRAME_A_SECONDS / period);
        let frame_b = round(FRAME_B_SECONDS / period);
        Some(Self {
            sample_rate,
            frame_a,
            frame_b,
            hop: round(HOP_SECONDS / period),
            hop_ceil: ceil(HOP_SECONDS / period),
            fft_a: frame_a.next_power_of_two(),
            fft_b: frame_b.next_power_of_two(),
            resampled: round(11_000.0 / fs * frame_a as f64),
            history: 2 * ceil((1.0 + PERIOD_SEARCH) * fs / PITCH_RANGE_HZ.0 as f64) + 2,
        })
    }

    /// Bins of the stream A spectrum, DC and Nyquist included.
    pub const fn bins_a(&self) -> usize {
        self.fft_a / 2 + 1
    }

    /// Bins of the stream B spectrum, DC and Nyquist included.
    pub const fn bins_b(&self) -> usize {
        self.fft_b / 2 + 1
    }

    /// Samples that the shortest utterance with a feature vector has (two stream B frames).
    pub const fn shortest(&self) -> usize {
        self.frame_b + self.hop
    }
}

/// Nearest integer of a non-negative value, halves up.
const fn round(x: f64) -> usize {
    (x + 0.5) as usize
}

/// Smallest integer not below a non-negative value.
const fn ceil(x: f64) -> usize {
    let floor = x as usize;
    if (floor as f64) < x { floor + 1 } else { floor }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_section_3() {
        for (fs, na, fft_a, nb, fft_b, hop, hop_ceil) in [
            (8_000, 200, 256, 480, 512, 80, 80),
            (11_025, 276, 512, 662, 1024, 110, 111),
            (16_000, 400, 512, 960, 1024, 160, 160),
            (22_050, 551, 1024, 1323, 2048, 221, 221),
            (32_000, 800, 1024, 1920, 2048, 320, 320),
            (44_100, 1103, 2048, 2646, 4096, 441, 441),
            (48_000, 1200, 2048, 2880, 4096, 480, 480),
        ] {
            let g = Geometry::new(fs).expect("supported rate");
            assert_eq!(
                (g.frame_a, g.fft_a, g.frame_b, g.fft_b, g.hop, g.hop_ceil),
                (na, fft_a, nb, fft_b, hop, hop_ceil),
                "{fs} Hz"
            );
            assert_eq!(g.resampled, 275, "{fs} Hz");
        }
        assert_eq!(Geometry::new(7_999), None);
        assert_eq!(Geometry::new(96_001), None);
    }
}

//! Where the time goes: the cost of an utterance by stage.

/// Steps of the analysis, in the order in which a sample meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Checks and buffering of samples.
    Samples,
    /// Pre-emphasis, window and FFT of the 25-ms frame, magnitudes.
    SpectrumA,
    /// Loudness.
    Loudness,
    /// Mel filterbanks, MFCC and log-mel bands.
    Mel,
    /// Evaluation of the frame at 11 kHz.
    Resampling,
    /// Autocorrelation and linear prediction.
    Lpc,
    /// Line spectral frequencies.
    Lsp,
    /// Window and FFT of the 60-ms frame, magnitudes.
    SpectrumB,
    /// Octave axis by spline.
    Spline,
    /// Subharmonic summation and pitch candidates.
    Pitch,
    /// Jitter and shimmer.
    VoiceQuality,
    /// Smoothing and storage of the contours.
    Contours,
    /// Deltas and functionals, once per utterance.
    Functionals,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 13] = [
        Self::Samples,
        Self::SpectrumA,
        Self::Loudness,
        Self::Mel,
        Self::Resampling,
        Self::Lpc,
        Self::Lsp,
        Self::SpectrumB,
        Self::Spline,
        Self::Pitch,
        Self::VoiceQuality,
        Self::Contours,
        Self::Functionals,
    ];

    /// A short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::SpectrumA => "spectrum, 25 ms",
            Self::Loudness => "loudness",
            Self::Mel => "mel, MFCC",
            Self::Resampling => "resampling to 11 kHz",
            Self::Lpc => "LPC",
            Self::Lsp => "LSP",
            Self::SpectrumB => "spectrum, 60 ms",
            Self::Spline => "octave spline",
            Self::Pitch => "subharmonic sum",
            Self::VoiceQuality => "jitter, shimmer",
            Self::Contours => "contours",
            Self::Functionals => "functionals",
        }
    }
}

/// Takes the time between marks; nothing at all without the `std` feature.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    #[cfg(feature = "std")]
    clock: Option<Clock>,
}

#[cfg(feature = "std")]
#[derive(Clone, Debug)]
struct Clock {
    last: std::time::Instant,
    spent: [std::time::Duration; Stage::ALL.len()],
}

impl Probe {
    /// Begins an interval.
    #[inline(always)]
    pub fn start(&mut self) {
        #[cfg(feature = "std")]
        if let Some(clock) = &mut self.clock {
            clock.last = std::time::Instant::now();
        }
    }

    /// Ends an interval, which `stage` took, and begins the next.
    #[inline(always)]
    pub fn mark(&mut self, stage: Stage) {
        #[cfg(feature = "std")]
        if let Some(clock) = &mut self.clock {
            let now = std::time::Instant::now();
            clock.spent[stage as usize] += now.duration_since(clock.last);
            clock.last = now;
        }
        #[cfg(not(feature = "std"))]
        let _ = stage;
    }

    #[cfg(feature = "std")]
    pub fn enable(&mut self, on: bool) {
        self.clock = on.then(|| Clock {
            last: std::time::Instant::now(),
            spent: Default::default(),
        });
    }

    #[cfg(feature = "std")]
    pub fn spent(&self, stage: Stage) -> Option<std::time::Duration> {
        self.clock.as_ref().map(|clock| clock.spent[stage as usize])
    }
}

//! A second opinion on what is speech: the probability that a voice speaks, frame by frame, in fixed memory.
//!
//! [`Voice`] takes samples at any rate from 8 to 96 kHz, brings them to 8 to 16 kHz, looks at a spectrum of 32 ms below 3.4 kHz every
//! 10 ms (a telephone's band, so that every rate gives comparable values) and lets a small recurrent [`network`] decide. It is
//! what the [segmenter](crate::segment) asks once a signal stands out of the noise floor; in silence and steady noise it rests.
//!
//! How the network was trained and how it compares is in `runtime/SPEECH.md`. Arithmetic is f32 in a fixed order, elementary
//! functions are `libm`'s: the same bits on every machine.

pub mod analysis;
mod decimate;
pub mod network;
mod spectrum;
#[allow(
    clippy::approx_constant,
    reason = "trained numbers, near a constant by chance"
)]
mod table;

use analysis::Analysis;
use decimate::Decimator;
use network::Network;

/// Frames that a probability looks ahead: the one given after a frame speaks of the frame this many before it.
pub const LOOK_AHEAD: usize = 8;

/// Frames after a start before there is a probability: the window of 32 ms fills.
pub const START_UP: u32 = 4;

/// Samples beyond this are none: nothing overflows after them.
const HUGE: f32 = 1e6;

/// The sample, or 0 where it is no number or beyond all bounds.
pub(crate) fn sane(sample: f32) -> f32 {
    if sample.abs() <= HUGE { sample } else { 0.0 }
}

/// Tells voices from other sounds, frame by frame.
#[derive(Debug, Clone)]
pub struct Voice {
    decimator: Decimator,
    analysis: Analysis,
    network: Network,
    /// Frames since the start or the last look.
    frames: u32,
}

impl Voice {
    /// A detector for samples at `rate` Hz, which the caller has checked to be 8 to 96 kHz. `floor_dbfs`: the noise floor that is
    /// assumed at first.
    pub(crate) fn new(rate: u32, floor_dbfs: f32) -> Self {
        let decimator = Decimator::new(rate);
        let analysis = Analysis::new(decimator.rate(), floor_dbfs);
        Self {
            decimator,
            analysis,
            network: Network::new(),
            frames: 0,
        }
    }

    /// Forgets the stream and its noise.
    pub(crate) fn reset(&mut self, floor_dbfs: f32) {
        self.analysis.forget(floor_dbfs);
        self.restart();
    }

    /// Samples that follow do not join those before; the noise spectrum stays.
    pub(crate) fn restart(&mut self) {
        self.decimator.reset();
        self.analysis.restart();
        self.network.reset();
        self.frames = 0;
    }

    /// Takes samples of the frame at hand; those that are not [`sane`] count as 0.
    pub(crate) fn take(&mut self, samples: &[f32]) {
        let analysis = &mut self.analysis;
        self.decimator.take(samples, |v| analysis.take(v));
    }

    /// The probability of a voice [`LOOK_AHEAD`] frames before the frame that `features` are of.
    pub(crate) fn probability(&mut self, features: &[f32; analysis::FEATURES]) -> f32 {
        self.network.step(features)
    }

    /// The frame is over: what the network is to see of it; none before [`START_UP`] frames. `above`: dB of the frame above the
    /// noise floor.
    pub(crate) fn features(&mut self, above: f32) -> Option<[f32; analysis::FEATURES]> {
        self.frames = self.frames.saturating_add(1);
        if self.frames < START_UP {
            return None;
        }
        Some(self.analysis.features(above))
    }

    /// The frames since the last [`restart`](Self::restart) were noise: their spectrum goes into the noise spectrum.
    pub(crate) fn look_at_noise(&mut self) {
        self.analysis.look_at_noise();
    }
}

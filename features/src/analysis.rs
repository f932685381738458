//! From one frame of each stream to its low-level descriptors.

use crate::fft::RealFft;
use crate::frame::Geometry;
use crate::layout::{Scratch, Tables};
use crate::mel::{self, LOG_BANDS, LOG_EDGES, MFCC_BANDS, MFCC_EDGES, MelBank};
use crate::mfcc::{self, MFCC};
use crate::pitch::{Candidate, SubharmonicSum};
use crate::resample::Resampler;
use crate::spline::{self, Spline};
use crate::stage::{Probe, Stage};
use crate::{loudness, lpc, lsp, window};

/// Descriptors of stream A: loudness, 15 MFCC, 8 log-mel bands, 8 LSP.
pub(crate) const STREAM_A: usize = 1 + MFCC + LOG_BANDS + lpc::ORDER;

/// Constants of the per-frame analysis that are too small for the caller's memory.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    geometry: Geometry,
    fft_a: RealFft,
    pub fft_b: RealFft,
    pub mfcc_bank: MelBank<MFCC_BANDS, MFCC_EDGES>,
    pub log_bank: MelBank<LOG_BANDS, LOG_EDGES>,
    lifter: [f32; MFCC],
    pub resampler: Resampler,
    pub harmonics: SubharmonicSum,
}

impl Analysis {
    /// Fills the tables.
    pub fn new(geometry: Geometry, tables: &mut Tables<'_>) -> Self {
        window::hamming(tables.hamming);
        window::gauss(tables.gauss);
        mfcc::fill_table(tables.dct);
        let resampler = Resampler::new(&geometry);
        resampler.fill_table(&geometry, tables.resample);
        Self {
            fft_a: RealFft::new(geometry.fft_a, tables.twiddles_a),
            fft_b: RealFft::new(geometry.fft_b, tables.twiddles_b),
            mfcc_bank: MelBank::new(&geometry, mel::MFCC_HIGH_HZ, tables.mfcc_weights),
            log_bank: MelBank::new(&geometry, mel::LOG_HIGH_HZ, tables.log_weights),
            lifter: mfcc::lifter(),
            resampler,
            harmonics: SubharmonicSum::new(spline::fill_table(&geometry, tables.spline)),
            geometry,
        }
    }

    /// Descriptors of a stream A frame.
    pub fn stream_a(
        &self,
        frame: &[f32],
        tables: &Tables<'_>,
        scratch: &mut Scratch<'_>,
        probe: &mut Probe,
    ) -> [f32; STREAM_A] {
        let g = &self.geometry;
        let data = &mut scratch.data[..g.fft_a];
        window::emphasise_and_window(frame, tables.hamming, data);
        data[g.frame_a..].fill(0.0);
        let (re, im) = (&mut scratch.re[..g.bins_a()], &mut scratch.im[..g.bins_a()]);
        let mag = &mut scratch.mag[..g.bins_a()];
        self.fft_a.apply(tables.twiddles_a, data, re, im, mag);
        probe.mark(Stage::SpectrumA);

        let mut out = [0.0; STREAM_A];
        out[0] = loudness::loudness(frame);
        probe.mark(Stage::Loudness);
        let energy = self.mfcc_bank.apply(tables.mfcc_weights, mag);
        let mfcc = mfcc::mfcc(&energy, tables.dct, &self.lifter);
        out[1..1 + MFCC].copy_from_slice(&mfcc);
        let bands = mel::log_bands(&self.log_bank.apply(tables.log_weights, mag));
        out[1 + MFCC..1 + MFCC + LOG_BANDS].copy_from_slice(&bands);
        probe.mark(Stage::Mel);
        let resampled = self.resampler.apply(tables.resample, re, im, scratch.data);
        probe.mark(Stage::Resampling);
        let lpc = lpc::lpc(resampled);
        probe.mark(Stage::Lpc);
        out[1 + MFCC + LOG_BANDS..].copy_from_slice(&lsp::lsp(&lpc));
        probe.mark(Stage::Lsp);
        out
    }

    /// The best pitch candidate of a stream B frame (all 0 without one).
    pub fn stream_b(
        &self,
        frame: &[f32],
        tables: &Tables<'_>,
        scratch: &mut Scratch<'_>,
        probe: &mut Probe,
    ) -> Candidate {
        let g = &self.geometry;
        let Scratch { data, re, im, mag } = scratch;
        let data = &mut data[..g.fft_b];
        window::apply(frame, tables.gauss, data);
        data[g.frame_b..].fill(0.0);
        self.fft_b.apply(tables.twiddles_b, data, re, im, mag);
        probe.mark(Stage::SpectrumB);
        // the spectrum's parts serve as scratch, the frame becomes the octave spectrum
        Spline::new(g.bins_b(), tables.spline).apply(mag, im, re, &mut data[..g.bins_b()]);
        probe.mark(Stage::Spline);
        let sum = &mut mag[..];
        self.harmonics.apply(data, sum);
        let best = self
            .harmonics
            .candidates(sum)
            .first()
            .copied()
            .unwrap_or_default();
        probe.mark(Stage::Pitch);
        best
    }
}

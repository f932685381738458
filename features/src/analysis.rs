//! From one frame of each stream to its low-level descriptors.

use crate::fft::RealFft;
use crate::frame::Geometry;
use crate::groups::{FeatureGroup, FeatureGroups};
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

/// Constants of the per-frame analysis that are too small for the caller's memory; `None` for what the wanted groups do not need.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    geometry: Geometry,
    loudness: bool,
    fft_a: Option<RealFft>,
    pub mfcc: Option<Mfcc>,
    pub log_bank: Option<MelBank<LOG_BANDS, LOG_EDGES>>,
    pub resampler: Option<Resampler>,
    pub pitch: Option<PitchSearch>,
}

/// Constants of the MFCC.
#[derive(Clone, Debug)]
pub(crate) struct Mfcc {
    pub bank: MelBank<MFCC_BANDS, MFCC_EDGES>,
    lifter: [f32; MFCC],
}

/// Constants of the pitch candidates.
#[derive(Clone, Debug)]
pub(crate) struct PitchSearch {
    pub fft: RealFft,
    pub harmonics: SubharmonicSum,
}

impl Analysis {
    /// Fills the tables that `groups` need.
    pub fn new(geometry: Geometry, groups: FeatureGroups, tables: &mut Tables<'_>) -> Self {
        let wants = |group| groups.contains(group);
        window::hamming(tables.hamming);
        window::gauss(tables.gauss);
        mfcc::fill_table(tables.dct);
        Self {
            loudness: wants(FeatureGroup::Loudness),
            fft_a: groups
                .spectrum_a()
                .then(|| RealFft::new(geometry.fft_a, tables.twiddles_a)),
            mfcc: wants(FeatureGroup::Mfcc).then(|| Mfcc {
                bank: MelBank::new(&geometry, mel::MFCC_HIGH_HZ, tables.mfcc_weights),
                lifter: mfcc::lifter(),
            }),
            log_bank: wants(FeatureGroup::LogMel)
                .then(|| MelBank::new(&geometry, mel::LOG_HIGH_HZ, tables.log_weights)),
            resampler: wants(FeatureGroup::Lsp).then(|| {
                let resampler = Resampler::new(&geometry);
                resampler.fill_table(&geometry, tables.resample);
                resampler
            }),
            pitch: groups.computes_pitch().then(|| PitchSearch {
                fft: RealFft::new(geometry.fft_b, tables.twiddles_b),
                harmonics: SubharmonicSum::new(spline::fill_table(&geometry, tables.spline)),
            }),
            geometry,
        }
    }

    /// Descriptors of a stream A frame; 0 for those that are not wanted.
    pub fn stream_a(
        &self,
        frame: &[f32],
        tables: &Tables<'_>,
        scratch: &mut Scratch<'_>,
        probe: &mut Probe,
    ) -> [f32; STREAM_A] {
        let g = &self.geometry;
        let mut out = [0.0; STREAM_A];
        if self.loudness {
            out[0] = loudness::loudness(frame);
            probe.mark(Stage::Loudness);
        }
        let Some(fft) = &self.fft_a else { return out };
        let data = &mut scratch.data[..g.fft_a];
        window::emphasise_and_window(frame, tables.hamming, data);
        data[g.frame_a..].fill(0.0);
        let (re, im) = (&mut scratch.re[..g.bins_a()], &mut scratch.im[..g.bins_a()]);
        let mag = &mut scratch.mag[..g.bins_a()];
        fft.apply(tables.twiddles_a, data, re, im, mag);
        probe.mark(Stage::SpectrumA);

        if let Some(Mfcc { bank, lifter }) = &self.mfcc {
            let energy = bank.apply(tables.mfcc_weights, mag);
            let mfcc = mfcc::mfcc(&energy, tables.dct, lifter);
            out[1..1 + MFCC].copy_from_slice(&mfcc);
        }
        if let Some(bank) = &self.log_bank {
            let bands = mel::log_bands(&bank.apply(tables.log_weights, mag));
            out[1 + MFCC..1 + MFCC + LOG_BANDS].copy_from_slice(&bands);
        }
        probe.mark(Stage::Mel);
        if let Some(resampler) = &self.resampler {
            let resampled = resampler.apply(tables.resample, re, im, scratch.data);
            probe.mark(Stage::Resampling);
            let lpc = lpc::lpc(resampled);
            probe.mark(Stage::Lpc);
            out[1 + MFCC + LOG_BANDS..].copy_from_slice(&lsp::lsp(&lpc));
            probe.mark(Stage::Lsp);
        }
        out
    }

    /// The best pitch candidate of a stream B frame (all 0 without one, or where no pitch is wanted).
    pub fn stream_b(
        &self,
        frame: &[f32],
        tables: &Tables<'_>,
        scratch: &mut Scratch<'_>,
        probe: &mut Probe,
    ) -> Candidate {
        let Some(PitchSearch { fft, harmonics }) = &self.pitch else {
            return Candidate::default();
        };
        let g = &self.geometry;
        let Scratch { data, re, im, mag } = scratch;
        let data = &mut data[..g.fft_b];
        window::apply(frame, tables.gauss, data);
        data[g.frame_b..].fill(0.0);
        fft.apply(tables.twiddles_b, data, re, im, mag);
        probe.mark(Stage::SpectrumB);
        // the spectrum's parts serve as scratch, the frame becomes the octave spectrum
        Spline::new(g.bins_b(), tables.spline).apply(mag, im, re, &mut data[..g.bins_b()]);
        probe.mark(Stage::Spline);
        let sum = &mut mag[..];
        harmonics.apply(data, sum);
        let best = harmonics
            .candidates(sum)
            .first()
            .copied()
            .unwrap_or_default();
        probe.mark(Stage::Pitch);
        best
    }
}

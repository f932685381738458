//! How the caller's memory is divided.

use crate::fft::RealFft;
use crate::frame::Geometry;
use crate::groups::{FeatureGroup, FeatureGroups};
use crate::resample::Resampler;
use crate::{mfcc, spline};

/// Lengths, in floats, of the parts of the memory; 0 for what the wanted groups do not need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    hamming: usize,
    gauss: usize,
    twiddles_a: usize,
    twiddles_b: usize,
    mfcc_weights: usize,
    log_weights: usize,
    dct: usize,
    resample: usize,
    spline: usize,
    data: usize,
    spectrum: usize,
    samples: usize,
    contours: usize,
    max_frames: usize,
}

/// The tables: constant once filled.
pub(crate) struct Tables<'a> {
    pub hamming: &'a mut [f32],
    pub gauss: &'a mut [f32],
    pub twiddles_a: &'a mut [f32],
    pub twiddles_b: &'a mut [f32],
    pub mfcc_weights: &'a mut [f32],
    pub log_weights: &'a mut [f32],
    pub dct: &'a mut [f32],
    pub resample: &'a mut [f32],
    pub spline: &'a mut [f32],
}

/// Working memory of a frame.
pub(crate) struct Scratch<'a> {
    /// As long as the longest FFT, or as the resampler needs.
    pub data: &'a mut [f32],
    /// The other three: as long as the longest spectrum.
    pub re: &'a mut [f32],
    pub im: &'a mut [f32],
    pub mag: &'a mut [f32],
}

/// The whole memory.
pub(crate) struct Regions<'a> {
    pub tables: Tables<'a>,
    pub scratch: Scratch<'a>,
    /// The newest samples.
    pub samples: &'a mut [f32],
    /// Smoothed contours of the wanted groups, one after the other, `max_frames` each.
    pub contours: &'a mut [f32],
    /// One contour's worth of scratch.
    pub sorted: &'a mut [f32],
}

/// `len` if it is needed.
const fn only_if(needed: bool, len: usize) -> usize {
    if needed { len } else { 0 }
}

impl Layout {
    pub const fn new(geometry: &Geometry, max_frames: usize, groups: FeatureGroups) -> Self {
        let (a, b) = (groups.spectrum_a(), groups.computes_pitch());
        let mfcc = groups.contains(FeatureGroup::Mfcc);
        let log_mel = groups.contains(FeatureGroup::LogMel);
        let lsp = groups.contains(FeatureGroup::Lsp);
        let resampler = Resampler::new(geometry);
        // what belongs to the 60-ms frame is never the shorter one
        let (fft, spectrum) = if b {
            (geometry.fft_b, geometry.bins_b())
        } else {
            (only_if(a, geometry.fft_a), only_if(a, geometry.bins_a()))
        };
        let history = only_if(
            groups.contains(FeatureGroup::VoiceQuality),
            geometry.history,
        );
        Self {
            hamming: only_if(a, geometry.frame_a),
            gauss: only_if(b, geometry.frame_b),
            twiddles_a: only_if(a, RealFft::table_len(geometry.fft_a)),
            twiddles_b: only_if(b, RealFft::table_len(geometry.fft_b)),
            mfcc_weights: only_if(mfcc, geometry.bins_a()),
            log_weights: only_if(log_mel, geometry.bins_a()),
            dct: only_if(mfcc, mfcc::TABLE_LEN),
            resample: only_if(lsp, resampler.table_len()),
            spline: only_if(b, spline::TABLE_ROWS * geometry.bins_b()),
            data: if lsp { resampler.scratch_len(fft) } else { fft },
            spectrum,
            samples: history + geometry.frame_b + geometry.hop,
            contours: groups.contour_count(),
            max_frames,
        }
    }

    /// Floats that do not depend on the length of the utterance.
    const fn fixed(&self) -> usize {
        self.hamming
            + self.gauss
            + self.twiddles_a
            + self.twiddles_b
            + self.mfcc_weights
            + self.log_weights
            + self.dct
            + self.resample
            + self.spline
            + self.data
            + 3 * self.spectrum
            + self.samples
    }

    /// Floats in all.
    pub const fn total(&self) -> usize {
        self.max_frames
            .saturating_mul(self.contours + 1)
            .saturating_add(self.fixed())
    }

    /// Where the contours lie.
    pub const fn contours(&self) -> core::ops::Range<usize> {
        let start = self.fixed();
        start..start.saturating_add(self.max_frames.saturating_mul(self.contours))
    }

    /// Divides `memory`; `None` if it is too short.
    pub fn split<'a>(&self, memory: &'a mut [f32]) -> Option<Regions<'a>> {
        let mut rest = memory;
        let mut take = |len: usize| -> Option<&'a mut [f32]> { rest.split_off_mut(..len) };
        Some(Regions {
            tables: Tables {
                hamming: take(self.hamming)?,
                gauss: take(self.gauss)?,
                twiddles_a: take(self.twiddles_a)?,
                twiddles_b: take(self.twiddles_b)?,
                mfcc_weights: take(self.mfcc_weights)?,
                log_weights: take(self.log_weights)?,
                dct: take(self.dct)?,
                resample: take(self.resample)?,
                spline: take(self.spline)?,
            },
            scratch: Scratch {
                data: take(self.data)?,
                re: take(self.spectrum)?,
                im: take(self.spectrum)?,
                mag: take(self.spectrum)?,
            },
            samples: take(self.samples)?,
            contours: take(self.max_frames.checked_mul(self.contours)?)?,
            sorted: take(self.max_frames)?,
        })
    }
}

//! How the caller's memory is divided.

use crate::LLD_COUNT;
use crate::fft::RealFft;
use crate::frame::Geometry;
use crate::resample::Resampler;
use crate::{mfcc, spline};

/// Lengths, in floats, of the parts of the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    frame_a: usize,
    frame_b: usize,
    bins_a: usize,
    bins_b: usize,
    samples: usize,
    twiddles_a: usize,
    twiddles_b: usize,
    resample: usize,
    data: usize,
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
    /// As long as the longer FFT, or as the resampler needs.
    pub data: &'a mut [f32],
    /// The other three: as long as the longer spectrum.
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
    /// Smoothed contours, one after the other, `max_frames` each.
    pub contours: &'a mut [f32],
    /// One contour's worth of scratch.
    pub sorted: &'a mut [f32],
}

impl Layout {
    pub const fn new(geometry: &Geometry, max_frames: usize) -> Self {
        Self {
            frame_a: geometry.frame_a,
            frame_b: geometry.frame_b,
            bins_a: geometry.bins_a(),
            bins_b: geometry.bins_b(),
            samples: geometry.history + geometry.frame_b + geometry.hop,
            twiddles_a: RealFft::table_len(geometry.fft_a),
            twiddles_b: RealFft::table_len(geometry.fft_b),
            resample: Resampler::new(geometry).table_len(),
            data: Resampler::new(geometry).scratch_len(geometry.fft_b),
            max_frames,
        }
    }

    /// Floats that do not depend on the length of the utterance.
    const fn fixed(&self) -> usize {
        self.frame_a
            + self.frame_b
            + self.twiddles_a
            + self.twiddles_b
            + 2 * self.bins_a
            + mfcc::TABLE_LEN
            + self.resample
            + spline::TABLE_ROWS * self.bins_b
            + self.data
            + 3 * self.bins_b
            + self.samples
    }

    /// Floats in all.
    pub const fn total(&self) -> usize {
        self.max_frames
            .saturating_mul(LLD_COUNT + 1)
            .saturating_add(self.fixed())
    }

    /// Where the contours lie.
    pub const fn contours(&self) -> core::ops::Range<usize> {
        let start = self.fixed();
        start..start.saturating_add(self.max_frames.saturating_mul(LLD_COUNT))
    }

    /// Divides `memory`; `None` if it is too short.
    pub fn split<'a>(&self, memory: &'a mut [f32]) -> Option<Regions<'a>> {
        let mut rest = memory;
        let mut take = |len: usize| -> Option<&'a mut [f32]> { rest.split_off_mut(..len) };
        Some(Regions {
            tables: Tables {
                hamming: take(self.frame_a)?,
                gauss: take(self.frame_b)?,
                twiddles_a: take(self.twiddles_a)?,
                twiddles_b: take(self.twiddles_b)?,
                mfcc_weights: take(self.bins_a)?,
                log_weights: take(self.bins_a)?,
                dct: take(mfcc::TABLE_LEN)?,
                resample: take(self.resample)?,
                spline: take(spline::TABLE_ROWS * self.bins_b)?,
            },
            scratch: Scratch {
                data: take(self.data)?,
                re: take(self.bins_b)?,
                im: take(self.bins_b)?,
                mag: take(self.bins_b)?,
            },
            samples: take(self.samples)?,
            contours: take(self.max_frames.checked_mul(LLD_COUNT)?)?,
            sorted: take(self.max_frames)?,
        })
    }
}

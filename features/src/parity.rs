//! Comparison of feature vectors with openSMILE's (SPEC section 14), behind the `std` feature.
//!
//! The rule: |Δ| ≤ 1e-3·max(|reference|, floor). The floor is 1 % of the scale of the contour, |mean| + σ of its smoothed base contour in the
//! reference, in the unit of the functional: the scale itself for values, its square for the quadratic regression error, the scale over
//! the number of frames for the slope, 1 for skewness and kurtosis, and 0 for positions and times, which are relative. Contours that are
//! constant to 1e-5 of their scale have no shape: their positions, skewness, kurtosis and times are rounding noise and are left out.

use core::fmt;
use std::vec::Vec;

use crate::functionals::{GROUP1, GROUP1_ONLY, GROUP2};
use crate::names::{BLOCKS, GROUP1_CONTOURS};
use crate::{FEATURE_COUNT, Features};

/// Relative tolerance.
const TOLERANCE: f64 = 1e-3;
/// Share of the contour's scale below which a difference does not count.
const FLOOR: f64 = 0.01;
/// σ below this share of |mean| + σ: the contour is constant.
const CONSTANT: f64 = 1e-5;

/// Groups of features, in the order of the feature vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the contours")]
pub enum Group {
    Loudness,
    Mfcc,
    LogMel,
    Lsp,
    F0Envelope,
    Voicing,
    F0,
    JitterLocal,
    JitterDdp,
    Shimmer,
    Turn,
}

impl Group {
    /// All groups.
    pub const ALL: [Self; 11] = [
        Self::Loudness,
        Self::Mfcc,
        Self::LogMel,
        Self::Lsp,
        Self::F0Envelope,
        Self::Voicing,
        Self::F0,
        Self::JitterLocal,
        Self::JitterDdp,
        Self::Shimmer,
        Self::Turn,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Loudness => "loudness",
            Self::Mfcc => "mfcc",
            Self::LogMel => "logMelFreqBand",
            Self::Lsp => "lspFreq",
            Self::F0Envelope => "F0finEnv",
            Self::Voicing => "voicingFinalUnclipped",
            Self::F0 => "F0final",
            Self::JitterLocal => "jitterLocal",
            Self::JitterDdp => "jitterDDP",
            Self::Shimmer => "shimmerLocal",
            Self::Turn => "turn",
        }
    }

    /// Group of feature `index`.
    pub fn of(index: usize) -> Self {
        match Place::of(index).contour {
            None => Self::Turn,
            Some(0) => Self::Loudness,
            Some(1..16) => Self::Mfcc,
            Some(16..24) => Self::LogMel,
            Some(24..32) => Self::Lsp,
            Some(32) => Self::F0Envelope,
            Some(33) => Self::Voicing,
            Some(34) => Self::F0,
            Some(35) => Self::JitterLocal,
            Some(36) => Self::JitterDdp,
            Some(_) => Self::Shimmer,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Contour and functional of a feature.
struct Place {
    /// `None` for the two turn features.
    contour: Option<usize>,
    /// Position in the table of SPEC section 9.
    functional: usize,
}

impl Place {
    fn of(index: usize) -> Self {
        let block = BLOCKS
            .iter()
            .rposition(|&base| base <= index)
            .unwrap_or_default();
        let within = index - BLOCKS[block];
        match block {
            0 | 1 => Self {
                contour: Some(within / GROUP1),
                functional: within % GROUP1,
            },
            2 | 3 => {
                let kept = (0..GROUP1)
                    .filter(|f| !GROUP1_ONLY.contains(f))
                    .nth(within % GROUP2);
                Self {
                    contour: Some(GROUP1_CONTOURS + within / GROUP2),
                    functional: kept.unwrap_or_default(),
                }
            }
            _ => Self {
                contour: None,
                functional: within,
            },
        }
    }
}

/// First feature of a smoothed base contour.
fn base_of(contour: usize) -> usize {
    if contour < GROUP1_CONTOURS {
        contour * GROUP1
    } else {
        BLOCKS[2] + (contour - GROUP1_CONTOURS) * GROUP2
    }
}

/// A feature that differs by more than the rule allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Miss {
    /// Feature.
    pub index: usize,
    /// openSMILE's value.
    pub reference: f32,
    /// Our value.
    pub value: f32,
    /// |Δ| over what the rule allows.
    pub excess: f64,
}

/// Outcome for one recording.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Features compared, by group in the order of [`Group::ALL`].
    pub compared: [usize; Group::ALL.len()],
    /// Features that agree.
    pub agreeing: [usize; Group::ALL.len()],
    /// The others.
    pub misses: Vec<Miss>,
}

impl Comparison {
    /// Compares `ours` with `reference`.
    pub fn new(reference: &[f32; FEATURE_COUNT], ours: &Features) -> Self {
        let mut out = Self::default();
        let frames = (f64::from(reference[FEATURE_COUNT - 1]) * 100.0 - 2.0).max(1.0);
        for (index, (&r, &v)) in reference.iter().zip(ours.as_slice()).enumerate() {
            let Some(floor) = floor(reference, index, frames) else {
                continue;
            };
            let group = Group::of(index) as usize;
            out.compared[group] += 1;
            let allowed = TOLERANCE * f64::from(r).abs().max(floor);
            let difference = (f64::from(r) - f64::from(v)).abs();
            if difference <= allowed {
                out.agreeing[group] += 1;
            } else {
                out.misses.push(Miss {
                    index,
                    reference: r,
                    value: v,
                    excess: difference / allowed,
                });
            }
        }
        out
    }

    /// Adds another recording's outcome; the misses of the other are dropped.
    pub fn add(&mut self, other: &Self) {
        for (a, b) in self.compared.iter_mut().zip(other.compared) {
            *a += b;
        }
        for (a, b) in self.agreeing.iter_mut().zip(other.agreeing) {
            *a += b;
        }
    }

    /// Percentage of agreeing features of a group; 100 for a group with nothing to compare.
    pub fn percent(&self, group: Group) -> f64 {
        percent(self.agreeing[group as usize], self.compared[group as usize])
    }

    /// Percentage over all groups.
    pub fn total_percent(&self) -> f64 {
        percent(self.agreeing.iter().sum(), self.compared.iter().sum())
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        100.0
    } else {
        100.0 * part as f64 / whole as f64
    }
}

/// Floor of a feature, `None` where it is rounding noise.
fn floor(reference: &[f32; FEATURE_COUNT], index: usize, frames: f64) -> Option<f64> {
    let Place {
        contour,
        functional,
    } = Place::of(index);
    let Some(contour) = contour else {
        return Some(0.0);
    };
    let base = base_of(contour);
    let deviation_at = |first: usize| f64::from(reference[first + 7]);
    let scale = f64::from(reference[base + 2]).abs() + deviation_at(base);
    let first = index - position_in_contour(index);
    let constant = deviation_at(first) <= CONSTANT * scale;
    match functional {
        0 | 1 | 19 | 20 => (!constant).then_some(0.0),
        3 => Some(FLOOR * scale / frames),
        6 => Some(FLOOR * scale * scale),
        8 | 9 => (!constant).then_some(1.0),
        _ => Some(FLOOR * scale),
    }
}

/// Position of a feature among the functionals of its contour.
fn position_in_contour(index: usize) -> usize {
    let block = BLOCKS
        .iter()
        .rposition(|&base| base <= index)
        .unwrap_or_default();
    (index - BLOCKS[block]) % if block < 2 { GROUP1 } else { GROUP2 }
}

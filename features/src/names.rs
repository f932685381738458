//! Names of the 1582 features and of the 38 low-level descriptors (SPEC sections 10 and 13).

use core::fmt;

use crate::functionals::{GROUP1, GROUP1_ONLY, GROUP2};
use crate::{FEATURE_COUNT, LLD_COUNT};

/// Low-level descriptors of group 1; the others are group 2.
pub(crate) const GROUP1_CONTOURS: usize = 34;
/// First feature of each block: contours, their deltas, group 2 contours, their deltas, the two turn features.
pub(crate) const BLOCKS: [usize; 5] = [
    0,
    GROUP1_CONTOURS * GROUP1,
    2 * GROUP1_CONTOURS * GROUP1,
    2 * GROUP1_CONTOURS * GROUP1 + (LLD_COUNT - GROUP1_CONTOURS) * GROUP2,
    2 * GROUP1_CONTOURS * GROUP1 + 2 * (LLD_COUNT - GROUP1_CONTOURS) * GROUP2,
];

const FUNCTIONALS: [&str; GROUP1] = [
    "maxPos",
    "minPos",
    "amean",
    "linregc1",
    "linregc2",
    "linregerrA",
    "linregerrQ",
    "stddev",
    "skewness",
    "kurtosis",
    "quartile1",
    "quartile2",
    "quartile3",
    "iqr1-2",
    "iqr2-3",
    "iqr1-3",
    "percentile1.0",
    "percentile99.0",
    "pctlrange0-1",
    "upleveltime75",
    "upleveltime90",
];

/// Which of the two sibling feature sets (same 1582 contours and functionals, different details).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum FeatureSet {
    /// openSMILE's `emobase2010`.
    #[default]
    Emobase2010,
    /// openSMILE's `IS10_paraling_compat`: voicing threshold 0.75 (not 0.70), positions of extrema in frames (not relative to the length),
    /// MFCC named `mfcc_sma[…]` (not `pcm_fftMag_mfcc_sma[…]`).
    Is10ParalingCompat,
}

impl FeatureSet {
    /// Both sets.
    pub const ALL: [Self; 2] = [Self::Emobase2010, Self::Is10ParalingCompat];

    /// The name under which files and bundles refer to the set.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Emobase2010 => "emobase2010",
            Self::Is10ParalingCompat => "is10-paraling-compat",
        }
    }

    /// The set of an [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|set| set.id() == id)
    }

    pub(crate) const fn voicing_threshold(self) -> f32 {
        match self {
            Self::Emobase2010 => 0.70,
            Self::Is10ParalingCompat => 0.75,
        }
    }

    pub(crate) const fn relative_positions(self) -> bool {
        matches!(self, Self::Emobase2010)
    }
}

impl fmt::Display for FeatureSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Name of a feature; [`Display`](fmt::Display) writes it, e.g. `pcm_fftMag_mfcc_sma_de[3]_linregerrA`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureName {
    set: FeatureSet,
    index: usize,
}

/// Name of feature `index` (0..1582); `None` beyond.
///
/// ```
/// use ser_features::{FeatureSet, feature_name};
/// let name = feature_name(FeatureSet::Emobase2010, 1580).unwrap();
/// assert_eq!(format!("{name}"), "F0final__Turn_numOnsets");
/// ```
pub fn feature_name(set: FeatureSet, index: usize) -> Option<FeatureName> {
    (index < FEATURE_COUNT).then_some(FeatureName { set, index })
}

/// Name of a low-level descriptor; [`Display`](fmt::Display) writes it, e.g. `logMelFreqBand_sma[0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LldName {
    set: FeatureSet,
    contour: usize,
}

/// Name of the low-level descriptor in column `contour` (0..38) of a row; `None` beyond.
pub fn lld_name(set: FeatureSet, contour: usize) -> Option<LldName> {
    (contour < LLD_COUNT).then_some(LldName { set, contour })
}

/// Writes a contour's name with `suffix` before its index.
fn write_contour(
    f: &mut fmt::Formatter<'_>,
    set: FeatureSet,
    contour: usize,
    suffix: &str,
) -> fmt::Result {
    let mfcc = match set {
        FeatureSet::Emobase2010 => "pcm_fftMag_mfcc",
        FeatureSet::Is10ParalingCompat => "mfcc",
    };
    match contour {
        0 => write!(f, "pcm_loudness{suffix}"),
        1..16 => write!(f, "{mfcc}{suffix}[{}]", contour - 1),
        16..24 => write!(f, "logMelFreqBand{suffix}[{}]", contour - 16),
        24..32 => write!(f, "lspFreq{suffix}[{}]", contour - 24),
        32 => write!(f, "F0finEnv{suffix}"),
        33 => write!(f, "voicingFinalUnclipped{suffix}"),
        34 => write!(f, "F0final{suffix}"),
        35 => write!(f, "jitterLocal{suffix}"),
        36 => write!(f, "jitterDDP{suffix}"),
        _ => write!(f, "shimmerLocal{suffix}"),
    }
}

impl fmt::Display for LldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_contour(f, self.set, self.contour, "_sma")
    }
}

impl fmt::Display for FeatureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let block = BLOCKS
            .iter()
            .rposition(|&base| base <= self.index)
            .unwrap_or_default();
        let within = self.index - BLOCKS[block];
        if block == 4 {
            return f.write_str(if within == 0 {
                "F0final__Turn_numOnsets"
            } else {
                "F0final__Turn_duration"
            });
        }
        let suffix = if block % 2 == 0 { "_sma" } else { "_sma_de" };
        let (contour, functional) = if block < 2 {
            (within / GROUP1, within % GROUP1)
        } else {
            let functional = within % GROUP2;
            let skipped = GROUP1_ONLY
                .iter()
                .enumerate()
                .filter(|&(before, &left_out)| functional + before >= left_out)
                .count();
            (GROUP1_CONTOURS + within / GROUP2, functional + skipped)
        };
        write_contour(f, self.set, contour, suffix)?;
        write!(f, "_{}", FUNCTIONALS[functional])
    }
}

/// The 1582 names in order.
#[cfg(feature = "alloc")]
pub fn feature_names(set: FeatureSet) -> alloc::vec::Vec<alloc::string::String> {
    use alloc::string::ToString;
    (0..FEATURE_COUNT)
        .map(|index| FeatureName { set, index }.to_string())
        .collect()
}

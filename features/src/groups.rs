//! Groups of features that are computed, or left out, together.

use core::fmt;
use core::ops::Range;

use crate::LLD_COUNT;
use crate::functionals::{GROUP1, GROUP2};
use crate::names::{BLOCKS, GROUP1_CONTOURS};

/// Contours, and all features of them, that have their computation in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FeatureGroup {
    /// `pcm_loudness`: needs no spectrum.
    Loudness,
    /// The 15 MFCC.
    Mfcc,
    /// The 8 log-mel bands.
    LogMel,
    /// The 8 line spectral frequencies: evaluation of the frame at 11 kHz, linear prediction, search of the roots.
    Lsp,
    /// `F0finEnv`, `voicingFinalUnclipped`, `F0final` and the two turn features: spectrum of the 60-ms frame, spline, subharmonic sum.
    Pitch,
    /// Jitter and shimmer: the period search. The pitch is computed for it, but is no feature unless [`Pitch`](Self::Pitch) is wanted too.
    VoiceQuality,
}

impl FeatureGroup {
    /// All groups, in the order of their contours.
    pub const ALL: [Self; 6] = [
        Self::Loudness,
        Self::Mfcc,
        Self::LogMel,
        Self::Lsp,
        Self::Pitch,
        Self::VoiceQuality,
    ];

    /// The name under which configurations and messages refer to the group.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loudness => "loudness",
            Self::Mfcc => "mfcc",
            Self::LogMel => "log-mel",
            Self::Lsp => "lsp",
            Self::Pitch => "pitch",
            Self::VoiceQuality => "voice-quality",
        }
    }

    /// The group of a [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }

    /// Columns of [`lld_row`](crate::Extractor::lld_row).
    pub const fn contours(self) -> Range<usize> {
        match self {
            Self::Loudness => 0..1,
            Self::Mfcc => 1..16,
            Self::LogMel => 16..24,
            Self::Lsp => 24..32,
            Self::Pitch => 32..35,
            Self::VoiceQuality => 35..38,
        }
    }

    /// The group of feature `index` (0..1582); `None` beyond.
    pub fn of_feature(index: usize) -> Option<Self> {
        let contour = match BLOCKS.iter().rposition(|&base| base <= index)? {
            block @ (0 | 1) => (index - BLOCKS[block]) / GROUP1,
            block @ (2 | 3) => GROUP1_CONTOURS + (index - BLOCKS[block]) / GROUP2,
            _ if index < crate::FEATURE_COUNT => return Some(Self::Pitch),
            _ => return None,
        };
        Self::ALL
            .into_iter()
            .find(|group| group.contours().contains(&contour))
    }
}

impl fmt::Display for FeatureGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of [`FeatureGroup`]s; [`Display`](fmt::Display) lists their names.
///
/// ```
/// use ser_features::{FeatureGroup, FeatureGroups};
/// const SPECTRAL: FeatureGroups = FeatureGroups::of(&[FeatureGroup::Mfcc, FeatureGroup::LogMel]);
/// assert_eq!(SPECTRAL.to_string(), "mfcc, log-mel");
/// assert_eq!(SPECTRAL.feature_count(), 23 * 42);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeatureGroups(u8);

impl FeatureGroups {
    /// All groups.
    pub const ALL: Self = Self::of(&FeatureGroup::ALL);
    /// No group.
    pub const NONE: Self = Self(0);

    /// These groups.
    pub const fn of(groups: &[FeatureGroup]) -> Self {
        let (mut set, mut i) = (Self::NONE, 0);
        while i < groups.len() {
            set = set.with(groups[i]);
            i += 1;
        }
        set
    }

    /// The groups of the features with these indices; an index beyond the last feature belongs to none.
    pub fn of_features(indices: impl IntoIterator<Item = usize>) -> Self {
        indices
            .into_iter()
            .filter_map(FeatureGroup::of_feature)
            .fold(Self::NONE, Self::with)
    }

    /// This set and `group`.
    pub const fn with(self, group: FeatureGroup) -> Self {
        Self(self.0 | 1 << group as u8)
    }

    /// What is in both sets.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in `other`.
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `group` is in the set.
    pub const fn contains(self, group: FeatureGroup) -> bool {
        self.0 >> group as u8 & 1 == 1
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The groups in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = FeatureGroup> + Clone {
        FeatureGroup::ALL
            .into_iter()
            .filter(move |&group| self.contains(group))
    }

    /// Whether feature `index` is in one of the groups.
    pub fn contains_feature(self, index: usize) -> bool {
        FeatureGroup::of_feature(index).is_some_and(|group| self.contains(group))
    }

    /// Features of all groups in the set.
    pub fn feature_count(self) -> usize {
        (0..crate::FEATURE_COUNT)
            .filter(|&index| self.contains_feature(index))
            .count()
    }

    /// Whether the spectrum of the 25-ms frame is needed.
    pub(crate) const fn spectrum_a(self) -> bool {
        self.contains(FeatureGroup::Mfcc)
            || self.contains(FeatureGroup::LogMel)
            || self.contains(FeatureGroup::Lsp)
    }

    /// Whether the pitch is computed, as a feature or for another one.
    pub const fn computes_pitch(self) -> bool {
        self.contains(FeatureGroup::Pitch) || self.contains(FeatureGroup::VoiceQuality)
    }

    /// A bit for each contour in the set.
    const fn contour_bits(self) -> u64 {
        let (mut bits, mut i) = (0, 0);
        while i < FeatureGroup::ALL.len() {
            let group = FeatureGroup::ALL[i];
            if self.contains(group) {
                let Range { start, end } = group.contours();
                bits |= (1 << end) - (1 << start);
            }
            i += 1;
        }
        bits
    }

    /// Contours in the set.
    pub(crate) const fn contour_count(self) -> usize {
        self.contour_bits().count_ones() as usize
    }

    /// Contours in the set that come before `contour`.
    pub(crate) const fn contours_before(self, contour: usize) -> usize {
        (self.contour_bits() & ((1 << contour) - 1)).count_ones() as usize
    }

    /// The contours in the set, in order.
    pub(crate) fn contours(self) -> impl Iterator<Item = usize> {
        let bits = self.contour_bits();
        (0..LLD_COUNT).filter(move |contour| bits >> contour & 1 == 1)
    }
}

impl Default for FeatureGroups {
    /// All.
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for FeatureGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, group) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            group.fmt(f)?;
        }
        Ok(())
    }
}

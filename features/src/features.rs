//! The feature vector.

use core::fmt;

use crate::FEATURE_COUNT;

/// The 1582 features of one utterance, in the order of [`feature_name`](crate::feature_name).
#[derive(Clone, PartialEq)]
pub struct Features(pub(crate) [f32; FEATURE_COUNT]);

impl Features {
    /// All 0: what [`finish`](crate::Extractor::finish) is to fill.
    pub const fn zeroed() -> Self {
        Self([0.0; FEATURE_COUNT])
    }

    /// The values as a slice of 1582.
    pub const fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The values.
    pub const fn as_array(&self) -> &[f32; FEATURE_COUNT] {
        &self.0
    }
}

impl Default for Features {
    fn default() -> Self {
        Self::zeroed()
    }
}

impl From<[f32; FEATURE_COUNT]> for Features {
    fn from(values: [f32; FEATURE_COUNT]) -> Self {
        Self(values)
    }
}

impl AsRef<[f32]> for Features {
    fn as_ref(&self) -> &[f32] {
        &self.0
    }
}

impl AsMut<[f32]> for Features {
    fn as_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0).finish()
    }
}

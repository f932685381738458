//! How recordings are heard: at which rate features are taken, and what of a recording is speech.
//!
//! A model is only as good as the sameness of what it hears. The extraction of a training table
//! and every device make the same [`Hearing`] of a recording; table and bundle carry it
//! ([`HearingInfo`]), so that a device can tell when it would cut otherwise.

#[cfg(feature = "std")]
use serde::{Deserialize, Serialize};

use crate::cut::CutConfig;
#[cfg(feature = "std")]
use crate::segment::SEGMENTER_ID;

/// Sampling rate, in Hz, to which recordings are brought unless something else is asked for.
pub const DEFAULT_RATE: u32 = 16_000;

/// What is made of a recording before its features are taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hearing {
    /// Sampling rate to which speech is brought, in Hz; `None` for the recording's own.
    pub sample_rate: Option<u32>,
    /// How the recording is cut into utterances; `None` takes it whole.
    pub cut: Option<CutConfig>,
}

impl Hearing {
    /// The whole recording at its own rate, as published protocols have it.
    pub const WHOLE: Self = Self {
        sample_rate: None,
        cut: None,
    };

    /// The rate at which features of a recording at `rate` Hz are taken.
    pub fn model_rate(&self, rate: u32) -> u32 {
        self.sample_rate.unwrap_or(rate)
    }
}

impl Default for Hearing {
    fn default() -> Self {
        Self {
            sample_rate: Some(DEFAULT_RATE),
            cut: Some(CutConfig::default()),
        }
    }
}

/// A [`Hearing`] as tables and bundles carry it.
#[cfg(feature = "std")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HearingInfo {
    /// As [`Hearing::sample_rate`].
    pub sample_rate: Option<u32>,
    /// As [`Hearing::cut`].
    pub cut: Option<CutInfo>,
}

/// How recordings were cut, and by what.
#[cfg(feature = "std")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutInfo {
    /// [`SEGMENTER_ID`] of the program that cut them.
    pub segmenter: String,
    /// Its settings.
    pub config: CutConfig,
}

#[cfg(feature = "std")]
impl From<Hearing> for HearingInfo {
    fn from(hearing: Hearing) -> Self {
        Self {
            sample_rate: hearing.sample_rate,
            cut: hearing.cut.map(|config| CutInfo {
                segmenter: SEGMENTER_ID.to_owned(),
                config,
            }),
        }
    }
}

#[cfg(feature = "std")]
impl HearingInfo {
    /// The same, to be made here.
    pub fn hearing(&self) -> Hearing {
        Hearing {
            sample_rate: self.sample_rate,
            cut: self.cut.as_ref().map(|cut| cut.config),
        }
    }

    /// What this program, cutting by `cut`, hears otherwise than the training recordings were
    /// heard; `None` if nothing.
    pub fn difference(&self, cut: Option<&CutConfig>) -> Option<String> {
        match (&self.cut, cut) {
            (None, None) => None,
            (None, Some(_)) => Some(
                "the model was trained on whole recordings, and here they are cut to their speech; \
                 train it again on cut ones, or let it hear them whole (`ser-run predict --whole`)"
                    .to_owned(),
            ),
            (Some(_), None) => Some(
                "the model was trained on the speech in recordings, and here recordings are taken \
                 whole, pauses and noises included"
                    .to_owned(),
            ),
            (Some(trained), Some(_)) if trained.segmenter != SEGMENTER_ID => Some(format!(
                "the training recordings were cut by segmenter {}, this program cuts by {}; train \
                 again, or use the program that the model was made with",
                trained.segmenter, SEGMENTER_ID
            )),
            (Some(trained), Some(here)) if trained.config != *here => Some(
                "the training recordings were cut with other settings than are asked for here"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

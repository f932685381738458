//! Which channels of a recording are heard, and how they are taken from interleaved samples.

use std::fmt;
use std::str::FromStr;

use super::error::UnknownChannels;

/// Which channels of a recording are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Channels {
    /// Their mean.
    #[default]
    Mix,
    /// Each by itself.
    All,
    /// One, counted from 0.
    One(u16),
}

impl Channels {
    /// How many signals are made of `channels` channels.
    pub fn signals(self, channels: u16) -> usize {
        match self {
            Self::All => usize::from(channels),
            Self::Mix | Self::One(_) => 1,
        }
    }

    /// The channel that signal `index` of [`Channels::signals`] is, counted from 0; `None` for the
    /// mean.
    pub fn number(self, index: usize) -> Option<u16> {
        match self {
            Self::Mix => None,
            Self::All => u16::try_from(index).ok(),
            Self::One(channel) => Some(channel),
        }
    }

    /// Takes the chosen signals from interleaved samples on the scale -1..1: one vector a signal,
    /// each cleared first. An incomplete frame at the end is left out. A recording should be read
    /// with [`AudioReader::read_signals`](super::AudioReader::read_signals), which mixes integers
    /// before it scales them.
    pub fn split(self, interleaved: &[f32], channels: u16, signals: &mut Vec<Vec<f32>>) {
        self.split_scaled(interleaved, channels, 1.0, signals);
    }

    /// As [`Channels::split`], of values whose full scale is `full_scale`: the sum over the
    /// channels in their order, divided by their number, then by the full scale, all in `f32`
    /// (specification, section 2).
    pub(super) fn split_scaled(
        self,
        values: &[f32],
        channels: u16,
        full_scale: f32,
        signals: &mut Vec<Vec<f32>>,
    ) {
        signals.resize_with(self.signals(channels), Vec::new);
        for (index, signal) in signals.iter_mut().enumerate() {
            let frames = values.chunks_exact(usize::from(channels.max(1)));
            signal.clear();
            match self.number(index).map(usize::from) {
                None => signal.extend(
                    frames.map(|f| f.iter().sum::<f32>() / f32::from(channels) / full_scale),
                ),
                Some(channel) => signal.extend(
                    frames
                        .filter_map(|f| f.get(channel))
                        .map(|value| value / full_scale),
                ),
            }
        }
    }
}

impl FromStr for Channels {
    type Err = UnknownChannels;

    fn from_str(text: &str) -> Result<Self, UnknownChannels> {
        match text {
            "mix" => Ok(Self::Mix),
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::One)
                .map_err(|_| UnknownChannels(text.to_owned())),
        }
    }
}

impl fmt::Display for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mix => f.write_str("mix"),
            Self::All => f.write_str("all"),
            Self::One(channel) => write!(f, "{channel}"),
        }
    }
}

//! Parts of a recording.

use std::fmt;

/// Latest time in a recording that is believed, in seconds: 64 hours. Larger numbers are samples or
/// milliseconds.
pub const MAX_SECONDS: f64 = 64.0 * 3600.0;

/// A part of a recording.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment {
    /// Where it begins, in seconds from 0 to [`MAX_SECONDS`].
    pub start_s: f64,
    /// Where it ends, later than `start_s`; none means at the end of the file.
    pub end_s: Option<f64>,
}

impl Segment {
    /// Checks the times. A segment from 0 to the end of the file is the whole file: none.
    ///
    /// # Errors
    /// A message: a time that is negative, no number or beyond [`MAX_SECONDS`], an end before the start.
    pub fn new(start_s: f64, end_s: Option<f64>) -> Result<Option<Self>, String> {
        for (name, time) in [("start", Some(start_s)), ("end", end_s)] {
            let Some(time) = time else { continue };
            if time < 0.0 {
                return Err(format!(
                    "the {name} is {time} s, but times count from the beginning of the file"
                ));
            }
            if time.is_nan() || time > MAX_SECONDS {
                return Err(format!(
                    "the {name} is {time} s, which is beyond {} hours: times must be in seconds (divide milliseconds by 1000, samples \
                     by the rate)",
                    MAX_SECONDS / 3600.0
                ));
            }
        }
        match end_s {
            Some(end) if end <= start_s => Err(format!(
                "the segment ends at {end} s, not after its start at {start_s} s: are the columns exchanged?"
            )),
            // Adding makes -0.0 positive.
            None if start_s == 0.0 => Ok(None),
            _ => Ok(Some(Self {
                start_s: start_s + 0.0,
                end_s,
            })),
        }
    }

    /// The bits of both times: equal segments have equal keys.
    #[must_use]
    pub fn key(&self) -> (u64, u64) {
        let end = self.end_s.unwrap_or(f64::INFINITY);
        (self.start_s.to_bits(), end.to_bits())
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.end_s {
            Some(end) => write!(f, "{} to {end} s", self.start_s),
            None => write!(f, "from {} s", self.start_s),
        }
    }
}

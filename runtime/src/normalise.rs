//! Feature normalisation: one formula, `clip((x - offset) * scale)`, fitted on training rows and shared by trainer and device.

use alloc::vec::Vec;

/// How offset and scale are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "kebab-case")
)]
pub enum NormaliserKind {
    /// Offset = mean, scale = 1 / population standard deviation.
    ZScore,
    /// Offset = minimum, scale = 1 / (maximum - minimum): training values map to 0..=1.
    MinMax,
}

/// A fitted normaliser of `offset.len()` columns. A column that was constant in training has scale 0 and becomes 0.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct Normaliser {
    /// How it was fitted.
    pub kind: NormaliserKind,
    /// Subtracted from each column.
    pub offset: Vec<f32>,
    /// Multiplies each column afterwards; 0 for a constant column.
    pub scale: Vec<f32>,
    /// Results are limited to `-clip..=clip`; `None` leaves them as they are.
    pub clip: Option<f32>,
}

/// Why a normaliser cannot be fitted or used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NormaliserError {
    /// There was no row to fit on.
    #[error("no rows to fit the normaliser on")]
    NoRows,
    /// A row has another number of columns than the first one.
    #[error("row {row} has {found} columns, the rows before it {expected}")]
    Ragged {
        /// Row, counted from 0.
        row: usize,
        /// Its columns.
        found: usize,
        /// Columns expected.
        expected: usize,
    },
    /// A training value is NaN or infinite.
    #[error("row {row}, column {column} (both counted from 0) is not a finite number")]
    NonFinite {
        /// Row, counted from 0.
        row: usize,
        /// Column, counted from 0.
        column: usize,
    },
    /// The values to normalise have another number of columns than the normaliser.
    #[error("{found} values given to a normaliser of {expected} columns")]
    Width {
        /// Values given.
        found: usize,
        /// Columns of the normaliser.
        expected: usize,
    },
    /// Offset, scale or clip hold something unusable.
    #[error("normaliser field {field}: {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Running statistics of one column, in double precision.
#[derive(Clone, Copy)]
struct Column {
    mean: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Normaliser {
    /// Fits on `rows`, all of the same width, in one pass (Welford's recurrence, `f64`).
    ///
    /// A column whose values are all equal, or whose spread is too small for its reciprocal to be an `f32`, gets scale 0.
    ///
    /// # Errors
    /// [`NormaliserError::NoRows`], [`NormaliserError::Ragged`], [`NormaliserError::NonFinite`], or [`NormaliserError::Invalid`] for a
    /// clip that is not a positive number.
    pub fn fit<'a>(
        kind: NormaliserKind,
        rows: impl IntoIterator<Item = &'a [f32]>,
        clip: Option<f32>,
    ) -> Result<Self, NormaliserError> {
        let mut columns: Vec<Column> = Vec::new();
        let mut count = 0_usize;
        for row in rows {
            if count == 0 {
                columns = row
                    .iter()
                    .map(|&v| Column {
                        mean: 0.0,
                        squares: 0.0,
                        min: v,
                        max: v,
                    })
                    .collect();
            } else if row.len() != columns.len() {
                return Err(NormaliserError::Ragged {
                    row: count,
                    found: row.len(),
                    expected: columns.len(),
                });
            }
            if let Some(column) = row.iter().position(|v| !v.is_finite()) {
                return Err(NormaliserError::NonFinite { row: count, column });
            }
            count += 1;
            for (c, &value) in columns.iter_mut().zip(row) {
                let delta = f64::from(value) - c.mean;
                c.mean += delta / count as f64;
                c.squares += delta * (f64::from(value) - c.mean);
                c.min = c.min.min(value);
                c.max = c.max.max(value);
            }
        }
        if count == 0 {
            return Err(NormaliserError::NoRows);
        }
        let (offset, scale) = columns
            .iter()
            .map(|c| {
                let (offset, spread) = match kind {
                    NormaliserKind::ZScore => (c.mean as f32, libm::sqrt(c.squares / count as f64)),
                    NormaliserKind::MinMax => (c.min, f64::from(c.max) - f64::from(c.min)),
                };
                let scale = (1.0 / spread) as f32;
                (
                    offset,
                    if c.max > c.min && scale.is_finite() {
                        scale
                    } else {
                        0.0
                    },
                )
            })
            .unzip();
        let fitted = Self {
            kind,
            offset,
            scale,
            clip,
        };
        fitted.validate()?;
        Ok(fitted)
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.offset.len()
    }

    /// Normalises one row in place, in `f32`, in the order in which the encoder graph does it.
    ///
    /// # Errors
    /// [`NormaliserError::Width`] where `values` has another length than [`Self::width`]; nothing is changed then.
    pub fn apply(&self, values: &mut [f32]) -> Result<(), NormaliserError> {
        if values.len() != self.offset.len() || values.len() != self.scale.len() {
            return Err(NormaliserError::Width {
                found: values.len(),
                expected: self.offset.len(),
            });
        }
        for ((value, &offset), &scale) in values.iter_mut().zip(&self.offset).zip(&self.scale) {
            let normalised = (*value - offset) * scale;
            *value = match self.clip {
                Some(limit) => normalised.clamp(-limit.abs(), limit.abs()),
                None => normalised,
            };
        }
        Ok(())
    }

    /// Checks a normaliser that came from elsewhere: equal lengths, finite numbers, no negative scale, positive clip.
    ///
    /// # Errors
    /// [`NormaliserError::Invalid`] with the field.
    pub fn validate(&self) -> Result<(), NormaliserError> {
        let invalid = |field, reason| Err(NormaliserError::Invalid { field, reason });
        if self.offset.len() != self.scale.len() {
            return invalid("scale", "has another length than offset");
        }
        if self.offset.iter().any(|v| !v.is_finite()) {
            return invalid("offset", "holds a number that is not finite");
        }
        if self.scale.iter().any(|v| !v.is_finite() || *v < 0.0) {
            return invalid("scale", "holds a number that is negative or not finite");
        }
        if self.clip.is_some_and(|c| !c.is_finite() || c <= 0.0) {
            return invalid("clip", "is not a positive number");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ROWS: [[f32; 3]; 4] = [
        [1.0, 5.0, -2.0],
        [3.0, 5.0, 0.0],
        [5.0, 5.0, 2.0],
        [7.0, 5.0, 8.0],
    ];

    fn rows() -> impl Iterator<Item = &'static [f32]> {
        ROWS.iter().map(|r| r.as_slice())
    }

    #[test]
    fn z_score_has_zero_mean_and_unit_population_variance() {
        let fitted = Normaliser::fit(NormaliserKind::ZScore, rows(), None).unwrap();
        // Column 0: mean 4, population variance (9 + 1 + 1 + 9) / 4 = 5.
        assert_eq!(fitted.offset[0], 4.0);
        assert!((fitted.scale[0] - 1.0 / 5.0_f32.sqrt()).abs() < 1e-7);
        assert_eq!(fitted.scale[1], 0.0, "a constant column gets scale 0");
        let mut sums = [0.0_f64; 3];
        let mut squares = [0.0_f64; 3];
        for row in ROWS {
            let mut row = row;
            fitted.apply(&mut row).unwrap();
            for (i, v) in row.iter().enumerate() {
                sums[i] += f64::from(*v);
                squares[i] += f64::from(*v).powi(2);
            }
        }
        assert!(sums.iter().all(|s| s.abs() < 1e-6));
        assert!(
            (squares[0] / 4.0 - 1.0).abs() < 1e-6
                && squares[1] == 0.0
                && (squares[2] / 4.0 - 1.0).abs() < 1e-6
        );
    }

    #[test]
    fn min_max_maps_training_values_to_zero_and_one() {
        let fitted = Normaliser::fit(NormaliserKind::MinMax, rows(), None).unwrap();
        let (mut low, mut high) = (ROWS[0], ROWS[3]);
        fitted.apply(&mut low).unwrap();
        fitted.apply(&mut high).unwrap();
        assert_eq!(low, [0.0, 0.0, 0.0]);
        assert_eq!(high, [1.0, 0.0, 1.0]);
    }

    #[test]
    fn clip_limits_both_sides() {
        let fitted = Normaliser::fit(NormaliserKind::ZScore, rows(), Some(2.0)).unwrap();
        let mut row = [1e6, 5.0, -1e6];
        fitted.apply(&mut row).unwrap();
        assert_eq!(row, [2.0, 0.0, -2.0]);
    }

    #[test]
    fn bad_rows_are_named() {
        let fit = |rows: Vec<&[f32]>| Normaliser::fit(NormaliserKind::ZScore, rows, None);
        assert_eq!(fit(vec![]), Err(NormaliserError::NoRows));
        assert_eq!(
            fit(vec![&[1.0, 2.0], &[1.0]]),
            Err(NormaliserError::Ragged {
                row: 1,
                found: 1,
                expected: 2
            })
        );
        assert_eq!(
            fit(vec![&[1.0, 2.0], &[1.0, f32::NAN]]),
            Err(NormaliserError::NonFinite { row: 1, column: 1 })
        );
        let negative = Normaliser::fit(NormaliserKind::ZScore, rows(), Some(-1.0));
        assert!(matches!(
            negative,
            Err(NormaliserError::Invalid { field: "clip", .. })
        ));
        let fitted = Normaliser::fit(NormaliserKind::ZScore, rows(), None).unwrap();
        assert_eq!(
            fitted.apply(&mut [0.0]),
            Err(NormaliserError::Width {
                found: 1,
                expected: 3
            })
        );
    }

    #[test]
    fn a_spread_too_small_for_f32_counts_as_constant() {
        let tiny = f32::from_bits(1);
        let fitted = Normaliser::fit(
            NormaliserKind::MinMax,
            [[0.0].as_slice(), [tiny].as_slice()],
            None,
        )
        .unwrap();
        assert_eq!(fitted.scale, [0.0]);
    }
}

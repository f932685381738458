//! Reductions of feature rows to a few columns.

pub mod autoencoder;
pub mod pca;
pub mod smacof;

use crate::nn::BackendError;

/// Why rows cannot be reduced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReduceError {
    /// Values that are no whole rows, or no rows.
    #[error("{values} values are no rows of {width} features")]
    Shape {
        /// Values handed in.
        values: usize,
        /// Features of a row.
        width: usize,
    },
    /// A value is infinite or not a number.
    #[error("row {row}, feature {column} is {value}; leave the row out or mend the feature")]
    Value {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// More dimensions than the rows have.
    #[error(
        "{wanted} dimensions cannot be had of {rows} rows of {width} features; ask for 1 to {most}"
    )]
    Dimensions {
        /// Dimensions asked for.
        wanted: usize,
        /// Rows handed in.
        rows: usize,
        /// Features of a row.
        width: usize,
        /// The most that can be had.
        most: usize,
    },
    /// The decomposition did not settle.
    #[error("the principal components did not settle in {0} iterations; ask for fewer components")]
    Unsettled(usize),
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Number of rows, at least `least`, all values finite.
pub(crate) fn check(x: &[f32], width: usize, least: usize) -> Result<usize, ReduceError> {
    if width == 0 || !x.len().is_multiple_of(width) || x.len() / width < least {
        return Err(ReduceError::Shape {
            values: x.len(),
            width,
        });
    }
    match x.iter().position(|v| !v.is_finite()) {
        None => Ok(x.len() / width),
        Some(at) => Err(ReduceError::Value {
            row: at / width,
            column: at % width,
            value: x[at],
        }),
    }
}

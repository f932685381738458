//! Feed-forward networks on burn: the layers, dropout from our own random numbers, Adam, and the losses.
//!
//! Initial weights and dropout masks are drawn on the host from seeded ChaCha streams, not by the backend:
//! the same seed gives the same networks and masks on every device and in every thread, and a run taken up
//! from a checkpoint meets the masks that it would have met.

mod adam;
mod dense;
mod kernel;
mod loss;
mod mask;
mod mlp;
mod scratch;

pub use adam::{Adam, AdamConfig};
pub use loss::{bce_fake, bce_real, reconstruction, soft_cross_entropy};
pub use mlp::{Dropout, Mlp, Shape};

use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of `values`, `[rows, values.len() / rows]` row-major, on `device`.
pub fn matrix(values: Vec<f32>, rows: usize, device: &Device) -> Tensor<2> {
    let columns = values.len().checked_div(rows).unwrap_or(0);
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

/// The values of a tensor, or why the backend cannot hand them over.
///
/// # Errors
/// The backend's own words.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, BackendError> {
    tensor
        .without_autodiff()
        .try_into_vec_as::<f32>()
        .map_err(|e| BackendError(e.to_string()))
}

/// Whether tensors of `device` lie in the host's memory.
fn is_host(device: &Device) -> bool {
    *device == Device::flex()
}

/// A tensor backend failed.
#[derive(Debug, thiserror::Error)]
#[error("the tensor backend failed: {0}")]
pub struct BackendError(pub String);

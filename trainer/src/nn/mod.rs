//! Feed-forward networks on burn: the layers, dropout from our own random numbers, Adam, and the losses.
//!
//! Initial weights and dropout masks are drawn on the host from seeded ChaCha streams, not by the backend:
//! the same seed gives the same networks and masks on every device and in every thread, and a run taken up
//! from a checkpoint meets the masks that it would have met.
//!
//! # Speed
//! On the CPU a layer with its activation and dropout is one operation (forward, and back), Adam is one loop, and the
//! buffers of a step go round; everything else, and every other device, is burn's own operations.
//! `ser-train bench train --python PATH` trains the paper's networks beside PyTorch in one run. One thread of a shared
//! server (AMD EPYC, Zen 4, AVX2; other programs running), PyTorch 2.15, milliseconds of processor time a step:
//!
//! | network | batch | here | PyTorch, Adam | PyTorch, fused Adam | rows/s here over the faster PyTorch |
//! |---|---|---|---|---|---|
//! | autoencoder 1582-1000-500-25 and back | 64 | 22.2 | 46.4 | 31.3 | 1.4 |
//! | | 256 | 65.8 | 111.7 | 92.0 | 1.4 |
//! | DNN 1582-400-400-4 | 64 | 3.1 | 6.9 | 6.1 | 1.9 |
//! | | 256 | 12.1 | 20.9 | 20.1 | 1.7 |
//! | DNN 1582-1000-1000-4 | 64 | 11.7 | 22.9 | 18.2 | 1.5 |
//! | | 256 | 36.1 | 56.0 | 51.1 | 1.4 |
//! | mixup-GAN, all three steps | 64 | 67.5 | 116.6 | 88.9 | 1.3 |
//! | | 256 | 220.0 | 286.9 | 289.7 | 1.3 |
//!
//! By the clock with two threads on the same server, nothing else running: 1.3 and 1.2 times the faster PyTorch's rows a second for the
//! autoencoder (16.9 and 51.4 ms a step against 21.9 and 62.1), 1.6 and 1.45 for the DNN 400-400.
//!
//! 70 % and more of a step are matrix products at 90 to 110 GFLOP/s a thread. Several small networks trained as one
//! batched computation would therefore gain little: 25-400-400-4 at batch 64 takes 0.9 ms, its products alone 0.6.

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

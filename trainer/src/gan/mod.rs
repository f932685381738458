//! Generative models: the mixup-GAN, and the GANs it is compared with.

pub(crate) mod common;
pub mod cycle_gan;
pub mod mixup_gan;
pub mod prior_gan;
pub mod schedule;

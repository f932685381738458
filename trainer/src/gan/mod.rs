//! Generative models that augment the training rows.

pub mod mixup_gan;

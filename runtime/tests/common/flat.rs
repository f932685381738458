//! Models for the static engine, from a fixed seed.

use ser_runtime::engine::static_model::{Activation, Dense, FlatModel};
use ser_runtime::normalise::{Normaliser, NormaliserKind};
use ser_runtime::prediction::Decision;

use super::Random;

/// Layers of these widths, the last one the classifier, which reads every `every`-th feature of `every` times as many as the first width.
pub fn flat_model(widths: &[usize], every: usize, seed: u64) -> FlatModel {
    let mut random = Random::new(seed);
    let activations = [
        Activation::LeakyRelu(0.01),
        Activation::Sigmoid,
        Activation::Relu,
    ];
    let mut layers: Vec<Dense> = widths
        .windows(2)
        .enumerate()
        .map(|(index, pair)| {
            let &[inputs, outputs] = pair else {
                unreachable!("windows of two")
            };
            let spread = (3.0 / inputs as f32).sqrt();
            let last = index + 2 == widths.len();
            Dense {
                inputs,
                outputs,
                weight: (0..inputs * outputs)
                    .map(|_| random.float() * spread)
                    .collect(),
                bias: (0..outputs).map(|_| random.float() * 0.1).collect(),
                activation: if last {
                    Activation::Linear
                } else {
                    activations[index % 3]
                },
            }
        })
        .collect();
    let classifier = layers.split_off(widths.len() - 2);
    let selected = widths[0];
    FlatModel {
        bundle_id: *b"0123456789abcdef",
        feature_set: "elsewhere".to_owned(),
        extractor_version: "none".to_owned(),
        names_sha256: std::array::from_fn(|i| i as u8),
        feature_count: selected * every,
        selection: (every > 1).then(|| (0..selected).map(|i| (i * every) as u32).collect()),
        normaliser: Normaliser {
            kind: NormaliserKind::ZScore,
            offset: (0..selected).map(|_| random.float()).collect(),
            scale: (0..selected).map(|_| random.float().abs() * 2.0).collect(),
            clip: Some(10.0),
        },
        encoder: layers,
        classifier,
        labels: (0..*widths.last().unwrap_or(&0))
            .map(|i| format!("label {i}"))
            .collect(),
        decision: Decision {
            temperature: 1.3,
            abstain_below: 0.4,
        },
        sample_rate: Some(16_000),
        cut: Some(("cutter-1".to_owned(), 0x0123_4567)),
    }
}

//! Small feature tables, made here.

#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use ser_trainer::table::{FeatureSetTag, FeatureTable, RowMeta};

/// Numbers in -1..1 that look random and are the same on every run.
pub fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

pub const WIDTH: usize = 12;
pub const LABELS: [&str; 3] = ["angry", "neutral", "sad"];

/// `speakers` speakers with `per_label` rows of each label. A row is its label's direction, plus its speaker's own
/// offset, plus noise: easy, but not for somebody who learns the speakers by heart.
pub fn table(speakers: usize, per_label: usize, seed: u64) -> FeatureTable {
    let mut random = noise(seed);
    let mut values = Vec::new();
    let mut meta = Vec::new();
    for speaker in 0..speakers {
        let offset: Vec<f32> = (0..WIDTH).map(|_| 0.7 * random()).collect();
        for (class, label) in LABELS.iter().enumerate() {
            for take in 0..per_label {
                for (column, own) in offset.iter().enumerate() {
                    let direction = if column % LABELS.len() == class {
                        2.0
                    } else {
                        0.0
                    };
                    values.push(100.0 + 10.0 * (direction + own + 0.8 * random()));
                }
                meta.push(RowMeta {
                    path: format!("s{speaker}/{label}{take}.wav"),
                    corpus: "made".into(),
                    speaker: format!("s{speaker}"),
                    session: Some(format!("{}", speaker / 2)),
                    gender: None,
                    emotion: (*label).into(),
                    sample_rate: Some(16_000),
                    start_s: None,
                    duration_s: Some(1.0),
                    copy: None,
                });
            }
        }
    }
    FeatureTable {
        feature_set: FeatureSetTag::custom(),
        names: (0..WIDTH).map(|c| format!("feature {c}")).collect(),
        rows: meta.len(),
        values,
        meta,
    }
}

/// Small networks that learn [`table`] in a second, all stages on; `extra` is laid over at the end.
pub const CONFIG: &str = r#"
seed = 5
[autoencoder]
code_size = 4
hidden = [24, 12]
dropout = 0.2
pretrain_epochs = 6
learning_rate = 3e-3
batch_size = 16
[gan]
epochs = 4
autoencoder_learning_rate = 3e-3
discriminator_hidden = [16]
discriminator_dropout = 0.1
[classifier]
hidden = [16]
dropout = 0.2
input_dropout = 0.05
learning_rate = 5e-3
encoder_learning_rate = 3e-3
epochs = 25
batch_size = 16
[checkpoint]
every_seconds = 0.0
"#;

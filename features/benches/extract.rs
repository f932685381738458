//! Ten seconds of voice in one push, by sampling rate, and the cost by stage at 16 kHz.

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ser_features::{Config, Extractor, FeatureGroups, FeatureSet, Features, Stage};

/// Ten seconds: the committed 0.3 s of voice and 0.4 s of pulses over and over, as if recorded at `rate`.
fn voice(rate: u32) -> Vec<f32> {
    let samples: Vec<f32> = ["sh_300ms", "sh_400ms_pulse"]
        .iter()
        .flat_map(|name| common::golden(name).1)
        .map(|v| f32::from(v) / 32767.0)
        .collect();
    samples
        .iter()
        .copied()
        .cycle()
        .take(10 * rate as usize)
        .collect()
}

fn extract(c: &mut Criterion) {
    let mut group = c.benchmark_group("extract 10 s");
    group.sample_size(20);
    for rate in [8_000, 16_000, 44_100, 48_000] {
        let samples = voice(rate);
        let config = Config::for_samples(rate, samples.len(), FeatureSet::Emobase2010);
        let mut extractor = Extractor::owned(config).expect("configuration");
        let mut features = Features::zeroed();
        group.throughput(Throughput::Elements(extractor.config().max_frames as u64));
        group.bench_function(format!("{rate} Hz"), |b| {
            b.iter(|| {
                extractor.reset();
                extractor.push(&samples).expect("room");
                extractor.finish(&mut features).expect("features");
            });
        });
    }
    group.finish();
    c.bench_function("new, 16000 Hz, 10 s", |b| {
        let config = Config {
            sample_rate: 16_000,
            max_frames: 1000,
            feature_set: FeatureSet::Emobase2010,
            groups: FeatureGroups::ALL,
        };
        let mut memory = vec![0.0; ser_features::memory_len(16_000, 1000)];
        b.iter(|| Extractor::new(config, &mut memory[..]).map(|e| e.frames()));
    });
    stages();
}

/// Prints microseconds per frame by stage.
fn stages() {
    let samples = voice(16_000);
    let config = Config::for_samples(16_000, samples.len(), FeatureSet::Emobase2010);
    let mut extractor = Extractor::owned(config).expect("configuration");
    let mut features = Features::zeroed();
    extractor.measure_stages(true);
    let rounds = 50;
    for _ in 0..rounds {
        extractor.reset();
        extractor.push(&samples).expect("room");
        extractor.finish(&mut features).expect("features");
    }
    let frames = (rounds * extractor.frames()) as f64;
    for stage in Stage::ALL {
        let time = extractor.stage_time(stage).expect("measured").as_secs_f64();
        println!(
            "{:<22}{:>8.3} us per 10-ms frame",
            stage.name(),
            time / frames * 1e6
        );
    }
}

criterion_group!(benches, extract);
criterion_main!(benches);

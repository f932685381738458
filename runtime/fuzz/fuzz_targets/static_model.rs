//! Any bytes as a flat model file: refused by name, or an engine that computes or refuses its input; no panic, nothing read out of bounds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ser_runtime::engine::Engine;
use ser_runtime::engine::static_model::{
    AlignedBytes, FORMAT_VERSION, MAGIC, StaticEngine, StaticModel, crc32,
};

fuzz_target!(|data: &[u8]| {
    let _ = StaticModel::from_bytes(AlignedBytes::copy_of(data).as_slice());
    // Magic, version, length and CRC put right, so that the fuzzer gets behind them.
    let mut bytes = data.to_vec();
    if bytes.len() < 20 {
        return;
    }
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    let length = (bytes.len() as u32).to_le_bytes();
    bytes[16..20].copy_from_slice(&length);
    let crc = crc32(&bytes[16..]).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
    let aligned = AlignedBytes::copy_of(&bytes);
    let Ok(model) = StaticModel::from_bytes(aligned.as_slice()) else { return };
    assert_eq!(model.labels().count(), model.label_count());
    let scratch = vec![0.0; model.scratch_len()];
    let (mut code, mut logits) = (vec![0.0; model.code_len()], vec![0.0; model.label_count()]);
    let features = vec![0.5; model.feature_count()];
    let Ok(mut engine) = StaticEngine::new(model, scratch) else { panic!("enough scratch memory was given") };
    if engine.encode(&features, &mut code).is_ok() && engine.classify(&code, &mut logits).is_ok() {
        assert!(code.iter().chain(&logits).all(|v| v.is_finite()));
    }
});

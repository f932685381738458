//! `ser-train fit --flash --ram` to `ser-run`: the bundle fits, and what its model does not read is not computed without changing a probability.
#![allow(missing_docs)]

use std::path::Path;

use ser_features::{FeatureGroup, FeatureGroups, FeatureSet};
use ser_runtime::audio::read_audio;
use ser_runtime::bundle::Bundle;
use ser_runtime::engine::static_model::INT8_FILE;
use ser_runtime::extract::extract;
use ser_runtime::footprint::CODE_BYTES;
use ser_runtime::hearing::Hearing;
use ser_runtime::model::{EngineKind, Model};
use ser_runtime::prediction::softmax;
use ser_tests::{fail, ser_run, ser_train, succeed};
use serde_json::Value;

/// Too wide for the budget of the test; a short training.
const CONFIG: &str = r#"
seed = 3

[autoencoder]
code_size = 64
hidden = [160]
pretrain_epochs = 2

[gan]
epochs = 2
discriminator_hidden = [32]

[classifier]
hidden = []
learning_rate = 1e-3
encoder_learning_rate = 1e-3
epochs = 20
"#;

fn make(command: &[&str], folder: &Path) {
    let mut made = ser_train();
    made.args(command).current_dir(folder);
    succeed(made.env("SOURCE_DATE_EPOCH", "1700000000"));
}

#[test]
fn a_model_for_a_small_device() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    let line = |text: &'static str| text.split(' ').collect::<Vec<_>>();
    make(
        &line("synth-corpus voices --speakers 4 --per-label 3 --seed 5"),
        folder.path(),
    );
    make(&line("corpus manifest voices -o corpus.csv"), folder.path());
    make(
        &line("extract corpus.csv -o features.parquet"),
        folder.path(),
    );
    std::fs::write(at("config.toml"), CONFIG).expect("written");
    let fit = "fit features.parquet -c config.toml --device cpu --flash 256K --ram 192K -o run";
    make(&line(fit), folder.path());

    let dir = at("run/bundle");
    let bundle = Bundle::open(&dir).expect("the bundle opens");
    let manifest = &bundle.manifest;
    let choice = &manifest.data["budget"];
    assert_eq!(choice["budget"]["flash"], 256 * 1024);
    assert!(choice["chosen"]["screening_uar"].is_f64(), "{choice}");
    assert!(choice["unlimited"]["screening_uar"].is_f64(), "{choice}");
    assert!(
        choice["unlimited"]["flash"].as_u64() > Some(256 * 1024),
        "{choice}"
    );
    let int8 = manifest.files[INT8_FILE].bytes as usize;
    assert!(int8 + CODE_BYTES <= 256 * 1024, "{int8} bytes");
    assert!(choice["chosen"]["ram"].as_u64() <= Some(192 * 1024));
    let groups = manifest.groups();
    assert!(
        !groups.contains(FeatureGroup::Lsp) && !groups.is_empty(),
        "{groups}: there is no room for the tables of the LSP"
    );
    // the configuration of the run is that of the model, without the search
    let config = std::fs::read_to_string(at("run/config.toml")).expect("config.toml");
    assert!(
        !config.contains("[budget]") && config.contains("[features]"),
        "{config}"
    );
    let card = std::fs::read_to_string(dir.join("MODEL_CARD.md")).expect("card");
    assert!(card.contains("## Device"), "{card}");
    let info = succeed(ser_run().args(["info", "-m"]).arg(&dir));
    assert!(
        info.contains(&format!("{groups}")) && info.contains("on a device"),
        "{info}"
    );

    // as in full, bit for bit, on the flat file; the same label through the graphs
    let voices: Vec<_> = at("voices")
        .read_dir()
        .expect("voices")
        .flat_map(|entry| {
            let path = entry.expect("entry").path();
            match path.read_dir() {
                Ok(inner) => inner.map(|e| e.expect("entry").path()).collect(),
                Err(_) => vec![path],
            }
        })
        .filter(|path| path.extension().is_some_and(|e| e == "wav"))
        .take(6)
        .collect();
    assert!(!voices.is_empty());
    let mut graphs = Model::open(&dir, EngineKind::Tract).expect("tract takes it");
    let mut flat = Model::open(&dir, EngineKind::StaticInt8).expect("the flat file");
    assert_eq!(flat.engine().groups(), groups);
    assert_eq!(graphs.engine().groups(), groups);
    for voice in &voices {
        let mut command = ser_run();
        command
            .args(["predict", "--whole", "--engine", "static-int8", "-m"])
            .arg(&dir)
            .arg(voice);
        let printed: Value = serde_json::from_str(&succeed(&mut command)).expect("JSON");
        let pcm = read_audio(voice).expect("audio");
        let hearing = Hearing {
            cut: None,
            ..flat.bundle().manifest.hears(pcm.sample_rate)
        };
        let heard = extract(&pcm, FeatureSet::Emobase2010, &hearing).expect("features");
        let full = &heard.utterances[0];
        for model in [&mut flat, &mut graphs] {
            let temperature = model.bundle().manifest.calibration.temperature;
            let engine = model.engine();
            let mut code = vec![0.0; engine.code_len()];
            let mut expected = vec![0.0; engine.label_count()];
            engine
                .encode(full.features.as_slice(), &mut code)
                .expect("code");
            engine.classify(&code, &mut expected).expect("logits");
            softmax(&mut expected, temperature);
            let narrow = model.predict_whole(&pcm).expect("prediction");
            let got: Vec<f32> = narrow.probabilities.iter().map(|(_, p)| *p).collect();
            assert_eq!(got, expected, "{}", voice.display());
        }
        let narrow = flat.predict_whole(&pcm).expect("prediction");
        assert_eq!(printed["label"].as_str(), narrow.label.as_deref().ok());
    }

    let verified = succeed(
        ser_train()
            .arg("verify")
            .arg(&dir)
            .args(&voices[..2])
            .args(["--engines", "tract,burn"]),
    );
    assert!(verified.contains("logits"), "{verified}");

    // no room for anything: an error with the least that there is
    let refused = |options: &str| {
        let mut command = ser_train();
        command.args([
            "fit",
            "features.parquet",
            "-c",
            "config.toml",
            "-o",
            "other",
        ]);
        command.args(options.split(' ')).current_dir(folder.path());
        fail(&mut command)
    };
    let error = refused("--flash 180K --ram 64K");
    assert!(
        error.contains("the least flash is") && error.contains("--utterance"),
        "{error}"
    );
    assert!(refused("--flash 12Q").contains("12Q"));
    assert!(refused("--ram 64K --utterance 0").contains("budget.utterance"));
    assert_ne!(FeatureGroups::ALL, groups);
}

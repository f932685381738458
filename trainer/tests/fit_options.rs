//! What `ser-train fit` and its siblings are told on the command line: settings, several tables, broken rows, devices,
//! folders that hold a model.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{CONFIG, table};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let (a, b) = (table(3, 4, 3), table(2, 4, 4));
        a.write(&place.at("a.parquet")).unwrap();
        let mut b = b;
        for m in &mut b.meta {
            m.corpus = "other".into();
        }
        b.write(&place.at("b.parquet")).unwrap();
        std::fs::write(place.at("config.toml"), CONFIG).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `ser-train` in this folder.
    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ser-train"))
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .output()
            .unwrap()
    }

    /// Standard error, then standard output, of a command that must succeed.
    fn succeeds(&self, line: &str) -> String {
        let output = self.run(line);
        let text = text(&output);
        assert!(output.status.success(), "{line}\n{text}");
        text
    }

    /// What a command says that must end with status 1.
    fn fails(&self, line: &str) -> String {
        let output = self.run(line);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{line}\n{text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }
}

fn text(output: &Output) -> String {
    let [err, out] = [&output.stderr, &output.stdout].map(|t| String::from_utf8_lossy(t));
    format!("{err}{out}")
}

/// Real speech.
const RECORDING: &str = "../tests/data/emodb/EMO03/03a02Wc.flac";

const QUICK: &str =
    "--device cpu --set classifier.epochs=2 --set gan.epochs=1 --set autoencoder.pretrain_epochs=1";

#[test]
fn a_finished_model_is_replaced_only_on_request_and_found_in_its_run() {
    let place = Place::new();
    let fit = format!("fit a.parquet b.parquet -c config.toml {QUICK} -o model");
    let said = place.succeeds(&fit);
    assert!(said.contains("not audio"), "{said}");
    let config = std::fs::read_to_string(place.at("model/config.toml")).unwrap();
    assert!(config.contains("pretrain_epochs = 1"), "{config}");
    let bundle = || std::fs::read(place.at("model/bundle/encoder.onnx")).unwrap();
    let first = bundle();

    let again = format!("{fit} --set seed=9");
    let e = place.fails(&again);
    assert!(
        e.contains("finished model") && e.contains("--overwrite"),
        "{e}"
    );
    assert!(bundle() == first);
    // Without the bundle, the checkpoint still tells.
    std::fs::rename(place.at("model/bundle"), place.at("kept")).unwrap();
    let e = place.fails(&again);
    assert!(e.contains("--overwrite"), "{e}");
    std::fs::rename(place.at("kept"), place.at("model/bundle")).unwrap();
    place.succeeds(&format!("{again} --overwrite"));
    assert!(bundle() != first);

    for model in ["model", "model/bundle"] {
        place.succeeds(&format!(
            "verify {model} --features a.parquet --engines tract,burn"
        ));
        place.succeeds(&format!("adapt a.parquet -m {model} --orders 1"));
        place.succeeds(&format!("export {model} --engine static"));
    }
    let e = place.fails("verify nothing --features a.parquet");
    assert!(e.contains("nothing"), "{e}");
}

#[test]
fn settings_of_the_command_line_are_typed_and_named() {
    let place = Place::new();
    let said = place.succeeds(
        "fit --print-config --set classifier.hidden=[8,4] --set labels=angry,sad --set classifier.rows=real+synthetic \
         --set mixup.alpha=1 --set classifier.mixup=false --set card.name='x'",
    );
    for line in [
        "hidden = [8, 4]",
        "labels = [\"angry\", \"sad\"]",
        "rows = \"real+synthetic\"",
        "alpha = 1.0",
        "mixup = false",
        "name = \"x\"",
    ] {
        assert!(said.lines().any(|l| l == line), "{line} is not in\n{said}");
    }
    for (setting, expected) in [
        ("classifier.epoch=3", "`classifier.epochs`"),
        ("epochs=3", "epochs`"),
        ("classifier.epochs=many", "\"many\" is not a whole number"),
        ("classifier.epochs=1.5", "\"1.5\" is not a whole number"),
        ("classifier.dropout=half", "\"half\" is not a number"),
        ("classifier.mixup=1", "true or false"),
        ("classifier.hidden=8,x", "\"x\" is not a whole number"),
        ("classifier=3", "`classifier` is a section"),
        ("classifier.epochs", "KEY=VALUE"),
        ("classifier.epochs=0", "`classifier.epochs`"),
        ("classifier.rows=reel", "real+synthetic"),
    ] {
        for verb in ["fit", "evaluate"] {
            let e = place.fails(&format!("{verb} a.parquet -o out --set {setting}"));
            assert!(
                e.contains("--set") && e.contains(expected),
                "{setting}: {e}"
            );
        }
    }
    assert!(!place.at("out").exists());
}

#[test]
fn several_tables_and_broken_rows() {
    let place = Place::new();
    let said = place.succeeds(&format!(
        "evaluate a.parquet b.parquet -c config.toml {QUICK} --folds 2 -o s.json"
    ));
    assert!(said.contains("UAR"), "{said}");
    let scores = std::fs::read_to_string(place.at("s.json")).unwrap();
    assert!(
        scores.contains("other/s0") && scores.contains("made/s2"),
        "{scores}"
    );
    let e = place.fails("fit a.parquet a.parquet -o out");
    assert!(e.contains("--drop-duplicates"), "{e}");

    let csv = place.at("a.csv");
    table(3, 4, 3).write(&csv).unwrap();
    let text = std::fs::read_to_string(&csv).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let cut = lines[4].rfind(',').unwrap();
    lines[4].replace_range(cut.., ",nan");
    std::fs::write(&csv, lines.join("\n")).unwrap();
    let e = place.fails("fit a.csv -o out");
    assert!(
        e.contains("a.csv: row 3, column \"feature 11\": the value is nan"),
        "{e}"
    );
    let said = place.succeeds(&format!(
        "fit a.csv b.parquet -c config.toml {QUICK} --skip-broken -o out"
    ));
    assert!(said.contains("left out: 1 broken rows"), "{said}");
    let said = place.succeeds("import a.csv b.parquet --skip-broken -o all.parquet");
    assert!(said.contains("59 rows"), "{said}");

    let mut one = table(3, 4, 3);
    one.meta.iter_mut().for_each(|m| m.emotion = "sad".into());
    one.write(&place.at("one.parquet")).unwrap();
    for verb in ["fit", "evaluate"] {
        let e = place.fails(&format!("{verb} one.parquet -o out2"));
        assert!(e.contains("one label only ('sad')"), "{e}");
    }
}

#[test]
fn every_command_has_one_default_device() {
    let place = Place::new();
    for command in ["fit", "evaluate", "run", "bench train"] {
        let help = place.succeeds(&format!("{command} --help"));
        let at = help.find("--device").unwrap_or_else(|| panic!("{help}"));
        let until = help[at + 8..]
            .find("\n  -")
            .map_or(help.len(), |n| at + 8 + n);
        assert!(
            help[at..until].contains("[default: auto]"),
            "{command}: {}",
            &help[at..until]
        );
    }
}

#[test]
fn a_model_of_foreign_tables_with_our_columns_takes_audio() {
    use ser_features::{FeatureSet, feature_names};
    let place = Place::new();
    // Another program's table: names, and nothing else that says what they are.
    let names = feature_names(FeatureSet::Emobase2010);
    let mut random = support::noise(1);
    let mut text = format!("file,speaker,emotion,{}\n", names.join(","));
    for row in 0..24 {
        let label = ["sad", "angry"][row % 2];
        text.push_str(&format!("{row}.wav,s{},{label}", row / 6));
        for _ in 0..names.len() {
            text.push_str(&format!(",{}", random() + (row % 2) as f32));
        }
        text.push('\n');
    }
    std::fs::write(place.at("smile.csv"), text).unwrap();
    let said = place.succeeds(&format!("fit smile.csv -c config.toml {QUICK} -o model"));
    assert!(
        said.contains("those of emobase2010") && !said.contains("not audio"),
        "{said}"
    );
    let manifest = std::fs::read_to_string(place.at("model/bundle/bundle.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["feature_set"]["id"], "emobase2010");
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDING);
    let said = place.succeeds(&format!(
        "verify model {} --engines tract,burn",
        recording.display()
    ));
    assert!(said.contains("the engines agree"), "{said}");
}

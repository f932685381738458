//! Training as a library: it learns, it can be taken up anywhere, and held-out rows stay held out.

mod support;

use std::path::Path;

use ser_trainer::config::Config;
use ser_trainer::data::folds::{self, FoldError, Grouping};
use ser_trainer::data::task::{Task, TaskError};
use ser_trainer::device::{Chosen, DeviceChoice, choose};
use ser_trainer::evaluate::{EvaluateError, EvaluateOptions, FoldChoice, Scores, evaluate};
use ser_trainer::fit::training::Training;
use ser_trainer::fit::{Control, FitError, FitOptions, fit};
use ser_trainer::metrics::Confusion;
use ser_trainer::model::{FitOutcome, TrainedModel};
use ser_trainer::table::FeatureTable;
use support::{CONFIG, LABELS, WIDTH, table};

/// [`CONFIG`] with some values replaced.
fn config(replace: &[(&str, &str)]) -> Config {
    let mut text = CONFIG.to_owned();
    for (from, to) in replace {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Config::from_toml(&text, "test").unwrap()
}

fn cpu() -> Chosen {
    choose(DeviceChoice::Cpu).unwrap()
}

fn run(
    table: &FeatureTable,
    config: &Config,
    out: &Path,
    resume: bool,
    stop_after: Option<usize>,
    how: Control,
) -> Result<FitOutcome, FitError> {
    let mut epochs = 0;
    let mut control = |_: &_| {
        epochs += 1;
        if Some(epochs) == stop_after {
            how
        } else {
            Control::GoOn
        }
    };
    let options = &mut FitOptions {
        out,
        resume,
        overwrite: false,
        device: &cpu(),
        scores: None,
        control: &mut control,
    };
    fit(table, config, options)
}

fn train(table: &FeatureTable, config: &Config) -> FitOutcome {
    let dir = tempfile::tempdir().unwrap();
    run(table, config, dir.path(), false, None, Control::GoOn).unwrap()
}

fn uar(model: &TrainedModel, table: &FeatureTable) -> f64 {
    let classes = model.labels.len();
    let logits = model.logits(&table.values).unwrap();
    let predicted = logits.chunks(classes).map(|row| {
        (0..classes)
            .max_by(|&a, &b| row[a].total_cmp(&row[b]))
            .unwrap()
    });
    let truth = table
        .meta
        .iter()
        .map(|m| model.labels.iter().position(|l| *l == m.emotion).unwrap());
    Confusion::of(classes, truth.zip(predicted)).uar().unwrap()
}

#[test]
fn every_kind_of_classifier_learns_to_recognise_new_speakers() {
    let seen = table(6, 6, 1);
    let new = table(4, 6, 2);
    // Keys of [classifier], and sections to append.
    let kinds = [
        ("", ""),
        ("fine_tune = false", ""),
        ("input = \"features\"\nfine_tune = false", ""),
        ("rows = \"real+synthetic\"\nbalance = \"batches\"", ""),
        (
            "rows = \"synthetic\"\nbalance = \"none\"",
            "[synthetic]\nrows = 200",
        ),
        (
            "average = 0.5",
            "[normaliser]\nkind = \"min-max\"\nclip = 0.0\n[validation]\nrefit = true",
        ),
        (
            "select = \"last\"\nmixup = false\nlabel_smoothing = 0.1",
            "[validation]\nby = \"none\"",
        ),
    ];
    for (i, (keys, sections)) in kinds.into_iter().enumerate() {
        let text = CONFIG
            .replace("[classifier]", &format!("[classifier]\n{keys}"))
            .replace("pretrain_epochs = 6", "pretrain_epochs = 40")
            + sections;
        let config = Config::from_toml(&text, "test").unwrap();
        let outcome = train(&seen, &config);
        let score = uar(&outcome.model, &new);
        assert!(
            score > 0.85,
            "kind {i}: UAR {score} on new speakers\n{text}"
        );
        assert_eq!(outcome.model.labels, LABELS);
        assert_eq!(outcome.model.width(), WIDTH);
        assert_eq!(outcome.held_out.is_some(), i != 6, "kind {i}");
    }
}

#[test]
fn a_run_taken_up_anywhere_ends_bit_for_bit_where_an_uninterrupted_one_ends() {
    let table = table(5, 4, 3);
    let extra = [
        ("pretrain_epochs = 6", "pretrain_epochs = 3"),
        ("epochs = 4", "epochs = 3"),
        (
            "epochs = 25",
            "epochs = 5\naverage = 0.6\nrows = \"real+synthetic\"\n",
        ),
        (
            "[checkpoint]",
            "[validation]\nrefit = true\npatience = 2\n[checkpoint]",
        ),
    ];
    let config = config(&extra);
    let whole = tempfile::tempdir().unwrap();
    let expected = run(&table, &config, whole.path(), false, None, Control::GoOn).unwrap();
    let metrics = std::fs::read(whole.path().join("metrics.jsonl")).unwrap();
    let epochs = metrics.iter().filter(|&&b| b == b'\n').count();
    assert!(epochs > 12, "{epochs}");
    for how in [Control::Drop, Control::Stop] {
        for stop_after in 1..epochs {
            let dir = tempfile::tempdir().unwrap();
            let stopped = run(&table, &config, dir.path(), false, Some(stop_after), how);
            assert!(
                matches!(stopped, Err(FitError::Stopped { .. })),
                "{stopped:?}"
            );
            // The process died while it wrote another line.
            let path = dir.path().join("metrics.jsonl");
            let mut torn = std::fs::read(&path).unwrap();
            torn.extend_from_slice(b"{\"stage\":\"gan\",\"epo");
            std::fs::write(&path, torn).unwrap();
            let outcome = run(&table, &config, dir.path(), true, None, Control::GoOn).unwrap();
            let context = format!("{how:?} after {stop_after}");
            assert_eq!(outcome.model.encoder, expected.model.encoder, "{context}");
            assert_eq!(
                outcome.model.classifier, expected.model.classifier,
                "{context}"
            );
            assert_eq!(
                outcome.model.normaliser, expected.model.normaliser,
                "{context}"
            );
            assert_eq!(outcome.held_out, expected.held_out, "{context}");
            assert_eq!(outcome.metrics, expected.metrics, "{context}");
            assert!(std::fs::read(&path).unwrap() == metrics, "{context}");
        }
    }
    // Taking up a run that has ended ends at once with the same result.
    let again = run(&table, &config, whole.path(), true, None, Control::GoOn).unwrap();
    assert_eq!(again.model.classifier, expected.model.classifier);
    assert_eq!(again.metrics, expected.metrics);
}

#[test]
fn the_seed_decides_everything() {
    let table = table(4, 3, 4);
    let few = [("epochs = 25", "epochs = 2")];
    let (a, b) = (train(&table, &config(&few)), train(&table, &config(&few)));
    assert_eq!(a.model.classifier, b.model.classifier);
    let other = train(&table, &config(&[few[0], ("seed = 5", "seed = 6")]));
    assert_ne!(a.model.classifier, other.model.classifier);
}

#[test]
fn taking_up_is_refused_for_another_configuration_or_table_and_starting_over_is_not_by_accident() {
    let rows = table(4, 3, 4);
    let dir = tempfile::tempdir().unwrap();
    let go = |table: &FeatureTable, c: &Config, resume| {
        run(table, c, dir.path(), resume, None, Control::GoOn)
    };
    let stopped = run(
        &rows,
        &config(&[]),
        dir.path(),
        false,
        Some(3),
        Control::Stop,
    );
    assert!(matches!(stopped, Err(FitError::Stopped { .. })));
    let e = go(&rows, &config(&[]), false).unwrap_err();
    assert!(
        matches!(e, FitError::Unfinished { .. }) && e.to_string().contains("--resume"),
        "{e}"
    );
    let e = go(
        &rows,
        &config(&[("dropout = 0.2\npretrain", "dropout = 0.3\npretrain")]),
        true,
    )
    .unwrap_err()
    .to_string();
    assert!(e.contains("autoencoder.dropout"), "{e}");
    let e = go(&table(4, 3, 5), &config(&[]), true)
        .unwrap_err()
        .to_string();
    assert!(e.contains("feature table"), "{e}");
    // A damaged checkpoint is named; a missing one means starting from the beginning.
    let path = dir.path().join("checkpoint");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let e = go(&rows, &config(&[]), true).unwrap_err().to_string();
    assert!(e.contains("checksum") && e.contains("--overwrite"), "{e}");
    std::fs::remove_file(&path).unwrap();
    go(
        &rows,
        &config(&[("every_seconds = 0.0", "every_seconds = 1e9")]),
        true,
    )
    .unwrap();
}

/// What fold 0 of leave-one-speaker-out learns from `table`, and the losses on the way.
fn first_fold(table: &FeatureTable, config: &Config) -> (TrainedModel, Vec<String>) {
    let task = Task::new(table, &[]).unwrap();
    let fold = &folds::leave_one_out(&task, Grouping::Speaker).unwrap()[0];
    assert_eq!(fold.name, "speaker made/s0");
    let split = folds::validation(&task, &fold.train, &config.validation, config.seed).unwrap();
    let mut training = Training::new(config, &task, split, &cpu().device).unwrap();
    let mut lines = Vec::new();
    while let Some(epoch) = training.epoch().unwrap() {
        lines.push(format!("{:?}", epoch.numbers));
    }
    (training.finished().unwrap().clone(), lines)
}

#[test]
fn a_fold_learns_and_stops_without_its_test_rows() {
    let config = config(&[(
        "[checkpoint]",
        "[validation]\nrefit = true\npatience = 4\n[checkpoint]",
    )]);
    let clean = table(5, 4, 7);
    let (model, lines) = first_fold(&clean, &config);
    let poison = |speaker: &str| {
        let mut table = clean.clone();
        for (row, meta) in clean
            .meta
            .iter()
            .enumerate()
            .filter(|(_, m)| m.speaker == speaker)
        {
            table.values[row * WIDTH..(row + 1) * WIDTH].fill(1e30);
            // Labels move on by one as well: [angry, neutral, sad] -> [neutral, sad, angry].
            let next = (LABELS.iter().position(|l| *l == meta.emotion).unwrap() + 1) % LABELS.len();
            table.meta[row].emotion = LABELS[next].into();
        }
        table
    };
    let (same, same_lines) = first_fold(&poison("s0"), &config);
    assert_eq!(lines, same_lines);
    assert_eq!(model.normaliser, same.normaliser);
    assert_eq!(
        (model.encoder, model.classifier),
        (same.encoder, same.classifier)
    );
    // The same poison in any other speaker's rows is noticed, so the test can fail.
    for other in ["s1", "s2", "s3", "s4"] {
        assert_ne!(
            first_fold(&poison(other), &config).0.normaliser,
            model.normaliser,
            "{other}"
        );
    }
}

#[test]
fn validation_rows_are_not_learned_from() {
    let clean = table(5, 4, 8);
    let config = config(&[
        (
            "[checkpoint]",
            "[validation]\nhold_out = [\"s2\", \"made/s4\"]\n[checkpoint]",
        ),
        ("epochs = 25", "epochs = 3\nselect = \"last\""),
    ]);
    let mut poisoned = clean.clone();
    for (row, meta) in clean.meta.iter().enumerate() {
        if meta.speaker == "s2" || meta.speaker == "s4" {
            poisoned.values[row * WIDTH..(row + 1) * WIDTH].fill(-1e30);
        }
    }
    let (a, b) = (train(&clean, &config), train(&poisoned, &config));
    assert_eq!(a.model.normaliser, b.model.normaliser);
    assert_eq!(
        (a.model.encoder, a.model.classifier),
        (b.model.encoder, b.model.classifier)
    );
    assert_ne!(
        a.held_out.as_ref().unwrap().logits,
        b.held_out.as_ref().unwrap().logits
    );
    assert_eq!(a.held_out.unwrap().labels.len(), 2 * 3 * 4);
}

fn try_fit(table: &FeatureTable, replace: &[(&str, &str)]) -> FitError {
    let dir = tempfile::tempdir().unwrap();
    let error = run(
        table,
        &config(replace),
        dir.path(),
        false,
        None,
        Control::GoOn,
    )
    .unwrap_err();
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "a refused run leaves nothing behind"
    );
    error
}

#[test]
fn tables_that_cannot_be_learned_from_are_refused_with_row_and_remedy() {
    let e = try_fit(&table(1, 4, 1), &[]);
    assert!(
        matches!(e, FitError::Fold(FoldError::OneGroup { .. }))
            && e.to_string().contains("validation.by"),
        "{e}"
    );

    let mut once = table(3, 3, 1);
    once.meta[7].emotion = "bored".into();
    let e = try_fit(&once, &[]);
    assert!(
        matches!(e, FitError::Task(TaskError::LabelOnce { row: 8, .. }))
            && e.to_string().contains("bored"),
        "{e}"
    );

    let mut nan = table(3, 3, 1);
    nan.values[2 * WIDTH + 5] = f32::NAN;
    let e = try_fit(&nan, &[]).to_string();
    assert!(
        e.contains("row 3") && e.contains("feature 5") && e.contains("NaN"),
        "{e}"
    );

    let e = try_fit(
        &table(3, 3, 1),
        &[("seed = 5", "seed = 5\nlabels = [\"angry\", \"netural\"]")],
    )
    .to_string();
    assert!(e.contains("netural") && e.contains("'neutral'"), "{e}");
    let e = try_fit(
        &table(3, 3, 1),
        &[("seed = 5", "seed = 5\nlabels = [\"sad\"]")],
    );
    assert!(
        matches!(e, FitError::Task(TaskError::OneLabel { .. })),
        "{e}"
    );

    // Only s0 is ever sad: whoever holds s0 out has nothing to learn "sad" from.
    let mut lonely = table(3, 3, 1);
    for m in &mut lonely.meta {
        if m.emotion == "sad" && m.speaker != "s0" {
            m.emotion = "angry".into();
        }
    }
    let hold = [(
        "[checkpoint]",
        "[validation]\nhold_out = [\"s0\"]\n[checkpoint]",
    )];
    let e = try_fit(&lonely, &hold).to_string();
    assert!(e.contains("made/s0") && e.contains("'sad'"), "{e}");
    let hold = [(
        "[checkpoint]",
        "[validation]\nhold_out = [\"made/s7\"]\n[checkpoint]",
    )];
    let e = try_fit(&table(3, 3, 1), &hold).to_string();
    assert!(e.contains("made/s7") && e.contains("nearest"), "{e}");

    let mut no_session = table(3, 3, 1);
    no_session.meta[4].session = None;
    let e = try_fit(
        &no_session,
        &[(
            "[checkpoint]",
            "[validation]\nby = \"session\"\n[checkpoint]",
        )],
    )
    .to_string();
    assert!(e.contains("row 5") && e.contains("session"), "{e}");

    let empty = FeatureTable {
        rows: 0,
        values: vec![],
        meta: vec![],
        ..table(2, 2, 1)
    };
    assert!(matches!(
        try_fit(&empty, &[]),
        FitError::Task(TaskError::Empty { .. })
    ));
}

#[test]
fn divergence_is_an_error_that_names_its_stage() {
    let dir = tempfile::tempdir().unwrap();
    let c = config(&[(
        "pretrain_epochs = 6\nlearning_rate = 3e-3",
        "pretrain_epochs = 6\nlearning_rate = 1e30",
    )]);
    let e = run(&table(3, 3, 1), &c, dir.path(), false, None, Control::GoOn).unwrap_err();
    assert!(
        matches!(
            e,
            FitError::Diverged {
                stage: "pretrain",
                ..
            }
        ),
        "{e}"
    );
    assert!(e.to_string().contains("learning rate"));
}

fn scores(
    table: &FeatureTable,
    folds: FoldChoice,
    seeds: usize,
    jobs: usize,
) -> Result<Scores, EvaluateError> {
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("scores.json");
    let few = config(&[
        ("epochs = 25", "epochs = 12"),
        ("pretrain_epochs = 6", "pretrain_epochs = 2"),
        ("epochs = 4", "epochs = 2"),
    ]);
    let device = cpu();
    let options = EvaluateOptions {
        folds,
        seeds,
        jobs,
        device: &device,
        output: &output,
        int8: true,
        also: &[],
    };
    let scores = evaluate(table, &few, &options)?;
    assert_eq!(Scores::read(&output).unwrap(), scores);
    assert!(!dir.path().join("scores.json.partial").exists());
    Ok(scores)
}

#[test]
fn evaluation_tests_every_row_once_a_seed_and_does_not_depend_on_the_number_of_threads() {
    let table = table(5, 3, 9);
    let a = scores(&table, FoldChoice::Speaker, 2, 1).unwrap();
    let b = scores(&table, FoldChoice::Speaker, 2, 3).unwrap();
    assert_eq!(a, b);
    assert!(a.uar.mean > 0.8, "{}", a.uar.mean);
    assert_eq!((a.uar.per_seed.len(), a.folds.len()), (2, 10));
    for seed in [5, 6] {
        let mut rows: Vec<usize> = a
            .folds
            .iter()
            .filter(|f| f.seed == seed)
            .flat_map(|f| f.rows.clone())
            .collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..table.rows).collect::<Vec<_>>());
    }
    for fold in &a.folds {
        let speakers: Vec<&str> = fold
            .rows
            .iter()
            .map(|&r| table.meta[r].speaker.as_str())
            .collect();
        assert!(speakers.windows(2).all(|w| w[0] == w[1]));
        assert!(
            fold.rows
                .iter()
                .zip(&fold.truth)
                .all(|(&r, &t)| a.labels[t] == table.meta[r].emotion)
        );
    }
    assert!(
        a.protocol.contains("leave-one-speaker-out over 5 speakers")
            && a.protocol.contains("strict"),
        "{}",
        a.protocol
    );
    assert_eq!(a.for_bundle()[0].value, a.uar.mean);
    assert_eq!(a.held_out().unwrap().labels.len(), 2 * table.rows);

    let sessions = scores(&table, FoldChoice::Session, 1, 2).unwrap();
    assert_eq!(sessions.folds.len(), 3);
    let grouped = scores(&table, FoldChoice::Grouped(2), 1, 2).unwrap();
    assert_eq!(grouped.folds.len(), 2);
    assert!(matches!(
        scores(&table, FoldChoice::Grouped(6), 1, 1),
        Err(EvaluateError::Fit(FitError::Fold(
            FoldError::TooManyFolds {
                folds: 6,
                groups: 5,
                ..
            }
        )))
    ));
}

#[test]
fn a_bundle_takes_scores_only_of_its_own_configuration_and_table() {
    let table = table(4, 3, 9);
    let measured = scores(&table, FoldChoice::Grouped(2), 1, 2).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut control = |_: &_| Control::GoOn;
    let device = cpu();
    let mut with = |c: &Config| {
        fit(
            &table,
            c,
            &mut FitOptions {
                out: dir.path(),
                resume: false,
                overwrite: true,
                device: &device,
                scores: Some(&measured),
                control: &mut control,
            },
        )
    };
    let e = with(&config(&[])).unwrap_err().to_string();
    assert!(e.contains("classifier.epochs = 12 (now 25)"), "{e}");
    let few = config(&[
        ("epochs = 25", "epochs = 12"),
        ("pretrain_epochs = 6", "pretrain_epochs = 2"),
        ("epochs = 4", "epochs = 2"),
        ("every_seconds = 0.0", "every_seconds = 5.0"),
    ]);
    let outcome = with(&few).unwrap();
    assert_eq!(outcome.scores[0].value, measured.uar.mean);
    assert_eq!(
        outcome.held_out.unwrap().labels.len(),
        table.rows,
        "calibration uses the predictions of all folds"
    );
}

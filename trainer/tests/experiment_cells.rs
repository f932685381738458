//! Experiments as a library: test rows touch nothing that is fitted, cells do not depend on who computes them, and
//! what must not stand on both sides is refused.

mod support;

use std::path::Path;

use ser_trainer::data::task::Task;
use ser_trainer::device::{Chosen, DeviceChoice, choose};
use ser_trainer::experiment::ExperimentError;
use ser_trainer::experiment::cell::{CellResult, Context, Shared, compute};
use ser_trainer::experiment::config::{Experiment, Protocol};
use ser_trainer::experiment::plan::Plan;
use ser_trainer::experiment::run::{RunOptions, run};
use ser_trainer::experiment::split::{self, Data};
use ser_trainer::experiment::summary::Summary;
use ser_trainer::experiment::tables;
use ser_trainer::table::FeatureTable;
use support::{LABELS, table};

const TRAINING: &str = r#"
[training]
normaliser = { kind = "z-score", clip = 5.0 }
autoencoder = { code_size = 3, hidden = [16, 8], dropout = 0.1, pretrain_epochs = 3, learning_rate = 3e-3, batch_size = 16 }
gan = { epochs = 2, discriminator_hidden = [8] }
classifier = { hidden = [12], dropout = 0.2, learning_rate = 5e-3, epochs = 6, batch_size = 16 }
validation = { by = "speaker", fraction = 0.3, patience = 4 }

[prior-gan]
generator_hidden = [8]
discriminator_hidden = [8]
epochs = 3

[cycle-gan]
generator_hidden = [8]
discriminator_hidden = [8]
classifier_hidden = [8]
epochs = 2
classifier_epochs = 2

[autoencoder]
hidden = [12, 8, 6]
epochs = 3

[grid]
c = [1.0, 10.0]
gamma = [0.5, 1.0]
"#;

/// Every way to get from training rows to a classifier.
const METHODS: &str = r#"
[[method]]
id = "mixup-gan"
title = "mixup-GAN"
synthesis = "mixup-gan"
mixup = true
settings = ["real", "synthetic", "real+synthetic"]
[[method]]
id = "vanilla"
title = "vanilla"
synthesis = "prior-gan"
settings = ["real", "synthetic"]
[[method]]
id = "conditional"
title = "conditional"
synthesis = "conditional-gan"
settings = ["real", "synthetic"]
[[method]]
id = "cycle"
title = "cycle"
synthesis = "cycle-gan"
settings = ["synthetic"]
[[method]]
id = "copies"
title = "copies"
synthesis = "mixup"
settings = ["synthetic"]
[[method]]
id = "noise"
title = "noise"
synthesis = "noise"
settings = ["real+synthetic"]
[[method]]
id = "gaussian"
title = "gaussian"
synthesis = "class-gaussian"
settings = ["synthetic"]
[[method]]
id = "pca"
title = "pca"
reduction = "pca"
classifier = "svm-rbf"
mixup = true
[[method]]
id = "smacof"
title = "smacof"
reduction = "smacof"
classifier = "svm-linear"
[[method]]
id = "autoencoder"
title = "autoencoder"
reduction = "autoencoder"
classifier = "svm-rbf"
mixup = true
[[method]]
id = "encoder"
title = "encoder"
reduction = "mixup-gan"
classifier = "dnn"
mixup = true
[[method]]
id = "majority"
title = "majority"
classifier = "majority"
"#;

fn experiment(head: &str, methods: &str) -> Experiment {
    let text = format!("name = \"test\"\n{head}\n{TRAINING}\n{methods}");
    Experiment::from_toml(&text, "test.toml").unwrap()
}

fn cpu() -> Chosen {
    choose(DeviceChoice::Cpu).unwrap()
}

fn data(table: FeatureTable) -> Data {
    let test_from = table.rows;
    Data {
        table,
        test_from,
        source: None,
    }
}

/// All cells of the plan on `data`, each with parts of its own; with the plan's line of each.
fn all_cells(experiment: &Experiment, data: &Data) -> Vec<(String, CellResult)> {
    let task = Task::new(&data.table, &experiment.labels).unwrap();
    let plan = Plan::new(experiment, data, &task).unwrap();
    let device = cpu();
    let context = Context {
        experiment,
        data,
        task: &task,
        plan: &plan,
        device: &device.device,
    };
    let one = |i: usize| {
        let result = compute(&context, &plan.cells[i], &mut Shared::default()).unwrap();
        let line = plan.line(i);
        (line[..line.rfind('\t').unwrap()].to_owned(), result)
    };
    (0..plan.cells.len()).map(one).collect()
}

/// Numbers of the rows with one of the speakers, in a made table.
fn rows_of(table: &FeatureTable, speakers: &[&str]) -> Vec<usize> {
    let of = |i: &usize| speakers.contains(&table.meta[*i].speaker.as_str());
    (0..table.rows).filter(of).collect()
}

#[test]
fn poisoned_test_rows_leave_every_fitted_model_as_it_was() {
    let head =
        "seeds = 1\nprotocols = [\"strict\", \"transductive\", \"speaker\"]\n[split]\nfolds = 2";
    let experiment = experiment(head, METHODS);
    let clean = data(table(6, 4, 3));
    let before = all_cells(&experiment, &clean);
    assert_eq!(
        before.len(),
        3 * (16 - 1) * 2,
        "the GANs of Sahu et al. share their real cells"
    );
    for fold in 0..2 {
        let task = Task::new(&clean.table, &[]).unwrap();
        let plan = Plan::new(&experiment, &clean, &task).unwrap();
        let tested = plan.folds[fold].held_out.clone();
        let mut poisoned = clean.clone();
        let width = poisoned.table.names.len();
        for &i in &tested {
            for (c, v) in poisoned.table.values[i * width..(i + 1) * width]
                .iter_mut()
                .enumerate()
            {
                *v = -1e4 * ((i * 31 + c * 17) % 101) as f32;
            }
            // Any label will do, as long as the classes stay what they are.
            let shifted = (i * 7 + 1) % LABELS.len();
            poisoned.table.meta[i].emotion = LABELS[shifted].into();
        }
        let after = all_cells(&experiment, &poisoned);
        let mut compared = 0;
        let mut moved = 0;
        for ((line, a), (same_line, b)) in before.iter().zip(&after) {
            assert_eq!(line, same_line);
            if a.fold != plan.folds[fold].name {
                continue;
            }
            compared += 1;
            assert_eq!(
                a.model_sha256, b.model_sha256,
                "{line}: the fitted model moved"
            );
            assert_eq!(
                a.chosen, b.chosen,
                "{line}: the choice of epochs or hyper-parameters moved"
            );
            assert_eq!(a.validation_uar, b.validation_uar, "{line}");
            assert_eq!(a.similarity, b.similarity, "{line}");
            moved += usize::from(a.predicted != b.predicted || a.truth != b.truth);
        }
        assert_eq!(compared, before.len() / 2);
        assert_eq!(moved, compared, "the poison did not arrive");
    }
}

#[test]
fn the_check_with_poison_would_notice_a_leak() {
    // The joint embedding is allowed to see test features: its model must move, or the test above proves nothing.
    let methods = r#"
[[method]]
id = "joint"
title = "joint"
reduction = "smacof-joint"
classifier = "svm-rbf"
"#;
    let experiment = experiment(
        "seeds = 1\nprotocols = [\"transductive\"]\n[split]\nfolds = 2",
        methods,
    );
    let clean = data(table(6, 4, 3));
    let before = all_cells(&experiment, &clean);
    let mut poisoned = clean.clone();
    let task = Task::new(&clean.table, &[]).unwrap();
    let plan = Plan::new(&experiment, &clean, &task).unwrap();
    let width = poisoned.table.names.len();
    for &i in &plan.folds[0].held_out {
        for (c, v) in poisoned.table.values[i * width..(i + 1) * width]
            .iter_mut()
            .enumerate()
        {
            *v = ((i * 31 + c * 17) % 101) as f32;
        }
    }
    let after = all_cells(&experiment, &poisoned);
    assert_ne!(before[0].1.model_sha256, after[0].1.model_sha256);
}

#[test]
fn results_do_not_depend_on_jobs_order_or_company() {
    let experiment = experiment("seeds = 2\n[split]\nfolds = 2", METHODS);
    let data = data(table(6, 4, 3));
    let task = Task::new(&data.table, &[]).unwrap();
    let plan = Plan::new(&experiment, &data, &task).unwrap();
    let device = cpu();
    let whole = |jobs: usize, out: &Path| {
        let options = RunOptions {
            out,
            jobs,
            resume: false,
            cells: None,
            device: &device,
        };
        let results = run(&experiment, &data, &task, &plan, &options).unwrap();
        results
            .into_iter()
            .map(|r| without_time(r.unwrap()))
            .collect::<Vec<_>>()
    };
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = whole(1, a.path());
    assert_eq!(one, whole(3, b.path()));
    // Each cell by itself, in another order, as a cluster's scheduler computes them.
    let c = tempfile::tempdir().unwrap();
    for k in (0..plan.cells.len()).rev() {
        let options = RunOptions {
            out: c.path(),
            jobs: 1,
            resume: false,
            cells: Some(&[k]),
            device: &device,
        };
        run(&experiment, &data, &task, &plan, &options).unwrap();
    }
    let options = RunOptions {
        out: c.path(),
        jobs: 1,
        resume: true,
        cells: None,
        device: &device,
    };
    let assembled = run(&experiment, &data, &task, &plan, &options).unwrap();
    for (x, y) in one.iter().zip(assembled) {
        assert_eq!(*x, without_time(y.unwrap()));
    }
}

/// The result without what differs from run to run, and without losses of parts that another cell fitted.
fn without_time(mut result: CellResult) -> CellResult {
    result.seconds = 0.0;
    result.losses.clear();
    result
}

#[test]
fn each_side_is_normalised_as_its_protocol_says() {
    let experiment = experiment("seeds = 1\n[split]\nfolds = 2", METHODS);
    let data = data(table(6, 4, 3));
    let task = Task::new(&data.table, &[]).unwrap();
    let (folds, _) = split::folds(&experiment, &task, data.test_from).unwrap();
    let method = &experiment.methods[0];
    let config = experiment
        .training(method, method.settings[0], "t")
        .unwrap();
    let split = split::with_validation(&experiment, &task, &folds[0], &config, 1).unwrap();
    let prepared = |protocol| {
        split::prepare(
            &data,
            &task,
            &split,
            experiment.split.kind,
            protocol,
            &config.normaliser,
        )
        .unwrap()
    };
    let mean = |values: &[f32], rows: &[usize]| {
        let width = data.table.names.len();
        let mut sum = vec![0.0f64; width];
        for &r in rows {
            for (s, v) in sum.iter_mut().zip(&values[r * width..]) {
                *s += f64::from(*v) / rows.len() as f64;
            }
        }
        sum.iter().fold(0.0f64, |a, b| a.max(b.abs()))
    };
    let all = |n: usize| (0..n).collect::<Vec<_>>();
    let strict = prepared(Protocol::Strict);
    let learned = [
        strict.train.values.clone(),
        strict.validation.values.clone(),
    ]
    .concat();
    let n = split.train.len() + split.validation.len();
    assert!(
        mean(&learned, &all(n)) < 1e-4,
        "training and validation rows centre the features"
    );
    assert!(
        mean(&strict.test.values, &all(split.test.len())) > 0.05,
        "test rows are moved by the training rows' statistics"
    );
    let transductive = prepared(Protocol::Transductive);
    assert_eq!(
        transductive.train.values, strict.train.values,
        "one corpus: the same statistics"
    );
    assert!(mean(&transductive.test.values, &all(split.test.len())) < 1e-4);
    let speaker = prepared(Protocol::Speaker);
    for (rows, side) in [(&split.train, &speaker.train), (&split.test, &speaker.test)] {
        let name = |i: usize| data.table.meta[rows[i]].speaker.clone();
        for s in ["s0", "s1", "s2", "s3", "s4", "s5"] {
            let own: Vec<usize> = (0..rows.len()).filter(|&i| name(i) == s).collect();
            assert!(own.is_empty() || mean(&side.values, &own) < 1e-4, "{s}");
        }
    }
}

fn refused(experiment: &Experiment, data: &Data) -> String {
    let task = Task::new(&data.table, &experiment.labels).unwrap();
    match Plan::new(experiment, data, &task) {
        Err(e @ ExperimentError::Leak(_)) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_recording_or_speaker_on_both_sides_is_refused() {
    let by_speaker = experiment("seeds = 1\n[split]\nby = \"speaker\"", METHODS);
    let mut twins = table(4, 3, 3);
    let width = twins.names.len();
    let (a, b) = (rows_of(&twins, &["s0"])[0], rows_of(&twins, &["s2"])[1]);
    let copied = twins.values[a * width..(a + 1) * width].to_vec();
    twins.values[b * width..(b + 1) * width].copy_from_slice(&copied);
    let words = refused(&by_speaker, &data(twins.clone()));
    assert!(
        words.contains(&twins.meta[a].path) && words.contains(&twins.meta[b].path),
        "{words}"
    );

    let by_session = experiment("seeds = 1\n[split]\nby = \"session\"", METHODS);
    let mut wanderer = table(4, 3, 3);
    for i in rows_of(&wanderer, &["s1"]).into_iter().take(2) {
        wanderer.meta[i].session = Some("1".into());
    }
    let words = refused(&by_session, &data(wanderer));
    assert!(words.contains("speaker 's1' of made"), "{words}");
}

#[test]
fn transfer_tests_on_the_other_corpus_and_chooses_on_its_development_rows() {
    let methods = r#"
[[method]]
id = "gan"
title = "gan"
synthesis = "mixup-gan"
mixup = true
settings = ["real", "synthetic", "real+synthetic"]
"#;
    let head = "seeds = 2\nprotocols = [\"transductive\", \"strict\"]\n[split]\nkind = \"transfer\"\ndevelopment = 0.25";
    let experiment = experiment(head, methods);
    let near = table(4, 4, 3);
    let mut far = table(5, 4, 9);
    for m in &mut far.meta {
        m.corpus = "other".into();
    }
    let joined = FeatureTable::join(vec![
        (Path::new("near.parquet"), near.clone()),
        (Path::new("far.parquet"), far.clone()),
    ])
    .unwrap();
    let data = Data {
        table: joined,
        test_from: near.rows,
        source: None,
    };
    let cells = all_cells(&experiment, &data);
    assert_eq!(cells.len(), 3 * 2 * 2);
    for (line, cell) in &cells {
        assert_eq!(cell.fold, "made -> other", "{line}");
        assert_eq!(cell.validation_rows, 15, "a quarter of 60");
        assert_eq!(cell.rows.len(), 45);
        assert!(cell.rows.iter().all(|&r| r >= near.rows), "{line}");
        let of_class = |c| cell.truth.iter().filter(|&&t| t == c).count();
        assert_eq!([of_class(0), of_class(1), of_class(2)], [15, 15, 15]);
    }
    let task = Task::new(&data.table, &[]).unwrap();
    let plan = Plan::new(&experiment, &data, &task).unwrap();
    let results: Vec<CellResult> = cells.into_iter().map(|c| c.1).collect();
    let summary = Summary::new(&experiment, &data, &task, &plan, &results, &cpu()).unwrap();
    assert_eq!(summary.entries.len(), 6);
    assert!(summary.entries[0].against.is_none() && summary.entries[1].against.is_some());
    // The same corpus on both sides is not a transfer.
    let twice = FeatureTable::join(vec![
        (Path::new("near.parquet"), near.clone()),
        (Path::new("again.parquet"), near),
    ]);
    let words = twice.unwrap_err().to_string();
    assert!(
        words.contains("again.parquet") && words.contains("of near.parquet"),
        "{words}"
    );
}

#[test]
fn scores_are_those_of_the_predictions() {
    let methods = r#"
[[method]]
id = "linear"
title = "linear"
classifier = "svm-linear"
paper = { real = [60.0, 0.5] }
[[method]]
id = "majority"
title = "majority"
classifier = "majority"
"#;
    let experiment = experiment("seeds = 2\n[split]\nfolds = 3", methods);
    let data = data(table(6, 4, 3));
    let task = Task::new(&data.table, &[]).unwrap();
    let plan = Plan::new(&experiment, &data, &task).unwrap();
    let results: Vec<CellResult> = all_cells(&experiment, &data)
        .into_iter()
        .map(|c| c.1)
        .collect();
    let summary = Summary::new(&experiment, &data, &task, &plan, &results, &cpu()).unwrap();
    let [linear, majority] = summary.entries.as_slice() else {
        panic!("{:?}", summary.entries)
    };
    assert_eq!(majority.uar.mean, 1.0 / 3.0);
    assert_eq!(
        majority
            .recall
            .iter()
            .flatten()
            .filter(|r| **r == 1.0)
            .count(),
        1
    );
    // By hand: recalls of all predictions of a seed.
    for (seed, &uar) in summary.seeds.iter().zip(&linear.uar.per_seed) {
        let mut right = [0.0; 3];
        let mut rows = [0.0; 3];
        for r in results
            .iter()
            .filter(|r| r.recipe.seed == *seed && linear.cells.contains(&r.id))
        {
            for (&t, &p) in r.truth.iter().zip(&r.predicted) {
                rows[t] += 1.0;
                right[t] += f64::from(u8::from(t == p));
            }
        }
        let by_hand = (0..3).map(|c| right[c] / rows[c]).sum::<f64>() / 3.0;
        assert!((uar - by_hand).abs() < 1e-12);
        assert_eq!(rows, [24.0; 3], "every row is tested once");
    }
    let against = majority.against.as_ref().unwrap();
    let gap = majority.mean_fold_uar.mean - linear.mean_fold_uar.mean;
    assert!((against.difference.mean - gap).abs() < 1e-12);
    assert!(linear.uar.mean > 0.8, "an easy task: {}", linear.uar.mean);
    let text = tables::markdown(&summary);
    assert!(
        text.contains("(paper: 60.00 ± 0.50)") && text.contains("| majority | real | 33.3 ± 0.0 |"),
        "{text}"
    );
    let tex = tables::latex(&summary);
    assert!(
        tex.contains("\\toprule") && tex.contains("33.3 $\\pm$ 0.0") && !tex.contains('±'),
        "{tex}"
    );
}

#[test]
fn what_does_not_fit_together_is_named() {
    let bad = |head: &str, methods: &str, wanted: &str| {
        let text = format!("name = \"test\"\n{head}\n{methods}");
        let words = Experiment::from_toml(&text, "bad.toml")
            .unwrap_err()
            .to_string();
        assert!(
            words.contains("bad.toml") && words.contains(wanted),
            "{wanted}: {words}"
        );
    };
    let plain = "[[method]]\nid = \"a\"\ntitle = \"A\"\n";
    bad("", "", "method");
    bad("seedz = 3", plain, "seedz");
    bad("seeds = 0", plain, "`seeds`");
    bad("protocols = [\"loose\"]", plain, "loose");
    bad("reference = \"b/real\"", plain, "`reference`");
    bad("[split]\nfolds = 1", plain, "`split.folds`");
    bad(
        "[training.classifier]\nlerning_rate = 1.0",
        plain,
        "classifier.learning_rate",
    );
    bad(
        "[training.classifier]\ndropout = 1.5",
        plain,
        "classifier.dropout",
    );
    bad(
        "[training.validation]\nby = \"none\"",
        plain,
        "validation.by",
    );
    bad(
        "[training-of.synthetic.gan]\nepochs = 3",
        plain,
        "only `classifier` keys",
    );
    bad("[prior-gan]\nlatent = 1", plain, "latent");
    bad("[prior-gan]\nconditional = true", plain, "conditional");
    bad(
        "",
        &format!("{plain}settings = [\"synthetic\"]"),
        "need `synthesis`",
    );
    bad(
        "",
        &format!("{plain}reduction = \"smacof-joint\""),
        "strict",
    );
    bad("", &format!("{plain}{plain}"), "two methods");
    bad(
        "",
        &format!("{plain}paper = {{ synthetic = [1.0] }}"),
        "'synthetic'",
    );
    let missing = Experiment::read("no-such-experiment")
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("table1, table2, table3, table1-small, table3-small, quick"),
        "{missing}"
    );
    for (name, _) in ser_trainer::experiment::config::READY_MADE {
        Experiment::read(name).unwrap();
    }
}

//! Pages from numbers made by hand.

use serde_json::{Map, json};

use super::*;
use crate::augment::EpochLosses;
use crate::experiment::cell::{Curve, Map2d};
use crate::experiment::config::{ClassifierKind, Reduction, Synthesis};
use crate::experiment::findings::made;
use crate::experiment::plan::Recipe;

/// A cell of the synthetic entry, with a map and losses.
fn cell() -> CellResult {
    let losses = |epoch| EpochLosses {
        class: Some(0),
        epoch,
        numbers: Map::from_iter([("generator_loss".to_owned(), json!(0.5))]),
    };
    CellResult {
        id: "gan synthetic".into(),
        recipe: Recipe {
            setting: Setting::Synthetic,
            protocol: Protocol::Strict,
            mixup: false,
            synthesis: Synthesis::MixupGan,
            reduction: Reduction::None,
            classifier: ClassifierKind::Dnn,
            config: json!({}),
            seed: 1,
        },
        fold: "speakers <x>".into(),
        rows: vec![0],
        truth: vec![0],
        predicted: vec![0],
        real_rows: 0,
        synthetic_rows: 5,
        validation_rows: 0,
        validation_uar: None,
        chosen: json!({}),
        model_sha256: String::new(),
        similarity: None,
        losses: vec![Curve {
            of: "generator".into(),
            epochs: vec![losses(1), losses(2)],
        }],
        map: Some(Map2d {
            real: vec![(0.0, 1.0, 0)],
            synthetic: vec![(1.0, 0.0, 1)],
            explained: 0.4,
        }),
        seconds: 1.0,
    }
}

fn all() -> Summary {
    let test = Some((-2.0, -3.5, -0.5, 0.01, 0.03));
    made::summary(vec![
        made::entry("gan", Setting::Real, 0.6, None),
        made::entry("gan", Setting::Synthetic, 0.5, test),
        made::entry("gan", Setting::RealAndSynthetic, 0.58, test),
        made::entry("pca", Setting::Real, 0.4, test),
    ])
}

fn written(summary: &Summary, results: &[CellResult]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), summary, results).unwrap();
    let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
    (dir, page)
}

/// Well-formed: every element closed in its place, every character escaped.
fn parse(text: &str) {
    for event in xml::EventReader::from_str(text) {
        assert!(event.is_ok(), "{event:?} in {text}");
    }
}

#[test]
fn the_page_is_well_formed_escaped_and_needs_no_network() {
    let (dir, page) = written(&all(), &[cell()]);
    parse(&page);
    for escaped in [
        "A &lt;b&gt;title&lt;/b&gt; &amp; more",
        "&lt;i&gt;note",
        "&lt;gan&gt; &amp; co",
        "corpus &lt;1&gt;",
        "speakers &lt;x&gt;",
    ] {
        assert!(page.contains(escaped), "{escaped}");
    }
    let links = page.replace("http://www.w3.org/2000/svg", "");
    for outside in [
        "http:", "https:", "//cdn", "src=", "@import", "<script", "url(",
    ] {
        assert!(!links.contains(outside), "{outside}");
    }
    let mut files: Vec<String> = std::fs::read_dir(dir.path().join("plots"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "confusion_strict_gan_real+synthetic.svg",
            "confusion_strict_gan_real.svg",
            "confusion_strict_gan_synthetic.svg",
            "confusion_strict_pca_real.svg",
            "difference_strict.svg",
            "losses_strict_gan_1.svg",
            "map_strict_gan.svg",
            "uar_strict.svg"
        ]
    );
    for file in files {
        let svg = std::fs::read_to_string(dir.path().join("plots").join(file)).unwrap();
        parse(&svg);
        assert!(page.contains(&svg));
    }
}

#[test]
fn every_entry_is_in_tables_and_plots() {
    let summary = all();
    let (_dir, page) = written(&summary, &[]);
    for e in &summary.entries {
        assert_eq!(
            page.matches(&percent(&e.uar)).count(),
            3 + usize::from(e.uar == e.accuracy),
            "{e:?}"
        );
        let head = format!("<code>{}</code></th><td>{}</td>", e.method, e.setting);
        assert_eq!(page.matches(&head).count(), 2, "{head}");
    }
    assert!(page.contains("ser-train run experiment.toml --features 'a b.parquet' -o again"));
}

#[test]
fn one_seed_has_no_intervals_and_protocols_stand_apart() {
    let mut summary = all();
    summary.seeds.truncate(1);
    for e in &mut summary.entries {
        e.against = None;
        for score in [&mut e.uar, &mut e.mean_fold_uar, &mut e.accuracy] {
            (score.std, score.interval) = (None, None);
            score.per_seed.truncate(1);
        }
    }
    let mut other = summary.entries[3].clone();
    other.protocol = Protocol::Transductive;
    summary.entries.push(other);
    let (dir, page) = written(&summary, &[]);
    parse(&page);
    assert!(page.contains("One seed: no intervals.") && !page.contains('±'));
    assert!(
        page.contains("<section id=\"strict\">") && page.contains("<section id=\"transductive\">")
    );
    assert!(page.contains("not part of this protocol"));
    assert!(!dir.path().join("plots/difference_strict.svg").exists());
}

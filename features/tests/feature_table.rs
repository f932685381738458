//! `FEATURES.md`, the table of all features, says what the code does.
#![cfg(feature = "std")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use ser_features::{FEATURE_COUNT, FeatureSet, feature_name};

/// What a functional says about a contour, by the end of the name.
const FUNCTIONALS: [(&str, &str); 21] = [
    ("maxPos", "where the first maximum lies, 0..1 of the length"),
    ("minPos", "where the first minimum lies, 0..1 of the length"),
    ("amean", "mean"),
    ("linregc1", "slope of the regression line, per frame"),
    ("linregc2", "offset of the regression line"),
    (
        "linregerrA",
        "mean absolute deviation from the regression line",
    ),
    (
        "linregerrQ",
        "mean squared deviation from the regression line",
    ),
    ("stddev", "standard deviation (of the population)"),
    ("skewness", "skewness"),
    ("kurtosis", "kurtosis (3 for a Gaussian)"),
    ("quartile1", "first quartile"),
    ("quartile2", "median"),
    ("quartile3", "third quartile"),
    ("iqr1-2", "median - first quartile"),
    ("iqr2-3", "third quartile - median"),
    ("iqr1-3", "third quartile - first quartile"),
    ("percentile1.0", "1st percentile"),
    ("percentile99.0", "99th percentile"),
    ("pctlrange0-1", "99th percentile - 1st percentile"),
    (
        "upleveltime75",
        "share of frames above minimum + 75 % of the range",
    ),
    (
        "upleveltime90",
        "share of frames above minimum + 90 % of the range",
    ),
];

/// What a contour is, by the beginning of the name; `#` stands for its number.
const CONTOURS: [(&str, &str); 10] = [
    ("pcm_loudness", "loudness"),
    ("pcm_fftMag_mfcc", "MFCC #"),
    ("logMelFreqBand", "log power of mel band # (20 to 6500 Hz)"),
    ("lspFreq", "line spectral frequency # (radians at 11 kHz)"),
    ("F0finEnv", "F0 held through pauses (Hz)"),
    ("voicingFinalUnclipped", "probability of voicing"),
    ("F0final", "F0 of voiced frames (Hz)"),
    ("jitterLocal", "local jitter of voiced frames"),
    ("jitterDDP", "jitter of jitter (DDP) of voiced frames"),
    ("shimmerLocal", "local shimmer of voiced frames"),
];

fn meaning(name: &str) -> String {
    match name {
        "F0final__Turn_numOnsets" => return "number of voiced stretches".to_owned(),
        "F0final__Turn_duration" => return "duration of the utterance, s".to_owned(),
        _ => {}
    }
    let (contour, functional) = name.rsplit_once('_').expect("contour_functional");
    let (contour, is_slope) = match contour.split_once("_sma_de") {
        Some((base, number)) => (format!("{base}{number}"), true),
        None => (contour.replacen("_sma", "", 1), false),
    };
    let (base, number) = contour.split_once('[').unwrap_or((&contour, ""));
    let find = |table: &[(&str, &'static str)], key: &str| -> &'static str {
        let found = table.iter().find(|(k, _)| *k == key);
        found
            .unwrap_or_else(|| panic!("{key} of {name} has no meaning"))
            .1
    };
    let functional = find(&FUNCTIONALS, functional);
    let contour = find(&CONTOURS, base).replace('#', number.trim_end_matches(']'));
    let slope = if is_slope { "the slope of " } else { "" };
    format!("{functional}; of {slope}{contour}")
}

fn table() -> String {
    let mut out = String::from(
        "All features of `emobase2010` in order; contours are smoothed over three frames of 10 ms. `is10-paraling-compat` has the same\n\
         contours and functionals; its names say `mfcc` for `pcm_fftMag_mfcc`, and its `maxPos` and `minPos` count frames.\n\n\
         | index | name | meaning |\n|---|---|---|\n",
    );
    for index in 0..FEATURE_COUNT {
        let name = feature_name(FeatureSet::Emobase2010, index)
            .expect("name")
            .to_string();
        writeln!(out, "| {index} | `{name}` | {} |", meaning(&name)).expect("string");
    }
    out
}

#[test]
fn the_table_of_features_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("FEATURES.md");
    if std::env::var_os("UPDATE_FEATURES").is_some() {
        fs::write(&file, table()).expect("written");
    }
    let committed = fs::read_to_string(&file).expect("FEATURES.md");
    assert!(
        committed == table(),
        "FEATURES.md is out of date: UPDATE_FEATURES=1 cargo test -p ser-features --features std --test feature_table"
    );
}

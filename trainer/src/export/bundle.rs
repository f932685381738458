//! From a [`FitOutcome`] to the bundle folder.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ser_features::{EXTRACTOR_VERSION, FeatureSet};
use ser_runtime::bundle::{
    self, BundleError, ClassifierInfo, EncoderInfo, FORMAT_VERSION, FeatureSetInfo, Manifest,
    Producer, bundle_id, sha256_hex,
};
use serde_json::Value;

use super::calibrate::{CalibrateError, calibrate};
use super::card::{self, CardConfig};
use super::onnx::{self, GraphText, OnnxError};
use super::static_model::{self, StaticExportError, StaticFiles};
use crate::model::FitOutcome;
use crate::plots::PlotError;
use crate::report::ReportError;
use crate::table::FeatureTable;

/// Name of the encoder's file.
pub const ENCODER_FILE: &str = "encoder.onnx";
/// Name of the classifier's file.
pub const CLASSIFIER_FILE: &str = "classifier.onnx";
/// Name of the model card's file.
pub const CARD_FILE: &str = "MODEL_CARD.md";

/// Why a training could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The model cannot be written as ONNX.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The model has no flat file.
    #[error(transparent)]
    Static(#[from] StaticExportError),
    /// A file cannot be written.
    #[error("cannot write {}: {source}{}", path.display(), crate::atomic::write_hint(source))]
    Write {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The temperature cannot be fitted.
    #[error(transparent)]
    Calibrate(#[from] CalibrateError),
    /// The folder cannot be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The table's features were measured by another extractor than the one that devices will run.
    #[error(
        "the feature table holds {set} measured by extractor version {found}, this program extracts version \
         {EXTRACTOR_VERSION}: a model of the old features would misread new recordings; run ser-train extract again"
    )]
    Extractor {
        /// Id of the feature set.
        set: String,
        /// The version that the table states.
        found: String,
    },
    /// The column names are not those of the feature set that the table claims to hold.
    #[error(
        "the feature table says that it holds {set}, but column {column} is {found}, not {expected}; \
         run ser-train extract again"
    )]
    Names {
        /// Id of the feature set.
        set: String,
        /// Index of the first wrong column, from 1.
        column: usize,
        /// Its name in the table.
        found: String,
        /// Its name in the set.
        expected: String,
    },
    /// A plot cannot be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// The report cannot be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// `SOURCE_DATE_EPOCH` is set to something that is no time before the year 10000.
    #[error("SOURCE_DATE_EPOCH is {0:?}; it must be a whole number of seconds since 1970")]
    SourceDateEpoch(String),
}

/// What the outcome of a training does not say.
#[derive(Debug, Clone, Default)]
pub struct BundleOptions {
    /// Name of the model where the card's configuration gives none.
    pub name: String,
    /// The command line that made it, for the card.
    pub command: String,
    /// The `[card]` section of the configuration.
    pub card: CardConfig,
    /// Time of export in seconds since 1970; where absent, the environment variable
    /// `SOURCE_DATE_EPOCH`, and the clock where that is not set.
    pub created: Option<u64>,
}

/// Whether a model of this table can become a bundle: features of a built-in set must be those that
/// this program extracts. Worth asking before a long training.
///
/// # Errors
/// [`ExportError::Extractor`], [`ExportError::Names`].
pub fn check_table(table: &FeatureTable) -> Result<(), ExportError> {
    let tag = &table.feature_set;
    let Some(set) = FeatureSet::from_id(&tag.id) else {
        return Ok(());
    };
    // Where no version is stated the names alone speak: openSMILE measured, or the statement was lost.
    if let Some(found) = &tag.extractor_version
        && found != EXTRACTOR_VERSION
    {
        return Err(ExportError::Extractor {
            set: tag.id.clone(),
            found: found.clone(),
        });
    }
    let expected = ser_features::feature_names(set);
    let columns = expected.len().max(table.names.len());
    match (0..columns).find(|&i| expected.get(i) != table.names.get(i)) {
        None => Ok(()),
        Some(column) => {
            let at = |names: &[String]| match names.get(column) {
                Some(name) => format!("{name:?}"),
                None => "missing".into(),
            };
            Err(ExportError::Names {
                set: tag.id.clone(),
                column: column + 1,
                found: at(&table.names),
                expected: at(&expected),
            })
        }
    }
}

/// Writes the bundle `dir` and returns its manifest.
///
/// Everything is made in memory first; [`ser_runtime::bundle::write`] then replaces the folder as a
/// whole, so that a crash or a full disk leaves an earlier bundle as it was. The same outcome gives
/// the same bytes when the time is given.
///
/// # Errors
/// See [`ExportError`].
pub fn write(
    dir: &Path,
    outcome: &FitOutcome,
    options: &BundleOptions,
) -> Result<Manifest, ExportError> {
    let created = match options.created {
        Some(seconds) => seconds,
        None => {
            let variable = std::env::var_os("SOURCE_DATE_EPOCH");
            export_time(variable.as_ref().map(|v| v.to_string_lossy()).as_deref())?
        }
    };
    let created =
        rfc3339(created).ok_or_else(|| ExportError::SourceDateEpoch(created.to_string()))?;
    let (mut manifest, encoder, classifier) = assemble(outcome, options, created)?;
    // Before the flat files, so that what is wrong with the manifest is said in its own words.
    manifest.validate(&dir.display().to_string())?;
    // The card prints the id, which otherwise only `bundle::write` would fill in.
    manifest.id = bundle_id(&sha256_hex(&encoder), &sha256_hex(&classifier));
    let card = card::markdown(&manifest, &options.card, &options.command);
    let parts = static_model::parts(&outcome.model, &manifest)?;
    let flat = StaticFiles::new(&parts, &outcome.rows)?;
    let mut files: Vec<(&str, &[u8])> = vec![
        (ENCODER_FILE, &encoder),
        (CLASSIFIER_FILE, &classifier),
        (CARD_FILE, card.as_bytes()),
    ];
    files.extend(flat.named());
    Ok(bundle::write(dir, &manifest, &files)?)
}

/// The manifest, without id and files, and the two graphs.
fn assemble(
    outcome: &FitOutcome,
    options: &BundleOptions,
    created: String,
) -> Result<(Manifest, Vec<u8>, Vec<u8>), ExportError> {
    let model = &outcome.model;
    let calibration = calibrate(outcome.held_out.as_ref(), model.labels.len())?;
    let feature_set = FeatureSetInfo::new(&outcome.feature_set, &outcome.feature_names);
    let name = match options.card.name.as_str() {
        "" => options.name.clone(),
        name => name.to_owned(),
    };
    let text = GraphText {
        // Without the name: equal weights are to give equal files, and so an equal id.
        description: "Speech emotion recognition by ser-edge.".into(),
        metadata: vec![
            ("ser_edge.format_version".into(), FORMAT_VERSION.to_string()),
            ("ser_edge.feature_set".into(), feature_set.id.clone()),
            (
                "ser_edge.feature_names_sha256".into(),
                feature_set.names_sha256.clone(),
            ),
            (
                "ser_edge.extractor_version".into(),
                feature_set.extractor_version.clone(),
            ),
        ],
    };
    let encoder = onnx::encoder(model, &text)?;
    let classifier = onnx::classifier(model, calibration.temperature, &text)?;
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        id: String::new(),
        name,
        created,
        producer: Producer {
            name: onnx::PRODUCER.into(),
            version: env!("CARGO_PKG_VERSION").into(),
        },
        feature_set,
        labels: model.labels.clone(),
        normaliser: model.normaliser.clone(),
        sample_rates: outcome.sample_rates.clone(),
        hearing: outcome.hearing.clone(),
        audio: "Utterances are found at the recording's own rate and brought to the rate of the training table before \
                their features are computed, to the nearest of these rates where the table was measured at native \
                rates (polyphase filter, 92 % of the narrower band). What the recording's own rate never held, such as the band above 4 kHz of a \
                telephone line, stays missing and costs accuracy."
            .into(),
        encoder: EncoderInfo {
            file: ENCODER_FILE.into(),
            input: onnx::FEATURES.into(),
            output: onnx::CODE.into(),
            input_dim: model.width(),
            output_dim: model.code_len(),
            opset: onnx::OPSET,
        },
        classifier: ClassifierInfo {
            file: CLASSIFIER_FILE.into(),
            input: onnx::CODE.into(),
            logits: onnx::LOGITS.into(),
            probabilities: onnx::PROBABILITIES.into(),
            input_dim: model.code_len(),
            output_dim: model.labels.len(),
            opset: onnx::OPSET,
        },
        calibration,
        training: with_short_numbers(&outcome.config),
        data: outcome.data.clone(),
        scores: outcome.scores.clone(),
        versions: outcome.versions.clone(),
        files: Default::default(),
    };
    Ok((manifest, encoder, classifier))
}

/// `value` with every number that is an `f32` in disguise written as that `f32` is: 0.01, not
/// 0.009999999776482582.
fn with_short_numbers(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(with_short_numbers).collect(),
        Value::Object(map) => {
            let entries = map.iter();
            entries
                .map(|(key, value)| (key.clone(), with_short_numbers(value)))
                .collect()
        }
        Value::Number(number) if number.is_f64() => {
            let wide = number.as_f64().unwrap_or_default();
            let narrow = wide as f32;
            let short = narrow.to_string().parse::<f64>();
            match short {
                Ok(short) if f64::from(narrow) == wide && short as f32 == narrow => short.into(),
                _ => value.clone(),
            }
        }
        other => other.clone(),
    }
}

/// The time of export: `source_date_epoch` where given, now otherwise.
fn export_time(source_date_epoch: Option<&str>) -> Result<u64, ExportError> {
    match source_date_epoch {
        Some(text) => text
            .trim()
            .parse()
            .map_err(|_| ExportError::SourceDateEpoch(text.to_owned())),
        // A clock before 1970 is a clock that was never set.
        None => Ok(SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs())),
    }
}

/// Seconds since 1970 in the Gregorian calendar; `None` after the year 9999.
///
/// Years are counted from 1 March, so that the day that leap years add is the last of a year.
fn rfc3339(seconds: u64) -> Option<String> {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // 719 468 days lie between 1 March of the year 0 and 1 January 1970.
    let days = days.checked_add(719_468)?;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    (year <= 9999).then(|| {
        format!(
            "{year:04}-{month:02}-{day_of_month:02}T{:02}:{:02}:{:02}Z",
            time / 3_600,
            time / 60 % 60,
            time % 60
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{FeatureSetTag, RowMeta};

    #[test]
    fn only_features_of_this_extractor_become_a_bundle() {
        let names = ser_features::feature_names(FeatureSet::Emobase2010);
        let tag = FeatureSetTag {
            id: "emobase2010".into(),
            extractor_version: Some(EXTRACTOR_VERSION.into()),
            hearing: None,
        };
        let mut table = FeatureTable {
            feature_set: tag,
            rows: 0,
            values: Vec::new(),
            meta: Vec::<RowMeta>::new(),
            names,
        };
        assert!(check_table(&table).is_ok());
        table.names.swap(3, 4);
        let error = check_table(&table).unwrap_err().to_string();
        assert!(error.contains("column 4"), "{error}");
        table.names.swap(3, 4);
        table.feature_set.extractor_version = None;
        assert!(check_table(&table).is_ok());
        table.feature_set.extractor_version = Some("0".to_owned());
        assert!(matches!(
            check_table(&table),
            Err(ExportError::Extractor { .. })
        ));
        table.feature_set = FeatureSetTag::custom();
        assert!(check_table(&table).is_ok());
    }

    #[test]
    fn settings_read_as_they_were_written() {
        let config = serde_json::json!({
            "slope": 0.01f32, "rates": [1e-4f64, 0.5f32, 0.1f64, 3e-5f32], "n": 3, "t": "0.01", "none": null
        });
        assert_eq!(
            with_short_numbers(&config).to_string(),
            r#"{"n":3,"none":null,"rates":[0.0001,0.5,0.1,0.00003],"slope":0.01,"t":"0.01"}"#
        );
    }

    #[test]
    fn times_match_the_calendar() {
        // date -u -d @N +%FT%TZ
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds).as_deref(), Some(expected));
        }
        assert_eq!(rfc3339(253_402_300_800), None);
        assert_eq!(rfc3339(u64::MAX), None);
        assert_eq!(export_time(Some("951782400")).ok(), Some(951_782_400));
        assert!(matches!(
            export_time(Some("tomorrow")),
            Err(ExportError::SourceDateEpoch(_))
        ));
    }
}

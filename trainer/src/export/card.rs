//! The model card: what a bundle is, what it was made from, how good it is, what it is not for.
//!
//! Everything in it comes from the manifest, so card and manifest cannot disagree.

use ser_runtime::bundle::{Manifest, Score};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calibrate::ECE_BINS;
use super::document::{Block, to_markdown};

/// Where the `data` of a manifest says what was chosen for a device.
pub const BUDGET_KEY: &str = "budget";

/// The `[card]` section of a training configuration: what no program can know. An empty text means
/// "not stated".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardConfig {
    /// Name of the model; empty: that of the output folder.
    pub name: String,
    /// A sentence or two that follow the generated description.
    pub description: String,
    /// Where the data comes from and under which terms it may be used.
    pub data_terms: String,
    /// Licence of the weights.
    pub licence: String,
    /// Further limits, one sentence each.
    pub limits: Vec<String>,
}

/// The card as Markdown. `command` is the command line that made the bundle.
#[must_use]
pub fn markdown(manifest: &Manifest, card: &CardConfig, command: &str) -> String {
    to_markdown(&blocks(manifest, card, command))
}

/// The card as blocks.
#[must_use]
pub fn blocks(manifest: &Manifest, card: &CardConfig, command: &str) -> Vec<Block> {
    let mut out = vec![Block::Heading(1, format!("Model card: {}", manifest.name))];
    what_it_is(&mut out, manifest, card);
    data(&mut out, manifest, card);
    training(&mut out, manifest);
    scores(&mut out, manifest);
    budget(&mut out, manifest);
    calibration(&mut out, manifest);
    limits(&mut out, manifest, card);
    made(&mut out, manifest, card, command);
    out
}

fn heading(out: &mut Vec<Block>, text: &str) {
    out.push(Block::Heading(2, text.into()));
}

fn paragraph(out: &mut Vec<Block>, text: impl Into<String>) {
    out.push(Block::Paragraph(text.into()));
}

fn table(out: &mut Vec<Block>, header: &[&str], rows: Vec<Vec<String>>) {
    out.push(Block::Table(
        header.iter().map(|h| (*h).to_owned()).collect(),
        rows,
    ));
}

fn what_it_is(out: &mut Vec<Block>, m: &Manifest, card: &CardConfig) {
    // Equal widths: the encoder graph is the normaliser alone.
    let chain = if m.encoder.output_dim == m.encoder.input_dim {
        "normalises them and classifies them directly".to_owned()
    } else {
        format!(
            "maps them to a code of {} numbers and classifies the code",
            m.encoder.output_dim
        )
    };
    let mut text = format!(
        "`{}` tells which of {} a recording of speech sounds like: {}. It reads {} acoustic features of \
         the whole utterance ({}), {chain}.",
        m.name,
        count(m.labels.len(), "label"),
        listing(&m.labels),
        m.feature_set.count,
        feature_set(m),
    );
    if !card.description.is_empty() {
        text.push(' ');
        text.push_str(&card.description);
    }
    paragraph(out, text);
    let rows = [
        ("bundle id", format!("`{}`", m.id)),
        (
            "made",
            format!(
                "{} by {} {}",
                m.created, m.producer.name, m.producer.version
            ),
        ),
        ("labels", m.labels.join(", ")),
        (
            "features",
            format!(
                "{} × {}, extractor version {}",
                m.feature_set.id, m.feature_set.count, m.feature_set.extractor_version
            ),
        ),
        (
            "feature names (SHA-256)",
            format!("`{}`", m.feature_set.names_sha256),
        ),
        (
            "encoder",
            graph(
                &m.encoder.file,
                m.encoder.input_dim,
                m.encoder.output_dim,
                m.encoder.opset,
            ),
        ),
        (
            "classifier",
            graph(
                &m.classifier.file,
                m.classifier.input_dim,
                m.classifier.output_dim,
                m.classifier.opset,
            ),
        ),
    ];
    let rows = rows
        .into_iter()
        .map(|(k, v)| vec![k.to_owned(), v])
        .collect();
    table(out, &["", ""], rows);
    out.push(Block::Code(
        "sh",
        format!("ser-run predict -m {} recording.wav", m.name),
    ));
}

fn graph(file: &str, inputs: usize, outputs: usize, opset: i64) -> String {
    format!("`{file}`, {inputs} → {outputs}, ONNX opset {opset}, any batch size")
}

fn feature_set(m: &Manifest) -> String {
    match m.feature_set.names {
        None => format!("the `{}` set", m.feature_set.id),
        Some(_) => "a feature table made outside this project: recordings cannot be fed to it \
                    directly, only feature rows with the same columns"
            .into(),
    }
}

fn data(out: &mut Vec<Block>, m: &Manifest, card: &CardConfig) {
    heading(out, "Data");
    let object = m.data.as_object();
    let by_label = object
        .and_then(|d| d.get("rows_by_label"))
        .and_then(Value::as_object);
    if let Some(by_label) = by_label {
        let total: u64 = by_label.values().filter_map(Value::as_u64).sum();
        let mut rows: Vec<Vec<String>> = by_label
            .iter()
            .map(|(label, n)| {
                let share = n.as_u64().unwrap_or(0) as f64 / total.max(1) as f64;
                vec![label.clone(), plain(n), format!("{:.0} %", share * 100.0)]
            })
            .collect();
        rows.push(vec!["all".into(), total.to_string(), "100 %".into()]);
        table(out, &["label", "recordings", "share"], rows);
    }
    let facts: Vec<Vec<String>> = object
        .into_iter()
        .flatten()
        .filter(|(key, _)| !["rows_by_label", BUDGET_KEY].contains(&key.as_str()))
        .map(|(key, value)| vec![key.replace('_', " "), plain(value)])
        .collect();
    if !facts.is_empty() {
        table(out, &["", ""], facts);
    }
    let rates = match m.sample_rates.as_slice() {
        [] => "The feature table does not say at which sampling rates it was recorded.".to_owned(),
        rates => {
            let rates: Vec<String> = rates.iter().map(|r| format!("{r} Hz")).collect();
            format!(
                "Sampling rates in training: {}. {}",
                rates.join(", "),
                m.audio
            )
        }
    };
    paragraph(out, rates);
    paragraph(
        out,
        match card.data_terms.as_str() {
            "" => "Origin and terms of the data: not stated (`data_terms` in the `[card]` section \
                   of the configuration)."
                .to_owned(),
            terms => format!("Origin and terms of the data: {terms}"),
        },
    );
}

fn training(out: &mut Vec<Block>, m: &Manifest) {
    heading(out, "Training");
    paragraph(
        out,
        "A mixup-augmented adversarial autoencoder (Latif et al., \"Augmenting Generative Adversarial \
         Networks for Speech Emotion Recognition\", Interspeech 2020) and a dense classifier, as far as \
         the configuration below turns them on. The normaliser is fitted on training rows only and is \
         part of the encoder graph.",
    );
    // A configuration is TOML; one that TOML cannot hold (a null) is shown as what it is.
    match toml::to_string(&m.training) {
        Ok(text) => out.push(Block::Code("toml", text)),
        Err(_) => out.push(Block::Code("json", format!("{:#}", m.training))),
    }
}

fn scores(out: &mut Vec<Block>, m: &Manifest) {
    heading(out, "Scores");
    if m.scores.is_empty() {
        paragraph(out, "This model was not scored.");
        return;
    }
    let rows = m
        .scores
        .iter()
        .map(|s| {
            vec![
                s.protocol.clone(),
                s.metric.clone(),
                number(s.value),
                deviation(s),
            ]
        })
        .collect();
    table(out, &["protocol", "metric", "value", "std"], rows);
    paragraph(
        out,
        format!(
            "UAR is the unweighted average recall: the mean over the labels of the share of recordings \
             of that label that were recognised. Guessing scores {}.",
            number(1.0 / m.labels.len().max(1) as f64)
        ),
    );
    for score in &m.scores {
        if let Some((labels, counts)) = confusion_of(score, &m.labels) {
            out.push(Block::Heading(3, format!("By class: {}", score.protocol)));
            table(
                out,
                &["label", "recall", "precision", "F1", "predictions"],
                per_class(&labels, &counts),
            );
            paragraph(
                out,
                "Confusion (rows: true label, columns: predicted label; where there were several seeds, \
                 a recording counts once for each):",
            );
            let mut header = vec![""];
            header.extend(labels.iter().map(String::as_str));
            let rows = labels
                .iter()
                .zip(&counts)
                .map(|(label, row)| {
                    let cells = row.iter().map(u64::to_string);
                    std::iter::once(label.clone()).chain(cells).collect()
                })
                .collect();
            table(out, &header, rows);
        }
    }
}

/// The confusion matrix in a score's detail, with its labels (those of the bundle where the detail
/// names none); `None` where there is none or it is not square.
#[must_use]
pub fn confusion_of(score: &Score, labels: &[String]) -> Option<(Vec<String>, Vec<Vec<u64>>)> {
    let labels = match score.detail.get("labels") {
        Some(own) => Vec::<String>::deserialize(own).ok()?,
        None => labels.to_vec(),
    };
    let counts = Vec::<Vec<u64>>::deserialize(score.detail.get("confusion")?).ok()?;
    let square = counts.len() == labels.len() && counts.iter().all(|r| r.len() == labels.len());
    square.then_some((labels, counts))
}

fn per_class(labels: &[String], counts: &[Vec<u64>]) -> Vec<Vec<String>> {
    let ratio = |part: u64, whole: u64| {
        if whole > 0 {
            number(part as f64 / whole as f64)
        } else {
            "–".into()
        }
    };
    labels
        .iter()
        .enumerate()
        .map(|(i, label)| {
            let hits = counts[i][i];
            let truth: u64 = counts[i].iter().sum();
            let predicted: u64 = counts.iter().map(|row| row[i]).sum();
            vec![
                label.clone(),
                ratio(hits, truth),
                ratio(hits, predicted),
                ratio(2 * hits, truth + predicted),
                truth.to_string(),
            ]
        })
        .collect()
}

/// What a model that was made for a device takes of it and what that costs, where `data` says so.
fn budget(out: &mut Vec<Block>, m: &Manifest) {
    let Some(choice) = m.data.get(BUDGET_KEY) else {
        return;
    };
    let at = |pointer: &str| choice.pointer(pointer).unwrap_or(&Value::Null);
    heading(out, "Device");
    let of = |key: &str| plain(at(&format!("/budget/{key}")));
    paragraph(
        out,
        format!(
            "With 8-bit weights it was to fit {} bytes of flash and {} bytes of RAM (–: not limited), code and stack included, for utterances of \
             up to {} s at {} Hz.",
            of("flash"),
            of("ram"),
            of("utterance_s"),
            of("sample_rate")
        ),
    );
    let row = |name: &str, key: &str| {
        let of = |field: &str| plain(at(&format!("/{key}/{field}")));
        let uar = at(&format!("/{key}/screening_uar")).as_f64();
        vec![
            name.to_owned(),
            of("groups"),
            format!(
                "[{}] {} [{}]",
                of("encoder_hidden"),
                of("code_size"),
                of("classifier_hidden")
            ),
            of("flash"),
            of("ram"),
            uar.map_or_else(|| "–".into(), number),
        ]
    };
    table(
        out,
        &[
            "",
            "features",
            "encoder, code, classifier",
            "flash, bytes",
            "RAM, bytes",
            "UAR",
        ],
        vec![
            row("this model", "chosen"),
            row("without limits", "unlimited"),
        ],
    );
    paragraph(out, format!("{}.", plain(at("/protocol"))));
}

fn calibration(out: &mut Vec<Block>, m: &Manifest) {
    heading(out, "Calibration");
    let c = &m.calibration;
    let softmax = format!("Probabilities are softmax(logits / {}).", c.temperature);
    paragraph(
        out,
        match (c.ece_before, c.ece_after) {
            (Some(before), Some(after)) => format!(
                "{softmax} The temperature was fitted on {}. Expected calibration error on those same \
                 rows ({ECE_BINS} bins): {} before, {} after. On rows that it was not fitted on, expect more.",
                c.fitted_on,
                number(before),
                number(after)
            ),
            _ => format!("{softmax} The temperature was fitted on {}.", c.fitted_on),
        },
    );
}

fn limits(out: &mut Vec<Block>, m: &Manifest, card: &CardConfig) {
    heading(out, "Limits");
    let mut items = vec![
        format!(
            "It knows {} and always answers with one of them, also for speech that shows none of \
             them, for noise and for music. Look at the probabilities and at the quality flags.",
            listing(&m.labels)
        ),
        "It hears how something is said, not what is said, and it judges one utterance as a whole: \
         features of a few seconds of one speaker. Long recordings and several voices must be cut first."
            .into(),
        "Scores hold for the data above. Another language, age group, microphone, room, codec or \
         background noise, and spontaneous instead of acted speech, usually lower them by a lot."
            .into(),
        "Expression of emotion differs between people and cultures; what a speaker feels cannot be \
         read off with certainty by anyone, let alone by this model."
            .into(),
    ];
    items.extend(card.limits.iter().cloned());
    out.push(Block::List(items));
    heading(out, "Uses not intended");
    out.push(Block::List(vec![
        "Decisions about people: hiring, grading, insurance, credit, policing, border control, \
         medical or psychological diagnosis, lie detection."
            .into(),
        "Inferring emotions of people at work or in education, which the European Union's AI Act \
         (Regulation 2024/1689, article 5) forbids but for medical or safety reasons."
            .into(),
        "Listening to people who do not know of it or have not agreed to it.".into(),
    ]));
}

fn made(out: &mut Vec<Block>, m: &Manifest, card: &CardConfig, command: &str) {
    heading(out, "How it was made");
    out.push(Block::Code("sh", command.into()));
    let rows = m
        .versions
        .iter()
        .map(|(name, version)| vec![name.clone(), version.clone()]);
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        table(out, &["part", "version"], rows);
    }
    heading(out, "Licence");
    paragraph(
        out,
        match card.licence.as_str() {
            "" => {
                "The program that made this model is under MIT OR Apache-2.0. For the weights no \
                     licence was stated (`licence` in the `[card]` section of the configuration); \
                   they were learned from the data above, whose terms may bind their use."
                    .to_owned()
            }
            licence => licence.to_owned(),
        },
    );
}

fn deviation(score: &Score) -> String {
    score.std.map_or_else(|| "–".into(), number)
}

fn number(value: f64) -> String {
    format!("{value:.3}")
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// "a, b and c".
fn listing(items: &[String]) -> String {
    match items {
        [] => "nothing".into(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A JSON value as a person would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, value)| match value {
                Value::Object(_) | Value::Array(_) => format!("{key} ({})", plain(value)),
                _ => format!("{key} {}", plain(value)),
            });
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

//! What adaptive normalisation is worth: a bundle meets the labelled rows of voices that it never heard, in the order in which a device would
//! hear them, and UAR is counted against the number of utterances heard.
//!
//! The device's own code adapts ([`ser_runtime::adapt`]) and the bundle's own graphs predict, with tract. Labels serve to count, never to adapt.
//! Each prediction stands beside that of the fixed normaliser for the same row, and beside two references that a device cannot
//! have: statistics of the whole table, and of all rows of the speaker, before the first prediction (transductive).

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use ser_runtime::adapt::{Adapt, AdaptConfig, AdaptError, OwnedAdapter};
use ser_runtime::engine::{Engine, EngineError};
use ser_runtime::model::{EngineKind, Model, ModelError};
use ser_runtime::normalise::{Normaliser, NormaliserError, NormaliserKind};

use crate::atomic;
use crate::data::batches::largest;
use crate::data::task::{Task, TaskError};
use crate::metrics::Confusion;
use crate::plots::{self, Curve, Plot, PlotError};
use crate::table::FeatureTable;

/// What can stop a simulation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// The bundle cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The rows cannot be used.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The table has other features.
    #[error("the table's features are not those of bundle {bundle}: {reason}")]
    Features {
        /// The bundle.
        bundle: String,
        /// What differs.
        reason: String,
    },
    /// The settings, or the bundle's normaliser, allow no adaptation.
    #[error(transparent)]
    Adapt(#[from] AdaptError),
    /// The references cannot be computed.
    #[error(transparent)]
    Normaliser(#[from] NormaliserError),
    /// The model failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The plot could not be drawn or written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A result could not be written.
    #[error("cannot write {}: {source}{}", path.display(), atomic::write_hint(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What to simulate.
#[derive(Debug, Clone, Copy)]
pub struct SimulationOptions {
    /// How fast the statistics move.
    pub adapt: AdaptConfig,
    /// Random orders of the utterances.
    pub orders: u64,
    /// Seed of the first of them; the others count up.
    pub seed: u64,
}

/// UAR of the utterances that came after `from` to `to` others of the same channel or speaker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// Fewest utterances heard before.
    pub from: usize,
    /// Most utterances heard before.
    pub to: usize,
    /// Predictions counted.
    pub rows: usize,
    /// UAR with the adaptive normaliser.
    pub adaptive: Option<f64>,
    /// UAR of the same rows with the fixed one.
    pub fixed: Option<f64>,
}

/// The adaptive normaliser over one kind of stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// What has statistics of its own: "speaker", or "channel" for the whole table.
    pub unit: &'static str,
    /// Order of the utterances: "random" or "table".
    pub order: &'static str,
    /// Orders counted together.
    pub orders: u64,
    /// UAR over all utterances.
    pub adaptive: f64,
    /// UAR after 15 to 30 utterances; none where no unit has so many.
    pub after_15_to_30: Option<f64>,
    /// By utterances heard.
    pub windows: Vec<Window>,
}

/// The whole result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Simulation {
    /// What was done, in a sentence.
    pub protocol: String,
    /// Id of the bundle.
    pub bundle: String,
    /// Name of the bundle.
    pub name: String,
    /// Labels counted.
    pub labels: Vec<String>,
    /// Rows of the table that carry one of them.
    pub rows: usize,
    /// Speakers among them.
    pub speakers: usize,
    /// UAR with the bundle's own normaliser.
    pub fixed: f64,
    /// UAR with statistics of all rows.
    pub whole_table: f64,
    /// UAR with statistics of all rows of each speaker.
    pub whole_speaker: f64,
    /// The adaptive normaliser.
    pub runs: Vec<Run>,
}

/// First utterance count of each window; the last is open.
const WINDOWS: [usize; 12] = [0, 1, 2, 4, 7, 11, 15, 20, 31, 60, 120, 240];
/// "Within 30 utterances": the goal is looked at here.
const GOAL: (usize, usize) = (15, 30);

/// One prediction: utterances heard before, truth, adaptive and fixed prediction.
type Heard = (usize, usize, usize, usize);

struct Simulator<'t> {
    task: &'t Task<'t>,
    engine: Box<dyn Engine + Send>,
    normaliser: Normaliser,
    code: Vec<f32>,
    logits: Vec<f32>,
}

impl Simulator<'_> {
    fn predict(&mut self, features: &[f32]) -> Result<usize, EngineError> {
        self.engine.encode(features, &mut self.code)?;
        self.engine.classify(&self.code, &mut self.logits)?;
        Ok(largest(&self.logits))
    }

    /// Predictions with statistics of `rows` in the place of the training corpus's.
    fn reference(&mut self, rows: &[usize]) -> Result<Vec<(usize, usize)>, SimulationError> {
        let own = Normaliser::fit(
            NormaliserKind::ZScore,
            rows.iter().map(|&i| self.task.features(i)),
            None,
        )?;
        let mut out = Vec::with_capacity(rows.len());
        for &i in rows {
            let mut x = self.task.features(i).to_vec();
            own.apply(&mut x)?;
            let fixed = self.normaliser.offset.iter().zip(&self.normaliser.scale);
            for (x, (offset, scale)) in x.iter_mut().zip(fixed) {
                let mapped = offset + *x / scale;
                *x = if mapped.is_finite() { mapped } else { *offset };
            }
            out.push((self.task.classes[i], self.predict(&x)?));
        }
        Ok(out)
    }

    /// Hears the rows of each unit in their order.
    fn hear(
        &mut self,
        units: &[Vec<usize>],
        fixed: &[usize],
        config: AdaptConfig,
        heard: &mut Vec<Heard>,
    ) -> Result<(), SimulationError> {
        for unit in units {
            let mut adapter = OwnedAdapter::owned(&self.normaliser, config)?;
            for (before, &i) in unit.iter().enumerate() {
                let mut x = self.task.features(i).to_vec();
                adapter.adapt(&mut x, Some(1.0));
                heard.push((before, self.task.classes[i], self.predict(&x)?, fixed[i]));
            }
        }
        Ok(())
    }
}

fn uar(classes: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Option<f64> {
    Confusion::of(classes, pairs).uar()
}

fn summarise(
    classes: usize,
    unit: &'static str,
    order: &'static str,
    orders: u64,
    heard: &[Heard],
) -> Run {
    let between = |from: usize, to: usize| heard.iter().filter(move |h| (from..=to).contains(&h.0));
    let adaptive = |rows: &mut dyn Iterator<Item = &Heard>| uar(classes, rows.map(|h| (h.1, h.2)));
    let last = heard.iter().map(|h| h.0).max().unwrap_or(0);
    let windows = WINDOWS.iter().enumerate().filter(|w| *w.1 <= last);
    Run {
        unit,
        order,
        orders,
        adaptive: adaptive(&mut heard.iter()).unwrap_or(0.0),
        after_15_to_30: adaptive(&mut between(GOAL.0, GOAL.1)),
        windows: windows
            .map(|(index, &from)| {
                let to = WINDOWS
                    .get(index + 1)
                    .map_or(last, |next| (next - 1).min(last));
                Window {
                    from,
                    to,
                    rows: between(from, to).count(),
                    adaptive: adaptive(&mut between(from, to)),
                    fixed: uar(classes, between(from, to).map(|h| (h.1, h.3))),
                }
            })
            .collect(),
    }
}

/// Lets the bundle in `dir` hear the rows of `table` whose emotion is among its labels.
///
/// # Errors
/// See [`SimulationError`].
pub fn simulate(
    table: &FeatureTable,
    dir: &Path,
    options: &SimulationOptions,
) -> Result<Simulation, SimulationError> {
    let (bundle, engine) = Model::open(dir, EngineKind::Tract)?.into_parts();
    let manifest = bundle.manifest;
    let features = |reason: String| SimulationError::Features {
        bundle: manifest.name.clone(),
        reason,
    };
    let names = manifest.feature_names();
    if table.names.len() != names.len() {
        let (found, expected) = (table.names.len(), names.len());
        return Err(features(format!("{found} columns instead of {expected}")));
    }
    if let Some((found, expected)) = table.names.iter().zip(&names).find(|(a, b)| a != b) {
        return Err(features(format!("{found:?} where {expected:?} belongs")));
    }
    // The model may know labels that the table has not.
    let present = table.labels();
    let wanted: Vec<String> = manifest
        .labels
        .iter()
        .filter(|l| present.contains(l))
        .cloned()
        .collect();
    if wanted.is_empty() {
        return Err(features("no row carries a label of the bundle".into()));
    }
    let mut task = Task::new(table, &wanted)?;
    // Classes count as the model's outputs do.
    let index_of = |label: &String| manifest.labels.iter().position(|l| l == label).unwrap_or(0);
    let output: Vec<usize> = task.labels.iter().map(index_of).collect();
    task.classes.iter_mut().for_each(|c| *c = output[*c]);

    let classes = manifest.labels.len();
    let mut simulator = Simulator {
        task: &task,
        code: vec![0.0; engine.code_len()],
        logits: vec![0.0; engine.label_count()],
        engine,
        normaliser: manifest.normaliser.clone(),
    };
    // Refuses what cannot be adapted before the long part.
    OwnedAdapter::owned(&simulator.normaliser, options.adapt)?;

    let all: Vec<usize> = (0..task.len()).filter(|&i| !task.is_copy(i)).collect();
    let mut by_speaker: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for &i in &all {
        let meta = &table.meta[task.rows[i]];
        by_speaker
            .entry((&meta.corpus, &meta.speaker))
            .or_default()
            .push(i);
    }
    let speakers: Vec<Vec<usize>> = by_speaker.into_values().collect();
    let mut fixed = Vec::with_capacity(all.len());
    for &i in &all {
        fixed.push(simulator.predict(task.features(i))?);
    }
    let whole_table = simulator.reference(&all)?;
    let mut whole_speaker = Vec::new();
    for rows in &speakers {
        whole_speaker.extend(simulator.reference(rows)?);
    }

    let mut runs = Vec::new();
    for (unit, units) in [("speaker", &speakers), ("channel", &vec![all.clone()])] {
        let mut heard = Vec::new();
        for order in 0..options.orders {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed.wrapping_add(order));
            let mut units = units.clone();
            units.iter_mut().for_each(|rows| rows.shuffle(&mut rng));
            simulator.hear(&units, &fixed, options.adapt, &mut heard)?;
        }
        runs.push(summarise(classes, unit, "random", options.orders, &heard));
        heard.clear();
        simulator.hear(units, &fixed, options.adapt, &mut heard)?;
        runs.push(summarise(classes, unit, "table", 1, &heard));
    }
    let or_zero = |pairs: Vec<(usize, usize)>| uar(classes, pairs.into_iter()).unwrap_or(0.0);
    let AdaptConfig {
        mean_prior,
        variance_prior,
        outlier,
        horizon,
    } = options.adapt;
    Ok(Simulation {
        protocol: format!(
            "{} rows of {} speakers; {} random orders from seed {}, and the table's order; predictions pooled over units and orders; \
             mean prior {mean_prior}, variance prior {variance_prior}, outlier {outlier}, horizon {horizon}; \
             whole-table and whole-speaker statistics are transductive",
            task.len(),
            speakers.len(),
            options.orders,
            options.seed
        ),
        bundle: manifest.id,
        name: manifest.name,
        labels: task.labels.clone(),
        rows: task.len(),
        speakers: speakers.len(),
        fixed: or_zero(task.classes.iter().copied().zip(fixed).collect()),
        whole_table: or_zero(whole_table),
        whole_speaker: or_zero(whole_speaker),
        runs,
    })
}

impl Simulation {
    /// UAR against utterances heard, a panel a unit, random orders.
    ///
    /// # Errors
    /// A picture that plotters refuses.
    pub fn plot(&self) -> Result<Plot, SimulationError> {
        let panels = self.runs.iter().filter(|r| r.order == "random").map(|run| {
            let line = |name: &str, value: &dyn Fn(&Window) -> Option<f64>| Curve {
                name: name.into(),
                points: run
                    .windows
                    .iter()
                    .filter_map(|w| Some(((w.from + w.to) as f64 / 2.0, value(w)?)))
                    .collect(),
            };
            let mut lines = vec![
                line("adaptive", &|w| w.adaptive),
                line("fixed", &|w| w.fixed),
                line("whole table", &|_| Some(self.whole_table)),
            ];
            if run.unit == "speaker" {
                lines.push(line("whole speaker", &|_| Some(self.whole_speaker)));
            }
            (format!("statistics per {}", run.unit), lines)
        });
        Ok(plots::curves(
            "adapt",
            "Adaptive normalisation",
            panels.collect(),
            "utterances heard",
            "UAR",
        )?)
    }

    /// Writes `adapt.json` and `adapt.svg` to `dir`, each whole or not at all.
    ///
    /// # Errors
    /// [`SimulationError::Write`], [`SimulationError::Plot`].
    pub fn write(&self, dir: &Path) -> Result<(), SimulationError> {
        let path = dir.join("adapt.json");
        atomic::write::<std::io::Error, _>(&path, |w| {
            serde_json::to_writer_pretty(&mut *w, self)?;
            w.write_all(b"\n")
        })
        .map_err(|source| SimulationError::Write { path, source })?;
        plots::write(dir, &[self.plot()?])?;
        Ok(())
    }
}

//! The cells of an experiment: method × setting × protocol × fold × seed.
//!
//! A cell's [`Recipe`] holds what decides its result and nothing else, so that entries of the table that ask for the
//! same thing (the real rows of two GANs, say) share their cells, and a cell on disk is known by its content.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ExperimentError;
use super::config::{
    ClassifierKind, Experiment, Method, Protocol, Reduction, Setting, SplitKind, Synthesis,
};
use super::split::{self, Data};
use crate::config::Config;
use crate::data::folds::{Fold, Grouping};
use crate::data::task::Task;

/// What decides a cell's result, apart from its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Rows to learn from.
    pub setting: Setting,
    /// Normalisation.
    pub protocol: Protocol,
    /// Whether real rows are mixed.
    pub mixup: bool,
    /// Generator; none where no synthetic rows take part.
    pub synthesis: Synthesis,
    /// Reduction.
    pub reduction: Reduction,
    /// Classifier.
    pub classifier: ClassifierKind,
    /// The settings that these read.
    pub config: Value,
    /// Seed.
    pub seed: u64,
}

/// One training and its test.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Twelve hexadecimal digits, a hash of recipe, fold and data.
    pub id: String,
    /// What is trained.
    pub recipe: Recipe,
    /// The complete training configuration.
    pub config: Config,
    /// Index of the fold.
    pub fold: usize,
    /// Cells of one group share generator and reduction.
    pub group: usize,
    /// A method that asks for it, for people.
    pub method: String,
}

/// An entry of the table: a method under a setting and a protocol, with its cells.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Index of the method.
    pub method: usize,
    /// Rows to learn from.
    pub setting: Setting,
    /// Normalisation.
    pub protocol: Protocol,
    /// Indices of its cells, seed by seed and fold by fold.
    pub cells: Vec<usize>,
}

/// All cells of an experiment, and who asks for them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folds, the same for all seeds.
    pub folds: Vec<Fold>,
    /// What folds never divide; none from corpus to corpus.
    pub grouping: Option<Grouping>,
    /// Different cells, those of one group side by side.
    pub cells: Vec<Cell>,
    /// Entries of the table.
    pub entries: Vec<Entry>,
    /// Seeds.
    pub seeds: Vec<u64>,
}

impl Plan {
    /// Lists the cells of `experiment` on `data`.
    ///
    /// # Errors
    /// Rows that cannot be parted as asked.
    pub fn new(
        experiment: &Experiment,
        data: &Data,
        task: &Task<'_>,
    ) -> Result<Self, ExperimentError> {
        let (folds, grouping) = split::folds(experiment, task, data.test_from)?;
        let seeds: Vec<u64> = (0..experiment.seeds as u64)
            .map(|i| experiment.seed.wrapping_add(i))
            .collect();
        let fingerprint = json!({
            "table": data.table.sha256(),
            "source": data.source.as_ref().map(crate::table::FeatureTable::sha256),
            "labels": task.labels,
            "version": env!("CARGO_PKG_VERSION"),
        });
        let mut plan = Self {
            folds,
            grouping,
            cells: Vec::new(),
            entries: Vec::new(),
            seeds,
        };
        let mut known = std::collections::HashMap::new();
        let mut groups = std::collections::HashMap::new();
        for (m, method) in experiment.methods.iter().enumerate() {
            for &protocol in method.protocols(experiment) {
                for &setting in &method.settings {
                    let mut entry = Entry {
                        method: m,
                        setting,
                        protocol,
                        cells: Vec::new(),
                    };
                    let mut config = experiment.training(method, setting, &experiment.name)?;
                    for &seed in &plan.seeds {
                        config.seed = seed;
                        let recipe = recipe(experiment, method, setting, protocol, &config);
                        for (fold, parted) in plan.folds.iter().enumerate() {
                            let (upstream, whole) =
                                identify(experiment, &recipe, &fingerprint, parted);
                            let next = groups.len();
                            let group = *groups.entry(upstream).or_insert(next);
                            let cell = *known.entry(whole.clone()).or_insert_with(|| {
                                plan.cells.push(Cell {
                                    id: whole,
                                    recipe: recipe.clone(),
                                    config: config.clone(),
                                    fold,
                                    group,
                                    method: method.id.clone(),
                                });
                                plan.cells.len() - 1
                            });
                            entry.cells.push(cell);
                        }
                    }
                    plan.entries.push(entry);
                }
            }
        }
        plan.sort_by_group();
        Ok(plan)
    }

    /// Brings cells of one group together and keeps the entries pointing at them.
    fn sort_by_group(&mut self) {
        let mut order: Vec<usize> = (0..self.cells.len()).collect();
        order.sort_by_key(|&i| (self.cells[i].group, i));
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        let mut old: Vec<Option<Cell>> = std::mem::take(&mut self.cells)
            .into_iter()
            .map(Some)
            .collect();
        self.cells = order.iter().filter_map(|&i| old[i].take()).collect();
        for entry in &mut self.entries {
            for cell in &mut entry.cells {
                *cell = place[*cell];
            }
        }
    }

    /// "3  mixup-gan  real+synthetic  strict  seed 1  speaker emodb/03".
    pub fn line(&self, index: usize) -> String {
        let cell = &self.cells[index];
        format!(
            "{index}\t{}\t{}\t{}\tseed {}\t{}\t{}",
            cell.method,
            cell.recipe.setting,
            cell.recipe.protocol,
            cell.recipe.seed,
            self.folds[cell.fold].name,
            cell.id,
        )
    }
}

/// The recipe with just those settings that the cell's parts read.
fn recipe(
    experiment: &Experiment,
    method: &Method,
    setting: Setting,
    protocol: Protocol,
    config: &Config,
) -> Recipe {
    let synthesis = if setting.synthetic() {
        method.synthesis
    } else {
        Synthesis::None
    };
    let gan = synthesis == Synthesis::MixupGan || method.reduction == Reduction::MixupGan;
    let mixes = method.mixup || gan || synthesis == Synthesis::Mixup;
    let classifier = match method.classifier {
        ClassifierKind::Dnn => {
            json!({ "dnn": config.classifier, "leaky_slope": config.autoencoder.leaky_slope })
        }
        ClassifierKind::SvmRbf | ClassifierKind::SvmLinear => {
            json!({ "grid": experiment.grid, "balance": config.classifier.balance })
        }
        ClassifierKind::Majority => Value::Null,
    };
    let mut parts = json!({
        "normaliser": config.normaliser,
        "validation": config.validation,
        "classifier": classifier,
    });
    let mut put = |when: bool, key: &str, value: Value| {
        if when {
            parts[key] = value;
        }
    };
    put(mixes, "mixup", json!(config.mixup));
    put(
        gan,
        "gan",
        json!({ "autoencoder": config.autoencoder, "gan": config.gan }),
    );
    put(
        synthesis != Synthesis::None,
        "synthetic",
        json!(config.synthetic),
    );
    put(
        matches!(synthesis, Synthesis::PriorGan | Synthesis::ConditionalGan),
        "prior-gan",
        json!(experiment.prior_gan),
    );
    put(
        synthesis == Synthesis::CycleGan,
        "cycle-gan",
        json!(experiment.cycle_gan),
    );
    put(
        synthesis == Synthesis::Noise,
        "noise",
        json!(experiment.controls),
    );
    put(
        method.reduction != Reduction::None,
        "code-size",
        json!(config.autoencoder.code_size),
    );
    put(
        matches!(method.reduction, Reduction::Smacof | Reduction::SmacofJoint),
        "smacof",
        json!(experiment.smacof),
    );
    put(
        method.reduction == Reduction::Autoencoder,
        "autoencoder",
        json!(experiment.autoencoder),
    );
    if experiment.split.kind == SplitKind::Transfer {
        parts["development"] = json!(experiment.split.development);
    }
    Recipe {
        setting,
        protocol,
        mixup: method.mixup,
        synthesis,
        reduction: method.reduction,
        classifier: method.classifier,
        config: parts,
        seed: config.seed,
    }
}

/// Names of the group (generator and reduction) and of the cell: hashes of all that decides them.
fn identify(
    experiment: &Experiment,
    recipe: &Recipe,
    data: &Value,
    fold: &Fold,
) -> (String, String) {
    let name = |value: Value| {
        let hash = Sha256::digest(value.to_string().as_bytes());
        hash.iter()
            .take(6)
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let mut shared = json!(recipe);
    // The settings of a method share everything before the classifier.
    if let Some(map) = shared.as_object_mut() {
        map.remove("setting");
        map.remove("classifier");
    }
    if let Some(config) = shared["config"].as_object_mut() {
        config.remove("classifier");
    }
    // Which rows choose matters to what comes before the classifier, how they choose does not.
    if let Some(validation) = shared["config"]["validation"].as_object_mut() {
        validation.retain(|key, _| matches!(key.as_str(), "by" | "fraction"));
    }
    let rows = json!({ "name": fold.name, "train": fold.train, "test": fold.held_out });
    let split = json!(experiment.split.kind);
    (
        name(json!([shared, rows, data, split])),
        name(json!([recipe, rows, data, split])),
    )
}

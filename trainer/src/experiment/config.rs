//! The description of an experiment, as TOML.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ExperimentError;
pub use crate::config::TrainingRows as Setting;
use crate::config::{ClassifierInput, Config};
use crate::data::text::TextError;
use crate::gan::cycle_gan::CycleGanConfig;
use crate::gan::prior_gan::PriorGanConfig;
use crate::reduce::autoencoder::AutoencoderConfig;
use crate::reduce::smacof::SmacofConfig;

/// The ready-made experiments: name and text.
pub const READY_MADE: [(&str, &str); 6] = [
    ("table1", include_str!("../../experiments/table1.toml")),
    ("table2", include_str!("../../experiments/table2.toml")),
    ("table3", include_str!("../../experiments/table3.toml")),
    (
        "table1-small",
        include_str!("../../experiments/table1-small.toml"),
    ),
    (
        "table3-small",
        include_str!("../../experiments/table3-small.toml"),
    ),
    ("quick", include_str!("../../experiments/quick.toml")),
];

/// Methods, data, folds and seeds of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Experiment {
    /// Short name, for files.
    pub name: String,
    /// Heading of the tables.
    #[serde(default)]
    pub title: String,
    /// A paragraph for the report.
    #[serde(default)]
    pub note: String,
    /// First seed.
    #[serde(default = "one")]
    pub seed: u64,
    /// Repeats; seeds count up from the first.
    #[serde(default = "five")]
    pub seeds: usize,
    /// Emotions; empty: all of the tables'.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How rows are normalised: each is a block of rows of its own.
    #[serde(default = "strict")]
    pub protocols: Vec<Protocol>,
    /// What every other entry is tested against, as "method/setting"; empty: the first method's first setting.
    #[serde(default)]
    pub reference: String,
    /// Feature tables.
    #[serde(default)]
    pub data: DataConfig,
    /// How rows are parted.
    #[serde(default)]
    pub split: SplitConfig,
    /// Keys of `ser-train fit --print-config` for every method.
    #[serde(default)]
    pub training: toml::Table,
    /// Further `classifier` keys for one setting alone: the paper's classifier is wider for real+synthetic rows.
    #[serde(default)]
    pub training_of: BTreeMap<Setting, toml::Table>,
    /// GANs of Sahu et al. 2018.
    #[serde(default)]
    pub prior_gan: PriorGanConfig,
    /// CycleGANs of Bao et al. 2019.
    #[serde(default)]
    pub cycle_gan: CycleGanConfig,
    /// Multidimensional scaling.
    #[serde(default)]
    pub smacof: SmacofConfig,
    /// The autoencoder baseline.
    #[serde(default)]
    pub autoencoder: AutoencoderConfig,
    /// Where the SVMs' hyper-parameters are looked for.
    #[serde(default)]
    pub grid: GridConfig,
    /// The controls.
    #[serde(default)]
    pub controls: ControlsConfig,
    /// The methods, in the order of the table's rows.
    #[serde(rename = "method")]
    pub methods: Vec<Method>,
}

fn one() -> u64 {
    1
}

fn five() -> usize {
    5
}

fn strict() -> Vec<Protocol> {
    vec![Protocol::Strict]
}

/// What may be known about held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Nothing: the normaliser is fitted on training rows alone.
    Strict,
    /// The features of all rows of the test set: each corpus and each test set is normalised by itself.
    Transductive,
    /// All of a speaker's features: every speaker's rows are normalised by themselves.
    Speaker,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Transductive => "transductive",
            Self::Speaker => "speaker",
        })
    }
}

impl Protocol {
    /// What it means, for readers of tables.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Strict => "the normaliser is fitted on training rows alone",
            Self::Transductive => {
                "each corpus, and each test set, is normalised with its own statistics: the features (not the labels) of all test rows are known"
            }
            Self::Speaker => {
                "each speaker's rows are normalised with their own statistics: the features (not the labels) of all of a test speaker's rows are known"
            }
        }
    }
}

/// Where synthetic rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synthesis {
    /// There are none.
    None,
    /// G(E(x̃)) of the paper's mixup-GAN.
    MixupGan,
    /// Sahu et al. 2018, vanilla.
    PriorGan,
    /// Sahu et al. 2018, conditioned on the class.
    ConditionalGan,
    /// Bao et al. 2019.
    CycleGan,
    /// Mixed rows as they are.
    Mixup,
    /// Training rows with Gaussian noise.
    Noise,
    /// Samples of a Gaussian for each class, with its full covariance.
    ClassGaussian,
}

/// What the classifier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// The normalised features.
    None,
    /// Principal components.
    Pca,
    /// SMACOF; held-out rows are placed into the training embedding.
    Smacof,
    /// SMACOF of training and held-out rows together (not strict).
    SmacofJoint,
    /// The autoencoder baseline's code.
    Autoencoder,
    /// E(x) of the paper's mixup-GAN.
    MixupGan,
}

/// Who classifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierKind {
    /// `[training.classifier]`.
    Dnn,
    /// C and γ by grid search on validation rows.
    SvmRbf,
    /// C by grid search on validation rows.
    SvmLinear,
    /// Always the most frequent label of the training rows.
    Majority,
}

/// A published figure in percent: mean and, where given, standard deviation.
pub type Published = Vec<f64>;

/// One way to get from training rows to predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Method {
    /// Short name: letters, digits, `-`.
    pub id: String,
    /// Its row in the table; methods of one title share a row.
    pub title: String,
    /// Its column, where the settings are not the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Synthetic rows.
    #[serde(default = "no_synthesis")]
    pub synthesis: Synthesis,
    /// Reduction of the features.
    #[serde(default = "no_reduction")]
    pub reduction: Reduction,
    /// The classifier.
    #[serde(default = "dnn")]
    pub classifier: ClassifierKind,
    /// Whether real training rows are mixed (for the reduction and for the classifier).
    #[serde(default)]
    pub mixup: bool,
    /// Rows to learn from.
    #[serde(default = "real")]
    pub settings: Vec<Setting>,
    /// Protocols, where not all of the experiment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<Protocol>>,
    /// Published figures by column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paper: BTreeMap<String, Published>,
    /// Keys that differ from the experiment's `[training]`.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub training: toml::Table,
}

fn no_synthesis() -> Synthesis {
    Synthesis::None
}

fn no_reduction() -> Reduction {
    Reduction::None
}

fn dnn() -> ClassifierKind {
    ClassifierKind::Dnn
}

fn real() -> Vec<Setting> {
    vec![Setting::Real]
}

impl Method {
    /// Name of the table column of `setting`.
    pub fn column_of(&self, setting: Setting) -> &str {
        self.column.as_deref().unwrap_or(setting.name())
    }

    /// The protocols that it is measured under.
    pub fn protocols<'e>(&'e self, experiment: &'e Experiment) -> &'e [Protocol] {
        self.protocols.as_deref().unwrap_or(&experiment.protocols)
    }
}

/// Feature tables; `--features`, `--test` and `--source` replace them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Labelled rows, of one or more corpora.
    pub features: Vec<PathBuf>,
    /// The corpora to test on, with `split.kind = "transfer"`.
    pub test: Vec<PathBuf>,
    /// Unlabelled rows for the CycleGAN (labels are not looked at); none: the training rows without their labels.
    pub source: Option<PathBuf>,
}

/// How rows are parted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// Within the corpora, or from some to others.
    pub kind: SplitKind,
    /// What is never divided.
    pub by: SplitBy,
    /// Folds; 0: leave one group out.
    pub folds: usize,
    /// Share of the test corpus' rows that choose hyper-parameters, classes in equal proportions.
    pub development: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self {
            kind: SplitKind::Folds,
            by: SplitBy::SessionOrSpeaker,
            folds: 0,
            development: 0.3,
        }
    }
}

/// Within the corpora, or from some to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// Cross-validation.
    Folds,
    /// Learn from `data.features`, test on `data.test`.
    Transfer,
}

/// What is never divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitBy {
    /// Sessions where every row has one, else speakers.
    SessionOrSpeaker,
    /// Sessions.
    Session,
    /// Speakers.
    Speaker,
}

/// Where the SVMs' hyper-parameters are looked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GridConfig {
    /// Values of C.
    pub c: Vec<f64>,
    /// Values of γ of the RBF kernel, in units of 1 / (columns · variance).
    pub gamma: Vec<f64>,
}

impl Default for GridConfig {
    fn default() -> Self {
        Self {
            c: vec![0.1, 1.0, 10.0, 100.0],
            gamma: vec![0.1, 0.3, 1.0, 3.0],
        }
    }
}

/// The controls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ControlsConfig {
    /// Standard deviation of the noise copies' noise, in units of each feature's own.
    pub noise: f64,
}

impl Default for ControlsConfig {
    fn default() -> Self {
        Self { noise: 0.3 }
    }
}

impl Experiment {
    /// Reads a description by file name, or a ready-made one by its name.
    ///
    /// # Errors
    /// [`ExperimentError`]: no such file or name, bad TOML, unknown keys, values that do not fit.
    pub fn read(name: &str) -> Result<Self, ExperimentError> {
        let path = Path::new(name);
        match crate::config::read_text(path) {
            Ok(text) => {
                let mut new = Self::from_toml(&text, name)?;
                new.data.below(path.parent().unwrap_or(Path::new("")));
                Ok(new)
            }
            Err(TextError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let known = || READY_MADE.map(|(n, _)| n).join(", ");
                match READY_MADE.iter().find(|(n, _)| *n == name) {
                    Some((_, text)) => Self::from_toml(text, name),
                    None => Err(ExperimentError::Unknown {
                        name: name.into(),
                        known: known(),
                    }),
                }
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Parses a description; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ExperimentError> {
        let new: Self = toml::from_str(text).map_err(|e| ExperimentError::Invalid {
            origin: origin.into(),
            problem: e.to_string().trim_end().to_owned(),
        })?;
        new.check(origin)?;
        Ok(new)
    }

    /// The reference entry as (method id, setting).
    pub fn reference(&self) -> Option<(&str, Setting)> {
        if self.reference.is_empty() {
            let first = self.methods.first()?;
            return Some((&first.id, *first.settings.first()?));
        }
        let (id, setting) = self.reference.rsplit_once('/')?;
        let settings = [Setting::Real, Setting::Synthetic, Setting::RealAndSynthetic];
        let setting = settings.into_iter().find(|s| s.name() == setting)?;
        Some((id, setting))
    }

    /// The complete training configuration of `method` under `setting`.
    ///
    /// # Errors
    /// An unknown key, a value out of range, a key that experiments decide themselves.
    pub fn training(
        &self,
        method: &Method,
        setting: Setting,
        origin: &str,
    ) -> Result<Config, ExperimentError> {
        let fail = |source| ExperimentError::Training {
            origin: origin.into(),
            method: method.id.clone(),
            setting: setting.to_string(),
            source: Box::new(source),
        };
        let layers = [
            Some(&self.training),
            self.training_of.get(&setting),
            Some(&method.training),
        ];
        let mut config =
            Config::from_layers(layers.into_iter().flatten(), "training").map_err(fail)?;
        config.labels.clone_from(&self.labels);
        config.classifier.rows = setting;
        config.classifier.mixup = method.mixup;
        config.classifier.fine_tune = false;
        config.classifier.input = ClassifierInput::Features;
        config.check("training").map_err(fail)?;
        Ok(config)
    }

    /// Replaces the protocols, given by name, for all methods that have none of their own.
    ///
    /// # Errors
    /// A name that is none.
    pub fn set_protocols(&mut self, names: &[String]) -> Result<(), ExperimentError> {
        let all = [Protocol::Strict, Protocol::Transductive, Protocol::Speaker];
        self.protocols = names
            .iter()
            .map(|name| {
                all.into_iter()
                    .find(|p| p.to_string() == name.trim())
                    .ok_or_else(|| ExperimentError::Invalid {
                        origin: "--protocols".into(),
                        problem: format!("{name:?} is none of strict, transductive, speaker"),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Keeps the methods with these ids.
    ///
    /// # Errors
    /// An id that no method has.
    pub fn keep_methods(&mut self, ids: &[String]) -> Result<(), ExperimentError> {
        let known: Vec<&str> = self.methods.iter().map(|m| m.id.as_str()).collect();
        if let Some(unknown) = ids.iter().find(|id| !known.contains(&id.trim())) {
            return Err(ExperimentError::Invalid {
                origin: "--methods".into(),
                problem: format!(
                    "there is no method {unknown:?}; there are {}",
                    known.join(", ")
                ),
            });
        }
        self.methods
            .retain(|m| ids.iter().any(|id| id.trim() == m.id));
        Ok(())
    }

    /// The complete description as TOML.
    ///
    /// # Errors
    /// Never for a description that was read.
    pub fn to_toml(&self) -> Result<String, ExperimentError> {
        toml::to_string(self).map_err(|e| ExperimentError::Invalid {
            origin: self.name.clone(),
            problem: e.to_string(),
        })
    }
}

impl DataConfig {
    /// Paths in a description start from its own folder.
    fn below(&mut self, folder: &Path) {
        let paths = self.features.iter_mut().chain(&mut self.test);
        for path in paths.chain(self.source.as_mut()) {
            *path = folder.join(&*path);
        }
    }
}

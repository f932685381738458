//! The configuration of `ser-train fit` and `ser-train evaluate`: typed, with each default in one place.
//!
//! That place is `default.toml` beside this file: `ser-train fit --print-config` prints it, and a user's
//! file is laid over it key by key. A key that `default.toml` does not have is an error that names it.

mod device;
mod keys;
pub(crate) mod range;
mod set;

use std::fmt;
use std::path::Path;

use ser_runtime::normalise::NormaliserKind;
use serde::{Deserialize, Serialize};

pub use device::{BudgetConfig, FeaturesConfig, parse_size};
pub(crate) use keys::nearest_word;
use keys::{collect_keys, lay_over};

use crate::data::text::{self, TextError};
use crate::export::card::CardConfig;

/// The defaults with their explanations, as TOML.
pub const DEFAULT_TOML: &str = include_str!("default.toml");

/// Everything that decides a training run, apart from the feature table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of every random choice.
    pub seed: u64,
    /// Emotions to train on; empty: all of the table's.
    pub labels: Vec<String>,
    /// What may be known about held-out rows.
    pub protocol: Protocol,
    /// Which features the model reads.
    #[serde(skip_serializing_if = "FeaturesConfig::is_default")]
    pub features: FeaturesConfig,
    /// What device it must fit.
    #[serde(skip_serializing_if = "BudgetConfig::is_none")]
    pub budget: BudgetConfig,
    /// How raw features become network inputs.
    pub normaliser: NormaliserConfig,
    /// Eq. 1 and 2.
    pub mixup: MixupConfig,
    /// E and G, and their pre-training (eq. 3).
    pub autoencoder: AutoencoderConfig,
    /// Adversarial training (eq. 4).
    pub gan: GanConfig,
    /// Synthetic rows for the classifier.
    pub synthetic: SyntheticConfig,
    /// The classifier.
    pub classifier: ClassifierConfig,
    /// Held-out rows and early stopping.
    pub validation: ValidationConfig,
    /// When checkpoints are written.
    pub checkpoint: CheckpointConfig,
    /// What the model card cannot know by itself.
    pub card: CardConfig,
}

/// What may be known about held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Nothing: the normaliser is fitted on training rows alone.
    Strict,
}

/// See `[normaliser]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormaliserConfig {
    /// Which map; G's output is linear under z-score and a sigmoid under min-max.
    pub kind: NormaliserKind,
    /// Largest absolute value afterwards; 0: no limit.
    pub clip: f64,
}

/// See `[mixup]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixupConfig {
    /// α of Beta(α, α).
    pub alpha: f64,
    /// Share of each batch with λ = 1.
    pub real_share: f64,
    /// Which rows may be mixed with which.
    pub pairing: Pairing,
}

/// Which rows may be mixed with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// Any two.
    Any,
    /// Two with the same label.
    SameLabel,
}

/// See `[autoencoder]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "default.toml explains each key; a second text would drift from it"
)]
pub struct AutoencoderConfig {
    pub enabled: bool,
    pub code_size: usize,
    pub hidden: Vec<usize>,
    pub leaky_slope: f64,
    pub dropout: f64,
    pub input_dropout: f64,
    pub pretrain_epochs: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub batch_size: usize,
}

/// See `[gan]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "default.toml explains each key; a second text would drift from it"
)]
pub struct GanConfig {
    pub enabled: bool,
    pub epochs: usize,
    pub autoencoder_learning_rate: f64,
    pub generator_learning_rate: f64,
    pub discriminator_learning_rate: f64,
    pub discriminator_hidden: Vec<usize>,
    pub discriminator_dropout: f64,
}

/// See `[synthetic]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticConfig {
    /// Rows to make; 0: as many as there are training rows.
    pub rows: usize,
}

/// See `[classifier]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    missing_docs,
    reason = "default.toml explains each key; a second text would drift from it"
)]
pub struct ClassifierConfig {
    pub input: ClassifierInput,
    pub fine_tune: bool,
    pub rows: TrainingRows,
    pub mixup: bool,
    pub hidden: Vec<usize>,
    pub dropout: f64,
    pub input_dropout: f64,
    pub learning_rate: f64,
    pub encoder_learning_rate: f64,
    pub weight_decay: f64,
    pub epochs: usize,
    pub batch_size: usize,
    pub balance: Balance,
    pub label_smoothing: f64,
    pub average: f64,
    pub select: Select,
}

/// What the classifier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassifierInput {
    /// The encoder's output.
    Code,
    /// The normalised features.
    Features,
}

/// Which rows the classifier trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TrainingRows {
    /// Rows of the table.
    #[serde(rename = "real")]
    Real,
    /// G(E(x̃)).
    #[serde(rename = "synthetic")]
    Synthetic,
    /// Both.
    #[serde(rename = "real+synthetic")]
    RealAndSynthetic,
}

impl fmt::Display for TrainingRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl TrainingRows {
    /// As in the TOML.
    pub fn name(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Synthetic => "synthetic",
            Self::RealAndSynthetic => "real+synthetic",
        }
    }

    /// Whether rows of the table are among them.
    pub fn real(self) -> bool {
        self != Self::Synthetic
    }

    /// Whether synthetic rows are among them.
    pub fn synthetic(self) -> bool {
        self != Self::Real
    }
}

/// How unequal label frequencies are met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Not at all.
    None,
    /// A row's loss is weighted by 1 / frequency of its label.
    Weights,
    /// Every label is drawn equally often.
    Batches,
}

/// Which epoch's classifier is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Select {
    /// The best on held-out rows.
    Best,
    /// The last.
    Last,
}

/// See `[validation]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationConfig {
    /// What is held out as a whole.
    pub by: HoldOut,
    /// Names of the held-out groups; empty: a random share.
    pub hold_out: Vec<String>,
    /// That share.
    pub fraction: f64,
    /// What "best" means.
    pub metric: Metric,
    /// Epochs without improvement before stopping; 0: never stop.
    pub patience: usize,
    /// Train again on all rows for the number of epochs found.
    pub refit: bool,
}

/// What is held out as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldOut {
    /// Speakers.
    Speaker,
    /// Recording sessions.
    Session,
    /// Nothing.
    None,
}

/// What "best" means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Highest unweighted average recall, then lowest loss.
    Uar,
    /// Lowest balanced cross-entropy.
    Loss,
}

/// See `[checkpoint]` in [`DEFAULT_TOML`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Seconds between checkpoints; 0: after every epoch.
    pub every_seconds: f64,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read, or is no text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The text is not TOML.
    #[error("{origin} is not valid TOML: {message}")]
    Syntax {
        /// File name, or what the text is.
        origin: String,
        /// toml's message, with line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`{}", nearest(.suggestion))]
    UnknownKey {
        /// File name.
        origin: String,
        /// Full path of the key.
        key: String,
        /// Full path of the nearest existing one.
        suggestion: Option<String>,
    },
    /// A value of the wrong type or spelling.
    #[error("{origin}: {message}")]
    Type {
        /// File name.
        origin: String,
        /// serde's message with the key.
        message: String,
    },
    /// A value out of its range, or two that exclude each other.
    #[error("{origin}: `{key}` {problem}")]
    Value {
        /// File name.
        origin: String,
        /// Full path of the key.
        key: &'static str,
        /// What is wrong, and what to write instead.
        problem: String,
    },
}

fn nearest(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(key) => {
            format!(" (the nearest known key is `{key}`; `ser-train fit --print-config` lists all)")
        }
        None => " (`ser-train fit --print-config` lists all keys)".into(),
    }
}

fn parse(text: &str, origin: &str) -> Result<toml::Table, ConfigError> {
    text.parse()
        .map_err(|e: toml::de::Error| ConfigError::Syntax {
            origin: origin.into(),
            message: e.to_string(),
        })
}

/// The text of a file that people wrote, in any usual encoding; prints what was odd about it.
pub(crate) fn read_text(path: &Path) -> Result<String, TextError> {
    let decoded = text::read(path)?;
    for odd in decoded.odd {
        eprintln!("warning: {}, {odd}", path.display());
    }
    Ok(decoded.text)
}

impl Config {
    /// Reads a configuration file and fills in the defaults.
    ///
    /// # Errors
    /// An unreadable file, bad TOML, an unknown key, a value of the wrong type or out of range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with(Some(path), &[])
    }

    /// The keys that a file sets.
    fn read_table(path: &Path) -> Result<toml::Table, ConfigError> {
        parse(&read_text(path)?, &path.display().to_string())
    }

    /// Whether held-out rows have a say in which classifier is kept: by stopping early or by choosing the epoch.
    pub fn held_out_rows_choose(&self) -> bool {
        self.validation.by != HoldOut::None
            && (self.validation.patience > 0 || self.classifier.select == Select::Best)
    }

    /// Lays `text` over the defaults; `origin` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_toml(text: &str, origin: &str) -> Result<Self, ConfigError> {
        Self::from_layers([&parse(text, origin)?], origin)
    }

    /// Lays tables over the defaults, the later ones over the earlier; `origin` names them in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_layers<'t>(
        layers: impl IntoIterator<Item = &'t toml::Table>,
        origin: &str,
    ) -> Result<Self, ConfigError> {
        let config = Self::merge(layers, origin)?;
        config.check(origin)?;
        Ok(config)
    }

    /// The layers over the defaults, each value of its type, but not yet compared with one another.
    fn merge<'t>(
        layers: impl IntoIterator<Item = &'t toml::Table>,
        origin: &str,
    ) -> Result<Self, ConfigError> {
        let mut merged = parse(DEFAULT_TOML, "the built-in default configuration")?;
        let mut known = Vec::new();
        collect_keys(&merged, "", &mut known);
        for layer in layers {
            lay_over(&mut merged, layer.clone(), "", &known, origin)?;
        }
        merged.try_into().map_err(|e| ConfigError::Type {
            origin: origin.into(),
            message: e.to_string().trim_end().replace('\n', " "),
        })
    }

    /// The complete configuration as TOML, without comments.
    ///
    /// # Errors
    /// Never for a configuration that came from [`from_toml`](Self::from_toml).
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|e| ConfigError::Type {
            origin: "configuration".into(),
            message: e.to_string(),
        })
    }

    /// Whether E and G take part at all.
    pub fn needs_autoencoder(&self) -> bool {
        self.classifier.input == ClassifierInput::Code || self.classifier.rows.synthetic()
    }

    /// Whether all values are in range and agree with each other; `origin` names the source in errors.
    ///
    /// # Errors
    /// [`ConfigError::Value`].
    pub(crate) fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let fail = |key: &'static str, problem: &str| {
            Err(ConfigError::Value {
                origin: origin.into(),
                key,
                problem: problem.into(),
            })
        };
        let bad = |key, problem: Result<(), String>| problem.or_else(|p| fail(key, &p));
        let share = |key, x| bad(key, range::share(x));
        let positive = |key, x| bad(key, range::positive(x));
        let natural = |key, x| bad(key, range::natural(x));
        let not_negative = |key, x| bad(key, range::not_negative(x));
        let widths = |key, w: &[usize]| bad(key, range::widths(w));
        let (a, g, c, v) = (
            &self.autoencoder,
            &self.gan,
            &self.classifier,
            &self.validation,
        );

        if let Some((key, problem)) = self.features.problem().or(self.budget.problem()) {
            return fail(key, &problem);
        }
        not_negative("normaliser.clip", self.normaliser.clip)?;
        positive("mixup.alpha", self.mixup.alpha)?;
        if !(self.mixup.real_share > 0.0 && self.mixup.real_share <= 1.0) {
            return fail("mixup.real_share", "must be greater than 0 and at most 1");
        }
        widths("autoencoder.code_size", &[a.code_size])?;
        widths("autoencoder.hidden", &a.hidden)?;
        share("autoencoder.leaky_slope", a.leaky_slope)?;
        share("autoencoder.dropout", a.dropout)?;
        share("autoencoder.input_dropout", a.input_dropout)?;
        natural("autoencoder.pretrain_epochs", a.pretrain_epochs)?;
        positive("autoencoder.learning_rate", a.learning_rate)?;
        not_negative("autoencoder.weight_decay", a.weight_decay)?;
        natural("autoencoder.batch_size", a.batch_size)?;
        natural("gan.epochs", g.epochs)?;
        positive("gan.autoencoder_learning_rate", g.autoencoder_learning_rate)?;
        positive("gan.generator_learning_rate", g.generator_learning_rate)?;
        positive(
            "gan.discriminator_learning_rate",
            g.discriminator_learning_rate,
        )?;
        widths("gan.discriminator_hidden", &g.discriminator_hidden)?;
        share("gan.discriminator_dropout", g.discriminator_dropout)?;
        widths("classifier.hidden", &c.hidden)?;
        share("classifier.dropout", c.dropout)?;
        share("classifier.input_dropout", c.input_dropout)?;
        positive("classifier.learning_rate", c.learning_rate)?;
        positive("classifier.encoder_learning_rate", c.encoder_learning_rate)?;
        not_negative("classifier.weight_decay", c.weight_decay)?;
        natural("classifier.epochs", c.epochs)?;
        natural("classifier.batch_size", c.batch_size)?;
        natural("synthetic.rows", self.synthetic.rows.max(1))?;
        share("classifier.label_smoothing", c.label_smoothing)?;
        share("classifier.average", c.average)?;
        if !(v.fraction > 0.0 && v.fraction < 1.0) {
            return fail(
                "validation.fraction",
                "must lie between 0 and 1, both excluded",
            );
        }
        not_negative("checkpoint.every_seconds", self.checkpoint.every_seconds)?;

        if c.fine_tune && c.input == ClassifierInput::Features {
            return fail(
                "classifier.fine_tune",
                "= true needs classifier.input = \"code\": there is no encoder to tune before \"features\"",
            );
        }
        if g.enabled && !a.enabled && self.needs_autoencoder() {
            return fail(
                "gan.enabled",
                "= true needs autoencoder.enabled = true: E and G are pre-trained before the GAN (set gan.enabled = false too)",
            );
        }
        if c.rows.synthetic() && !a.enabled {
            return fail(
                "classifier.rows",
                "asks for synthetic rows, which an untrained generator cannot make: set autoencoder.enabled = true",
            );
        }
        if c.input == ClassifierInput::Code && !a.enabled && !c.fine_tune {
            return fail(
                "classifier.input",
                "= \"code\" would read codes of an untrained encoder: set autoencoder.enabled = true or classifier.fine_tune = true",
            );
        }
        if v.by == HoldOut::None {
            if c.select == Select::Best {
                return fail(
                    "classifier.select",
                    "= \"best\" needs held-out rows: set validation.by, or classifier.select = \"last\"",
                );
            }
            if v.refit {
                return fail(
                    "validation.refit",
                    "= true needs held-out rows to find the number of epochs on: set validation.by",
                );
            }
            if !v.hold_out.is_empty() {
                return fail(
                    "validation.hold_out",
                    "names groups while validation.by = \"none\": set validation.by to \"speaker\" or \"session\"",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::from_toml(text, "c.toml").unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_complete_and_every_key_is_explained_by_the_printed_file() {
        let config = Config::from_toml("", "empty").unwrap();
        assert_eq!(Config::from_toml(DEFAULT_TOML, "default").unwrap(), config);
        // What is written out reads back as the same configuration.
        assert_eq!(
            Config::from_toml(&config.to_toml().unwrap(), "again").unwrap(),
            config
        );
    }

    #[test]
    fn user_values_replace_defaults_one_by_one() {
        let c = Config::from_toml("seed = 7\n[mixup]\nalpha = 1\n", "c").unwrap();
        assert_eq!((c.seed, c.mixup.alpha, c.mixup.real_share), (7, 1.0, 0.5));
    }

    #[test]
    fn unknown_keys_are_named_with_path_and_nearest() {
        let e = error("[classifier]\nlearnin_rate = 1e-3\n");
        assert!(
            e.contains("`classifier.learnin_rate`") && e.contains("`classifier.learning_rate`"),
            "{e}"
        );
        let e = error("patience = 3\n");
        assert!(
            e.contains("`patience`") && e.contains("`validation.patience`"),
            "{e}"
        );
        let e = error("[mixop]\nalpha = 0.4\n");
        assert!(e.contains("`mixop`") && e.contains("`mixup`"), "{e}");
        let e = error("zzzz = 1\n");
        assert!(e.contains("`zzzz`") && e.contains("--print-config"), "{e}");
    }

    #[test]
    fn wrong_types_spellings_and_ranges_name_their_key() {
        assert!(error("[gan]\nepochs = \"many\"\n").contains("epochs"));
        assert!(error("[gan]\nepochs = -3\n").contains("epochs"));
        let e = error("[classifier]\nrows = \"reel\"\n");
        assert!(e.contains("rows") && e.contains("real+synthetic"), "{e}");
        assert!(error("gan = 3\n").contains("[gan]"));
        assert!(error("[mixup]\nalpha = 0.0\n").contains("`mixup.alpha`"));
        assert!(error("[mixup]\nalpha = nan\n").contains("`mixup.alpha`"));
        assert!(error("[classifier]\ndropout = 1.0\n").contains("`classifier.dropout`"));
        assert!(error("seed = \n").contains("c.toml"));
        for huge in ["code_size", "pretrain_epochs", "batch_size"] {
            let e = error(&format!("[autoencoder]\n{huge} = 4000000000000000000\n"));
            assert!(
                e.contains(&format!("`autoencoder.{huge}`")) && e.contains("between"),
                "{e}"
            );
        }
        assert!(error("[classifier]\nhidden = [8, 0]\n").contains("`classifier.hidden`"));
    }

    #[test]
    fn groups_and_budgets_are_checked() {
        assert!(error("[features]\ngroups = [\"mfc\"]\n").contains("log-mel"));
        assert!(error("[features]\ngroups = []\n").contains("`features.groups`"));
        assert!(error("[budget]\nflash = \"512Q\"\n").contains("`budget.flash`"));
        assert!(error("[budget]\nutterance = 0.0\n").contains("`budget.utterance`"));
        let c = Config::from_toml(
            "[features]\ngroups = [\"mfcc\"]\n[budget]\nram = \"64K\"\n",
            "c",
        );
        let c = c.unwrap();
        assert_eq!(
            Config::from_toml(&c.to_toml().unwrap(), "again").unwrap(),
            c
        );
    }

    #[test]
    fn files_in_any_encoding_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        let text = "seed = 7\r\n[mixup]\r\nalpha = 1\r\n";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            [&b"\xff\xfe"[..], &wide].concat(),
            [&b"\xef\xbb\xbf"[..], text.as_bytes()].concat(),
            [&b"# \xfcber\r\n"[..], text.as_bytes()].concat(),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(Config::read(&path).unwrap().seed, 7);
        }
        std::fs::write(&path, b"PAR1\0\0").unwrap();
        assert!(
            Config::read(&path)
                .unwrap_err()
                .to_string()
                .contains("Parquet")
        );
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(error("[classifier]\ninput = \"features\"\n").contains("fine_tune"));
        assert!(error("[validation]\nby = \"none\"\n").contains("classifier.select"));
        let e = error(
            "[autoencoder]\nenabled = false\n[gan]\nenabled = false\n[classifier]\nfine_tune = false\n",
        );
        assert!(e.contains("untrained encoder"), "{e}");
    }
}

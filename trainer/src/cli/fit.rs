//! `ser-train fit`: from a feature table to a bundle.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;
use serde_json::json;

use crate::config::{BudgetConfig, Config, DEFAULT_TOML, parse_size};
use crate::data::checks::Described;
use crate::device::{self, DeviceChoice};
use crate::evaluate::Scores;
use crate::export;
use crate::export::bundle::{BundleOptions, check_table};
use crate::export::card::BUDGET_KEY;
use crate::fit::budget::{self, Choice, Rung};
use crate::fit::{Control, FitError, FitOptions, check_free, fit};
use crate::table::FeatureTable;

use super::tables::{TABLES_ONLY, TableOptions};

/// Arguments of `ser-train fit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feature tables (Parquet, CSV, ARFF); the rows of several are put together
    #[arg(value_name = "TABLE", required_unless_present = "print_config")]
    features: Vec<PathBuf>,
    #[command(flatten)]
    tables: TableOptions,
    #[command(flatten)]
    config: ConfigOptions,
    /// Folder of the run: bundle/, plots/, report.html, metrics.jsonl, config.toml, checkpoint
    #[arg(
        short,
        long,
        value_name = "DIR",
        required_unless_present = "print_config"
    )]
    output: Option<PathBuf>,
    /// Go on with the run in DIR after a crash or Ctrl-C (starts one where there is none)
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Start anew even where DIR holds a run, ended or not
    #[arg(long)]
    overwrite: bool,
    /// Where to train
    #[arg(long, value_enum, default_value_t)]
    device: DeviceChoice,
    /// Scores of `ser-train evaluate` on the same table and configuration, for the bundle and its card
    #[arg(long, value_name = "SCORES.json")]
    scores: Option<PathBuf>,
    /// Flash of the device that the model must fit with 8-bit weights, code included (such as 512K): fit then chooses feature groups and widths
    #[arg(long, value_name = "SIZE", value_parser = size)]
    flash: Option<String>,
    /// RAM of the device, stack included (such as 256K)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    ram: Option<String>,
    /// Longest utterance that the RAM is for, in seconds [default: budget.utterance of the configuration]
    #[arg(long, value_name = "SECONDS")]
    utterance: Option<f64>,
    /// Print every setting with its default and meaning, and exit; with --config or --set, their settings without meanings
    #[arg(long)]
    print_config: bool,
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// Exit status of a process that ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// What is doubtful about a table, on standard error.
pub(super) fn say_doubts(table: &FeatureTable) {
    for doubt in table.doubts() {
        eprintln!("note: {doubt}");
    }
}

/// Trains and writes the bundle.
pub fn run(args: Args) -> Result<(), Error> {
    let (Some(output), false) = (args.output, args.print_config) else {
        let text = match args.config.is_default() {
            true => DEFAULT_TOML.to_owned(),
            false => {
                let config = args.config.read()?;
                config.to_toml().map_err(FitError::from)?
            }
        };
        print!("{text}");
        return Ok(());
    };
    let mut config = args.config.read()?;
    config.budget = BudgetConfig {
        flash: args.flash.unwrap_or(config.budget.flash),
        ram: args.ram.unwrap_or(config.budget.ram),
        utterance: args.utterance.unwrap_or(config.budget.utterance),
    };
    config.check("the command line").map_err(FitError::from)?;
    let device = device::choose(args.device).map_err(FitError::from)?;
    let scores = args.scores.as_deref().map(Scores::read).transpose()?;
    check_free(&output, args.resume, args.overwrite)?;
    let table = args.tables.read_tables(&args.features)?.table;
    check_table(&table)?;
    if table.feature_set.is_custom() {
        eprintln!("{TABLES_ONLY}");
    }
    say_doubts(&table);
    super::corpus::warn(&Described::table_findings(&table, &config.labels));
    announce(&device);
    let choice = if config.budget.is_none() {
        None
    } else {
        let (narrowed, choice) = budget::choose(&table, &config, &device)?;
        config = narrowed;
        report(&choice);
        Some(choice)
    };
    // A second Ctrl-C ends the process at once, which is safe: files are replaced whole or cut back by --resume.
    let handler = || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("stopping at the end of this epoch; Ctrl-C again stops at once");
    };
    if let Err(e) = ctrlc::set_handler(handler) {
        eprintln!("Ctrl-C will end the process at once, without a last checkpoint: {e}");
    }
    let mut control = |_: &_| {
        if STOP.load(Ordering::SeqCst) {
            Control::Stop
        } else {
            Control::GoOn
        }
    };
    let mut outcome = fit(
        &table,
        &config,
        &mut FitOptions {
            out: &output,
            resume: args.resume,
            overwrite: args.overwrite,
            device: &device,
            scores: scores.as_ref(),
            control: &mut control,
        },
    )?;
    if let (Some(choice), Some(data)) = (&choice, outcome.data.as_object_mut()) {
        data.insert(BUDGET_KEY.into(), json!(choice));
    }
    let options = BundleOptions {
        name: name_of(&output),
        command: command_line(std::env::args_os()),
        card: config.card.clone(),
        created: None,
    };
    let manifest = export::finish(&output, &outcome, &options)?;
    eprintln!(
        "bundle {} ({}) written to {}",
        manifest.name,
        manifest.id,
        output.join(export::BUNDLE_DIR).display()
    );
    eprintln!("report: {}", output.join(export::REPORT_FILE).display());
    Ok(())
}

/// A size as it was typed, if it is one.
fn size(text: &str) -> Result<String, String> {
    parse_size(text).map(|_| text.to_owned())
}

/// Says what was chosen for a budget and what that costs.
fn report(choice: &Choice) {
    let line = |rung: &Rung| {
        let uar = rung.screening_uar.map_or("-".into(), |u| format!("{u:.3}"));
        format!(
            "UAR {uar}, flash {} bytes, RAM {} bytes: {}; encoder {:?}, code {}, classifier {:?}",
            rung.flash,
            rung.ram,
            rung.groups.join(", "),
            rung.encoder_hidden,
            rung.code_size,
            rung.classifier_hidden
        )
    };
    eprintln!("budget: {}", choice.protocol);
    eprintln!("  unlimited: {}", line(&choice.unlimited));
    for rung in &choice.screened {
        let mark = if *rung == choice.chosen {
            "chosen"
        } else {
            "fits"
        };
        eprintln!("  {mark}: {}", line(rung));
    }
    if let Some(cost) = choice.cost() {
        eprintln!("  the budget costs {cost:.3} of UAR in this screening");
    }
}

/// The last part of a folder's path, also of `.` and of one that ends in `..`.
fn name_of(folder: &Path) -> String {
    let named = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let name = named.file_name().unwrap_or_default();
    match name.to_string_lossy() {
        name if name.is_empty() => "model".into(),
        name => name.into_owned(),
    }
}

/// The arguments as one could type them into a POSIX shell; the program by its name alone, and without what only says how
/// to deal with an earlier run, so that a resumed run ends with the same bundle as an uninterrupted one.
fn command_line(mut arguments: impl Iterator<Item = OsString>) -> String {
    arguments.next();
    let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let lasting = arguments.filter(|argument| argument != "--resume" && argument != "--overwrite");
    let quoted = lasting.map(|argument| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+@%".contains(c);
        if !argument.is_empty() && argument.chars().all(plain) {
            argument
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    std::iter::once("ser-train".to_owned())
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The configuration of a command that trains.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigOptions {
    /// Configuration; keys it does not name have the defaults of `ser-train fit --print-config`
    #[arg(short, long, value_name = "CONFIG.toml")]
    config: Option<PathBuf>,
    /// A setting over the configuration's, by the full path of its key: classifier.epochs=20; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigOptions {
    /// The settings.
    pub fn read(&self) -> Result<Config, FitError> {
        Ok(Config::read_with(self.config.as_deref(), &self.set)?)
    }

    /// Whether nothing is set.
    fn is_default(&self) -> bool {
        self.config.is_none() && self.set.is_empty()
    }
}

/// Says which device is used, and why where that is not obvious.
pub(super) fn announce(device: &device::Chosen) {
    eprintln!("device: {device}");
    if let Some(note) = &device.note {
        eprintln!("  {note}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_can_be_typed_again() {
        let arguments = [
            "/usr/bin/ser-train",
            "fit",
            "a b.parquet",
            "it's",
            "--resume",
            "",
            "-o",
            "out/1",
        ];
        let line = command_line(arguments.into_iter().map(OsString::from));
        assert_eq!(line, r"ser-train fit 'a b.parquet' 'it'\''s' '' -o out/1");
    }

    #[test]
    fn models_are_named_after_their_folder() {
        assert_eq!(name_of(Path::new("no/such/run")), "run");
        assert_eq!(name_of(Path::new("/")), "model");
        assert_ne!(name_of(Path::new(".")), ".");
    }
}

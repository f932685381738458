//! `ser-train export`: a bundle's model as one flat file, for devices.

use std::io::Write;
use std::path::{Path, PathBuf};

use ser_runtime::bundle::{self, Bundle};
use ser_runtime::engine::static_model::{F32_FILE, INT8_FILE};

use crate::Error;
use crate::atomic;
use crate::export::bundle::ExportError;
use crate::export::onnx_read;
use crate::export::static_model::{StaticFiles, parts};
use crate::table::FeatureTable;
use crate::verify::{VerifyError, check_columns};

/// Engines that have files of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ExportEngine {
    /// No heap, no operating system: a flat file, used in place.
    Static,
}

/// Arguments of `ser-train export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle's folder, or that of the run that made it
    bundle: PathBuf,
    /// What to export for
    #[arg(long, value_enum)]
    engine: ExportEngine,
    /// 8-bit weights
    #[arg(long, requires = "calibrate")]
    int8: bool,
    /// Feature table (Parquet, CSV, ARFF) of the training rows, from which the steps of the 8-bit model come
    #[arg(long, value_name = "TABLE", requires = "int8")]
    calibrate: Option<PathBuf>,
    /// Further tables to compare 8 with 32 bits on, such as recordings that the model never met
    #[arg(long, value_name = "TABLE", requires = "int8")]
    compare: Vec<PathBuf>,
    /// Write to this file; otherwise into the bundle, where ser-run --engine static or static-int8 finds it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the file and says how large it is, and how far 8 bits are from 32.
///
/// # Errors
/// A bundle or table that cannot be read, a model that the format does not take, a file that cannot be written.
pub fn run(args: Args) -> Result<(), Error> {
    let ExportEngine::Static = args.engine;
    let dir = super::bundle_dir(&args.bundle);
    let bundle = Bundle::open(&dir).map_err(VerifyError::from)?;
    let read = onnx_read::read(&bundle.encoder, &bundle.classifier);
    let (model, _) = read.map_err(|source| VerifyError::Read {
        bundle: dir.clone(),
        source,
    })?;
    let parts = parts(&model, &bundle.manifest).map_err(ExportError::from)?;
    let mut report = String::new();
    let (name, file) = match args.calibrate.as_deref().filter(|_| args.int8) {
        None => {
            let file = parts.f32_file();
            (F32_FILE, file.map_err(|e| ExportError::Static(e.into()))?)
        }
        Some(table) => {
            let rows = read_table(table, &bundle)?;
            let files = StaticFiles::new(&parts, &rows.values).map_err(ExportError::from)?;
            report.push_str(&compared(&files, &bundle, table, &rows)?);
            for table in &args.compare {
                let rows = read_table(table, &bundle)?;
                report.push_str(&compared(&files, &bundle, table, &rows)?);
            }
            (INT8_FILE, files.int8)
        }
    };
    let path = match args.output {
        Some(path) => {
            atomic::write::<std::io::Error, _>(&path, |w| w.write_all(&file)).map_err(
                |source| ExportError::Write {
                    path: path.clone(),
                    source,
                },
            )?;
            path
        }
        None => {
            bundle::add(&dir, &[(name, &file)]).map_err(ExportError::from)?;
            dir.join(name)
        }
    };
    println!("{}: {} bytes", path.display(), file.len());
    print!("{report}");
    Ok(())
}

fn read_table(path: &Path, bundle: &Bundle) -> Result<FeatureTable, Error> {
    let table = FeatureTable::read(path)?;
    check_columns(path, &table, bundle)?;
    Ok(table)
}

/// How far 8 bits are from 32 on a table, in a line.
fn compared(
    files: &StaticFiles,
    bundle: &Bundle,
    path: &Path,
    table: &FeatureTable,
) -> Result<String, Error> {
    let labels = &bundle.manifest.labels;
    let comparison = files.compare(&table.values).map_err(ExportError::from)?;
    let truth: Vec<Option<usize>> = table
        .meta
        .iter()
        .map(|m| labels.iter().position(|l| *l == m.emotion))
        .collect();
    let known = truth.iter().flatten().count();
    let uar = match comparison.uar(labels.len(), &truth) {
        Some((f32, int8)) => format!("UAR {f32:.4} -> {int8:.4} ({known} rows of known label), "),
        None => String::new(),
    };
    Ok(format!(
        "{}, {} rows, 32 -> 8 bits: {uar}same label for {:.2} %, largest difference of a probability {:.4}\n",
        path.display(),
        table.rows,
        100.0 * comparison.agreement(labels.len()),
        comparison.probability_difference(labels.len(), bundle.manifest.calibration.temperature)
    ))
}

//! `ser-train verify`.

use std::io::Write;
use std::path::PathBuf;

use ser_runtime::bundle::Bundle;

use crate::verify::{EngineKind, Source, Verifier, VerifyError};

/// Compute a bundle with every engine and print how far they are apart
///
/// Exit status 1 if the logits of any two engines differ by more than 1e-4; with 8-bit weights, if probabilities differ by more than 0.05.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The bundle's folder, or that of the run that made it.
    bundle: PathBuf,
    /// Recordings to compute it on.
    audio: Vec<PathBuf>,
    /// Feature table (Parquet, CSV, ARFF) whose rows to compute it on.
    #[arg(long, value_name = "TABLE")]
    features: Vec<PathBuf>,
    /// Engines to compare [default: tract, ort, burn, and static and static-int8 where the bundle has their files]; ONNX Runtime (`ort`)
    /// is found through ORT_DYLIB_PATH.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<EngineKind>,
}

/// Runs the command.
///
/// # Errors
/// Anything that keeps the engines from being compared, and their disagreement.
pub fn run(args: Args) -> Result<(), crate::Error> {
    Ok(compare(&args)?)
}

fn compare(args: &Args) -> Result<(), VerifyError> {
    if args.audio.is_empty() && args.features.is_empty() {
        return Err(VerifyError::NothingToCompare);
    }
    let bundle = Bundle::open(super::bundle_dir(&args.bundle))?;
    let engines = match args.engines.as_slice() {
        [] => EngineKind::all_of(&bundle),
        chosen => chosen.to_vec(),
    };
    let mut verifier = Verifier::load(&bundle, &engines)?;
    let audio = args
        .audio
        .iter()
        .map(|path| Source::recording(path, &bundle));
    let tables = args
        .features
        .iter()
        .map(|path| Source::table(path, &bundle));
    let sources: Vec<Source> = audio.chain(tables).collect::<Result<_, _>>()?;

    let width = sources.iter().map(|s| s.name.chars().count());
    let width = width.max().unwrap_or(0).max("source".len());
    let mut out = std::io::stdout().lock();
    let failed = |source| VerifyError::Output { source };
    writeln!(
        out,
        "{:width$}  {:>6}  {:20}  {:>10}  {:>10}  {:>15}",
        "source", "rows", "engines", "|Δ code|", "|Δ logits|", "|Δ probability|"
    )
    .map_err(failed)?;
    let mut disagreement = None;
    let mut largest = 0.0f32;
    for source in &sources {
        for d in verifier.compare(source)? {
            let pair = format!("{} – {}", d.first, d.second);
            let mark = if d.agrees() { "" } else { "  DISAGREE" };
            writeln!(
                out,
                "{:width$}  {:>6}  {pair:20}  {:>10.2e}  {:>10.2e}  {:>15.2e}{mark}",
                d.source, d.rows, d.code, d.logits, d.probabilities
            )
            .map_err(failed)?;
            largest = largest.max(d.logits);
            if let (None, Err(error)) = (&disagreement, d.check()) {
                disagreement = Some(error);
            }
        }
    }
    match disagreement {
        Some(error) => Err(error),
        None => writeln!(
            out,
            "the engines agree: largest difference of a logit {largest:.2e}"
        )
        .map_err(failed),
    }
}

//! `ser-train adapt`: what adaptive normalisation is worth on voices that a bundle never heard.

use std::path::PathBuf;

use ser_runtime::adapt::AdaptConfig;

use crate::Error;
use crate::adapt::{Simulation, SimulationOptions, simulate};
use crate::table::FeatureTable;

/// Arguments of `ser-train adapt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feature table (Parquet, CSV, ARFF) of voices that the bundle never heard
    features: PathBuf,
    /// Folder of the bundle, or of the run that made it
    #[arg(short, long, value_name = "BUNDLE")]
    model: PathBuf,
    /// Where adapt.json and adapt.svg go
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Random orders of the utterances
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    orders: u16,
    /// Seed of the first order; the others count up
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Utterances that the training mean counts for
    #[arg(long, default_value_t = AdaptConfig::default().mean_prior)]
    mean_prior: f32,
    /// Utterances that the training variance counts for
    #[arg(long, default_value_t = AdaptConfig::default().variance_prior)]
    variance_prior: f32,
    /// Limit of what is learnt, in adapted standard deviations
    #[arg(long, default_value_t = AdaptConfig::default().outlier)]
    outlier: f32,
    /// Largest weight of the past, in utterances
    #[arg(long, default_value_t = AdaptConfig::default().horizon)]
    horizon: f32,
}

/// Simulates, prints and writes.
pub fn run(args: Args) -> Result<(), Error> {
    let table = FeatureTable::read(&args.features)?;
    let options = SimulationOptions {
        adapt: AdaptConfig {
            mean_prior: args.mean_prior,
            variance_prior: args.variance_prior,
            outlier: args.outlier,
            horizon: args.horizon,
        },
        orders: args.orders.into(),
        seed: args.seed,
    };
    let result = simulate(&table, &super::bundle_dir(&args.model), &options)?;
    print(&result);
    if let Some(dir) = args.output {
        result.write(&dir)?;
        eprintln!("results: {}", dir.join("adapt.json").display());
    }
    Ok(())
}

fn print(result: &Simulation) {
    println!("{}: {}", result.name, result.protocol);
    println!("UAR, fixed normaliser          {:.3}", result.fixed);
    println!("UAR, whole-table statistics    {:.3}", result.whole_table);
    println!("UAR, whole-speaker statistics  {:.3}", result.whole_speaker);
    let show = |uar: Option<f64>| uar.map_or("-".to_owned(), |u| format!("{u:.3}"));
    for run in &result.runs {
        println!(
            "per {}, {} order: UAR {:.3}; after 15 to 30 utterances {}",
            run.unit,
            run.order,
            run.adaptive,
            show(run.after_15_to_30)
        );
        for w in &run.windows {
            println!(
                "  after {:>3} to {:>3}  adaptive {}  fixed {}  ({} predictions)",
                w.from,
                w.to,
                show(w.adaptive),
                show(w.fixed),
                w.rows
            );
        }
    }
}

//! `ser-train bench svm`.

use std::path::PathBuf;

use super::svm_rival::run as measure;

/// Time the support vector machine, beside scikit-learn's where there is one
///
/// Generated rows (4,400 × 25, 1,100 to predict) and those of the tables given; both sides fit and predict the same rows in turn.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Feature tables (.parquet, .csv, .arff) to try as well; every fifth row is predicted
    features: Vec<PathBuf>,
    /// A Python interpreter that has scikit-learn; without it only our own times are measured
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Runs of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// As [`super::svm_rival::run`].
pub fn run(args: Args) -> Result<(), crate::Error> {
    let lines = measure(&args.features, args.runs, args.python.as_deref())?;
    if args.json {
        println!("{}", serde_json::json!({ "svm": lines }));
        return Ok(());
    }
    if args.python.is_none() {
        println!("(--python PATH adds scikit-learn's figures)");
    }
    for l in &lines {
        let gamma = l.gamma.map_or_else(String::new, |g| format!(" γ = {g:.4}"));
        println!(
            "{}: C = {}{gamma}, {} × {}",
            l.case, l.c, l.train_rows, l.width
        );
        let ours = format!(
            "  here          fit {:8.4} s  predict {:8.4} s  accuracy {:.4}  {} support vectors",
            l.fit_s, l.predict_s, l.accuracy, l.support_vectors
        );
        println!("{ours}");
        if let Some(s) = &l.sklearn {
            println!(
                "  sklearn {:6}  fit {:8.4} s  predict {:8.4} s  accuracy {:.4}  {} support vectors; {} of {} predictions agree; here {:.1} and {:.1} times as fast",
                s.version,
                s.fit_s,
                s.predict_s,
                s.accuracy,
                s.support_vectors,
                s.agree,
                l.test_rows,
                s.fit_s / l.fit_s,
                s.predict_s / l.predict_s
            );
        }
    }
    Ok(())
}

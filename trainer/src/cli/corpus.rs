//! `ser-train corpus`: from a folder in a corpus's own layout to a corpus file.

use std::path::PathBuf;

use crate::corpus::{CorpusFormat, ImportOptions, import};

/// Audio files with unknown names that are listed one by one.
const UNKNOWN_SHOWN: usize = 20;

/// Arguments of `ser-train corpus`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Layout of the corpus
    #[arg(value_enum)]
    format: CorpusFormat,
    /// Folder to search, with those below it (manifest: the CSV file, or a folder with manifest.csv)
    source: PathBuf,
    /// Corpus file to write
    #[arg(short, long, value_name = "CORPUS.csv")]
    output: PathBuf,
    /// Labels to keep, by their new names: angry,happy,neutral,sad
    #[arg(long, value_delimiter = ',', value_name = "LABEL,…")]
    labels: Option<Vec<String>>,
    /// Rename labels: joy=happy,excited=happy
    #[arg(long, value_delimiter = ',', value_parser = parse_pair, value_name = "OLD=NEW,…")]
    map: Vec<(String, String)>,
    /// Corpus name of manifest rows without one [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    corpus_name: Option<String>,
    /// Refuse a folder with audio files whose names the layout does not know
    #[arg(long)]
    strict: bool,
}

/// `OLD=NEW` as two names.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.trim().is_empty() && !new.trim().is_empty() => {
            Ok((old.trim().to_owned(), new.trim().to_owned()))
        }
        _ => Err(format!("{text:?} is not of the form OLD=NEW")),
    }
}

/// Writes the corpus file and prints what is in it.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let options = ImportOptions {
        map: args.map.into_iter().collect(),
        labels: args
            .labels
            .map(|l| l.into_iter().map(|s| s.trim().to_owned()).collect()),
        corpus: args.corpus_name,
    };
    let import = import(args.format, &args.source, &options)?;
    for (file, reason) in import.unknown.iter().take(UNKNOWN_SHOWN) {
        eprintln!("unknown file {}: {reason}", file.display());
    }
    if import.unknown.len() > UNKNOWN_SHOWN {
        eprintln!(
            "… and {} more unknown files",
            import.unknown.len() - UNKNOWN_SHOWN
        );
    }
    if args.strict
        && let Some((path, reason)) = import.unknown.into_iter().next()
    {
        return Err(crate::corpus::CorpusError::UnknownFile { path, reason }.into());
    }
    import.corpus.write(&args.output)?;
    print!("{}", import.corpus.summary());
    for (what, count) in &import.left_out {
        println!("left out: {count} × {what}");
    }
    println!(
        "{} recordings in {}",
        import.corpus.utterances.len(),
        args.output.display()
    );
    Ok(())
}

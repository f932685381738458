//! `ser-train corpus`: from a folder in a corpus's own layout to a corpus file.

use std::path::PathBuf;

use crate::corpus::{
    CorpusError, CorpusFormat, Finding, ImportOptions, Labels, find_copies, import, settle_copies,
};

/// Files, ids or counts that are listed one by one.
const SHOWN: usize = 20;

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
    /// Labels to keep, by their new names, or all [default: angry,happy,neutral,sad of iemocap and msp-improv, all of the others]
    #[arg(long, value_delimiter = ',', value_name = "LABEL,…")]
    labels: Option<Vec<String>>,
    /// Rename labels: joy=happy,excited=happy [default: excited=happy for iemocap, unless with --labels all]
    #[arg(long, value_delimiter = ',', value_parser = parse_pair, value_name = "OLD=NEW,…")]
    map: Option<Vec<(String, String)>>,
    /// Corpus name of manifest rows without one [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    corpus_name: Option<String>,
    /// Where several recordings have the same samples, keep the first
    #[arg(long)]
    drop_duplicates: bool,
    /// Refuse unknown audio files, damaged label lines, labels without audio and audio without label, audio that cannot be decoded,
    /// and counts other than the corpus's published ones
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

/// `all`, or the names of labels.
fn parse_labels(names: Option<Vec<String>>) -> Labels {
    let Some(names) = names else {
        return Labels::Default;
    };
    match &names[..] {
        [one] if one.trim() == "all" => Labels::All,
        _ => Labels::These(names.iter().map(|s| s.trim().to_owned()).collect()),
    }
}

/// Writes the corpus file and prints what is in it.
pub fn run(args: Args) -> Result<(), crate::Error> {
    let options = ImportOptions {
        map: args.map.map(|m| m.into_iter().collect()),
        labels: parse_labels(args.labels),
        corpus: args.corpus_name,
    };
    let mut import = import(args.format, &args.source, &options)?;
    let shown = |(file, reason): &(PathBuf, String)| format!("{}: {reason}", file.display());
    let mut findings = Vec::new();
    if !import.unknown.is_empty() {
        findings.push(Finding {
            what: format!("{} unknown audio files", import.unknown.len()),
            examples: import.unknown.iter().map(shown).collect(),
        });
    }
    findings.append(&mut import.findings);
    let (copies, broken) = find_copies(&import.corpus);
    findings.extend(broken);
    for finding in &findings {
        eprintln!("warning: {}", text(finding));
    }
    if args.strict
        && let Some(first) = findings.first()
    {
        return Err(CorpusError::NotWhole {
            path: args.source,
            message: first.what.clone(),
        }
        .into());
    }
    let dropped = settle_copies(&mut import.corpus, &copies, args.drop_duplicates)?;
    import.corpus.write(&args.output)?;
    print!("{}", import.corpus.summary());
    for (what, count) in &import.left_out {
        println!("left out: {count} × {what}");
    }
    if dropped > 0 {
        println!("left out: {dropped} × the same samples as an earlier recording");
    }
    println!(
        "{} recordings in {}",
        import.corpus.utterances.len(),
        args.output.display()
    );
    Ok(())
}

fn text(finding: &Finding) -> String {
    let mut text = finding.what.clone();
    for example in finding.examples.iter().take(SHOWN) {
        text.push_str("\n  ");
        text.push_str(example);
    }
    if finding.examples.len() > SHOWN {
        text.push_str(&format!(
            "\n  … and {} more",
            finding.examples.len() - SHOWN
        ));
    }
    text
}

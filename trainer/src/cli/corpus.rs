//! `ser-train corpus`: from a folder in a corpus's own layout to a corpus file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::corpus::{
    Corpus, CorpusError, CorpusFormat, Finding, ImportOptions, Labels, find_copies, import,
    settle_copies,
};
use crate::data::checks::Described;
use crate::data::text::{Meaning, parse_column};

/// Files, ids or counts that are listed one by one.
const SHOWN: usize = 20;

/// Arguments of `ser-train corpus`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Layout of the corpus
    #[arg(value_enum)]
    format: CorpusFormat,
    /// Folder to search, with those below it (manifest: the table, or a folder with manifest.csv)
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
    /// Corpus name of recordings of which nothing else tells it [default: the folder's name]
    #[arg(long, value_name = "NAME")]
    corpus_name: Option<String>,
    /// Which column of a manifest holds a field: emotion=Label; nothing behind the sign: none does [default: by its name]
    #[arg(long, value_parser = parse_column, value_name = "FIELD=COLUMN")]
    column: Vec<(Meaning, Option<String>)>,
    /// Where relative paths of a manifest may start, beside its own folder
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// What corpus pattern searches in each path below the folder: groups named speaker, emotion, session, gender, corpus, split
    #[arg(long, value_name = "REGEX", value_parser = |s: &str| Regex::new(s))]
    pattern: Option<Regex>,
    /// Where several recordings have the same name or the same samples, keep the first
    #[arg(long)]
    drop_duplicates: bool,
    /// Make warnings errors: unknown audio files, damaged label lines, labels without audio and audio without label, audio that cannot
    /// be decoded, columns that give the label away, counts other than the corpus's published ones …
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

/// Fields that are given twice are a slip of the pen.
fn columns(
    given: Vec<(Meaning, Option<String>)>,
) -> Result<BTreeMap<Meaning, Option<String>>, crate::Error> {
    let mut columns = BTreeMap::new();
    for (meaning, column) in given {
        if columns.insert(meaning, column).is_some() {
            let message = format!("--column {}= is given twice", meaning.name());
            return Err(crate::Error::Usage(message));
        }
    }
    Ok(columns)
}

/// Options that the layout does not look at would be obeyed in silence by nobody.
fn check(args: &Args) -> Result<(), crate::Error> {
    let wrong = |option: &str, format: &str| {
        let message = format!("{option} is for ser-train corpus {format}");
        Err(crate::Error::Usage(message))
    };
    if args.format != CorpusFormat::Manifest {
        if !args.column.is_empty() {
            return wrong("--column", "manifest");
        }
        if args.root.is_some() {
            return wrong("--root", "manifest");
        }
    }
    if args.format != CorpusFormat::Pattern && args.pattern.is_some() {
        return wrong("--pattern", "pattern");
    }
    Ok(())
}

/// Writes the corpus file and prints what is in it.
pub fn run(args: Args) -> Result<(), crate::Error> {
    check(&args)?;
    let options = ImportOptions {
        map: args.map.map(|m| m.into_iter().collect()),
        labels: parse_labels(args.labels),
        corpus: args.corpus_name,
        columns: columns(args.column)?,
        root: args.root,
        pattern: args.pattern,
        drop_duplicates: args.drop_duplicates,
    };
    let mut import = import(args.format, &args.source, &options)?;
    for note in &import.notes {
        eprintln!("note: {note}");
    }
    one_label(&import.corpus, &options.labels, &args.source)?;
    let shown = |(file, reason): &(PathBuf, String)| format!("{}: {reason}", file.display());
    let mut findings = Vec::new();
    if !import.unknown.is_empty() {
        findings.push(Finding {
            what: format!("{} unknown audio files", import.unknown.len()),
            examples: import.unknown.iter().map(shown).collect(),
        });
    }
    findings.append(&mut import.findings);
    let compared = find_copies(&import.corpus);
    findings.extend(compared.broken);
    findings.extend(Described::corpus(&import.corpus, &compared.rates).findings());
    warn(&findings);
    if args.strict
        && let Some(first) = findings.first()
    {
        return Err(CorpusError::NotWhole {
            path: args.source,
            message: first.what.clone(),
        }
        .into());
    }
    let dropped = settle_copies(&mut import.corpus, &compared.copies, args.drop_duplicates)?;
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

/// Refuses a corpus of one label, unless that one was asked for.
fn one_label(corpus: &Corpus, asked: &Labels, source: &Path) -> Result<(), CorpusError> {
    let labels: BTreeSet<&str> = corpus
        .utterances
        .iter()
        .map(|u| u.emotion.as_str())
        .collect();
    let asked = matches!(asked, Labels::These(these) if these.len() == 1);
    match (labels.first(), labels.len()) {
        (Some(label), 1) if !asked => Err(CorpusError::Empty {
            path: source.to_owned(),
            message: format!(
                "all {} recordings have the label \"{label}\", and a classifier needs at least two labels: does another column hold the \
                 labels (--column emotion=NAME), or are they named after other folders? Say --labels {label} if it is meant so",
                corpus.utterances.len()
            ),
        }),
        _ => Ok(()),
    }
}

/// Prints warnings.
pub(super) fn warn(findings: &[Finding]) {
    for finding in findings {
        eprintln!("warning: {}", text(finding));
    }
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

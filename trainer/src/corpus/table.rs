//! Rows of a table of recordings, whoever wrote it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use super::segment::Segment;
use super::{CorpusError, Finding, UNKNOWN_SPEAKER, Utterance};
use crate::data::text::{Columns, Meaning, Numbers, Row, TextError, TextTable, parse_seconds};

/// Column names by what they mean; none says that no column means this.
pub(super) type Assigned = BTreeMap<Meaning, Option<String>>;

/// How far start, end and duration may disagree: more than rounding to hundredths does.
const ROUNDING_S: f64 = 0.011;

/// A row with a label.
pub(super) struct Listing {
    /// The line in the table.
    pub line: u64,
    /// The corpus is empty where the table does not say.
    pub utterance: Utterance,
}

/// What a table lists.
pub(super) struct Listed {
    /// In the table's order.
    pub rows: Vec<Listing>,
    /// Rows of the same path, segment and channel as an earlier one, which are not among `rows`, with the index
    /// of the earlier one; and that as an error.
    pub twice: Vec<(Twice, TextError)>,
    /// Rows without a label, as errors.
    pub unlabelled: Vec<TextError>,
    /// What may be wrong.
    pub findings: Vec<Finding>,
    /// What was passed over.
    pub notes: Vec<String>,
}

/// File, times and channel of a row.
type Part = (PathBuf, Option<(u64, u64)>, Option<u16>);

/// A row that is there already.
pub(super) struct Twice {
    /// Index of the first in [`Listed::rows`].
    pub first: usize,
    pub utterance: Utterance,
}

/// Reads the table; paths are as they stand there, and files are not looked for.
///
/// # Errors
/// [`CorpusError::Text`]: no such file, no column for path or label, a cell that cannot be understood.
pub(super) fn list(path: &Path, assigned: &Assigned) -> Result<Listed, CorpusError> {
    let mut table = TextTable::open(path)?;
    let reader = Reader::new(&table, assigned)?;
    let mut numbers = Numbers::new(table.delimiter());
    let mut listed = Listed {
        rows: Vec::new(),
        twice: Vec::new(),
        unlabelled: Vec::new(),
        findings: Vec::new(),
        notes: reader.notes(),
    };
    let mut seen: HashMap<Part, usize> = HashMap::new();
    let (mut nobody, mut channels) = (Vec::new(), Vec::new());
    while let Some(row) = table.next_row()? {
        let Some(utterance) = reader.utterance(&row, &mut numbers)? else {
            let message = "the field is empty: fill in the label, or take the row out";
            let error = row.error(reader.columns.get(Meaning::Emotion), message);
            listed.unlabelled.push(error);
            continue;
        };
        if utterance.speaker == UNKNOWN_SPEAKER {
            nobody.push(row.line);
        }
        channels.extend(utterance.channel);
        let segment = utterance.segment.map(|s| s.key());
        let file = with_slashes(&utterance.path, |_| false);
        let key = (file, segment, utterance.channel);
        match seen.get(&key) {
            Some(&first) => {
                let line: u64 = listed.rows.get(first).map_or(0, |r: &Listing| r.line);
                let part = utterance
                    .segment
                    .map_or(String::new(), |s| format!(" ({s})"));
                let message = format!(
                    "{}{part} stands in line {line} already: take one row out",
                    utterance.path.display()
                );
                let error = row.error(reader.columns.get(Meaning::Path), message);
                listed.twice.push((Twice { first, utterance }, error));
            }
            None => {
                seen.insert(key, listed.rows.len());
                let line = row.line;
                listed.rows.push(Listing { line, utterance });
            }
        }
    }
    let shown = path.display();
    for odd in table.odd() {
        listed
            .findings
            .push(Finding::plain(format!("{shown}, {odd}")));
    }
    listed.findings.extend(unknown_speakers(
        &nobody,
        listed.rows.len() + listed.twice.len(),
    ));
    if !channels.contains(&0) && channels.contains(&2) {
        listed.findings.push(Finding::plain(format!(
            "{shown}: channels count from 0, but the table has no 0 and goes to {}: subtract 1 if its first channel is 1",
            channels.iter().max().copied().unwrap_or_default()
        )));
    }
    Ok(listed)
}

/// The warning about rows of which nobody says who speaks.
pub(super) fn unknown_speakers(lines: &[u64], rows: usize) -> Option<Finding> {
    let who = match lines.len() {
        0 => return None,
        n if n == rows => "nothing says who speaks".to_owned(),
        n => format!("{n} of {rows} rows do not say who speaks"),
    };
    Some(Finding {
        what: format!(
            "{who} (taken as one speaker, \"{UNKNOWN_SPEAKER}\"): a model can be trained, but no score tells how it does on voices \
             that it never heard, since nobody can be left out; name the speakers in a column \"speaker\" to learn that"
        ),
        examples: if lines.len() == rows {
            Vec::new()
        } else {
            lines.iter().map(|l| format!("line {l}")).collect()
        },
    })
}

/// Where the fields stand.
struct Reader {
    columns: Columns,
    /// Which of offset's two meanings it has.
    offset: Option<Meaning>,
    unused: Vec<String>,
}

impl Reader {
    fn new<R: std::io::Read>(table: &TextTable<R>, assigned: &Assigned) -> Result<Self, TextError> {
        let columns = Columns::find(table.header(), &Meaning::ALL, assigned)
            .map_err(|message| table.error(message))?;
        if columns.is_empty() {
            return Err(table.error(format!(
                "line {} names no column that is known here ({}): put a line such as path,speaker,emotion above, or say what the columns \
                 are with --column path=NAME --column emotion=NAME",
                table.header_line(),
                table.header_list()
            )));
        }
        for (meaning, what, names) in [
            (
                Meaning::Path,
                "names the recordings",
                "path, file, filename, wav, audio",
            ),
            (
                Meaning::Emotion,
                "holds the label",
                "emotion, label, class, target",
            ),
        ] {
            if columns.get(meaning).is_none() {
                let field = meaning.name();
                return Err(table.error(format!(
                    "column \"{field}\" is missing: no column {what} ({names} …); say which does with --column {field}=NAME; the \
                     header has: {}",
                    table.header_list()
                )));
            }
        }
        let offset = offset_means(&columns, table.header()).map_err(|m| table.error(m))?;
        Ok(Self {
            unused: columns.unknown.clone(),
            columns,
            offset,
        })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.unused.is_empty() {
            notes.push(format!(
                "columns that are not used: {}",
                self.unused.join(", ")
            ));
        }
        let no_start = self.columns.get(Meaning::Start).is_none() && self.offset.is_none();
        if no_start && self.columns.get(Meaning::Duration).is_some() {
            notes.push(
                "the column \"duration\" has no start beside it: of each file as much is taken, from its beginning (--column duration= \
                 takes whole files)"
                    .to_owned(),
            );
        }
        notes
    }

    /// What the row says; none if it has no label.
    fn utterance(
        &self,
        row: &Row<'_>,
        numbers: &mut Numbers,
    ) -> Result<Option<Utterance>, TextError> {
        let text = |m| row.known(self.columns.get(m)).map(str::to_owned);
        let path_column = self.columns.get(Meaning::Path);
        let path = row
            .known(path_column)
            .ok_or_else(|| row.error(path_column, "the field is empty"))?;
        let segment = self.segment(row, numbers)?;
        let channel = self.channel(row)?;
        let Some(emotion) = text(Meaning::Emotion) else {
            return Ok(None);
        };
        Ok(Some(Utterance {
            path: tidy(path),
            corpus: text(Meaning::Corpus).unwrap_or_default(),
            speaker: text(Meaning::Speaker).unwrap_or_else(|| UNKNOWN_SPEAKER.to_owned()),
            session: text(Meaning::Session),
            gender: text(Meaning::Gender),
            emotion,
            segment,
            channel,
            split: text(Meaning::Split),
        }))
    }

    fn time(
        &self,
        row: &Row<'_>,
        meaning: Meaning,
        numbers: &mut Numbers,
    ) -> Result<Option<f64>, TextError> {
        let Some((i, scale)) = self.columns.time(meaning) else {
            return Ok(None);
        };
        let seconds = parse_seconds(row.get(i), numbers, row.line).map_err(|problem| {
            let field = meaning.name();
            row.error(
                Some(i),
                format!(
                    "{problem}; times are seconds, such as 1.5, or 0 days 00:00:01.5; if the column is no {field}, say so with \
                     --column {field}="
                ),
            )
        })?;
        Ok(seconds.map(|s| s * scale))
    }

    fn segment(&self, row: &Row<'_>, numbers: &mut Numbers) -> Result<Option<Segment>, TextError> {
        let mut start = self.time(row, Meaning::Start, numbers)?;
        let mut end = self.time(row, Meaning::End, numbers)?;
        let duration = self.time(row, Meaning::Duration, numbers)?;
        match self.offset {
            Some(Meaning::Start) => start = self.time(row, Meaning::Offset, numbers)?,
            Some(_) => end = self.time(row, Meaning::Offset, numbers)?,
            None => {}
        }
        if let Some(duration) = duration {
            let by_duration = start.unwrap_or(0.0) + duration;
            if duration <= 0.0 {
                let column = self.columns.get(Meaning::Duration);
                let message = format!("the duration is {duration} s: it must be above 0");
                return Err(row.error(column, message));
            }
            match end {
                None => end = Some(by_duration),
                Some(end) if (end - by_duration).abs() > ROUNDING_S => {
                    return Err(row.error(
                        self.columns.get(Meaning::Duration),
                        format!(
                            "start and duration say that the segment ends at {by_duration} s, the end is {end} s: mend one, or leave \
                             the duration out with --column duration="
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        Segment::new(start.unwrap_or(0.0), end).map_err(|message| row.error(None, message))
    }

    fn channel(&self, row: &Row<'_>) -> Result<Option<u16>, TextError> {
        let column = self.columns.get(Meaning::Channel);
        let Some(text) = row.known(column) else {
            return Ok(None);
        };
        // Data frames with gaps make whole numbers fractions.
        let number = text.strip_suffix(".0").unwrap_or(text);
        match number.to_ascii_lowercase().as_str() {
            "l" | "left" => Ok(Some(0)),
            "r" | "right" => Ok(Some(1)),
            "mono" | "mix" | "all" => Ok(None),
            other => other.parse().map(Some).map_err(|_| {
                let message = format!(
                    "{text:?} is no channel: 0, 1 … or left, right; if the column is something else, say so with --column channel="
                );
                row.error(column, message)
            }),
        }
    }
}

/// Which time an offset column holds: the start beside a duration or alone, the end beside an onset.
fn offset_means(columns: &Columns, header: &[String]) -> Result<Option<Meaning>, String> {
    let Some(offset) = columns.get(Meaning::Offset) else {
        return Ok(None);
    };
    let Some(start) = columns.get(Meaning::Start) else {
        return Ok(Some(Meaning::Start));
    };
    let onset = header[start].to_lowercase().contains("onset");
    if onset && columns.get(Meaning::End).is_none() {
        return Ok(Some(Meaning::End));
    }
    Err(format!(
        "columns \"{}\" and \"{}\" may both say where the segment begins; say what the latter is with --column end={}, or that it is \
         neither with --column offset=",
        header[start], header[offset], header[offset]
    ))
}

/// Without steps that stay where they are: `./a.wav` is `a.wav`.
fn tidy(path: &str) -> PathBuf {
    let steps = Path::new(path).components();
    steps.filter(|c| !matches!(c, Component::CurDir)).collect()
}

/// The path with slashes for backslashes, where that is needed to find it.
pub(super) fn with_slashes(path: &Path, exists: impl Fn(&Path) -> bool) -> PathBuf {
    match path.to_str() {
        Some(text) if !cfg!(windows) && text.contains('\\') && !exists(path) => {
            tidy(&text.replace('\\', "/"))
        }
        _ => path.to_owned(),
    }
}

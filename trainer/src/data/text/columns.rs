//! Columns by what they mean, whatever they are called.

use std::collections::BTreeMap;

/// What a column says of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meaning {
    /// The audio file.
    Path,
    /// Name of the corpus.
    Corpus,
    /// Who speaks.
    Speaker,
    /// Recording session.
    Session,
    /// The speaker's gender.
    Gender,
    /// The label.
    Emotion,
    /// Where in the file the row's speech begins.
    Start,
    /// Where it ends.
    End,
    /// How long it is.
    Duration,
    /// Where it begins, or, beside an onset, where it ends.
    Offset,
    /// Which channel of the file.
    Channel,
    /// Which part of the corpus the row belongs to: train, dev, test.
    Split,
}

impl Meaning {
    /// Every meaning.
    pub const ALL: [Self; 12] = [
        Self::Path,
        Self::Corpus,
        Self::Speaker,
        Self::Session,
        Self::Gender,
        Self::Emotion,
        Self::Start,
        Self::End,
        Self::Duration,
        Self::Offset,
        Self::Channel,
        Self::Split,
    ];

    /// The name of the column in our own files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Corpus => "corpus",
            Self::Speaker => "speaker",
            Self::Session => "session",
            Self::Gender => "gender",
            Self::Emotion => "emotion",
            Self::Start => "start",
            Self::End => "end",
            Self::Duration => "duration",
            Self::Offset => "offset",
            Self::Channel => "channel",
            Self::Split => "split",
        }
    }

    /// Names that others use, without blanks and marks and in lower case; the last, if any of the first are
    /// there too, mean something else.
    const fn aliases(self) -> [&'static [&'static str]; 2] {
        match self {
            Self::Path => [
                &[
                    "file",
                    "filename",
                    "filepath",
                    "pathname",
                    "fname",
                    "files",
                    "wav",
                    "wavfile",
                    "wavpath",
                    "wavfilename",
                    "audio",
                    "audiofile",
                    "audiopath",
                    "audiofilename",
                    "audiofilepath",
                    "recording",
                    "recordingpath",
                    "soundfile",
                    "fullpath",
                    "relativepath",
                    "clip",
                    "clippath",
                ],
                &["name"],
            ],
            Self::Corpus => [&["database", "dataset", "corpusname", "db"], &[]],
            Self::Speaker => [
                &[
                    "speakerid",
                    "speakername",
                    "speakers",
                    "spk",
                    "spkid",
                    "spkr",
                    "actor",
                    "actorid",
                    "subject",
                    "subjectid",
                    "talker",
                    "participant",
                    "participantid",
                    "person",
                ],
                &[],
            ],
            Self::Session => [&["sessionid", "sess"], &[]],
            Self::Gender => [&["sex", "speakergender", "speakersex"], &[]],
            Self::Emotion => [
                &[
                    "label",
                    "class",
                    "target",
                    "emo",
                    "emotions",
                    "labels",
                    "emotionlabel",
                    "emotionclass",
                    "emotionname",
                    "emotioncategory",
                    "emoclass",
                    "emolabel",
                    "category",
                    "affect",
                ],
                &["classlabel"],
            ],
            Self::Start => [
                &[
                    "begin",
                    "onset",
                    "starttime",
                    "begintime",
                    "timestart",
                    "segmentstart",
                    "xmin",
                    "tmin",
                ],
                &[],
            ],
            Self::End => [
                &[
                    "stop",
                    "endtime",
                    "stoptime",
                    "timeend",
                    "segmentend",
                    "xmax",
                    "tmax",
                ],
                &[],
            ],
            Self::Duration => [&["dur"], &[]],
            Self::Offset => [&[], &[]],
            Self::Channel => [&["chan", "ch", "channelid", "audiochannel"], &[]],
            Self::Split => [&["splitset", "subset", "partition", "set"], &[]],
        }
    }

    /// Whether cells are times, so that the column's name may end in a unit.
    #[must_use]
    pub const fn is_time(self) -> bool {
        matches!(
            self,
            Self::Start | Self::End | Self::Duration | Self::Offset
        )
    }

    /// How well a column's name says this: 0 for the name itself, then the aliases; none if it does not.
    fn rank(self, name: &str) -> Option<usize> {
        let key = key(name, self.is_time());
        if key == self.name() {
            return Some(0);
        }
        let aliases = self.aliases();
        (0..aliases.len())
            .find(|i| aliases[*i].contains(&key.as_str()))
            .map(|i| i + 1)
    }
}

/// A name in lower case, letters and digits alone, and without its unit if it may have one.
fn key(name: &str, unit: bool) -> String {
    let mut words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
        .collect();
    if unit && words.len() > 1 && words.last().is_some_and(|w| unit_scale(w).is_some()) {
        words.pop();
    }
    words.concat()
}

/// Seconds in a unit; NaN for one that has no fixed length.
fn unit_scale(word: &str) -> Option<f64> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => 1e-3,
        "min" | "mins" | "minutes" => 60.0,
        "sample" | "samples" | "frame" | "frames" => f64::NAN,
        _ => return None,
    })
}

/// Which column of a table means what.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    found: BTreeMap<Meaning, (usize, f64)>,
    /// Columns that mean none of what was looked for, by name; a row index without a name is not among them.
    pub unknown: Vec<String>,
}

impl Columns {
    /// Finds the columns of `wanted` in `header`. `assigned` goes before names: the column of a meaning, or none
    /// to say that no column has it.
    ///
    /// # Errors
    /// A message: a column named in `assigned` is not there, two columns look alike, a time counts samples, two
    /// columns have one name.
    pub fn find(
        header: &[String],
        wanted: &[Meaning],
        assigned: &BTreeMap<Meaning, Option<String>>,
    ) -> Result<Self, String> {
        let mut columns = Self::default();
        let mut taken = vec![false; header.len()];
        for (&meaning, name) in assigned {
            let Some(name) = name else { continue };
            let i = position(header, name)?;
            if taken[i] {
                return Err(format!("column \"{name}\" is given two meanings"));
            }
            taken[i] = true;
            columns.insert(meaning, i, header)?;
        }
        for &meaning in wanted {
            if assigned.contains_key(&meaning) {
                continue;
            }
            let ranked: Vec<(usize, usize)> = (0..header.len())
                .filter(|i| !taken[*i])
                .filter_map(|i| Some((meaning.rank(&header[i])?, i)))
                .collect();
            let Some(best) = ranked.iter().map(|(rank, _)| *rank).min() else {
                continue;
            };
            let mut hits = ranked.iter().filter(|(rank, _)| *rank == best);
            if let (Some((_, a)), Some((_, b))) = (hits.next(), hits.next()) {
                let (field, a, b) = (meaning.name(), &header[*a], &header[*b]);
                if a == b {
                    return Err(format!(
                        "column \"{a}\" stands in the header twice: rename one"
                    ));
                }
                return Err(format!(
                    "columns \"{a}\" and \"{b}\" both look like the {field}; say which it is with --column {field}={}",
                    quoted(a)
                ));
            }
            if let Some((_, i)) = ranked.iter().find(|(rank, _)| *rank == best) {
                taken[*i] = true;
                columns.insert(meaning, *i, header)?;
            }
        }
        let is_index = |i: usize, name: &str| {
            name.is_empty() || (i == 0 && (name.starts_with("Unnamed:") || name == "index"))
        };
        columns.unknown = header
            .iter()
            .enumerate()
            .filter(|(i, name)| !taken[*i] && !is_index(*i, name))
            .map(|(_, name)| name.clone())
            .collect();
        Ok(columns)
    }

    fn insert(&mut self, meaning: Meaning, i: usize, header: &[String]) -> Result<(), String> {
        let mut scale = 1.0;
        if meaning.is_time() {
            let last = header[i]
                .rsplit(|c: char| !c.is_alphanumeric())
                .find(|w| !w.is_empty());
            scale = last
                .and_then(|w| unit_scale(&w.to_lowercase()))
                .unwrap_or(1.0);
            if scale.is_nan() {
                let (name, field) = (&header[i], meaning.name());
                return Err(format!(
                    "column \"{name}\" counts samples or frames, but times must be in seconds: divide by the rate, or say that it \
                     is no {field} with --column {field}="
                ));
            }
        }
        self.found.insert(meaning, (i, scale));
        Ok(())
    }

    /// Index of the column.
    #[must_use]
    pub fn get(&self, meaning: Meaning) -> Option<usize> {
        self.found.get(&meaning).map(|(i, _)| *i)
    }

    /// Index of a column of times and the seconds in its unit.
    #[must_use]
    pub fn time(&self, meaning: Meaning) -> Option<(usize, f64)> {
        self.found.get(&meaning).copied()
    }

    /// Whether no column was understood.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many of the names look like a meaning: high for a header, low for a line of data.
    #[must_use]
    pub fn likeness(names: &[&str]) -> usize {
        let known = |n: &&&str| Meaning::ALL.iter().any(|m| m.rank(n).is_some());
        names.iter().filter(known).count()
    }
}

/// The column of this name, exactly or else up to case, blanks and marks.
fn position(header: &[String], name: &str) -> Result<usize, String> {
    if let Some(i) = header.iter().position(|h| h == name) {
        if header[i + 1..].iter().any(|h| h == name) {
            return Err(format!(
                "column \"{name}\" stands in the header twice: rename one"
            ));
        }
        return Ok(i);
    }
    let wanted = key(name, false);
    let alike: Vec<usize> = (0..header.len())
        .filter(|i| !wanted.is_empty() && key(&header[*i], false) == wanted)
        .collect();
    match alike[..] {
        [one] => Ok(one),
        [a, b, ..] => Err(format!(
            "\"{name}\" may be column \"{}\" or \"{}\": write the name as it is in the header",
            header[a], header[b]
        )),
        [] => {
            let hint = nearest(name, header)
                .map_or(String::new(), |n| format!(" (did you mean \"{n}\"?)"));
            Err(format!(
                "there is no column \"{name}\"{hint}; the header has: {}",
                list(header)
            ))
        }
    }
}

/// The names for a message, not all if they are many.
pub(super) fn list(header: &[String]) -> String {
    const SHOWN: usize = 30;
    let mut text = header[..header.len().min(SHOWN)].join(", ");
    if header.len() > SHOWN {
        text.push_str(&format!(", … and {} more", header.len() - SHOWN));
    }
    text
}

/// The name for a command line.
fn quoted(name: &str) -> String {
    if name
        .chars()
        .all(|c| c.is_alphanumeric() || "_-.".contains(c))
    {
        name.to_owned()
    } else {
        format!("'{name}'")
    }
}

/// The name nearest to `name`, if one is near.
#[must_use]
pub fn nearest<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    names
        .iter()
        .map(|n| {
            (
                strsim::jaro_winkler(&n.to_lowercase(), &name.to_lowercase()),
                n,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, n)| n.as_str())
}

/// `emotion=Label` as a meaning and its column; nothing behind the sign says that no column has it.
///
/// # Errors
/// A message that lists the meanings.
pub fn parse_column(text: &str) -> Result<(Meaning, Option<String>), String> {
    let known = || Meaning::ALL.map(Meaning::name).join(", ");
    let Some((field, column)) = text.split_once('=') else {
        return Err(format!(
            "{text:?} is not of the form FIELD=COLUMN, such as emotion=Label; the fields are {}",
            known()
        ));
    };
    let field = field.trim();
    let meaning = Meaning::ALL
        .into_iter()
        .find(|m| m.rank(field).is_some())
        .ok_or_else(|| format!("{field:?} is none of the fields {}", known()))?;
    let column = Some(column.trim()).filter(|c| !c.is_empty());
    Ok((meaning, column.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &[&str]) -> Result<Columns, String> {
        find_with(header, &[])
    }

    fn find_with(header: &[&str], assigned: &[&str]) -> Result<Columns, String> {
        let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
        let assigned = assigned.iter().map(|a| parse_column(a).unwrap()).collect();
        Columns::find(&header, &Meaning::ALL, &assigned)
    }

    #[test]
    fn names_of_any_case_and_spelling() {
        for header in [
            ["path", "emotion", "speaker"],
            ["FILE", "Label", "Speaker ID"],
            ["file_name", "class", "spk"],
            ["Wav", "TARGET", "actor"],
            ["Audio-File", "Emotion Label", "Subject_ID"],
        ] {
            let columns = find(&header).unwrap();
            assert_eq!(columns.get(Meaning::Path), Some(0), "{header:?}");
            assert_eq!(columns.get(Meaning::Emotion), Some(1), "{header:?}");
            assert_eq!(columns.get(Meaning::Speaker), Some(2), "{header:?}");
            assert!(columns.unknown.is_empty());
        }
    }

    #[test]
    fn the_plain_name_wins_and_two_aliases_are_ambiguous() {
        let columns = find(&["path", "name", "emotion", "label"]).unwrap();
        assert_eq!(columns.get(Meaning::Emotion), Some(2));
        assert_eq!(columns.unknown, ["name", "label"]);
        let error = find(&["file", "class", "My Label", "target"]).unwrap_err();
        assert!(
            error.contains("\"class\" and \"target\"") && error.contains("--column emotion=class"),
            "{error}"
        );
        let columns = find_with(&["file", "class", "target"], &["emotion=Target"]).unwrap();
        assert_eq!(columns.get(Meaning::Emotion), Some(2));
        let error = find_with(&["file", "Lable"], &["emotion=Label"]).unwrap_err();
        assert!(error.contains("did you mean \"Lable\""), "{error}");
        assert!(find(&["path", "path", "emotion"]).is_err());
        assert!(find(&["path", "note", "note", "emotion"]).is_ok());
    }

    #[test]
    fn units_of_times_and_columns_that_are_none() {
        let columns = find(&["file", "Start (ms)", "end_time_s"]).unwrap();
        assert_eq!(columns.time(Meaning::Start), Some((1, 1e-3)));
        assert_eq!(columns.time(Meaning::End), Some((2, 1.0)));
        assert!(
            find(&["file", "start_sample"])
                .unwrap_err()
                .contains("--column start=")
        );
        let columns = find_with(&["file", "start_sample"], &["start="]).unwrap();
        assert_eq!(columns.get(Meaning::Start), None);
        assert_eq!(columns.unknown, ["start_sample"]);
        assert!(parse_column("emotion").is_err());
        assert!(parse_column("colour=red").is_err());
        assert_eq!(
            parse_column("Label = Mood").unwrap(),
            (Meaning::Emotion, Some("Mood".to_owned()))
        );
    }
}

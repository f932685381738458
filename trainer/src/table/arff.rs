//! Reading ARFF, the attribute-relation format of Weka, which openSMILE writes too.
//!
//! Dense rows of numeric, string and nominal attributes. The class is an attribute named like an emotion
//! (`class`, `emotion`, `label`) or else the last one, if it is nominal. Texts in quotation marks may hold
//! backslashes as Weka writes them (two for one) or as they are, and the mark itself.

use std::path::Path;

use super::columns::{Layout, Role};
use super::rows::{PartialTable, RowSink};
use super::{FeatureSetTag, MetaField, ReadOptions, TableError};
use crate::data::text::{self, Numbers};

/// Types of attributes that are one number or text a row.
const TYPES: [&str; 5] = ["numeric", "real", "integer", "string", "date"];

struct Attribute {
    name: String,
    /// The values of a nominal attribute; empty where any is allowed.
    values: Vec<String>,
    nominal: bool,
}

pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<PartialTable, TableError> {
    let decoded = text::read(path)?;
    let malformed = |line: u64, message: String| TableError::Malformed {
        path: path.to_owned(),
        message: format!("line {line}: {message}"),
    };
    let mut attributes: Vec<Attribute> = Vec::new();
    let mut sink: Option<RowSink<'_>> = None;
    for (line, number) in decoded.text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('%') {
            continue;
        }
        if let Some(sink) = &mut sink {
            match cells(line, &attributes) {
                Ok(cells) => sink.push(number, cells.iter().map(String::as_str))?,
                Err(message) => sink.broken(TableError::BadRow {
                    path: path.to_owned(),
                    row: sink.next_row(),
                    line: number,
                    message,
                })?,
            }
            continue;
        }
        let keyword = line.split_whitespace().next().unwrap_or_default();
        match keyword.to_ascii_lowercase().as_str() {
            "@relation" => {}
            "@attribute" => {
                let rest = line[keyword.len()..].trim_start();
                attributes.push(attribute(rest).map_err(|m| malformed(number, m))?);
            }
            "@data" => {
                let layout = layout(path, &attributes, options)?;
                let numbers = Numbers::new(b',');
                sink = Some(RowSink::new(path, layout, options.skip_broken, numbers));
            }
            _ => {
                let message =
                    "neither @relation, @attribute nor @data; is this an ARFF file?".to_owned();
                return Err(malformed(number, message));
            }
        }
    }
    let sink = sink.ok_or_else(|| TableError::Empty {
        path: path.to_owned(),
        what: "it has no @data section",
    })?;
    let mut table = sink.finish(None)?;
    table.notes.extend(decoded.odd);
    Ok(table)
}

fn layout(
    path: &Path,
    attributes: &[Attribute],
    options: &ReadOptions,
) -> Result<Layout, TableError> {
    let columns: Vec<String> = attributes.iter().map(|a| a.name.clone()).collect();
    let new = |options: &ReadOptions| {
        Layout::new(path, columns.clone(), options, FeatureSetTag::custom())
    };
    let class = attributes
        .last()
        .filter(|a| a.nominal && !options.columns.drop.contains(&a.name));
    let layout = new(options)?;
    let taken = matches!(layout.roles.last(), Some(Role::Meta(_)));
    match class {
        Some(class) if !taken && !layout.has(Role::Meta(MetaField::Emotion)) => {
            let mut options = options.clone();
            let fields = &mut options.columns.fields;
            fields.insert(MetaField::Emotion, class.name.clone());
            Ok(Layout {
                emotion_is_sure: false,
                ..new(&options)?
            })
        }
        _ => Ok(layout),
    }
}

/// The cells of a row, one for each attribute.
fn cells(line: &str, attributes: &[Attribute]) -> Result<Vec<String>, String> {
    if line.starts_with('{') {
        return Err("a sparse row; save the table with dense rows".to_owned());
    }
    let separator = if line.contains(',') { ',' } else { '\t' };
    let mut cells = split(line, separator)?;
    let (found, expected) = (cells.len(), attributes.len());
    if found == expected + 1 && cells.last().is_some_and(String::is_empty) {
        cells.pop();
    } else if found != expected {
        return Err(format!(
            "{found} fields, the header has {expected} attributes; is the line cut off?"
        ));
    }
    let allowed = |(cell, a): &(&String, &Attribute)| {
        a.values.is_empty() || *cell == "?" || a.values.contains(cell)
    };
    match cells.iter().zip(attributes).find(|pair| !allowed(pair)) {
        None => Ok(cells),
        Some((cell, a)) => Err(format!(
            "{cell:?} is no value of the attribute \"{}\"",
            a.name
        )),
    }
}

/// What follows `@attribute`: a name, perhaps quoted, and a type, which openSMILE leaves out for a class that
/// it was told nothing of.
fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, kind) = match text.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let ends = |rest: &str| rest.is_empty() || rest.starts_with(['{', ' ', '\t']);
            quoted(text, quote, ends)?
        }
        _ => bare_name(text),
    };
    let kind = kind.trim();
    if name.is_empty() {
        return Err("an @attribute needs a name".to_owned());
    }
    if let Some(values) = kind.strip_prefix('{') {
        let values = values
            .strip_suffix('}')
            .ok_or("the list of values has no closing brace")?;
        let mut values = split(values, ',')?;
        values.retain(|v| !v.is_empty());
        return Ok(Attribute {
            name,
            values,
            nominal: true,
        });
    }
    if kind.eq_ignore_ascii_case("relational") {
        return Err(format!(
            "the attribute \"{name}\" is relational; features must be one number a row"
        ));
    }
    Ok(Attribute {
        name,
        values: Vec::new(),
        nominal: false,
    })
}

/// The name of an attribute without quotation marks, and its type. Blanks in the name are against the rules,
/// but where the last word is a type, what stands before it is the name.
fn bare_name(text: &str) -> (String, &str) {
    let is_type = |word: &str| TYPES.iter().any(|t| t.eq_ignore_ascii_case(word));
    let end = text
        .find(|c: char| c.is_whitespace() || c == '{')
        .unwrap_or(text.len());
    let (first, rest) = text.split_at(end);
    let next = rest.split_whitespace().next().unwrap_or_default();
    if next.is_empty() || is_type(next) || next.starts_with('{') {
        return (first.to_owned(), rest);
    }
    match text.rsplit_once(char::is_whitespace) {
        Some((name, kind)) if is_type(kind) => (name.trim_end().to_owned(), kind),
        _ => (first.to_owned(), rest),
    }
}

/// The text between the quotation marks that `text` begins with, and what follows. The closing mark is the first
/// behind which the text `ends` and before which no backslash stands, or else one with a backslash before it.
fn quoted(text: &str, quote: char, ends: impl Fn(&str) -> bool) -> Result<(String, &str), String> {
    let inner = &text[quote.len_utf8()..];
    let rest = |i: usize| &inner[i + quote.len_utf8()..];
    let escaped = |i: usize| {
        let before = inner[..i].trim_end_matches('\\');
        (i - before.len()) % 2 == 1
    };
    let mut closing = inner
        .match_indices(quote)
        .map(|(i, _)| i)
        .filter(|i| ends(rest(*i)));
    let first = closing.clone().next();
    match closing.find(|i| !escaped(*i)).or(first) {
        Some(i) => Ok((unescaped(&inner[..i]), rest(i))),
        None => Err(format!("the quotation mark {quote} is never closed")),
    }
}

/// The text without its escapes. Backslashes in pairs, all of them, are one each; others, as in the paths of
/// Windows, stand for themselves, unless a quotation mark follows.
fn unescaped(text: &str) -> String {
    let text = text.replace("\\'", "'").replace("\\\"", "\"");
    let runs = text
        .split(|c| c != '\\')
        .map(str::len)
        .filter(|n| *n > 0)
        .collect::<Vec<_>>();
    if !runs.is_empty() && runs.iter().all(|n| n % 2 == 0) {
        text.replace(r"\\", r"\")
    } else {
        text
    }
}

/// Cells between separators, without the blanks and quotes around them.
fn split(line: &str, separator: char) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches(' ');
        let after = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let ends = |rest: &str| {
                    let rest = rest.trim_start_matches(' ');
                    rest.is_empty() || rest.starts_with(separator)
                };
                let (value, after) = quoted(rest, quote, ends)?;
                cells.push(value);
                after.trim_start_matches(' ')
            }
            _ => {
                let end = rest.find(separator).unwrap_or(rest.len());
                cells.push(rest[..end].trim_end().to_owned());
                &rest[end..]
            }
        };
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None => return Ok(cells),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_quotes() {
        assert_eq!(
            split("1, 'a,b', 'c\\', d' ,\"c\\\"d\",,x y", ',').unwrap(),
            ["1", "a,b", "c', d", "c\"d", "", "x y"]
        );
        // As openSMILE 3 and 2 write them, and Weka.
        assert_eq!(
            split(
                r"'C:\\new dir\\a.wav','C:\new\tab.wav','o\'b.wav','o'b, c.wav','\\pc\a.wav',1",
                ','
            )
            .unwrap(),
            [
                r"C:\new dir\a.wav",
                r"C:\new\tab.wav",
                "o'b.wav",
                "o'b, c.wav",
                r"\\pc\a.wav",
                "1"
            ]
        );
        assert!(split("'open", ',').is_err());
        assert!(split("'a' b", ',').is_err());
    }

    #[test]
    fn attributes_of_any_spelling() {
        let a = attribute("'my class' { 'very sad', happy }").unwrap();
        assert_eq!(
            (a.name.as_str(), a.values.as_slice()),
            ("my class", &["very sad".to_owned(), "happy".to_owned()][..])
        );
        let name = |text: &str| attribute(text).unwrap().name;
        assert_eq!(name("x"), "x");
        assert_eq!(name("F0 final numeric"), "F0 final");
        assert_eq!(name("when date \"yyyy MM\""), "when");
        assert_eq!(name("'it's' real"), "it's");
        assert!(attribute("'' numeric").is_err());
        assert!(attribute("x relational").is_err());
        assert!(attribute("x {a, b").is_err());
    }
}

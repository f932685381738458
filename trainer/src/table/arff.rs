//! Reading ARFF, the attribute-relation format of Weka, which openSMILE writes too.
//!
//! Dense rows of numeric, string and nominal attributes. The class is an attribute named like an emotion
//! (`class`, `emotion`, `label`) or else the last one, if it is nominal.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::columns::{Layout, Role};
use super::rows::{PartialTable, RowSink};
use super::{ColumnMap, FeatureSetTag, MetaField, TableError};

pub(super) fn read(path: &Path, map: &ColumnMap) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    read_from(path, BufReader::new(File::open(path).map_err(io)?), map)
}

struct Attribute {
    name: String,
    /// The values of a nominal attribute; none for other types.
    nominal: Option<Vec<String>>,
}

fn read_from(
    path: &Path,
    source: impl BufRead,
    map: &ColumnMap,
) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let malformed = |number: u64, message: String| TableError::Malformed {
        path: path.to_owned(),
        message: format!("line {number}: {message}"),
    };
    let mut attributes: Vec<Attribute> = Vec::new();
    let mut sink: Option<RowSink<'_>> = None;
    let mut number = 0;
    for line in source.split(b'\n') {
        let line = line.map_err(io)?;
        number += 1;
        let line = std::str::from_utf8(&line)
            .map_err(|_| malformed(number, "not UTF-8 text; is this an ARFF file?".to_owned()))?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('%') {
            continue;
        }
        if let Some(sink) = &mut sink {
            if line.starts_with('{') {
                let message = "a sparse row; save the table with dense rows".to_owned();
                return Err(malformed(number, message));
            }
            let cells = split(line, ',').map_err(|m| malformed(number, m))?;
            for (cell, attribute) in cells.iter().zip(&attributes) {
                if let Some(values) = &attribute.nominal
                    && cell != "?"
                    && !values.contains(cell)
                {
                    let message = format!(
                        "{cell:?} is no value of the attribute \"{}\"",
                        attribute.name
                    );
                    return Err(malformed(number, message));
                }
            }
            sink.push(number, cells.len(), cells.iter().map(String::as_str))?;
            continue;
        }
        let keyword = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        match keyword.as_str() {
            "@relation" => {}
            "@attribute" => {
                let rest = line["@attribute".len()..].trim_start();
                attributes.push(attribute(rest).map_err(|m| malformed(number, m))?);
            }
            "@data" => sink = Some(RowSink::new(path, layout(path, &attributes, map)?)),
            _ => {
                let message =
                    "neither @relation, @attribute nor @data; is this an ARFF file?".to_owned();
                return Err(malformed(number, message));
            }
        }
    }
    match sink {
        Some(sink) => sink.finish(FeatureSetTag::custom()),
        None if number == 0 => Err(TableError::Empty {
            path: path.to_owned(),
            what: "the file has 0 bytes",
        }),
        None => Err(TableError::Empty {
            path: path.to_owned(),
            what: "it has no @data section",
        }),
    }
}

fn layout(path: &Path, attributes: &[Attribute], map: &ColumnMap) -> Result<Layout, TableError> {
    let columns: Vec<String> = attributes.iter().map(|a| a.name.clone()).collect();
    let layout = Layout::new(path, columns.clone(), map)?;
    let class = attributes
        .last()
        .filter(|a| a.nominal.is_some() && !map.drop.contains(&a.name));
    match class {
        Some(class) if !layout.roles.contains(&Role::Meta(MetaField::Emotion)) => {
            let mut map = map.clone();
            map.fields.insert(MetaField::Emotion, class.name.clone());
            Layout::new(path, columns, &map)
        }
        _ => Ok(layout),
    }
}

/// What follows `@attribute`: a name, perhaps quoted, and a type.
fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, rest) = match text.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(text, quote)?,
        _ => {
            let end = text
                .find(|c: char| c.is_whitespace() || c == '{')
                .unwrap_or(text.len());
            (text[..end].to_owned(), &text[end..])
        }
    };
    let kind = rest.trim();
    if name.is_empty() || kind.is_empty() {
        return Err("an @attribute needs a name and a type".to_owned());
    }
    if let Some(values) = kind.strip_prefix('{') {
        let values = values
            .strip_suffix('}')
            .ok_or("the list of values has no closing brace")?;
        return Ok(Attribute {
            name,
            nominal: Some(split(values, ',')?),
        });
    }
    let kind = kind
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match kind.as_str() {
        "numeric" | "real" | "integer" | "string" | "date" => Ok(Attribute {
            name,
            nominal: None,
        }),
        other => Err(format!(
            "the attribute \"{name}\" has the unknown type {other:?}"
        )),
    }
}

/// The text between the quotes that `text` begins with, and what follows; a backslash escapes.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((i, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok((value, &text[i + c.len_utf8()..])),
            c => value.push(c),
        }
    }
    Err(format!("the quotation mark {quote} is never closed"))
}

/// Cells between separators, without the blanks and quotes around them.
fn split(line: &str, separator: char) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        rest = rest.trim_start();
        let after = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let (value, after) = quoted(rest, quote)?;
                cells.push(value);
                after.trim_start()
            }
            _ => {
                let end = rest.find(separator).unwrap_or(rest.len());
                cells.push(rest[..end].trim_end().to_owned());
                &rest[end..]
            }
        };
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(cells),
            None => {
                return Err(format!(
                    "{:?} follows a closing quotation mark",
                    after.chars().take(20).collect::<String>()
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_quotes() {
        assert_eq!(
            split("1, 'a,b' ,\"c\\\"d\",,x y", ',').unwrap(),
            ["1", "a,b", "c\"d", "", "x y"]
        );
        assert!(split("'open", ',').is_err());
        assert!(split("'a' b", ',').is_err());
        let a = attribute("'my class' { 'very sad', happy }").unwrap();
        assert_eq!(
            (a.name.as_str(), a.nominal.unwrap().as_slice()),
            ("my class", &["very sad".to_owned(), "happy".to_owned()][..])
        );
        assert!(attribute("x").is_err());
        assert!(attribute("x relational").is_err());
        assert!(attribute("x {a, b").is_err());
    }
}

//! One cell: a feature, or what it says of the row.

use std::path::Path;

use super::columns::Role;
use super::{MetaField, PartialMeta, TableError, advice};
use crate::data::text::{NumberProblem, Numbers, is_missing, parse_seconds};

/// Where a cell stands, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell<'a> {
    pub path: &'a Path,
    /// From 1.
    pub row: usize,
    pub column: &'a str,
    /// Seconds in one, where the cell is a time.
    pub scale: f64,
}

impl Cell<'_> {
    /// The value of a feature from its text.
    pub fn feature(&self, text: &str, line: u64, numbers: &mut Numbers) -> Result<f32, TableError> {
        match numbers.parse::<f32>(text, line) {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(self.not_finite(text)),
            Err(NumberProblem::Missing) => {
                Err(self.not_finite(if is_nan(text) { text } else { "missing" }))
            }
            Err(NumberProblem::NotANumber(_)) if is_nan(text) => Err(self.not_finite(text)),
            Err(problem) => Err(self.not_a_number(&problem)),
        }
    }

    /// The value of a feature from a number.
    pub fn number(&self, value: Option<f64>) -> Result<f32, TableError> {
        match value {
            Some(value) if (value as f32).is_finite() => Ok(value as f32),
            Some(value) => Err(self.not_finite(&value.to_string())),
            None => Err(self.not_finite("missing")),
        }
    }

    /// What the cell says of the row; nothing if it says that nothing is known.
    pub fn describe(
        &self,
        role: Role,
        text: &str,
        line: u64,
        numbers: &mut Numbers,
        meta: &mut PartialMeta,
    ) -> Result<(), TableError> {
        let text = unquoted(text);
        if is_missing(text) {
            return Ok(());
        }
        let known = || Some(text.to_owned());
        // A data frame turns whole numbers into fractions where one is missing.
        let name = || Some(whole(text).to_owned());
        match role {
            Role::Meta(MetaField::Path) => meta.path = known(),
            Role::Meta(MetaField::Corpus) => meta.corpus = known(),
            Role::Meta(MetaField::Speaker) => meta.speaker = name(),
            Role::Meta(MetaField::Session) => meta.session = name(),
            Role::Meta(MetaField::Gender) => meta.gender = known(),
            Role::Meta(MetaField::Emotion) => meta.emotion = name(),
            Role::Index => meta.index = known(),
            Role::Meta(MetaField::SampleRate) => {
                meta.sample_rate = Some(self.count(text, line, numbers)?);
            }
            Role::Meta(MetaField::Copy) => meta.copy = Some(self.count(text, line, numbers)?),
            Role::Meta(MetaField::StartS) => meta.start_s = self.seconds(text, line, numbers)?,
            Role::Meta(MetaField::DurationS) => {
                meta.duration_s = self.seconds(text, line, numbers)?;
            }
            Role::End => meta.end_s = self.seconds(text, line, numbers)?,
            Role::Feature(_) | Role::Ignored => {}
        }
        Ok(())
    }

    /// A whole number above 0.
    fn count(&self, text: &str, line: u64, numbers: &mut Numbers) -> Result<u32, TableError> {
        let number = numbers.parse::<f64>(text, line);
        let number = number.map_err(|problem| self.not_a_number(&problem))?;
        if number.fract() != 0.0 || !(1.0..=f64::from(u32::MAX)).contains(&number) {
            return Err(self.wrong(format!("{text:?} is no whole number above 0")));
        }
        Ok(number as u32)
    }

    fn seconds(
        &self,
        text: &str,
        line: u64,
        numbers: &mut Numbers,
    ) -> Result<Option<f32>, TableError> {
        match parse_seconds(text, numbers, line) {
            Ok(Some(seconds)) if !seconds.is_finite() || seconds < 0.0 => {
                Err(self.wrong(format!("{text:?} is no time in a recording")))
            }
            Ok(seconds) => Ok(seconds.map(|s| (s * self.scale) as f32)),
            Err(problem) => Err(self.not_a_number(&problem)),
        }
    }

    fn not_finite(&self, value: &str) -> TableError {
        TableError::NotFinite {
            path: self.path.to_owned(),
            row: self.row,
            column: self.column.to_owned(),
            value: value.to_owned(),
        }
    }

    fn not_a_number(&self, problem: &NumberProblem) -> TableError {
        let hint = match problem {
            NumberProblem::NotANumber(text) => advice::not_a_number(self.column, text),
            _ => String::new(),
        };
        self.wrong(format!("{problem}{hint}"))
    }

    fn wrong(&self, message: String) -> TableError {
        TableError::NotANumber {
            path: self.path.to_owned(),
            row: self.row,
            column: self.column.to_owned(),
            message,
        }
    }
}

/// Whether a program meant NaN or infinity: `-nan(ind)`, `1.#QNAN` and `1.#INF` are what Windows prints.
fn is_nan(text: &str) -> bool {
    let text = text.trim_start_matches(['-', '+']).to_ascii_lowercase();
    text.starts_with("nan") || text.contains(".#")
}

/// Without one pair of single quotes around it, as openSMILE writes names.
fn unquoted(cell: &str) -> &str {
    cell.strip_prefix('\'')
        .and_then(|c| c.strip_suffix('\''))
        .unwrap_or(cell)
}

/// `3` of `3.0`.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((digits, zeros))
            if !digits.is_empty()
                && !zeros.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && zeros.bytes().all(|b| b == b'0') =>
        {
            digits
        }
        _ => text,
    }
}

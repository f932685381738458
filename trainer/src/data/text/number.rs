//! Numbers and times as spreadsheets, data frames and annotation tools write them.

use std::fmt;
use std::str::FromStr;

/// Cells that say that nothing is known, as data frames write and read them.
const MISSING: [&str; 17] = [
    "", "?", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "-NaN", "-nan", "NaT",
    "NULL", "null", "None", "#NV",
];

/// Whether the cell says that nothing is known: empty, `?`, `NA`, `NaN`, `NaT`, `None`, `null` …
#[must_use]
pub fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell.trim())
}

/// Why a cell is no number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NumberProblem {
    /// Nothing there.
    Missing,
    /// A comma in a table whose columns are separated by commas.
    DecimalComma(String),
    /// A decimal comma in a table that has a decimal point elsewhere, or the other way about.
    MixedMarks {
        /// The cell.
        text: String,
        /// A line with the other mark.
        other_line: u64,
    },
    /// Points or commas between thousands.
    Thousands(String),
    /// A spreadsheet's formula failed.
    SpreadsheetError(String),
    /// Any other text.
    NotANumber(String),
}

impl fmt::Display for NumberProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the cell is empty"),
            Self::DecimalComma(text) => write!(
                f,
                "{text:?} has a comma, and commas separate the columns: save the table with semicolons between columns, or with \
                 decimal points"
            ),
            Self::MixedMarks { text, other_line } => write!(
                f,
                "{text:?} and the numbers of line {other_line} have different decimal marks: save the table with one"
            ),
            Self::Thousands(text) => write!(
                f,
                "{text:?} has marks between thousands: save the numbers without them"
            ),
            Self::SpreadsheetError(text) => write!(
                f,
                "{text:?} is a spreadsheet's error: mend the formula and save the table again"
            ),
            Self::NotANumber(text) => write!(f, "{text:?} is not a number"),
        }
    }
}

/// Reads the numbers of one table. Decimal commas are understood where commas do not separate columns, but not
/// together with decimal points: `1,234` might be a thousand then.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    comma_allowed: bool,
    /// First lines in which a mark stood.
    comma: Option<u64>,
    point: Option<u64>,
}

impl Numbers {
    /// For a table with this byte between columns.
    #[must_use]
    pub fn new(delimiter: u8) -> Self {
        Self {
            comma_allowed: delimiter != b',',
            ..Self::default()
        }
    }

    /// The number in a cell of line `line`. NaN and infinity, if spelled so, are numbers here.
    ///
    /// # Errors
    /// [`NumberProblem`].
    pub fn parse<T: FromStr>(&mut self, cell: &str, line: u64) -> Result<T, NumberProblem> {
        let cell = cell.trim();
        let Ok(number) = cell.parse() else {
            return self.parse_unusual(cell, line);
        };
        if self.comma_allowed && self.point.is_none() && cell.contains('.') {
            self.point = Some(line);
            if let Some(other_line) = self.comma {
                return Err(mixed(cell, other_line));
            }
        }
        Ok(number)
    }

    fn parse_unusual<T: FromStr>(&mut self, cell: &str, line: u64) -> Result<T, NumberProblem> {
        if cell.starts_with('#') && cell != "#N/A" && cell != "#NV" && cell != "#NA" {
            return Err(NumberProblem::SpreadsheetError(shown(cell)));
        }
        if is_missing(cell) {
            return Err(NumberProblem::Missing);
        }
        let (commas, points) = (cell.matches(',').count(), cell.matches('.').count());
        let digits = |text: &str| {
            text.chars().any(|c| c.is_ascii_digit())
                && text
                    .chars()
                    .all(|c| c.is_ascii_digit() || "+-.,eE".contains(c))
        };
        match (commas, points) {
            (1, 0) => match cell.replace(',', ".").parse() {
                Ok(_) if !self.comma_allowed => Err(NumberProblem::DecimalComma(shown(cell))),
                Ok(number) => {
                    self.comma.get_or_insert(line);
                    match self.point {
                        Some(other_line) => Err(mixed(cell, other_line)),
                        None => Ok(number),
                    }
                }
                Err(_) => Err(NumberProblem::NotANumber(shown(cell))),
            },
            (c, p) if c + p > 1 && digits(cell) => Err(NumberProblem::Thousands(shown(cell))),
            _ => Err(NumberProblem::NotANumber(shown(cell))),
        }
    }
}

fn mixed(cell: &str, other_line: u64) -> NumberProblem {
    NumberProblem::MixedMarks {
        text: shown(cell),
        other_line,
    }
}

fn shown(cell: &str) -> String {
    cell.chars().take(40).collect()
}

/// A time in seconds: `1.5`, `1.5 s`, `200 ms`, `00:01:02.5`, `1:02.5`, pandas' `0 days 00:00:00.2` and ISO 8601's
/// `PT1.5S`; none for a cell that says that nothing is known (`NaT`). The sign is kept.
///
/// # Errors
/// [`NumberProblem`].
pub fn parse_seconds(
    cell: &str,
    numbers: &mut Numbers,
    line: u64,
) -> Result<Option<f64>, NumberProblem> {
    let cell = cell.trim();
    if is_missing(cell) {
        return Ok(None);
    }
    let problem = || NumberProblem::NotANumber(shown(cell));
    let lower = cell.to_ascii_lowercase();
    if let Some(seconds) = iso_8601(&lower) {
        return Ok(Some(seconds));
    }
    if let Some((days, clock)) = lower.split_once("day") {
        let days: f64 = days.trim().parse().map_err(|_| problem())?;
        let clock = clock.strip_prefix('s').unwrap_or(clock).trim_start();
        let clock = clock.strip_prefix(',').unwrap_or(clock).trim();
        let seconds = if clock.is_empty() {
            0.0
        } else {
            clock_seconds(clock).ok_or_else(problem)?
        };
        return Ok(Some(days * 86_400.0 + seconds));
    }
    if lower.contains(':') {
        return clock_seconds(&lower).map(Some).ok_or_else(problem);
    }
    let number = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let scale = match &lower[number.len()..] {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "ms" | "msec" | "millisecond" | "milliseconds" => 1e-3,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        // "inf" and other words that the standard parser would take.
        _ => return Err(problem()),
    };
    let number: f64 = numbers.parse(number, line)?;
    Ok(Some(number * scale))
}

/// `[+-][hh:]mm:ss[.fraction]`, with a comma for the point as subtitles have it.
fn clock_seconds(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    let parts: Vec<&str> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let last = parts.len() - 1;
    let mut seconds = 0.0;
    for (i, part) in parts.iter().enumerate() {
        let part = part.trim();
        let whole = part.bytes().all(|b| b.is_ascii_digit());
        let plain = part
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b',');
        if part.is_empty() || !plain || (i < last && !whole) {
            return None;
        }
        let value: f64 = part.replace(',', ".").parse().ok()?;
        if i > 0 && value >= 60.0 {
            return None;
        }
        seconds = seconds * 60.0 + value;
    }
    Some(sign * seconds)
}

/// `p0dt0h0m1.5s`, in lower case, or parts of it.
fn iso_8601(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let (date, time) = text.strip_prefix('p')?.split_once('t')?;
    let mut seconds = 0.0;
    if let Some(days) = date.strip_suffix('d') {
        seconds += 86_400.0 * days.parse::<f64>().ok()?;
    } else if !date.is_empty() {
        return None;
    }
    let mut rest = time;
    let mut any = false;
    for (unit, scale) in [('h', 3600.0), ('m', 60.0), ('s', 1.0)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds += scale * number.parse::<f64>().ok()?;
            rest = after;
            any = true;
        }
    }
    (any && rest.is_empty()).then_some(sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(cell: &str) -> Result<Option<f64>, NumberProblem> {
        parse_seconds(cell, &mut Numbers::new(b';'), 1)
    }

    #[test]
    fn times_in_every_notation() {
        for (cell, expected) in [
            ("0", 0.0),
            ("1.5", 1.5),
            ("1,5", 1.5),
            (" 2e-1 ", 0.2),
            ("1.5 s", 1.5),
            ("200ms", 0.2),
            ("0 days 00:00:00.2", 0.2),
            ("0 days", 0.0),
            ("1 days 02:03:04.500000", 93_784.5),
            ("1 day, 0:00:01", 86_401.0),
            ("-1 days +23:59:59", -1.0),
            ("00:01:02.5", 62.5),
            ("00:01:02,500", 62.5),
            ("1:02.5", 62.5),
            ("75:00", 4500.0),
            ("-0.5", -0.5),
            ("P0DT0H0M0.2S", 0.2),
            ("PT1M1.5S", 61.5),
        ] {
            let found = seconds(cell).unwrap().unwrap();
            assert!((found - expected).abs() < 1e-9, "{cell}: {found}");
        }
        for cell in ["", "NaT", "nan", "NA", "None"] {
            assert_eq!(seconds(cell), Ok(None), "{cell}");
        }
        for cell in [
            "x", "1:60", "1:2:3:4", "1:-2", "1.5:00", ":30", "inf", "PT", "P1T", "s", "3 days x",
        ] {
            assert!(seconds(cell).is_err(), "{cell}: {:?}", seconds(cell));
        }
    }

    #[test]
    fn decimal_commas_are_understood_where_they_can_be_nothing_else() {
        let mut numbers = Numbers::new(b';');
        assert_eq!(numbers.parse::<f32>("0,25", 2), Ok(0.25));
        assert_eq!(numbers.parse::<f32>("-1,5E+02", 2), Ok(-150.0));
        assert_eq!(numbers.parse::<f32>("7", 3), Ok(7.0));
        let error = numbers.parse::<f32>("0.5", 4).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");

        let error = Numbers::new(b',').parse::<f32>("0,25", 2).unwrap_err();
        assert!(error.to_string().contains("semicolons"), "{error}");
        for (cell, expected) in [
            ("1.234,5", "thousands"),
            ("1,234,567", "thousands"),
            ("#DIV/0!", "formula"),
            ("abc", "not a number"),
            ("", "empty"),
            ("a,b", "not a number"),
        ] {
            let error = Numbers::new(b';').parse::<f32>(cell, 1).unwrap_err();
            assert!(error.to_string().contains(expected), "{cell}: {error}");
        }
    }
}

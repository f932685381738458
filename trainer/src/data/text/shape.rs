//! What a table looks like: its delimiter, and whether it is one.

use csv::ByteRecord;

use super::columns::Columns;

/// What may stand between columns.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Reads cells between delimiters as [`super::TextTable`] understands them.
pub(super) fn builder(delimiter: u8) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .comment(Some(b'#'));
    builder
}

/// Without blanks, also those that cannot be seen.
pub(super) fn trim(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}'))
}

/// The delimiter that Excel's first line `sep=;` names.
pub(super) fn separator_line(line: &str) -> Option<u8> {
    let line = line.trim_matches('"');
    // A tab has been trimmed away.
    let mark = line.get(..4).filter(|s| s.eq_ignore_ascii_case("sep="))?;
    match &line.as_bytes()[mark.len()..] {
        [] => Some(b'\t'),
        [one] => Some(*one),
        b"\\t" => Some(b'\t'),
        _ => None,
    }
}

/// The delimiter under which the sample's lines look most like a table: the header's names are known ones, the
/// rows have as many cells as the header, and those are many.
pub(super) fn guess_delimiter(sample: &[u8]) -> u8 {
    let score = |delimiter: u8| {
        let mut reader = builder(delimiter).from_reader(sample);
        let rows: Vec<ByteRecord> = reader.byte_records().map_while(Result::ok).collect();
        let header = rows.first()?;
        let names: Vec<_> = header.iter().map(String::from_utf8_lossy).collect();
        let names: Vec<&str> = names.iter().map(|n| trim(n)).collect();
        let width = names.len();
        // The last line may be cut off.
        let below = &rows[1..];
        let even = below.iter().filter(|r| r.len() == width).count();
        let share = 100 * even / below.len().max(1);
        (width > 1).then(|| (Columns::likeness(&names).min(3), share, width))
    };
    let mut best = (None, b',');
    for delimiter in DELIMITERS {
        let found = score(delimiter);
        if found > best.0 {
            best = (found, delimiter);
        }
    }
    best.1
}

/// What a text is that is no table, by its first line.
pub(super) fn no_table(line: &str) -> Option<&'static str> {
    let line = line.trim_start();
    let lower = line
        .get(..line.len().min(64))
        .unwrap_or(line)
        .to_ascii_lowercase();
    if line.starts_with("version https://git-lfs") {
        return Some(
            "this is a pointer of Git LFS, not the file itself: fetch it with git lfs pull",
        );
    }
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Some("this is a web page, not a table: was the download refused?");
    }
    if line.starts_with('<') {
        return Some("this is XML, not a table: save it as CSV");
    }
    if line.starts_with("{\"") || line.starts_with("[{") || matches!(line.trim(), "{" | "[") {
        return Some("this is JSON, not a table: save it as CSV, with a header line");
    }
    None
}

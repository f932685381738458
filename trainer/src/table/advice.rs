//! What to do about a column that is not what it should be.

use super::columns::names_a_key;

/// Endings of recordings' names.
const AUDIO_ENDINGS: [&str; 8] = ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aiff", "raw"];

/// What follows "… is not a number".
pub(super) fn not_a_number(column: &str, text: &str) -> String {
    if decimal_comma(text) {
        return "; it looks like a decimal comma: save the table with decimal points, or as text with semicolons between columns"
            .to_owned();
    }
    let ending = text.rsplit('.').next().unwrap_or_default();
    let recording = AUDIO_ENDINGS.iter().any(|e| e.eq_ignore_ascii_case(ending));
    if names_a_key(column) || recording || text.contains(['/', '\\']) {
        return format!(
            " (if the column names the recordings: ser-train import --column path={column:?})"
        );
    }
    format!(" (if the column is no feature, drop it: ser-train import --drop {column:?})")
}

/// Whether the text is a number whose only fault is a comma for the decimal point.
fn decimal_comma(text: &str) -> bool {
    text.matches(',').count() == 1
        && text.parse::<f64>().is_err()
        && text.replace(',', ".").parse::<f64>().is_ok()
}

/// The first few of some names, in words.
pub(super) fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let all: Vec<&str> = names.into_iter().collect();
    let shown: Vec<String> = all.iter().take(SHOWN).map(|n| format!("\"{n}\"")).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

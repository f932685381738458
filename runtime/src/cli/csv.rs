//! Lines of CSV (RFC 4180).

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, Write};

/// `text` as a field: in quotes where it needs them.
fn field(text: &str) -> Cow<'_, str> {
    let plain = !text.contains([',', '"', '\n', '\r']) && text.trim() == text;
    if plain {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    }
}

/// Writes a line.
pub(super) fn line(
    fields: impl IntoIterator<Item = impl Display>,
    out: &mut impl Write,
) -> io::Result<()> {
    for (index, value) in fields.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}{}", field(&value.to_string()))?;
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn fields_that_need_quotes_have_them() {
        let mut out = Vec::new();
        line(["a", "b c", "d,e", "f\"g", " h", ""], &mut out).unwrap();
        assert_eq!(out, b"a,b c,\"d,e\",\"f\"\"g\",\" h\",\n");
    }
}

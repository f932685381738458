//! A small document model, written once and rendered both as Markdown (model card) and HTML (report).
//!
//! Text may hold `` `code` `` spans; everything else in it is literal.

use std::fmt::Write;

/// One block of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading of level 1 to 6.
    Heading(u8, String),
    /// A paragraph.
    Paragraph(String),
    /// A bulleted list.
    List(Vec<String>),
    /// A table; every row has as many cells as the header. Columns after the first whose cells are
    /// all numbers are aligned to the right.
    Table(Vec<String>, Vec<Vec<String>>),
    /// Preformatted text with the name of its language.
    Code(&'static str, String),
}

/// Renders CommonMark with GitHub's tables.
#[must_use]
pub fn to_markdown(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        // Writing to a String cannot fail, here and below.
        let _ = match block {
            Block::Heading(level, text) => {
                writeln!(
                    out,
                    "{} {}",
                    "#".repeat(usize::from((*level).clamp(1, 6))),
                    escape(text)
                )
            }
            Block::Paragraph(text) => writeln!(out, "{}", escape(text)),
            Block::List(items) => items
                .iter()
                .try_for_each(|item| writeln!(out, "- {}", escape(item))),
            Block::Table(header, rows) => markdown_table(&mut out, header, rows),
            Block::Code(language, text) => {
                // A fence longer than any run of backticks inside.
                let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
                let fence = "`".repeat(3.max(longest + 1));
                writeln!(
                    out,
                    "{fence}{language}\n{}\n{fence}",
                    text.trim_end_matches('\n')
                )
            }
        };
    }
    out
}

fn markdown_table(out: &mut String, header: &[String], rows: &[Vec<String>]) -> std::fmt::Result {
    let cells = |row: &[String]| {
        row.iter()
            .map(|cell| escape(cell).replace('|', "\\|"))
            .collect::<Vec<_>>()
            .join(" | ")
    };
    writeln!(out, "| {} |", cells(header))?;
    let rules: Vec<&str> = (0..header.len())
        .map(|c| if numeric(rows, c) { "---:" } else { "---" })
        .collect();
    writeln!(out, "|{}|", rules.join("|"))?;
    rows.iter()
        .try_for_each(|row| writeln!(out, "| {} |", cells(row)))
}

/// Escapes what Markdown would read as markup, outside code spans, and joins lines.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut code = false;
    let mut last = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '`' => {
                code = !code;
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            '*' | '[' | ']' | '<' | '>' | '\\' if !code => {
                out.push('\\');
                out.push(c);
            }
            '_' if !code => {
                let inside =
                    last.is_alphanumeric() && chars.peek().is_some_and(|n| n.is_alphanumeric());
                // An underscore inside a word is no emphasis.
                out.push_str(if inside { "_" } else { "\\_" });
            }
            _ => out.push(c),
        }
        last = c;
    }
    out
}

/// Renders an HTML fragment.
#[must_use]
pub fn to_html(blocks: &[Block]) -> String {
    let mut out = String::new();
    for block in blocks {
        let _ = match block {
            Block::Heading(level, text) => {
                let level = (*level).clamp(1, 6);
                writeln!(out, "<h{level}>{}</h{level}>", inline_html(text))
            }
            Block::Paragraph(text) => writeln!(out, "<p>{}</p>", inline_html(text)),
            Block::List(items) => {
                let items: String = items
                    .iter()
                    .map(|i| format!("<li>{}</li>\n", inline_html(i)))
                    .collect();
                writeln!(out, "<ul>\n{items}</ul>")
            }
            Block::Table(header, rows) => html_table(&mut out, header, rows),
            Block::Code(_, text) => writeln!(out, "<pre><code>{}</code></pre>", html_text(text)),
        };
    }
    out
}

fn html_table(out: &mut String, header: &[String], rows: &[Vec<String>]) -> std::fmt::Result {
    let right: Vec<bool> = (0..header.len()).map(|c| numeric(rows, c)).collect();
    let row = |cells: &[String], head: bool| -> String {
        let cells = cells.iter().enumerate().map(|(c, cell)| {
            let class = if right.get(c) == Some(&true) {
                " class=\"n\""
            } else {
                ""
            };
            let (tag, scope) = match (head, c) {
                (true, _) => ("th", " scope=\"col\""),
                (false, 0) => ("th", " scope=\"row\""),
                (false, _) => ("td", ""),
            };
            format!("<{tag}{scope}{class}>{}</{tag}>", inline_html(cell))
        });
        format!("<tr>{}</tr>\n", cells.collect::<String>())
    };
    let body: String = rows.iter().map(|cells| row(cells, false)).collect();
    writeln!(
        out,
        "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead>{}</thead>\n<tbody>{body}</tbody>\n</table>\n</div>",
        row(header, true)
    )
}

/// Whether the column, not the first one, holds numbers only.
fn numeric(rows: &[Vec<String>], column: usize) -> bool {
    let number = |cell: &String| {
        cell.starts_with(|c: char| c.is_ascii_digit() || "-–+−<[".contains(c))
            && !cell.contains(|c: char| c.is_alphabetic())
    };
    column > 0 && !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(number))
}

/// Escapes text for HTML.
#[must_use]
pub fn html_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            _ => out.push(c),
        }
    }
    out
}

fn inline_html(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(html_text).collect();
    // An odd number of backticks leaves one without its pair: then all are literal.
    if parts.len().is_multiple_of(2) {
        return parts.join("`");
    }
    let parts = parts.into_iter().enumerate().map(|(i, part)| {
        if i % 2 == 1 {
            format!("<code>{part}</code>")
        } else {
            part
        }
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> Vec<Block> {
        vec![
            Block::Heading(2, "Scores <1>".into()),
            Block::Paragraph("a *b* `c*` d_e _f_".into()),
            Block::Table(
                vec!["label".into(), "recall".into()],
                vec![
                    vec!["a|b".into(), "0.5".into()],
                    vec!["<c>".into(), "–".into()],
                ],
            ),
            Block::Code("sh", "echo ```".into()),
        ]
    }

    #[test]
    fn markdown_escapes_markup_and_aligns_numbers() {
        let expected = "## Scores \\<1\\>\n\na \\*b\\* `c*` d_e \\_f\\_\n\n| label | recall |\n|---|---:|\n\
                        | a\\|b | 0.5 |\n| \\<c\\> | – |\n\n````sh\necho ```\n````\n";
        assert_eq!(to_markdown(&blocks()), expected);
    }

    #[test]
    fn html_escapes_and_marks_code() {
        let html = to_html(&blocks());
        assert!(html.contains("<h2>Scores &lt;1&gt;</h2>"), "{html}");
        assert!(
            html.contains("<p>a *b* <code>c*</code> d_e _f_</p>"),
            "{html}"
        );
        assert!(
            html.contains("<th scope=\"row\">&lt;c&gt;</th><td class=\"n\">–</td>"),
            "{html}"
        );
        assert_eq!(inline_html("one ` only"), "one ` only");
    }
}

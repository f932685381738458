//! `report.html` of a training: scores, plots, model card and configuration in one file that needs
//! no network.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ser_runtime::bundle::Manifest;

use crate::atomic;
use crate::export::document::{Block, html_text, to_html};
use crate::plots::Plot;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}{}", path.display(), atomic::write_hint(source))]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

const STYLE: &str = "\
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; color: #282828; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1.05rem; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee; }
td { overflow-wrap: anywhere; } td:first-child { overflow-wrap: normal; }
.n { text-align: right; font-variant-numeric: tabular-nums; }
pre { background: #f6f6f6; padding: .7rem; overflow: auto; max-height: 26rem; font-size: .85rem; }
code { font-family: 'DejaVu Sans Mono', monospace; font-size: .9em; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; } figure svg { max-width: 100%; height: auto; }
.key { display: flex; flex-wrap: wrap; gap: 1rem; }
.key div { border: 1px solid #ddd; border-radius: .4rem; padding: .6rem 1rem; max-width: 28rem; }
.key b { display: block; font-size: 1.6rem; } .key span { color: #555; font-size: .85rem; }
";

/// The page: headline scores, plots, then the blocks of the model card.
#[must_use]
pub fn html(manifest: &Manifest, plots: &[Plot], card: &[Block]) -> String {
    let mut page = String::new();
    let title = html_text(&format!("Training report: {}", manifest.name));
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let _ = writeln!(
        page,
        "<p>Bundle <code>{}</code>, made {} by {} {}.</p>",
        html_text(&manifest.id),
        html_text(&manifest.created),
        html_text(&manifest.producer.name),
        html_text(&manifest.producer.version)
    );
    page.push_str("<div class=\"key\">\n");
    for score in &manifest.scores {
        let spread = score
            .std
            .map_or_else(String::new, |std| format!(" ± {std:.3}"));
        let _ = writeln!(
            page,
            "<div><b>{:.3}{spread}</b>{}<br><span>{}</span></div>",
            score.value,
            html_text(&score.metric),
            html_text(&score.protocol)
        );
    }
    page.push_str("</div>\n<h2>Plots</h2>\n<div class=\"figures\">\n");
    for plot in plots {
        let _ = writeln!(
            page,
            "<figure role=\"img\" aria-label=\"{}\">\n{}</figure>",
            html_text(&plot.title),
            plot.svg
        );
    }
    page.push_str("</div>\n");
    // The card's own title would repeat the page's.
    let body = match card {
        [Block::Heading(1, _), rest @ ..] => rest,
        all => all,
    };
    page.push_str(&to_html(body));
    page.push_str("</body>\n</html>\n");
    page
}

/// Writes [`html`] to `path`, whole or not at all.
///
/// # Errors
/// The file could not be written.
pub fn write(
    path: &Path,
    manifest: &Manifest,
    plots: &[Plot],
    card: &[Block],
) -> Result<(), ReportError> {
    let page = html(manifest, plots, card);
    atomic::write::<io::Error, _>(path, |w| w.write_all(page.as_bytes())).map_err(|source| {
        ReportError {
            path: path.into(),
            source,
        }
    })
}

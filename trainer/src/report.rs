//! `report.html`: the page that all reports share, and that of a training (scores, plots, model card and configuration),
//! in one file that needs no network.

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
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.25; } h2 { font-size: 1.3rem; margin-top: 2.4rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1.08rem; margin-top: 1.8rem; }
a { color: #0060a0; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; }
th, td { padding: .25rem 1rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee; overflow-wrap: break-word; }
thead th { border-bottom-color: #aaa; } tbody th { font-weight: normal; }
tbody th { min-width: 5.5rem; } tbody th code { white-space: nowrap; }
td small { display: block; color: #595959; white-space: normal; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: #f6f6f6; padding: .7rem; overflow: auto; max-height: 26rem; font-size: .85rem; }
code { font-family: 'DejaVu Sans Mono', monospace; font-size: .9em; }
figure.small { width: 19.6rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 1.2rem; }
figure { margin: 0; max-width: 100%; } figure svg { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; max-width: 30rem; }
summary { cursor: pointer; color: #0060a0; margin: .8rem 0; }
.key { display: flex; flex-wrap: wrap; gap: 1rem; }
.key div { border: 1px solid #ddd; border-radius: .4rem; padding: .6rem 1rem; max-width: 28rem; }
.key b { display: block; font-size: 1.6rem; } .key span { color: #555; font-size: .85rem; }
.findings { border-left: 4px solid #0072b2; background: #f3f8fb; padding: .2rem 1rem; margin: 1rem 0; }
.findings ul { padding-left: 1.1rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; } .wide { font-size: .8rem; } th, td { padding-right: .4rem; }
  tbody th { min-width: 4.6rem; } }
@media print { body { max-width: none; margin: 0; font-size: 11pt; } .wide { overflow: visible; font-size: 8pt; }
  th, td { padding-right: .5rem; } pre { max-height: none; white-space: pre-wrap; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } nav { display: none; } }
";

/// A page of its own: `title`, plain text, in the head; `body` is HTML.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let title = html_text(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A plot with its caption, plain text; none: the plot says all itself.
#[must_use]
pub fn figure(plot: &Plot, caption: Option<&str>) -> String {
    framed(plot, caption, "")
}

/// A plot of which three stand side by side.
#[must_use]
pub fn small_figure(plot: &Plot) -> String {
    framed(plot, None, " class=\"small\"")
}

fn framed(plot: &Plot, caption: Option<&str>, class: &str) -> String {
    let caption = caption.map_or_else(String::new, |c| {
        format!("<figcaption>{}</figcaption>\n", html_text(c))
    });
    format!(
        "<figure{class}>\n<div role=\"img\" aria-label=\"{}\">\n{}</div>\n{caption}</figure>\n",
        html_text(&plot.title),
        plot.svg
    )
}

/// The page: headline scores, plots, then the blocks of the model card.
#[must_use]
pub fn html(manifest: &Manifest, plots: &[Plot], card: &[Block]) -> String {
    let title = format!("Training report: {}", manifest.name);
    let mut body = format!("<h1>{}</h1>\n", html_text(&title));
    // Writing to a String cannot fail.
    let _ = writeln!(
        body,
        "<p>Bundle <code>{}</code>, made {} by {} {}.</p>",
        html_text(&manifest.id),
        html_text(&manifest.created),
        html_text(&manifest.producer.name),
        html_text(&manifest.producer.version)
    );
    body.push_str("<div class=\"key\">\n");
    for score in &manifest.scores {
        let spread = score
            .std
            .map_or_else(String::new, |std| format!(" ± {std:.3}"));
        let _ = writeln!(
            body,
            "<div><b>{:.3}{spread}</b>{}<br /><span>{}</span></div>",
            score.value,
            html_text(&score.metric),
            html_text(&score.protocol)
        );
    }
    body.push_str("</div>\n<h2>Plots</h2>\n<div class=\"figures\">\n");
    for plot in plots {
        body.push_str(&figure(plot, None));
    }
    body.push_str("</div>\n");
    // The card's own title would repeat the page's.
    let rest = match card {
        [Block::Heading(1, _), rest @ ..] => rest,
        all => all,
    };
    body.push_str(&to_html(rest));
    page(&title, &body)
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

//! SVG plots of a training: losses, discriminator accuracy, validation UAR, confusion matrices.
//!
//! Lines come from `metrics.jsonl`: one JSON object an epoch with `stage`, `epoch` and numbers.
//! Every number whose name ends in `_loss` (or is `loss`), holds `accuracy` or holds `uar` is drawn,
//! so that a new loss needs no change here. Colours are those of Okabe and Ito (2008), which stay
//! apart under the common forms of colour blindness; the confusion matrix shades one hue and prints
//! every number.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

use crate::atomic;

/// A plot that could not be drawn or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The plotting library refused the picture.
    #[error("plot {plot}: {message}")]
    Draw {
        /// Which plot.
        plot: String,
        /// The library's words.
        message: String,
    },
    /// A confusion matrix is not square or does not fit its labels.
    #[error("plot {plot}: {labels} labels for a confusion matrix of {rows} rows")]
    Confusion {
        /// Which plot.
        plot: String,
        /// Number of labels.
        labels: usize,
        /// Number of rows.
        rows: usize,
    },
    /// The file could not be written.
    #[error("cannot write {}: {source}{}", path.display(), atomic::write_hint(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

const BLUE_OI: RGBColor = RGBColor(0, 114, 178);
const PALETTE: [RGBColor; 7] = [
    BLUE_OI,
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
const PANEL: (u32, u32) = (480, 320);

/// One drawn plot: file stem, heading for a report, and the SVG text.
#[derive(Debug, Clone)]
pub struct Plot {
    /// File name without `.svg`.
    pub name: String,
    /// Heading.
    pub title: String,
    /// The picture.
    pub svg: String,
}

/// The plots that the lines of `metrics.jsonl` allow; a kind without any number is left out.
///
/// # Errors
/// A picture that plotters refuses.
pub fn training(metrics: &[Value]) -> Result<Vec<Plot>, PlotError> {
    let losses = Scale::FromZero("loss");
    let shares = Scale::Share("accuracy (dashed: guessing)", 0.5);
    let recalls = Scale::Share("UAR", f64::NAN);
    let kinds = [
        (
            "losses",
            "Training losses",
            panels(metrics, is_loss),
            losses,
        ),
        (
            "discriminator",
            "Discriminator accuracy",
            panels(metrics, is_accuracy),
            shares,
        ),
        (
            "validation_uar",
            "Validation UAR",
            panels(metrics, is_uar),
            recalls,
        ),
    ];
    let drawable = kinds
        .into_iter()
        .filter(|(_, _, panels, _)| !panels.is_empty());
    drawable
        .map(|(name, title, mut panels, scale)| {
            if let [only] = panels.as_mut_slice() {
                only.title = title.into();
            }
            let svg = draw_panels(name, &panels, scale)?;
            Ok(Plot {
                name: name.into(),
                title: title.into(),
                svg,
            })
        })
        .collect()
}

/// A confusion matrix: rows are the true class, columns the predicted one; each cell prints the
/// share of its row and the count, and is shaded by the share.
///
/// # Errors
/// A matrix that is not `labels.len()` squared; a picture that plotters refuses.
pub fn confusion(
    name: &str,
    title: &str,
    labels: &[String],
    counts: &[Vec<u64>],
) -> Result<Plot, PlotError> {
    let n = labels.len();
    if n == 0 || counts.len() != n || counts.iter().any(|row| row.len() != n) {
        return Err(PlotError::Confusion {
            plot: name.into(),
            labels: n,
            rows: counts.len(),
        });
    }
    let mut svg = String::new();
    draw_confusion(&mut svg, title, labels, counts).map_err(|message| draw_error(name, message))?;
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg,
    })
}

/// A line of [`curves`].
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// (x, y), in order of x.
    pub points: Vec<(f64, f64)>,
}

/// Shares in 0..1 against anything: a titled panel each, `x` and `y` name the axes.
///
/// # Errors
/// A picture that plotters refuses.
pub fn curves(
    name: &str,
    title: &str,
    panels: Vec<(String, Vec<Curve>)>,
    x: &'static str,
    y: &'static str,
) -> Result<Plot, PlotError> {
    let panels: Vec<Panel> = panels
        .into_iter()
        .map(|(title, curves)| Panel {
            title,
            x,
            lines: curves.into_iter().map(|c| (c.name, c.points)).collect(),
        })
        .collect();
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg: draw_panels(name, &panels, Scale::Share(y, f64::NAN))?,
    })
}

/// Writes each plot as `dir/NAME.svg`, each file whole or not at all.
///
/// # Errors
/// The first file that could not be written.
pub fn write(dir: &Path, plots: &[Plot]) -> Result<Vec<PathBuf>, PlotError> {
    plots
        .iter()
        .map(|plot| {
            let path = dir.join(format!("{}.svg", plot.name));
            atomic::write::<io::Error, _>(&path, |w| w.write_all(plot.svg.as_bytes())).map_err(
                |source| PlotError::Write {
                    path: path.clone(),
                    source,
                },
            )?;
            Ok(path)
        })
        .collect()
}

fn is_loss(key: &str) -> bool {
    key == "loss" || key.ends_with("_loss")
}

fn is_accuracy(key: &str) -> bool {
    key.contains("accuracy")
}

fn is_uar(key: &str) -> bool {
    key.to_ascii_lowercase().contains("uar")
}

/// What the vertical axis shows.
#[derive(Clone, Copy)]
enum Scale {
    /// From 0 to the largest value.
    FromZero(&'static str),
    /// A share in 0..1, with a dashed line at the second member unless it is NaN.
    Share(&'static str, f64),
}

type Points = Vec<(f64, f64)>;

struct Panel {
    title: String,
    /// What the horizontal axis shows.
    x: &'static str,
    lines: Vec<(String, Points)>,
}

/// One panel a training stage, one line a key; reconstruction losses apart from the adversarial
/// ones, since their sizes have nothing to do with each other.
fn panels(metrics: &[Value], wanted: fn(&str) -> bool) -> Vec<Panel> {
    let mut order: Vec<(String, BTreeMap<String, Points>)> = Vec::new();
    for (index, line) in metrics.iter().enumerate() {
        let Some(object) = line.as_object() else {
            continue;
        };
        let stage = object
            .get("stage")
            .and_then(Value::as_str)
            .unwrap_or("training");
        let epoch = object
            .get("epoch")
            .and_then(Value::as_f64)
            .unwrap_or(index as f64);
        for (key, value) in object.iter().filter(|(key, _)| wanted(key)) {
            let Some(value) = value.as_f64().filter(|v| v.is_finite()) else {
                continue;
            };
            let title = if key.contains("reconstruction") && is_loss(key) {
                format!("{}: reconstruction", stage_name(stage))
            } else {
                stage_name(stage)
            };
            let at = match order.iter().position(|(t, _)| *t == title) {
                Some(at) => at,
                None => {
                    order.push((title, BTreeMap::new()));
                    order.len() - 1
                }
            };
            order[at]
                .1
                .entry(line_name(key))
                .or_default()
                .push((epoch, value));
        }
    }
    order
        .into_iter()
        .map(|(title, lines)| Panel {
            title,
            x: "epoch",
            lines: lines.into_iter().collect(),
        })
        .collect()
}

fn stage_name(stage: &str) -> String {
    match stage {
        "pretrain" => "Autoencoder pre-training".into(),
        "gan" => "Adversarial training".into(),
        "classifier" => "Classifier".into(),
        other => match other.strip_prefix("refit ") {
            Some(stage) => format!("{}, all rows", stage_name(stage)),
            None => other.replace('_', " "),
        },
    }
}

fn line_name(key: &str) -> String {
    match key {
        "loss" | "train_loss" => "training".into(),
        "discriminator_accuracy_real" => "real rows".into(),
        "discriminator_accuracy_fake" => "synthetic rows".into(),
        "reconstruction_loss" => "training".into(),
        "validation_reconstruction_loss" => "validation".into(),
        _ => {
            let name = key.strip_suffix("_loss").unwrap_or(key).replace('_', " ");
            let name = name
                .strip_prefix("d ")
                .map_or(name.clone(), |rest| format!("D {rest}"));
            name.replace("uar", "UAR")
        }
    }
}

fn draw_error(plot: &str, message: String) -> PlotError {
    PlotError::Draw {
        plot: plot.into(),
        message,
    }
}

fn draw_panels(name: &str, panels: &[Panel], scale: Scale) -> Result<String, PlotError> {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns);
    let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let draw = || -> Result<(), Box<dyn std::error::Error + '_>> {
            root.fill(&WHITE)?;
            for (area, panel) in root.split_evenly((rows, columns)).iter().zip(panels) {
                draw_panel(area, panel, scale)?;
            }
            root.present()?;
            Ok(())
        };
        draw().map_err(|e| draw_error(name, e.to_string()))?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_panel<'a>(
    area: &Area<'a>,
    panel: &Panel,
    scale: Scale,
) -> Result<(), Box<dyn std::error::Error + 'a>> {
    let points = || panel.lines.iter().flat_map(|(_, points)| points);
    let first = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let last = points().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
    let x = if last > first {
        first..last
    } else {
        first - 0.5..first + 0.5
    };
    let (y_label, y, dashed) = match scale {
        Scale::FromZero(label) => {
            let top = points().map(|p| p.1).fold(0.0, f64::max);
            let bottom = points().map(|p| p.1).fold(0.0, f64::min);
            (
                label,
                bottom * 1.08..if top > 0.0 { top * 1.08 } else { 1.0 },
                f64::NAN,
            )
        }
        Scale::Share(label, dashed) => (label, 0.0..1.0, dashed),
    };
    // The legend stands above the grid, where no line can run through it.
    let (head, body) = area.split_vertically(58);
    let centred = Pos::new(HPos::Center, VPos::Center);
    let style = |size: i32| (FONT, size).into_font().color(&INK);
    let middle = PANEL.0 as i32 / 2;
    head.draw(&Text::new(
        panel.title.clone(),
        (middle, 18),
        style(19).pos(centred),
    ))?;
    let width = |name: &str| 34 + 8 * name.chars().count() as i32;
    let mut left = middle - panel.lines.iter().map(|(name, _)| width(name)).sum::<i32>() / 2;
    for ((name, _), colour) in panel.lines.iter().zip(PALETTE.iter().cycle()) {
        head.draw(&PathElement::new(
            [(left, 44), (left + 20, 44)],
            colour.stroke_width(3),
        ))?;
        let at = Pos::new(HPos::Left, VPos::Center);
        head.draw(&Text::new(name.clone(), (left + 25, 44), style(16).pos(at)))?;
        left += width(name);
    }

    let mut chart = ChartBuilder::on(&body)
        .margin_right(24)
        .margin_left(6)
        .margin_bottom(4)
        .x_label_area_size(44)
        .y_label_area_size(58)
        .build_cartesian_2d(x.clone(), y.clone())?;
    let step = tick_step(&y);
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(y_label)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|v| {
            if v.fract() == 0.0 {
                format!("{v}")
            } else {
                String::new()
            }
        })
        .y_label_formatter(&|v| tick_text(*v, step))
        .axis_desc_style(style(16))
        .label_style(style(15))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .draw()?;
    if dashed.is_finite() {
        let line = [(x.start, dashed), (x.end, dashed)];
        chart.draw_series(DashedLineSeries::new(line, 5, 4, INK.stroke_width(1)))?;
    }
    for ((_, points), colour) in panel.lines.iter().zip(PALETTE.iter().cycle()) {
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            colour.stroke_width(2),
        ))?;
        if points.len() <= 30 {
            chart.draw_series(points.iter().map(|&p| Circle::new(p, 3, colour.filled())))?;
        }
    }
    Ok(())
}

/// About the distance between two ticks of an axis with six.
fn tick_step(range: &Range<f64>) -> f64 {
    10f64.powf(((range.end - range.start) / 6.0).log10().floor())
}

/// A tick's number with as many decimals as the step between ticks has.
fn tick_text(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

fn draw_confusion(
    svg: &mut String,
    title: &str,
    labels: &[String],
    counts: &[Vec<u64>],
) -> Result<(), String> {
    let n = labels.len() as i32;
    let cell = if n <= 6 { 84 } else { 58 };
    let longest = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0) as i32;
    // Column names stand upright where they would not fit side by side.
    let upright = longest * 9 > cell;
    let left = 46 + 9 * longest;
    let width = (left + n * cell + 24).max(440);
    let title = wrap(title, (width / 9) as usize);
    let head = 22 * title.len() as i32;
    let top = head + if upright { 54 + 8 * longest } else { 68 };
    let size = (width, top + n * cell + 20);
    let root = SVGBackend::with_string(svg, (size.0 as u32, size.1 as u32)).into_drawing_area();
    let draw = || -> Result<(), Box<dyn std::error::Error + '_>> {
        root.fill(&WHITE)?;
        let style = |size: i32| (FONT, size).into_font().color(&INK);
        let centred = Pos::new(HPos::Center, VPos::Center);
        let middle = left + n * cell / 2;
        for (i, line) in title.iter().enumerate() {
            let at = (size.0 / 2, 18 + 22 * i as i32);
            root.draw(&Text::new(line.clone(), at, style(19).pos(centred)))?;
        }
        root.draw(&Text::new(
            "predicted",
            (middle, head + 22),
            style(16).pos(centred),
        ))?;
        let turned = (FONT, 16)
            .into_font()
            .transform(FontTransform::Rotate270)
            .color(&INK);
        let at = (16, top + n * cell / 2);
        root.draw(&Text::new("true", at, turned.pos(centred)))?;
        for (i, label) in labels.iter().enumerate() {
            let along = i as i32 * cell + cell / 2;
            let at = (left - 10, top + along);
            let right = Pos::new(HPos::Right, VPos::Center);
            root.draw(&Text::new(label.clone(), at, style(16).pos(right)))?;
            let at = (left + along, top - 12);
            if upright {
                let turned = (FONT, 16).into_font().transform(FontTransform::Rotate270);
                let start = Pos::new(HPos::Left, VPos::Center);
                root.draw(&Text::new(label.clone(), at, turned.color(&INK).pos(start)))?;
            } else {
                root.draw(&Text::new(label.clone(), at, style(16).pos(centred)))?;
            }
        }
        for (i, row) in counts.iter().enumerate() {
            let total: u64 = row.iter().sum();
            for (j, &count) in row.iter().enumerate() {
                let share = if total > 0 {
                    count as f64 / total as f64
                } else {
                    0.0
                };
                let (x, y) = (left + j as i32 * cell, top + i as i32 * cell);
                let area = [(x, y), (x + cell, y + cell)];
                root.draw(&Rectangle::new(area, shade(share).filled()))?;
                root.draw(&Rectangle::new(area, GRID.stroke_width(1)))?;
                let ink = if share > 0.55 { WHITE } else { INK };
                let text = |size: i32| (FONT, size).into_font().color(&ink).pos(centred);
                let (cx, cy) = (x + cell / 2, y + cell / 2);
                let percent = if total > 0 {
                    format!("{:.0} %", share * 100.0)
                } else {
                    "–".into()
                };
                root.draw(&Text::new(percent, (cx, cy - 8), text(18)))?;
                root.draw(&Text::new(count.to_string(), (cx, cy + 12), text(14)))?;
            }
        }
        root.present()?;
        Ok(())
    };
    draw().map_err(|e| e.to_string())
}

/// Breaks text between words into lines of at most `width` characters; a longer word stays whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// White at 0, the palette's blue at 1.
fn shade(share: f64) -> RGBColor {
    let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * share.clamp(0.0, 1.0)).round() as u8;
    RGBColor(mix(BLUE_OI.0), mix(BLUE_OI.1), mix(BLUE_OI.2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_number_of_the_metrics_is_drawn_once() {
        let metrics: Vec<Value> = (1..=3)
            .flat_map(|epoch| {
                [
                    json!({"stage": "gan", "epoch": epoch, "reconstruction_loss": 0.5, "generator_loss": 0.7, "d_accuracy": 0.6}),
                    json!({"stage": "classifier", "epoch": epoch, "loss": 1.0, "validation_uar": 0.4, "seconds": 3}),
                ]
            })
            .collect();
        let plots = training(&metrics).unwrap();
        let names: Vec<&str> = plots.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["losses", "discriminator", "validation_uar"]);
        // One panel for the reconstruction, one for the other losses, one for the classifier.
        for text in [
            "Adversarial training: reconstruction",
            "generator",
            "Classifier",
            "epoch",
            "loss",
        ] {
            assert!(plots[0].svg.contains(text), "{text}");
        }
        // 3 lines of 3 points, each point a circle.
        assert_eq!(plots[0].svg.matches("<circle").count(), 9);
        assert!(plots[1].svg.contains("D accuracy"));
        assert!(plots[2].svg.contains("validation UAR") && !plots[2].svg.contains("seconds"));
    }

    #[test]
    fn odd_metrics_draw_or_are_left_out() {
        assert!(training(&[]).unwrap().is_empty());
        assert!(
            training(&[json!(3), json!({"stage": "gan"}), json!({"loss": null})])
                .unwrap()
                .is_empty()
        );
        // One epoch, a loss of zero, a negative one, a huge one, no epoch.
        for value in [0.0, -2.5, 1e300, 1e-300] {
            let plots = training(&[json!({"loss": value})]).unwrap();
            assert_eq!(plots.len(), 1, "{value}");
        }
    }

    #[test]
    fn confusion_shows_shares_and_counts_and_escapes_labels() {
        let labels = ["a<b".to_owned(), "c".to_owned()];
        let plot = confusion("confusion", "A title", &labels, &[vec![3, 1], vec![0, 0]]).unwrap();
        for text in ["a&lt;b", "75 %", "25 %", "A title", "predicted"] {
            assert!(plot.svg.contains(text), "{text}");
        }
        assert!(matches!(
            confusion("c", "", &labels, &[vec![3, 1]]),
            Err(PlotError::Confusion { .. })
        ));
    }

    #[test]
    fn files_are_written_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let plot = Plot {
            name: "x".into(),
            title: "X".into(),
            svg: "<svg/>".into(),
        };
        let paths = write(&dir.path().join("plots"), &[plot]).unwrap();
        assert_eq!(std::fs::read_to_string(&paths[0]).unwrap(), "<svg/>");
        assert!(paths[0].ends_with("plots/x.svg"));
    }

    #[test]
    fn long_titles_break_between_words() {
        assert_eq!(wrap("aa bb cccccccc d", 5), ["aa bb", "cccccccc", "d"]);
    }
}

//! Lines over epochs or rows.
//!
//! Those of a training come from `metrics.jsonl`: one JSON object an epoch with `stage`, `epoch` and numbers. Every
//! number whose name ends in `_loss` (or is `loss`), holds `accuracy` or holds `uar` is drawn, so that a new loss needs
//! no change here.

use std::collections::BTreeMap;
use std::ops::Range;

use plotters::prelude::*;
use serde_json::Value;

use super::{Area, Drawn, GRID, INK, KEY_HEIGHT, Key, PALETTE, PANEL, Plot, PlotError, Shape};
use super::{centred, key_lines, legend, picture, style};

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

/// Every loss of such lines, a plot for each panel, named `NAME_1`, `NAME_2` …
///
/// # Errors
/// A picture that plotters refuses.
pub fn losses(name: &str, metrics: &[Value]) -> Result<Vec<Plot>, PlotError> {
    let panels = panels(metrics, is_loss);
    let numbered = panels.into_iter().enumerate();
    numbered
        .map(|(i, panel)| {
            let name = format!("{name}_{}", i + 1);
            Ok(Plot {
                svg: draw_panels(&name, std::slice::from_ref(&panel), Scale::FromZero("loss"))?,
                title: format!("Losses: {}", panel.title),
                name,
            })
        })
        .collect()
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

fn draw_panels(name: &str, panels: &[Panel], scale: Scale) -> Result<String, PlotError> {
    let columns = panels.len().clamp(1, 2);
    let rows = panels.len().div_ceil(columns);
    let size = (
        PANEL.0 as i32 * columns as i32,
        PANEL.1 as i32 * rows as i32,
    );
    picture(name, size, |root| {
        for (area, panel) in root.split_evenly((rows, columns)).iter().zip(panels) {
            draw_panel(area, panel, scale)?;
        }
        Ok(())
    })
}

fn draw_panel(area: &Area<'_>, panel: &Panel, scale: Scale) -> Drawn {
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
    let width = PANEL.0 as i32;
    let keys: Vec<Key> = panel
        .lines
        .iter()
        .zip(PALETTE.iter().cycle())
        .map(|((name, _), colour)| Key {
            name: name.clone(),
            shape: Shape::Line,
            paint: colour.stroke_width(3),
        })
        .collect();
    let height = 34 + KEY_HEIGHT * key_lines(&keys, width).len() as i32;
    let (head, body) = area.split_vertically(height);
    let title = style(19).pos(centred());
    head.draw(&Text::new(panel.title.clone(), (width / 2, 18), title))?;
    legend(&head, &keys, width, 31)?;

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
pub(super) fn tick_step(range: &Range<f64>) -> f64 {
    10f64.powf(((range.end - range.start) / 6.0).log10().floor())
}

/// A tick's number with as many decimals as the step between ticks has.
pub(super) fn tick_text(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
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
}

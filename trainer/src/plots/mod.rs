//! SVG plots: of a training (losses, discriminator accuracy, validation UAR), of confusion matrices, and of
//! experiments (scores with intervals, maps of rows).
//!
//! Colours are those of Okabe and Ito (2008), which stay apart under the common forms of colour blindness; where they
//! matter, shapes tell the same.

mod confusion;
mod dots;
mod lines;
mod scatter;

pub use confusion::{CellText, confusion};
pub use dots::{Dot, DotPlot, Group, dots};
pub use lines::{Curve, curves, losses, training};
pub use scatter::{Cloud, scatter};

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

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
const PALETTE: [RGBColor; 8] = [
    BLUE_OI,
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(60, 60, 60),
    RGBColor(150, 110, 20),
];
const INK: RGBColor = RGBColor(40, 40, 40);
const GRID: RGBColor = RGBColor(225, 225, 225);
const FONT: &str = "DejaVu Sans, Verdana, sans-serif";
/// Width and height of a panel; on a telephone's screen its text is still to be read.
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

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// The SVG text of what `draw` draws on white.
fn picture(
    name: &str,
    (width, height): (i32, i32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let size = (width.unsigned_abs(), height.unsigned_abs());
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let whole = || -> Drawn {
            root.fill(&WHITE)?;
            draw(&root)?;
            root.present()?;
            Ok(())
        };
        whole().map_err(|e| PlotError::Draw {
            plot: name.into(),
            message: e.to_string(),
        })?;
    }
    Ok(svg)
}

fn style(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

fn centred() -> Pos {
    Pos::new(HPos::Center, VPos::Center)
}

fn starting() -> Pos {
    Pos::new(HPos::Left, VPos::Center)
}

fn ending() -> Pos {
    Pos::new(HPos::Right, VPos::Center)
}

/// About how wide text is, in pixels.
fn width_of(text: &str, size: i32) -> i32 {
    // DejaVu Sans, the widest of the fonts asked for, takes 0.6 of its size for a letter on average.
    text.chars().count() as i32 * size * 6 / 10
}

/// How a series of a plot is marked.
#[derive(Clone, Copy)]
enum Shape {
    Line,
    Circle,
    Triangle,
    Square,
    Diamond,
    Cross,
}

/// Shapes of series, in their order.
const SHAPES: [Shape; 4] = [
    Shape::Circle,
    Shape::Triangle,
    Shape::Square,
    Shape::Diamond,
];

/// A mark of radius `r` around `(x, y)`, filled or an outline on white.
fn mark(area: &Area<'_>, (x, y): (i32, i32), shape: Shape, paint: ShapeStyle, r: i32) -> Drawn {
    let corners = match shape {
        Shape::Line => {
            area.draw(&PathElement::new([(x - 2 * r, y), (x + 2 * r, y)], paint))?;
            return Ok(());
        }
        Shape::Circle => {
            area.draw(&Circle::new((x, y), r, paint))?;
            return Ok(());
        }
        Shape::Cross => {
            area.draw(&Cross::new((x, y), r, paint))?;
            return Ok(());
        }
        Shape::Triangle => vec![(x, y - r - 1), (x + r + 1, y + r), (x - r - 1, y + r)],
        Shape::Square => vec![
            (x - r, y - r),
            (x + r, y - r),
            (x + r, y + r),
            (x - r, y + r),
        ],
        Shape::Diamond => {
            let r = r + 1;
            vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        }
    };
    if paint.filled {
        area.draw(&Polygon::new(corners, paint))?;
    } else {
        let closed = corners.iter().chain(&corners[..2]).copied();
        area.draw(&PathElement::new(closed.collect::<Vec<_>>(), paint))?;
    }
    Ok(())
}

/// What stands in a legend.
struct Key {
    name: String,
    shape: Shape,
    paint: ShapeStyle,
}

const KEY_HEIGHT: i32 = 22;

/// Keys side by side, in as many lines as `width` asks for.
fn key_lines(keys: &[Key], width: i32) -> Vec<&[Key]> {
    let mut lines = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (i, key) in keys.iter().enumerate() {
        let own = key_width(key);
        if i > from && used + own > width {
            lines.push(&keys[from..i]);
            (from, used) = (i, 0);
        }
        used += own;
    }
    if from < keys.len() {
        lines.push(&keys[from..]);
    }
    lines
}

fn key_width(key: &Key) -> i32 {
    40 + width_of(&key.name, 14)
}

/// Draws a legend, centred, its first line `top` pixels down.
fn legend(area: &Area<'_>, keys: &[Key], width: i32, top: i32) -> Drawn {
    for (i, line) in key_lines(keys, width).into_iter().enumerate() {
        let y = top + KEY_HEIGHT * i as i32 + KEY_HEIGHT / 2;
        let mut x = (width - line.iter().map(key_width).sum::<i32>()) / 2;
        for key in line {
            mark(area, (x + 14, y), key.shape, key.paint, 5)?;
            let text = style(14).pos(starting());
            area.draw(&Text::new(key.name.clone(), (x + 28, y), text))?;
            x += key_width(key);
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

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

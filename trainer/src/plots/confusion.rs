//! Confusion matrices.

use plotters::prelude::*;

use super::{BLUE_OI, FONT, GRID, INK, Plot, PlotError};
use super::{centred, ending, picture, starting, style, wrap};

/// What the cells of a confusion matrix say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellText {
    /// The share of the row, and the count under it.
    ShareAndCount,
    /// The share of the row in percent, with a decimal: for sums over seeds, whose counts are nobody's.
    Share,
}

/// A confusion matrix: rows are the true class, columns the predicted one; each cell is shaded by its share of the row.
///
/// # Errors
/// A matrix that is not `labels.len()` squared; a picture that plotters refuses.
pub fn confusion(
    name: &str,
    title: &str,
    labels: &[String],
    counts: &[Vec<u64>],
    text: CellText,
) -> Result<Plot, PlotError> {
    let n = labels.len();
    if n == 0 || counts.len() != n || counts.iter().any(|row| row.len() != n) {
        return Err(PlotError::Confusion {
            plot: name.into(),
            labels: n,
            rows: counts.len(),
        });
    }
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg: draw(name, title, labels, counts, text)?,
    })
}

fn draw(
    name: &str,
    title: &str,
    labels: &[String],
    counts: &[Vec<u64>],
    cell_text: CellText,
) -> Result<String, PlotError> {
    let n = labels.len() as i32;
    let (cell, least, size) = match cell_text {
        CellText::ShareAndCount if n <= 6 => (84, 440, 16),
        CellText::ShareAndCount => (58, 440, 16),
        CellText::Share => (62, 200, 15),
    };
    let longest = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0) as i32;
    // Column names stand upright where they would not fit side by side.
    let upright = longest * size * 9 / 16 > cell;
    let left = 46 + longest * size * 9 / 16;
    let width = (left + n * cell + 24).max(least);
    let title = wrap(title, (width / 10) as usize);
    let head = 22 * title.len() as i32;
    let top = head + if upright { 54 + 8 * longest } else { 68 };
    picture(name, (width, top + n * cell + 20), |root| {
        let middle = left + n * cell / 2;
        for (i, line) in title.iter().enumerate() {
            let at = (width / 2, 18 + 22 * i as i32);
            root.draw(&Text::new(line.clone(), at, style(18).pos(centred())))?;
        }
        root.draw(&Text::new(
            "predicted",
            (middle, head + 22),
            style(size).pos(centred()),
        ))?;
        let upwards = || {
            let font = (FONT, size).into_font();
            font.transform(FontTransform::Rotate270).color(&INK)
        };
        let at = (16, top + n * cell / 2);
        root.draw(&Text::new("true", at, upwards().pos(centred())))?;
        for (i, label) in labels.iter().enumerate() {
            let along = i as i32 * cell + cell / 2;
            let at = (left - 10, top + along);
            root.draw(&Text::new(label.clone(), at, style(size).pos(ending())))?;
            let at = (left + along, top - 12);
            if upright {
                root.draw(&Text::new(label.clone(), at, upwards().pos(starting())))?;
            } else {
                root.draw(&Text::new(label.clone(), at, style(size).pos(centred())))?;
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
                let text = |size: i32| (FONT, size).into_font().color(&ink).pos(centred());
                let (cx, cy) = (x + cell / 2, y + cell / 2);
                let percent = match cell_text {
                    _ if total == 0 => "–".into(),
                    CellText::ShareAndCount => format!("{:.0} %", share * 100.0),
                    CellText::Share => format!("{:.1}", share * 100.0),
                };
                let above = i32::from(cell_text == CellText::ShareAndCount) * 8;
                root.draw(&Text::new(percent, (cx, cy - above), text(18)))?;
                if cell_text == CellText::ShareAndCount {
                    root.draw(&Text::new(count.to_string(), (cx, cy + 12), text(14)))?;
                }
            }
        }
        Ok(())
    })
}

/// White at 0, the palette's blue at 1.
fn shade(share: f64) -> RGBColor {
    let mix = |full: u8| (255.0 + (f64::from(full) - 255.0) * share.clamp(0.0, 1.0)).round() as u8;
    RGBColor(mix(BLUE_OI.0), mix(BLUE_OI.1), mix(BLUE_OI.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confusion_shows_shares_and_counts_and_escapes_labels() {
        let labels = ["a<b".to_owned(), "c".to_owned()];
        let plot = confusion(
            "confusion",
            "A title",
            &labels,
            &[vec![3, 1], vec![0, 0]],
            CellText::ShareAndCount,
        )
        .unwrap();
        for text in ["a&lt;b", "75 %", "25 %", "A title", "predicted"] {
            assert!(plot.svg.contains(text), "{text}");
        }
        assert!(matches!(
            confusion("c", "", &labels, &[vec![3, 1]], CellText::Share),
            Err(PlotError::Confusion { .. })
        ));
    }
}

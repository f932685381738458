//! Rows in a plane.

use plotters::prelude::*;

use super::lines::{tick_step, tick_text};
use super::{GRID, INK, KEY_HEIGHT, Key, PALETTE, PANEL, Plot, PlotError, Shape};
use super::{centred, key_lines, legend, mark, picture, style};

/// Points of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Cloud {
    /// Its name in the legend.
    pub name: String,
    /// x, y, index of the class.
    pub points: Vec<(f64, f64, usize)>,
}

/// Two kinds of points: dots and crosses, classes by colour. `axes` names them.
///
/// # Errors
/// A picture that plotters refuses.
pub fn scatter(
    name: &str,
    title: &str,
    labels: &[String],
    clouds: [&Cloud; 2],
    axes: [&str; 2],
) -> Result<Plot, PlotError> {
    let shapes = [Shape::Circle, Shape::Cross];
    let colour = |class: usize| PALETTE[class % PALETTE.len()];
    let kinds = clouds.iter().zip(shapes).map(|(cloud, shape)| Key {
        name: cloud.name.clone(),
        shape,
        paint: INK.stroke_width(1),
    });
    let classes = labels.iter().enumerate().map(|(i, label)| Key {
        name: label.clone(),
        shape: Shape::Square,
        paint: colour(i).filled(),
    });
    let keys: Vec<Key> = kinds.chain(classes).collect();
    let width = PANEL.0 as i32;
    let head = 38 + KEY_HEIGHT * key_lines(&keys, width).len() as i32;
    let points = || clouds.iter().flat_map(|c| &c.points);
    let range = |of: fn(&(f64, f64, usize)) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        let high = points().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low, high) } else { (0.0, 0.0) };
        let pad = if high > low { 0.04 * (high - low) } else { 1.0 };
        low - pad..high + pad
    };
    let (x, y) = (range(|p| p.0), range(|p| p.1));
    let steps = (tick_step(&x), tick_step(&y));
    let svg = picture(name, (width, head + 330), |root| {
        root.draw(&Text::new(
            title.to_owned(),
            (width / 2, 18),
            style(17).pos(centred()),
        ))?;
        legend(root, &keys, width, 31)?;
        let (_, body) = root.split_vertically(head);
        let mut chart = ChartBuilder::on(&body)
            .margin_right(16)
            .margin_left(6)
            .margin_bottom(4)
            .x_label_area_size(40)
            .y_label_area_size(56)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(axes[0])
            .y_desc(axes[1])
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|v| tick_text(*v, steps.0))
            .y_label_formatter(&|v| tick_text(*v, steps.1))
            .axis_desc_style(style(14))
            .label_style(style(13))
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(INK)
            .draw()?;
        let area = chart.plotting_area();
        let pixels = root.get_pixel_range();
        for (cloud, shape) in clouds.iter().zip(shapes) {
            for &(px, py, class) in &cloud.points {
                let (px, py) = area.map_coordinate(&(px, py));
                let at = (px - pixels.0.start, py - pixels.1.start);
                let paint = match shape {
                    Shape::Cross => colour(class).stroke_width(1),
                    _ => colour(class).mix(0.55).filled(),
                };
                mark(root, at, shape, paint, 3)?;
            }
        }
        Ok(())
    })?;
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_mark() {
        let real = Cloud {
            name: "real".into(),
            points: vec![(0.0, 1.0, 0), (1.0, -1.0, 1), (2.0, 0.5, 1)],
        };
        let none = Cloud {
            name: "synthetic".into(),
            points: Vec::new(),
        };
        let labels = ["a<b".to_owned(), "c".to_owned()];
        let plot = scatter("map", "Map", &labels, [&real, &none], ["1", "2"]).unwrap();
        // Three rows and the legend's.
        assert_eq!(plot.svg.matches("<circle").count(), 4);
        assert!(plot.svg.contains("a&lt;b"));
        assert!(scatter("map", "Map", &[], [&none, &none], ["1", "2"]).is_ok());
    }
}

//! Scores with their intervals, one below the other.

use plotters::prelude::*;

use super::{Area, Drawn, GRID, INK, KEY_HEIGHT, Key, PALETTE, PANEL, Plot, PlotError, SHAPES};
use super::{Shape, centred, ending, key_lines, legend, mark, picture, starting, style, wrap};

/// A dot-and-whisker plot, its values along a horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub struct DotPlot {
    /// What the axis shows.
    pub axis: String,
    /// A value to tell all others from, and its name: chance level, no difference.
    pub line: (f64, String),
    /// Values that the axis never goes beyond.
    pub limits: (f64, f64),
    /// Names of the series, told apart by colour and shape.
    pub series: Vec<String>,
    /// Groups of dots, from top to bottom.
    pub groups: Vec<Group>,
    /// What an outlined diamond says.
    pub published: String,
}

/// Dots under a title.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Title.
    pub title: String,
    /// Dots, from top to bottom.
    pub dots: Vec<Dot>,
}

/// A value with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Dot {
    /// Index of its series.
    pub series: usize,
    /// The value.
    pub value: f64,
    /// Its interval.
    pub interval: Option<(f64, f64)>,
    /// The values that it is the mean of.
    pub single: Vec<f64>,
    /// Somebody else's value.
    pub published: Option<f64>,
    /// Outlined instead of filled.
    pub hollow: bool,
    /// The value in words, at the right.
    pub text: String,
}

const LEFT: i32 = 20;
const RIGHT: i32 = 76;
const LINE: i32 = 19;
const GAP: i32 = 8;

/// Draws it.
///
/// # Errors
/// A picture that plotters refuses.
pub fn dots(name: &str, title: &str, plot: &DotPlot) -> Result<Plot, PlotError> {
    let width = PANEL.0 as i32;
    let mut keys: Vec<Key> = plot
        .series
        .iter()
        .enumerate()
        .map(|(i, name)| Key {
            name: name.clone(),
            shape: SHAPES[i % SHAPES.len()],
            paint: PALETTE[i % PALETTE.len()].filled(),
        })
        .collect();
    let all = || plot.groups.iter().flat_map(|g| &g.dots);
    if all().any(|d| d.published.is_some()) {
        keys.push(Key {
            name: plot.published.clone(),
            shape: Shape::Diamond,
            paint: INK.stroke_width(1),
        });
    }
    let titles: Vec<Vec<String>> = plot
        .groups
        .iter()
        .map(|g| wrap(&g.title, (width - LEFT) as usize / 8))
        .collect();
    let head = 10 + KEY_HEIGHT * key_lines(&keys, width).len() as i32;
    let body: i32 = plot
        .groups
        .iter()
        .zip(&titles)
        .map(|(g, t)| LINE * (g.dots.len() + t.len()) as i32 + GAP)
        .sum();
    let bottom = head + 22 + body;
    let svg = picture(name, (width, bottom + 50), |root| {
        legend(root, &keys, width, 4)?;
        let scale = Scale::of(plot);
        scale.draw(root, plot, (head + 22, bottom))?;
        let mut y = head + 22 + GAP / 2;
        for (group, title) in plot.groups.iter().zip(&titles) {
            for line in title {
                // On white, so that grid lines do not cross it.
                let behind = [(4, y + 1), (8 + super::width_of(line, 14), y + LINE - 1)];
                root.draw(&Rectangle::new(behind, WHITE.filled()))?;
                let text = style(14).pos(starting());
                root.draw(&Text::new(line.clone(), (6, y + LINE / 2), text))?;
                y += LINE;
            }
            for dot in &group.dots {
                draw_dot(root, dot, &scale, y + LINE / 2)?;
                y += LINE;
            }
            y += GAP;
        }
        Ok(())
    })?;
    Ok(Plot {
        name: name.into(),
        title: title.into(),
        svg,
    })
}

/// Values to pixels.
struct Scale {
    from: f64,
    to: f64,
    step: f64,
}

impl Scale {
    /// From the smallest to the largest value that there is to show, at whole steps.
    fn of(plot: &DotPlot) -> Self {
        let mut from = plot.line.0;
        let mut to = plot.line.0;
        for dot in plot.groups.iter().flat_map(|g| &g.dots) {
            let ends = dot.interval.map(|(a, b)| [a, b]);
            for &v in [dot.value]
                .iter()
                .chain(ends.iter().flatten())
                .chain(&dot.single)
                .chain(&dot.published)
            {
                from = from.min(v);
                to = to.max(v);
            }
        }
        let from = from.max(plot.limits.0);
        let to = to.min(plot.limits.1);
        let span = (to - from).max(1.0);
        let step = [1.0, 2.0, 5.0, 10.0, 20.0]
            .into_iter()
            .find(|s| span / s <= 8.0)
            .unwrap_or(50.0);
        let first = (from / step - 0.1).floor() * step;
        let last = (to / step + 0.1).ceil() * step;
        Self {
            from: first.max(plot.limits.0),
            to: last.min(plot.limits.1).max(first + step),
            step,
        }
    }

    fn x(&self, value: f64) -> i32 {
        let right = PANEL.0 as i32 - RIGHT;
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        LEFT + (share * f64::from(right - LEFT)).round() as i32
    }

    /// Grid, ticks, the line to compare with and the axis' name between `top` and `bottom`.
    fn draw(&self, root: &Area<'_>, plot: &DotPlot, (top, bottom): (i32, i32)) -> Drawn {
        let steps = ((self.to - self.from) / self.step).round() as i32;
        for i in 0..=steps {
            let value = self.from + f64::from(i) * self.step;
            let x = self.x(value);
            root.draw(&PathElement::new(
                [(x, top), (x, bottom)],
                GRID.stroke_width(1),
            ))?;
            let at = (x, bottom + 13);
            root.draw(&Text::new(
                format!("{value:.0}"),
                at,
                style(13).pos(centred()),
            ))?;
        }
        let (value, name) = &plot.line;
        let x = self.x(*value);
        for y in (top..bottom).step_by(8) {
            let dash = [(x, y), (x, (y + 5).min(bottom))];
            root.draw(&PathElement::new(dash, INK.stroke_width(1)))?;
        }
        // Inside the picture, however near its edges the line stands.
        let half = super::width_of(name, 13) / 2;
        let at = (x.clamp(half + 2, PANEL.0 as i32 - half - 2), top - 10);
        root.draw(&Text::new(name.clone(), at, style(13).pos(centred())))?;
        let at = (LEFT + (PANEL.0 as i32 - RIGHT - LEFT) / 2, bottom + 35);
        root.draw(&Text::new(plot.axis.clone(), at, style(14).pos(centred())))?;
        Ok(())
    }
}

fn draw_dot(root: &Area<'_>, dot: &Dot, scale: &Scale, y: i32) -> Drawn {
    let colour = PALETTE[dot.series % PALETTE.len()];
    let shape = SHAPES[dot.series % SHAPES.len()];
    if let Some((a, b)) = dot.interval {
        let ends = [(scale.x(a), y), (scale.x(b), y)];
        root.draw(&PathElement::new(ends, colour.stroke_width(2)))?;
        for (x, value) in [(ends[0].0, a), (ends[1].0, b)] {
            // No cap where the interval goes on beyond the axis.
            if (scale.from..=scale.to).contains(&value) {
                let cap = [(x, y - 4), (x, y + 4)];
                root.draw(&PathElement::new(cap, colour.stroke_width(2)))?;
            }
        }
    }
    for &value in &dot.single {
        let tick = [(scale.x(value), y + 4), (scale.x(value), y + 9)];
        root.draw(&PathElement::new(tick, colour.mix(0.8).stroke_width(1)))?;
    }
    let at = (scale.x(dot.value), y);
    if dot.hollow {
        mark(root, at, shape, WHITE.filled(), 5)?;
        mark(root, at, shape, colour.stroke_width(2), 5)?;
    } else {
        mark(root, at, shape, colour.filled(), 5)?;
    }
    if let Some(value) = dot.published {
        let at = (scale.x(value), y);
        mark(root, at, Shape::Diamond, INK.stroke_width(1), 5)?;
    }
    let at = (PANEL.0 as i32 - 6, y);
    root.draw(&Text::new(dot.text.clone(), at, style(13).pos(ending())))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(value: f64, interval: Option<(f64, f64)>) -> Dot {
        Dot {
            series: 0,
            value,
            interval,
            single: vec![value - 1.0, value + 1.0],
            published: Some(60.5),
            hollow: false,
            text: format!("{value:.1}"),
        }
    }

    fn plot(dots: Vec<Dot>) -> DotPlot {
        DotPlot {
            axis: "UAR in percent".into(),
            line: (25.0, "chance".into()),
            limits: (0.0, 100.0),
            series: vec!["real".into()],
            groups: vec![Group {
                title: "a <method> of a name that is so long that it takes more than a line of a narrow picture".into(),
                dots,
            }],
            published: "the paper".into(),
        }
    }

    #[test]
    fn every_dot_has_its_mark_whisker_and_number() {
        let plot = plot(vec![dot(61.2, Some((59.0, 63.4))), dot(40.0, None)]);
        let drawn = dots("uar", "UAR", &plot).unwrap();
        for text in ["&lt;method&gt;", "chance", "61.2", "40.0", "the paper"] {
            assert!(drawn.svg.contains(text), "{text}");
        }
        // Two dots and the legend's.
        assert_eq!(drawn.svg.matches("<circle").count(), 3);
    }

    #[test]
    fn the_axis_holds_all_values_and_stays_within_its_limits() {
        let wide = plot(vec![dot(61.2, Some((-40.0, 163.4)))]);
        let scale = Scale::of(&wide);
        assert_eq!((scale.from, scale.to), (0.0, 100.0));
        let narrow = plot(vec![dot(61.2, Some((59.0, 63.4)))]);
        let scale = Scale::of(&narrow);
        assert!(scale.from <= 25.0 && scale.to >= 63.4 && scale.to <= 75.0);
        assert!(scale.x(25.0) < scale.x(59.0));
    }
}

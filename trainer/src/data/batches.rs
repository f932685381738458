//! Rows ready for a network, and the order in which an epoch visits them.

use rand::{Rng, seq::SliceRandom};

/// Normalised rows with soft labels; recordings first, synthetic rows after them.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Feature columns.
    pub width: usize,
    /// Label columns.
    pub classes: usize,
    /// `[rows, width]` row-major.
    pub values: Vec<f32>,
    /// `[rows, classes]` row-major; each row sums to 1.
    pub targets: Vec<f32>,
    /// The class with the largest target of each row.
    pub class: Vec<usize>,
    /// How many of the rows are recordings.
    pub recorded: usize,
}

impl Rows {
    /// Recordings with hard labels.
    pub fn recorded(width: usize, classes: usize, values: Vec<f32>, class: Vec<usize>) -> Self {
        let mut targets = vec![0.0; class.len() * classes];
        for (row, &c) in targets.chunks_exact_mut(classes.max(1)).zip(&class) {
            row[c] = 1.0;
        }
        Self {
            width,
            classes,
            values,
            targets,
            recorded: class.len(),
            class,
        }
    }

    /// Appends synthetic rows with soft labels.
    pub fn push_synthetic(&mut self, values: &[f32], targets: &[f32]) {
        self.values.extend_from_slice(values);
        self.targets.extend_from_slice(targets);
        self.class
            .extend(targets.chunks_exact(self.classes).map(largest));
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.class.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.class.is_empty()
    }

    /// Features of row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.width..(i + 1) * self.width]
    }

    /// Soft label of row `i`.
    pub fn target(&self, i: usize) -> &[f32] {
        &self.targets[i * self.classes..(i + 1) * self.classes]
    }

    /// Weight of each class: rows / (classes · summed targets of the class), so that the mean weight of a row is 1.
    /// A class without rows weighs 0.
    pub fn class_weights(&self) -> Vec<f32> {
        let mut mass = vec![0.0f64; self.classes];
        for row in self.targets.chunks_exact(self.classes.max(1)) {
            for (m, t) in mass.iter_mut().zip(row) {
                *m += f64::from(*t);
            }
        }
        mass.iter()
            .map(|m| {
                if *m > 0.0 {
                    (self.len() as f64 / (self.classes as f64 * m)) as f32
                } else {
                    0.0
                }
            })
            .collect()
    }
}

/// Index of the largest value; the first of equal ones, 0 for none.
pub fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// All rows once, in random order, in batches of `size`.
///
/// The batches differ in size by at most one row, so that no step rests on a small remainder.
pub fn shuffled<R: Rng + ?Sized>(rows: usize, size: usize, rng: &mut R) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(rng);
    cut(order, size)
}

/// As many draws as there are rows, every class equally often (to within one) and every row of a class equally
/// often (to within one), in batches of `size`.
pub fn balanced<R: Rng + ?Sized>(
    class: &[usize],
    classes: usize,
    size: usize,
    rng: &mut R,
) -> Vec<Vec<usize>> {
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &c) in class.iter().enumerate() {
        by_class[c].push(i);
    }
    by_class.retain(|rows| !rows.is_empty());
    // Which classes get the odd draws must not depend on their order.
    by_class.shuffle(rng);
    let mut order = Vec::with_capacity(class.len());
    let present = by_class.len().max(1);
    for (k, rows) in by_class.iter_mut().enumerate() {
        let draws = class.len() / present + usize::from(k < class.len() % present);
        for d in 0..draws {
            if d % rows.len() == 0 {
                rows.shuffle(rng);
            }
            order.push(rows[d % rows.len()]);
        }
    }
    order.shuffle(rng);
    cut(order, size)
}

fn cut(order: Vec<usize>, size: usize) -> Vec<Vec<usize>> {
    let batches = order.len().div_ceil(size.max(1)).max(1);
    let mut rest = order.as_slice();
    let mut out = Vec::with_capacity(batches);
    for left in (1..=batches).rev() {
        let (head, tail) = rest.split_at(rest.len().div_ceil(left));
        out.push(head.to_vec());
        rest = tail;
    }
    out.retain(|batch| !batch.is_empty());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::stream;

    #[test]
    fn an_epoch_visits_every_row_once_in_even_batches() {
        for (rows, size, sizes) in [
            (10, 4, vec![4, 3, 3]),
            (8, 4, vec![4, 4]),
            (3, 64, vec![3]),
            (65, 64, vec![33, 32]),
        ] {
            let batches = shuffled(rows, size, &mut stream(1, "t", rows));
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
            let mut seen: Vec<usize> = batches.concat();
            seen.sort_unstable();
            assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }
        assert!(shuffled(0, 4, &mut stream(1, "t", 0)).is_empty());
    }

    #[test]
    fn balanced_epochs_draw_classes_equally_often() {
        let class: Vec<usize> = [vec![0; 20], vec![1; 5], vec![2; 3]].concat();
        let drawn = balanced(&class, 4, 6, &mut stream(1, "t", 0)).concat();
        assert_eq!(drawn.len(), 28);
        for c in 0..3 {
            let count = drawn.iter().filter(|&&i| class[i] == c).count();
            assert!((9..=10).contains(&count), "class {c}: {count}");
        }
        let each = |i| drawn.iter().filter(|&&d| d == i).count();
        assert!((25..28).map(each).all(|n| (3..=4).contains(&n)));
    }

    #[test]
    fn class_weights_even_out_frequencies() {
        let rows = Rows::recorded(1, 3, vec![0.0; 4], vec![0, 0, 0, 1]);
        let w = rows.class_weights();
        assert!((3.0 * w[0] - w[1]).abs() < 1e-6 && w[2] == 0.0);
    }
}

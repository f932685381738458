use super::*;
use crate::data::batches::Rows;
use crate::metrics::Confusion;

const TRAIN: usize = 300;
const TEST: usize = 200;
const WIDTH: usize = 8;

/// SplitMix64, the upper 24 bits as a number in [0, 1), as in `svm_golden.py`.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    }
}

struct Data {
    x: Vec<f32>,
    class: Vec<usize>,
    weight: Vec<f64>,
}

impl Data {
    fn train(&self) -> (&[f32], &[usize]) {
        (&self.x[..TRAIN * WIDTH], &self.class[..TRAIN])
    }

    fn test(&self) -> (&[f32], &[usize]) {
        (&self.x[TRAIN * WIDTH..], &self.class[TRAIN..])
    }

    fn fit(&self, config: &SvmConfig) -> Svm {
        let (x, class) = self.train();
        Svm::fit(x, WIDTH, class, &[1.0; TRAIN], 4, config).unwrap()
    }
}

/// The rows of `svm_golden.py`.
fn data() -> Data {
    let mut uniform = Uniform(1);
    let centres: Vec<f64> = (0..8 * WIDTH).map(|_| 2.0 * uniform.next()).collect();
    let (mut x, mut class) = (Vec::new(), Vec::new());
    for i in 0..TRAIN + TEST {
        let c = [0, 0, 1, 2, 3, 3, 3][i % 7];
        let cluster = 2 * c + (i / 7) % 2;
        for m in &centres[cluster * WIDTH..(cluster + 1) * WIDTH] {
            x.push((m + uniform.next() + uniform.next() + uniform.next() - 1.5) as f32);
        }
        class.push(c);
    }
    let weight = (0..TRAIN).map(|_| 0.05 + uniform.next()).collect();
    Data { x, class, weight }
}

fn rbf(gamma: f64, c: f64) -> SvmConfig {
    SvmConfig::new(Kernel::Rbf { gamma }, c)
}

#[test]
fn predictions_are_scikit_learns() {
    let data = data();
    let (x, class) = data.train();
    let mut cases = 0;
    for line in include_str!("svm_golden.txt").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        let kernel = match fields[0] {
            "linear" => Kernel::Linear,
            _ => Kernel::Rbf { gamma: number(2) },
        };
        let mut weight = vec![1.0; TRAIN];
        if fields[3] == "1" {
            weight = balance(class, &weight, 4);
        }
        if fields[4] == "1" {
            weight
                .iter_mut()
                .zip(&data.weight)
                .for_each(|(w, d)| *w *= d);
        }
        let config = SvmConfig::new(kernel, number(1));
        let svm = Svm::fit(x, WIDTH, class, &weight, 4, &config).unwrap();
        assert!(svm.converged());
        let predicted = svm.predict(data.test().0).unwrap();
        let expected: Vec<usize> = fields[5].bytes().map(|b| usize::from(b - b'0')).collect();
        let same = predicted.iter().zip(&expected).filter(|(a, b)| a == b);
        assert_eq!(same.count(), TEST, "{}", &line[..30]);
        cases += 1;
    }
    assert_eq!(cases, 5);
}

#[test]
fn the_solution_meets_the_optimality_conditions() {
    // v = y - Kβ: at most `tolerance` above for rows that can go up what it is for rows that can go down.
    let data = data();
    let (x, class) = data.train();
    let config = rbf(0.3, 5.0);
    let sorted = Sorted::new(x, WIDTH, class, &data.weight, 4).unwrap();
    let mut k = sorted.products(config.kernel).unwrap();
    apply_kernel(&mut k, config.kernel);
    let machines = sorted.solve_matrix(&k, &config);
    let n = sorted.rows();
    for pair in &machines.pairs {
        let rows: Vec<usize> = sorted
            .class_rows(pair.first)
            .chain(sorted.class_rows(pair.second))
            .collect();
        let beta = pair.beta.concat();
        assert!(beta.iter().sum::<f64>().abs() < 1e-9);
        let (mut most, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        for (t, &i) in rows.iter().enumerate() {
            let y = if t < pair.beta[0].len() { 1.0 } else { -1.0 };
            let sum: f64 = rows
                .iter()
                .zip(&beta)
                .map(|(&j, b)| b * f64::from(k[i * n + j]))
                .sum();
            let bound = config.c * sorted.weight[i];
            let alpha = y * beta[t];
            assert!((0.0..=bound).contains(&alpha), "{alpha} {bound}");
            let (up, down) = (alpha < bound, alpha > 0.0);
            let (up, down) = if y > 0.0 { (up, down) } else { (down, up) };
            if up {
                most = most.max(y - sum);
            }
            if down {
                least = least.min(y - sum);
            }
        }
        assert!(most - least < 1.01 * config.tolerance, "{most} {least}");
    }
}

#[test]
fn computed_kernel_rows_give_the_same_machine_however_few_are_kept() {
    let data = data();
    let (x, class) = data.train();
    for config in [rbf(0.3, 5.0), SvmConfig::new(Kernel::Linear, 0.5)] {
        let sorted = || Sorted::new(x, WIDTH, class, &data.weight, 4).unwrap();
        let few = sorted().solve_computed(&config, Some(2));
        let many = sorted().solve_computed(&config, None);
        let few = sorted().finish(few, &config);
        let many = sorted().finish(many, &config);
        assert_eq!(few.digest(), many.digest());
        let matrix = Svm::fit(x, WIDTH, class, &data.weight, 4, &config).unwrap();
        let test = data.test().0;
        assert_eq!(few.predict(test).unwrap(), matrix.predict(test).unwrap());
    }
}

#[test]
fn scores_rank_as_predictions_do() {
    let data = data();
    // A weak machine: many vote ties.
    let svm = data.fit(&rbf(2.0, 0.05));
    let test = data.test().0;
    let scores = svm.scores(test).unwrap();
    let predicted = svm.predict(test).unwrap();
    for (row, p) in scores.chunks_exact(4).zip(&predicted) {
        assert_eq!(crate::data::batches::largest(row), *p, "{row:?}");
        let others = (0..4).filter(|c| c != p);
        assert!(others.into_iter().all(|c| row[c] < row[*p]));
        assert!(row.iter().all(|s| (-0.34..3.34).contains(s)));
    }
}

#[test]
fn classes_without_rows_are_never_predicted_and_one_class_always() {
    let data = data();
    let (x, class) = data.train();
    let config = rbf(0.3, 5.0);
    // Class 1 has rows, but no weight.
    let weight: Vec<f64> = class.iter().map(|&c| f64::from(u8::from(c != 1))).collect();
    let svm = Svm::fit(x, WIDTH, class, &weight, 6, &config).unwrap();
    let test = data.test().0;
    let predicted = svm.predict(test).unwrap();
    assert!(predicted.iter().all(|p| [0, 2, 3].contains(p)));
    assert!(predicted.contains(&0) && predicted.contains(&3));
    for row in svm.scores(test).unwrap().chunks_exact(6) {
        assert_eq!([row[1], row[4], row[5]], [-1.0; 3]);
    }
    let weight: Vec<f64> = class.iter().map(|&c| f64::from(u8::from(c == 2))).collect();
    let one = Svm::fit(x, WIDTH, class, &weight, 4, &config).unwrap();
    assert_eq!(one.predict(test).unwrap(), [2; TEST]);
    assert_eq!(one.support_vectors(), 0);
}

#[test]
fn a_weight_of_two_is_a_row_twice_and_of_zero_no_row() {
    let data = data();
    let (x, class) = data.train();
    let config = rbf(0.3, 0.7);
    let mut weight = vec![1.0; TRAIN];
    weight[..40].fill(2.0);
    weight[40..60].fill(0.0);
    let weighted = Svm::fit(x, WIDTH, class, &weight, 4, &config).unwrap();
    let rows = |from: usize, to: usize| (&x[from * WIDTH..to * WIDTH], &class[from..to]);
    let parts = [rows(0, 40), rows(0, 40), rows(60, TRAIN)];
    let twice: Vec<f32> = parts.iter().flat_map(|p| p.0).copied().collect();
    let of: Vec<usize> = parts.iter().flat_map(|p| p.1).copied().collect();
    let copied = Svm::fit(&twice, WIDTH, &of, &vec![1.0; of.len()], 4, &config).unwrap();
    let test = data.test().0;
    let (a, b) = (
        weighted.predict(test).unwrap(),
        copied.predict(test).unwrap(),
    );
    assert!(a.iter().zip(&b).filter(|(a, b)| a != b).count() <= 2);
}

#[test]
fn the_grid_chooses_by_recall_then_by_smaller_settings_and_equals_a_plain_fit() {
    let data = data();
    let (x, class) = data.train();
    let ones = [1.0; TRAIN];
    let grid = Grid {
        c: vec![10.0, 0.1, 1.0],
        gamma: vec![1.0, 0.1],
        linear: false,
    };
    let train = (x, class, &ones[..]);
    let (svm, config, points) = grid_search(train, data.test(), WIDTH, 4, &grid).unwrap();
    assert_eq!(points.len(), 6);
    let scale = scale_gamma(x, WIDTH);
    let order: Vec<(f64, f64)> = points
        .iter()
        .map(|p| (p.c, p.gamma.unwrap() / scale))
        .collect();
    let expected = [
        (0.1, 0.1),
        (0.1, 1.0),
        (1.0, 0.1),
        (1.0, 1.0),
        (10.0, 0.1),
        (10.0, 1.0),
    ];
    for (a, b) in order.iter().zip(expected) {
        assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-9);
    }
    let best = points.iter().map(|p| p.uar).fold(0.0, f64::max);
    let first = points.iter().find(|p| p.uar == best).unwrap();
    assert_eq!(
        (config.c, config.kernel),
        (
            first.c,
            Kernel::Rbf {
                gamma: first.gamma.unwrap()
            }
        )
    );
    assert_eq!(svm.digest(), data.fit(&config).digest());
    for p in &points {
        let svm = data.fit(&rbf(p.gamma.unwrap(), p.c));
        let predicted = svm.predict(data.test().0).unwrap();
        let pairs = data.test().1.iter().copied().zip(predicted);
        assert_eq!(Confusion::of(4, pairs).uar(), Some(p.uar));
    }
    let linear = Grid {
        linear: true,
        gamma: vec![],
        ..grid.clone()
    };
    let (_, config, points) = grid_search(train, data.test(), WIDTH, 4, &linear).unwrap();
    assert_eq!((config.kernel, points.len()), (Kernel::Linear, 3));
    let none = Grid { c: vec![], ..grid };
    assert!(grid_search(train, data.test(), WIDTH, 4, &none).is_err());
}

#[test]
fn soft_labels_become_weighted_rows_and_balance_evens_classes() {
    let mut rows = Rows::recorded(2, 3, vec![1.0, 2.0], vec![1]);
    rows.push_synthetic(
        &[3.0, 4.0, 5.0, 6.0],
        &[0.25, 0.0, 0.75, 0.9995, 0.0005, 0.0],
    );
    let (x, class, weight) = soft_rows(&rows);
    assert_eq!(class, [1, 0, 2, 0]);
    assert_eq!(x, [1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 6.0]);
    assert!((weight[1] - 0.25).abs() < 1e-6 && (weight[3] - 0.9995).abs() < 1e-6);
    // scikit-learn: n / (k n_c) = 4 / (2 · 3) and 4 / (2 · 1).
    let even = balance(&[0, 0, 2, 0], &[1.0; 4], 3);
    assert!((even[0] - 4.0 / 6.0).abs() < 1e-12 && (even[2] - 2.0).abs() < 1e-12);
    assert!((scale_gamma(&[1.0, -1.0, 1.0, -1.0], 2) - 0.5).abs() < 1e-12);
}

#[test]
fn bad_input_is_named() {
    let config = rbf(1.0, 1.0);
    let fit = |x: &[f32], class: &[usize], weight: &[f64], config: &SvmConfig| {
        Svm::fit(x, 2, class, weight, 2, config)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let x = [0.0, 1.0, 1.0, 0.0];
    assert!(fit(&x[..3], &[0, 1], &[1.0; 2], &config).contains("3 values"));
    assert!(
        fit(&[0.0, 1.0, f32::NAN, 0.0], &[0, 1], &[1.0; 2], &config).contains("row 1, feature 0")
    );
    assert!(fit(&x, &[0, 2], &[1.0; 2], &config).contains("row 1 has class 2"));
    assert!(fit(&x, &[0, 1], &[1.0, -1.0], &config).contains("row 1 has weight -1"));
    assert!(fit(&x, &[0, 1], &[0.0; 2], &config).contains("no row"));
    assert!(fit(&[], &[], &[], &config).contains("no row"));
    assert!(fit(&x, &[0, 1], &[1.0; 2], &rbf(0.0, 1.0)).contains("gamma = 0"));
    assert!(fit(&x, &[0, 1], &[1.0; 2], &rbf(1.0, -1.0)).contains("C = -1"));
    let svm = Svm::fit(&x, 2, &[0, 1], &[1.0; 2], 2, &config).unwrap();
    assert_eq!(svm.predict(&x).unwrap(), [0, 1]);
    assert!(svm.predict(&x[..3]).is_err());
    assert!(svm.predict(&[]).unwrap().is_empty());
    let mut starved = rbf(1.0, 1.0);
    starved.max_iterations = 0;
    assert!(
        !Svm::fit(&x, 2, &[0, 1], &[1.0; 2], 2, &starved)
            .unwrap()
            .converged()
    );
}

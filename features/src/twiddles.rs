//! Tables of the real FFT (see [`crate::fft`]). A row holds four columns: cosines, sines, cosines …

use core::f32::consts::FRAC_PI_4;

use crate::lanes::{LANES, Vector};

/// Cosine and sine.
pub(crate) type Turn = (f32, f32);

/// Twiddles at multiples of one step and at their triples.
#[derive(Clone, Copy)]
struct Angles {
    step: f32,
    triple: f32,
    /// Steps to 45°.
    eighth: usize,
}

impl Angles {
    fn new(points: usize) -> Self {
        let step = FRAC_PI_4 / (points / 4) as f32;
        Self {
            step,
            triple: 3.0 * step,
            eighth: points / 16,
        }
    }

    fn turn(angle: f32) -> Turn {
        let angle = f64::from(angle);
        (libm::cos(angle) as f32, libm::sin(angle) as f32)
    }

    fn single(&self, t: usize) -> Turn {
        Self::turn(self.step * (4 * t) as f32)
    }

    fn tripled(&self, t: usize) -> Turn {
        Self::turn(self.triple * (4 * t) as f32)
    }
}

/// Turns of each pass over the complex points.
#[derive(Clone, Debug)]
pub(crate) struct Twiddles {
    points: usize,
    /// cos 45°.
    pub diagonal: f32,
    /// 1/32, 1/16 and 3/32 of a circle: in blocks of 16 or 8 points single angles stand for their triples.
    pub sixteenth: [Turn; 3],
}

/// Turns of a plain block: e(j/m) and e(3j/m).
const PLAIN: usize = 2;
/// Turns of a shifted block: e(j/2m), e(j/2m+1/8), e(3j/2m), e(3j/2m+3/8).
const SHIFTED: usize = 4;

/// Stores the turns of column `j`.
fn put<const N: usize>(table: &mut [f32], j: usize, turns: [Turn; N]) {
    let row = &mut table[j / LANES * 2 * N * LANES..][..2 * N * LANES];
    for (i, (c, s)) in turns.into_iter().enumerate() {
        row[2 * i * LANES + j % LANES] = c;
        row[(2 * i + 1) * LANES + j % LANES] = s;
    }
}

pub(crate) fn swapped((c, s): Turn) -> Turn {
    (s, c)
}

pub(crate) fn negated((c, s): Turn) -> Turn {
    (-c, -s)
}

/// Column j of a plain table, and its mirror image about 45°.
fn put_mirrored(table: &mut [f32], one: Turn, three: Turn, j: usize) {
    let columns = table.len() / (2 * PLAIN);
    if j > 0 {
        put(table, columns - j, [swapped(one), negated(swapped(three))]);
    }
    put(table, j, [one, three]);
}

impl Twiddles {
    pub fn new(points: usize) -> Self {
        let angles = Angles::new(points);
        let e = angles.eighth;
        Self {
            points,
            diagonal: Angles::turn(FRAC_PI_4).0,
            sixteenth: [
                angles.single(e / 4),
                angles.single(e / 2),
                angles.tripled(e / 4),
            ],
        }
    }

    /// Turns of the first pass.
    pub fn fill_first(&self, table: &mut [f32]) {
        let (angles, diagonal) = (Angles::new(self.points), self.diagonal);
        let half = table.len() / (2 * PLAIN) / 2;
        let single_scale = (0.5 / libm::cos(f64::from(angles.step * 2.0))) as f32;
        let triple_scale = (0.5 / libm::cos(f64::from(angles.step * 6.0))) as f32;
        let single = |t| match t {
            0 => (1.0, 0.0),
            t if t == angles.eighth => (diagonal, diagonal),
            t => angles.single(t),
        };
        let tripled = |t| match t {
            0 => (1.0, 0.0),
            t if t == angles.eighth => (-diagonal, diagonal),
            t => angles.tripled(t),
        };
        let between = |scale: f32, a: Turn, b: Turn| (scale * (a.0 + b.0), scale * (a.1 + b.1));
        for j in 0..=half {
            let t = j / 2;
            let (one, three) = if j % 2 == 0 {
                (single(t), tripled(t))
            } else {
                (
                    between(single_scale, single(t), single(t + 1)),
                    between(triple_scale, tripled(t), tripled(t + 1)),
                )
            };
            put_mirrored(table, one, three, j);
        }
    }

    /// Turns of the plain blocks of a later pass; `stride`: angle steps per column.
    pub fn fill_plain(&self, stride: usize, table: &mut [f32]) {
        let (angles, diagonal) = (Angles::new(self.points), self.diagonal);
        let half = table.len() / (2 * PLAIN) / 2;
        put_mirrored(table, (1.0, 0.0), (1.0, 0.0), 0);
        for j in 1..half {
            put_mirrored(
                table,
                angles.single(j * stride),
                angles.tripled(j * stride),
                j,
            );
        }
        put_mirrored(table, (diagonal, diagonal), (-diagonal, diagonal), half);
    }

    /// Turns of the shifted blocks of a later pass; `stride`: angle steps per column.
    pub fn fill_shifted(&self, stride: usize, table: &mut [f32]) {
        let angles = Angles::new(self.points);
        let columns = table.len() / (2 * SHIFTED);
        let second = self.sixteenth[1];
        for j in 0..columns {
            let t = j * stride;
            let turns = if j == 0 {
                // the rotations by 1/8 and 3/8 are made apart
                [(1.0, 0.0); SHIFTED]
            } else if 2 * j == columns {
                [second, swapped(second), swapped(second), negated(second)]
            } else {
                let back = angles.eighth - t;
                [
                    angles.single(t),
                    swapped(angles.single(back)),
                    angles.tripled(t),
                    negated(swapped(angles.tripled(back))),
                ]
            };
            put(table, j, turns);
        }
    }

    /// Rows of the plain and of the shifted blocks of 16.
    pub fn sixteen(&self) -> ([Vector; 2 * PLAIN], [Vector; 2 * SHIFTED]) {
        let [first, second, third] = self.sixteenth;
        let (one, middle) = ((1.0, 0.0), (self.diagonal, self.diagonal));
        let of = |turns: [Turn; LANES]| (turns.map(|t| t.0), turns.map(|t| t.1));
        let single = of([one, second, middle, swapped(second)]);
        let triple = of([one, swapped(second), middle, negated(second)]);
        let u = of([one, first, second, third]);
        let v = of([one, swapped(third), swapped(second), swapped(first)]);
        let s = of([one, third, swapped(second), (-first.1, first.0)]);
        let t = of([
            one,
            (-first.0, first.1),
            negated(second),
            negated(swapped(third)),
        ]);
        (
            [single.0, single.1, triple.0, triple.1],
            [u.0, u.1, v.0, v.1, s.0, s.1, t.0, t.1],
        )
    }

    /// ½ − ½·sin and ½·cos of πk/points, for k = 1, 2, … below points/2; the last row repeats what does not fill one.
    pub fn fill_split(&self, table: &mut [f32]) {
        let half = self.points / 2;
        let step = FRAC_PI_4 / (half / 2) as f32;
        let turn = |k: usize| {
            let angle = f64::from(step * k as f32);
            (
                (0.5 * libm::cos(angle)) as f32,
                (0.5 * libm::sin(angle)) as f32,
            )
        };
        let diagonal = 0.5 * Angles::turn(step * (half / 2) as f32).0;
        for j in 0..half {
            let k = split_start(half, j / LANES) + j % LANES;
            let (cos, sin) = if 2 * k < half {
                turn(k)
            } else if 2 * k == half {
                (diagonal, diagonal)
            } else {
                swapped(turn(half - k))
            };
            put(table, j, [(0.5 - sin, cos)]);
        }
    }
}

/// First bin of row `row` of the split, whose bins are 1..`half`.
#[inline(always)]
pub(crate) fn split_start(half: usize, row: usize) -> usize {
    (1 + row * LANES).min(half - LANES)
}

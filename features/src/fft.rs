//! Real FFT of a zero-padded frame (SPEC section 4): positive exponent, unnormalised, f32.
//!
//! LSP, and voicing of frames that hold a few non-zero samples only, depend on the rounding errors of the transform. So its operation order is the one
//! that SPEC section 4 names: split radix, with the twiddles of the frequencies 4k + 2 deferred to the next pass. In formulas, with
//! a block of m values in quarters a₀ … a₃ (index j < m/4) and e(x) = exp(2πi·x):
//!
//! * a *plain* block is to become its DFT: quarters (a₀+a₂)+(a₁+a₃), (a₀+a₂)−(a₁+a₃), e(j/m)·((a₀−a₂)+i(a₁−a₃)), e(3j/m)·((a₀−a₂)−i(a₁−a₃));
//!   the second is then a shifted block, the others are plain.
//! * a *shifted* block is to become the DFT of e(j/2m)·a: quarters u+v, u−v, s+t, s−t with u = e(j/2m)·(a₀+i·a₂), v = e(j/2m+1/8)·(a₁+i·a₃),
//!   s = e(3j/2m)·(a₀−i·a₂), t = e(3j/2m+3/8)·(a₁−i·a₃); the second and the fourth are then shifted blocks.
//!
//! Rotations by 1/8 and 3/8 of a circle add before they scale. The first pass takes every other twiddle from the sum of its neighbours.

use core::f32::consts::FRAC_PI_4;

use crate::lanes::Complex;

/// Cosine and sine.
type Turn = (f32, f32);

/// Lanes that the last pass works on at once.
const LANES: usize = 4;

/// Transform of real frames of one length. Its tables live in the caller's memory.
#[derive(Clone, Debug)]
pub(crate) struct RealFft {
    /// Complex points: half the frame.
    points: usize,
    leaf: Leaf,
}

/// Twiddles of the blocks of 16 or 8 points, where single angles stand for their triples.
#[derive(Clone, Copy, Debug)]
struct Leaf {
    /// cos 45°.
    diagonal: f32,
    /// 1/32, 1/16 and 3/32 of a circle.
    sixteenth: [Turn; 3],
}

/// Twiddles at multiples of one step and at their triples.
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

impl RealFft {
    /// Floats of the tables for frames of `size` samples (a power of two ≥ 256).
    pub const fn table_len(size: usize) -> usize {
        let points = size / 2;
        // first pass, split
        let mut len = points + points;
        let mut m = points / 4;
        while m > 16 {
            // plain and shifted blocks
            len += 3 * m;
            m /= 4;
        }
        len
    }

    /// Fills `table` ([`table_len`](Self::table_len) floats).
    pub fn new(size: usize, table: &mut [f32]) -> Self {
        let points = size / 2;
        let angles = Angles::new(points);
        let diagonal = Angles::turn(FRAC_PI_4).0;
        let (first, mut rest) = table.split_at_mut(points);
        fill_first(&angles, diagonal, first);
        let mut m = points / 4;
        while m > 16 {
            let (plain, later) = rest.split_at_mut(m);
            fill_plain(&angles, diagonal, points / (2 * m), plain);
            let (shifted, later) = later.split_at_mut(2 * m);
            fill_shifted(&angles, points / (4 * m), shifted);
            rest = later;
            m /= 4;
        }
        fill_split(points, rest);
        let e = angles.eighth;
        let sixteenth = [
            angles.single(e / 4),
            angles.single(e / 2),
            angles.tripled(e / 4),
        ];
        Self {
            points,
            leaf: Leaf {
                diagonal,
                sixteenth,
            },
        }
    }

    /// Transforms the frame in `data` (overwritten). On return `re[k]`, `im[k]` hold bins 0..=size/2.
    pub fn apply(&self, table: &[f32], data: &mut [f32], re: &mut [f32], im: &mut [f32]) {
        let n = self.points;
        let (a, b) = (&mut re[..n], &mut im[..n]);
        for ((pair, r), i) in data.chunks_exact(2).zip(a.iter_mut()).zip(b.iter_mut()) {
            (*r, *i) = (pair[0], pair[1]);
        }
        let (first, mut rest) = table.split_at(n);
        plain(self.leaf.diagonal, first, a, b);
        let mut m = n / 4;
        while m > 16 {
            let (plain_table, later) = rest.split_at(m);
            let (shifted_table, later) = later.split_at(2 * m);
            for (block, (a, b)) in a.chunks_exact_mut(m).zip(b.chunks_exact_mut(m)).enumerate() {
                if is_shifted(block) {
                    shifted(self.leaf.diagonal, shifted_table, a, b);
                } else {
                    plain(self.leaf.diagonal, plain_table, a, b);
                }
            }
            rest = later;
            m /= 4;
        }
        let (out_re, out_im) = data.split_at_mut(n);
        if m == 16 {
            for (block, (a, b)) in a
                .chunks_exact_mut(16)
                .zip(b.chunks_exact_mut(16))
                .enumerate()
            {
                self.leaf.sixteen(is_shifted(block), a, b);
            }
            self.leaf.last_fours(a, b, out_re, out_im);
        } else {
            self.leaf.last_eights(a, b, out_re, out_im);
        }
        split(rest, out_re, out_im, re, im);
    }
}

/// Whether block number `block` of its pass is a shifted one: its last base-4 digit other than 3 is 1.
fn is_shifted(mut block: usize) -> bool {
    // digits above the block's own are 0, so that a plain block comes before them
    while block % 4 == 3 {
        block /= 4;
    }
    block % 4 == 1
}

/// Stores a turn in column `j` of a table of rows cos, sin, …, beginning at row `row`.
fn put(table: &mut [f32], columns: usize, row: usize, j: usize, (c, s): Turn) {
    table[row * columns + j] = c;
    table[(row + 1) * columns + j] = s;
}

fn swapped((c, s): Turn) -> Turn {
    (s, c)
}

fn negated((c, s): Turn) -> Turn {
    (-c, -s)
}

/// Rows cos, sin of e(j/m), cos, sin of e(3j/m) for the first pass.
fn fill_first(angles: &Angles, diagonal: f32, table: &mut [f32]) {
    let columns = table.len() / 4;
    let half = columns / 2;
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
        put_mirrored(table, columns, j, one, three);
    }
}

/// The same rows for a later pass; `stride`: angle steps per column.
fn fill_plain(angles: &Angles, diagonal: f32, stride: usize, table: &mut [f32]) {
    let columns = table.len() / 4;
    put_mirrored(table, columns, 0, (1.0, 0.0), (1.0, 0.0));
    for j in 1..columns / 2 {
        put_mirrored(
            table,
            columns,
            j,
            angles.single(j * stride),
            angles.tripled(j * stride),
        );
    }
    put_mirrored(
        table,
        columns,
        columns / 2,
        (diagonal, diagonal),
        (-diagonal, diagonal),
    );
}

/// Column j of a plain table, and its mirror image about 45°.
fn put_mirrored(table: &mut [f32], columns: usize, j: usize, one: Turn, three: Turn) {
    if j > 0 {
        put(table, columns, 0, columns - j, swapped(one));
        put(table, columns, 2, columns - j, negated(swapped(three)));
    }
    put(table, columns, 0, j, one);
    put(table, columns, 2, j, three);
}

/// Rows cos, sin of e(j/2m), e(j/2m+1/8), e(3j/2m), e(3j/2m+3/8); `stride`: angle steps per column.
fn fill_shifted(angles: &Angles, stride: usize, table: &mut [f32]) {
    let columns = table.len() / 8;
    let sixteenth = angles.single(angles.eighth / 2);
    for j in 0..columns {
        let t = j * stride;
        let turns = if j == 0 {
            // the rotations by 1/8 and 3/8 are made apart
            [(1.0, 0.0); 4]
        } else if 2 * j == columns {
            [
                sixteenth,
                swapped(sixteenth),
                swapped(sixteenth),
                negated(sixteenth),
            ]
        } else {
            let back = angles.eighth - t;
            [
                angles.single(t),
                swapped(angles.single(back)),
                angles.tripled(t),
                negated(swapped(angles.tripled(back))),
            ]
        };
        for (pair, turn) in turns.into_iter().enumerate() {
            put(table, columns, 2 * pair, j, turn);
        }
    }
}

/// Rows ½ − ½·sin and ½·cos of πk/points, k < points/2.
fn fill_split(points: usize, table: &mut [f32]) {
    let half = points / 2;
    let (re, im) = table.split_at_mut(half);
    let step = FRAC_PI_4 / (half / 2) as f32;
    let turn = |k: usize| {
        let angle = f64::from(step * k as f32);
        (
            (0.5 * libm::cos(angle)) as f32,
            (0.5 * libm::sin(angle)) as f32,
        )
    };
    let diagonal = 0.5 * Angles::turn(step * (half / 2) as f32).0;
    for k in 1..half {
        let (cos, sin) = if 2 * k < half {
            turn(k)
        } else if 2 * k == half {
            (diagonal, diagonal)
        } else {
            swapped(turn(half - k))
        };
        re[k] = 0.5 - sin;
        im[k] = cos;
    }
}

/// One pass over a plain block. `table`: rows cos, sin of e(j/m), cos, sin of e(3j/m).
fn plain(diagonal: f32, table: &[f32], re: &mut [f32], im: &mut [f32]) {
    let columns = re.len() / 4;
    let middle = columns / 2;
    let [a, b, c, d] = corner::<1>(re, im, columns, middle);
    let (first, third) = table.split_at(2 * columns);
    let ((cos, sin), (cos3, sin3)) = (first.split_at(columns), third.split_at(columns));
    for j in (0..columns).step_by(LANES) {
        let [a, b, c, d] = corner::<LANES>(re, im, columns, j);
        let (w, w3) = (Complex::load(cos, sin, j), Complex::load(cos3, sin3, j));
        let (u, v, s, t) = (a + c, b + d, a - c, (b - d).times_i());
        put_quarters(
            [u + v, u - v, (s + t) * w, (s - t) * w3],
            re,
            im,
            columns,
            j,
        );
    }
    let (s, t) = (a - c, (b - d).times_i());
    (s + t).eighth(diagonal).store(re, im, 2 * columns + middle);
    (s - t)
        .three_eighths(diagonal)
        .store(re, im, 3 * columns + middle);
}

/// One pass over a shifted block. `table`: as [`fill_shifted`] makes it.
fn shifted(diagonal: f32, table: &[f32], re: &mut [f32], im: &mut [f32]) {
    let columns = re.len() / 4;
    let [a, b, c, d] = corner::<1>(re, im, columns, 0);
    let row = |i: usize| &table[i * columns..(i + 1) * columns];
    for j in (0..columns).step_by(LANES) {
        let [a, b, c, d] = corner::<LANES>(re, im, columns, j);
        let (c, d) = (c.times_i(), d.times_i());
        let turn = |i: usize| Complex::load(row(2 * i), row(2 * i + 1), j);
        let (u, v) = ((a + c) * turn(0), (b + d) * turn(1));
        let (s, t) = ((a - c) * turn(2), (b - d) * turn(3));
        put_quarters([u + v, u - v, s + t, s - t], re, im, columns, j);
    }
    put_quarters(shifted_four(diagonal, [a, b, c, d]), re, im, columns, 0);
}

/// A shifted block of four values (also column 0 of a longer one).
#[inline(always)]
fn shifted_four<const L: usize>(diagonal: f32, [a, b, c, d]: [Complex<L>; 4]) -> [Complex<L>; 4] {
    let (c, d) = (c.times_i(), d.times_i());
    let (u, v, s, t) = (
        a + c,
        (b + d).eighth(diagonal),
        a - c,
        (b - d).three_eighths(diagonal),
    );
    [u + v, u - v, s + t, s - t]
}

/// A plain block of four values.
#[inline(always)]
fn plain_four<const L: usize>([a, b, c, d]: [Complex<L>; 4]) -> [Complex<L>; 4] {
    let (u, v, s, t) = (a + c, b + d, a - c, (b - d).times_i());
    [u + v, u - v, s + t, s - t]
}

/// Column `j` of a block's quarters.
#[inline(always)]
fn corner<const L: usize>(re: &[f32], im: &[f32], columns: usize, j: usize) -> [Complex<L>; 4] {
    // spelled out: a closure over the four leaves calls behind
    let at = |q: usize| q * columns + j;
    [
        Complex::load(re, im, at(0)),
        Complex::load(re, im, at(1)),
        Complex::load(re, im, at(2)),
        Complex::load(re, im, at(3)),
    ]
}

#[inline(always)]
fn put_quarters<const L: usize>(
    values: [Complex<L>; 4],
    re: &mut [f32],
    im: &mut [f32],
    columns: usize,
    j: usize,
) {
    for (q, value) in values.into_iter().enumerate() {
        value.store(re, im, q * columns + j);
    }
}

impl Leaf {
    /// The pass over a block of 16.
    fn sixteen(&self, is_shifted: bool, re: &mut [f32], im: &mut [f32]) {
        let [first, second, third] = self.sixteenth;
        let diagonal = self.diagonal;
        for j in 0..4 {
            let [a, b, c, d] = corner::<1>(re, im, 4, j);
            let out = if is_shifted {
                let (ic, id) = (c.times_i(), d.times_i());
                let sums = |u: Turn, v: Turn, s: Turn, t: Turn| {
                    let (u, v) = ((a + ic) * Complex::splat(u), (b + id) * Complex::splat(v));
                    let (s, t) = ((a - ic) * Complex::splat(s), (b - id) * Complex::splat(t));
                    [u + v, u - v, s + t, s - t]
                };
                match j {
                    0 => shifted_four(diagonal, [a, b, c, d]),
                    1 => sums(first, swapped(third), third, (-first.0, first.1)),
                    2 => sums(second, swapped(second), swapped(second), negated(second)),
                    _ => sums(
                        third,
                        swapped(first),
                        (-first.1, first.0),
                        negated(swapped(third)),
                    ),
                }
            } else {
                let [p, q, s, t] = plain_four([a, b, c, d]);
                match j {
                    0 => [p, q, s, t],
                    1 => [
                        p,
                        q,
                        s * Complex::splat(second),
                        t * Complex::splat(swapped(second)),
                    ],
                    2 => [p, q, s.eighth(diagonal), t.three_eighths(diagonal)],
                    _ => [
                        p,
                        q,
                        s * Complex::splat(swapped(second)),
                        t * Complex::splat(negated(second)),
                    ],
                }
            };
            put_quarters(out, re, im, 4, j);
        }
    }

    /// Blocks of four, and the order of frequencies.
    fn last_fours(&self, re: &[f32], im: &[f32], out_re: &mut [f32], out_im: &mut [f32]) {
        let blocks = re.len() / 4;
        for_runs(blocks, |start, count, is_shifted| {
            let mut at = start;
            while at < start + count {
                if at + LANES <= start + count {
                    self.fours::<LANES>(is_shifted, at, re, im, out_re, out_im);
                    at += LANES;
                } else {
                    self.fours::<1>(is_shifted, at, re, im, out_re, out_im);
                    at += 1;
                }
            }
        });
    }

    #[inline(always)]
    fn fours<const L: usize>(
        &self,
        is_shifted: bool,
        at: usize,
        re: &[f32],
        im: &[f32],
        out_re: &mut [f32],
        out_im: &mut [f32],
    ) {
        let blocks = re.len() / 4;
        let x: [Complex<L>; 4] = gather(re, im, at);
        let y = if is_shifted {
            shifted_four(self.diagonal, x)
        } else {
            plain_four(x)
        };
        for (value, quarter) in y.into_iter().zip([0, 2, 1, 3]) {
            value.store(out_re, out_im, quarter * blocks + at);
        }
    }

    /// Blocks of eight, and the order of frequencies.
    fn last_eights(&self, re: &[f32], im: &[f32], out_re: &mut [f32], out_im: &mut [f32]) {
        let blocks = re.len() / 8;
        for_runs(blocks, |start, count, is_shifted| {
            let mut at = start;
            while at < start + count {
                if at + LANES <= start + count {
                    self.eights::<LANES>(is_shifted, at, re, im, out_re, out_im);
                    at += LANES;
                } else {
                    self.eights::<1>(is_shifted, at, re, im, out_re, out_im);
                    at += 1;
                }
            }
        });
    }

    #[inline(always)]
    fn eights<const L: usize>(
        &self,
        is_shifted: bool,
        at: usize,
        re: &[f32],
        im: &[f32],
        out_re: &mut [f32],
        out_im: &mut [f32],
    ) {
        let blocks = re.len() / 8;
        let [a0, a1, b0, b1, c0, c1, d0, d1]: [Complex<L>; 8] = gather(re, im, at);
        let diagonal = self.diagonal;
        let second = self.sixteenth[1];
        let [p, q, s, t] = if is_shifted {
            shifted_four(diagonal, [a0, b0, c0, d0])
        } else {
            plain_four([a0, b0, c0, d0])
        };
        let [p1, q1, s1, t1] = if is_shifted {
            let (ic, id) = (c1.times_i(), d1.times_i());
            let (u, v) = (
                (a1 + ic) * Complex::splat(second),
                (b1 + id) * Complex::splat(swapped(second)),
            );
            let (s, t) = (
                (a1 - ic) * Complex::splat(swapped(second)),
                (b1 - id) * Complex::splat(negated(second)),
            );
            [u + v, u - v, s + t, s - t]
        } else {
            let [p, q, s, t] = plain_four([a1, b1, c1, d1]);
            [p, q, s.eighth(diagonal), t.three_eighths(diagonal)]
        };
        let (q1, t1) = (q1.times_i(), if is_shifted { t1.times_i() } else { t1 });
        let y = [
            p + p1,
            p - p1,
            q + q1,
            q - q1,
            s + s1,
            s - s1,
            t + t1,
            t - t1,
        ];
        for (value, eighth) in y.into_iter().zip([0, 4, 2, 6, 1, 5, 3, 7]) {
            value.store(out_re, out_im, eighth * blocks + at);
        }
    }
}

/// Runs of like blocks in the order of frequencies: `f(start, count, shifted)`. `blocks` is a power of 4.
#[inline(always)]
fn for_runs(blocks: usize, mut f: impl FnMut(usize, usize, bool)) {
    let (mut start, mut size) = (0, blocks);
    while size >= 4 {
        f(start, size / 2, false);
        f(start + size / 2, size / 4, true);
        start += 3 * size / 4;
        size /= 4;
    }
    f(start, size, false);
}

/// The `N` values of the blocks whose first frequencies are `at..at + L`, value by value.
#[inline(always)]
fn gather<const L: usize, const N: usize>(re: &[f32], im: &[f32], at: usize) -> [Complex<L>; N] {
    let bits = (re.len() / N).trailing_zeros();
    let mut out = [Complex::splat((0.0, 0.0)); N];
    for lane in 0..L {
        let block = (at + lane).reverse_bits().unbounded_shr(usize::BITS - bits) * N;
        let (re, im) = (&re[block..block + N], &im[block..block + N]);
        for (value, out) in out.iter_mut().enumerate() {
            out.re.0[lane] = re[value];
            out.im.0[lane] = im[value];
        }
    }
    out
}

/// Bins of the real transform from the complex transform of even (real part) and odd (imaginary part) samples.
fn split(table: &[f32], z_re: &[f32], z_im: &[f32], re: &mut [f32], im: &mut [f32]) {
    let n = z_re.len();
    let half = n / 2;
    let (w_re, w_im) = table.split_at(half);
    (re[0], im[0]) = (z_re[0] + z_im[0], 0.0);
    (re[n], im[n]) = (z_re[0] - z_im[0], 0.0);
    (re[half], im[half]) = (z_re[half], z_im[half]);
    // k upwards from 1, n − k downwards, LANES at a time
    let mut k = 1;
    while k + LANES <= half {
        split_at::<LANES>(k, w_re, w_im, z_re, z_im, re, im);
        k += LANES;
    }
    for k in k..half {
        split_at::<1>(k, w_re, w_im, z_re, z_im, re, im);
    }
}

/// Bins k..k + L and their mirror images.
#[inline(always)]
fn split_at<const L: usize>(
    k: usize,
    w_re: &[f32],
    w_im: &[f32],
    z_re: &[f32],
    z_im: &[f32],
    re: &mut [f32],
    im: &mut [f32],
) {
    let mirror = z_re.len() + 1 - L - k;
    let w = Complex::<L>::load(w_re, w_im, k);
    let z = Complex::<L>::load(z_re, z_im, k);
    let back = Complex::<L>::load(z_re, z_im, mirror).reversed();
    let x = Complex {
        re: z.re - back.re,
        im: z.im + back.im,
    };
    let y = x * w;
    (z - y).store(re, im, k);
    let mirrored = Complex {
        re: back.re + y.re,
        im: back.im - y.im,
    };
    mirrored.reversed().store(re, im, mirror);
}

/// Correctly rounded square root, in whichever way the compiler can turn into vector instructions.
#[inline(always)]
fn sqrt(x: f32) -> f32 {
    #[cfg(feature = "std")]
    return x.sqrt();
    #[cfg(not(feature = "std"))]
    libm::sqrtf(x)
}

/// Magnitudes of bins: `mag = sqrt(re² + im²)`.
pub(crate) fn magnitude(re: &[f32], im: &[f32], mag: &mut [f32]) {
    for ((m, &r), &i) in mag.iter_mut().zip(re).zip(im) {
        *m = sqrt(r * r + i * i);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn equals_the_definition() {
        for size in [256, 512, 1024, 2048, 4096] {
            let mut table = vec![0.0; RealFft::table_len(size)];
            let fft = RealFft::new(size, &mut table);
            let mut seed = 1u32;
            let x: Vec<f32> = (0..size)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
                })
                .collect();
            let mut data = x.clone();
            let (mut re, mut im) = (vec![0.0; size / 2 + 1], vec![0.0; size / 2 + 1]);
            fft.apply(&table, &mut data, &mut re, &mut im);
            let mut worst = 0.0f64;
            for k in 0..=size / 2 {
                let (mut er, mut ei) = (0.0, 0.0);
                for (j, &v) in x.iter().enumerate() {
                    let angle = core::f64::consts::TAU * ((j * k) % size) as f64 / size as f64;
                    er += f64::from(v) * angle.cos();
                    ei += f64::from(v) * angle.sin();
                }
                worst = worst
                    .max((er - f64::from(re[k])).abs())
                    .max((ei - f64::from(im[k])).abs());
            }
            // the transform of this noise is about sqrt(N/3) per bin
            assert!(
                worst < 1e-6 * (size as f64).sqrt(),
                "size {size}: {worst:e}"
            );
        }
    }
}

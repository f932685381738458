//! Passes of the real FFT over its complex points (see [`crate::fft`]), four columns or blocks at a time.

use crate::lanes::{self, Complex, LANES, Lanes, Vector, parts, parts_mut};
use crate::twiddles::{Turn, negated, split_start, swapped};

type Four = Complex<LANES>;

/// A block's quarters: real and imaginary parts, of the same length.
struct Quarters<'a> {
    re: [&'a mut [Vector]; 4],
    im: [&'a mut [Vector]; 4],
}

impl<'a> Quarters<'a> {
    #[inline(always)]
    fn new(re: &'a mut [Vector], im: &'a mut [Vector], len: usize) -> Self {
        Self {
            re: parts_mut(re, len),
            im: parts_mut(im, len),
        }
    }

    #[inline(always)]
    fn load(&self, j: usize) -> [Four; 4] {
        let ([a, b, c, d], [ia, ib, ic, id]) = (&self.re, &self.im);
        [
            Complex::new(a[j], ia[j]),
            Complex::new(b[j], ib[j]),
            Complex::new(c[j], ic[j]),
            Complex::new(d[j], id[j]),
        ]
    }

    #[inline(always)]
    fn store(&mut self, j: usize, values: [Four; 4]) {
        for ((value, re), im) in values.into_iter().zip(&mut self.re).zip(&mut self.im) {
            (re[j], im[j]) = (value.re.0, value.im.0);
        }
    }

    /// Lane `lane` of vector `j` of quarter `quarter`.
    #[inline(always)]
    fn put(&mut self, quarter: usize, j: usize, lane: usize, value: Complex<1>) {
        self.re[quarter][j][lane] = value.re.0[0];
        self.im[quarter][j][lane] = value.im.0[0];
    }
}

/// One lane of four values.
#[inline(always)]
fn column(values: [Four; 4], lane: usize) -> [Complex<1>; 4] {
    // spelled out: closures leave calls behind
    let [a, b, c, d] = values;
    [a.lane(lane), b.lane(lane), c.lane(lane), d.lane(lane)]
}

/// Turn `i` of a row of a table.
#[inline(always)]
fn turn<const N: usize>(row: &[Vector; N], i: usize) -> Four {
    Complex::new(row[2 * i], row[2 * i + 1])
}

/// Columns of a plain block but the middle one. `row`: e(j/m), e(3j/m).
#[inline(always)]
fn plain_columns([a, b, c, d]: [Four; 4], row: &[Vector; 4]) -> [Four; 4] {
    let (u, v, s, t) = (a + c, b + d, a - c, (b - d).times_i());
    [u + v, u - v, (s + t) * turn(row, 0), (s - t) * turn(row, 1)]
}

/// The third and fourth quarter of the middle column of a plain block.
#[inline(always)]
fn plain_middle(diagonal: f32, [a, b, c, d]: [Complex<1>; 4]) -> [Complex<1>; 2] {
    let (s, t) = (a - c, (b - d).times_i());
    [(s + t).eighth(diagonal), (s - t).three_eighths(diagonal)]
}

/// Columns of a shifted block but the first one. `row`: e(j/2m), e(j/2m+1/8), e(3j/2m), e(3j/2m+3/8).
#[inline(always)]
fn shifted_columns([a, b, c, d]: [Four; 4], row: &[Vector; 8]) -> [Four; 4] {
    let (c, d) = (c.times_i(), d.times_i());
    let (u, v) = ((a + c) * turn(row, 0), (b + d) * turn(row, 1));
    let (s, t) = ((a - c) * turn(row, 2), (b - d) * turn(row, 3));
    [u + v, u - v, s + t, s - t]
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

/// The first pass: one plain block, whose even samples in `data` are real parts and odd samples imaginary parts.
#[inline(never)]
pub(crate) fn first(
    diagonal: f32,
    table: &[[Vector; 4]],
    data: &[f32],
    re: &mut [Vector],
    im: &mut [Vector],
) {
    let len = table.len();
    let [a, b, c, d] = parts(data.as_chunks::<{ 2 * LANES }>().0, len);
    let mut out = Quarters::new(re, im, len);
    for (j, row) in table.iter().enumerate() {
        let x = [apart(a[j]), apart(b[j]), apart(c[j]), apart(d[j])];
        out.store(j, plain_columns(x, row));
    }
    let j = len / 2;
    let middle = [apart(a[j]), apart(b[j]), apart(c[j]), apart(d[j])];
    let [third, fourth] = plain_middle(diagonal, column(middle, 0));
    out.put(2, len / 2, 0, third);
    out.put(3, len / 2, 0, fourth);
}

/// Pairs as complex numbers.
#[inline(always)]
fn apart([a, b, c, d, e, f, g, h]: [f32; 2 * LANES]) -> Four {
    Complex::new([a, c, e, g], [b, d, f, h])
}

/// A pass after the first: its blocks follow one another. Tables as [`Twiddles`](crate::twiddles::Twiddles) fills them.
pub(crate) struct Pass<'a> {
    pub diagonal: f32,
    pub plain: &'a [[Vector; 4]],
    pub shifted: &'a [[Vector; 8]],
}

impl Pass<'_> {
    /// The pass over blocks of `len` vectors.
    #[inline(never)]
    pub fn apply(&self, len: usize, re: &mut [Vector], im: &mut [Vector]) {
        let blocks = re.chunks_exact_mut(len).zip(im.chunks_exact_mut(len));
        for (block, (re, im)) in blocks.enumerate() {
            self.block(is_shifted(block), Quarters::new(re, im, len / 4));
        }
    }

    /// The pass over blocks of `N` vectors, without a loop.
    #[inline(never)]
    pub fn apply_short<const N: usize>(&self, re: &mut [Vector], im: &mut [Vector]) {
        let (re, im) = (re.as_chunks_mut::<N>().0, im.as_chunks_mut::<N>().0);
        for (block, (re, im)) in re.iter_mut().zip(im).enumerate() {
            self.block(is_shifted(block), Quarters::new(re, im, N / 4));
        }
    }

    #[inline(always)]
    fn block(&self, is_shifted: bool, mut x: Quarters<'_>) {
        let len = x.re[0].len();
        if is_shifted {
            let start = column(x.load(0), 0);
            for (j, row) in self.shifted[..len].iter().enumerate() {
                x.store(j, shifted_columns(x.load(j), row));
            }
            for (quarter, value) in shifted_four(self.diagonal, start).into_iter().enumerate() {
                x.put(quarter, 0, 0, value);
            }
        } else {
            let (j, lane) = (len / 2, len % 2 * (LANES / 2));
            let middle = column(x.load(j), lane);
            for (j, row) in self.plain[..len].iter().enumerate() {
                x.store(j, plain_columns(x.load(j), row));
            }
            let [third, fourth] = plain_middle(self.diagonal, middle);
            x.put(2, j, lane, third);
            x.put(3, j, lane, fourth);
        }
    }
}

/// Whether block number `block` of its pass is a shifted one: its last base-4 digit other than 3 is 1.
#[inline(always)]
fn is_shifted(mut block: usize) -> bool {
    // digits above the block's own are 0, so that a plain block comes before them
    while block % 4 == 3 {
        block /= 4;
    }
    block % 4 == 1
}

/// What the four blocks of a group are.
#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Shifted,
    /// All plain but the third.
    Mixed,
}

/// Groups of four blocks in the order of frequencies: `f(group, source, kind)`, where block i of the group lies at `source` in the quarters 0, 2, 1, 3
/// of the blocks. `groups` is a power of 4.
#[inline(always)]
fn for_groups(groups: usize, mut f: impl FnMut(usize, usize, Kind)) {
    let (mut source, mut size) = (0, groups);
    for group in 0..groups {
        // of what is left, one half is plain and one quarter shifted; then the same again
        let left = groups - group;
        if left <= size / 4 {
            size /= 4;
        }
        let kind = match left {
            1 => Kind::Mixed,
            left if left > size / 2 => Kind::Plain,
            _ => Kind::Shifted,
        };
        f(group, source, kind);
        // the count with its bits reversed
        source ^= groups - (groups >> ((group + 1).trailing_zeros() + 1));
    }
}

/// The values of a group of blocks.
#[inline(always)]
fn by_kind<const N: usize>(
    kind: Kind,
    plain: impl FnOnce() -> [Four; N],
    shifted: impl FnOnce() -> [Four; N],
) -> [Four; N] {
    match kind {
        Kind::Plain => plain(),
        Kind::Shifted => shifted(),
        Kind::Mixed => {
            let mut out = plain();
            for (o, s) in out.iter_mut().zip(shifted()) {
                (o.re.0[2], o.im.0[2]) = (s.re.0[2], s.im.0[2]);
            }
            out
        }
    }
}

/// Blocks of four, into the order of frequencies.
#[inline(never)]
pub(crate) fn last_fours(
    diagonal: f32,
    re: &[Vector],
    im: &[Vector],
    out_re: &mut [f32],
    out_im: &mut [f32],
) {
    let groups = re.len() / 4;
    let ([a, c, b, d], [ia, ic, ib, id]) = (parts(re, groups), parts(im, groups));
    let mut out = Quarters::new(out_re.as_chunks_mut().0, out_im.as_chunks_mut().0, groups);
    for_groups(groups, |group, at, kind| {
        let x = [
            Complex::new(a[at], ia[at]),
            Complex::new(b[at], ib[at]),
            Complex::new(c[at], ic[at]),
            Complex::new(d[at], id[at]),
        ];
        let [p, q, s, t] = by_kind(
            kind,
            || {
                let (u, v, s, t) = halves(x, |high| high);
                let t = t.times_i();
                [u + v, u - v, s + t, s - t]
            },
            || {
                let (u, v, s, t) = halves(x, Complex::times_i);
                let (v, t) = (v.eighth(diagonal), t.three_eighths(diagonal));
                [u + v, u - v, s + t, s - t]
            },
        );
        out.store(group, [p, s, q, t]);
    });
}

/// a + c, b + d, a − c and b − d of four blocks a, b, c, d, after c and d went through `turn`.
// sums before the transposition, so that what is transposed lies in registers
#[inline(always)]
fn halves([w, x, y, z]: [Four; 4], turn: impl Fn(Four) -> Four) -> (Four, Four, Four, Four) {
    let (low0, low1) = (w.low_pairs(x), y.low_pairs(z));
    let (high0, high1) = (turn(w.high_pairs(x)), turn(y.high_pairs(z)));
    let (sum0, sum1) = (low0 + high0, low1 + high1);
    let (difference0, difference1) = (low0 - high0, low1 - high1);
    let (u, v) = sum0.even_odd(sum1);
    let (s, t) = difference0.even_odd(difference1);
    (u, v, s, t)
}

/// Blocks of eight, into the order of frequencies. `sixteenth`: 1/16 of a circle.
#[inline(never)]
pub(crate) fn last_eights(
    diagonal: f32,
    sixteenth: Turn,
    re: &[Vector],
    im: &[Vector],
    out_re: &mut [f32],
    out_im: &mut [f32],
) {
    let (re, im) = (re.as_chunks::<2>().0, im.as_chunks::<2>().0);
    let groups = re.len() / 4;
    let ([a, c, b, d], [ia, ic, ib, id]) = (parts(re, groups), parts(im, groups));
    let (low_re, high_re) = out_re.split_at_mut(4 * LANES * groups);
    let (low_im, high_im) = out_im.split_at_mut(4 * LANES * groups);
    let mut low = Quarters::new(low_re.as_chunks_mut().0, low_im.as_chunks_mut().0, groups);
    let mut high = Quarters::new(high_re.as_chunks_mut().0, high_im.as_chunks_mut().0, groups);
    for_groups(groups, |group, at, kind| {
        let x = [
            (a[at], ia[at]),
            (b[at], ib[at]),
            (c[at], ic[at]),
            (d[at], id[at]),
        ];
        let y = by_kind(
            kind,
            || plain_eights(diagonal, x),
            || shifted_eights(diagonal, sixteenth, x),
        );
        low.store(group, [y[0], y[4], y[2], y[6]]);
        high.store(group, [y[1], y[5], y[3], y[7]]);
    });
}

/// Real and imaginary parts of a block of eight.
type Eight = ([Vector; 2], [Vector; 2]);

/// Four plain blocks of eight.
#[inline(always)]
fn plain_eights(diagonal: f32, blocks: [Eight; 4]) -> [Four; 8] {
    let ([u, u1, v, v1], [s, s1, t, t1]) = quarters_of_eights(blocks, |high| high);
    let (t, t1) = (t.times_i(), t1.times_i());
    pairs(
        [u + v, u - v, s + t, s - t],
        [
            u1 + v1,
            (u1 - v1).times_i(),
            (s1 + t1).eighth(diagonal),
            (s1 - t1).three_eighths(diagonal),
        ],
    )
}

/// Four shifted blocks of eight.
#[inline(always)]
fn shifted_eights(diagonal: f32, sixteenth: Turn, blocks: [Eight; 4]) -> [Four; 8] {
    let ([u, u1, v, v1], [s, s1, t, t1]) = quarters_of_eights(blocks, Complex::times_i);
    let (v, t) = (v.eighth(diagonal), t.three_eighths(diagonal));
    let (u1, v1) = (
        u1 * Complex::splat(sixteenth),
        v1 * Complex::splat(swapped(sixteenth)),
    );
    let (s1, t1) = (
        s1 * Complex::splat(swapped(sixteenth)),
        t1 * Complex::splat(negated(sixteenth)),
    );
    pairs(
        [u + v, u - v, s + t, s - t],
        [u1 + v1, (u1 - v1).times_i(), s1 + t1, (s1 - t1).times_i()],
    )
}

/// Sums and differences of the halves of four blocks, whose high halves go through `turn`: value by value.
// sums before the transposition, so that what is transposed lies in registers
#[inline(always)]
fn quarters_of_eights(
    [w, x, y, z]: [Eight; 4],
    turn: impl Fn(Four) -> Four,
) -> ([Four; 4], [Four; 4]) {
    let low = |(re, im): Eight| Four::new(re[0], im[0]);
    let high = |(re, im): Eight| turn(Complex::new(re[1], im[1]));
    (
        transposed([
            low(w) + high(w),
            low(x) + high(x),
            low(y) + high(y),
            low(z) + high(z),
        ]),
        transposed([
            low(w) - high(w),
            low(x) - high(x),
            low(y) - high(y),
            low(z) - high(z),
        ]),
    )
}

/// Value by value what lies block by block.
#[inline(always)]
fn transposed([a, b, c, d]: [Four; 4]) -> [Four; 4] {
    let re = lanes::transposed([a.re.0, b.re.0, c.re.0, d.re.0]);
    let im = lanes::transposed([a.im.0, b.im.0, c.im.0, d.im.0]);
    [
        Complex::new(re[0], im[0]),
        Complex::new(re[1], im[1]),
        Complex::new(re[2], im[2]),
        Complex::new(re[3], im[3]),
    ]
}

/// Sums and differences.
#[inline(always)]
fn pairs([a, b, c, d]: [Four; 4], [e, f, g, h]: [Four; 4]) -> [Four; 8] {
    [a + e, a - e, b + f, b - f, c + g, c - g, d + h, d - h]
}

/// Bins of the real transform, as real parts, imaginary parts and magnitudes, from the complex transform of even (real part) and odd (imaginary part)
/// samples.
#[inline(never)]
pub(crate) fn split(
    table: &[[Vector; 2]],
    z_re: &[f32],
    z_im: &[f32],
    [re, im, mag]: [&mut [f32]; 3],
) {
    let n = z_re.len();
    let half = n / 2;
    let mut put = |k: usize, real: f32, imaginary: f32| {
        (re[k], im[k]) = (real, imaginary);
        mag[k] = magnitude(Complex::new([real], [imaginary])).0[0];
    };
    put(0, z_re[0] + z_im[0], 0.0);
    put(n, z_re[0] - z_im[0], 0.0);
    put(half, z_re[half], z_im[half]);
    let (z_re, z_im) = (&z_re[..n], &z_im[..n]);
    let (re, im, mag) = (&mut re[..n], &mut im[..n], &mut mag[..n]);
    for (row, w) in table.iter().enumerate() {
        // bins from k on and their mirror images
        let k = split_start(half, row);
        let mirror = n + 1 - LANES - k;
        let z = load(z_re, z_im, k);
        let back = load(z_re, z_im, mirror).reversed();
        let x = Complex {
            re: z.re - back.re,
            im: z.im + back.im,
        };
        let y = x * turn(w, 0);
        let ahead = z - y;
        let mirrored = Complex {
            re: back.re + y.re,
            im: back.im - y.im,
        }
        .reversed();
        for (at, value) in [(k, ahead), (mirror, mirrored)] {
            store(value.re, re, at);
            store(value.im, im, at);
            store(magnitude(value), mag, at);
        }
    }
}

#[inline(always)]
fn load(re: &[f32], im: &[f32], at: usize) -> Four {
    let mut out = Complex::splat((0.0, 0.0));
    out.re.0.copy_from_slice(&re[at..at + LANES]);
    out.im.0.copy_from_slice(&im[at..at + LANES]);
    out
}

#[inline(always)]
fn store(value: Lanes<LANES>, out: &mut [f32], at: usize) {
    out[at..at + LANES].copy_from_slice(&value.0);
}

/// `sqrt(re² + im²)`.
#[inline(always)]
fn magnitude<const L: usize>(z: Complex<L>) -> Lanes<L> {
    let mut out = z.re * z.re + z.im * z.im;
    for v in &mut out.0 {
        *v = sqrt(*v);
    }
    out
}

/// Correctly rounded square root, in whichever way the compiler can turn into vector instructions.
#[inline(always)]
fn sqrt(x: f32) -> f32 {
    #[cfg(feature = "std")]
    return x.sqrt();
    #[cfg(not(feature = "std"))]
    libm::sqrtf(x)
}

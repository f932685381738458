//! Complex numbers in lanes: `L` at a time, in arrays that the compiler turns into vector registers.

use core::ops::{Add, Mul, Neg, Sub};

/// Lanes of a [`Vector`].
pub(crate) const LANES: usize = 4;

/// What a vector register of any machine holds.
pub(crate) type Vector = [f32; LANES];

/// The whole vectors of `x`.
#[inline(always)]
pub(crate) fn vectors(x: &[f32]) -> &[Vector] {
    x.as_chunks().0
}

/// The whole vectors of `x`.
#[inline(always)]
pub(crate) fn vectors_mut(x: &mut [f32]) -> &mut [Vector] {
    x.as_chunks_mut().0
}

/// Four parts of `len` elements.
#[inline(always)]
pub(crate) fn parts<T>(x: &[T], len: usize) -> [&[T]; 4] {
    let (ab, cd) = x.split_at(2 * len);
    let ((a, b), (c, d)) = (ab.split_at(len), cd.split_at(len));
    [a, &b[..len], c, &d[..len]]
}

/// Four parts of `len` elements.
#[inline(always)]
pub(crate) fn parts_mut<T>(x: &mut [T], len: usize) -> [&mut [T]; 4] {
    let (ab, cd) = x.split_at_mut(2 * len);
    let ((a, b), (c, d)) = (ab.split_at_mut(len), cd.split_at_mut(len));
    [a, &mut b[..len], c, &mut d[..len]]
}

/// Rows for columns.
#[inline(always)]
pub(crate) fn transposed([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
    [
        [a[0], b[0], c[0], d[0]],
        [a[1], b[1], c[1], d[1]],
        [a[2], b[2], c[2], d[2]],
        [a[3], b[3], c[3], d[3]],
    ]
}

/// `L` floats.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<const L: usize>(pub [f32; L]);

impl<const L: usize> Lanes<L> {
    #[inline(always)]
    pub fn splat(v: f32) -> Self {
        Self([v; L])
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        // a plain loop: `array::from_fn` leaves calls behind
        let mut out = self;
        for (a, b) in out.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        out
    }
}

impl<const L: usize> Add for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<const L: usize> Sub for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<const L: usize> Mul for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl<const L: usize> Neg for Lanes<L> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let mut out = self;
        for v in &mut out.0 {
            *v = -*v;
        }
        out
    }
}

/// `L` complex numbers.
#[derive(Clone, Copy)]
pub(crate) struct Complex<const L: usize> {
    pub re: Lanes<L>,
    pub im: Lanes<L>,
}

impl<const L: usize> Complex<L> {
    #[inline(always)]
    pub fn new(re: [f32; L], im: [f32; L]) -> Self {
        Self {
            re: Lanes(re),
            im: Lanes(im),
        }
    }

    #[inline(always)]
    pub fn lane(self, lane: usize) -> Complex<1> {
        Complex::new([self.re.0[lane]], [self.im.0[lane]])
    }

    /// The same number in all lanes.
    #[inline(always)]
    pub fn splat((re, im): (f32, f32)) -> Self {
        Self {
            re: Lanes::splat(re),
            im: Lanes::splat(im),
        }
    }

    /// Lanes in reverse order.
    #[inline(always)]
    pub fn reversed(self) -> Self {
        let mut out = self;
        out.re.0.reverse();
        out.im.0.reverse();
        out
    }

    /// A quarter turn.
    #[inline(always)]
    pub fn times_i(self) -> Self {
        Self {
            re: -self.im,
            im: self.re,
        }
    }

    /// An eighth of a turn; `diagonal` = cos 45°.
    #[inline(always)]
    pub fn eighth(self, diagonal: f32) -> Self {
        let d = Lanes::splat(diagonal);
        Self {
            re: d * (self.re - self.im),
            im: d * (self.im + self.re),
        }
    }

    /// Three eighths of a turn.
    #[inline(always)]
    pub fn three_eighths(self, diagonal: f32) -> Self {
        self.eighth(diagonal).times_i()
    }
}

impl<const L: usize> Add for Complex<L> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl<const L: usize> Sub for Complex<L> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }
}

impl<const L: usize> Mul for Complex<L> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, w: Self) -> Self {
        Self {
            re: w.re * self.re - w.im * self.im,
            im: w.re * self.im + w.im * self.re,
        }
    }
}

impl Complex<LANES> {
    /// The first two lanes, then the first two of `other`.
    #[inline(always)]
    pub fn low_pairs(self, other: Self) -> Self {
        let pick = |[a, b, ..]: Vector, [c, d, ..]: Vector| [a, b, c, d];
        Self::new(pick(self.re.0, other.re.0), pick(self.im.0, other.im.0))
    }

    /// The last two lanes, then the last two of `other`.
    #[inline(always)]
    pub fn high_pairs(self, other: Self) -> Self {
        let pick = |[.., a, b]: Vector, [.., c, d]: Vector| [a, b, c, d];
        Self::new(pick(self.re.0, other.re.0), pick(self.im.0, other.im.0))
    }

    /// Lanes 0 and 2, then those of `other`; lanes 1 and 3 likewise.
    #[inline(always)]
    pub fn even_odd(self, other: Self) -> (Self, Self) {
        let even = |[a, _, b, _]: Vector, [c, _, d, _]: Vector| [a, b, c, d];
        let odd = |[_, a, _, b]: Vector, [_, c, _, d]: Vector| [a, b, c, d];
        (
            Self::new(even(self.re.0, other.re.0), even(self.im.0, other.im.0)),
            Self::new(odd(self.re.0, other.re.0), odd(self.im.0, other.im.0)),
        )
    }
}

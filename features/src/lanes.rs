//! Complex numbers in lanes: `L` at a time, in arrays that the compiler turns into vector registers.

use core::ops::{Add, Mul, Neg, Sub};

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
    /// The `L` numbers at `at`.
    #[inline(always)]
    pub fn load(re: &[f32], im: &[f32], at: usize) -> Self {
        let mut out = Self::splat((0.0, 0.0));
        out.re.0.copy_from_slice(&re[at..at + L]);
        out.im.0.copy_from_slice(&im[at..at + L]);
        out
    }

    #[inline(always)]
    pub fn store(self, re: &mut [f32], im: &mut [f32], at: usize) {
        re[at..at + L].copy_from_slice(&self.re.0);
        im[at..at + L].copy_from_slice(&self.im.0);
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

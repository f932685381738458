//! Sounds that are no speech, made by formulas, for the tests of the segmenter. Levels are root mean squares on the scale -1 to 1.

use std::f64::consts::TAU;

/// Numbers of a fixed sequence.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Evenly between 0 and 1.
    pub fn even(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal, mean 0, deviation 1.
    pub fn next(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }

    pub fn white(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.next()).collect()
    }
}

/// `x` at `dbfs`.
pub fn at_level(x: &[f64], dbfs: f64) -> Vec<f32> {
    let power = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    let gain = 10_f64.powf(dbfs / 20.0) / power.sqrt();
    x.iter().map(|v| (v * gain) as f32).collect()
}

/// Falls by 6 dB an octave above `hz`.
pub fn low_pass(x: &[f64], hz: f64, rate: u32) -> Vec<f64> {
    let pole = (-TAU * hz / f64::from(rate)).exp();
    let mut y = 0.0;
    let filter = |&v: &f64| {
        y = pole * y + (1.0 - pole) * v;
        y
    };
    x.iter().map(filter).collect()
}

/// What [`low_pass`] leaves out.
pub fn high_pass(x: &[f64], hz: f64, rate: u32) -> Vec<f64> {
    let low = low_pass(x, hz, rate);
    x.iter().zip(low).map(|(v, l)| v - l).collect()
}

/// 1/f noise: a sum of first-order noises an octave and a half apart.
pub fn pink(noise: &mut Noise, n: usize, rate: u32) -> Vec<f64> {
    let mut sum = vec![0.0; n];
    for octave in 0..8 {
        let hz = 20.0 * 2.83_f64.powi(octave);
        if hz < f64::from(rate) / 2.0 {
            let part = low_pass(&noise.white(n), hz, rate);
            let scale = 1.0 / hz.sqrt();
            let power = part.iter().map(|v| v * v).sum::<f64>() / n as f64;
            let gain = scale * (hz / power).sqrt();
            sum.iter_mut().zip(part).for_each(|(s, v)| *s += gain * v);
        }
    }
    sum
}

/// 1/f² noise above 30 Hz.
pub fn car(noise: &mut Noise, n: usize, rate: u32) -> Vec<f64> {
    high_pass(&low_pass(&noise.white(n), 30.0, rate), 30.0, rate)
}

/// A band of noise: two resonators in a row.
pub fn band(noise: &mut Noise, n: usize, rate: u32, width: f64, centre: f64) -> Vec<f64> {
    let mut x = noise.white(n);
    let radius = (-std::f64::consts::PI * width / f64::from(rate)).exp();
    let turn = 2.0 * radius * (TAU * centre / f64::from(rate)).cos();
    for _ in 0..2 {
        let (mut a, mut b) = (0.0, 0.0);
        for v in &mut x {
            let y = *v + turn * a - radius * radius * b;
            (b, a) = (a, y);
            *v = y;
        }
    }
    x
}

/// A sum of sines.
pub fn sines(hz: &[f64], n: usize, rate: u32) -> Vec<f64> {
    (0..n)
        .map(|i| {
            let t = i as f64 / f64::from(rate);
            hz.iter().map(|f| (TAU * f * t).sin()).sum()
        })
        .collect()
}

/// A hum of `hz` with falling harmonics.
pub fn hum(hz: f64, n: usize, rate: u32) -> Vec<f64> {
    let mut sum = vec![0.0; n];
    for k in 1..=24 {
        let part = sines(&[hz * f64::from(k)], n, rate);
        sum.iter_mut()
            .zip(part)
            .for_each(|(s, v)| *s += v / f64::from(k));
    }
    sum
}

/// `x` for `on` seconds, silence for `off`, and so on.
pub fn keyed(x: &[f64], rate: u32, on: f64, off: f64) -> Vec<f64> {
    x.iter()
        .enumerate()
        .map(|(i, v)| {
            let t = (i as f64 / f64::from(rate)) % (on + off);
            // Edges of 5 ms.
            v * (t.min(on - t) / 0.005).clamp(0.0, 1.0)
        })
        .collect()
}

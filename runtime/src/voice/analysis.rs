//! What the network sees of a frame: shape and movement of the spectrum, distance from the noise, pitch.

use core::f32::consts::TAU;

use super::spectrum::{Fft, MOST};

/// Bands between 80 Hz and 3.4 kHz, evenly spaced in mel, triangular, neighbours overlap by half.
pub const BANDS: usize = 18;
/// Pairs of bands that are compared with the noise.
pub const PAIRS: usize = BANDS / 2;
/// Inputs of the network.
pub const FEATURES: usize = BANDS + PAIRS + 9;

const LOWEST_HZ: f32 = 80.0;
const HIGHEST_HZ: f32 = 3_400.0;
/// Range of the fine spectrum and of the pitch.
const FINE_HZ: (f32, f32) = (100.0, 3_300.0);
const PITCH_HZ: (f32, f32) = (62.5, 420.0);
/// Most bins of the fine spectrum: 3.2 kHz at 15.6 Hz, and one for rounding.
const FINE: usize = 208;
/// Window, in seconds.
const WINDOW_S: f32 = 0.032;
/// Powers below this are nothing: -100 dBFS in a band.
const NOTHING: f32 = 1e-10;
/// The noise spectrum rises by 3 dB a second at most while the detector runs.
const NOISE_RISE: f32 = 0.003;
/// Share of a look at the noise.
const NOISE_SHARE: f32 = 0.3;
/// A peak of the autocorrelation this close to the best one, at a shorter lag, is the pitch.
const NEARLY_BEST: f32 = 0.85;

#[derive(Debug, Clone)]
pub(super) struct Analysis {
    fft: Fft,
    /// Hz of a bin.
    bin_hz: f32,
    rate: f32,
    /// First half of the symmetric window of `len` samples.
    window: [f32; MOST / 2],
    len: usize,
    /// 1 / (squares of the window × size / 2): powers are mean squares.
    scale: f32,
    /// The last samples, a ring.
    ring: [f32; MOST],
    next: usize,
    /// Corners of the bands in Hz.
    corners: [f32; BANDS + 2],
    /// Log powers in bel, smoothed over some 0.1 s and 1 s, and those of the frame before.
    last: [f32; BANDS],
    fast: [f32; BANDS],
    slow: [f32; BANDS],
    /// Log powers of the fine spectrum, smoothed.
    fine: [f32; FINE],
    /// Log powers of the pairs, smoothed, and of the noise in them.
    pairs: [f32; PAIRS],
    noise: [f32; PAIRS],
    /// log2 of the pitch of the frame before.
    pitch: f32,
    is_first: bool,
}

/// The spectrum of a frame.
struct Frame {
    bands: [f32; BANDS],
    pairs: [f32; PAIRS],
    power: [f32; MOST / 2 + 1],
}

fn mel(hz: f32) -> f32 {
    libm::logf(1.0 + hz / 700.0)
}

fn bel(power: f32) -> f32 {
    libm::log10f(power + NOTHING)
}

impl Analysis {
    pub fn new(rate: u32, floor_dbfs: f32) -> Self {
        let rate = rate as f32;
        let len = ((WINDOW_S * rate) as usize).min(MOST);
        let size = if len <= MOST / 2 { MOST / 2 } else { MOST };
        let mut window = [0.0; MOST / 2];
        for (i, w) in window.iter_mut().enumerate() {
            *w = 0.5 - 0.5 * libm::cosf(TAU * (i as f32 + 0.5) / len as f32);
        }
        let mut corners = [0.0; BANDS + 2];
        let step = (mel(HIGHEST_HZ) - mel(LOWEST_HZ)) / (BANDS + 1) as f32;
        for (i, hz) in corners.iter_mut().enumerate() {
            *hz = 700.0 * (libm::expf(mel(LOWEST_HZ) + step * i as f32) - 1.0);
        }
        let mut new = Self {
            fft: Fft::new(size),
            bin_hz: rate / size as f32,
            rate,
            window,
            len,
            // The squares of a Hann window sum to 3/8 of its length.
            scale: 2.0 / (0.375 * len as f32 * size as f32),
            ring: [0.0; MOST],
            next: 0,
            corners,
            last: [0.0; BANDS],
            fast: [0.0; BANDS],
            slow: [0.0; BANDS],
            fine: [0.0; FINE],
            pairs: [0.0; PAIRS],
            noise: [0.0; PAIRS],
            pitch: 0.0,
            is_first: true,
        };
        new.forget(floor_dbfs);
        new
    }

    /// Assumes noise of `floor_dbfs` in all bands together.
    pub fn forget(&mut self, floor_dbfs: f32) {
        self.noise = [floor_dbfs / 10.0 - libm::log10f(PAIRS as f32); PAIRS];
    }

    pub fn restart(&mut self) {
        self.is_first = true;
    }

    pub fn take(&mut self, sample: f32) {
        self.ring[self.next] = sample;
        self.next = (self.next + 1) % MOST;
    }

    fn frame(&self) -> Frame {
        let mut data = [0.0; MOST];
        let mut at = (self.next + MOST - self.len) % MOST;
        for (i, v) in data[..self.len].iter_mut().enumerate() {
            let w = self.window[i.min(self.len - 1 - i)];
            *v = self.ring[at] * w;
            at = (at + 1) % MOST;
        }
        let mut power = [0.0; MOST / 2 + 1];
        let scale = self.scale;
        self.fft.apply(&mut data, |k, re, im| {
            power[k] = scale * (re * re + im * im)
        });
        let mut energy = [0.0; BANDS];
        let (mut bin, mut band) = ((LOWEST_HZ / self.bin_hz) as usize + 1, 0);
        // Between two corners a bin belongs to the falling side of one band and to the rising side of the next.
        while band <= BANDS {
            let (low, high) = (self.corners[band], self.corners[band + 1]);
            let hz = bin as f32 * self.bin_hz;
            if hz >= high {
                band += 1;
                continue;
            }
            let rising = (hz - low) / (high - low);
            if band < BANDS {
                energy[band] += rising * power[bin];
            }
            if band > 0 {
                energy[band - 1] += (1.0 - rising) * power[bin];
            }
            bin += 1;
        }
        let bands = energy.map(bel);
        let mut pairs = [0.0; PAIRS];
        for (pair, two) in pairs.iter_mut().zip(energy.as_chunks::<2>().0) {
            *pair = bel(two[0] + two[1]);
        }
        Frame {
            bands,
            pairs,
            power,
        }
    }

    pub fn look_at_noise(&mut self) {
        let frame = self.frame();
        for (noise, pair) in self.noise.iter_mut().zip(frame.pairs) {
            *noise += NOISE_SHARE * (pair - *noise);
        }
    }

    /// `above`: dB of the frame above the noise floor.
    pub fn features(&mut self, above: f32) -> [f32; FEATURES] {
        let frame = self.frame();
        let is_first = core::mem::replace(&mut self.is_first, false);
        if is_first {
            (self.last, self.fast, self.slow) = (frame.bands, frame.bands, frame.bands);
            self.pairs = frame.pairs;
        }
        let mut features = [0.0; FEATURES];
        let (shape, rest) = features.split_at_mut(BANDS);
        let (over, rest) = rest.split_at_mut(PAIRS);
        let mean = frame.bands.iter().sum::<f32>() / BANDS as f32;
        let (mut flux, mut change, mut drift) = (0.0, 0.0, 0.0);
        for (b, &level) in frame.bands.iter().enumerate() {
            shape[b] = level - mean;
            flux += (level - self.last[b]).abs();
            change += (level - self.fast[b]).abs();
            drift += (self.fast[b] - self.slow[b]).abs();
            self.last[b] = level;
            self.fast[b] += (level - self.fast[b]) * 0.125;
            self.slow[b] += (level - self.slow[b]) * 0.0125;
        }
        for (j, &level) in frame.pairs.iter().enumerate() {
            self.pairs[j] += (level - self.pairs[j]) * 0.125;
            self.noise[j] = (self.noise[j] + NOISE_RISE).min(self.pairs[j]);
            over[j] = (level - self.noise[j]).clamp(0.0, 4.0);
        }
        let (flatness, sameness) = self.fine_structure(&frame.power, is_first);
        let (clarity, octaves) = self.pitch(&frame.power);
        let jump = if is_first {
            0.0
        } else {
            (octaves - self.pitch).abs().min(1.0)
        };
        self.pitch = octaves;
        let bands = BANDS as f32;
        rest.copy_from_slice(&[
            above.clamp(-20.0, 60.0) / 20.0,
            flux / bands,
            change / bands,
            drift / bands,
            flatness,
            sameness,
            clarity,
            octaves * clarity,
            jump,
        ]);
        features
    }

    /// Geometric over arithmetic mean of the fine spectrum in bel; correlation of its logarithm with that of the last 0.2 s.
    fn fine_structure(&mut self, power: &[f32], is_first: bool) -> (f32, f32) {
        let first = (FINE_HZ.0 / self.bin_hz) as usize;
        let bins = (((FINE_HZ.1 - FINE_HZ.0) / self.bin_hz) as usize).min(FINE);
        let power = &power[first..first + bins];
        let fine = &mut self.fine[..bins];
        let n = bins as f32;
        let total: f32 = power.iter().sum();
        let mut now = [0.0; FINE];
        for (log, &p) in now.iter_mut().zip(power) {
            *log = bel(p);
        }
        let now = &now[..bins];
        let mean = now.iter().sum::<f32>() / n;
        if is_first {
            fine.copy_from_slice(now);
        }
        let before = fine.iter().sum::<f32>() / n;
        let (mut xx, mut yy, mut xy) = (1e-3, 1e-3, 0.0);
        for (old, &new) in fine.iter_mut().zip(now) {
            let (x, y) = (new - mean, *old - before);
            xx += x * x;
            yy += y * y;
            xy += x * y;
            *old += (new - *old) * 0.0625;
        }
        (mean - bel(total / n), xy / libm::sqrtf(xx * yy))
    }

    /// Height of the autocorrelation's peak, 0 to 1, and its frequency in octaves above 150 Hz.
    fn pitch(&self, power: &[f32; MOST / 2 + 1]) -> (f32, f32) {
        let size = self.fft.size();
        let mut data = [0.0; MOST];
        let low = (LOWEST_HZ / self.bin_hz) as usize;
        let high = (HIGHEST_HZ / self.bin_hz) as usize;
        for k in low..=high {
            data[k] = power[k];
            data[size - k] = power[k];
        }
        let mut r = [0.0; MOST / 2 + 1];
        self.fft.apply(&mut data, |k, re, _| r[k] = re);
        let shortest = (self.rate / PITCH_HZ.1) as usize;
        let longest = ((self.rate / PITCH_HZ.0) as usize).min(size / 2 - 1);
        let total = r[0] + NOTHING;
        let (mut best, mut lag) = (0.0, 0.0);
        for t in shortest..=longest {
            let (a, b, c) = (r[t - 1], r[t], r[t + 1]);
            if !(b > 0.0 && b >= a && b > c) {
                continue;
            }
            // The autocorrelation of the window itself makes it fall towards long lags.
            let x = t as f32 / self.len as f32;
            let window = (1.0 - x) * (2.0 + libm::cosf(TAU * x)) / 3.0 + libm::sinf(TAU * x) / TAU;
            let height = b / (total * window);
            if height * NEARLY_BEST > best {
                best = height;
                lag = t as f32 + 0.5 * (a - c) / (a - 2.0 * b + c);
            }
        }
        if lag == 0.0 {
            return (0.0, 0.0);
        }
        (best.min(1.0), libm::log2f(self.rate / lag / 150.0))
    }
}

//! Level of 10-ms frames above rumble and mains hum, and the noise floor under it.

use crate::voice::sane;

/// Corner of the two high-passes in front of the level, in Hz: rumble, mains hum and offset are no speech.
const HIGH_PASS_HZ: f32 = 100.0;
/// A state of the filter below this is nothing. It keeps the numbers normal: within a frame a state falls by a factor of 500.
const TINY: f32 = 1e-18;
/// Power of digital silence: -100 dBFS.
const SILENCE: f32 = 1e-10;
/// Frames over which the levels of the floor are smoothed: 0.2 s.
const SMOOTHED: usize = 20;
/// Frames over which a frame's own level is smoothed.
const OWN: usize = 3;
/// Sub-windows of the noise floor's minimum and frames in each: 12 × 0.4 s.
const WINDOWS: usize = 12;
const WINDOW_FRAMES: u32 = 40;

#[derive(Debug, Clone)]
pub(super) struct Level {
    pole: f32,
    /// Last input and outputs of the two high-passes.
    input: f32,
    outputs: [f32; 2],
    /// Sum of squares of the frame at hand.
    energy: f32,
    /// Powers of the last frames.
    own: [f32; OWN],
    own_next: usize,
    /// Powers of the last frames that were not digitally silent; the first `smoothed_len` are valid.
    smoothed: [f32; SMOOTHED],
    smoothed_len: usize,
    smoothed_next: usize,
    /// Lowest smoothed power of each sub-window; the one at `window` is being filled.
    minima: [f32; WINDOWS],
    window: usize,
    window_frames: u32,
    floor: f32,
}

/// The power ratio of `db`.
pub(super) fn power_of(db: f32) -> f32 {
    libm::powf(10.0, db / 10.0)
}

impl Level {
    pub fn new(rate: u32, floor_dbfs: f32) -> Self {
        let mut new = Self {
            pole: libm::expf(-core::f32::consts::TAU * HIGH_PASS_HZ / rate as f32),
            input: 0.0,
            outputs: [0.0; 2],
            energy: 0.0,
            own: [0.0; OWN],
            own_next: 0,
            smoothed: [0.0; SMOOTHED],
            smoothed_len: 0,
            smoothed_next: 0,
            minima: [0.0; WINDOWS],
            window: 0,
            window_frames: 0,
            floor: 0.0,
        };
        new.reset(floor_dbfs);
        new
    }

    pub fn reset(&mut self, floor_dbfs: f32) {
        (self.input, self.outputs, self.energy) = (0.0, [0.0; 2], 0.0);
        (self.own, self.own_next) = ([0.0; OWN], 0);
        (self.smoothed_len, self.smoothed_next) = (0, 0);
        self.floor = power_of(floor_dbfs);
        self.minima = [self.floor; WINDOWS];
        (self.window, self.window_frames) = (0, 0);
    }

    /// Takes samples of the frame at hand.
    pub fn take(&mut self, samples: &[f32]) {
        let pole = self.pole;
        let (mut input, [mut first, mut second]) = (self.input, self.outputs);
        let mut energy = self.energy;
        for &sample in samples {
            let sample = sane(sample);
            let before = first;
            first = sample - input + pole * first;
            second = first - before + pole * second;
            input = sample;
            energy += second * second;
        }
        (self.input, self.outputs, self.energy) = (input, [first, second], energy);
    }

    /// The frame of `len` samples is over: its power, smoothed over the last three.
    pub fn end_frame(&mut self, len: usize) -> f32 {
        for state in self.outputs.iter_mut().chain([&mut self.input]) {
            if state.abs() < TINY {
                *state = 0.0;
            }
        }
        let power = self.energy / len as f32;
        self.energy = 0.0;
        self.own[self.own_next] = power;
        self.own_next = (self.own_next + 1) % OWN;
        if power > SILENCE {
            self.track(power);
        }
        self.own.iter().sum::<f32>() / OWN as f32
    }

    fn track(&mut self, power: f32) {
        self.smoothed[self.smoothed_next] = power;
        self.smoothed_next = (self.smoothed_next + 1) % SMOOTHED;
        self.smoothed_len = (self.smoothed_len + 1).min(SMOOTHED);
        if self.smoothed_len < SMOOTHED {
            return;
        }
        let mean = self.smoothed.iter().sum::<f32>() / SMOOTHED as f32;
        let minimum = &mut self.minima[self.window];
        *minimum = if self.window_frames == 0 {
            mean
        } else {
            minimum.min(mean)
        };
        self.window_frames += 1;
        if self.window_frames == WINDOW_FRAMES {
            self.window_frames = 0;
            self.window = (self.window + 1) % WINDOWS;
        }
        self.floor = self.minima.iter().copied().fold(f32::INFINITY, f32::min);
    }

    /// The noise floor, a power: the lowest smoothed power of the last five seconds.
    pub fn floor(&self) -> f32 {
        self.floor
    }
}

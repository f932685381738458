//! What the microphone hears: a dial tone, and the clip twice, with pauses of near silence around
//! them. Whole numbers only, so that every machine hears the same.

use crate::SAMPLE_RATE;

/// A second.
const SECOND: usize = SAMPLE_RATE as usize;
/// What is heard before, between and after.
const PAUSE: usize = SECOND;
/// 425 Hz, as in Europe: 2·cos(2π · 425 / 16 000) in units of 2^-30.
const TONE_COEFFICIENT: i64 = 2_117_644_311;
/// 3000·sin(2π · 425 / 16 000) in units of 2^-16: -22 dB of full scale.
const TONE_START: i64 = 32_661_185;

/// The samples of a stream, which are made when they are asked for: nothing but the clip is kept.
#[derive(Clone, Copy)]
pub struct Sound<'a> {
    clip: &'a [i16],
}

impl<'a> Sound<'a> {
    /// A stream with `clip` in it.
    pub fn around(clip: &'a [i16]) -> Self {
        Self { clip }
    }

    /// Samples of the stream.
    pub fn len(&self) -> usize {
        4 * PAUSE + SECOND + 2 * self.clip.len()
    }

    /// Whether there is nothing to hear: never.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples from `start` on; silence behind the end.
    pub fn fill(&self, start: usize, out: &mut [i16]) {
        let clip = self.clip;
        let tone_at = PAUSE;
        let first_at = tone_at + SECOND + PAUSE;
        let second_at = first_at + clip.len() + PAUSE;
        let mut tone = Tone::new();
        for (index, sample) in (start..).zip(out) {
            let within = |at: usize, len: usize| index.checked_sub(at).filter(|i| *i < len);
            *sample = if let Some(i) = within(tone_at, SECOND) {
                tone.at(i)
            } else if let Some(i) = within(first_at, clip.len()) {
                clip[i]
            } else if let Some(i) = within(second_at, clip.len()) {
                clip[i]
            } else {
                hiss(index)
            };
        }
    }
}

/// White noise of -85 dB: what is left of a microphone when it is quiet.
fn hiss(index: usize) -> i16 {
    let mut x = (index as u32).wrapping_mul(0x9e37_79b9) ^ 0x85eb_ca6b;
    x ^= x >> 15;
    x = x.wrapping_mul(0x2c1b_3c6d);
    x ^= x >> 12;
    x = x.wrapping_mul(0x297a_2d39);
    x ^= x >> 15;
    (x % 7) as i16 - 3
}

/// A sine by a recurrence of two terms.
struct Tone {
    next: usize,
    now: i64,
    before: i64,
}

impl Tone {
    fn new() -> Self {
        Self {
            next: 0,
            now: 0,
            before: -TONE_START,
        }
    }

    /// Sample `index`; indices come in ascending order.
    fn at(&mut self, index: usize) -> i16 {
        while self.next < index {
            let after = ((TONE_COEFFICIENT * self.now) >> 30) - self.before;
            (self.before, self.now) = (self.now, after);
            self.next += 1;
        }
        (self.now >> 16) as i16
    }
}

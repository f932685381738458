//! Speech activity: cuts an endless stream into utterances, without a heap and in a hundred bytes of state.
//!
//! An energy detector of our own: a level in dB per 10-ms frame of the signal above 80 Hz, a noise floor from the minima of the last three
//! seconds (minimum statistics, after Martin 2001), thresholds above that floor with hysteresis, an attack time against clicks and a
//! hangover over pauses between words. It looks at samples in any chunking, at any rate from 8 to 96 kHz.
//!
//! Why none of the crates: `webrtc-vad` binds C code; `nnnoiseless` works at 48 kHz alone and costs more than the features; `earshot` 1.x,
//! a small network and the best of them in noise, takes 16 kHz alone and needs an allocator. None runs on a microcontroller at the rates of
//! a telephone and of a sound card alike. What the energy detector cannot do is tell speech from other sounds of the same level; such an
//! utterance is marked by the quality flag `unvoiced`. Whoever has a better detector cuts the stream with it and uses
//! [`recognizer`](crate::recognizer) directly.

use ser_features::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

/// Frames per second of the detector.
const FRAMES_PER_S: u32 = 100;
/// Sub-windows of the noise floor's minimum and frames in each: 12 × 0.25 s.
const FLOOR_WINDOWS: usize = 12;
const FLOOR_WINDOW_FRAMES: u16 = 25;
/// Corner of the high-pass in front of the level, in Hz: rumble, mains hum and offset are no speech.
const HIGH_PASS_HZ: f32 = 80.0;
/// Level of digital silence, in dBFS.
const SILENCE_DBFS: f32 = -120.0;

/// When an utterance starts and ends. Times are in milliseconds and are rounded down to frames of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct SegmentConfig {
    /// A frame this many dB above the noise floor is active while nobody speaks. Default 9.
    pub onset_db: f32,
    /// A frame this many dB above the noise floor is active during an utterance; at most [`Self::onset_db`]. Default 6.
    pub release_db: f32,
    /// Frames below this level, in dB relative to a full-scale square wave, are never active. Default -60.
    pub min_level_dbfs: f32,
    /// Noise floor that is assumed until three seconds were heard, in dBFS; a quieter stream lowers it at once. Default -55.
    pub initial_floor_dbfs: f32,
    /// So long must the signal be active without a gap before an utterance starts. Default 30.
    pub attack_ms: u32,
    /// So long must it be inactive before the utterance ends: pauses between words are shorter. Default 500.
    pub hangover_ms: u32,
    /// So much before the attack belongs to the utterance: soft onsets lie below the threshold. Default 200.
    pub pre_roll_ms: u32,
    /// So much after the last active frame belongs to the utterance; at most [`Self::hangover_ms`]. Default 200.
    pub tail_ms: u32,
    /// An utterance with less activity in all is discarded. Default 200.
    pub min_speech_ms: u32,
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            onset_db: 9.0,
            release_db: 6.0,
            min_level_dbfs: -60.0,
            initial_floor_dbfs: -55.0,
            attack_ms: 30,
            hangover_ms: 500,
            pre_roll_ms: 200,
            tail_ms: 200,
            min_speech_ms: 200,
        }
    }
}

/// Why a segmenter cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum SegmentError {
    /// The rate is outside the extractor's range.
    #[error(
        "sampling rate {rate} Hz is not supported ({MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are)"
    )]
    SampleRate {
        /// The rate.
        rate: u32,
    },
    /// A setting makes no sense.
    #[error("segment setting {field}: {reason}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Longest time that a setting may ask for: it bounds the memory of the delay line.
const MAX_MS: u32 = 10_000;

impl SegmentConfig {
    /// Every setting in the order of the fields, little-endian.
    pub(crate) fn numbers(&self) -> [[u8; 4]; 9] {
        [
            self.onset_db.to_le_bytes(),
            self.release_db.to_le_bytes(),
            self.min_level_dbfs.to_le_bytes(),
            self.initial_floor_dbfs.to_le_bytes(),
            self.attack_ms.to_le_bytes(),
            self.hangover_ms.to_le_bytes(),
            self.pre_roll_ms.to_le_bytes(),
            self.tail_ms.to_le_bytes(),
            self.min_speech_ms.to_le_bytes(),
        ]
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// [`SegmentError::Setting`].
    pub fn validate(&self) -> Result<(), SegmentError> {
        let wrong = |field, reason| Err(SegmentError::Setting { field, reason });
        for (field, value) in [
            ("onset_db", self.onset_db),
            ("release_db", self.release_db),
            ("min_level_dbfs", self.min_level_dbfs),
            ("initial_floor_dbfs", self.initial_floor_dbfs),
        ] {
            if !value.is_finite() {
                return wrong(field, "is not a finite number");
            }
        }
        if self.release_db <= 0.0 {
            return wrong("release_db", "is not positive");
        }
        if self.onset_db < self.release_db {
            return wrong("onset_db", "is below release_db");
        }
        for (field, value) in [
            ("attack_ms", self.attack_ms),
            ("hangover_ms", self.hangover_ms),
            ("pre_roll_ms", self.pre_roll_ms),
            ("tail_ms", self.tail_ms),
            ("min_speech_ms", self.min_speech_ms),
        ] {
            if value > MAX_MS {
                return wrong(field, "is longer than 10 s");
            }
        }
        if frames(self.attack_ms) == 0 {
            return wrong("attack_ms", "is below 10");
        }
        if frames(self.hangover_ms) == 0 {
            return wrong("hangover_ms", "is below 10");
        }
        if self.tail_ms > self.hangover_ms {
            return wrong("tail_ms", "is longer than hangover_ms");
        }
        Ok(())
    }
}

/// Frames of 10 ms in `ms` milliseconds.
const fn frames(ms: u32) -> u32 {
    ms / 10
}

/// Samples of a detector frame at `rate` Hz: 10 ms, rounded down.
pub const fn frame_len(rate: u32) -> usize {
    (rate / FRAMES_PER_S) as usize
}

/// Samples that must be at hand for the pre-roll of an utterance and for what a pause holds back, at `rate` Hz.
pub const fn delay_len(rate: u32, config: &SegmentConfig) -> usize {
    let before = frames(config.pre_roll_ms) + frames(config.attack_ms);
    let after = frames(config.hangover_ms).saturating_sub(frames(config.tail_ms));
    // One frame more: the newest one is written before the oldest is read.
    let most = if before > after { before } else { after } + 1;
    most as usize * frame_len(rate)
}

/// What a whole frame of 10 ms meant. Positions are samples since the stream's start, or the last [`Segmenter::reset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nobody speaks.
    Silence,
    /// An utterance starts; its first sample, pre-roll included, lies before the frame.
    Start {
        /// First sample.
        at: u64,
    },
    /// The utterance goes on up to `until`: the end of the frame, or of the tail while the signal is inactive.
    Speech {
        /// First sample after what certainly belongs to the utterance.
        until: u64,
    },
    /// The hangover is over: the utterance ended at `at`, a tail after its last active frame.
    End {
        /// First sample after it.
        at: u64,
        /// What it was.
        verdict: Verdict,
    },
}

/// What an utterance, or the part of it since the last [`Segmenter::cut`], turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Speech.
    Speech,
    /// Active for less than [`SegmentConfig::min_speech_ms`].
    TooShort,
    /// Loud enough, but no voice.
    NotVoice,
}

/// Changes whenever the places of some utterances change: training tables and bundles name it.
pub const SEGMENTER_ID: &str = "voice-1";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// So many active frames in a row, fewer than the attack.
    Silence { active: u32 },
    /// Active frames since the start, inactive ones in a row, position after the last active one.
    Speech {
        active: u32,
        pause: u32,
        last_active: u64,
    },
}

/// Tells speech from silence, frame by frame.
#[derive(Debug, Clone)]
pub struct Segmenter {
    config: SegmentConfig,
    frame_len: usize,
    /// Pole of the high-pass, its last input and output.
    pole: f32,
    input: f32,
    output: f32,
    /// Sum of squares and samples of the frame at hand.
    energy: f32,
    filled: usize,
    /// Samples heard.
    position: u64,
    /// Lowest level of each sub-window, in dBFS; the one at `window` is being filled.
    minima: [f32; FLOOR_WINDOWS],
    window: usize,
    window_frames: u16,
    phase: Phase,
    /// Before this sample no pre-roll reaches: the end of the utterance before.
    free_from: u64,
}

impl Segmenter {
    /// A segmenter for a stream at `rate` Hz.
    ///
    /// # Errors
    /// [`SegmentError`].
    pub fn new(rate: u32, config: SegmentConfig) -> Result<Self, SegmentError> {
        if !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&rate) {
            return Err(SegmentError::SampleRate { rate });
        }
        config.validate()?;
        let mut new = Self {
            config,
            frame_len: frame_len(rate),
            pole: libm::expf(-core::f32::consts::TAU * HIGH_PASS_HZ / rate as f32),
            input: 0.0,
            output: 0.0,
            energy: 0.0,
            filled: 0,
            position: 0,
            minima: [0.0; FLOOR_WINDOWS],
            window: 0,
            window_frames: 0,
            phase: Phase::Silence { active: 0 },
            free_from: 0,
        };
        new.reset();
        Ok(new)
    }

    /// Forgets the stream: positions count from 0 again and the noise floor is the assumed one.
    pub fn reset(&mut self) {
        (self.input, self.output, self.energy, self.filled) = (0.0, 0.0, 0.0, 0);
        (self.position, self.free_from) = (0, 0);
        self.minima = [self.config.initial_floor_dbfs; FLOOR_WINDOWS];
        (self.window, self.window_frames) = (0, 0);
        self.phase = Phase::Silence { active: 0 };
    }

    /// Takes samples up to the end of the frame at hand. Returns how many were taken and, if they complete the frame, what it meant.
    /// A sample that is not finite counts as 0.
    pub fn push(&mut self, samples: &[f32]) -> (usize, Option<Activity>) {
        let taken = samples.len().min(self.frame_len - self.filled);
        for &sample in &samples[..taken] {
            let sample = if sample.is_finite() { sample } else { 0.0 };
            self.output = sample - self.input + self.pole * self.output;
            self.input = sample;
            self.energy += self.output * self.output;
        }
        self.filled += taken;
        self.position += taken as u64;
        (
            taken,
            (self.filled == self.frame_len).then(|| self.end_frame()),
        )
    }

    /// Samples heard.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The noise floor, in dBFS: the lowest level of the last three seconds.
    pub fn floor_dbfs(&self) -> f32 {
        self.minima.iter().copied().fold(f32::INFINITY, f32::min)
    }

    /// Whether an utterance is going on.
    pub fn in_speech(&self) -> bool {
        matches!(self.phase, Phase::Speech { .. })
    }

    /// The stream ends here, or is cut: where an utterance that is going on ends, and whether it was active for long enough.
    pub fn finish(&mut self) -> Option<(u64, Verdict)> {
        let Phase::Speech {
            active,
            last_active,
            ..
        } = self.phase
        else {
            return None;
        };
        let at = self.position.min(last_active + self.tail());
        self.free_from = at;
        self.phase = Phase::Silence { active: 0 };
        Some((at, self.verdict(active)))
    }

    /// The utterance was cut for its length: what was heard of it is judged, and what follows is
    /// judged by itself.
    pub fn cut(&mut self) -> Verdict {
        let Phase::Speech { active, .. } = &mut self.phase else {
            return Verdict::TooShort;
        };
        let before = core::mem::take(active);
        self.verdict(before)
    }

    fn tail(&self) -> u64 {
        u64::from(frames(self.config.tail_ms)) * self.frame_len as u64
    }

    fn verdict(&self, active: u32) -> Verdict {
        if active >= frames(self.config.min_speech_ms) {
            Verdict::Speech
        } else {
            Verdict::TooShort
        }
    }

    fn end_frame(&mut self) -> Activity {
        let level = self.level();
        (self.energy, self.filled) = (0.0, 0);
        let above = match self.phase {
            Phase::Silence { .. } => self.config.onset_db,
            Phase::Speech { .. } => self.config.release_db,
        };
        let active = level >= self.config.min_level_dbfs && level >= self.floor_dbfs() + above;
        self.track_floor(level);
        self.step(active)
    }

    /// Level of the frame in dBFS. Samples so large that their energy overflows are loud; the filter starts anew after them.
    fn level(&mut self) -> f32 {
        let mean = self.energy / self.frame_len as f32;
        if !(mean.is_finite() && self.output.is_finite()) {
            (self.input, self.output) = (0.0, 0.0);
            return 0.0;
        }
        (10.0 * libm::log10f(mean)).max(SILENCE_DBFS)
    }

    fn track_floor(&mut self, level: f32) {
        let minimum = &mut self.minima[self.window];
        if self.window_frames == 0 {
            *minimum = level;
        } else {
            *minimum = minimum.min(level);
        }
        self.window_frames += 1;
        if self.window_frames == FLOOR_WINDOW_FRAMES {
            self.window_frames = 0;
            self.window = (self.window + 1) % FLOOR_WINDOWS;
        }
    }

    fn step(&mut self, is_active: bool) -> Activity {
        let now = self.position;
        let frame = self.frame_len as u64;
        match &mut self.phase {
            Phase::Silence { active } => {
                *active = if is_active { *active + 1 } else { 0 };
                let attack = frames(self.config.attack_ms);
                if *active < attack {
                    return Activity::Silence;
                }
                self.phase = Phase::Speech {
                    active: attack,
                    pause: 0,
                    last_active: now,
                };
                let before = u64::from(attack + frames(self.config.pre_roll_ms)) * frame;
                Activity::Start {
                    at: now.saturating_sub(before).max(self.free_from),
                }
            }
            Phase::Speech {
                active,
                pause,
                last_active,
            } => {
                if is_active {
                    *active = active.saturating_add(1);
                    *pause = 0;
                    *last_active = now;
                    return Activity::Speech { until: now };
                }
                *pause += 1;
                let (over, last) = (*pause >= frames(self.config.hangover_ms), *last_active);
                if !over {
                    return Activity::Speech {
                        until: now.min(last + self.tail()),
                    };
                }
                match self.finish() {
                    Some((at, verdict)) => Activity::End { at, verdict },
                    None => Activity::Silence,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    /// Noise of `noise` and, from `speech.0` to `speech.1` seconds, a tone of `tone`, both in dBFS.
    fn stream(rate: u32, seconds: f32, noise: f32, tone: f32, speech: (f32, f32)) -> Vec<f32> {
        let amplitude = |db: f32| 10_f32.powf(db / 20.0);
        let mut state = 1_u32;
        (0..(seconds * rate as f32) as usize)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let white = (state >> 8) as f32 / 8_388_608.0 - 1.0;
                let t = i as f32 / rate as f32;
                let voice = (t * 200.0 * core::f32::consts::TAU).sin() * core::f32::consts::SQRT_2;
                let on = f32::from(u8::from((speech.0..speech.1).contains(&t)));
                white * 3_f32.sqrt() * amplitude(noise) + on * voice * amplitude(tone)
            })
            .collect()
    }

    fn run(segmenter: &mut Segmenter, samples: &[f32], chunk: usize) -> Vec<Activity> {
        let mut seen = Vec::new();
        for mut rest in samples.chunks(chunk) {
            while !rest.is_empty() {
                let (taken, activity) = segmenter.push(rest);
                rest = &rest[taken..];
                seen.extend(activity);
            }
        }
        seen
    }

    fn utterances(seen: &[Activity]) -> Vec<(u64, u64, bool)> {
        let mut start = None;
        let mut found = Vec::new();
        for activity in seen {
            match *activity {
                Activity::Start { at } => start = Some(at),
                Activity::End { at, verdict } => found.push((start.take().unwrap(), at, verdict)),
                _ => {}
            }
        }
        found
    }

    #[test]
    fn speech_is_found_at_every_rate_and_in_any_chunking() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
            let samples = stream(rate, 5.0, -65.0, -25.0, (2.0, 3.2));
            let mut segmenter = Segmenter::new(rate, SegmentConfig::default()).unwrap();
            let seen = run(&mut segmenter, &samples, 777);
            let found = utterances(&seen);
            assert_eq!(found.len(), 1, "{rate} Hz: {found:?}");
            let (start, end, verdict) = found[0];
            let seconds = |at: u64| at as f32 / rate as f32;
            assert!((seconds(start) - 1.8).abs() < 0.03, "{rate} Hz: {found:?}");
            assert!((seconds(end) - 3.4).abs() < 0.03, "{rate} Hz: {found:?}");
            assert_eq!(verdict, Verdict::Speech);
            segmenter.reset();
            assert_eq!(run(&mut segmenter, &samples, 1), seen);
        }
    }

    #[test]
    fn steady_noise_becomes_the_floor() {
        let noise = stream(16_000, 12.0, -35.0, -25.0, (0.0, 0.0));
        let mut segmenter = Segmenter::new(16_000, SegmentConfig::default()).unwrap();
        run(&mut segmenter, &noise, 160);
        assert!((segmenter.floor_dbfs() + 36.0).abs() < 2.0);
        assert!(!segmenter.in_speech());
        let speech = stream(16_000, 3.0, -35.0, -15.0, (1.0, 2.0));
        let found = utterances(&run(&mut segmenter, &speech, 160));
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn clicks_start_nothing_and_bursts_are_not_enough() {
        let config = SegmentConfig::default();
        let mut segmenter = Segmenter::new(16_000, config).unwrap();
        let click = stream(16_000, 2.0, -70.0, -10.0, (1.0, 1.005));
        assert!(utterances(&run(&mut segmenter, &click, 160)).is_empty());
        let burst = stream(16_000, 2.0, -70.0, -10.0, (1.0, 1.1));
        let found = utterances(&run(&mut segmenter, &burst, 160));
        assert!(matches!(found[..], [(_, _, false)]), "{found:?}");
    }

    #[test]
    fn hum_and_offset_are_no_speech() {
        let hum: Vec<f32> = (0..64_000)
            .map(|i| 0.3 + 0.02 * (i as f32 * 50.0 * core::f32::consts::TAU / 16_000.0).sin())
            .collect();
        let mut segmenter = Segmenter::new(16_000, SegmentConfig::default()).unwrap();
        run(&mut segmenter, &hum, 160);
        assert!(!segmenter.in_speech());
    }

    #[test]
    fn the_end_of_the_stream_ends_the_utterance() {
        let samples = stream(16_000, 2.5, -65.0, -20.0, (1.0, 2.5));
        let mut segmenter = Segmenter::new(16_000, SegmentConfig::default()).unwrap();
        run(&mut segmenter, &samples, 160);
        assert_eq!(segmenter.finish(), Some((40_000, true)));
        assert_eq!(segmenter.finish(), None);
    }

    #[test]
    fn monstrous_samples_do_not_stick() {
        let mut segmenter = Segmenter::new(16_000, SegmentConfig::default()).unwrap();
        run(
            &mut segmenter,
            &[f32::MAX, f32::NAN, f32::INFINITY, -1e30],
            2,
        );
        run(
            &mut segmenter,
            &stream(16_000, 3.0, -65.0, -20.0, (9.0, 9.0)),
            160,
        );
        assert!(segmenter.floor_dbfs().is_finite() && !segmenter.in_speech());
        let found = utterances(&run(
            &mut segmenter,
            &stream(16_000, 3.0, -65.0, -20.0, (1.0, 2.0)),
            160,
        ));
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn settings_are_checked() {
        let default = SegmentConfig::default();
        for (config, field) in [
            (
                SegmentConfig {
                    attack_ms: 5,
                    ..default
                },
                "attack_ms",
            ),
            (
                SegmentConfig {
                    tail_ms: 600,
                    ..default
                },
                "tail_ms",
            ),
            (
                SegmentConfig {
                    onset_db: 3.0,
                    ..default
                },
                "onset_db",
            ),
            (
                SegmentConfig {
                    release_db: f32::NAN,
                    ..default
                },
                "release_db",
            ),
            (
                SegmentConfig {
                    pre_roll_ms: 20_000,
                    ..default
                },
                "pre_roll_ms",
            ),
        ] {
            match Segmenter::new(16_000, config) {
                Err(SegmentError::Setting { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        assert!(matches!(
            Segmenter::new(7_999, default),
            Err(SegmentError::SampleRate { rate: 7_999 })
        ));
    }
}

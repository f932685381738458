//! Speech activity: cuts an endless stream into utterances, without a heap and in ten kilobytes of state.
//!
//! Two opinions must agree. The level of 10-ms frames must stand out of a noise floor: the minimum, over some five seconds, of
//! levels smoothed over 0.2 s (minimum statistics, after Martin 2001). And a detector of [voices](crate::voice), which rests unless
//! something does stand out, must hear one. It looks a little ahead, so an utterance is reported some 0.2 s after it began; its start
//! is the first frame that belongs to it all the same, and the caller keeps [`delay_len`] samples.
//!
//! Samples may come in any chunking, at any rate from 8 to 96 kHz. `runtime/SPEECH.md` says how it compares with other detectors.

mod level;

use ser_features::{MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};

use crate::voice::{LOOK_AHEAD, START_UP, Voice, analysis::FEATURES};
use level::{Level, power_of};

/// Which algorithm cuts: tables and bundles record it. It changes whenever the same samples may be cut otherwise.
pub const SEGMENTER_ID: &str = "voice-1";

/// Frames per second of the detector.
const FRAMES_PER_S: u32 = 100;
/// Frames whose level is remembered: [`LOOK_AHEAD`], the longest attack and [`LOOK_BACK`] must lie in it.
const HISTORY: usize = 64;
/// An utterance starts at most so many frames before its attack.
const LOOK_BACK: u32 = 30;
/// On the way back to its start, so many frames may lie below the threshold: the closure of a stop.
const START_GAP: u32 = 8;
/// What lies this far below the loudest frame of an utterance, as a power ratio (-28 dB), is not of it: echo, breath, noise. With
/// that the same words are cut alike in silence and in noise.
const RANGE: f32 = 1.584_893_2e-3;
/// The loudest frame is forgotten at 3 dB a second.
const PEAK_DECAY: f32 = 0.993_116;
/// While nothing stands out, the detector looks at the noise once in so many frames.
const NOISE_EVERY: u32 = 50;
/// Longest time that a setting may ask for: it bounds the memory of the delay line.
const MAX_MS: u32 = 10_000;
/// Longest attack.
const MAX_ATTACK_MS: u32 = 200;
/// When an utterance starts and ends. Times are in milliseconds and are rounded down to frames of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "std",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct SegmentConfig {
    /// A frame this many dB above the noise floor may belong to speech while nobody speaks. Default 4.
    pub onset_db: f32,
    /// A frame this many dB above the noise floor may go on with an utterance; at most [`Self::onset_db`]. Default 3.
    pub release_db: f32,
    /// Frames below this level, in dB relative to a full-scale square wave, are never active. Default -60.
    pub min_level_dbfs: f32,
    /// Noise floor that is assumed until five seconds were heard, in dBFS; a quieter stream lowers it at once. Default -55.
    pub initial_floor_dbfs: f32,
    /// Probability of a voice, 0 to 1, from which a frame starts an utterance. 0 leaves the decision to the level alone: the
    /// detector never runs, and every sound that stands out is an utterance. Default 0.6.
    pub voice_onset: f32,
    /// Probability from which a frame goes on with an utterance; at most [`Self::voice_onset`]. Default 0.35.
    pub voice_release: f32,
    /// So long must the signal be active before an utterance starts, 10 to 200. Default 60.
    pub attack_ms: u32,
    /// So long must it be inactive before the utterance ends: pauses between words are shorter. Default 500.
    pub hangover_ms: u32,
    /// So much before the first active frame belongs to the utterance. Default 60.
    pub pre_roll_ms: u32,
    /// So much after the last active frame belongs to the utterance; at most [`Self::hangover_ms`]. Default 60.
    pub tail_ms: u32,
    /// An utterance with less activity in all is too short. Default 200.
    pub min_speech_ms: u32,
    /// An utterance with less time in which the detector was sure of a voice (probability of [`Self::SURE`]) is no voice. Default 100.
    pub min_voice_ms: u32,
}

impl SegmentConfig {
    /// Probability from which the detector is sure of a voice.
    pub const SURE: f32 = 0.8;
}

impl Default for SegmentConfig {
    fn default() -> Self {
        Self {
            onset_db: 4.0,
            release_db: 3.0,
            min_level_dbfs: -60.0,
            initial_floor_dbfs: -55.0,
            voice_onset: 0.6,
            voice_release: 0.35,
            attack_ms: 60,
            hangover_ms: 500,
            pre_roll_ms: 60,
            tail_ms: 60,
            min_speech_ms: 200,
            min_voice_ms: 100,
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

impl SegmentConfig {
    /// Every setting in the order of the fields, little-endian.
    pub(crate) fn numbers(&self) -> [[u8; 4]; 12] {
        [
            self.onset_db.to_le_bytes(),
            self.release_db.to_le_bytes(),
            self.min_level_dbfs.to_le_bytes(),
            self.initial_floor_dbfs.to_le_bytes(),
            self.voice_onset.to_le_bytes(),
            self.voice_release.to_le_bytes(),
            self.attack_ms.to_le_bytes(),
            self.hangover_ms.to_le_bytes(),
            self.pre_roll_ms.to_le_bytes(),
            self.tail_ms.to_le_bytes(),
            self.min_speech_ms.to_le_bytes(),
            self.min_voice_ms.to_le_bytes(),
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
            if value.abs() > 200.0 {
                return wrong(field, "is not between -200 and 200");
            }
        }
        if self.release_db <= 0.0 {
            return wrong("release_db", "is not positive");
        }
        if self.onset_db < self.release_db {
            return wrong("onset_db", "is below release_db");
        }
        for (field, value) in [
            ("voice_onset", self.voice_onset),
            ("voice_release", self.voice_release),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return wrong(field, "is not between 0 and 1");
            }
        }
        if self.voice_onset < self.voice_release {
            return wrong("voice_onset", "is below voice_release");
        }
        for (field, value) in [
            ("attack_ms", self.attack_ms),
            ("hangover_ms", self.hangover_ms),
            ("pre_roll_ms", self.pre_roll_ms),
            ("tail_ms", self.tail_ms),
            ("min_speech_ms", self.min_speech_ms),
            ("min_voice_ms", self.min_voice_ms),
        ] {
            if value > MAX_MS {
                return wrong(field, "is longer than 10 s");
            }
        }
        if frames(self.attack_ms) == 0 {
            return wrong("attack_ms", "is below 10");
        }
        if self.attack_ms > MAX_ATTACK_MS {
            return wrong("attack_ms", "is above 200");
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

/// Samples that must be at hand for the start of an utterance, which is known late, and for what a pause holds back, at `rate` Hz.
pub const fn delay_len(rate: u32, config: &SegmentConfig) -> usize {
    let before = frames(config.pre_roll_ms) + frames(config.attack_ms) + LOOK_BACK;
    let after = frames(config.hangover_ms).saturating_sub(frames(config.tail_ms));
    let most = if before > after { before } else { after };
    // One frame more: the newest one is written before the oldest is read.
    (most as usize + LOOK_AHEAD + 1) * frame_len(rate)
}

/// What an utterance turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Somebody spoke.
    Speech,
    /// It was active for less than [`SegmentConfig::min_speech_ms`].
    TooShort,
    /// A voice was certain for less than [`SegmentConfig::min_voice_ms`].
    NotVoice,
}

/// What a whole frame of 10 ms meant. Positions are samples since the stream's start, or the last [`Segmenter::reset`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nobody speaks.
    Silence,
    /// An utterance starts; its first sample, pre-roll included, lies at most [`delay_len`] samples back.
    Start {
        /// First sample.
        at: u64,
    },
    /// The utterance goes on up to `until`; before [`Start`](Self::Start)'s `at` nothing of it is known yet.
    Speech {
        /// First sample after what certainly belongs to the utterance.
        until: u64,
    },
    /// The hangover is over: the utterance ended at `at`, a tail after its last active frame.
    End {
        /// First sample after it.
        at: u64,
        /// What it was, or what it was since the last [`Segmenter::cut`].
        verdict: Verdict,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Active frames lately, fewer than the attack.
    Silence {
        active: u32,
    },
    Speech(Utterance),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Utterance {
    /// Active frames, and those that are certain to be a voice, since the start or the last cut.
    active: u32,
    sure: u32,
    /// Inactive frames in a row.
    pause: u32,
    /// Position after the last active frame.
    last_active: u64,
    /// Power of the loudest frame, slowly forgotten.
    peak: f32,
}

/// What the detector of voices does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ear {
    /// Nothing stood out for so many frames; now and then it looks at the noise.
    Rests { frames: u32 },
    /// Nothing stood out for so many frames, fewer than a hangover.
    Listens { quiet: u32 },
}

/// Tells speech from everything else, frame by frame.
#[derive(Debug, Clone)]
pub struct Segmenter {
    config: SegmentConfig,
    /// Power ratios of [`SegmentConfig::onset_db`], [`SegmentConfig::release_db`] and [`SegmentConfig::min_level_dbfs`].
    onset: f32,
    release: f32,
    least: f32,
    frame_len: usize,
    level: Level,
    voice: Voice,
    ear: Ear,
    /// Probability of a voice, of the frame that is being decided.
    probability: f32,
    features: Option<[f32; FEATURES]>,
    filled: usize,
    /// Samples heard.
    position: u64,
    /// Powers of the last frames; a frame's place is its number modulo the length.
    history: [f32; HISTORY],
    /// Frames heard, and frames among the newest that were decided when the stream was ended.
    heard: u64,
    decided: u32,
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
        Ok(Self {
            config,
            onset: power_of(config.onset_db),
            release: power_of(config.release_db),
            least: power_of(config.min_level_dbfs),
            frame_len: frame_len(rate),
            level: Level::new(rate, config.initial_floor_dbfs),
            voice: Voice::new(rate, config.initial_floor_dbfs),
            ear: Ear::Rests { frames: 0 },
            probability: 0.0,
            features: None,
            filled: 0,
            position: 0,
            history: [0.0; HISTORY],
            heard: 0,
            decided: 0,
            phase: Phase::Silence { active: 0 },
            free_from: 0,
        })
    }

    /// Forgets the stream: positions count from 0 again and the noise floor is the assumed one.
    pub fn reset(&mut self) {
        self.level.reset(self.config.initial_floor_dbfs);
        self.voice.reset(self.config.initial_floor_dbfs);
        self.ear = Ear::Rests { frames: 0 };
        (self.probability, self.features) = (0.0, None);
        (self.filled, self.position, self.free_from) = (0, 0, 0);
        (self.history, self.heard, self.decided) = ([0.0; HISTORY], 0, 0);
        self.phase = Phase::Silence { active: 0 };
    }

    /// Takes samples up to the end of the frame at hand. Returns how many were taken and, if they complete the frame, what it meant.
    /// A sample that is no number, or larger than a million, counts as 0.
    pub fn push(&mut self, samples: &[f32]) -> (usize, Option<Activity>) {
        let taken = samples.len().min(self.frame_len - self.filled);
        let is_heard = match self.ear {
            Ear::Listens { .. } => true,
            Ear::Rests { frames } => frames + START_UP >= NOISE_EVERY,
        };
        self.level.take(&samples[..taken]);
        if is_heard {
            self.voice.take(&samples[..taken]);
        }
        self.filled += taken;
        self.position += taken as u64;
        let is_whole = self.filled == self.frame_len;
        (taken, is_whole.then(|| self.end_frame()))
    }

    /// Samples heard.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The noise floor, in dBFS: the lowest level over 0.2 s of the last five seconds, digital silence left out.
    pub fn floor_dbfs(&self) -> f32 {
        10.0 * libm::log10f(self.level.floor())
    }

    /// Whether an utterance is going on.
    pub fn in_speech(&self) -> bool {
        matches!(self.phase, Phase::Speech(_))
    }

    /// Milliseconds of active speech since the start of the utterance or the last [`cut`](Self::cut); 0 while nobody speaks.
    pub fn speech_ms(&self) -> u32 {
        match self.phase {
            Phase::Silence { .. } => 0,
            Phase::Speech(utterance) => utterance.active.saturating_mul(10),
        }
    }

    /// Probability of a voice in the frame that was decided last; 0 while the detector rests.
    pub fn voice_probability(&self) -> f32 {
        self.probability
    }

    /// What the detector's network saw of the last frame, if it listened: for training it.
    pub fn voice_features(&self) -> Option<&[f32; FEATURES]> {
        self.features.as_ref()
    }

    /// The utterance is cut at its greatest length: what it was until now. Evidence counts anew, and the verdict at its end speaks of
    /// the remainder alone.
    pub fn cut(&mut self) -> Verdict {
        let Phase::Speech(mut utterance) = self.phase else {
            return Verdict::TooShort;
        };
        let verdict = self.verdict(&utterance);
        (utterance.active, utterance.sure) = (0, 0);
        self.phase = Phase::Speech(utterance);
        verdict
    }

    /// The stream ends here: where an utterance that is going on ends, and what it was.
    pub fn finish(&mut self) -> Option<(u64, Verdict)> {
        // The frames that a probability looked ahead to are decided by the last one.
        let open = (LOOK_AHEAD as u32).saturating_sub(self.decided);
        self.decided = LOOK_AHEAD as u32;
        for back in (0..open).rev() {
            if self.in_speech()
                && u64::from(back) < self.heard
                && let Activity::End { at, verdict } = self.step(u64::from(back))
            {
                return Some((at, verdict));
            }
        }
        let Phase::Speech(utterance) = self.phase else {
            self.phase = Phase::Silence { active: 0 };
            return None;
        };
        let at = self.position.min(utterance.last_active + self.tail());
        Some(self.close(utterance, at))
    }

    fn close(&mut self, utterance: Utterance, at: u64) -> (u64, Verdict) {
        self.free_from = at;
        self.phase = Phase::Silence { active: 0 };
        (at, self.verdict(&utterance))
    }

    fn verdict(&self, utterance: &Utterance) -> Verdict {
        if utterance.active < frames(self.config.min_speech_ms) {
            Verdict::TooShort
        } else if self.has_voice() && utterance.sure < frames(self.config.min_voice_ms) {
            Verdict::NotVoice
        } else {
            Verdict::Speech
        }
    }

    fn tail(&self) -> u64 {
        u64::from(frames(self.config.tail_ms)) * self.frame_len as u64
    }

    /// Whether voices are told from other sounds.
    fn has_voice(&self) -> bool {
        self.config.voice_onset > 0.0
    }

    fn end_frame(&mut self) -> Activity {
        self.filled = 0;
        let power = self.level.end_frame(self.frame_len);
        self.history[(self.heard % HISTORY as u64) as usize] = power;
        self.heard += 1;
        self.features = None;
        self.probability = if self.has_voice() {
            self.listen(power)
        } else {
            1.0
        };
        if self.decided > 0 {
            self.decided -= 1;
            return Activity::Silence;
        }
        if self.heard <= LOOK_AHEAD as u64 {
            return Activity::Silence;
        }
        self.step(LOOK_AHEAD as u64)
    }

    /// Probability of a voice; the detector is woken, or sent to rest.
    fn listen(&mut self, power: f32) -> f32 {
        match self.ear {
            Ear::Rests { frames } => {
                if power >= self.threshold(self.onset) {
                    self.voice.restart();
                    self.ear = Ear::Listens { quiet: 0 };
                    return 0.0;
                }
                let mut frames = frames + 1;
                if power < self.least {
                    // There is no noise to look at.
                    frames = 0;
                } else if frames >= NOISE_EVERY {
                    self.voice.look_at_noise();
                    frames = 0;
                }
                if frames + START_UP == NOISE_EVERY {
                    self.voice.restart();
                }
                self.ear = Ear::Rests { frames };
                0.0
            }
            Ear::Listens { quiet } => {
                let above = 10.0 * libm::log10f((power + 1e-12) / (self.level.floor() + 1e-12));
                self.features = self.voice.features(above);
                let probability = match &self.features {
                    Some(features) => self.voice.probability(features),
                    None => 0.0,
                };
                let quiet = if power >= self.threshold(self.release) {
                    0
                } else {
                    quiet + 1
                };
                // The utterance, if there is one, is over by then.
                let is_over = quiet > self.config.hangover_ms / 10 + 2 * LOOK_AHEAD as u32;
                self.ear = if is_over {
                    Ear::Rests { frames: 0 }
                } else {
                    Ear::Listens { quiet }
                };
                probability
            }
        }
    }

    /// The least power of a frame that stands out of the floor by `ratio`.
    fn threshold(&self, ratio: f32) -> f32 {
        (self.level.floor() * ratio).max(self.least)
    }

    /// Power of the frame that was heard `back` frames ago.
    fn power(&self, back: u64) -> f32 {
        self.history[((self.heard - 1 - back) % HISTORY as u64) as usize]
    }

    /// Decides the frame that was heard `back` frames ago.
    fn step(&mut self, back: u64) -> Activity {
        let config = &self.config;
        let frame = self.frame_len as u64;
        let end = (self.heard - back) * frame;
        let power = self.power(back);
        match self.phase {
            Phase::Silence { active } => {
                let threshold = self.threshold(self.onset);
                let is_active = power >= threshold && self.probability >= config.voice_onset;
                let active = if is_active {
                    active + 1
                } else {
                    active.saturating_sub(1)
                };
                self.phase = Phase::Silence { active };
                let attack = frames(config.attack_ms);
                if active < attack {
                    return Activity::Silence;
                }
                let (first, peak) = self.first_active(back, threshold);
                let sure = self.probability >= SegmentConfig::SURE;
                self.phase = Phase::Speech(Utterance {
                    active,
                    sure: if sure { active } else { 0 },
                    pause: 0,
                    last_active: end,
                    peak,
                });
                let before = u64::from(frames(config.pre_roll_ms)) * frame;
                Activity::Start {
                    at: (first * frame).saturating_sub(before).max(self.free_from),
                }
            }
            Phase::Speech(mut utterance) => {
                let threshold = self.threshold(self.release).max(utterance.peak * RANGE);
                utterance.peak *= PEAK_DECAY;
                if power >= threshold && self.probability >= config.voice_release {
                    utterance.active = utterance.active.saturating_add(1);
                    if self.probability >= SegmentConfig::SURE {
                        utterance.sure = utterance.sure.saturating_add(1);
                    }
                    utterance.pause = 0;
                    utterance.last_active = end;
                    utterance.peak = utterance.peak.max(power);
                } else {
                    utterance.pause += 1;
                }
                self.phase = Phase::Speech(utterance);
                let until = end.min(utterance.last_active + self.tail());
                if utterance.pause < frames(config.hangover_ms) {
                    return Activity::Speech { until };
                }
                let (at, verdict) = self.close(utterance, until);
                Activity::End { at, verdict }
            }
        }
    }

    /// Number of the first frame of the utterance whose attack ends `back` frames ago, and the greatest power since.
    fn first_active(&self, back: u64, threshold: f32) -> (u64, f32) {
        let attack = frames(self.config.attack_ms);
        let oldest = self.heard.min(HISTORY as u64) - 1;
        let peak = (0..=back + u64::from(attack))
            .filter(|&b| b <= oldest)
            .map(|b| self.power(b))
            .fold(0.0, f32::max);
        let threshold = threshold.max(peak * RANGE);
        let (mut first, mut gap) = (back, 0);
        for b in back + 1..=oldest.min(back + u64::from(attack + LOOK_BACK)) {
            if self.power(b) >= threshold {
                (first, gap) = (b, 0);
            } else {
                gap += 1;
                if gap > START_GAP {
                    break;
                }
            }
        }
        (self.heard - 1 - first, peak)
    }
}

#[cfg(test)]
mod tests;

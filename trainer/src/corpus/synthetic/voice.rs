//! Who speaks, and in which mood.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Normal};

/// The four labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Mood {
    Angry,
    Happy,
    Neutral,
    Sad,
}

impl Mood {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Angry, Self::Happy, Self::Neutral, Self::Sad];

    /// The label in the manifest.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Angry => "angry",
            Self::Happy => "happy",
            Self::Neutral => "neutral",
            Self::Sad => "sad",
        }
    }

    /// How the mood changes a neutral delivery when fully expressed.
    const fn shift(self) -> Shift {
        match self {
            Self::Angry => Shift {
                level_db: 6.0,
                pitch_st: 3.5,
                range: 1.5,
                tempo: 1.15,
                open_quotient: -0.13,
                tilt: 1.9,
                breath: 0.5,
                jitter: 1.8,
                first_formant: 1.12,
                upper_formants: 1.0,
            },
            Self::Happy => Shift {
                level_db: 3.5,
                pitch_st: 4.5,
                range: 2.3,
                tempo: 1.06,
                open_quotient: 0.0,
                tilt: 1.35,
                breath: 0.9,
                jitter: 1.1,
                first_formant: 1.02,
                upper_formants: 1.06,
            },
            Self::Neutral => Shift {
                level_db: 0.0,
                pitch_st: 0.0,
                range: 1.0,
                tempo: 1.0,
                open_quotient: 0.0,
                tilt: 1.0,
                breath: 1.0,
                jitter: 1.0,
                first_formant: 1.0,
                upper_formants: 1.0,
            },
            Self::Sad => Shift {
                level_db: -5.5,
                pitch_st: -1.0,
                range: 0.45,
                tempo: 0.84,
                open_quotient: 0.12,
                tilt: 0.55,
                breath: 3.0,
                jitter: 1.5,
                first_formant: 0.97,
                upper_formants: 0.99,
            },
        }
    }
}

/// Changes in the units of [`Delivery`]; factors where the name says no unit, but for the open quotient.
struct Shift {
    level_db: f64,
    pitch_st: f64,
    range: f64,
    tempo: f64,
    open_quotient: f64,
    tilt: f64,
    breath: f64,
    jitter: f64,
    first_formant: f64,
    upper_formants: f64,
}

/// A speaker: what does not change from one utterance to the next.
#[derive(Debug, Clone)]
pub(super) struct Speaker {
    pub female: bool,
    /// Mean fundamental frequency of neutral speech, Hz.
    pub pitch_hz: f64,
    /// Factor on all formants: the shorter the vocal tract, the higher.
    pub formant_scale: f64,
    /// Offsets of each vowel formant, as factors.
    pub formant_habit: [f64; 3],
    /// Share of the period in which the glottis is open.
    pub open_quotient: f64,
    /// Corner of the source's low-pass, Hz.
    pub tilt_hz: f64,
    /// Level against other speakers, dB (distance to the microphone, habit).
    pub level_db: f64,
    pub breath: f64,
    pub tempo: f64,
    /// Height of pitch accents, semitones.
    pub range_st: f64,
    /// How much of a mood the voice shows: 0 none, 1 all.
    pub expressivity: f64,
    /// Noise of room and microphone, dB below full scale.
    pub noise_db: f64,
}

impl Speaker {
    /// Speaker number `index`; even ones are female.
    pub fn draw(index: usize, rng: &mut impl Rng) -> Self {
        let female = index.is_multiple_of(2);
        let (pitch, scale) = if female { (200.0, 1.16) } else { (115.0, 1.0) };
        Self {
            female,
            pitch_hz: pitch * semitones(normal(rng, 1.5)),
            formant_scale: scale * (1.0 + normal(rng, 0.03)),
            formant_habit: [(); 3].map(|()| 1.0 + normal(rng, 0.02)),
            open_quotient: 0.6 + normal(rng, 0.04),
            tilt_hz: 2400.0 * factor(rng, 0.15),
            level_db: normal(rng, 2.2),
            breath: if female { 0.05 } else { 0.035 } * factor(rng, 0.3),
            tempo: factor(rng, 0.07),
            range_st: 2.6 * factor(rng, 0.25),
            expressivity: (0.95 + normal(rng, 0.15)).clamp(0.55, 1.25),
            noise_db: -62.0 + normal(rng, 2.5),
        }
    }
}

/// How one utterance is spoken.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// Level of the utterance, dB RMS against full scale.
    pub level_db: f64,
    pub pitch_hz: f64,
    /// Height of pitch accents, semitones.
    pub range_st: f64,
    /// Factor on the speed of speech.
    pub tempo: f64,
    /// Share of the period in which the glottis is open, 0.35 to 0.85.
    pub open_quotient: f64,
    /// Corner of the source's low-pass, Hz.
    pub tilt_hz: f64,
    /// Level of breath noise against the pulses.
    pub breath: f64,
    /// Standard deviation of the period, as a share of it; amplitude varies five times as much.
    pub jitter: f64,
    /// Factors on the three vowel formants.
    pub formants: [f64; 3],
}

impl Delivery {
    /// The speaker's own way, the mood as far as this utterance shows it, and chance.
    pub fn draw(speaker: &Speaker, mood: Mood, rng: &mut impl Rng) -> Self {
        let shift = mood.shift();
        let shown = (speaker.expressivity + normal(rng, 0.2)).clamp(0.2, 1.4);
        let power = |f: f64| f.powf(shown);
        Self {
            level_db: -27.0 + speaker.level_db + shown * shift.level_db + normal(rng, 1.5),
            pitch_hz: speaker.pitch_hz * semitones(shown * shift.pitch_st + normal(rng, 1.0)),
            range_st: speaker.range_st * power(shift.range) * factor(rng, 0.2),
            tempo: speaker.tempo * power(shift.tempo) * factor(rng, 0.06),
            open_quotient: (speaker.open_quotient
                + shown * shift.open_quotient
                + normal(rng, 0.03))
            .clamp(0.35, 0.85),
            tilt_hz: (speaker.tilt_hz * power(shift.tilt) * factor(rng, 0.15)).clamp(500.0, 8000.0),
            breath: speaker.breath * power(shift.breath) * factor(rng, 0.2),
            jitter: 0.006 * power(shift.jitter) * factor(rng, 0.2),
            formants: std::array::from_fn(|i| {
                let mood = if i == 0 {
                    shift.first_formant
                } else {
                    shift.upper_formants
                };
                speaker.formant_scale * speaker.formant_habit[i] * power(mood)
            }),
        }
    }
}

/// The frequency ratio of so many semitones.
pub(super) fn semitones(st: f64) -> f64 {
    (st / 12.0).exp2()
}

/// A normal deviate of the given standard deviation, at most three of them from zero.
pub(super) fn normal(rng: &mut impl Rng, deviation: f64) -> f64 {
    let unit: f64 = match Normal::new(0.0, 1.0) {
        Ok(distribution) => distribution.sample(rng),
        Err(_) => 0.0,
    };
    unit.clamp(-3.0, 3.0) * deviation
}

/// A factor around 1, as likely to halve as to double.
fn factor(rng: &mut impl Rng, deviation: f64) -> f64 {
    normal(rng, deviation).exp()
}

/// Uniform noise of unit variance.
pub(super) fn noise(rng: &mut impl Rng) -> f64 {
    rng.random_range(-1.0..1.0) * 3.0_f64.sqrt()
}

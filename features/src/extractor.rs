//! The streaming extractor: samples in, 1582 features out.

use crate::analysis::{Analysis, STREAM_A};
use crate::frame::Geometry;
use crate::functionals::{GROUP1_ONLY, GROUP2, functionals};
use crate::groups::{FeatureGroup, FeatureGroups};
use crate::layout::{Layout, Regions};
use crate::names::{BLOCKS, GROUP1_CONTOURS};
use crate::pitch::PitchContour;
use crate::smooth::Smoother;
use crate::stage::{Probe, Stage};
use crate::voice_quality::{Bounds, PeriodTracker, VoiceQuality};
use crate::{
    ConfigError, FEATURE_COUNT, FeatureSet, Features, FinishError, LLD_COUNT, PushError, delta,
};

/// What an extractor is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Samples per second, 8000..=96000.
    pub sample_rate: u32,
    /// Longest utterance, in pitch frames of 10 ms: the contour memory holds so many.
    pub max_frames: usize,
    /// Which 1582 features.
    pub feature_set: FeatureSet,
    /// Which of them: features of other groups are 0, and neither computed nor stored.
    pub groups: FeatureGroups,
}

impl Config {
    /// The configuration for all groups whose contour memory is enough for `samples` samples.
    pub const fn for_samples(sample_rate: u32, samples: usize, feature_set: FeatureSet) -> Self {
        let max_frames = match Geometry::new(sample_rate) {
            Some(g) if samples >= g.shortest() => (samples - g.frame_b) / g.hop,
            _ => 1,
        };
        Self {
            sample_rate,
            max_frames,
            feature_set,
            groups: FeatureGroups::ALL,
        }
    }

    /// Samples of the longest utterance that fits into `max_frames`; 0 for a rate that is not
    /// supported.
    pub const fn max_samples(&self) -> usize {
        match Geometry::new(self.sample_rate) {
            Some(g) => g.frame_b + (self.max_frames + 1) * g.hop - 1,
            None => 0,
        }
    }

    /// The same for these groups alone.
    pub const fn with_groups(self, groups: FeatureGroups) -> Self {
        Self { groups, ..self }
    }

    /// Floats of memory that an [`Extractor`] of this configuration needs; 0 for a rate that is not supported.
    pub const fn memory_len(&self) -> usize {
        match Geometry::new(self.sample_rate) {
            Some(geometry) => Layout::new(&geometry, self.max_frames, self.groups).total(),
            None => 0,
        }
    }
}

/// Floats of memory that an [`Extractor`] of all groups for utterances of up to `max_frames` pitch frames (10 ms) needs; 0 for a rate that is
/// not supported. [`Config::memory_len`] knows what fewer groups need.
///
/// 39 floats per frame (15.6 kB per second) and a fixed part that depends on the rate.
pub const fn memory_len(sample_rate: u32, max_frames: usize) -> usize {
    Config {
        sample_rate,
        max_frames,
        feature_set: FeatureSet::Emobase2010,
        groups: FeatureGroups::ALL,
    }
    .memory_len()
}

/// Streaming extractor of the 1582 features.
///
/// All bulk memory is `M`: an array, a mutable slice, a `Vec` or a `Box` of at least [`Config::memory_len`] floats, whatever their values.
pub struct Extractor<M> {
    memory: M,
    state: State,
}

impl<M: AsRef<[f32]> + AsMut<[f32]>> Extractor<M> {
    /// Computes the tables into `memory`. Nothing large passes through the stack.
    ///
    /// # Errors
    /// A sampling rate that is not supported, `max_frames` 0, or too little memory.
    pub fn new(config: Config, mut memory: M) -> Result<Self, ConfigError> {
        let state = State::new(config, memory.as_mut())?;
        Ok(Self { memory, state })
    }

    /// Takes samples on the scale −1..1, in chunks of any size: the features do not depend on the chunks, bit for bit.
    ///
    /// # Errors
    /// [`PushError::NotFinite`]: nothing of the chunk was taken. [`PushError::Full`]: the chunk was taken up to the longest utterance
    /// that the memory holds, and [`finish`](Self::finish) gives its features.
    pub fn push(&mut self, samples: &[f32]) -> Result<(), PushError> {
        if let Some(index) = samples.iter().position(|v| !v.is_finite()) {
            return Err(PushError::NotFinite { index });
        }
        let taken = self.state.push(self.memory.as_mut(), samples)?;
        if taken < samples.len() {
            Err(PushError::Full { taken })
        } else {
            Ok(())
        }
    }

    /// [`push`](Self::push) for 16-bit samples: x/32767.
    ///
    /// # Errors
    /// As [`push`](Self::push); 16-bit samples are always finite.
    pub fn push_i16(&mut self, samples: &[i16]) -> Result<(), PushError> {
        let mut buffer = [0.0; 64];
        let mut done = 0;
        for chunk in samples.chunks(buffer.len()) {
            for (b, &s) in buffer.iter_mut().zip(chunk) {
                *b = f32::from(s) / 32767.0;
            }
            let taken = self
                .state
                .push(self.memory.as_mut(), &buffer[..chunk.len()])?;
            done += taken;
            if taken < chunk.len() {
                return Err(PushError::Full { taken: done });
            }
        }
        Ok(())
    }

    /// The features of everything pushed since the start or the last [`reset`](Self::reset).
    ///
    /// It ends nothing: more samples may follow, and a later `finish` covers them too.
    ///
    /// # Errors
    /// [`FinishError::TooShort`] below 70 ms; [`FinishError::NotFinite`] where samples far outside −1..1 made a feature overflow. `out` is then
    /// unspecified.
    pub fn finish(&mut self, out: &mut Features) -> Result<(), FinishError> {
        self.state.finish(self.memory.as_mut(), &mut out.0)
    }

    /// Forgets the utterance, keeps the tables: the next one costs no construction.
    pub fn reset(&mut self) {
        self.state.reset();
    }

    /// What the extractor was made for.
    pub fn config(&self) -> Config {
        self.state.config
    }

    /// Samples taken since the start or the last reset.
    pub fn samples(&self) -> u64 {
        self.state.samples()
    }

    /// Frames analysed (60-ms frames; each comes with its 25-ms frame).
    pub fn frames(&self) -> usize {
        self.state.frames
    }

    /// Frames of the pitch contour: one fewer than [`frames`](Self::frames).
    pub fn pitch_frames(&self) -> usize {
        self.state.frames.saturating_sub(1)
    }

    /// Pitch frames with F0 > 0; 0 where no pitch is computed ([`FeatureGroups::computes_pitch`]).
    pub fn voiced_frames(&self) -> usize {
        self.state.voiced
    }

    /// Rows of low-level descriptors that are ready. Row n needs 60-ms frame n + 2.
    pub fn lld_rows(&self) -> usize {
        self.state.frames.saturating_sub(2)
    }

    /// Row `row` of the smoothed low-level descriptors, in the order of [`lld_name`](crate::lld_name), 0 for those of groups that are not wanted;
    /// `None` if it is not ready.
    ///
    /// Rows stay until [`reset`](Self::reset), so that a caller may read them after each push or all at the end.
    pub fn lld_row(&self, row: usize) -> Option<[f32; LLD_COUNT]> {
        if row >= self.lld_rows() {
            return None;
        }
        let mut out = [0.0; LLD_COUNT];
        for (c, contour) in self.contours()? {
            *out.get_mut(c)? = *contour.get(row)?;
        }
        Some(out)
    }

    /// The wanted columns of [`lld_row`](Self::lld_row), and the memory of each; its first rows are those of the column.
    pub(crate) fn contours(&self) -> Option<impl Iterator<Item = (usize, &[f32])>> {
        let contours = self.memory.as_ref().get(self.state.layout.contours())?;
        let columns = contours.chunks_exact(self.state.config.max_frames);
        Some(self.state.config.groups.contours().zip(columns))
    }
}

#[cfg(feature = "std")]
impl<M> Extractor<M> {
    /// Starts (from zero) or stops the measurement of [`stage_time`](Self::stage_time). It costs about half a microsecond per frame.
    pub fn measure_stages(&mut self, on: bool) {
        self.state.probe.enable(on);
    }

    /// Time that a stage took since [`measure_stages`](Self::measure_stages); `None` while nothing is measured.
    pub fn stage_time(&self, stage: Stage) -> Option<core::time::Duration> {
        self.state.probe.spent(stage)
    }
}

#[cfg(feature = "alloc")]
impl Extractor<alloc::vec::Vec<f32>> {
    /// An extractor that owns its memory.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`ConfigError::OutOfMemory`] where the allocator refuses.
    pub fn owned(config: Config) -> Result<Self, ConfigError> {
        let needed = config.memory_len();
        let mut memory = alloc::vec::Vec::new();
        memory
            .try_reserve_exact(needed)
            .map_err(|_| ConfigError::OutOfMemory { needed })?;
        memory.resize(needed, 0.0);
        Self::new(config, memory)
    }
}

/// Everything but the bulk memory.
struct State {
    config: Config,
    geometry: Geometry,
    layout: Layout,
    analysis: Analysis,
    pitch: PitchContour,
    /// `None` where jitter and shimmer are not wanted.
    tracker: Option<PeriodTracker>,
    smooth_a: Smoother<STREAM_A>,
    smooth_b: Smoother<{ LLD_COUNT - STREAM_A }>,
    /// Absolute index of the first sample in the buffer, and samples in it.
    base: u64,
    filled: usize,
    /// Frames analysed.
    frames: usize,
    voiced: usize,
    onsets: usize,
    was_voiced: bool,
    probe: Probe,
}

impl State {
    fn new(config: Config, memory: &mut [f32]) -> Result<Self, ConfigError> {
        let geometry = Geometry::new(config.sample_rate).ok_or(ConfigError::SampleRate {
            sample_rate: config.sample_rate,
        })?;
        if config.max_frames == 0 {
            return Err(ConfigError::MaxFrames);
        }
        let layout = Layout::new(&geometry, config.max_frames, config.groups);
        let given = memory.len();
        let mut regions = layout.split(memory).ok_or(ConfigError::Memory {
            needed: layout.total(),
            given,
        })?;
        Ok(Self {
            analysis: Analysis::new(geometry, config.groups, &mut regions.tables),
            pitch: PitchContour::new(config.feature_set.voicing_threshold()),
            tracker: config
                .groups
                .contains(FeatureGroup::VoiceQuality)
                .then(|| PeriodTracker::new(&geometry)),
            smooth_a: Smoother::new(),
            smooth_b: Smoother::new(),
            config,
            geometry,
            layout,
            base: 0,
            filled: 0,
            frames: 0,
            voiced: 0,
            onsets: 0,
            was_voiced: false,
            probe: Probe::default(),
        })
    }

    fn reset(&mut self) {
        self.pitch = PitchContour::new(self.config.feature_set.voicing_threshold());
        if let Some(tracker) = &mut self.tracker {
            tracker.reset();
        }
        self.smooth_a.reset();
        self.smooth_b.reset();
        (self.base, self.filled) = (0, 0);
        (self.frames, self.voiced, self.onsets, self.was_voiced) = (0, 0, 0, false);
    }

    fn samples(&self) -> u64 {
        self.base + self.filled as u64
    }

    /// Start of the next frame.
    fn next_start(&self) -> u64 {
        self.frames as u64 * self.geometry.hop as u64
    }

    /// Most samples that an utterance may have.
    fn capacity(&self) -> u64 {
        let g = &self.geometry;
        (self.config.max_frames as u64)
            .saturating_mul(g.hop as u64)
            .saturating_add((g.frame_b + g.hop - 1) as u64)
    }

    /// Returns the number of samples taken.
    fn push(&mut self, memory: &mut [f32], samples: &[f32]) -> Result<usize, PushError> {
        self.probe.start();
        let mut regions = self.layout.split(memory).ok_or(PushError::Memory)?;
        let room = self.capacity() - self.samples();
        let taken = room.min(samples.len() as u64) as usize;
        let history = match self.tracker {
            Some(_) => self.geometry.history,
            None => 0,
        };
        let mut rest = &samples[..taken];
        while !rest.is_empty() {
            if self.filled == regions.samples.len() {
                let keep = self
                    .next_start()
                    .saturating_sub(history as u64)
                    .max(self.base);
                let drop = ((keep - self.base) as usize).min(self.filled);
                regions.samples.copy_within(drop..self.filled, 0);
                self.base = keep;
                self.filled -= drop;
            }
            let (chunk, later) = rest.split_at(rest.len().min(regions.samples.len() - self.filled));
            regions.samples[self.filled..self.filled + chunk.len()].copy_from_slice(chunk);
            self.filled += chunk.len();
            rest = later;
            while self.next_start() + self.geometry.frame_b as u64 <= self.samples() {
                self.analyse(&mut regions);
            }
        }
        self.probe.mark(Stage::Samples);
        Ok(taken)
    }

    /// Analyses the next frame of both streams.
    fn analyse(&mut self, regions: &mut Regions<'_>) {
        let index = self.frames;
        let at = (self.next_start() - self.base) as usize;
        let Regions {
            tables,
            scratch,
            samples,
            contours,
            ..
        } = regions;
        let samples = &samples[..self.filled];
        let groups = self.config.groups;
        let mut store = |row: usize, first: usize, values: &[f32]| {
            let wanted = groups.contours().skip_while(|&contour| contour < first);
            let columns = contours
                .chunks_exact_mut(self.config.max_frames)
                .skip(groups.contours_before(first));
            for (contour, column) in wanted.zip(columns) {
                let Some(&v) = values.get(contour - first) else {
                    break;
                };
                column[row] = v;
            }
        };

        self.probe.mark(Stage::Samples);
        let frame_a = &samples[at..at + self.geometry.frame_a];
        let a = self
            .analysis
            .stream_a(frame_a, tables, scratch, &mut self.probe);
        if let Some(smoothed) = self.smooth_a.push(&a) {
            store(index - 1, 0, &smoothed);
        }
        self.probe.mark(Stage::Contours);
        let frame_b = &samples[at..at + self.geometry.frame_b];
        let best = self
            .analysis
            .stream_b(frame_b, tables, scratch, &mut self.probe);
        if let Some(pitch) = self.pitch.push(best) {
            let n = index as u64 - 1;
            let mut bounds = Bounds {
                low: &mut *scratch.re,
                high: &mut *scratch.im,
            };
            let quality = match &mut self.tracker {
                Some(tracker) => tracker.push(n, pitch.f0, samples, self.base, &mut bounds),
                None => VoiceQuality::default(),
            };
            self.probe.mark(Stage::VoiceQuality);
            let row = [
                pitch.envelope,
                pitch.voicing,
                pitch.f0,
                quality.jitter_local,
                quality.jitter_ddp,
                quality.shimmer_local,
            ];
            if let Some(smoothed) = self.smooth_b.push(&row) {
                store(index - 2, STREAM_A, &smoothed);
            }
            let voiced = pitch.f0 > 0.0;
            self.voiced += usize::from(voiced);
            self.onsets += usize::from(voiced && !self.was_voiced);
            self.was_voiced = voiced;
        }
        self.frames += 1;
        self.probe.mark(Stage::Contours);
    }

    fn finish(
        &mut self,
        memory: &mut [f32],
        out: &mut [f32; FEATURE_COUNT],
    ) -> Result<(), FinishError> {
        let (Some(last), true) = (self.smooth_b.repeat_last(), self.frames >= 2) else {
            return Err(FinishError::TooShort {
                samples: self.samples(),
                needed: self.geometry.shortest() as u64,
            });
        };
        self.probe.start();
        let regions = self.layout.split(memory).ok_or(FinishError::Memory)?;
        let pitch_frames = self.frames - 1;
        let rows = pitch_frames.saturating_sub(2).max(1);
        let relative = self.config.feature_set.relative_positions();
        let groups = self.config.groups;
        if groups != FeatureGroups::ALL {
            out.fill(0.0);
        }
        let (group1, rest) = out.split_at_mut(BLOCKS[2]);
        let (group2, turn) = rest.split_at_mut(BLOCKS[4] - BLOCKS[2]);
        let (group1, group1_delta) = group1.split_at_mut(BLOCKS[1]);
        let (group2, group2_delta) = group2.split_at_mut(BLOCKS[3] - BLOCKS[2]);

        let columns = regions.contours.chunks_exact_mut(self.config.max_frames);
        for (c, contour) in groups.contours().zip(columns) {
            if c >= STREAM_A {
                contour[pitch_frames - 1] = last[c - STREAM_A];
            }
            let contour = &contour[..pitch_frames];
            let z = &mut regions.sorted[..rows];
            if c < GROUP1_CONTOURS {
                z.copy_from_slice(&contour[..rows]);
                put_group1(c, group1, z, relative);
                delta::delta(contour, z);
                put_group1(c, group1_delta, z, relative);
            } else {
                let c = c - GROUP1_CONTOURS;
                z.copy_from_slice(&contour[..rows]);
                put_group2(c, group2, z, relative);
                delta::delta(contour, z);
                put_group2(c, group2_delta, z, relative);
            }
        }
        if groups.contains(FeatureGroup::Pitch) {
            turn.copy_from_slice(&[self.onsets as f32, pitch_frames as f32 * 0.01]);
        }
        self.probe.mark(Stage::Functionals);
        match out.iter().position(|v| !v.is_finite()) {
            Some(index) => Err(FinishError::NotFinite { index }),
            None => Ok(()),
        }
    }
}

fn put_group1(contour: usize, block: &mut [f32], z: &mut [f32], relative: bool) {
    let values = functionals(z, relative);
    block[contour * values.len()..][..values.len()].copy_from_slice(&values);
}

/// Functionals of the values that are not exactly 0, without the two that group 2 leaves out.
fn put_group2(contour: usize, block: &mut [f32], z: &mut [f32], relative: bool) {
    let mut kept = 0;
    for i in 0..z.len() {
        if z[i] != 0.0 {
            z[kept] = z[i];
            kept += 1;
        }
    }
    let values = functionals(&mut z[..kept], relative);
    let left = values
        .iter()
        .enumerate()
        .filter(|(f, _)| !GROUP1_ONLY.contains(f));
    for (o, (_, &v)) in block[contour * GROUP2..][..GROUP2].iter_mut().zip(left) {
        *o = v;
    }
}

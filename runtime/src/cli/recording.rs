//! One recording after the other: read block by block, each chosen channel recognised by itself.

use std::path::Path;

use super::opened::{Opened, Signal};
use super::state::StateFile;
use super::{CliError, InputArgs};
use crate::adapt::OwnedAdapter;
use crate::audio::{AudioError, AudioInfo, AudioReader, AudioWarning, Channels};
use crate::model::ModelError;
use crate::prediction::Prediction;
use crate::resample::resample;
use crate::timeline::Timeline;

/// What was heard in a recording.
pub(super) struct Heard {
    pub(super) sample_rate: u32,
    /// Channels in the recording.
    pub(super) channels: u16,
    /// One a signal: the mean of the channels, one of them, or each.
    pub(super) answers: Vec<Answer>,
    /// What was odd about the recording.
    pub(super) warnings: Vec<AudioWarning>,
}

impl Heard {
    /// Whether anything in it is speech that can be recognised.
    pub(super) fn has_speech(&self) -> bool {
        self.answers.iter().any(Answer::has_speech)
    }
}

/// What was heard in one signal.
pub(super) struct Answer {
    /// The channel, counted from 0; `None` for the mean of several.
    pub(super) channel: Option<u16>,
    /// Of all together; its duration is that of the recording.
    pub(super) summary: Prediction,
    /// `None` where the recording was taken whole.
    pub(super) timeline: Option<Timeline>,
}

impl Answer {
    fn has_speech(&self) -> bool {
        match &self.timeline {
            Some(timeline) => timeline.speech().next().is_some(),
            None => self.summary.quality.unfit().is_none(),
        }
    }
}

/// How recordings are recognised.
pub(super) struct Listener<'o> {
    pub(super) opened: &'o Opened,
    pub(super) channels: Channels,
    /// Takes recordings as one utterance each.
    pub(super) whole: bool,
    pub(super) abstain: Option<f32>,
}

impl Listener<'_> {
    /// Recognises the recording at `path`. `adapters` are those of the signals in order, or none.
    pub(super) fn hear(
        &self,
        input: &InputArgs,
        path: &Path,
        adapters: &mut Adapters<'_>,
    ) -> Result<Heard, CliError> {
        let mut reader = input.open(path)?;
        let info = reader.info();
        let (sample_rate, channels) = (info.sample_rate, info.channels);
        let answers = if self.whole {
            self.hear_whole(&mut reader, adapters)
        } else {
            self.hear_speech(&mut reader, adapters)
        };
        let answers = answers.map_err(|error| match error {
            CliError::Model(source) => CliError::Predict {
                file: path.display().to_string(),
                source: Box::new(source),
            },
            other => other,
        })?;
        Ok(Heard {
            sample_rate,
            channels,
            answers: answers
                .into_iter()
                .enumerate()
                .map(|(index, (summary, timeline))| Answer {
                    channel: Signal::new(self.channels, index, channels).channel,
                    summary,
                    timeline,
                })
                .collect(),
            warnings: reader.warnings().to_vec(),
        })
    }

    fn hear_speech(
        &self,
        reader: &mut AudioReader<'_>,
        adapters: &mut Adapters<'_>,
    ) -> Result<Vec<(Prediction, Option<Timeline>)>, CliError> {
        let rate = reader.info().sample_rate;
        let mut recordings = adapters
            .of(self.channels, reader.info())?
            .into_iter()
            .map(|adapter| self.opened.recording(rate, self.abstain, adapter))
            .collect::<Result<Vec<_>, _>>()?;
        each_block(reader, self.channels, |index, samples| {
            Ok(recordings[index].push(samples).map_err(ModelError::from)?)
        })?;
        recordings
            .into_iter()
            .map(|recording| {
                let timeline = recording.finish().map_err(ModelError::from)?;
                let summary = Prediction {
                    duration_s: timeline.duration_s() as f32,
                    ..timeline.summary.clone()
                };
                Ok((summary, Some(timeline)))
            })
            .collect()
    }

    fn hear_whole(
        &self,
        reader: &mut AudioReader<'_>,
        adapters: &mut Adapters<'_>,
    ) -> Result<Vec<(Prediction, Option<Timeline>)>, CliError> {
        let rate = reader.info().sample_rate;
        let signals = self.channels.signals(reader.info().channels);
        let mut whole = vec![Vec::new(); signals];
        each_block(reader, self.channels, |index, samples| {
            whole[index].extend_from_slice(samples);
            Ok(())
        })?;
        let labels = &self.opened.manifest.labels;
        let model_rate = self.opened.manifest.model_rate(rate);
        let adapters = adapters.of(self.channels, reader.info())?;
        whole
            .into_iter()
            .zip(adapters)
            .map(|(samples, mut adapter)| {
                let samples = resample(&samples, rate, model_rate).map_err(ModelError::from)?;
                let mut recognizer =
                    self.opened
                        .recognizer(model_rate, samples.len(), self.abstain)?;
                recognizer.push(&samples).map_err(ModelError::from)?;
                let outcome = recognizer.finish_adapted(&mut adapter, true);
                Ok((outcome.map_err(ModelError::from)?.named(labels), None))
            })
            .collect()
    }
}

/// Reads a recording to its end, signal by signal and block by block.
///
/// # Errors
/// Those of the reader, those of `on`, and [`AudioError::Empty`].
pub(super) fn each_block(
    reader: &mut AudioReader<'_>,
    channels: Channels,
    mut on: impl FnMut(usize, &[f32]) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let (mut signals, mut any) = (Vec::new(), false);
    while reader.read_signals(channels, &mut signals)? {
        for (index, samples) in signals.iter().enumerate() {
            any |= !samples.is_empty();
            on(index, samples)?;
        }
    }
    if any {
        Ok(())
    } else {
        let file = reader.name().to_owned();
        Err(AudioError::Empty { file }.into())
    }
}

/// What adapts to the voices of the signals, from recording to recording.
pub(super) struct Adapters<'o> {
    opened: &'o Opened,
    wanted: bool,
    state: Option<&'o Path>,
    adapters: Vec<(OwnedAdapter, Option<StateFile>)>,
}

impl<'o> Adapters<'o> {
    /// One a signal if they are `wanted`, each with its file beside `state`.
    pub(super) fn new(opened: &'o Opened, wanted: bool, state: Option<&'o Path>) -> Self {
        Self {
            opened,
            wanted,
            state,
            adapters: Vec::new(),
        }
    }

    /// Those of the chosen signals of a recording, in order.
    fn of(
        &mut self,
        chosen: Channels,
        info: &AudioInfo,
    ) -> Result<Vec<Option<&mut OwnedAdapter>>, CliError> {
        let signals = chosen.signals(info.channels);
        if !self.wanted {
            return Ok((0..signals).map(|_| None).collect());
        }
        for index in self.adapters.len()..signals {
            let signal = Signal::new(chosen, index, info.channels);
            let (of, rate) = (info.channels, info.sample_rate);
            let made = self.opened.adapter(self.state, signal, of, rate)?;
            self.adapters.push(made);
        }
        let first = self.adapters.iter_mut().take(signals);
        Ok(first.map(|(adapter, _)| Some(adapter)).collect())
    }

    /// Writes what was learnt.
    pub(super) fn save(&mut self) {
        for (adapter, state) in &mut self.adapters {
            if let Some(state) = state {
                state.save(adapter, 0, true);
            }
        }
    }
}

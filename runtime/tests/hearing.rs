//! One recording, every way in: `Model`, `ser-run predict`, `ser-run stream`, the extraction of
//! training tables and a live recogniser find the same utterances in it, and say the same of them,
//! bit for bit.

mod common;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use common::program::{Fixture, objects, path, succeed};
use common::stream::stream;
use common::tiny::{LABELS, Tiny};
use common::wav::Wav;
use common::{Random, emodb};
use proptest::prelude::*;
use ser_features::{FEATURE_COUNT, FeatureSet};
use ser_runtime::audio::{AudioReader, Channels, Pcm, decode_audio, read_audio};
use ser_runtime::cut::CutConfig;
use ser_runtime::extract::extract;
use ser_runtime::hearing::Hearing;
use ser_runtime::live::Event;
use ser_runtime::model::{EngineKind, Model};
use ser_runtime::prediction::softmax;
use serde_json::Value;

/// An utterance: where it lies, in samples, and the bits of its probabilities.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    start: u64,
    end: u64,
    bits: Vec<u32>,
}

fn bits(values: impl IntoIterator<Item = f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

fn by_model(model: &mut Model, pcm: &Pcm) -> Vec<Said> {
    let timeline = model.timeline(pcm).unwrap();
    let said = timeline.speech().map(|u| Said {
        start: u.span.start,
        end: u.span.end,
        bits: bits(u.prediction.probabilities.iter().map(|(_, p)| *p)),
    });
    said.collect()
}

/// The features of a training table, given to the model by hand.
fn by_extraction(model: &mut Model, pcm: &Pcm) -> Vec<Said> {
    let hearing = model.bundle().manifest.hears(pcm.sample_rate);
    let heard = extract(pcm, FeatureSet::Emobase2010, &hearing).unwrap();
    let temperature = model.decision().temperature;
    let said = heard.utterances.iter().map(|u| {
        let engine = model.engine();
        let mut code = vec![0.0; engine.code_len()];
        let mut out = vec![0.0; engine.label_count()];
        engine.encode(u.features.as_slice(), &mut code).unwrap();
        engine.classify(&code, &mut out).unwrap();
        softmax(&mut out, temperature);
        Said {
            start: u.span.start,
            end: u.span.end,
            bits: bits(out),
        }
    });
    said.collect()
}

/// A live recogniser that is given chunks of the sizes, over and over.
fn by_live(model: &mut Model, pcm: &Pcm, sizes: &[usize]) -> Vec<Said> {
    let config = model.live_config();
    let mut live = model.live(pcm.sample_rate, config, ()).unwrap();
    let mut said = Vec::new();
    let mut on = |event: Event<'_>| {
        if let Event::End { span, outcome, .. } = event
            && outcome.quality.unfit().is_none()
        {
            said.push(Said {
                start: span.start,
                end: span.end,
                bits: bits(outcome.probabilities.iter().copied()),
            });
        }
    };
    let mut rest = pcm.samples.as_slice();
    for &size in sizes.iter().cycle() {
        let (chunk, left) = rest.split_at(size.min(rest.len()));
        live.push(chunk, &mut on).unwrap();
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    live.finish(&mut on);
    said
}

fn probabilities(line: &Value) -> Vec<u32> {
    bits(LABELS.map(|label| line["probabilities"][label].as_f64().unwrap() as f32))
}

/// What a line of `predict` says.
fn in_line(line: &Value, rate: u32) -> Vec<Said> {
    let at = |seconds: &Value| (seconds.as_f64().unwrap() * f64::from(rate)).round() as u64;
    if let Some(utterances) = line["utterances"].as_array() {
        let fit = utterances.iter().filter(|u| u["confidence"].is_f64());
        let said = fit.map(|u| Said {
            start: at(&u["start_s"]),
            end: at(&u["end_s"]),
            bits: probabilities(u),
        });
        return said.collect();
    }
    let spans = line["speech"]["spans"].as_array().unwrap();
    let said = spans.iter().map(|span| Said {
        start: at(&span[0]),
        end: at(&span[1]),
        bits: probabilities(line),
    });
    said.collect()
}

/// What `ser-run stream` says of each channel when `input` comes in chunks of the sizes.
fn by_stream(bundle: &Path, args: &[&str], input: &[u8], sizes: &[usize]) -> Vec<Vec<Said>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ser-run"))
        .args(["stream", "-m", path(bundle)])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut rest = input;
    for &size in sizes.iter().cycle() {
        let (chunk, left) = rest.split_at(size.min(rest.len()));
        stdin.write_all(chunk).unwrap();
        stdin.flush().unwrap();
        rest = left;
        if rest.is_empty() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let mut said = vec![Vec::new(); 2];
    for line in objects(&output.stdout) {
        if line["event"] == "utterance" && line["confidence"].is_f64() {
            let at = |field: &str| line[field].as_u64().unwrap();
            let seconds = line["start_s"].as_f64().unwrap();
            let rate = line["sample_rate"].as_f64().unwrap();
            assert_eq!((seconds * rate).round() as u64, at("start"));
            let channel = line["channel"].as_u64().unwrap_or(0) as usize;
            said[channel].push(Said {
                start: at("start"),
                end: at("end"),
                bits: probabilities(&line),
            });
        }
    }
    said
}

/// The mono recordings that the channels of a WAV are.
fn channels_of(file: &[u8]) -> Vec<Pcm> {
    let mut reader = AudioReader::from_bytes(file, "wav").unwrap();
    let sample_rate = reader.info().sample_rate;
    let mut all = vec![Vec::new(); reader.info().channels.into()];
    let mut signals = Vec::new();
    while reader.read_signals(Channels::All, &mut signals).unwrap() {
        for (whole, part) in all.iter_mut().zip(&signals) {
            whole.extend_from_slice(part);
        }
    }
    let pcm = |samples| Pcm {
        sample_rate,
        channels: 1,
        samples,
    };
    all.into_iter().map(pcm).collect()
}

/// Holds every way against each other; returns what all of them found in each channel.
fn all_ways(fixture: &Fixture, file: &[u8], sizes: &[usize]) -> Vec<Vec<Said>> {
    let mut model = Model::open(&fixture.bundle, EngineKind::DEFAULT).unwrap();
    let channels = channels_of(file);
    let rate = channels[0].sample_rate;
    let place = fixture.file("recording.wav", file);

    let mixed = decode_audio(file, "wav").unwrap();
    let expected = by_model(&mut model, &mixed);
    let out = succeed(&["predict", "-m", fixture.model(), path(&place)], b"");
    assert_eq!(in_line(&objects(&out)[0], rate), expected, "predict");
    let mix = by_stream(&fixture.bundle, &["--channel", "mix"], file, sizes);
    assert_eq!(mix[0], expected, "stream --channel mix");

    let args = [
        "predict",
        "-m",
        fixture.model(),
        "--channel",
        "all",
        path(&place),
    ];
    let lines = objects(&succeed(&args, b""));
    let (count, hz) = (channels.len().to_string(), rate.to_string());
    let raw = ["--channels", &count, "--rate", &hz];
    let headerless = by_stream(&fixture.bundle, &raw, &file[44..], sizes);
    let with_header = by_stream(&fixture.bundle, &[], file, sizes);
    let from_file = by_stream(&fixture.bundle, &[path(&place)], b"", &[1]);
    let mut found = Vec::new();
    for (channel, pcm) in channels.iter().enumerate() {
        let expected = by_model(&mut model, pcm);
        assert_eq!(by_extraction(&mut model, pcm), expected, "extract");
        assert_eq!(by_live(&mut model, pcm, sizes), expected, "live");
        assert_eq!(in_line(&lines[channel], rate), expected, "predict");
        assert_eq!(headerless[channel], expected, "stream, headerless");
        assert_eq!(with_header[channel], expected, "stream, with a header");
        assert_eq!(from_file[channel], expected, "stream from a file");
        found.push(expected);
    }
    found
}

const RATES: [u32; 6] = [8_000, 16_000, 22_050, 24_414, 44_100, 48_000];

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_way_hears_the_same(
        rate in proptest::sample::select(RATES.to_vec()),
        channels in 1_u16..3,
        seed in any::<u64>(),
        sizes in proptest::collection::vec(1_usize..9_000, 1..20),
    ) {
        let fixture = Fixture::new();
        let mut random = Random::new(seed);
        let mut voices = || {
            let mut at = 0.3;
            let mut voices = Vec::new();
            for _ in 0..2 {
                let length = 0.4 + 0.6 * random.float().abs();
                voices.push((at, length, 160.0 + 60.0 * random.float()));
                at += length + 0.9;
            }
            voices
        };
        let signals: Vec<Vec<f32>> = (0..channels).map(|_| stream(rate, 4.5, &voices())).collect();
        let interleaved: Vec<f64> = (0..signals[0].len())
            .flat_map(|i| signals.iter().map(move |s| s[i].into()))
            .collect();
        let file = Wav::S16.file(rate, channels, &interleaved);
        for found in all_ways(&fixture, &file, &sizes) {
            prop_assert_eq!(found.len(), 2);
        }
    }
}

/// The same with real speech, cut by the defaults: with the detector of voices.
#[test]
fn every_way_hears_the_same_of_real_speech() {
    let fixture = Fixture::new();
    let mut tiny = Tiny::new(FEATURE_COUNT, 31).manifest();
    tiny.hearing = Some(Hearing::default().into());
    let bundle = fixture.folder.path().join("default");
    let (encoder, classifier) = {
        let tiny = Tiny::new(FEATURE_COUNT, 31);
        (tiny.encoder(), tiny.classifier())
    };
    let files: [(&str, &[u8]); 3] = [
        ("encoder.onnx", &encoder),
        ("classifier.onnx", &classifier),
        ("MODEL_CARD.md", b"# tiny\n"),
    ];
    ser_runtime::bundle::write(&bundle, &tiny, &files).unwrap();
    let fixture = Fixture { bundle, ..fixture };
    let speech = |name| read_audio(&emodb(name)).unwrap().samples;
    let pause = vec![0.0; 16_000];
    let call = [
        pause.clone(),
        speech("EMO03/03a01Wa"),
        pause,
        speech("EMO08/08a01Wa"),
    ]
    .concat();
    let call: Vec<f64> = call.into_iter().map(f64::from).collect();
    let file = Wav::S16.file(16_000, 1, &call);
    let found = all_ways(&fixture, &file, &[997]);
    assert_eq!(
        CutConfig::default(),
        Model::open(&fixture.bundle, EngineKind::DEFAULT)
            .unwrap()
            .cut()
    );
    assert_eq!(found[0].len(), 2, "{found:?}");
}

//! Every stage against openSMILE's: committed frames always, the whole reference folder where it is at hand (SPEC section 14,
//! steps 1 to 3).

use std::collections::BTreeMap;
use std::format;
use std::fs;
use std::path::Path;
use std::string::ToString;
use std::vec::Vec;

use crate::analysis::{Analysis, PitchSearch};
use crate::frame::Geometry;
use crate::groups::FeatureGroups;
use crate::layout::Layout;
use crate::names::GROUP1_CONTOURS;
use crate::pitch::{Candidate, PitchContour};
use crate::spline::Spline;
use crate::stage::Probe;
use crate::voice_quality::{Bounds, PeriodTracker};
use crate::{Config, Extractor, FeatureSet, Features, delta, lpc, lsp, window};

#[path = "../tests/common/mod.rs"]
mod common;

/// Frames of every stage of one utterance, by the number that the stage's file has in `reference/intermediate`.
type Stages = BTreeMap<&'static str, Vec<Vec<f32>>>;

/// Rows of a reference table: frame and values; empty cells at the end are left out.
type Rows = Vec<(usize, Vec<f32>)>;

/// Everything that the analysis computes on the way.
fn trace(rate: u32, samples: &[f32]) -> Stages {
    let mut out = Stages::new();
    let mut put = |stage, row: &[f32]| out.entry(stage).or_default().push(row.to_vec());
    let g = Geometry::new(rate).expect("rate");
    let layout = Layout::new(&g, 1, FeatureGroups::ALL);
    let mut memory = vec![0.0; layout.total()];
    let mut regions = layout.split(&mut memory).expect("memory");
    let analysis = Analysis::new(g, FeatureGroups::ALL, &mut regions.tables);
    let mfcc_bank = &analysis.mfcc.as_ref().expect("wanted").bank;
    let log_bank = analysis.log_bank.as_ref().expect("wanted");
    let resampler = analysis.resampler.as_ref().expect("wanted");
    let PitchSearch { fft, harmonics } = analysis.pitch.as_ref().expect("wanted");
    let (tables, scratch) = (&regions.tables, &mut regions.scratch);
    let mut probe = Probe::default();
    let frames = |length: usize| {
        (0..)
            .map(|n| n * g.hop)
            .take_while(move |at| at + length <= samples.len())
    };

    for frame in frames(g.frame_a).map(|at| &samples[at..at + g.frame_a]) {
        let ones = vec![1.0; g.frame_a];
        let mut work = vec![0.0; g.frame_a];
        put("01", frame);
        window::emphasise_and_window(frame, &ones, &mut work);
        put("02", &work);
        window::emphasise_and_window(frame, tables.hamming, &mut work);
        put("03", &work);

        let values = analysis.stream_a(frame, tables, scratch, &mut probe);
        let (re, im) = (&scratch.re[..g.bins_a()], &scratch.im[..g.bins_a()]);
        let last = g.bins_a() - 1;
        let mut packed = vec![re[0], re[last]];
        for (&re, &im) in re[1..last].iter().zip(&im[1..last]) {
            packed.extend([re, im]);
        }
        put("04", &packed);
        let mag = &scratch.mag[..g.bins_a()];
        put("05", mag);
        put("06", &mfcc_bank.apply(tables.mfcc_weights, mag));
        put("07", &values[1..16]);
        put("08", &log_bank.apply(tables.log_weights, mag));
        put("09", &values[16..24]);
        let resampled = resampler.apply(tables.resample, re, im, scratch.data);
        put("10", resampled);
        let coefficients = lpc::lpc(resampled);
        put("11", &coefficients);
        assert_eq!(lsp::lsp(&coefficients), values[24..]);
        put("12", &values[24..]);
        put("13", &values[..1]);
    }

    let mut pitch = PitchContour::new(FeatureSet::Emobase2010.voicing_threshold());
    let mut tracker = PeriodTracker::new(&g);
    for (n, at) in frames(g.frame_b).enumerate() {
        let frame = &samples[at..at + g.frame_b];
        let mut work = vec![0.0; g.fft_b];
        put("14", frame);
        window::apply(frame, tables.gauss, &mut work);
        put("15", &work[..g.frame_b]);
        let best = analysis.stream_b(frame, tables, scratch, &mut probe);
        let bins = g.bins_b();
        let (mut re, mut im, mut mag) = (vec![0.0; bins], vec![0.0; bins], vec![0.0; bins]);
        fft.apply(tables.twiddles_b, &mut work, &mut re, &mut im, &mut mag);
        put("16", &mag);
        Spline::new(bins, tables.spline).apply(&mag, &mut im, &mut re, &mut work[..bins]);
        put("17", &work[..bins]);
        harmonics.apply(&mut work, &mut mag);
        let found = harmonics.candidates(&mag);
        assert_eq!(found.first().copied().unwrap_or_default(), best);
        let mut list = [Candidate::default(); 3];
        list[..found.len()].copy_from_slice(&found);
        let mut row = vec![found.len() as f32];
        row.extend(list.map(|c| c.f0));
        row.extend(list.map(|c| c.voicing));
        row.extend(list.map(|c| c.score));
        put("18", &row);
        let Some(frame) = pitch.push(best) else {
            continue;
        };
        put("19", &[frame.envelope, frame.voicing]);
        put("20", &[frame.f0]);
        let mut bounds = Bounds {
            low: &mut re,
            high: &mut im,
        };
        let quality = tracker.push(n as u64 - 1, frame.f0, samples, 0, &mut bounds);
        put(
            "21",
            &[
                quality.jitter_local,
                quality.jitter_ddp,
                quality.shimmer_local,
            ],
        );
    }

    for row in contours(rate, samples) {
        put("22", &row[..2 * GROUP1_CONTOURS]);
        put("23", &row[2 * GROUP1_CONTOURS..]);
    }
    out
}

/// By frame, what enters the functionals: 34 smoothed contours, their deltas, 4 smoothed contours and their deltas.
fn contours(rate: u32, samples: &[f32]) -> Vec<Vec<f32>> {
    let config = Config::for_samples(rate, samples.len(), FeatureSet::Emobase2010);
    let mut extractor = Extractor::owned(config).expect("configuration");
    extractor.push(samples).expect("room");
    extractor.finish(&mut Features::zeroed()).expect("features");
    let rows = extractor.pitch_frames().saturating_sub(2).max(1);
    let contours: Vec<&[f32]> = extractor
        .contours()
        .expect("contours")
        .map(|(_, contour)| &contour[..extractor.pitch_frames()])
        .collect();
    let mut columns = Vec::new();
    for group in [&contours[..GROUP1_CONTOURS], &contours[GROUP1_CONTOURS..]] {
        columns.extend(group.iter().map(|contour| contour[..rows].to_vec()));
        columns.extend(group.iter().map(|contour| {
            let mut deltas = vec![0.0; rows];
            delta::delta(contour, &mut deltas);
            deltas
        }));
    }
    (0..rows)
        .map(|n| columns.iter().map(|column| column[n]).collect())
        .collect()
}

fn read(file: &Path) -> Rows {
    let text = fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',');
            let frame = cells.next().and_then(|v| v.parse().ok()).expect("frame");
            let values = cells.map_while(|v| v.parse().ok()).collect();
            (frame, values)
        })
        .collect()
}

/// Tolerance by stage, relative to the reference value or to 1 % of a scale. The reference is printed with seven digits, which alone is 5e-7;
/// logarithms of the MFCC bands, the spline, and differences of neighbouring frames add rounding.
const TOLERANCE: f32 = 1e-6;
const LOOSER: [(&str, f32); 4] = [("07", 2e-5), ("17", 5e-6), ("22", 1e-3), ("23", 1e-3)];

/// Scale below which 1 % a difference does not count.
#[derive(Clone, Copy)]
enum Scale {
    /// The largest value of the frame: for spectra and the like.
    Frame,
    /// The largest value of the column: for contours of various units.
    Contour,
}

/// Compares the frames of `reference` that are also in `ours`.
fn assert_agree(name: &str, ours: &[Vec<f32>], reference: &Rows, scale: Scale, tolerance: f32) {
    let largest =
        |values: &mut dyn Iterator<Item = &f32>| values.fold(0.0f32, |a, v| a.max(v.abs()));
    let mut compared = 0;
    for (frame, expected) in reference {
        let Some(values) = ours.get(*frame) else {
            continue;
        };
        assert_eq!(
            values.len(),
            expected.len(),
            "{name}, frame {frame}: columns"
        );
        for (column, (&value, &expected_value)) in values.iter().zip(expected).enumerate() {
            let scale = match scale {
                Scale::Frame => largest(&mut expected.iter()),
                Scale::Contour => largest(&mut reference.iter().filter_map(|(_, r)| r.get(column))),
            };
            assert!(
                (value - expected_value).abs()
                    <= tolerance * expected_value.abs().max(0.01 * scale),
                "{name}, frame {frame}, column {column}: {value:e}, openSMILE has {expected_value:e}"
            );
        }
        compared += 1;
    }
    assert!(compared > 0, "{name}: nothing was compared");
}

/// Compares every table of `folder` with what `trace` gives; returns how many there are.
fn assert_stages_agree(folder: &Path, stages: &Stages) -> usize {
    let mut tables = 0;
    for entry in fs::read_dir(folder).expect("folder of stages") {
        let path = entry.expect("entry").path();
        let stage = &path.file_name().expect("name").to_str().expect("UTF-8")[..2];
        let tolerance = LOOSER
            .iter()
            .find(|l| l.0 == stage)
            .map_or(TOLERANCE, |l| l.1);
        let name = path.display().to_string();
        let scale = if stage < "18" {
            Scale::Frame
        } else {
            Scale::Contour
        };
        assert_agree(&name, &stages[stage], &read(&path), scale, tolerance);
        tables += 1;
    }
    tables
}

#[test]
fn committed_stages_agree() {
    let (rate, samples, _) = common::golden("sh_300ms");
    let samples: Vec<f32> = samples.iter().map(|&v| f32::from(v) / 32767.0).collect();
    let folder = common::workspace().join("tests/golden/stages/sh_300ms");
    assert_eq!(assert_stages_agree(&folder, &trace(rate, &samples)), 23);
}

#[test]
fn reference_stages_agree() {
    let Some(folder) = common::shared("is10/reference") else {
        return;
    };
    let mut tables = 0;
    for entry in fs::read_dir(folder.join("intermediate")).expect("stages") {
        let stages = entry.expect("entry").path();
        let name = stages.file_name().expect("name").to_str().expect("UTF-8");
        let (rate, samples) = common::wav::read(&folder.join(format!("audio/{name}.wav")));
        tables += assert_stages_agree(&stages, &trace(rate, &samples));
    }
    assert_eq!(tables, 2 * 23 + 3 * 6);
}

/// Candidates and pitch contours of 36 utterances, and their 76 smoothed contours and deltas.
#[test]
fn reference_contours_agree() {
    let Some(folder) = common::shared("is10/reference") else {
        return;
    };
    let mut files = 0;
    for entry in fs::read_dir(folder.join("lld")).expect("contours") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().expect("name").to_str().expect("UTF-8");
        let (rate, samples) = common::wav::read(&folder.join(format!("audio/{name}.wav")));
        let stages = trace(rate, &samples);
        let pitch: Vec<Vec<f32>> = (0..stages["18"].len())
            .map(|n| {
                let of = |stage| stages[stage].get(n).cloned().unwrap_or_default();
                let (env, f0) = (of("19"), of("20"));
                [of("18"), f0, env, of("21")].concat()
            })
            .collect();
        let table = folder.join(format!("pitch_jitter/{name}.csv"));
        assert_agree(
            &table.display().to_string(),
            &pitch,
            &read(&table),
            Scale::Contour,
            2e-5,
        );
        assert_agree(
            &path.display().to_string(),
            &contours(rate, &samples),
            &read(&path),
            Scale::Contour,
            1e-3,
        );
        files += 1;
    }
    assert_eq!(files, 36);
}

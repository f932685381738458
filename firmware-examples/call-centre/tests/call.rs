//! The program on a call that espeak-ng speaks: the caller twice, the agent once in between.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// G.711 µ-law code of a sample (ITU-T G.711).
fn ulaw(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs()).min(32_635) + 0x84;
    let exponent = 31 - (magnitude as u32).leading_zeros() as i32 - 7;
    let mantissa = (magnitude >> (exponent + 3)) & 15;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// The call, interleaved: caller, then agent, then caller, a second and a half of silence between them.
static CALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let spoken = ser_build_support::clip(folder, 4.0).expect("espeak-ng");
    let spoken: Vec<f32> = spoken.into_iter().map(f32::from).collect();
    let spoken = ser_runtime::resample::resample(&spoken, 16_000, 8_000).expect("usual rates");
    let spoken: Vec<i16> = spoken.into_iter().map(|v| v as i16).collect();
    let silence = vec![0i16; 12_000];
    let quiet = vec![0i16; spoken.len()];
    let caller = [
        &silence, &spoken, &silence, &quiet, &silence, &spoken, &silence,
    ]
    .map(|s| s.as_slice());
    let agent = [
        &silence, &quiet, &silence, &spoken, &silence, &quiet, &silence,
    ]
    .map(|s| s.as_slice());
    caller
        .concat()
        .into_iter()
        .zip(agent.concat())
        .flat_map(|(c, a)| [ulaw(c), ulaw(a)])
        .collect()
});

fn run(arguments: &[&str], input: &[u8]) -> Output {
    let bundle = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/emodb-4class");
    let mut child = Command::new(env!("CARGO_BIN_EXE_call-centre"))
        .arg(bundle)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("call-centre");
    let written = child.stdin.take().expect("stdin").write_all(input);
    // A program that does not like its arguments reads nothing.
    assert!(written.is_ok() || !child.wait().expect("ended").success());
    child.wait_with_output().expect("ended")
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect()
}

/// The lines with a label or the reason why there is none, of one channel.
fn of(lines: &[serde_json::Value], channel: &str) -> Vec<serde_json::Value> {
    let spans = lines
        .iter()
        .filter(|l| l["channel"] == channel && l["start_s"].is_number());
    spans.cloned().collect()
}

#[test]
fn only_the_caller_unless_asked() {
    let call = &*CALL;
    let caller = lines(&run(&["--abstain", "0"], call));
    let (utterances, summary) = caller.split_at(caller.len() - 1);
    assert_eq!(utterances.len(), 2, "{utterances:?}");
    for (line, start) in utterances.iter().zip([1.5, 7.0]) {
        assert_eq!(line["channel"], "caller");
        assert!(line["label"].is_string(), "{line}");
        let found = line["start_s"].as_f64().expect("start");
        assert!(
            (found - start).abs() < 1.5,
            "{line} should start near {start}"
        );
        assert!(line["end_s"].as_f64() > line["start_s"].as_f64());
        // A telephone's band, brought to the model's rate.
        assert_eq!(line["quality"]["narrow_band"], true, "{line}");
    }
    assert_eq!(summary[0]["without_label_s"], serde_json::json!({}));

    let both = lines(&run(&["--channel", "both", "--abstain", "0"], call));
    assert_eq!(
        of(&both, "caller"),
        utterances,
        "the agent does not matter to the caller"
    );
    assert_eq!(of(&both, "agent").len(), 1);
}

#[test]
fn a_dial_tone_is_no_utterance_and_teaches_nothing() {
    let tone = |i: usize| 3_000.0 * (i as f64 * 425.0 * std::f64::consts::TAU / 8_000.0).sin();
    let tone: Vec<u8> = (0..24_000)
        .flat_map(|i| [ulaw(tone(i) as i16), ulaw(0)])
        .collect();
    let without = lines(&run(&["--abstain", "0"], &CALL));
    let with = lines(&run(&["--abstain", "0"], &[&tone[..], &CALL].concat()));
    let labelled = |lines: &[serde_json::Value]| -> Vec<serde_json::Value> {
        let lines = of(lines, "caller").into_iter();
        lines.filter(|l| l["label"].is_string()).collect()
    };
    let (with, without) = (labelled(&with), labelled(&without));
    assert_eq!(with.len(), without.len(), "{with:?}");
    assert_eq!(with[0]["label"], without[0]["label"]);
    // The noise floor behind the tone is another, so the cut may move by some frames; had the tone
    // taught the adaptation something, the numbers would be far apart.
    let probabilities = |line: &serde_json::Value| line["probabilities"].as_object().cloned();
    let (a, b) = (probabilities(&with[0]), probabilities(&without[0]));
    for (label, p) in a.expect("probabilities") {
        let other = b.as_ref().and_then(|b| b[&label].as_f64());
        let apart = p.as_f64().zip(other).map(|(p, o)| (p - o).abs());
        assert!(apart.is_some_and(|d| d < 0.1), "{label}: {apart:?}");
    }
}

#[test]
fn unsure_utterances_have_no_label_and_half_frames_are_named() {
    let call = &*CALL;
    let caller = lines(&run(&["--abstain", "1"], call));
    for line in &caller[..2] {
        assert!(line["label"].is_null(), "{line}");
        assert_eq!(line["reason"], "low confidence");
    }
    assert!(
        caller[2]["without_label_s"]["low confidence"].as_f64() > Some(1.0),
        "{}",
        caller[2]
    );
    let output = run(&[], &call[..call.len() - 1]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("within a frame"), "{said}");
    let output = run(&["--abstain", "1.1"], call);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("not a probability"), "{said}");
}

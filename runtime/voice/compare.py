"""Compares the segmenter frame by frame with silero-vad, webrtc-vad and earshot, on generated mixtures.

    python compare.py DATA SPANS_PROGRAM [--clips 24]

DATA: the folder with `manifest.csv`, EMO-DB and RAVDESS. SPANS_PROGRAM: the example `spans`. Writes tables in Markdown.

A frame of 10 ms is speech if the clean recording is there less than 35 dB below its loudest frame (gaps of 150 ms closed).
Hits: share of those frames that a detector calls speech. False alarms: share of the frames more than 0.25 s after and 0.1 s
before any speech. `frames` is what a detector says of each frame (its default threshold), `utterances` what comes of it after
its own smoothing: our spans, and silero's `get_speech_timestamps`.
"""

import argparse
import subprocess
from collections import defaultdict

import earshot
import numpy as np
import silero_vad
import torch
import webrtcvad

import signals
from signals import FRAME, RATE, db

torch.set_num_threads(1)
SILERO = silero_vad.load_silero_vad(onnx=True)


def frames_of(spans, n, per_frame):
    out = np.zeros(n, bool)
    for a, b in spans:
        out[round(a / per_frame) : round(b / per_frame)] = True
    return out


def ours(program, x, rate, n):
    out = subprocess.run([program, str(rate), "--frames"], input=x.astype("<f4").tobytes(), capture_output=True, check=True)
    spans, p = [], np.zeros(n)
    for line in out.stdout.decode().splitlines():
        word = line.split()
        if word[0] == "frame":
            if int(word[1]) < n:
                p[int(word[1])] = float(word[2])
        elif word[0] == "span" and word[3] == "Speech":
            spans.append((int(word[1]), int(word[2])))
    return {"ours, frames": p >= 0.5, "ours, utterances": frames_of(spans, n, rate / 100)}


def silero(x, rate, n):
    y = torch.from_numpy(x.astype(np.float32))
    SILERO.reset_states()
    p = SILERO.audio_forward(y, sr=rate)[0].numpy()
    chunk = 512 if rate == 16_000 else 256
    at = np.minimum((np.arange(n) * rate // 100 + rate // 200) // chunk, len(p) - 1)
    SILERO.reset_states()
    spans = silero_vad.get_speech_timestamps(y, SILERO, sampling_rate=rate)
    return {
        "silero, frames": p[at] >= 0.5,
        "silero, utterances": frames_of([(s["start"], s["end"]) for s in spans], n, rate / 100),
    }


def webrtc(x, rate, n):
    pcm = (np.clip(x, -1, 1) * 32767).astype("<i2")
    step = rate // 100
    found = {}
    for mode in (1, 3):
        vad = webrtcvad.Vad(mode)
        found[f"webrtc mode {mode}, frames"] = np.array(
            [vad.is_speech(pcm[i * step : (i + 1) * step].tobytes(), rate) for i in range(n)]
        )
    return found


def ear(x, rate, n):
    y = signals.resample(x, RATE / rate).astype(np.float32)
    detector = earshot.Detector()
    p = np.array([detector.predict_f32(y[i : i + 256]) for i in range(0, len(y) - 255, 256)])
    at = np.minimum((np.arange(n) * FRAME + FRAME // 2) // 256, len(p) - 1)
    return {"earshot, frames": p[at] >= 0.5}


def every(program, x, rate):
    n = len(x) // (rate // 100)
    return ours(program, x, rate, n) | silero(x, rate, n) | webrtc(x, rate, n) | ear(x, rate, n)


def speech(rng, clips, many):
    """Recordings of `many` with pauses, each at the same level; which frames are speech."""
    parts, labels = [np.zeros(RATE)], [np.zeros(100, bool)]
    for i in rng.permutation(len(clips))[:many]:
        y = clips[i][1]
        y = y[: len(y) // FRAME * FRAME]
        active = signals.spoken(y, depth=35.0)
        y = y / np.sqrt(np.mean(y[np.repeat(active, FRAME)] ** 2))
        gap = int(rng.uniform(0.8, 2.0) * 100)
        parts += [y, np.zeros(gap * FRAME)]
        labels += [active, np.zeros(gap, bool)]
    return np.concatenate(parts), np.concatenate(labels)


def far(label):
    """Frames well away from speech."""
    near = label.copy()
    for shift in range(1, 26):
        near[shift:] |= label[:-shift]
        if shift <= 10:
            near[:-shift] |= label[shift:]
    return ~near


def noises(rng, n, clips):
    return {
        "white": signals.coloured(rng, n, 0),
        "pink": signals.coloured(rng, n, 1),
        "car": signals.shaped(rng, n, lambda f: (f > 30) / f),
        "band": signals.band(rng, n, 500, 400),
        "hum": signals.harmonics(rng, n, 50, many=30) + 0.3 * signals.coloured(rng, n, 1),
        "machine": signals.engine(rng, n),
        "swelling": signals.coloured(rng, n, 1) * signals.slow_curve(rng, n, 1.0, 4),
        "babble": signals.babble(rng, n, clips, 16),
    }


def others(rng, n, clips):
    """Sounds without speech."""
    keyed = signals.keyed
    return {
        "dial tone 350 + 440": signals.sines((350, 440), n),
        "dial tone 425": signals.sines((425,), n),
        "busy 425, 0.5 s": keyed(rng, n, lambda: 0.5, lambda: 0.5, lambda m: signals.sines((425,), m)),
        "ringing 440 + 480": keyed(rng, n, lambda: 2.0, lambda: 4.0, lambda m: signals.sines((440, 480), m)),
        "DTMF": keyed(rng, n, lambda: 0.1, lambda: 0.1, lambda m: signals.sines((rng.choice(signals.ROWS), rng.choice(signals.COLUMNS)), m)),
        "beeps": keyed(rng, n, lambda: 0.2, lambda: 0.8, lambda m: signals.sines((1000,), m)),
        "modem": np.sin(2 * np.pi * np.cumsum(np.repeat(np.where(rng.integers(0, 2, n // 53 + 1), 1200, 2200), 53)[:n]) / RATE),
        "hum 50 Hz": signals.harmonics(rng, n, 50, many=30),
        "music": np.concatenate([signals.music(rng, n // 6) for _ in range(6)]),
        "clicks, keys, coughs": np.concatenate([signals.bursts(rng, n // 6) for _ in range(6)]),
        "engines": np.concatenate([signals.engine(rng, n // 6) for _ in range(6)]),
        "noise in steps": np.concatenate([signals.stepped(rng, n // 6) for _ in range(6)]),
        "pulsed noise": np.concatenate([signals.pulsed(rng, n // 6) for _ in range(6)]),
        "babble of 16": signals.babble(rng, n, clips, 16),
        "white": signals.coloured(rng, n, 0),
        "car": signals.shaped(rng, n, lambda f: (f > 30) / f),
    }


def table(title, rows, columns):
    print(f"\n{title}\n")
    print("| | " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * len(columns))
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells[c] for c in columns) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("program")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--snr", type=float, nargs="*", default=[20, 10, 5, 0])
    args = parser.parse_args()
    for corpus in ("emodb", "ravdess"):
        rng = np.random.default_rng(11)
        clips = signals.read_corpus(args.data, corpus)
        x, label = speech(rng, clips, args.clips)
        away = far(label)
        kinds = noises(rng, len(x), clips)
        for rate in (8_000, 16_000):
            rows, by_noise = defaultdict(dict), defaultdict(dict)
            for snr in [None, *args.snr]:
                sums = defaultdict(list)
                for kind, noise in [("-60 dB white", kinds["white"])] if snr is None else kinds.items():
                    y = (x + noise * db(-60 if snr is None else -snr)) * db(-26)
                    for name, said in every(args.program, signals.resample(y, rate / RATE), rate).items():
                        m = min(len(said), len(label))
                        hit, alarm = said[:m][label[:m]].mean(), said[:m][away[:m]].mean()
                        sums[name].append((hit, alarm))
                        if snr == 5:
                            by_noise[name][kind] = f"{100 * hit:.1f} / {100 * alarm:.1f}"
                for name, values in sums.items():
                    hit, alarm = np.mean(values, axis=0)
                    rows[name]["quiet" if snr is None else f"{snr:g} dB"] = f"{100 * hit:.1f} / {100 * alarm:.1f}"
            where = f"{corpus}, {rate // 1000} kHz: hits / false alarms, %"
            table(f"{where}, mean over the noises", rows, ["quiet", *(f"{s:g} dB" for s in args.snr)])
            if by_noise:
                table(f"{where}, at 5 dB", by_noise, list(kinds))
    clips = signals.read_corpus(args.data, "emodb")
    for rate in (8_000, 16_000):
        rng = np.random.default_rng(12)
        rows = defaultdict(dict)
        sounds = others(rng, 60 * RATE, clips)
        for kind, y in sounds.items():
            y = signals.unit(y) * db(-26) + rng.standard_normal(len(y)) * db(-70)
            for name, said in every(args.program, signals.resample(y, rate / RATE), rate).items():
                rows[kind][name] = f"{100 * said.mean():.1f}"
        table(f"Sixty seconds without speech, {rate // 1000} kHz: share of the time that is called speech, %", rows, list(rows["white"]))


if __name__ == "__main__":
    main()

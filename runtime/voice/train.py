"""Trains the detector of voices and writes its table.

    python train.py DATA FEATURES_PROGRAM TABLE [--tracks 1500] [--epochs 24]

DATA: the folder with `manifest.csv` and EMO-DB. FEATURES_PROGRAM: the example `voice_features`, which computes what the
network sees with the code that ships. TABLE: `runtime/src/voice/table.rs`. Versions: requirements.txt.
"""

import argparse
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

import signals

FEATURES = 36
HIDDEN = 24
LOOK_AHEAD = 8
LONGEST = 800
RATES = (8_000, 16_000, 16_000, 48_000, 44_100, 22_050, 11_025, 24_414, 32_000, 12_345)


def features(program, x, rate):
    out = subprocess.run([program, str(rate)], input=x.astype("<f4").tobytes(), capture_output=True, check=True).stdout
    return np.frombuffer(out, "<f4").reshape(-1, FEATURES)


def one(program, clips, seed):
    """Stretches of a track in which the detector listens: inputs and targets."""
    rng = np.random.default_rng([20_261_125, seed])
    x, label = signals.track(rng, clips)
    rate = int(RATES[seed % len(RATES)])
    seen = features(program, signals.resample(x, rate / signals.RATE), rate)
    n = min(len(seen), len(label))
    target = np.concatenate([np.zeros(LOOK_AHEAD, bool), label])[:n]
    on = np.isfinite(seen[:n, 0])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return [
        (seen[a:b][k : k + LONGEST], target[a:b][k : k + LONGEST])
        for a, b in zip(edges[::2], edges[1::2])
        for k in range(0, b - a, LONGEST)
    ]


def batches(rng, pieces, frames):
    order = sorted(range(len(pieces)), key=lambda i: (len(pieces[i][0]) // 40, rng.random()))
    groups, group, longest = [], [], 0
    for i in order:
        longest = max(longest, len(pieces[i][0]))
        group.append(i)
        if longest * len(group) >= frames:
            groups.append(group)
            group, longest = [], 0
    if group:
        groups.append(group)
    rng.shuffle(groups)
    return groups


def padded(pieces, group):
    n = max(len(pieces[i][0]) for i in group)
    x = np.zeros((len(group), n, FEATURES), np.float32)
    y, mask = np.zeros((len(group), n), np.float32), np.zeros((len(group), n), np.float32)
    for row, i in enumerate(group):
        k = len(pieces[i][0])
        x[row, :k], y[row, :k], mask[row, :k] = pieces[i][0], pieces[i][1], 1
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(mask)


class Net(torch.nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std
        self.gru = torch.nn.GRU(FEATURES, HIDDEN, batch_first=True)
        self.out = torch.nn.Linear(HIDDEN, 1)

    def forward(self, x):
        return self.out(self.gru((x - self.mean) / self.std)[0])[..., 0]


def numbers(values):
    return ", ".join(f"{v:.5e}" if abs(v) < 1e-4 else f"{v:.5f}" for v in np.asarray(values, np.float64))


def wrapped(text, indent):
    words, lines, line = text.split(" "), [], ""
    for word in words:
        if len(line) + len(word) + 1 + indent > 98:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "\n".join(" " * indent + v for v in lines + [line])


def write_table(path, net, note):
    p = {k: v.detach().numpy().astype(np.float64) for k, v in net.state_dict().items()}
    # The normalisation of the inputs goes into the first matrix.
    w = p["gru.weight_ih_l0"] / net.std.numpy()
    b = p["gru.bias_ih_l0"] - w @ net.mean.numpy()
    out = [
        "//! Parameters of the network, written by `runtime/voice/train.py`. " + note,
        "",
        "use super::analysis::FEATURES;",
        "",
        "/// Units of the recurrent layer.",
        f"pub(super) const HIDDEN: usize = {HIDDEN};",
    ]

    def vector(name, doc, values):
        out.append(f"/// {doc}\n#[rustfmt::skip]\npub(super) static {name}: [f32; {len(values) // HIDDEN} * HIDDEN] = [")
        out.append(wrapped(numbers(values) + ",", 4) + "\n];")

    def matrix(name, doc, columns, values):
        out.append(f"/// {doc}\n#[rustfmt::skip]\npub(super) static {name}: [[f32; {columns}]; 3 * HIDDEN] = [")
        out.extend(wrapped("[" + numbers(row) + "],", 4) for row in values)
        out.append("];")

    matrix("INPUT", "Inputs to gates: reset, update, new.", "FEATURES", w)
    vector("INPUT_BIAS", "Bias beside the inputs.", b)
    matrix("STATE", "State to gates.", "HIDDEN", p["gru.weight_hh_l0"])
    vector("STATE_BIAS", "Bias beside the state.", p["gru.bias_hh_l0"])
    vector("OUTPUT", "State to output.", p["out.weight"][0])
    out.append("/// Bias of the output.")
    out.append(f"pub(super) const OUTPUT_BIAS: f32 = {p['out.bias'][0]:.5f};")
    Path(path).write_text("\n".join(out) + "\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("program")
    parser.add_argument("table")
    parser.add_argument("--tracks", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--hold-out", nargs="*", default=[], help="speakers that are measured, not trained on")
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(2)
    clips = signals.read_corpus(args.data, "emodb")
    known = [c for c in clips if c[0] not in args.hold_out]
    began = time.time()
    with ThreadPoolExecutor(2) as pool:
        pieces = [p for ps in pool.map(lambda s: one(args.program, known, s), range(args.tracks)) for p in ps]
        others = [c for c in clips if c[0] in args.hold_out] or known
        tests = [p for ps in pool.map(lambda s: one(args.program, others, 1_000_000 + s), range(args.tracks // 10)) for p in ps]
    every = np.concatenate([p[0] for p in pieces])
    share = np.concatenate([p[1] for p in pieces]).mean()
    print(f"{len(pieces)} pieces, {len(every)} frames, {share:.3f} speech, {time.time() - began:.0f} s", flush=True)
    mean, std = every.mean(axis=0), every.std(axis=0) + 1e-3
    net = Net(torch.from_numpy(mean), torch.from_numpy(std))
    rng = np.random.default_rng(7)
    groups = batches(rng, pieces, 16_000)
    steps = args.epochs * len(groups)
    optimiser = torch.optim.AdamW(net.parameters(), lr=6e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=steps + args.epochs * 4, pct_start=0.15)
    loss_of = torch.nn.BCEWithLogitsLoss(reduction="none")
    for epoch in range(args.epochs):
        total = 0.0
        groups = batches(rng, pieces, 16_000)
        for group in groups:
            x, y, mask = padded(pieces, group)
            x = x + 0.05 * net.std * torch.randn_like(x)
            loss = (loss_of(net(x), y) * mask).sum() / mask.sum()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        if epoch % 4 == 3 or epoch == args.epochs - 1:
            with torch.no_grad():
                hits = np.zeros(4)
                for group in batches(rng, tests, 32_000):
                    x, y, mask = padded(tests, group)
                    p, m = net(x) > 0, mask > 0
                    hits += [float((p & (y > 0) & m).sum()), float(((y > 0) & m).sum()), float((p & (y == 0) & m).sum()), float(((y == 0) & m).sum())]
            print(f"epoch {epoch + 1}: loss {total / len(groups):.4f}, test hit {hits[0] / hits[1]:.4f}, false {hits[2] / hits[3]:.4f}, {time.time() - began:.0f} s", flush=True)
            write_table(args.table, net, f"{args.tracks} tracks, {args.epochs} epochs.")


if __name__ == "__main__":
    main()

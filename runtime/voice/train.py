"""Trains the detector of voices and writes its table.

    python train.py DATA FEATURES_PROGRAM TABLE [--tracks 2400] [--epochs 30] [--cache FILE]

DATA: the folder with `manifest.csv` and EMO-DB. FEATURES_PROGRAM: the example `voice_features`, which computes what the
network sees with the code that ships. TABLE: `runtime/src/voice/table.rs`. Versions: requirements.txt.
"""

import argparse
import pickle
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

import signals

FEATURES = 36
HIDDEN = 24
LOOK_AHEAD = 8
LONGEST = 1200
CHUNK = 200
BATCH = 128
# Tracks from this one on are hard ones.
HARD_FROM = 1600
RATES = (8_000, 16_000, 16_000, 48_000, 44_100, 22_050, 11_025, 24_414, 32_000, 12_345)


def features(program, x, rate):
    out = subprocess.run([program, str(rate)], input=x.astype("<f4").tobytes(), capture_output=True, check=True).stdout
    return np.frombuffer(out, "<f4").reshape(-1, FEATURES)


def one(program, clips, seed):
    """Stretches of a track in which the detector listens: inputs and targets."""
    rng = np.random.default_rng([20_261_125, seed])
    x, label = signals.track(rng, clips, is_hard=seed % 1_000_000 >= HARD_FROM)
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


def batches(rng, pieces):
    """Pieces of nearly the same length, in a random order."""
    order = sorted(range(len(pieces)), key=lambda i: (len(pieces[i][0]) // 100, rng.random()))
    groups = [order[i : i + BATCH] for i in range(0, len(order), BATCH)]
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

    def forward(self, x, state=None):
        y, state = self.gru((x - self.mean) / self.std, state)
        return self.out(y)[..., 0], state.detach()


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
    parser.add_argument("--tracks", type=int, default=2400)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--cache", help="file for what the program saw of the tracks, to train on it again")
    parser.add_argument("--hold-out", nargs="*", default=["EMO12", "EMO16"], help="speakers that are measured, not trained on")
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    clips = signals.read_corpus(args.data, "emodb")
    known = [c for c in clips if c[0] not in args.hold_out]
    began = time.time()
    others = [c for c in clips if c[0] in args.hold_out] or known
    if args.cache and Path(args.cache).exists():
        pieces, tests = pickle.loads(Path(args.cache).read_bytes())
    else:
        with ProcessPoolExecutor(2) as pool:
            seeds = range(args.tracks)
            pieces = sum(pool.map(partial(one, args.program, known), seeds, chunksize=20), [])
            seeds = range(1_000_000, 1_000_000 + args.tracks // 10)
            tests = sum(pool.map(partial(one, args.program, others), seeds, chunksize=20), [])
        if args.cache:
            Path(args.cache).write_bytes(pickle.dumps((pieces, tests)))
    every = np.concatenate([p[0] for p in pieces])
    share = np.concatenate([p[1] for p in pieces]).mean()
    print(f"{len(pieces)} pieces, {len(every)} frames, {share:.3f} speech, {time.time() - began:.0f} s", flush=True)
    mean, std = every.mean(axis=0), every.std(axis=0) + 1e-3
    net = Net(torch.from_numpy(mean), torch.from_numpy(std))
    rng = np.random.default_rng(7)
    optimiser = torch.optim.AdamW(net.parameters(), lr=8e-3, weight_decay=1e-2)
    loss_of = torch.nn.BCEWithLogitsLoss(reduction="none")
    done, total_steps = 0, args.epochs * len(batches(rng, pieces))
    for epoch in range(args.epochs):
        losses = []
        for group in batches(rng, pieces):
            done += 1
            rate = 8e-3 * min(1.0, done / (0.05 * total_steps)) * 0.5 * (1 + np.cos(np.pi * done / total_steps))
            for parameters in optimiser.param_groups:
                parameters["lr"] = rate
            x, y, mask = padded(pieces, group)
            x = x + 0.05 * net.std * torch.randn_like(x)
            state = None
            for at in range(0, x.shape[1], CHUNK):
                part = slice(at, at + CHUNK)
                said, state = net(x[:, part], state)
                loss = (loss_of(said, y[:, part]) * mask[:, part]).sum() / (BATCH * CHUNK)
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimiser.step()
                losses.append(float(loss.detach()) * BATCH * CHUNK / max(float(mask[:, part].sum()), 1.0))
        if epoch % 5 == 4 or epoch == args.epochs - 1:
            hits = np.zeros(4)
            with torch.no_grad():
                for group in batches(rng, tests):
                    x, y, mask = padded(tests, group)
                    p, y, m = net(x)[0] > 0, y > 0, mask > 0
                    hits += [float(v.sum()) for v in (p & y & m, y & m, p & ~y & m, ~y & m)]
            print(
                f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, test hit {hits[0] / hits[1]:.4f},"
                f" false {hits[2] / hits[3]:.4f}, {time.time() - began:.0f} s",
                flush=True,
            )
            write_table(args.table, net, f"{args.tracks} tracks, {args.epochs} epochs.")


if __name__ == "__main__":
    main()

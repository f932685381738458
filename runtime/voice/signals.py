"""Sounds that are no speech, and mixtures of them with speech: what the detector of voices is trained and compared on.

All of it is generated; the speech is EMO-DB (CC0). Signals are float arrays; levels are RMS on the scale -1..1.
"""

import csv
from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, lfilter, resample_poly, sosfilt

RATE = 16_000
FRAME = 160


def db(value):
    return 10.0 ** (value / 20.0)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x)) + 1e-20))


def unit(x):
    return x / rms(x)


def resample(x, ratio):
    """`x` at `ratio` times its rate."""
    f = Fraction(ratio).limit_denominator(400)
    return resample_poly(x, f.numerator, f.denominator) if f != 1 else x


def read_corpus(data, corpus, speakers=None):
    """Recordings of a corpus of the reference data: (speaker, samples at 16 kHz)."""
    rows = csv.DictReader(open(Path(data) / "manifest.csv"))
    found = []
    for row in rows:
        if row["corpus"] == corpus and (speakers is None or row["speaker"] in speakers):
            x, rate = soundfile.read(Path(data) / row["path"], dtype="float64")
            assert rate == RATE
            found.append((row["speaker"], x))
    return found


def powers(x, frame=FRAME):
    n = len(x) // frame
    return np.square(x[: n * frame]).reshape(n, frame).mean(axis=1)


def fill(active, gap):
    """Closes gaps of up to `gap` frames between active ones."""
    active = active.copy()
    at = np.flatnonzero(active)
    for a, b in zip(at[:-1], at[1:]):
        if 1 < b - a <= gap + 1:
            active[a:b] = True
    return active


def spoken(x, gap=15, depth=38.0):
    """Which frames of a clean recording hold speech: not `depth` dB below the loudest, short gaps closed."""
    p = np.convolve(powers(x), np.ones(3) / 3, mode="same")
    return fill(p > max(np.max(p) * 10 ** (-depth / 10), 1e-9), gap)


# --- noise -----------------------------------------------------------------


def shaped(rng, n, gain, rate=RATE):
    """Noise whose amplitude at f Hz is `gain(f)`."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.fft.rfftfreq(n, 1 / rate)
    return unit(np.fft.irfft(spectrum * gain(np.maximum(f, 1.0)), n))


def coloured(rng, n, power=None, rate=RATE):
    """1/f^power noise above a random corner."""
    power = rng.choice([0, 0.5, 1, 1.5, 2, 2.5]) if power is None else power
    low = rng.choice([10, 30, 60])
    return shaped(rng, n, lambda f: (f > low) * f ** (-power / 2), rate)


def band(rng, n, centre=None, width=None, rate=RATE):
    centre = np.exp(rng.uniform(np.log(80), np.log(3500))) if centre is None else centre
    width = centre * rng.uniform(0.1, 1.2) if width is None else width
    return shaped(rng, n, lambda f: np.abs(f - centre) < width / 2, rate)


def bumpy(rng, n):
    """Noise with a random smooth spectrum."""
    knots = rng.normal(0, 10, 12)
    tilt = rng.uniform(0, 1.5)

    def gain(f):
        x = np.log2(np.maximum(f, 40) / 40) / 8 * 11
        return db(np.interp(x, np.arange(12), knots)) * f ** (-tilt / 2)

    return shaped(rng, n, gain)


def slow_curve(rng, n, hz, depth_db):
    """A gain that wanders at up to `hz`."""
    knots = max(int(n / RATE * hz) + 2, 2)
    return db(np.interp(np.linspace(0, knots - 1, n), np.arange(knots), rng.normal(0, depth_db, knots)))


def noise(rng, n):
    kind = rng.integers(8)
    if kind < 3:
        x = coloured(rng, n)
    elif kind < 5:
        x = bumpy(rng, n)
    elif kind == 5:
        x = band(rng, n)
    elif kind == 6:
        x = coloured(rng, n) + rng.uniform(0.1, 2) * harmonics(rng, n)
    else:
        x = coloured(rng, n) + rng.uniform(0.3, 1.5) * band(rng, n)
    if rng.random() < 0.4:
        x = x * slow_curve(rng, n, rng.uniform(0.2, 3), rng.uniform(0.5, 4))
    return unit(x)


def pulsed(rng, n):
    """Noise or a tone that swells and falls at a syllable's rate."""
    x = noise(rng, n) if rng.random() < 0.7 else tone_complex(rng, n)
    t = np.arange(n) / RATE
    hz = rng.uniform(1, 12)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6))
    return unit(x * wave ** rng.uniform(0.5, 6))


def stepped(rng, n):
    """Noise in steps of gain."""
    x = noise(rng, n)
    at = 0
    while at < n:
        length = int(rng.uniform(0.2, 3) * RATE)
        x[at : at + length] *= db(rng.uniform(-20, 20))
        at += length
    return unit(x)


def envelope_noise(rng, n, clips):
    """Noise with the spectrum of noise and the loudness of speech."""
    speech = take(rng, clips, n)
    p = np.sqrt(np.convolve(speech**2, np.ones(480) / 480, mode="same"))
    return unit(noise(rng, n) * p)


# --- tones and machines ----------------------------------------------------


def harmonics(rng, n, hz=None, wander=0.0, many=None):
    """A harmonic sound at `hz` that wanders by `wander` octaves."""
    hz = rng.choice([50, 60, 100, 120, 400]) if hz is None else hz
    many = rng.integers(1, 40) if many is None else many
    f = hz * 2 ** (wander * (np.log2(slow_curve(rng, n, 1.0, 6)) if wander else np.zeros(n)))
    phase = 2 * np.pi * np.cumsum(f) / RATE
    slope = rng.uniform(0, 1.5)
    x = np.zeros(n)
    for k in range(1, many + 1):
        if hz * k > 7500:
            break
        x += k**-slope * rng.uniform(0, 1) * np.sin(k * phase + rng.uniform(0, 6))
    return unit(x + 1e-9 * rng.standard_normal(n))


def engine(rng, n):
    x = harmonics(rng, n, rng.uniform(20, 250), rng.uniform(0, 0.4))
    return unit(x + rng.uniform(0.05, 1) * noise(rng, n))


def tone_complex(rng, n):
    t = np.arange(n) / RATE
    x = np.zeros(n)
    for _ in range(rng.integers(1, 4)):
        x += np.sin(2 * np.pi * np.exp(rng.uniform(np.log(150), np.log(3300))) * t + rng.uniform(0, 6))
    return unit(x)


LINES = [(350, 440), (425,), (440, 480), (480, 620), (400, 450), (1000,), (950,), (1400,), (1800,), (440,), (400,), (1100,), (2100,)]
ROWS, COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)


def sines(hz, n):
    t = np.arange(n) / RATE
    return sum(np.sin(2 * np.pi * f * t) for f in hz)


def keyed(rng, n, on, off, make):
    """Sounds of `on` seconds with pauses of `off` seconds, edges of some milliseconds."""
    x = np.zeros(n)
    at = int(rng.uniform(0, 0.5) * RATE)
    while at < n:
        length = max(int(on() * RATE), 64)
        part = make(length)[: n - at]
        edge = min(int(rng.uniform(0.001, 0.02) * RATE), len(part) // 2)
        if edge:
            part = part.copy()
            part[:edge] *= np.linspace(0, 1, edge)
            part[-edge:] *= np.linspace(1, 0, edge)
        x[at : at + len(part)] += part
        at += length + int(off() * RATE)
    return unit(x + 1e-9 * rng.standard_normal(n))


def tones(rng, n):
    kind = rng.integers(7)
    if kind == 0:  # dial tone
        return unit(sines(LINES[rng.integers(len(LINES))], n))
    if kind == 1:  # busy, ringing
        line = LINES[rng.integers(len(LINES))]
        on, off = rng.choice([(0.5, 0.5), (0.25, 0.25), (2, 4), (1, 4), (0.4, 0.2), (0.35, 0.35), (0.1, 0.1)])
        return keyed(rng, n, lambda: on, lambda: off, lambda m: sines(line, m))
    if kind == 2:  # DTMF
        on, off = rng.uniform(0.05, 0.3), rng.uniform(0.04, 0.4)
        return keyed(rng, n, lambda: on, lambda: off, lambda m: sines((rng.choice(ROWS), rng.choice(COLUMNS)), m))
    if kind == 3:  # beeps
        hz = np.exp(rng.uniform(np.log(200), np.log(3300)))
        on, off = rng.uniform(0.03, 1.0), rng.uniform(0.03, 1.5)
        step = rng.choice([0, 0, 0.3])
        return keyed(rng, n, lambda: on, lambda: off, lambda m: sines((hz * 2 ** (step * rng.integers(-3, 4)),), m))
    if kind == 4:  # modem
        low, high = sorted(rng.uniform(600, 3000, 2))
        baud = rng.choice([75, 150, 300, 600, 1200])
        bits = np.repeat(rng.integers(0, 2, int(n / RATE * baud) + 2), int(RATE / baud) + 1)[:n]
        bits = np.pad(bits, (0, n - len(bits)))
        return unit(np.sin(2 * np.pi * np.cumsum(np.where(bits, high, low)) / RATE))
    if kind == 5:  # siren, sweep
        t = np.arange(n) / RATE
        hz = rng.uniform(300, 1500)
        f = hz * 2 ** (rng.uniform(0.1, 1) * np.sin(2 * np.pi * rng.uniform(0.1, 5) * t))
        if rng.random() < 0.5:
            f = hz * 2 ** (((t * rng.uniform(0.3, 4)) % 1) * rng.uniform(-1.5, 1.5))
        return unit(sum(np.sin(k * 2 * np.pi * np.cumsum(f) / RATE) / k ** rng.uniform(0.5, 3) for k in (1, 2, 3)))
    return tone_complex(rng, n)


# --- music -----------------------------------------------------------------

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10))


def note(rng, hz, n, timbre, vibrato, envelope):
    t = np.arange(n) / RATE
    bend = vibrato[0] * np.sin(2 * np.pi * vibrato[1] * t) * np.minimum(t * 4, 1)
    phase = 2 * np.pi * np.cumsum(hz * 2 ** bend) / RATE
    x = np.zeros(n)
    for k, a in enumerate(timbre, 1):
        if hz * k > 7500:
            break
        x += a * np.sin(k * phase) * (np.exp(-t * envelope[2] * k) if envelope[2] else 1)
    attack, release = envelope[0], envelope[1]
    return x * np.minimum(t / attack, 1) * np.minimum((t[-1] - t) / release, 1) * np.exp(-t * envelope[3])


def voice_part(rng, n, beat):
    x = np.zeros(n)
    scale = SCALES[rng.integers(len(SCALES))]
    base = rng.uniform(36, 74)
    timbre = rng.uniform(0, 1, rng.integers(1, 16)) * np.arange(1, 17)[: 1] ** 0
    timbre = timbre * (np.arange(len(timbre)) + 1.0) ** -rng.uniform(0.3, 2)
    vibrato = (rng.choice([0, 0.01, 0.03]) * rng.uniform(0.5, 2), rng.uniform(4, 7))
    envelope = (rng.choice([0.003, 0.02, 0.08]), 0.04, rng.choice([0, 0.5, 2]), rng.choice([0, 1, 4]))
    chord = rng.integers(1, 5)
    at, degree = 0, int(rng.integers(0, 10))
    while at < n:
        length = max(int(beat * rng.choice([0.25, 0.5, 1, 2, 4]) * RATE), 800)
        if rng.random() < 0.85:
            degree = int(np.clip(degree + rng.integers(-3, 4), 0, 14))
            for c in range(chord):
                d = degree + 2 * c
                pitch = base + scale[d % len(scale)] + 12 * (d // len(scale))
                part = note(rng, 440 * 2 ** ((pitch - 69) / 12), length, timbre, vibrato, envelope)[: n - at]
                x[at : at + len(part)] += part
        at += length
    return unit(x + 1e-9)


def drums(rng, n, beat):
    x = np.zeros(n)
    step = max(int(beat / rng.choice([1, 2, 4]) * RATE), 1000)
    for at in range(0, n, step):
        if rng.random() < 0.7:
            m = min(int(rng.uniform(0.05, 0.25) * RATE), n - at)
            t = np.arange(m) / RATE
            hit = rng.choice(3)
            if hit == 0:
                part = np.sin(2 * np.pi * (50 * t - 8 * np.exp(-t * 30)))
            else:
                part = rng.standard_normal(m)
                part = np.diff(part, prepend=0) if hit == 1 else part
            x[at : at + m] += part * np.exp(-t * rng.uniform(15, 60))
    return unit(x + 1e-9)


def music(rng, n):
    beat = 60 / rng.uniform(60, 180)
    x = sum(rng.uniform(0.3, 1) * voice_part(rng, n, beat) for _ in range(rng.integers(1, 4)))
    if rng.random() < 0.4:
        x = x + rng.uniform(0.2, 1.5) * drums(rng, n, beat)
    return unit(x)


# --- short sounds ----------------------------------------------------------


def resonant(rng, x):
    for _ in range(rng.integers(1, 4)):
        hz, width = rng.uniform(200, 3500), rng.uniform(60, 800)
        r = np.exp(-np.pi * width / RATE)
        x = lfilter([1.0], [1, -2 * r * np.cos(2 * np.pi * hz / RATE), r * r], x)
    return unit(x)


def burst(rng):
    """A click, key, knock, clap, cough, breath, bark, ..."""
    kind = rng.integers(6)
    if kind == 0:
        m = int(rng.uniform(0.001, 0.02) * RATE)
        return unit(rng.standard_normal(m) * np.exp(-np.arange(m) / m * 4))
    if kind == 1:  # key: down and up
        m = int(rng.uniform(0.06, 0.2) * RATE)
        x = np.zeros(m)
        for at in (0, int(m * rng.uniform(0.4, 0.8))):
            k = min(int(0.012 * RATE), m - at)
            x[at : at + k] += rng.uniform(0.3, 1) * rng.standard_normal(k) * np.exp(-np.arange(k) / 40)
        return resonant(rng, x)
    if kind == 2:  # knock
        m = int(rng.uniform(0.05, 0.3) * RATE)
        return resonant(rng, rng.standard_normal(m) * np.exp(-np.arange(m) / RATE * rng.uniform(20, 100)))
    if kind == 3:  # cough: an explosion, then breath
        m = int(rng.uniform(0.15, 0.5) * RATE)
        t = np.linspace(0, 1, m)
        e = np.exp(-t * rng.uniform(3, 8)) + rng.uniform(0, 0.5) * np.exp(-(((t - 0.6) / 0.15) ** 2))
        e *= np.minimum(t * 30, 1)
        x = resonant(rng, rng.standard_normal(m))
        if rng.random() < 0.3:
            x = x + rng.uniform(0.2, 1) * resonant(rng, harmonics(rng, m, rng.uniform(90, 350), 0.1, 25))
        return unit(x * e)
    if kind == 4:  # breath, rustle, splash
        m = int(rng.uniform(0.2, 1.0) * RATE)
        return unit(bumpy(rng, m) * np.hanning(m) * slow_curve(rng, m, rng.uniform(2, 40), 5))
    m = int(rng.uniform(0.05, 0.35) * RATE)  # bark, quack, squeak
    t = np.linspace(0, 1, m)
    f = rng.uniform(250, 1500) * 2 ** (rng.uniform(-1, 1) * t)
    x = sum(rng.uniform(0, 1) * np.sin(k * 2 * np.pi * np.cumsum(f) / RATE) for k in range(1, rng.integers(2, 8)))
    return unit(x * np.hanning(m) + rng.uniform(0, 0.5) * rng.standard_normal(m) * np.hanning(m))


def bursts(rng, n):
    x = np.zeros(n)
    state = rng.bit_generator.state["state"]["state"] % 2**32
    is_same = rng.random() < 0.7  # the same sound again and again
    mean = rng.choice([0.08, 0.15, 0.3, 0.7, 1.5])
    at = int(rng.uniform(0, 1) * RATE)
    while at < n:
        part = burst(np.random.default_rng(state)) if is_same else burst(rng)
        part = part[: n - at]
        x[at : at + len(part)] += db(rng.normal(0, 4)) * part
        at += int(rng.exponential(mean) * RATE) + int(0.02 * RATE)
    return unit(x + 1e-9)


# --- speech ----------------------------------------------------------------


def take(rng, clips, n):
    """`n` samples of speech without pauses between the recordings."""
    x = np.zeros(0)
    while len(x) < n:
        x = np.append(x, unit(clips[rng.integers(len(clips))][1]))
    at = rng.integers(0, len(x) - n + 1)
    return x[at : at + n]


def babble(rng, n, clips, many=None):
    many = int(np.exp(rng.uniform(np.log(8), np.log(40)))) if many is None else many
    return unit(sum(take(rng, clips, n) * db(rng.normal(0, 2)) for _ in range(many)))


def lossy(rng, x):
    """Packets of 20 ms are lost: zeros, or the one before again."""
    x = x.copy()
    packet = 320
    share = rng.uniform(0.005, 0.1)
    repeats = rng.random() < 0.5
    for at in range(packet, len(x) - packet, packet):
        if rng.random() < share:
            x[at : at + packet] = x[at - packet : at] if repeats else 0.0
    return x


def reverb(rng, x):
    m = int(rng.uniform(0.1, 0.6) * RATE)
    tail = rng.standard_normal(m) * np.exp(-np.arange(m) / m * 6.9)
    tail[0] = rng.uniform(4, 20)
    n = len(x) + m
    y = np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfft(tail, n), n)[: len(x)]
    return y / rms(y) * rms(x)


def telephone(rng, x):
    low, high = rng.uniform(150, 400), rng.uniform(3000, 3700)
    x = sosfilt(butter(4, [low, high], "band", fs=RATE, output="sos"), x)
    peak = np.max(np.abs(x)) + 1e-9
    y = x / peak * rng.uniform(0.05, 0.9)
    coded = np.sign(y) * np.log1p(255 * np.abs(y)) / np.log(256)
    coded = np.round(coded * 127) / 127
    return np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255 * peak


def equalised(rng, x):
    knots = rng.normal(0, 4, 8)
    spectrum = np.fft.rfft(x)
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    gain = np.interp(np.log2(np.maximum(f, 60) / 60), np.arange(8), knots)
    return np.fft.irfft(spectrum * db(gain), len(x))


def no_speech(rng, n, clips):
    """Any one sound that is no speech."""
    kind = rng.random()
    for share, make in (
        (0.26, noise),
        (0.07, pulsed),
        (0.05, stepped),
        (0.05, engine),
        (0.04, harmonics),
        (0.12, tones),
        (0.19, music),
        (0.14, bursts),
    ):
        if kind < share:
            return make(rng, n)
        kind -= share
    if kind < 0.03:
        return envelope_noise(rng, n, clips)
    return babble(rng, n, clips)


def beeps(rng, n):
    """A steady buzz or tone, low ones too, in pulses."""
    hz = np.exp(rng.uniform(np.log(70), np.log(1200)))
    many = 1 if rng.random() < 0.4 else rng.integers(2, 25)
    steady = harmonics(rng, n, hz, 0.0, many)
    on, off = rng.uniform(0.06, 1.0), rng.uniform(0.05, 1.0)
    if rng.random() < 0.3:
        hz = hz * 2 ** rng.uniform(-1, 1)
        other = harmonics(rng, n, hz, 0.0, many)
        steady = np.where(np.arange(n) // int((on + off) * RATE) % 2 == 0, steady, other)
    return keyed(rng, n, lambda: on, lambda: off, lambda m: steady[:m] if rng.random() < 0.5 else steady[-m:])


def melody(rng, n):
    return voice_part(rng, n, 60 / rng.uniform(60, 180))


def hard(rng, n, clips):
    """A sound that is easily taken for speech."""
    kind = rng.random()
    if kind < 0.4:
        return babble(rng, n, clips)
    if kind < 0.6:
        return beeps(rng, n)
    if kind < 0.75:
        return melody(rng, n)
    if kind < 0.85:
        return envelope_noise(rng, n, clips)
    return pulsed(rng, n) if kind < 0.9 else bursts(rng, n)


def track(rng, clips, seconds=12.0, is_hard=False):
    """A stream for training: samples at 16 kHz and which of its frames hold speech.

    In hard ones more of it is like speech and is none, and the speech lies in more noise.
    """
    n = int(seconds * RATE)
    x, label = np.zeros(n), np.zeros(n // FRAME, bool)
    has_speech = rng.random() < (0.4 if is_hard else 0.6)
    if has_speech:
        at = int(rng.choice([0, rng.exponential(1.0)]) * RATE) // FRAME * FRAME
        clip = clips[rng.integers(len(clips))]
        room = rng.random() < 0.25
        while at < n:
            if rng.random() < 0.4:
                clip = clips[rng.integers(len(clips))]
            else:
                same = [c for c in clips if c[0] == clip[0]]
                clip = same[rng.integers(len(same))]
            y = resample(clip[1], 1 / rng.choice([0.8, 0.87, 0.93, 1, 1, 1, 1.07, 1.15, 1.25, 1.35]))
            y = y / np.sqrt(np.mean(y[np.repeat(spoken(y), FRAME).nonzero()[0]] ** 2))
            frames = spoken(y)
            y = y[: n - at]
            frames = frames[: (n - at) // FRAME]
            x[at : at + len(y)] += y * db(rng.normal(0, 3))
            label[at // FRAME : at // FRAME + len(frames)] |= frames
            pause = rng.choice([0.0, rng.uniform(0.1, 0.6), rng.exponential(1.5)])
            at += (len(y) + int(pause * RATE)) // FRAME * FRAME + FRAME
        if room:
            x = reverb(rng, x)
        if rng.random() < 0.5:
            x = equalised(rng, x)
        snr = rng.choice([rng.uniform(-5, 12), rng.uniform(5, 25), rng.uniform(25, 60), 200])
        if is_hard:
            snr = rng.uniform(-3, 13)
        if snr < 100:
            other = noise(rng, n) if rng.random() < 0.55 else no_speech(rng, n, clips)
            x = x + other * db(-snr)
    else:
        at = 0
        while at < n:
            length = min(int(rng.uniform(1.5, 14) * RATE), n - at)
            if length > 4000:
                x[at : at + length] = (hard if is_hard else no_speech)(rng, length, clips) * db(rng.normal(0, 5))
            at += length + int(rng.choice([0, rng.exponential(0.7)]) * RATE)
        if rng.random() < 0.2:
            x = reverb(rng, x)
        if rng.random() < 0.6:
            x = x + noise(rng, n) * db(-rng.uniform(5, 50))
    if rng.random() < 0.3:
        x = telephone(rng, x)
    if rng.random() < 0.12:
        x = lossy(rng, x)
    x = x * db(rng.uniform(-45, -12))
    if rng.random() < 0.3:
        x = x + rng.standard_normal(n) * db(rng.uniform(-90, -60))
    return np.clip(x, -1, 1), label

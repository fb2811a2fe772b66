"""Makes other recordings of the same utterance, on mel energies: a room, noise, a microphone, a line, another throat.

Energies of sounds that are mixed add up, near enough; so one utterance is heard under new conditions in every epoch at
the price of a few array operations. Nothing is recorded: the noises are made here.
"""

import numpy as np
from scipy.signal import lfilter

from features import BINS, FLOOR, RATE, log_mel



def centres():
    """Hz in the middle of every bin, on Slaney's scale: linear to 1 kHz, logarithmic above."""
    top = 15 + np.log(8.0) / (np.log(6.4) / 27)
    mel = np.linspace(0, top, BINS + 2)[1:-1]
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


HERTZ = centres()


def warps():
    """Matrices that move all frequencies by a factor, as a longer or shorter throat does."""
    matrices = []
    for factor in np.linspace(0.9, 1.12, 12):
        position = np.interp(np.minimum(HERTZ * factor, 8000), HERTZ, np.arange(BINS))
        below = np.minimum(position.astype(int), BINS - 2)
        matrix = np.zeros((BINS, BINS), np.float32)
        matrix[below, np.arange(BINS)] += 1 - (position - below)
        matrix[below + 1, np.arange(BINS)] += position - below
        matrices.append(matrix)
    return matrices


WARPS = warps()


def noises(rng, speech):
    """Energies of noises of half a minute each: coloured, humming, beating, clattering, and many voices at once."""
    seconds = 30
    count = seconds * RATE
    made = []
    for slope in np.linspace(0, 2, 9):
        spectrum = np.fft.rfft(rng.normal(size=count))
        spectrum /= np.maximum(np.fft.rfftfreq(count, 1 / RATE), 20) ** (slope / 2)
        wave = np.fft.irfft(spectrum, count)
        if rng.random() < 0.5:
            wave *= 1 + 0.9 * np.sin(2 * np.pi * rng.uniform(0.3, 6) * np.arange(count) / RATE)
        made.append(wave)
    for pitch in (50, 60, 120, 230):
        phase = np.cumsum(pitch * (1 + 0.02 * np.sin(np.arange(count) / RATE)) / RATE)
        harmonics = sum(np.sin(2 * np.pi * k * phase) / k for k in range(1, 20))
        made.append(harmonics + 0.05 * rng.normal(size=count))
    for rate in (1, 5, 20):
        clicks = (rng.random(count) < rate / RATE) * rng.normal(size=count)
        made.append(lfilter([1], [1, -1.6, 0.9], clicks) + 1e-3 * rng.normal(size=count))
    energies = [np.exp(log_mel((wave / np.abs(wave).max() * 0.5).astype(np.float32))) for wave in made]
    for voices in (2, 4, 8, 16):
        babble = np.zeros((seconds * 100, BINS))
        for _ in range(voices):
            start = rng.integers(0, len(speech) - len(babble))
            babble += np.exp(speech[start : start + len(babble)].astype(np.float32))
        energies.append(babble)
    return [(energy / energy.mean()).astype(np.float32) for energy in energies]


def stretch(log_energy, factor):
    """Spoken `factor` times as long, the pitch as it was."""
    frames = max(8, int(len(log_energy) * factor))
    position = np.linspace(0, len(log_energy) - 1, frames)
    below = np.minimum(position.astype(int), len(log_energy) - 2)
    part = (position - below)[:, None].astype(np.float32)
    return log_energy[below] * (1 - part) + log_energy[below + 1] * part


def curve(rng, decibels):
    """A smooth random response of a microphone, as factors of energy by bin."""
    points = rng.normal(0, decibels, 6)
    return np.exp(np.interp(np.arange(BINS), np.linspace(0, BINS - 1, 6), points) * np.log(10) / 10).astype(np.float32)


def record(rng, log_energy, before, after, noise_bank, changed):
    """Log-mel (before + frames + after, 80) of the utterance; with the probability `changed` in a condition drawn at random."""
    energy = np.exp(np.pad(log_energy.astype(np.float32), ((before, after), (0, 0)), constant_values=-40))
    if rng.random() < changed:
        energy = elsewhere(rng, energy, len(log_energy), noise_bank)
    gain = 10 ** (rng.uniform(-25, 8) / 10)
    floor = np.exp(FLOOR) * (1 + rng.exponential(5) * (rng.random() < 0.5))
    x = np.log(np.maximum(energy * gain, 0) + floor)
    hide(rng, x, FLOOR)
    return x


def elsewhere(rng, energy, spoken, noise_bank):
    """Another throat, a room, a microphone, noise, a line: each of them or not."""
    energy = energy @ WARPS[rng.integers(len(WARPS))]
    level = energy.sum() / spoken / BINS + 1e-12
    if rng.random() < 0.25:
        decay = np.exp(-1 / rng.uniform(3, 15))  # a room: energy dies away over 30 to 150 ms
        energy += lfilter([0, rng.uniform(0.02, 0.25)], [1, -decay], energy, axis=0).astype(np.float32)
    energy *= curve(rng, 3)
    if rng.random() < 0.75:
        noise = noise_bank[rng.integers(len(noise_bank))]
        start = rng.integers(0, len(noise) - len(energy))
        ratio = 10 ** (-rng.uniform(8, 45) / 10)
        energy += noise[start : start + len(energy)] * curve(rng, 3) * (level * ratio)
    if rng.random() < 0.4:  # telephones, old recordings, lossy codecs
        cut = rng.choice([3400, 3800, 4000, 4000, 5000, 6000, 7000])
        energy = np.where(HERTZ > cut, energy * 10 ** -rng.uniform(3, 8), energy)
        if rng.random() < 0.3:
            energy = np.where(HERTZ < 300, energy * 10 ** -rng.uniform(0.5, 3), energy)
    return energy


def hide(rng, x, value):
    """Bands and short times are wiped out, so that nothing is relied upon alone (SpecAugment, arXiv:1904.08779)."""
    for _ in range(rng.integers(0, 2)):
        width = rng.integers(1, 10)
        start = rng.integers(0, BINS - width)
        x[:, start : start + width] = rng.choice([value, x.mean()])
    for _ in range(rng.integers(0, 1 + len(x) // 100)):
        width = rng.integers(1, 6)
        start = rng.integers(0, len(x) - width)
        x[start : start + width] = rng.choice([value, x.mean()])

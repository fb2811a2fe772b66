"""Synthesises speech with free synthesisers of Debian and keeps it as log-mel features.

    speech.py OUT SENTENCES [--seed N] [--held-out] [--wav DIRECTORY]

Writes OUT.npz: the features of all utterances one after the other, where each begins, what was said and by whom. Silence at
both ends is cut: training puts it back at random. `--wav` also keeps recordings
and a manifest of them. `--held-out` speaks with the voices that training never hears.
"""

import argparse
import pathlib
import random
import subprocess
import tempfile

import numpy as np
import soundfile
from scipy.signal import resample_poly

from features import RATE, log_mel
from sentences import Words, sentences

DICTIONARY = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict"

FLITE = ["slt", "slt", "slt", "rms", "rms", "rms", "awb", "awb", "kal16", "kal16", "kal"]
ACCENTS = ["en-us", "en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc"]
VARIANTS = """f1 f2 f3 f5 m1 m2 m3 m4 m5 m7 m8 Alex Alicia Andrea Andy Annie Denis Diogo Gene Hugo Lee Mario Michael Mike
    Storm adam anika antonio belinda benjamin boris david ed edward iven john klatt klatt2 klatt4 linda max michel norbert
    pablo paul pedro quincy rob robert sandro shelby steph travis victor zac""".split()
HELD_OUT_ACCENTS = ["en-gb-scotland", "en-029"]
HELD_OUT_VARIANTS = ["f4", "m6", "caleb", "marcelo", "steph2"]


def flite(rng, text, path):
    voice = rng.choice(FLITE)
    stretch = rng.uniform(0.75, 1.25)
    options = ["--setf", f"duration_stretch={stretch:.2f}"]
    if voice in ("kal", "kal16"):
        options += ["--setf", f"int_f0_target_mean={rng.uniform(80, 150):.0f}"]
    else:
        options += ["--setf", f"f0_shift={rng.uniform(0.85, 1.2):.2f}"]
    subprocess.run(["flite", "-voice", voice, *options, "-t", text, "-o", path], check=True)
    return "flite-" + voice


def espeak(rng, text, path, accents=ACCENTS, variants=VARIANTS):
    voice = f"{rng.choice(accents)}+{rng.choice(variants)}"
    rate, pitch, gap = rng.randint(120, 215), rng.randint(20, 80), rng.choice([0, 0, 0, 1, 3])
    subprocess.run(["espeak-ng", "-v", voice, "-s", str(rate), "-p", str(pitch), "-g", str(gap), "-w", path, text], check=True)
    return "espeak-" + voice


def festival(_, text, path):
    subprocess.run(["text2wave", "-eval", "(voice_ked_diphone)", "-o", path], input=text.encode(), check=True)
    return "festival-ked"


def speak(rng, text, directory, held_out):
    """The utterance as samples at 16 kHz without silence at its ends, and the voice that spoke."""
    path = f"{directory}/spoken.wav"
    if held_out:
        voice = festival(rng, text, path) if rng.random() < 0.5 else espeak(rng, text, path, HELD_OUT_ACCENTS, HELD_OUT_VARIANTS)
    else:
        voice = flite(rng, text, path) if rng.random() < 0.7 else espeak(rng, text, path)
    samples, rate = soundfile.read(path, dtype="float32")
    # Played faster or slower a voice is another one: pitch and resonances move together.
    other = 1.0 if held_out else rng.choice([0.88, 0.92, 0.96, 1.0, 1.04, 1.08, 1.12, 1.18])
    divisor = np.gcd(RATE * 100, int(rate * other * 100))
    samples = resample_poly(samples, RATE * 100 // divisor, int(rate * other * 100) // divisor).astype(np.float32)
    return trim(samples), voice


def trim(samples, keep=0.02):
    """Without what is 45 dB below the loudest 10 ms at both ends, but for 20 ms."""
    hop = RATE // 100
    power = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(1)
    loud = np.flatnonzero(power > power.max() * 10**-4.5)
    margin = int(keep * RATE)
    return samples[max(0, loud[0] * hop - margin) : (loud[-1] + 1) * hop + margin]


def keep(folder, name, samples, text, kind):
    """Writes a recording with silence around it, and its line of the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    quiet = np.zeros(int(0.2 * RATE), np.float32)
    soundfile.write(folder / name, np.concatenate([quiet, samples, quiet]), RATE)
    manifest = folder / "manifest.tsv"
    header = "" if manifest.exists() else "path\ttranscript\tkind\n"
    with manifest.open("a", encoding="utf-8") as lines:
        lines.write(f"{header}{name}\t{text}\t{kind}\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("sentences", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--wav", type=pathlib.Path)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    features, starts, texts, kinds, voices = [], [0], [], [], []
    with tempfile.TemporaryDirectory() as directory:
        for kind, text in sentences(options.sentences, Words(DICTIONARY), options.seed + 1000):
            samples, voice = speak(rng, text, directory, options.held_out)
            samples *= 0.3 / max(np.abs(samples).max(), 1e-4)
            mel = log_mel(samples)
            if options.wav:
                keep(options.wav, f"{len(texts):05}.wav", samples, text, kind)
            features.append(mel.astype(np.float16))
            starts.append(starts[-1] + len(mel))
            texts.append(text), kinds.append(kind), voices.append(voice)
            if len(texts) % 500 == 0:
                print(f"{len(texts)} utterances, {starts[-1] / 360_000:.2f} h", flush=True)
    np.savez(options.out, features=np.concatenate(features), starts=starts, texts=texts, kinds=kinds, voices=voices)


if __name__ == "__main__":
    main()

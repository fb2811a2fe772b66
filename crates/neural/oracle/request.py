"""Whole requests and live ones, on the networks that `speed.py` writes: ours with a lexicon of 19 000 words, trigrams and lattices, by
either runtime, beside sherpa-onnx's greedy reading of the same file. One thread each; the least CPU time of rounds that take turns.

    python request.py FOLDER COMMAND AUDIO.wav SMALL

COMMAND is the example `pace` of crates/models, SMALL a package with a small network that hears the recording. Beside scores of random weights
any search is at a loss and long, so the large networks say what the small one says (`graft`). Live, the small one is timed by itself too.
"""

import collections
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import wave

import numpy as np
import sherpa_onnx

import graft
from oracle import RATE

ROUNDS, REPEATS = 3, 3
MODEL = pathlib.Path(os.environ.get("DICTUM_MODEL_DIR", "/usr/share/pocketsphinx/model/en-us"))
CHUNKS = (0.08, 0.16, 0.5, 1.0)


def package(folder, small):
    """The tokens of the small network, and a language model."""
    shutil.copy(small / "tokens.txt", folder)
    (folder / "package.toml").write_text(
        f'format = 1\nname = "{folder.name}"\nlanguage = "en-US"\nkind = "ctc"\nreleased = "2026-01-01"\nsample_rates = [16000]\n'
        f'[files]\nlanguage_model = "{MODEL / "en-us.lm.bin"}"\n', encoding="utf-8")


def greedy(recogniser, samples):
    """Least CPU time of sherpa-onnx for a recording."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        stream = recogniser.create_stream()
        stream.accept_waveform(RATE, samples)
        recogniser.decode_stream(stream)
        best = min(best, time.process_time() - began)
    return 1000 * best


def pace(command, package, audio, *keys):
    return subprocess.run([command, package, audio, *keys], check=True, capture_output=True, text=True).stdout.strip()


def main():
    folder, command, audio, small = pathlib.Path(sys.argv[1]), *sys.argv[2:4], pathlib.Path(sys.argv[4])
    with wave.open(audio) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    for name, grafted in ("whole", graft.whole), ("streaming", graft.streaming):
        target = folder / f"sure-{name}"
        target.mkdir(exist_ok=True)
        grafted(folder / name / "model.int8.onnx", small / "model.onnx", target / "model.int8.onnx")
        package(target, small)
    sure = folder / "sure-whole"
    recogniser = sherpa_onnx.OfflineRecognizer.from_nemo_ctc(
        model=str(sure / "model.int8.onnx"), tokens=str(sure / "tokens.txt"), num_threads=1)
    least = collections.defaultdict(lambda: float("inf"))
    for _ in range(ROUNDS):
        least["sherpa-onnx, greedy"] = min(least["sherpa-onnx, greedy"], greedy(recogniser, samples))
        for runtime in ("rten", "onnxruntime"):
            told = pace(command, sure, audio, f"runtime={runtime}", f"repeats={REPEATS}")
            cost = float(re.match(r"([\d.]+) ms of CPU", told).group(1))
            least[f"ours, {runtime}, lattice"] = min(least[f"ours, {runtime}, lattice"], cost)
    print(f"a recording of {len(samples) / RATE:.1f} s ({told.split(', ', 1)[1]}):")
    for what, cost in least.items():
        print(f"  {what}: {cost:.0f} ms, {cost / least['sherpa-onnx, greedy']:.2f} times")
    for live in (folder / "sure-streaming", small):
        for runtime in ("rten", "onnxruntime"):
            for chunk in CHUNKS:
                told = pace(command, live, audio, f"runtime={runtime}", f"chunk={chunk}", "repeats=2")
                print(f"{live.name}, {runtime}, {told}", flush=True)


if __name__ == "__main__":
    main()

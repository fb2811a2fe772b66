"""Whole requests and live ones, on the networks that `speed.py` writes: ours with a lexicon of 19 000 words, trigrams and lattices, by
either runtime, beside sherpa-onnx's greedy reading of the same file. One thread each; the least CPU time of rounds that take turns.

    python request.py FOLDER COMMAND AUDIO.wav [PACKAGE ...]

COMMAND is the example `pace` of crates/models; further packages are timed live as they are. Random weights that are sure of nothing would
make any search long, so the scores are spread and the blank raised until it wins six frames of seven, as trained networks have it.
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
import onnx
import onnxruntime
import sherpa_onnx
from onnx import numpy_helper

from graph import settle
from oracle import RATE, Network, features, normalised
from speed import TOKENS

ROUNDS, REPEATS = 3, 3
MODEL = pathlib.Path(os.environ.get("DICTUM_MODEL_DIR", "/usr/share/pocketsphinx/model/en-us"))
BLANKS = 6 / 7
CHUNKS = (0.08, 0.16, 0.5, 1.0)


def pieces():
    """Tokens in which English words can be written: letters, and the parts that save most."""
    saved = collections.Counter()
    for line in (MODEL / "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines():
        word = "▁" + line.split()[0]
        if word[1:].isalpha() and word[1:].isascii():
            for begin in range(len(word)):
                for length in range(2, 6):
                    part = word[begin : begin + length]
                    if len(part) == length and part != "▁":
                        saved[part] += length - 1
    letters = [mark + letter for mark in ("▁", "") for letter in "abcdefghijklmnopqrstuvwxyz'"]
    parts = [part for part, _ in saved.most_common(2 * TOKENS) if part not in letters]
    return (letters + parts)[: TOKENS - 1]


def score(folder, samples):
    network = Network(folder, "model.int8.onnx")
    if "window_size" not in network.metadata:
        frames = normalised(features("nemo-normalised", samples)).astype(np.float32)
        return network.run(frames.T[None].copy(), np.array([len(frames)], np.int64))[0][0]
    frames, found = features("nemo", samples), []
    window, shift = network.number("window_size"), network.number("chunk_shift")
    sizes = [[network.number(f"cache_last_{cache}_dim{k}") for k in (1, 2, 3)] for cache in ("channel", "time")]
    state = [np.zeros((1, *size), np.float32) for size in sizes] + [np.zeros(1, np.int64)]
    for at in range(0, len(frames) - window, shift):
        piece = frames[at : at + window].T[None].copy()
        scores, _, *state = network.run(piece, np.array([window], np.int64), *state)
        found.append(scores[0])
    return np.concatenate(found)


def package(folder, source, samples):
    """The network of `source`, made as sure as a trained one, with tokens and a language model."""
    if (folder / "package.toml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    network = folder / "model.int8.onnx"
    shutil.copy(source / "model.int8.onnx", network)
    settle(network, score(folder, samples))
    scores = score(folder, samples)
    lead = np.quantile(scores[:, :-1].max(axis=1) - scores[:, -1], BLANKS)
    model = onnx.load(network)
    values = {weight.name: weight for weight in model.graph.initializer if weight.name in ("centre", "sharpness")}
    centre = numpy_helper.to_array(values["centre"]).copy()
    centre[-1] += lead / float(numpy_helper.to_array(values["sharpness"]))
    values["centre"].CopyFrom(numpy_helper.from_array(centre, "centre"))
    onnx.save(model, network)
    table = "".join(f"{piece} {index}\n" for index, piece in enumerate(pieces())) + f"<blk> {TOKENS - 1}\n"
    (folder / "tokens.txt").write_text(table, encoding="utf-8")
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
    folder, command, audio = pathlib.Path(sys.argv[1]), *sys.argv[2:4]
    with wave.open(audio) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    for name in ("whole", "streaming"):
        package(folder / f"sure-{name}", folder / name, samples)
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
    for live in (folder / "sure-streaming", *sys.argv[4:]):
        for runtime in ("rten", "onnxruntime"):
            for chunk in CHUNKS:
                told = pace(command, live, audio, f"runtime={runtime}", f"chunk={chunk}", "repeats=2")
                print(f"{pathlib.Path(live).name}, {runtime}, {told}", flush=True)


if __name__ == "__main__":
    main()

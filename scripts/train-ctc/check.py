"""Recognises recordings with a package, by ONNX Runtime and by sherpa-onnx, and counts word errors of the best path.

    check.py PACKAGE MANIFEST [MANIFEST ...] [--only TEXT]

A manifest is a file of tab-separated columns with `path`, `transcript` and optionally `kind`. Both engines must read the
same; where they do not, that is said and the program fails.
"""

import argparse
import csv
import os
import pathlib
import re

import numpy as np
import onnxruntime
import sherpa_onnx
import soundfile
from scipy.signal import resample_poly

from errors import word_errors
from features import RATE, log_mel


class Package:
    def __init__(self, folder):
        one = onnxruntime.SessionOptions()
        one.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), one)
        lines = (folder / "tokens.txt").read_text(encoding="utf-8").splitlines()
        self.tokens = [line.rsplit(" ", 1)[0] for line in lines]
        self.other = sherpa_onnx.OfflineRecognizer.from_nemo_ctc(
            model=str(folder / "model.onnx"), tokens=str(folder / "tokens.txt"), num_threads=1
        )

    def read(self, samples):
        """The best path by ONNX Runtime, without the last frame of less than 40 ms, as sherpa-onnx does."""
        features = log_mel(samples).T[None].astype(np.float32)
        length = np.array([features.shape[2]], np.int64)
        scores = self.session.run(None, {"audio_signal": features, "length": length})[0][0]
        best = scores[: features.shape[2] // 4].argmax(-1)
        spelled = [self.tokens[token] for token, before in zip(best, [-1, *best]) if token != before]
        return "".join(token for token in spelled if token != "<blk>").replace("▁", " ").strip()

    def read_by_sherpa(self, samples):
        stream = self.other.create_stream()
        stream.accept_waveform(RATE, samples)
        self.other.decode_stream(stream)
        return stream.result.text.strip()


def recording(path):
    samples, rate = soundfile.read(path, dtype="float32")
    if samples.ndim > 1:
        samples = samples.mean(1)
    return resample_poly(samples, RATE, rate).astype(np.float32) if rate != RATE else samples


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("manifests", type=pathlib.Path, nargs="+")
    parser.add_argument("--only", default="", help="only paths in which this occurs")
    parser.add_argument("--show", action="store_true", help="print what was misheard")
    options = parser.parse_args()
    package = Package(options.package)
    counts, different = {}, 0
    for manifest in options.manifests:
        with manifest.open(encoding="utf-8") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                if options.only not in row["path"]:
                    continue
                samples = recording(manifest.parent / row["path"])
                heard, other = package.read(samples), package.read_by_sherpa(samples)
                if heard != other:
                    different += 1
                    print(f"{row['path']}: onnxruntime {heard!r}, sherpa-onnx {other!r}")
                said = re.sub(r"[^a-z' ]", " ", row["transcript"].lower())
                errors, words = word_errors(said, heard)
                if options.show and errors:
                    print(f"{row['path']}: {said!r} heard as {heard!r}")
                for kind in (row.get("kind") or os.path.dirname(row["path"]), "all"):
                    before = counts.get(kind, (0, 0, 0))
                    counts[kind] = before[0] + errors, before[1] + words, before[2] + 1
    for kind, (errors, words, clips) in sorted(counts.items()):
        print(f"{kind}: {100 * errors / max(words, 1):.1f} % word errors ({errors} of {words} words, {clips} recordings)")
    if different:
        raise SystemExit(f"{different} recordings are read differently")


if __name__ == "__main__":
    main()

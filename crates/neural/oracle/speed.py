"""The speed of a FastConformer of 112 million random weights, in eight bits, by `rten` and by ONNX Runtime, one thread each; and
what a piece of 160 ms costs when it is one with caches.

    python speed.py FOLDER COMMAND

COMMAND is the example `speed` of this crate. Rounds take turns, so that what else the machine does hits both; the least CPU
time of each counts.
"""

import pathlib
import re
import subprocess
import sys
import time

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

import networks

ROUNDS, REPEATS = 3, 5


TOKENS = 1025


def package(folder, write, **sizes):
    """Writes a network, once."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "model.int8.onnx").exists():
        return
    write(folder, width=512, heads=8, layers=17, kernel=9, inner=2048, channels=256, **sizes)
    table = "".join(f"▁t{index} {index}\n" for index in range(TOKENS - 1)) + f"<blk> {TOKENS - 1}\n"
    (folder / "tokens.txt").write_text(table, encoding="utf-8")
    quantize_dynamic(
        folder / "model.onnx", folder / "model.int8.onnx", op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8
    )
    (folder / "model.onnx").unlink()


def reference(session, seconds):
    """Least CPU time of ONNX Runtime, without features."""
    frames = int(seconds * 100)
    given = {
        "audio_signal": np.random.default_rng(0).standard_normal((1, 80, frames)).astype(np.float32),
        "length": np.array([frames], np.int64),
    }
    return least_time(session, given)


def least_time(session, given):
    """Least CPU time of ONNX Runtime for a run, milliseconds, after one to get warm."""
    session.run(None, given)
    best = float("inf")
    for _ in range(REPEATS):
        began = time.process_time()
        session.run(None, given)
        best = min(best, time.process_time() - began)
    return 1000 * best


def ours(command, folder, seconds):
    out = subprocess.run([command, folder, str(seconds), str(REPEATS)], check=True, capture_output=True, text=True).stdout
    return float(re.match(r"([\d.]+) ms of CPU", out).group(1))


def main():
    folder, command = pathlib.Path(sys.argv[1]), sys.argv[2]
    package(folder / "whole", networks.nemo, tokens=TOKENS)
    package(folder / "streaming", networks.nemo_streaming, size=TOKENS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "whole" / "model.int8.onnx"), options)
    for seconds in (1.0, 10.0):
        theirs, mine = float("inf"), float("inf")
        for _ in range(ROUNDS):
            theirs = min(theirs, reference(session, seconds))
            mine = min(mine, ours(command, folder / "whole", seconds))
        print(f"{seconds:4.0f} s of audio: ONNX Runtime {theirs:.0f} ms, ours {mine:.0f} ms, {mine / theirs:.2f} times as long")
    pieces = 10 / 0.16
    cost = min(ours(command, folder / "streaming", 10.0) for _ in range(ROUNDS)) / pieces
    print(f"with caches: {cost:.1f} ms for a piece of 160 ms")


if __name__ == "__main__":
    main()

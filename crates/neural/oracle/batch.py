"""Whether it pays to score the audio of several sessions in one run: CPU time for each session, by batches of 1 to 8, one thread.

    python batch.py FOLDER COMMAND

FOLDER has the networks that `speed.py` writes; COMMAND is the example `batch` of this crate. Rounds take turns; the least
of each counts.
"""

import pathlib
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from speed import least_time

BATCHES, ROUNDS, HEADS = (1, 2, 4, 8), 3, 8


def widened(folder):
    """The network with room for batches: its shapes say 1 where they can say "as before"."""
    path = folder / "batch.int8.onnx"
    if path.exists():
        return path
    model = onnx.load(folder / "model.int8.onnx")
    for weight in model.graph.initializer:
        if weight.data_type == onnx.TensorProto.INT64 and len(weight.dims) == 1 and weight.dims[0] >= 2:
            shape = numpy_helper.to_array(weight).copy()
            if shape[0] == 1 and shape[1] in (-1, HEADS):
                shape[0] = 0
                weight.CopyFrom(numpy_helper.from_array(shape, weight.name))
    onnx.save(model, path)
    return path


def shapes(kind, batch):
    if kind == "streaming":
        return {"audio_signal": (batch, 80, 25), "length": (1,), "cache_last_channel": (batch, 17, 70, 512),
                "cache_last_time": (batch, 17, 512, 8), "cache_last_channel_len": (1,)}
    frames = 100 * int(kind.split()[1])
    return {"audio_signal": (batch, 80, frames), "length": (1,)}


def ours(command, path, given):
    arguments = [f"{name}={'x'.join(map(str, shape))}" for name, shape in given.items()]
    out = subprocess.run([command, path, *arguments], check=True, capture_output=True, text=True).stdout
    return float(re.match(r"([\d.]+) ms", out).group(1))


def main():
    folder, command = pathlib.Path(sys.argv[1]), sys.argv[2]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # it warns at each run that outputs are wider than the graph says
    for kind in ("streaming", "whole 1", "whole 5"):
        path = widened(folder / kind.split()[0])
        session = onnxruntime.InferenceSession(str(path), options)
        known = {port.name for port in session.get_inputs()}
        least = {}
        for _ in range(ROUNDS):
            for batch in BATCHES:
                given = {name: shape for name, shape in shapes(kind, batch).items() if name in known}
                arrays = {name: np.full(shape, 1000, np.int64) if len(shape) == 1 else np.zeros(shape, np.float32)
                          for name, shape in given.items()}
                for runtime, cost in ("ONNX Runtime", least_time(session, arrays)), ("rten", ours(command, path, given)):
                    least[runtime, batch] = min(cost / batch, least.get((runtime, batch), float("inf")))
        for runtime in ("ONNX Runtime", "rten"):
            each = ", ".join(f"{batch}: {least[runtime, batch]:.1f} ms" for batch in BATCHES)
            print(f"{kind}, {runtime}: for each session of a batch of {each}")


if __name__ == "__main__":
    main()

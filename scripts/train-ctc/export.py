"""Writes a trained network as a package that sherpa-onnx and Dictum read: model.onnx, tokens.txt, and words.arpa for Dictum.

    export.py TRAINED PACKAGE

The graph is built by hand, operator by operator: strided convolutions with the normalisation folded in, `Relu`, residual
`Add`, and a mask that keeps what is behind an utterance's end silent, so that an utterance of a batch is scored as if it
were alone. Metadata is what sherpa-onnx's export of NeMo CTC models writes; `normalize_type` is empty, because the network
takes log-mel energies as they are, which lets it hear a live stream in pieces.
"""

import argparse
import pathlib
import pickle

import numpy as np
import onnx
import sentencepiece
from onnx import TensorProto, helper, numpy_helper

import language_model
import network
from features import BINS


class Graph:
    """Nodes and weights, each node named after what it makes."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def folded(layer, kept, taps, inward):
    """Weight (channels out, channels in, taps) and bias of a convolution with its normalisation."""
    factor = layer["scale"] / np.sqrt(kept["variance"] + network.EPSILON)
    weight = (layer["weight"] * factor).reshape(taps, inward, -1).transpose(2, 1, 0)
    return np.ascontiguousarray(weight, np.float32), (layer["offset"] - kept["mean"] * factor).astype(np.float32)


def mask(graph, lengths, x, name):
    """One where frame < length, of `x` (batch, channels, frames)."""
    shape = graph.node("Shape", [x], f"{name}_shape")
    frames = graph.node("Gather", [shape, "two"], f"{name}_frames")
    positions = graph.node("Range", ["zero", frames, "one"], f"{name}_positions")
    inside = graph.node("Less", [positions, graph.node("Unsqueeze", [lengths, "axes"], f"{name}_lengths")], f"{name}_inside")
    return graph.node("Cast", [inside], name, to=TensorProto.FLOAT)


def build(parameters, statistics, vocabulary):
    graph = Graph()
    for name, value in [("zero", 0), ("one", 1), ("two", 2)]:
        graph.constant(name, np.int64(value))
    graph.constant("axes", np.array([1, 2], np.int64))
    graph.constant("mean", np.float32(network.MEAN))
    graph.constant("scale", np.float32(1 / network.DEVIATION))
    x = graph.node("Sub", ["audio_signal", "mean"], "centred")
    x = graph.node("Mul", [x, "scale"], "scaled")
    audible = mask(graph, "length", x, "audible0")
    x = graph.node("Mul", [x, audible], "input")
    lengths = "length"
    for number, (layer, kept, shape) in enumerate(zip(parameters["layers"], statistics, network.layers()), 1):
        taps, stride, dilation, inward, outward = shape
        weight, bias = folded(layer, kept, taps, inward)
        margin = taps // 2 * dilation
        y = graph.node(
            "Conv", [x, graph.constant(f"weight{number}", weight), graph.constant(f"bias{number}", bias)], f"conv{number}",
            kernel_shape=[taps], strides=[stride], dilations=[dilation], pads=[margin, margin],
        )
        if stride > 1:
            step = graph.constant(f"stride{number}", np.int64(stride))
            rounded = graph.node("Add", [lengths, graph.constant(f"less{number}", np.int64(stride - 1))], f"rounded{number}")
            lengths = graph.node("Div", [rounded, step], f"lengths{number}")
            audible = mask(graph, lengths, y, f"audible{number}")
        y = graph.node("Mul", [graph.node("Relu", [y], f"relu{number}"), audible], f"masked{number}")
        x = graph.node("Add", [x, y], f"block{number}") if inward == outward and stride == 1 else y
    x = graph.node("Transpose", [x], "frames", perm=[0, 2, 1])
    x = graph.node("MatMul", [x, graph.constant("output", parameters["output"].astype(np.float32))], "products")
    x = graph.node("Add", [x, graph.constant("bias", parameters["bias"].astype(np.float32))], "logits")
    graph.node("LogSoftmax", [x], "logprobs", axis=-1)

    inputs = [
        helper.make_tensor_value_info("audio_signal", TensorProto.FLOAT, ["batch", BINS, "time"]),
        helper.make_tensor_value_info("length", TensorProto.INT64, ["batch"]),
    ]
    outputs = [helper.make_tensor_value_info("logprobs", TensorProto.FLOAT, ["batch", "frames_out", vocabulary])]
    made = helper.make_graph(graph.nodes, "digits-commands-names", inputs, outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="dictum train-ctc")
    metadata = {
        "model_type": "EncDecCTCModelBPE",
        "version": "1",
        "model_author": "dictum",
        "comment": "digits, commands and names; trained on synthesised speech",
        "vocab_size": str(vocabulary - 1),
        "subsampling_factor": str(network.SUBSAMPLING),
        "normalize_type": "",
    }
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trained", type=pathlib.Path)
    parser.add_argument("package", type=pathlib.Path)
    options = parser.parse_args()
    options.package.mkdir(parents=True, exist_ok=True)
    parameters, statistics = pickle.loads((options.trained / "network.pkl").read_bytes())
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(options.trained / "pieces.model"))
    tokens = [pieces.id_to_piece(piece) for piece in range(len(pieces))] + ["<blk>"]
    lines = "".join(f"{token} {number}\n" for number, token in enumerate(tokens))
    (options.package / "tokens.txt").write_text(lines, encoding="utf-8")
    language_model.write(options.package / "words.arpa")
    onnx.save(build(parameters, statistics, len(tokens)), options.package / "model.onnx")


if __name__ == "__main__":
    main()

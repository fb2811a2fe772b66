"""A builder of ONNX graphs with fixed random weights, and the layers that the networks of the oracle are made of."""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


class Graph:
    """Nodes and weights; methods give the names of the values that they make."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.constants = {}

    def input(self, name, kind, *shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, value, name, kind, *shape):
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def op(self, kind, *inputs, count=1, **attributes):
        names = [f"v{len(self.nodes)}_{index}" for index in range(count)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0] if count == 1 else names

    def constant(self, value, kind=np.int64):
        array = np.asarray(value, kind)
        key = (array.tobytes(), array.shape, array.dtype.str)
        if key not in self.constants:
            name = f"c{len(self.weights)}"
            self.weights.append(numpy_helper.from_array(array, name))
            self.constants[key] = name
        return self.constants[key]

    def number(self, value):
        return self.constant(value, np.float32)

    def weight(self, *shape, scale=None):
        fan_in = math.prod(shape[:-1]) if len(shape) == 2 else math.prod(shape[1:])
        scale = scale if scale is not None else 1 / math.sqrt(max(fan_in, 1))
        return self.constant(self.random.standard_normal(shape) * scale, np.float32)

    # Shapes.

    def size(self, x, axis):
        """The size of a dimension, as a vector of one."""
        return self.op("Gather", self.op("Shape", x), self.constant([axis]), axis=0)

    def reshape(self, x, *shape):
        return self.op("Reshape", x, self.constant(shape))

    def transpose(self, x, *order):
        return self.op("Transpose", x, perm=order)

    def concat(self, axis, *values):
        return self.op("Concat", *values, axis=axis)

    def last(self, x, count, axis):
        """The last values along an axis."""
        return self.op("Slice", x, self.constant([-count]), self.constant([2**31 - 1]), self.constant([axis]))

    def slice(self, x, begin, end, axis):
        return self.op("Slice", x, self.constant([begin]), self.constant([end]), self.constant([axis]))

    # Layers.

    def linear(self, x, width, out, bias=True):
        y = self.op("MatMul", x, self.weight(width, out))
        return self.op("Add", y, self.weight(out, scale=0.1)) if bias else y

    def norm(self, x, width):
        scale = self.constant(1 + 0.1 * self.random.standard_normal(width), np.float32)
        return self.op("LayerNormalization", x, scale, self.weight(width, scale=0.1), axis=-1)

    def swish(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def conv(self, x, width, out, kernel, stride=1, pads=None, groups=1, bias=True):
        kernel = kernel if isinstance(kernel, (list, tuple)) else [kernel]
        rank = len(kernel)
        inputs = [x, self.weight(out, width // groups, *kernel)] + ([self.weight(out, scale=0.1)] if bias else [])
        return self.op(
            "Conv",
            *inputs,
            kernel_shape=list(kernel),
            strides=[stride] * rank,
            pads=pads if pads is not None else [0] * (2 * rank),
            dilations=[1] * rank,
            group=groups,
        )

    def residual(self, x, y, factor=1.0):
        return self.op("Add", x, y if factor == 1.0 else self.op("Mul", y, self.number(factor)))

    def feed_forward(self, x, width, inner):
        y = self.swish(self.linear(self.norm(x, width), width, inner))
        return self.residual(x, self.linear(y, inner, width), 0.5)

    def heads(self, x, heads):
        """1 x frames x width as 1 x heads x frames x (width / heads)."""
        return self.transpose(self.reshape(x, 1, -1, heads, self.width(x) // heads), 0, 2, 1, 3)

    def width(self, _):
        return self.model_width

    def attend(self, queries, keys, values, heads, forbidden=None, position=None):
        """Attention; `forbidden` is true where nothing may be looked at."""
        width = self.model_width
        scores = self.op("MatMul", queries, self.transpose(keys, 0, 1, 3, 2))
        if position is not None:
            scores = self.op("Add", scores, position)
        scores = self.op("Mul", scores, self.number(1 / math.sqrt(width // heads)))
        if forbidden is not None:
            scores = self.op("Where", forbidden, self.number(-10000.0), scores)
        shares = self.op("Softmax", scores, axis=-1)
        if forbidden is not None:
            shares = self.op("Where", forbidden, self.number(0.0), shares)
        mixed = self.transpose(self.op("MatMul", shares, values), 0, 2, 1, 3)
        return self.linear(self.reshape(mixed, 1, -1, width), width, width)

    def relative_positions(self, x, longest):
        """Sinusoids for distances from frames - 1 down to 1 - frames: 1 x (2 frames - 1) x width."""
        width = self.model_width
        distance = np.arange(longest - 1, -longest, -1, dtype=np.float64)[:, None]
        rate = np.exp(np.arange(0, width, 2) * -(math.log(10000.0) / width))
        table = np.zeros((1, 2 * longest - 1, width), np.float32)
        table[0, :, 0::2], table[0, :, 1::2] = np.sin(distance * rate), np.cos(distance * rate)
        frames = self.size(x, 1)
        begin = self.op("Sub", self.constant([longest]), frames)
        end = self.op("Add", self.constant([longest - 1]), frames)
        return self.op("Slice", self.constant(table, np.float32), begin, end, self.constant([1]))

    def relative_attention(self, x, heads, positions, forbidden=None):
        """Attention with relative positions as Transformer-XL and NeMo have it, with the shift of its scores."""
        width = self.model_width
        y = self.norm(x, width)
        queries, keys, values = (self.linear(y, width, width) for _ in range(3))
        keys, values = self.heads(keys, heads), self.heads(values, heads)
        queries = self.reshape(queries, 1, -1, heads, width // heads)
        content = self.transpose(self.op("Add", queries, self.weight(heads, width // heads, scale=0.1)), 0, 2, 1, 3)
        place = self.transpose(self.op("Add", queries, self.weight(heads, width // heads, scale=0.1)), 0, 2, 1, 3)
        embedded = self.heads(self.linear(positions, width, width, bias=False), heads)
        scores = self.op("MatMul", place, self.transpose(embedded, 0, 1, 3, 2))
        frames = self.size(x, 1)
        padded = self.op("Pad", scores, self.constant([0, 0, 0, 1, 0, 0, 0, 0]))
        turned = self.op("Reshape", padded, self.concat(0, self.constant([1, heads, -1]), frames))
        shifted = self.op("Slice", turned, self.constant([1]), self.constant([2**31 - 1]), self.constant([2]))
        wide = self.op("Sub", self.op("Mul", frames, self.constant([2])), self.constant([1]))
        shifted = self.op("Reshape", shifted, self.concat(0, self.constant([1, heads]), frames, wide))
        shifted = self.op("Slice", shifted, self.constant([0]), frames, self.constant([3]))
        return self.residual(x, self.attend(content, keys, values, heads, forbidden, shifted))

    def convolution(self, x, kernel, cache=None):
        """The convolution module of a Conformer; with a cache, what it leaves for the next piece too."""
        width = self.model_width
        y = self.transpose(self.norm(x, width), 0, 2, 1)
        y = self.conv(y, width, 2 * width, 1)
        first, gate = self.op("Split", y, self.constant([width, width]), count=2, axis=1)
        y = self.op("Mul", first, self.op("Sigmoid", gate))
        left = None
        if cache is not None:
            y = self.concat(2, cache, y)
            left = self.last(y, kernel - 1, 2)
        side = 0 if cache is not None else (kernel - 1) // 2
        y = self.swish(self.conv(y, width, width, kernel, pads=[side, side], groups=width))
        y = self.transpose(self.conv(y, width, width, 1), 0, 2, 1)
        return self.residual(x, y), left

    def scores(self, x, tokens):
        """Scores of tokens before the softmax; `settle` gives `centre` and `sharpness` their values."""
        y = self.linear(self.norm(x, self.model_width), self.model_width, tokens)
        for name, value in ("centre", np.zeros(tokens, np.float32)), ("sharpness", np.float32(1)):
            self.weights.append(numpy_helper.from_array(value, name))
        return self.op("Mul", self.op("Add", y, "centre"), "sharpness")

    def log_probabilities(self, x, tokens):
        return self.op("LogSoftmax", self.scores(x, tokens), axis=-1)

    def save(self, path, metadata):
        graph = helper.make_graph(self.nodes, "network", self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        for key, value in metadata.items():
            model.metadata_props.add(key=key, value=str(value))
        if model.ByteSize() < 1 << 30:
            onnx.checker.check_model(model)
        onnx.save(model, path)


def settle(path, scores):
    """Centres the scores of a network on what it gave for some audio, so that no token always wins, and spreads them."""
    model = onnx.load(path)
    values = {"centre": -scores.mean(axis=0), "sharpness": np.array(4 / scores.std(axis=0).mean())}
    for weight in model.graph.initializer:
        if weight.name in values:
            weight.CopyFrom(numpy_helper.from_array(values[weight.name].astype(np.float32), weight.name))
    onnx.save(model, path)

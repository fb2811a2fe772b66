"""A large network of random weights that says what a small trained one says, so that what recognition costs with it is what it costs with
a trained network of its size.

A search beside random scores is at a loss and long. Both networks are run on the same features; the scores are those of the small one, to which
nothing times those of the large one is added, so that no runtime leaves it out. All frames are then 40 ms, twice as many to search as
the large one alone would give.
"""

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

PREFIX = "small_"
BINS, STEP = 80, 4
# Frames of 10 ms that the small network sees of the past, and how far behind the newest it says a token: of its 0.6 s to the right it gets two
# thirds, and Dictum feeds this much silence after the end.
PAST, BEHIND = 152, 32
# Log-energy of silence: what a state of zeros shall mean.
SILENCE = -16.0


class Graft:
    """The large network's graph, and nodes of the small one."""

    def __init__(self, large, small):
        self.model, added = onnx.load(large), onnx.load(small)
        self.graph = self.model.graph
        part = compose.add_prefix_graph(added.graph, PREFIX)
        self.given = [port.name for port in part.input]
        self.said, self.tokens = part.output[0].name, part.output[0].type.tensor_type.shape.dim[2].dim_value
        self.before, self.nodes = [], list(part.node)
        self.graph.initializer.extend(part.initializer)
        assert {o.version for o in added.opset_import} <= {o.version for o in self.model.opset_import if not o.domain}

    def op(self, kind, *inputs, to=None, early=True, **attributes):
        nodes = self.before if early else self.nodes
        name = to or f"graft{len(self.before) + len(self.nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values, kind=np.int64):
        name = f"graft_constant{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def slice(self, x, begin, end, axis, **options):
        return self.op("Slice", x, *(self.constant([number]) for number in (begin, end, axis)), **options)

    def rename(self, old, new):
        """Gives what the large network calls by one name another."""
        for node in self.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    def answer(self, scores):
        """The scores of both: the small one's, and nothing of the large one's."""
        theirs = self.graph.output[0]
        self.rename(theirs.name, "large_scores")
        mean = self.op("ReduceMean", "large_scores", early=False, keepdims=0)
        nothing = self.op("Mul", mean, self.constant(0.0, np.float32), early=False)
        self.op("Add", scores, nothing, to=theirs.name, early=False)
        theirs.type.tensor_type.shape.dim[1].dim_param = "said"
        theirs.type.tensor_type.shape.dim[2].dim_value = self.tokens

    def save(self, path):
        nodes = self.before + list(self.graph.node) + self.nodes
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        replaced = {"normalize_type": "", "subsampling_factor": str(STEP), "vocab_size": str(self.tokens - 1)}
        for entry in self.model.metadata_props:
            entry.value = replaced.get(entry.key, entry.value)
        onnx.checker.check_model(self.model)
        onnx.save(self.model, path)

    def number(self, key):
        return int(next(entry.value for entry in self.model.metadata_props if entry.key == key))


def whole(large, small, path):
    """For whole utterances."""
    graft = Graft(large, small)
    for own, port in zip(graft.given, graft.graph.input):
        graft.op("Identity", port.name, to=own)
    graft.answer(graft.said)
    graft.save(path)


def streaming(large, small, path):
    """In pieces: what the small network has to see of the past is kept in further layers of the large one's first cache."""
    graft = Graft(large, small)
    window, shift = graft.number("window_size"), graft.number("chunk_shift")
    features, cache = graft.graph.input[0].name, graft.graph.input[2]
    layers, rows, width = (size.dim_value for size in cache.type.tensor_type.shape.dim[1:])
    more = -(-BINS * PAST // (rows * width))
    cache.type.tensor_type.shape.dim[1].dim_value = layers + more
    graft.rename(cache.name, "large_cache")
    graft.slice(cache.name, 0, layers, 1, to="large_cache")
    flat = graft.op("Reshape", graft.slice(cache.name, layers, layers + more, 1), graft.constant([1, more * rows * width]))
    kept = graft.op("Reshape", graft.slice(flat, 0, BINS * PAST, 1), graft.constant([1, BINS, PAST]))
    past = graft.op("Add", kept, graft.constant(SILENCE, np.float32))
    heard = graft.op("Concat", past, features, axis=2)
    # A whole number of steps.
    seen = (PAST + window) // STEP * STEP
    graft.slice(heard, 0, seen, 2, to=graft.given[0])
    graft.op("Identity", graft.constant([seen]), to=graft.given[1])
    begin = (PAST + shift - BEHIND) // STEP
    graft.answer(graft.slice(graft.said, begin - shift // STEP, begin, 1, early=False))
    output = graft.graph.output[2]
    graft.rename(output.name, "large_cache_next")
    newer = graft.op("Sub", graft.slice(heard, shift, shift + PAST, 2), graft.constant(SILENCE, np.float32))
    padded = graft.op("Pad", graft.op("Reshape", newer, graft.constant([1, BINS * PAST])),
                      graft.constant([0, 0, 0, more * rows * width - BINS * PAST]))
    layer = graft.op("Reshape", padded, graft.constant([1, more, rows, width]))
    graft.op("Concat", "large_cache_next", layer, axis=1, to=output.name, early=False)
    output.type.tensor_type.shape.dim[1].dim_value = layers + more
    for entry in graft.model.metadata_props:
        if entry.key == "cache_last_channel_dim1":
            entry.value = str(layers + more)
    graft.save(path)

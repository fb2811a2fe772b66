"""Small networks with random weights that have the inputs, outputs, states and metadata of what the scripts of sherpa-onnx and
icefall export. Each function writes one package: `model.onnx` and `tokens.txt`."""

import pathlib

from graph import BOOL, FLOAT, INT64, Graph

TOKENS = 24


def tokens(folder, blank, last=False, spaces=False, units="abcdefghijklmnopqrstuvwxyz"):
    """A table of pieces of words, or of letters with a token for the space."""
    pieces = [" "] if spaces else ["<unk>"]
    for index in range(TOKENS - 2):
        mark = "" if spaces else ("▁" if index % 3 == 0 else "")
        pieces.append(mark + units[index])
    pieces = pieces + [blank] if last else [blank] + pieces
    text = "".join(f"{piece} {index}\n" for index, piece in enumerate(pieces))
    (folder / "tokens.txt").write_text(text, encoding="utf-8")


def subsample_by_8(g, x, channels, bands, out):
    """FastConformer's: three convolutions that halve both axes, two of them depthwise, then a linear layer."""
    y = g.op("Unsqueeze", x, g.constant([1]))
    y = g.op("Relu", g.conv(y, 1, channels, [3, 3], stride=2, pads=[1, 1, 1, 1]))
    for _ in range(2):
        y = g.conv(y, channels, channels, [3, 3], stride=2, pads=[1, 1, 1, 1], groups=channels)
        y = g.op("Relu", g.conv(y, channels, channels, [1, 1]))
    y = g.reshape(g.transpose(y, 0, 2, 1, 3), 1, -1, channels * (bands // 8))
    return g.linear(y, channels * (bands // 8), out)


def fast_conformer(g, x, width, heads, layers, kernel, inner, longest, length=None):
    """The layers of a FastConformer; frames beyond `length` are not looked at."""
    g.model_width = width
    forbidden = None
    if length is not None:
        frames = g.op("Range", g.constant(0), g.op("Squeeze", g.size(x, 1)), g.constant(1))
        beyond = g.op("Not", g.op("Less", frames, length))
        forbidden = g.op("Unsqueeze", beyond, g.constant([0, 1, 2]))
    positions = g.relative_positions(x, longest)
    for _ in range(layers):
        x = g.feed_forward(x, width, inner)
        x = g.relative_attention(x, heads, positions, forbidden)
        x, _ = g.convolution(x, kernel)
        x = g.norm(g.feed_forward(x, width, inner), width)
    return x


def nemo(folder, seed=1, bands=80, normalise="per_feature", kind="EncDecCTCModelBPE", more=None, **sizes):
    """NeMo's CTC models for whole utterances (`scripts/nemo/.../export-onnx-ctc-non-streaming.py`)."""
    folder = pathlib.Path(folder)
    size = {"width": 32, "heads": 4, "layers": 2, "kernel": 9, "inner": 64, "channels": 8, "tokens": TOKENS} | sizes
    g = Graph(seed)
    x = g.transpose(g.input("audio_signal", FLOAT, "audio_signal_dynamic_axes_1", bands, "audio_signal_dynamic_axes_2"), 0, 2, 1)
    length = g.input("length", INT64, "length_dynamic_axes_1")
    for _ in range(3):
        length = g.op("Div", g.op("Add", length, g.constant([1])), g.constant([2]))
    x = subsample_by_8(g, x, size["channels"], bands, size["width"])
    x = fast_conformer(
        g, x, size["width"], size["heads"], size["layers"], size["kernel"], size["inner"], 5000, length
    )
    y = g.log_probabilities(x, size["tokens"])
    g.output(y, "logprobs", FLOAT, "logprobs_dynamic_axes_1", "logprobs_dynamic_axes_2", size["tokens"])
    g.save(
        folder / "model.onnx",
        {
            "vocab_size": size["tokens"] - 1,
            "normalize_type": normalise,
            "subsampling_factor": 8,
            "model_type": kind,
            "version": 1,
            "model_author": "NeMo",
        }
        | (more or {}),
    )
    if size["tokens"] == TOKENS:
        tokens(folder, "<blk>", last=True)


def nemo_characters(folder):
    """The same with letters, a space among them, and features as they are."""
    nemo(folder, seed=2, normalise="", kind="EncDecCTCModel")
    tokens(pathlib.Path(folder), "<blk>", last=True, spaces=True)


def giga(folder):
    """GigaAM's models: NeMo's networks with features of their own (`scripts/nemo/GigaAM/export-onnx-ctc.py`)."""
    nemo(folder, seed=10, bands=64, normalise="", kind="EncDecCTCModel", more={"is_giga_am": 1})
    tokens(pathlib.Path(folder), "<blk>", last=True, spaces=True)


def local(folder, seed=9, width=32):
    """A network whose scores depend on no more than half a second around them, so that windows cannot be told from the whole."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    x = g.transpose(g.input("audio_signal", FLOAT, "N", 80, "T"), 0, 2, 1)
    g.input("length", INT64, "N")
    x, _ = g.convolution(subsample_by_8(g, x, 8, 80, width), 9)
    g.output(g.log_probabilities(x, TOKENS), "logprobs", FLOAT, "N", "F", TOKENS)
    metadata = {"normalize_type": "", "subsampling_factor": 8, "model_type": "EncDecCTCModel", "vocab_size": TOKENS - 1}
    g.save(folder / "model.onnx", metadata)
    tokens(folder, "<blk>", last=True)


def nemo_streaming(folder, seed=3, width=32, heads=4, layers=2, kernel=9, history=70, inner=64, channels=8, size=TOKENS):
    """NeMo's FastConformer with caches (`scripts/nemo/fast-conformer-hybrid-transducer-ctc/export-onnx-ctc.py`, 80 ms)."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    chunk, before = 16, 9
    x = g.transpose(g.input("audio_signal", FLOAT, "N", 80, "T"), 0, 2, 1)
    length = g.input("length", INT64, "N")
    channel = g.input("cache_last_channel", FLOAT, "N", layers, history, width)
    time = g.input("cache_last_time", FLOAT, "N", layers, width, kernel - 1)
    filled = g.input("cache_last_channel_len", INT64, "N")
    # Of what the convolutions make of the frames of the piece before, two frames are dropped, as streaming NeMo does.
    x = g.slice(subsample_by_8(g, x, channels, 80, width), 2, 2**31 - 1, 1)
    frames = g.size(x, 1)
    place = g.op("Range", g.constant(0), g.op("Squeeze", g.op("Add", frames, g.constant([history]))), g.constant(1))
    empty = g.op("Less", place, g.op("Sub", g.constant([history]), filled))
    forbidden = g.op("Unsqueeze", empty, g.constant([0, 1, 2]))
    channels, times = [], []
    for layer in range(layers):
        x = g.feed_forward(x, width, inner)
        y = g.norm(x, width)
        cache = g.op("Squeeze", g.slice(channel, layer, layer + 1, 1), g.constant([1]))
        seen = g.concat(1, cache, y)
        channels.append(g.op("Unsqueeze", g.last(seen, history, 1), g.constant([1])))
        queries, keys, values = g.linear(y, width, width), g.linear(seen, width, width), g.linear(seen, width, width)
        y = g.attend(*(g.heads(z, heads) for z in (queries, keys, values)), heads, forbidden)
        x = g.residual(x, y)
        cache = g.op("Squeeze", g.slice(time, layer, layer + 1, 1), g.constant([1]))
        x, left = g.convolution(x, kernel, cache)
        times.append(g.op("Unsqueeze", left, g.constant([1])))
        x = g.norm(g.feed_forward(x, width, inner), width)
    g.output(g.log_probabilities(x, size), "logprobs", FLOAT, "N", "F", size)
    g.output(g.op("Sub", g.op("Div", length, g.constant([8])), g.constant([2])), "encoded_lengths", INT64, "N")
    g.output(g.concat(1, *channels), "cache_last_channel_next", FLOAT, "N", layers, history, width)
    g.output(g.concat(1, *times), "cache_last_time_next", FLOAT, "N", layers, width, kernel - 1)
    filled = g.op("Min", g.op("Add", filled, frames), g.constant([history]))
    g.output(filled, "cache_last_channel_next_len", INT64, "N")
    g.save(
        folder / "model.onnx",
        {
            "vocab_size": size - 1,
            "window_size": chunk + before,
            "chunk_shift": chunk,
            "normalize_type": "",
            "cache_last_channel_dim1": layers,
            "cache_last_channel_dim2": history,
            "cache_last_channel_dim3": width,
            "cache_last_time_dim1": layers,
            "cache_last_time_dim2": width,
            "cache_last_time_dim3": kernel - 1,
            "subsampling_factor": 8,
            "model_type": "EncDecHybridRNNTCTCBPEModel",
            "version": 1,
            "model_author": "NeMo",
        },
    )
    if size == TOKENS:
        tokens(folder, "<blk>", last=True)


def zipformer_embedding(g, x, width, channels, cache=None):
    """Zipformer's first layers: half the frames, less seven, and a ConvNeXt layer. With a cache, the piece's new frames alone."""
    y = g.op("Unsqueeze", x, g.constant([1]))
    y = g.swish(g.conv(y, 1, 8, [3, 3], pads=[0, 1, 0, 1]))
    y = g.op("Conv", y, g.weight(32, 8, 3, 3), g.weight(32, scale=0.1), kernel_shape=[3, 3], strides=[2, 2],
             pads=[0, 0, 0, 0], dilations=[1, 1], group=1)
    y = g.swish(y)
    y = g.op("Conv", y, g.weight(channels, 32, 3, 3), g.weight(channels, scale=0.1), kernel_shape=[3, 3], strides=[1, 2],
             pads=[0, 0, 0, 0], dilations=[1, 1], group=1)
    y = g.swish(y)
    left = None
    if cache is None:
        z = g.conv(y, channels, channels, [7, 7], pads=[3, 3, 3, 3], groups=channels)
    else:
        whole = g.concat(2, cache, y)
        y = g.slice(y, 0, -3, 2)
        left = g.last(g.slice(whole, 0, -3, 2), 3, 2)
        z = g.conv(whole, channels, channels, [7, 7], pads=[0, 3, 0, 3], groups=channels)
    z = g.conv(g.swish(g.conv(z, channels, 2 * channels, [1, 1])), 2 * channels, channels, [1, 1])
    y = g.op("Add", y, z)
    y = g.reshape(g.transpose(y, 0, 2, 1, 3), 1, -1, channels * 19)
    return g.norm(g.linear(y, channels * 19, width), width), left


def halve(g, x):
    """The mean of every two frames, the last repeated when it is alone."""
    width = g.model_width
    odd = g.op("Mod", g.size(x, 1), g.constant([2]))
    repeated = g.op("Slice", g.last(x, 1, 1), g.constant([0]), odd, g.constant([1]))
    pairs = g.reshape(g.concat(1, x, repeated), 1, -1, 2, width)
    return g.op("ReduceMean", pairs, axes=[2], keepdims=0)


def zipformer(folder, seed=4, width=32, heads=4):
    """icefall's Zipformer for whole utterances (`egs/librispeech/ASR/zipformer/export-onnx-ctc.py`)."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    x = g.input("x", FLOAT, "N", "T", 80)
    length = g.input("x_lens", INT64, "N")
    x, _ = zipformer_embedding(g, x, width, 16)
    length = g.op("Div", g.op("Sub", length, g.constant([7])), g.constant([2]))
    for _ in range(2):
        x = g.feed_forward(x, width, 64)
        y = g.norm(x, width)
        x = g.residual(x, g.attend(*(g.heads(g.linear(y, width, width), heads) for _ in range(3)), heads))
        x, _ = g.convolution(x, 15)
    y = g.log_probabilities(halve(g, x), TOKENS)
    g.output(y, "log_probs", FLOAT, "N", "T2", TOKENS)
    g.output(g.op("Div", g.op("Add", length, g.constant([1])), g.constant([2])), "log_probs_len", INT64, "N")
    g.save(folder / "model.onnx", {"model_type": "zipformer2_ctc", "version": 1, "model_author": "k2-fsa"})
    tokens(folder, "<blk>")


def zipformer_streaming(folder, seed=5):
    """icefall's streaming Zipformer with all its states (`export-onnx-streaming-ctc.py`): two stacks, of one layer and of two."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    widths, layers, heads, kernels, left = [32, 48], [1, 2], [4, 4], [15, 7], [32, 16]
    query, value = 8, 6
    x = g.input("x", FLOAT, "N", 45, 80)
    state, shapes = [], []
    count = 0
    for stack in range(2):
        for _ in range(layers[stack]):
            wide = 3 * widths[stack] // 4
            for name, *shape in [
                ("key", left[stack], "N", query * heads[stack]),
                ("nonlin_attn", 1, "N", left[stack], wide),
                ("val1", left[stack], "N", value * heads[stack]),
                ("val2", left[stack], "N", value * heads[stack]),
                ("conv1", "N", widths[stack], kernels[stack] // 2),
                ("conv2", "N", widths[stack], kernels[stack] // 2),
            ]:
                name = f"cached_{name}_{count}"
                state.append(g.input(name, FLOAT, *shape))
                shapes.append((name, shape))
            count += 1
    embedding = g.input("embed_states", FLOAT, "N", 128, 3, 19)
    processed = g.input("processed_lens", INT64, "N")
    g.model_width = widths[0]
    x, embedding = zipformer_embedding(g, x, widths[0], 128, embedding)
    new = []
    layer = 0
    for stack in range(2):
        width = widths[stack]
        if stack:
            x = g.linear(halve(g, x), g.model_width, width)
        g.model_width = width
        # What of the cache holds something: in the frames of this stack.
        place = g.op("Range", g.constant(left[stack] - 1), g.constant(-1), g.constant(-1))
        seen = g.op("Div", processed, g.constant([2**stack]))
        empty = g.op("Not", g.op("Less", place, seen))
        fresh = g.op("Not", g.op("Cast", g.constant([1] * (16 // 2**stack)), to=BOOL))
        forbidden = g.op("Unsqueeze", g.concat(0, empty, fresh), g.constant([0, 1, 2]))
        for _ in range(layers[stack]):
            key, attention, first, second, conv1, conv2 = state[6 * layer : 6 * layer + 6]
            y = g.norm(x, width)

            def cached(cache, y, out, g=g, stack=stack, width=width):
                """Frames of the cache and those of the piece, and what of them is kept; frames first, as icefall has them."""
                whole = g.concat(0, cache, g.transpose(g.linear(y, width, out), 1, 0, 2))
                return g.transpose(whole, 1, 0, 2), g.last(whole, left[stack], 0)

            keys, new_key = cached(key, y, query * heads[stack])
            queries = g.linear(y, width, query * heads[stack])

            def by_heads(y, size, g=g, stack=stack):
                return g.transpose(g.reshape(y, 1, -1, heads[stack], size), 0, 2, 1, 3)

            scores = g.op("MatMul", by_heads(queries, query), g.transpose(by_heads(keys, query), 0, 1, 3, 2))
            shares = g.op("Softmax", g.op("Where", forbidden, g.number(-1000.0), scores), axis=-1)
            # One head's shares mix the hidden values.
            hidden = g.op("Unsqueeze", g.op("Tanh", g.linear(y, width, 3 * width // 4)), g.constant([0]))
            whole = g.concat(2, attention, hidden)
            new_attention = g.last(whole, left[stack], 2)
            mixed = g.op("MatMul", g.slice(shares, 0, 1, 1), whole)
            x = g.residual(x, g.linear(g.op("Squeeze", mixed, g.constant([0])), 3 * width // 4, width))
            kept = []
            for cache in (first, second):
                values, new_values = cached(cache, g.norm(x, width), value * heads[stack])
                kept.append(new_values)
                mixed = g.transpose(g.op("MatMul", shares, by_heads(values, value)), 0, 2, 1, 3)
                x = g.residual(x, g.linear(g.reshape(mixed, 1, -1, value * heads[stack]), value * heads[stack], width))
            for cache in (conv1, conv2):
                kernel = kernels[stack] // 2 + 1
                y, end = g.convolution(x, kernel, cache)
                x = y
                kept.append(end)
            x = g.norm(g.feed_forward(x, width, 64), width)
            new += [new_key, new_attention, *kept]
            layer += 1
    g.output(g.log_probabilities(x, TOKENS), "log_probs", FLOAT, "N", 8, TOKENS)
    for (name, shape), value_ in zip(shapes, new):
        g.output(value_, f"new_{name}", FLOAT, *shape)
    g.output(embedding, "new_embed_states", FLOAT, "N", 128, 3, 19)
    g.output(g.op("Add", processed, g.constant([16])), "new_processed_lens", INT64, "N")

    def text(values):
        return ",".join(map(str, values))

    g.save(
        folder / "model.onnx",
        {
            "model_type": "zipformer2",
            "version": 1,
            "model_author": "k2-fsa",
            "comment": "streaming ctc zipformer2",
            "decode_chunk_len": 32,
            "T": 45,
            "num_encoder_layers": text(layers),
            "encoder_dims": text(widths),
            "cnn_module_kernels": text(kernels),
            "left_context_len": text(left),
            "query_head_dims": text([query] * 2),
            "value_head_dims": text([value] * 2),
            "num_heads": text(heads),
        },
    )
    tokens(folder, "<blk>")


def wenet_embedding(g, x, width, channels=8):
    """WeNet's first layers: two convolutions without padding, a quarter of the frames."""
    y = g.op("Unsqueeze", x, g.constant([1]))
    y = g.op("Relu", g.conv(y, 1, channels, [3, 3], stride=2))
    y = g.op("Relu", g.conv(y, channels, channels, [3, 3], stride=2))
    return g.linear(g.reshape(g.transpose(y, 0, 2, 1, 3), 1, -1, channels * 19), channels * 19, width)


def wenet(folder, seed=6, width=32, heads=4):
    """WeNet for whole utterances (`scripts/wenet/export-onnx.py`)."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    x = g.input("x", FLOAT, "N", "T", 80)
    length = g.input("x_lens", INT64, "N")
    x = wenet_embedding(g, x, width)
    for _ in range(2):
        length = g.op("Div", g.op("Sub", length, g.constant([1])), g.constant([2]))
        x = g.feed_forward(x, width, 64)
        y = g.norm(x, width)
        x = g.residual(x, g.attend(*(g.heads(g.linear(y, width, width), heads) for _ in range(3)), heads))
        x, _ = g.convolution(x, 15)
    g.output(g.log_probabilities(x, TOKENS), "log_probs", FLOAT, "N", "F", TOKENS)
    g.output(length, "log_probs_lens", INT64, "N")
    metadata = {"model_type": "wenet_ctc", "version": 1, "model_author": "wenet", "comment": "non-streaming"}
    g.save(folder / "model.onnx", metadata | {"subsampling_factor": 4, "vocab_size": TOKENS})
    tokens(folder, "<blank>")


def wenet_streaming(folder, seed=7, width=32, heads=4, blocks=2, kernel=8):
    """WeNet in chunks (`scripts/wenet/export-onnx-streaming.py`)."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    chunk, left = 16, 4
    cache = chunk * left
    x = g.input("x", FLOAT, "N", "T", 80)
    offset = g.input("offset", INT64, 1)
    size = g.input("required_cache_size", INT64, 1)
    attention = g.input("attn_cache", FLOAT, blocks, heads, "C", width // heads * 2)
    convolution = g.input("conv_cache", FLOAT, blocks, 1, width, kernel - 1)
    mask = g.input("attn_mask", BOOL, 1, 1, "M")
    x = wenet_embedding(g, x, width)
    # Where in the stream the piece is.
    place = g.op("Cast", g.op("Sub", offset, size), to=FLOAT)
    x = g.op("Add", x, g.op("Mul", g.op("Sin", g.op("Mul", place, g.number(0.05))), g.weight(width)))
    forbidden = g.op("Unsqueeze", g.op("Not", mask), g.constant([0]))
    caches, ends = [], []
    for block in range(blocks):
        x = g.feed_forward(x, width, 64)
        y = g.norm(x, width)
        queries, keys, values = (g.heads(g.linear(y, width, width), heads) for _ in range(3))
        whole = g.concat(2, g.slice(attention, block, block + 1, 0), g.concat(3, keys, values))
        caches.append(g.last(whole, cache, 2))
        keys, values = g.op("Split", whole, g.constant([width // heads] * 2), count=2, axis=3)
        x = g.residual(x, g.attend(queries, keys, values, heads, forbidden))
        left_over = g.op("Squeeze", g.slice(convolution, block, block + 1, 0), g.constant([0]))
        x, end = g.convolution(x, kernel, left_over)
        ends.append(g.op("Unsqueeze", end, g.constant([0])))
    g.output(g.log_probabilities(x, TOKENS), "log_probs", FLOAT, "N", chunk, TOKENS)
    g.output(g.concat(0, *caches), "next_att_cache", FLOAT, blocks, heads, "C2", width // heads * 2)
    g.output(g.concat(0, *ends), "next_conv_cache", FLOAT, blocks, 1, width, kernel - 1)
    g.save(
        folder / "model.onnx",
        {
            "model_type": "wenet_ctc",
            "version": 1,
            "model_author": "wenet",
            "comment": "streaming",
            "chunk_size": chunk,
            "left_chunks": left,
            "head": heads,
            "num_blocks": blocks,
            "output_size": width,
            "cnn_module_kernel": kernel,
            "right_context": 6,
            "subsampling_factor": 4,
            "vocab_size": TOKENS,
        },
    )
    tokens(folder, "<blank>")


def omnilingual(folder, seed=8, width=32, heads=4):
    """Networks over samples, which end before the softmax (`scripts/omnilingual-asr/export-onnx.py`)."""
    folder = pathlib.Path(folder)
    g = Graph(seed)
    g.model_width = width
    x = g.op("Unsqueeze", g.input("x", FLOAT, "N", "num_samples"), g.constant([1]))
    channels = 1
    for kernel, stride in [(10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2)]:
        x = g.conv(x, channels, width, kernel, stride=stride)
        x = g.transpose(g.norm(g.transpose(x, 0, 2, 1), width), 0, 2, 1)
        x = g.op("Mul", x, g.op("Sigmoid", x))
        channels = width
    x = g.transpose(x, 0, 2, 1)
    for _ in range(2):
        y = g.norm(x, width)
        x = g.residual(x, g.attend(*(g.heads(g.linear(y, width, width), heads) for _ in range(3)), heads))
        x = g.feed_forward(x, width, 64)
    g.output(g.scores(x, TOKENS), "logits", FLOAT, "N", "num_frames", TOKENS)
    metadata = {"vocab_size": TOKENS, "model_type": "omnilingual-asr", "version": 1, "sample_rate": 16000}
    g.save(folder / "model.onnx", metadata | {"model_author": "facebookresearch"})
    tokens(folder, "<s>", spaces=True)


ALL = {
    "nemo": nemo,
    "nemo-characters": nemo_characters,
    "giga": giga,
    "local": local,
    "nemo-streaming": nemo_streaming,
    "zipformer": zipformer,
    "zipformer-streaming": zipformer_streaming,
    "wenet": wenet,
    "wenet-streaming": wenet_streaming,
    "omnilingual": omnilingual,
}

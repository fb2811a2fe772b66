"""The network: convolutions over time, a token every 40 ms, as plain functions of JAX.

Two strided convolutions bring 80 log-mels at 100 Hz to `WIDTH` channels at 25 Hz; `DILATIONS` blocks of one convolution of
three taps with a residual connection follow, each seeing further; a matrix gives the scores of the tokens. Every
convolution is one matrix product over its taps side by side, which is what a CPU does fastest. Batch normalisation is
folded into the convolutions when the network is exported.
"""

import jax
import jax.numpy as jnp
import numpy as np

from features import BINS

# Of all features of the training speech: what the network takes is near to zero mean and unit variance.
MEAN, DEVIATION = -10.0, 4.0
STEM = [(5, 2, 96), (5, 2, 192)]  # taps, stride, channels
WIDTH = STEM[-1][2]
DILATIONS = [1, 1, 2, 1, 3, 1, 4, 2]
SUBSAMPLING = 4
EPSILON = 1e-3


def layers():
    """(taps, stride, dilation, channels in, channels out) of every convolution with normalisation, in order."""
    channels = BINS
    for taps, stride, width in STEM:
        yield taps, stride, 1, channels, width
        channels = width
    for dilation in DILATIONS:
        yield 3, 1, dilation, WIDTH, WIDTH


def initial(tokens, seed=0):
    """Parameters to be learned, and the running statistics of the normalisations."""
    rng = np.random.default_rng(seed)
    parameters, statistics = {"layers": []}, []
    for taps, _, _, inward, outward in layers():
        weight = rng.normal(0, np.sqrt(2 / (taps * inward)), (taps * inward, outward)).astype(np.float32)
        parameters["layers"].append(
            {"weight": weight, "scale": np.ones(outward, np.float32), "offset": np.zeros(outward, np.float32)}
        )
        statistics.append({"mean": np.zeros(outward, np.float32), "variance": np.ones(outward, np.float32)})
    parameters["output"] = rng.normal(0, np.sqrt(1 / WIDTH), (WIDTH, tokens)).astype(np.float32)
    parameters["bias"] = np.zeros(tokens, np.float32)
    return jax.tree.map(jnp.asarray, (parameters, statistics))


def lengths_after(lengths, stride):
    return (lengths + stride - 1) // stride


def mask(lengths, frames):
    """(batch, frames, 1): one where there is audio."""
    return (jnp.arange(frames)[None, :] < lengths[:, None]).astype(jnp.float32)[..., None]


def convolve(x, weight, taps, stride, dilation):
    frames = x.shape[1]
    margin = taps // 2 * dilation
    padded = jnp.pad(x, ((0, 0), (margin, margin), (0, 0)))
    pieces = [padded[:, tap * dilation : tap * dilation + frames : stride] for tap in range(taps)]
    return jnp.concatenate(pieces, -1) @ weight


def apply(parameters, statistics, features, lengths, training):
    """Scores (batch, frames / 4, tokens), not normalised, their lengths, and the statistics as they are now."""
    x = (features - MEAN) / DEVIATION * mask(lengths, features.shape[1])
    renewed = []
    for layer, kept, (taps, stride, dilation, _, _) in zip(parameters["layers"], statistics, layers()):
        y = convolve(x, layer["weight"], taps, stride, dilation)
        lengths = lengths_after(lengths, stride)
        audible = mask(lengths, y.shape[1])
        mean, variance = kept["mean"], kept["variance"]
        if training:
            count = audible.sum()
            mean = (y * audible).sum((0, 1)) / count
            variance = (jnp.square(y - mean) * audible).sum((0, 1)) / count
            kept = {"mean": 0.98 * kept["mean"] + 0.02 * mean, "variance": 0.98 * kept["variance"] + 0.02 * variance}
        renewed.append(kept)
        y = (y - mean) * (jax.lax.rsqrt(variance + EPSILON) * layer["scale"]) + layer["offset"]
        y = jax.nn.relu(y) * audible
        x = x + y if y.shape == x.shape else y
    return x @ parameters["output"] + parameters["bias"], lengths, jax.lax.stop_gradient(renewed)

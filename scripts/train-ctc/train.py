"""Trains the network on what `speech.py` wrote.

    train.py OUT --speech SPEECH.npz ... --held-out SPEECH.npz [--steps N] [--vocabulary N]

Writes OUT/pieces.model (SentencePiece), OUT/network.pkl (parameters, statistics), every 500 steps. With `--resume` it goes on
from there.
"""

import os

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import io
import pathlib
import pickle
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import sentencepiece

import augment
import network
from errors import word_errors

jax.config.update("jax_compilation_cache_dir", str(pathlib.Path.home() / ".cache/jax"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)

BUCKETS = [96, 176, 288, 448, 720]
FRAMES_OF_A_BATCH = 6_400


def pieces_of(texts, size, path):
    """A byte-pair vocabulary with every letter in it; `<unk>` is 0, the blank comes behind the last piece."""
    if not path.exists():
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts), model_writer=(model := io.BytesIO()), vocab_size=size, model_type="bpe",
            character_coverage=1.0, unk_id=0, bos_id=-1, eos_id=-1, normalization_rule_name="identity",
            minloglevel=2,
        )
        path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_file=str(path))


def labels_of(frames):
    return 10 + frames // 12


class Speech:
    """Utterances as features and pieces."""

    def __init__(self, paths, pieces=None):
        archives = [np.load(path) for path in paths]
        self.features = np.concatenate([archive["features"] for archive in archives])
        lengths = np.concatenate([np.diff(archive["starts"]) for archive in archives])
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        together = lambda name: [value for archive in archives for value in archive[name].tolist()]
        self.texts, self.kinds = together("texts"), together("kinds")
        self.labels = pieces.encode(self.texts) if pieces else None

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        return self.features[self.starts[index] : self.starts[index + 1]].astype(np.float32)


def batches(speech, rng, noise_bank, fewer_general, changed):
    """Endless batches: (features, lengths, labels, label paddings), each utterance in new conditions in every epoch;
    `changed` says which part of them is not as it was synthesised."""
    waiting = {frames: [] for frames in BUCKETS}
    while True:
        for index in rng.permutation(len(speech)):
            if speech.kinds[index] == "general" and rng.random() < fewer_general:
                continue
            clean = augment.stretch(speech[index], rng.uniform(0.85, 1.2))
            before, after = (rng.integers(0, 60) if rng.random() < 0.7 else rng.integers(0, 6) for _ in range(2))
            total = before + len(clean) + after
            frames = next((frames for frames in BUCKETS if frames >= total), None)
            labels = speech.labels[index]
            if frames is None or len(labels) > min(labels_of(frames), len(clean) // 4):
                continue
            waiting[frames].append((augment.record(rng, clean, before, after, noise_bank, changed()), labels))
            if len(waiting[frames]) == FRAMES_OF_A_BATCH // frames:
                yield collate(waiting.pop(frames), frames)
                waiting[frames] = []


def collate(utterances, frames):
    features = np.zeros((len(utterances), frames, augment.BINS), np.float32)
    labels = np.zeros((len(utterances), labels_of(frames)), np.int32)
    paddings = np.ones(labels.shape, np.float32)
    for row, (x, said) in enumerate(utterances):
        features[row, : len(x)] = x
        labels[row, : len(said)] = said
        paddings[row, : len(said)] = 0
    return features, np.array([len(x) for x, _ in utterances], np.int32), labels, paddings


def trainer(blank, frozen):
    optimiser = optax.chain(
        optax.clip_by_global_norm(2.0), optax.scale_by_adam(b2=0.98), optax.add_decayed_weights(5e-3)
    )

    def loss(parameters, statistics, features, lengths, labels, label_paddings):
        logits, lengths, renewed = network.apply(parameters, statistics, features, lengths, training=not frozen)
        paddings = 1 - network.mask(lengths, logits.shape[1])[..., 0]
        losses = optax.ctc_loss(logits, paddings, labels, label_paddings, blank_id=blank)
        return losses.sum() / (1 - label_paddings).sum(), renewed

    @jax.jit
    def step(rate, parameters, statistics, state, *batch):
        (value, renewed), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, statistics, *batch)
        updates, state = optimiser.update(gradient, state, parameters)
        parameters = jax.tree.map(lambda value, update: value - rate * update, parameters, updates)
        return parameters, renewed, state, value

    return optimiser, step


@jax.jit
def best_tokens(parameters, statistics, features, lengths):
    logits, lengths, _ = network.apply(parameters, statistics, features, lengths, training=False)
    return logits.argmax(-1), lengths


def greedy(parameters, statistics, features, pieces):
    """What the best token of every frame spells, of one utterance; padded to a whole second to compile few shapes."""
    frames = -(-len(features) // 100) * 100
    padded = np.zeros((1, frames, augment.BINS), np.float32)
    padded[0, : len(features)] = features
    best, lengths = best_tokens(parameters, statistics, padded, np.array([len(features)], np.int32))
    best = np.asarray(best[0, : int(lengths[0])])
    changes = best[np.insert(best[1:] != best[:-1], 0, True)]
    return pieces.decode([int(token) for token in changes if token < len(pieces)])


def evaluate(parameters, statistics, speech, pieces, count):
    """Word errors in percent, greedy, by kind of sentence, of the first `count` utterances as they were synthesised."""
    counts = {}
    for index in range(min(count, len(speech))):
        quiet = np.full((20, augment.BINS), augment.FLOOR, np.float32)
        heard = greedy(parameters, statistics, np.concatenate([quiet, speech[index], quiet]), pieces)
        errors, words = word_errors(speech.texts[index], heard)
        for kind in (speech.kinds[index], "all"):
            before = counts.get(kind, (0, 0))
            counts[kind] = before[0] + errors, before[1] + words
    return {kind: round(100 * errors / words, 1) for kind, (errors, words) in sorted(counts.items())}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--speech", nargs="+", required=True)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=1e9, help="be done by then, with fewer steps")
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--vocabulary", type=int, default=64)
    parser.add_argument("--fewer-general", type=float, default=0.0, help="general sentences left out of an epoch")
    parser.add_argument("--frozen", action="store_true", help="normalise as in recognition, by the statistics so far")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    texts = [text for path in options.speech for text in np.load(path)["texts"].tolist()]
    pieces = pieces_of(texts, options.vocabulary, options.out / "pieces.model")
    speech, held_out = Speech(options.speech, pieces), Speech([options.held_out])
    parameters, statistics = network.initial(len(pieces) + 1)
    if options.resume:
        parameters, statistics = jax.tree.map(jnp.asarray, pickle.loads((options.out / "network.pkl").read_bytes()))
    print(f"{sum(x.size for x in jax.tree.leaves(parameters)):,} parameters, {speech.starts[-1] / 360_000:.1f} h", flush=True)
    optimiser, step = trainer(len(pieces), options.frozen)
    state = optimiser.init(parameters)
    losses, began = [], time.time()
    number, done = 0, 0.0
    # Letters are found first in speech as it is: what disturbs it comes in over the first third.
    changed = lambda: 0.6 * (1 if options.resume else min(1, 3 * done))
    supply = batches(speech, rng, augment.noises(rng, speech.features), options.fewer_general, changed)
    while done < 1:
        number += 1
        # The rate rises for 200 steps and falls along a cosine.
        rate = options.rate * min(1, number / 200) * (0.505 + 0.495 * np.cos(np.pi * done))
        parameters, statistics, state, value = step(np.float32(rate), parameters, statistics, state, *next(supply))
        done = max(number / options.steps, (time.time() - began) / 60 / options.minutes)
        losses.append(float(value))
        if number % 50 == 0:
            print(f"step {number} ({done:.0%}): loss {np.mean(losses[-50:]):.3f} a token, {time.time() - began:.0f} s", flush=True)
        if number % 500 == 0 or done >= 1:
            (options.out / "network.pkl").write_bytes(pickle.dumps(jax.tree.map(np.asarray, (parameters, statistics))))
            print("held out:", evaluate(parameters, statistics, held_out, pieces, 200), flush=True)


if __name__ == "__main__":
    main()

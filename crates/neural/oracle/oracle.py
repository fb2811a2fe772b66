"""Writes packages of every kind of network, audio, and what the reference implementations make of it.

    python oracle.py FOLDER

Features are those of kaldi-native-fbank, scores those of ONNX Runtime, readings those of sherpa-onnx. `cases.json` says
what there is; arrays are files of 32-bit numbers, little endian.
"""

import json
import pathlib
import shutil
import sys

import kaldi_native_fbank as knf
import numpy as np
import onnxruntime
import sherpa_onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

import graft
import networks
from graph import settle

RATE = 16000
SECONDS = [0.35, 1.0, 2.37, 6.1, 17.9]
# The trained model of this project.
SMALL = pathlib.Path(__file__).resolve().parents[3] / "models" / "en-digits-commands-names"
# Silence after the audio of streaming networks, so that all of it is heard.
TAIL = 1.5


def audio(seed, seconds):
    """Something like speech: harmonics of a gliding pitch in syllables, and noise."""
    random = np.random.default_rng(seed)
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    pitch = 120 + 40 * np.sin(2 * np.pi * 0.7 * time + random.uniform(0, 6)) + 20 * random.standard_normal()
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    colour = 4 + 3 * np.sin(2 * np.pi * 1.3 * time + random.uniform(0, 6))
    sound = sum(np.sin(k * phase) * np.exp(-((k - colour) ** 2) / 8) for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time + random.uniform(0, 6)) + 0.3, 0, 1)
    hiss = random.standard_normal(count) * (0.003 + 0.1 * np.clip(np.sin(2 * np.pi * 2.3 * time), 0, 1) ** 4)
    return (0.15 * sound * syllables + hiss).astype(np.float32)


def features(kind, samples):
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = False
    options.mel_opts.num_bins = 80
    options.mel_opts.low_freq = 20
    options.mel_opts.high_freq = -400
    if kind.startswith("nemo"):
        options.frame_opts.remove_dc_offset = False
        options.frame_opts.window_type = "hann"
        options.mel_opts.low_freq = 0
        options.mel_opts.high_freq = 0
        options.mel_opts.is_librosa = True
    if kind == "giga":
        options.frame_opts.remove_dc_offset = False
        options.frame_opts.window_type = "hann"
        options.frame_opts.preemph_coeff = 0
        options.frame_opts.round_to_power_of_two = False
        options.mel_opts.num_bins = 64
        options.mel_opts.low_freq = 0
        options.mel_opts.high_freq = 8000
    if kind == "nemo-normalised":
        options.use_log_floor = False
        options.eps = 2**-24
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(RATE, (samples * (32768 if kind == "kaldi-16-bit" else 1)).tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])


FEATURES = {"nemo": "nemo-normalised", "nemo-characters": "nemo", "giga": "giga", "local": "nemo", "nemo-streaming": "nemo", "zipformer": "kaldi",
            "zipformer-streaming": "kaldi", "wenet": "kaldi-16-bit", "wenet-streaming": "kaldi-16-bit", "omnilingual": None}


# As the scripts of sherpa-onnx do it: of some models the products of matrices alone, of others all that can be.
QUANTISED = {
    "nemo": {"op_types_to_quantize": ["MatMul"], "weight_type": QuantType.QInt8},
    "nemo-characters": {"weight_type": QuantType.QUInt8},
    "nemo-streaming": {"weight_type": QuantType.QUInt8},
    "zipformer": {"op_types_to_quantize": ["MatMul"], "weight_type": QuantType.QInt8},
}


# Of GigaAM's models sherpa-onnx 2.0 emphasises the samples when they are CTC models and not when they are transducers; they were
# trained without, and get it so here.
UNLIKE = ["giga"]


class Network:
    """A package run by ONNX Runtime."""

    def __init__(self, folder, file="model.onnx"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(folder / file), options)
        self.names = [port.name for port in self.session.get_inputs()]
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def run(self, *inputs):
        return self.session.run(None, dict(zip(self.names, inputs)))

    def number(self, key):
        return int(self.metadata[key])

    def numbers(self, key):
        return [int(value) for value in self.metadata[key].split(",")]


def log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def normalised(frames):
    return (frames - frames.mean(axis=0)) / (frames.std(axis=0) + 1e-5)


def offline(name, network, samples):
    kind = FEATURES[name]
    if kind is None:
        wave = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-5)
        return log_softmax(network.run(wave[None].astype(np.float32))[0][0])
    frames = features(kind, samples)
    if network.metadata.get("normalize_type"):
        frames = normalised(frames).astype(np.float32)
    length = np.array([len(frames)], np.int64)
    given = frames.T[None] if kind.startswith("nemo") or kind == "giga" else frames[None]
    return network.run(np.ascontiguousarray(given), length)[0][0]


def streaming(name, network, samples):
    frames = features(FEATURES[name], samples)
    if name == "nemo-streaming":
        window, shift = network.number("window_size"), network.number("chunk_shift")
        sizes = [[network.number(f"cache_last_{cache}_dim{k}") for k in (1, 2, 3)] for cache in ("channel", "time")]
        state = [np.zeros((1, *size), np.float32) for size in sizes] + [np.zeros(1, np.int64)]
    elif name == "zipformer-streaming":
        window, shift = network.number("T"), network.number("decode_chunk_len")
        state = []
        for port in network.session.get_inputs()[1:]:
            shape = [1 if isinstance(size, str) else size for size in port.shape]
            state.append(np.zeros(shape, np.int64 if "int64" in port.type else np.float32))
    else:
        chunk, step = network.number("chunk_size"), network.number("subsampling_factor")
        cache = chunk * network.number("left_chunks")
        window, shift = (chunk - 1) * step + network.number("right_context") + 1, chunk * step
        blocks, heads, width = (network.number(key) for key in ("num_blocks", "head", "output_size"))
        state = [
            np.zeros((blocks, heads, cache, width // heads * 2), np.float32),
            np.zeros((blocks, 1, width, network.number("cnn_module_kernel") - 1), np.float32),
        ]
    scores, at, given = [], 0, 0
    while at + window <= len(frames):
        piece = frames[at : at + window]
        if name == "nemo-streaming":
            found, _, *state = network.run(np.ascontiguousarray(piece.T[None]), np.array([window], np.int64), *state)
        elif name == "zipformer-streaming":
            found, *state = network.run(piece[None], *state)
        else:
            mask = np.arange(cache + chunk) >= cache - given
            offset, size = np.array([cache + given], np.int64), np.array([cache], np.int64)
            found, *state = network.run(piece[None], offset, size, *state, mask[None, None])
        scores.append(found[0])
        given += len(found[0])
        at += shift
    return np.concatenate(scores) if scores else np.zeros((0, networks.TOKENS), np.float32)


def recogniser(name, folder):
    files = {"model": str(folder / "model.onnx"), "tokens": str(folder / "tokens.txt"), "num_threads": 1}
    offline_kinds = sherpa_onnx.OfflineRecognizer
    online_kinds = sherpa_onnx.OnlineRecognizer
    make = {
        "nemo": offline_kinds.from_nemo_ctc,
        "nemo-characters": offline_kinds.from_nemo_ctc,
        "giga": offline_kinds.from_nemo_ctc,
        "local": offline_kinds.from_nemo_ctc,
        "nemo-streaming": online_kinds.from_nemo_ctc,
        "zipformer": offline_kinds.from_zipformer_ctc,
        "zipformer-streaming": online_kinds.from_zipformer2_ctc,
        "wenet": offline_kinds.from_wenet_ctc,
        "wenet-streaming": online_kinds.from_wenet_ctc,
        "omnilingual": offline_kinds.from_omnilingual_asr_ctc,
    }
    return make[name](**files)


def reading(name, recogniser, samples):
    """Tokens as sherpa-onnx reads them."""
    stream = recogniser.create_stream()
    stream.accept_waveform(RATE, samples)
    if "streaming" not in name:
        recogniser.decode_stream(stream)
        return list(stream.result.tokens)
    stream.input_finished()
    while recogniser.is_ready(stream):
        recogniser.decode_stream(stream)
    return list(recogniser.tokens(stream))


def save(folder, name, array):
    np.ascontiguousarray(array, "<f4").tofile(folder / name)
    return name


def main():
    folder = pathlib.Path(sys.argv[1])
    cases = {"features": [], "scores": []}
    waves = {}
    for index, seconds in enumerate(SECONDS):
        waves[f"{seconds}"] = audio(index, seconds)
        save(folder, f"audio-{seconds}.f32", waves[f"{seconds}"])
        for kind in ("kaldi", "kaldi-16-bit", "nemo", "nemo-normalised", "giga"):
            file = save(folder, f"features-{kind}-{seconds}.f32", features(kind, waves[f"{seconds}"]))
            cases["features"].append({"kind": kind, "audio": f"audio-{seconds}.f32", "file": file})
    for name, write in networks.ALL.items():
        package = folder / name
        package.mkdir(exist_ok=True)
        write(package)
        score = streaming if "streaming" in name else offline
        settle(package / "model.onnx", score(name, Network(package), audio(99, 12.0)))
        network, reader = Network(package), recogniser(name, package)
        runs = [("model.onnx", network)]
        if name in QUANTISED:
            quantize_dynamic(package / "model.onnx", package / "model.int8.onnx", **QUANTISED[name])
            runs.append(("model.int8.onnx", Network(package, "model.int8.onnx")))
        for seconds, wave in waves.items():
            samples = np.concatenate([wave, np.zeros(int(TAIL * RATE), np.float32)]) if "streaming" in name else wave
            for file, run in runs:
                cases["scores"].append(
                    {
                        "package": name,
                        "network": file,
                        "audio": f"audio-{seconds}.f32",
                        "silence": int(TAIL * RATE) if "streaming" in name else 0,
                        "file": save(folder, f"scores-{name}-{file}-{seconds}.f32", score(name, run, samples)),
                        "reading": reading(name, reader, samples) if file == "model.onnx" and name not in UNLIKE else None,
                    }
                )
    # A streaming network that hears words.
    hears = folder / "hears-streaming"
    hears.mkdir(exist_ok=True)
    graft.streaming(folder / "nemo-streaming" / "model.onnx", SMALL / "model.onnx", hears / "model.onnx")
    for file in ("package.toml", "tokens.txt", "words.arpa"):
        shutil.copy(SMALL / file, hears)
    (folder / "cases.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()

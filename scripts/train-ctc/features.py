"""Features as NeMo models take them and sherpa-onnx computes them: 80 log-mel energies every 10 ms, not normalised.

Slaney's mel scale over 0 to 8 kHz, Hann window of 25 ms, pre-emphasis 0.97, natural logarithm.
"""

import kaldi_native_fbank as knf
import numpy as np

RATE = 16_000
BINS = 80
FLOOR = float(np.log(np.finfo(np.float32).eps))


def log_mel(samples):
    """(frames, 80) of `samples`, full scale +-1 at 16 kHz."""
    options = knf.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.snip_edges = False
    options.frame_opts.samp_freq = RATE
    options.frame_opts.remove_dc_offset = False
    options.frame_opts.window_type = "hann"
    options.mel_opts.num_bins = BINS
    options.mel_opts.low_freq = 0
    options.mel_opts.high_freq = 0
    options.mel_opts.is_librosa = True
    fbank = knf.OnlineFbank(options)
    fbank.accept_waveform(RATE, samples)
    fbank.input_finished()
    return np.stack([fbank.get_frame(frame) for frame in range(fbank.num_frames_ready)])

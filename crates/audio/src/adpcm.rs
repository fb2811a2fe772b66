//! The two ADPCM encodings that WAV files have: Microsoft's and IMA's (DVI). Both come in blocks
//! of `block_align` bytes, each with its own start values, of one or two channels.

use audio_codec_algorithms::{AdpcmImaState, decode_adpcm_ima};

/// Which ADPCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adpcm {
    Microsoft,
    Ima,
}

/// Step-size factors (1/256) by code, Microsoft ADPCM.
const MS_ADAPTATION: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

/// The seven standard predictors (1/256), Microsoft ADPCM.
const MS_COEFFICIENTS: [(i32, i32); 7] = [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];

/// Largest index into the step table, IMA ADPCM.
const IMA_LAST_STEP: u8 = 88;

impl Adpcm {
    /// Bytes at the start of a block with the start values of `channels` channels.
    pub(crate) fn header_len(self, channels: usize) -> usize {
        match self {
            Adpcm::Microsoft => 7 * channels,
            Adpcm::Ima => 4 * channels,
        }
    }

    /// Decodes one block, whole or cut short, into interleaved samples. A block with impossible
    /// start values is silence of its length, so that what follows keeps its time.
    pub(crate) fn decode(self, block: &[u8], channels: usize, samples: &mut Vec<i16>) {
        samples.clear();
        if block.len() < self.header_len(channels) {
            return;
        }
        match self {
            Adpcm::Microsoft => microsoft(block, channels, samples),
            Adpcm::Ima => ima(block, channels, samples),
        }
    }
}

struct MsChannel {
    coefficients: (i32, i32),
    delta: i32,
    newer: i32,
    older: i32,
}

impl MsChannel {
    fn expand(&mut self, code: u8) -> i16 {
        let signed = i32::from(code) - if code & 8 != 0 { 16 } else { 0 };
        let (first, second) = self.coefficients;
        let predicted = (self.newer * first + self.older * second) / 256;
        // delta is bounded below, so that none of this can overflow whatever the input says.
        let sample = (predicted + signed * self.delta).clamp(-32_768, 32_767);
        self.older = self.newer;
        self.newer = sample;
        self.delta = (MS_ADAPTATION[usize::from(code)] * self.delta / 256).clamp(16, i32::MAX / 1024);
        sample as i16
    }
}

fn microsoft(block: &[u8], channels: usize, samples: &mut Vec<i16>) {
    let word = |at: usize| i32::from(i16::from_le_bytes([block[at], block[at + 1]]));
    let mut state = Vec::with_capacity(channels);
    for channel in 0..channels {
        let Some(&coefficients) = MS_COEFFICIENTS.get(usize::from(block[channel])) else {
            let frames = 2 + (block.len() - 7 * channels) * 2 / channels;
            samples.resize(frames * channels, 0);
            return;
        };
        state.push(MsChannel {
            coefficients,
            delta: word(channels + 2 * channel).max(16),
            newer: word(3 * channels + 2 * channel),
            older: word(5 * channels + 2 * channel),
        });
    }
    samples.extend(state.iter().map(|s| s.older as i16));
    samples.extend(state.iter().map(|s| s.newer as i16));
    for (n, &byte) in block[7 * channels..].iter().enumerate() {
        samples.push(state[(2 * n) % channels].expand(byte >> 4));
        samples.push(state[(2 * n + 1) % channels].expand(byte & 15));
    }
}

fn ima(block: &[u8], channels: usize, samples: &mut Vec<i16>) {
    let (header, data) = block.split_at(4 * channels);
    // Codes come in runs of four bytes (eight samples) for each channel in turn.
    let per_channel = if channels == 1 { data.len() * 2 } else { data.len() / (4 * channels) * 8 };
    samples.resize((1 + per_channel) * channels, 0);
    for channel in 0..channels {
        let start = &header[4 * channel..];
        if start[2] > IMA_LAST_STEP {
            continue;
        }
        let mut state = AdpcmImaState::new();
        state.predictor = i16::from_le_bytes([start[0], start[1]]);
        state.step_index = start[2];
        samples[channel] = state.predictor;
        for n in 0..per_channel {
            let byte = data[n / 8 * 4 * channels + 4 * channel + n % 8 / 2];
            let code = if n % 2 == 0 { byte & 15 } else { byte >> 4 };
            samples[(1 + n) * channels + channel] = decode_adpcm_ima(code, &mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn microsoft_block_by_hand() {
        // Predictor 0 (previous sample), delta 16, samples 100 (newer), 50 (older); codes +1, -1.
        let mut samples = Vec::new();
        let block = [0, 16, 0, 100, 0, 50, 0, 0x1f];
        Adpcm::Microsoft.decode(&block, 1, &mut samples);
        assert_eq!(samples, [50, 100, 116, 100]);
    }

    #[test]
    fn ima_block_by_hand() {
        // Start 1000, step index 0 (step 7): code 4 adds 7*(4+0.5)/4 = 7 (with IMA's rounding),
        // and then the step index is 2.
        let mut samples = Vec::new();
        Adpcm::Ima.decode(&[0xe8, 0x03, 0, 0, 0x04], 1, &mut samples);
        assert_eq!(samples[..2], [1000, 1007]);
        assert_eq!(samples.len(), 3);
    }

    proptest! {
        #[test]
        fn any_block_decodes_to_its_length(
            block in proptest::collection::vec(any::<u8>(), 0..300),
            channels in 1usize..=2,
            microsoft in any::<bool>(),
        ) {
            let kind = if microsoft { Adpcm::Microsoft } else { Adpcm::Ima };
            let mut samples = Vec::new();
            kind.decode(&block, channels, &mut samples);
            prop_assert!(samples.len() <= 2 * block.len() + 4);
            prop_assert_eq!(samples.is_empty(), block.len() < kind.header_len(channels));
        }
    }
}

//! `dictum decode`: the samples the recogniser hears, as a WAV file.

use std::io::Write;
use std::path::Path;

use dictum_audio::ContentType;

use crate::args::DecodeArgs;
use crate::clip;
use crate::failure::Failure;

/// Decodes a file into 16-bit mono WAV.
pub fn run(args: &DecodeArgs) -> Result<(), Failure> {
    let ty = ContentType::parse(args.content_type.as_deref())
        .map_err(|error| Failure::new(format!("--content-type: {error}")))?;
    let wav = wav(&clip::samples(&args.file, &ty, args.rate)?, args.rate);
    if args.output == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(&wav).and_then(|()| out.flush()).map_err(Failure::from_output);
    }
    std::fs::write(&args.output, wav)
        .map_err(|error| Failure::new(format!("cannot write {}: {error}", args.output.display())))
}

/// A RIFF WAV file with the usual 44-byte header. Longer than 4 GiB, its length fields say "unknown".
pub fn wav(samples: &[f32], rate: u32) -> Vec<u8> {
    let bytes = u32::try_from(samples.len() * 2).ok().filter(|bytes| *bytes <= u32::MAX - 36);
    let mut file = Vec::with_capacity(44 + samples.len() * 2);
    file.extend(b"RIFF");
    file.extend(bytes.map_or(u32::MAX, |bytes| bytes + 36).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16u32.to_le_bytes());
    file.extend(1u16.to_le_bytes()); // PCM
    file.extend(1u16.to_le_bytes()); // mono
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(2u16.to_le_bytes());
    file.extend(16u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.unwrap_or(u32::MAX).to_le_bytes());
    for sample in samples {
        file.extend(((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let samples: Vec<f32> = (0..16_000).map(|at| ((at as f32) * 0.05).sin() * 0.9).collect();
        let file = wav(&samples, 16_000);
        assert_eq!(file.len(), 44 + 32_000);
        let read = dictum_audio::decode_all(&ContentType::parse(Some("audio/wav")).unwrap(), 16_000, &file).unwrap();
        assert_eq!(read.len(), samples.len());
        assert!(read.iter().zip(&samples).all(|(a, b)| (a - b).abs() < 1e-4));
    }
}

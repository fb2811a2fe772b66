//! The same samples as the tools of the field give, on the files of this crate and on real speech.

mod common;

use std::path::Path;

use common::{chirp, decode, shared_audio, snr, tool, wav};
use dictum_audio::{ContentType, Decoder, decode_all, find_ffmpeg};

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).display().to_string()
}

/// Decodes a file with ffmpeg, without resampling, and takes the mean of the channels (ffmpeg's own
/// downmix keeps the power, not the level).
fn ffmpeg(test: &str, file: &str, channels: usize, codec: &[&str]) -> Option<Vec<f32>> {
    let mut args = vec!["-v", "error", "-nostdin"];
    args.extend(codec);
    args.extend(["-i", file, "-f", "f32le", "-"]);
    let samples = floats(&tool(test, "ffmpeg", &args)?);
    Some(samples.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32).collect())
}

#[test]
fn ffmpeg_decodes_the_same_samples() {
    // What the file is, the rate, and the decoder of ffmpeg that is the reference.
    let files: [(&str, u32, &[&str]); 9] = [
        ("chirp.flac", 16_000, &[]),
        ("chirp-opus.ogg", 48_000, &["-c:a", "libopus"]),
        ("chirp-opus.webm", 48_000, &["-c:a", "libopus"]),
        ("chirp-vorbis.ogg", 44_100, &[]),
        ("chirp-vorbis.webm", 44_100, &[]),
        ("chirp.mp3", 44_100, &[]),
        ("chirp.mp2", 32_000, &[]),
        ("chirp-ms.wav", 16_000, &[]),
        ("chirp-ima.wav", 16_000, &[]),
    ];
    for (name, rate, codec) in files {
        let test = "ffmpeg_decodes_the_same_samples";
        let Some(expected) = ffmpeg(test, &path(name), 1, codec) else { return };
        let bytes = std::fs::read(path(name)).unwrap();
        let got = decode_all(&ContentType::Auto, rate, &bytes).unwrap();
        let likeness = snr(&got, &expected);
        println!("{name:<18}: {likeness:.1} dB, {} samples, ffmpeg {}", got.len(), expected.len());
        // ffmpeg rounds the steps of IMA ADPCM differently from the standard.
        assert!(likeness > if name == "chirp-ima.wav" { 50.0 } else { 75.0 }, "{name}: {likeness:.1} dB");
        // The padding of the last frame is cut by some and left by others.
        assert!(got.len().abs_diff(expected.len()) <= 2400, "{name}: {} and {}", got.len(), expected.len());
    }
}

#[test]
fn real_recordings_decode_as_with_ffmpeg() {
    let test = "real_recordings_decode_as_with_ffmpeg";
    let Some(folder) = shared_audio(test) else { return };
    let manifest = std::fs::read_to_string(folder.join("en/manifest.tsv")).unwrap();
    let clips = manifest.lines().skip(1).filter_map(|line| line.split('\t').next());
    for clip in clips.step_by(37) {
        let file = folder.join("en").join(clip);
        let mut decoder = Decoder::new(&ContentType::Auto, 8000);
        let bytes = std::fs::read(&file).unwrap();
        decoder.push(&bytes).unwrap();
        let info = decoder.source().unwrap();
        let (rate, channels) = (info.sample_rate, usize::from(info.channels));
        let Some(expected) = ffmpeg(test, &file.display().to_string(), channels, &[]) else { return };
        let got = decode(&ContentType::Auto, rate, &bytes, 4096).unwrap();
        let likeness = snr(&got, &expected);
        println!("{clip}: {rate} Hz, {likeness:.1} dB, {} samples, ffmpeg {}", got.len(), expected.len());
        assert!(likeness > 60.0, "{clip}");
        assert!(got.len().abs_diff(expected.len()) <= 2400, "{clip}");
    }
}

#[test]
fn sox_resamples_to_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.wav");
    for (from, to) in [(48_000, 16_000), (44_100, 16_000), (22_050, 8000)] {
        let bytes: Vec<u8> = chirp(from).iter().flat_map(|s| s.to_le_bytes()).collect();
        let file = wav(3, 1, from, 32, &bytes);
        std::fs::write(&input, &file).unwrap();
        let rate = to.to_string();
        let args = [&input.display().to_string(), "-r", &rate, "-t", "f32", "-", "rate", "-v"];
        let Some(expected) = tool("sox_resamples_to_the_same_samples", "sox", &args) else { return };
        let got = decode_all(&ContentType::Wav, to, &file).unwrap();
        let likeness = snr(&got, &floats(&expected));
        println!("{from} -> {to}: {likeness:.1} dB");
        assert!(likeness > 80.0, "{from} -> {to}: {likeness}");
    }
}

#[test]
fn g729_gives_eighty_samples_a_frame_at_both_bit_rates() {
    let Some(program) = find_ffmpeg() else {
        println!("skipped: g729_gives_eighty_samples_a_frame_at_both_bit_rates: ffmpeg is not installed");
        return;
    };
    let mut seed = 7u32;
    let mut stream = |frame: usize, parity: bool| -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..300 * frame)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        for frame in bytes.chunks_mut(frame).filter(|_| parity) {
            let odd = ((frame[2] & 0x3f).count_ones() + 1) as u8 & 1;
            frame[3] = frame[3] & !0x20 | odd << 5;
        }
        bytes
    };
    for (frame, parity) in [(10, true), (8, false)] {
        let mut decoder = Decoder::new(&ContentType::G729, 8000).ffmpeg(Some(program.clone()));
        let mut got = Vec::new();
        let mut frames = 0;
        // Sound comes before the end; how soon depends on how fast ffmpeg starts.
        while got.is_empty() && frames < 100_000 {
            got.extend(decoder.push(&stream(frame, parity)).unwrap());
            frames += 300;
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(!got.is_empty(), "{frame} bytes a frame: nothing before the end");
        got.extend(decoder.finish().unwrap());
        println!("{frame} bytes a frame: {frames} frames, {} samples", got.len());
        assert_eq!(got.len(), frames * 80, "{frame} bytes a frame");
        assert!(got.iter().any(|s| s.abs() > 0.01));
    }
}

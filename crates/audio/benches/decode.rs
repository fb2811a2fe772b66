//! How many seconds of audio a second of one core decodes, by format, and resamples, by rates.
//!
//! Throughput is printed in samples of output at 16 kHz a second: divide by 16 000 for times real
//! time. Compressed input is made by ffmpeg when it is installed; without it only the raw formats
//! and the resampler are measured.

use std::hint::black_box;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dictum_audio::{ContentType, Decoder};

/// Seconds of audio in each measurement.
const SECONDS: usize = 20;

/// Bytes pushed at a time, as a server reads them from a socket.
const PIECE: usize = 16 * 1024;

/// Something like speech: a pitch with harmonics under a syllable rhythm, and some noise.
fn voice(rate: usize) -> Vec<i16> {
    let mut seed = 1u32;
    (0..rate * SECONDS)
        .map(|n| {
            let t = n as f64 / rate as f64;
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(seed >> 16) / 65_536.0 - 0.5;
            let tone: f64 =
                (1..20).map(|k| (t * 120.0 * f64::from(k) * std::f64::consts::TAU).sin() / f64::from(k)).sum();
            ((tone * 0.2 + noise * 0.05) * (0.6 + 0.4 * (t * 25.0).sin()) * 20_000.0) as i16
        })
        .collect()
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

/// The voice in a compressed format.
fn encoded(rate: usize, options: &[&str]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().ok()?;
    let raw = folder.path().join("in.raw");
    std::fs::write(&raw, bytes(&voice(rate))).ok()?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "s16le", "-ac", "1", "-ar", &rate.to_string(), "-i"]).arg(&raw);
    let output = ffmpeg.args(options).arg("pipe:1").output().ok()?;
    output.status.success().then_some(output.stdout)
}

fn decode(ty: &ContentType, rate: u32, bytes: &[u8]) -> usize {
    let mut decoder = Decoder::new(ty, rate);
    let mut count = 0;
    let mut add = |samples: &[f32]| {
        count += black_box(samples).len();
        std::ops::ControlFlow::Continue(())
    };
    for piece in bytes.chunks(PIECE) {
        decoder.push_to(piece, &mut add).expect("decodes");
    }
    decoder.finish_to(&mut add).expect("decodes");
    count
}

fn formats(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    group.sample_size(10).throughput(Throughput::Elements((16_000 * SECONDS) as u64));
    let mut run = |name: &str, ty: &str, bytes: &[u8]| {
        let ty = ContentType::parse(Some(ty)).expect("a known type");
        group.bench_function(name, |b| b.iter(|| decode(&ty, 16_000, bytes)));
    };
    run("l16 16k", "audio/l16;rate=16000", &bytes(&voice(16_000)));
    // Any byte is a mu-law sample, so these are as many samples as above.
    run("mulaw 16k", "audio/mulaw;rate=16000", &bytes(&voice(8000)));
    for (name, ty, rate, options) in [
        ("wav 16k", "audio/wav", 16_000, &["-f", "wav"][..]),
        ("wav ima adpcm 16k", "audio/wav", 16_000, &["-c:a", "adpcm_ima_wav", "-f", "wav"]),
        ("flac 16k", "audio/flac", 16_000, &["-f", "flac"]),
        ("flac 48k", "audio/flac", 48_000, &["-f", "flac"]),
        ("ogg opus 48k", "audio/ogg", 48_000, &["-c:a", "libopus", "-b:a", "24k", "-f", "ogg"]),
        ("ogg vorbis 44.1k", "audio/ogg", 44_100, &["-c:a", "libvorbis", "-f", "ogg"]),
        ("webm opus 48k", "audio/webm", 48_000, &["-c:a", "libopus", "-b:a", "24k", "-f", "webm"]),
        ("mp3 44.1k", "audio/mp3", 44_100, &["-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"]),
    ] {
        match encoded(rate, options) {
            Some(bytes) => run(name, ty, &bytes),
            None => println!("skipped: {name}: ffmpeg is not installed"),
        }
    }
    group.finish();
}

fn resampling(c: &mut Criterion) {
    let mut group = c.benchmark_group("resample");
    group.sample_size(10);
    for (from, to) in [(48_000, 16_000), (44_100, 16_000), (22_050, 16_000), (44_101, 16_000), (48_000, 8000)] {
        let ty = ContentType::parse(Some(&format!("audio/l16;rate={from};endianness=little-endian")));
        let ty = ty.expect("a known type");
        let bytes = bytes(&voice(from as usize));
        group.throughput(Throughput::Elements((16_000 * SECONDS) as u64));
        group.bench_function(format!("{from} to {to}"), |b| b.iter(|| decode(&ty, to, &bytes)));
    }
    group.finish();
}

criterion_group!(benches, formats, resampling);
criterion_main!(benches);

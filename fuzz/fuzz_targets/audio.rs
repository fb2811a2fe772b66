//! Audio of any declared type: the first byte chooses the type, the second the size of the pieces it arrives in.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dictum_audio::{ContentType, Decoder};

const TYPES: [&str; 16] = [
    "application/octet-stream",
    "audio/wav",
    "audio/flac",
    "audio/ogg",
    "audio/ogg;codecs=opus",
    "audio/ogg;codecs=vorbis",
    "audio/webm",
    "audio/webm;codecs=opus",
    "audio/webm;codecs=vorbis",
    "audio/mp3",
    "audio/l16;rate=16000",
    "audio/l16;rate=44100;channels=16;endianness=big-endian",
    "audio/l16;rate=8000;channels=2;endianness=little-endian",
    "audio/mulaw;rate=8000",
    "audio/alaw;rate=48000",
    "audio/basic",
];

fuzz_target!(|bytes: &[u8]| {
    let [kind, size, audio @ ..] = bytes else { return };
    let Ok(ty) = ContentType::parse(Some(TYPES[usize::from(*kind) % TYPES.len()])) else { unreachable!() };
    let mut decoder = Decoder::new(&ty, 16_000).allow_upsampling(true);
    let mut count = 0usize;
    for piece in audio.chunks(1 + 8 * usize::from(*size)) {
        match decoder.push(piece) {
            Ok(samples) => count += check(&samples),
            Err(_) => return,
        }
    }
    if let Ok(samples) = decoder.finish() {
        count += check(&samples);
    }
    // A few bytes may well stand for minutes of silence, but not for hours.
    assert!(count < 16_000 * 3600 * 12, "{count} samples from {} bytes", audio.len());
});

fn check(samples: &[f32]) -> usize {
    assert!(samples.iter().all(|sample| sample.is_finite()), "a sample is not a number");
    samples.len()
}

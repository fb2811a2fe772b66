//! Audio that is not what it should be: the documented error or what sound there is, never a panic,
//! a hang or a stranger error.

mod common;

use common::{chirp, data, decode, s16, ty, wav, wav_of_size};
use dictum_audio::{AudioError, ContentType, Decoder, decode_all};
use proptest::prelude::*;

const TYPES: [&str; 14] = [
    "application/octet-stream",
    "audio/alaw;rate=8000",
    "audio/basic",
    "audio/flac",
    "audio/l16;rate=16000",
    "audio/l16;rate=8000;channels=16",
    "audio/mp3",
    "audio/mulaw;rate=8000",
    "audio/ogg",
    "audio/ogg;codecs=opus",
    "audio/ogg;codecs=vorbis",
    "audio/wav",
    "audio/webm",
    "audio/webm;codecs=vorbis",
];

/// Types whose content says what it is.
const TELLING: [&str; 8] = [
    "application/octet-stream",
    "audio/flac",
    "audio/mp3",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "audio/webm;codecs=opus",
];

const FILES: [&str; 12] = [
    "chirp.flac",
    "chirp-live.flac",
    "chirp-opus.ogg",
    "chirp-vorbis.ogg",
    "chirp-opus.webm",
    "chirp-vorbis.webm",
    "chirp.mp3",
    "chirp-mp3.wav",
    "chirp.mp2",
    "chirp-ms.wav",
    "chirp-ima.wav",
    "stereo-ima.wav",
];

/// Beginnings that send the rest into a parser.
const MAGIC: [&[u8]; 7] = [
    b"",
    b"fLaC",
    b"OggS\0\x02",
    b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0",
    b"\x1a\x45\xdf\xa3",
    b"ID3\x03\0\0\0\0\0\x05",
    b"\xff\xfb\x90\xc4",
];

fn noise(length: usize) -> Vec<u8> {
    let mut seed = 12_345u64;
    (0..length)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 56) as u8
        })
        .collect()
}

#[track_caller]
fn refused(result: Result<Vec<f32>, AudioError>, declared: &str) -> String {
    let error = result.expect_err(declared);
    assert_eq!(error.to_string(), format!("Unable to transcode data stream {declared} -> audio/l16"));
    error.reason().unwrap().to_owned()
}

#[test]
fn rec_f3_noise_and_nothing_are_no_audio() {
    for declared in TELLING {
        for bytes in [vec![], vec![0], vec![0; 100_000], vec![0xff; 100_000], noise(200_000), b"RIFF".to_vec()] {
            refused(decode(&ty(declared), 8000, &bytes, 1000), declared);
        }
    }
    for declared in ["audio/basic", "audio/alaw;rate=8000", "audio/l16;rate=8000"] {
        assert_eq!(decode_all(&ty(declared), 8000, &noise(10_001)).map(|s| s.len() >= 5000), Ok(true));
        assert_eq!(decode_all(&ty(declared), 8000, &[]), Ok(vec![]));
    }
}

#[test]
fn rec_f3_a_type_that_is_not_that_of_the_data() {
    for file in FILES {
        let is = match file.rsplit('.').next().unwrap() {
            "mp3" | "mp2" => "audio/mp",
            other => other,
        };
        for declared in TELLING.iter().filter(|t| !t.contains(is) && **t != "application/octet-stream") {
            let reason = refused(decode_all(&ty(declared), 8000, &data(file)), declared);
            assert!(reason.contains("content is"), "{file} as {declared}: {reason}");
        }
    }
    for (file, declared) in [
        ("chirp-opus.ogg", "audio/ogg;codecs=vorbis"),
        ("chirp-vorbis.ogg", "audio/ogg;codecs=opus"),
        ("chirp-vorbis.webm", "audio/webm;codecs=opus"),
    ] {
        refused(decode_all(&ty(declared), 8000, &data(file)), declared);
    }
}

#[test]
fn rec_l11_video_is_refused() {
    for (file, declared) in [("video.webm", "audio/webm"), ("video.ogg", "audio/ogg")] {
        assert_eq!(refused(decode_all(&ty(declared), 8000, &data(file)), declared), "video is not accepted");
        refused(decode_all(&ContentType::Auto, 8000, &data(file)), "application/octet-stream");
    }
    refused(
        decode_all(&ContentType::Auto, 8000, b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2mp41"),
        "application/octet-stream",
    );
}

#[test]
fn truncated_files_decode_as_far_as_they_go() {
    for file in FILES {
        let bytes = data(file);
        let whole = decode_all(&ContentType::Auto, 8000, &bytes).unwrap();
        let mut longest = 0;
        for cut in (0..bytes.len()).step_by(bytes.len() / 60) {
            match decode(&ContentType::Auto, 8000, &bytes[..cut], 700) {
                Ok(samples) => {
                    assert!(samples.len() >= longest, "{file} cut at {cut}");
                    longest = samples.len();
                    // Up to the resampler's reach before the cut, nothing is different.
                    let same = samples.len().saturating_sub(600);
                    let sound = samples[..same].iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-3);
                    assert!(sound, "{file} cut at {cut}");
                }
                Err(error) => {
                    let unable = matches!(error, AudioError::UnableToTranscode { .. });
                    assert!(unable && longest == 0, "{file} cut at {cut}: {error}");
                }
            }
        }
        assert!(longest > 4000, "{file}: at most {longest} samples");
    }
}

#[test]
fn absurd_wav_headers() {
    let sound = s16(&chirp(16_000));
    let wav16 = |channels, rate| decode_all(&ContentType::Wav, 8000, &wav(1, channels, rate, 16, &sound));
    refused(wav16(0, 16_000), "audio/wav");
    assert_eq!(wav16(9, 16_000).map(|s| s.len()), Ok((sound.len() / 18).div_ceil(2)));
    for channels in [10, 255, 65_535] {
        assert_eq!(wav16(channels, 16_000), Err(AudioError::TooManyChannels { channels, max: 9 }));
    }
    for rate in [0, 768_001, u32::MAX] {
        refused(wav16(1, rate), "audio/wav");
    }
    assert_eq!(wav16(1, 1), Err(AudioError::RateTooLow { rate: 1 }));
    assert!(wav16(1, 767_999).is_ok());
    for (tag, bits) in [(1, 0), (1, 64), (1, 65_535), (3, 16), (2, 4), (0x11, 4), (0x31, 0), (0xfffe, 16)] {
        let file = wav(tag, 1, 16_000, bits, &sound);
        refused(decode_all(&ContentType::Wav, 8000, &file), "audio/wav");
    }
    let good = wav(1, 1, 16_000, 16, &sound);
    // The data before the format, and a format chunk of 4 GB.
    refused(decode_all(&ContentType::Wav, 8000, &[&good[..12], &good[36..]].concat()), "audio/wav");
    let mut huge = good.clone();
    huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(decode_all(&ContentType::Wav, 8000, &huge), "audio/wav");
}

#[test]
fn samples_that_are_no_numbers_are_silence() {
    let mut samples = chirp(16_000);
    samples[1000..2000].fill(f32::NAN);
    samples[5000..5010].fill(f32::INFINITY);
    samples[6000] = 1e38;
    let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
    for rate in [8000, 16_000] {
        let got = decode_all(&ContentType::Wav, rate, &wav(3, 1, 16_000, 32, &bytes)).unwrap();
        assert!(got.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
        let silent = 1500 * rate as usize / 16_000;
        assert!(got[silent].abs() < 0.05);
    }
}

#[test]
fn limits_and_stops() {
    let file = wav_of_size(1, 1, 16_000, 16, &vec![0; 16_000 * 2 * 10], 0);
    let mut decoder = Decoder::new(&ContentType::Wav, 16_000).limit_seconds(5);
    assert_eq!(decoder.push(&file), Err(AudioError::TooLong { seconds: 5 }));
    assert_eq!(decoder.push(&file), Err(AudioError::TooLong { seconds: 5 }));
    let mut decoder = Decoder::new(&ContentType::Wav, 16_000).limit_seconds(10);
    assert_eq!(decoder.push(&file).map(|s| s.len()), Ok(160_000));
    assert_eq!(decoder.seconds(), 10.0);
    let mut decoder = Decoder::new(&ContentType::Wav, 16_000);
    let stopped = decoder.push_to(&file, &mut |_| std::ops::ControlFlow::Break(()));
    assert_eq!(stopped, Err(AudioError::Stopped));
    assert_eq!(decoder.finish(), Err(AudioError::Stopped));
}

#[test]
fn g729_needs_a_program_that_works() {
    let decoder = || Decoder::new(&ContentType::G729, 8000);
    assert_eq!(decoder().ffmpeg(None).push(&[0; 100]), Err(AudioError::NeedsFfmpeg));
    for program in ["/bin/false", "/nonexistent/ffmpeg"] {
        let mut broken = decoder().ffmpeg(Some(program.into()));
        let result = broken.push(&noise(1000)).and_then(|_| broken.finish());
        refused(result, "audio/g729");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_do_no_harm(
        which in 0..FILES.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        header_only in any::<bool>(),
        piece in 100usize..5000,
    ) {
        let mut bytes = data(FILES[which]);
        let reach = if header_only { bytes.len().min(400) } else { bytes.len() };
        for (at, value) in damage {
            let at = at.index(reach);
            bytes[at] = value;
        }
        let result = decode(&ContentType::Auto, 8000, &bytes, piece);
        if let Ok(samples) = result {
            prop_assert!(samples.iter().all(|s| s.abs() <= 1.0));
        }
    }

    #[test]
    fn any_bytes_as_any_type_do_no_harm(
        which in 0..TYPES.len(),
        magic in 0..MAGIC.len(),
        tail in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let bytes = [MAGIC[magic], &tail[..]].concat();
        let _ = decode(&ty(TYPES[which]), 8000, &bytes, 512);
    }
}

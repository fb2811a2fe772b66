//! Every format decodes to the chirp it was made from, in the right place, while it arrives.

mod common;

use common::{chirp, data, decode, s16, snr, ty, wav, wav_of_size};
use dictum_audio::{AudioError, Codec, ContentType, Decoder, Endianness, decode_all};
use proptest::prelude::*;

/// File, declared type, and the least likeness to the chirp in dB that the codec allows (Opus is
/// made for the ear, not for the wave form; `golden.rs` compares it with its reference decoder).
const FILES: [(&str, &str, f64); 13] = [
    ("chirp.flac", "audio/flac", 70.0),
    ("chirp-live.flac", "audio/flac", 70.0),
    ("chirp-opus.ogg", "audio/ogg;codecs=opus", 10.0),
    ("chirp-vorbis.ogg", "audio/ogg;codecs=vorbis", 15.0),
    ("chirp-opus.webm", "audio/webm;codecs=opus", 10.0),
    ("chirp-vorbis.webm", "audio/webm;codecs=vorbis", 15.0),
    ("chirp.mp3", "audio/mp3", 20.0),
    ("chirp.mp3", "audio/mpeg", 20.0),
    ("chirp.mp2", "audio/mpeg", 10.0),
    ("chirp-mp3.wav", "audio/wav", 10.0),
    ("chirp-ms.wav", "audio/wav", 25.0),
    ("chirp-ima.wav", "audio/wav", 25.0),
    ("chirp-opus.ogg", "audio/ogg", 10.0),
];

#[test]
fn compressed_formats_decode_in_place() {
    let expected = chirp(16_000);
    for (file, declared, least) in FILES {
        for declared in [ty(declared), ContentType::Auto] {
            let got = decode_all(&declared, 16_000, &data(file)).unwrap();
            // These two have no header that tells the encoder's delay: 481 and 1105 samples.
            let delay: usize = match file {
                "chirp.mp2" => 481 * 16_000 / 32_000,
                "chirp-mp3.wav" => 1105 * 16_000 / 22_050,
                _ => 0,
            };
            let near = delay.saturating_sub(2)..=delay + 2;
            let likeness = near.filter(|&at| delay > 0 || at == 0).map(|at| snr(&got[at..], &expected));
            let likeness = likeness.fold(f64::NEG_INFINITY, f64::max);
            println!("{file:<18} as {declared:<26}: {likeness:.1} dB, {} samples", got.len());
            assert!(likeness >= least, "{file}: {likeness:.1} dB");
        }
    }
}

#[test]
fn rec_l9_stereo_adpcm_is_mixed_down() {
    let expected: Vec<f32> = chirp(16_000).iter().map(|s| s / 2.0).collect();
    for file in ["stereo-ms.wav", "stereo-ima.wav"] {
        let got = decode_all(&ContentType::Wav, 16_000, &data(file)).unwrap();
        assert!(snr(&got, &expected) > 25.0, "{file}: {}", snr(&got, &expected));
    }
}

/// The encodings of a chirp as raw samples: format tag, bits, bytes.
fn raw_encodings(samples: &[f32]) -> Vec<(u16, u16, Vec<u8>)> {
    let wide = |scale: f64| samples.iter().map(move |&s| (f64::from(s) * scale).round() as i32);
    let law = |encode: fn(i16) -> u8| samples.iter().map(|&s| encode((s * 32_768.0) as i16)).collect();
    vec![
        (1, 8, wide(128.0).map(|s| (s + 128) as u8).collect()),
        (1, 16, s16(samples)),
        (1, 24, wide(8_388_608.0).flat_map(|s| s.to_le_bytes()[..3].to_vec()).collect()),
        (1, 32, wide(2_147_483_648.0).flat_map(i32::to_le_bytes).collect()),
        (3, 32, samples.iter().flat_map(|s| s.to_le_bytes()).collect()),
        (3, 64, samples.iter().flat_map(|&s| f64::from(s).to_le_bytes()).collect()),
        (6, 8, law(audio_codec_algorithms::encode_alaw)),
        (7, 8, law(audio_codec_algorithms::encode_ulaw)),
    ]
}

#[test]
fn wav_of_every_encoding_and_as_extensible() {
    let samples = chirp(16_000);
    for (tag, bits, bytes) in raw_encodings(&samples) {
        let plain = wav(tag, 1, 16_000, bits, &bytes);
        let mut extensible = plain.clone();
        extensible[20..22].copy_from_slice(&0xfffeu16.to_le_bytes());
        extensible[16] = 40;
        let mut more = vec![22, 0, bits as u8, 0, 4, 0, 0, 0, tag as u8, 0];
        more.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
        extensible.splice(36..36, more);
        for file in [&plain, &extensible] {
            let got = decode_all(&ContentType::Wav, 16_000, file).unwrap();
            assert_eq!(got.len(), samples.len());
            let least = if bits == 8 { 30.0 } else { 80.0 };
            assert!(snr(&got, &samples) > least, "tag {tag}, {bits} bits: {}", snr(&got, &samples));
        }
    }
}

#[test]
fn wav_big_endian_and_rf64() {
    let samples = chirp(16_000);
    let big: Vec<u8> = s16(&samples).as_chunks::<2>().0.iter().flat_map(|&[a, b]| [b, a]).collect();
    let mut rifx = b"RIFX\0\0\0\x24WAVEfmt \0\0\0\x10\0\x01\0\x01\0\0\x3e\x80\0\0\x7d\0\0\x02\0\x10data".to_vec();
    rifx.extend((big.len() as u32).to_be_bytes());
    rifx.extend(&big);
    let little = decode_all(&ContentType::Wav, 16_000, &wav(1, 1, 16_000, 16, &s16(&samples))).unwrap();
    assert_eq!(decode_all(&ContentType::Auto, 16_000, &rifx).unwrap(), little);

    // RF64: the true size of the data is in the ds64 chunk; what follows them is no sound.
    let bytes = s16(&samples);
    let mut rf64 = wav_of_size(1, 1, 16_000, 16, &bytes, u32::MAX);
    rf64[..4].copy_from_slice(b"RF64");
    let mut ds64 = b"ds64\x1c\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    ds64.extend((bytes.len() as u64).to_le_bytes());
    ds64.extend([0; 12]);
    rf64.splice(12..12, ds64);
    rf64.extend(b"LIST\x04\0\0\0\xff\x7f\xff\x7f");
    assert_eq!(decode_all(&ContentType::Wav, 16_000, &rf64).unwrap(), little);
}

#[test]
fn rec_f6_wav_of_unknown_or_wrong_size() {
    let samples = chirp(16_000);
    let bytes = s16(&samples);
    let whole = decode_all(&ContentType::Wav, 16_000, &wav(1, 1, 16_000, 16, &bytes)).unwrap();
    for size in [0, u32::MAX, 0x7fff_ffff, 40_000_000] {
        let file = wav_of_size(1, 1, 16_000, 16, &bytes, size);
        assert_eq!(decode_all(&ContentType::Wav, 16_000, &file).unwrap(), whole, "size {size}");
    }
    // A chunk after the data is no sound; one before them is skipped.
    let mut file = wav(1, 1, 16_000, 16, &bytes);
    file.extend(b"LIST\x04\0\0\0\xff\x7f\xff\x7f");
    assert_eq!(decode_all(&ContentType::Wav, 16_000, &file).unwrap(), whole);
    file.splice(36..36, [b"LIST\x03\0\0\0abc\0".to_vec(), b"junk\0\0\0\0".to_vec()].concat());
    assert_eq!(decode_all(&ContentType::Wav, 16_000, &file).unwrap(), whole);
}

#[test]
fn raw_types() {
    let samples = chirp(8000);
    let law = |encode: fn(i16) -> u8| -> Vec<u8> { samples.iter().map(|&s| encode((s * 32_768.0) as i16)).collect() };
    let mulaw = law(audio_codec_algorithms::encode_ulaw);
    let alaw = law(audio_codec_algorithms::encode_alaw);
    for (declared, bytes) in [
        ("audio/mulaw;rate=8000", &mulaw),
        ("audio/basic", &mulaw),
        ("audio/alaw;rate=8000", &alaw),
        ("audio/l16;rate=8000", &s16(&samples)),
        ("audio/l16;rate=8000;endianness=little-endian", &s16(&samples)),
    ] {
        let got = decode_all(&ty(declared), 8000, bytes).unwrap();
        assert_eq!(got.len(), samples.len());
        assert!(snr(&got, &samples) > 30.0, "{declared}");
    }
    let stereo: Vec<f32> = samples.iter().flat_map(|&s| [s, 0.0]).collect();
    let half: Vec<f32> = samples.iter().map(|s| s / 2.0).collect();
    let got = decode_all(&ty("audio/l16;rate=8000;channels=2"), 8000, &s16(&stereo)).unwrap();
    assert!(snr(&got, &half) > 60.0);
}

#[test]
fn rec_f3_a_wav_file_sent_as_l16_decodes_as_pcm() {
    let samples = chirp(44_100);
    let file = wav(1, 1, 44_100, 16, &s16(&samples));
    let got = decode_all(&ty("audio/l16; rate=44100"), 44_100, &file).unwrap();
    assert_eq!(got.len(), samples.len() + 22);
    assert!(snr(&got[22..], &samples) > 60.0);
}

#[test]
fn rec_l10_a_lower_rate_is_refused_and_a_higher_one_resampled() {
    let file = wav(1, 1, 8000, 16, &s16(&chirp(8000)));
    let error = decode_all(&ContentType::Wav, 16_000, &file).unwrap_err();
    assert_eq!(error, AudioError::RateTooLow { rate: 8000 });
    assert_eq!(
        error.to_string(),
        "This 8000hz audio input requires a narrow band model. See /v1/models for a list of available models."
    );
    let up = decode(&ContentType::Wav, 16_000, &file, 1000).unwrap();
    assert!(snr(&up, &chirp(16_000)) > 60.0);
    // Not from where there is no speech: 3999 Hz to 16 kHz.
    let low = wav(1, 1, 3999, 16, &s16(&chirp(3999)));
    assert_eq!(decode(&ContentType::Wav, 16_000, &low, 1000), Err(AudioError::RateTooLow { rate: 3999 }));
    for rate in [22_050, 44_100, 48_000, 96_000] {
        let file = wav(1, 1, rate, 16, &s16(&chirp(rate)));
        let got = decode_all(&ContentType::Wav, 16_000, &file).unwrap();
        assert_eq!(got.len(), 19_200, "{rate}");
        assert!(snr(&got, &chirp(16_000)) > 60.0, "{rate}");
    }
}

#[test]
fn the_wanted_rate_may_depend_on_that_of_the_audio() {
    for (rate, expected) in [(8000, 9600), (44_100, 19_200)] {
        let choose = |rate| if rate < 16_000 { 8000 } else { 16_000 };
        let mut decoder = Decoder::adaptive(&ContentType::Auto, choose);
        let mut got = decoder.push(&wav(1, 1, rate, 16, &s16(&chirp(rate)))).unwrap();
        got.extend(decoder.finish().unwrap());
        assert_eq!(got.len(), expected, "{rate}");
    }
}

#[test]
fn the_source_is_told_as_soon_as_it_is_known() {
    let info = |file: &str, declared: ContentType| {
        let bytes = data(file);
        let mut decoder = Decoder::new(&declared, 8000);
        assert_eq!(decoder.source(), None);
        decoder.push(&bytes[..bytes.len() * 19 / 20]).unwrap();
        let info = decoder.source().unwrap_or_else(|| panic!("{file}"));
        (info.content_type, info.encoding, info.sample_rate, info.channels)
    };
    let (opus, vorbis) = (Some(Codec::Opus), Some(Codec::Vorbis));
    assert_eq!(info("chirp.flac", ContentType::Auto), (ContentType::Flac, "flac", 16_000, 1));
    assert_eq!(info("chirp-opus.ogg", ty("audio/ogg")), (ContentType::Ogg { codec: opus }, "opus", 48_000, 1));
    assert_eq!(
        info("chirp-vorbis.webm", ContentType::Auto),
        (ContentType::Webm { codec: vorbis }, "vorbis", 44_100, 1)
    );
    assert_eq!(info("chirp.mp3", ContentType::Mp3), (ContentType::Mpeg, "mp3", 44_100, 1));
    assert_eq!(info("chirp-mp3.wav", ContentType::Auto), (ContentType::Wav, "mp3", 22_050, 1));
    assert_eq!(info("stereo-ms.wav", ContentType::Wav), (ContentType::Wav, "adpcm_ms", 16_000, 2));
    let mut raw = Decoder::new(&ty("audio/l16;rate=16000"), 16_000);
    raw.push(&s16(&chirp(16_000))).unwrap();
    let order = Some(Endianness::Little);
    let expected = ContentType::L16 { rate: 16_000, channels: 1, endianness: order };
    assert_eq!(raw.source().unwrap().content_type, expected);
}

/// How much of a file must be pushed, in pieces of 100 bytes, until the first samples come.
fn until_first_samples(declared: &ContentType, bytes: &[u8]) -> f64 {
    let mut decoder = Decoder::new(declared, 8000);
    let mut pushed = 0;
    for piece in bytes.chunks(100) {
        pushed += piece.len();
        if !decoder.push(piece).unwrap().is_empty() {
            return pushed as f64 / bytes.len() as f64;
        }
    }
    f64::INFINITY
}

#[test]
fn first_samples_come_before_the_last_bytes() {
    for (file, declared, _) in FILES {
        let share = until_first_samples(&ty(declared), &data(file));
        println!("{file:<18}: first samples after {:.0} % of the bytes", share * 100.0);
        // An Ogg page of these files is a second of sound, and the Vorbis headers are half of it.
        let most = if file.ends_with("ogg") || file.contains("vorbis") { 0.95 } else { 0.5 };
        assert!(share <= most, "{file}: {share}");
    }
    let bytes = s16(&chirp(16_000));
    for declared in ["audio/l16;rate=16000", "audio/l16;rate=16000;endianness=little-endian", "audio/basic"] {
        let share = until_first_samples(&ty(declared), &bytes);
        assert!(share < 0.5, "{declared}: {share}");
    }
}

/// Gives every page of an Ogg stream another serial number, and its checksum.
fn with_serial(mut stream: Vec<u8>, serial: u32) -> Vec<u8> {
    let mut at = 0;
    while at + 27 <= stream.len() {
        let segments = usize::from(stream[at + 26]);
        let body: usize = stream[at + 27..at + 27 + segments].iter().map(|&n| usize::from(n)).sum();
        let page = &mut stream[at..at + 27 + segments + body];
        page[14..18].copy_from_slice(&serial.to_le_bytes());
        page[22..26].fill(0);
        let mut crc = 0u32;
        for &byte in page.iter() {
            crc ^= u32::from(byte) << 24;
            for _ in 0..8 {
                crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            }
        }
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        at += page.len();
    }
    stream
}

#[test]
fn chained_ogg_streams_play_one_after_the_other() {
    let first = with_serial(data("chirp-opus.ogg"), 1);
    let second = with_serial(data("chirp-opus.ogg"), 2);
    let one = decode_all(&ContentType::Auto, 16_000, &first).unwrap();
    let two = decode_all(&ContentType::Auto, 16_000, &[first.clone(), second].concat()).unwrap();
    assert!((two.len() as i64 - 2 * one.len() as i64).abs() <= 2, "{} and {}", one.len(), two.len());
    assert!(snr(&two[one.len()..], &chirp(16_000)) > 10.0);
    // The second at another rate: from 48 kHz to 44.1 kHz.
    let vorbis = with_serial(data("chirp-vorbis.ogg"), 3);
    let both = decode_all(&ContentType::Ogg { codec: None }, 16_000, &[first, vorbis].concat()).unwrap();
    assert!(snr(&both[one.len()..], &chirp(16_000)) > 15.0);
}

/// A WebM stream as a browser's MediaRecorder writes it: clusters of unknown size.
fn with_unknown_cluster_sizes(stream: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut changed = 0;
    while at < stream.len() {
        if stream[at..].starts_with(&[0x1f, 0x43, 0xb6, 0x75]) {
            let width = stream[at + 4].leading_zeros() as usize + 1;
            out.extend([0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            at += 4 + width;
            changed += 1;
        } else {
            out.push(stream[at]);
            at += 1;
        }
    }
    assert!(changed > 2);
    out
}

#[test]
fn rec_f6_webm_with_clusters_of_unknown_size() {
    let live = with_unknown_cluster_sizes(&data("chirp-opus.webm"));
    let whole = decode_all(&ContentType::Auto, 16_000, &data("chirp-opus.webm")).unwrap();
    assert_eq!(decode_all(&ty("audio/webm;codecs=opus"), 16_000, &live).unwrap(), whole);
    assert!(until_first_samples(&ContentType::Auto, &live) < 0.5);
}

#[test]
fn an_id3_tag_larger_than_any_buffer_is_skipped() {
    let mp3 = data("chirp.mp3");
    let plain = decode_all(&ContentType::Mp3, 16_000, &mp3).unwrap();
    let mut tagged = b"ID3\x03\0\0\0\x40\0\0".to_vec(); // 1 MiB
    tagged.resize(10 + (1 << 20), 0xff);
    tagged.extend(&mp3);
    assert_eq!(decode(&ContentType::Mp3, 16_000, &tagged, 10_000).unwrap(), plain);
    assert_eq!(decode(&ContentType::Auto, 16_000, &tagged, 1 << 21).unwrap(), plain);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_size_decode_to_the_same_samples(
        which in 0..FILES.len(),
        sizes in proptest::collection::vec(1usize..3000, 1..20),
        rate in prop_oneof![Just(8000u32), Just(16_000)],
    ) {
        let (file, declared, _) = FILES[which];
        let bytes = data(file);
        let whole = decode_all(&ty(declared), rate, &bytes).unwrap();
        let mut decoder = Decoder::new(&ty(declared), rate);
        let mut got = Vec::new();
        let mut left = &bytes[..];
        for size in sizes.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let (now, later) = left.split_at((*size).min(left.len()));
            got.extend(decoder.push(now).unwrap());
            left = later;
        }
        got.extend(decoder.finish().unwrap());
        prop_assert_eq!(got, whole, "{}", file);
    }

    #[test]
    fn pieces_of_any_size_of_raw_audio_too(
        tag_bits in 0usize..8,
        channels in 1u16..=9,
        piece in 1usize..5000,
        rate in prop_oneof![Just(8000u32), Just(44_100), Just(16_001)],
    ) {
        let mono = chirp(rate);
        let samples: Vec<f32> = mono.iter().flat_map(|&s| vec![s; channels.into()]).collect();
        let (tag, bits, bytes) = raw_encodings(&samples).swap_remove(tag_bits);
        let file = wav(tag, channels, rate, bits, &bytes);
        let whole = decode_all(&ContentType::Wav, 8000, &file).unwrap();
        prop_assert_eq!(decode(&ContentType::Auto, 8000, &file, piece).unwrap(), whole);
    }
}

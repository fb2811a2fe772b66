//! Narrowband maps: what they make of a model's Gaussians, how they are written, and what they gain.

mod common;

use std::collections::BTreeMap;

use common::tiny::{Order, Tiny};
use common::{Random, cepstra};
use dictum_acoustic::{
    FrontEndConfig, NarrowbandMap, NarrowbandRow, PhoneMap, SphinxModel, cepstral_mean, features, parse_feat_params,
};
use proptest::prelude::*;

fn rows(seed: u64) -> PhoneMap {
    let mut random = Random::new(seed);
    let mut number = |low: f32, high: f32| low + (high - low) * random.next();
    std::array::from_fn(|_| {
        std::array::from_fn(|_| NarrowbandRow {
            bias: number(-1.0, 1.0),
            variance: number(0.1, 2.0),
            weights: std::array::from_fn(|_| number(-0.5, 0.5)),
        })
    })
}

const MEAN: [f32; 13] = [40.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, -12.5];

/// A map for all phones, with rows of its own for phone A.
fn map() -> NarrowbandMap {
    NarrowbandMap::new(14, 2.5, MEAN, rows(1), BTreeMap::from([("A".to_owned(), rows(2))])).unwrap()
}

fn load(tiny: &Tiny) -> SphinxModel {
    let dir = tempfile::tempdir().unwrap();
    tiny.write(dir.path(), Order::Little);
    SphinxModel::load(dir.path()).unwrap()
}

/// The model whose Gaussians are those of `tiny` carried over, by the formula.
fn carried(tiny: &Tiny, map: &NarrowbandMap) -> Tiny {
    let mut result = tiny.clone();
    let mut at = 0;
    for codebook in 0..tiny.codebooks {
        // With as many codebooks as phones, they are the phones'; otherwise they belong to none.
        let phone = if tiny.codebooks == tiny.phones.len() { tiny.phones[codebook].0 } else { "*" };
        let mut first = 0;
        for &length in &tiny.stream_lengths {
            for _ in 0..tiny.densities {
                for dimension in first..first + length {
                    let (kind, k) = (dimension / 13, dimension % 13);
                    let row = &map.phone(phone)[kind][k];
                    let (mut mean, mut variance) = (f64::from(row.bias), f64::from(row.variance));
                    for (j, &weight) in row.weights.iter().enumerate() {
                        let from = at + 13 * kind + j - first;
                        mean += f64::from(weight) * f64::from(tiny.means[from]);
                        variance += f64::from(weight).powi(2) * f64::from(tiny.variances[from]);
                    }
                    result.means[at + dimension - first] = mean as f32;
                    result.variances[at + dimension - first] = variance as f32;
                }
                at += length;
            }
            first += length;
        }
    }
    result
}

#[test]
fn gaussians_are_carried_over_by_the_rows_of_their_phone() {
    for (codebooks, streams, densities) in
        [(4, vec![13, 13, 13], 16), (4, vec![39], 3), (15, vec![26, 13], 4), (1, vec![39], 20)]
    {
        let tiny = Tiny::new(codebooks, &streams, densities);
        let wideband = load(&tiny);
        let narrowband = wideband.narrowband(&map()).unwrap();
        let expected = load(&carried(&tiny, &map()));
        assert_eq!(narrowband.tying(), wideband.tying());
        assert_eq!(narrowband.front_end().params().initial_mean, MEAN);
        let vectors: Vec<[f32; 39]> = {
            let mut random = Random::new(5);
            (0..21).map(|_| std::array::from_fn(|_| 3.0 * random.next() - 1.5)).collect()
        };
        let scores = |model: &SphinxModel| {
            let mut scores = Vec::new();
            model.scorer().score(&vectors, &mut scores);
            scores
        };
        let (ours, theirs, before) = (scores(&narrowband), scores(&expected), scores(&wideband));
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-3 + 1e-5 * b.abs()),
            "{codebooks} codebooks, {streams:?}"
        );
        assert!(ours.iter().zip(&before).any(|(a, b)| (a - b).abs() > 0.1), "nothing was carried over");
        assert_eq!(scores(&load(&tiny)), before, "the wideband model is as it was");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let problem = load(&Tiny::new(4, &[10, 9, 8, 12], 5)).narrowband(&map()).unwrap_err();
    assert!(problem.contains("a stream has feature 0, but not 10"), "{problem}");
    let bands = NarrowbandMap::new(300, 0.0, MEAN, rows(1), BTreeMap::new()).unwrap();
    let problem = load(&Tiny::new(4, &[13, 13, 13], 4)).narrowband(&bands).unwrap_err();
    assert!(problem.contains("it needs 300 bands"), "{problem}");
    let mut wild = rows(1);
    wild[2][5].weights[3] = f32::MAX;
    let wild = NarrowbandMap::new(10, 0.0, MEAN, wild, BTreeMap::new()).unwrap();
    let problem = load(&Tiny::new(4, &[13, 13, 13], 4)).narrowband(&wild).unwrap_err();
    assert!(problem.contains("not finite"), "{problem}");
}

#[test]
fn parts_out_of_range_are_refused() {
    let with = |change: &dyn Fn(&mut NarrowbandRow)| {
        let mut rows = rows(1);
        change(&mut rows[1][12]);
        NarrowbandMap::new(10, 0.0, MEAN, rows, BTreeMap::new())
    };
    assert!(with(&|_| ()).is_ok());
    assert!(with(&|row| row.variance = 0.0).is_err());
    assert!(with(&|row| row.variance = f32::INFINITY).is_err());
    assert!(with(&|row| row.bias = f32::NAN).is_err());
    assert!(with(&|row| row.weights[0] = f32::NEG_INFINITY).is_err());
    for (bands, floor) in [(0, 0.0), (513, 0.0), (10, f32::NAN), (10, 41.0)] {
        assert!(NarrowbandMap::new(bands, floor, MEAN, rows(1), BTreeMap::new()).is_err(), "{bands}, {floor}");
    }
}

#[test]
fn a_map_reads_as_it_was_written() {
    let text = map().to_text();
    assert_eq!(NarrowbandMap::parse(text.as_bytes()).unwrap(), map());
    let commented = format!("# first\n{}\n\n  # last", text.replace('\n', " # why\r\n"));
    assert_eq!(NarrowbandMap::parse(commented.as_bytes()).unwrap(), map());
    assert_eq!(map().phone("A"), &rows(2));
    assert_eq!(map().phone("B"), &rows(1));
}

#[test]
fn malformed_maps_are_refused_with_a_reason_and_a_place() {
    let text = map().to_text();
    let first = text.find("row").unwrap();
    let first_row = text.lines().find(|line| line.starts_with("row")).unwrap().to_owned();
    let cases = [
        (text.replace("format 2", "format 1"), 0, "format 1 is not known"),
        (text.replace("format 2\n", ""), text.len() - 9, "missing"),
        (text.replace("bands 14", "bands 1.5"), 9, "the number of bands cannot be \"1.5\""),
        (text.replace("bands 14", "bands 14 15"), 9, "\"15\" is more than the line should have"),
        (text.replace("floor 2.5", "floor"), 18, "the floor is missing"),
        (text.replace(" 11 -12.5", " 11"), 28, "a number of the mean is missing"),
        (text.replace("floor", "ceiling"), 18, "\"ceiling\" is not known"),
        (text.replacen("row * 0 0", "row * 3 0", 1), first, "kind 3"),
        (text.replacen("row * 0 0", "row * 0 13", 1), first, "coefficient 13"),
        (text.replacen("row * 0 0", "row * 0 1", 1), first + first_row.len() + 1, "twice"),
        (text.replacen(&first_row, "", 1), text.len() - first_row.len(), "phone * has 38 rows"),
        (text.replace("row *", "row B"), text.len(), "phone * is missing"),
        (text.replacen(&first_row, &first_row[..first_row.len() - 12], 1), first, "a weight is missing"),
        (format!("{text}\u{0}"), text.len(), "is not known"),
    ];
    for (text, offset, reason) in cases {
        let error = NarrowbandMap::parse(text.as_bytes()).unwrap_err();
        assert!(error.reason.contains(reason), "{error}, not {reason}");
        assert_eq!(error.offset, offset as u64, "{error}");
    }
}

proptest! {
    #[test]
    fn changed_maps_are_maps_or_errors(at in 0usize..8000, byte in any::<u8>()) {
        let mut text = map().to_text().into_bytes();
        let at = at % text.len();
        text[at] = byte;
        if let Ok(map) = NarrowbandMap::parse(&text) {
            prop_assert_eq!(NarrowbandMap::parse(map.to_text().as_bytes()).unwrap(), map);
        }
    }
}

#[test]
fn silence_on_the_line_is_as_loud_as_the_floor() {
    let params = parse_feat_params(b"-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22").unwrap();
    let config = FrontEndConfig::new(params).with_narrowband(16, 3.0, &MEAN).unwrap();
    assert_eq!(config.sample_rate(), 8000.0);
    for frame in cepstra(&config, &[0.0; 8000]) {
        // c0 is the sum of the log energies over the root of their number.
        assert!((frame[0] - 3.0 * 16f32.sqrt()).abs() < 1e-4, "{frame:?}");
        assert!(frame[1..].iter().all(|value| value.abs() < 1e-4), "{frame:?}");
    }
}

/// For each frame the log-likelihoods of the phones: of their best senones without context.
fn phones(model: &SphinxModel, samples: &[f32]) -> Vec<Vec<f32>> {
    let cepstra = cepstra(model.front_end(), samples);
    let mut scores = Vec::new();
    model.scorer().score(&features(&cepstra, &cepstral_mean(&cepstra)), &mut scores);
    let units = model.units();
    let senones: Vec<[u16; 3]> =
        (0..units.phone_count() as u8).map(|phone| units.senones(units.context_independent(phone))).collect();
    let of_phone = |scores: &[f32], senones: &[u16; 3]| {
        senones.iter().map(|&senone| scores[usize::from(senone)]).fold(f32::NEG_INFINITY, f32::max)
    };
    let frames = scores.chunks_exact(model.senone_count());
    frames.map(|scores| senones.iter().map(|senones| of_phone(scores, senones)).collect()).collect()
}

/// Nats by which the phone that is best in `reference` is less likely than the best, in the mean over frames.
fn lost(reference: &[Vec<f32>], heard: &[Vec<f32>]) -> f64 {
    let frames = reference.iter().zip(heard).map(|(reference, heard)| {
        let best = (0..reference.len()).max_by(|&a, &b| reference[a].total_cmp(&reference[b])).unwrap();
        f64::from(heard.iter().copied().fold(f32::NEG_INFINITY, f32::max) - heard[best])
    });
    frames.clone().sum::<f64>() / frames.count() as f64
}

#[test]
fn the_us_english_map_hears_phones_that_upsampled_speech_loses() {
    let test = "the_us_english_map_hears_phones_that_upsampled_speech_loses";
    let (Some(dir), Some(audio)) = (common::model_dir(test), common::shared_audio(test)) else { return };
    if !common::tool(test, "ffmpeg", "ffmpeg") {
        return;
    }
    let wideband = SphinxModel::load(&dir).unwrap();
    let narrowband = wideband.narrowband(&NarrowbandMap::us_english()).unwrap();
    assert_eq!(narrowband.front_end().sample_rate(), 8000.0);
    let manifest = std::fs::read_to_string(audio.join("en/manifest.tsv")).unwrap();
    let crowd = manifest.lines().filter(|line| line.contains("crowd-sourced device\t"));
    let (mut mapped, mut upsampled, mut count) = (0.0, 0.0, 0.0);
    for path in crowd.filter_map(|line| line.split('\t').next()).step_by(80).take(3) {
        let path = audio.join("en").join(path);
        let narrow = common::read_audio(&path, 8000);
        // Zeros between the samples, then the average of neighbours: plain linear interpolation.
        let doubled: Vec<f32> = narrow.windows(2).flat_map(|pair| [pair[0], (pair[0] + pair[1]) / 2.0]).collect();
        let reference = phones(&wideband, &common::read_audio(&path, 16_000));
        mapped += lost(&reference, &phones(&narrowband, &narrow));
        upsampled += lost(&reference, &phones(&wideband, &doubled));
        count += 1.0;
    }
    let (mapped, upsampled) = (mapped / count, upsampled / count);
    println!("nats below the best phone: mapped {mapped:.3}, upsampled {upsampled:.3}");
    assert!(mapped < 0.8 * upsampled, "mapped {mapped}, upsampled {upsampled}");
}

//! Cepstra against Sphinx's own front end (`sphinx_fe`), and what a stream must keep to.

mod common;

use std::path::Path;
use std::process::Command;

use common::cepstra;
use dictum_acoustic::{FeatParams, FrontEnd, FrontEndConfig, parse_feat_params};
use proptest::prelude::*;

/// The settings of the US English model that matter here.
const EN_US: &str = "-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22";

fn reference_cepstra(dir: &Path, settings: &str, samples: &[f32]) -> Vec<[f32; 13]> {
    let (input, output) = (dir.join("in.raw"), dir.join("out.mfc"));
    std::fs::write(&input, common::to_pcm(samples)).unwrap();
    let status = Command::new("sphinx_fe")
        .args(settings.split_whitespace())
        .args(["-raw", "yes", "-remove_silence", "no", "-i"])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let bytes = std::fs::read(&output).unwrap();
    let floats: Vec<f32> =
        bytes[4..].chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect();
    assert_eq!(i32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize, floats.len());
    floats.chunks_exact(13).map(|frame| frame.try_into().unwrap()).collect()
}

fn assert_close(ours: &[[f32; 13]], theirs: &[[f32; 13]], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: number of frames");
    let mut worst = (0.0f32, 0, 0);
    for (t, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        for k in 0..13 {
            let error = (ours[k] - theirs[k]).abs();
            if error > worst.0 {
                worst = (error, t, k);
            }
        }
    }
    println!("{what}: {} frames, largest difference {:.2e}", ours.len(), worst.0);
    assert!(worst.0 < 2e-3, "{what}: c{} of frame {} differs by {}", worst.2, worst.1, worst.0);
}

#[test]
fn cepstra_equal_those_of_sphinx() {
    let test = "cepstra_equal_those_of_sphinx";
    if !common::tool(test, "sphinx_fe", "sphinxbase-utils") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut signals = vec![common::synthetic_speech(4.0)];
    signals.extend(common::clips(test, 4));
    for (index, samples) in signals.iter().enumerate() {
        for noise in ["-remove_noise no", "-remove_noise yes"] {
            let settings = format!("{EN_US} {noise}");
            let config = FrontEndConfig::new(parse_feat_params(settings.as_bytes()).unwrap());
            let theirs = reference_cepstra(dir.path(), &settings, samples);
            assert_close(&cepstra(&config, samples), &theirs, &format!("signal {index}, {noise}"));
        }
    }
}

#[test]
fn other_settings_equal_those_of_sphinx() {
    let test = "other_settings_equal_those_of_sphinx";
    if !common::tool(test, "sphinx_fe", "sphinxbase-utils") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let samples = common::synthetic_speech(2.0);
    for settings in [
        "-transform legacy",
        "-transform htk -lifter 10 -nfilt 31",
        "-unit_area no -round_filters no -transform dct",
        "-remove_dc yes -alpha 0.9 -wlen 0.03 -frate 80 -transform dct",
    ] {
        let config = FrontEndConfig::new(parse_feat_params(settings.as_bytes()).unwrap());
        let theirs = reference_cepstra(dir.path(), settings, &samples);
        assert_close(&cepstra(&config, &samples), &theirs, settings);
    }
}

#[test]
fn number_of_frames_equals_that_of_sphinx() {
    let test = "number_of_frames_equals_that_of_sphinx";
    if !common::tool(test, "sphinx_fe", "sphinxbase-utils") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = FrontEndConfig::new(FeatParams::default());
    let samples = common::synthetic_speech(0.5);
    // From 2000 samples on: of fewer, sphinx_fe writes none. (Of 2010, eleven whole frames within its first read, it does
    // not write the padded one either; of 2170, twelve whole frames in two reads, it does.)
    for length in [2000, 2009, 2011, 2169, 2170, 2171, 4096, 5000] {
        let theirs = reference_cepstra(dir.path(), "", &samples[..length]);
        assert_eq!(cepstra(&config, &samples[..length]).len(), theirs.len(), "{length} samples");
    }
}

proptest! {
    #[test]
    fn cepstra_do_not_depend_on_how_samples_are_pushed(
        cuts in proptest::collection::vec(0usize..8000, 0..12),
        narrowband in any::<bool>(),
    ) {
        let samples = &common::synthetic_speech(0.5);
        let mut config = FrontEndConfig::new(parse_feat_params(EN_US.as_bytes()).unwrap());
        if narrowband {
            config = config.with_narrowband(17, 3.0, &[0.0; 13]).unwrap();
        }
        let whole = cepstra(&config, samples);
        let mut cuts = cuts;
        cuts.extend([0, samples.len()]);
        cuts.sort_unstable();
        let mut front_end = FrontEnd::new(&config);
        let mut pieces = Vec::new();
        // Twice: a front end that has finished a stream is as good as new.
        for _ in 0..2 {
            pieces.clear();
            for cut in cuts.windows(2) {
                front_end.push(&samples[cut[0]..cut[1]], &mut pieces);
            }
            front_end.finish(&mut pieces);
            prop_assert_eq!(&whole, &pieces);
        }
    }

    #[test]
    fn any_samples_give_finite_cepstra(
        samples in proptest::collection::vec(any::<f32>(), 0..3000),
        narrowband in any::<bool>(),
    ) {
        let mut config = FrontEndConfig::new(parse_feat_params(EN_US.as_bytes()).unwrap());
        if narrowband {
            config = config.with_narrowband(17, 3.0, &[0.0; 13]).unwrap();
        }
        for frame in cepstra(&config, &samples) {
            prop_assert!(frame.iter().all(|value| value.is_finite()), "{:?}", frame);
        }
    }
}

#[test]
fn silence_after_wild_samples_is_silence() {
    let config = FrontEndConfig::new(parse_feat_params(EN_US.as_bytes()).unwrap());
    let mut samples = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30];
    samples.resize(32_000, 0.0);
    let last = *cepstra(&config, &samples).last().unwrap();
    let silence = *cepstra(&config, &vec![0.0; 32_000]).last().unwrap();
    assert_eq!(last, silence);
}

#[test]
fn the_warp_moves_resonances() {
    // A resonance 10 % higher, heard with a warp of 1.1, looks like the original.
    let tone = |frequency: f64| -> Vec<f32> {
        let mut random = common::Random::new(1);
        (0..16_000)
            .map(|n| {
                let t = f64::from(n) / 16_000.0;
                (0.3 * (2.0 * std::f64::consts::PI * frequency * t).sin()) as f32 + 0.02 * (random.next() - 0.5)
            })
            .collect()
    };
    let mean = |samples: &[f32], warp: f32| {
        let mut config = FrontEndConfig::new(parse_feat_params(EN_US.as_bytes()).unwrap());
        config.remove_noise = false;
        config.warp = warp;
        dictum_acoustic::cepstral_mean(&cepstra(&config, samples))
    };
    let distance = |a: &[f32; 13], b: &[f32; 13]| (1..13).map(|k| (a[k] - b[k]).powi(2)).sum::<f32>().sqrt();
    let original = mean(&tone(1500.0), 1.0);
    let higher = mean(&tone(1650.0), 1.0);
    let normalised = mean(&tone(1650.0), 1.1);
    let (before, after) = (distance(&higher, &original), distance(&normalised, &original));
    assert!(after < 0.35 * before, "{after} is not much less than {before}");
    assert_eq!(mean(&tone(1500.0), f32::NAN), original);
}

#[test]
fn bands_that_half_the_rate_does_not_have_are_refused() {
    let config = FrontEndConfig::new(parse_feat_params(EN_US.as_bytes()).unwrap());
    let available = config.narrowband_bands();
    assert!(config.clone().with_narrowband(available, 0.0, &[0.0; 13]).is_ok());
    assert!(config.clone().with_narrowband(available + 1, 0.0, &[0.0; 13]).is_err());
    assert!(config.with_narrowband(0, 0.0, &[0.0; 13]).is_err());
}

#[test]
fn features_are_differences_of_cepstra() {
    let ramp: Vec<[f32; 13]> = (0..8).map(|t| std::array::from_fn(|k| (t * t) as f32 * (k + 1) as f32)).collect();
    let mean = dictum_acoustic::cepstral_mean(&ramp);
    assert_eq!(mean[0], 140.0 / 8.0);
    let vectors = dictum_acoustic::features(&ramp, &mean);
    assert_eq!(vectors.len(), 8);
    // In the middle: t^2 - mean; (t+2)^2 - (t-2)^2 = 8t; ((t+3)^2 - (t-1)^2) - ((t+1)^2 - (t-3)^2) = 16.
    assert_eq!((vectors[4][0], vectors[4][13], vectors[4][26]), (16.0 - 17.5, 32.0, 16.0));
    // At the edges the first and last frame repeat.
    assert_eq!((vectors[0][13], vectors[7][13]), (4.0, 49.0 - 25.0));
    assert_eq!(vectors[0][26], (9.0 - 0.0) - (1.0 - 0.0));
    assert!(dictum_acoustic::features(&[], &mean).is_empty());
    // Digital silence does not count towards the mean, but gets features.
    let with_silence = [ramp.clone(), vec![[-9.0; 13]; 5]].concat();
    assert_eq!(dictum_acoustic::cepstral_mean(&with_silence), mean);
    assert_eq!(dictum_acoustic::cepstral_mean(&[[-1.0; 13]]), [0.0; 13]);
}

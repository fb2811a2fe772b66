//! Cepstra against Sphinx's own front end (`sphinx_fe`), and what a stream must keep to.

mod common;

use std::path::Path;
use std::process::Command;

use dictum_acoustic::{FeatParams, FrontEnd, FrontEndConfig, parse_feat_params};

/// The settings of the US English model that matter here.
const EN_US: &str = "-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22";

fn cepstra(config: &FrontEndConfig, samples: &[f32]) -> Vec<[f32; 13]> {
    let mut front_end = FrontEnd::new(config);
    let mut out = Vec::new();
    front_end.push(samples, &mut out);
    front_end.finish(&mut out);
    out
}

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

//! The US English model that Debian packages, and what Sphinx's own converter says of it.

mod common;

use std::collections::HashMap;
use std::process::Command;

use dictum_acoustic::{
    FrontEnd, FrontEndConfig, NarrowbandMap, SphinxModel, Tying, WordPosition, cepstral_mean, parse_feat_params,
    parse_mdef,
};

#[test]
fn the_installed_model_has_the_published_shape() {
    let Some(dir) = common::model_dir("the_installed_model_has_the_published_shape") else { return };
    let model = SphinxModel::load(&dir).unwrap();
    let units = model.units();
    assert_eq!(model.senone_count(), 5126);
    assert_eq!(model.shape(), (42, 3, 128));
    assert_eq!(model.tying(), Tying::PhoneticallyTied);
    assert_eq!(units.phone_count(), 42);
    assert_eq!(units.sequence_count(), 29_324);
    assert_eq!(units.phone_name(units.silence()), "SIL");
    let fillers: Vec<&str> = (0..42).filter(|&id| units.is_filler(id)).map(|id| units.phone_name(id)).collect();
    assert_eq!(fillers, ["+NSN+", "+SPN+", "SIL"]);
    for phone in 0..42 {
        for row in units.transitions(phone) {
            assert!((row.iter().map(|log| log.exp()).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
    assert_eq!(model.front_end().sample_rate(), 16_000.0);
    assert_eq!(model.front_end().params().initial_mean[1], -5.29);
}

#[test]
fn every_triphone_is_found() {
    let Some(dir) = common::model_dir("every_triphone_is_found") else { return };
    let definition = parse_mdef(&std::fs::read(dir.join("mdef")).unwrap()).unwrap();
    let model = SphinxModel::load(&dir).unwrap();
    assert_eq!(definition.triphones.len(), 137_053);
    for t in &definition.triphones {
        assert_eq!(model.units().triphone(t.left, t.center, t.right, t.position), t.sequence, "{t:?}");
    }
    // A context that never occurs still has an HMM of the right phone.
    let zh = model.units().phone_id("ZH").unwrap();
    let sequence = model.units().triphone(zh, zh, zh, WordPosition::Internal);
    assert_eq!(sequence, model.units().context_independent(zh));
}

#[test]
fn converted_to_text_the_definition_is_the_same() {
    let test = "converted_to_text_the_definition_is_the_same";
    let Some(dir) = common::model_dir(test) else { return };
    if !common::tool(test, "pocketsphinx_mdef_convert", "pocketsphinx") {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("mdef.txt");
    let output =
        Command::new("pocketsphinx_mdef_convert").arg("-text").arg(dir.join("mdef")).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let binary = parse_mdef(&std::fs::read(dir.join("mdef")).unwrap()).unwrap();
    let text = parse_mdef(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(
        (text.senones, text.base_senones, text.transitions),
        (binary.senones, binary.base_senones, binary.transitions)
    );
    assert_eq!(text.phones.len(), binary.phones.len());
    assert_eq!(text.triphones.len(), binary.triphones.len());
    for (ours, theirs) in binary.phones.iter().zip(&text.phones) {
        assert_eq!((&ours.name, ours.filler, ours.transition), (&theirs.name, theirs.filler, theirs.transition));
        assert_eq!(binary.sequences[ours.sequence as usize], text.sequences[theirs.sequence as usize]);
    }
    // The sequences are numbered otherwise, but one to one.
    let mut renumbered = HashMap::new();
    for (ours, theirs) in binary.triphones.iter().zip(&text.triphones) {
        assert_eq!(
            (ours.center, ours.left, ours.right, ours.position),
            (theirs.center, theirs.left, theirs.right, theirs.position)
        );
        assert_eq!(binary.sequences[ours.sequence as usize], text.sequences[theirs.sequence as usize]);
        assert_eq!(*renumbered.entry(theirs.sequence).or_insert(ours.sequence), ours.sequence);
    }
}

#[test]
fn a_continuous_model_of_the_test_data_loads() {
    let dir = std::path::Path::new("/usr/share/pocketsphinx/test/data/an4_ci_cont");
    if !dir.exists() {
        println!("skipped: a_continuous_model_of_the_test_data_loads: Debian package pocketsphinx-testdata");
        return;
    }
    let model = SphinxModel::load(dir).unwrap();
    assert_eq!(model.tying(), Tying::Continuous);
    assert_eq!(model.senone_count(), 102);
}

#[test]
fn the_narrowband_map_fits_the_installed_model() {
    let Some(dir) = common::model_dir("the_narrowband_map_fits_the_installed_model") else { return };
    let model = SphinxModel::load(&dir).unwrap();
    let config = model.front_end().clone().with_narrowband(NarrowbandMap::us_english()).unwrap();
    assert_eq!(config.sample_rate(), 8000.0);
}

/// How far predictions are from the wideband cepstra, as a share of their variance; both less their means.
fn unexplained(wide: &[[f32; 13]], predicted: &[[f32; 13]]) -> f32 {
    let frames = wide.len().min(predicted.len());
    let (wide, predicted) = (&wide[..frames], &predicted[..frames]);
    let (wide_mean, predicted_mean) = (cepstral_mean(wide), cepstral_mean(predicted));
    let share = |k: usize| {
        let wide = wide.iter().map(|frame| frame[k] - wide_mean[k]);
        let predicted = predicted.iter().map(|frame| frame[k] - predicted_mean[k]);
        let error: f32 = wide.clone().zip(predicted).map(|(wide, predicted)| (wide - predicted).powi(2)).sum();
        error / wide.map(|wide| wide * wide).sum::<f32>()
    };
    (0..13).map(share).sum::<f32>() / 13.0
}

#[test]
fn the_narrowband_map_beats_upsampling() {
    let test = "the_narrowband_map_beats_upsampling";
    let Some(audio) = common::shared_audio(test) else { return };
    if !common::tool(test, "ffmpeg", "ffmpeg") {
        return;
    }
    let params = parse_feat_params(b"-lowerf 130 -upperf 6800 -nfilt 25 -transform dct -lifter 22").unwrap();
    let wideband = FrontEndConfig::new(params);
    let narrowband = wideband.clone().with_narrowband(NarrowbandMap::us_english()).unwrap();
    let cepstra = |config: &FrontEndConfig, samples: &[f32]| {
        let mut out = Vec::new();
        let mut front_end = FrontEnd::new(config);
        front_end.push(samples, &mut out);
        front_end.finish(&mut out);
        out
    };
    let manifest = std::fs::read_to_string(audio.join("en/manifest.tsv")).unwrap();
    let clean = manifest.lines().filter(|line| line.contains("arctic"));
    let (mut mapped, mut upsampled, mut count) = (0.0, 0.0, 0.0);
    for path in clean.filter_map(|line| line.split('\t').next()).take(5) {
        let path = audio.join("en").join(path);
        let narrow = common::read_audio(&path, 8000);
        let wide = cepstra(&wideband, &common::read_audio(&path, 16_000));
        mapped += unexplained(&wide, &cepstra(&narrowband, &narrow));
        // Zeros between the samples, then the average of neighbours: plain linear interpolation.
        let doubled: Vec<f32> = narrow.windows(2).flat_map(|pair| [pair[0], (pair[0] + pair[1]) / 2.0]).collect();
        upsampled += unexplained(&wide, &cepstra(&wideband, &doubled));
        count += 1.0;
    }
    let (mapped, upsampled) = (mapped / count, upsampled / count);
    println!("not explained: mapped {mapped:.3}, upsampled {upsampled:.3}");
    assert!(mapped < 0.35 && mapped < 0.8 * upsampled, "mapped {mapped}, upsampled {upsampled}");
}

//! The US English model that Debian packages, and what Sphinx's own converter says of it.

mod common;

use std::collections::HashMap;
use std::process::Command;

use dictum_acoustic::{SphinxModel, Tying, WordPosition, parse_mdef};

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

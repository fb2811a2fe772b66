//! The installed US English model, checked against published figures.

use super::*;

const MODEL: &str = "/usr/share/pocketsphinx/model/en-us";

/// The pocketsphinx model file of this name, or `None` after saying that the test is skipped.
fn installed(test: &str, name: &str) -> Option<NgramModel> {
    let folder = std::env::var("DICTUM_MODEL_DIR").unwrap_or_else(|_| MODEL.to_owned());
    let path = Path::new(&folder).join(name);
    if !path.exists() {
        println!(
            "skipped: {test}: {name} is not installed (Debian package pocketsphinx-en-us, or set DICTUM_MODEL_DIR)"
        );
        return None;
    }
    Some(NgramModel::open(path).expect("the installed model opens"))
}

/// The state after these words, from nothing, and log10 of the last one's probability.
fn last_step(model: &NgramModel, words: &[&str]) -> (LmState, f32) {
    words.iter().fold((LmState::EMPTY, 0.0), |(state, _), word| {
        let id = model.vocabulary().id(word).unwrap_or_else(|| panic!("{word} is a word"));
        let (next, probability) = model.step(state, id);
        (next, probability / std::f32::consts::LN_10)
    })
}

#[test]
fn us_english_probabilities_are_the_published_ones() {
    let Some(model) = installed("us_english_probabilities", "en-us.lm.bin") else { return };
    assert_eq!((model.order(), model.count(1), model.count(2), model.count(3)), (3, 72_547, 2_051_541, 1_669_625));
    assert!((last_step(&model, &["of", "the"]).1 + 0.699).abs() < 1e-3);
    assert!((last_step(&model, &["the", "united", "states"]).1 + 0.053).abs() < 1e-3);
}

#[test]
fn us_english_probabilities_sum_to_one() {
    let Some(model) = installed("us_english_sums", "en-us.lm.bin") else { return };
    let histories: &[&[&str]] =
        &[&[], &["of"], &["the", "united"], &["dashwood"], &["<s>"], &["<s>", "i"], &["zoology", "the"]];
    for history in histories {
        let (state, _) = last_step(&model, history);
        let sum: f64 = (0..model.count(1) as u32).map(|word| f64::from(model.step(state, word).1).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-3, "{history:?}: {sum}");
    }
}

use std::sync::Arc;

use proptest::prelude::*;

use super::super::samples::{self, Random, snapshot, vocabulary};
use super::*;

const BASE: u32 = 6;
const ALL: u32 = 9;

/// A base model of six words, a custom one with three more. Of the new words the last is in no text.
fn models(seed: u64, user_words: &[WordId]) -> (Arc<NgramModel>, Arc<Snapshot>) {
    let random = &mut Random::new(seed);
    let base = Arc::new(samples::base(&samples::model(BASE, random), &vocabulary(BASE)));
    let mut custom = samples::model(ALL - 1, random);
    custom.unigrams.push([NEVER, 0.0]);
    let custom = Arc::new(snapshot(&custom, base.shared_vocabulary(), user_words));
    (base, custom)
}

fn mixture(weight: f32) -> Mixture {
    Mixture { weight, word_probability: 0.02, word_mass: 0.5 }
}

fn states(model: &Interpolated) -> Vec<(LmState, Vec<WordId>)> {
    let mut states = vec![(model.start(), vec![0])];
    for round in 0..3 {
        for index in 0..states.len() {
            let (state, history) = states[index].clone();
            if history.len() == round + 1 {
                states.extend((1..ALL).map(|word| (model.step(state, word).0, [&history[..], &[word]].concat())));
            }
        }
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn probabilities_sum_to_one_after_every_history(seed: u64, weight in 0.0f32..=1.0) {
        let (base, custom) = models(seed, &[2, 7, 8]);
        let model = Interpolated::new(base, custom, mixture(weight)).unwrap();
        for (state, history) in states(&model) {
            let sum: f64 = (0..ALL).map(|word| f64::from(model.step(state, word).1).exp()).sum();
            prop_assert!((sum - 1.0).abs() < 1e-4, "{history:?}: {sum}");
        }
    }

    #[test]
    fn each_probability_is_that_of_the_formula(seed: u64, weight in 0.01f32..=1.0) {
        let (base, custom) = models(seed, &[2, 8]);
        let model = Interpolated::new(Arc::clone(&base), Arc::clone(&custom), mixture(weight)).unwrap();
        let each = f64::from(weight * 0.02);
        for (state, history) in states(&model) {
            // What the base model knows begins behind the last new word.
            let known = history.iter().rposition(|&word| word >= BASE).map_or(0, |at| at + 1);
            let start = LmState::EMPTY;
            let of_base = history[known..].iter().fold(start, |state, &word| base.step(state, word).0);
            let of_custom = history.iter().fold(start, |state, &word| custom.step(state, word).0);
            for word in 0..ALL {
                let p_base = if word < BASE { f64::from(base.step(of_base, word).1).exp() } else { 0.0 };
                let p_custom = f64::from(custom.step(of_custom, word).1).exp();
                let mixed = f64::from(1.0 - weight) * p_base + f64::from(weight) * p_custom;
                let user = if [2, 8].contains(&word) { each } else { 0.0 };
                let expected = (1.0 - 2.0 * each) * mixed + user;
                let found = f64::from(model.step(state, word).1).exp();
                prop_assert!((found - expected).abs() < 1e-5, "{history:?} {word}: {found} {expected}");
            }
        }
    }

    /// The weight 0 is the base model, to the letter.
    #[test]
    fn at_weight_zero_it_is_the_base_model(seed: u64, words in proptest::collection::vec(1..BASE, 0..12)) {
        let (base, custom) = models(seed, &[2, 8]);
        let model = Interpolated::new(Arc::clone(&base), custom, mixture(0.0)).unwrap();
        let (mut state, mut expected) = (model.start(), base.start());
        for word in words {
            for new in BASE..ALL {
                prop_assert_eq!(model.step(state, new).1, NEVER);
            }
            prop_assert_eq!(model.end(state).to_bits(), base.end(expected).to_bits());
            let (next, p) = model.step(state, word);
            let (next_expected, p_expected) = base.step(expected, word);
            prop_assert_eq!(p.to_bits(), p_expected.to_bits());
            prop_assert_eq!(model.unpack(next).0, next_expected);
            (state, expected) = (next, next_expected);
        }
        for word in 0..BASE {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            model.bigrams_after(word, &mut |word, p| found.push((word, p)));
            base.bigrams_after(word, &mut |word, p| expected.push((word, p)));
            prop_assert_eq!(found, expected);
            prop_assert_eq!(model.unigram(word), base.unigram(word));
        }
    }

    /// What a look-ahead is told: exact values of explicit bigrams, and a bound of the others that is at most ln 2 low.
    #[test]
    fn look_ahead_values_are_those_of_steps(seed: u64, weight in 0.01f32..=1.0) {
        let (base, custom) = models(seed, &[2, 8]);
        let model = Interpolated::new(Arc::clone(&base), Arc::clone(&custom), mixture(weight)).unwrap();
        for v in 0..ALL {
            let state = LmState::after(v);
            let mut explicit = Vec::new();
            model.bigrams_after(v, &mut |word, p| explicit.push((word, p)));
            prop_assert!(explicit.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for &(word, p) in &explicit {
                let expected = model.step(state, word).1;
                prop_assert!((p - expected).abs() < 1e-4, "{v} {word}: {p} {expected}");
            }
            let [of_base, of_custom] = model.backoffs(v);
            for word in (0..ALL).filter(|word| !explicit.iter().any(|(other, _)| other == word)) {
                let unigram = if word < BASE { base.unigram(word) } else { NEVER };
                let backed_off = (of_base + unigram).max(of_custom + custom.unigram(word)).max(NEVER);
                let p = model.step(state, word).1;
                let user = custom.is_user_word(word);
                let bound = if user { backed_off.max(model.user_word()) } else { backed_off };
                let slack = if user { 3f32.ln() } else { 2f32.ln() };
                prop_assert!(bound <= p + 1e-4 && p <= bound + slack + 1e-4, "{v} {word}: {bound} {p}");
            }
        }
    }
}

#[test]
fn user_words_are_as_probable_as_asked_until_they_are_too_many() {
    let (base, custom) = models(1, &[2, 8]);
    let of = |weight, word_probability, word_mass| {
        let mixture = Mixture { weight, word_probability, word_mass };
        let model = Interpolated::new(Arc::clone(&base), Arc::clone(&custom), mixture).unwrap();
        [model.step(LmState::EMPTY, 8).1.exp(), model.step(LmState::after(3), 8).1.exp()]
    };
    assert!(of(0.5, 0.01, 0.5).iter().all(|p| (p - 0.005).abs() < 1e-6));
    assert!(of(0.5, 0.4, 0.5).iter().all(|p| (p - 0.125).abs() < 1e-6));
    assert!(of(f32::NAN, 2.0, 7.0).iter().all(|&p| p < 1e-30));
}

#[test]
fn a_customization_without_text_leaves_the_rest_of_the_base_model_in_proportion() {
    let (base, _) = models(4, &[]);
    let mut custom = super::super::writer::Model { unigrams: vec![[NEVER, 0.0]; ALL as usize], ..Default::default() };
    custom.unigrams[8] = [NEVER, 0.0];
    let custom = Arc::new(snapshot(&custom, base.shared_vocabulary(), &[6, 7, 8]));
    assert!(!custom.has_text());
    let model = Interpolated::new(Arc::clone(&base), custom, mixture(0.3)).unwrap();
    let (state, expected) = (model.step(model.start(), 3).0, base.step(base.start(), 3).0);
    for word in 1..BASE {
        let ratio = (model.step(state, word).1 - base.step(expected, word).1).exp();
        assert!((ratio - (1.0 - 3.0 * 0.006)).abs() < 1e-5, "{ratio}");
    }
    assert!((model.step(state, 7).1.exp() - 0.006).abs() < 1e-6);
}

#[test]
fn models_that_do_not_fit_together_are_refused() {
    let (_, custom) = models(1, &[]);
    let random = &mut Random::new(5);
    let other = Arc::new(samples::base(&samples::model(BASE + 1, random), &vocabulary(BASE + 1)));
    let error = Interpolated::new(other, custom, Mixture::default()).unwrap_err().to_string();
    assert!(error.contains("another vocabulary"), "{error}");
}

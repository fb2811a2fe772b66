use std::sync::Arc;

use proptest::prelude::*;

use super::super::samples::{self, Random, snapshot, vocabulary};
use super::*;

const TYPICAL: f32 = Interpolated::TYPICAL;

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
        for (state, history) in states(&model) {
            // What the base model knows begins behind the last new word.
            let known = history.iter().rposition(|&word| word >= BASE).map_or(0, |at| at + 1);
            let start = LmState::EMPTY;
            let of_base = history[known..].iter().fold(start, |state, &word| base.step(state, word).0);
            let last = history[known..].last();
            let fallen = last.map_or(TYPICAL, |&last| base.context_backoff(of_base) + base.backoff(last));
            let users = f64::from((2.0 * weight * 0.02 * (fallen - TYPICAL).exp()).min(MOST));
            let of_custom = history.iter().fold(start, |state, &word| custom.step(state, word).0);
            for word in 0..ALL {
                let p_base = if word < BASE { f64::from(base.step(of_base, word).1).exp() } else { 0.0 };
                let p_custom = f64::from(custom.step(of_custom, word).1).exp();
                let mixed = f64::from(1.0 - weight) * p_base + f64::from(weight) * p_custom;
                let user = if [2, 8].contains(&word) { users / 2.0 } else { 0.0 };
                let expected = (1.0 - users) * mixed + user;
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
                let users = (model.user_word() + model.opening_after(v)).min((MOST / 2.0).ln());
                let backed_off = backed_off + (-2.0 * users.exp()).ln_1p();
                let bound = if user { backed_off.max(users) } else { backed_off }.max(NEVER);
                let slack = if user { 3f32.ln() } else { 2f32.ln() };
                prop_assert!(bound <= p + 1e-4 && p <= bound + slack + 1e-4, "{v} {word}: {bound} {p}");
            }
        }
    }
}

#[test]
fn user_words_are_as_probable_as_asked_until_they_are_too_many() {
    let (base, custom) = models(1, &[2, 8]);
    let of = |weight, word_probability, word_mass, state| {
        let mixture = Mixture { weight, word_probability, word_mass };
        let model = Interpolated::new(Arc::clone(&base), Arc::clone(&custom), mixture).unwrap();
        model.step(state, 8).1.exp()
    };
    let empty = LmState::EMPTY;
    assert!((of(0.5, 0.01, 0.5, empty) - 0.005).abs() < 1e-6);
    assert!((of(0.5, 0.4, 0.5, empty) - 0.125).abs() < 1e-6);
    assert!(of(f32::NAN, 2.0, 7.0, empty) < 1e-30);
    let opening = (base.backoff(3) - TYPICAL).exp();
    assert!((of(0.5, 0.001, 0.5, LmState::after(3)) - 0.0005 * opening).abs() < 1e-6);
    assert!(of(1.0, 1.0, 1.0, LmState::after(3)) <= MOST / 2.0 + 1e-6);
}

#[test]
fn words_with_smaller_shares_are_less_probable() {
    let base = Arc::new(samples::base(&samples::model(BASE, &mut Random::new(7)), &vocabulary(BASE)));
    let mut training = super::super::Training::new(&base);
    let (long, short) = (training.user_word("long"), training.user_word_with("short", -1.5));
    let mut bytes = Vec::new();
    training.write(&mut bytes).unwrap();
    let custom = Arc::new(Snapshot::parse(bytes, base.shared_vocabulary()).unwrap());
    let model = Interpolated::new(Arc::clone(&base), custom, mixture(0.5)).unwrap();
    let [long, short] = [long, short].map(|word| model.step(LmState::after(2), word).1);
    assert!((long - short - 1.5).abs() < 1e-4, "{long} {short}");
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
    let user = model.step(state, 7).1.exp();
    for word in 1..BASE {
        let ratio = (model.step(state, word).1 - base.step(expected, word).1).exp();
        assert!((ratio - (1.0 - 3.0 * user)).abs() < 1e-5, "{ratio}");
    }
}

#[test]
fn models_that_do_not_fit_together_are_refused() {
    let (_, custom) = models(1, &[]);
    let random = &mut Random::new(5);
    let other = Arc::new(samples::base(&samples::model(BASE + 1, random), &vocabulary(BASE + 1)));
    let error = Interpolated::new(other, custom, Mixture::default()).unwrap_err().to_string();
    assert!(error.contains("another vocabulary"), "{error}");
}

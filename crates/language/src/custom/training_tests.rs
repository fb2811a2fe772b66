use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::super::corpus::{English, analyse};
use super::super::counter::Limits;
use super::super::samples::{self, Random};
use super::super::{NEVER, Snapshot};
use super::*;
use crate::model::{LanguageModel, LmState};

/// `<s> </s> w2 w3 w4 w5`, and as many letters as texts here use stay new.
fn base() -> NgramModel {
    let random = &mut Random::new(9);
    samples::base(&samples::model(6, random), &samples::vocabulary(6))
}

fn counts(text: &str, base: &NgramModel) -> Vec<u8> {
    let mut counts = Vec::new();
    // Numbers would be spelt out: the words of the base vocabulary have letters for them here.
    let text = text.replace(['2', '3', '4', '5'], "");
    analyse(text.as_bytes(), &English, base.shared_vocabulary(), Limits::default(), &mut counts).unwrap();
    counts
}

fn trained(texts: &[&str], words: &[&str], smoothing: Smoothing, bound: SizeBound) -> (Trained, Snapshot) {
    let base = base();
    let mut training = Training::new(&base);
    for word in words {
        training.text_word(word);
    }
    for text in texts {
        training.text(&mut Counts::read(&counts(text, &base)[..], "text").unwrap()).unwrap();
    }
    let mut bytes = Vec::new();
    let trained = training.write_with(smoothing, bound, &mut bytes).unwrap();
    (trained, Snapshot::parse(bytes, base.shared_vocabulary()).unwrap())
}

const WORDS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn unbounded() -> SizeBound {
    SizeBound { bigrams: usize::MAX, trigrams: usize::MAX }
}

/// Every sum over the vocabulary is 1, after every history of up to two words.
fn assert_sums(snapshot: &Snapshot) -> Result<(), TestCaseError> {
    let words = snapshot.count(1) as u32;
    let mut states = vec![LmState::EMPTY, snapshot.start()];
    states.extend((0..words).map(LmState::after));
    for u in 0..words {
        states.extend((0..words).map(|v| snapshot.step(LmState::after(u), v).0));
    }
    for state in states {
        let sum: f64 = (0..words).map(|word| f64::from(snapshot.step(state, word).1).exp()).sum();
        prop_assert!((sum - 1.0).abs() < 1e-4, "{state:?}: {sum}");
    }
    Ok(())
}

/// Interpolated modified Kneser-Ney as its authors define it, straight from the sentences.
struct Reference {
    prior: Vec<f64>,
    start: WordId,
    /// Raw counts of n-grams, by length - 1.
    raw: [HashMap<Vec<WordId>, u32>; 3],
}

impl Reference {
    fn new(sentences: &[Vec<WordId>], start: WordId, end: WordId, prior: Vec<f64>) -> Self {
        let mut raw = [(); 3].map(|()| HashMap::new());
        for sentence in sentences.iter().filter(|sentence| !sentence.is_empty()) {
            let whole = [&[start][..], sentence, &[end]].concat();
            for length in 1..=3 {
                for ngram in whole.windows(length) {
                    *raw[length - 1].entry(ngram.to_vec()).or_insert(0) += 1;
                }
            }
        }
        Reference { prior, start, raw }
    }

    /// The count that an n-gram is estimated from.
    fn count(&self, ngram: &[WordId]) -> u32 {
        let raw = self.raw[ngram.len() - 1].get(ngram).copied().unwrap_or(0);
        if ngram.len() == 3 || ngram[0] == self.start && ngram.len() > 1 {
            return raw;
        }
        let longer = self.raw[ngram.len()].keys().filter(|longer| &longer[1..] == ngram);
        longer.map(|longer| longer[0]).collect::<HashSet<_>>().len() as u32
    }

    fn discounts(&self, length: usize) -> [f64; 4] {
        let mut n = [0.0; 5];
        for ngram in self.raw[length - 1].keys() {
            if let slot @ 1..=4 = self.count(ngram) as usize {
                n[slot] += 1.0;
            }
        }
        let y = n[1] / (n[1] + 2.0 * n[2]);
        let d = [0.0, 1.0 - 2.0 * y * n[2] / n[1], 2.0 - 3.0 * y * n[3] / n[2], 3.0 - 4.0 * y * n[4] / n[3]];
        let sensible = (1..4).all(|i| d[i] > 0.0 && d[i] < i as f64);
        if sensible { d } else { [0.0, 0.5, 1.0, 1.5] }
    }

    fn p(&self, history: &[WordId], word: WordId, discounts: &[[f64; 4]; 3]) -> f64 {
        let lower = match history {
            [] => self.prior[word as usize],
            [_, shorter @ ..] => self.p(shorter, word, discounts),
        };
        let d = &discounts[history.len()];
        let all: Vec<u32> = (0..self.prior.len() as u32).map(|w| self.count(&[history, &[w]].concat())).collect();
        let total: f64 = all.iter().map(|&c| f64::from(c)).sum();
        if total == 0.0 {
            return lower;
        }
        let discounted: f64 = all.iter().map(|&c| d[c.min(3) as usize]).sum();
        let own = all[word as usize];
        (f64::from(own) - d[own.min(3) as usize]) / total + discounted / total * lower
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn probabilities_sum_to_one_whatever_the_text(
        first in "([a-e] ){0,30}a\n([a-e] ){0,9}",
        second in "([a-f] ){0,9}b\n",
        kneser_ney: bool,
        trigrams in 0usize..20,
        bigrams in 0usize..20,
    ) {
        let smoothing = if kneser_ney { Smoothing::KneserNey } else { Smoothing::WittenBell };
        let whole = trained(&[&first, &second], &WORDS, smoothing, unbounded());
        assert_sums(&whole.1)?;
        let (pruned, snapshot) = trained(&[&first, &second], &WORDS, smoothing, SizeBound { bigrams, trigrams });
        assert_sums(&snapshot)?;
        prop_assert_eq!(pruned.trigrams, whole.0.trigrams.min(trigrams));
        // The bigrams of the trigrams that stay are needed.
        prop_assert!(pruned.bigrams <= whole.0.bigrams.min(bigrams.max(2 * trigrams)));
        prop_assert!(!whole.1.has_text() || whole.0.words > 0);
    }

    #[test]
    fn kneser_ney_is_that_of_the_definition(text in "(([a-d] ){0,12}\n){1,12}a b\n") {
        let (_, snapshot) = trained(&[&text], &WORDS, Smoothing::KneserNey, unbounded());
        let id = |word: &str| snapshot.vocabulary().id(word).unwrap();
        let (start, end) = (id("<s>"), id("</s>"));
        let words = text.lines().map(|line| line.split_whitespace().map(id).collect::<Vec<_>>());
        let sentences: Vec<Vec<WordId>> = words.collect();
        // The prior is this crate's own idea; what it should be is told by its definition.
        let seen: HashSet<WordId> = sentences.iter().flatten().copied().collect();
        let new = seen.len() as f64 / (seen.len() as f64 + 1.0);
        let base = base();
        let total: f64 = (1..6).map(|word| f64::from(base.unigram(word)).exp()).sum();
        let prior = (0..snapshot.count(1) as u32).map(|word| match word {
            0 => 0.0,
            1..6 => f64::from(base.unigram(word)).exp() / total * (1.0 - new),
            _ => if seen.contains(&word) { new / seen.len() as f64 } else { 0.0 },
        });
        let reference = Reference::new(&sentences, start, end, prior.collect());
        let discounts = [1, 2, 3].map(|length| reference.discounts(length));
        for u in (0..11).filter(|&u| u != end) {
            for v in (1..11).filter(|&v| v != end) {
                let state = snapshot.step(LmState::after(u), v).0;
                for w in 1..11 {
                    let found = f64::from(snapshot.step(state, w).1).exp();
                    let expected = reference.p(&[u, v], w, &discounts);
                    prop_assert!((found - expected).abs() < 1e-5, "{u} {v} {w}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn counts_of_several_texts_add_up() {
    let both = trained(&["a b c\n", "a b d\na b c\n"], &WORDS, Smoothing::KneserNey, unbounded());
    let one = trained(&["a b c\na b d\na b c\n"], &WORDS, Smoothing::KneserNey, unbounded());
    assert_eq!(both.0, one.0);
    for state in [LmState::EMPTY, both.1.start(), LmState::after(6)] {
        for word in 0..11 {
            assert_eq!(both.1.step(state, word), one.1.step(state, word));
        }
    }
}

#[test]
fn new_words_of_texts_that_are_not_wanted_are_gaps() {
    let (summary, snapshot) = trained(&["a x b c\nb c\n"], &["a", "b", "c"], Smoothing::KneserNey, unbounded());
    assert_eq!((summary.words, summary.new_words), (6, 3));
    assert_eq!(snapshot.vocabulary().id("x"), None);
    let id = |word| snapshot.vocabulary().id(word).unwrap();
    let mut after_a = Vec::new();
    snapshot.bigrams_after(id("a"), &mut |word, _| after_a.push(word));
    assert_eq!(after_a, []);
    let mut after_b = Vec::new();
    snapshot.bigrams_after(id("b"), &mut |word, _| after_b.push(word));
    assert_eq!(after_b, [id("c")]);
}

#[test]
fn user_words_without_text_wait_for_the_mixture() {
    let base = base();
    let mut training = Training::new(&base);
    let (known, new) = (training.user_word("w2"), training.user_word("Dictum"));
    let mut bytes = Vec::new();
    let trained = training.write(&mut bytes).unwrap();
    assert_eq!(trained, Trained { words: 0, new_words: 1, user_words: 2, bigrams: 0, trigrams: 0 });
    let snapshot = Snapshot::parse(bytes, base.shared_vocabulary()).unwrap();
    assert!(!snapshot.has_text() && snapshot.is_user_word(known) && snapshot.is_user_word(new));
    assert_eq!(snapshot.unigram(new), NEVER);
}

#[test]
fn counts_of_another_base_model_are_refused() {
    let random = &mut Random::new(9);
    let other = samples::base(&samples::model(7, random), &samples::vocabulary(7));
    let counts = counts("a b", &base());
    let mut training = Training::new(&other);
    let error = training.text(&mut Counts::read(&counts[..], "text 1").unwrap()).unwrap_err().to_string();
    assert!(error.contains("text 1") && error.contains("another version of the base model"), "{error}");
}

/// Sentences of a second-order chain: what comes next depends on both words before.
fn chain(words: usize, seed: u64) -> String {
    let random = &mut Random::new(seed);
    let (mut text, mut u, mut v) = (String::new(), 0, 0);
    for _ in 0..words {
        let next = if random.below(10) < 7 { (u * 2 + v + 1) % 5 } else { random.below(5) };
        text += WORDS[next as usize];
        text += if random.below(12) == 0 { "\n" } else { " " };
        (u, v) = (v, next);
    }
    text
}

#[test]
fn held_out_text_is_predicted_by_what_was_learnt() {
    let (_, snapshot) = trained(&[&chain(20_000, 1)], &WORDS, Smoothing::KneserNey, unbounded());
    let id = |word: &str| snapshot.vocabulary().id(word).unwrap();
    let mut sums = [0.0; 2];
    for line in chain(2_000, 2).lines() {
        let mut state = snapshot.start();
        for word in line.split(' ').filter(|word| !word.is_empty()).map(id) {
            for (sum, state) in sums.iter_mut().zip([LmState::EMPTY, state]) {
                *sum -= f64::from(snapshot.step(state, word).1);
            }
            state = snapshot.step(state, word).0;
        }
    }
    assert!(sums[1] < 0.7 * sums[0], "{sums:?}");
}

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::samples::{Random, base, bytes, model, snapshot, vocabulary};
use super::super::writer::Model;
use super::*;

/// The definition of a back-off model.
struct Definition {
    model: Model,
    bigrams: HashMap<[u32; 2], [f32; 2]>,
    trigrams: HashMap<[u32; 3], f32>,
}

impl Definition {
    fn new(model: &Model) -> Self {
        Definition {
            bigrams: model.bigrams.iter().map(|b| (b.words, [b.probability, b.backoff])).collect(),
            trigrams: model.trigrams.iter().map(|t| (t.words, t.probability)).collect(),
            model: model.clone(),
        }
    }

    fn ln_p(&self, history: &[u32], word: u32) -> f32 {
        match history {
            [] => self.model.unigrams[word as usize][0],
            [v] => match self.bigrams.get(&[*v, word]) {
                Some([p, _]) => *p,
                None => self.model.unigrams[*v as usize][1] + self.ln_p(&[], word),
            },
            [.., u, v] => match self.trigrams.get(&[*u, *v, word]) {
                Some(p) => *p,
                None => self.bigrams.get(&[*u, *v]).map_or(0.0, |[_, b]| *b) + self.ln_p(&[*v], word),
            },
        }
    }
}

proptest! {
    #[test]
    fn every_history_has_the_probabilities_of_the_definition(seed: u64, words in 3u32..8, new in 0u32..3) {
        let base = Arc::new(vocabulary(words));
        let model = model(words + new, &mut Random::new(seed));
        let snapshot = snapshot(&model, &base, &[2, words + new - 1][..(new as usize).min(2)]);
        let definition = Definition::new(&model);
        let words = words + new;
        prop_assert_eq!(snapshot.count(1), words as usize);
        prop_assert_eq!(snapshot.count(3), model.trigrams.len());
        for (u, v, w) in (0..words).flat_map(|u| (0..words).flat_map(move |v| (0..words).map(move |w| (u, v, w)))) {
            let state = snapshot.step(snapshot.step(LmState::EMPTY, u).0, v).0;
            let (next, p) = snapshot.step(state, w);
            let expected = definition.ln_p(&[u, v], w);
            prop_assert!((p - expected).abs() < 1e-4, "{u} {v} {w}: {p} {expected}");
            prop_assert_eq!(next.last_word(), Some(w));
        }
        for v in 0..words {
            let mut found = Vec::new();
            snapshot.bigrams_after(v, &mut |word, p| found.push((word, p)));
            let of_v = model.bigrams.iter().filter(|b| b.words[0] == v);
            let expected: Vec<_> = of_v.map(|b| (b.words[1], b.probability)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn damaged_files_are_refused_or_answer(seed: u64, flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4), cut: u16) {
        let vocabulary = Arc::new(vocabulary(5));
        let mut bytes = bytes(&model(7, &mut Random::new(seed)), &vocabulary, &[3, 5]);
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at as usize % length] = value;
        }
        if cut % 3 == 0 {
            bytes.truncate(cut as usize % bytes.len());
        }
        if let Ok(snapshot) = Snapshot::parse(bytes, &vocabulary) {
            for (u, v, w) in (0..7).flat_map(|u| (0..7).flat_map(move |v| (0..7).map(move |w| (u, v, w)))) {
                let state = snapshot.step(snapshot.step(snapshot.start(), u).0, v).0;
                prop_assert!(snapshot.step(state, w).1.is_finite());
            }
        }
    }

    #[test]
    fn random_bytes_behind_the_header_are_refused(mut tail in proptest::collection::vec(any::<u8>(), 0..200)) {
        let vocabulary = Arc::new(vocabulary(4));
        let mut bytes = bytes(&model(4, &mut Random::new(1)), &vocabulary, &[]);
        bytes.truncate(24);
        bytes.append(&mut tail);
        prop_assert!(Snapshot::parse(bytes, &vocabulary).is_err());
    }
}

#[test]
fn snapshots_of_other_vocabularies_versions_and_formats_are_refused_with_the_reason() {
    let known = Arc::new(vocabulary(4));
    let good = bytes(&model(5, &mut Random::new(1)), &known, &[4]);
    let why = |bytes: Vec<u8>, base: &Arc<Vocabulary>| Snapshot::parse(bytes, base).unwrap_err().to_string();
    assert!(why(good.clone(), &Arc::new(vocabulary(5))).contains("another version of the base model"));
    let mut renamed = Vocabulary::new();
    for word in ["<s>", "</s>", "w2", "other"] {
        renamed.add(word);
    }
    assert!(why(good.clone(), &Arc::new(renamed)).contains("another version of the base model"));
    let mut newer = good.clone();
    newer[10] = 9;
    assert!(why(newer, &known).contains("version 9"));
    assert!(why(b"Trie Language Model".to_vec(), &known).contains("is not a snapshot"));
    assert!(why(good[..good.len() - 1].to_vec(), &known).contains("the file has"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    std::fs::write(&path, &good).unwrap();
    let opened = Snapshot::open(&path, &known).unwrap();
    assert_eq!((opened.size_bytes(), opened.user_word_count()), (good.len(), 1));
    assert_eq!(opened.vocabulary().word(4), "n0");
    assert!(opened.is_user_word(4) && !opened.is_user_word(3));
    assert!(Snapshot::open(folder.path().join("none"), &known).unwrap_err().to_string().contains("none"));
}

#[test]
fn states_are_shared_by_histories_that_make_no_difference() {
    let model = model(6, &mut Random::new(3));
    let vocabulary = Arc::new(vocabulary(6));
    let snapshot = snapshot(&model, &vocabulary, &[]);
    let base = base(&model, &vocabulary);
    for (u, v) in (0..6).flat_map(|u| (0..6).map(move |v| (u, v))) {
        let of = |state: LmState| state == LmState::after(v);
        let here = snapshot.step(LmState::after(u), v).0;
        assert_eq!(of(here), of(base.step(LmState::after(u), v).0), "{u} {v}");
    }
}

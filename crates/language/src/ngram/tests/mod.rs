//! Models of all formats against each other, against a plain back-off recursion, and against the Sphinx tools.

use std::collections::HashMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use self::dmp_writer::dmp_of;
use super::*;

mod dmp_writer;
mod installed;

/// Every kind of back-off occurs: known trigram, known bigram after known and unknown history, unigram.
const SMALL: &str = "a comment\n\\data\\\nngram 1=5\nngram  2 = 5\nngram 3=2\n\n\\1-grams:\n-99 <s>\t-0.30103\n\
    -0.69897 </s>\n-0.5 a -0.2\n-0.6 b -0.1\n-0.9 c\n\n\\2-grams:\n-0.4 <s> a -0.15\n-0.5 a b -0.05\n-0.45 b a\n\
    -0.6 b </s>\n-0.3 c b -0.25\n\n\\3-grams:\n-0.2 <s> a b\n-0.1 a b </s>\n\n\\end\\\n";

fn state(model: &NgramModel, words: &[&str]) -> LmState {
    words.iter().fold(LmState::EMPTY, |state, word| model.step(state, model.vocabulary().id(word).unwrap()).0)
}

fn log10(model: &NgramModel, history: &[&str], word: &str) -> f32 {
    let word = model.vocabulary().id(word).unwrap();
    model.step(state(model, history), word).1 / std::f32::consts::LN_10
}

fn assert_close(found: f32, expected: f32, what: &str) {
    let tolerance = 1e-5 + expected.abs() * 1e-6;
    assert!((found - expected).abs() <= tolerance, "{what}: {found} instead of {expected}");
}

/// Both models give every word the same probability after every history of up to two words.
fn assert_same(left: &NgramModel, right: &NgramModel, tolerance: f32) {
    assert_eq!(left.order(), right.order());
    let words = left.vocabulary().len() as u32;
    assert_eq!(words as usize, right.vocabulary().len());
    for (id, text) in left.vocabulary().iter() {
        assert_eq!(right.vocabulary().id(text), Some(id));
    }
    let two_words = (0..words).flat_map(|u| (0..words).map(move |v| vec![u, v]));
    let histories = std::iter::once(vec![]).chain((0..words).map(|word| vec![word])).chain(two_words);
    for history in histories {
        let after = |model: &NgramModel| history.iter().fold(LmState::EMPTY, |state, &word| model.step(state, word).0);
        let (left_state, right_state) = (after(left), after(right));
        assert!((left.end(left_state) - right.end(right_state)).abs() <= tolerance);
        for word in 0..words {
            let (l, r) = (left.step(left_state, word).1, right.step(right_state, word).1);
            assert!((l - r).abs() <= tolerance + r.abs() * 1e-6, "{history:?} {word}: {l} {r}");
        }
    }
}

#[test]
fn every_kind_of_back_off_gives_the_probability_of_the_definition() {
    let model = parse_arpa(SMALL.as_bytes()).unwrap();
    assert_eq!((model.order(), model.count(1), model.count(2), model.count(3), model.count(4)), (3, 5, 5, 2, 0));
    let check = |history: &[&str], word, expected| assert_close(log10(&model, history, word), expected, word);
    check(&["<s>", "a"], "b", -0.2);
    check(&["a", "b"], "</s>", -0.1);
    check(&["a", "b"], "a", -0.05 - 0.45);
    check(&["a", "b"], "c", -0.05 - 0.1 - 0.9);
    check(&["c", "b"], "</s>", -0.25 - 0.6);
    check(&["b", "b"], "</s>", -0.6);
    check(&["b", "a"], "c", -0.2 - 0.9);
    check(&["c"], "c", -0.9);
    check(&[], "a", -0.5);
    assert_close(model.unigram(3) / std::f32::consts::LN_10, -0.6, "unigram");
    assert_close(model.backoff(3) / std::f32::consts::LN_10, -0.1, "backoff");
    assert_close(model.context_backoff(state(&model, &["c", "b"])) / std::f32::consts::LN_10, -0.25, "context backoff");
    assert_eq!(model.context_backoff(state(&model, &["b", "b"])), 0.0);
    assert_eq!(model.start(), state(&model, &["<s>"]));
    assert_close(model.end(state(&model, &["a", "b"])), -0.1 * std::f32::consts::LN_10, "end");
}

#[test]
fn histories_that_change_nothing_share_a_state() {
    let model = parse_arpa(SMALL.as_bytes()).unwrap();
    // (b, a) is a bigram without back-off or trigrams, (c, a) is no bigram: both predict as a alone does.
    assert_eq!(state(&model, &["b", "a"]), state(&model, &["a"]));
    assert_eq!(state(&model, &["c", "a"]), state(&model, &["a"]));
    assert_ne!(state(&model, &["<s>", "a"]), state(&model, &["a"]));
    assert_eq!(state(&model, &["<s>", "a"]).last_word(), model.vocabulary().id("a"));
    assert_eq!(model.history_count(), 3);
}

#[test]
fn followers_of_a_word_are_its_explicit_bigrams() {
    let model = parse_arpa(SMALL.as_bytes()).unwrap();
    let mut trie = Vec::new();
    model.write_trie(&mut trie).unwrap();
    for model in [model, parse_trie(&trie).unwrap()] {
        let followers = |word: &str| {
            let mut found = Vec::new();
            let id = model.vocabulary().id(word).unwrap();
            model.bigrams_after(id, &mut |word, probability| found.push((word, probability / std::f32::consts::LN_10)));
            found
        };
        let found = followers("b");
        assert_eq!(found.iter().map(|entry| entry.0).collect::<Vec<_>>(), [1, 2]);
        assert_close(found[0].1, -0.6, "b </s>");
        assert_close(found[1].1, -0.45, "b a");
        assert_eq!(followers("</s>"), []);
        assert_eq!(followers("c").len(), 1);
    }
}

#[test]
fn bigrams_that_trigrams_need_are_completed_without_changing_probabilities() {
    let text = "\\data\\\nngram 1=3\nngram 2=0\nngram 3=1\n\\1-grams:\n-0.5 a -0.2\n-0.6 b -0.1\n-0.9 c -0.3\n\
        \\2-grams:\n\\3-grams:\n-0.125 a b c\n\\end\\\n";
    let model = parse_arpa(text.as_bytes()).unwrap();
    assert_close(log10(&model, &["a", "b"], "c"), -0.125, "a b c");
    assert_close(log10(&model, &["a", "b"], "a"), -0.1 - 0.5, "a b a");
    assert_close(log10(&model, &["b"], "c"), -0.1 - 0.9, "b c");
    assert_close(log10(&model, &["a"], "b"), -0.2 - 0.6, "a b");
}

#[test]
fn models_of_lower_orders_are_read() {
    let unigrams = parse_arpa(b"\\data\\\nngram 1=2\n\\1-grams:\n-0.1 a\n-0.7 b\n\\end\\\n").unwrap();
    assert_eq!(unigrams.order(), 1);
    assert_close(log10(&unigrams, &["b"], "a"), -0.1, "a");
    assert_eq!(unigrams.start(), LmState::EMPTY);
    assert_eq!(unigrams.end(LmState::EMPTY), 0.0);
    let text =
        b"\\data\\\nngram 1=2\nngram 2=1\n\\1-grams:\n-0.1 a -0.3\n-0.7 b -0.4\n\\2-grams:\n-0.2 a b -9\n\\end\\\n";
    let bigrams = parse_arpa(text).unwrap();
    assert_eq!(bigrams.order(), 2);
    assert_close(log10(&bigrams, &["a"], "b"), -0.2, "a b");
    assert_close(log10(&bigrams, &["a", "b"], "a"), -0.4 - 0.1, "a b a");
    for model in [unigrams, bigrams] {
        let mut trie = Vec::new();
        model.write_trie(&mut trie).unwrap();
        assert_same(&parse_trie(&trie).unwrap(), &model, 1e-4);
        assert_same(&parse_dmp(&dmp_of(&model, false)).unwrap(), &model, 1e-5);
    }
}

#[test]
fn malformed_arpa_files_are_refused_with_the_line() {
    let cases = [
        ("", "line 1: the file ends without \\data\\"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n", "line 5: the file ends without \\end\\"),
        (
            "\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n\\end\\\n",
            "line 5: 1 1-grams in the file where \\data\\ announced 2",
        ),
        ("\\data\\\nngram 1=1\n\\1-grams:\nx a\n\\end\\\n", "line 4: \"x\" is not a number"),
        ("\\data\\\nngram 1=1\n\\1-grams:\nnan a\n\\end\\\n", "line 4: \"nan\" is not a finite number"),
        (
            "\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 a\n\\end\\\n",
            "line 5: the word \"a\" is defined for the second time",
        ),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1\n\\end\\\n", "line 4: \"-1\" has fewer than 1 words"),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1 a 0 0\n\\end\\\n", "line 4: \"-1 a 0 0\" has more fields"),
        ("\\data\\\nngram 2=1\n", "line 2: the count of 2-grams follows that of 0-grams"),
        ("\\data\\\nngram 1=x\n", "line 2: \"ngram 1=x\" is not of the form"),
        ("\\data\\\n\\1-grams:\n", "line 2: \"\\\\1-grams:\" where \"ngram 1=COUNT\""),
        (
            "\\data\\\nngram 1=1\nngram 2=1\n\\1-grams:\n-1 a\n\\2-grams:\n-1 a b\n\\end\\\n",
            "line 7: the word \"b\" is not among the 1-grams",
        ),
        ("\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n\\2-grams:\n\\end\\\n", "line 5: \"\\\\2-grams:\" where a section"),
        ("\\data\\\nngram 1=0\n\\1-grams:\n\\end\\\n", "has no words"),
        (
            "\\data\\\nngram 1=1\nngram 2=2\n\\1-grams:\n-1 a\n\\2-grams:\n-1 a a\n-2 a a\n\\end\\\n",
            "lists the n-gram \"a a\" twice",
        ),
        ("\\data\\\nngram 1=1\nngram 2=1\nngram 3=1\nngram 4=1\n", "has 4-grams; models up to trigrams are supported"),
    ];
    for (text, expected) in cases {
        let error = parse_arpa(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error:?} instead of {expected:?}");
    }
    let error = parse_arpa(&vec![b'x'; 1 << 20]).unwrap_err().to_string();
    assert!(error.contains("line 1: is longer than"), "{error}");
}

#[test]
fn what_is_no_language_model_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("packed.gz", b"\x1f\x8b\x08rest", "decompress it first"),
        ("noise", b"\x01\x02\0\x03", "none of: Sphinx trie (.lm.bin), Sphinx DMP, ARPA text"),
        ("empty", b"", "line 1: the file ends without \\data\\"),
        ("short.bin", b"Trie Language Model\x03\x01\0", "byte 20: the file ends at byte 22, within the n-gram counts"),
    ];
    for (name, bytes, expected) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = NgramModel::open(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(expected), "{error:?} instead of {expected:?}");
    }
    assert!(matches!(NgramModel::open(folder.path().join("absent")), Err(LmError::Io { .. })));
}

#[test]
fn formats_are_told_by_their_contents() {
    let model = parse_arpa(SMALL.as_bytes()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut trie = Vec::new();
    model.write_trie(&mut trie).unwrap();
    for bytes in [trie, dmp_of(&model, false), dmp_of(&model, true), SMALL.as_bytes().to_vec()] {
        let path = folder.path().join("model");
        std::fs::write(&path, bytes).unwrap();
        assert_same(&NgramModel::open(&path).unwrap(), &model, 1e-4);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn truncated_binary_models_are_refused_at_every_length() {
    let model = parse_arpa(SMALL.as_bytes()).unwrap();
    let dmp = dmp_of(&model, false);
    for length in 0..dmp.len() {
        let error = parse_dmp(&dmp[..length]).expect_err("a truncated file").to_string();
        assert!(error.contains("byte "), "{error}");
    }
    let mut trie = Vec::new();
    model.write_trie(&mut trie).unwrap();
    let tables = 36..36 + 3 * 65536 * 4 - 8;
    for length in (0..trie.len()).filter(|length| !tables.contains(length)) {
        assert!(parse_trie(&trie[..length]).is_err(), "{length}");
    }
}

/// The definition of a back-off model, over hash maps.
#[derive(Debug, Clone)]
struct Katz {
    words: usize,
    unigrams: Vec<(f32, f32)>,
    bigrams: HashMap<[u32; 2], (f32, f32)>,
    trigrams: HashMap<[u32; 3], f32>,
}

impl Katz {
    fn log10(&self, history: &[u32], w: u32) -> f32 {
        match *history {
            [] => self.unigrams[w as usize].0,
            [v] => match self.bigrams.get(&[v, w]) {
                Some(bigram) => bigram.0,
                None => self.unigrams[v as usize].1 + self.log10(&[], w),
            },
            [.., u, v] => match self.trigrams.get(&[u, v, w]) {
                Some(&trigram) => trigram,
                // The longest n-grams of a model have no back-off.
                None if self.trigrams.is_empty() => self.log10(&[v], w),
                None => self.bigrams.get(&[u, v]).map_or(0.0, |bigram| bigram.1) + self.log10(&[v], w),
            },
        }
    }

    fn arpa(&self) -> String {
        let mut text = format!("\\data\\\nngram 1={}\nngram 2={}\n", self.words, self.bigrams.len());
        writeln!(text, "ngram 3={}\n\n\\1-grams:", self.trigrams.len()).unwrap();
        for (word, (probability, backoff)) in self.unigrams.iter().enumerate() {
            writeln!(text, "{probability} w{word} {backoff}").unwrap();
        }
        text.push_str("\n\\2-grams:\n");
        for ([v, w], (probability, backoff)) in &self.bigrams {
            writeln!(text, "{probability}\tw{v} w{w}\t{backoff}").unwrap();
        }
        text.push_str("\\3-grams:\n");
        for ([u, v, w], probability) in &self.trigrams {
            writeln!(text, "{probability} w{u} w{v} w{w}").unwrap();
        }
        text + "\\end\\\n"
    }
}

fn katz() -> impl Strategy<Value = Katz> {
    let value = || (-400i32..=0).prop_map(|hundredths| hundredths as f32 / 100.0);
    (2usize..12).prop_flat_map(move |words| {
        let word = 0..words as u32;
        (
            proptest::collection::vec((value(), value()), words),
            proptest::collection::hash_map([word.clone(), word.clone()], (value(), value()), 1..60),
            proptest::collection::hash_map([word.clone(), word.clone(), word], value(), 0..80),
        )
            .prop_map(move |(unigrams, bigrams, trigrams)| Katz { words, unigrams, bigrams, trigrams })
    })
}

/// Asks a model everything; what it answers is not looked at.
fn exercise(model: &NgramModel) {
    let words = model.vocabulary().len().min(20) as u32;
    for u in 0..words {
        model.bigrams_after(u, &mut |word, probability| assert!((word as usize) < 1 << 25 && !probability.is_nan()));
        let (after, _) = model.step(model.start(), u);
        for v in 0..words {
            let (after, _) = model.step(after, v);
            model.context_backoff(after);
            model.end(after);
        }
    }
    model.write_arpa(std::io::sink()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any set of n-grams, also with missing histories and tails, in all three formats.
    #[test]
    fn steps_follow_the_definition_of_back_off(katz in katz()) {
        let model = parse_arpa(katz.arpa().as_bytes()).unwrap();
        let words = katz.words as u32;
        for u in 0..words {
            for v in 0..words {
                let history = [u, v];
                let state = history.iter().fold(LmState::EMPTY, |state, &word| model.step(state, word).0);
                for w in 0..words {
                    let found = model.step(state, w).1 / std::f32::consts::LN_10;
                    assert_close(found, katz.log10(&history, w), &format!("{history:?} {w}"));
                }
            }
        }
        let mut trie = Vec::new();
        model.write_trie(&mut trie).unwrap();
        assert_same(&parse_trie(&trie).unwrap(), &model, 2e-4);
        assert_same(&parse_dmp(&dmp_of(&model, katz.words % 2 == 0)).unwrap(), &model, 1e-5);
        let mut arpa = Vec::new();
        model.write_arpa(&mut arpa).unwrap();
        assert_same(&parse_arpa(&arpa).unwrap(), &model, 1e-6);
    }

    /// Corrupt files are an error or a model that answers: no panic, no endless loop, no huge allocation.
    #[test]
    fn corrupt_models_never_panic(
        katz in katz(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..8),
    ) {
        let model = parse_arpa(katz.arpa().as_bytes()).unwrap();
        let mut trie = Vec::new();
        model.write_trie(&mut trie).unwrap();
        let mut dmp = dmp_of(&model, false);
        let mut arpa = katz.arpa().into_bytes();
        for (at, byte, early) in changes {
            // The quantiser's tables fill most of a small trie; half of the changes go before or after them.
            let tables = if model.order() == 3 { 36..36 + 3 * 65536 * 4 } else { 32..32 + 65536 * 4 };
            let outside = tables.start + trie.len() - tables.end;
            let index = match early {
                true => at.index(trie.len()),
                false => Some(at.index(outside)).map(|i| if i < tables.start { i } else { i + tables.len() }).unwrap(),
            };
            trie[index] = byte;
            let (index, other) = (at.index(dmp.len()), at.index(arpa.len()));
            dmp[index] = byte;
            arpa[other] = byte;
        }
        for model in [parse_trie(&trie), parse_dmp(&dmp), parse_arpa(&arpa)].into_iter().flatten() {
            exercise(&model);
        }
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_arpa(&bytes);
        let _ = parse_arpa(&[b"\\data\\\nngram 1=1\n\\1-grams:\n", &bytes[..]].concat());
        let _ = parse_trie(&[trie::MAGIC, &bytes].concat());
        let _ = parse_dmp(&[b"\x11\0\0\0Darpa Trigram LM\0\0\0\0\0", &bytes[..]].concat());
    }
}

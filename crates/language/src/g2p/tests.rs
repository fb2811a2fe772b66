use proptest::prelude::*;

use super::*;

fn toy() -> Dictionary {
    // Regular enough that a tiny model gets unseen words right: consonant, vowel, consonant, with sh, x and a silent e. Only
    // u is said in two ways.
    let consonants = [("b", "B"), ("d", "D"), ("f", "F"), ("sh", "SH"), ("t", "T"), ("n", "N")];
    let vowels = [("a", "AE"), ("i", "IH"), ("o", "AA")];
    let ends = [("n", "N"), ("t", "T"), ("x", "K S"), ("sh", "SH"), ("te", "T"), ("b", "B")];
    let mut text = String::new();
    for (i, (c, p)) in consonants.iter().enumerate() {
        for (j, (v, q)) in vowels.iter().enumerate() {
            for (k, (e, r)) in ends.iter().enumerate() {
                if (i + j + k) % 4 != 0 {
                    text.push_str(&format!("{c}{v}{e} {p} {q} {r}\n"));
                }
            }
        }
    }
    for (c, p) in consonants {
        text.push_str(&format!("{c}un {p} AH N\n{c}un(2) {p} UH N\n{c}ut {p} UH T\n{c}ut(2) {p} AH T\n"));
    }
    Dictionary::parse(text.as_bytes()).unwrap()
}

fn said(model: &G2p, word: &str) -> String {
    let found = model.pronounce(word, 1);
    let phones = found.first().map(|(phones, _)| phones.to_vec()).unwrap_or_default();
    phones.iter().map(|&phone| model.phones()[usize::from(phone)].as_str()).collect::<Vec<_>>().join(" ")
}

fn toy_model() -> G2p {
    G2p::train(&toy(), &G2pTraining { order: 4, pruning: 0.0, ..G2pTraining::default() }).unwrap()
}

#[test]
fn unseen_words_of_a_regular_language_are_said_right() {
    let (dictionary, model) = (toy(), toy_model());
    for (word, phones) in [("ban", "B AE N"), ("nix", "N IH K S"), ("shin", "SH IH N"), ("bish", "B IH SH")] {
        assert!(!dictionary.contains(word), "{word} is for testing");
        assert_eq!(said(&model, word), phones, "{word}");
        assert_eq!(said(&model, &word.to_uppercase()), phones, "{word}");
    }
    assert_eq!(said(&model, "bán"), "B AE N");
    for none in ["", "bqn", "b n", "b7n", &"b".repeat(LONGEST + 1)] {
        assert_eq!(said(&model, none), "", "{none}");
    }
    assert!(!said(&model, &"b".repeat(LONGEST)).is_empty());
}

#[test]
fn alternatives_differ_and_their_shares_fall() {
    let model = toy_model();
    let found = model.pronounce("tunte", 5);
    assert!(found.len() > 1, "{found:?}");
    for pair in found.windows(2) {
        assert!(pair[0].1 >= pair[1].1 && pair[0].0 != pair[1].0);
    }
    assert!(found.iter().map(|(_, share)| share).sum::<f32>() <= 1.001);
}

#[test]
fn a_model_survives_its_file() {
    let model = toy_model();
    let bytes = model.to_bytes();
    let read = G2p::parse(&bytes).unwrap();
    assert_eq!(read.to_bytes(), bytes);
    assert_eq!((read.phones(), read.ngram_count()), (model.phones(), model.ngram_count()));
    for word in ["ban", "shix", "tote"] {
        assert_eq!(said(&read, word), said(&model, word));
    }
}

#[test]
fn a_dictionary_without_plain_words_teaches_nothing() {
    let dictionary = Dictionary::parse(b"a.b. EY B IY\n").unwrap();
    let error = G2p::train(&dictionary, &G2pTraining::default()).unwrap_err().to_string();
    assert!(error.starts_with("cannot train a grapheme-to-phoneme model: no entry"), "{error}");
    assert!(G2p::open("no/such/model").unwrap_err().to_string().contains("no/such/model"));
}

#[test]
fn held_out_words_are_not_trained_on() {
    let (rest, held) = hold_out(&toy(), 20);
    let rest = Dictionary::parse(rest.as_bytes()).unwrap();
    assert_eq!(held.len(), toy().len() / 20);
    assert_eq!(rest.len() + held.len(), toy().len());
    assert!(held.iter().all(|word| !rest.contains(word)));
}

/// Words that the dictionary does not have; not long ago nobody had heard of most.
#[test]
fn the_model_of_the_program_says_new_words_sensibly() {
    let model = G2p::en_us();
    for (word, phones) in [
        ("blockchain", "B L AA K CH EY N"),
        ("selfie", "S EH L F IY"),
        ("Zbigniewski", "Z B IH G N UW S K IY"),
        ("vaping", "V EY P IH NG"),
        ("phishing", "F IH SH IH NG"),
    ] {
        assert_eq!(said(&model, word), phones, "{word}");
    }
}

#[test]
fn distances_count_edits() {
    assert_eq!(edit_distance(b"kitten", b"sitting"), 3);
    assert_eq!(edit_distance(b"", b"abc"), 3);
    assert_eq!(edit_distance(b"abc", b"abc"), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_files_give_errors(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut in any::<prop::sample::Index>()) {
        static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let bytes = BYTES.get_or_init(|| toy_model().to_bytes());
        prop_assert!(G2p::parse(&bytes[..cut.index(bytes.len())]).is_err());
        let mut damaged = bytes.clone();
        for (at, value) in flips {
            *at.get_mut(&mut damaged) = value;
        }
        if let Ok(model) = G2p::parse(&damaged) {
            model.pronounce("shanibote", 3);
        }
    }
}

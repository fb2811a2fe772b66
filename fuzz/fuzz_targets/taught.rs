//! Texts that users teach, all the way: what is counted of any text is read again, trained and asked; and so are counts and
//! snapshots with changes in them, or an error.
#![no_main]

use std::sync::{Arc, OnceLock};

use dictum_language::custom::corpus::{analyse, rules};
use dictum_language::custom::{Counts, Limits, Snapshot, Training};
use dictum_language::{LanguageModel, NgramModel, WordId};
use libfuzzer_sys::fuzz_target;

const BASE: &str = "\\data\\\nngram 1=6\nngram 2=2\n\n\\1-grams:\n-99 <s> -0.3\n-1 </s>\n-1 the -0.2\n-1 house -0.1\n\
    -1 of\n-1 cards\n\n\\2-grams:\n-0.2 the house\n-0.4 of cards\n\n\\end\\\n";

fn base() -> &'static NgramModel {
    static MODEL: OnceLock<NgramModel> = OnceLock::new();
    MODEL.get_or_init(|| dictum_language::parse_arpa(BASE.as_bytes()).expect("a language model"))
}

/// The counts of a text; none if it breaks a rule.
fn counted(text: &[u8]) -> Option<Vec<u8>> {
    let limits = Limits { words: 5_000, new_words: 200, memory: 1 << 14 };
    let mut counts = Vec::new();
    let rules = rules("en-US").expect("English has rules");
    analyse(text, rules, base().shared_vocabulary(), limits, &mut counts).ok().map(|_| counts)
}

/// The snapshot of counts; none if they are no counts.
fn trained(counts: &[u8]) -> Option<Vec<u8>> {
    let mut training = Training::new(base());
    let mut counts = Counts::read(counts, "counts").ok()?;
    for new in &counts.summary().new_words {
        training.text_word(&new.word);
    }
    training.user_word("velmoradine");
    training.text(&mut counts).ok()?;
    let mut snapshot = Vec::new();
    training.write(&mut snapshot).ok().map(|_| snapshot)
}

/// Whether it could be read; what was read can be asked anything.
fn walk(snapshot: Vec<u8>) -> bool {
    let Ok(model) = Snapshot::parse(snapshot, &Arc::clone(base().shared_vocabulary())) else { return false };
    let words = model.vocabulary().len().min(20) as WordId;
    let mut state = model.start();
    for word in 0..words {
        let (next, score) = model.step(state, word);
        assert!(!score.is_nan() && !model.end(next).is_nan());
        model.bigrams_after(word, &mut |_, score| assert!(!score.is_nan()));
        state = next;
    }
    true
}

/// The same bytes but for some, as the first bytes of `changes` say.
fn changed(mut bytes: Vec<u8>, changes: &[u8]) -> Vec<u8> {
    for change in changes.chunks_exact(3).take(4) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let Some(counts) = counted(bytes) else { return };
    let snapshot = trained(&counts).expect("what was counted can be trained");
    assert!(walk(snapshot.clone()), "what was trained can be read");
    trained(&changed(counts, bytes)).map(walk);
    walk(changed(snapshot, bytes));
});

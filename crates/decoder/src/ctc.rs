//! Tokens of a CTC model as a network has them.
//!
//! A CTC model (Graves, Fernández, Gomez & Schmidhuber, "Connectionist temporal classification", 2006) says in every frame how
//! likely each of its tokens is, and the blank. A path may stay in a token, may pass through blanks between tokens, and must do so
//! between two equal ones. That is an HMM for each token:
//!
//! ```text
//!   inside a word    token ⟲ ──▶ (blank ⟲) ──▶           its blank is optional
//!   after an equal   blank ⟲ ──▶ token ⟲ ──▶ (blank ⟲) ──▶
//!   last of a word   token ⟲ ──▶                         the blank behind it is the silence between words
//! ```
//!
//! so that a word ends where its last token ends, and all that is said after it shares one blank. Behind a word, the same token may
//! begin another one only after that blank: the search sees to it ([`crate::network::Network::barred_after`]).
//!
//! *Spelling.* Beside words, a lexicon may hold *pieces*: tokens that make up words which the lexicon does not have, one behind the
//! other. A piece that begins a word is entered like a word; one that goes on is entered from pieces only, directly or after a
//! blank; one that is a punctuation mark follows words and pieces alike. What a word spelt so costs, the language model says
//! ([`dictum_language::OpenVocabulary`]). As any piece may go on after any other, the blank between them belongs to the one
//! before, which ends in two ways; so it is there once, and not once for each piece that it may lead to:
//!
//! ```text
//!   piece            token ⟲ ──▶                          towards whatever may follow, the same token aside
//!                    token ⟲ ──▶ blank ⟲ ──▶              towards any piece that goes on
//! ```
//!
//! *Separators.* Where a token stands between words, it belongs to the word before it. It may be heard before the first word,
//! too, so it is also a filler; who feeds the search adds a frame of it at the end of an utterance.

use dictum_acoustic::{PhoneId, Transitions};
use dictum_language::PieceRole;

use crate::lexicon::Lexicon;
use crate::network::FanClass;
use crate::topology::{Shape, Topology, UnitId};

/// Bits of units that say what a piece is to its word.
const FIRST_PIECE: UnitId = 1 << 14;
const LATER_PIECE: UnitId = 1 << 15;
const MARK_PIECE: UnitId = FIRST_PIECE | LATER_PIECE;

/// Most tokens of a model: their numbers share 16 bits with what a piece is.
pub const MAX_TOKENS: usize = 1 << 14;

/// The unit of a token as a piece.
pub fn piece(token: u16, role: PieceRole) -> UnitId {
    token
        | match role {
            PieceRole::First => FIRST_PIECE,
            PieceRole::Later => LATER_PIECE,
            PieceRole::Mark => MARK_PIECE,
        }
}

/// The token of a unit.
pub fn token(unit: UnitId) -> u16 {
    unit & !MARK_PIECE
}

// Contexts. `WORD` is also the transition matrix of a token inside a word, `BLANK` that of the blank between words.
const WORD: PhoneId = 0;
const FIRST: PhoneId = 1;
const LATER: PhoneId = 2;
const BLANK: PhoneId = 3;
const MARK: PhoneId = 4;
/// A piece that goes on after a blank.
const LATER_AFTER_BLANK: PhoneId = 5;
// Transition matrices only.
const AGAIN: PhoneId = 6;
const LAST: PhoneId = 7;
const LAST_AGAIN: PhoneId = 8;
const BEFORE_BLANK: PhoneId = 9;
const COUNT: usize = 10;

/// What may follow silence, and a punctuation mark.
const OUTSIDE: u64 = 1 << WORD | 1 << FIRST | 1 << BLANK;

/// What may follow a word.
const AFTER_WORD: u64 = OUTSIDE | 1 << MARK;

/// What may follow a piece.
const AFTER_PIECE: u64 = AFTER_WORD | 1 << LATER;

/// The context of a unit.
#[inline]
pub(crate) fn context(unit: UnitId) -> PhoneId {
    match unit & MARK_PIECE {
        FIRST_PIECE => FIRST,
        LATER_PIECE => LATER,
        MARK_PIECE => MARK,
        _ => WORD,
    }
}

/// The contexts in which a unit of a context may be entered: behind a blank, pieces that go on have one more.
#[inline]
pub(crate) fn entries(context: PhoneId) -> &'static [PhoneId] {
    const ALONE: [PhoneId; COUNT] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    match context {
        LATER => &[LATER, LATER_AFTER_BLANK],
        _ => std::slice::from_ref(&ALONE[context as usize]),
    }
}

/// Whether a token must not be entered in a context directly behind the same one.
#[inline]
pub(crate) fn bars(context: PhoneId) -> bool {
    context != LATER_AFTER_BLANK
}

/// Whether a unit is not to be entered in a context behind another: marks have an HMM that begins with a blank.
pub(crate) fn bars_unit(before: UnitId, unit: UnitId, context: PhoneId) -> bool {
    bars(context) && self::context(unit) != MARK && token(before) == token(unit)
}

/// The topology of a CTC model.
#[derive(Debug, Clone, Copy)]
pub struct Ctc {
    /// The blank's token.
    pub blank: u16,
    /// The token that stands behind every word, if there is one.
    pub separator: Option<u16>,
}

impl Ctc {
    /// Blanks that must be passed, then the token.
    fn last_again(&self, token: u16) -> Shape {
        Shape { senones: [self.blank, token, self.blank], phone: LAST_AGAIN }
    }

    fn last(&self, token: u16) -> Shape {
        Shape { senones: [token, self.blank, self.blank], phone: LAST }
    }

    /// The two ends of a piece with which others may go on.
    fn piece(&self, token: u16) -> Vec<FanClass> {
        let before_blank = Shape { senones: [token, self.blank, self.blank], phone: BEFORE_BLANK };
        let direct = FanClass { shape: self.last(token), right: AFTER_PIECE };
        vec![direct, FanClass { shape: before_blank, right: 1 << LATER_AFTER_BLANK }]
    }
}

impl Topology for Ctc {
    fn context_count(&self) -> usize {
        COUNT
    }

    fn silence(&self) -> PhoneId {
        BLANK
    }

    fn has_tokens(&self) -> bool {
        true
    }

    fn transitions(&self) -> Vec<Transitions> {
        let matrix = |allowed: &[(usize, usize)]| {
            let mut matrix = [[f32::NEG_INFINITY; 4]; 3];
            allowed.iter().for_each(|&(from, to)| matrix[from][to] = 0.0);
            matrix
        };
        let inside = matrix(&[(0, 0), (0, 1), (0, 3), (1, 1), (1, 3)]);
        let again = matrix(&[(0, 0), (0, 1), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3)]);
        let last = matrix(&[(0, 0), (0, 3)]);
        let last_again = matrix(&[(0, 0), (0, 1), (1, 1), (1, 3)]);
        let before_blank = matrix(&[(0, 0), (0, 1), (1, 1), (1, 3)]);
        vec![inside, last, last, last, last, last, again, last, last_again, before_blank]
    }

    fn outside(&self) -> u64 {
        OUTSIDE
    }

    fn left(&self, _: PhoneId) -> PhoneId {
        WORD
    }

    fn root(&self, first: UnitId, _: UnitId) -> u32 {
        u32::from(first)
    }

    fn begin(&self, _: PhoneId, first: UnitId, _: UnitId) -> Shape {
        Shape { senones: [first, self.blank, self.blank], phone: WORD }
    }

    fn inner(&self, before: UnitId, unit: UnitId, _: UnitId) -> (u32, Shape) {
        let shape = match before == unit {
            true => Shape { senones: [self.blank, unit, self.blank], phone: AGAIN },
            false => Shape { senones: [unit, self.blank, self.blank], phone: WORD },
        };
        (u32::from(unit), shape)
    }

    fn before_last(&self, before: UnitId, unit: UnitId) -> UnitId {
        // Any other token will do.
        if before == unit { before } else { unit ^ 1 }
    }

    fn end(&self, before: UnitId, unit: UnitId) -> Vec<FanClass> {
        let shape = if before == unit { self.last_again(unit) } else { self.last(unit) };
        vec![FanClass { shape, right: AFTER_WORD }]
    }

    fn single(&self, _: PhoneId, unit: UnitId) -> Vec<FanClass> {
        let token = token(unit);
        match context(unit) {
            FIRST | LATER => self.piece(token),
            MARK => {
                let ways = [self.last(token), self.last_again(token)];
                ways.map(|shape| FanClass { shape, right: OUTSIDE }).to_vec()
            }
            _ => vec![FanClass { shape: self.last(token), right: AFTER_WORD }],
        }
    }

    fn fillers(&self, _: &Lexicon) -> Vec<Shape> {
        let separator = self.separator.map(|token| Shape { senones: [token, self.blank, self.blank], phone: WORD });
        [Shape { senones: [self.blank; 3], phone: BLANK }].into_iter().chain(separator).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dictum_language::{Bigrams, LanguageModel, NgramModel, OpenVocabulary, Spelling, as_piece};
    use proptest::prelude::*;

    use super::*;
    use crate::graph::{Histories, SearchGraph};
    use crate::lattice::Lattice;
    use crate::look_ahead::LookAheadCache;
    use crate::network::Network;
    use crate::search::{Ahead, Search, SearchConfig};

    const TOKENS: usize = 4;
    const BLANK_TOKEN: u16 = 3;

    /// Words over the tokens 0, 1, 2: among them equal tokens in a row, one-token words, a word that begins another, and homophones.
    const WORDS: [(&str, &[u16]); 7] = [
        ("a", &[0]),
        ("b", &[1]),
        ("ab", &[0, 1]),
        ("aa", &[0, 0]),
        ("baa", &[1, 0, 0]),
        ("cab", &[2, 0, 1]),
        ("ba", &[0, 1]),
    ];

    fn language_model() -> Arc<NgramModel> {
        let mut arpa = String::from("\\data\\\nngram 1=9\n\n\\1-grams:\n-99 <s>\n-0.5 </s>\n");
        for (index, (word, _)) in WORDS.iter().enumerate() {
            arpa += &format!("-{} {word}\n", 0.4 + 0.15 * index as f32);
        }
        arpa += "\n\\end\\\n";
        Arc::new(NgramModel::read_arpa(arpa.as_bytes()).unwrap())
    }

    const SPELLING: Spelling = Spelling { first: -2.0, later: -0.7 };
    const WORD_PENALTY: f32 = -0.3;

    /// With pieces, any token may begin a word that is spelt, or go on with it.
    fn graph(pieces: bool) -> Arc<SearchGraph> {
        let lm = language_model();
        let mut lexicon = Lexicon::new(Vec::new());
        for (word, tokens) in WORDS {
            lexicon.add(lm.vocabulary().id(word).unwrap(), tokens);
        }
        for token in (0..BLANK_TOKEN).filter(|_| pieces) {
            for role in [PieceRole::First, PieceRole::Later] {
                lexicon.add(dictum_language::piece(token, role), &[piece(token, role)]);
            }
        }
        let topology = Ctc { blank: BLANK_TOKEN, separator: None };
        let unigram = |word| if as_piece(word).is_some() { SPELLING.first } else { lm.unigram(word) };
        let network = Arc::new(Network::compile(&topology, &lexicon, &unigram));
        let bigrams = Arc::clone(&lm) as Arc<dyn Bigrams>;
        Arc::new(SearchGraph {
            look_ahead: Arc::new(LookAheadCache::new(Arc::clone(&network), &lexicon, bigrams, 1 << 20)),
            network,
            overlay: None,
            lexicon: Arc::new(lexicon),
            start: lm.vocabulary().sentence_start().unwrap(),
            lm: Arc::new(OpenVocabulary::new(lm, SPELLING)),
            histories: Histories::LastWord,
        })
    }

    fn wide() -> SearchConfig {
        let wide = 1e4;
        SearchConfig {
            beam: wide,
            phone_beam: wide,
            last_phone_beam: wide,
            word_beam: wide,
            copy_beam: wide,
            max_active: 1 << 20,
            phone_look_ahead: 0,
            lm_weight: 1.0,
            word_penalty: WORD_PENALTY,
            silence_penalty: 0.0,
            ..SearchConfig::default()
        }
    }

    fn collapse(path: &[usize]) -> Vec<u16> {
        let mut tokens = path.to_vec();
        tokens.dedup();
        tokens.into_iter().map(|token| token as u16).filter(|&token| token != BLANK_TOKEN).collect()
    }

    /// The best language score of cutting tokens into words, and if there are pieces into words that are spelt.
    fn parse(lm: &NgramModel, tokens: &[u16], pieces: bool) -> f32 {
        let mut words = vec![f32::NEG_INFINITY; tokens.len() + 1];
        // The same where what was spelt may go on.
        let mut spelt = words.clone();
        words[0] = 0.0;
        for at in 0..tokens.len() {
            let here = words[at].max(spelt[at]);
            for (word, units) in WORDS {
                if tokens[at..].starts_with(units) {
                    let score = here + lm.unigram(lm.vocabulary().id(word).unwrap()) + WORD_PENALTY;
                    words[at + units.len()] = words[at + units.len()].max(score);
                }
            }
            if pieces {
                spelt[at + 1] = (here + SPELLING.first + WORD_PENALTY).max(spelt[at] + SPELLING.later);
            }
        }
        words[tokens.len()].max(spelt[tokens.len()]) + lm.end(lm.start())
    }

    fn frames() -> impl Strategy<Value = Vec<[f32; TOKENS]>> {
        prop::collection::vec(prop::array::uniform4(-6.0f32..0.0), 1..7)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The search finds the best of all paths whose tokens, equal ones merged and blanks left out, are words of the lexicon;
        /// so does the best path through its lattice.
        #[test]
        fn the_best_reading_is_the_best_of_all(frames in frames(), pieces: bool) {
            let (graph, lm) = (graph(pieces), language_model());
            let mut search = Search::new(graph, wide());
            frames.iter().for_each(|frame| search.push(frame, Ahead::Unknown));
            let mut best = f32::NEG_INFINITY;
            for code in 0..TOKENS.pow(frames.len() as u32) {
                let path: Vec<usize> = (0..frames.len()).map(|at| code / TOKENS.pow(at as u32) % TOKENS).collect();
                let acoustic: f32 = path.iter().zip(&frames).map(|(&token, frame)| frame[token]).sum();
                best = best.max(acoustic + parse(&lm, &collapse(&path), pieces));
            }
            let found = search.records()[search.best_end() as usize].score + lm.end(lm.start());
            prop_assert!((found - best).abs() < 1e-3, "search {} against {}", found, best);
            let lattice = Lattice::build(&search, 1e3);
            prop_assert!((lattice.best_scores().1[0] - best).abs() < 1e-3, "lattice {} against {}", lattice.best_scores().1[0], best);
        }
    }
}

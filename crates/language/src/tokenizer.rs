//! Words as strings of the tokens of an acoustic model: letters, characters of any script, or pieces of words.
//!
//! A CTC model writes with tokens of its own. Which of several ways to put a word together it prefers is not in its table of
//! tokens; that mostly takes the fewest pieces, as training a byte-pair encoding (Sennrich, Haddow & Birch, 2016) or a unigram
//! model (Kudo, 2018) gives frequent pieces a token each. So a word gets the few ways that take the fewest, and a search finds
//! out which of them is heard.
//!
//! Tokens are taken as bytes of UTF-8, for those of some models are pieces of bytes that may end in the middle of a character
//! (Wang, Cho & Gu, "Neural machine translation with byte-level subwords", 2020).

use rustc_hash::FxHashMap;

/// How tokens make words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordBoundary {
    /// What begins a word begins with `▁` (U+2581).
    Prefix,
    /// A token stands behind every word.
    Separator(u16),
    /// Nothing tells.
    None,
}

/// The mark of [`WordBoundary::Prefix`].
pub const WORD_BEGIN: char = '\u{2581}';

/// In which case a model writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    Both,
}

/// Most bytes of a text that is segmented.
const LONGEST_TEXT: usize = 2048;

/// Cuts words into tokens.
///
/// ```
/// use dictum_language::{Tokenizer, WordBoundary};
/// let pieces = ["▁the", "▁t", "h", "e", "▁"];
/// let tokenizer = Tokenizer::new(pieces.into_iter().zip(0..), WordBoundary::Prefix);
/// assert_eq!(tokenizer.segment("The", 2), [vec![0], vec![1, 2, 3]]);
/// assert!(tokenizer.segment("other", 2).is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct Tokenizer {
    ids: FxHashMap<Box<[u8]>, u16>,
    /// Tokens of single bytes, for what the pieces do not spell.
    bytes: FxHashMap<u8, u16>,
    /// Bytes of the longest piece.
    longest: usize,
    boundary: WordBoundary,
    case: Case,
}

impl Tokenizer {
    /// A tokenizer of these pieces, in UTF-8. Those that are never part of a word are to be left out.
    pub fn new<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = (P, u16)>, boundary: WordBoundary) -> Tokenizer {
        let mut ids: FxHashMap<Box<[u8]>, u16> = FxHashMap::default();
        for (spelling, id) in pieces {
            ids.entry(spelling.as_ref().into()).or_insert(id);
        }
        // Where a table lists every byte, such as this one that is in no text, single ones tell nothing of how the model writes.
        let has_bytes = ids.contains_key(&[u8::MAX][..]);
        let tells = |piece: &[u8]| !has_bytes || piece.len() > 1;
        let any = |is: fn(char) -> bool| {
            let has = |piece: &[u8]| piece.utf8_chunks().any(|chunk| chunk.valid().contains(is));
            ids.keys().any(|piece| tells(piece) && has(piece))
        };
        let case = match (any(char::is_uppercase), any(char::is_lowercase)) {
            (true, false) => Case::Upper,
            (false, _) => Case::Lower,
            (true, true) => Case::Both,
        };
        let longest = ids.keys().map(|piece| piece.len()).max().unwrap_or(0);
        Tokenizer { ids, bytes: FxHashMap::default(), longest, boundary, case }
    }

    /// The same with tokens of single bytes, which write only what the pieces do not spell (SentencePiece's `byte_fallback`).
    #[must_use]
    pub fn with_bytes(mut self, bytes: impl IntoIterator<Item = (u8, u16)>) -> Tokenizer {
        self.bytes.extend(bytes);
        self
    }

    /// How tokens make words.
    pub fn boundary(&self) -> WordBoundary {
        self.boundary
    }

    /// Whether the model writes capitals and small letters.
    pub fn has_case(&self) -> bool {
        self.case == Case::Both
    }

    /// Whether the model writes capitals only.
    pub fn shouts(&self) -> bool {
        self.case == Case::Upper
    }

    /// The ways to write a text of one or more words, at most `most`: those of the fewest tokens first. None if there is a
    /// character that no token has.
    pub fn segment(&self, text: &str, most: usize) -> Vec<Vec<u16>> {
        let words = text.split_whitespace();
        let text = match self.case {
            Case::Upper => words.map(str::to_uppercase).collect::<Vec<_>>(),
            Case::Lower => words.map(str::to_lowercase).collect(),
            Case::Both => words.map(str::to_owned).collect(),
        };
        if text.is_empty() || text.iter().map(|word| word.len()).sum::<usize>() > LONGEST_TEXT {
            return Vec::new();
        }
        match self.boundary {
            WordBoundary::Prefix => self.prefixed(&text, most),
            WordBoundary::None => self.pieces(text.concat().as_bytes(), most),
            WordBoundary::Separator(separator) => {
                let mut ways = vec![Vec::new()];
                for word in &text {
                    let pieces = self.pieces(word.as_bytes(), most);
                    ways = combine(&ways, &pieces, separator, most);
                }
                ways
            }
        }
    }

    /// The ways to write words each of which begins with the mark; and with another one at each character that needs no spaces
    /// around it, for some models were trained on texts in which those stand apart (`tokenize_by_CJK_char` of icefall).
    fn prefixed(&self, text: &[String], most: usize) -> Vec<Vec<u16>> {
        let together: String = text.iter().flat_map(|word| [WORD_BEGIN.to_string(), word.clone()]).collect();
        let mut ways = self.pieces(together.as_bytes(), most);
        if together.contains(stands_alone) {
            let mut apart = String::new();
            let mut alone = false;
            for c in together.chars() {
                let marked = apart.ends_with(WORD_BEGIN) || c == WORD_BEGIN;
                if (alone || stands_alone(c)) && !marked {
                    apart.push(WORD_BEGIN);
                }
                alone = stands_alone(c);
                apart.push(c);
            }
            for way in self.pieces(apart.as_bytes(), most) {
                if !ways.contains(&way) {
                    ways.push(way);
                }
            }
            ways.sort_by_key(Vec::len);
            ways.truncate(most);
        }
        ways
    }

    /// The ways to write a text without regard to words: in pieces, or if that is not possible with single bytes as well.
    fn pieces(&self, text: &[u8], most: usize) -> Vec<Vec<u16>> {
        let piece = |piece: &[u8]| self.ids.get(piece).copied();
        let ways = cut(text, self.longest, most, piece);
        if !ways.is_empty() || self.bytes.is_empty() {
            return ways;
        }
        let byte = |bytes: &[u8]| if let [byte] = bytes { self.bytes.get(byte).copied() } else { None };
        cut(text, self.longest.max(1), most, |text| piece(text).or_else(|| byte(text)))
    }
}

/// The ways to cut a text into pieces of at most so many bytes that have a number. Dynamic programming over its bytes, with the best few
/// ways to each.
fn cut(text: &[u8], longest: usize, most: usize, piece: impl Fn(&[u8]) -> Option<u16>) -> Vec<Vec<u16>> {
    let count = text.len();
    if count == 0 || count > 2 * LONGEST_TEXT {
        return Vec::new();
    }
    // Tokens of single bytes do not spell the mark of a word's beginning.
    let mark = WORD_BEGIN.to_string().into_bytes();
    let in_mark = |place: usize| (1..mark.len()).any(|at| place >= at && text[place - at..].starts_with(&mark));
    // Ways to each place: (tokens, last token, place before, which way there).
    let mut ways: Vec<Vec<(u32, u16, usize, usize)>> = vec![Vec::new(); count + 1];
    ways[0].push((0, 0, 0, 0));
    for end in (1..=count).filter(|&end| !in_mark(end)) {
        // Longer pieces first, so that of equally many the one that ends in the longest comes first.
        let mut found = Vec::new();
        for begin in (end.saturating_sub(longest)..end).filter(|&begin| !ways[begin].is_empty()) {
            let Some(id) = piece(&text[begin..end]) else { continue };
            found.extend(ways[begin].iter().enumerate().map(|(way, before)| (before.0 + 1, id, begin, way)));
        }
        found.sort_by_key(|way| way.0);
        found.truncate(most);
        ways[end] = found;
    }
    let back = |mut way: (u32, u16, usize, usize)| {
        let mut tokens = Vec::with_capacity(way.0 as usize);
        while way.0 > 0 {
            tokens.push(way.1);
            way = ways[way.2][way.3];
        }
        tokens.reverse();
        tokens
    };
    ways[count].iter().map(|&way| back(way)).collect()
}

/// Whether a character is one of a script that is written without spaces: Chinese, Japanese, Korean.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{a840}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff65}'..='\u{ffdc}' | '\u{20000}'..='\u{2ffff}')
}

/// Each way with each continuation and the separator behind it, the first of either first.
fn combine(ways: &[Vec<u16>], pieces: &[Vec<u16>], separator: u16, most: usize) -> Vec<Vec<u16>> {
    let mut longer: Vec<Vec<u16>> = Vec::new();
    for way in ways {
        longer.extend(pieces.iter().map(|piece| [way, &piece[..], &[separator]].concat()));
    }
    longer.sort_by_key(Vec::len);
    longer.truncate(most);
    longer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokenizer(pieces: &[&str], boundary: WordBoundary) -> Tokenizer {
        Tokenizer::new(pieces.iter().copied().zip(0..), boundary)
    }

    #[test]
    fn several_words_have_several_beginnings() {
        let pieces = tokenizer(&["▁i", "▁e", "▁tri", "p", "le", "▁", "t", "r", "i", "l", "e"], WordBoundary::Prefix);
        assert_eq!(pieces.segment("I triple E", 1), [vec![0, 2, 3, 4, 1]]);
        let letters = tokenizer(&["A", "B", "|"], WordBoundary::Separator(2));
        assert_eq!(letters.segment("ab a", 4), [vec![0, 1, 2, 0, 2]]);
        let characters = tokenizer(&["语", "音", "语音"], WordBoundary::None);
        assert_eq!(characters.segment("语音", 4), [vec![2], vec![0, 1]]);
    }

    #[test]
    fn case_is_that_of_the_model() {
        assert_eq!(tokenizer(&["▁A", "B"], WordBoundary::Prefix).segment("ab", 1), [vec![0, 1]]);
        assert_eq!(tokenizer(&["▁a", "b"], WordBoundary::Prefix).segment("AB", 1), [vec![0, 1]]);
        let both = tokenizer(&["▁A", "▁a", "b"], WordBoundary::Prefix);
        assert!(both.has_case());
        assert_eq!((both.segment("Ab", 1), both.segment("ab", 1)), (vec![vec![0, 2]], vec![vec![1, 2]]));
        let bytes = (0..=u8::MAX).map(|byte| vec![byte]).chain(["THE", "▁"].map(|piece| piece.as_bytes().to_vec()));
        let bytes = Tokenizer::new(bytes.zip(0..), WordBoundary::Prefix);
        assert_eq!(bytes.segment("the", 1), [vec![257, 256]]);
    }

    /// `▁日▁本` where a model learnt characters apart, `▁日本` where it did not; bytes only where no piece will do.
    #[test]
    fn scripts_without_spaces_are_written_as_the_model_learnt_them() {
        let apart = tokenizer(&["▁日", "▁本", "▁", "A"], WordBoundary::Prefix);
        assert_eq!(apart.segment("日本", 4)[0], [0, 1]);
        let together = tokenizer(&["▁日本", "▁日", "▁本"], WordBoundary::Prefix);
        assert_eq!(together.segment("日本", 4), [vec![0], vec![1, 2]]);
        assert!(together.segment("日語", 4).is_empty());
        let bytes = (0..=255).map(|byte| (byte, 100 + u16::from(byte)));
        let spare = tokenizer(&["▁日", "▁", "é"], WordBoundary::Prefix).with_bytes(bytes);
        assert_eq!(spare.segment("日", 4), [vec![0]]);
        assert_eq!(spare.segment("é", 4), [vec![1, 2]]);
        assert!(spare.segment("日本", 4).contains(&vec![0, 1, 100 + 0xe6, 100 + 0x9c, 100 + 0xac]));
    }

    proptest! {
        /// Pieces of bytes, whole characters or not, spell the word byte by byte.
        #[test]
        fn pieces_of_bytes_spell_the_word(
            words in prop::collection::vec("[aéж日本😀]{1,6}", 1..8),
            cuts in prop::collection::vec((0usize..24, 1usize..6), 0..40),
            most in 1usize..6,
        ) {
            let mut pieces: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
            for (at, (from, count)) in cuts.into_iter().enumerate() {
                let bytes = [WORD_BEGIN.to_string(), words[at % words.len()].clone()].concat().into_bytes();
                pieces.push(bytes.into_iter().skip(from).take(count).collect());
            }
            pieces.push(WORD_BEGIN.to_string().into_bytes());
            pieces.retain(|piece| !piece.is_empty());
            let tokenizer = Tokenizer::new(pieces.iter().zip(0..), WordBoundary::Prefix);
            for word in &words {
                let ways = tokenizer.segment(word, most);
                prop_assert!((1..=most).contains(&ways.len()));
                for way in ways {
                    let spelt: Vec<u8> = way.iter().flat_map(|&id| pieces[usize::from(id)].clone()).collect();
                    let spelt = String::from_utf8(spelt).unwrap();
                    prop_assert!(spelt.starts_with(WORD_BEGIN));
                    prop_assert_eq!(&spelt.replace(WORD_BEGIN, ""), &word.to_lowercase());
                }
            }
        }

        /// Every way spells the word; none takes fewer tokens than the first; no two are the same.
        #[test]
        fn ways_spell_the_word(
            pieces in prop::collection::hash_set("▁?[abc]{1,3}", 1..20),
            word in "[abc]{1,12}",
            most in 1usize..6,
        ) {
            let pieces: Vec<String> = pieces.into_iter().collect();
            let all: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let ways = tokenizer(&all, WordBoundary::Prefix).segment(&word, most);
            prop_assert!(ways.len() <= most);
            for (index, way) in ways.iter().enumerate() {
                let spelt: String = way.iter().map(|&id| all[usize::from(id)]).collect();
                prop_assert_eq!(spelt, format!("▁{word}"));
                prop_assert!(way.len() >= ways[0].len());
                prop_assert!(!ways[..index].contains(way));
            }
        }
    }
}

//! Words as strings of the tokens of an acoustic model: letters, characters of any script, or pieces of words.
//!
//! A CTC model writes with tokens of its own. Which of several ways to put a word together it prefers is not in its table of
//! tokens; that mostly takes the fewest pieces, as training a byte-pair encoding (Sennrich, Haddow & Birch, 2016) or a unigram
//! model (Kudo, 2018) gives frequent pieces a token each. So a word gets the few ways that take the fewest, and a search finds
//! out which of them is heard.

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

/// Most characters of a text that is segmented.
const LONGEST_TEXT: usize = 512;

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
    ids: FxHashMap<Box<str>, u16>,
    /// Characters of the longest piece.
    longest: usize,
    boundary: WordBoundary,
    case: Case,
}

impl Tokenizer {
    /// A tokenizer of these pieces. Those that are never part of a word are to be left out.
    pub fn new<'a>(pieces: impl IntoIterator<Item = (&'a str, u16)>, boundary: WordBoundary) -> Tokenizer {
        let mut ids: FxHashMap<Box<str>, u16> = FxHashMap::default();
        for (text, id) in pieces {
            ids.entry(text.into()).or_insert(id);
        }
        let any = |is: fn(char) -> bool| ids.keys().any(|text| text.contains(is));
        let case = match (any(char::is_uppercase), any(char::is_lowercase)) {
            (true, false) => Case::Upper,
            (false, _) => Case::Lower,
            (true, true) => Case::Both,
        };
        let longest = ids.keys().map(|text| text.chars().count()).max().unwrap_or(0);
        Tokenizer { ids, longest, boundary, case }
    }

    /// How tokens make words.
    pub fn boundary(&self) -> WordBoundary {
        self.boundary
    }

    /// Whether the model writes capitals and small letters.
    pub fn has_case(&self) -> bool {
        self.case == Case::Both
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
        if text.is_empty() || text.iter().map(|word| word.len()).sum::<usize>() > 4 * LONGEST_TEXT {
            return Vec::new();
        }
        match self.boundary {
            WordBoundary::Prefix => {
                let marked: String = text.iter().flat_map(|word| [WORD_BEGIN.to_string(), word.clone()]).collect();
                self.pieces(&marked, most)
            }
            WordBoundary::None => self.pieces(&text.concat(), most),
            WordBoundary::Separator(separator) => {
                let mut ways = vec![Vec::new()];
                for word in &text {
                    let pieces = self.pieces(word, most);
                    ways = combine(&ways, &pieces, separator, most);
                }
                ways
            }
        }
    }

    /// The ways to write a text without regard to words. Dynamic programming over its characters, with the best few ways to
    /// each.
    fn pieces(&self, text: &str, most: usize) -> Vec<Vec<u16>> {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let count = places.len() - 1;
        if count == 0 || count > LONGEST_TEXT {
            return Vec::new();
        }
        // Ways to each place: (tokens, last token, place before, which way there).
        let mut ways: Vec<Vec<(u32, u16, usize, usize)>> = vec![Vec::new(); count + 1];
        ways[0].push((0, 0, 0, 0));
        for end in 1..=count {
            // Longer pieces first, so that of equally many the one that ends in the longest comes first.
            let mut found = Vec::new();
            for begin in end.saturating_sub(self.longest)..end {
                let Some(&id) = self.ids.get(&text[places[begin]..places[end]]) else { continue };
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
    }

    proptest! {
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

//! Word error rate: how texts are made comparable, aligned, and how sure the figure is.
//!
//! ```
//! use dictum_language::scoring::{align, normalise};
//! let reference = normalise("Mr. Smith's well-known 3 books.");
//! assert_eq!(reference.join(" "), "mister smith's well known three books");
//! let errors = align(&reference, &normalise("mister smith well known books books")).errors();
//! assert_eq!((errors.substitutions, errors.deletions, errors.insertions, errors.words), (2, 0, 0, 6));
//! ```

use crate::spoken::spoken_form;

/// The words of a text as they are compared: lower case, numbers as spoken ([`spoken_form`]), hyphens and dashes as
/// spaces, `mr` and `mrs` spelt out, and no punctuation but apostrophes inside words.
pub fn normalise(text: &str) -> Vec<String> {
    let spoken = spoken_form(text);
    let separated = spoken.split(|c: char| c.is_whitespace() || matches!(c, '-' | '‐'..='―' | '−' | '/' | '_' | '…'));
    separated.filter_map(normal_word).collect()
}

/// One word without its punctuation; `None` when nothing is left.
fn normal_word(word: &str) -> Option<String> {
    let kept: String = word
        .chars()
        .map(|c| if matches!(c, '’' | '‘' | 'ʼ') { '\'' } else { c })
        .filter(|c| c.is_alphanumeric() || *c == '\'')
        .flat_map(char::to_lowercase)
        .collect();
    match kept.trim_matches('\'') {
        "" => None,
        "mr" => Some("mister".to_owned()),
        "mrs" => Some("missus".to_owned()),
        word => Some(word.to_owned()),
    }
}

/// One step of an [`Alignment`]; indices into the two word sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// The same word.
    Match {
        /// Index into the reference.
        reference: usize,
        /// Index into the hypothesis.
        hypothesis: usize,
    },
    /// Another word.
    Substitution {
        /// Index into the reference.
        reference: usize,
        /// Index into the hypothesis.
        hypothesis: usize,
    },
    /// A word that the hypothesis lacks.
    Deletion {
        /// Index into the reference.
        reference: usize,
    },
    /// A word that the reference lacks.
    Insertion {
        /// Index into the hypothesis.
        hypothesis: usize,
    },
}

/// How a hypothesis differs from its reference, with the fewest errors possible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alignment {
    /// In order; every word of either sequence occurs once.
    pub edits: Vec<Edit>,
}

impl Alignment {
    /// The errors, counted by kind.
    pub fn errors(&self) -> Errors {
        let mut errors = Errors::default();
        for edit in &self.edits {
            match edit {
                Edit::Match { .. } => errors.words += 1,
                Edit::Substitution { .. } => {
                    (errors.words, errors.substitutions) = (errors.words + 1, errors.substitutions + 1)
                }
                Edit::Deletion { .. } => (errors.words, errors.deletions) = (errors.words + 1, errors.deletions + 1),
                Edit::Insertion { .. } => errors.insertions += 1,
            }
        }
        errors
    }
}

/// Errors by kind. Adds up over clips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Errors {
    /// Words recognised as another word.
    pub substitutions: usize,
    /// Words recognised where none was said.
    pub insertions: usize,
    /// Words that were not recognised.
    pub deletions: usize,
    /// Words of the reference.
    pub words: usize,
}

impl Errors {
    /// All errors.
    pub fn total(&self) -> usize {
        self.substitutions + self.insertions + self.deletions
    }

    /// Errors per reference word: 0.25 is 25 %, and more than 1 is possible. 0 when there are neither words nor errors,
    /// infinite when there are only errors.
    pub fn rate(&self) -> f64 {
        rate(self.total(), self.words)
    }
}

impl std::ops::AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.substitutions += other.substitutions;
        self.insertions += other.insertions;
        self.deletions += other.deletions;
        self.words += other.words;
    }
}

fn rate(errors: usize, words: usize) -> f64 {
    if errors == 0 { 0.0 } else { errors as f64 / words as f64 }
}

/// Aligns two word sequences by edit distance (Levenshtein 1966), every error costing 1.
///
/// Among the alignments with the fewest errors, a pair of words is preferred to a deletion and a deletion to an insertion,
/// from the end backwards. Takes a byte for every pair of words.
pub fn align(reference: &[String], hypothesis: &[String]) -> Alignment {
    let columns = hypothesis.len() + 1;
    // Distances of the row above and the current one; the step that led to each cell.
    let mut above: Vec<u32> = (0..columns as u32).collect();
    let mut current = vec![0u32; columns];
    let mut steps = vec![Step::Insertion; columns * (reference.len() + 1)];
    for (row, expected) in reference.iter().enumerate() {
        let steps = &mut steps[(row + 1) * columns..(row + 2) * columns];
        current[0] = row as u32 + 1;
        steps[0] = Step::Deletion;
        for (column, found) in hypothesis.iter().enumerate() {
            let pair = above[column] + u32::from(expected != found);
            let deletion = above[column + 1] + 1;
            let insertion = current[column] + 1;
            let best = pair.min(deletion).min(insertion);
            current[column + 1] = best;
            steps[column + 1] = match best {
                _ if best == pair => Step::Pair,
                _ if best == deletion => Step::Deletion,
                _ => Step::Insertion,
            };
        }
        std::mem::swap(&mut above, &mut current);
    }
    let mut edits = Vec::with_capacity(reference.len().max(hypothesis.len()));
    let (mut row, mut column) = (reference.len(), hypothesis.len());
    while row > 0 || column > 0 {
        match steps[row * columns + column] {
            Step::Pair => {
                (row, column) = (row - 1, column - 1);
                edits.push(match reference[row] == hypothesis[column] {
                    true => Edit::Match { reference: row, hypothesis: column },
                    false => Edit::Substitution { reference: row, hypothesis: column },
                });
            }
            Step::Deletion => {
                row -= 1;
                edits.push(Edit::Deletion { reference: row });
            }
            Step::Insertion => {
                column -= 1;
                edits.push(Edit::Insertion { hypothesis: column });
            }
        }
    }
    edits.reverse();
    Alignment { edits }
}

#[derive(Clone, Copy)]
enum Step {
    Pair,
    Deletion,
    Insertion,
}

/// The 95 % interval of the word error rate, by resampling clips (Bisani and Ney 2004).
///
/// Takes (errors, reference words) of each clip, draws as many clips with replacement `samples` times, and gives the 2.5 %
/// and 97.5 % points of the rates. Words of one clip are not independent, so whole clips are drawn. The same seed gives the
/// same interval; (0, 0) without clips or samples.
pub fn bootstrap_interval(per_clip: &[(usize, usize)], samples: usize, seed: u64) -> (f64, f64) {
    if per_clip.is_empty() || samples == 0 {
        return (0.0, 0.0);
    }
    let mut random = SplitMix(seed);
    let mut rates: Vec<f64> = (0..samples)
        .map(|_| {
            let (mut errors, mut words) = (0, 0);
            for _ in per_clip {
                let clip = per_clip[random.below(per_clip.len())];
                (errors, words) = (errors + clip.0, words + clip.1);
            }
            rate(errors, words)
        })
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    let point = |fraction: f64| rates[((samples - 1) as f64 * fraction).round() as usize];
    (point(0.025), point(0.975))
}

/// Steele, Lea and Flood 2014: enough for resampling, and the same on every machine.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn texts_that_sound_alike_are_normalised_alike() {
        let cases = [
            ("", ""),
            ("  Hello,   WORLD!  ", "hello world"),
            (
                "Feed'st thy light's flame with self-substantial fuel",
                "feed'st thy light's flame with self substantial fuel",
            ),
            ("“It’s ‘fine’,” she said—twice.", "it's fine she said twice"),
            ("the boys' club and 'tis done", "the boys club and tis done"),
            ("Mr. and Mrs. O’Neil met MR Smith", "mister and missus o'neil met mister smith"),
            ("sonnet 1", "sonnet one"),
            ("in 1984 (or so)", "in nineteen eighty four or so"),
            ("well - - known", "well known"),
            ("Café naïve", "café naïve"),
            ("U.S. and/or e.g.", "us and or eg"),
            ("...", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(normalise(text).join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let count = |reference: &str, hypothesis: &str| {
            let errors = align(&words(reference), &words(hypothesis)).errors();
            (errors.substitutions, errors.insertions, errors.deletions, errors.words)
        };
        assert_eq!(count("", ""), (0, 0, 0, 0));
        assert_eq!(count("a b c", "a b c"), (0, 0, 0, 3));
        assert_eq!(count("a b c", "a x c"), (1, 0, 0, 3));
        assert_eq!(count("a b c", "a c"), (0, 0, 1, 3));
        assert_eq!(count("a c", "a b c"), (0, 1, 0, 2));
        assert_eq!(count("a b", ""), (0, 0, 2, 2));
        assert_eq!(count("", "a b"), (0, 2, 0, 0));
        assert_eq!(count("the cat sat on the mat", "a cat sat the mat here"), (1, 1, 1, 6));
    }

    #[test]
    fn alignments_pair_the_words_that_match() {
        let alignment = align(&words("a b c d"), &words("a c e d"));
        assert_eq!(
            alignment.edits,
            [
                Edit::Match { reference: 0, hypothesis: 0 },
                Edit::Substitution { reference: 1, hypothesis: 1 },
                Edit::Substitution { reference: 2, hypothesis: 2 },
                Edit::Match { reference: 3, hypothesis: 3 },
            ]
        );
        let alignment = align(&words("x a b"), &words("a b y"));
        assert_eq!(alignment.edits[0], Edit::Deletion { reference: 0 });
        assert_eq!(alignment.edits[3], Edit::Insertion { hypothesis: 2 });
    }

    #[test]
    fn rates_are_per_reference_word() {
        let mut sum = Errors { substitutions: 1, insertions: 2, deletions: 1, words: 8 };
        assert_eq!(sum.rate(), 0.5);
        sum += Errors { words: 8, ..Errors::default() };
        assert_eq!((sum.total(), sum.rate()), (4, 0.25));
        assert_eq!(Errors::default().rate(), 0.0);
        assert!(Errors { insertions: 1, ..Errors::default() }.rate().is_infinite());
    }

    #[test]
    fn the_interval_has_the_width_that_theory_predicts() {
        // 400 clips of 10 words, half of them with 4 errors and half with none: the standard error of the rate is
        // 0.2 / sqrt(400) = 0.01, so the interval is about 0.2 +- 0.0196.
        let clips: Vec<(usize, usize)> = (0..400).map(|i| (i % 2 * 4, 10)).collect();
        let (low, high) = bootstrap_interval(&clips, 4000, 1);
        assert!((low - 0.1804).abs() < 0.002 && (high - 0.2196).abs() < 0.002, "{low} {high}");
        assert_eq!(bootstrap_interval(&clips, 4000, 1), (low, high));
        assert_ne!(bootstrap_interval(&clips, 4000, 2), (low, high));
        assert_eq!(bootstrap_interval(&[(3, 12); 5], 100, 7), (0.25, 0.25));
        assert_eq!(bootstrap_interval(&[], 100, 7), (0.0, 0.0));
    }

    /// The definition of edit distance.
    fn distance(left: &[String], right: &[String]) -> usize {
        match (left, right) {
            ([], rest) | (rest, []) => rest.len(),
            ([l, left @ ..], [r, right_rest @ ..]) => {
                let pair = distance(left, right_rest) + usize::from(l != r);
                let whole: Vec<String> = std::iter::once(l.clone()).chain(left.iter().cloned()).collect();
                pair.min(distance(left, right) + 1).min(distance(&whole, right_rest) + 1)
            }
        }
    }

    proptest! {
        #[test]
        fn alignments_are_complete_and_shortest(
            left in proptest::collection::vec("[abc]", 0..6),
            right in proptest::collection::vec("[abc]", 0..6),
        ) {
            let alignment = align(&left, &right);
            let errors = alignment.errors();
            prop_assert_eq!(errors.total(), distance(&left, &right));
            prop_assert_eq!(errors.words, left.len());
            let (mut next_left, mut next_right) = (0, 0);
            for edit in alignment.edits {
                let (l, r) = match edit {
                    Edit::Match { reference, hypothesis } => {
                        prop_assert_eq!(&left[reference], &right[hypothesis]);
                        (Some(reference), Some(hypothesis))
                    }
                    Edit::Substitution { reference, hypothesis } => {
                        prop_assert_ne!(&left[reference], &right[hypothesis]);
                        (Some(reference), Some(hypothesis))
                    }
                    Edit::Deletion { reference } => (Some(reference), None),
                    Edit::Insertion { hypothesis } => (None, Some(hypothesis)),
                };
                prop_assert!(l.is_none_or(|l| l == next_left) && r.is_none_or(|r| r == next_right));
                next_left += usize::from(l.is_some());
                next_right += usize::from(r.is_some());
            }
            prop_assert_eq!((next_left, next_right), (left.len(), right.len()));
        }

        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once.join(" ")), once);
        }
    }
}

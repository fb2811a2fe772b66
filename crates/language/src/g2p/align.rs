//! Finding the graphones of dictionary entries.
//!
//! One letter stands for no phone, one or two; two letters stand for one. The probability of each graphone is estimated by
//! expectation-maximisation over all segmentations of all entries, from a uniform start; then each entry is cut the
//! likeliest way. A segmentation into few long graphones would always win, so the probability of a graphone of two
//! symbols on one side is squared, as if it were two.

use crate::dictionary::Dictionary;

use super::model::{FIRST_GRAPHONE, Graphone, NONE};
use super::{G2pError, LONGEST, MOST_SYMBOLS, alphabet};

/// An entry as indices of letters and phones.
pub(super) struct Entry {
    letters: Vec<u8>,
    phones: Vec<u8>,
}

/// Entries cut into graphones.
pub(super) struct Aligned {
    /// Sorted; the token of graphone `i` is `i + FIRST_GRAPHONE`.
    pub(super) graphones: Vec<Graphone>,
    /// Tokens of each entry.
    pub(super) sequences: Vec<Vec<u16>>,
}

/// Whether a word is spelt with letters and apostrophes alone, so that its spelling says how it is pronounced.
pub(super) fn is_plain(word: &str) -> bool {
    word.chars().any(char::is_alphabetic) && word.chars().all(|c| c.is_alphabetic() || c == '\'')
}

/// The plain entries of a dictionary, and their alphabet.
pub(super) fn entries(dictionary: &Dictionary) -> Result<(Vec<char>, Vec<Entry>), G2pError> {
    let letters = alphabet(dictionary);
    for (count, what) in [(letters.len(), "letters"), (dictionary.phones().len(), "phones")] {
        if count > MOST_SYMBOLS {
            return Err(G2pError::Untrainable(format!(
                "the dictionary has {count} different {what}; {MOST_SYMBOLS} are supported"
            )));
        }
    }
    let index = |c: char| letters.binary_search(&c).map(|letter| letter as u8);
    let mut entries = Vec::with_capacity(dictionary.pronunciation_count());
    for (word, pronunciations) in dictionary.iter().filter(|(word, _)| is_plain(word)) {
        let spelling: Result<Vec<u8>, _> = word.chars().flat_map(char::to_lowercase).map(index).collect();
        let Ok(spelling) = spelling else { continue };
        if spelling.len() > LONGEST {
            continue;
        }
        for pronunciation in pronunciations {
            if pronunciation.len() <= 2 * spelling.len() {
                entries.push(Entry { letters: spelling.clone(), phones: pronunciation.to_vec() });
            }
        }
    }
    Ok((letters, entries))
}

/// Dense numbering of all possible graphones of an alphabet.
struct Inventory {
    letters: usize,
    phones: usize,
}

impl Inventory {
    fn len(&self) -> usize {
        let (letters, phones) = (self.letters, self.phones);
        letters * (1 + phones + phones * phones) + letters * letters * phones
    }

    fn index(&self, letters: &[u8], phones: &[u8]) -> usize {
        let per_letter = 1 + self.phones + self.phones * self.phones;
        let first = usize::from(letters[0]);
        match (letters, phones) {
            ([_], []) => first * per_letter,
            ([_], [p]) => first * per_letter + 1 + usize::from(*p),
            ([_], [p, q, ..]) => first * per_letter + 1 + self.phones + usize::from(*p) * self.phones + usize::from(*q),
            (_, phones) => {
                let pair = first * self.letters + usize::from(letters[1]);
                self.letters * per_letter + pair * self.phones + usize::from(phones[0])
            }
        }
    }
}

/// Letters and phones that a graphone may take.
const SHAPES: [(usize, usize); 4] = [(1, 0), (1, 1), (1, 2), (2, 1)];

/// Calls `arc(from, to, graphone)` for each graphone at each place of the grid of an entry, in topological order. Places are
/// `letters read * (phones + 1) + phones read`.
fn arcs(inventory: &Inventory, entry: &Entry, mut arc: impl FnMut(usize, usize, usize, (usize, usize))) {
    let (letters, phones) = (&entry.letters, &entry.phones);
    let columns = phones.len() + 1;
    for i in 0..letters.len() {
        for j in 0..columns {
            for (l, p) in SHAPES {
                if i + l <= letters.len() && j + p <= phones.len() {
                    let graphone = inventory.index(&letters[i..i + l], &phones[j..j + p]);
                    arc(i * columns + j, (i + l) * columns + j + p, graphone, (l, p));
                }
            }
        }
    }
}

fn place_count(entry: &Entry) -> usize {
    (entry.letters.len() + 1) * (entry.phones.len() + 1)
}

/// The weight of a graphone in a segmentation.
fn weight(probability: f64, (letters, phones): (usize, usize)) -> f64 {
    if letters.max(phones) > 1 { probability * probability } else { probability }
}

/// Cuts all entries into graphones. Those that cannot be cut are left out.
pub(super) fn align(letters: usize, phones: usize, entries: &[Entry], iterations: usize) -> Aligned {
    let inventory = Inventory { letters, phones };
    let mut probabilities = vec![1.0 / inventory.len() as f64; inventory.len()];
    for _ in 0..iterations {
        probabilities = expectations(&inventory, entries, &probabilities);
    }
    // Twice: graphones that a single entry of the first cut needed are mostly errors of the dictionary, and go.
    let cuts = cut_all(&inventory, entries, &probabilities);
    let mut uses = vec![0u32; inventory.len()];
    for &graphone in cuts.iter().flatten() {
        uses[graphone] += 1;
    }
    let least = if entries.len() >= 1000 { 3 } else { 1 };
    for (probability, &uses) in probabilities.iter_mut().zip(&uses) {
        if uses < least {
            *probability = 0.0;
        }
    }
    number(&inventory, entries, cut_all(&inventory, entries, &probabilities))
}

/// One round: how often each graphone is expected, as probabilities.
fn expectations(inventory: &Inventory, entries: &[Entry], probabilities: &[f64]) -> Vec<f64> {
    let mut counts = vec![0.0; inventory.len()];
    let (mut forward, mut backward, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let places = place_count(entry);
        list.clear();
        arcs(inventory, entry, |from, to, graphone, shape| {
            list.push((from, to, graphone, weight(probabilities[graphone], shape)));
        });
        forward.clear();
        forward.resize(places, 0.0f64);
        forward[0] = 1.0;
        for &(from, to, _, weight) in &list {
            forward[to] += forward[from] * weight;
        }
        let total = forward[places - 1];
        // Of an entry of 64 letters the numbers may be too small for an f64; it does not matter to the estimate.
        if total <= f64::MIN_POSITIVE {
            continue;
        }
        backward.clear();
        backward.resize(places, 0.0f64);
        backward[places - 1] = 1.0;
        for &(from, to, graphone, weight) in list.iter().rev() {
            backward[from] += weight * backward[to];
            counts[graphone] += forward[from] * weight * backward[to] / total;
        }
    }
    let sum: f64 = counts.iter().sum();
    if sum > 0.0 {
        counts.iter_mut().for_each(|count| *count /= sum);
    }
    counts
}

/// The likeliest segmentation of each entry, empty where there is none.
fn cut_all(inventory: &Inventory, entries: &[Entry], probabilities: &[f64]) -> Vec<Vec<usize>> {
    entries.iter().map(|entry| cut(inventory, entry, probabilities)).collect()
}

fn cut(inventory: &Inventory, entry: &Entry, probabilities: &[f64]) -> Vec<usize> {
    let places = place_count(entry);
    let mut best = vec![(f64::NEG_INFINITY, 0usize, 0usize); places];
    best[0].0 = 0.0;
    arcs(inventory, entry, |from, to, graphone, shape| {
        let score = best[from].0 + weight(probabilities[graphone], shape).ln();
        if score > best[to].0 {
            best[to] = (score, from, graphone);
        }
    });
    let mut graphones = Vec::new();
    let mut place = places - 1;
    if best[place].0 == f64::NEG_INFINITY {
        return graphones;
    }
    while place > 0 {
        graphones.push(best[place].2);
        place = best[place].1;
    }
    graphones.reverse();
    graphones
}

/// Names the graphones that are used, in order of their letters.
fn number(inventory: &Inventory, entries: &[Entry], cuts: Vec<Vec<usize>>) -> Aligned {
    let mut used: Vec<Option<Graphone>> = vec![None; inventory.len()];
    for (entry, cut) in entries.iter().zip(&cuts) {
        let (mut i, mut j) = (0, 0);
        for &index in cut {
            let (l, p) = SHAPES
                .into_iter()
                .find(|&(l, p)| {
                    i + l <= entry.letters.len()
                        && j + p <= entry.phones.len()
                        && inventory.index(&entry.letters[i..i + l], &entry.phones[j..j + p]) == index
                })
                .expect("a cut is made of graphones of its entry");
            let take = |symbols: &[u8], at: usize, count: usize| {
                [0, 1].map(|k| if k < count { symbols[at + k] } else { NONE })
            };
            used[index] = Some(Graphone { letters: take(&entry.letters, i, l), phones: take(&entry.phones, j, p) });
            (i, j) = (i + l, j + p);
        }
    }
    // A single letter sorts before the pairs that begin with it.
    let key = |graphone: &Graphone| (graphone.letters[0], graphone.letters[1].wrapping_add(1), graphone.phones);
    let mut order: Vec<(usize, Graphone)> =
        used.into_iter().enumerate().filter_map(|(index, graphone)| Some((index, graphone?))).collect();
    order.sort_unstable_by_key(|(_, graphone)| key(graphone));
    let mut tokens = vec![0u16; inventory.len()];
    for (position, (index, _)) in order.iter().enumerate() {
        tokens[*index] = position as u16 + FIRST_GRAPHONE;
    }
    let sequences = cuts
        .into_iter()
        .filter(|cut| !cut.is_empty())
        .map(|cut| cut.into_iter().map(|index| tokens[index]).collect())
        .collect();
    Aligned { graphones: order.into_iter().map(|(_, graphone)| graphone).collect(), sequences }
}

//! The base model and a customization's in one.
//!
//! After a history h a word w has the probability
//!
//! > p(w | h) = (1 - m(h)) ((1 - l) base(w | h) + l custom(w | h)) + m(h) share(w) / k
//!
//! where l is the customization weight, or 0 when the customization has no text; share(w) is that of a user's word (at most 1;
//! short words, which much else sounds like, have less), k the sum of all shares, and m(h) = l k min(q, M / k) b(h), at
//! most [`MOST`]. b(h) is the weight with which the base model falls back on words by themselves after h, over what is
//! typical of it: a new word comes where the base model would not be surprised by a rare one, and hardly within a
//! common phrase. After a typical history a word whose share is 1 gets the probability l q, as long as all together stay
//! below l M. So a word that the user adds can be recognised in whatever surroundings, whether a text holds it or not, ten
//! thousand of them do not crowd out the rest, and the probabilities after every history still sum to 1. At weight 0 the
//! model *is* the base model: the same states, the same numbers.

use std::sync::Arc;

use super::{NEVER, Snapshot};
use crate::error::{Fault, LmError};
use crate::model::{Bigrams, LanguageModel, LmState};
use crate::ngram::NgramModel;
use crate::vocabulary::{Vocabulary, WordId};

/// The most that user words get after any history.
const MOST: f32 = 0.5;

/// How much a customization counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// l: share of the customization, 0 to 1 (`customization_weight`).
    pub weight: f32,
    /// q: probability, at weight 1, of each word that the user added, after a typical history.
    pub word_probability: f32,
    /// M: the most, at weight 1, that all words which the user added have together after a typical history; below 1.
    pub word_mass: f32,
}

impl Default for Mixture {
    /// Watson's default weight for models of this generation; the rest was chosen on words that the US English model does not
    /// know, among a hundred and among ten thousand others (`dictum-experiments rare-words`).
    fn default() -> Self {
        Mixture { weight: 0.3, word_probability: 1e-3, word_mass: 0.25 }
    }
}

/// Both models at a [`Mixture`]. Making one costs next to nothing: each request may have its own.
///
/// A state packs the last word and what each model remembers beside it into 64 bits, so states need no table.
pub struct Interpolated {
    base: Arc<NgramModel>,
    custom: Arc<Snapshot>,
    mixture: Mixture,
    /// ln of the shares of the base model and of the customization's n-grams.
    shares: [f32; 2],
    /// ln of what all user words get after a typical history, and of the sum of their shares.
    user_words: [f32; 2],
    base_words: u32,
    /// Bits of a state: the last word, then the base model's context, then the custom model's.
    base_shift: u32,
    custom_shift: u32,
}

impl Interpolated {
    /// ln of the weight with which the base model falls back on words by themselves after a typical history.
    pub const TYPICAL: f32 = -2.0;

    /// The models at a mixture. Values out of range are taken as the nearest in it.
    ///
    /// # Errors
    /// When the snapshot belongs to another vocabulary, or both models together have more histories than a state can tell
    /// apart (2^64, counting words).
    pub fn new(base: Arc<NgramModel>, custom: Arc<Snapshot>, mixture: Mixture) -> Result<Self, LmError> {
        let base_words = base.vocabulary().len() as u32;
        let unsupported = |what: &str| Fault::Unsupported(what.to_owned()).in_file("(customization)");
        if custom.base_words() != base_words {
            return Err(unsupported("was trained over another vocabulary; train it again"));
        }
        let bits = |states: usize| usize::BITS - states.leading_zeros();
        let base_shift = bits(custom.count(1));
        let custom_shift = base_shift + bits(base.count(2));
        if custom_shift + bits(custom.count(2)) > 64 {
            return Err(unsupported("has too many bigrams beside this base model; use a smaller corpus"));
        }
        let mixture = Mixture {
            weight: within(mixture.weight, 1.0),
            word_probability: within(mixture.word_probability, 1.0),
            word_mass: within(mixture.word_mass, 0.999),
        };
        let shares = (custom.user_shares() as f32).max(f32::MIN_POSITIVE);
        let total = mixture.weight * (mixture.word_probability * shares).min(mixture.word_mass);
        let user_words = [if custom.user_word_count() > 0 { ln(total) } else { NEVER }, shares.ln()];
        let weight = if custom.has_text() { mixture.weight } else { 0.0 };
        let shares = [ln(1.0 - weight), ln(weight)];
        Ok(Interpolated { base, custom, mixture, shares, user_words, base_words, base_shift, custom_shift })
    }

    /// The base model.
    pub fn base(&self) -> &Arc<NgramModel> {
        &self.base
    }

    /// The customization's.
    pub fn custom(&self) -> &Arc<Snapshot> {
        &self.custom
    }

    /// How they are mixed.
    pub fn mixture(&self) -> Mixture {
        self.mixture
    }

    /// ln of the shares of the base model and of the customization's n-grams.
    pub fn shares(&self) -> [f32; 2] {
        self.shares
    }

    /// ln p of a word that the user added with the share 1, after a typical history and before the models add to it; below
    /// [`NEVER`] at weight 0.
    pub fn user_word(&self) -> f32 {
        self.user_words[0] - self.user_words[1]
    }

    /// ln of how much more than that it is after `v`, for look-ahead.
    pub fn opening_after(&self, v: WordId) -> f32 {
        if v < self.base_words { self.opening(LmState::after(v)) } else { 0.0 }
    }

    /// ln b(h), by the base model's state.
    #[inline]
    fn opening(&self, base: LmState) -> f32 {
        let Some(last) = base.last_word() else { return 0.0 };
        self.base.context_backoff(base) + self.base.backoff(last) - Self::TYPICAL
    }

    /// ln p(`word`) without history.
    pub fn unigram(&self, word: WordId) -> f32 {
        let base = if word < self.base_words { self.base.unigram(word) } else { NEVER };
        self.mix(base, self.custom.unigram(word), word, 0.0)
    }

    /// ln of what each model's unigrams are multiplied with after `v` where neither has an explicit bigram: of the base model,
    /// of the custom one.
    ///
    /// # For look-ahead
    /// p(w | v) of such words is the sum of two products, so it is not one back-off weight times one unigram. The greater of
    /// the two, `max(b + base unigram, c + custom unigram)`, is below the true value by at most ln 2; a look-ahead may
    /// keep the best base unigram and the best custom unigram below each place of the tree (a second number a place, made
    /// once for a customization, independent of weight) and take that maximum. Words that the user added have
    /// [`user_word`](Self::user_word) plus [`opening_after`](Self::opening_after) plus ln of their share besides. Explicit bigrams of either model come, with exact values,
    /// from [`bigrams_after`](Self::bigrams_after).
    pub fn backoffs(&self, v: WordId) -> [f32; 2] {
        let base = if v < self.base_words { self.base.backoff(v) } else { 0.0 };
        [self.shares[0] + base, self.shares[1] + self.custom.backoff(v)]
    }

    /// Calls `visit(w, ln p(w | v))` for every w with an explicit bigram (v, w) in either model, in ascending order.
    pub fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        let mut base = Vec::new();
        let in_base = v < self.base_words;
        if in_base {
            self.base.bigrams_after(v, &mut |word, probability| base.push((word, probability)));
        }
        let base_backoff = if in_base { self.base.backoff(v) } else { 0.0 };
        let custom_backoff = self.custom.backoff(v);
        let mut base = base.into_iter().peekable();
        let opening = self.opening_after(v);
        let give_base = |word, probability: f32, visit: &mut dyn FnMut(WordId, f32)| {
            visit(word, self.mix(probability, self.custom.unigram(word) + custom_backoff, word, opening));
        };
        if self.mixture.weight > 0.0 {
            self.custom.bigrams_after(v, &mut |word, probability| {
                while let Some((earlier, value)) = base.next_if(|&(earlier, _)| earlier < word) {
                    give_base(earlier, value, visit);
                }
                let from_base = match base.next_if(|&(same, _)| same == word) {
                    Some((_, value)) => value,
                    None if word < self.base_words => self.base.unigram(word) + base_backoff,
                    None => NEVER,
                };
                visit(word, self.mix(from_base, probability, word, opening));
            });
        }
        base.for_each(|(word, value)| give_base(word, value, visit));
    }

    /// ln of the mixed probability of a word, where b(h) is e to the power of `opening`.
    #[inline(always)]
    fn mix(&self, base: f32, custom: f32, word: WordId, opening: f32) -> f32 {
        if self.mixture.weight == 0.0 {
            return base;
        }
        let users = (self.user_words[0] + opening).min(MOST.ln());
        let rest = if users > NEVER { (-users.exp()).ln_1p() } else { 0.0 };
        let mixed = rest + add_logs(self.shares[0] + base, self.shares[1] + custom);
        let share = self.custom.user_share(word);
        share.map_or(mixed, |share| add_logs(mixed, users - self.user_words[1] + share)).max(NEVER)
    }

    #[inline(always)]
    fn pack(&self, word: WordId, base: LmState, custom: LmState) -> LmState {
        let context = |state: LmState| state.0 >> 32;
        // A shift by all 64 bits means that the custom model has no contexts, and wraps to one of nothing.
        let custom = context(custom).wrapping_shl(self.custom_shift);
        LmState((u64::from(word) + 1) | context(base) << self.base_shift | custom)
    }

    /// The states of both models.
    #[inline(always)]
    fn unpack(&self, state: LmState) -> (LmState, LmState) {
        let last = state.0 & ((1 << self.base_shift) - 1);
        let base = state.0 >> self.base_shift & ((1 << (self.custom_shift - self.base_shift)) - 1);
        let custom = state.0.checked_shr(self.custom_shift).unwrap_or(0);
        // After a new word the base model knows nothing of what came before.
        let base = if last <= u64::from(self.base_words) { base << 32 | last } else { 0 };
        (LmState(base), LmState(custom << 32 | last))
    }
}

impl LanguageModel for Interpolated {
    fn vocabulary(&self) -> &Vocabulary {
        self.custom.vocabulary()
    }

    fn start(&self) -> LmState {
        self.base.start()
    }

    #[inline]
    fn step(&self, state: LmState, word: WordId) -> (LmState, f32) {
        let (before, custom) = self.unpack(state);
        let opening = self.opening(before);
        let (base, from_base) =
            if word < self.base_words { self.base.step(before, word) } else { (LmState::EMPTY, NEVER) };
        if self.shares[1] <= NEVER {
            return (self.pack(word, base, LmState::EMPTY), self.mix(from_base, NEVER, word, opening));
        }
        let (custom, from_custom) = self.custom.walk(custom, word);
        (self.pack(word, base, custom), self.mix(from_base, from_custom, word, opening))
    }

    /// 0 (certain) when the base model has no `</s>`.
    fn end(&self, state: LmState) -> f32 {
        match self.base.vocabulary().sentence_end() {
            Some(end) => self.step(state, end).1,
            None => 0.0,
        }
    }
}

/// Approximate for pairs that neither model has: their unigrams are taken as mixed alike, so the weight of one word is the
/// mean of both models' weights by their shares. [`Interpolated::backoffs`] tells a closer bound.
impl Bigrams for Interpolated {
    fn unigram(&self, word: WordId) -> f32 {
        Interpolated::unigram(self, word)
    }

    fn backoff(&self, word: WordId) -> f32 {
        if self.mixture.weight == 0.0 {
            return Bigrams::backoff(&*self.base, word);
        }
        let [base, custom] = self.backoffs(word);
        add_logs(base, custom) - add_logs(self.shares[0], self.shares[1])
    }

    fn bigrams_after(&self, v: WordId, visit: &mut dyn FnMut(WordId, f32)) {
        Interpolated::bigrams_after(self, v, visit);
    }
}

impl std::fmt::Debug for Interpolated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Interpolated").field(&self.base).field(&self.custom).field(&self.mixture).finish()
    }
}

fn within(value: f32, most: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, most) }
}

fn ln(probability: f32) -> f32 {
    if probability > 0.0 { probability.ln() } else { NEVER }
}

/// ln(e^a + e^b).
#[inline(always)]
fn add_logs(a: f32, b: f32) -> f32 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    let difference = low - high;
    // Beyond this the smaller one does not change the last bit of the greater.
    if difference < -17.0 { high } else { high + difference.exp().ln_1p() }
}

#[cfg(test)]
#[path = "interpolated_tests.rs"]
mod tests;

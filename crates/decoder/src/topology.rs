//! What the units of an acoustic model look like in a network: which states score them and how they follow one another.
//!
//! A pronunciation is a string of *units*: the phones of an HMM model, the tokens of a CTC model. A [`Topology`] turns them into
//! HMMs of up to three states, one for each distinct surrounding that matters, and says what may meet what across the
//! boundary of words. [`Triphones`] does so for phones in context, [`crate::ctc::Ctc`] for tokens with blanks between
//! them. Everything behind it, from the tree to the lattice, is the same for both.

use dictum_acoustic::{PhoneId, SequenceId, Transitions, Units, WordPosition};

use crate::lexicon::Lexicon;
use crate::network::FanClass;

/// A unit of a pronunciation: a phone, or a token.
pub type UnitId = u16;

/// An HMM: the columns of the score matrix that its states read, and what its transition matrix is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Senones, or tokens, of the three states.
    pub senones: [u16; 3],
    /// Index of the transition matrix; see [`Topology::transitions`].
    pub phone: PhoneId,
}

/// How units are laid out in a network.
///
/// *Contexts* are what words have in common at their boundaries, as far as it matters to their neighbours: for phones the phone
/// itself. There are at most [`MAX_PHONES`](crate::network::MAX_PHONES) of them, and transition matrices are numbered along with
/// them.
pub trait Topology {
    /// Number of contexts and transition matrices.
    fn context_count(&self) -> usize;

    /// The context of silence, of other fillers, and of the beginning.
    fn silence(&self) -> PhoneId;

    /// Whether units are the tokens of a CTC model ([`crate::ctc`]) and not phones.
    fn has_tokens(&self) -> bool;

    /// Natural-log transition probabilities by number: `[from][to]`, `to == 3` leaves.
    fn transitions(&self) -> Vec<Transitions>;

    /// The contexts that may follow silence and other fillers, and begin an utterance, as a mask.
    fn outside(&self) -> u64;

    /// The context that stands for all with the same effect on what follows.
    fn left(&self, context: PhoneId) -> PhoneId;

    /// What a root stands for: pronunciations with the same first units share one.
    fn root(&self, first: UnitId, second: UnitId) -> u32;

    /// The first unit of several, behind a context.
    fn begin(&self, left: PhoneId, first: UnitId, second: UnitId) -> Shape;

    /// A unit between others, and a number that is the same for units that look the same there.
    fn inner(&self, before: UnitId, unit: UnitId, after: UnitId) -> (u32, Shape);

    /// What of the unit before the last one matters to the last one.
    fn before_last(&self, before: UnitId, unit: UnitId) -> UnitId;

    /// The last unit of several: one HMM for each class of what follows.
    fn end(&self, before: UnitId, unit: UnitId) -> Vec<FanClass>;

    /// The only unit of a pronunciation, behind a context.
    fn single(&self, left: PhoneId, unit: UnitId) -> Vec<FanClass>;

    /// Silence first, then whatever else may stand alone between words.
    fn fillers(&self, lexicon: &Lexicon) -> Vec<Shape>;
}

/// Three-state HMMs of phones in the context of their neighbours, across words too.
pub struct Triphones<'a>(pub &'a Units);

impl Triphones<'_> {
    fn shape(&self, sequence: SequenceId, phone: PhoneId) -> Shape {
        Shape { senones: self.0.senones(sequence), phone }
    }

    /// A fan: the distinct HMMs over all right contexts.
    fn fan(&self, left: PhoneId, phone: PhoneId, position: WordPosition) -> Vec<FanClass> {
        let mut classes: Vec<FanClass> = Vec::new();
        for right in 0..self.0.phone_count() as PhoneId {
            let senones = self.0.senones(self.0.triphone(left, phone, self.left(right), position));
            match classes.iter_mut().find(|class| class.shape.senones == senones) {
                Some(class) => class.right |= 1 << right,
                None => classes.push(FanClass { shape: Shape { senones, phone }, right: 1 << right }),
            }
        }
        classes
    }
}

/// Phones are few: their units and contexts are the same numbers.
fn phone(unit: UnitId) -> PhoneId {
    unit as PhoneId
}

impl Topology for Triphones<'_> {
    fn context_count(&self) -> usize {
        self.0.phone_count()
    }

    fn silence(&self) -> PhoneId {
        self.0.silence()
    }

    fn has_tokens(&self) -> bool {
        false
    }

    fn transitions(&self) -> Vec<Transitions> {
        (0..self.0.phone_count()).map(|phone| *self.0.transitions(phone as PhoneId)).collect()
    }

    fn outside(&self) -> u64 {
        u64::MAX
    }

    /// A filler sounds like silence to its neighbours.
    fn left(&self, context: PhoneId) -> PhoneId {
        if self.0.is_filler(context) { self.0.silence() } else { context }
    }

    /// The HMM of the first phone depends on the second.
    fn root(&self, first: UnitId, second: UnitId) -> u32 {
        u32::from(first) << 16 | u32::from(second)
    }

    fn begin(&self, left: PhoneId, first: UnitId, second: UnitId) -> Shape {
        self.shape(self.0.triphone(left, phone(first), phone(second), WordPosition::Begin), phone(first))
    }

    fn inner(&self, before: UnitId, unit: UnitId, after: UnitId) -> (u32, Shape) {
        let sequence = self.0.triphone(phone(before), phone(unit), phone(after), WordPosition::Internal);
        (sequence, self.shape(sequence, phone(unit)))
    }

    fn before_last(&self, before: UnitId, _: UnitId) -> UnitId {
        before
    }

    fn end(&self, before: UnitId, unit: UnitId) -> Vec<FanClass> {
        self.fan(phone(before), phone(unit), WordPosition::End)
    }

    fn single(&self, left: PhoneId, unit: UnitId) -> Vec<FanClass> {
        self.fan(left, phone(unit), WordPosition::Single)
    }

    fn fillers(&self, lexicon: &Lexicon) -> Vec<Shape> {
        let shape = |&unit: &UnitId| self.shape(self.0.context_independent(phone(unit)), phone(unit));
        lexicon.fillers().iter().map(shape).collect()
    }
}

//! The pronunciation network: a prefix tree of the HMMs of units, with exact context across words.
//!
//! What follows is said of phones; which HMMs a unit has, and where its neighbours matter, a [`Topology`] says, and for the tokens of
//! a CTC model they matter little.
//!
//! ```text
//!            fan-in by left phone      one HMM per distinct prefix        fan-out by right phone
//!   word end ──▶ root(p1 p2 | left) ──▶ p2 ──▶ p3 ──▶ ... ──▶ p(n-1) ──▶ final(pn | right classes) ──▶ word end
//! ```
//!
//! *Prefixes.* The HMM of phone *i* depends on the phone after it, so tree nodes are keyed by senone sequence: two
//! pronunciations share a node as long as the same states score them, even where their phones already differ to the
//! right. *Fan-in.* The first phone has one variant for each distinct senone sequence over all left phones; the
//! variants share their children. *Fan-out.* The last phone of a pronunciation has one HMM for each distinct senone
//! sequence over all right phones ([`FanClass`]); the fan of a (left, last) phone pair is shared by all words.
//! *Labels.* Where a node's subtree holds a single pronunciation the word is known: the node carries its label, the
//! language model is applied on entry, and from there hypotheses with different histories but the same last word
//! recombine (the label pushing of Mohri, Pereira & Riley, "Weighted finite-state transducers in speech
//! recognition", 2002, done in the tree).
//!
//! The words that a custom model adds get a network of their own beside that of the base vocabulary, an *overlay*: both are
//! entered from every word end. So a custom model neither changes nor copies what all sessions share.

mod compiler;

use dictum_acoustic::{PhoneId, Transitions};
use dictum_language::WordId;

use crate::ctc;
use crate::lexicon::{Lexicon, PronunciationId};
use crate::topology::{Shape, Topology, UnitId};
use compiler::Compiler;

/// Index of an HMM in the network's node table.
pub type NodeId = u32;

/// "No label" in [`Node::label`].
pub const NO_LABEL: u32 = u32::MAX;

/// Most right-context classes a fan can have; phone sets are held in 64-bit masks.
pub const MAX_PHONES: usize = 64;

/// One HMM of the tree and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// Its states.
    pub shape: Shape,
    /// Number of finals that follow.
    pub final_count: u16,
    /// Number of nodes that follow.
    pub child_count: u16,
    /// First of the nodes that follow, consecutive, most probable first.
    pub first_child: NodeId,
    /// First of the finals that follow, consecutive, most probable first.
    pub first_final: u32,
    /// The pronunciation, where this node is the first that only it passes.
    pub label: PronunciationId,
    /// Best unigram log-probability (natural) of the words below.
    pub look_ahead: f32,
}

/// The last phone of a pronunciation.
#[derive(Debug, Clone, Copy)]
pub struct Final {
    /// The pronunciation that ends here.
    pub pronunciation: PronunciationId,
    /// Its fan of right contexts.
    pub fan: u32,
    /// Whether the word becomes known only here, as no node before was its own.
    pub labelled: bool,
    /// Unigram log-probability (natural) of the word.
    pub look_ahead: f32,
}

/// One distinct HMM of a last phone, and the right phones it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanClass {
    /// Its states.
    pub shape: Shape,
    /// Bit *p* is set if the class holds when phone *p* follows.
    pub right: u64,
}

/// A first phone with the second one, entered from word ends.
#[derive(Debug, Clone, Copy)]
pub struct Root {
    /// Best unigram log-probability (natural) of the words below.
    pub look_ahead: f32,
    /// Row of the fan-in table.
    row: u32,
}

impl Root {
    /// Position in the list of all roots.
    pub fn index(&self) -> u32 {
        self.row
    }
}

/// The compiled network of a lexicon. Immutable; shared by all sessions.
#[derive(Debug)]
pub struct Network {
    nodes: Vec<Node>,
    finals: Vec<Final>,
    fan_offsets: Vec<u32>,
    fan_classes: Vec<FanClass>,
    roots: Vec<Root>,
    /// Range of `roots` by first phone.
    roots_of: Vec<(u32, u32)>,
    /// `row * phone_count + left phone` gives the node to enter.
    fan_in: Vec<NodeId>,
    /// Range of `finals` of the one-phone words by `first phone * phone_count + left phone`.
    singles_of: Vec<(u32, u32)>,
    fillers: Vec<NodeId>,
    /// Parent of a node; below a root, [`ROOT`] plus the root's index.
    parents: Vec<NodeId>,
    /// Where the word of a pronunciation becomes known: its label node, or the parent of its final.
    stems: Vec<NodeId>,
    phone_count: usize,
    silence: PhoneId,
    /// What may follow a filler.
    outside: u64,
    /// Whether units are the tokens of a CTC model.
    tokens: bool,
    transitions: Vec<Transitions>,
    /// What is added to its ids where those of two networks meet: zero or [`OVERLAY`].
    origin: u32,
    /// The first pronunciation it was compiled from.
    first_pronunciation: PronunciationId,
}

/// "Nothing is barred" where what may follow is asked; no model has so many senones.
pub const NOTHING_BARRED: u16 = u16::MAX;

/// Added to the index of a root where a place of the tree is named.
pub const ROOT: u32 = 1 << 30;

/// Added to instances and places of an overlay.
pub const OVERLAY: u32 = 1 << 31;

/// "No parent" in the parent table.
const NOWHERE: u32 = u32::MAX;

impl Network {
    /// Compiles a lexicon and its fillers. `unigram` gives the natural-log probability of a word, for the look-ahead.
    pub fn compile(topology: &dyn Topology, lexicon: &Lexicon, unigram: &dyn Fn(WordId) -> f32) -> Network {
        Compiler::new(topology, lexicon, unigram, 0).compile()
    }

    /// Compiles what a lexicon has beyond its base, to be searched beside the network of the base. It has no fillers.
    pub fn overlay(topology: &dyn Topology, lexicon: &Lexicon, unigram: &dyn Fn(WordId) -> f32) -> Network {
        Compiler::new(topology, lexicon, unigram, OVERLAY).compile()
    }

    /// Number of HMMs in the tree.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Zero, or [`OVERLAY`] if it is one.
    pub fn origin(&self) -> u32 {
        self.origin
    }

    /// Number of word ends.
    pub fn final_count(&self) -> usize {
        self.finals.len()
    }

    /// An HMM of the tree.
    #[inline]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// A word end.
    #[inline]
    pub fn last(&self, index: u32) -> &Final {
        &self.finals[index as usize]
    }

    /// The right-context classes of a fan.
    #[inline]
    pub fn fan(&self, fan: u32) -> &[FanClass] {
        let fan = fan as usize;
        &self.fan_classes[self.fan_offsets[fan] as usize..self.fan_offsets[fan + 1] as usize]
    }

    /// First phones followed by a second one, most probable first.
    #[inline]
    pub fn roots(&self, first: PhoneId) -> &[Root] {
        let (begin, end) = self.roots_of[first as usize];
        &self.roots[begin as usize..end as usize]
    }

    /// The variant of a root that follows a left phone.
    #[inline]
    pub fn enter(&self, root: &Root, left: PhoneId) -> NodeId {
        self.fan_in[root.row as usize * self.phone_count + left as usize]
    }

    /// One-phone words after a left phone, as a range of finals.
    #[inline]
    pub fn singles(&self, first: PhoneId, left: PhoneId) -> std::ops::Range<u32> {
        let (begin, end) = self.singles_of[first as usize * self.phone_count + left as usize];
        begin..end
    }

    /// All roots.
    pub fn all_roots(&self) -> &[Root] {
        &self.roots
    }

    /// First phone of a root, by its index.
    pub fn root_phone(&self, index: u32) -> PhoneId {
        self.nodes[self.fan_in[index as usize * self.phone_count] as usize].shape.phone
    }

    /// Calls `f` with the places whose look-ahead a pronunciation's word takes part in, from where the word becomes
    /// known up to its root ([`ROOT`] plus the root's index), until `f` returns false. The pronunciation is one it was compiled
    /// from; places of an overlay have [`OVERLAY`] added.
    pub fn climb(&self, pronunciation: PronunciationId, mut f: impl FnMut(u32) -> bool) {
        let mut at = self.stems[(pronunciation - self.first_pronunciation) as usize];
        while at != NOWHERE && f(at | self.origin) && at < ROOT {
            at = self.parents[at as usize];
        }
    }

    /// The unigram look-ahead at one of its places.
    pub fn unigram_at(&self, place: u32) -> f32 {
        let place = place & !OVERLAY;
        match place.checked_sub(ROOT) {
            Some(root) => self.roots[root as usize].look_ahead,
            None => self.nodes[place as usize].look_ahead,
        }
    }

    /// Filler HMMs: silence and noises.
    pub fn fillers(&self) -> &[NodeId] {
        &self.fillers
    }

    /// The silence phone, which stands for every filler in contexts.
    pub fn silence(&self) -> PhoneId {
        self.silence
    }

    /// What may follow silence and other fillers, and begin an utterance, as a mask of contexts.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// Natural-log transition probabilities by number, `[from][to]`, `to == 3` leaves the HMM.
    pub fn transitions(&self) -> &[Transitions] {
        &self.transitions
    }

    /// The context that a unit is for the words around its own.
    #[inline]
    pub fn context(&self, unit: UnitId) -> PhoneId {
        match self.tokens {
            true => ctc::context(unit),
            false => unit as PhoneId,
        }
    }

    /// The contexts in which a unit of this context may be entered from what was before.
    #[inline]
    pub fn entries<'a>(&self, context: &'a PhoneId) -> &'a [PhoneId] {
        if self.tokens { ctc::entries(*context) } else { std::slice::from_ref(context) }
    }

    /// Whether units are the tokens of a CTC model.
    pub fn has_tokens(&self) -> bool {
        self.tokens
    }

    /// What the first state of an HMM must not read directly behind a unit, if it is entered in a context: two equal tokens have a
    /// blank between them.
    #[inline]
    pub fn barred_after(&self, unit: UnitId, context: PhoneId) -> u16 {
        if self.tokens && ctc::bars(context) { ctc::token(unit) } else { NOTHING_BARRED }
    }

    /// Whether no HMM of a word that begins with a unit can be entered in a context directly behind another unit.
    pub fn bars(&self, before: UnitId, unit: UnitId, context: PhoneId) -> bool {
        self.tokens && ctc::bars_unit(before, unit, context)
    }

    /// The token that a root begins with.
    #[inline]
    pub fn root_token(&self, index: u32) -> u16 {
        self.nodes[self.fan_in[index as usize * self.phone_count] as usize].shape.senones[0]
    }

    /// Number of contexts: phones of the unit inventory.
    pub fn phone_count(&self) -> usize {
        self.phone_count
    }

    /// Instance id of a node.
    #[inline]
    pub fn instance(&self, node: NodeId) -> u32 {
        node | self.origin
    }

    /// Instance id of a class of a final.
    #[inline]
    pub fn final_instance(&self, last: u32, class: usize) -> u32 {
        (self.nodes.len() as u32 + last * MAX_PHONES as u32 + class as u32) | self.origin
    }

    /// The node of an instance, which is not a final.
    #[inline]
    pub fn node_of(&self, instance: u32) -> &Node {
        &self.nodes[(instance & !OVERLAY) as usize]
    }

    /// The final and class of an instance id, or `None` for a node.
    #[inline]
    pub fn as_final(&self, instance: u32) -> Option<(u32, usize)> {
        let beyond = (instance & !OVERLAY).checked_sub(self.nodes.len() as u32)?;
        Some((beyond / MAX_PHONES as u32, beyond as usize % MAX_PHONES))
    }

    /// Whether an instance is a filler.
    #[inline]
    pub fn is_filler(&self, instance: u32) -> bool {
        (instance as usize) < self.fillers.len()
    }

    /// Phone and senones of every HMM.
    pub fn states(&self) -> impl Iterator<Item = (PhoneId, [u16; 3])> {
        let nodes = self.nodes.iter().map(|node| (node.shape.phone, node.shape.senones));
        nodes.chain(self.fan_classes.iter().map(|class| (class.shape.phone, class.shape.senones)))
    }

    /// Bytes held, for the benchmark.
    pub fn size_bytes(&self) -> usize {
        size_of_val(&self.nodes[..])
            + size_of_val(&self.finals[..])
            + size_of_val(&self.fan_classes[..])
            + size_of_val(&self.fan_in[..])
            + size_of_val(&self.singles_of[..])
    }
}

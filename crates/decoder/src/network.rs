//! The pronunciation network: a prefix tree of triphone HMMs with exact context across words.
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

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use dictum_acoustic::{PhoneId, Units, WordPosition};
use dictum_language::WordId;

use crate::lexicon::{Lexicon, PronunciationId};

/// Index of an HMM in the network's node table.
pub type NodeId = u32;

/// "No label" in [`Node::label`].
pub const NO_LABEL: u32 = u32::MAX;

/// Most right-context classes a fan can have; phone sets are held in 64-bit masks.
pub const MAX_PHONES: usize = 64;

/// One HMM of the tree: three emitting states and what follows it.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// Senones of the three states.
    pub senones: [u16; 3],
    /// Phone whose transition matrix applies.
    pub phone: PhoneId,
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
#[derive(Debug, Clone, Copy)]
pub struct FanClass {
    /// Senones of the three states.
    pub senones: [u16; 3],
    /// Phone whose transition matrix applies.
    pub phone: PhoneId,
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
}

/// Added to the index of a root where a node id names its parent.
pub const ROOT: u32 = 1 << 31;

/// "No parent" in the parent table.
const NOWHERE: u32 = u32::MAX;

impl Network {
    /// Compiles a lexicon. `unigram` gives the natural-log probability of a word, for the look-ahead.
    pub fn compile(units: &Units, lexicon: &Lexicon, unigram: &dyn Fn(WordId) -> f32) -> Network {
        Compiler::new(units, lexicon, unigram).compile()
    }

    /// Number of HMMs in the tree; instance ids from here on denote finals (see [`Network::final_instance`]).
    pub fn node_count(&self) -> usize {
        self.nodes.len()
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
        self.nodes[self.fan_in[index as usize * self.phone_count] as usize].phone
    }

    /// Calls `f` with the places whose look-ahead a pronunciation's word takes part in, from where the word becomes
    /// known up to its root ([`ROOT`] plus the root's index), until `f` returns false.
    pub fn climb(&self, pronunciation: PronunciationId, mut f: impl FnMut(u32) -> bool) {
        let mut at = self.stems[pronunciation as usize];
        while at != NOWHERE && f(at) && at < ROOT {
            at = self.parents[at as usize];
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

    /// Number of phones of the unit inventory.
    pub fn phone_count(&self) -> usize {
        self.phone_count
    }

    /// Instance id of a class of a final: ids below [`Network::node_count`] are nodes.
    #[inline]
    pub fn final_instance(&self, last: u32, class: usize) -> u32 {
        self.nodes.len() as u32 + last * MAX_PHONES as u32 + class as u32
    }

    /// The final and class of an instance id, or `None` for a node.
    #[inline]
    pub fn as_final(&self, instance: u32) -> Option<(u32, usize)> {
        let beyond = instance.checked_sub(self.nodes.len() as u32)?;
        Some((beyond / MAX_PHONES as u32, beyond as usize % MAX_PHONES))
    }

    /// Phone and senones of every HMM.
    pub fn states(&self) -> impl Iterator<Item = (PhoneId, [u16; 3])> {
        let nodes = self.nodes.iter().map(|node| (node.phone, node.senones));
        nodes.chain(self.fan_classes.iter().map(|class| (class.phone, class.senones)))
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

/// A tree under construction: children by senone sequence, before they are laid out level by level.
struct Sprout {
    senones: [u16; 3],
    phone: PhoneId,
    children: Vec<u32>,
    finals: Vec<PronunciationId>,
    look_ahead: f32,
    /// Pronunciations in the subtree: the number, and one of them.
    count: u32,
    any: PronunciationId,
}

/// A sprout whose successors are still to be laid out.
struct Pending {
    sprout: u32,
    /// Its id in the parent table.
    place: u32,
    nodes: Vec<NodeId>,
    labelled: bool,
}

struct Compiler<'a> {
    units: &'a Units,
    lexicon: &'a Lexicon,
    unigram: &'a dyn Fn(WordId) -> f32,
    sprouts: Vec<Sprout>,
    /// (parent, senone sequence) to child.
    edges: FxHashMap<(u32, u32), u32>,
    fans: FxHashMap<(PhoneId, PhoneId, bool), u32>,
    network: Network,
}

impl<'a> Compiler<'a> {
    fn new(units: &'a Units, lexicon: &'a Lexicon, unigram: &'a dyn Fn(WordId) -> f32) -> Self {
        let phone_count = units.phone_count();
        assert!(phone_count <= MAX_PHONES, "{phone_count} phones; right contexts are held in 64-bit masks");
        let network = Network {
            nodes: Vec::new(),
            finals: Vec::new(),
            fan_offsets: vec![0],
            fan_classes: Vec::new(),
            roots: Vec::new(),
            roots_of: vec![(0, 0); phone_count],
            fan_in: Vec::new(),
            singles_of: vec![(0, 0); phone_count * phone_count],
            fillers: Vec::new(),
            parents: Vec::new(),
            stems: vec![NOWHERE; lexicon.len()],
            phone_count,
            silence: units.silence(),
        };
        let (sprouts, edges, fans) = (Vec::new(), FxHashMap::default(), FxHashMap::default());
        Compiler { units, lexicon, unigram, sprouts, edges, fans, network }
    }

    fn compile(mut self) -> Network {
        // Roots are keyed by their first two phones; the row of the fan-in table is the index of the root's sprout.
        let mut roots: FxHashMap<(PhoneId, PhoneId), u32> = FxHashMap::default();
        let mut singles: Vec<Vec<PronunciationId>> = vec![Vec::new(); self.network.phone_count];
        for id in 0..self.lexicon.len() as PronunciationId {
            let phones = self.lexicon.phones(id);
            match *phones {
                [only] => singles[only as usize].push(id),
                [first, second, ..] => {
                    let root = *roots.entry((first, second)).or_insert_with(|| {
                        self.sprouts.push(Sprout::new([0; 3], first));
                        self.sprouts.len() as u32 - 1
                    });
                    self.insert(root, id);
                }
                [] => unreachable!("a lexicon holds no empty pronunciation"),
            }
        }
        let mut roots: Vec<((PhoneId, PhoneId), u32)> = roots.into_iter().collect();
        roots.sort_by(|a, b| {
            let look_ahead = |root: u32| self.sprouts[root as usize].look_ahead;
            a.0.0.cmp(&b.0.0).then(look_ahead(b.1).total_cmp(&look_ahead(a.1))).then(a.0.1.cmp(&b.0.1))
        });
        self.lay_out_fillers();
        self.lay_out_roots(&roots);
        self.lay_out_singles(&singles);
        self.network
    }

    /// Adds the inner phones and the final of a pronunciation below its root.
    fn insert(&mut self, root: u32, id: PronunciationId) {
        let phones = self.lexicon.phones(id);
        let look_ahead = (self.unigram)(self.lexicon.word(id));
        let mut at = root;
        self.sprouts[at as usize].visit(id, look_ahead);
        for window in phones.windows(3) {
            let sequence = self.units.triphone(window[0], window[1], window[2], WordPosition::Internal);
            at = match self.edges.get(&(at, sequence)) {
                Some(&child) => child,
                None => {
                    let child = self.sprouts.len() as u32;
                    self.sprouts.push(Sprout::new(self.units.senones(sequence), window[1]));
                    self.edges.insert((at, sequence), child);
                    self.sprouts[at as usize].children.push(child);
                    child
                }
            };
            self.sprouts[at as usize].visit(id, look_ahead);
        }
        self.sprouts[at as usize].finals.push(id);
    }

    fn lay_out_fillers(&mut self) {
        for &phone in self.lexicon.fillers() {
            let senones = self.units.senones(self.units.context_independent(phone));
            self.network.fillers.push(self.network.nodes.len() as NodeId);
            self.network.nodes.push(Node {
                senones,
                phone,
                final_count: 0,
                child_count: 0,
                first_child: 0,
                first_final: 0,
                label: NO_LABEL,
                look_ahead: 0.0,
            });
        }
    }

    /// Places the variants of every root, then the tree below level by level, so that siblings are consecutive.
    fn lay_out_roots(&mut self, roots: &[((PhoneId, PhoneId), u32)]) {
        let mut queue = VecDeque::new();
        for &((first, second), sprout) in roots {
            let row = (self.network.fan_in.len() / self.network.phone_count) as u32;
            let mut variants: Vec<NodeId> = Vec::new();
            for left in 0..self.network.phone_count as PhoneId {
                // A filler to the left sounds like silence to the model.
                let context = if self.units.is_filler(left) { self.network.silence } else { left };
                let sequence = self.units.triphone(context, first, second, WordPosition::Begin);
                let senones = self.units.senones(sequence);
                let known = variants.iter().find(|&&node| self.network.nodes[node as usize].senones == senones);
                let node = known.copied().unwrap_or_else(|| {
                    variants.push(self.network.nodes.len() as NodeId);
                    let node = Node { senones, ..Node::of(&self.sprouts[sprout as usize]) };
                    self.network.nodes.push(node);
                    self.network.nodes.len() as NodeId - 1
                });
                self.network.fan_in.push(node);
            }
            let range = &mut self.network.roots_of[first as usize];
            if range.0 == range.1 {
                *range = (self.network.roots.len() as u32, self.network.roots.len() as u32);
            }
            range.1 += 1;
            self.network.roots.push(Root { look_ahead: self.sprouts[sprout as usize].look_ahead, row });
            queue.push_back(Pending { sprout, place: ROOT + row, nodes: variants, labelled: false });
        }
        self.network.parents.resize(self.network.nodes.len(), NOWHERE);
        while let Some(pending) = queue.pop_front() {
            self.lay_out_children(&pending, &mut queue);
        }
    }

    /// Lays out what follows a sprout and points its nodes (several for a root's variants) there.
    fn lay_out_children(&mut self, pending: &Pending, queue: &mut VecDeque<Pending>) {
        let &Pending { sprout, place, ref nodes, labelled } = pending;
        let by_look_ahead = |a: f32, b: f32| b.total_cmp(&a);
        let mut children = std::mem::take(&mut self.sprouts[sprout as usize].children);
        children
            .sort_by(|&a, &b| by_look_ahead(self.sprouts[a as usize].look_ahead, self.sprouts[b as usize].look_ahead));
        let first_child = self.network.nodes.len() as NodeId;
        for &child in &children {
            let own = self.sprouts[child as usize].count == 1 && !labelled;
            let label = if own { self.sprouts[child as usize].any } else { NO_LABEL };
            let id = self.network.nodes.len() as NodeId;
            if own {
                self.network.stems[label as usize] = id;
            }
            self.network.parents.push(place);
            queue.push_back(Pending { sprout: child, place: id, nodes: vec![id], labelled: labelled || own });
            let node = Node { label, ..Node::of(&self.sprouts[child as usize]) };
            self.network.nodes.push(node);
        }
        let mut finals = std::mem::take(&mut self.sprouts[sprout as usize].finals);
        finals.sort_by(|&a, &b| by_look_ahead(self.unigram(a), self.unigram(b)));
        let first_final = self.network.finals.len() as u32;
        for &id in &finals {
            let phones = self.lexicon.phones(id);
            let [.., left, last] = *phones else { unreachable!("one-phone words have no place in the tree") };
            let fan = self.fan(left, last, WordPosition::End);
            let look_ahead = self.unigram(id);
            self.network.finals.push(Final { pronunciation: id, fan, labelled: !labelled, look_ahead });
            if !labelled {
                self.network.stems[id as usize] = place;
            }
        }
        for &node in nodes {
            let node = &mut self.network.nodes[node as usize];
            (node.first_child, node.child_count) = (first_child, narrow(children.len()));
            (node.first_final, node.final_count) = (first_final, narrow(finals.len()));
        }
    }

    /// One-phone words: a fan for each left phone, since both neighbours are across a word boundary.
    fn lay_out_singles(&mut self, singles: &[Vec<PronunciationId>]) {
        for (phone, ids) in singles.iter().enumerate() {
            for left in 0..self.network.phone_count {
                let begin = self.network.finals.len() as u32;
                let filler = self.units.is_filler(left as PhoneId);
                let context = if filler { self.network.silence } else { left as PhoneId };
                for &id in ids {
                    let fan = self.fan(context, phone as PhoneId, WordPosition::Single);
                    let look_ahead = self.unigram(id);
                    self.network.finals.push(Final { pronunciation: id, fan, labelled: true, look_ahead });
                }
                let end = self.network.finals.len() as u32;
                self.network.singles_of[phone * self.network.phone_count + left] = (begin, end);
            }
        }
    }

    /// The fan of right contexts of a last phone, compiled once per (left, phone) pair.
    fn fan(&mut self, left: PhoneId, phone: PhoneId, position: WordPosition) -> u32 {
        let key = (left, phone, matches!(position, WordPosition::Single));
        if let Some(&fan) = self.fans.get(&key) {
            return fan;
        }
        let mut classes: Vec<FanClass> = Vec::new();
        for right in 0..self.network.phone_count as PhoneId {
            let context = if self.units.is_filler(right) { self.network.silence } else { right };
            let senones = self.units.senones(self.units.triphone(left, phone, context, position));
            match classes.iter_mut().find(|class| class.senones == senones) {
                Some(class) => class.right |= 1 << right,
                None => classes.push(FanClass { senones, phone, right: 1 << right }),
            }
        }
        self.network.fan_classes.extend(classes);
        self.network.fan_offsets.push(self.network.fan_classes.len() as u32);
        let fan = self.network.fan_offsets.len() as u32 - 2;
        self.fans.insert(key, fan);
        fan
    }

    fn unigram(&self, id: PronunciationId) -> f32 {
        (self.unigram)(self.lexicon.word(id))
    }
}

impl Sprout {
    fn new(senones: [u16; 3], phone: PhoneId) -> Self {
        let (children, finals) = (Vec::new(), Vec::new());
        Sprout { senones, phone, children, finals, look_ahead: f32::NEG_INFINITY, count: 0, any: NO_LABEL }
    }

    fn visit(&mut self, id: PronunciationId, look_ahead: f32) {
        self.look_ahead = self.look_ahead.max(look_ahead);
        self.count += 1;
        self.any = id;
    }
}

impl Node {
    fn of(sprout: &Sprout) -> Node {
        Node {
            senones: sprout.senones,
            phone: sprout.phone,
            final_count: 0,
            child_count: 0,
            first_child: 0,
            first_final: 0,
            label: NO_LABEL,
            look_ahead: sprout.look_ahead,
        }
    }
}

fn narrow(count: usize) -> u16 {
    u16::try_from(count).expect("a node is followed by fewer than 65 536 others")
}

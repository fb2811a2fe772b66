//! Compiling a lexicon: the tree is grown first, then laid out level by level.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use dictum_acoustic::PhoneId;
use dictum_language::WordId;

use super::{FanClass, Final, MAX_PHONES, NO_LABEL, NOWHERE, Network, Node, NodeId, ROOT, Root};
use crate::lexicon::{Lexicon, PronunciationId};
use crate::topology::{Shape, Topology, UnitId};

/// A tree under construction: children by how they look, before they are laid out level by level.
struct Sprout {
    shape: Shape,
    children: Vec<u32>,
    finals: Vec<PronunciationId>,
    look_ahead: f32,
    /// Pronunciations in the subtree: the number, and one of them.
    count: u32,
    any: PronunciationId,
}

/// The sprout of a root, and the first units of one of its pronunciations.
#[derive(Clone, Copy)]
struct RootSprout {
    sprout: u32,
    first: UnitId,
    second: UnitId,
}

/// A sprout whose successors are still to be laid out.
struct Pending {
    sprout: u32,
    /// Its id in the parent table.
    place: u32,
    nodes: Vec<NodeId>,
    labelled: bool,
}

/// A compilation under way.
pub struct Compiler<'a> {
    topology: &'a dyn Topology,
    lexicon: &'a Lexicon,
    unigram: &'a dyn Fn(WordId) -> f32,
    sprouts: Vec<Sprout>,
    /// (parent, how the child looks) to child.
    edges: FxHashMap<(u32, u32), u32>,
    /// By what is before the last unit, a unit or for one-unit words a context, and the last unit.
    fans: FxHashMap<(UnitId, UnitId, bool), u32>,
    network: Network,
}

impl<'a> Compiler<'a> {
    /// Begins to compile what `lexicon` has beyond its base; `origin` is that of the network.
    pub fn new(
        topology: &'a dyn Topology,
        lexicon: &'a Lexicon,
        unigram: &'a dyn Fn(WordId) -> f32,
        origin: u32,
    ) -> Self {
        let phone_count = topology.context_count();
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
            stems: vec![NOWHERE; lexicon.own().len()],
            phone_count,
            silence: topology.silence(),
            outside: topology.outside(),
            tokens: topology.has_tokens(),
            transitions: topology.transitions(),
            origin,
            first_pronunciation: lexicon.own().start,
        };
        let (sprouts, edges, fans) = (Vec::new(), FxHashMap::default(), FxHashMap::default());
        Compiler { topology, lexicon, unigram, sprouts, edges, fans, network }
    }

    /// The network.
    pub fn compile(mut self) -> Network {
        // By context and what the topology tells them apart by.
        let mut roots: FxHashMap<(PhoneId, u32), RootSprout> = FxHashMap::default();
        let mut singles: Vec<Vec<PronunciationId>> = vec![Vec::new(); self.network.phone_count];
        for id in self.lexicon.own() {
            let units = self.lexicon.units(id);
            let context = self.network.context(units[0]);
            match *units {
                [_] => singles[context as usize].push(id),
                [first, second, ..] => {
                    let root = *roots.entry((context, self.topology.root(first, second))).or_insert_with(|| {
                        let shape = self.topology.begin(self.network.silence, first, second);
                        self.sprouts.push(Sprout::new(shape));
                        RootSprout { sprout: self.sprouts.len() as u32 - 1, first, second }
                    });
                    self.insert(root.sprout, id);
                }
                [] => unreachable!("a lexicon holds no empty pronunciation"),
            }
        }
        let mut roots: Vec<((PhoneId, u32), RootSprout)> = roots.into_iter().collect();
        roots.sort_by(|a, b| {
            let look_ahead = |root: RootSprout| self.sprouts[root.sprout as usize].look_ahead;
            a.0.0.cmp(&b.0.0).then(look_ahead(b.1).total_cmp(&look_ahead(a.1))).then(a.0.1.cmp(&b.0.1))
        });
        if self.network.origin == 0 {
            self.lay_out_fillers();
        }
        self.lay_out_roots(&roots);
        self.lay_out_singles(&singles);
        self.network
    }

    /// Adds the inner units and the final of a pronunciation below its root.
    fn insert(&mut self, root: u32, id: PronunciationId) {
        let units = self.lexicon.units(id);
        let look_ahead = (self.unigram)(self.lexicon.word(id));
        let mut at = root;
        self.sprouts[at as usize].visit(id, look_ahead);
        for window in units.windows(3) {
            let (look, shape) = self.topology.inner(window[0], window[1], window[2]);
            at = match self.edges.get(&(at, look)) {
                Some(&child) => child,
                None => {
                    let child = self.sprouts.len() as u32;
                    self.sprouts.push(Sprout::new(shape));
                    self.edges.insert((at, look), child);
                    self.sprouts[at as usize].children.push(child);
                    child
                }
            };
            self.sprouts[at as usize].visit(id, look_ahead);
        }
        self.sprouts[at as usize].finals.push(id);
    }

    fn lay_out_fillers(&mut self) {
        for shape in self.topology.fillers(self.lexicon) {
            self.network.fillers.push(self.network.nodes.len() as NodeId);
            self.network.nodes.push(Node {
                shape,
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
    fn lay_out_roots(&mut self, roots: &[((PhoneId, u32), RootSprout)]) {
        let mut queue = VecDeque::new();
        for &((context, _), RootSprout { sprout, first, second }) in roots {
            let row = (self.network.fan_in.len() / self.network.phone_count) as u32;
            let mut variants: Vec<NodeId> = Vec::new();
            for left in 0..self.network.phone_count as PhoneId {
                let shape = self.topology.begin(self.topology.left(left), first, second);
                let known = variants.iter().find(|&&node| self.network.nodes[node as usize].shape == shape);
                let node = known.copied().unwrap_or_else(|| {
                    variants.push(self.network.nodes.len() as NodeId);
                    let node = Node { shape, ..Node::of(&self.sprouts[sprout as usize]) };
                    self.network.nodes.push(node);
                    self.network.nodes.len() as NodeId - 1
                });
                self.network.fan_in.push(node);
            }
            let range = &mut self.network.roots_of[context as usize];
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
                self.network.set_stem(label, id);
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
            let [.., before, last] = *self.lexicon.units(id) else {
                unreachable!("one-unit words are not in the tree")
            };
            let fan = self.fan(before, last);
            let look_ahead = self.unigram(id);
            self.network.finals.push(Final { pronunciation: id, fan, labelled: !labelled, look_ahead });
            if !labelled {
                self.network.set_stem(id, place);
            }
        }
        for &node in nodes {
            let node = &mut self.network.nodes[node as usize];
            (node.first_child, node.child_count) = (first_child, narrow(children.len()));
            (node.first_final, node.final_count) = (first_final, narrow(finals.len()));
        }
    }

    /// One-unit words: a fan for each left context that matters, since both neighbours are across a word boundary.
    fn lay_out_singles(&mut self, singles: &[Vec<PronunciationId>]) {
        let count = self.network.phone_count;
        for (context, ids) in singles.iter().enumerate() {
            let row = context * count;
            for left in 0..count {
                if self.canonical(left) != left {
                    continue;
                }
                let begin = self.network.finals.len() as u32;
                for &id in ids {
                    let fan = self.single_fan(left as PhoneId, self.lexicon.units(id)[0]);
                    let look_ahead = self.unigram(id);
                    self.network.finals.push(Final { pronunciation: id, fan, labelled: true, look_ahead });
                }
                self.network.singles_of[row + left] = (begin, self.network.finals.len() as u32);
            }
            for left in 0..count {
                self.network.singles_of[row + left] = self.network.singles_of[row + self.canonical(left)];
            }
        }
        for context in 0..count as PhoneId {
            for &entry in self.network.entries(&context).iter().filter(|&&entry| entry != context) {
                let (from, to) = (context as usize * count, entry as usize * count);
                self.network.singles_of.copy_within(from..from + count, to);
            }
        }
    }

    fn canonical(&self, left: usize) -> usize {
        self.topology.left(left as PhoneId) as usize
    }

    /// The fan of right contexts of a last unit, compiled once for each surrounding that matters.
    fn fan(&mut self, before: UnitId, unit: UnitId) -> u32 {
        let before = self.topology.before_last(before, unit);
        self.fan_of((before, unit, false), |topology| topology.end(before, unit))
    }

    fn single_fan(&mut self, left: PhoneId, unit: UnitId) -> u32 {
        self.fan_of((UnitId::from(left), unit, true), |topology| topology.single(left, unit))
    }

    fn fan_of(&mut self, key: (UnitId, UnitId, bool), classes: impl Fn(&dyn Topology) -> Vec<FanClass>) -> u32 {
        if let Some(&fan) = self.fans.get(&key) {
            return fan;
        }
        self.network.fan_classes.extend(classes(self.topology));
        self.network.fan_offsets.push(self.network.fan_classes.len() as u32);
        let fan = self.network.fan_offsets.len() as u32 - 2;
        self.fans.insert(key, fan);
        fan
    }

    fn unigram(&self, id: PronunciationId) -> f32 {
        (self.unigram)(self.lexicon.word(id))
    }
}

impl Network {
    fn set_stem(&mut self, pronunciation: PronunciationId, place: u32) {
        self.stems[(pronunciation - self.first_pronunciation) as usize] = place;
    }
}

impl Sprout {
    fn new(shape: Shape) -> Self {
        let (children, finals) = (Vec::new(), Vec::new());
        Sprout { shape, children, finals, look_ahead: f32::NEG_INFINITY, count: 0, any: NO_LABEL }
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
            shape: sprout.shape,
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

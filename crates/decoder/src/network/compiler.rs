//! Compiling a lexicon: the tree is grown first, then laid out level by level.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use dictum_acoustic::{PhoneId, Units, WordPosition};
use dictum_language::WordId;

use super::{FanClass, Final, MAX_PHONES, NO_LABEL, NOWHERE, Network, Node, NodeId, ROOT, Root};
use crate::lexicon::{Lexicon, PronunciationId};

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

/// A compilation under way.
pub struct Compiler<'a> {
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
    /// Begins to compile what `lexicon` has beyond its base; `origin` is that of the network.
    pub fn new(units: &'a Units, lexicon: &'a Lexicon, unigram: &'a dyn Fn(WordId) -> f32, origin: u32) -> Self {
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
            stems: vec![NOWHERE; lexicon.own().len()],
            phone_count,
            silence: units.silence(),
            origin,
            first_pronunciation: lexicon.own().start,
        };
        let (sprouts, edges, fans) = (Vec::new(), FxHashMap::default(), FxHashMap::default());
        Compiler { units, lexicon, unigram, sprouts, edges, fans, network }
    }

    /// The network.
    pub fn compile(mut self) -> Network {
        // Roots are keyed by their first two phones; the row of the fan-in table is the index of the root's sprout.
        let mut roots: FxHashMap<(PhoneId, PhoneId), u32> = FxHashMap::default();
        let mut singles: Vec<Vec<PronunciationId>> = vec![Vec::new(); self.network.phone_count];
        for id in self.lexicon.own() {
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
        if self.network.origin == 0 {
            self.lay_out_fillers();
        }
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
            let phones = self.lexicon.phones(id);
            let [.., left, last] = *phones else { unreachable!("one-phone words have no place in the tree") };
            let fan = self.fan(left, last, WordPosition::End);
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

impl Network {
    fn set_stem(&mut self, pronunciation: PronunciationId, place: u32) {
        self.stems[(pronunciation - self.first_pronunciation) as usize] = place;
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

//! What may follow a word end: the roots of both networks, words of one phone, silence and noises.

use std::sync::Arc;

use dictum_acoustic::PhoneId;

use super::heard::Heard;
use super::{Record, Search, TRIGRAM_SLACK, Token};
use crate::graph::{Histories, SearchGraph, TreeCopy};
use crate::instances::DEAD;
use crate::network::{MAX_PHONES, NOTHING_BARRED, Network, OVERLAY, ROOT};
use crate::topology::UnitId;

/// A record whose successors are entered.
struct Departure<'a> {
    graph: &'a SearchGraph,
    copy: TreeCopy,
    record: Record,
    index: u32,
    /// Context that its last unit is.
    left: PhoneId,
    /// Its last unit, if it is a word's.
    last: Option<UnitId>,
    /// Score of leaving it towards each phone.
    scores: [f32; MAX_PHONES],
    /// What survives the next frame, where that is known.
    heard: Option<&'a Heard>,
}

impl Departure<'_> {
    /// What must not follow directly where it is entered in a context.
    fn barred(&self, context: PhoneId) -> u16 {
        self.last.map_or(NOTHING_BARRED, |last| self.graph.network.barred_after(last, context))
    }
}

impl Search {
    /// Enters everything that may follow a record.
    pub(super) fn enter_roots(&mut self, index: u32, heard: Option<&Heard>) {
        let record = self.records[index as usize];
        self.enter_fillers(index, &record);
        let copy = self.copies[record.copy as usize].clone();
        let best = self.config.lm_weight * (copy.best_root(&self.graph) + TRIGRAM_SLACK);
        // After some states of a grammar nothing but a word of one phone is possible, which no root leads to; and many
        // words are of one token.
        let by_roots = self.graph.histories == Histories::LastWord && !self.graph.network.has_tokens();
        if record.score + best <= self.threshold && by_roots {
            return;
        }
        let graph = &Arc::clone(&self.graph);
        let network = &graph.network;
        let last = match record.token {
            Token::Word(pronunciation) => graph.lexicon.units(pronunciation).last().copied(),
            Token::Filler(_) | Token::Begin => None,
        };
        let left = last.map_or(network.silence(), |last| network.context(last));
        let scores = self.leaving(&record);
        let departure = Departure { graph, copy, record, index, left, last, scores, heard };
        self.enter_base(&departure);
        self.enter_custom(&departure);
        for tree in graph.trees() {
            self.enter_singles(tree, &departure);
        }
    }

    /// Score of leaving a record towards each phone.
    fn leaving(&self, record: &Record) -> [f32; MAX_PHONES] {
        let mut scores = [DEAD; MAX_PHONES];
        let (begin, count) = record.exits;
        for &(right, score) in &self.record_exits[begin as usize..begin as usize + count as usize] {
            for (phone, entry) in scores.iter_mut().enumerate().take(self.graph.network.phone_count()) {
                if right >> phone & 1 == 1 {
                    *entry = entry.max(score);
                }
            }
        }
        scores
    }

    /// Roots by what the base model says.
    fn enter_base(&mut self, departure: &Departure) {
        let Departure { graph, copy, record, scores, .. } = departure;
        let (weight, shift) = (self.config.lm_weight, graph.base_weight());
        for &(place, look_ahead) in copy.base.explicit_roots() {
            let look_ahead = weight * (shift + look_ahead);
            if record.score + look_ahead <= self.threshold {
                break;
            }
            self.enter_root(departure, place, look_ahead);
        }
        if let Some(heard) = departure.heard {
            for tree in graph.trees() {
                for &root in heard.roots(tree) {
                    let look_ahead =
                        weight * (shift + copy.base.backoff() + tree.all_roots()[root as usize].look_ahead);
                    if record.score + look_ahead <= self.threshold {
                        break;
                    }
                    self.enter_root(departure, ROOT | root | tree.origin(), look_ahead);
                }
            }
            return;
        }
        for tree in graph.trees() {
            for (phone, &score) in scores.iter().enumerate().take(tree.phone_count()) {
                if score + self.ahead[phone] <= self.threshold {
                    continue;
                }
                for root in tree.roots(phone as PhoneId) {
                    let look_ahead = weight * (shift + copy.base.backoff() + root.look_ahead);
                    if score + look_ahead + self.ahead[phone] <= self.threshold {
                        break;
                    }
                    self.enter_root(departure, ROOT | root.index() | tree.origin(), look_ahead);
                }
            }
        }
    }

    /// Roots by what a custom model says.
    fn enter_custom(&mut self, departure: &Departure) {
        let Departure { graph, copy, record, scores, .. } = departure;
        let (Some(overlay), Some(custom)) = (&graph.overlay, &copy.custom) else { return };
        let (weight, shift) = (self.config.lm_weight, overlay.weights.custom);
        for &(place, look_ahead) in custom.explicit_roots() {
            let look_ahead = weight * (shift + look_ahead);
            if record.score + look_ahead <= self.threshold {
                break;
            }
            self.enter_root(departure, place, look_ahead);
        }
        for (phone, &score) in scores.iter().enumerate().take(graph.network.phone_count()) {
            if score + self.ahead[phone] <= self.threshold {
                continue;
            }
            for (roots, origin) in overlay.look_ahead.custom_roots(phone as PhoneId).into_iter().zip([0, OVERLAY]) {
                for &(root, unigram) in roots {
                    let look_ahead = weight * (shift + custom.backoff() + unigram);
                    if score + look_ahead + self.ahead[phone] <= self.threshold {
                        break;
                    }
                    self.enter_root(departure, ROOT | root | origin, look_ahead);
                }
            }
            for (roots, origin) in overlay.look_ahead.user_roots(phone as PhoneId).into_iter().zip([0, OVERLAY]) {
                for &(root, share) in roots {
                    let look_ahead = weight * (overlay.weights.user + copy.base.backoff() + share);
                    if score + look_ahead + self.ahead[phone] <= self.threshold {
                        break;
                    }
                    self.enter_root(departure, ROOT | root | origin, look_ahead);
                }
            }
        }
    }

    /// Enters a root, by its place, with a look-ahead that is scaled.
    fn enter_root(&mut self, departure: &Departure, place: u32, look_ahead: f32) {
        let loss = departure.heard.map_or(0.0, |heard| heard.loss(place));
        if departure.record.score + look_ahead + loss <= self.threshold {
            return;
        }
        let tree = departure.graph.tree(place);
        let root = place & !(ROOT | OVERLAY);
        let phone = tree.root_phone(root) as usize;
        let score = departure.scores[phone] + look_ahead;
        if score + self.ahead[phone] > self.threshold {
            let id = tree.enter(&tree.all_roots()[root as usize], departure.left);
            let node = tree.node(id);
            if node.shape.senones[0] != departure.barred(phone as PhoneId) {
                self.enter(departure.record.copy, tree.instance(id), node.shape, score, departure.index, look_ahead);
            }
        }
    }

    fn enter_singles(&mut self, tree: &Network, departure: &Departure) {
        for (phone, &score) in departure.scores.iter().enumerate().take(tree.phone_count()) {
            if score + self.ahead[phone] <= self.threshold {
                continue;
            }
            let phone = phone as PhoneId;
            match departure.heard {
                Some(heard) => {
                    heard.singles(tree, phone).iter().for_each(|&last| self.enter_single(tree, departure, last, phone));
                }
                None => {
                    tree.singles(phone, departure.left)
                        .for_each(|last| self.enter_single(tree, departure, last, phone));
                }
            }
        }
    }

    fn enter_single(&mut self, tree: &Network, departure: &Departure, last: u32, phone: PhoneId) {
        let score = departure.scores[phone as usize];
        let fan = tree.fan(tree.last(last).fan);
        if fan.iter().all(|class| score + self.loss(&class.shape) <= self.threshold) {
            return;
        }
        let tail = self.tail(departure.record.copy);
        let score = score + self.word_score(departure.index, tree.last(last).pronunciation);
        self.enter_final(tree, last, tail, score, departure.index, departure.barred(phone));
    }

    /// Enters silence and noises, unless the record is one itself.
    fn enter_fillers(&mut self, index: u32, record: &Record) {
        if matches!(record.token, Token::Filler(_)) {
            return;
        }
        let network = Arc::clone(&self.graph.network);
        let Some(leaving) = self.exit_score(index, network.silence()) else { return };
        for &id in network.fillers() {
            let node = network.node(id);
            let silence = node.shape.phone == network.silence();
            let penalty = if silence { self.config.silence_penalty } else { self.config.filler_penalty };
            if leaving + penalty > self.threshold {
                self.enter(record.copy, id, node.shape, leaving + penalty, index, 0.0);
            }
        }
    }
}

//! The word lattice of an utterance, with exact language model scores.
//!
//! Records of the search are grouped by (token, end frame): a group is a lattice node. A record whose word started
//! at frame *t* may follow every group that ends at *t* and leaves towards its first phone, not only the one the
//! search chose; that is the word-pair approximation (Ortmanns, Ney & Aubert, "A word graph algorithm for large
//! vocabulary continuous speech recognition", 1997). Building has three steps, all bounded by the lattice beam:
//!
//! 1. backward over groups: keep arcs on a path within the beam of the best, by the search's own scores;
//! 2. forward: split nodes by language model state and score every arc with its true history;
//! 3. forward-backward over the result: prune again, now exactly.

use rustc_hash::FxHashMap;

use dictum_language::{LmState, WordId};

use crate::graph::Histories;
use crate::search::{Record, Search, Token, begins_word};

/// Index of a node in a [`Lattice`].
pub type LatticeNodeId = u32;

/// A node: a point in time with a language model state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatticeNode {
    /// Frames consumed.
    pub frame: u32,
    /// Natural-log score of ending the utterance here; negative infinity unless it may end here.
    pub end_score: f32,
}

/// A word, or nothing, between two nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatticeArc {
    /// Where it starts.
    pub from: LatticeNodeId,
    /// Where it ends; greater than `from`.
    pub to: LatticeNodeId,
    /// The word; `None` for silence and noise.
    pub word: Option<WordId>,
    /// Whether it is a noise rather than silence, where there is no word.
    pub noise: bool,
    /// Acoustic log-likelihood, natural, unscaled.
    pub acoustic: f32,
    /// Language model log-probability with weight and penalty applied.
    pub language: f32,
    /// Language model log-probability as it is; zero where there is no word.
    pub log_probability: f32,
}

impl LatticeArc {
    /// Combined score, at the scale of the acoustic model.
    #[inline]
    pub fn score(&self) -> f32 {
        self.acoustic + self.language
    }
}

/// A word lattice. Node 0 is the beginning; nodes are in topological order and arcs sorted by their end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lattice {
    /// The nodes.
    pub nodes: Vec<LatticeNode>,
    /// The arcs, in the order of `to`.
    pub arcs: Vec<LatticeArc>,
}

/// A lattice node before it is split by language model state: the records of one token that end together, with one state if
/// the search keeps histories apart by state.
struct Group {
    records: Vec<u32>,
    best: Record,
    /// Best score from here to the end of the utterance.
    backward: f32,
}

/// A step of the search that lies on a good path, before its history is known.
struct Step {
    from: u32,
    to: u32,
    token: Token,
    acoustic: f32,
}

impl Lattice {
    /// The lattice of a finished search, pruned to `beam` (natural log, acoustic scale) around the best path.
    /// Empty if no word or filler ended with the audio.
    pub fn build(search: &Search, beam: f32) -> Lattice {
        let mut groups = groups(search);
        let last = groups.last().map_or(0, |group| group.best.end);
        if last == 0 {
            return Lattice::default();
        }
        let steps = backward(search, &mut groups, last, beam);
        let mut lattice = expand(search, &groups, &steps, last, beam);
        lattice.prune(beam);
        lattice
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.arcs.is_empty()
    }

    /// Best scores from the beginning to every node and from every node to the end.
    pub fn best_scores(&self) -> (Vec<f32>, Vec<f32>) {
        let mut forward = vec![f32::NEG_INFINITY; self.nodes.len()];
        forward[0] = 0.0;
        for arc in &self.arcs {
            let score = forward[arc.from as usize] + arc.score();
            forward[arc.to as usize] = forward[arc.to as usize].max(score);
        }
        let mut backward: Vec<f32> = self.nodes.iter().map(|node| node.end_score).collect();
        for arc in self.arcs.iter().rev() {
            let score = backward[arc.to as usize] + arc.score();
            backward[arc.from as usize] = backward[arc.from as usize].max(score);
        }
        (forward, backward)
    }

    /// Log-sums over paths at a scale, from the beginning to every node and from every node to the end.
    pub fn log_sums(&self, scale: f32) -> (Vec<f64>, Vec<f64>) {
        let mut forward = vec![f64::NEG_INFINITY; self.nodes.len()];
        forward[0] = 0.0;
        for arc in &self.arcs {
            let score = forward[arc.from as usize] + f64::from(scale * arc.score());
            forward[arc.to as usize] = log_add(forward[arc.to as usize], score);
        }
        let mut backward: Vec<f64> = self.nodes.iter().map(|node| f64::from(scale * node.end_score)).collect();
        for arc in self.arcs.iter().rev() {
            let score = backward[arc.to as usize] + f64::from(scale * arc.score());
            backward[arc.from as usize] = log_add(backward[arc.from as usize], score);
        }
        (forward, backward)
    }

    /// Posterior of every arc at a scale; those of the arcs across any point in time sum to one.
    pub fn posteriors(&self, scale: f32) -> Vec<f64> {
        if self.is_empty() {
            return Vec::new();
        }
        let (forward, backward) = self.log_sums(scale);
        let total = backward[0];
        let posterior = |arc: &LatticeArc| {
            (forward[arc.from as usize] + f64::from(scale * arc.score()) + backward[arc.to as usize] - total).exp()
        };
        self.arcs.iter().map(posterior).collect()
    }

    /// Arcs of the best path, in order.
    pub fn best_path(&self) -> Vec<LatticeArc> {
        let mut path = Vec::new();
        if self.is_empty() {
            return path;
        }
        let (forward, _) = self.best_scores();
        let ends = 0..self.nodes.len();
        let total = |node: usize| forward[node] + self.nodes[node].end_score;
        let end = ends.max_by(|&a, &b| total(a).total_cmp(&total(b))).filter(|&end| total(end) > f32::NEG_INFINITY);
        // Without a path to an end there is none: no phrase of a grammar was complete.
        let mut at = end.unwrap_or(0) as u32;
        while at != 0 {
            let first = self.arcs.partition_point(|arc| arc.to < at);
            let into = self.arcs[first..].iter().take_while(|arc| arc.to == at);
            let score = |arc: &LatticeArc| forward[arc.from as usize] + arc.score();
            let Some(best) = into.max_by(|a, b| score(a).total_cmp(&score(b))) else { break };
            path.push(*best);
            at = best.from;
        }
        path.reverse();
        path
    }

    /// Exchanges the weight and the word penalty of the language model. A search needs a low weight, since words that
    /// the language model likes little must survive until their acoustics are complete; the choice between complete
    /// words wants a higher one.
    pub fn reweight(&mut self, from: (f32, f32), to: (f32, f32)) {
        for arc in &mut self.arcs {
            let Some(word) = arc.word else { continue };
            arc.language += (to.0 - from.0) * arc.log_probability;
            if begins_word(word) {
                arc.language += to.1 - from.1;
            }
        }
        for node in &mut self.nodes {
            node.end_score *= to.0 / from.0;
        }
    }

    /// Drops arcs and nodes that are on no path within `beam` of the best.
    pub fn prune(&mut self, beam: f32) {
        if self.is_empty() {
            return;
        }
        let (forward, backward) = self.best_scores();
        let threshold = backward[0] - beam;
        let keep = |node: usize| forward[node] + backward[node] >= threshold;
        let mut renumbered = vec![u32::MAX; self.nodes.len()];
        let mut nodes = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if keep(index) || index == 0 {
                renumbered[index] = nodes.len() as u32;
                let ends = forward[index] + node.end_score >= threshold;
                let end_score = if ends { node.end_score } else { f32::NEG_INFINITY };
                nodes.push(LatticeNode { end_score, ..*node });
            }
        }
        self.arcs.retain_mut(|arc| {
            let through = forward[arc.from as usize] + arc.score() + backward[arc.to as usize];
            (arc.from, arc.to) = (renumbered[arc.from as usize], renumbered[arc.to as usize]);
            through >= threshold && arc.from != u32::MAX && arc.to != u32::MAX
        });
        self.nodes = nodes;
    }
}

fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Records of one frame are sorted by token; those of one token are parted by state where states are what histories are.
fn groups(search: &Search) -> Vec<Group> {
    let records = search.records();
    let by_state = search.graph().histories == Histories::States;
    let mut groups = Vec::new();
    let mut begin = 0;
    for chunk in records.chunk_by(|a, b| (a.end, a.token) == (b.end, b.token)) {
        let mut order: Vec<u32> = (begin..begin + chunk.len() as u32).collect();
        begin += chunk.len() as u32;
        let state = |index: u32| records[index as usize].state;
        if by_state {
            order.sort_by_key(|&index| state(index));
        }
        for group in order.chunk_by(|&a, &b| !by_state || state(a) == state(b)) {
            let all = group.iter().map(|&index| &records[index as usize]);
            let best = *all.max_by(|a, b| a.score.total_cmp(&b.score)).expect("chunks are not empty");
            groups.push(Group { records: group.to_vec(), best, backward: f32::NEG_INFINITY });
        }
    }
    groups
}

/// Score with which a record leaves towards a token, if that may follow it.
fn leaving(search: &Search, record: u32, token: Token) -> Option<f32> {
    let (network, lexicon) = (&search.graph().network, &search.graph().lexicon);
    let Token::Word(word) = token else { return search.exit_score(record, network.silence()) };
    let first = lexicon.units(word)[0];
    let before = match search.records()[record as usize].token {
        Token::Word(before) => lexicon.units(before).last().copied(),
        Token::Filler(_) | Token::Begin => None,
    };
    let context = network.context(first);
    let entries = network.entries(&context).iter();
    let allowed = entries.filter(|&&entry| !before.is_some_and(|before| network.bars(before, first, entry)));
    allowed.filter_map(|&entry| search.exit_score(record, entry)).max_by(f32::total_cmp)
}

/// Weighted language model score of a token, the log-probability in it, and the state after it.
fn language(search: &Search, state: LmState, token: Token) -> (LmState, f32, f32) {
    let config = search.config();
    match token {
        Token::Word(pronunciation) => {
            let word = search.graph().lexicon.word(pronunciation);
            let (next, log_probability) = search.graph().lm.step(state, word);
            (next, config.word_score(word, log_probability), log_probability)
        }
        Token::Filler(phone) if phone == search.graph().network.silence() => (state, config.silence_penalty, 0.0),
        Token::Filler(_) => (state, config.filler_penalty, 0.0),
        Token::Begin => (state, 0.0, 0.0),
    }
}

/// Backward pass over groups; returns the steps on paths within the beam, in reverse order of their end.
fn backward(search: &Search, groups: &mut [Group], last: u32, beam: f32) -> Vec<Step> {
    let records = search.records();
    let weight = search.config().lm_weight;
    let mut first_of_frame = vec![u32::MAX; last as usize + 2];
    for (index, group) in groups.iter().enumerate().rev() {
        first_of_frame[group.best.end as usize] = index as u32;
    }
    let mut best = f32::NEG_INFINITY;
    for group in groups.iter_mut().rev().take_while(|group| group.best.end == last) {
        group.backward = weight * search.graph().lm.end(group.best.state);
        best = best.max(group.best.score + group.backward);
    }
    let mut steps = Vec::new();
    // No phrase of a grammar ends here.
    if best == f32::NEG_INFINITY {
        return steps;
    }
    let threshold = best - beam;
    for to in (1..groups.len()).rev() {
        let (before, group) = groups.split_at_mut(to);
        let group = &group[0];
        if group.best.score + group.backward < threshold {
            continue;
        }
        let token = group.best.token;
        let mut starts: Vec<(u32, f32)> = Vec::new();
        for record in group.records.iter().map(|&index| &records[index as usize]) {
            let previous = &records[record.previous as usize];
            let Some(entered) = leaving(search, record.previous, token) else { continue };
            let acoustic = record.score - entered - language(search, previous.state, token).1;
            match starts.iter_mut().find(|start| start.0 == previous.end) {
                Some(start) => start.1 = start.1.max(acoustic),
                None => starts.push((previous.end, acoustic)),
            }
        }
        for (start, acoustic) in starts {
            let begin = first_of_frame[start as usize] as usize;
            for (offset, source) in before[begin..].iter_mut().enumerate().take_while(|entry| entry.1.best.end == start)
            {
                let from = begin + offset;
                if matches!((source.best.token, token), (Token::Filler(_), Token::Filler(_))) {
                    continue;
                }
                // What the beam dropped cannot be better than what it kept by much; ask the cheap bound first.
                if source.best.score + acoustic + group.backward < threshold {
                    continue;
                }
                let records = source.records.iter();
                let leaving = records.filter_map(|&record| leaving(search, record, token)).max_by(f32::total_cmp);
                let Some(leaving) = leaving else { continue };
                let language = language(search, source.best.state, token).1;
                let through = leaving + language + acoustic + group.backward;
                if through >= threshold {
                    source.backward = source.backward.max(through - source.best.score);
                    let acoustic = acoustic + leaving - source.best.score;
                    steps.push(Step { from: from as u32, to: to as u32, token, acoustic });
                }
            }
        }
    }
    steps
}

/// Splits groups by language model state, going forward, and scores arcs with their true histories.
fn expand(search: &Search, groups: &[Group], steps: &[Step], last: u32, beam: f32) -> Lattice {
    let mut lattice = Lattice::default();
    let mut states: Vec<Vec<(LmState, LatticeNodeId, f32)>> = vec![Vec::new(); groups.len()];
    let end_score = |group: &Group, state: LmState| {
        if group.best.end == last {
            search.config().lm_weight * search.graph().lm.end(state)
        } else {
            f32::NEG_INFINITY
        }
    };
    lattice.nodes.push(LatticeNode { frame: 0, end_score: f32::NEG_INFINITY });
    states[0].push((groups[0].best.state, 0, 0.0));
    let best = groups.iter().map(|group| group.best.score + group.backward).fold(f32::NEG_INFINITY, f32::max);
    let mut cache: FxHashMap<(LmState, Token), (LmState, f32, f32)> = FxHashMap::default();
    // Steps were found with ends descending; the arcs of one end are consecutive.
    let mut begin = steps.len();
    while begin > 0 {
        let to = steps[begin - 1].to;
        let end = begin;
        begin = steps[..end].iter().rposition(|step| step.to != to).map_or(0, |index| index + 1);
        let group = &groups[to as usize];
        let mut reached: Vec<(LmState, LatticeNodeId, f32)> = Vec::new();
        for step in &steps[begin..end] {
            for &(state, from, forward) in &states[step.from as usize] {
                let key = (state, step.token);
                let entry = cache.entry(key).or_insert_with(|| language(search, state, step.token));
                let (next, language, log_probability) = *entry;
                let score = forward + step.acoustic + language;
                if score + group.backward < best - beam * EXPANSION_SLACK {
                    continue;
                }
                let node = match reached.iter_mut().find(|entry| entry.0 == next) {
                    Some(entry) => {
                        entry.2 = entry.2.max(score);
                        entry.1
                    }
                    None => {
                        let node = lattice.nodes.len() as LatticeNodeId;
                        let end_score = end_score(group, next);
                        lattice.nodes.push(LatticeNode { frame: group.best.end, end_score });
                        reached.push((next, node, score));
                        node
                    }
                };
                let word = match step.token {
                    Token::Word(pronunciation) => Some(search.graph().lexicon.word(pronunciation)),
                    Token::Filler(_) | Token::Begin => None,
                };
                let silence = Token::Filler(search.graph().network.silence());
                let noise = word.is_none() && step.token != silence;
                let acoustic = step.acoustic;
                lattice.arcs.push(LatticeArc { from, to: node, word, noise, acoustic, language, log_probability });
            }
        }
        states[to as usize] = reached;
    }
    lattice.arcs.sort_by_key(|arc| arc.to);
    lattice
}

/// The backward scores of step 1 know the history only approximately, so step 2 prunes with a wider beam.
const EXPANSION_SLACK: f32 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_lattice::{lattices, paths};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Whatever point in time is cut through, exactly one arc is crossed.
        #[test]
        fn posteriors_across_a_cut_sum_to_one(lattice in lattices(), scale in 0.02f32..1.0) {
            let posteriors = lattice.posteriors(scale);
            for cut in 1..lattice.nodes.len() as u32 {
                let crossing = lattice.arcs.iter().zip(&posteriors).filter(|(arc, _)| arc.from < cut && arc.to >= cut);
                let sum: f64 = crossing.map(|(_, posterior)| posterior).sum();
                prop_assert!((sum - 1.0).abs() < 1e-4, "cut {} sums to {}", cut, sum);
            }
        }

        #[test]
        fn the_best_path_is_the_best_of_all(lattice in lattices()) {
            let all = paths(&lattice);
            let best = all.iter().map(|path| path.1).fold(f32::NEG_INFINITY, f32::max);
            let path = lattice.best_path();
            let score: f32 = path.iter().map(LatticeArc::score).sum::<f32>() - 1.0;
            prop_assert!((score - best).abs() < 1e-3);
        }

        /// Pruning keeps exactly the paths whose arcs all lie on a path within the beam; the best one stays.
        #[test]
        fn pruning_keeps_what_is_within_the_beam(lattice in lattices(), beam in 0.0f32..60.0) {
            let mut pruned = lattice.clone();
            pruned.prune(beam);
            let (before, after) = (paths(&lattice), paths(&pruned));
            let best = before.iter().map(|path| path.1).fold(f32::NEG_INFINITY, f32::max);
            for path in before.iter().filter(|path| path.1 > best - beam + 1e-3) {
                prop_assert!(after.iter().any(|kept| kept.0 == path.0 && (kept.1 - path.1).abs() < 1e-2));
            }
            let (forward, backward) = pruned.best_scores();
            for arc in &pruned.arcs {
                let through = forward[arc.from as usize] + arc.score() + backward[arc.to as usize];
                prop_assert!(through >= best - beam - 1e-2);
            }
        }
    }
}

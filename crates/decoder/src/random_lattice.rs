//! Random lattices for the property tests of what is read from them.

use proptest::prelude::*;

use crate::lattice::{Lattice, LatticeArc, LatticeNode};

/// Lattices of up to about ten nodes with up to forty arcs, every node on some path.
pub fn lattices() -> impl Strategy<Value = Lattice> {
    let arc = (any::<prop::sample::Index>(), 0u32..4, any::<bool>(), -30.0f32..0.0, -20.0f32..0.0);
    (2usize..10, prop::collection::vec((any::<prop::sample::Index>(), arc), 0..30)).prop_map(|(count, extra)| {
        let mut arcs = Vec::new();
        let add = |arcs: &mut Vec<LatticeArc>, from: usize, to: usize, word: u32, silent: bool, scores: (f32, f32)| {
            let word = (!silent).then_some(word);
            let (acoustic, language) = scores;
            arcs.push(LatticeArc {
                from: from as u32,
                to: to as u32,
                word,
                noise: false,
                acoustic,
                language,
                log_probability: language,
            });
        };
        // A chain keeps all nodes on a path; the others branch off it.
        for to in 1..count {
            add(&mut arcs, to - 1, to, to as u32 % 4, to % 3 == 0, (-15.0, -7.0));
        }
        for (to, (from, word, silent, acoustic, language)) in extra {
            let to = 1 + to.index(count - 1);
            add(&mut arcs, from.index(to), to, word, silent, (acoustic, language));
        }
        arcs.sort_by_key(|arc| arc.to);
        let end_score = |node: usize| if node + 1 == count { -1.0 } else { f32::NEG_INFINITY };
        let nodes =
            (0..count).map(|node| LatticeNode { frame: 10 * node as u32, end_score: end_score(node) }).collect();
        Lattice { nodes, arcs }
    })
}

/// All paths of a lattice: words and score. Only for small ones.
pub fn paths(lattice: &Lattice) -> Vec<(Vec<u32>, f32)> {
    fn walk(lattice: &Lattice, node: u32, words: &mut Vec<u32>, score: f32, out: &mut Vec<(Vec<u32>, f32)>) {
        let end_score = lattice.nodes[node as usize].end_score;
        if end_score > f32::NEG_INFINITY {
            out.push((words.clone(), score + end_score));
        }
        for arc in lattice.arcs.iter().filter(|arc| arc.from == node) {
            words.extend(arc.word);
            walk(lattice, arc.to, words, score + arc.score(), out);
            words.truncate(words.len() - usize::from(arc.word.is_some()));
        }
    }
    let mut out = Vec::new();
    walk(lattice, 0, &mut Vec::new(), 0.0, &mut out);
    out
}

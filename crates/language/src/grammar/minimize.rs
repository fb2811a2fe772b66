//! Sharing of endings: states from which the same phrases follow with the same probabilities become one.
//!
//! States are compared once everything they lead to is settled, from the ends of phrases backwards (Revuz, "Minimisation of
//! acyclic deterministic automata in linear time", 1992). States from which a loop can be reached are kept as they are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::automaton::{Automaton, GrammarArc};

/// Steps of ln p within which probabilities are the same.
const SCALE: f32 = 256.0;

pub(super) fn minimize(automaton: Automaton) -> Automaton {
    let same = merge(&automaton);
    // Numbered again from the start, so that states that follow each other lie together.
    let mut number = vec![u32::MAX; automaton.state_count()];
    let mut order = vec![same[0]];
    number[same[0] as usize] = 0;
    let mut at = 0;
    while at < order.len() {
        for arc in automaton.arcs(order[at]) {
            let to = same[arc.to as usize];
            if number[to as usize] == u32::MAX {
                number[to as usize] = order.len() as u32;
                order.push(to);
            }
        }
        at += 1;
    }
    let mut smaller = Automaton::default();
    let mut arcs = Vec::new();
    for state in order {
        arcs.clear();
        let to = |arc: &GrammarArc| number[same[arc.to as usize] as usize];
        arcs.extend(automaton.arcs(state).iter().map(|arc| (arc.word, arc.probability, to(arc))));
        smaller.push_log(&arcs, automaton.end(state));
    }
    smaller
}

/// Words, steps of ln p and settled states of a state's arcs; behind them, the step of its end.
type Signature = Box<[(u32, i32, u32)]>;

/// The state that each state becomes.
fn merge(automaton: &Automaton) -> Vec<u32> {
    let count = automaton.state_count();
    let mut same: Vec<u32> = (0..count as u32).collect();
    let mut unsettled: Vec<u32> = (0..count as u32).map(|state| automaton.arcs(state).len() as u32).collect();
    let mut before: Vec<u32> = Vec::new();
    let first = predecessors(automaton, &mut before);
    let mut settled: Vec<u32> = (0..count as u32).filter(|&state| unsettled[state as usize] == 0).collect();
    let mut known: HashMap<Signature, u32> = HashMap::new();
    let step = |probability: f32| {
        if probability == f32::NEG_INFINITY { i32::MIN } else { (probability * SCALE).round() as i32 }
    };
    while let Some(state) = settled.pop() {
        let end = (u32::MAX, step(automaton.end(state)), 0);
        let arcs = automaton.arcs(state).iter();
        let signature = arcs.map(|arc| (arc.word, step(arc.probability), same[arc.to as usize])).chain([end]).collect();
        match known.entry(signature) {
            Entry::Occupied(entry) => same[state as usize] = *entry.get(),
            Entry::Vacant(entry) => {
                entry.insert(state);
            }
        }
        for &from in &before[first[state as usize] as usize..first[state as usize + 1] as usize] {
            unsettled[from as usize] -= 1;
            if unsettled[from as usize] == 0 {
                settled.push(from);
            }
        }
    }
    same
}

/// For each state where in `before` the states begin that have an arc to it, one entry for each arc.
fn predecessors(automaton: &Automaton, before: &mut Vec<u32>) -> Vec<u32> {
    let count = automaton.state_count();
    let mut first = vec![0u32; count + 1];
    for state in 0..count as u32 {
        for arc in automaton.arcs(state) {
            first[arc.to as usize + 1] += 1;
        }
    }
    for state in 0..count {
        first[state + 1] += first[state];
    }
    before.resize(automaton.arc_count(), 0);
    let mut at = first.clone();
    for state in 0..count as u32 {
        for arc in automaton.arcs(state) {
            before[at[arc.to as usize] as usize] = state;
            at[arc.to as usize] += 1;
        }
    }
    first
}

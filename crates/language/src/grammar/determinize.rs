//! The subset construction with probabilities: at any point it is known which words may follow, and how likely each is.
//!
//! A state of the deterministic automaton is a *belief*: the states that the other may be in after the same words, and how
//! likely each is of them (Mohri, "Finite-state transducers in language and speech processing", 1997, in the real semiring).
//! Beliefs in the same states whose probabilities agree to a step of a logarithmic scale are taken for the same. With weights and
//! loops there may be very many; then only the states count, all alike.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

use super::GrammarError;
use super::automaton::Automaton;
use super::nfa::{Nfa, SILENT, State};
use crate::vocabulary::WordId;

/// Most states of the result.
pub(super) const MOST_STATES: usize = 1_000_000;
/// Most arcs of the result.
pub(super) const MOST_ARCS: usize = 4_000_000;
/// Most states and arcs looked at on the way: about a second, and a few hundred megabytes.
const MOST_WORK: usize = 12_000_000;
/// Steps of ln p, a nat, in which beliefs are compared.
const SCALE: f32 = 64.0;

pub(super) fn determinize(nfa: &Nfa) -> Result<Automaton, GrammarError> {
    let mut exact = Subsets::new(nfa, Some(SCALE));
    match exact.run() {
        // Where most beliefs are in states of their own, there will be no fewer without probabilities.
        Err(_) if exact.sets.len() * 4 < exact.known.len() => {
            drop(exact);
            Subsets::new(nfa, None).run()
        }
        result => result,
    }
}

/// A word that may come next, the state behind it, and how likely it is.
type Spoken = (WordId, State, f32);

/// A word that may come next, ln p, and the state of the result behind it.
type Follower = (WordId, f32, u32);

/// States with what is known of each: sorted, positive, summing to one.
type Belief = Vec<(State, f32)>;

struct Subsets<'a> {
    nfa: &'a Nfa,
    /// None: the states alone count.
    scale: Option<f32>,
    /// Hashes of the sets of states that beliefs are in.
    sets: HashSet<u64>,
    hashing: RandomState,
    known: HashMap<Box<[(State, i16)]>, u32>,
    /// Beliefs yet to be looked at, by their state.
    open: Vec<(u32, Belief)>,
    automaton: Automaton,
    work: usize,
    /// Probability of each state of the closure at hand; zero elsewhere.
    mass: Vec<f32>,
    /// When the walk over silent arcs was done with each state; [`UNSEEN`] elsewhere.
    finished: Vec<u32>,
}

/// A state that the walk has not come to.
const UNSEEN: u32 = u32::MAX;
/// A state that the walk is not done with.
const ENTERED: u32 = u32::MAX - 1;

impl<'a> Subsets<'a> {
    fn new(nfa: &'a Nfa, scale: Option<f32>) -> Self {
        Subsets {
            nfa,
            scale,
            sets: HashSet::new(),
            hashing: RandomState::new(),
            known: HashMap::new(),
            open: Vec::new(),
            automaton: Automaton::default(),
            work: 0,
            mass: vec![0.0; nfa.state_count()],
            finished: vec![UNSEEN; nfa.state_count()],
        }
    }

    fn run(&mut self) -> Result<Automaton, GrammarError> {
        let mut out: Vec<(u32, Vec<Follower>, f32)> = Vec::new();
        self.intern(vec![(self.nfa.start, 1.0)])?;
        let mut arcs = 0;
        while let Some((state, belief)) = self.open.pop() {
            let (spoken, end) = self.close(&belief)?;
            let followers = self.followers(spoken)?;
            arcs += followers.len();
            if arcs > MOST_ARCS {
                return Err(too_large(format!("more than {MOST_ARCS} arcs")));
            }
            out.push((state, followers, end));
        }
        out.sort_unstable_by_key(|(state, ..)| *state);
        for (_, followers, end) in out {
            self.automaton.push(&followers, end);
        }
        Ok(std::mem::take(&mut self.automaton))
    }

    fn spend(&mut self, work: usize) -> Result<(), GrammarError> {
        self.work += work;
        if self.work > MOST_WORK {
            return Err(too_large("too much work to find what may follow what".into()));
        }
        Ok(())
    }

    /// The states that silent arcs lead to from a belief, each before those behind it, but where the arcs go in a circle.
    fn reach(&mut self, belief: &Belief) -> Result<Vec<State>, GrammarError> {
        let mut reached: Vec<State> = Vec::new();
        let mut path: Vec<(State, u32)> = Vec::new();
        for &(root, _) in belief {
            if self.finished[root as usize] != UNSEEN {
                continue;
            }
            self.finished[root as usize] = ENTERED;
            path.push((root, self.nfa.first_arc(root)));
            while let Some((state, at)) = path.last_mut() {
                self.work += 1;
                let Some((arc, next)) = self.nfa.arc_at(*at) else {
                    self.finished[*state as usize] = reached.len() as u32;
                    reached.push(*state);
                    path.pop();
                    continue;
                };
                *at = next;
                if arc.word == SILENT && arc.weight > 0.0 && self.finished[arc.to as usize] == UNSEEN {
                    self.finished[arc.to as usize] = ENTERED;
                    path.push((arc.to, self.nfa.first_arc(arc.to)));
                }
            }
        }
        self.spend(reached.len())?;
        reached.reverse();
        Ok(reached)
    }

    /// The words that may come next, with the states behind them and their probabilities, and the probability of the end.
    fn close(&mut self, belief: &Belief) -> Result<(Vec<Spoken>, f32), GrammarError> {
        let reached = self.reach(belief)?;
        for &(state, probability) in belief {
            self.mass[state as usize] = probability;
        }
        let (mut spoken, mut end) = (Vec::new(), 0.0);
        for &state in &reached {
            let mass = self.mass[state as usize];
            if state == self.nfa.end {
                end += mass;
            }
            for arc in self.nfa.arcs(state) {
                // However small: what can be said stays possible.
                let probability = (mass * arc.weight).max(f32::MIN_POSITIVE);
                if arc.word != SILENT {
                    spoken.push((arc.word, arc.to, probability));
                } else if self.finished[arc.to as usize] < self.finished[state as usize] {
                    // A silent circle says nothing, however often it is walked.
                    self.mass[arc.to as usize] += probability;
                }
            }
        }
        for state in reached {
            self.mass[state as usize] = 0.0;
            self.finished[state as usize] = UNSEEN;
        }
        let sum: f32 = spoken.iter().map(|&(.., probability)| probability).sum::<f32>() + end;
        spoken.iter_mut().for_each(|(.., probability)| *probability = (*probability / sum).max(f32::MIN_POSITIVE));
        Ok((spoken, end / sum))
    }

    /// The words that may come next, each with ln p and the state it leads to.
    fn followers(&mut self, mut spoken: Vec<Spoken>) -> Result<Vec<Follower>, GrammarError> {
        self.spend(spoken.len())?;
        spoken.sort_unstable_by_key(|&(word, state, _)| (word, state));
        let mut followers = Vec::new();
        for group in spoken.chunk_by(|a, b| a.0 == b.0) {
            let sum: f32 = group.iter().map(|&(.., probability)| probability).sum();
            let mut belief: Belief = Vec::with_capacity(group.len());
            for &(_, state, probability) in group {
                match belief.last_mut() {
                    Some((last, so_far)) if *last == state => *so_far += probability / sum,
                    _ => belief.push((state, probability / sum)),
                }
            }
            if self.scale.is_none() {
                let share = 1.0 / belief.len() as f32;
                belief.iter_mut().for_each(|(_, probability)| *probability = share);
            }
            followers.push((group[0].0, sum.ln(), self.intern(belief)?));
        }
        Ok(followers)
    }

    /// The state of a belief.
    fn intern(&mut self, belief: Belief) -> Result<u32, GrammarError> {
        let step = |probability: f32| self.scale.map_or(0, |scale| (probability.ln() * scale).round() as i16);
        let key: Box<[(State, i16)]> = belief.iter().map(|&(state, probability)| (state, step(probability))).collect();
        let next = self.known.len() as u32;
        if let Some(&state) = self.known.get(&key) {
            return Ok(state);
        }
        if self.known.len() >= MOST_STATES {
            return Err(too_large(format!("more than {MOST_STATES} states")));
        }
        let mut hasher = self.hashing.build_hasher();
        belief.iter().for_each(|&(state, _)| hasher.write_u32(state));
        self.sets.insert(hasher.finish());
        self.known.insert(key, next);
        self.open.push((next, belief));
        Ok(next)
    }
}

fn too_large(what: String) -> GrammarError {
    GrammarError::TooLarge { what: format!("{what} once it is deterministic") }
}

//! A non-deterministic automaton with probabilities: what the rules of a grammar become first.

use super::GrammarError;
use crate::vocabulary::WordId;

/// Index of a state.
pub(super) type State = u32;

/// An arc that says nothing.
pub(super) const SILENT: WordId = WordId::MAX;

/// Most states and, each state having about as many, most arcs.
pub(super) const MOST_STATES: usize = 2_000_000;

/// No arc, no state.
const NOWHERE: u32 = u32::MAX;

/// An arc; those of one state form a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arc {
    pub(super) word: WordId,
    pub(super) to: State,
    pub(super) weight: f32,
    next: u32,
}

/// States and weighted arcs between them. The weights of a state's arcs sum to one, or to less where some were dropped.
#[derive(Debug, Default)]
pub(super) struct Nfa {
    first: Vec<u32>,
    arcs: Vec<Arc>,
    pub(super) start: State,
    pub(super) end: State,
}

impl Nfa {
    pub(super) fn state_count(&self) -> usize {
        self.first.len()
    }

    pub(super) fn add_state(&mut self) -> Result<State, GrammarError> {
        if self.first.len() >= MOST_STATES {
            let what = format!("with its rules and repeats written out it has more than {MOST_STATES} words");
            return Err(GrammarError::TooLarge { what });
        }
        self.first.push(NOWHERE);
        Ok(self.first.len() as State - 1)
    }

    pub(super) fn add_arc(&mut self, from: State, word: WordId, to: State, weight: f32) -> Result<(), GrammarError> {
        if self.arcs.len() >= 2 * MOST_STATES {
            let what = format!("with its rules and repeats written out it has more than {} arcs", 2 * MOST_STATES);
            return Err(GrammarError::TooLarge { what });
        }
        let next = std::mem::replace(&mut self.first[from as usize], self.arcs.len() as u32);
        self.arcs.push(Arc { word, to, weight, next });
        Ok(())
    }

    /// The arcs of a state that weigh anything.
    pub(super) fn arcs(&self, state: State) -> impl Iterator<Item = Arc> + '_ {
        let mut at = self.first[state as usize];
        std::iter::from_fn(move || {
            let arc = *self.arcs.get(at as usize)?;
            at = arc.next;
            Some(arc)
        })
        .filter(|arc| arc.weight > 0.0)
    }

    /// Takes away the arcs that lead nowhere, and shares what they weighed among the others of their state. Whether anything
    /// is left that leads from the start to the end.
    pub(super) fn trim(&mut self) -> bool {
        let useful = self.useful();
        for arc in &mut self.arcs {
            if !useful[arc.to as usize] {
                arc.weight = 0.0;
            }
        }
        for state in 0..self.first.len() as State {
            let sum: f32 = self.arcs(state).map(|arc| arc.weight).sum();
            let mut at = self.first[state as usize];
            while let Some(arc) = self.arcs.get_mut(at as usize) {
                if sum > 0.0 {
                    arc.weight /= sum;
                }
                at = arc.next;
            }
        }
        useful[self.start as usize]
    }

    /// The states from which the end can be reached.
    fn useful(&self) -> Vec<bool> {
        let mut useful = vec![false; self.first.len()];
        let mut before = vec![NOWHERE; self.first.len()];
        // Arcs by their target, as lists.
        let mut links: Vec<(State, u32)> = Vec::with_capacity(self.arcs.len());
        for from in 0..self.first.len() as State {
            for arc in self.arcs(from) {
                let next = std::mem::replace(&mut before[arc.to as usize], links.len() as u32);
                links.push((from, next));
            }
        }
        let mut open = vec![self.end];
        useful[self.end as usize] = true;
        while let Some(state) = open.pop() {
            let mut at = before[state as usize];
            while let Some(&(from, next)) = links.get(at as usize) {
                if !std::mem::replace(&mut useful[from as usize], true) {
                    open.push(from);
                }
                at = next;
            }
        }
        useful
    }

    /// The first arc of a state, for [`arc_at`](Self::arc_at).
    pub(super) fn first_arc(&self, state: State) -> u32 {
        self.first[state as usize]
    }

    /// An arc of a list, whatever it weighs, and where the next one is.
    pub(super) fn arc_at(&self, at: u32) -> Option<(Arc, u32)> {
        self.arcs.get(at as usize).map(|&arc| (arc, arc.next))
    }
}

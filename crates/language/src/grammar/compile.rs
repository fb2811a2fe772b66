//! From rules to an automaton.
//!
//! 1. Rules are written out where they are referred to, as a non-deterministic automaton (Thompson 1968). A rule that
//!    refers to itself at its very end becomes a loop; elsewhere it would not be regular, and is refused.
//! 2. What leads nowhere is taken away ([`Nfa::trim`]).
//! 3. The automaton is made deterministic ([`determinize`](super::determinize)).
//! 4. Endings in common are shared ([`minimize`](super::minimize)).
//!
//! Weights are shares of their alternatives' sum. Without a probability each number of repetitions within bounds is equally
//! likely; without an upper bound there is another repetition as likely as not.

use super::GrammarError;
use super::automaton::Grammar;
use super::determinize::determinize;
use super::document::{Document, Expansion, Repeat};
use super::minimize::minimize;
use super::nfa::{Nfa, SILENT, State};

/// Deepest nesting of rules and groups within each other; each takes part of the stack.
const DEEPEST: usize = 400;

pub(super) fn compile(document: Document) -> Result<Grammar, GrammarError> {
    let root = document.root.ok_or(GrammarError::NoRoot)?;
    for rule in &document.rules {
        if rule.expansion.is_none() {
            return Err(GrammarError::UndefinedRule { rule: rule.name.clone() });
        }
    }
    let mut compiler = Compiler { document: &document, nfa: Nfa::default(), open: Vec::new(), depth: 0 };
    let (start, end) = (compiler.nfa.add_state()?, compiler.nfa.add_state()?);
    compiler.rule(root, start, end)?;
    let mut nfa = compiler.nfa;
    (nfa.start, nfa.end) = (start, end);
    if !nfa.trim() {
        return Err(GrammarError::Empty);
    }
    let automaton = minimize(determinize(&nfa)?);
    if automaton.arc_count() == 0 {
        return Err(GrammarError::Empty);
    }
    Ok(Grammar::new(document.vocabulary, document.counts, document.language, automaton))
}

/// A rule that is being written out.
struct Open {
    rule: u32,
    start: State,
    end: State,
}

struct Compiler<'a> {
    document: &'a Document,
    nfa: Nfa,
    open: Vec<Open>,
    depth: usize,
}

impl Compiler<'_> {
    /// Writes out a rule between two states.
    fn rule(&mut self, rule: u32, from: State, to: State) -> Result<(), GrammarError> {
        let open = self.open.iter().rev().find(|open| open.rule == rule).map(|open| (open.start, open.end));
        if let Some((start, end)) = open {
            // What follows the reference is what follows the rule itself.
            if end == to {
                return self.nfa.add_arc(from, SILENT, start, 1.0);
            }
            return Err(GrammarError::Recursive { rule: self.document.rules[rule as usize].name.clone() });
        }
        let document = self.document;
        let Some(expansion) = &document.rules[rule as usize].expansion else {
            return Err(GrammarError::UndefinedRule { rule: document.rules[rule as usize].name.clone() });
        };
        let start = self.silent_step(from)?;
        self.open.push(Open { rule, start, end: to });
        self.expand(expansion, start, to)?;
        self.open.pop();
        Ok(())
    }

    /// A new state that is reached without a word.
    fn silent_step(&mut self, from: State) -> Result<State, GrammarError> {
        let state = self.nfa.add_state()?;
        self.nfa.add_arc(from, SILENT, state, 1.0)?;
        Ok(state)
    }

    /// Writes out an expansion between two states. No arc leaves `from` yet, and none but this expansion's ever will.
    fn expand(&mut self, expansion: &Expansion, from: State, to: State) -> Result<(), GrammarError> {
        if self.depth >= DEEPEST {
            let what = format!("rules and groups are nested deeper than {DEEPEST}");
            return Err(GrammarError::TooLarge { what });
        }
        self.depth += 1;
        match expansion {
            Expansion::Word(word) => self.nfa.add_arc(from, *word, to, 1.0)?,
            Expansion::Sequence(parts) => self.sequence(parts, from, to)?,
            Expansion::Alternatives(alternatives) => self.alternatives(alternatives, from, to)?,
            Expansion::Repeat(repeat) => self.repeat(repeat, from, to)?,
            Expansion::Rule(rule) => self.rule(*rule, from, to)?,
            Expansion::Void => {}
        }
        self.depth -= 1;
        Ok(())
    }

    fn sequence(&mut self, parts: &[Expansion], from: State, to: State) -> Result<(), GrammarError> {
        let Some((last, before)) = parts.split_last() else {
            return self.nfa.add_arc(from, SILENT, to, 1.0);
        };
        let mut at = from;
        for part in before {
            let next = self.nfa.add_state()?;
            self.expand(part, at, next)?;
            at = next;
        }
        self.expand(last, at, to)
    }

    fn alternatives(&mut self, alternatives: &[(f32, Expansion)], from: State, to: State) -> Result<(), GrammarError> {
        let sum: f64 = alternatives.iter().map(|(weight, _)| f64::from(*weight)).sum();
        for (weight, alternative) in alternatives.iter().filter(|(weight, _)| *weight > 0.0) {
            let weight = (f64::from(*weight) / sum) as f32;
            if let Expansion::Word(word) = alternative {
                self.nfa.add_arc(from, *word, to, weight)?;
                continue;
            }
            let start = self.nfa.add_state()?;
            self.nfa.add_arc(from, SILENT, start, weight)?;
            self.expand(alternative, start, to)?;
        }
        Ok(())
    }

    fn repeat(&mut self, repeat: &Repeat, from: State, to: State) -> Result<(), GrammarError> {
        let mut at = from;
        for done in 0..repeat.least {
            let last = repeat.most == Some(done + 1);
            if last {
                return self.expand(&repeat.what, at, to);
            }
            let next = self.nfa.add_state()?;
            self.expand(&repeat.what, at, next)?;
            at = next;
        }
        match repeat.most {
            None => self.loop_of(repeat, at, to),
            Some(most) => self.optional(repeat, most - repeat.least, at, to),
        }
    }

    /// Any number of further repetitions.
    fn loop_of(&mut self, repeat: &Repeat, from: State, to: State) -> Result<(), GrammarError> {
        let again = repeat.probability.unwrap_or(0.5);
        let (choice, start) = (self.silent_step(from)?, self.nfa.add_state()?);
        self.nfa.add_arc(choice, SILENT, start, again)?;
        self.nfa.add_arc(choice, SILENT, to, 1.0 - again)?;
        self.expand(&repeat.what, start, choice)
    }

    /// Up to `most` further repetitions.
    fn optional(&mut self, repeat: &Repeat, most: u32, from: State, to: State) -> Result<(), GrammarError> {
        let mut at = from;
        for left in (1..=most).rev() {
            let again = repeat.probability.unwrap_or(left as f32 / (left + 1) as f32);
            let start = self.nfa.add_state()?;
            self.nfa.add_arc(at, SILENT, start, again)?;
            self.nfa.add_arc(at, SILENT, to, 1.0 - again)?;
            if left == 1 {
                return self.expand(&repeat.what, start, to);
            }
            let next = self.nfa.add_state()?;
            self.expand(&repeat.what, start, next)?;
            at = next;
        }
        self.nfa.add_arc(at, SILENT, to, 1.0)
    }
}

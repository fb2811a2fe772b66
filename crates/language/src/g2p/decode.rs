//! The search for the likeliest pronunciations of a spelling: a beam over sequences of graphones, letter by letter.

use crate::dictionary::Pronunciation;

use super::G2p;
use super::model::{END, NONE, Node, ROOT};

/// Hypotheses kept at each letter.
const WIDTH: usize = 24;
/// Hypotheses this much worse than the best at the same letter are dropped, in nats.
const BEAM: f32 = 9.0;
/// "No hypothesis before this one."
const NOTHING: u32 = u32::MAX;

/// A sequence of graphones that spells the first letters.
#[derive(Clone, Copy)]
struct Hypothesis {
    score: f32,
    state: Node,
    /// Hash of the phones so far: hypotheses with the same phones and state are one.
    said: u64,
    /// Where its last step is in the arena.
    step: u32,
}

/// How a hypothesis came about: what it was before, and the graphone added.
struct Step {
    before: u32,
    token: u16,
}

pub(super) fn decode(model: &G2p, letters: &[u8], most: usize) -> Vec<(Pronunciation, f32)> {
    let mut steps: Vec<Step> = Vec::new();
    let mut at: Vec<Vec<Hypothesis>> = vec![Vec::new(); letters.len() + 1];
    at[0].push(Hypothesis { score: 0.0, state: model.trie.begin(), said: 0, step: NOTHING });
    let mut scores = Scratch::new(model.graphones.len());
    for i in 0..letters.len() {
        let hypotheses = prune(std::mem::take(&mut at[i]));
        let Some(best) = hypotheses.first().map(|hypothesis| hypothesis.score) else { continue };
        for hypothesis in &hypotheses {
            // Scores only fall, so what is already this bad is not followed down to shorter histories.
            let least = best - BEAM - hypothesis.score - 6.0;
            scores.expand(model, hypothesis.state, letters[i], letters.get(i + 1).copied(), least);
            for &(token, node, score) in &scores.found {
                let graphone = model.graphone(token);
                let said = graphone.phones().iter().fold(hypothesis.said, |said, &phone| {
                    (said.rotate_left(5) ^ (u64::from(phone) + 1)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                });
                let step = steps.len() as u32;
                steps.push(Step { before: hypothesis.step, token });
                let state = model.trie.state(node);
                let score = hypothesis.score + score;
                at[i + graphone.letter_count()].push(Hypothesis { score, state, said, step });
            }
        }
    }
    let mut ends = std::mem::take(&mut at[letters.len()]);
    for end in &mut ends {
        end.score += model.trie.step(end.state, END);
        end.state = ROOT;
    }
    let ends = prune(ends);
    let mut found: Vec<(Pronunciation, f32)> = Vec::new();
    let mut total = 0.0;
    for end in &ends {
        let share = (end.score - ends[0].score).exp();
        let phones = read(model, &steps, end.step);
        if phones.is_empty() {
            continue;
        }
        total += share;
        found.push((Pronunciation::new(&phones), share));
    }
    found.truncate(most);
    found.iter_mut().for_each(|(_, share)| *share /= total);
    found
}

/// Merges hypotheses that differ in nothing that matters, and keeps the best, in order.
fn prune(mut hypotheses: Vec<Hypothesis>) -> Vec<Hypothesis> {
    let best = hypotheses.iter().map(|hypothesis| hypothesis.score).fold(f32::NEG_INFINITY, f32::max);
    hypotheses.retain(|hypothesis| hypothesis.score > best - BEAM);
    hypotheses.sort_unstable_by(|a, b| {
        (a.state, a.said).cmp(&(b.state, b.said)).then(b.score.total_cmp(&a.score)).then(a.step.cmp(&b.step))
    });
    let mut merged: Vec<Hypothesis> = Vec::with_capacity(hypotheses.len());
    for hypothesis in hypotheses {
        match merged.last_mut() {
            Some(last) if (last.state, last.said) == (hypothesis.state, hypothesis.said) => {
                last.score += (hypothesis.score - last.score).exp().ln_1p();
            }
            _ => merged.push(hypothesis),
        }
    }
    merged.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.step.cmp(&b.step)));
    merged.truncate(WIDTH);
    merged
}

fn read(model: &G2p, steps: &[Step], last: u32) -> Vec<u8> {
    let mut tokens = Vec::new();
    let mut at = last;
    while at != NOTHING {
        let step = &steps[at as usize];
        tokens.push(step.token);
        at = step.before;
    }
    tokens.iter().rev().flat_map(|&token| model.graphone(token).phones().iter().copied()).collect()
}

/// What a history predicts, gathered from the longest n-grams down.
struct Scratch {
    /// Round in which a token was last found.
    seen: Vec<u32>,
    round: u32,
    /// Token, node of its n-gram, ln p.
    found: Vec<(u16, Node, f32)>,
}

impl Scratch {
    fn new(graphones: usize) -> Self {
        Scratch { seen: vec![0; graphones + 2], round: 0, found: Vec::new() }
    }

    /// Finds the graphones that take `letter`, or it and the `next` one, with ln p of at least `least` after a history.
    fn expand(&mut self, model: &G2p, mut history: Node, letter: u8, next: Option<u8>, least: f32) {
        self.round += 1;
        self.found.clear();
        let letter = usize::from(letter);
        let range = model.by_letter[letter]..model.by_letter[letter + 1];
        let mut backoff = 0.0;
        loop {
            for node in model.trie.children_within(history, range.clone()) {
                let token = model.trie.token(node);
                let second = model.graphone(token).letters[1];
                if second != NONE && Some(second) != next {
                    continue;
                }
                if std::mem::replace(&mut self.seen[usize::from(token)], self.round) != self.round {
                    let score = backoff + model.trie.probability(node);
                    if score >= least {
                        self.found.push((token, node, score));
                    }
                }
            }
            if history == ROOT {
                return;
            }
            backoff += model.trie.backoff(history);
            if backoff < least {
                return;
            }
            history = model.trie.suffix(history);
        }
    }
}

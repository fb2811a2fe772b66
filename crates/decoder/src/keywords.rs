//! Keyword spotting: posteriors of words and phrases in the lattice.
//!
//! A hit is any path segment that reads as the keyword, whether or not the best reading contains it (RES-K5). Segments
//! that overlap in time exclude each other, so their posteriors add up to the posterior that the phrase was said
//! there (Mangu, Kingsbury et al., "Efficient spoken term detection using confusion networks", 2014, use the same
//! sums on confusion networks).

use dictum_language::WordId;

use crate::lattice::Lattice;

/// A phrase found in a lattice.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// First frame, of the likeliest segment.
    pub start: u32,
    /// End frame, of the likeliest segment.
    pub end: u32,
    /// Posterior that the phrase was said here.
    pub posterior: f64,
}

/// Longest silence, frames, between the words of a phrase (RES-K1).
const LONGEST_GAP: u32 = 10;
/// Longest noise, frames, between the words of a phrase (RES-K1).
const LONGEST_NOISE: u32 = 50;

/// Arcs by the node they leave, and log-sums at the posterior scale, shared by all keywords of an utterance.
pub struct Spotter<'a> {
    lattice: &'a Lattice,
    scale: f32,
    forward: Vec<f64>,
    backward: Vec<f64>,
    out_of: Vec<Vec<u32>>,
}

impl<'a> Spotter<'a> {
    /// Prepares a lattice.
    pub fn new(lattice: &'a Lattice, scale: f32) -> Self {
        let (forward, backward) = if lattice.is_empty() { Default::default() } else { lattice.log_sums(scale) };
        let mut out_of = vec![Vec::new(); lattice.nodes.len()];
        for (index, arc) in lattice.arcs.iter().enumerate() {
            out_of[arc.from as usize].push(index as u32);
        }
        Spotter { lattice, scale, forward, backward, out_of }
    }

    /// Hits of a phrase with at least the posterior `threshold`, in time order.
    pub fn find(&self, phrase: &[WordId], threshold: f64) -> Vec<Hit> {
        let mut segments = Vec::new();
        if let Some((first, rest)) = phrase.split_first() {
            for arc in self.lattice.arcs.iter().filter(|arc| arc.word == Some(*first)) {
                let score = self.forward[arc.from as usize] + f64::from(self.scale * arc.score());
                self.extend(self.lattice.nodes[arc.from as usize].frame, arc.to, score, rest, &mut segments);
            }
        }
        merge(segments).into_iter().filter(|hit| hit.posterior >= threshold).collect()
    }

    /// Follows the rest of a phrase from a node, over at most one pause before each word.
    fn extend(&self, start: u32, node: u32, score: f64, rest: &[WordId], segments: &mut Vec<Hit>) {
        let Some((next, rest)) = rest.split_first() else {
            let posterior = (score + self.backward[node as usize] - self.backward[0]).exp();
            segments.push(Hit { start, end: self.lattice.nodes[node as usize].frame, posterior });
            return;
        };
        let mut follow = |from: u32, score: f64| {
            for &index in &self.out_of[from as usize] {
                let arc = &self.lattice.arcs[index as usize];
                if arc.word == Some(*next) {
                    self.extend(start, arc.to, score + f64::from(self.scale * arc.score()), rest, segments);
                }
            }
        };
        follow(node, score);
        for &index in &self.out_of[node as usize] {
            let arc = &self.lattice.arcs[index as usize];
            let frame = |node: u32| self.lattice.nodes[node as usize].frame;
            let longest = if arc.noise { LONGEST_NOISE } else { LONGEST_GAP };
            if arc.word.is_none() && frame(arc.to) - frame(arc.from) <= longest {
                follow(arc.to, score + f64::from(self.scale * arc.score()));
            }
        }
    }
}

/// Adds up segments that overlap.
fn merge(mut segments: Vec<Hit>) -> Vec<Hit> {
    segments.sort_by(|a, b| b.posterior.total_cmp(&a.posterior));
    let mut hits: Vec<Hit> = Vec::new();
    for segment in segments {
        match hits.iter_mut().find(|hit| hit.start < segment.end && segment.start < hit.end) {
            Some(hit) => hit.posterior = (hit.posterior + segment.posterior).min(1.0),
            None => hits.push(segment),
        }
    }
    hits.sort_by_key(|hit| hit.start);
    hits
}

//! The simplest reading of scores: the best token of each frame.

use crate::tokens::Tokens;

/// Best token of each frame, repetitions merged, blanks dropped (Graves et al., "Connectionist temporal classification", 2006,
/// section 3.2). `scores` holds frames of [`Tokens::len`] values.
pub fn greedy(scores: &[f32], tokens: &Tokens) -> Vec<u16> {
    let mut reading = Vec::new();
    let mut previous = tokens.blank();
    for frame in scores.chunks_exact(tokens.len()) {
        let best = best(frame);
        if best != previous && best != tokens.blank() {
            reading.push(best);
        }
        previous = best;
    }
    reading
}

/// Index of the largest value, of the first such.
fn best(frame: &[f32]) -> u16 {
    let mut best = 0;
    for (index, &score) in frame.iter().enumerate() {
        if score > frame[best] {
            best = index;
        }
    }
    best as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_merged_and_blanks_part_them() {
        let tokens = Tokens::parse(b"<blk> 0\na 1\nb 2\n").unwrap();
        let scores: Vec<f32> = [1u16, 1, 0, 1, 2, 2, 0]
            .iter()
            .flat_map(|&best| (0..3).map(move |token| if token == best { -0.1 } else { -3.0 }))
            .collect();
        assert_eq!(greedy(&scores, &tokens), [1, 1, 2]);
        assert_eq!(greedy(&[], &tokens), []);
    }
}

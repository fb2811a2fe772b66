//! From posteriors to confidences: how often words with a posterior of the lattice turn out right.
//!
//! The posteriors of a search that keeps only what is near the best are too sure of themselves. A calibration is a
//! piecewise linear function that brings them to the fraction of words that were right on recordings with known transcripts. It
//! never falls, so the order of words by confidence stays. [`Calibration::estimated`] finds one by isotonic regression (Zadrozny and
//! Elkan 2002): words are sorted by posterior into groups of equal size, and neighbours that contradict the order are
//! pooled.

use std::borrow::Cow;

/// Groups of words that an estimate tells apart, at most.
const GROUPS: usize = 12;

/// Words of a group, at least.
const LEAST: usize = 25;

/// Confidence by posterior: points of a piecewise linear function, both ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration(Cow<'static, [(f32, f32)]>);

impl Calibration {
    /// Posteriors as they are.
    pub const NONE: Calibration = Calibration::fixed(&[(0.0, 0.0), (1.0, 1.0)]);

    /// One that is part of the program.
    pub(crate) const fn fixed(points: &'static [(f32, f32)]) -> Calibration {
        Calibration(Cow::Borrowed(points))
    }

    /// One from the outside: posteriors and confidences from 0 to 1, posteriors ascending, confidences never falling.
    ///
    /// # Errors
    /// What is wrong with the points.
    pub fn new(points: Vec<(f32, f32)>) -> Result<Calibration, &'static str> {
        let ordered = points.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1);
        let within = |value: f32| (0.0..=1.0).contains(&value);
        match points.iter().all(|&(posterior, confidence)| within(posterior) && within(confidence)) {
            false => Err("posteriors and confidences are from 0 to 1"),
            true if points.len() < 2 => Err("there must be two points at least"),
            true if !ordered => Err("posteriors must rise from point to point, and confidences must not fall"),
            true => Ok(Calibration(Cow::Owned(points))),
        }
    }

    /// The one that fits words by posterior and whether they were right. `None` if there are too few of them.
    pub fn estimated(words: &[(f32, bool)]) -> Option<Calibration> {
        let mut sorted = words.to_vec();
        sorted.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let size = sorted.len().div_ceil(GROUPS).max(LEAST);
        let mut groups: Vec<Group> = Vec::new();
        for words in sorted.chunks(size).filter(|words| words.len() >= LEAST) {
            let mut group = Group::of(words);
            while let Some(before) = groups.pop_if(|before| before.contradicts(&group)) {
                group = before.with(&group);
            }
            groups.push(group);
        }
        let last = groups.last()?.right();
        let inner = groups.iter().map(|group| (group.posterior(), group.right()));
        let rounded = |value: f64| (value * 1e4).round() as f32 / 1e4;
        let mut points = vec![(0.0, 0.0)];
        for (posterior, right) in inner.chain([(1.0, last)]) {
            let point = (rounded(posterior), rounded(right));
            match points.last_mut().filter(|before| before.0 >= point.0) {
                Some(before) => before.1 = point.1,
                None => points.push(point),
            }
        }
        Calibration::new(points).ok()
    }

    /// The points.
    pub fn points(&self) -> &[(f32, f32)] {
        &self.0
    }

    /// The confidence of a word with a posterior.
    pub fn confidence(&self, posterior: f32) -> f32 {
        let after = self.0.partition_point(|point| point.0 < posterior);
        match (after.checked_sub(1).map(|index| self.0[index]), self.0.get(after)) {
            (Some(low), Some(&high)) => low.1 + (high.1 - low.1) * (posterior - low.0) / (high.0 - low.0),
            (Some(only), None) | (None, Some(&only)) => only.1,
            (None, None) => posterior,
        }
    }
}

/// Words of similar posteriors.
#[derive(Debug, Clone, Copy)]
struct Group {
    words: f64,
    posteriors: f64,
    right: f64,
}

impl Group {
    fn of(words: &[(f32, bool)]) -> Group {
        Group {
            words: words.len() as f64,
            posteriors: words.iter().map(|word| f64::from(word.0)).sum(),
            right: words.iter().filter(|word| word.1).count() as f64,
        }
    }

    fn with(&self, other: &Group) -> Group {
        Group {
            words: self.words + other.words,
            posteriors: self.posteriors + other.posteriors,
            right: self.right + other.right,
        }
    }

    fn posterior(&self) -> f64 {
        self.posteriors / self.words
    }

    /// Fraction that was right, as if one more word had been right and one wrong (Laplace).
    fn right(&self) -> f64 {
        (self.right + 1.0) / (self.words + 2.0)
    }

    /// Whether it is not below the next group, or cannot be told from it.
    fn contradicts(&self, next: &Group) -> bool {
        self.right() > next.right() || next.posterior() - self.posterior() < 1e-4
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_between_points() {
        let it = Calibration::new(vec![(0.0, 0.0), (0.5, 0.2), (1.0, 0.9)]).unwrap();
        for (posterior, confidence) in [(0.0, 0.0), (0.25, 0.1), (0.5, 0.2), (0.75, 0.55), (1.0, 0.9)] {
            assert!((it.confidence(posterior) - confidence).abs() < 1e-6, "{posterior}");
        }
        assert_eq!(Calibration::NONE.confidence(0.37), 0.37);
    }

    #[test]
    fn bad_points_are_refused() {
        for points in [vec![], vec![(0.0, 0.0)], vec![(0.0, 0.5), (1.0, 0.4)], vec![(0.5, 0.1), (0.5, 0.2)]] {
            assert!(Calibration::new(points.clone()).is_err(), "{points:?}");
        }
        for odd in [-0.1, 1.1, f32::NAN, f32::INFINITY] {
            assert!(Calibration::new(vec![(0.0, 0.0), (odd, 1.0)]).is_err(), "{odd}");
            assert!(Calibration::new(vec![(0.0, 0.0), (1.0, odd)]).is_err(), "{odd}");
        }
    }

    #[test]
    fn too_sure_words_are_doubted() {
        // Of a thousand words with posteriors from 0.9 to 1 half are right, of those below a tenth.
        let words: Vec<_> = (0..2000)
            .map(|n| match n % 2 {
                0 => (0.9 + 0.0001 * (n / 2) as f32, n % 4 == 0),
                _ => (0.0005 * n as f32 * 0.8, n % 20 == 1),
            })
            .collect();
        let it = Calibration::estimated(&words).unwrap();
        assert!((it.confidence(0.95) - 0.5).abs() < 0.05, "{it:?}");
        assert!((it.confidence(0.4) - 0.1).abs() < 0.05, "{it:?}");
        assert_eq!(Calibration::estimated(&words[..LEAST - 1]), None);
    }

    proptest! {
        #[test]
        fn estimates_are_calibrations(words in prop::collection::vec((0.0_f32..=1.0, any::<bool>()), 0..400)) {
            if let Some(it) = Calibration::estimated(&words) {
                prop_assert!(Calibration::new(it.points().to_vec()).is_ok());
                let steps: Vec<f32> = (0..=100).map(|n| it.confidence(n as f32 / 100.0)).collect();
                prop_assert!(steps.is_sorted() && steps.iter().all(|c| (0.0..=1.0).contains(c)));
            }
        }
    }
}

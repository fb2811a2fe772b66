//! What can be entered where the next frame tells tokens apart.
//!
//! A network of a large vocabulary may begin with any of a model's tokens, and so may every word that is spelt; but in a frame only a
//! few tokens are likely. Which roots and one-token words those leave is the same for all word ends of a frame, so it
//! is found once for all of them.

use dictum_acoustic::PhoneId;

use super::Search;
use crate::instances::DEAD;
use crate::network::{Network, OVERLAY, ROOT};

/// What survives the next frame, by network: that of the base and an overlay.
#[derive(Debug, Default)]
pub(super) struct Heard {
    trees: [HeardTree; 2],
}

#[derive(Debug, Default)]
struct HeardTree {
    /// What entering each root loses.
    losses: Vec<f32>,
    /// The roots that survive, most probable first.
    roots: Vec<u32>,
    /// The one-token words that do, by context in which they are entered.
    singles: Vec<Vec<u32>>,
}

impl Heard {
    fn of(&self, tree: &Network) -> &HeardTree {
        &self.trees[usize::from(tree.origin() == OVERLAY)]
    }

    /// Roots of a network that survive, most probable first.
    pub(super) fn roots(&self, tree: &Network) -> &[u32] {
        &self.of(tree).roots
    }

    /// One-token words of a network that survive where they are entered in a context.
    pub(super) fn singles(&self, tree: &Network, context: PhoneId) -> &[u32] {
        self.of(tree).singles.get(context as usize).map_or(&[], Vec::as_slice)
    }

    /// What entering a root loses, by its place.
    #[inline]
    pub(super) fn loss(&self, place: u32) -> f32 {
        self.trees[usize::from(place & OVERLAY != 0)].losses[(place & !(OVERLAY | ROOT)) as usize]
    }
}

impl Search {
    /// Finds what can be entered behind words that end now. Whether it can be known: there is a next frame, and it is one of
    /// tokens.
    pub(super) fn listen(&self, heard: &mut Heard) -> bool {
        if !self.graph.network.has_tokens() || self.upcoming.is_empty() {
            return false;
        }
        // No word end is better than the best state, and nothing but the penalty of words, if it is a reward, makes it so.
        let least = self.threshold - self.best - self.config.word_penalty.max(0.0);
        let loss = |token: u16| self.upcoming.get(usize::from(token)).copied().unwrap_or(DEAD);
        for tree in self.graph.trees() {
            let at = usize::from(tree.origin() == OVERLAY);
            let HeardTree { losses, roots, singles } = &mut heard.trees[at];
            losses.clear();
            losses.extend(tree.all_roots().iter().map(|root| loss(tree.root_token(root.index()))));
            roots.clear();
            // Those of words are the only ones: pieces are of one token.
            roots.extend((0..losses.len() as u32).filter(|&root| losses[root as usize] > least));
            singles.resize_with(tree.phone_count(), Vec::new);
            for (context, singles) in singles.iter_mut().enumerate() {
                singles.clear();
                let all = tree.singles(context as PhoneId, tree.silence());
                let heard = |last: &u32| {
                    let fan = tree.fan(tree.last(*last).fan);
                    fan.iter().any(|class| loss(class.shape.senones[0]) > least)
                };
                singles.extend(all.filter(heard));
            }
        }
        true
    }
}

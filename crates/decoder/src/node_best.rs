//! The best score at each tree node in one frame, whatever the copy.

/// A table by node for the frame it was last cleared for. It holds as many nodes as are active, not as there are: open
/// addressing with linear probing, cleared by moving on to the next stamp.
#[derive(Debug, Default)]
pub struct NodeBest {
    slots: Vec<Slot>,
    stamp: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    stamp: u32,
    node: u32,
    score: f32,
}

impl NodeBest {
    /// Forgets everything and makes room for so many nodes.
    pub fn clear(&mut self, nodes: usize) {
        let wanted = (2 * nodes).next_power_of_two().max(64);
        self.stamp = self.stamp.wrapping_add(1);
        if self.slots.len() < wanted || self.stamp == 0 {
            self.slots.clear();
            self.slots.resize(wanted, Slot::default());
            self.stamp = 1;
        }
    }

    /// Takes note of a score at a node.
    #[inline]
    pub fn offer(&mut self, node: u32, score: f32) {
        let at = self.find(node);
        let slot = &mut self.slots[at];
        if slot.stamp != self.stamp {
            *slot = Slot { stamp: self.stamp, node, score };
        } else if slot.score < score {
            slot.score = score;
        }
    }

    /// The best score at a node; negative infinity if there was none.
    #[inline]
    pub fn at(&self, node: u32) -> f32 {
        let slot = self.slots[self.find(node)];
        if slot.stamp == self.stamp { slot.score } else { f32::NEG_INFINITY }
    }

    /// Where a node is, or would be.
    #[inline]
    fn find(&self, node: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (node.wrapping_mul(0x9E37_79B9) >> 7) as usize & mask;
        while self.slots[at].stamp == self.stamp && self.slots[at].node != node {
            at = (at + 1) & mask;
        }
        at
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It knows what a plain map would know, of the present frame only.
        #[test]
        fn behaves_like_a_map(frames in prop::collection::vec(prop::collection::vec((0u32..500, -9.0f32..0.0), 0..200), 1..8)) {
            let mut best = NodeBest::default();
            for frame in frames {
                best.clear(frame.len());
                let mut model: HashMap<u32, f32> = HashMap::new();
                for (node, score) in frame {
                    best.offer(node, score);
                    let entry = model.entry(node).or_insert(score);
                    *entry = entry.max(score);
                }
                for node in 0..500 {
                    prop_assert_eq!(best.at(node), model.get(&node).copied().unwrap_or(f32::NEG_INFINITY));
                }
            }
        }
    }
}

//! The active HMM instances of a search: a pool, and a hash table from (copy, instance id) to its entry.
//!
//! A few thousand instances are alive at a time and a third of them change per frame, so the table is touched only
//! when an instance is created, entered or dropped, never to evaluate it. Open addressing with linear probing and
//! backward-shift deletion (Knuth, TAOCP volume 3, section 6.4, algorithm R) keeps probe sequences short without
//! tombstones.

use dictum_acoustic::PhoneId;

/// Score of what cannot be.
pub const DEAD: f32 = -1e30;

/// One active HMM. Scores are natural logs of path probabilities, *before* the emission of the next frame, so that
/// entering a state is a plain maximum.
#[derive(Debug, Clone, Copy)]
pub struct Hmm {
    /// Best path into each state.
    pub score: [f32; 3],
    /// Record of the word before this one, for the path into each state.
    pub history: [u32; 3],
    /// Senones of the states.
    pub senones: [u16; 3],
    /// Phone whose transition matrix applies.
    pub phone: PhoneId,
    /// Node, or final and class, in the network.
    pub instance: u32,
    /// Tree copy; with [`TAIL`] behind the label.
    pub copy: u32,
    /// Look-ahead contained in the scores, already scaled.
    pub look_ahead: f32,
}

/// Bit of the copies of instances behind their label, where the word is known.
pub const TAIL: u32 = 1 << 31;

/// The copy behind labels where no history needs to be kept apart.
pub const ANY_TAIL: u32 = u32::MAX;

impl Hmm {
    /// Whether the word is known.
    #[inline]
    pub fn is_tail(&self) -> bool {
        self.copy & TAIL != 0
    }
}

/// Pool and table.
#[derive(Debug)]
pub struct Instances {
    hmms: Vec<Hmm>,
    free: Vec<u32>,
    keys: Vec<u64>,
    values: Vec<u32>,
    mask: usize,
    used: usize,
}

const EMPTY: u64 = u64::MAX;

impl Instances {
    /// An empty table with room for about `capacity` instances before it grows.
    pub fn new(capacity: usize) -> Self {
        let slots = (capacity * 2).next_power_of_two();
        let (hmms, free) = (Vec::new(), Vec::new());
        Instances { hmms, free, keys: vec![EMPTY; slots], values: vec![0; slots], mask: slots - 1, used: 0 }
    }

    /// Forgets all instances.
    pub fn clear(&mut self) {
        self.hmms.clear();
        self.free.clear();
        self.keys.fill(EMPTY);
        self.used = 0;
    }

    /// Number of live instances.
    #[cfg(test)]
    fn live(&self) -> usize {
        self.used
    }

    /// An instance by its place in the pool.
    #[inline]
    pub fn get(&self, index: u32) -> &Hmm {
        &self.hmms[index as usize]
    }

    /// An instance by its place in the pool.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> &mut Hmm {
        &mut self.hmms[index as usize]
    }

    /// Finds the instance of a (copy, instance id) pair.
    #[inline]
    pub fn find(&self, copy: u32, instance: u32) -> Option<u32> {
        let key = key(copy, instance);
        let mut slot = self.home(key);
        loop {
            let found = self.keys[slot];
            if found == key {
                return Some(self.values[slot]);
            }
            if found == EMPTY {
                return None;
            }
            slot = (slot + 1) & self.mask;
        }
    }

    /// Adds an instance that is not there yet and returns its place in the pool.
    pub fn insert(&mut self, hmm: Hmm) -> u32 {
        if (self.used + 1) * 2 > self.keys.len() {
            self.grow();
        }
        self.used += 1;
        let index = match self.free.pop() {
            Some(index) => {
                self.hmms[index as usize] = hmm;
                index
            }
            None => {
                self.hmms.push(hmm);
                self.hmms.len() as u32 - 1
            }
        };
        self.place(key(hmm.copy, hmm.instance), index);
        index
    }

    /// Drops an instance.
    pub fn remove(&mut self, index: u32) {
        let hmm = &self.hmms[index as usize];
        let key = key(hmm.copy, hmm.instance);
        let mut slot = self.home(key);
        while self.keys[slot] != key {
            debug_assert_ne!(self.keys[slot], EMPTY, "only live instances are removed");
            slot = (slot + 1) & self.mask;
        }
        self.free.push(index);
        self.used -= 1;
        // Close the gap: pull back whatever would no longer be reached across it.
        let mut gap = slot;
        let mut next = (slot + 1) & self.mask;
        while self.keys[next] != EMPTY {
            let home = self.home(self.keys[next]);
            if (next.wrapping_sub(home) & self.mask) >= (next.wrapping_sub(gap) & self.mask) {
                self.keys[gap] = self.keys[next];
                self.values[gap] = self.values[next];
                gap = next;
            }
            next = (next + 1) & self.mask;
        }
        self.keys[gap] = EMPTY;
    }

    /// Bytes held.
    pub fn size_bytes(&self) -> usize {
        self.hmms.capacity() * size_of::<Hmm>() + self.keys.len() * 12 + self.free.capacity() * 4
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & self.mask
    }

    fn place(&mut self, key: u64, index: u32) {
        let mut slot = self.home(key);
        while self.keys[slot] != EMPTY {
            slot = (slot + 1) & self.mask;
        }
        self.keys[slot] = key;
        self.values[slot] = index;
    }

    fn grow(&mut self) {
        let slots = self.keys.len() * 2;
        let keys = std::mem::replace(&mut self.keys, vec![EMPTY; slots]);
        let values = std::mem::replace(&mut self.values, vec![0; slots]);
        self.mask = slots - 1;
        for (key, index) in keys.into_iter().zip(values) {
            if key != EMPTY {
                self.place(key, index);
            }
        }
    }
}

#[inline]
fn key(copy: u32, instance: u32) -> u64 {
    u64::from(copy) << 32 | u64::from(instance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn hmm(copy: u32, instance: u32) -> Hmm {
        Hmm { score: [0.0; 3], history: [0; 3], senones: [0; 3], phone: 0, instance, copy, look_ahead: 0.0 }
    }

    proptest! {
        /// Any sequence of insertions and removals leaves what a plain map would hold.
        #[test]
        fn behaves_like_a_map(operations in prop::collection::vec((0u32..8, 0u32..64, any::<bool>()), 0..600)) {
            let mut instances = Instances::new(4);
            let mut model: HashMap<(u32, u32), u32> = HashMap::new();
            for (copy, instance, insert) in operations {
                let known = model.get(&(copy, instance)).copied();
                prop_assert_eq!(instances.find(copy, instance), known);
                match known {
                    None if insert => {
                        model.insert((copy, instance), instances.insert(hmm(copy, instance)));
                    }
                    Some(index) if !insert => {
                        instances.remove(index);
                        model.remove(&(copy, instance));
                    }
                    _ => {}
                }
                prop_assert_eq!(instances.live(), model.len());
            }
            for ((copy, instance), index) in model {
                prop_assert_eq!(instances.find(copy, instance), Some(index));
            }
        }
    }
}

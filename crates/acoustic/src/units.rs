//! Which hidden Markov models there are: phones, triphones, their senones and transition probabilities.

use crate::format::{ModelDefinition, Triphone, WordPosition};

/// A context-independent phone: its index in the model definition.
pub type PhoneId = u8;

/// The three senones of an HMM, by number. HMMs of one phone with the same senones share it (Sphinx: ssid).
pub type SequenceId = u32;

/// Natural-log transition probabilities of a three-state HMM, `[from][to]`; `to == 3` leaves the HMM.
pub type Transitions = [[f32; 4]; 3];

/// The unit inventory of a model.
#[derive(Debug, Clone)]
pub struct Units {
    names: Vec<String>,
    fillers: Vec<bool>,
    base_sequences: Vec<SequenceId>,
    transitions: Vec<Transitions>,
    sequences: Vec<[u16; 3]>,
    silence: PhoneId,
    triphones: TriphoneIndex,
}

/// Triphones grouped by (position, center, left), each group sorted by right phone.
#[derive(Debug, Clone)]
struct TriphoneIndex {
    phones: usize,
    starts: Vec<u32>,
    entries: Vec<(PhoneId, SequenceId)>,
}

impl TriphoneIndex {
    fn new(phones: usize, triphones: &[Triphone]) -> Self {
        let group = |triphone: &Triphone| {
            (triphone.position as usize * phones + usize::from(triphone.center)) * phones + usize::from(triphone.left)
        };
        let mut sorted: Vec<&Triphone> = triphones.iter().collect();
        // A stable sort: of two entries for one triphone the first counts, as in Sphinx.
        sorted.sort_by_key(|triphone| (group(triphone), triphone.right));
        sorted.dedup_by_key(|triphone| (group(triphone), triphone.right));
        let mut starts = vec![0u32; 4 * phones * phones + 1];
        for triphone in &sorted {
            starts[group(triphone) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        let entries = sorted.iter().map(|triphone| (triphone.right, triphone.sequence)).collect();
        TriphoneIndex { phones, starts, entries }
    }

    fn find(&self, left: PhoneId, center: PhoneId, right: PhoneId, position: WordPosition) -> Option<SequenceId> {
        let group = (position as usize * self.phones + usize::from(center)) * self.phones + usize::from(left);
        let group = &self.entries[self.starts[group] as usize..self.starts[group + 1] as usize];
        let index = group.binary_search_by_key(&right, |entry| entry.0).ok()?;
        Some(group[index].1)
    }
}

impl Units {
    /// `matrices` has one entry for each of the definition's transition matrices.
    pub(crate) fn new(definition: &ModelDefinition, matrices: &[Transitions]) -> Result<Units, String> {
        let phones = &definition.phones;
        let silence = phones
            .iter()
            .position(|phone| phone.name == "SIL")
            .ok_or("the model has no phone named SIL, which stands for silence")?;
        let transitions = phones
            .iter()
            .map(|phone| matrices.get(phone.transition as usize).copied())
            .collect::<Option<Vec<Transitions>>>()
            .ok_or_else(|| {
                format!(
                    "mdef wants {} transition matrices, transition_matrices has {}",
                    definition.transitions,
                    matrices.len()
                )
            })?;
        Ok(Units {
            names: phones.iter().map(|phone| phone.name.clone()).collect(),
            fillers: phones.iter().map(|phone| phone.filler).collect(),
            base_sequences: phones.iter().map(|phone| phone.sequence).collect(),
            transitions,
            sequences: definition.sequences.clone(),
            silence: silence as PhoneId,
            triphones: TriphoneIndex::new(phones.len(), &definition.triphones),
        })
    }

    /// Number of context-independent phones.
    pub fn phone_count(&self) -> usize {
        self.names.len()
    }

    /// The phone of that name (names are case-sensitive).
    pub fn phone_id(&self, name: &str) -> Option<PhoneId> {
        self.names.iter().position(|known| known == name).map(|id| id as PhoneId)
    }

    /// The name of a phone.
    ///
    /// # Panics
    /// If the model has no such phone.
    pub fn phone_name(&self, id: PhoneId) -> &str {
        &self.names[usize::from(id)]
    }

    /// Whether the phone is silence or noise.
    ///
    /// # Panics
    /// If the model has no such phone.
    pub fn is_filler(&self, id: PhoneId) -> bool {
        self.fillers[usize::from(id)]
    }

    /// The silence phone.
    pub fn silence(&self) -> PhoneId {
        self.silence
    }

    /// Number of senone sequences; ids are below it.
    pub fn sequence_count(&self) -> usize {
        self.sequences.len()
    }

    /// The HMM of a phone without context.
    ///
    /// # Panics
    /// If the model has no such phone.
    pub fn context_independent(&self, phone: PhoneId) -> SequenceId {
        self.base_sequences[usize::from(phone)]
    }

    /// The HMM of `center` between `left` and `right` at a position in its word.
    ///
    /// A context the training data lacked falls back as Sphinx has it: the same phones at another position; then with
    /// silence for filler contexts and for the phones across the word boundary; then the phone without context.
    ///
    /// # Panics
    /// If the model has no such phones.
    pub fn triphone(&self, left: PhoneId, center: PhoneId, right: PhoneId, position: WordPosition) -> SequenceId {
        let as_context = |phone: PhoneId| if self.is_filler(phone) { self.silence } else { phone };
        let (left, right) = (as_context(left), as_context(right));
        if let Some(found) = self.at_any_position(left, center, right, position) {
            return found;
        }
        let begins = matches!(position, WordPosition::Begin | WordPosition::Single);
        let ends = matches!(position, WordPosition::End | WordPosition::Single);
        let boundary_left = if begins { self.silence } else { left };
        let boundary_right = if ends { self.silence } else { right };
        if (boundary_left, boundary_right) != (left, right)
            && let Some(found) = self.at_any_position(boundary_left, center, boundary_right, position)
        {
            return found;
        }
        self.context_independent(center)
    }

    fn at_any_position(
        &self,
        left: PhoneId,
        center: PhoneId,
        right: PhoneId,
        position: WordPosition,
    ) -> Option<SequenceId> {
        let others = WordPosition::ALL.into_iter().filter(|&other| other != position);
        std::iter::once(position).chain(others).find_map(|position| self.triphones.find(left, center, right, position))
    }

    /// The senones of an HMM, first state first.
    ///
    /// # Panics
    /// If the model has no such sequence.
    pub fn senones(&self, sequence: SequenceId) -> [u16; 3] {
        self.sequences[sequence as usize]
    }

    /// Transition probabilities of a phone's HMMs, whatever the context: natural logs, `[from][to]`, `to == 3` leaves the
    /// HMM, negative infinity where there is no transition.
    ///
    /// # Panics
    /// If the model has no such phone.
    pub fn transitions(&self, phone: PhoneId) -> &Transitions {
        &self.transitions[usize::from(phone)]
    }
}

/// Turns transition counts into natural-log probabilities: each row is normalised, non-zero probabilities are raised to
/// `floor`, and the row is normalised again.
pub(crate) fn transitions_from_counts(counts: &[f32], floor: f32) -> Result<Transitions, String> {
    let mut result = [[f32::NEG_INFINITY; 4]; 3];
    for (from, (row, counts)) in result.iter_mut().zip(counts.chunks_exact(4)).enumerate() {
        if counts.iter().any(|&count| count < 0.0) {
            return Err(format!("state {from} has a negative transition count"));
        }
        let total: f32 = counts.iter().sum();
        if total <= 0.0 || !total.is_finite() {
            return Err(format!("state {from} has no transitions"));
        }
        let floored = counts.iter().map(|&count| if count > 0.0 { (count / total).max(floor) } else { 0.0 });
        let floored_total: f32 = floored.clone().sum();
        for (to, (log, probability)) in row.iter_mut().zip(floored).enumerate() {
            if probability > 0.0 && (to < from || to > from + 2) {
                return Err(format!(
                    "a transition from state {from} to state {to}: only left-to-right HMMs that skip at most one state are supported"
                ));
            }
            *log = (probability / floored_total).ln();
        }
    }
    Ok(result)
}

//! Alignment of a transcript with a recording: which phone each frame belongs to.

use dictum_acoustic::{PhoneId, Scorer, SphinxModel, Units, WordPosition};
use dictum_language::Dictionary;

/// A state of the network, and from where it is reached: (state, log probability).
struct State {
    senone: u16,
    phone: PhoneId,
    from: Vec<(usize, f32)>,
}

/// Ways out of a part of the network.
type Exits = Vec<(usize, f32)>;

/// The words of one transcript in all their pronunciations, with silence between them where there is some.
struct Network<'a> {
    units: &'a Units,
    states: Vec<State>,
    /// States in which an alignment may begin.
    first: Vec<usize>,
}

impl Network<'_> {
    /// Appends a phone's three states, reached from `from`; `begins`: an alignment may begin here.
    fn phone(&mut self, phone: PhoneId, senones: [u16; 3], from: &Exits, begins: bool) -> Exits {
        let transitions = self.units.transitions(phone);
        let base = self.states.len();
        if begins {
            self.first.push(base);
        }
        for (state, senone) in senones.into_iter().enumerate() {
            let mut reached: Exits = (0..=state).map(|from| (base + from, transitions[from][state])).collect();
            if state == 0 {
                reached.extend(from);
            }
            reached.retain(|(_, probability)| probability.is_finite());
            self.states.push(State { senone, phone, from: reached });
        }
        let exits = (0..3).map(|state| (base + state, transitions[state][3]));
        exits.filter(|(_, probability)| probability.is_finite()).collect()
    }

    fn silence(&mut self, from: &Exits, begins: bool) -> Exits {
        let silence = self.units.silence();
        let senones = self.units.senones(self.units.context_independent(silence));
        self.phone(silence, senones, from, begins)
    }

    fn word(&mut self, phones: &[PhoneId], (left, right): (PhoneId, PhoneId), from: &Exits, begins: bool) -> Exits {
        let mut from = from.clone();
        for (index, &phone) in phones.iter().enumerate() {
            let (first, last) = (index == 0, index + 1 == phones.len());
            let position = match (first, last) {
                (true, true) => WordPosition::Single,
                (true, false) => WordPosition::Begin,
                (false, true) => WordPosition::End,
                (false, false) => WordPosition::Internal,
            };
            let left = if first { left } else { phones[index - 1] };
            let right = if last { right } else { phones[index + 1] };
            let senones = self.units.senones(self.units.triphone(left, phone, right, position));
            from = self.phone(phone, senones, &from, begins && first);
        }
        from
    }

    /// The likeliest way through the network: the phone of each frame.
    fn align(&self, scores: &[f32], senones: usize, ends: &Exits) -> Option<Vec<PhoneId>> {
        let frames = scores.len() / senones;
        let mut paths = vec![f32::NEG_INFINITY; self.states.len()];
        let mut back: Vec<u32> = Vec::with_capacity(frames * paths.len());
        for (frame, scores) in scores.chunks_exact(senones).enumerate() {
            let step = |(index, state): (usize, &State)| {
                let start = if frame == 0 && self.first.contains(&index) { 0.0 } else { f32::NEG_INFINITY };
                let ways = state.from.iter().map(|&(from, probability)| (paths[from] + probability, from));
                let best = ways.fold((start, index), |best, way| if way.0 > best.0 { way } else { best });
                (best.0 + scores[usize::from(state.senone)], best.1 as u32)
            };
            let next: Vec<(f32, u32)> = self.states.iter().enumerate().map(step).collect();
            back.extend(next.iter().map(|(_, from)| from));
            paths = next.into_iter().map(|(path, _)| path).collect();
        }
        let ends = ends.iter().map(|&(state, _)| state).filter(|&state| paths[state].is_finite());
        let mut at = ends.max_by(|&a, &b| paths[a].total_cmp(&paths[b]))?;
        let mut phones = vec![0; frames];
        for frame in (0..frames).rev() {
            phones[frame] = self.states[at].phone;
            at = back[frame * self.states.len() + at] as usize;
        }
        Some(phones)
    }
}

/// Aligns with a model and a dictionary.
pub struct Aligner<'a> {
    model: &'a SphinxModel,
    dictionary: &'a Dictionary,
    /// The model's phones by the dictionary's.
    phones: Vec<Option<PhoneId>>,
    scorer: Scorer,
    scores: Vec<f32>,
}

impl<'a> Aligner<'a> {
    pub fn new(model: &'a SphinxModel, dictionary: &'a Dictionary) -> Self {
        let phones = dictionary.phones().iter().map(|name| model.units().phone_id(name)).collect();
        Aligner { model, dictionary, phones, scorer: model.scorer(), scores: Vec::new() }
    }

    /// The phone of each frame; `None` if a word has no pronunciation or the words do not fit the recording.
    pub fn align(&mut self, features: &[[f32; 39]], words: &[String]) -> Option<Vec<PhoneId>> {
        let words: Vec<Vec<Vec<PhoneId>>> =
            words.iter().map(|word| self.pronunciations(word)).collect::<Option<_>>()?;
        let units = self.model.units();
        let mut network = Network { units, states: Vec::new(), first: Vec::new() };
        let mut exits = network.silence(&Exits::new(), true);
        for (index, word) in words.iter().enumerate() {
            // Across words the context is that of the neighbour's first pronunciation: close enough to find phones by.
            let left =
                index.checked_sub(1).map_or(units.silence(), |before| words[before][0][words[before][0].len() - 1]);
            let right = words.get(index + 1).map_or(units.silence(), |after| after[0][0]);
            let mut ends = Exits::new();
            for pronunciation in word {
                ends.extend(network.word(pronunciation, (left, right), &exits, index == 0));
            }
            let pause = network.silence(&ends, false);
            exits = [ends, pause].concat();
        }
        self.scores.clear();
        self.scorer.score(features, &mut self.scores);
        network.align(&self.scores, self.model.senone_count(), &exits)
    }

    /// A word's pronunciations in the model's phones; `None` if there are none.
    fn pronunciations(&self, word: &str) -> Option<Vec<Vec<PhoneId>>> {
        let known = self.dictionary.pronunciations(word).iter();
        let known: Vec<Vec<PhoneId>> =
            known.filter_map(|phones| phones.iter().map(|&phone| self.phones[usize::from(phone)]).collect()).collect();
        (!known.is_empty()).then_some(known)
    }
}

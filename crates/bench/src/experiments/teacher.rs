//! Custom models, made and used in this process by the code that the server uses.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use dictum_language::custom::corpus::{analyse, rules};
use dictum_language::custom::{Counts, Limits, Snapshot, Training};
use dictum_language::scoring::normalise;
use dictum_language::{Dictionary, Pronouncer, SoundsLike};
use dictum_models::customization::{CustomWord, Customization};
use dictum_models::package::{DEBIAN_DIRECTORY, Package, SphinxFiles};
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use dictum_models::tuning::Tuning;

use crate::Failure;

/// The base model and what words are said like.
pub struct Teacher {
    pub base: Arc<Recogniser>,
    pronouncer: Pronouncer,
    /// Words to choose from: those of the default model's dictionary.
    dictionary: Dictionary,
}

/// What a training makes.
pub struct Lesson {
    snapshot: Vec<u8>,
    words: Vec<CustomWord>,
}

impl Teacher {
    /// With the default model.
    pub fn new(tuning: Tuning) -> Result<Teacher, Failure> {
        let package = Package::debian(Path::new(DEBIAN_DIRECTORY));
        Teacher::with(Recogniser::load_tuned(&package, tuning)?)
    }

    /// With any English model.
    pub fn with(base: Recogniser) -> Result<Teacher, Failure> {
        let pronouncer = base.model().pronouncer(Some(SoundsLike::English)).ok_or("no pronunciations")?;
        let dictionary = Dictionary::open(SphinxFiles::debian(Path::new(DEBIAN_DIRECTORY)).dictionary)?;
        Ok(Teacher { base: Arc::new(base), pronouncer, dictionary })
    }

    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// ln p of a word in the base model; none if it is not in its vocabulary.
    pub fn frequency(&self, word: &str) -> Option<f32> {
        let lm = self.base.model().language_model();
        dictum_language::LanguageModel::vocabulary(&**lm).id(word).map(|id| lm.unigram(id))
    }

    /// How a word is said: names of phones.
    pub fn pronounce(&self, word: &str) -> Vec<Vec<String>> {
        self.pronouncer.pronounce(word)
    }

    /// A custom model of words and texts, ready to be used.
    pub fn teach(&self, words: &[&str], texts: &[&Path]) -> Result<Customization, Failure> {
        self.load(self.train(words, texts)?)
    }

    /// A custom model of words with what they sound like.
    pub fn teach_sounds(&self, words: &[(&str, &str)]) -> Result<Customization, Failure> {
        let mut training = Training::new(self.base.model().language_model());
        let mut taught = Vec::with_capacity(words.len());
        for &(word, sounds_like) in words {
            let pronunciations = self.pronouncer.sounds_like(sounds_like)?;
            let entry = CustomWord { word: word.to_owned(), display_as: None, pronunciations };
            training.user_word_with(word, entry.share());
            taught.push(entry);
        }
        let mut snapshot = Vec::new();
        training.write(&mut snapshot)?;
        self.load(Lesson { snapshot, words: taught })
    }

    /// Trains a custom model of words and texts. Words of the texts that the base model lacks are learnt, too.
    pub fn train(&self, words: &[&str], texts: &[&Path]) -> Result<Lesson, Failure> {
        let lm = self.base.model().language_model();
        let mut training = Training::new(lm);
        let mut taught = Vec::with_capacity(words.len());
        for word in words {
            let entry = self.word(word);
            training.user_word_with(word, entry.share());
            taught.push(entry);
        }
        for text in texts {
            let mut counts = Vec::new();
            let input = BufReader::new(File::open(text).map_err(|error| format!("{}: {error}", text.display()))?);
            let rules = rules("en-US").ok_or("there are no rules for English")?;
            analyse(input, rules, lm.shared_vocabulary(), Limits::default(), &mut counts)?;
            let mut counts = Counts::read(&counts[..], "counts")?;
            for new in &counts.summary().new_words {
                let entry = self.word(&new.word);
                if !entry.pronunciations.is_empty() {
                    training.text_word(&new.word);
                    taught.push(entry);
                }
            }
            training.text(&mut counts)?;
        }
        let mut bytes = Vec::new();
        training.write(&mut bytes)?;
        Ok(Lesson { snapshot: bytes, words: taught })
    }

    /// What was trained, as recognition uses it.
    pub fn load(&self, lesson: Lesson) -> Result<Customization, Failure> {
        let lm = self.base.model().language_model();
        let snapshot = Arc::new(Snapshot::parse(lesson.snapshot, lm.shared_vocabulary())?);
        Ok(Customization::new(&self.base, snapshot, &lesson.words, Vec::new()))
    }

    fn word(&self, word: &str) -> CustomWord {
        CustomWord { word: word.to_owned(), display_as: None, pronunciations: self.pronounce(word) }
    }
}

/// The words of a recording, as scoring compares them.
pub fn hear(recogniser: &Arc<Recogniser>, samples: &(Vec<f32>, Band)) -> Vec<String> {
    hear_with_confidence(recogniser, samples).0
}

/// The same, and the least confidence of its utterances.
pub fn hear_with_confidence(recogniser: &Arc<Recogniser>, (samples, band): &(Vec<f32>, Band)) -> (Vec<String>, f32) {
    let mut session = recogniser.session(*band, Options::default());
    let mut events = session.push(samples);
    events.extend(session.finish());
    let (mut text, mut least) = (String::new(), 1.0_f32);
    for event in &events {
        if let Event::Utterance(utterance) = event {
            text += &utterance.alternatives[0].text();
            text.push(' ');
            least = least.min(utterance.alternatives[0].confidence);
        }
    }
    (normalise(&text), least)
}

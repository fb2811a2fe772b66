//! Custom words and grammars on speech that flite synthesises.

use std::path::PathBuf;
use std::sync::Arc;

use dictum_language::custom::{Snapshot, Training};
use dictum_language::{Grammar, Pronouncer, SoundsLike};
use dictum_models::customization::{CustomWord, Customization};
use dictum_models::grammar::{GrammarNetwork, GrammarWord};
use dictum_models::package::{DEBIAN_DIRECTORY, Package};
use dictum_models::recogniser::{Band, Event, Options, Recogniser};

mod common;
use common::{can_speak, say};

struct Classroom {
    base: Arc<Recogniser>,
    pronouncer: Pronouncer,
}

impl Classroom {
    fn open(test: &str) -> Option<Classroom> {
        let directory = std::env::var_os("DICTUM_MODEL_DIR").map_or(PathBuf::from(DEBIAN_DIRECTORY), PathBuf::from);
        if !directory.join("en-us").exists() {
            println!("skipped: {test}: no model in {}", directory.display());
            return None;
        }
        if !can_speak(test) {
            return None;
        }
        let package = Package::debian(&directory);
        let base = Arc::new(Recogniser::load(&package).expect("the installed model loads"));
        let pronouncer = base.model().pronouncer(Some(SoundsLike::English)).expect("English has rules");
        Some(Classroom { base, pronouncer })
    }

    fn pronounce(&self, word: &str) -> Vec<Vec<String>> {
        self.pronouncer.pronounce(word)
    }

    fn teach(&self, words: &[CustomWord]) -> Customization {
        let lm = self.base.model().language_model();
        let mut training = Training::new(lm);
        for word in words {
            training.user_word_with(&word.word, word.share());
        }
        let mut bytes = Vec::new();
        training.write(&mut bytes).unwrap();
        let snapshot = Snapshot::parse(bytes, lm.shared_vocabulary()).unwrap();
        Customization::new(&self.base, Arc::new(snapshot), words, Vec::new())
    }

    fn grammar(&self, text: &str) -> Arc<Recogniser> {
        let grammar = Arc::new(Grammar::parse_abnf(text.as_bytes()).unwrap());
        let say = |word: &str| GrammarWord { pronunciations: self.pronounce(word), display_as: None };
        self.base.with_grammar(&GrammarNetwork::new(&self.base, grammar, &say))
    }
}

/// Text of all utterances and the least confidence.
fn hear(recogniser: &Arc<Recogniser>, samples: &[f32], chunk: usize) -> (String, f32) {
    let mut session = recogniser.session(Band::Broadband, Options::default());
    let mut events: Vec<Event> = samples.chunks(chunk).flat_map(|chunk| session.push(chunk)).collect();
    events.extend(session.finish());
    let (mut texts, mut least) = (Vec::new(), 1.0_f32);
    for event in events {
        if let Event::Utterance(utterance) = event {
            texts.push(utterance.alternatives[0].text());
            least = least.min(utterance.alternatives[0].confidence);
        }
    }
    (texts.join(" "), least)
}

#[test]
fn a_taught_word_is_recognised_and_written_as_it_is_to_be_displayed() {
    let Some(room) = Classroom::open("taught words") else { return };
    let samples = say("we asked velmoradine for help", "rms");
    let (before, _) = hear(&room.base, &samples, samples.len());
    assert!(!before.contains("velmoradine"), "{before}");
    let pronunciations = room.pronounce("velmoradine");
    let display_as = Some("Velmoradine®".to_owned());
    let word = CustomWord { word: "velmoradine".to_owned(), display_as, pronunciations };
    let custom = room.teach(&[word]);
    assert!(custom.pronunciation_count() > 0 && custom.size_bytes() > 0);
    let taught = room.base.customized(&custom, 0.3).unwrap();
    let (after, _) = hear(&taught, &samples, samples.len());
    assert!(after.contains("Velmoradine®"), "{after}");
    // The way the audio comes makes no difference, and neither does what else is recognised meanwhile.
    assert_eq!(hear(&room.base, &samples, samples.len()).0, before);
    assert_eq!(hear(&taught, &samples, 1_234).0, after);
    // At weight 0 it is the base model.
    let zero = room.base.customized(&custom, 0.0).unwrap();
    assert_eq!(hear(&zero, &samples, samples.len()).0, before);
}

#[test]
fn a_pronunciation_for_a_word_of_the_base_vocabulary_is_one_more() {
    let Some(room) = Classroom::open("new pronunciations") else { return };
    let samples = say("the green banana balloon is ready", "rms");
    let said = |text: &str| -> Vec<Vec<String>> { room.pronouncer.sounds_like(text).unwrap() };
    let pronunciations = said("banana balloon");
    let custom = room.teach(&[CustomWord { word: "project".to_owned(), display_as: None, pronunciations }]);
    let taught = room.base.customized(&custom, 0.5).unwrap();
    let (after, _) = hear(&taught, &samples, samples.len());
    assert!(after.contains("project"), "{after}");
    let plain = say("the project is ready", "rms");
    assert!(hear(&taught, &plain, plain.len()).0.contains("project"));
}

#[test]
fn a_grammar_recognises_its_phrases_and_doubts_others() {
    let Some(room) = Classroom::open("grammars") else { return };
    let commands = room.grammar(
        "#ABNF 1.0 UTF-8; language en-US; root $command; $command = turn (on | off) the (light | radio) | stop the music;",
    );
    for phrase in ["turn on the radio", "turn off the light", "stop the music"] {
        let samples = say(phrase, "rms");
        let (heard, confidence) = hear(&commands, &samples, 800);
        assert_eq!(heard, phrase);
        assert!(confidence > 0.5, "{phrase}: {confidence}");
    }
    for other in ["the committee will meet again next thursday afternoon", "bring me seven yellow umbrellas please"] {
        let samples = say(other, "rms");
        let (heard, confidence) = hear(&commands, &samples, 800);
        assert!(heard.is_empty() || confidence < 0.5, "{other}: {heard} {confidence}");
    }
}

/// Histories that end in the same words lead to different places.
#[test]
fn a_grammar_keeps_its_states_apart() {
    let Some(room) = Classroom::open("states of grammars") else { return };
    let grammar = room.grammar(
        "#ABNF 1.0 UTF-8; language en-US; root $r; $r = one two three four | nine two three six | seven two three <2> eight;",
    );
    for phrase in ["one two three four", "nine two three six", "seven two three three eight"] {
        let samples = say(phrase, "rms");
        assert_eq!(hear(&grammar, &samples, samples.len()).0, phrase);
    }
}

//! A neural model of tokens end to end, on speech that flite synthesises: the small one that belongs to the project.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dictum_decoder::result::EndOfUtterance;
use dictum_language::custom::{Snapshot, Training};
use dictum_language::scoring::align;
use dictum_language::{Grammar, Pronouncer, SoundsLike};
use dictum_models::customization::{CustomWord, Customization};
use dictum_models::grammar::{GrammarNetwork, GrammarWord};
use dictum_models::package::Package;
use dictum_models::recogniser::{Band, Event, Options, Recogniser};

mod common;
use common::{add_noise, can_speak, say};

struct Room {
    base: Arc<Recogniser>,
    pronouncer: Pronouncer,
}

/// The package of the project, or another one to try.
fn directory() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/en-digits-commands-names");
    std::env::var_os("DICTUM_CTC_MODEL").map_or(own, PathBuf::from)
}

impl Room {
    fn open(test: &str) -> Option<Room> {
        Room::of(test, &directory())
    }

    fn of(test: &str, directory: &Path) -> Option<Room> {
        if !can_speak(test) {
            return None;
        }
        let package = Package::open(directory).expect("a package");
        let base = Arc::new(Recogniser::load(&package).expect("it loads"));
        let pronouncer = base.model().pronouncer(Some(SoundsLike::English)).expect("tokens can always be written");
        Some(Room { base, pronouncer })
    }

    fn teach(&self, word: &str, sounds_like: &str) -> Customization {
        let pronunciations = self.pronouncer.sounds_like(sounds_like).unwrap();
        let display_as = Some(format!("{word}!"));
        let word = CustomWord { word: word.to_owned(), display_as, pronunciations };
        let lm = self.base.model().language_model();
        let mut training = Training::new(lm);
        training.user_word_with(&word.word, word.share());
        let mut bytes = Vec::new();
        training.write(&mut bytes).unwrap();
        let snapshot = Snapshot::parse(bytes, lm.shared_vocabulary()).unwrap();
        Customization::new(&self.base, Arc::new(snapshot), &[word], Vec::new())
    }

    fn grammar(&self, text: &str) -> Arc<Recogniser> {
        let grammar = Arc::new(Grammar::parse_abnf(text.as_bytes()).unwrap());
        let say = |word: &str| GrammarWord { pronunciations: self.pronouncer.pronounce(word), display_as: None };
        self.base.with_grammar(&GrammarNetwork::new(&self.base, grammar, &say))
    }
}

fn events(recogniser: &Arc<Recogniser>, samples: &[f32], chunk: usize, options: Options) -> Vec<Event> {
    let mut session = recogniser.session(Band::Broadband, options);
    let mut events: Vec<Event> = samples.chunks(chunk).flat_map(|chunk| session.push(chunk)).collect();
    events.extend(session.finish());
    events
}

/// Text of all utterances and the least confidence.
fn hear(recogniser: &Arc<Recogniser>, samples: &[f32]) -> (String, f32) {
    let (mut texts, mut least) = (Vec::new(), 1.0_f32);
    for event in events(recogniser, samples, samples.len(), Options::default()) {
        if let Event::Utterance(utterance) = event {
            texts.push(utterance.alternatives[0].text());
            least = least.min(utterance.alternatives[0].confidence);
        }
    }
    (texts.join(" "), least)
}

/// Sentences of what the model was made for; none of them is in its training by design, their words are.
const SENTENCES: [&str; 8] = [
    "one seven three nine two",
    "four five six eight zero",
    "the ace of spades",
    "stop",
    "queen of hearts",
    "turn on the light",
    "seven of clubs",
    "nine nine one five",
];

const VOICES: [&str; 2] = ["rms", "slt"];

#[test]
fn synthesised_commands_and_digits_are_recognised() {
    let Some(room) = Room::open("commands and digits") else { return };
    let (mut errors, mut words) = (0, 0);
    for sentence in SENTENCES {
        for voice in VOICES {
            let (heard, confidence) = hear(&room.base, &say(sentence, voice));
            let split =
                |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            errors += align(&split(sentence), &split(&heard)).errors().total();
            words += split(sentence).len();
            println!("{sentence} ({voice}): {heard} {confidence:.2}");
        }
    }
    println!("{errors} errors in {words} words");
    assert!(errors * 20 <= words, "{errors} errors in {words} words");
}

#[test]
fn results_are_consistent_however_the_audio_comes() {
    let Some(room) = Room::open("consistent results") else { return };
    let samples = say("one seven three nine two", "rms");
    let options = Options {
        max_alternatives: 5,
        confusion_network: true,
        keywords: vec!["seven three".to_owned(), "king".to_owned()],
        keywords_threshold: Some(0.3),
        interim_results: true,
        ..Options::default()
    };
    let whole = events(&room.base, &samples, samples.len(), options.clone());
    let pieces = events(&room.base, &samples, 1_234, options);
    let utterance = |events: &[Event]| {
        let found = events.iter().filter_map(|event| match event {
            Event::Utterance(utterance) => Some(utterance.clone()),
            _ => None,
        });
        found.collect::<Vec<_>>()
    };
    assert_eq!(utterance(&whole), utterance(&pieces));
    let utterances = utterance(&whole);
    let first = &utterances[0];
    assert!(first.alternatives.len() > 1, "{first:?}");
    let texts: Vec<String> = first.alternatives.iter().map(|alternative| alternative.text()).collect();
    assert!(texts.iter().enumerate().all(|(at, text)| !texts[..at].contains(text)), "{texts:?}");
    for word in &first.alternatives[0].words {
        assert!((0.0..=1.0).contains(&word.confidence) && word.start < word.end, "{word:?}");
    }
    for slot in &first.slots {
        let sum = slot.skip + slot.words.iter().map(|word| word.1).sum::<f32>();
        assert!((sum - 1.0).abs() < 0.01, "{slot:?}");
    }
    let found: Vec<usize> = first.keywords.iter().map(|hit| hit.keyword).collect();
    assert_eq!(found, [0], "{:?}", first.keywords);
    // WS-R9: before the final result there is an interim one.
    let interim = pieces.iter().position(|event| matches!(event, Event::Interim(_))).expect("an interim result");
    let end = pieces.iter().position(|event| matches!(event, Event::Utterance(_))).expect("a final result");
    assert!(interim < end);
}

#[test]
fn a_word_is_taught_by_what_it_sounds_like() {
    let Some(room) = Room::open("taught words") else { return };
    let samples = say("call seven ace", "rms");
    let (before, _) = hear(&room.base, &samples);
    assert!(!before.contains('!'), "{before}");
    let custom = room.teach("Zevenays", "seven ace");
    let (after, _) = hear(&room.base.customized(&custom, 0.8).unwrap(), &samples);
    assert!(after.contains("Zevenays!"), "{after} ({before})");
    assert_eq!(hear(&room.base.customized(&custom, 0.0).unwrap(), &samples).0, before);
}

#[test]
fn a_grammar_recognises_its_phrases_and_doubts_others() {
    let Some(room) = Room::open("grammars") else { return };
    let recogniser = room.grammar(
        "#ABNF 1.0 UTF-8; language en-US; root $cards; $cards = $rank of $suit; \
         $rank = ace | two | three | seven | jack | queen | king; $suit = clubs | diamonds | hearts | spades;",
    );
    for (phrase, voice) in [("queen of hearts", "rms"), ("seven of clubs", "slt"), ("jack of diamonds", "rms")] {
        let (heard, confidence) = hear(&recogniser, &say(phrase, voice));
        println!("{phrase}: {heard} {confidence}");
        assert_eq!(heard, phrase);
        assert!(confidence >= 0.5, "{phrase}: {confidence}");
    }
    for other in ["turn on the light in the other room please", "nine nine one five six"] {
        let (heard, confidence) = hear(&recogniser, &say(other, "rms"));
        println!("{other}: {heard} {confidence}");
        assert!(heard.is_empty() || confidence < 0.5, "{other}: {heard} {confidence}");
    }
}

/// What is in no list of words can still be spelt, as far as the model can.
#[test]
fn words_that_nobody_listed_are_spelt() {
    let Some(room) = Room::open("open vocabulary") else { return };
    let vocabulary = room.base.graph().lm.vocabulary();
    let (heard, _) = hear(&room.base, &say("zwanglovitch kept bumbling", "rms"));
    println!("{heard}");
    assert!(heard.split(' ').any(|word| vocabulary.id(word).is_none()), "{heard}");
}

/// A list of words will do instead of a language model.
#[test]
fn a_list_of_words_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.onnx", "tokens.txt"] {
        std::fs::copy(directory().join(file), folder.path().join(file)).unwrap();
    }
    std::fs::write(folder.path().join("words.txt"), "one\ntwo\nthree\nseven\nnine\n").unwrap();
    let manifest = "format = 1\nname = \"listed\"\nlanguage = \"en-US\"\nkind = \"ctc\"\nreleased = \"2026-11-22\"\n\
                    sample_rates = [16000]\n[files]\nwords = \"words.txt\"\n";
    std::fs::write(folder.path().join("package.toml"), manifest).unwrap();
    let Some(room) = Room::of("a list of words", folder.path()) else { return };
    assert!(room.base.graph().lm.vocabulary().id("four").is_none());
    assert_eq!(hear(&room.base, &say("one seven three nine two", "rms")).0, "one seven three nine two");
}

/// WS-R12: a pause ends a phrase also where everything sounds like speech to the detector, for the network hears that nothing is
/// said.
#[test]
fn the_network_hears_where_a_phrase_ends() {
    let Some(room) = Room::open("ends of phrases") else { return };
    let pause = vec![0.0; 48_000];
    let phrases = ["one seven three nine two", "queen of hearts"].map(|phrase| say(phrase, "rms"));
    let mut samples = [&phrases[0][..], &pause, &phrases[1], &pause, &pause].concat();
    add_noise(&mut samples, 0.003);
    for interim_results in [false, true] {
        // A sensitivity of one takes everything for speech.
        let deaf = Options { speech_detector_sensitivity: 1.0, interim_results, ..Options::default() };
        let heard: Vec<_> = events(&room.base, &samples, 4_000, deaf.clone())
            .into_iter()
            .filter_map(|event| if let Event::Utterance(utterance) = event { Some(utterance) } else { None })
            .collect();
        let texts: Vec<String> = heard.iter().map(|utterance| utterance.alternatives[0].text()).collect();
        println!("{texts:?}");
        assert!(heard.len() > 1 && texts[0].split(' ').count() >= 4, "{texts:?}");
        assert_eq!(heard[0].ended_by, EndOfUtterance::Silence);
        // The first phrase is over after some four seconds; the second begins three seconds later.
        let between = (phrases[0].len() as f64 + 24_000.0) / 16_000.0;
        assert!(heard[0].end < between && heard[1].start > between, "{} {}", heard[0].end, heard[1].start);
        let long = Options { end_of_phrase_silence_time: 8.0, ..deaf };
        let whole = events(&room.base, &samples, samples.len(), long);
        assert_eq!(whole.iter().filter(|event| matches!(event, Event::Utterance(_))).count(), 1);
    }
}

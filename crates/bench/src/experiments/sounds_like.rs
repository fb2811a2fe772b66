//! Words whose spelling misleads, taught with and without what they sound like: synthesised, and in recordings.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use dictum_audio::{ContentType, decode_all};
use dictum_language::scoring::normalise;
use dictum_models::recogniser::{Band, Recogniser};

use crate::Failure;
use crate::clips::Clip;
use crate::teacher::{Teacher, hear};

/// Names and acronyms that are not said as they are spelt, with what they sound like, in the notation of the API.
const WORDS: [(&str, &str); 30] = [
    ("ieee", "I. triple E."),
    ("ncaa", "N. C. double A."),
    ("hhonors", "hilton honors"),
    ("scsi", "scuzzy"),
    ("wysiwyg", "wizzy wig"),
    ("mysql", "my sequel"),
    ("postgresql", "post gress"),
    ("kubernetes", "koober nettys"),
    ("nginx", "engine ex"),
    ("jpeg", "jay peg"),
    ("gui", "gooey"),
    ("p2p", "peer to peer"),
    ("xiaomi", "shao me"),
    ("huawei", "wah way"),
    ("siobhan", "shiv awn"),
    ("saoirse", "seer shah"),
    ("niamh", "neeve"),
    ("aoife", "eefa"),
    ("caoimhe", "keeva"),
    ("eoghan", "owen"),
    ("cholmondeley", "chumly"),
    ("featherstonehaugh", "fan shaw"),
    ("mainwaring", "mannering"),
    ("beauchamp", "beach um"),
    ("wriothesley", "rizzly"),
    ("worcestershire", "wooster sheer"),
    ("quixote", "key ho tay"),
    ("hermes", "air mez"),
    ("nguyen", "new win"),
    ("oenophile", "eena file"),
];

/// Sentences around them.
const SENTENCES: [&str; 2] = ["we talked about WORD this morning", "please send the letter to WORD before tomorrow"];

/// Voices of flite.
const VOICES: [&str; 2] = ["rms", "slt"];

/// The same of words in the recordings.
const RECORDED: [(&str, &str); 16] = [
    ("sayonara", "sigh a nara"),
    ("tute", "toot"),
    ("nicobar", "nick o bar"),
    ("proastiakos", "pro asty ackos"),
    ("urquell", "or quell"),
    ("ejecutiva", "eh heck oo teeva"),
    ("arbroath", "are broth"),
    ("carotenoid", "ca rotten oid"),
    ("serpukhov", "sir poo koff"),
    ("darbepoetin", "darby po etin"),
    ("fayoum", "fie yoom"),
    ("praecipe", "press a pee"),
    ("capias", "kay pee us"),
    ("thwaites", "thwates"),
    ("guan", "gwan"),
    ("nucs", "nukes"),
];

/// How often a word was heard.
#[derive(Default)]
struct Recall {
    said: usize,
    heard: usize,
    /// How often each word was not.
    missed: BTreeMap<String, usize>,
}

impl Recall {
    fn count(&mut self, word: &str, heard: &[String]) {
        self.said += 1;
        // As scoring compares texts, "p2p" is three words.
        let wanted = normalise(word);
        match heard.windows(wanted.len()).any(|words| words == wanted) {
            true => self.heard += 1,
            false => *self.missed.entry(word.to_owned()).or_default() += 1,
        }
    }

    fn cell(&self) -> String {
        format!("{} of {} ({:.0} %)", self.heard, self.said, 100.0 * self.heard as f64 / self.said.max(1) as f64)
    }
}

/// Recall of the words untaught, taught by their spelling, and taught with what they sound like; all words of a list at once.
pub fn run(teacher: &Teacher, clips: &[Clip], weight: f32) -> Result<String, Failure> {
    let mut table =
        "| speech | words | untaught | taught by spelling | with `sounds_like` | missed then |\n|---|---|---|---|---|---|\n"
            .to_owned();
    let synthesised = recognisers(teacher, &WORDS, weight)?;
    let mut recall: [Recall; 3] = Default::default();
    for (word, sounds_like) in WORDS {
        let spoken = sounds_like.replace('.', "").to_lowercase();
        for sentence in SENTENCES {
            for voice in VOICES {
                let samples = (say(&sentence.replace("WORD", &spoken), voice)?, Band::Broadband);
                for (recall, recogniser) in recall.iter_mut().zip(&synthesised) {
                    recall.count(word, &hear(recogniser, &samples));
                }
            }
        }
    }
    table += &row("synthesised", WORDS.len(), &recall);
    let recorded = recognisers(teacher, &RECORDED, weight)?;
    let mut recall: [Recall; 3] = Default::default();
    for clip in clips {
        for (word, _) in RECORDED.iter().filter(|(word, _)| clip.reference.iter().any(|said| said == word)) {
            let samples = clip.samples()?;
            for (recall, recogniser) in recall.iter_mut().zip(&recorded) {
                recall.count(word, &hear(recogniser, &samples));
            }
        }
    }
    table += &row("recorded", RECORDED.len(), &recall);
    Ok(table)
}

fn row(speech: &str, words: usize, recall: &[Recall; 3]) -> String {
    let [base, spelling, sounds_like] = recall.each_ref().map(Recall::cell);
    let missed: Vec<_> = recall[2].missed.iter().map(|(word, times)| format!("{word} {times}")).collect();
    format!("| {speech} | {words} | {base} | {spelling} | {sounds_like} | {} |\n", missed.join(", "))
}

/// The base model, one that knows the words, and one that knows what they sound like.
fn recognisers(teacher: &Teacher, words: &[(&str, &str)], weight: f32) -> Result<[Arc<Recogniser>; 3], Failure> {
    let spelt: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let by_spelling = teacher.teach(&spelt, &[])?;
    let by_sound = teacher.teach_sounds(words)?;
    let base = &teacher.base;
    Ok([Arc::clone(base), base.customized(&by_spelling, weight)?, base.customized(&by_sound, weight)?])
}

/// A sentence in a voice of flite, 16 kHz, with half a second of silence around it.
fn say(text: &str, voice: &str) -> Result<Vec<f32>, Failure> {
    let file = tempfile::NamedTempFile::new()?;
    let flite = Command::new("flite").args(["-voice", voice, "-t", text, "-o"]).arg(file.path()).status();
    if !flite.map_err(|error| format!("this experiment needs flite: {error}"))?.success() {
        return Err(format!("flite does not say {text:?}").into());
    }
    let pause = vec![0.0; 8_000];
    Ok([&pause[..], &decode_all(&ContentType::Auto, 16_000, &std::fs::read(file.path())?)?, &pause].concat())
}

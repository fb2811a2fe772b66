//! What custom words cost: time to learn them, memory, and CPU in recognition.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use dictum_language::Grammar;
use dictum_models::grammar::{GrammarNetwork, GrammarWord};
use dictum_models::recogniser::Recogniser;

use crate::Failure;
use crate::clips::Clip;
use crate::teacher::{Teacher, hear};

/// CPU seconds of this process so far.
pub fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rfind(')').and_then(|at| text.get(at + 2..)).ok_or("no name in /proc/self/stat")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    Ok((ticks(11) + ticks(12)) / 100.0)
}

/// Teaches so many words that do not occur, and recognises the recordings.
pub fn run(teacher: &Teacher, clips: &[Clip], counts: &[usize]) -> Result<String, Failure> {
    let audio = clips.iter().map(Clip::samples).collect::<Result<Vec<_>, Failure>>()?;
    let seconds: f64 = audio.iter().map(|(samples, band)| samples.len() as f64 / f64::from(band.sample_rate())).sum();
    let cost = |recogniser: &Arc<Recogniser>| -> Result<f64, Failure> {
        let before = cpu_seconds()?;
        audio.iter().for_each(|samples| drop(hear(recogniser, samples)));
        Ok((cpu_seconds()? - before) / seconds)
    };
    // Once without counting: tables that all recordings share are made.
    cost(&teacher.base)?;
    let base = cost(&teacher.base)?;
    let mut table =
        "| words | trained | loaded | size | CPU s/s | against the base model |\n|---|---|---|---|---|---|\n"
            .to_owned();
    table += &format!("| none | | | | {base:.4} | 1.00 |\n");
    let words = words(teacher, counts.iter().copied().max().unwrap_or(0).max(ALTERNATIVES));
    for &count in counts {
        let words: Vec<&str> = words.iter().take(count).map(String::as_str).collect();
        let began = Instant::now();
        let lesson = teacher.train(&words, &[])?;
        let trained = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let custom = teacher.load(lesson)?;
        let loaded = began.elapsed().as_secs_f64();
        let recogniser = teacher.base.customized(&custom, 0.3)?;
        cost(&recogniser)?;
        let with_words = cost(&recogniser)?;
        let megabytes = custom.size_bytes() as f64 / 1e6;
        table += &format!(
            "| {} | {trained:.2} s | {loaded:.3} s | {megabytes:.0} MB | {with_words:.4} | {:.2} |\n",
            words.len(),
            with_words / base
        );
    }
    let grammar = one_of(&words);
    let say = |word: &str| GrammarWord { pronunciations: teacher.pronounce(word), display_as: None };
    let began = Instant::now();
    let grammar = Arc::new(Grammar::parse_abnf(grammar.as_bytes())?);
    let compiled = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let network = GrammarNetwork::new(&teacher.base, grammar, &say);
    let loaded = began.elapsed().as_secs_f64();
    let recogniser = teacher.base.with_grammar(&network);
    cost(&recogniser)?;
    let with_grammar = cost(&recogniser)?;
    table += &format!(
        "| grammar of {ALTERNATIVES} alternatives | {compiled:.3} s | {loaded:.3} s | | {with_grammar:.4} | {:.2} |\n",
        with_grammar / base
    );
    Ok(table)
}

/// Alternatives of the grammar that is measured.
const ALTERNATIVES: usize = 1_000;

/// A grammar of phrases of one to four words.
fn one_of(words: &[String]) -> String {
    let mut words = words.iter().cycle();
    let phrase = |at: usize| words.by_ref().take(1 + at % 4).cloned().collect::<Vec<_>>().join(" ");
    let phrases: Vec<String> = (0..ALTERNATIVES).map(phrase).collect();
    format!("#ABNF 1.0 UTF-8; language en-US; root $one; $one = {};", phrases.join(" | "))
}

/// Words that the base model does not know: those of the dictionary, then pairs of them in one.
pub fn words(teacher: &Teacher, most: usize) -> Vec<String> {
    let plain = |word: &str| word.len() > 2 && word.bytes().all(|letter| letter.is_ascii_lowercase());
    let known: Vec<&str> = teacher.dictionary().iter().map(|(word, _)| word).filter(|word| plain(word)).collect();
    let mut words: Vec<String> =
        known.iter().filter(|word| teacher.frequency(word).is_none()).map(|&word| word.to_owned()).collect();
    let pairs = known.iter().step_by(3).zip(known.iter().skip(7_001)).map(|(a, b)| format!("{a}{b}"));
    words.extend(pairs.filter(|word| word.len() < 20 && teacher.frequency(word).is_none()));
    let mut seen = HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words.truncate(most);
    words
}

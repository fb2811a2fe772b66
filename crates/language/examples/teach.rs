//! What a text teaches: `cargo run --release --example teach -- TEXT [LM] [COPIES]`.
//!
//! Every tenth line is held out. Prints the times of analysis and training, the size of the snapshot, and the perplexity of the
//! held-out lines by the base model, by models of this text alone, and interpolated. Words that neither model has are left out
//! of all figures. COPIES repeats the text so often, with words renamed here and there, to see how times grow.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use dictum_language::custom::corpus::{English, Part, TextRules, analyse};
use dictum_language::custom::{Counts, Interpolated, Limits, Mixture, SizeBound, Smoothing, Snapshot, Training};
use dictum_language::{LanguageModel, NgramModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = std::fs::read_to_string(arguments.next().ok_or("name a text")?)?;
    let lm = arguments.next().unwrap_or_else(|| "/usr/share/pocketsphinx/model/en-us/en-us.lm.bin".to_owned());
    let copies: usize = arguments.next().map_or(Ok(1), |copies| copies.parse())?;
    let base = Arc::new(NgramModel::open(lm)?);
    base.prepare();

    let lines = || text.lines().enumerate();
    let held_out: Vec<&str> = lines().filter(|(index, _)| index % 10 == 0).map(|(_, line)| line).collect();
    let mut taught: String = lines().filter(|(index, _)| index % 10 != 0).flat_map(|(_, line)| [line, "\n"]).collect();
    let mut random = 1u64;
    let original = taught.clone();
    for _ in 1..copies {
        for word in original.split_inclusive(char::is_whitespace) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Every fourth word is another one of the base vocabulary, so that n-grams become many.
            if random >> 62 == 0 && !word.ends_with('\n') {
                let id = (random >> 20) % base.vocabulary().len() as u64;
                taught += base.vocabulary().word(id as u32);
                taught.push(' ');
            } else {
                taught += word;
            }
        }
    }

    let clock = Instant::now();
    let mut counts = Vec::new();
    let summary = analyse(taught.as_bytes(), &English, base.shared_vocabulary(), Limits::default(), &mut counts)?;
    let (time, new_words) = (clock.elapsed(), summary.new_words.len());
    println!("{} words, {new_words} new, counted in {time:.2?}, {} KB", summary.words, counts.len() >> 10);

    for smoothing in [Smoothing::KneserNey, Smoothing::WittenBell] {
        let clock = Instant::now();
        let mut training = Training::new(&base);
        let mut counts = Counts::read(&counts[..], "counts")?;
        counts.summary().clone().new_words.iter().for_each(|new| {
            training.text_word(&new.word);
        });
        training.text(&mut counts)?;
        let mut file = tempfile::NamedTempFile::new()?;
        let mut out = std::io::BufWriter::new(&mut file);
        let trained = training.write_with(smoothing, SizeBound::default(), &mut out)?;
        out.flush()?;
        drop(out);
        println!(
            "{smoothing:?}: {} bigrams, {} trigrams in {:.2?}",
            trained.bigrams,
            trained.trigrams,
            clock.elapsed()
        );
        let clock = Instant::now();
        let custom = Arc::new(Snapshot::open(file.path(), base.shared_vocabulary())?);
        println!("  {} KB, opened in {:.1?}", custom.size_bytes() >> 10, clock.elapsed());
        perplexity("base model", &held_out, &*base, &custom);
        perplexity("this text alone", &held_out, &*custom, &custom);
        for weight in [0.1, 0.2, 0.3, 0.5, 0.7] {
            let mixture = Mixture { weight, ..Mixture::default() };
            let mixed = Interpolated::new(Arc::clone(&base), Arc::clone(&custom), mixture)?;
            perplexity(&format!("interpolated at {weight}"), &held_out, &mixed, &custom);
        }
    }
    Ok(())
}

/// Over words that both know; the end of each line counts.
fn perplexity(what: &str, lines: &[&str], model: &dyn LanguageModel, custom: &Snapshot) {
    let (mut sum, mut words, mut skipped, mut new) = (0.0, 0u64, 0u64, 0u64);
    let known = |word: &str| custom.vocabulary().id(&word.to_lowercase()).is_some();
    for line in lines {
        let mut state = model.start();
        English.words(line, &known, &mut |part| {
            let Part::Word(word) = part else { return };
            let id = custom.vocabulary().id(word).or_else(|| custom.vocabulary().id(&word.to_lowercase()));
            let Some(id) = id.filter(|&id| (id as usize) < model.vocabulary().len()) else {
                skipped += 1;
                return;
            };
            let (next, p) = model.step(state, id);
            state = next;
            if id >= custom.base_words() {
                new += 1;
                return;
            }
            sum += f64::from(p);
            words += 1;
        });
        sum += f64::from(model.end(state));
        words += 1;
    }
    println!("  {what}: perplexity {:.1} of {words} words ({new} new, {skipped} unknown)", (-sum / words as f64).exp());
}

//! Trains the grapheme-to-phoneme model of a dictionary, and says how good it is.
//!
//! ```text
//! cargo run --release -p dictum-language --example train_g2p -- [--held-out] [--dictionary FILE] [--output FILE]
//!                                                              [--order N] [--pruning NATS]
//! ```
//!
//! With `--held-out` every 20th word is kept from training, with all its alternates, and converted; a word is right when
//! it is one of the dictionary's pronunciations. Without it, all words are trained on and the model is written:
//! `crates/language/data/en-us.g2p` was made so from the dictionary of Debian's pocketsphinx-en-us.

use std::time::Instant;

use dictum_language::{Dictionary, G2p, G2pTraining, hold_out};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut dictionary = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict".to_owned();
    let mut output = concat!(env!("CARGO_MANIFEST_DIR"), "/data/en-us.g2p").to_owned();
    let (mut training, mut held_out) = (G2pTraining::default(), false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--held-out" => held_out = true,
            "--dictionary" => dictionary = value()?,
            "--output" => output = value()?,
            "--order" => training.order = value()?.parse()?,
            "--pruning" => training.pruning = value()?.parse()?,
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let dictionary = Dictionary::open(dictionary)?;
    if !held_out {
        let model = train(&dictionary, &training)?;
        std::fs::write(&output, model.to_bytes())?;
        println!("written to {output}");
        return Ok(());
    }
    let (rest, words) = hold_out(&dictionary, 20);
    let model = train(&Dictionary::parse(rest.as_bytes())?, &training)?;
    // What is judged is what is shipped: the model as its file rounds it.
    let model = G2p::parse(&model.to_bytes())?;
    for most in [1, 2, 3] {
        let clock = Instant::now();
        let accuracy = model.accuracy(&dictionary, words.iter().map(String::as_str), most);
        let seconds = clock.elapsed().as_secs_f64();
        let percent = |wrong: usize, all: usize| 100.0 * wrong as f64 / all.max(1) as f64;
        println!(
            "{} words held out, best of the first {most}: {:.1} % of words and {:.1} % of phones wrong, {:.0} words a second",
            accuracy.words,
            percent(accuracy.words_wrong, accuracy.words),
            percent(accuracy.phones_wrong, accuracy.phones),
            accuracy.words as f64 / seconds,
        );
    }
    Ok(())
}

fn train(dictionary: &Dictionary, training: &G2pTraining) -> Result<G2p, Box<dyn std::error::Error>> {
    let clock = Instant::now();
    let model = G2p::train(dictionary, training)?;
    println!(
        "{} pronunciations trained on in {:.1} s: {} n-grams, {} bytes",
        dictionary.pronunciation_count(),
        clock.elapsed().as_secs_f64(),
        model.ngram_count(),
        model.to_bytes().len()
    );
    Ok(model)
}

//! What searching costs beside the network of a neural model: a large lexicon, trigrams, custom words.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use dictum_language::NgramModel;
use dictum_models::acoustic::Acoustic;
use dictum_models::package::{CtcFiles, DEBIAN_DIRECTORY, Package, PackageFiles, SphinxFiles};
use dictum_models::recogniser::Recogniser;
use dictum_models::tuning::Tuning;
use dictum_neural::Mode;

use crate::Failure;
use crate::clips::Clip;
use crate::cost::{cpu_seconds, words};
use crate::teacher::{Teacher, hear};

/// What is measured.
pub struct Setting<'a> {
    /// The model package.
    pub package: &'a Path,
    /// Words of the lexicon.
    pub lexicon: usize,
    /// Custom words.
    pub words: usize,
    /// Beam of the search, if not the usual one.
    pub beam: Option<f32>,
}

/// CPU seconds for a second of audio: of the network alone on the recordings, of recognition with a list of words that nobody says,
/// with the lexicon and its trigrams, and with custom words beside it.
pub fn run(teacher: &Teacher, clips: &[Clip], setting: &Setting<'_>) -> Result<String, Failure> {
    let &Setting { package, lexicon, words: custom, beam } = setting;
    let mut tuning = Tuning::ctc();
    if let Some(beam) = beam {
        let share = beam / tuning.search.beam;
        let search = &mut tuning.search;
        let beams = [&mut search.beam, &mut search.phone_beam, &mut search.last_phone_beam, &mut search.word_beam];
        beams.into_iter().chain([&mut search.copy_beam]).for_each(|beam| *beam *= share);
    }
    let wide =
        |clip: &Clip| clip.samples().map(|(samples, band)| (band.sample_rate() == 16_000).then_some((samples, band)));
    let audio: Vec<_> = clips.iter().filter_map(|clip| wide(clip).transpose()).collect::<Result<_, Failure>>()?;
    let seconds: f64 = audio.iter().map(|(samples, _)| samples.len() as f64 / 16_000.0).sum();
    let load = |language_model: Option<&Path>| -> Result<Recogniser, Failure> {
        let language_model = language_model.map(Path::to_owned);
        let files = PackageFiles::Ctc(CtcFiles { network: package.to_owned(), language_model, words: None });
        let bare = Package::bare(package).ok_or("there is no neural model in the package's directory")?;
        Ok(Recogniser::load_tuned(&Package { files, ..bare }, tuning.clone())?)
    };
    let cost = |recogniser: &Arc<Recogniser>| -> Result<f64, Failure> {
        audio.iter().for_each(|samples| drop(hear(recogniser, samples)));
        let before = cpu_seconds()?;
        audio.iter().for_each(|samples| drop(hear(recogniser, samples)));
        Ok((cpu_seconds()? - before) / seconds)
    };
    let free = Arc::new(load(None)?);
    let network = encode(&free, audio.iter().map(|(samples, _)| &samples[..]))? / seconds;
    let spelling = cost(&free)?;
    let file = language_model(teacher, lexicon)?;
    let taught = Teacher::with(load(Some(file.path()))?)?;
    let with_lexicon = cost(&taught.base)?;
    let names = words(teacher, lexicon + custom);
    let names: Vec<&str> = names.iter().rev().take(custom).map(String::as_str).collect();
    let model = taught.teach(&names, &[])?;
    let with_words = cost(&taught.base.customized(&model, 0.3)?)?;
    let mut table = "| | CPU s/s | beside the network |\n|---|---|---|\n".to_owned();
    let rows = [
        ("network alone".to_owned(), network),
        ("no words, everything spelt".to_owned(), spelling),
        (format!("{lexicon} words, trigrams"), with_lexicon),
        (format!("{lexicon} words, trigrams, {} custom words", names.len()), with_words),
    ];
    for (name, cost) in rows {
        let _ = writeln!(table, "| {name} | {cost:.4} | {:+.4} |", cost - network);
    }
    Ok(table)
}

/// CPU seconds of scoring all recordings.
fn encode<'a>(recogniser: &Recogniser, audio: impl Iterator<Item = &'a [f32]>) -> Result<f64, Failure> {
    let Acoustic::Tokens(spelt) = recogniser.model().acoustic() else { return Err("no neural model".into()) };
    let mut stream = spelt.model.stream(Mode::Final);
    let mut scores = Vec::new();
    let before = cpu_seconds()?;
    for samples in audio {
        scores.clear();
        stream.push(samples, &mut scores)?;
        stream.finish(&mut scores)?;
    }
    Ok(cpu_seconds()? - before)
}

/// The default language model with so many words more that the lexicon has as many as wanted, all of them rare.
fn language_model(teacher: &Teacher, lexicon: usize) -> Result<tempfile::NamedTempFile, Failure> {
    let base = NgramModel::open(SphinxFiles::debian(Path::new(DEBIAN_DIRECTORY)).language_model)?;
    let more = words(teacher, lexicon.saturating_sub(base.count(1)));
    let mut arpa = Vec::new();
    base.write_arpa(&mut arpa)?;
    let arpa = String::from_utf8(arpa)?;
    let count = format!("ngram 1={}", base.count(1));
    let arpa = arpa.replacen(&count, &format!("ngram 1={}", base.count(1) + more.len()), 1);
    let (head, tail) = arpa.split_once("\n\\2-grams:").ok_or("no bigrams")?;
    let mut file = tempfile::NamedTempFile::new()?;
    let mut out = std::io::BufWriter::new(file.as_file_mut());
    out.write_all(head.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    for word in more {
        writeln!(out, "-7.0 {word}")?;
    }
    out.write_all(b"\n\\2-grams:")?;
    out.write_all(tail.as_bytes())?;
    out.flush()?;
    drop(out);
    Ok(file)
}

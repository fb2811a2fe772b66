//! Reading the files of a package.

use std::fmt::Write;
use std::path::Path;

use dictum_acoustic::{NarrowbandMap, SphinxModel};
use dictum_language::{Dictionary, NgramModel, parse_arpa};
use dictum_neural::{CtcModel, Options, Runtime};

use crate::acoustic::{Acoustic, Phones, Spelt};
use crate::package::{CtcFiles, PackageFiles, SphinxFiles};

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Largest list of words that is read, bytes.
const LARGEST_LIST: u64 = 64 << 20;

/// Reads the acoustic model and the language model of a package; a network is run by `runtime`.
pub fn load(files: &PackageFiles, runtime: Runtime) -> Result<(Acoustic, NgramModel), BoxedError> {
    match files {
        PackageFiles::Sphinx(files) => load_sphinx(files),
        PackageFiles::Ctc(files) => load_ctc(files, runtime),
    }
}

fn load_sphinx(files: &SphinxFiles) -> Result<(Acoustic, NgramModel), BoxedError> {
    let broadband = SphinxModel::load(&files.acoustic)?;
    let dictionary = Dictionary::open(&files.dictionary)?.into();
    let fillers = Dictionary::open(&files.noise_dictionary)?;
    let lm = NgramModel::open(&files.language_model)?;
    let map = match &files.narrowband_map {
        Some(path) => NarrowbandMap::parse(&std::fs::read(path)?)?,
        None => NarrowbandMap::us_english(),
    };
    let narrowband = broadband.narrowband(&map)?;
    Ok((Acoustic::Phones(Box::new(Phones { broadband, narrowband, dictionary, fillers })), lm))
}

fn load_ctc(files: &CtcFiles, runtime: Runtime) -> Result<(Acoustic, NgramModel), BoxedError> {
    let options = Options { runtime, ..Options::default() };
    let spelt = Spelt::new(CtcModel::open_with(&files.network, options)?)
        .map_err(|problem| format!("{}: {problem}", files.network.display()))?;
    let lm = match (&files.language_model, &files.words) {
        (Some(path), _) => NgramModel::open(path)?,
        (None, Some(path)) => equally_likely(path)?,
        (None, None) => parse_arpa(unigrams([].into_iter()).as_bytes())?,
    };
    Ok((Acoustic::Tokens(spelt), lm))
}

/// A language model in which all words of a list are equally likely.
fn equally_likely(path: &Path) -> Result<NgramModel, BoxedError> {
    let name = path.display();
    if std::fs::metadata(path)?.len() > LARGEST_LIST {
        return Err(format!("{name}: too long for a list of words ({} megabytes at most)", LARGEST_LIST >> 20).into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut words: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if let Some(odd) = words.iter().find(|word| word.contains(char::is_whitespace)) {
        return Err(format!("{name}: {odd:?} is more than one word; a line is to hold one").into());
    }
    words.sort_unstable();
    words.dedup();
    Ok(parse_arpa(unigrams(words.into_iter()).as_bytes())?)
}

/// ARPA text of a model of these words and the end of a sentence, which is as likely after every word as after ten on average.
fn unigrams<'a>(words: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = words.len();
    let mut text = format!("\\data\\\nngram 1={}\n\n\\1-grams:\n-99 <s>\n-1 </s>\n", count + 2);
    let share = (0.9 / count.max(1) as f64).log10();
    for word in words {
        let _ = writeln!(text, "{share:.6} {word}");
    }
    text + "\n\\end\\\n"
}

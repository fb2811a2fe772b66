//! Recognises the clips of a manifest with chosen beams and weights, and prints the word error rate and the cost.
//!
//! ```text
//! cargo run --release -p dictum-models --example tune -- MANIFEST [every=N] [skip=N] [KEY=VALUE ...]
//! ```
//!
//! The manifest is a TSV with a header and the columns `path` (16 kHz mono 16-bit WAV, relative to it), `transcript`
//! and, optionally, `source`. Keys are the fields of `Tuning` and `SearchConfig`; several values separated by commas
//! run one after the other. Confidences are calibrated by `dictum eval --calibrate`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dictum_language::scoring::{align, normalise};
use dictum_models::package::{DEBIAN_DIRECTORY, Package, PackageFiles, SphinxFiles};
use dictum_models::recogniser::{Band, Event, Options, Recogniser};
use dictum_models::tuning::Tuning;

struct Clip {
    path: PathBuf,
    reference: Vec<String>,
    source: String,
}

fn clips(manifest: &Path) -> Vec<Clip> {
    let text = std::fs::read_to_string(manifest).expect("the manifest can be read");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("the manifest has a header").split('\t').collect();
    let column = |name: &str| header.iter().position(|column| *column == name);
    let (path, transcript) = (column("path").expect("path"), column("transcript").expect("transcript"));
    let source = column("source");
    lines
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|row| Clip {
            path: manifest.parent().unwrap_or(Path::new(".")).join(row[path]),
            reference: normalise(row[transcript]),
            source: source.map_or(String::new(), |source| row[source].to_owned()),
        })
        .collect()
}

fn samples(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    bytes[44..].chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect()
}

fn set(tuning: &mut Tuning, key: &str, value: &str) {
    let number: f32 = value.parse().unwrap_or_else(|_| panic!("{key}={value} is not a number"));
    match key {
        "beam" => tuning.search.beam = number,
        "phone_beam" => tuning.search.phone_beam = number,
        "last_phone_beam" => tuning.search.last_phone_beam = number,
        "word_beam" => tuning.search.word_beam = number,
        "max_active" => tuning.search.max_active = number as usize,
        "lm_weight" => tuning.search.lm_weight = number,
        "word_penalty" => tuning.search.word_penalty = number,
        "silence_penalty" => tuning.search.silence_penalty = number,
        "filler_penalty" => tuning.search.filler_penalty = number,
        "i_beam" => tuning.interim.beam = number,
        "i_phone_beam" => tuning.interim.phone_beam = number,
        "i_last_phone_beam" => tuning.interim.last_phone_beam = number,
        "i_word_beam" => tuning.interim.word_beam = number,
        "i_max_active" => tuning.interim.max_active = number as usize,
        "i_lm_weight" => tuning.interim.lm_weight = number,
        "i_word_penalty" => tuning.interim.word_penalty = number,
        "pla" => tuning.search.phone_look_ahead = number as usize,
        "plw" => tuning.search.phone_look_ahead_weight = number,
        "copy_beam" => tuning.search.copy_beam = number,
        "llw" => tuning.lattice_lm_weight = number,
        "lwp" => tuning.lattice_word_penalty = number,
        "sensitivity" | "end_silence" | "interim" => {}
        "lattice_beam" => tuning.lattice_beam = number,
        "posterior_scale" => tuning.posterior_scale = number,
        "mbr" => tuning.minimum_bayes_risk = number != 0.0,
        _ => panic!("unknown key {key}"),
    }
}

fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = text[text.rfind(')').expect("a name") + 2..].split(' ').collect();
    (fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime")) / 100.0
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let manifest = PathBuf::from(arguments.next().expect("usage: tune MANIFEST [KEY=VALUE ...]"));
    let (mut every, mut skip, mut band) = (1, 0, Band::Broadband);
    let mut map = None;
    let mut settings: Vec<(String, Vec<String>)> = Vec::new();
    for argument in arguments {
        let (key, value) = argument.split_once('=').expect("KEY=VALUE");
        match key {
            "every" => every = value.parse().expect("a number"),
            "map" => map = Some(PathBuf::from(value)),
            "skip" => skip = value.parse().expect("a number"),
            "band" => band = if value == "8000" { Band::Narrowband } else { Band::Broadband },
            _ => settings.push((key.to_owned(), value.split(',').map(str::to_owned).collect())),
        }
    }
    let clips: Vec<Clip> = clips(&manifest).into_iter().skip(skip).step_by(every).collect();
    let audio: Vec<Vec<f32>> = clips.iter().map(|clip| samples(&clip.path)).collect();
    let seconds: f64 = audio.iter().map(|samples| samples.len() as f64).sum::<f64>() / f64::from(band.sample_rate());
    let combinations: usize = settings.iter().map(|setting| setting.1.len()).product();
    for combination in 0..combinations {
        let mut tuning = Tuning::default();
        let mut options = Options::default();
        let mut rest = combination;
        let mut title = String::new();
        for (key, values) in &settings {
            let value = &values[rest % values.len()];
            rest /= values.len();
            set(&mut tuning, key, value);
            title += &format!("{key}={value} ");
            match key.as_str() {
                "sensitivity" => options.speech_detector_sensitivity = value.parse().expect("a number"),
                "interim" => options.interim_results = value != "0",
                "end_silence" => options.end_of_phrase_silence_time = value.parse().expect("a number"),
                _ => {}
            }
        }
        let files = SphinxFiles { narrowband_map: map.clone(), ..SphinxFiles::debian(Path::new(DEBIAN_DIRECTORY)) };
        let package = Package { files: PackageFiles::Sphinx(files), ..Package::debian(Path::new(DEBIAN_DIRECTORY)) };
        let started = Instant::now();
        let recogniser = Arc::new(Recogniser::load_tuned(&package, tuning).expect("the model loads"));
        let loaded = started.elapsed().as_secs_f64();
        run(&title, &recogniser, band, &options, &clips, &audio, seconds, loaded);
    }
}

#[expect(clippy::too_many_arguments, reason = "a report of everything there is")]
fn run(
    title: &str,
    recogniser: &Arc<Recogniser>,
    band: Band,
    options: &Options,
    clips: &[Clip],
    audio: &[Vec<f32>],
    seconds: f64,
    loaded: f64,
) {
    let before = cpu_seconds();
    let mut by_source: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let (mut hmms, mut frames, mut records) = (0, 0, 0);
    let (mut substitutions, mut insertions, mut deletions) = (0, 0, 0);
    let mut interims = Interims::default();
    for (clip, samples) in clips.iter().zip(audio) {
        let mut session = recogniser.session(band, options.clone());
        // As from a live source: what is done while waiting for more audio is done here, too.
        let pieces = samples.chunks(if options.interim_results {
            band.sample_rate() as usize / 20
        } else {
            samples.len().max(1)
        });
        let mut events: Vec<Event> = Vec::new();
        for (piece, end) in pieces.scan(0, |end, piece| {
            *end += piece.len();
            Some((piece, *end))
        }) {
            for event in session.push(piece) {
                interims.take(&event, end as f64 / f64::from(band.sample_rate()));
                events.push(event);
            }
        }
        events.extend(session.finish());
        interims.clip(&events, &clip.reference);
        let done = session.statistics();
        (hmms, frames, records) = (hmms + done.hmms, frames + done.frames, records + done.records);
        let words: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Utterance(utterance) => Some(&utterance.alternatives[0].words),
                Event::SpeechBegin { .. } | Event::Interim(_) => None,
            })
            .flatten()
            .collect();
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let hypothesis = normalise(&text);
        let alignment = align(&clip.reference, &hypothesis);
        let errors = alignment.errors();
        let entry = by_source.entry(&clip.source).or_default();
        entry.0 += errors.substitutions + errors.insertions + errors.deletions;
        entry.1 += clip.reference.len();
        substitutions += errors.substitutions;
        insertions += errors.insertions;
        deletions += errors.deletions;
        if std::env::var_os("SHOW").is_some() {
            println!(
                "{} {:?}\n  ref {}\n  hyp {}",
                clip.path.display(),
                session.heard(),
                clip.reference.join(" "),
                hypothesis.join(" ")
            );
        }
    }
    let cpu = cpu_seconds() - before;
    let (errors, words) = by_source.values().fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    println!(
        "{title}| WER {:.2} ({substitutions} sub {insertions} ins {deletions} del of {words}) | {:.4} CPU s/s | load {loaded:.2} s",
        100.0 * errors as f64 / words as f64,
        cpu / seconds
    );
    if options.interim_results {
        interims.print(words);
    }
    print!("  {} hmms/frame {} records/frame", hmms / frames.max(1), records / frames.max(1));
    for (source, (errors, words)) in by_source {
        print!("  {source} {:.1}", 100.0 * errors as f64 / words as f64);
    }
    println!();
}

/// What there is to say of interim results.
#[derive(Default)]
struct Interims {
    /// Words told in interim results: how often one was there, and how often one was gone or another in the next.
    told: usize,
    taken_back: usize,
    errors: usize,
    previous: Vec<String>,
    /// Seconds from the end of a word to its first mention.
    delays: Vec<f64>,
}

impl Interims {
    fn take(&mut self, event: &Event, now: f64) {
        match event {
            Event::SpeechBegin { .. } => self.previous.clear(),
            Event::Utterance(_) => self.previous.clear(),
            Event::Interim(interim) => {
                let words: Vec<String> = interim.words.iter().map(|word| word.text.clone()).collect();
                let same = words.iter().zip(&self.previous).take_while(|(a, b)| a == b).count();
                self.taken_back += self.previous.len() - same;
                self.told += words.len() - same;
                if self.previous.is_empty() {
                    self.delays.push(now - interim.words[0].end);
                }
                self.previous = words;
            }
        }
    }

    fn clip(&mut self, events: &[Event], reference: &[String]) {
        let mut text = String::new();
        let mut last = String::new();
        for event in events {
            match event {
                Event::Interim(interim) => {
                    last = interim.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
                }
                Event::SpeechBegin { .. } | Event::Utterance(_) => text += &format!("{} ", std::mem::take(&mut last)),
            }
        }
        let errors = align(reference, &normalise(&text)).errors();
        self.errors += errors.substitutions + errors.insertions + errors.deletions;
    }

    fn print(mut self, words: usize) {
        self.delays.sort_by(f64::total_cmp);
        let at = |part: f64| self.delays.get((self.delays.len() as f64 * part) as usize).copied().unwrap_or(0.0);
        println!(
            "  interim: WER {:.2}, {} words told, {:.1} % taken back, first word after its end: median {:.2} s, 95 % {:.2} s",
            100.0 * self.errors as f64 / words as f64,
            self.told,
            100.0 * self.taken_back as f64 / self.told.max(1) as f64,
            at(0.5),
            at(0.95)
        );
    }
}

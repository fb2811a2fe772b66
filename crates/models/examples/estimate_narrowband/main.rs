//! Estimates a narrowband map: what a wideband model's Gaussians are over the cepstra of telephone speech.
//!
//! ```text
//! cargo run --release -p dictum-models --example estimate_narrowband -- MANIFEST OUTPUT
//! ```
//!
//! The manifest is a TSV with a header and the columns `path` (anything `ffmpeg` reads, of more than telephone bandwidth,
//! relative to it) and `transcript`. The model is Debian's US English one.
//!
//! Each recording is heard twice: at the model's rate, and as a telephone would carry it, at half the rate in mu-law, in turn
//! through a sharp band-pass of 300 to 3400 Hz, a gentle one, and none. The transcript is aligned with the wideband features,
//! so that the phone of each frame is known. For each phone and kind of feature the narrowband features are regressed on
//! the wideband ones. Every fifth recording is held out; the file says how much of the variance is explained there.

mod align;
mod regression;
mod telephone;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use dictum_acoustic::{FrontEnd, FrontEndConfig, NarrowbandMap, PhoneMap, SphinxModel, cepstral_mean, features};
use dictum_decoder::endpoint::{EndpointConfig, Endpointer, FRAME_SECONDS, SpeechDetector};
use dictum_language::Dictionary;
use dictum_language::scoring::normalise;
use dictum_models::package::{DEBIAN_DIRECTORY, SphinxFiles};

use align::Aligner;
use regression::Regression;

/// Natural log of the energy added to every band: a little less than what mu-law leaves of the quietest samples it can tell
/// from silence.
const FLOOR: f32 = 3.0;
/// Fewest frames from which a phone gets rows of its own.
const FEWEST_FRAMES: usize = 300;
/// Every so many recordings one is held out.
const HELD_OUT: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(manifest), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: estimate_narrowband MANIFEST OUTPUT".into());
    };
    let files = SphinxFiles::debian(Path::new(DEBIAN_DIRECTORY));
    let model = SphinxModel::load(&files.acoustic)?;
    let dictionary = Dictionary::open(&files.dictionary)?;
    let bands = model.front_end().narrowband_bands();
    let narrowband = model.front_end().clone().with_narrowband(bands, FLOOR, &[0.0; 13])?;
    let mut aligner = Aligner::new(&model, &dictionary);
    let mut regressions = vec![Regression::default(); model.units().phone_count()];
    let mut held_out = Vec::new();
    let (mut used, mut frames) = (0, 0);
    let mut means = [0.0f64; 13];
    let recordings = recordings(&manifest)?;
    for (index, (path, transcript)) in recordings.iter().enumerate() {
        let channel = &telephone::CHANNELS[index % telephone::CHANNELS.len()];
        let (wide, _) = heard(model.front_end(), &decode(path, 16_000)?);
        let (narrow, mean) = heard(&narrowband, &telephone::line(&decode(path, 8_000)?, channel));
        // Words without a pronunciation, or a transcript longer than the recording.
        let Some(phones) = aligner.align(&wide, &normalise(transcript)) else { continue };
        if index % HELD_OUT == HELD_OUT - 1 {
            held_out.push((phones, wide, narrow));
            continue;
        }
        for ((&phone, wide), narrow) in phones.iter().zip(&wide).zip(&narrow) {
            regressions[usize::from(phone)].add(wide, narrow);
        }
        means.iter_mut().zip(mean).for_each(|(sum, mean)| *sum += f64::from(mean));
        (used, frames) = (used + 1, frames + phones.len());
        if std::io::stderr().is_terminal() {
            eprint!("\r{} of {} recordings", index + 1, recordings.len());
        }
    }
    let mut all = Regression::default();
    regressions.iter().for_each(|regression| all.merge(regression));
    let own = |(phone, regression): (usize, &Regression)| {
        let name = model.units().phone_name(phone as u8).to_owned();
        (regression.frames() >= FEWEST_FRAMES).then(|| Ok((name, regression.solve()?)))
    };
    let phones =
        regressions.iter().enumerate().filter_map(own).collect::<Result<BTreeMap<String, PhoneMap>, String>>()?;
    let map = NarrowbandMap::new(
        bands,
        FLOOR,
        means.map(|sum| regression::rounded(sum / f64::from(used))),
        all.solve()?,
        phones,
    )?;
    let mut text = format!(
        "# What the Gaussians of the US English model are over telephone speech (8 kHz).\n\
         # Estimated by crates/models/examples/estimate_narrowband from {used} recordings ({:.0} minutes) of read and\n\
         # crowd-sourced English, heard at 16 kHz and through telephone lines in turn of 300-3400 Hz sharply, gently and\n\
         # not at all limited, mu-law.\n",
        frames as f64 / model.front_end().frame_rate() / 60.0
    );
    let shares = regression::explained(&map, model.units(), &held_out);
    text += &format!(
        "# Share of the variance of cepstra, differences and second differences explained on {} other recordings:\n# {}\n",
        held_out.len(),
        shares.map(|share| format!("{share:.3}")).join(" ")
    );
    print!("{text}");
    std::fs::write(output, text + &map.to_text())?;
    Ok(())
}

/// Paths and transcripts.
fn recordings(manifest: &Path) -> Result<Vec<(PathBuf, String)>, Box<dyn Error>> {
    let text = std::fs::read_to_string(manifest)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        header.iter().position(|column| *column == name).ok_or_else(|| format!("the manifest has no column {name}"))
    };
    let (path, transcript) = (column("path")?, column("transcript")?);
    let folder = manifest.parent().unwrap_or(Path::new("."));
    let rows = lines.map(|line| {
        let row: Vec<&str> = line.split('\t').collect();
        match (row.get(path), row.get(transcript)) {
            (Some(path), Some(transcript)) => Ok((folder.join(path), (*transcript).to_owned())),
            _ => Err(format!("{line:?} has too few columns").into()),
        }
    });
    rows.collect()
}

/// The features of a recording as a session computes them, less the cepstral mean of its speech; and that mean.
fn heard(config: &FrontEndConfig, samples: &[f32]) -> (Vec<[f32; 39]>, [f32; 13]) {
    let mut cepstra = Vec::new();
    let mut front_end = FrontEnd::new(config);
    front_end.push(samples, &mut cepstra);
    front_end.finish(&mut cepstra);
    let mut activities = Vec::new();
    SpeechDetector::new(config.sample_rate() as u32).push(samples, &mut activities);
    let mut endpointer = Endpointer::new(EndpointConfig::default());
    let speech: Vec<bool> = activities.into_iter().map(|activity| endpointer.push(activity).0).collect();
    let is_speech = |frame: usize| {
        let at = (frame as f64 / config.frame_rate() / FRAME_SECONDS) as usize;
        speech.get(at).copied().unwrap_or(false)
    };
    let spoken: Vec<[f32; 13]> =
        cepstra.iter().enumerate().filter(|(frame, _)| is_speech(*frame)).map(|(_, frame)| *frame).collect();
    let mean = cepstral_mean(if spoken.is_empty() { &cepstra } else { &spoken });
    (features(&cepstra, &mean), mean)
}

/// Samples of a recording at a rate, mono.
fn decode(path: &Path, rate: u32) -> Result<Vec<f32>, Box<dyn Error>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", &rate.to_string(), "-f", "s16le", "-"])
        .output()?;
    if !output.status.success() {
        std::io::stderr().write_all(&output.stderr)?;
        return Err(format!("ffmpeg cannot decode {}", path.display()).into());
    }
    let pairs = output.stdout.chunks_exact(2);
    Ok(pairs.map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect())
}

//! What the speakers say: recordings one after another, each followed by a pause.

use std::path::Path;

use dictum_audio::{ContentType, Decoder};

use crate::Failure;

/// Sampling rate of what is sent, Hz.
pub const RATE: usize = 16_000;

/// Pause after each recording, seconds: longer than the end-of-phrase silence of 0.8 s, and than what delays the final result.
const PAUSE: f64 = 2.0;

/// For each speaker, 16-bit little-endian samples.
pub struct Recordings {
    /// What each says.
    pub speakers: Vec<Vec<u8>>,
}

impl Recordings {
    /// Reads recordings until every speaker has `seconds` to say. With fewer, speakers say the same from another place on.
    pub fn read(manifest: &Path, speakers: usize, seconds: f64) -> Result<Recordings, Failure> {
        let text = std::fs::read_to_string(manifest)
            .map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
        let mut lines = text.lines();
        let column = lines.next().and_then(|header| header.split('\t').position(|name| name == "path"));
        let column = column.ok_or_else(|| format!("{} has no column \"path\"", manifest.display()))?;
        let folder = manifest.parent().unwrap_or(Path::new("."));
        let mut paths: Vec<_> = lines.filter_map(|line| Some(folder.join(line.split('\t').nth(column)?))).collect();
        spread(&mut paths);
        let mut clips = paths.iter().cycle().take(8 * paths.len().max(1));
        let wanted = (seconds * RATE as f64) as usize * 2;
        let mut all = Vec::new();
        for _ in 0..speakers {
            let mut said = Vec::new();
            while said.len() < wanted {
                let path = clips.next().ok_or("the manifest has too few recordings")?;
                said.extend(decode(path)?);
                said.resize(said.len() + (PAUSE * RATE as f64) as usize * 2, 0);
            }
            all.push(said);
        }
        Ok(Recordings { speakers: all })
    }
}

/// Manifests are sorted by source: takes every thirty-first in turn, so that speakers differ.
fn spread<T>(items: &mut Vec<T>) {
    let mut columns: Vec<Vec<T>> = (0..31).map(|_| Vec::new()).collect();
    for (index, item) in items.drain(..).enumerate() {
        columns[index % 31].push(item);
    }
    items.extend(columns.into_iter().flatten());
}

fn decode(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot decode {}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(&error))?;
    let mut decoder = Decoder::new(&ContentType::parse(None)?, RATE as u32).allow_upsampling(true);
    let mut samples = decoder.push(&bytes).map_err(|error| failed(&error))?;
    samples.extend(decoder.finish().map_err(|error| failed(&error))?);
    Ok(samples
        .iter()
        .flat_map(|sample| ((sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16).to_le_bytes())
        .collect())
}

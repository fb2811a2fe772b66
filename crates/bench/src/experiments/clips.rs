//! Recordings with known words.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use dictum_audio::{ContentType, Decoder};
use dictum_language::scoring::normalise;
use dictum_models::recogniser::Band;

use crate::Failure;

/// A recording.
pub struct Clip {
    pub path: PathBuf,
    /// Its words as scoring compares them.
    pub reference: Vec<String>,
    /// The folder it lies in, which tells what kind of recording it is.
    pub set: String,
}

impl Clip {
    /// The recordings of a manifest: tab-separated, with a header and the columns `path` and `transcript`.
    pub fn all(manifest: &Path) -> Result<Vec<Clip>, Failure> {
        let text = std::fs::read_to_string(manifest)
            .map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let column = |name: &str| {
            let found = header.iter().position(|column| *column == name);
            found.ok_or_else(|| format!("{} has no column {name:?}", manifest.display()))
        };
        let (path, transcript) = (column("path")?, column("transcript")?);
        let directory = manifest.parent().unwrap_or(Path::new("."));
        let rows = lines.map(|line| line.split('\t').collect::<Vec<_>>());
        let clips = rows.filter(|row| row.len() == header.len()).map(|row| {
            let path = directory.join(row[path]);
            let set = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
            Clip { path, reference: normalise(row[transcript]), set }
        });
        Ok(clips.collect())
    }

    /// Its samples, and the band to hear them in: telephone recordings as such.
    pub fn samples(&self) -> Result<(Vec<f32>, Band), Failure> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        let bytes = std::fs::read(&self.path).map_err(|error| failed(&error))?;
        let chosen = Arc::new(OnceLock::new());
        let choose = {
            let chosen = Arc::clone(&chosen);
            let band = |rate: u32| if rate < 16_000 { Band::Narrowband } else { Band::Broadband };
            move |rate| chosen.get_or_init(|| band(rate)).sample_rate()
        };
        let mut samples = Vec::new();
        let mut take = |piece: &[f32]| {
            samples.extend_from_slice(piece);
            ControlFlow::Continue(())
        };
        let mut decoder = Decoder::adaptive(&ContentType::Auto, choose).allow_upsampling(true);
        decoder.push_to(&bytes, &mut take).map_err(|error| failed(&error))?;
        decoder.finish_to(&mut take).map_err(|error| failed(&error))?;
        Ok((samples, chosen.get().copied().unwrap_or(Band::Broadband)))
    }
}

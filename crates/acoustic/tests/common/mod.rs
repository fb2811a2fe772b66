//! What several test programs need: the installed model, recordings, signals made here, and Sphinx's own tools.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod tiny;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The US English model, or `None` with a line that says what is skipped.
pub fn model_dir(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DICTUM_MODEL_DIR").unwrap_or_else(|| "/usr/share/pocketsphinx/model/en-us".into());
    let dir = Path::new(&root).join("en-us");
    if dir.join("mdef").exists() {
        return Some(dir);
    }
    println!("skipped: {test}: no model in {}; install pocketsphinx-en-us or set DICTUM_MODEL_DIR", dir.display());
    None
}

/// Whether a program can be started; says what is skipped when not.
pub fn tool(test: &str, name: &str, package: &str) -> bool {
    let found = Command::new(name).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        println!("skipped: {test}: {name} is not installed (Debian package {package})");
    }
    found
}

/// Development recordings, or `None` with a line that says what is skipped.
pub fn shared_audio(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DICTUM_SHARED_AUDIO")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio"));
    if root.join("en/manifest.tsv").exists() {
        return Some(root);
    }
    println!("skipped: {test}: no recordings; set DICTUM_SHARED_AUDIO");
    None
}

/// `count` development recordings at 16 kHz, each of another source. Empty, with a line that says what is skipped, when
/// there are no recordings or ffmpeg is missing.
pub fn clips(test: &str, count: usize) -> Vec<Vec<f32>> {
    let Some(root) = shared_audio(test) else { return Vec::new() };
    if !tool(test, "ffmpeg", "ffmpeg") {
        return Vec::new();
    }
    let manifest = std::fs::read_to_string(root.join("en/manifest.tsv")).expect("manifest");
    let mut paths: Vec<&str> = manifest.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    paths.dedup_by_key(|path| path.split('/').next().unwrap_or("").to_string());
    paths.iter().take(count).map(|path| read_audio(&root.join("en").join(path), 16_000)).collect()
}

/// Decodes any audio file with ffmpeg.
pub fn read_audio(path: &Path, rate: u32) -> Vec<f32> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", &rate.to_string(), "-f", "s16le", "-"])
        .output()
        .expect("ffmpeg");
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    from_pcm(&output.stdout)
}

/// Little-endian 16-bit samples as numbers.
pub fn from_pcm(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect()
}

/// Numbers as little-endian 16-bit samples.
pub fn to_pcm(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|&sample| ((sample * 32_768.0).round() as i16).to_le_bytes()).collect()
}

/// Deterministic numbers from 0 to 1 (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }
}

/// Something like speech: gliding harmonics that come and go, over noise; whole 16-bit steps.
pub fn synthetic_speech(seconds: f32) -> Vec<f32> {
    let mut random = Random::new(7);
    let mut phase = 0.0f64;
    (0..(seconds * 16_000.0) as usize)
        .map(|n| {
            let t = n as f64 / 16_000.0;
            phase += 2.0 * std::f64::consts::PI * (120.0 + 40.0 * (3.0 * t).sin()) / 16_000.0;
            let voiced: f64 = (1..30).map(|k| (phase * f64::from(k)).sin() / f64::from(k)).sum();
            let loudness = (2.0 * std::f64::consts::PI * 1.5 * t).sin().max(0.0);
            let value = 0.15 * loudness * voiced + 0.004 * f64::from(random.next() - 0.5);
            ((value * 32_768.0).round() / 32_768.0) as f32
        })
        .collect()
}

/// The cepstra of a whole stream.
pub fn cepstra(config: &dictum_acoustic::FrontEndConfig, samples: &[f32]) -> Vec<[f32; 13]> {
    let mut front_end = dictum_acoustic::FrontEnd::new(config);
    let mut out = Vec::new();
    front_end.push(samples, &mut out);
    front_end.finish(&mut out);
    out
}

//! Sounds for tests: speech that flite synthesises, and noise. All at 16 kHz, full scale ±1.
#![allow(dead_code)] // no test uses all of it

use std::process::Command;

/// Whether flite is there; if not, says that `test` is skipped.
pub fn can_speak(test: &str) -> bool {
    let there = Command::new("flite").arg("--version").output().is_ok();
    if !there {
        println!("skipped: {test}: no flite");
    }
    there
}

/// A text as a voice of flite says it.
pub fn speak(text: &str, voice: &str) -> Vec<f32> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let spoken = Command::new("flite").args(["-voice", voice, "-t", text, "-o"]).arg(file.path()).status().unwrap();
    assert!(spoken.success());
    let bytes = std::fs::read(file.path()).unwrap();
    bytes[44..].as_chunks().0.iter().map(|pair| f32::from(i16::from_le_bytes(*pair)) / 32_768.0).collect()
}

/// The same with half a second of silence before and behind it.
pub fn say(text: &str, voice: &str) -> Vec<f32> {
    let pause = vec![0.0; 8_000];
    [&pause[..], &speak(text, voice), &pause].concat()
}

/// Adds noise of an even level, as of a fan, from a generator of random numbers.
pub fn add_noise(samples: &mut [f32], level: f32) {
    let mut state = 1_u32;
    for sample in samples {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample += level * ((state >> 8) as f32 / (1 << 23) as f32 - 1.0);
    }
}

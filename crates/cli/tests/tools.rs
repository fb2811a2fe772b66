//! The commands that need no server.

mod common;

use std::path::Path;

use common::{SPEECH, can_run, command, dictum, fraction_heard, speak, stderr, stdout};
use serde_json::Value;

const SENTENCE: &str = "we will go to the city on monday and come back on friday";
const OTHER: &str = "the president of the united states will speak on the radio tonight";

fn path(file: &Path) -> String {
    file.display().to_string()
}

#[test]
fn files_are_transcribed_in_every_format() {
    if !can_run("files_are_transcribed_in_every_format", &[SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (first, second) =
        (path(&speak(work.path(), "first.wav", SENTENCE)), path(&speak(work.path(), "second.wav", OTHER)));

    let output = dictum(&["transcribe", &first, &second, "--format", "tsv"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "nobody watches, so there is no progress bar");
    let text = stdout(&output);
    let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
    assert_eq!([lines[0].0, lines[1].0], [&first, &second]);
    assert!(fraction_heard(SENTENCE, lines[0].1) >= 0.5, "{text}");
    assert!(fraction_heard(OTHER, lines[1].1) >= 0.5, "{text}");
    let transcript = lines[0].1;

    let parallel = dictum(&["transcribe", &first, &second, "--format", "tsv", "--jobs", "2"]);
    assert_eq!(stdout(&parallel), text, "the number of threads changes nothing");

    let plain = stdout(&dictum(&["transcribe", &first]));
    assert_eq!(plain.split_whitespace().collect::<Vec<_>>().join(" "), transcript);
    let json: Value = serde_json::from_str(&stdout(&dictum(&["transcribe", &first, "--format", "json"]))).unwrap();
    assert_eq!(json["transcript"], transcript);
    let words = json["utterances"][0]["alternatives"][0]["words"].as_array().unwrap();
    let times: Vec<f64> =
        words.iter().flat_map(|word| [word["start"].as_f64().unwrap(), word["end"].as_f64().unwrap()]).collect();
    let seconds = json["audio_seconds"].as_f64().unwrap();
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6) && times[times.len() - 1] <= seconds, "{times:?}");
    let ctm = stdout(&dictum(&["transcribe", &first, "--format", "ctm"]));
    assert_eq!(ctm.lines().count(), transcript.split_whitespace().count());
    assert!(ctm.starts_with("first 1 "), "{ctm}");

    let subtitles = work.path().join("subtitles");
    let output = dictum(&["transcribe", &first, &second, "--format", "vtt", "--output-dir", &path(&subtitles)]);
    assert!(output.status.success() && stdout(&output).is_empty(), "{}", stderr(&output));
    assert!(std::fs::read_to_string(subtitles.join("second.vtt")).unwrap().starts_with("WEBVTT\n\n1\n00:00:0"));
    let output = dictum(&["transcribe", &first, &second, "--format", "srt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--output-dir"), "{}", stderr(&output));
}

#[test]
fn a_file_that_fails_does_not_stop_the_others() {
    if !can_run("a_file_that_fails_does_not_stop_the_others", &[SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let good = path(&speak(work.path(), "good.wav", SENTENCE));
    let bad = work.path().join("bad.wav");
    std::fs::write(&bad, "this is no audio at all, but long enough to be looked at. ".repeat(20)).unwrap();
    let output = dictum(&["transcribe", &path(&bad), &path(&work.path().join("absent.wav")), &good, "--format", "tsv"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = stderr(&output);
    assert!(errors.contains("cannot decode") && errors.contains("bad.wav"), "{errors}");
    assert!(errors.contains("cannot read") && errors.contains("absent.wav"), "{errors}");
    assert!(errors.contains("2 of 3 files could not be transcribed"), "{errors}");
    let text = stdout(&output);
    assert!(text.starts_with(&format!("{good}\t")) && text.lines().count() == 1, "{text}");
}

#[test]
fn standard_input_raw_audio_and_decoding() {
    if !can_run("standard_input_raw_audio_and_decoding", &[SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = path(&speak(work.path(), "speech.wav", SENTENCE));
    let wav = path(&work.path().join("16k.wav"));
    assert!(dictum(&["decode", &speech, "-o", &wav]).status.success());
    let bytes = std::fs::read(&wav).unwrap();
    assert_eq!((&bytes[..4], &bytes[24..28]), (b"RIFF".as_slice(), 16_000u32.to_le_bytes().as_slice()));
    assert_eq!(dictum(&["decode", &speech]).stdout, bytes, "standard output gets the same");

    let raw = work.path().join("speech.raw");
    std::fs::write(&raw, &bytes[44..]).unwrap();
    let ty = "audio/l16;rate=16000;endianness=little-endian";
    let from_raw = command()
        .args(["transcribe", "-", "--content-type", ty])
        .stdin(std::fs::File::open(&raw).unwrap())
        .output()
        .unwrap();
    assert!(from_raw.status.success(), "{}", stderr(&from_raw));
    assert_eq!(stdout(&from_raw), stdout(&dictum(&["transcribe", &wav])));
    let unknown = dictum(&["transcribe", &wav, "--content-type", "audio/tape"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(stderr(&unknown).contains("--content-type"), "{}", stderr(&unknown));
}

fn manifest(work: &Path) -> String {
    speak(work, "a.wav", SENTENCE);
    speak(work, "b.wav", OTHER);
    let manifest = work.join("manifest.tsv");
    let text = format!("path\tvoice\ttranscript\na.wav\tone\t{SENTENCE}.\nb.wav\ttwo\t{}!\n", OTHER.to_uppercase());
    std::fs::write(&manifest, text).unwrap();
    path(&manifest)
}

#[test]
fn evaluation_tells_errors_speed_and_memory() {
    if !can_run("evaluation_tells_errors_speed_and_memory", &[SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let manifest = manifest(work.path());
    let details = path(&work.path().join("details.tsv"));
    let output = dictum(&["eval", &manifest, "--json", "--by", "voice", "--details", &details]);
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("{key} in {json:#}"));
    assert_eq!(number("words"), 25.0);
    assert_eq!(number("errors"), number("substitutions") + number("insertions") + number("deletions"));
    assert!((number("word_error_rate") - number("errors") / 25.0).abs() < 1e-9);
    assert!(number("word_error_rate") < 0.5, "{json:#}");
    assert!(number("audio_seconds") > 3.0 && number("cpu_seconds") > 0.0 && number("wall_seconds") > 0.0);
    assert!(number("peak_rss_bytes") > 1e7);
    let interval = json["word_error_rate_interval"].as_array().unwrap();
    assert!(
        interval[0].as_f64() <= json["word_error_rate"].as_f64()
            && json["word_error_rate"].as_f64() <= interval[1].as_f64()
    );
    assert_eq!(json["by"]["voice"]["one"]["words"], 13);

    let details = std::fs::read_to_string(details).unwrap();
    assert_eq!(details.lines().count(), 3, "{details}");
    assert!(details.starts_with("path\terrors\twords\treference\trecognised\na.wav\t"), "{details}");

    let few = dictum(&["eval", &manifest, "--calibrate", "--first", "1"]);
    assert!(stderr(&few).contains("words are too few"), "{}", stderr(&few));
    let rows = std::fs::read_to_string(&manifest).unwrap();
    let (header, clips) = rows.split_once('\n').unwrap();
    let many = work.path().join("many.tsv");
    std::fs::write(&many, format!("{header}\n{}", clips.repeat(3))).unwrap();
    let enough = stdout(&dictum(&["eval", &path(&many), "--calibrate"]));
    assert!(enough.contains("for package.toml   calibration = [[0.0, 0.0], ["), "{enough}");

    let text = stdout(&dictum(&["eval", &manifest, "--by", "voice", "--telephone"]));
    for expected in [
        "word error rate",
        "substitutions",
        "95 % interval",
        "real-time factor",
        "CPU time",
        "peak memory",
        "telephone line",
        "VOICE",
    ] {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    let column = dictum(&["eval", &manifest, "--by", "accent"]);
    assert_eq!(column.status.code(), Some(2));
    assert!(stderr(&column).contains("path, voice, transcript"), "{}", stderr(&column));
}

#[test]
fn transcripts_of_others_are_scored_alike() {
    let work = tempfile::tempdir().unwrap();
    let manifest = work.path().join("manifest.tsv");
    std::fs::write(&manifest, "path\ttranscript\na.wav\tMr. Smith's 3 dogs\nb.wav\tyes\n").unwrap();
    let given = work.path().join("given.tsv");
    std::fs::write(&given, "a.wav\tmister smith's tree dogs\nb.wav\t\n").unwrap();
    let output = dictum(&["eval", &path(&manifest), "--hypotheses", &path(&given), "--json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(
        (json["words"].as_u64(), json["substitutions"].as_u64(), json["deletions"].as_u64()),
        (Some(5), Some(1), Some(1))
    );
    std::fs::write(&given, "a.wav\tx\n").unwrap();
    let output = dictum(&["eval", &path(&manifest), "--hypotheses", &path(&given)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no transcript of b.wav"), "{}", stderr(&output));
}

#[test]
fn models_are_listed_shown_and_checked() {
    if !can_run("models_are_listed_shown_and_checked", &[]) {
        return;
    }
    let listed = stdout(&dictum(&["models", "list"]));
    assert_eq!(listed.lines().count(), 7, "{listed}");
    assert!(listed.contains("en-US_BroadbandModel (default)"), "{listed}");
    let all: Value = serde_json::from_str(&stdout(&dictum(&["models", "list", "--all", "--json"]))).unwrap();
    assert_eq!(all["models"].as_array().unwrap().len(), 89);
    assert!(stdout(&dictum(&["models", "show", "en-US_Telephony"])).contains("8 kHz and up"));
    let missing = dictum(&["models", "show", "de-DE_Telephony"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("Requested model is not available"), "{}", stderr(&missing));

    let check = dictum(&["models", "check", "--json"]);
    assert!(check.status.success(), "{}", stderr(&check));
    let check: Value = serde_json::from_str(&stdout(&check)).unwrap();
    assert_eq!(check["packages"][0]["good"], true);
}

#[test]
fn a_damaged_model_is_found_and_refused() {
    if !can_run("a_damaged_model_is_found_and_refused", &[]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let copy = work.path().join("model");
    std::fs::create_dir_all(copy.join("en-us")).unwrap();
    let from = common::model_directory();
    for file in ["cmudict-en-us.dict", "en-us.lm.bin"] {
        std::os::unix::fs::symlink(from.join(file), copy.join(file)).unwrap();
    }
    for file in ["mdef", "variances", "transition_matrices", "feat.params", "sendump", "noisedict"] {
        std::os::unix::fs::symlink(from.join("en-us").join(file), copy.join("en-us").join(file)).unwrap();
    }
    let directory = path(&copy);
    let check = |expected: &str| {
        let output = dictum(&["models", "check", "--model-dir", &directory]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        assert!(stdout(&output).contains(expected), "{expected:?} in {}", stdout(&output));
    };
    check("missing");
    let means = std::fs::read(from.join("en-us/means")).unwrap();
    std::fs::write(copy.join("en-us/means"), &means[..means.len() / 2]).unwrap();
    check("means");
    let mut flipped = means.clone();
    flipped[means.len() / 2] ^= 0x10;
    std::fs::write(copy.join("en-us/means"), flipped).unwrap();
    check("means");
    std::fs::write(copy.join("en-us/means"), means).unwrap();
    assert!(dictum(&["models", "check", "--model-dir", &directory]).status.success());
}

#[test]
fn command_line_and_configuration_mistakes() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("dictum.toml");
    std::fs::write(&file, "[server]\nlisten = \"here\"\n").unwrap();
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["transcribe"], 2, "FILE"),
        (vec!["dance"], 2, "unrecognized subcommand"),
        (vec!["config", "--set", "nonsense"], 1, "KEY=VALUE"),
        (vec!["config", "--set", "log.levle=debug"], 1, "did you mean \"log.level\""),
        (vec!["config", "--config", file.to_str().unwrap()], 1, "server.listen \"here\" must be HOST:PORT"),
        (vec!["config", "--config", "/absent.toml"], 1, "cannot read the configuration file /absent.toml"),
        (vec!["eval", "/absent.tsv"], 1, "cannot read /absent.tsv"),
    ];
    for (arguments, status, expected) in cases {
        let output = dictum(&arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
        assert!(stdout(&output).is_empty(), "{arguments:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&dictum(&["completions", shell])).contains("transcribe"), "{shell}");
    }
}

//! Custom models whose processes are killed in the middle of an analysis or a training: afterwards they are as they were, or what they
//! would have become, and nothing in between.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use dictum_store::StoreConfig;
use dictum_testbed::Postgres;
use serde_json::Value;

use crate::common::{SPEECH, can_run, dictum, speak, stderr, stdout};
use crate::fleet::{Fleet, Random};
use crate::{LIMIT, nothing_is_left, number};

/// Lines of a corpus: its analysis and the training take long enough to be killed in the middle of.
const LINES: usize = 100_000;
/// Words that the base vocabulary lacks.
const NEW_WORDS: usize = 100;
const SENTENCE: &str = "we will go to the city on monday";

#[test]
fn kill_while_teaching_on_sqlite() {
    if can_run("kill_while_teaching_on_sqlite", &["curl", SPEECH]) {
        rounds(StoreConfig::embedded);
    }
}

#[test]
fn kill_while_teaching_on_postgres() {
    if !can_run("kill_while_teaching_on_postgres", &["curl", SPEECH]) {
        return;
    }
    let Some(postgres) = Postgres::start("kill_while_teaching_on_postgres") else { return };
    rounds(|data| StoreConfig { database: postgres.new_database(), ..StoreConfig::embedded(data) });
}

fn rounds(new_store: impl Fn(&Path) -> StoreConfig) {
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let store = new_store(&data);
    let arguments = ["--database", &store.database, "--blobs", &store.blobs].map(str::to_owned);
    let seed = number("DICTUM_KILL_SEED", std::process::id() as usize) as u64;
    let mut lesson = Lesson::new(work.path(), &arguments, seed);
    let calm = lesson.teach(None);
    println!("without kills: {:.1} s of analysis, {:.1} s of training; seed {seed}", calm.analysis, calm.training);
    for round in 0..number("DICTUM_KILL_ROUNDS", 1) {
        let killed = lesson.teach(Some(&calm));
        println!("round {}: {} kills in the middle of it", round + 1, killed.interrupted);
        assert!(killed.interrupted > 0, "nothing was killed in the middle of anything");
        assert_eq!(killed.content, calm.content);
    }
    drop(lesson);
    nothing_is_left(&store);
}

/// What came of teaching a model.
struct Taught {
    /// Words, corpora, and what is heard with it, after the first training and after the second.
    content: Vec<Value>,
    /// Seconds until it was done.
    analysis: f64,
    training: f64,
    /// Kills after which it was still to be done.
    interrupted: usize,
}

struct Lesson {
    fleet: Fleet,
    key: String,
    random: Random,
    corpora: [String; 2],
    recording: String,
}

impl Lesson {
    fn new(work: &Path, arguments: &[String], seed: u64) -> Lesson {
        let data = work.join("data").display().to_string();
        let arguments_of_keys: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let created = dictum(&[&["keys", "create", "--data", &data], &arguments_of_keys[..]].concat());
        assert!(created.status.success(), "{}", stderr(&created));
        let mut random = Random::new(seed);
        let corpora = ["first", "second"].map(|name| {
            let path = work.join(name);
            std::fs::write(&path, corpus(&mut random)).unwrap();
            format!("@{}", path.display())
        });
        Lesson {
            fleet: Fleet::start(work, arguments, 1, 1),
            key: stdout(&created).trim().to_owned(),
            random,
            corpora,
            recording: format!("@{}", speak(work, "speech.wav", SENTENCE).display()),
        }
    }

    /// Makes a model and teaches it two corpora, training after each. With the durations of a calm lesson, all processes are killed
    /// somewhere in the middle of every step.
    fn teach(&mut self, calm: Option<&Taught>) -> Taught {
        let new = r#"{"name": "lesson", "base_model_name": "en-US_BroadbandModel"}"#;
        let made =
            self.fleet.ask(&self.key, &["-H", "Content-Type: application/json", "-d", new], "/v1/customizations");
        let model = format!("/v1/customizations/{}", made["customization_id"].as_str().unwrap());
        let mut taught = Taught { content: Vec::new(), analysis: 0.0, training: 0.0, interrupted: 0 };
        for (number, corpus) in self.corpora.clone().iter().enumerate() {
            let text = format!("{model}/corpora/text{number}");
            self.begin(&["-H", "Content-Type: text/plain", "--data-binary", corpus], &text);
            let limits = ["being_processed", "analyzed"];
            taught.analysis = self.finish(&text, limits, calm.map(|calm| calm.analysis), &mut taught.interrupted);
            // What was trained before is what is recognised with until the next training is done.
            if let Some(before) = taught.content.last().cloned() {
                assert_eq!(self.heard(&model), before);
            }
            self.begin(&["-X", "POST"], &format!("{model}/train"));
            let limits = ["training", "available"];
            taught.training = self.finish(&model, limits, calm.map(|calm| calm.training), &mut taught.interrupted);
            for list in ["words", "corpora"] {
                taught.content.push(self.fleet.ask(&self.key, &[], &format!("{model}/{list}")));
            }
            taught.content.push(self.heard(&model));
        }
        taught
    }

    /// Asks for something that takes its time. Asked twice, because the first answer was lost, it is refused.
    fn begin(&self, arguments: &[&str], target: &str) {
        let answer = self.fleet.attempt(&self.key, arguments, target);
        let was_begun = answer.body.contains("already exists") || answer.body.contains("No input data available");
        let done = matches!(answer.status, 200 | 201 | 409) || answer.status == 400 && was_begun;
        assert!(done, "{target} was answered {}: {}", answer.status, answer.body);
    }

    /// Waits until something has come from the first state to the second without ever being in another. Seconds it took.
    fn finish(&mut self, target: &str, [before, after]: [&str; 2], calm: Option<f64>, interrupted: &mut usize) -> f64 {
        let began = Instant::now();
        if let Some(seconds) = calm {
            let into = (self.random.next() % 800) as f64 / 1_000.0;
            std::thread::sleep(Duration::from_secs_f64(seconds * into));
            self.fleet.kill_all();
            let there = self.fleet.ask(&self.key, &[], target);
            *interrupted += usize::from(there["status"] == before);
        }
        loop {
            let there = self.fleet.ask(&self.key, &[], target);
            if there["status"] == after {
                return began.elapsed().as_secs_f64();
            }
            assert!(there["status"] == before && began.elapsed() < LIMIT, "{there}\n{}", self.fleet.logs());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn heard(&self, model: &str) -> Value {
        let id = model.rsplit('/').next().unwrap_or_default();
        let target = format!("/v1/recognize?language_customization_id={id}&customization_weight=0.5");
        let mut answer =
            self.fleet.ask(&self.key, &["-H", "Content-Type: audio/wav", "--data-binary", &self.recording], &target);
        assert!(answer["results"][0]["alternatives"][0]["transcript"].as_str().is_some(), "{answer}");
        answer["results"].take()
    }
}

/// Sentences that nobody says, of words that there are and words that there are not.
fn corpus(random: &mut Random) -> String {
    const WORDS: [&str; 12] =
        ["we", "will", "go", "to", "the", "city", "on", "monday", "and", "come", "back", "friday"];
    const SYLLABLES: [&str; 8] = ["zy", "qua", "ver", "tri", "mol", "fen", "gro", "pli"];
    let mut text = String::new();
    for _ in 0..LINES {
        for _ in 0..10 {
            let number = random.next() as usize;
            match number % 25 {
                0 => {
                    let new = number / 25 % NEW_WORDS;
                    let _ =
                        write!(text, "{}{}{} ", SYLLABLES[new % 8], SYLLABLES[new / 8 % 8], SYLLABLES[new / 64 % 8]);
                }
                known => {
                    let _ = write!(text, "{} ", WORDS[(known * 7 + number / 625) % WORDS.len()]);
                }
            }
        }
        text.push('\n');
    }
    text
}

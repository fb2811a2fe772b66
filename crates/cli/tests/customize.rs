//! Custom language models made by the command: in the local store, and on a server by HTTP and HTTPS.

mod common;

use std::path::{Path, PathBuf};

use common::{SPEECH, Server, can_run, command, dictum, speak, stderr, stdout};
use serde_json::Value;

const SENTENCE: &str = "we will go to the city on monday and come back on friday";
/// The word that transcripts of the sentence have, and how they are taught to write it.
const TAUGHT: (&str, &str) = ("monday", "MoonDay");

/// Files with words, text and a grammar.
struct Lesson {
    words: String,
    corpus: String,
    grammar: String,
}

impl Lesson {
    fn new(directory: &Path) -> Lesson {
        let file = |name: &str, text: &str| -> String {
            let path: PathBuf = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let (word, written) = TAUGHT;
        Lesson {
            words: file("words.txt", &format!("{word}\t\t{written}\nhhonors\thilton honors|h honors\tHHonors\n")),
            corpus: file("travel.txt", "We will go to the city on Monday.\nThe hhonors lounge is open on Friday.\n"),
            grammar: file(
                "days.abnf",
                &format!(
                    "#ABNF 1.0 UTF-8;\nlanguage en-US;\nmode voice;\nroot $main;\n$main = {SENTENCE} | nothing at all;\n"
                ),
            ),
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_model_is_taught_and_used_in_the_local_store() {
    if !can_run("a_model_is_taught_and_used_in_the_local_store", &[SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (data, lesson) = (work.path().join("data").display().to_string(), Lesson::new(work.path()));
    let customize = |arguments: &[&str]| dictum(&[&["customize", "--data", &data], arguments].concat());

    let nothing = customize(&["list"]);
    assert!(stderr(&nothing).contains("there are no custom models in"), "{}", stderr(&nothing));
    assert!(!Path::new(&data).exists(), "a mistyped directory is not made");

    let Lesson { words, corpus, grammar } = &lesson;
    let made = customize(&["create", "Travel", "--words", words, "--corpus", corpus, "--grammar", grammar, "--train"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let id = stdout(&made).trim().to_owned();
    assert_eq!(id.len(), 36, "only the id is printed: {id}");
    let told = stderr(&made);
    assert!(told.contains("2 words added") && told.contains("corpus travel added: 15 words"), "{told}");
    assert!(told.contains("grammar days added: ") && told.contains("trained"), "{told}");

    let shown: Value = serde_json::from_str(&stdout(&customize(&["show", "Travel", "--json"]))).unwrap();
    assert_eq!(shown["model"]["status"], "available", "{shown}");
    assert_eq!((&shown["corpora"][0]["name"], &shown["grammars"][0]["name"]), (&"travel".into(), &"days".into()));
    let hhonors = shown["words"].as_array().unwrap().iter().find(|word| word["word"] == "hhonors").unwrap();
    assert_eq!(hhonors["sounds_like"], serde_json::json!(["hilton honors", "h honors"]));
    assert_eq!(hhonors["source"], serde_json::json!(["travel", "user"]));
    let text = stdout(&customize(&["show", &id, "--words"]));
    assert!(text.contains("available") && text.contains("hilton honors | h honors"), "{text}");
    assert!(stdout(&customize(&["list"])).contains(&id));

    let speech = speak(work.path(), "speech.wav", SENTENCE).display().to_string();
    let transcribe = |arguments: &[&str]| dictum(&[&["transcribe", "--data", &data, &speech], arguments].concat());
    assert!(stdout(&transcribe(&[])).contains(TAUGHT.0));
    let heard = transcribe(&["--language-customization", "Travel", "--customization-weight", "0.5"]);
    assert!(stdout(&heard).contains(TAUGHT.1), "{}{}", stdout(&heard), stderr(&heard));
    let none = transcribe(&["--language-customization", &id, "--customization-weight", "0"]);
    assert_eq!(stdout(&none), stdout(&transcribe(&[])), "at no weight it is the base model");
    let said = transcribe(&["--language-customization", &id, "--grammar", "days"]);
    assert_eq!(lines(&stdout(&said)), lines(&SENTENCE.replace(TAUGHT.0, TAUGHT.1)), "{}", stderr(&said));

    let manifest = work.path().join("manifest.tsv");
    std::fs::write(&manifest, format!("path\ttranscript\nspeech.wav\t{SENTENCE}\n")).unwrap();
    let eval = ["eval", &manifest.display().to_string(), "--data", &data, "--json", "--language-customization", &id];
    let report = dictum(&[&eval[..], &["--grammar", "days"]].concat());
    let report: Value = serde_json::from_str(&stdout(&report)).unwrap();
    assert_eq!(report["customization"]["id"], id, "{report}");
    assert_eq!(report["customization"]["grammar"], "days", "{report}");
    let unknown = transcribe(&["--language-customization", "Trouble"]);
    assert!(stderr(&unknown).contains("no custom model called \"Trouble\""), "{}", stderr(&unknown));

    let again = customize(&["train", "Travel"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("No input data available"), "{}", stderr(&again));
    let removed = customize(&["remove", "Travel", "--corpus", "travel", "--word", "hhonors"]);
    assert!(removed.status.success(), "{}", stderr(&removed));
    assert!(customize(&["reset", "Travel"]).status.success());
    assert!(stdout(&customize(&["show", "Travel"])).contains("pending"));
    assert!(customize(&["delete", "Travel"]).status.success());
    assert!(!stdout(&customize(&["list"])).contains(&id));
}

#[test]
fn a_model_is_taught_on_a_server() {
    if !can_run("a_model_is_taught_on_a_server", &["curl"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let lesson = Lesson::new(work.path());
    let server = Server::start_with(&["--tls-self-signed"]);
    let key = stdout(&dictum(&["keys", "create", "--data", &server.data()])).trim().to_owned();
    let authority = server.authority().display().to_string();
    let customize = |key: &str, arguments: &[&str]| {
        let mut command = command();
        command.env("DICTUM_URL", format!("{}/speech-to-text/api", server.url)).env("DICTUM_APIKEY", key);
        command.args(["customize", "--ca-cert", &authority]).args(arguments).env("NO_PROXY", "127.0.0.1");
        command.output().unwrap()
    };
    let wrong = customize("nobody's key", &["list"]);
    assert!(stderr(&wrong).contains("DICTUM_APIKEY"), "{}", stderr(&wrong));

    let made = customize(&key, &["create", "Travel", "--description", "for travellers", "--json"]);
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!(made["model"]["status"], "pending", "{made}");
    assert_eq!(made["model"]["description"], "for travellers");
    let Lesson { words, corpus, grammar } = &lesson;
    let named = format!("a visit/to town={corpus}");
    let added = customize(&key, &["add", "Travel", "--words", words, "--corpus", &named, "--grammar", grammar]);
    assert!(added.status.success(), "{}", stderr(&added));
    let twice = customize(&key, &["add", "Travel", "--corpus", &named]);
    assert!(stderr(&twice).contains("already exists"), "{}", stderr(&twice));
    let replaced = customize(&key, &["add", "Travel", "--corpus", &named, "--overwrite", "--train", "--weight", "0.4"]);
    assert!(replaced.status.success(), "{}", stderr(&replaced));
    let shown = stdout(&customize(&key, &["show", "Travel"]));
    assert!(shown.contains("available") && shown.contains("a visit/to town"), "{shown}");

    let wrong = customize(&key, &["add", "Travel", "--word", "rooms=room 101", "--train"]);
    assert_eq!(wrong.status.code(), Some(1));
    let told = stderr(&wrong);
    assert!(told.contains("room 101") && told.contains("Fix errors in the following words: [rooms]"), "{told}");
    let without = customize(&key, &["train", "Travel", "--no-strict"]);
    assert!(without.status.success(), "{}", stderr(&without));
    assert!(stderr(&without).contains("warning") && stderr(&without).contains("rooms"), "{}", stderr(&without));

    let broken = work.path().join("broken.abnf");
    std::fs::write(&broken, "#ABNF 1.0 UTF-8;\nlanguage en-US;\nroot $main;\n$main = one | $missing;\n").unwrap();
    let refused = customize(&key, &["add", "Travel", "--grammar", &broken.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("missing"), "what is wrong in it is said: {}", stderr(&refused));
    assert!(customize(&key, &["delete", "Travel"]).status.success());
    let gone = customize(&key, &["delete", "Travel"]);
    assert!(stderr(&gone).contains("no custom model called"), "{}", stderr(&gone));
}

#[test]
fn mistakes_are_told_before_anything_is_asked_of_anybody() {
    let work = tempfile::tempdir().unwrap();
    let absent = work.path().join("absent.txt").display().to_string();
    let data = work.path().join("data").display().to_string();
    let told = |arguments: &[&str], status: i32| {
        let output = dictum(&[&["customize", "--data", &data], arguments].concat());
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    };
    assert!(told(&["create", "x", "--corpus", &absent], 1).contains("absent.txt"));
    assert!(!Path::new(&data).exists());
    assert!(told(&["add", "x"], 2).contains("nothing to add"));
    assert!(told(&["create", "x", "--weight", "2"], 2).contains("between 0.0 and 1.0"));
    assert!(told(&["list", "--url", "http://127.0.0.1:1"], 2).contains("--data"), "one or the other");
    let nobody = command()
        .args(["customize", "list", "--url", "http://127.0.0.1:1"])
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap();
    assert!(stderr(&nobody).contains("no answer from http://127.0.0.1:1"), "{}", stderr(&nobody));
}

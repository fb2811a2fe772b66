//! Custom models moved from one server to another by `dictum export` and `dictum import`, and recognised with there.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;

use common::{SPEECH, Server, can_run, command, dictum, speak, stderr, stdout};
use serde_json::{Value, json};

const SENTENCE: &str = "we will go to the city on monday and come back on friday";
/// The word that transcripts of the sentence have, and how they are taught to write it.
const TAUGHT: (&str, &str) = ("monday", "MoonDay");

/// A server that asks for keys, and one of its keys.
struct Place {
    server: Server,
    key: String,
}

impl Place {
    fn new() -> Place {
        let server = Server::start_with(&[]);
        let made = dictum(&["keys", "create", "--data", &server.data()]);
        Place { key: stdout(&made).trim().to_owned(), server }
    }

    /// Runs dictum against a server at `url` with the key of this one.
    fn run_at(&self, url: &str, arguments: &[&str]) -> (bool, String, String) {
        let mut command = command();
        command.env("DICTUM_URL", url).env("DICTUM_APIKEY", &self.key).env("NO_PROXY", "127.0.0.1").args(arguments);
        let output = command.output().unwrap();
        (output.status.success(), stdout(&output), stderr(&output))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let (success, told, problems) = self.run_at(&self.server.url, arguments);
        assert!(success, "{arguments:?}: {problems}");
        told
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.server.curl(&["-u", &format!("apikey:{}", self.key), path]);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// What is heard with a custom model.
    fn heard(&self, speech: &Path, query: &str) -> String {
        let (user, data) = (format!("apikey:{}", self.key), format!("@{}", speech.display()));
        let path = format!("/v1/recognize?{query}");
        self.server.curl(&["-u", &user, "-H", "Content-Type: audio/wav", "--data-binary", &data, &path]).transcript()
    }
}

/// A model with all that can be in one: words with and without their own sounds, a corpus one of whose words was deleted, a grammar.
fn teach(place: &Place, work: &Path) -> String {
    let file = |name: &str, text: &str| -> String {
        let path = work.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (word, written) = TAUGHT;
    let words = file("words.txt", &format!("{word}\t\t{written}\nhhonors\thilton honors|h honors\tHHonors\n"));
    let corpus = file("travel.txt", "We will go to the city on Monday.\nThe zyzzyva and the qwertzer met on Friday.\n");
    let grammar = file(
        "days.abnf",
        &format!("#ABNF 1.0 UTF-8;\nlanguage en-US;\nmode voice;\nroot $main;\n$main = {SENTENCE} | nothing at all;\n"),
    );
    let corpus = format!("a visit/to town={corpus}");
    let create = ["customize", "create", "Travel", "--description", "for travellers"];
    let id = place.run(&[&create[..], &["--words", &words, "--corpus", &corpus, "--grammar", &grammar]].concat());
    place.run(&["customize", "remove", "Travel", "--word", "qwertzer"]);
    place.run(&["customize", "train", "Travel"]);
    id.trim().to_owned()
}

fn words_of(list: &Value) -> Vec<&str> {
    list["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap()).collect()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_model_moves_from_one_server_to_another() {
    if !can_run("a_model_moves_from_one_server_to_another", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (from, to) = (Place::new(), Place::new());
    let former = teach(&from, work.path());
    from.run(&["customize", "create", "Empty"]);
    let saved = work.path().join("saved").display().to_string();
    assert!(from.run(&["export", &saved]).contains("2 custom language models"));
    let (again, _, problem) = from.run_at(&from.server.url, &["export", &saved]);
    assert!(!again && problem.contains("is not empty"), "{problem}");
    let manifest = json(&std::fs::read_to_string(format!("{saved}/manifest.json")).unwrap());
    assert_eq!((&manifest["format"], &manifest["not_saved"]), (&json!(1), &json!([])));
    let text = std::fs::read_to_string(format!("{saved}/models/001-Travel/corpora/001-a-visit-to-town.txt")).unwrap();
    assert_eq!(text, std::fs::read_to_string(work.path().join("travel.txt")).unwrap(), "to the byte");

    let report = json(&to.run(&["import", &saved, "--json"]));
    let [travel, empty] = [&report["models"][0], &report["models"][1]];
    assert_eq!((&travel["former_id"], &travel["status"]), (&json!(former), &json!("available")), "{report}");
    assert_eq!((&empty["name"], &empty["status"]), (&json!("Empty"), &json!("pending")), "{report}");
    let id = travel["id"].as_str().unwrap();
    let model = to.get(&format!("/v1/customizations/{id}"));
    assert_eq!((&model["name"], &model["description"]), (&json!("Travel"), &json!("for travellers")));
    for list in ["words", "corpora", "grammars"] {
        let of = |place: &Place, id: &str| place.get(&format!("/v1/customizations/{id}/{list}"));
        assert_eq!(of(&from, &former), of(&to, id));
    }
    let words = to.get(&format!("/v1/customizations/{id}/words"));
    assert_eq!(words_of(&words), ["hhonors", "monday", "zyzzyva"], "not the one that was deleted");

    let speech = speak(work.path(), "speech.wav", SENTENCE);
    let with = format!("language_customization_id={id}&customization_weight=0.5");
    assert!(to.heard(&speech, "").contains(TAUGHT.0));
    let heard = to.heard(&speech, &with);
    assert!(heard.contains(TAUGHT.1), "{heard}");
    let heard = to.heard(&speech, &format!("{with}&grammar_name=days"));
    assert_eq!(heard.trim(), SENTENCE.replace(TAUGHT.0, TAUGHT.1));

    let report = json(&to.run(&["import", &saved, "--json", "--model", "Travel"]));
    assert_eq!(report["models"][0]["id"], id, "no second one");
    assert_eq!(to.get(&format!("/v1/customizations/{id}"))["updated"], model["updated"], "nothing was left to do");
    let log = to.server.log();
    for event in [".create", "-corpus.create", "-grammar.create", "-word-list.create", ".train", "-word.delete"] {
        let event = format!("speech-to-text.custom-language-model{event}");
        assert!(log.contains(&event) && !log.contains("zyzzyva"), "{event} in\n{log}");
    }
    assert!(log.lines().any(|line| line.contains("custom-language-model.create") && line.contains(id)), "{log}");
}

/// From a server that does not give texts back, as Watson's, into a local store.
#[test]
fn texts_that_a_server_does_not_give_back_are_kept_by_their_owner() {
    if !can_run("texts_that_a_server_does_not_give_back_are_kept_by_their_owner", &["curl"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let from = Place::new();
    teach(&from, work.path());
    let url = without_texts(&from.server.url);
    let path = |name: &str| work.path().join(name).display().to_string();

    let (done, told, _) = from.run_at(&url, &["export", &path("whole"), "--sources", &path("kept"), "--json"]);
    assert!(done && json(&told)["not_saved"].as_array().unwrap().len() == 2, "{told}");
    std::fs::create_dir(work.path().join("kept")).unwrap();
    std::fs::rename(work.path().join("days.abnf"), work.path().join("kept/days.abnf")).unwrap();
    let saved = path("saved");
    let (done, told, _) = from.run_at(&url, &["export", &saved, "--sources", &path("kept"), "--json"]);
    let not_saved = json(&told)["not_saved"].clone();
    assert!(done && not_saved[0].as_str().unwrap().contains("a visit/to town"), "{told}");
    assert_eq!(not_saved.as_array().unwrap().len(), 1, "the grammar was found");

    let data = path("data");
    let import = || {
        let output = dictum(&["import", &saved, "--data", &data, "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        json(&stdout(&output))["models"][0].clone()
    };
    let first = import();
    assert_eq!(first["status"], "available", "{first}");
    let notes = first["notes"].to_string();
    assert!(notes.contains("a visit/to town") && notes.contains("1 words of texts"), "{notes}");
    let kept = work.path().join("saved/models/001-Travel/corpora/001-a-visit-to-town.txt");
    std::fs::copy(work.path().join("travel.txt"), kept).unwrap();
    let second = import();
    assert_eq!((&second["id"], &second["notes"]), (&first["id"], &json!([])), "it goes on where it stopped");
    let shown = dictum(&["customize", "show", "Travel", "--data", &data, "--json"]);
    let shown = json(&stdout(&shown));
    assert_eq!((&shown["model"]["status"], &shown["corpora"][0]["status"]), (&json!("available"), &json!("analyzed")));
}

/// What cannot be moved is said for each model, and does not keep others from being moved.
#[test]
fn models_that_cannot_be_moved_are_named() {
    if !can_run("models_that_cannot_be_moved_are_named", &["curl"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let from = Place::new();
    for name in ["First", "Second"] {
        from.run(&["customize", "create", name, "--word", "hhonors=hilton honors", "--train"]);
    }
    let saved = work.path().join("saved").display().to_string();
    from.run(&["export", &saved]);
    let file = format!("{saved}/models/001-First/model.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("en-US_BroadbandModel", "ja-JP_BroadbandModel")).unwrap();
    let data = work.path().join("data").display().to_string();
    let output = dictum(&["import", &saved, "--data", &data]);
    assert_eq!(output.status.code(), Some(1));
    let told = stderr(&output);
    assert!(told.contains("First: error: ") && told.contains("1 of 2 models"), "{told}");
    assert!(stdout(&output).lines().any(|line| line.contains("available") && line.ends_with("Second")));
    let base = ["--base-model", "ja-JP_BroadbandModel=en-US_BroadbandModel"];
    let output = dictum(&[&["import", &saved, "--data", &data][..], &base].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("it is over en-US_BroadbandModel now"), "{}", stderr(&output));
    let missing = dictum(&["import", &data, "--data", &data]);
    assert!(stderr(&missing).contains("is no export"), "{}", stderr(&missing));
}

/// A server in front of another that knows no texts, as if there were no such call. Its URL.
fn without_texts(url: &str) -> String {
    let behind = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            pass_on(client.unwrap(), &behind);
        }
    });
    format!("http://{address}")
}

/// One request and its answer.
fn pass_on(mut client: TcpStream, behind: &str) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        match line.trim() {
            "" => break,
            _ => head += &line,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    if head.lines().next().unwrap().contains("/text HTTP/") {
        let answer = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        client.write_all(answer.as_bytes()).unwrap();
    } else {
        let mut server = TcpStream::connect(behind).unwrap();
        server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        server.write_all(&body).unwrap();
        std::io::copy(&mut server, &mut client).unwrap();
    }
    let _ = client.shutdown(Shutdown::Write);
}

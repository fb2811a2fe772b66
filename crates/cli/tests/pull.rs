//! `dictum models pull`, `list --available` and `remove`, and `dictum serve --pull`, against a server on this machine.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use common::{SPEECH, Server, can_run, command, speak, stderr, stdout};
use serde_json::Value;

/// Serves `archive` at every path, forever. The address.
fn serve(archive: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", archive.len());
            let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(&archive));
        }
    });
    url
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()));
    for (name, content) in [("tokens.txt", b"a 0\n<blk> 1\n".as_slice()), ("model.int8.onnx", b"network")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("some-model/{name}"), content).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn run(data: &Path, arguments: &[&str]) -> std::process::Output {
    command().env_remove("HF_ENDPOINT").args(arguments).arg("--data").arg(data).output().unwrap()
}

fn document(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_str(&stdout(output)).unwrap()
}

#[test]
fn a_model_is_pulled_listed_and_removed() {
    let data = tempfile::tempdir().unwrap();
    let url = serve(archive()) + "/some-model.tar.bz2";
    let pull = ["models", "pull", &url, "--language", "fi-FI", "--json"];
    let pulled = document(&run(data.path(), &pull));
    assert_eq!(pulled["package"], "some-model");
    assert_eq!(pulled["fetched"], true);
    let directory = data.path().join("models/some-model");
    assert_eq!(pulled["directory"], directory.display().to_string());
    assert!(std::fs::read_to_string(directory.join("package.toml")).unwrap().contains("language = \"fi-FI\""));
    assert_eq!(document(&run(data.path(), &pull))["fetched"], false);

    let output = run(data.path(), &["models", "pull", &url, "--language", "fi-FI"]);
    assert!(output.status.success() && stdout(&output).contains("--replace"), "{}", stdout(&output));
    assert_eq!(stderr(&output), "", "nobody watches, so there is no progress bar");

    let removed = document(&run(data.path(), &["models", "remove", "some-model", "--json"]));
    assert_eq!(removed["removed"], "some-model");
    assert!(!directory.exists());
    let again = run(data.path(), &["models", "remove", "some-model"]);
    assert!(!again.status.success() && stderr(&again).contains("no package \"some-model\" was pulled"), "{again:?}");
}

#[test]
fn published_models_are_listed_without_a_network_or_an_installed_model() {
    let data = tempfile::tempdir().unwrap();
    let listed = document(&run(data.path(), &["models", "list", "--available", "--json", "--model-dir", ""]));
    let models = listed["models"].as_array().unwrap();
    let german = models.iter().find(|model| model["name"] == "fastconformer-de").unwrap();
    assert!(german["serves"].as_array().unwrap().contains(&"de-DE".into()));
    assert_eq!(german["pulled"], false);
    let table = stdout(&run(data.path(), &["models", "list", "--available"]));
    assert_eq!(table.lines().count(), models.len() + 1, "{table}");
    assert!(table.contains("CC-BY-4.0"));
}

#[test]
fn what_cannot_be_pulled_is_said() {
    let data = tempfile::tempdir().unwrap();
    let url = serve(b"<html>sign in</html>".to_vec());
    for (arguments, problem) in [
        (vec!["no-such-model"], "neither a published model"),
        (vec!["http://192.0.2.1/x.tar.bz2"], "--insecure-http"),
        (vec!["hf:no-owner"], "hf:OWNER/REPOSITORY"),
        (vec![url.as_str(), "--name", "x"], "page of text"),
        (vec!["hf:a/b", "--hf-endpoint", url.as_str()], "no list of files"),
    ] {
        let output = run(data.path(), &[&["models", "pull"], arguments.as_slice()].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(problem), "{arguments:?}: {}", stderr(&output));
    }
    let output = run(data.path(), &["serve", "--no-auth", "--listen", "127.0.0.1:0", "--pull", "no-such-model"]);
    assert!(stderr(&output).contains("neither a published model"), "{}", stderr(&output));
}

/// The archive of a model that is one: the small neural model of the project.
fn real_archive() -> Vec<u8> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/en-digits-commands-names");
    let mut builder = tar::Builder::new(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()));
    for file in ["package.toml", "model.onnx", "tokens.txt", "words.arpa"] {
        builder.append_path_with_name(package.join(file), format!("en-commands/{file}")).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_server_fetches_its_model_before_it_listens() {
    if !can_run("a_server_fetches_its_model_before_it_listens", &[SPEECH, "curl"]) {
        return;
    }
    let url = serve(real_archive()) + "/en-commands.tar.bz2";
    let arguments = ["--no-auth", "--model-dir", "", "--pull", &url];
    let server = Server::start_with(&[&arguments[..], &["--set", "model.default=en-commands_BroadbandModel"]].concat());
    let said = "one seven three nine two";
    let work = tempfile::tempdir().unwrap();
    let audio = speak(work.path(), "said.wav", said);
    let answer = server.recognize(&audio, "audio/wav", "?model=en-commands_BroadbandModel");
    assert!(answer.transcript().split_whitespace().count() >= 4, "{}", answer.body);
    assert!(server.log().contains(&format!("{PULLED} is in ")), "{}", server.log());
    // What is there is not fetched again.
    let data = server.into_directory();
    assert!(data.path().join("data/models").join(PULLED).join("package.toml").exists());
    let again = Server::start_on(data, &arguments);
    assert!(!again.log().contains(" is in "), "{}", again.log());
    assert_eq!(again.recognize(&audio, "audio/wav", "?model=en-commands").transcript(), answer.transcript());
}

/// What the package calls itself.
const PULLED: &str = "en-digits-commands-names";

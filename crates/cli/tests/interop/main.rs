//! The official clients of the Watson interface, unmodified, with nothing changed but the URL. What they do is written in their
//! own languages, in the folder `interop`; here they are installed once, given a server, keys and recordings, and run.
//!
//! What is missing (a client's language, Chromium, the package registry) is named, and its test skipped. With
//! `DICTUM_INTEROP=required` that is an error instead.

mod clients;
#[path = "../common/mod.rs"]
mod common;
mod material;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::can_run;
use material::Material;

/// Longest that one client may take for all it does.
const LIMIT: Duration = Duration::from_secs(240);

/// The folder with the clients' side.
fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop")
}

/// Whether everything is there; with `DICTUM_INTEROP=required` it has to be. Of the synthesisers only flite will do: what is
/// asked for by its words has to be understood word by word.
fn ready(test: &str, tools: &[&str]) -> bool {
    let ready = can_run(test, &[&["curl", "flite"], tools].concat());
    assert!(ready || !required(), "{test} is required, and something for it is missing");
    ready
}

fn required() -> bool {
    std::env::var("DICTUM_INTEROP").is_ok_and(|value| value == "required")
}

/// The installed client, or a word about why there is none.
fn installed<T>(test: &str, outcome: Result<T, String>) -> Option<T> {
    outcome
        .map_err(|reason| {
            println!("skipped: {test}: {reason}");
            assert!(!required(), "{test} is required: {reason}");
        })
        .ok()
}

/// The test files in a folder, by name: how Node takes a folder differs between its versions.
fn tests(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tests: Vec<PathBuf> = files.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    assert!(!tests.is_empty(), "no tests in {}", folder.display());
    tests
}

#[test]
fn python_client() {
    let test = "python_client";
    if !ready(test, &["python3"]) {
        return;
    }
    let Some(python) = installed(test, clients::python(&interop().join("python/requirements.txt"))) else { return };
    // Over TLS, since the WebSocket client of this SDK does without it for no URL (AUTH-03).
    let material = Material::new(&["--tls-self-signed"], &[]);
    let mut command = Command::new(python);
    command.args(["-W", "ignore", "-m", "unittest", "discover", "-v", "-s"]).arg(interop().join("python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    material.run(command, LIMIT);
}

#[test]
fn node_client() {
    let test = "node_client";
    if !ready(test, &["node", "npm"]) {
        return;
    }
    let Some(modules) = installed(test, clients::node(&interop())) else { return };
    let material = Material::new(&[], &["--tls-self-signed"]);
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", "--test-timeout=90000"]).args(tests(&interop().join("node")));
    command.env("NODE_PATH", modules);
    material.run(command, LIMIT);
}

#[test]
fn browser_client() {
    let test = "browser_client";
    if !ready(test, &["node", "npm"]) {
        return;
    }
    let Some(browser) = installed(test, clients::browser()) else { return };
    let Some(modules) = installed(test, clients::node(&interop())) else { return };
    let material = Material::new(&[], &[]);
    let mut command = Command::new("node");
    command.args(["--test", "--test-reporter=spec", "--test-timeout=120000"]).args(tests(&interop().join("browser")));
    command.env("NODE_PATH", modules).env("INTEROP_BROWSER", browser);
    material.run(command, LIMIT);
}

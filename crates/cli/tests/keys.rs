//! API keys from end to end: made, used, listed and revoked by the command while a server runs on the same store.

mod common;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{SPEECH, Server, can_run, dictum, speak, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

fn keys(arguments: &[&str], data: &str) -> String {
    let output = dictum(&[&["keys"], arguments, &["--data", data]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

fn create(data: &str) -> String {
    keys(&["create"], data).trim().to_owned()
}

fn listed(data: &str) -> Vec<Value> {
    let keys: Value = serde_json::from_str(&keys(&["list", "--json"], data)).unwrap();
    keys["keys"].as_array().unwrap().clone()
}

fn status(server: &Server, user: &str) -> u16 {
    server.curl(&["-u", user, "/v1/models"]).status
}

/// Asks until the server gives this answer; a revocation may take some seconds, and no more than that.
fn becomes(server: &Server, user: &str, expected: u16) {
    let began = Instant::now();
    while status(server, user) != expected {
        assert!(began.elapsed() < Duration::from_secs(5), "still not {expected}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_key_opens_a_running_server_until_it_is_revoked() {
    if !can_run("a_key_opens_a_running_server_until_it_is_revoked", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", "we will go to the city on monday");
    let mut server = Server::start_with(&[]);
    assert!(server.log().contains("dictum keys create"), "a first start says how to make a key: {}", server.log());
    assert!(!server.log().contains("apikey:"), "but makes none where what it says is a log");
    assert_eq!(server.recognize(&speech, "audio/wav", "").status, 401);

    let data = server.data();
    let key = create(&data);
    let other: Value = serde_json::from_str(&keys(&["create", "--name", "other", "--json"], &data)).unwrap();
    let user = format!("apikey:{key}");
    let body = format!("@{}", speech.display());
    let audio = ["-H", "Content-Type: audio/wav", "--data-binary", &body, "/v1/recognize"];
    let heard = server.curl(&[&["-u", &user], &audio[..]].concat());
    assert!(heard.transcript().contains("monday"), "{}", heard.body);

    // A token for the key, kept over a restart.
    let form = format!("grant_type=urn:ibm:params:oauth:grant-type:apikey&apikey={key}");
    let token = server.curl(&["-d", &form, "/identity/token"]).json()["access_token"].as_str().unwrap().to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(server.curl(&["-H", &bearer, "/v1/models"]).status, 200);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0), "{}", server.log());
    let log = server.log();
    let server = Server::start_on(server.into_directory(), &[]);
    assert_eq!(server.curl(&["-H", &bearer, "/v1/models"]).status, 200);

    let ids: Vec<Value> = listed(&data).iter().map(|key| key["id"].clone()).collect();
    assert_eq!(ids, [&key[7..23], other["id"].as_str().unwrap()]);
    keys(&["revoke", &key[7..23]], &data);
    becomes(&server, &user, 401);
    assert_eq!(server.curl(&["-H", &bearer, "/v1/models"]).status, 401, "its tokens end with it");
    assert_eq!(status(&server, &format!("me:{}", other["key"].as_str().unwrap())), 200);

    for log in [log, server.log()] {
        for secret in [&key[24..], &token, other["key"].as_str().unwrap()] {
            assert!(!log.contains(secret), "a secret in the log: {log}");
        }
    }
}

#[test]
fn keys_are_shown_once_and_listed_without_their_secrets() {
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data").display().to_string();
    let output = dictum(&["keys", "create", "--name", "laptop", "--instance", "team", "--data", &data]);
    let key = stdout(&output).trim().to_owned();
    assert!(key.starts_with("dictum-") && key.len() == 88, "{key}");
    assert!(stderr(&output).contains("curl -u 'apikey:KEY'"), "{}", stderr(&output));
    assert!(!stderr(&output).contains(&key[24..]), "no secret where no person reads: {}", stderr(&output));

    let table = keys(&["list"], &data);
    assert!(["laptop", "team", &key[7..23], "never", "works"].iter().all(|cell| table.contains(cell)), "{table}");
    let stored = std::fs::read(work.path().join("data/dictum.db")).unwrap();
    for place in [table.as_bytes(), &stored] {
        assert!(!place.windows(64).any(|window| window == &key.as_bytes()[24..]), "the secret is kept");
    }
    assert!(keys(&["revoke", &key], &data).contains("is revoked"), "the whole key stands for its id");
    assert!(keys(&["revoke", &key[7..23]], &data).contains("was revoked before"));
    assert!(listed(&data)[0]["revoked"].is_string());
}

#[test]
fn mistakes_are_told() {
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data").display().to_string();
    let fails = |arguments: &[&str], expected: &str| {
        let output = dictum(&[arguments, &["--data", &data]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(expected), "{arguments:?}: {}", stderr(&output));
    };
    fails(&["keys", "list"], "there are no keys in");
    assert!(!work.path().join("data").exists(), "looking makes nothing");
    fails(&["keys", "create", "--name", " "], "cannot be a name");
    create(&data);
    fails(&["keys", "revoke", "0123456789abcdef"], "there is no API key \"0123456789abcdef\"");

    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("dictum.db"), "no database".repeat(100)).unwrap();
    let output = dictum(&["serve", "--listen", "127.0.0.1:0", "--data", &other.path().display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("dictum.db"), "{}", stderr(&output));
}

/// Without credentials only this machine is served, unless somebody insists.
#[test]
fn no_auth_is_for_loopback() {
    if !can_run("no_auth_is_for_loopback", &["curl"]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let data = work.path().display().to_string();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let output = dictum(&["serve", "--no-auth", "--listen", address, "--data", &data]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        // A machine without IPv6 cannot listen on the second one in the first place.
        let refused = message.contains("insist with --insecure-open-to-network") && stdout(&output).is_empty();
        assert!(refused || (address.contains("::") && message.contains("cannot listen")), "{message}");
    }
    let server = Server::start_with(&["--no-auth"]);
    assert_eq!(server.curl(&["/v1/models"]).status, 200);
    let server = Server::start_with(&["--no-auth", "--insecure-open-to-network", "--listen", "0.0.0.0:0"]);
    assert_eq!(server.curl(&["/v1/models"]).status, 200);
    assert!(server.log().contains("no API key is asked for"), "{}", server.log());
}

/// On a terminal, which `script` provides, a first start makes a key and shows it; a second one does not.
#[test]
fn a_first_start_on_a_terminal_shows_a_key() {
    if !can_run("a_first_start_on_a_terminal_shows_a_key", &["curl", "script", "timeout"]) {
        return;
    }
    let work = TempDir::new().unwrap();
    let data = work.path().join("data").display().to_string();
    let start = || {
        let mut command = Command::new("script");
        let serve = format!("timeout -s TERM 3 {} serve --listen 127.0.0.1:0 --data {data}", common::DICTUM);
        command.args(["-q", "-e", "-c", &serve, "/dev/null"]).stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let screen = start();
    let found = screen.split("apikey:").nth(1).and_then(|rest| rest.split('\'').next());
    let key = found.unwrap_or_else(|| panic!("no key in {screen}")).to_owned();
    assert!(!start().contains("dictum-"), "a key is shown once");
    let server = {
        let moved = TempDir::new().unwrap();
        std::fs::rename(work.path().join("data"), moved.path().join("data")).unwrap();
        Server::start_on(moved, &[])
    };
    assert_eq!(status(&server, &format!("apikey:{key}")), 200);
}

/// Limits of single instances, beside those of the configuration.
#[test]
fn instances_have_limits_of_their_own() {
    let work = tempfile::tempdir().unwrap();
    let data = work.path().join("data").display().to_string();
    let limits = |arguments: &[&str]| dictum(&[&["limits"], arguments, &["--data", &data]].concat());
    assert!(stderr(&limits(&["list"])).contains("there are no service instances"));
    for instance in ["default", "guests"] {
        assert!(dictum(&["keys", "create", "--data", &data, "--instance", instance]).status.success());
    }
    let set =
        limits(&["set", "guests", "--storage-megabytes", "5", "--results-minutes", "90", "--set", "quota.jobs=7"]);
    assert!(set.status.success(), "{}", stderr(&set));
    assert!(
        stdout(&set).contains("0.0 MB of 5.0 MB (own)") && stdout(&set).contains("1h 30m (own)"),
        "{}",
        stdout(&set)
    );
    assert!(limits(&["set", "guests", "--jobs", "none"]).status.success(), "what is not named stays");
    let listed = limits(&["list", "--json", "--set", "quota.jobs=7"]);
    let listed: serde_json::Value = serde_json::from_str(&stdout(&listed)).unwrap();
    let [usual, guests] = [&listed["instances"][0], &listed["instances"][1]];
    assert_eq!((&usual["jobs"]["limit"], &usual["jobs"]["own"]), (&7.into(), &false.into()), "{listed}");
    assert_eq!(
        (&guests["jobs"]["limit"], &guests["jobs"]["own"]),
        (&serde_json::Value::Null, &true.into()),
        "{listed}"
    );
    assert_eq!(guests["storage_bytes"]["limit"], 5_000_000, "{listed}");
    assert_eq!(limits(&["set", "guests"]).status.code(), Some(2));
    assert!(stderr(&limits(&["set", "nobody", "--jobs", "1"])).contains("\"nobody\""));
}

//! HTTPS, spoken with curl.

mod common;

use std::time::Duration;

use common::{SPEECH, Server, can_run, command, fraction_heard, speak, stderr};

#[test]
fn https_with_a_certificate_of_its_own() {
    if !can_run("https_with_a_certificate_of_its_own", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let sentence = "we will go to the city on monday and come back on friday";
    let speech = speak(work.path(), "speech.wav", sentence);
    let server = Server::start_with(&["--no-auth", "--tls-self-signed"]);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    // curl settles on HTTP/2 where it can; both are asked for by name, so that both are heard.
    for version in ["--http1.1", "--http2"] {
        let data = format!("@{}", speech.display());
        let streamed = ["-X", "POST", "-H", "Content-Type: audio/wav", "-H", "Expect:", "--data-binary", &data];
        let answer = server.curl(&[&[version], &streamed[..], &["/v1/recognize"]].concat());
        assert!(fraction_heard(sentence, &answer.transcript()) >= 0.6, "{version}: {}", answer.body);
    }
    // AUTH-02: links lead back here.
    let models = server.curl(&["/v1/models"]).json();
    let url = models["models"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/v1/models/", server.url)), "{url}");
    // Nobody else's word for it, and nothing in plain.
    let plain = server.url.replace("https:", "http:") + "/v1/models";
    assert_ne!(server.curl(&[&plain]).status, 200);
    let strict =
        std::process::Command::new("curl").args(["-sS", "-m", "20", &(server.url.clone() + "/v1/models")]).output();
    assert_eq!(strict.unwrap().status.code(), Some(60), "the certificate is not one that anybody trusts");
}

#[test]
fn certificates_from_files_are_reloaded() {
    if !can_run("certificates_from_files_are_reloaded", &["curl", "kill"]) {
        return;
    }
    // Two servers make a certificate each, for the third to use.
    let (one, other) = (
        Server::start_with(&["--no-auth", "--tls-self-signed"]),
        Server::start_with(&["--no-auth", "--tls-self-signed"]),
    );
    let work = tempfile::tempdir().unwrap();
    let (certificate, key) = (work.path().join("server.crt"), work.path().join("server.key"));
    let copy = |from: &Server| {
        std::fs::copy(from.authority().with_extension("key"), &key).unwrap();
        std::fs::copy(from.authority(), &certificate).unwrap();
    };
    copy(&one);
    let (certificate_flag, key_flag) = (certificate.display().to_string(), key.display().to_string());
    let arguments = ["--no-auth", "--tls-cert", &certificate_flag, "--tls-key", &key_flag];
    let server = Server::start_trusting(&one.authority(), &arguments);
    let trusts = |whom: &Server| {
        let authority = whom.authority().display().to_string();
        server.curl(&["--cacert", &authority, "/health/live"]).status == 200
    };
    assert!(trusts(&one) && !trusts(&other));
    copy(&other);
    server.signal("HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert!(trusts(&other) && !trusts(&one), "{}", server.log());
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().display().to_string();
    let missing = data.path().join("no.crt").display().to_string();
    let run = |arguments: &[&str]| {
        let output = command()
            .args(["serve", "--listen", "127.0.0.1:0", "--data", &directory])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.code(), stderr(&output))
    };
    if can_run("settings_that_do_not_fit_together_are_refused", &[]) {
        let cases: [(&[&str], &str); 3] = [
            (&["--tls-cert", &missing, "--tls-key", &missing], "cannot read the certificate file"),
            (&["--set", "tls.cert=x"], "tls.cert is set without tls.key"),
            (&["--set", "tls.cert=x", "--set", "tls.key=y", "--tls-self-signed"], "are both set"),
        ];
        for (arguments, expected) in cases {
            let (status, message) = run(arguments);
            assert_eq!(status, Some(1), "{message}");
            assert!(message.contains(expected), "{message}");
        }
    }
    assert_eq!(run(&["--tls-cert", "x"]).0, Some(2), "one without the other");
}

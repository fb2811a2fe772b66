//! What operators see of a server: its log and its figures, after real requests.

mod common;

use common::{SPEECH, Server, can_run, fraction_heard, speak};
use serde_json::Value;

const SENTENCE: &str = "we will go to the city on monday and come back on friday";

/// Whatever the level, no secret and nothing that was said.
#[test]
fn the_log_tells_of_requests_and_not_what_is_in_them() {
    if !can_run("the_log_tells_of_requests_and_not_what_is_in_them", &["curl", "kill", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", SENTENCE);
    for level in ["info", "trace"] {
        let level_setting = format!("log.level={level}");
        let mut server = Server::start_with(&["--no-auth", "--set", "log.format=json", "--set", &level_setting]);
        let data = format!("@{}", speech.display());
        let heard = server
            .curl(&[
                "-X",
                "POST",
                "-H",
                "Content-Type: audio/wav",
                "-H",
                "Authorization: Bearer s3cret-bearer",
                "-H",
                "X-Watson-Metadata: customer_id=s3cret-customer",
                "-H",
                "X-Global-Transaction-Id: request-of-the-test",
                "-H",
                "Cookie: Watson-DPAT=s3cret-cookie",
                "--data-binary",
                &data,
                "/v1/recognize?access_token=s3cret-token&keywords=s3cret-keyword&keywords_threshold=0.5&s3cret-name=1",
            ])
            .transcript();
        assert!(fraction_heard(SENTENCE, &heard) >= 0.6, "{heard}");
        server.curl(&["/v1/models/s3cret-model"]);
        server.curl(&["/v1/s3cret-path?x=s3cret-query"]);
        server.curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: s3cret/type",
            "--data-binary",
            "s3cret body",
            "/v1/recognize",
        ]);
        server.curl(&["-X", "POST", "-H", "Content-Type: audio/flac", "--data-binary", &data, "/v1/recognize"]);
        server.signal("TERM");
        server.wait();

        let log = server.log();
        for word in SENTENCE.split(' ').filter(|word| word.len() > 3).chain(["s3cret"]) {
            assert!(!log.to_lowercase().contains(word), "{word:?} at level {level} in\n{log}");
        }
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let of_request = |line: &&Value| line["span"]["transaction"] == "request-of-the-test";
        let answered: Vec<&Value> =
            lines.iter().filter(of_request).filter(|line| line["fields"]["message"] == "answered").collect();
        let [line] = answered[..] else { panic!("one line for one request, not {answered:?}") };
        let fields = &line["fields"];
        assert_eq!(
            (fields["method"].as_str(), fields["route"].as_str(), fields["status"].as_u64()),
            (Some("POST"), Some("/v1/recognize"), Some(200)),
            "{line}"
        );
        assert!(fields["audio_seconds"].as_f64().unwrap() > 2.0 && fields["milliseconds"].is_u64(), "{line}");
        // Without those that were told while the models were being loaded.
        let asked = lines.iter().filter(|line| line["fields"]["route"] != "/health/ready");
        let errors: Vec<u64> = asked.filter_map(|line| line["fields"]["error"].as_u64()).collect();
        assert_eq!(errors, [404, 404, 415, 400], "{log}");
    }
}

#[test]
fn figures_for_neighbours_and_on_an_address_of_their_own() {
    if !can_run("figures_for_neighbours_and_on_an_address_of_their_own", &["curl", SPEECH]) {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", SENTENCE);
    let server = Server::start_with(&["--no-auth", "--metrics-listen", "127.0.0.1:0"]);
    server.recognize(&speech, "audio/wav", "").transcript();
    let log = server.log();
    let own = log.split("metrics at ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("in the log");
    let here = server.url.clone() + "/metrics";
    for url in [here.as_str(), &format!("http://{own}/metrics")] {
        let answer = server.curl(&[url]);
        assert_eq!(answer.status, 200, "{url}");
        let recognised = "dictum_http_requests_total{method=\"POST\",route=\"/v1/recognize\",status=\"200\"} 1";
        assert!(answer.body.contains(recognised), "{}", answer.body);
        assert!(answer.body.contains("dictum_final_result_seconds_count 1"), "{}", answer.body);
    }
    // What comes through a proxy is not a neighbour's; nor is anything when it is switched off.
    assert_eq!(server.curl(&["-H", "X-Forwarded-For: 192.0.2.1", &here]).status, 404);
    assert_eq!(server.curl(&[&format!("http://{own}/v1/models")]).status, 404, "nothing else is there");
    let silent = Server::start_with(&["--no-auth", "--set", "metrics.shown_to=nobody"]);
    assert_eq!(silent.curl(&[&(silent.url.clone() + "/metrics")]).status, 404);
}

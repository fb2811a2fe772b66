//! The interface as a whole: every route is documented and every documented route is served; headers; browsers; figures.

mod common;

use std::process::Command;

use common::{Reply, Request, Server, has_model, skipped};
use dictum_service::ServiceConfig;
use dictum_watson::{MetricsFor, WatsonConfig, openapi};
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn described(path: &Value) -> Vec<&str> {
    METHODS.into_iter().filter(|method| path.get(method).is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_and_the_routes_are_the_same() {
    let server = Server::without_model().await;
    let reply = server.get("/instances/i/openapi.json").await;
    assert_eq!(reply.status, 404, "only under /v1 and /health base paths are known");
    let document = server.get("/openapi.json").await.json();
    assert_eq!(document, openapi::document("http://stt.example:1234"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 7, "{:?}", paths.keys());
    for (path, operations) in paths {
        let documented = described(operations);
        assert!(!documented.is_empty(), "{path}");
        let target = path.replace("{model_id}", "en-US_Telephony");
        for method in METHODS {
            let reply = server.send(Request::new(&method.to_uppercase(), &target)).await;
            let served = reply.status != 405;
            assert_eq!(served, documented.contains(&method), "{method} {path}: {}", reply.status);
            if served {
                let known = &operations[method]["responses"][reply.status.to_string()];
                // Figures are not for everybody, and say so like a path that is not there.
                assert!(known.is_object(), "{method} {path} answered {}, which is not described", reply.status);
            } else {
                // The router's own idea of what there is.
                let allowed = reply.header("allow").unwrap_or_default().to_lowercase();
                let mut allowed: Vec<&str> = allowed.split(',').filter(|method| *method != "head").collect();
                allowed.sort_unstable();
                assert_eq!(allowed, sorted(&documented), "{path}");
            }
        }
    }
    assert_eq!(server.get("/v1/nothing").await.status, 404);
}

fn sorted<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

/// What a route answers has the members that the description says.
#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_members_that_are_described() {
    let server = Server::without_model().await;
    let document = server.get("/openapi.json").await.json();
    let required = |schema: &str| {
        let names = document["components"]["schemas"][schema]["required"].as_array().unwrap();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let model = server.get("/v1/models/en-US_Telephony").await.json();
    let error = server.get("/v1/models/bogus").await.json();
    for (schema, answer) in [("SpeechModel", model), ("Error", error)] {
        let properties = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        for name in required(schema) {
            assert!(answer.get(&name).is_some(), "{schema}: {name}");
        }
        for name in answer.as_object().unwrap().keys() {
            assert!(properties.contains_key(name), "{schema}: {name} is not described");
        }
    }
}

/// With the validator of PyPI, where Python has it.
#[test]
fn the_description_is_valid_openapi() {
    let test = "the_description_is_valid_openapi";
    let python = std::env::var("DICTUM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import openapi_spec_validator"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        skipped(
            test,
            "no openapi-spec-validator: pip install it, or name the interpreter that has it with DICTUM_PYTHON",
        );
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, openapi::document("http://127.0.0.1:8080").to_string()).unwrap();
    let check = "import json, sys; from openapi_spec_validator import validate; validate(json.load(open(sys.argv[1])))";
    let output = Command::new(&python).args(["-c", check]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn tokens(reply: &Reply, header: &str) -> Vec<String> {
    let text = reply.header(header).unwrap_or_default().to_lowercase();
    let mut tokens: Vec<String> = text.split(',').map(|token| token.trim().to_owned()).collect();
    tokens.sort_unstable();
    tokens
}

/// auth.md section 5: preflights succeed without credentials and say what is allowed
#[tokio::test(flavor = "multi_thread")]
async fn browsers_may_call_from_any_page() {
    let server = Server::without_model().await;
    for target in ["/v1/recognize", "/instances/i/v1/models", "/v1/nothing"] {
        let preflight = Request::new("OPTIONS", target)
            .header("Origin", "https://page.example")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,content-type,x-watson-metadata");
        let reply = server.send(preflight).await;
        assert_eq!(reply.status, 200, "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(tokens(&reply, "access-control-allow-methods"), ["delete", "get", "options", "post", "put"]);
        assert_eq!(
            tokens(&reply, "access-control-allow-headers"),
            [
                "authorization",
                "content-type",
                "x-watson-authorization-token",
                "x-watson-learning-opt-out",
                "x-watson-metadata",
                "x-watson-test"
            ]
        );
        assert!(reply.header("x-global-transaction-id").is_some(), "on every response");
    }
    // A page may read answers, errors and the transaction id, whoever made the error.
    for (method, target, status) in [
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/bogus", 404),
        ("GET", "/nowhere", 404),
        ("PUT", "/v1/models", 405),
    ] {
        let reply = server.send(Request::new(method, target).header("Origin", "https://page.example")).await;
        assert_eq!(reply.status, status, "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"), "{method} {target}");
        assert_eq!(reply.header("access-control-expose-headers"), Some("x-global-transaction-id"), "{method} {target}");
        assert!(reply.header("content-type").is_some_and(|media| media.starts_with("application/json")));
    }
}

/// auth.md section 4, SDK-04: what clients send along changes nothing
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_clients_are_taken() {
    let server = Server::without_model().await;
    for (name, value) in [
        ("X-Watson-Learning-Opt-Out", "true"),
        ("X-Watson-Learning-Opt-Out", "0"),
        ("X-WDC-PL-OPT-OUT", "1"),
        ("X-Watson-Metadata", "customer_id=my_ID"),
        ("X-Watson-Metadata", "customer_id=a b/ü"),
        (
            "X-IBMCloud-SDK-Analytics",
            "service_name=speech_to_text;service_version=V1;operation_id=listModels;async=true",
        ),
        ("X-Watson-Test", "1"),
        ("X-Watson-Authorization-Token", "anything"),
        ("X-Unheard-Of", "x"),
        ("User-Agent", "watson-apis-python-sdk-8.0.0"),
    ] {
        let reply = server.send(Request::new("GET", "/v1/models").header(name, value)).await;
        assert_eq!(reply.status, 200, "{name}: {value}");
    }
    // Names are matched without case; an id goes out as it came in, under both names, with errors too.
    let reply = server.send(Request::new("DELETE", "/v1/models").header("x-GLOBAL-transaction-ID", "Ab-1/~")).await;
    assert_eq!(reply.status, 405);
    assert_eq!(reply.header("x-global-transaction-id"), Some("Ab-1/~"));
    assert_eq!(reply.header("x-dp-watson-tran-id"), Some("Ab-1/~"));
}

async fn figures(server: &Server) -> String {
    let reply = server.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    reply.text()
}

fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_count_what_happens_and_name_only_routes() {
    if !has_model("figures_count_what_happens_and_name_only_routes") {
        return;
    }
    let service = ServiceConfig { max_sessions: 1, decode_threads: 1, ..ServiceConfig::default() };
    let config = WatsonConfig { metrics: MetricsFor::Everybody, ..WatsonConfig::default() };
    let server = Server::with_settings(Some(service), config).await;
    let linear = "audio/l16;rate=16000;endianness=little-endian";
    let second = common::audio::linear(&common::audio::quiet(16_000));
    assert_eq!(server.recognize("", linear, second.repeat(4)).await.status, 200);
    let _taken = server.service.admit().unwrap();
    assert_eq!(server.recognize("", linear, second).await.status, 503);
    for name in ["secret-a", "secret-b"] {
        assert_eq!(server.get(&format!("/v1/models/{name}?access_token={name}")).await.status, 404);
        assert_eq!(server.send(Request::new(&name.to_uppercase(), &format!("/{name}"))).await.status, 404);
    }
    let text = figures(&server).await;
    let request = |method: &str, route: &str, status: u16| {
        figure(
            &text,
            &format!("dictum_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"),
        )
    };
    assert_eq!(request("POST", "/v1/recognize", 200), 1.0);
    assert_eq!(request("POST", "/v1/recognize", 503), 1.0);
    assert_eq!(request("GET", "/v1/models/{model_id}", 404), 2.0);
    assert_eq!(request("other", "none", 404), 2.0);
    assert!(!text.to_lowercase().contains("secret"), "{text}");
    assert_eq!(figure(&text, "dictum_errors_total{code=\"404\"}"), 4.0);
    assert_eq!(figure(&text, "dictum_admissions_total{outcome=\"admitted\"}"), 2.0);
    assert_eq!(figure(&text, "dictum_admissions_total{outcome=\"refused\"}"), 1.0);
    assert_eq!(figure(&text, "dictum_sessions_active"), 1.0);
    assert_eq!(figure(&text, "dictum_sessions_limit"), 1.0);
    assert!((figure(&text, "dictum_audio_seconds_total") - 4.0).abs() < 0.1);
    assert!(figure(&text, "dictum_decode_cpu_seconds_total") > 0.0);
    for histogram in ["dictum_real_time_factor", "dictum_final_result_seconds"] {
        assert_eq!(figure(&text, &format!("{histogram}_count")), 1.0, "{histogram}");
    }
    assert!(figure(&text, "dictum_turn_wait_seconds_count") >= 1.0);
    assert!(text.ends_with("# EOF\n"));
}

/// Test servers do not tell the router who is asking, so nobody counts as near.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_not_for_everybody() {
    let server = Server::without_model().await;
    assert_eq!(server.get("/metrics").await.status, 404);
}

/// Once the service is to end, requests are refused, and those that ask how it is are not.
#[tokio::test(flavor = "multi_thread")]
async fn an_ending_server_takes_no_requests() {
    if !has_model("an_ending_server_takes_no_requests") {
        return;
    }
    let server = Server::with_settings(Some(ServiceConfig::default()), WatsonConfig::default()).await;
    server.service.load().await.unwrap();
    assert_eq!(server.get("/health/ready").await.status, 200);
    server.service.drain().begin();
    for target in ["/v1/models", "/health/ready", "/openapi.json"] {
        let reply = server.get(target).await;
        assert_eq!((reply.status, reply.json()["code"].as_u64()), (503, Some(503)), "{target}");
        assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("5"), Some("close")), "{target}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    let linear = "audio/l16;rate=16000;endianness=little-endian";
    assert_eq!(server.recognize("", linear, vec![0; 3_000_000]).await.status, 503);
    assert_eq!(server.get("/health/live").await.status, 200);
    tokio::time::timeout(std::time::Duration::from_secs(5), server.service.drain().finished()).await.expect("all done");
}

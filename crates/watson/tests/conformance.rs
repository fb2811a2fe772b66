//! The contract, request by request: see conformance.toml.

mod common;

use common::{Payload, Request, Server, audio};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    request: String,
    #[serde(default)]
    headers: toml::Table,
    #[serde(default)]
    body: Option<Body>,
    #[serde(default)]
    model: bool,
    status: u16,
    #[serde(default)]
    json: Option<Value>,
    #[serde(default)]
    exactly: Option<Value>,
    #[serde(default)]
    present: Vec<String>,
    #[serde(default)]
    absent: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Audio(String),
    Multipart {
        #[serde(default)]
        metadata: Option<String>,
        uploads: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

fn cases() -> Vec<Case> {
    toml::from_str::<Cases>(include_str!("conformance.toml")).expect("conformance.toml is well-formed").case
}

/// Makes the audio that a case describes. `None`: this machine cannot.
fn make(description: &str) -> Option<Vec<u8>> {
    let words: Vec<&str> = description.split(' ').collect();
    let number = |at: usize| words[at].parse::<usize>().unwrap_or_else(|_| panic!("{description}"));
    Some(match words[0] {
        "zeros" => vec![0; number(1)],
        "noise" => audio::noise(number(1)),
        "l16" => audio::linear(&audio::quiet(number(1) * number(2))),
        "wav" => audio::wav(number(1) as u32, number(2) as u16, &audio::quiet(number(1) * number(2) * number(3))),
        "spoken" => audio::spoken().map(|(rate, samples)| audio::wav(*rate, 1, samples))?,
        other => panic!("no body is called {other}"),
    })
}

fn request(case: &Case) -> Option<Request> {
    let (method, target) = case.request.split_once(' ').expect("method and target");
    let mut request = Request::new(method, target);
    for (name, value) in &case.headers {
        request = request.header(name, value.as_str().expect("headers are strings"));
    }
    Some(match &case.body {
        None => request,
        Some(Body::Audio(description)) => {
            let body = make(description)?;
            match description.ends_with(" chunked") {
                true => request.chunked(&body, 7),
                false => request.body(body),
            }
        }
        Some(Body::Multipart { metadata, uploads }) => {
            let uploads: Option<Vec<Vec<u8>>> = uploads.iter().map(|upload| make(upload)).collect();
            let body = common::multipart(metadata.as_deref(), &uploads?);
            request.header("Content-Type", common::MULTIPART).payload(Payload::Whole(body))
        }
    })
}

/// Whether `found` has all that `wanted` has.
fn covers(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| covers(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| covers(found, wanted))
        }
        (Value::String(found), Value::String(wanted)) => match wanted.strip_prefix('~') {
            Some(part) => found.contains(part),
            None => found == wanted,
        },
        _ => found == wanted,
    }
}

async fn check(server: &Server, case: &Case) -> Result<(), String> {
    let Some(request) = request(case) else {
        common::skipped(&case.rule, "espeak-ng is not installed");
        return Ok(());
    };
    let reply = server.send(request).await;
    let text = format!("answer {} {}", reply.status, reply.text());
    if reply.status != case.status {
        return Err(format!("wanted status {}, {text}", case.status));
    }
    let id = reply.header("x-global-transaction-id").unwrap_or_default();
    let preflight = case.request.starts_with("OPTIONS");
    if !preflight && (id.is_empty() || reply.header("x-dp-watson-tran-id") != Some(id)) {
        return Err(format!("no transaction id in {text}"));
    }
    if preflight {
        return match reply.header("access-control-allow-origin") {
            Some("*") => Ok(()),
            other => Err(format!("access-control-allow-origin {other:?}")),
        };
    }
    if !reply.header("content-type").is_some_and(|value| value.starts_with("application/json")) {
        return Err(format!("not JSON: {text}"));
    }
    let json = reply.json();
    if reply.status >= 400 {
        let members = ["error", "code", "code_description"];
        if members.iter().any(|member| json.get(member).is_none()) || json["code"] != reply.status {
            return Err(format!("not an error body: {text}"));
        }
    }
    if let Some(wanted) = &case.json
        && !covers(&json, wanted)
    {
        return Err(format!("wanted {wanted}, {text}"));
    }
    if let Some(wanted) = &case.exactly
        && json != *wanted
    {
        return Err(format!("wanted exactly {wanted}, {text}"));
    }
    if let Some(pointer) = case.present.iter().find(|pointer| json.pointer(pointer).is_none()) {
        return Err(format!("wanted {pointer}, {text}"));
    }
    if let Some(pointer) = case.absent.iter().find(|pointer| json.pointer(pointer).is_some()) {
        return Err(format!("wanted no {pointer}, {text}"));
    }
    Ok(())
}

async fn check_all(server: &Server, cases: impl Iterator<Item = &Case>) {
    let mut failures = Vec::new();
    let mut count = 0;
    for case in cases {
        count += 1;
        if let Err(failure) = check(server, case).await {
            failures.push(format!("{}: {}\n    {failure}", case.rule, case.request));
        }
    }
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), failures.join("\n"));
    println!("{count} cases");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_without_listening() {
    let cases = cases();
    check_all(&Server::without_model().await, cases.iter().filter(|case| !case.model)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_of_listening() {
    if common::has_model("what_comes_of_listening") {
        let cases = cases();
        check_all(&Server::with_model().await, cases.iter().filter(|case| case.model)).await;
    }
}

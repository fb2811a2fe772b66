//! Credentials on the wire (auth.md): who is let in, who is not, and that nobody is told why.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use common::{Payload, Reply, Request, Server};
use dictum_service::accounts::{Accounts, AccountsConfig, ApiKey};
use serde_json::{Value, json};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

async fn server() -> (Server, Arc<Accounts>) {
    Server::with_accounts(AccountsConfig::default()).await
}

async fn key(accounts: &Accounts) -> ApiKey {
    accounts.create_key("default", "a key").await.unwrap().0
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn models() -> Request {
    Request::new("GET", "/v1/models")
}

async fn iam(server: &Server, path: &str, form: &str) -> Reply {
    server.send(Request::new("POST", path).header("Content-Type", FORM).body(form)).await
}

fn grant(key: &str) -> String {
    format!("grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey={key}&response_type=cloud_iam")
}

async fn token(server: &Server, key: &ApiKey) -> String {
    let answer = iam(server, "/identity/token", &grant(key.text())).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

/// What everybody gets who is not let in (AUTH-11, errors.md section 1).
fn assert_refused(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 401, "{what}: {}", reply.text());
    let expected = json!({ "error": "Unauthorized", "code": 401, "code_description": "Unauthorized" });
    assert_eq!(reply.json(), expected, "{what}");
    assert_eq!(reply.header("content-type"), Some(JSON), "{what}");
    assert!(reply.header("x-global-transaction-id").is_some(), "{what}");
    assert!(reply.header("www-authenticate").is_some_and(|challenge| !challenge.contains("Basic")), "{what}");
}

/// AUTH-01, section 2
#[tokio::test]
async fn every_documented_form_is_accepted() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let token = token(&server, &key).await;
    let headers = [
        basic("apikey", key.text()),
        basic("somebody", key.text()),
        format!("Bearer {token}"),
        format!("bearer {}", key.text()),
    ];
    let prefixes = [
        "",
        "/speech-to-text/api",
        "/instances/27f03d3c-0000",
        "/speech-to-text/zen/instances/1/api",
        "//instances/1/",
    ];
    for (header, prefix) in headers.iter().flat_map(|header| prefixes.map(|prefix| (header, prefix))) {
        let request = Request::new("GET", &format!("{prefix}/v1/models")).header("Authorization", header);
        assert_eq!(server.send(request).await.status, 200, "{prefix}");
    }
    for query in [format!("access_token={token}"), format!("watson-token={token}")] {
        assert_eq!(server.get(&format!("/v1/models?{query}")).await.status, 200);
        assert_eq!(server.get(&format!("/v1/models/en-US_Telephony?{query}")).await.status, 200);
    }
}

#[tokio::test]
async fn everything_else_is_refused_with_one_answer() {
    let (server, accounts) = server().await;
    let (good, revoked) = (key(&accounts).await, key(&accounts).await);
    let revoked_token = token(&server, &revoked).await;
    let good_token = token(&server, &good).await;
    accounts.revoke_key(revoked.id()).await.unwrap();
    let (other, others) = Server::with_accounts(AccountsConfig::default()).await;
    let foreign = key(&others).await;
    let foreign_token = token(&other, &foreign).await;
    let claims = good_token.split('.').nth(1).unwrap();
    let none = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
    let tampered = {
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        claims["exp"] = json!(99_999_999_999_u64);
        let mut parts: Vec<String> = good_token.split('.').map(str::to_owned).collect();
        parts[1] = URL_SAFE_NO_PAD.encode(claims.to_string());
        parts.join(".")
    };
    let headers = [
        ("wrong key", basic("apikey", &good.text().replace('0', "1").replace('2', "3"))),
        ("half a key", basic("apikey", &good.text()[..50])),
        ("key as user", basic(good.text(), "")),
        ("revoked key", basic("apikey", revoked.text())),
        ("revoked key's token", format!("Bearer {revoked_token}")),
        ("another server's key", basic("apikey", foreign.text())),
        ("another server's token", format!("Bearer {foreign_token}")),
        ("token as key", basic("apikey", &good_token)),
        ("tampered token", format!("Bearer {tampered}")),
        ("alg none", format!("Bearer {none}")),
    ];
    for (what, header) in headers {
        assert_refused(&server.send(models().header("Authorization", &header)).await, what);
    }
    assert_refused(&server.send(models()).await, "nothing");
    // AUTH-10
    for query in [format!("access_token={}", good.text()), format!("watson-token={}", good.text())] {
        assert_refused(&server.get(&format!("/v1/models?{query}")).await, "a key in the query");
    }
    assert_refused(&server.get("/v1/models?access_token=").await, "an empty token");
    let both = models().header("Authorization", "Bearer wrong");
    assert_refused(&server.send(both).await, "a wrong header");
    assert_eq!(server.send(models().header("Authorization", &basic("apikey", good.text()))).await.status, 200);
}

#[tokio::test]
async fn malformed_headers_are_refused_and_harm_nobody() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let long = "x".repeat(60_000);
    for header in [
        "",
        "Basic",
        "Basic ",
        "Basic ====",
        "Basic not-base64!",
        "Basic YXBpa2V5",
        "Bearer",
        "Bearer ..",
        "Bearer é.é.é",
        "Negotiate abc",
        key.text(),
        &format!("Bearer {long}"),
        &format!("Basic {}", STANDARD.encode(&long)),
    ] {
        let (server, _) = Server::with_accounts(AccountsConfig::default()).await; // one that has seen no failures
        assert_refused(&server.send(models().header("Authorization", header)).await, &header[..header.len().min(40)]);
    }
    let twice = models()
        .header("Authorization", &basic("apikey", key.text()))
        .header("Authorization", &basic("apikey", key.text()));
    assert_refused(&server.send(twice).await, "two headers");
    let huge = models().header("Authorization", &format!("Bearer {}", "x".repeat(1 << 20)));
    assert_eq!(server.send(huge).await.status, 431);
    assert_eq!(server.send(models().header("Authorization", &basic("apikey", key.text()))).await.status, 200);
}

/// Section 5: preflights and health need no credentials, and browsers can read a refusal.
#[tokio::test]
async fn what_needs_no_credentials() {
    let (server, _) = server().await;
    assert_eq!(server.get("/health/live").await.status, 200);
    assert_eq!(server.get("/health/ready").await.status, 503, "no model is loaded here");
    let preflight = Request::new("OPTIONS", "/v1/recognize")
        .header("Origin", "https://example.com")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization");
    assert_eq!(server.send(preflight).await.status, 200);
    let refused = server.send(models().header("Origin", "https://example.com")).await;
    assert_refused(&refused, "from a page");
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    assert_eq!(server.get("/v1/nothing").await.status, 404);
}

/// AUTH-11, AUTH-10: credentials are settled by the handshake; browsers send a token in the query.
#[tokio::test]
async fn handshakes_need_credentials() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let token = token(&server, &key).await;
    let handshake = |query: &str| {
        Request::new("GET", &format!("/v1/recognize?{query}"))
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    assert_refused(&server.send(handshake("model=en-US_Telephony")).await, "nothing");
    assert_refused(&server.send(handshake("access_token=a.b.c")).await, "junk");
    assert_refused(&server.send(handshake(&format!("access_token={}", key.text()))).await, "a key in the query");
    for query in [format!("access_token={token}"), format!("watson-token={token}")] {
        assert_eq!(server.send(handshake(&query)).await.status, 500, "let in, to a model without files");
    }
    let with_key = handshake("").header("Authorization", &basic("apikey", key.text()));
    assert_eq!(server.send(with_key).await.status, 500);
}

/// The answer is seen although the body was not read.
#[tokio::test]
async fn uploads_are_refused_before_they_are_read() {
    let (server, _) = server().await;
    let audio = vec![0; 5_000_000];
    assert_refused(&server.recognize("", "audio/wav", audio.clone()).await, "whole");
    let request = Request::new("POST", "/v1/recognize").header("Content-Type", "audio/wav");
    assert_refused(&server.send(request.chunked(&audio, 100_000)).await, "in chunks");
    let request = Request::new("POST", "/v1/recognize").header("Expect", "100-continue");
    assert_refused(&server.send(request.payload(Payload::Stalled(5_000_000, Vec::new()))).await, "asking first");
    assert_eq!(server.service.sessions(), 0);
}

/// AUTH-20, section 3.1
#[tokio::test]
async fn iam_tokens_are_what_sdks_need() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    for path in ["/identity/token", "/speech-to-text/api/identity/token", "/instances/1/identity/token"] {
        let answer = iam(&server, path, &grant(key.text())).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some(JSON));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!((&body["refresh_token"], &body["scope"]), (&json!("not_supported"), &json!("ibm openid")));
        let token = body["access_token"].as_str().unwrap();
        let segments: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|segment| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap())
            .collect();
        assert_eq!(segments[0], json!({ "alg": "HS256", "typ": "JWT" }));
        let (issued, expires) = (segments[1]["iat"].as_u64().unwrap(), segments[1]["exp"].as_u64().unwrap());
        assert_eq!((expires - issued, &body["expiration"]), (3600, &json!(expires)));
    }
}

/// AUTH-21
#[tokio::test]
async fn iam_says_what_is_wrong_with_a_request() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let answer = iam(&server, "/identity/token", &grant("wrong")).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errorCode"], "BXNIM0415E");
    assert_eq!(answer.json()["errorMessage"], "Provided API key could not be found.");
    let refresh = format!("grant_type=refresh_token&apikey={}", key.text());
    for form in ["", "grant_type=", &grant(""), &refresh, "%ff%fe=&&&==", "{}"] {
        let answer = iam(&server, "/identity/token", form).await;
        assert_eq!(answer.status, 400, "{form}");
        assert!(answer.json()["errorMessage"].is_string(), "{form}");
    }
    let long = iam(&server, "/identity/token", &grant(&"x".repeat(20_000))).await;
    assert_eq!((long.status, long.json()["code"].as_u64()), (413, Some(413)));
    assert_eq!(server.get("/identity/token").await.status, 405);
}

/// Section 3.2
#[tokio::test]
async fn cloud_pak_tokens() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let authorize = |path: &'static str, body: Value| {
        server.send(Request::new("POST", path).header("Content-Type", JSON).body(body.to_string()))
    };
    let bodies = [
        json!({ "username": "me", "password": key.text() }),
        json!({ "username": "me", "api_key": key.text() }),
        json!({ "username": "me", "password": null, "api_key": key.text() }), // python-sdk
        json!({ "username": "me", "password": key.text(), "api_key": null, "more": [1] }),
    ];
    let paths = ["/v1/authorize", "/icp4d-api/v1/authorize", "/speech-to-text/zen/instances/1/api/v1/authorize"];
    for (path, body) in paths.iter().flat_map(|path| bodies.iter().map(move |body| (*path, body.clone()))) {
        let answer = authorize(path, body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!((&answer.json()["_messageCode_"], &answer.json()["message"]), (&json!("200"), &json!("Success")));
        let bearer = format!("Bearer {}", answer.json()["token"].as_str().unwrap());
        assert_eq!(server.send(models().header("Authorization", &bearer)).await.status, 200);
    }
    assert_refused(&authorize("/v1/authorize", json!({ "username": "me", "password": "wrong" })).await, "wrong");
    assert_refused(&authorize("/v1/authorize", json!({ "username": null, "password": null })).await, "nothing");
    for junk in [json!([]), json!({ "password": 7 }), json!("x")] {
        assert_eq!(authorize("/v1/authorize", junk).await.status, 400);
    }
    let former = Request::new("GET", "/v1/preauth/validateAuth").header("Authorization", &basic("me", key.text()));
    let answer = server.send(former).await;
    let bearer = format!("Bearer {}", answer.json()["accessToken"].as_str().unwrap());
    assert_eq!(server.send(models().header("Authorization", &bearer)).await.status, 200);
    assert_refused(&server.get("/v1/preauth/validateAuth").await, "no header");
}

#[tokio::test]
async fn tokens_expire() {
    let config = AccountsConfig { token_lifetime: Duration::from_secs(1), ..AccountsConfig::default() };
    let (server, accounts) = Server::with_accounts(config).await;
    let key = key(&accounts).await;
    let bearer = format!("Bearer {}", token(&server, &key).await);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_refused(&server.send(models().header("Authorization", &bearer)).await, "expired");
}

/// AUTH-13
#[tokio::test]
async fn an_url_with_the_guid_of_another_instance_is_refused() {
    let (server, accounts) = server().await;
    let (mine, own) = accounts.create_key("mine", "a key").await.unwrap();
    let (_, theirs) = accounts.create_key("theirs", "a key").await.unwrap();
    let ask = |instance: String| {
        let request = Request::new("GET", &format!("/instances/{instance}/v1/models"));
        server.send(request.header("Authorization", &basic("apikey", mine.text())))
    };
    assert_eq!(ask(own.id).await.status, 200);
    assert_eq!(ask("6b1f0c2e-7a52-4b57-9c1c-2f8f6a0f3b11".to_owned()).await.status, 200, "from its former home");
    assert_refused(&ask(theirs.id).await, "theirs");
}

/// Refusals slow down; those who have a key do not notice.
#[tokio::test]
async fn repeated_failures_are_slowed_down() {
    let (server, accounts) = server().await;
    let key = key(&accounts).await;
    let wrong = || models().header("Authorization", &basic("apikey", "wrong"));
    let began = Instant::now();
    for _ in 0..10 {
        server.send(wrong()).await;
    }
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());
    let reply = server.send(wrong()).await;
    assert_refused(&reply, "slowly");
    assert!(reply.after >= Duration::from_millis(250), "{:?}", reply.after);
    // The token endpoint counts with it.
    assert!(iam(&server, "/identity/token", &grant("wrong")).await.after >= Duration::from_millis(500));
    let good = server.send(models().header("Authorization", &basic("apikey", key.text()))).await;
    assert_eq!(good.status, 200);
    assert!(good.after < Duration::from_millis(200), "{:?}", good.after);
}

/// Where no credentials are asked for, SDKs that insist on getting tokens still work.
#[tokio::test]
async fn an_open_server_takes_anything() {
    let server = Server::without_model().await;
    let answer = iam(&server, "/identity/token", &grant("whatever")).await;
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    for header in [format!("Bearer {token}"), basic("any", "thing"), "junk".to_owned()] {
        assert_eq!(server.send(models().header("Authorization", &header)).await.status, 200);
    }
}

//! Registering callback URLs (async.md sections 2 and 3) with a real callback server.

mod common;

use std::time::{Duration, Instant};

use common::hook::{Hook, Manner};
use common::{Reply, Request, Server};
use serde_json::json;

async fn register(server: &Server, query: &str) -> Reply {
    server.send(Request::new("POST", &format!("/v1/register_callback?{query}"))).await
}

async fn unregister(server: &Server, query: &str) -> Reply {
    server.send(Request::new("POST", &format!("/v1/unregister_callback?{query}"))).await
}

/// async.md section 8, tests 1 and 3; ASY-R1 to ASY-R4
#[tokio::test]
async fn a_url_is_registered_once_and_challenged_once() {
    let (server, hook) = (Server::without_model().await, Hook::new().await);
    let query = format!("callback_url={}&user_secret=ThisIsMySecret", hook.encoded());
    let created = register(&server, &query).await;
    assert_eq!((created.status, created.json()), (201, json!({ "status": "created", "url": hook.url })));
    let heard = hook.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].target.starts_with("/results?for=dictum&challenge_string="), "{}", heard[0].target);
    assert!(heard[0].is_signed_with("ThisIsMySecret") && !heard[0].is_signed_with("another"));
    let again = register(&server, &format!("callback_url={}&user_secret=another", hook.encoded())).await;
    assert_eq!((again.status, again.json()), (200, json!({ "status": "already created", "url": hook.url })));
    assert_eq!(hook.heard().len(), 1, "no new challenge");
}

/// ASY-R2, SDK-03
#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let (server, hook) = (Server::without_model().await, Hook::new().await);
    let request = Request::new("POST", &format!("/v1/register_callback?callback_url={}", hook.encoded()));
    let created = server.send(request.header("Content-Type", "application/json").body("{}")).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert!(!hook.heard()[0].is_signed());
}

/// ASY-R5, ASY-R6
#[tokio::test]
async fn urls_that_are_not_registered() {
    let server = Server::without_model().await;
    let manners = [
        (Manner { challenge_status: 404, ..Manner::default() }, "callback server responded with status code 404"),
        (Manner { challenge_status: 302, ..Manner::default() }, "callback server responded with status code 302"),
        (Manner { echo: false, ..Manner::default() }, "did not respond with the challenge string"),
    ];
    for (manner, reason) in manners {
        let hook = Hook::with(manner).await;
        let refused = register(&server, &format!("callback_url={}", hook.encoded())).await;
        assert_eq!(refused.status, 400);
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(&format!("unable to register callback url '{}', ", hook.url)), "{error}");
        assert!(error.contains(reason), "{error}");
        assert_eq!(unregister(&server, &format!("callback_url={}", hook.encoded())).await.status, 404);
    }
    for query in ["", "callback_url=", "callback_url=ftp%3A%2F%2Fexample.com", "callback_url=here", "user_secret=s"] {
        assert_eq!(register(&server, query).await.status, 400, "{query}");
    }
    let unreachable = register(&server, "callback_url=http%3A%2F%2F127.0.0.1%3A1%2F").await;
    assert!(unreachable.text().contains("could not be reached"), "{}", unreachable.text());
}

/// A client may not have the server look at what only the server can reach, nor learn from the answer what is there.
#[tokio::test]
async fn private_addresses_are_not_called() {
    let server = Server::without_model().await;
    let mut answers = Vec::new();
    for host in ["169.254.169.254", "10.0.0.1", "[fd00::1]", "[::1]", "192.168.0.1", "0.0.0.0", "127.0.0.2"] {
        let refused = register(&server, &format!("callback_url=http%3A%2F%2F{host}%2F")).await;
        assert_eq!(refused.status, 400, "{host}");
        assert!(refused.after < Duration::from_secs(2), "{host}");
        answers.push(refused.text().replace(host, "HOST"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].contains("callbacks.allow"), "{}", answers[0]);
}

/// async.md section 8, test 2
#[tokio::test]
async fn a_slow_callback_server_is_given_five_seconds() {
    let server = Server::without_model().await;
    let hook = Hook::with(Manner { pause: Duration::from_secs(6), ..Manner::default() }).await;
    let began = Instant::now();
    let refused = register(&server, &format!("callback_url={}", hook.encoded())).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("within 5 seconds"), "{}", refused.text());
    assert!((4.5..5.9).contains(&began.elapsed().as_secs_f64()));
}

/// ASY-R7
#[tokio::test]
async fn twenty_urls_an_hour() {
    let (server, hook) = (Server::without_model().await, Hook::new().await);
    for number in 0..20 {
        let created = register(&server, &format!("callback_url={}%26{number}", hook.encoded())).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    let refused = register(&server, &format!("callback_url={}", hook.encoded())).await;
    assert_eq!(refused.status, 400);
    assert_eq!(hook.heard().len(), 20, "no challenge for what is refused anyway");
    let again = register(&server, &format!("callback_url={}%267", hook.encoded())).await;
    assert_eq!(again.status, 200, "what is registered stays so");
}

/// async.md section 3
#[tokio::test]
async fn unregistering() {
    let (server, hook) = (Server::without_model().await, Hook::new().await);
    register(&server, &format!("callback_url={}", hook.encoded())).await;
    let done = unregister(&server, &format!("callback_url={}", hook.encoded())).await;
    assert_eq!((done.status, done.body.len()), (200, 0));
    assert_eq!(unregister(&server, &format!("callback_url={}", hook.encoded())).await.status, 404);
    assert_eq!(unregister(&server, "").await.status, 400);
}

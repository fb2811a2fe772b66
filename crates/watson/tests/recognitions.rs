//! Jobs of asynchronous recognition (async.md) as far as no audio is listened to: creating, listing, deleting, refusals.

mod common;

use std::time::Duration;

use common::hook::Hook;
use common::{MULTIPART, Payload, Reply, Request, Server, audio, multipart};
use dictum_store::{Queue, Quota};
use dictum_watson::{MetricsFor, WatsonConfig};
use serde_json::{Value, json};

fn recording() -> Vec<u8> {
    audio::wav(16_000, 1, &audio::quiet(8_000))
}

async fn create(server: &Server, query: &str) -> Reply {
    let request = Request::new("POST", &format!("/v1/recognitions?{query}"));
    server.send(request.header("Content-Type", "audio/wav").body(recording())).await
}

async fn created(server: &Server, query: &str) -> String {
    let reply = create(server, query).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn delete(server: &Server, id: &str) -> Reply {
    server.send(Request::new("DELETE", &format!("/v1/recognitions/{id}"))).await
}

async fn get(server: &Server, id: &str) -> Reply {
    server.get(&format!("/v1/recognitions/{id}")).await
}

fn members(document: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

fn is_timestamp(text: &Value) -> bool {
    let text = text.as_str().unwrap();
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}

/// ASY-J1, ASY-J5, section 6
#[tokio::test]
async fn what_the_documents_have() {
    let (server, hook) = (Server::without_model().await, Hook::new().await);
    server.send(Request::new("POST", &format!("/v1/register_callback?callback_url={}", hook.encoded()))).await;
    let reply = create(&server, &format!("callback_url={}&user_token=job25&results_ttl=5", hook.encoded())).await;
    let job = reply.json();
    assert_eq!((reply.status, members(&job)), (201, vec!["created", "id", "status", "url"]));
    assert_eq!(job["status"], "waiting");
    let id = job["id"].as_str().unwrap();
    assert_eq!(job["url"], format!("http://stt.example:1234/v1/recognitions/{id}"));
    assert!(is_timestamp(&job["created"]), "{job}");
    let one = get(&server, id).await.json();
    assert_eq!(members(&one), ["created", "id", "status", "updated"]);
    assert_eq!((&one["created"], is_timestamp(&one["updated"])), (&job["created"], true));
    let list = server.get("/v1/recognitions").await.json();
    assert_eq!(members(&list), ["recognitions"]);
    assert_eq!(members(&list["recognitions"][0]), ["created", "id", "status", "updated", "user_token"]);
    assert_eq!(list["recognitions"][0]["user_token"], "job25");
}

/// async.md section 8, test 9; ASY-J2
#[tokio::test]
async fn warnings() {
    let server = Server::without_model().await;
    let job = create(&server, "user_token=job25&events=recognitions.failed&nonsense=1").await.json();
    let unexpected =
        |name: &str| format!("unexpected query parameter '{name}', query parameter 'callback_url' was not specified");
    let nonsense = "Unknown url query arguments: nonsense.".to_owned();
    assert_eq!(job["warnings"], json!([unexpected("user_token"), unexpected("events"), nonsense]));
    let list = server.get("/v1/recognitions").await.json();
    assert_eq!(list["recognitions"][0].get("user_token"), None, "there is nobody to tell it");
}

/// async.md section 8, tests 4 and 5; ASY-J3, ASY-J4
#[tokio::test]
async fn refusals_of_the_head() {
    let server = Server::without_model().await;
    for (query, status, text) in [
        ("callback_url=http%3A%2F%2F127.0.0.1%3A1%2F", 400, "not registered"),
        ("events=recognitions.completed,recognitions.completed_with_results", 400, "both"),
        ("events=recognitions.begun", 400, "recognitions.begun"),
        ("results_ttl=soon", 400, "results_ttl must be"),
        ("keywords_threshold=2", 400, "keywords_threshold value must be between zero and one (inclusive)"),
        ("processing_metrics_interval=-1", 400, "processing_metrics_interval must be"),
        ("model=xx-XX_Nothing", 404, "Model 'xx-XX_Nothing' not found"),
    ] {
        let reply = create(&server, query).await;
        assert_eq!(reply.status, status, "{query}: {}", reply.text());
        assert!(reply.text().contains(text), "{query}: {}", reply.text());
    }
    let send = |content_type: &str, body: Vec<u8>| {
        let request = Request::new("POST", "/v1/recognitions").header("Content-Type", content_type).body(body);
        server.send(request)
    };
    assert_eq!(send("text/plain", recording()).await.status, 415);
    assert_eq!(send("audio/l16", recording()).await.status, 400);
    let parts = send(MULTIPART, multipart(Some("{}"), &[recording()])).await;
    assert!(parts.status == 415 && parts.text().contains("POST /v1/recognize"), "{}", parts.text());
    let short = send("audio/wav", recording()[..99].to_vec()).await;
    assert_eq!(
        (short.status, &short.json()["error"]),
        (400, &json!("Stream was 99 bytes but needs to be at least 100 bytes."))
    );
    let accept = Request::new("POST", "/v1/recognitions").header("Accept", "text/html").body(recording());
    assert_eq!(server.send(accept).await.status, 406);
    let label = Request::new("POST", "/v1/recognitions").header("X-Watson-Metadata", "customer_id=").body(recording());
    assert_eq!(server.send(label).await.status, 400);
    assert_eq!(server.get("/v1/recognitions").await.json(), json!({ "recognitions": [] }), "nothing came of any");
    assert_eq!(server.store.queue_counts().await.unwrap().iter().map(|count| count.waiting).sum::<u64>(), 0);
}

/// REC-L3
#[tokio::test]
async fn audio_beyond_the_limit_is_refused_announced_or_not() {
    let config = WatsonConfig { max_job_bytes: 10_000, ..WatsonConfig::default() };
    let server = Server::with_config(config).await;
    let request = || Request::new("POST", "/v1/recognitions").header("Content-Type", "audio/wav");
    let announced = server.send(request().payload(Payload::Stalled(20_000, vec![0; 10]))).await;
    assert_eq!((announced.status, announced.header("connection")), (413, Some("close")));
    assert!(announced.text().contains("10000 bytes"), "{}", announced.text());
    assert!(announced.after < Duration::from_secs(5), "without reading it");
    assert_eq!(server.send(request().chunked(&vec![0; 20_000], 999)).await.status, 413);
    assert_eq!(server.send(request().chunked(&vec![0; 10_000], 999)).await.status, 201);
    assert_eq!(server.get("/v1/recognitions").await.json()["recognitions"].as_array().unwrap().len(), 1);
}

/// async.md section 8, tests 6 and 8; section 7, ASY-G2
#[tokio::test]
async fn listing_and_deleting() {
    let server = Server::with_config(WatsonConfig { metrics: MetricsFor::Everybody, ..WatsonConfig::default() }).await;
    let mut ids = Vec::new();
    for _ in 0..103 {
        ids.push(created(&server, "").await);
    }
    let list = server.get("/v1/recognitions").await.json();
    let listed: Vec<&str> =
        list["recognitions"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(listed.len(), 100);
    assert_eq!(listed[0], ids[102], "newest first");
    let figures = server.get("/metrics").await.text();
    let waiting = "dictum_queue_tickets{queue=\"recognition\",state=\"waiting\"} 103\n";
    assert!(figures.contains(waiting) && figures.ends_with("# EOF\n"), "{figures}");
    // Claimed by a worker, as far as the server can tell.
    let ticket = server.store.claim(&[Queue::Recognition], "a test", Duration::from_secs(60)).await.unwrap().unwrap();
    server.store.begin_recognition(&ticket).await.unwrap();
    let refused = delete(&server, &ticket.subject).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("Unable to delete the processing job")));
    assert_eq!(get(&server, &ticket.subject).await.json()["status"], "processing");
    server.store.complete_recognition(&ticket, "[{\"results\":[],\"result_index\":0}]").await.unwrap();
    let completed = get(&server, &ticket.subject).await.json();
    assert_eq!(members(&completed), ["created", "id", "results", "status", "updated"]);
    for id in [&ids[102], &ticket.subject] {
        let deleted = delete(&server, id).await;
        assert_eq!((deleted.status, deleted.body.len()), (204, 0));
        assert_eq!((delete(&server, id).await.status, get(&server, id).await.status), (404, 404));
    }
    for id in ["4bd734c0-e575-21f3-de03-f932aa0468a0", "nonsense", "%00", "..%2F..", "'%20OR%20'1'='1"] {
        let (gone, found) = (delete(&server, id).await, get(&server, id).await);
        assert_eq!((gone.status, found.status), (404, 404), "{id}");
        assert_eq!(found.json()["code_description"], "Not Found");
    }
}

/// BAK-2
#[tokio::test]
async fn a_server_that_only_reads() {
    let server = Server::with_config(WatsonConfig { read_only: true, ..WatsonConfig::default() }).await;
    assert_eq!(server.get("/v1/recognitions").await.status, 200);
    assert_eq!(server.get("/v1/models").await.status, 200);
    for (method, target) in [
        ("POST", "/v1/recognitions"),
        ("POST", "/v1/register_callback?callback_url=http://example.com"),
        ("POST", "/v1/unregister_callback?callback_url=http://example.com"),
        ("DELETE", "/v1/recognitions/4bd734c0-e575-21f3-de03-f932aa0468a0"),
        ("DELETE", "/v1/user_data?customer_id=a"),
    ] {
        let refused = server.send(Request::new(method, target)).await;
        assert_eq!(refused.status, 503, "{method} {target}");
        assert!(refused.text().contains("read-only"), "{}", refused.text());
    }
}

/// What is kept being away is said, not hung upon; and the server is not ready.
#[tokio::test]
async fn a_database_that_is_away() {
    let server = Server::without_model().await;
    server.store.close().await;
    for request in [Request::new("GET", "/v1/recognitions"), Request::new("DELETE", "/v1/user_data?customer_id=a")] {
        let refused = server.send(request).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(create(&server, "").await.status, 503);
}

/// Limits of an instance: refusals say which one, and what helps; an hour of `results_ttl` becomes what is allowed.
#[tokio::test]
async fn limits_of_an_instance() {
    let server = Server::with_quota(Quota { jobs: Some(2), ..Quota::default() }).await;
    let first = created(&server, "").await;
    created(&server, "").await;
    let refused = create(&server, "").await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.text().contains("2 recognition jobs") && refused.header("retry-after").is_some());
    assert_eq!(delete(&server, &first).await.status, 204);
    created(&server, "").await;

    let size = recording().len() as u64;
    let server = Server::with_quota(Quota { storage: Some(size * 3 / 2), ..Quota::default() }).await;
    let first = created(&server, "").await;
    let refused = create(&server, "").await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains(&format!("keeps {size} bytes")), "{}", refused.text());
    assert_eq!(delete(&server, &first).await.status, 204);
    created(&server, "").await;

    let server = Server::with_quota(Quota { results: Some(Duration::ZERO), ..Quota::default() }).await;
    let id = created(&server, "results_ttl=60").await;
    let lease = Duration::from_secs(60);
    let ticket = server.store.claim(&[Queue::Recognition], "w", lease).await.unwrap().unwrap();
    server.store.begin_recognition(&ticket).await.unwrap().unwrap();
    assert!(server.store.complete_recognition(&ticket, "{}").await.unwrap());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(get(&server, &id).await.status, 404);
}

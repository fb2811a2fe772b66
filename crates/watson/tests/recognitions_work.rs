//! Jobs that are worked on: real recordings, a real model, a real callback server.

mod common;

use std::time::Duration;

use common::hook::{Hook, Manner};
use common::{Request, Server, audio};
use serde_json::{Value, json};

/// A server with the model and something to recognise, unless this machine lacks either.
async fn setting(test: &str) -> Option<(Server, Vec<u8>)> {
    let (rate, samples) = audio::spoken_for(test)?;
    if !common::has_model(test) {
        return None;
    }
    Some((Server::with_model().await, audio::wav(*rate, 1, samples)))
}

async fn create(server: &Server, query: &str, recording: Vec<u8>) -> String {
    let request = Request::new("POST", &format!("/v1/recognitions?{query}"));
    let reply = server.send(request.header("Content-Type", "audio/wav").body(recording)).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn register(server: &Server, hook: &Hook, secret: Option<&str>) {
    let secret = secret.map(|secret| format!("&user_secret={secret}")).unwrap_or_default();
    let target = format!("/v1/register_callback?callback_url={}{secret}", hook.encoded());
    assert_eq!(server.send(Request::new("POST", &target)).await.status, 201);
}

/// The job once it has ended.
async fn ended(server: &Server, id: &str) -> Value {
    for _ in 0..3000 {
        let job = server.get(&format!("/v1/recognitions/{id}")).await.json();
        if matches!(job["status"].as_str(), Some("completed" | "failed")) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the job did not end");
}

/// ASY-G1, ASY-N1, ASY-N4: what is understood is what `POST /v1/recognize` understands, and is told in order and signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_gives_what_recognition_at_once_gives() {
    let Some((server, recording)) = setting("a_job_gives_what_recognition_at_once_gives").await else { return };
    let query = "timestamps=true&word_confidence=true&max_alternatives=2&audio_metrics=true";
    let at_once = server.recognize(query, "audio/wav", recording.clone()).await.json();
    assert!(!at_once["results"].as_array().unwrap().is_empty());
    let hook = Hook::new().await;
    register(&server, &hook, Some("ThisIsMySecret")).await;
    let events = "recognitions.started,recognitions.completed_with_results,recognitions.failed";
    let callback = format!("callback_url={}&events={events}&user_token=job25", hook.encoded());
    let id = create(&server, &format!("{query}&{callback}"), recording).await;
    let workers = server.workers(1);
    let job = ended(&server, &id).await;
    assert_eq!((&job["status"], &job["results"]), (&json!("completed"), &json!([at_once])));
    assert_eq!(ended(&server, &id).await, job, "any number of times");
    let told = hook.notifications(2).await;
    let [started, completed] = [told[0].json(), told[1].json()];
    assert_eq!(started, json!({ "id": id, "event": "recognitions.started", "user_token": "job25" }));
    let event = "recognitions.completed_with_results";
    assert_eq!(completed, json!({ "id": id, "event": event, "user_token": "job25", "results": [at_once] }));
    assert!(told.iter().all(|heard| heard.target == "/results?for=dictum" && heard.is_signed_with("ThisIsMySecret")));
    workers.end().await;
    assert_eq!(hook.notifications(2).await.len(), 2, "each once");
}

/// ASY-G3
#[tokio::test(flavor = "multi_thread")]
async fn processing_metrics_come_before_the_transcript() {
    let Some((server, recording)) = setting("processing_metrics_come_before_the_transcript").await else { return };
    let workers = server.workers(1);
    // Many times over, so that it takes longer than a report is apart.
    let (rate, samples) = audio::spoken().unwrap();
    let long = audio::wav(*rate, 1, &samples.repeat(30));
    let id = create(&server, "processing_metrics=true&processing_metrics_interval=0.1", long).await;
    let job = ended(&server, &id).await;
    let (last, periodic) = job["results"].as_array().unwrap().split_last().unwrap();
    assert!(!periodic.is_empty(), "{job}");
    for report in periodic {
        assert_eq!(report.as_object().unwrap().len(), 1, "{report}");
        assert_eq!(report["processing_metrics"]["periodic"], true);
    }
    assert_eq!(last["processing_metrics"]["periodic"], false);
    assert!(last["results"].as_array().unwrap().len() >= 30);
    let plain = create(&server, "", recording).await;
    assert_eq!(ended(&server, &plain).await["results"].as_array().unwrap().len(), 1);
    workers.end().await;
}

/// ASY-J3, ASY-N3
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_the_audio_makes_a_job_fail() {
    let Some((server, _)) = setting("what_needs_the_audio_makes_a_job_fail").await else { return };
    let (hook, workers) = (Hook::new().await, server.workers(2));
    register(&server, &hook, None).await;
    let callback = format!("callback_url={}", hook.encoded());
    let id = create(&server, &callback, audio::noise(5_000)).await;
    let job = ended(&server, &id).await;
    assert_eq!((&job["status"], job.get("results")), (&json!("failed"), None));
    let error = job["error"].as_str().unwrap();
    assert!(error.starts_with("Unable to transcode data stream"), "{error}");
    let told = hook.notifications(2).await;
    assert_eq!(told[1].json(), json!({ "id": id, "event": "recognitions.failed", "user_token": "" }));
    assert!(!told[1].is_signed());
    // REC-L5 counts for what was streamed, and for nothing else.
    let silence = audio::wav(16_000, 1, &audio::quiet(16_000 * 12));
    let whole = create(&server, "inactivity_timeout=5", silence.clone()).await;
    let request = Request::new("POST", "/v1/recognitions?inactivity_timeout=5").header("Content-Type", "audio/wav");
    let streamed = server.send(request.chunked(&silence, 8_000)).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(ended(&server, &whole).await["results"], json!([{ "results": [], "result_index": 0 }]));
    assert_eq!(ended(&server, &streamed).await["error"], "No speech detected for 5s");
    workers.end().await;
}

/// ASY-N2: at least once, however the callback server behaves, and the job is none the worse for it.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_repeated_until_they_are_taken() {
    let Some((server, recording)) = setting("notifications_are_repeated_until_they_are_taken").await else { return };
    let hook = Hook::with(Manner { failures: 1, ..Manner::default() }).await;
    let workers = server.workers(1);
    register(&server, &hook, None).await;
    let id = create(&server, &format!("callback_url={}", hook.encoded()), recording).await;
    assert_eq!(ended(&server, &id).await["status"], "completed");
    let told = hook.notifications(3).await;
    let events: Vec<Value> = told.iter().map(|heard| heard.json()["event"].clone()).collect();
    assert_eq!(events, ["recognitions.started", "recognitions.started", "recognitions.completed"]);
    workers.end().await;
}

/// What cannot be finished before the end of a process is given back, and done by the next.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_end_give_back_what_they_have() {
    let Some((server, _)) = setting("workers_that_end_give_back_what_they_have").await else { return };
    let (rate, samples) = audio::spoken().unwrap();
    let id = create(&server, "", audio::wav(*rate, 1, &samples.repeat(60))).await;
    let first = server.workers(1);
    for _ in 0..1000 {
        if server.get(&format!("/v1/recognitions/{id}")).await.json()["status"] == "processing" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    first.end().await;
    let counts = server.store.queue_counts().await.unwrap();
    assert_eq!((counts[0].waiting, counts[0].running), (1, 0), "not claimed by anybody");
    let second = server.workers(1);
    assert_eq!(ended(&server, &id).await["status"], "completed");
    second.end().await;
}

/// user-data.md, of a job that is being worked on.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_data_do_not_come_back_as_results() {
    let Some((server, _)) = setting("deleted_data_do_not_come_back_as_results").await else { return };
    let workers = server.workers(1);
    let (rate, samples) = audio::spoken().unwrap();
    let request = Request::new("POST", "/v1/recognitions").header("Content-Type", "audio/wav");
    let request = request.header("X-Watson-Metadata", "customer_id=A");
    let reply = server.send(request.body(audio::wav(*rate, 1, &samples.repeat(20)))).await;
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(server.send(Request::new("DELETE", "/v1/user_data?customer_id=A")).await.status, 200);
    assert_eq!(server.get(&format!("/v1/recognitions/{id}")).await.status, 404);
    let after = create(&server, "", audio::wav(*rate, 1, samples)).await;
    ended(&server, &after).await;
    assert_eq!(server.get(&format!("/v1/recognitions/{id}")).await.status, 404);
    workers.end().await;
}

//! The interfaces with a neural model: the small one that belongs to the project.

mod common;

use common::socket::{Socket, transcript};
use common::{Server, audio};
use serde_json::json;

const MODEL: &str = "model=en-commands_BroadbandModel";

#[tokio::test(flavor = "multi_thread")]
async fn a_neural_model_answers_as_any_other() {
    let Some((rate, samples)) = audio::spoken_for("a_neural_model_answers_as_any_other") else { return };
    let recording = audio::wav(*rate, 1, samples);
    let server = Server::with_package("../../models/en-digits-commands-names").await;

    let query = format!("{MODEL}&word_confidence=true&timestamps=true&keywords=forward&keywords_threshold=0.3");
    let posted = server.recognize(&format!("{query}&max_alternatives=3"), "audio/wav", recording.clone()).await.json();
    let result = &posted["results"][0];
    let alternatives = result["alternatives"].as_array().unwrap();
    assert_eq!(alternatives[0]["transcript"], "go forward ten meters ", "{posted}");
    assert!(alternatives.len() > 1, "{posted}");
    assert_eq!(alternatives[0]["timestamps"].as_array().unwrap().len(), 4, "{posted}");
    for word in alternatives[0]["word_confidence"].as_array().unwrap() {
        assert!((0.0..=1.0).contains(&word[1].as_f64().unwrap()), "{posted}");
    }
    assert_eq!(result["keywords_result"]["forward"][0]["normalized_text"], "forward", "{posted}");

    let mut socket = Socket::connect(&server, MODEL).await;
    let start = json!({ "content-type": "audio/wav", "interim_results": true });
    let messages = socket.request(start, &recording, 4_096).await;
    assert!(messages.iter().any(|message| message["results"][0]["final"] == false), "{messages:?}");
    assert_eq!(transcript(&messages), "go forward ten meters ");
    socket.close().await;
}

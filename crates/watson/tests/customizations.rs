//! Custom language models over HTTP: from creation to training, with what is refused on the way.

mod common;

use std::time::Duration;

use common::socket::{Socket, transcript};
use common::{Reply, Request, Server, audio, has_model};
use dictum_store::{OwnLimit, OwnQuota, Quota};
use serde_json::{Value, json};

const BASE: &str = "en-US_BroadbandModel";

async fn post(server: &Server, target: &str, body: Value) -> Reply {
    let request = Request::new("POST", target).header("Content-Type", "application/json");
    server.send(request.body(body.to_string())).await
}

async fn create(server: &Server) -> String {
    let reply = post(server, "/v1/customizations", json!({ "name": "Example model", "base_model_name": BASE })).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    format!("/v1/customizations/{}", reply.json()["customization_id"].as_str().unwrap())
}

async fn send(server: &Server, method: &str, target: &str) -> Reply {
    server.send(Request::new(method, target)).await
}

async fn add_text(server: &Server, target: &str, media: &str, text: impl Into<Vec<u8>>) -> Reply {
    server.send(Request::new("POST", target).header("Content-Type", media).body(text)).await
}

/// The model once it is no longer busy.
async fn settled(server: &Server, model: &str) -> Value {
    for _ in 0..6000 {
        // In this order: a model read before its resources may be older than the end of their analysis.
        let resources = [server.get(&format!("{model}/corpora")).await, server.get(&format!("{model}/grammars")).await];
        let document = server.get(model).await.json();
        let waiting = resources.iter().any(|reply| reply.text().contains("being_processed"));
        if !waiting && !matches!(document["status"].as_str(), Some("training" | "upgrading")) {
            return document;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not settle");
}

fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}

/// language-models.md sections 2, 4 and 12, tests 1, 2, 8 and 10
#[tokio::test]
async fn models_are_made_shown_and_deleted() {
    let server = Server::without_model().await;
    assert_eq!(server.get("/v1/customizations").await.json(), json!({ "customizations": [] }));
    let body =
        json!({ "name": "Example model", "base_model_name": BASE, "description": "Example", "dialect": "en-us" });
    let made = post(&server, "/v1/customizations?unknown=1", body).await;
    assert_eq!(made.status, 201);
    let id = made.json()["customization_id"].as_str().unwrap().to_owned();
    let target = format!("/v1/customizations/{id}");
    let model = server.get(&target).await.json();
    for (member, value) in [
        ("customization_id", json!(id)),
        ("name", json!("Example model")),
        ("description", json!("Example")),
        ("language", json!("en-US")),
        ("dialect", json!("en-US")),
        ("base_model_name", json!(BASE)),
        ("status", json!("pending")),
        ("progress", json!(0)),
    ] {
        assert_eq!(model[member], value, "{member}");
    }
    assert_eq!((model["created"].as_str().unwrap().len(), &model["created"]), (24, &model["updated"]));
    assert!(model["versions"][0].as_str().unwrap().starts_with("en-US_BroadbandModel.v"));
    let listed = server.get("/v1/customizations?language=en-US").await.json();
    assert_eq!(listed["customizations"], json!([model]));
    assert_eq!(server.get("/v1/customizations?language=ja-JP").await.json()["customizations"], json!([]));
    let odd = server.get(&format!("{target}?a=1")).await.json();
    assert_eq!(odd["warnings"], "Unexpected query parameter(s) ['a'] detected");

    let no_data = (400, "No input data available for running training".to_owned());
    assert_eq!(refusal(&send(&server, "POST", &format!("{target}/train")).await), no_data);
    let nothing = (400, "No input data available to upgrade the model".to_owned());
    assert_eq!(refusal(&send(&server, "POST", &format!("{target}/upgrade_model")).await), nothing);
    assert_eq!(send(&server, "POST", &format!("{target}/reset")).await.json(), json!({}));
    assert_eq!(send(&server, "DELETE", &target).await.json(), json!({}));
    let gone = (401, format!("Invalid customization_id '{id}' for user"));
    assert_eq!(refusal(&send(&server, "DELETE", &target).await), gone);
    let malformed = (400, "Malformed GUID: 'abc'".to_owned());
    assert_eq!(refusal(&server.get("/v1/customizations/abc").await), malformed);
}

/// language-models.md section 2
#[tokio::test]
async fn what_is_wrong_with_a_new_model_is_said() {
    let server = Server::without_model().await;
    let cases = [
        (json!({ "base_model_name": BASE }), "Required parameter 'name' is missing"),
        (json!({ "name": "x" }), "Required parameter 'base_model_name' is missing"),
        (json!({ "name": "", "base_model_name": BASE }), "Required parameter 'name' cannot be empty string"),
        (json!({ "name": null, "base_model_name": BASE }), "Required parameter 'name' cannot be null"),
        (json!({ "name": 1, "base_model_name": BASE }), "Wrong type of parameter 'name' detected in the passed JSON"),
        (json!({ "name": "x", "base_model_name": "y" }), "The base model 'y' is not recognized"),
        (
            json!({ "name": "x", "base_model_name": "zh-CN_BroadbandModel" }),
            "Language customization is not supported for base model 'zh-CN_BroadbandModel'",
        ),
        (
            json!({ "name": "x", "base_model_name": BASE, "dialect": "en-GB" }),
            "Invalid dialect value 'en-GB' specified for language 'en-US'",
        ),
        (json!({ "name": "x".repeat(257), "base_model_name": BASE }), "The name is longer than 256 characters"),
    ];
    for (body, text) in cases {
        assert_eq!(refusal(&post(&server, "/v1/customizations", body).await), (400, text.to_owned()));
    }
    let request = || Request::new("POST", "/v1/customizations");
    let malformed = server.send(request().header("Content-Type", "application/json").body("{nonsense")).await;
    assert_eq!(refusal(&malformed), (400, "Malformed JSON: '{nonsense'".to_owned()));
    assert_eq!(server.send(request().body("{}")).await.status, 415);
    let language = refusal(&server.get("/v1/customizations?language=xx").await);
    assert_eq!(language, (400, "Language 'xx' is not supported for customization".to_owned()));
}

/// corpora-words-grammars.md sections 2 and 4; language-models.md section 6: what waits for a worker locks the model.
#[tokio::test]
async fn a_model_that_is_busy_is_locked_but_can_be_read() {
    let server = Server::without_model().await;
    let model = create(&server).await;
    let corpus = format!("{model}/corpora/corpus1");
    let wrong = add_text(&server, &corpus, "application/json", "{}").await;
    assert_eq!(refusal(&wrong), (415, "Invalid corpus content type. Please use 'text/plain'.".to_owned()));
    let empty = add_text(&server, &corpus, "text/plain", "").await;
    assert_eq!(refusal(&empty), (400, "Corpus file not specified or empty".to_owned()));
    let empty = add_text(&server, &format!("{model}/grammars/g"), "application/srgs", "").await;
    assert_eq!(refusal(&empty), (400, "Grammar file not specified or empty".to_owned()));
    assert_eq!(add_text(&server, &format!("{model}/grammars/g"), "text/plain", "x").await.status, 415);
    let reserved = add_text(&server, &format!("{model}/corpora/user"), "text/plain", "x").await;
    assert_eq!(refusal(&reserved), (400, "Invalid value for corpus name 'user'".to_owned()));

    assert_eq!(add_text(&server, &corpus, "text/plain", "Some text.").await.json(), json!({}));
    let found = server.get(&format!("{model}/corpora")).await.json();
    let expected =
        json!({ "name": "corpus1", "total_words": 0, "out_of_vocabulary_words": 0, "status": "being_processed" });
    assert_eq!(found, json!({ "corpora": [expected] }));
    assert_eq!(server.get(&corpus).await.json(), expected);
    let id = model.rsplit('/').next().unwrap();
    let locked = (409, format!("Customization '{id}' is currently locked to process your last request."));
    assert_eq!(refusal(&add_text(&server, &format!("{model}/corpora/two"), "text/plain", "x").await), locked);
    assert_eq!(refusal(&add_text(&server, &format!("{model}/grammars/two"), "application/srgs", "x").await), locked);
    assert_eq!(refusal(&post(&server, &format!("{model}/words"), json!({ "words": [] })).await), locked);
    for (method, target) in [
        ("POST", "/train"),
        ("POST", "/reset"),
        ("POST", "/upgrade_model"),
        ("DELETE", ""),
        ("DELETE", "/corpora/corpus1"),
    ] {
        assert_eq!(refusal(&send(&server, method, &format!("{model}{target}")).await), locked, "{method} {target}");
    }
    assert_eq!(refusal(&server.get(&format!("{model}/corpora/no")).await).1, "Invalid value for corpus name 'no'");
    assert_eq!(refusal(&server.get(&format!("{model}/grammars/no")).await).1, "Invalid value for grammar name 'no'");
    assert_eq!(send(&server, "DELETE", &format!("{model}/corpora")).await.status, 405);
}

/// corpora-words-grammars.md section 3
#[tokio::test(flavor = "multi_thread")]
async fn words_are_added_shown_sorted_and_deleted() {
    if !has_model("words_are_added_shown_sorted_and_deleted") {
        return;
    }
    let server = Server::with_model().await;
    let model = create(&server).await;
    let words = format!("{model}/words");
    assert_eq!(server.get(&words).await.json(), json!({ "words": [] }));
    let body = json!({ "words": [
        { "word": "HHonors", "sounds_like": ["hilton honors", "H. honors"], "display_as": "HHonors" },
        { "word": "IEEE", "sounds_like": ["I. triple E."] },
        { "word": "75.00", "sounds_like": ["75 dollars"], "display_as": "75.00" },
        { "word": "speech" },
        { "word": "Zorbium", "mapping_only": true },
    ] });
    assert_eq!(post(&server, &words, body).await.json(), json!({}));
    assert_eq!(server.get(&model).await.json()["status"], "ready");
    let listed = server.get(&words).await.json();
    let names = |list: &Value| -> Vec<String> {
        list["words"].as_array().unwrap().iter().map(|word| word["word"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&listed), ["75.00", "HHonors", "IEEE", "Zorbium", "speech"]);
    let error = "Numbers are not allowed in sounds_like. You can try for example 'seventy five dollars'.";
    assert_eq!(listed["words"][0]["error"], json!([{ "75 dollars": error }]));
    let hhonors = json!({ "word": "HHonors", "sounds_like": ["hilton honors", "H. honors"], "display_as": "HHonors",
                          "count": 1, "source": ["user"] });
    assert_eq!(listed["words"][1], hhonors);
    assert_eq!((&listed["words"][4]["display_as"], &listed["words"][4]["sounds_like"]), (&json!(""), &json!([])));
    assert_eq!(listed["words"][3]["mapping_only"], true);
    assert!(!listed["words"][3]["sounds_like"].as_array().unwrap().is_empty(), "said as it is spelt");
    assert_eq!(names(&server.get(&format!("{words}?sort=-alphabetical")).await.json())[0], "speech");
    assert_eq!(names(&server.get(&format!("{words}?sort=%2Bcount&word_type=user")).await.json()).len(), 5);
    assert_eq!(names(&server.get(&format!("{words}?word_type=corpora")).await.json()).len(), 0);
    assert_eq!(server.get(&format!("{words}?sort=x")).await.status, 400);
    assert_eq!(server.get(&format!("{words}/HHonors")).await.json(), hhonors);

    let put = |word: &'static str, body: Value| {
        let request = Request::new("PUT", &format!("{words}/{word}")).header("Content-Type", "application/json");
        server.send(request.body(body.to_string()))
    };
    assert_eq!(refusal(&put("75.00", json!({ "sounds_like": ["75 dollars"] })).await), (400, error.to_owned()));
    assert_eq!(put("75.00", json!({ "sounds_like": ["seventy five dollars"] })).await.status, 201);
    assert_eq!(server.get(&format!("{words}/75.00")).await.json()["error"], Value::Null);
    assert_eq!(put("NCAA", json!({})).await.json(), json!({}));
    let many = json!({ "sounds_like": ["a", "b", "c", "d", "e", "f"] });
    assert_eq!(refusal(&put("x", many).await).1, "Maximum number of sounds-like for a word exceeded");
    let long = json!({ "sounds_like": ["a".repeat(41)] });
    let text = "Maximum number of allowed phones of one item of sounds_like for word 'x' exceeded";
    assert_eq!(refusal(&put("x", long).await), (400, text.to_owned()));
    for (body, text) in [
        (
            json!({ "words": [{ "sounds_like": [] }] }),
            "Required property 'word' is missing in JSON '{\"sounds_like\":[]}'",
        ),
        (json!({ "words": [{ "word": "a b" }] }), "Word 'a b' contains invalid character character"),
        (
            json!({ "words": [{ "word": "a", "sounds_like": 1 }] }),
            "Wrong type of parameter 'sounds_like' detected in the passed JSON",
        ),
        (json!({ "words": 1 }), "Wrong type of parameter 'words' detected in the passed JSON"),
    ] {
        assert_eq!(refusal(&post(&server, &words, body).await), (400, text.to_owned()));
    }
    assert_eq!(names(&server.get(&words).await.json()).len(), 6, "nothing of what was refused");

    assert_eq!(send(&server, "DELETE", &format!("{words}/IEEE")).await.json(), json!({}));
    let gone = (400, "Invalid value for word 'IEEE'".to_owned());
    assert_eq!(refusal(&server.get(&format!("{words}/IEEE")).await), gone);
    assert_eq!(refusal(&send(&server, "DELETE", &format!("{words}/IEEE")).await), gone);
}

const CORPUS: &str = "The Quuxton mission flew $100 of Zorbium.\nZorbium is (mostly) stable.\nZorbium flew.\n";
const GRAMMAR: &str = "#ABNF 1.0 ISO-8859-1;\nlanguage en-US;\nmode voice;\nroot $yesno;\n$yesno = yes | zorbium ;\n";

/// language-models.md section 12, tests 3 to 7; corpora-words-grammars.md sections 2 and 4
#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_taught_by_corpora_words_and_grammars() {
    if !has_model("a_model_is_taught_by_corpora_words_and_grammars") {
        return;
    }
    let server = Server::with_model().await;
    let workers = server.workers(1);
    let model = create(&server).await;
    let train = |query: &str| {
        let target = format!("{model}/train{query}");
        let server = &server;
        async move { send(server, "POST", &target).await }
    };

    // As IBM's SDKs send it, in a form.
    let form = format!(
        "--B\r\nContent-Disposition: form-data; name=\"corpus_file\"\r\nContent-Type: text/plain\r\n\r\n{CORPUS}\r\n--B--\r\n"
    );
    let media = "multipart/form-data; boundary=B";
    assert_eq!(add_text(&server, &format!("{model}/corpora/corpus1"), media, form).await.status, 201);
    assert_eq!(settled(&server, &model).await["status"], "ready");
    let corpus = server.get(&format!("{model}/corpora/corpus1")).await.json();
    let expected = json!({ "name": "corpus1", "total_words": 14, "out_of_vocabulary_words": 2, "status": "analyzed" });
    assert_eq!(corpus, expected);
    let words = server.get(&format!("{model}/words?sort=-count")).await.json();
    let first = &words["words"][0];
    assert_eq!(
        (&first["word"], &first["count"], &first["source"]),
        (&json!("Zorbium"), &json!(3), &json!(["corpus1"]))
    );

    let target = format!("{model}/corpora/corpus1");
    let there = "Corpus 'corpus1' already exists - change its name, remove existing file before adding new one, or overwrite \
                 existing file by setting 'allow_overwrite' to 'true'";
    assert_eq!(refusal(&add_text(&server, &target, "text/plain", "x").await), (400, there.to_owned()));
    let other = "Corpus exists with grammar name 'corpus1'. Please use different name.";
    let clash = add_text(&server, &format!("{model}/grammars/corpus1"), "application/srgs", GRAMMAR).await;
    assert_eq!(refusal(&clash), (400, other.to_owned()));

    assert_eq!(train("?customization_weight=0.4").await.json(), json!({}));
    let trained = settled(&server, &model).await;
    assert_eq!((&trained["status"], &trained["progress"]), (&json!("available"), &json!(100)));
    let no_data = (400, "No input data available for running training".to_owned());
    assert_eq!(refusal(&train("").await), no_data);
    assert_eq!(server.get(&model).await.json()["status"], "available", "which changes nothing");
    assert_eq!(train("?force=true").await.status, 200);
    assert_eq!(settled(&server, &model).await["status"], "available");
    assert_eq!(train("?customization_weight=2").await.status, 400);

    // CRP-10: a word that was deleted stays away when another text is added.
    assert_eq!(send(&server, "DELETE", &format!("{model}/words/Zorbium")).await.status, 200);
    add_text(&server, &format!("{model}/corpora/corpus2"), "", "Another Quuxton text.").await;
    settled(&server, &model).await;
    let words = server.get(&format!("{model}/words")).await.json();
    assert_eq!(words["words"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&words["words"][0]["count"], &words["words"][0]["source"]),
        (&json!(2), &json!(["corpus1", "corpus2"]))
    );

    assert_eq!(add_text(&server, &format!("{model}/grammars/g"), "application/srgs", GRAMMAR).await.status, 201);
    settled(&server, &model).await;
    let grammar = json!({ "name": "g", "out_of_vocabulary_words": 1, "status": "analyzed" });
    assert_eq!(server.get(&format!("{model}/grammars")).await.json(), json!({ "grammars": [grammar] }));
    add_text(&server, &format!("{model}/grammars/broken"), "application/srgs; charset=utf-8", "#ABNF nonsense").await;
    let settled_model = settled(&server, &model).await;
    assert_eq!(settled_model["status"], "ready");
    let error = settled_model["error"].as_str().unwrap();
    assert!(error.contains("Cannot compile grammar") && error.contains("Internal Server Error"), "{error}");
    assert_eq!(server.get(&format!("{model}/grammars/broken")).await.json()["status"], "undetermined");

    // Strict training names what is wrong, the other leaves it out.
    let message = "Analysis of the following grammar files has not completed successfully: [broken]. They will be excluded from \
                   custom language model training.";
    assert_eq!(refusal(&train("").await), (400, message.to_owned()));
    assert_eq!(server.get(&model).await.json()["status"], "failed");
    let lenient = train("?strict=false").await.json();
    assert_eq!(lenient["warnings"], json!([{ "code": "invalid_grammar_files", "message": message }]));
    assert_eq!(settled(&server, &model).await["status"], "available");
    assert_eq!(send(&server, "DELETE", &format!("{model}/grammars/broken")).await.status, 200);
    let wrong = json!({ "words": [{ "word": "x1", "sounds_like": ["1"] }] });
    post(&server, &format!("{model}/words"), wrong).await;
    assert_eq!(refusal(&train("").await), (400, "Fix errors in the following words: [x1] before training".to_owned()));

    // What is no text is not half of one.
    add_text(&server, &format!("{model}/corpora/binary"), "application/octet-stream", vec![0, 159, 146, 150]).await;
    settled(&server, &model).await;
    let binary = server.get(&format!("{model}/corpora/binary")).await.json();
    assert_eq!(binary["status"], "undetermined");
    assert!(binary["error"].as_str().unwrap().starts_with("Analysis of corpus 'binary' failed due to line 1 "));

    let up_to_date = (400, "Custom model is up-to-date".to_owned());
    assert_eq!(refusal(&send(&server, "POST", &format!("{model}/upgrade_model")).await), up_to_date);
    assert_eq!(send(&server, "POST", &format!("{model}/reset")).await.json(), json!({}));
    assert_eq!(server.get(&model).await.json()["status"], "pending");
    assert_eq!(server.get(&format!("{model}/words")).await.json(), json!({ "words": [] }));
    workers.end().await;
}

/// language-models.md sections 5, 9 and 10: what was trained is recognised with, at the weight of the request, until it is emptied.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_trained_is_recognised_with() {
    let Some((rate, samples)) = audio::spoken_for("what_was_trained_is_recognised_with") else { return };
    if !has_model("what_was_trained_is_recognised_with") {
        return;
    }
    let recording = audio::wav(*rate, 1, samples);
    let server = Server::with_model().await;
    let workers = server.workers(1);
    let model = create(&server).await;
    let id = model.rsplit('/').next().unwrap().to_owned();
    let recognise = async |query: String| server.recognize(&query, "audio/wav", recording.clone()).await;
    let custom = format!("language_customization_id={id}");
    let untrained = "Requested custom language model is not available. Please make sure the custom model is trained.";
    assert_eq!(refusal(&recognise(custom.clone()).await), (400, untrained.to_owned()));
    let base = recognise("timestamps=true".to_owned()).await.json();
    let said = base["results"][0]["alternatives"][0]["transcript"].as_str().unwrap().trim().to_owned();

    // A word of the recording, shown otherwise.
    let word = said.split(' ').max_by_key(|word| word.len()).unwrap().to_owned();
    let body = json!({ "words": [{ "word": word, "display_as": "Shown" }] });
    assert_eq!(post(&server, &format!("{model}/words"), body).await.status, 201);
    add_text(&server, &format!("{model}/corpora/corpus1"), "text/plain", format!("{said}\n").repeat(3)).await;
    settled(&server, &model).await;
    let rules = format!("#ABNF 1.0;\nroot $said;\n$said = {said} | something else entirely;\n");
    add_text(&server, &format!("{model}/grammars/said"), "application/srgs", rules).await;
    settled(&server, &model).await;
    assert_eq!(send(&server, "POST", &format!("{model}/train")).await.status, 200);
    assert_eq!(settled(&server, &model).await["status"], "available");

    let taught = recognise(format!("{custom}&customization_weight=0.3")).await.json();
    let text = taught["results"][0]["alternatives"][0]["transcript"].as_str().unwrap();
    assert!(text.contains("Shown"), "{text}");
    assert_eq!(recognise(format!("timestamps=true&{custom}&customization_weight=0.0")).await.json(), base);
    let by_rules = recognise(format!("{custom}&grammar_name=said")).await.json();
    let text = by_rules["results"][0]["alternatives"][0]["transcript"].as_str().unwrap().trim();
    assert_eq!(text, said.replace(&word, "Shown"), "{by_rules}");
    let unknown = (400, "Invalid value for grammar name 'no'".to_owned());
    assert_eq!(refusal(&recognise(format!("{custom}&grammar_name=no")).await), unknown);
    assert_eq!(recognise(format!("customization_id={id}")).await.status, 200, "by its former name");
    let other = recognise(format!("{custom}&model=en-US_NarrowbandModel")).await;
    assert_eq!(other.status, 400, "{}", other.text());
    let stranger = "74f4807e-b5ff-4866-824e-6bba1a84fe96";
    let unknown = recognise(format!("language_customization_id={stranger}")).await;
    assert_eq!(refusal(&unknown), (401, format!("Invalid customization_id '{stranger}' for user")));

    // websocket.md: the model is the connection's, weight and grammar are the request's.
    let mut socket = Socket::connect(&server, &custom).await;
    let start = json!({ "content-type": "audio/wav", "customization_weight": 0.3 });
    let heard = transcript(&socket.request(start, &recording, 8_192).await);
    assert!(heard.contains("Shown"), "{heard}");
    let start = json!({ "content-type": "audio/wav", "customization_weight": 0.0 });
    assert!(!transcript(&socket.request(start, &recording, 8_192).await).contains("Shown"));
    let start = json!({ "content-type": "audio/wav", "grammar_name": "said" });
    let heard = transcript(&socket.request(start, &recording, 8_192).await);
    assert_eq!(heard.trim(), said.replace(&word, "Shown"));
    socket.close().await;

    let job = Request::new("POST", &format!("/v1/recognitions?{custom}")).header("Content-Type", "audio/wav");
    let job = server.send(job.body(recording.clone())).await;
    assert_eq!(job.status, 201, "{}", job.text());
    let job = format!("/v1/recognitions/{}", job.json()["id"].as_str().unwrap());
    let mut document = server.get(&job).await.json();
    for _ in 0..3000 {
        if document["status"] == "completed" || document["status"] == "failed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        document = server.get(&job).await.json();
    }
    assert!(document["results"].to_string().contains("Shown"), "{document}");
    assert_eq!(send(&server, "POST", &format!("{model}/reset")).await.status, 200);
    assert_eq!(recognise(custom).await.status, 400);
    workers.end().await;
}

/// corpora-words-grammars.md section 3.4: with a model of a bare language tag, such words are written and nothing is learnt.
#[tokio::test(flavor = "multi_thread")]
async fn words_for_mapping_only_are_only_written() {
    let test = "words_for_mapping_only_are_only_written";
    let Some((rate, samples)) = audio::spoken_for(test).filter(|_| has_model(test)) else { return };
    let recording = audio::wav(*rate, 1, samples);
    let server = Server::with_model().await;
    let workers = server.workers(1);
    let said = server.recognize("model=en-US", "audio/wav", recording.clone()).await.transcript();
    let said: Vec<&str> = said.split_whitespace().collect();
    let body = json!({ "name": "Mapped", "base_model_name": "en-US" });
    let made = post(&server, "/v1/customizations", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json()["customization_id"].as_str().unwrap().to_owned();
    let model = format!("/v1/customizations/{id}");
    let two = said[..2].join(" ");
    let word = json!({ "word": "HHonors", "sounds_like": [two], "display_as": "HHonors®", "mapping_only": true });
    assert_eq!(post(&server, &format!("{model}/words"), json!({ "words": [word] })).await.status, 201);
    assert_eq!(send(&server, "POST", &format!("{model}/train")).await.status, 200);
    assert_eq!(settled(&server, &model).await["status"], "available");
    let query = format!("model=en-US&language_customization_id={id}");
    let mapped = server.recognize(&query, "audio/wav", recording).await.transcript();
    let expected = [&["HHonors®"], &said[2..]].concat().join(" ");
    assert_eq!(mapped.trim(), expected);
    workers.end().await;
}

/// user-data.md: labels are of corpora, grammars and words; the model itself has none.
#[tokio::test]
async fn what_is_labelled_with_a_customer_goes_with_their_data() {
    if !has_model("labels of corpora") {
        return;
    }
    let server = Server::with_model().await;
    let workers = server.workers(1);
    let model = create(&server).await;
    let labelled = |method, target: &str, label: &str| {
        Request::new(method, target).header("X-Watson-Metadata", &format!("customer_id={label}"))
    };
    for label in ["ann", "bob"] {
        let corpus = labelled("POST", &format!("{model}/corpora/of-{label}"), label);
        let corpus = corpus.header("Content-Type", "text/plain").body("the cat sat on the mat");
        assert_eq!(server.send(corpus).await.status, 201);
        settled(&server, &model).await;
        let word = labelled("PUT", &format!("{model}/words/word{label}"), label);
        let word = word.header("Content-Type", "application/json").body("{}");
        assert_eq!(server.send(word).await.status, 201);
    }
    assert_eq!(send(&server, "DELETE", "/v1/user_data?customer_id=ann").await.status, 200);
    let left = [server.get(&format!("{model}/corpora")).await, server.get(&format!("{model}/words")).await];
    let [corpora, words] = left.map(|reply| reply.json());
    assert_eq!((corpora["corpora"].as_array().unwrap().len(), &corpora["corpora"][0]["name"]), (1, &json!("of-bob")));
    assert_eq!((words["words"].as_array().unwrap().len(), &words["words"][0]["word"]), (1, &json!("wordbob")));
    assert_eq!(server.get(&model).await.json()["status"], "ready");
    workers.end().await;
}

/// Corpora and grammars are of what an instance may keep, by the limit of all or by its own.
#[tokio::test]
async fn texts_count_against_the_limit_of_storage() {
    let server = Server::with_quota(Quota { storage: Some(100), ..Quota::default() }).await;
    let model = create(&server).await;
    let long = "go forward ten meters\n".repeat(5);
    let corpus = format!("{model}/corpora/long");
    let refused = add_text(&server, &corpus, "text/plain", long.as_str()).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("may keep 100 with what this request brings"), "{}", refused.text());
    let grammar = format!("{model}/grammars/long");
    assert_eq!(add_text(&server, &grammar, "application/srgs", long.as_str()).await.status, 403);
    assert_eq!(server.get(&format!("{model}/corpora")).await.json(), json!({ "corpora": [] }), "nothing is left of it");

    let instance = &server.store.instances().await.unwrap()[0].id;
    let own = |storage| OwnQuota { storage, ..OwnQuota::default() };
    server.store.set_own_quota(instance, &own(OwnLimit::At(200))).await.unwrap();
    assert_eq!(add_text(&server, &corpus, "text/plain", long.as_str()).await.status, 201);
    let other = create(&server).await;
    let again = format!("{other}/corpora/long");
    let refused = add_text(&server, &again, "text/plain", long.as_str()).await;
    assert!(refused.text().contains("keeps 110 bytes, and may keep 200"), "{}", refused.text());
    server.store.set_own_quota(instance, &own(OwnLimit::Unlimited)).await.unwrap();
    assert_eq!(add_text(&server, &again, "text/plain", long.as_str()).await.status, 201);
}

/// Not Watson's: texts come back as they were sent, to whom they belong.
#[tokio::test]
async fn texts_come_back_as_they_were_sent() {
    let server = Server::without_model().await;
    let model = create(&server).await;
    let text = "Caf\u{e9} \u{2014} to the byte\r\n";
    let target = format!("{model}/corpora/a%20visit%2Fto%20town");
    assert_eq!(add_text(&server, &target, "text/plain", text).await.status, 201);
    let back = server.get(&format!("{target}/text")).await;
    assert_eq!((back.status, back.text().as_str(), back.header("content-type")), (200, text, Some("text/plain")));
    let unknown = (400, "Invalid value for corpus name 'other'".to_owned());
    assert_eq!(refusal(&server.get(&format!("{model}/corpora/other/text")).await), unknown);
    let other_kind = server.get(&format!("{model}/grammars/a%20visit%2Fto%20town/text")).await;
    assert_eq!(other_kind.status, 400);

    let other = create(&server).await;
    let target = format!("{other}/grammars/g");
    let text = "<?xml version=\"1.0\"?><grammar/>";
    assert_eq!(add_text(&server, &target, "application/srgs+xml; charset=utf-8", text).await.status, 201);
    let back = server.get(&format!("{target}/text")).await;
    assert_eq!((back.text().as_str(), back.header("content-type")), (text, Some("application/srgs+xml")));
}

/// Who cannot keep anything had better not be asked.
#[tokio::test]
async fn a_server_without_its_blobs_is_not_ready() {
    if !has_model("a_server_without_its_blobs_is_not_ready") {
        return;
    }
    let server = Server::with_model().await;
    assert_eq!(server.get("/health/ready").await.status, 200);
    let (blobs, away) = (server.data().join("blobs"), server.data().join("away"));
    std::fs::rename(&blobs, &away).unwrap();
    let reply = server.get("/health/ready").await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    std::fs::rename(&away, &blobs).unwrap();
    assert_eq!(server.get("/health/ready").await.status, 200);
    let left =
        std::fs::read_dir(&blobs).unwrap().filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file());
    assert_eq!(left.count(), 0, "asking leaves nothing");
}

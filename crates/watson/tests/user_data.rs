//! Labels, their deletion, and that instances see nothing of each other (user-data.md, AUTH-13).

mod common;

use common::hook::Hook;
use common::{Reply, Request, Server, audio};
use dictum_service::accounts::{AccountsConfig, ApiKey};
use serde_json::json;

/// A client of an instance.
struct Client<'a> {
    server: &'a Server,
    key: ApiKey,
}

impl Client<'_> {
    async fn send(&self, method: &str, target: &str, customer: Option<&str>, body: Vec<u8>) -> Reply {
        let mut request = Request::new(method, target).header("Authorization", &format!("Bearer {}", self.key.text()));
        if let Some(customer) = customer {
            request = request.header("X-Watson-Metadata", &format!("customer_id={customer}"));
        }
        self.server.send(request.body(body)).await
    }

    async fn job(&self, customer: Option<&str>) -> String {
        let recording = audio::wav(16_000, 1, &audio::quiet(1_000));
        let reply = self.send("POST", "/v1/recognitions", customer, recording).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()["id"].as_str().unwrap().to_owned()
    }

    async fn status(&self, method: &str, target: &str) -> u16 {
        self.send(method, target, None, Vec::new()).await.status
    }

    async fn finds(&self, id: &str) -> bool {
        self.status("GET", &format!("/v1/recognitions/{id}")).await == 200
    }
}

/// user-data.md, tests 1 to 4
#[tokio::test]
async fn deleting_what_is_labelled() {
    let (server, accounts) = Server::with_accounts(AccountsConfig::default()).await;
    let hook = Hook::new().await;
    let one = Client { server: &server, key: accounts.create_key("one", "a").await.unwrap().0 };
    let other = Client { server: &server, key: accounts.create_key("other", "b").await.unwrap().0 };
    let register = format!("/v1/register_callback?callback_url={}", hook.encoded());
    assert_eq!(one.send("POST", &register, Some("A"), Vec::new()).await.status, 201);
    let (a, b, unlabelled) = (one.job(Some("A")).await, one.job(Some("B")).await, one.job(None).await);
    let foreign = other.job(Some("A")).await;
    let deleted = one.send("DELETE", "/v1/user_data?customer_id=A", None, Vec::new()).await;
    assert_eq!((deleted.status, deleted.json()), (200, json!({})));
    assert!(deleted.header("content-type").is_some_and(|value| value.starts_with("application/json")));
    assert_eq!([one.finds(&a).await, one.finds(&b).await, one.finds(&unlabelled).await], [false, true, true]);
    assert!(other.finds(&foreign).await, "another instance's");
    let unregister = format!("/v1/unregister_callback?callback_url={}", hook.encoded());
    assert_eq!(one.status("POST", &unregister).await, 404, "its URL went too");
    assert_eq!(one.status("DELETE", "/v1/user_data?customer_id=A").await, 200, "unknown now");
    for query in ["", "?customer_id=", "?customer=A"] {
        let refused = one.send("DELETE", &format!("/v1/user_data{query}"), None, Vec::new()).await;
        assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("No customer ID found in the request")));
    }
    // Of three recordings that are kept, none is the one that was deleted.
    let kept = walk(&server.data().join("blobs"));
    assert_eq!(kept.len(), 3, "{kept:?}");
}

fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// AUTH-13
#[tokio::test]
async fn instances_see_nothing_of_each_other() {
    let (server, accounts) = Server::with_accounts(AccountsConfig::default()).await;
    let hook = Hook::new().await;
    let one = Client { server: &server, key: accounts.create_key("one", "a").await.unwrap().0 };
    let same = Client { server: &server, key: accounts.create_key("one", "b").await.unwrap().0 };
    let other = Client { server: &server, key: accounts.create_key("other", "c").await.unwrap().0 };
    let id = one.job(None).await;
    assert!(same.finds(&id).await, "any key of the instance");
    let list = other.send("GET", "/v1/recognitions", None, Vec::new()).await;
    assert_eq!(list.json(), json!({ "recognitions": [] }));
    for method in ["GET", "DELETE"] {
        let foreign = other.send(method, &format!("/v1/recognitions/{id}"), None, Vec::new()).await;
        let none = other.send(method, "/v1/recognitions/4bd734c0-e575-21f3-de03-f932aa0468a0", None, Vec::new()).await;
        assert_eq!((foreign.status, foreign.text()), (404, none.text()), "word for word");
    }
    assert!(one.finds(&id).await);
    let register = format!("/v1/register_callback?callback_url={}", hook.encoded());
    assert_eq!(one.status("POST", &register).await, 201);
    let unregister = format!("/v1/unregister_callback?callback_url={}", hook.encoded());
    assert_eq!(other.status("POST", &unregister).await, 404);
    assert_eq!(other.status("POST", &register).await, 201, "a registration of its own, with a challenge of its own");
    assert_eq!(hook.heard().len(), 2);
    for target in ["/v1/recognitions", "/v1/user_data?customer_id=A"] {
        let method = if target.contains("user") { "DELETE" } else { "GET" };
        assert_eq!(server.send(Request::new(method, target)).await.status, 401);
    }
}

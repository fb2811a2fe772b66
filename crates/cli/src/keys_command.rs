//! `dictum keys`: the API keys of the server's clients. It works on the store, whether a server is running on it or not.

use std::sync::Arc;
use std::time::SystemTime;

use dictum_service::accounts::Accounts;
use dictum_store::KeyRecord;
use serde_json::{Value, json};

use crate::accounts;
use crate::args::KeysCommand;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::{Table, print};

/// Carries out `command`.
pub fn run(command: &KeysCommand, settings: &Settings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            KeysCommand::Create { name, instance, json } => create(settings, instance, name, *json).await,
            KeysCommand::List { json } => list(existing(settings).await?, *json).await,
            KeysCommand::Revoke { id } => revoke(existing(settings).await?, id).await,
        }
    })
}

/// Accounts that are there already: a mistyped directory should be told, not created.
async fn existing(settings: &Settings) -> Result<Arc<Accounts>, Failure> {
    let config = settings.store();
    if !config.exists() {
        return Err(Failure::new(format!(
            "there are no keys in {}; name the server's data directory with --data DIR, or make a first key with \"dictum keys \
             create\"",
            config.database
        )));
    }
    accounts::open(settings).await
}

async fn create(settings: &Settings, instance: &str, name: &str, json: bool) -> Result<(), Failure> {
    let accounts = accounts::open(settings).await?;
    let (key, instance) = accounts.create_key(instance, name).await?;
    if json {
        let key = json!({
            "id": key.id(),
            "name": name,
            "key": key.text(),
            "instance": { "id": instance.id, "name": instance.name },
        });
        return print(&format!("{key:#}\n"));
    }
    print(&format!("{}\n", key.text()))?;
    eprintln!("\n{}", accounts::explanation(&key, &instance, settings));
    Ok(())
}

async fn list(accounts: Arc<Accounts>, json: bool) -> Result<(), Failure> {
    let keys = accounts.keys().await?;
    if json {
        let keys: Vec<Value> = keys.iter().map(describe).collect();
        return print(&format!("{:#}\n", json!({ "keys": keys })));
    }
    let mut table = Table::new(&["ID", "NAME", "INSTANCE", "CREATED", "LAST USED", "STATE"]);
    for key in &keys {
        table.row([
            key.id.clone(),
            key.name.clone(),
            key.instance_name.clone(),
            written(key.created),
            key.last_used.map_or("never".to_owned(), written),
            key.revoked.map_or("works".to_owned(), |when| format!("revoked {}", written(when))),
        ]);
    }
    print(&table.to_string())
}

fn describe(key: &KeyRecord) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "instance": { "id": key.instance, "name": key.instance_name },
        "created": written(key.created),
        "last_used": key.last_used.map(written),
        "revoked": key.revoked.map(written),
    })
}

/// A time in UTC to the second (RFC 3339).
fn written(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

async fn revoke(accounts: Arc<Accounts>, id: &str) -> Result<(), Failure> {
    // Who pastes the whole key means its id.
    let id = id.strip_prefix("dictum-").and_then(|rest| rest.split('-').next()).unwrap_or(id);
    let done = accounts.revoke_key(id).await?;
    let how =
        if done { "is revoked; servers that know it stop accepting it within seconds" } else { "was revoked before" };
    print(&format!("API key {id} {how}\n"))
}

//! The accounts of a server as its operator meets them: where they are kept, who is let in, and what a first start says.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use dictum_service::accounts::{Access, Accounts, ApiKey, DEFAULT_INSTANCE};
use dictum_store::Store;

use crate::config::Settings;
use crate::failure::Failure;

/// The data directory, created when it is missing.
pub fn data_directory(settings: &Settings) -> Result<PathBuf, Failure> {
    let data = settings.data_directory();
    std::fs::create_dir_all(&data).map_err(|error| {
        Failure::new(format!(
            "cannot create the data directory {}: {error}; name another with --data DIR",
            data.display()
        ))
    })?;
    Ok(data)
}

/// Makes the data directory, if something of the store is in it.
pub fn prepare(settings: &Settings) -> Result<(), Failure> {
    if settings.store_database.0.is_none() || settings.store_blobs.0.is_none() {
        data_directory(settings)?;
    }
    Ok(())
}

/// The store of the settings.
pub async fn store(settings: &Settings) -> Result<Store, Failure> {
    prepare(settings)?;
    Ok(Store::connect(&settings.store()).await?)
}

/// The accounts in the store.
pub async fn open(settings: &Settings) -> Result<Arc<Accounts>, Failure> {
    let store = store(settings).await?;
    Ok(Accounts::open(store, settings.accounts()).await?)
}

/// Whom a server on `address` lets in. Serving everybody is refused where that means more than the people of this machine.
pub async fn access(
    settings: &Settings,
    accounts: &Arc<Accounts>,
    address: SocketAddr,
) -> Result<Arc<Access>, Failure> {
    if settings.auth_required {
        return Ok(Access::required(Arc::clone(accounts)));
    }
    if !address.ip().to_canonical().is_loopback() && !settings.auth_insecure_open_to_network {
        return Err(Failure::new(format!(
            "without authentication everybody who can reach {address} could use the server; leave out --no-auth, listen on \
             127.0.0.1, or insist with --insecure-open-to-network"
        )));
    }
    tracing::warn!(%address, "no API key is asked for: whoever reaches the port is served");
    let instance = accounts.ensure_instance(DEFAULT_INSTANCE).await?;
    Ok(Access::open(&instance.id, settings.accounts().token_lifetime)?)
}

/// Nobody can use a server that has no key. On a terminal the first key is made and shown; elsewhere, where what is written
/// is kept as a log, it is said how to make one.
pub async fn welcome(settings: &Settings, accounts: &Accounts, url: &str) -> Result<(), Failure> {
    if !settings.auth_required || accounts.has_usable_key().await? {
        return Ok(());
    }
    if !std::io::stderr().is_terminal() {
        let command = match settings.store_database.0 {
            None => format!("dictum keys create --data '{}'", settings.data_directory().display()),
            // With a database of its own the URL may have a password, and this is a log.
            Some(_) => "dictum keys create --database URL".to_owned(),
        };
        tracing::warn!(
            command,
            "there is no API key yet, so every request will be refused; make one with this command"
        );
        return Ok(());
    }
    let (key, _) = accounts.create_key(DEFAULT_INSTANCE, "first key").await?;
    eprintln!(
        "\nThis server had no API key, so here is its first. It is shown only now:\n\n  {}\n\n{}\n",
        key.text(),
        example(key.text(), url)
    );
    Ok(())
}

/// How to use a key, with `key` in its place.
fn example(key: &str, url: &str) -> String {
    format!(
        "Try it:\n\n  curl -u 'apikey:{key}' -H 'Content-Type: audio/wav' --data-binary @speech.wav {url}/v1/recognize"
    )
}

/// What is said of a new key beside printing it. The key itself is repeated only for people: what is not a terminal may be a
/// log.
pub fn explanation(key: &ApiKey, instance: &dictum_store::Instance, settings: &Settings) -> String {
    let shown = if std::io::stderr().is_terminal() { key.text() } else { "KEY" };
    let address = settings.server_listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    let scheme = if settings.tls_cert.is_some() || settings.tls_self_signed { "https" } else { "http" };
    format!(
        "API key {} of instance {:?} ({}). It is shown only now; keep it safe. {}",
        key.id(),
        instance.name,
        instance.id,
        example(shown, &format!("{scheme}://{address}"))
    )
}

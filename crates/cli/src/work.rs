//! The workers of a process, and `dictum worker`, which is nothing else.

use std::sync::Arc;
use std::time::Duration;

use dictum_callbacks::Client;
use dictum_models::Registry;
use dictum_service::Service;
use dictum_service::customization::{Customizations, LanguageHandler};
use dictum_service::jobs::{CallbackHandler, JobFormat, RecognitionHandler, Workers, WorkersConfig, keep_house};
use dictum_store::Store;
use dictum_watson::recognitions::WatsonJobs;

use crate::accounts;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::print;
use crate::serve::{Signals, start_log};

/// Custom language models that are worked on at a time: each takes a thread and some hundred megabytes for the largest.
const TRAININGS: usize = 2;
/// How long the end of a process waits for work that is given back.
const LONGEST_END: Duration = Duration::from_secs(5);

/// Starts the workers of the settings on what a store has to do, and the keeper that tidies it up.
pub fn start(settings: &Settings, service: &Arc<Service>, store: &Store, client: Client) -> Workers {
    tokio::spawn(keep_house(store.clone()));
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let config = WorkersConfig {
        name: format!("{host} {}", std::process::id()),
        lease: Duration::from_secs(settings.jobs_lease_seconds as u64),
        ..WorkersConfig::default()
    };
    let workers = Workers::new(store.clone(), config);
    let customizations = Customizations::new(Arc::clone(service), store.clone());
    let format: Arc<dyn JobFormat> = Arc::new(WatsonJobs::new(customizations.clone()));
    let recognition = RecognitionHandler::new(Arc::clone(service), store.clone(), Arc::clone(&format));
    let at_once = match settings.jobs_recognitions {
        0 => service.config().decode_threads,
        some => some,
    };
    workers.add(Arc::new(recognition), at_once, service.drain());
    workers.add(Arc::new(LanguageHandler::new(customizations)), TRAININGS, service.drain());
    let callback = CallbackHandler::new(store.clone(), client, format);
    workers.add(Arc::new(callback), settings.jobs_callbacks, service.drain());
    workers
}

/// Ends workers whose time to finish is over: what they have is given back.
pub async fn end(workers: &Workers) {
    if tokio::time::timeout(LONGEST_END, workers.end()).await.is_err() {
        tracing::warn!("what is worked on could not be given back; others take it up when the claims have run out");
    }
}

/// `dictum worker`: works until SIGTERM or SIGINT.
pub fn run(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    start_log(settings);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work(settings, registry));
    runtime.shutdown_background();
    outcome
}

async fn work(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let service = Service::new(registry, settings.service());
    let store = accounts::store(settings).await?;
    let client = Client::new(settings.callbacks())?;
    tokio::select! {
        loaded = service.load() => loaded?,
        _ = signals.end() => return Ok(()),
    }
    let workers = start(settings, &service, &store, client);
    print("working\n")?;
    let signal = signals.end().await;
    tracing::info!(signal, under_way = service.drain().under_way(), "stopping");
    service.drain().begin();
    let patience = Duration::from_secs(settings.server_drain_seconds as u64);
    tokio::select! {
        _ = tokio::time::timeout(patience, service.drain().finished()) => {}
        signal = signals.end() => tracing::warn!(signal, "ending at once"),
    }
    end(&workers).await;
    Ok(())
}

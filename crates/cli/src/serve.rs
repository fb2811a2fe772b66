//! `dictum serve`: the server, from binding its address to the last request under way.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dictum_models::Registry;
use dictum_service::Service;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

use crate::config::Settings;
use crate::failure::Failure;
use crate::output::print;

/// Serves until SIGTERM or SIGINT.
pub fn run(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    start_log(settings);
    let data = settings.data_directory();
    std::fs::create_dir_all(&data).map_err(|error| {
        Failure::new(format!(
            "cannot create the data directory {}: {error}; name another with --data DIR",
            data.display()
        ))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(settings, registry));
    // A model that is still being loaded must not keep the program from ending.
    runtime.shutdown_background();
    outcome
}

fn start_log(settings: &Settings) {
    // Only the crates of this program follow the setting; libraries speak when something is wrong.
    let filter = EnvFilter::new(format!(
        "warn,dictum={level},dictum_service={level},dictum_watson={level},dictum_models={level}",
        level = settings.log_level
    ));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format.as_str() {
        "json" => log.json().init(),
        _ => log.init(),
    }
}

async fn serve(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    let began = Instant::now();
    let listener = TcpListener::bind(&settings.server_listen).await.map_err(|error| {
        Failure::new(format!(
            "cannot listen on {}: {error}; choose another address with --listen HOST:PORT",
            settings.server_listen
        ))
    })?;
    let address = listener.local_addr()?;

    let service = Service::new(registry, settings.service());
    let app = dictum_watson::router(Arc::clone(&service), settings.watson());
    print(&format!("listening on http://{address}\n"))?;
    tracing::info!(%address, "listening");

    let (stop, stopped) = watch::channel(false);
    let until_stopped = wait_for(stopped.clone());
    let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(until_stopped).into_future());
    let loading = async {
        let loaded = service.load().await;
        if loaded.is_ok() {
            tracing::info!(seconds = began.elapsed().as_secs_f64(), "ready");
        }
        loaded
    };
    tokio::select! {
        signal = termination() => tracing::info!(signal = signal?, "stopping"),
        Err(problem) = loading => return Err(problem.into()),
    }
    stop.send_replace(true);
    let patience = Duration::from_secs(settings.server_drain_seconds as u64);
    match tokio::time::timeout(patience, server).await {
        Ok(Ok(finished)) => Ok(finished?),
        Ok(Err(panicked)) => Err(panicked.into()),
        Err(_) => {
            tracing::warn!(seconds = patience.as_secs(), "requests were still under way; giving them up");
            Ok(())
        }
    }
}

async fn wait_for(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server's reason to go on.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Completes with the name of the signal that asks the program to end.
fn termination() -> impl Future<Output = std::io::Result<&'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            _ = terminate.recv() => Ok("SIGTERM"),
            _ = interrupt.recv() => Ok("SIGINT"),
        }
    }
}

//! `dictum serve`: the server, from binding its address to the last request under way.
//!
//! SIGTERM and SIGINT end it in an orderly way, a second one at once; SIGHUP reloads the certificate.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dictum_callbacks::Client;
use dictum_models::Registry;
use dictum_server::{Tls, TlsFiles};
use dictum_service::Service;
use dictum_service::accounts::Accounts;
use dictum_service::jobs::Workers;
use dictum_service::recognitions::Recognitions;
use dictum_watson::Interface;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::accounts;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::print;
use crate::work;

/// Serves until SIGTERM or SIGINT.
pub fn run(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    start_log(settings);
    allow_many_connections();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(settings, registry));
    // A model that is still being loaded must not keep the program from ending.
    runtime.shutdown_background();
    outcome
}

/// Each connection is a file descriptor, and shells and service managers start programs with 1024.
fn allow_many_connections() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

pub fn start_log(settings: &Settings) {
    // Only the crates of this program follow the setting; libraries speak when something is wrong.
    let filter = EnvFilter::new(format!(
        "warn,dictum={level},dictum_server={level},dictum_service={level},dictum_watson={level},dictum_models={level},\
         dictum_store={level},dictum_callbacks={level},audit=info",
        level = settings.log_level
    ));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    match settings.log_format.as_str() {
        "json" => log.json().init(),
        _ => log.init(),
    }
}

async fn serve(settings: &Settings, registry: Registry) -> Result<(), Failure> {
    let began = Instant::now();
    let tls = tls(settings)?;
    // From here on signals are ours, so that none that comes early ends the program in its own way.
    let mut signals = Signals::new()?;
    let hang_up = signal(SignalKind::hangup())?;
    let (listener, address) = bind(&settings.server_listen, "--listen").await?;
    let figures = match &settings.metrics_listen {
        Some(address) => Some(bind(address, "--metrics-listen").await?),
        None => None,
    };

    tracing::info!(store = ?settings.store(), "keeping rows and blobs");
    let service = Service::new(registry, settings.service());
    let store = accounts::store(settings).await?;
    let accounts = Accounts::open(store.clone(), settings.accounts()).await?;
    let access = accounts::access(settings, &accounts, address).await?;
    let client = Client::new(settings.callbacks())?;
    let recognitions = Recognitions::new(store.clone(), client.clone()).with_quota(settings.quota());
    let interface = Interface::new(Arc::clone(&service), access, recognitions, settings.watson());
    // Work changes what is kept, too.
    let works = settings.jobs_in_server && !settings.server_read_only;
    let workers = works.then(|| work::start(settings, &service, &store, client));
    let scheme = if tls.is_some() { "https" } else { "http" };
    print(&format!("listening on {scheme}://{address}\n"))?;
    tracing::info!(%address, scheme, "listening");
    accounts::welcome(settings, &accounts, &format!("{scheme}://{address}")).await?;

    let stop = CancellationToken::new();
    let limits = settings.connections();
    if let Some((listener, address)) = figures {
        tracing::info!("metrics at {address}");
        tokio::spawn(dictum_server::serve(listener, None, interface.metrics_router(), limits, stop.clone()));
    }
    let server = tokio::spawn(dictum_server::serve(listener, tls.clone(), interface.router(), limits, stop.clone()));
    tokio::spawn(follow_certificate(tls, hang_up));
    let loading = async {
        let loaded = service.load().await;
        if loaded.is_ok() {
            tracing::info!(seconds = began.elapsed().as_secs_f64(), "ready");
        }
        loaded
    };
    tokio::select! {
        signal = signals.end() => tracing::info!(signal, "stopping"),
        Err(problem) = loading => return Err(problem.into()),
    }
    tokio::select! {
        () = finish(settings, &service, stop, server, workers) => {}
        signal = signals.end() => tracing::warn!(signal, under_way = service.drain().under_way(), "ending at once"),
    }
    Ok(())
}

/// A socket that listens, and where. `flag` is the one that sets the address.
async fn bind(wanted: &str, flag: &str) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(wanted).await.and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| {
        Failure::new(format!("cannot listen on {wanted}: {error}; choose another address with {flag} HOST:PORT"))
    })
}

/// Lets what is under way finish, within the time that is set for it.
async fn finish(
    settings: &Settings,
    service: &Service,
    stop: CancellationToken,
    server: JoinHandle<()>,
    workers: Option<Workers>,
) {
    /// The last bytes of an answer get this long at least.
    const MOMENT: Duration = Duration::from_secs(1);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(settings.server_drain_seconds as u64);
    service.drain().begin();
    // The socket stays open meanwhile: who asks is told that the server is ending.
    if tokio::time::timeout_at(deadline, service.drain().finished()).await.is_err() {
        tracing::warn!(
            seconds = settings.server_drain_seconds,
            under_way = service.drain().under_way(),
            "giving up what is still under way"
        );
    }
    if let Some(workers) = workers {
        work::end(&workers).await;
    }
    stop.cancel();
    let _ = tokio::time::timeout_at(deadline.max(tokio::time::Instant::now() + MOMENT), server).await;
}

/// The certificate to serve with, if the server is to speak HTTPS.
fn tls(settings: &Settings) -> Result<Option<Tls>, Failure> {
    let files = match (&settings.tls_cert, &settings.tls_key, settings.tls_self_signed) {
        (None, None, false) => return Ok(None),
        (Some(certificates), Some(key), false) => TlsFiles { certificates: certificates.clone(), key: key.clone() },
        (None, None, true) => {
            let host_name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            dictum_server::self_signed(&settings.data_directory().join("tls"), host_name.as_deref())?
        }
        (Some(_), None, _) => return Err(Failure::new("tls.cert is set without tls.key; HTTPS needs both")),
        (None, Some(_), _) => return Err(Failure::new("tls.key is set without tls.cert; HTTPS needs both")),
        (Some(_), Some(_), true) => {
            return Err(Failure::new("tls.self_signed and tls.cert are both set; remove one of them"));
        }
    };
    let tls = Tls::load(files)?;
    tracing::info!(certificate = %tls.files().certificates.display(), "serving HTTPS");
    Ok(Some(tls))
}

/// Reloads the certificate when its files change, and on SIGHUP.
async fn follow_certificate(tls: Option<Tls>, mut hang_up: Signal) {
    const EVERY: Duration = Duration::from_secs(5);
    let Some(tls) = tls else {
        // Daemons are sent this signal to read their configuration again; it must not end them.
        while hang_up.recv().await.is_some() {
            tracing::info!("SIGHUP: no certificate to reload");
        }
        return;
    };
    let on_signal = async {
        while hang_up.recv().await.is_some() {
            tls.reload_and_say();
        }
    };
    tokio::join!(tls.follow(EVERY), on_signal);
}

/// The signals that the program heeds.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From here on they do not end the program by themselves.
    pub fn new() -> std::io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The name of the next signal that asks the program to end.
    pub async fn end(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

//! `dictum-bench`: load on a server of its own, and what the clients saw. See the README.

mod backup;
mod idle;
mod jobs;
mod live;
mod recordings;
mod server;
mod speaker;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::recordings::Recordings;
use crate::server::Server;

/// Errors end the program with a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Puts load on a Dictum server and reports what its clients saw.
#[derive(Parser)]
struct Arguments {
    /// The program `dictum`, a release build.
    dictum: PathBuf,
    /// Recordings of speech: tab-separated, with a header and a column `path`.
    manifest: PathBuf,
    /// Only this part.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// People who speak at the same time.
    #[arg(long, default_value_t = 25)]
    sessions: usize,
    /// How long each of them speaks, seconds.
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Sockets that do nothing.
    #[arg(long, default_value_t = 1_000)]
    sockets: usize,
    /// Short sessions one after another.
    #[arg(long, default_value_t = 2_000)]
    short: usize,
    /// Jobs one after another.
    #[arg(long, default_value_t = 50)]
    jobs: usize,
    /// Bytes of the large upload.
    #[arg(long, default_value_t = 1 << 30)]
    upload: u64,
    /// Bytes of blobs of the backup, which needs three times as much space in the directory for temporary files. Measured only when
    /// it is asked for.
    #[arg(long, default_value_t = 10_000_000_000)]
    backup: u64,
    /// Prints JSON instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Live,
    Overload,
    Idle,
    Leak,
    Jobs,
    Upload,
    Backup,
}

/// What was measured.
#[derive(Default, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<live::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overload: Option<live::Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<idle::Idle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leak: Option<idle::Leak>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<jobs::Overhead>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upload: Option<jobs::Upload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<backup::Backup>,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(report) => {
            print(&report, arguments.json);
            std::process::ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Report, Failure> {
    let wanted = |part| arguments.only.is_empty() || arguments.only.contains(&part);
    let mut report = Report::default();
    let Arguments { sessions, seconds, .. } = *arguments;
    if wanted(Part::Live) {
        let recordings = Recordings::read(&arguments.manifest, sessions, seconds)?;
        let server = Server::start(&arguments.dictum, sessions).await?;
        report.live = Some(live::run(&server, &recordings, sessions).await?);
    }
    if wanted(Part::Overload) {
        let recordings = Recordings::read(&arguments.manifest, 2 * sessions, seconds / 2.0)?;
        let server = Server::start(&arguments.dictum, sessions).await?;
        report.overload = Some(live::run(&server, &recordings, 2 * sessions).await?);
    }
    let one = Recordings::read(&arguments.manifest, 1, 2.0)?;
    if wanted(Part::Idle) {
        let server = Server::start(&arguments.dictum, sessions).await?;
        report.idle = Some(idle::sockets(&server, &one, arguments.sockets).await?);
    }
    if wanted(Part::Leak) {
        let server = Server::start(&arguments.dictum, sessions).await?;
        report.leak = Some(idle::short_sessions(&server, &one, arguments.short).await?);
    }
    if wanted(Part::Jobs) {
        let server = Server::start(&arguments.dictum, sessions).await?;
        report.jobs = Some(jobs::overhead(&server, &one, arguments.jobs).await?);
    }
    if wanted(Part::Upload) {
        // Without workers: what recognition takes is another matter.
        let server = Server::start_with(&arguments.dictum, sessions, &["--set", "jobs.in_server=false"]).await?;
        report.upload = Some(jobs::upload(&server, arguments.upload).await?);
    }
    if arguments.only.contains(&Part::Backup) {
        let server = Server::start_with(&arguments.dictum, sessions, &["--set", "jobs.in_server=false"]).await?;
        let alone = std::time::Duration::from_secs_f64(seconds);
        report.backup = Some(backup::run(&arguments.dictum, &server, &one, arguments.backup, alone).await?);
    }
    Ok(report)
}

fn print(report: &Report, json: bool) {
    if json {
        println!("{}", serde_json::to_string_pretty(report).expect("numbers make JSON"));
        return;
    }
    println!("| what | figure |\n|---|---|");
    let rows = [&report.live, &report.overload].into_iter().flatten().flat_map(live::Figures::rows);
    let rows = rows.chain(report.idle.iter().map(idle::Idle::row)).chain(report.leak.iter().map(idle::Leak::row));
    let rows = rows.chain(report.jobs.iter().flat_map(jobs::Overhead::rows));
    let rows = rows.chain(report.upload.iter().map(jobs::Upload::row));
    let rows = rows.chain(report.backup.iter().flat_map(backup::Backup::rows));
    for (what, figure) in rows {
        println!("| {what} | {figure} |");
    }
}

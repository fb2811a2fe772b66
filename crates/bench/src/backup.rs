//! A backup of many bytes while clients are served: how long it takes beside a plain copy, and what clients notice.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::process::Command;
use tokio::sync::watch;

use crate::Failure;
use crate::jobs::{median, request, upload};
use crate::live::megabytes;
use crate::recordings::Recordings;
use crate::server::Server;

/// Bytes of one blob at most: the longest recording of a job.
const BLOB: u64 = 1 << 30;
/// Pause between two recordings of the client: it is there all the time, and does not keep a processor busy by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Seconds, and milliseconds of recognition.
#[derive(Serialize)]
pub struct Backup {
    bytes: u64,
    copy_seconds: f64,
    backup_seconds: f64,
    verify_seconds: f64,
    alone: Latency,
    beside_copy: Latency,
    beside_backup: Latency,
}

/// From the request to its answer, milliseconds.
#[derive(Serialize)]
pub struct Latency {
    requests: usize,
    median: f64,
    ninety_five: f64,
}

/// Fills a store with so many bytes, then copies its directory, then makes a backup of it; the same short recording is recognised
/// again and again without either for `alone`, and beside both. `work` needs three times as much space.
pub async fn run(
    dictum: &Path,
    server: &Server,
    recordings: &Recordings,
    bytes: u64,
    alone: Duration,
) -> Result<Backup, Failure> {
    let mut left = bytes;
    while left > 0 {
        upload(server, left.min(BLOB)).await?;
        left -= left.min(BLOB);
    }
    let work = tempfile::tempdir()?;
    let (copy, saved) = (work.path().join("copy"), work.path().join("saved"));
    // Everything is on the disk before anything is measured.
    timed(Command::new("sync")).await?;
    beside(server, recordings, tokio::time::sleep(Duration::from_secs(2))).await?;
    let ((), alone) = beside(server, recordings, tokio::time::sleep(alone)).await?;

    forget(server.data())?;
    let (copied, beside_copy) = beside(server, recordings, async {
        let mut command = Command::new("cp");
        command.arg("-r").arg(server.data()).arg(&copy);
        let mut synced = Command::new("sync");
        synced.arg("-f").arg(work.path());
        Ok::<_, Failure>(timed(command).await? + timed(synced).await?)
    })
    .await?;
    let copy_seconds = copied?;
    std::fs::remove_dir_all(&copy)?;

    forget(server.data())?;
    let (backed_up, beside_backup) = beside(server, recordings, async {
        let mut command = Command::new(dictum);
        command.arg("backup").arg(&saved).arg("--data").arg(server.data());
        timed(command).await
    })
    .await?;
    let backup_seconds = backed_up?;
    let mut verify = Command::new(dictum);
    verify.args(["backup", "verify"]).arg(&saved);
    let verify_seconds = timed(verify).await?;
    Ok(Backup { bytes, copy_seconds, backup_seconds, verify_seconds, alone, beside_copy, beside_backup })
}

/// Has the system forget what it has of files in its memory, so that both read them from the disk.
fn forget(directory: &Path) -> Result<(), Failure> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => forget(&entry.path())?,
            false => rustix::fs::fadvise(std::fs::File::open(entry.path())?, 0, None, rustix::fs::Advice::DontNeed)?,
        }
    }
    Ok(())
}

/// Recognises one recording after the other for as long as some work takes.
async fn beside<T>(
    server: &Server,
    recordings: &Recordings,
    work: impl Future<Output = T>,
) -> Result<(T, Latency), Failure> {
    let speech = &recordings.speakers[0];
    let (over, is_over) = watch::channel(false);
    let client = async {
        let mut times = Vec::new();
        while !*is_over.borrow() {
            let began = Instant::now();
            let (status, answer) = request(server, "POST /v1/recognize", speech).await?;
            if status != 200 {
                return Err(Failure::from(format!("a recognition was answered {status}: {answer}")));
            }
            times.push(began.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(PAUSE).await;
        }
        Ok(times)
    };
    let work = async {
        let outcome = work.await;
        over.send_replace(true);
        outcome
    };
    let (times, outcome) = tokio::join!(client, work);
    let mut times = times?;
    times.sort_by(f64::total_cmp);
    let ninety_five = times.get(times.len() * 95 / 100).copied().unwrap_or_default();
    Ok((outcome, Latency { requests: times.len(), median: median(times), ninety_five }))
}

/// Runs a command to its end; how many seconds it took.
async fn timed(mut command: Command) -> Result<f64, Failure> {
    let began = Instant::now();
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true).status().await?;
    match status.success() {
        true => Ok(began.elapsed().as_secs_f64()),
        false => Err(format!("{:?} ended with {status}", command.as_std().get_program()).into()),
    }
}

impl Backup {
    /// Rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let Backup { bytes, copy_seconds, backup_seconds, verify_seconds, .. } = self;
        let size = megabytes(*bytes);
        let speed = |seconds: f64| format!("{seconds:.1} s, {:.0} MB/s", size / seconds);
        let latency = |Latency { requests, median, ninety_five }: &Latency| {
            format!("{median:.0} ms, {ninety_five:.0} ms ({requests} requests)")
        };
        let what = |text: &str| format!("recognition of a short recording, median and 95 %: {text}");
        vec![
            (format!("`cp -r` of {size:.0} MB of blobs and `sync`"), speed(*copy_seconds)),
            (format!("`dictum backup` of {size:.0} MB of blobs"), speed(*backup_seconds)),
            ("`dictum backup verify` of it".to_owned(), speed(*verify_seconds)),
            (what("alone"), latency(&self.alone)),
            (what("while `cp` and `sync` run"), latency(&self.beside_copy)),
            (what("while the backup runs"), latency(&self.beside_backup)),
        ]
    }
}

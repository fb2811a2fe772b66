//! `dictum backup` and `dictum restore`: the whole store into a directory, and back into a store of either kind.

use std::path::Path;

use dictum_store::Store;
use dictum_store::backup::{BackupOptions, Manifest, Progress, Step, verify};
use indicatif::ProgressBar;

use crate::accounts;
use crate::args::{BackupArgs, BackupCommand, RestoreArgs};
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::print;
use crate::progress;

/// How much less priority than a server a backup has for the processors: a tenth of the share.
const LESS_PRIORITY: i32 = 10;

/// Makes a backup, or verifies one.
pub fn run(args: &BackupArgs, settings: &Settings) -> Result<(), Failure> {
    match (&args.command, &args.destination) {
        (Some(BackupCommand::Verify { source }), _) => check(source),
        (None, Some(destination)) => {
            let bytes_per_second = args.megabytes_per_second.map(|megabytes| u64::from(megabytes) * 1_000_000);
            let options = BackupOptions { since: args.since.clone(), bytes_per_second };
            // Who is served at the same time goes first. Where that cannot be had, it is made all the same.
            let _ = rustix::process::nice(LESS_PRIORITY);
            in_runtime(make(destination, &options, settings))
        }
        (None, None) => Err(Failure::usage("name the directory that the backup is to be written into")),
    }
}

/// Restores a backup.
pub fn restore(args: &RestoreArgs, settings: &Settings) -> Result<(), Failure> {
    in_runtime(async {
        accounts::prepare(settings)?;
        let bars = Bars::new();
        let (store, restored) = Store::restore(&settings.store(), &args.source, &mut |done| bars.tell(done)).await?;
        store.close().await;
        bars.finish();
        let begun_again = match restored.begun_again {
            0 => String::new(),
            jobs => format!("; {jobs} under way are to be done again"),
        };
        print(&format!("restored {}{begun_again}\n", described(&restored.manifest)))
    })
}

async fn make(destination: &Path, options: &BackupOptions, settings: &Settings) -> Result<(), Failure> {
    let config = settings.store();
    if !config.exists() {
        return Err(Failure::new(format!(
            "there is nothing at {}; name the server's data directory with --data DIR",
            config.database
        )));
    }
    let store = accounts::store(settings).await?;
    let bars = Bars::new();
    let written = store.backup(destination, options, &mut |done| bars.tell(done)).await?;
    store.close().await;
    bars.finish();
    let shared = match &options.since {
        Some(_) => format!(", {} of them shared with the earlier backup", size(written.shared)),
        None => String::new(),
    };
    print(&format!("saved {}{shared}\n", described(&written.manifest)))
}

fn check(source: &Path) -> Result<(), Failure> {
    let bars = Bars::new();
    let verified = verify(source, &mut |done| bars.tell(done))?;
    bars.finish();
    match verified.problems.as_slice() {
        [] => print(&format!("good: {}\n", described(&verified.manifest))),
        problems => Err(Failure::new(format!("the backup is damaged:\n  {}", problems.join("\n  ")))),
    }
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// What is in a backup, for people.
fn described(manifest: &Manifest) -> String {
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    format!("{rows} rows, {} blobs with {}", manifest.blobs, size(manifest.blob_bytes))
}

fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// A bar for each step.
struct Bars {
    rows: ProgressBar,
    blobs: ProgressBar,
}

impl Bars {
    fn new() -> Bars {
        Bars { rows: progress::spinner("rows"), blobs: progress::bytes() }
    }

    fn tell(&self, progress: Progress) {
        match progress.step {
            Step::Rows => self.rows.set_message(format!("{} rows", progress.done)),
            Step::Blobs => {
                self.blobs.set_length(progress.total.unwrap_or(progress.done));
                self.blobs.set_position(progress.done);
            }
        }
    }

    fn finish(&self) {
        self.rows.finish_and_clear();
        self.blobs.finish_and_clear();
    }
}

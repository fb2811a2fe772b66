//! `dictum export` and `dictum import`: custom models from one server to another by the calls of the interface alone
//! (backup.md section 2), whoever made the servers.
//!
//! # The exported directory, version 1
//!
//! | file | what |
//! |---|---|
//! | `manifest.json` | version of the format, source, models, and what could not be saved. Written last: a directory without it is no export |
//! | `models/NNN-NAME/model.json` | the definition as the server answers it, and for each corpus and grammar its description and the file its text is in |
//! | `models/NNN-NAME/words.json` | all words with all their fields, as the server answers them |
//! | `models/NNN-NAME/corpora/NNN-NAME.txt`, `.../grammars/NNN-NAME.gram` | the texts; one that the server does not give back may be put there later |
//! | `acoustic.json` | custom acoustic models and the names of their recordings, for information |
//! | `jobs.json` | recognition jobs with their results, if they were asked for, for information |
//! | `imported.json` | which model became which, by where it was imported; with it an import that was interrupted goes on |
//!
//! The interface does not give back the texts of corpora and grammars. Dictum's servers do (`.../text`); for others the owner has kept
//! them and says where they are (`--sources`).

pub mod args;
mod export;
mod format;
mod import;

use dictum_models::{ModelsError, Registry};

use crate::args::ConfigArgs;
use crate::config::Settings;
use crate::customize;
use crate::failure::Failure;
use args::{ExportArgs, ImportArgs};

/// Carries out `dictum export`.
pub fn export(
    args: &ExportArgs,
    config: &ConfigArgs,
    settings: &Settings,
    registry: impl Fn() -> Result<Registry, ModelsError>,
) -> Result<(), Failure> {
    in_runtime(async {
        let (models, _) = customize::open(&args.place, false, config, settings, registry).await?;
        export::run(args, &models).await
    })
}

/// Carries out `dictum import`.
pub fn import(
    args: &ImportArgs,
    config: &ConfigArgs,
    settings: &Settings,
    registry: impl Fn() -> Result<Registry, ModelsError>,
) -> Result<(), Failure> {
    in_runtime(async {
        // What is wrong with the directory is told before anything is asked of anybody.
        let opened = format::Export::open(&args.directory)?;
        let (models, _) = customize::open(&args.place, true, config, settings, registry).await?;
        let target = match &args.place.url {
            Some(url) => url.clone(),
            // Without the password that a database may have.
            None => format!("{:?}, instance {}", settings.store(), args.place.instance),
        };
        import::run(args, opened, &models, &target).await
    })
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// Whether a model is among those that were asked for, all if none was named.
fn is_wanted(wanted: &[String], id: &str, name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(id) || wanted == name)
}

/// What was asked for and is not there.
fn check_wanted<'a>(wanted: &[String], there: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<(), Failure> {
    let missing =
        wanted.iter().find(|wanted| !there.clone().any(|(id, name)| is_wanted(&[(*wanted).clone()], id, name)));
    match missing {
        None => Ok(()),
        Some(missing) => Err(Failure::new(format!("there is no custom model {missing:?}"))),
    }
}

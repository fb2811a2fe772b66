//! Getting model packages: `dictum models pull` and `dictum models remove`.
//!
//! A package comes from the list of published models ([`published()`]), from an archive at a URL, or from a repository of
//! Hugging Face. It is fetched into a folder beside the installed ones, checked, unpacked by strict rules
//! (`archive`), described by a `package.toml` where it brings none, and then moved into place in one step: a package is
//! there as a whole, or not at all. A fetch that broke off goes on where it ended.
//!
//! In the directory of models lie one folder a package with a [`RECORD`] in it, `checksums.toml` with the SHA-256 of all
//! that was ever pulled, and `.pulling` with what is under way. What a URL gave the first time it has to give again.

mod archive;
mod error;
mod fetch;
mod hub;
mod install;
mod published;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

pub use archive::Bounds;
pub use error::PullError;
pub use fetch::{Fetched, Patience, Progress, Silent};
pub use hub::{HUB, HubToken};
pub use install::{RECORD, Record, record_of};
pub use published::{Published, find as find_published, published};
pub use source::Source;

use crate::catalogue;
use crate::package::MANIFEST;
use fetch::Fetcher;
use hub::Hash;
use install::{Description, Workshop};

/// Where to fetch from and how, and where packages go.
#[derive(Debug, Clone)]
pub struct PullConfig {
    /// Directory of the installed packages; made when it is missing.
    pub models: PathBuf,
    /// URL of Hugging Face or of a mirror of it.
    pub hub: String,
    /// Who asks Hugging Face, for its repositories alone.
    pub hub_token: Option<HubToken>,
    /// Also take what comes unencrypted from other machines.
    pub insecure_http: bool,
    /// How patient to be with servers, and the largest file.
    pub patience: Patience,
    /// Most that an archive may unpack to.
    pub bounds: Bounds,
}

impl PullConfig {
    /// Into `models`, from Hugging Face, encrypted.
    pub fn new(models: PathBuf) -> PullConfig {
        PullConfig {
            models,
            hub: HUB.to_owned(),
            hub_token: None,
            insecure_http: false,
            patience: Patience::default(),
            bounds: Bounds::default(),
        }
    }
}

/// What to pull.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Name of a published model, URL, or `hf:OWNER/REPOSITORY`.
    pub source: String,
    /// What to call the package instead of what its source calls it.
    pub name: Option<String>,
    /// Language tag, for packages that do not say it.
    pub language: Option<String>,
    /// Watson names to serve instead of all of the language.
    pub serves: Vec<String>,
    /// Fetch and install again what is there.
    pub replace: bool,
    /// Accept that the source now gives something else than the first time.
    pub accept_changed: bool,
}

/// A package that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// Its name.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// Whether it was fetched just now; `false`: it was there already.
    pub fresh: bool,
    /// Where it came from.
    pub record: Record,
}

/// Whether `name` can be the name of a package, and of its folder: letters, digits, `-`, `_` and `.`, the first one a letter
/// or digit.
pub fn is_package_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Fetches and installs what `order` says.
pub async fn pull(config: &PullConfig, order: &Order, progress: &dyn Progress) -> Result<Pulled, PullError> {
    let source = Source::parse(&order.source)?;
    let name = order.name.clone().unwrap_or_else(|| source.package_name().to_owned());
    if !is_package_name(&name) {
        let problem = "names consist of letters, digits, '-', '_' and '.'; choose one with --name".to_owned();
        return Err(PullError::Malformed { what: name, problem });
    }
    let models = &config.models;
    if let Some(there) = installed(models, &name, order)? {
        return Ok(there);
    }
    let language = order.language.clone().or_else(|| Some(source.published()?.languages.first()?.clone()));
    std::fs::create_dir_all(models).map_err(PullError::file("make", models))?;
    let workshop = Workshop::open(models, &name)?;
    let token = config.hub_token.clone().filter(|_| matches!(source, Source::Hub { .. }));
    let fetcher = Fetcher::new(config.patience.clone(), config.insecure_http)?.with_token(token);
    let known = install::ledger(models)?;
    let job = Job { config, order, fetcher, workshop, progress, known, has_language: language.is_some() };
    let unpacked = job.workshop.unpacked()?;
    let (fetched, bytes) = match &source {
        Source::Hub { repository, revision } => job.repository(repository, revision, &unpacked).await?,
        Source::Archive(url) => job.archive(url, source.published(), &unpacked).await?,
        Source::Published(model) => job.archive(&parse_url(&model.archive)?, Some(model), &unpacked).await?,
    };
    progress.step("installing");
    let root = install::root_of(&unpacked)?;
    let called = install::describe(&root, || describe(&source, name.clone(), language, order))?;
    let target = models.join(&called);
    if called != name && target.exists() && (install::record_of(&target).is_none() || !order.replace) {
        return Err(PullError::Taken(target));
    }
    let record = Record { source: order.source.clone(), pulled: install::today(), bytes, fetched };
    install::write_toml(&root.join(RECORD), &record)?;
    install::remember(models, &record.fetched)?;
    job.workshop.exchange(Some(&root), &target)?;
    Ok(Pulled { name: called, directory: target, fresh: true, record })
}

/// The package if it is there and may stay: by its name, or, where nobody chose one, by where it came from.
fn installed(models: &Path, name: &str, order: &Order) -> Result<Option<Pulled>, PullError> {
    let there = |name: String, record| {
        let directory = models.join(&name);
        (!order.replace).then_some(Pulled { name, directory, fresh: false, record })
    };
    let target = models.join(name);
    if target.exists() {
        let record = install::record_of(&target).ok_or(PullError::Taken(target))?;
        return Ok(there(name.to_owned(), record));
    }
    let same = pulled(models).into_iter().find(|(_, record)| order.name.is_none() && record.source == order.source);
    Ok(same.and_then(|(name, record)| there(name, record)))
}

/// Removes a package that was pulled, and what has come of one that was not finished.
pub fn remove(models: &Path, name: &str) -> Result<PathBuf, PullError> {
    let not_pulled = || {
        let names: Vec<String> = pulled(models).into_iter().map(|(name, _)| name).collect();
        let pulled = if names.is_empty() { String::new() } else { format!("; these were: {}", names.join(", ")) };
        PullError::NotPulled { name: name.to_owned(), pulled }
    };
    if !is_package_name(name) {
        return Err(not_pulled());
    }
    let target = models.join(name);
    let unfinished = models.join(".pulling").join(name);
    if install::record_of(&target).is_none() && (target.exists() || !unfinished.exists()) {
        return Err(not_pulled());
    }
    Workshop::open(models, name)?.exchange(None, &target)?;
    Ok(target)
}

/// The pulled packages by the names of their folders, with where they came from.
pub fn pulled(models: &Path) -> Vec<(String, Record)> {
    let Ok(entries) = std::fs::read_dir(models) else { return Vec::new() };
    let mut found: Vec<(String, Record)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, install::record_of(&entry.path())?))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn describe(source: &Source, name: String, language: Option<String>, order: &Order) -> Result<Description, PullError> {
    let language = language.ok_or_else(|| PullError::NoLanguage(order.source.clone()))?;
    let published = source.published();
    let serves = match (order.serves.is_empty(), published) {
        (false, _) => order.serves.clone(),
        (true, Some(model)) if order.language.is_none() => model.serves(),
        (true, _) => catalogue::names_of(&language),
    };
    let mut description = Description::new(name, language, serves);
    if let Some(model) = published {
        description.description = model.description.clone();
        let licence = model.licence.as_deref().unwrap_or("not stated");
        description.licence = format!("{licence} ({})", model.attribution);
        description.released = model.released.clone().unwrap_or(description.released);
    } else {
        description.description = format!("Pulled from {}", order.source);
        description.licence = "not stated".to_owned();
    }
    Ok(description)
}

fn parse_url(text: &str) -> Result<Url, PullError> {
    Url::parse(text).map_err(|error| PullError::Malformed { what: text.to_owned(), problem: error.to_string() })
}

/// One pull under way.
struct Job<'a> {
    config: &'a PullConfig,
    order: &'a Order,
    fetcher: Fetcher,
    workshop: Workshop,
    progress: &'a dyn Progress,
    known: BTreeMap<String, String>,
    /// Whether the language need not come with the package.
    has_language: bool,
}

impl Job<'_> {
    async fn archive(
        &self,
        url: &Url,
        published: Option<&Published>,
        unpacked: &Path,
    ) -> Result<(BTreeMap<String, String>, u64), PullError> {
        let part = self.workshop.folder.join("archive");
        let fetched = self.fetcher.file(url, &part, self.progress).await?;
        self.check(url, &fetched, published.and_then(|model| model.sha256.as_deref()))?;
        self.progress.step("unpacking");
        let outcome = archive::unpack(&part, unpacked, &self.config.bounds);
        // A damaged archive is not kept: fetched again it may be whole.
        std::fs::remove_file(&part).map_err(PullError::file("remove", &part))?;
        outcome?;
        Ok((BTreeMap::from([(url.to_string(), fetched.sha256)]), fetched.bytes))
    }

    async fn repository(
        &self,
        repository: &str,
        revision: &str,
        unpacked: &Path,
    ) -> Result<(BTreeMap<String, String>, u64), PullError> {
        let hub = parse_url(&self.config.hub)?;
        if hub.cannot_be_a_base() {
            return Err(PullError::Malformed { what: hub.to_string(), problem: "it is no URL of a hub".to_owned() });
        }
        let files = hub::files(&self.fetcher, &hub, repository, revision).await?;
        // Known before hundreds of megabytes are fetched in vain.
        if !self.has_language && !files.iter().any(|file| file.name == MANIFEST) {
            return Err(PullError::NoLanguage(self.order.source.clone()));
        }
        let (mut sums, mut bytes) = (BTreeMap::new(), 0);
        for file in files {
            let url = hub::file_url(&hub, repository, revision, &file.name);
            if file.bytes > self.config.patience.largest {
                let most = self.config.patience.largest;
                return Err(PullError::TooLarge { url: url.to_string(), bytes: file.bytes, most });
            }
            let part = self.workshop.folder.join(format!("{}.part", file.name));
            let fetched = self.fetcher.file(&url, &part, self.progress).await?;
            let right = match &file.hash {
                Hash::Sha256(sum) => Some(sum.clone()),
                Hash::Blob(sum) => {
                    let content = std::fs::read(&part).map_err(PullError::file("read", &part))?;
                    (hub::blob_hash(&content) != *sum).then(|| format!("that of Git's blob {sum}"))
                }
            };
            self.check(&url, &fetched, right.as_deref())?;
            let place = unpacked.join(&file.name);
            std::fs::rename(&part, &place).map_err(PullError::file("move", &part))?;
            bytes += fetched.bytes;
            sums.insert(url.to_string(), fetched.sha256);
        }
        Ok((sums, bytes))
    }

    /// Compares what came with what is pinned, and with what came the first time. What is wrong is not kept.
    fn check(&self, url: &Url, fetched: &Fetched, pinned: Option<&str>) -> Result<(), PullError> {
        let earlier = self.known.get(url.as_str()).filter(|_| !self.order.accept_changed);
        let expected = [
            (pinned, "was published", ""),
            (
                earlier.map(String::as_str),
                "came when it was first pulled",
                ". If its publisher has changed it, say --accept-changed",
            ),
        ];
        for (wanted, known_by, hint) in expected {
            if let Some(wanted) = wanted.filter(|wanted| **wanted != fetched.sha256) {
                std::fs::remove_file(&fetched.path).map_err(PullError::file("remove", &fetched.path))?;
                return Err(PullError::Checksum {
                    url: url.to_string(),
                    known_by,
                    found: fetched.sha256.clone(),
                    wanted: wanted.to_owned(),
                    hint,
                });
            }
        }
        Ok(())
    }
}

//! From unpacked files to an installed package: manifest, record, one rename.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::error::PullError;
use super::fetch::sha256_of;
use crate::package::{MANIFEST, Package};

/// Name of the file in a package's directory that says where it was pulled from. Only what has one is ever replaced or
/// removed.
pub const RECORD: &str = "pulled.toml";

/// Folder for what is not installed yet, in the directory of models.
const WORK: &str = ".pulling";

/// File in the directory of models with the checksum of every URL that was pulled.
const LEDGER: &str = "checksums.toml";

/// Where a package came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What a person asked for.
    pub source: String,
    /// Day of the pull, `YYYY-MM-DD`.
    pub pulled: String,
    /// Bytes that were fetched.
    pub bytes: u64,
    /// SHA-256 by URL.
    pub fetched: BTreeMap<String, String>,
}

/// What a package that brings no manifest is said to be.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    format: u32,
    pub name: String,
    pub language: String,
    kind: &'static str,
    pub released: String,
    pub description: String,
    pub licence: String,
    sample_rates: [u32; 1],
    pub serves: Vec<String>,
    files: Files,
    checksums: BTreeMap<String, String>,
}

/// Where the network is: in the package's own folder.
#[derive(Debug, Serialize)]
struct Files {
    network: &'static str,
}

impl Description {
    /// Of a neural model for speech sampled at 16 kHz, released today.
    pub(super) fn new(name: String, language: String, serves: Vec<String>) -> Description {
        Description {
            format: 1,
            name,
            language,
            kind: "ctc",
            released: today(),
            description: String::new(),
            licence: String::new(),
            sample_rates: [16_000],
            serves,
            files: Files { network: "." },
            checksums: BTreeMap::new(),
        }
    }
}

/// The day, in UTC.
pub(super) fn today() -> String {
    humantime::format_rfc3339(SystemTime::now()).to_string().chars().take(10).collect()
}

/// The places of a package that is being pulled or removed. While this lives no other process has it.
pub(super) struct Workshop {
    /// Folder for what comes and is kept when a fetch breaks off.
    pub folder: PathBuf,
    _lock: File,
}

impl Workshop {
    pub(super) fn open(models: &Path, name: &str) -> Result<Workshop, PullError> {
        let folder = models.join(WORK).join(name);
        std::fs::create_dir_all(&folder).map_err(PullError::file("make", &folder))?;
        let path = models.join(WORK).join(format!("{name}.lock"));
        let lock = File::options().create(true).append(true).open(&path).map_err(PullError::file("write", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Workshop { folder, _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => Err(PullError::Busy(name.to_owned())),
            Err(std::fs::TryLockError::Error(source)) => Err(PullError::File { action: "lock", path, source }),
        }
    }

    /// An empty folder to unpack into.
    pub(super) fn unpacked(&self) -> Result<PathBuf, PullError> {
        let path = self.folder.join("unpacked");
        clear(&path)?;
        std::fs::create_dir(&path).map_err(PullError::file("make", &path))?;
        Ok(path)
    }

    /// Puts the folder `made` where `target` is, in one step; what was there goes afterwards.
    pub(super) fn exchange(&self, made: Option<&Path>, target: &Path) -> Result<(), PullError> {
        let old = self.folder.join("old");
        clear(&old)?;
        if target.exists() {
            std::fs::rename(target, &old).map_err(PullError::file("move", target))?;
        }
        if let Some(made) = made
            && let Err(error) = std::fs::rename(made, target)
        {
            let _ = std::fs::rename(&old, target);
            return Err(PullError::file("move", made)(error));
        }
        if let Some(models) = target.parent() {
            File::open(models).and_then(|models| models.sync_all()).map_err(PullError::file("write", models))?;
        }
        clear(&self.folder)
    }
}

fn clear(path: &Path) -> Result<(), PullError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(PullError::file("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The folder with the files: archives usually have one folder around them.
pub(super) fn root_of(unpacked: &Path) -> Result<PathBuf, PullError> {
    let entries = std::fs::read_dir(unpacked).map_err(PullError::file("read", unpacked))?;
    let paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    match paths.as_slice() {
        [only] if only.is_dir() => root_of(only),
        _ => Ok(unpacked.to_owned()),
    }
}

/// Checks that the folder is a package; writes the manifest where it brings none. The name it has.
pub(super) fn describe(
    root: &Path,
    describe: impl FnOnce() -> Result<Description, PullError>,
) -> Result<String, PullError> {
    if root.join(MANIFEST).exists() {
        files_are_inside(&root.join(MANIFEST))?;
        return opened(root);
    }
    let names = file_names(root)?;
    let missing =
        |problem: &str| PullError::NotAPackage { problem: format!("{problem} (there are: {})", names.join(", ")) };
    if !names.iter().any(|name| name == "tokens.txt") {
        return Err(missing("there is no tokens.txt"));
    }
    if !names.iter().any(|name| name.ends_with(".onnx")) {
        return Err(missing("there is no network, a file that ends in .onnx"));
    }
    let mut description = describe()?;
    for name in names {
        let (_, sum) = sha256_of(&root.join(&name))?;
        description.checksums.insert(name, sum);
    }
    write_toml(&root.join(MANIFEST), &description)?;
    opened(root)
}

/// The name of the package, as the registry will read it.
fn opened(root: &Path) -> Result<String, PullError> {
    let package = Package::open(root).map_err(|error| PullError::NotAPackage { problem: error.to_string() })?;
    match super::is_package_name(&package.name) {
        true => Ok(package.name),
        false => Err(PullError::NotAPackage { problem: format!("it is called {:?}", package.name) }),
    }
}

/// A manifest may name files anywhere; one that came from elsewhere may not.
fn files_are_inside(manifest: &Path) -> Result<(), PullError> {
    let wrong = |problem: String| PullError::NotAPackage { problem };
    let text = std::fs::read_to_string(manifest).map_err(PullError::file("read", manifest))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    let files = table.get("files").and_then(toml::Value::as_table);
    for (role, file) in files.into_iter().flatten() {
        let inside =
            |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !file.as_str().is_some_and(|file| inside(Path::new(file))) {
            return Err(wrong(format!("its manifest says that {role} is {file}, which is not inside of it")));
        }
    }
    Ok(())
}

fn file_names(root: &Path) -> Result<Vec<String>, PullError> {
    let entries = std::fs::read_dir(root).map_err(PullError::file("read", root))?;
    let files = entries.filter_map(|entry| entry.ok()).filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

pub(super) fn write_toml(path: &Path, document: &impl Serialize) -> Result<(), PullError> {
    let text = toml::to_string(document).map_err(|error| PullError::File {
        action: "write",
        path: path.to_owned(),
        source: std::io::Error::other(error),
    })?;
    // Beside it first, so that it is never half there.
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).map_err(PullError::file("write", &beside))?;
    std::fs::rename(&beside, path).map_err(PullError::file("write", path))
}

/// The record of a pulled package, if there is one.
pub fn record_of(package: &Path) -> Option<Record> {
    toml::from_str(&std::fs::read_to_string(package.join(RECORD)).ok()?).ok()
}

/// The checksums of earlier pulls, by URL.
pub(super) fn ledger(models: &Path) -> Result<BTreeMap<String, String>, PullError> {
    let path = models.join(LEDGER);
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| PullError::File {
            action: "read",
            path,
            source: std::io::Error::other(error.message().to_owned()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(PullError::file("read", &path)(error)),
    }
}

/// Adds checksums to those on record.
pub(super) fn remember(models: &Path, fetched: &BTreeMap<String, String>) -> Result<(), PullError> {
    let mut known = ledger(models)?;
    known.extend(fetched.iter().map(|(url, sum)| (url.clone(), sum.clone())));
    write_toml(&models.join(LEDGER), &known)
}

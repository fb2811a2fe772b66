//! Installing the clients, once for each list of versions, beside cargo's other output.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python interpreter that has what `requirements` lists.
pub fn python(requirements: &Path) -> Result<PathBuf, String> {
    let directory = once("python", &[requirements], |directory| {
        run(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        let mut install = Command::new(directory.join("bin/python"));
        run(install.args(["-m", "pip", "install", "--quiet", "--retries=2", "--requirement"]).arg(requirements))
    })?;
    Ok(directory.join("bin/python"))
}

/// Chromium, or what else is made of it. Distributions have packages of that name that only fetch another one, so it is asked.
pub fn browser() -> Result<&'static str, String> {
    let answers = |name: &&str| run(Command::new(name).arg("--version")).is_ok();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(answers).ok_or_else(|| "chromium is not installed".to_owned())
}

/// What the clients ask of Node.
const OLDEST_NODE: u32 = 20;

fn check_node() -> Result<(), String> {
    let output = Command::new("node").arg("--version").output().map_err(|error| format!("node: {error}"))?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    match major {
        Some(major) if OLDEST_NODE <= major => Ok(()),
        _ => Err(format!("node is {version}, and the client needs {OLDEST_NODE}")),
    }
}

/// The `node_modules` of the `package.json` and lock file in `folder`.
pub fn node(folder: &Path) -> Result<PathBuf, String> {
    check_node()?;
    let files = [folder.join("package.json"), folder.join("package-lock.json")];
    let directory = once("node", &[&files[0], &files[1]], |directory| {
        for file in &files {
            let copied = directory.join(file.file_name().unwrap());
            std::fs::copy(file, copied).map_err(|error| error.to_string())?;
        }
        // No package of these needs its install script, so none is run.
        run(Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"])
            .current_dir(directory))
    })?;
    Ok(directory.join("node_modules"))
}

/// The directory that `install` has filled, now or in an earlier run, for what `lists` say. Tests that run at the same time
/// wait for each other.
fn once(name: &str, lists: &[&Path], install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    for list in lists {
        std::fs::read(list).unwrap().hash(&mut hasher);
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop");
    std::fs::create_dir_all(&cache).unwrap();
    let directory = cache.join(format!("{name}-{:016x}", hasher.finish()));
    let complete = directory.join("complete");
    let lock = File::create(cache.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !complete.exists() {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        install(&directory).map_err(|reason| format!("the client could not be installed: {reason}"))?;
        File::create(complete).unwrap();
    }
    Ok(directory)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let telling = said.lines().find(|line| line.starts_with("ERROR") || line.starts_with("npm error"));
    let reason = telling.or(said.lines().last()).unwrap_or_default();
    Err(format!("{program} failed: {reason}"))
}

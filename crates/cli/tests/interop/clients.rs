//! Installing the clients, once for each list of versions, beside cargo's other output.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::installed::{once, python_environment, run};

/// A Python interpreter that has what `requirements` lists.
pub fn python(requirements: &Path) -> Result<PathBuf, String> {
    let directory = once(&cache(), "python", &[requirements], |directory| python_environment(directory, requirements))?;
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
    let directory = once(&cache(), "node", &[&files[0], &files[1]], |directory| {
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

fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop")
}

//! What tests install from registries of packages, once for each list of versions, beside cargo's other output.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Makes a virtual environment of Python in `folder` with what `requirements` lists.
pub fn python_environment(folder: &Path, requirements: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut install = Command::new(folder.join("bin/python"));
    run(install.args(["-m", "pip", "install", "--quiet", "--retries=2", "--requirement"]).arg(requirements))
}

/// The shared library of ONNX Runtime in its wheel from PyPI. The environment is the one of the tests of crates/neural.
pub fn onnx_runtime() -> Result<PathBuf, String> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("../neural/oracle/requirements.txt");
    let fill = |folder: &Path| python_environment(folder, &requirements);
    let environment = once(Path::new(env!("CARGO_TARGET_TMPDIR")), "oracle-python", &[&requirements], fill)?;
    let python = std::fs::read_dir(environment.join("lib")).unwrap().map(|entry| entry.unwrap().path());
    let files = python.flat_map(|python| std::fs::read_dir(python.join("site-packages/onnxruntime/capi")).unwrap());
    let is_library = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libonnxruntime.")
    };
    files.map(|entry| entry.unwrap().path()).find(is_library).ok_or_else(|| "the wheel has no library".to_owned())
}

/// The directory in `cache` that `install` has filled, now or in an earlier run, for what `lists` say. Tests that run at the same
/// time wait for each other.
pub fn once(
    cache: &Path,
    name: &str,
    lists: &[&Path],
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    for list in lists {
        std::fs::read(list).unwrap().hash(&mut hasher);
    }
    std::fs::create_dir_all(cache).unwrap();
    let directory = cache.join(format!("{name}-{:016x}", hasher.finish()));
    let complete = directory.join("complete");
    let lock = File::create(cache.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !complete.exists() {
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        install(&directory).map_err(|reason| format!("{name} could not be installed: {reason}"))?;
        File::create(complete).unwrap();
    }
    Ok(directory)
}

/// Runs a program to its good end, or says what it said of the other.
pub fn run(command: &mut Command) -> Result<(), String> {
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

//! Packages, audio and what the reference implementations make of it: written once by `oracle/oracle.py`, beside cargo's
//! other output.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What the oracle wrote.
pub struct Oracle {
    python: PathBuf,
    folder: PathBuf,
    cases: Value,
}

impl Oracle {
    /// What the oracle says, or `None` with a line that says what is skipped and why. With `DICTUM_ORACLE=required` that is an
    /// error instead.
    pub fn new(test: &str) -> Option<Oracle> {
        match written() {
            Ok((python, folder)) => {
                let cases = std::fs::read(folder.join("cases.json")).unwrap();
                Some(Oracle { python, folder, cases: serde_json::from_slice(&cases).unwrap() })
            }
            Err(reason) => {
                println!("skipped: {test}: {reason}");
                let required = std::env::var("DICTUM_ORACLE").is_ok_and(|value| value == "required");
                assert!(!required, "{test} is required: {reason}");
                None
            }
        }
    }

    /// The cases of a list.
    pub fn cases(&self, list: &str) -> Vec<Case<'_>> {
        let cases = self.cases[list].as_array().unwrap();
        cases.iter().map(|value| Case { folder: &self.folder, value }).collect()
    }

    /// The shared library in the wheel of onnxruntime.
    pub fn onnx_runtime(&self) -> PathBuf {
        let python = std::fs::read_dir(self.python.join("lib")).unwrap().map(|entry| entry.unwrap().path());
        let files = python.flat_map(|python| std::fs::read_dir(python.join("site-packages/onnxruntime/capi")).unwrap());
        let is_library = |path: &PathBuf| path.file_name().is_some_and(|name| is_library(&name.to_string_lossy()));
        files.map(|entry| entry.unwrap().path()).find(is_library).expect("the wheel has the library")
    }

    /// The folder of a package.
    pub fn package(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// One comparison.
pub struct Case<'o> {
    folder: &'o Path,
    value: &'o Value,
}

impl Case<'_> {
    /// An entry's text.
    pub fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap()
    }

    /// The numbers in the file that an entry names.
    pub fn numbers(&self, key: &str) -> Vec<f32> {
        let bytes = std::fs::read(self.folder.join(self.text(key))).unwrap();
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    /// The samples of the case, with the silence after them.
    pub fn samples(&self) -> Vec<f32> {
        let mut samples = self.numbers("audio");
        samples.resize(samples.len() + self.value["silence"].as_u64().unwrap_or(0) as usize, 0.0);
        samples
    }

    /// The tokens that sherpa-onnx reads.
    pub fn reading(&self) -> Option<Vec<&str>> {
        Some(self.value["reading"].as_array()?.iter().map(|token| token.as_str().unwrap()).collect())
    }
}

/// Not those of providers, which lie beside it.
fn is_library(name: &str) -> bool {
    name.starts_with("libonnxruntime.")
}

/// Where Python is, and the folder that the oracle has written, now or in an earlier run. Tests that run at the same time wait for each other.
fn written() -> Result<(PathBuf, PathBuf), String> {
    // Tests of other crates use this, too.
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../neural/oracle");
    let requirements = scripts.join("requirements.txt");
    let python = once("oracle-python", std::slice::from_ref(&requirements), |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut install = Command::new(folder.join("bin/python"));
        run(install.args(["-m", "pip", "install", "--quiet", "--retries=2", "--requirement"]).arg(&requirements))
    })?;
    let mut sources = vec![requirements.clone()];
    sources.extend(["graft.py", "graph.py", "networks.py", "oracle.py"].map(|name| scripts.join(name)));
    let small = scripts.join("../../../models/en-digits-commands-names");
    sources.extend(["model.onnx", "package.toml", "tokens.txt", "words.arpa"].map(|name| small.join(name)));
    let cases = once("oracle-cases", &sources, |folder| {
        let mut write = Command::new(python.join("bin/python"));
        run(write.env("PYTHONDONTWRITEBYTECODE", "1").arg(scripts.join("oracle.py")).arg(folder))
    })?;
    Ok((python, cases))
}

/// The folder that `fill` has filled for what `sources` say.
fn once(name: &str, sources: &[PathBuf], fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        std::fs::read(source).unwrap().hash(&mut hasher);
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(cache).unwrap();
    let folder = cache.join(format!("{name}-{:016x}", hasher.finish()));
    let complete = folder.join("complete");
    let lock = File::create(cache.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !complete.exists() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        fill(&folder)?;
        File::create(complete).unwrap();
    }
    Ok(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let telling = said.lines().find(|line| line.starts_with("ERROR")).or(said.lines().last()).unwrap_or_default();
    Err(format!("{program} failed: {telling}"))
}

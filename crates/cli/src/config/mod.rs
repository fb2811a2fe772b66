//! Configuration: one table of settings, filled from defaults, a TOML file, the environment and the command line, in
//! this order.
//!
//! [`table::SETTINGS`] is the only place where a setting is named, typed, given its default and explained;
//! `docs/configuration.md` is printed from it (`dictum config --markdown`), and a test compares the two.

pub mod document;
pub mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dictum_callbacks::Signature;
use dictum_models::{Provider, RegistryConfig, Runtime};
use dictum_service::ServiceConfig;
use dictum_service::accounts::AccountsConfig;
use dictum_store::{Quota, StoreConfig};
use dictum_watson::{MetricsFor, WatsonConfig, WebSocketConfig};
pub use table::Settings;
use table::{SETTINGS, Setting};

/// Environment variables that begin like settings but are not.
const OTHER_VARIABLES: [&str; 5] =
    ["DICTUM_APIKEY", "DICTUM_CONFIG", "DICTUM_SHARED_AUDIO", "DICTUM_TEST_POSTGRES", "DICTUM_URL"];

/// Longest configuration file that is read, bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// A setting that cannot be used; the message names where it was set.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML, or too long.
    #[error("{path}: {problem}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A setting has a value it cannot have.
    #[error("{place}: {key} {problem}")]
    Value {
        /// Where it was set: a file, an environment variable or the command line.
        place: String,
        /// The setting.
        key: String,
        /// What is wrong with the value.
        problem: String,
    },
    /// There is no such setting.
    #[error("{place}: there is no setting \"{key}\"{hint}; see docs/configuration.md or \"dictum config\"")]
    Unknown {
        /// Where it was set.
        place: String,
        /// The name as written.
        key: String,
        /// A similar name that exists, or nothing.
        hint: String,
    },
    /// `--set` without `=`.
    #[error("--set {0:?} must look like KEY=VALUE, for example --set log.level=debug")]
    NotAnAssignment(String),
}

/// What was written for a setting, before it is understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// From the environment, the command line, or a TOML scalar.
    Text(String),
    /// A TOML array of scalars.
    List(Vec<String>),
    /// A TOML table of scalars.
    Map(BTreeMap<String, String>),
}

/// The layers above the defaults.
#[derive(Debug, Default)]
pub struct Sources<'a> {
    /// The configuration file, if any.
    pub file: Option<&'a Path>,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// `(key, value)` from the command line.
    pub command_line: Vec<(String, String)>,
}

/// Settings and what the operator should hear about them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Things that are probably mistakes but do not stop the program.
    pub warnings: Vec<String>,
}

/// Fills the settings from all layers.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
    let mut settings = Settings::default();
    let mut warnings = Vec::new();
    if let Some(path) = sources.file {
        for (key, value) in read_file(path)? {
            apply(&mut settings, &path.display().to_string(), &key, value)?;
        }
    }
    for (variable, text) in &sources.environment {
        if !variable.starts_with("DICTUM_") || OTHER_VARIABLES.contains(&variable.as_str()) {
            continue;
        }
        match SETTINGS.iter().find(|setting| setting.variable() == *variable) {
            Some(setting) => apply(&mut settings, variable, setting.key, Value::Text(text.clone()))?,
            None => warnings.push(format!("the environment variable {variable} is not a setting of this version")),
        }
    }
    for (key, text) in &sources.command_line {
        apply(&mut settings, "command line", key, Value::Text(text.clone()))?;
    }
    Ok(Loaded { settings, warnings })
}

fn apply(settings: &mut Settings, place: &str, key: &str, value: Value) -> Result<(), ConfigError> {
    let setting = find(key).ok_or_else(|| ConfigError::Unknown {
        place: place.to_owned(),
        key: key.to_owned(),
        hint: similar(key).map(|known| format!(" (did you mean \"{known}\"?)")).unwrap_or_default(),
    })?;
    (setting.apply)(settings, value).map_err(|problem| ConfigError::Value {
        place: place.to_owned(),
        key: key.to_owned(),
        problem,
    })
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The setting whose name shares most letters in order with `key`, if that is most of them.
fn similar(key: &str) -> Option<&'static str> {
    let score = |known: &str| {
        let mut rest = known.chars();
        let shared = key.chars().filter(|c| rest.clone().any(|k| k == *c) && rest.any(|k| k == *c)).count();
        2 * shared * 100 / (key.chars().count() + known.chars().count()).max(1)
    };
    SETTINGS
        .iter()
        .map(|setting| (score(setting.key), setting.key))
        .max()
        .filter(|(score, _)| *score >= 70)
        .map(|(_, key)| key)
}

/// The settings of a TOML file, as dotted keys.
fn read_file(path: &Path) -> Result<Vec<(String, Value)>, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let problem = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    let length = std::fs::metadata(path).map_err(read)?.len();
    if length > LONGEST_FILE {
        return Err(problem(format!("{length} bytes is too long for a configuration file")));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        problem(line.map(|line| format!("line {line}: {message}")).unwrap_or(message))
    })?;
    let mut found = Vec::new();
    flatten("", table, &mut found).map_err(problem)?;
    Ok(found)
}

fn flatten(prefix: &str, table: toml::Table, found: &mut Vec<(String, Value)>) -> Result<(), String> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            // A table that is itself a setting (a map) ends the descent.
            toml::Value::Table(inner) if find(&key).is_none() => flatten(&key, inner, found)?,
            toml::Value::Table(inner) => {
                let pairs =
                    inner.into_iter().map(|(name, value)| Ok((name.clone(), scalar(&format!("{key}.{name}"), value)?)));
                found.push((key.clone(), Value::Map(pairs.collect::<Result<_, String>>()?)));
            }
            toml::Value::Array(items) => {
                let items = items.into_iter().map(|item| scalar(&key, item)).collect::<Result<_, String>>()?;
                found.push((key, Value::List(items)));
            }
            other => {
                let text = scalar(&key, other)?;
                found.push((key, Value::Text(text)));
            }
        }
    }
    Ok(())
}

fn scalar(key: &str, value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        other => Err(format!("{key} cannot hold a {}", other.type_str())),
    }
}

impl Settings {
    /// The directory under which everything is kept. Without a setting, the place where the user's data lie.
    pub fn data_directory(&self) -> PathBuf {
        if let Some(directory) = &self.server_data {
            return directory.clone();
        }
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        match (variable("XDG_DATA_HOME"), variable("HOME")) {
            (Some(data), _) => data.join("dictum"),
            (None, Some(home)) => home.join(".local/share/dictum"),
            (None, None) => PathBuf::from("/var/lib/dictum"),
        }
    }

    /// Where rows and blobs are kept: in the data directory, but for what is set otherwise.
    pub fn store(&self) -> StoreConfig {
        let embedded = StoreConfig::embedded(&self.data_directory());
        StoreConfig {
            database: self.store_database.0.clone().unwrap_or(embedded.database),
            blobs: self.store_blobs.0.clone().unwrap_or(embedded.blobs),
        }
    }

    /// What every instance may have at most.
    pub fn quota(&self) -> Quota {
        let some = |number: usize| (number > 0).then_some(number as u64);
        Quota {
            storage: some(self.quota_storage_megabytes).map(|megabytes| megabytes.saturating_mul(1_000_000)),
            jobs: some(self.quota_jobs),
            results: some(self.quota_results_minutes).map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
        }
    }

    /// Where pulled models are.
    pub fn models_directory(&self) -> PathBuf {
        self.data_directory().join("models")
    }

    /// What the registry of models is built from: the packages of the configuration, then those that were pulled.
    pub fn registry(&self) -> RegistryConfig {
        let pulled = Some(self.models_directory()).filter(|directory| directory.is_dir());
        RegistryConfig {
            package_dirs: self.model_packages.iter().cloned().chain(pulled).collect(),
            default_package: self.model_dir.clone(),
            names: self.model_names.clone(),
            default_model: self.model_default.clone(),
            uncalibrated: false,
            runtime: self.runtime(),
            onnx_runtime: self.model_onnxruntime_library.clone(),
        }
    }

    fn runtime(&self) -> Runtime {
        // The table has let nothing else pass.
        match (self.model_runtime.as_str(), self.model_onnxruntime_provider.as_str()) {
            ("onnxruntime", "cuda") => Runtime::OnnxRuntime(Provider::Cuda),
            ("onnxruntime", _) => Runtime::OnnxRuntime(Provider::Cpu),
            _ => Runtime::Rten,
        }
    }

    /// The limits of connections.
    pub fn connections(&self) -> dictum_server::Limits {
        dictum_server::Limits {
            idle: std::time::Duration::from_secs(self.server_idle_seconds as u64),
            ..dictum_server::Limits::default()
        }
    }

    /// The limits of the recognition service.
    pub fn service(&self) -> ServiceConfig {
        let mut config = ServiceConfig::default();
        if self.server_threads > 0 {
            config.max_sessions = config.max_sessions / config.decode_threads * self.server_threads;
            config.decode_threads = self.server_threads;
        }
        if self.server_sessions > 0 {
            config.max_sessions = self.server_sessions;
        }
        config
    }

    /// What callbacks may be told.
    pub fn callbacks(&self) -> dictum_callbacks::Config {
        dictum_callbacks::Config {
            allow: self.callbacks_allow.clone(),
            signature: match self.callbacks_signature.as_str() {
                "sha256" => Signature::Sha256,
                _ => Signature::Sha1,
            },
            ..dictum_callbacks::Config::default()
        }
    }

    /// What accounts may be told.
    pub fn accounts(&self) -> AccountsConfig {
        AccountsConfig {
            token_lifetime: Duration::from_secs(self.auth_token_seconds as u64),
            ..AccountsConfig::default()
        }
    }

    /// What the wire interface may be told.
    pub fn watson(&self) -> WatsonConfig {
        WatsonConfig {
            public_url: self.server_public_url.clone(),
            base_paths: self.server_base_paths.clone(),
            read_only: self.server_read_only,
            metrics: match self.metrics_shown_to.as_str() {
                "everybody" => MetricsFor::Everybody,
                "nobody" => MetricsFor::Nobody,
                _ => MetricsFor::Loopback,
            },
            websocket: WebSocketConfig {
                answer_every_start: self.websocket_answer_every_start,
                ..WebSocketConfig::default()
            },
            ..WatsonConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Settings, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dictum.toml");
        std::fs::write(&path, text).unwrap();
        let sources = Sources { file: Some(&path), ..Sources::default() };
        load(&sources).map(|loaded| loaded.settings).map_err(|error| error.to_string())
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn later_layers_win() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dictum.toml");
        std::fs::write(&path, "[server]\nlisten = \"1.1.1.1:1\"\ndata = \"/file\"\n[log]\nlevel = \"warn\"\n").unwrap();
        let sources = Sources {
            file: Some(&path),
            environment: vec![pair("DICTUM_SERVER_LISTEN", "2.2.2.2:2"), pair("DICTUM_SERVER_DATA", "/environment")],
            command_line: vec![pair("server.listen", "3.3.3.3:3")],
        };
        let settings = load(&sources).unwrap().settings;
        assert_eq!(settings.server_listen, "3.3.3.3:3");
        assert_eq!(settings.server_data.as_deref(), Some(Path::new("/environment")));
        assert_eq!(settings.log_level, "warn");
    }

    #[test]
    fn lists_and_maps_are_written_alike_in_file_and_environment() {
        let file = with_file(
            "[model]\npackages = [\"/a\", \"/b\"]\n[model.names]\n\"en-GB\" = \"en-us-ptm\"\nfi-FI = \"fi\"\n",
        )
        .unwrap();
        let environment =
            vec![pair("DICTUM_MODEL_PACKAGES", "/a:/b"), pair("DICTUM_MODEL_NAMES", "en-GB=en-us-ptm, fi-FI=fi")];
        let environment = load(&Sources { environment, ..Sources::default() }).unwrap().settings;
        assert_eq!(file, environment);
        assert_eq!(file.model_packages, [Path::new("/a"), Path::new("/b")]);
        assert_eq!(file.model_names["en-GB"], "en-us-ptm");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let cases = [
            ("[server]\nlisten = 8080", "server.listen \"8080\" must be"),
            ("[server]\nlissten = \"a\"", "there is no setting \"server.lissten\" (did you mean \"server.listen\"?)"),
            ("[server", "line 1"),
            ("server = 3", "there is no setting \"server\""),
            ("[model]\npackages = [[\"a\"]]", "model.packages cannot hold a array"),
            ("[auth]\nrequired = \"no\"", "auth.required \"no\" must be true or false"),
            ("[auth]\ntoken_seconds = 0", "auth.token_seconds must be 1 or more"),
            ("[log]\nlevel = \"loud\"", "log.level \"loud\" must be"),
        ];
        for (text, expected) in cases {
            let message = with_file(text).unwrap_err();
            assert!(message.contains(expected), "{message:?} should contain {expected:?}");
            assert!(message.contains("dictum.toml"), "{message:?}");
        }
    }

    #[test]
    fn the_store_is_in_the_data_directory_unless_said_otherwise() {
        let settings = with_file("[server]\ndata = \"/d\"").unwrap();
        assert_eq!(settings.store(), StoreConfig::embedded(Path::new("/d")));
        let settings = with_file("[server]\ndata = \"/d\"\n[store]\ndatabase = \"postgres://u:hush@h/d\"").unwrap();
        let blobs = StoreConfig::embedded(Path::new("/d")).blobs;
        assert_eq!(settings.store(), StoreConfig { database: "postgres://u:hush@h/d".to_owned(), blobs });
        let shown = format!("{settings:?} {}", document::in_force(&settings));
        assert!(shown.contains("postgres://u:***@h/d") && !shown.contains("hush"), "{shown}");
        let message = with_file("[store]\ndatabase = \"mysql://u:hush@h/d\"").unwrap_err();
        assert!(message.contains("store.database") && message.contains("sqlite:PATH"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }

    #[test]
    fn misspelt_variables_are_mentioned() {
        let environment =
            vec![pair("DICTUM_SERVER_LISTN", "x"), pair("DICTUM_SHARED_AUDIO", "/x"), pair("PATH", "/bin")];
        let loaded = load(&Sources { environment, ..Sources::default() }).unwrap();
        assert_eq!(loaded.warnings.len(), 1);
        assert!(loaded.warnings[0].contains("DICTUM_SERVER_LISTN"));
    }
}

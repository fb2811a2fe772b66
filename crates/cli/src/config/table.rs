//! The settings, each with its type, default and meaning.

#![expect(clippy::ptr_arg, reason = "checks are called with settings as the table holds them")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use dictum_store::{StoreConfig, without_password};

use super::Value;

/// A setting as operators see it.
pub struct Setting {
    /// Dotted name in the file; the environment variable is derived from it.
    pub key: &'static str,
    /// What can be written, for people.
    pub kind: &'static str,
    /// The default, as it would be written in the environment; empty for "none".
    pub default: &'static str,
    /// The flag that sets it, when it has one of its own; all others are set by `--set KEY=VALUE`.
    pub flag: Option<&'static str>,
    /// What it does, in Markdown without line breaks.
    pub meaning: &'static str,
    /// Understands a value and stores it.
    pub apply: fn(&mut Settings, Value) -> Result<(), String>,
    /// The value in force, in TOML.
    pub show: fn(&Settings) -> toml::Value,
}

impl Setting {
    /// The environment variable: `DICTUM_` and the key in capitals, dots as underscores.
    pub fn variable(&self) -> String {
        format!("DICTUM_{}", self.key.replace('.', "_").to_ascii_uppercase())
    }
}

/// A type that settings have.
trait SettingType: Sized {
    /// Understands what was written, or says what should have been.
    fn parse(value: Value) -> Result<Self, String>;
    /// The value in TOML.
    fn show(&self) -> toml::Value;
}

fn text_of(value: Value, wanted: &str) -> Result<String, String> {
    match value {
        Value::Text(text) => Ok(text),
        Value::List(_) | Value::Map(_) => Err(format!("must be {wanted}")),
    }
}

impl SettingType for String {
    fn parse(value: Value) -> Result<Self, String> {
        text_of(value, "a string")
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.clone())
    }
}

/// Absent when empty.
impl SettingType for Option<PathBuf> {
    fn parse(value: Value) -> Result<Self, String> {
        let text = text_of(value, "a path")?;
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
    }
}

/// Absent when empty.
impl SettingType for Option<String> {
    fn parse(value: Value) -> Result<Self, String> {
        Ok(Some(text_of(value, "a string")?).filter(|text| !text.is_empty()))
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.clone().unwrap_or_default())
    }
}

/// The URL of a database or of a place for blobs. It may have a password in it, which is never shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StoreUrl(pub Option<String>);

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0.as_deref().map(without_password), out)
    }
}

/// Absent when empty.
impl SettingType for StoreUrl {
    fn parse(value: Value) -> Result<Self, String> {
        <Option<String>>::parse(value).map(StoreUrl)
    }

    fn show(&self) -> toml::Value {
        toml::Value::String(self.0.as_deref().map(without_password).unwrap_or_default())
    }
}

impl SettingType for Vec<String> {
    fn parse(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => {
                Ok(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
            }
            Value::List(items) => Ok(items),
            Value::Map(_) => Err("must be a list".to_owned()),
        }
    }

    fn show(&self) -> toml::Value {
        self.clone().into()
    }
}

impl SettingType for usize {
    fn parse(value: Value) -> Result<Self, String> {
        let text = text_of(value, "a whole number")?;
        text.parse().map_err(|_| format!("{text:?} must be a whole number, 0 or more"))
    }

    fn show(&self) -> toml::Value {
        toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl SettingType for bool {
    fn parse(value: Value) -> Result<Self, String> {
        let text = text_of(value, "true or false")?;
        text.parse().map_err(|_| format!("{text:?} must be true or false"))
    }

    fn show(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

impl SettingType for Vec<PathBuf> {
    fn parse(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect()),
            Value::List(items) => Ok(items.into_iter().map(PathBuf::from).collect()),
            Value::Map(_) => Err("must be a list of paths".to_owned()),
        }
    }

    fn show(&self) -> toml::Value {
        self.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().into()
    }
}

impl SettingType for BTreeMap<String, String> {
    fn parse(value: Value) -> Result<Self, String> {
        match value {
            Value::Map(map) => Ok(map),
            Value::List(_) => Err("must be a table of NAME = \"PACKAGE\"".to_owned()),
            Value::Text(text) => text
                .split(',')
                .filter(|pair| !pair.trim().is_empty())
                .map(|pair| match pair.split_once('=') {
                    Some((name, package)) => Ok((name.trim().to_owned(), package.trim().to_owned())),
                    None => Err(format!("{pair:?} must look like NAME=PACKAGE")),
                })
                .collect(),
        }
    }

    fn show(&self) -> toml::Value {
        toml::Value::Table(self.iter().map(|(name, package)| (name.clone(), package.clone().into())).collect())
    }
}

/// Declares [`Settings`] and [`SETTINGS`] together, so that neither can have what the other lacks.
macro_rules! settings {
    ($( $field:ident: $type:ty = $default:literal, $key:literal, $kind:literal, $flag:expr, $check:expr, $meaning:literal; )*) => {
        /// The settings, understood. Fields are named like their keys, with `_` for `.`.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $( #[doc = $meaning] pub $field: $type, )*
        }

        impl Default for Settings {
            fn default() -> Self {
                Settings {
                    // A test loads every default, so this cannot fail in a released program.
                    $( $field: <$type as SettingType>::parse(Value::Text($default.to_owned())).unwrap_or_default(), )*
                }
            }
        }

        /// Every setting, in the order of the documentation.
        pub const SETTINGS: &[Setting] = &[
            $( Setting {
                key: $key,
                kind: $kind,
                default: $default,
                flag: $flag,
                meaning: $meaning,
                apply: |settings, value| {
                    let parsed = <$type as SettingType>::parse(value)?;
                    let check: fn(&$type) -> Result<(), String> = $check;
                    check(&parsed)?;
                    settings.$field = parsed;
                    Ok(())
                },
                show: |settings| settings.$field.show(),
            }, )*
        ];
    };
}

settings! {
    server_listen: String = "127.0.0.1:8080", "server.listen", "`HOST:PORT`", Some("serve --listen"), is_address,
        "Address the server listens on. Port 0 picks a free one, which the server prints. Use `0.0.0.0:8080` to be reached from other machines.";
    server_data: Option<PathBuf> = "", "server.data", "directory", Some("--data"), anything,
        "Everything the server keeps lies under it; it is created when missing. (Unless `store.database` and `store.blobs` say otherwise.) Default: `$XDG_DATA_HOME/dictum`, else `~/.local/share/dictum`, else `/var/lib/dictum`.";
    server_public_url: Option<String> = "", "server.public_url", "URL", None, is_url,
        "URL at which clients reach the server, without `/v1`, for the links in its answers. None: what each request was sent to.";
    server_base_paths: Vec<String> = "", "server.base_paths", "list of paths; in the environment separated by `,`", None, are_paths,
        "Paths under which the interface is served besides the root and IBM's own, for example `/dictum`; `{}` stands for any one segment.";
    server_threads: usize = "0", "server.threads", "number", None, anything,
        "Threads that decode and recognise; 0: one for each processor.";
    server_sessions: usize = "0", "server.sessions", "number", None, anything,
        "Most clients served at the same time; one more is answered 503 and asked to come back. 0: 13 for each thread, which is what can speak live at the same time.";
    server_drain_seconds: usize = "30", "server.drain_seconds", "seconds", None, anything,
        "After SIGTERM or SIGINT new requests are answered 503; those under way have this long to finish. A second signal ends at once.";
    server_idle_seconds: usize = "60", "server.idle_seconds", "seconds", None, is_positive,
        "A connection without a request under way is closed after this long, also when it has sent a part of one's head.";
    server_read_only: bool = "false", "server.read_only", "`true`, `false`", None, anything,
        "Whether nothing that is kept may be changed: recognition and questions are answered, all else is answered 503, and no job is worked on. For the time of a move to another store.";
    store_database: StoreUrl = "", "store.database", "URL", Some("--database"), is_database,
        "Where rows are kept: `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (with `?sslmode=require` and the other parameters of PostgreSQL's own programs) for several machines. None: `dictum.db` in the data directory. The password is not shown in logs, nor by `dictum config`.";
    store_blobs: StoreUrl = "", "store.blobs", "URL", Some("--blobs"), is_blobs,
        "Where larger things are kept (recordings, corpora, trained models): `file:DIRECTORY`, or `s3://BUCKET/PREFIX` for several machines, with `?region=NAME`, for other services than AWS `endpoint=URL`, and `path_style=false` where such a service wants the bucket in the host name. Credentials come from where AWS's own programs look (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and so on), or are written as `s3://ID:SECRET@BUCKET`. None: `blobs` in the data directory.";
    jobs_in_server: bool = "true", "jobs.in_server", "`true`, `false`", None, anything,
        "Whether `dictum serve` works on jobs itself. With `false` that is left to `dictum worker`.";
    jobs_recognitions: usize = "0", "jobs.recognitions", "number", None, anything,
        "Recordings of jobs that a process recognises at the same time; 0: one for each of its threads. Clients that wait for an answer go first.";
    jobs_callbacks: usize = "8", "jobs.callbacks", "number", None, is_positive,
        "Notifications that a process sends at the same time.";
    jobs_lease_seconds: usize = "30", "jobs.lease_seconds", "seconds", None, is_positive,
        "How soon another process takes up what one that died was working on. The same for all that share a store.";
    callbacks_allow: Vec<String> = "", "callbacks.allow", "list of host names, addresses and networks; in the environment separated by `,`", None, are_hosts,
        "Hosts that clients may have called back although they are not on the public internet, such as `hooks.internal`, `10.1.2.3` or `10.1.0.0/16`. Others are refused, so that clients cannot have the server look at what only it can reach.";
    callbacks_signature: String = "sha1", "callbacks.signature", "`sha1`, `sha256`", None, is_signature,
        "Hash of `X-Callback-Signature`, an HMAC keyed with the `user_secret` of the registration.";
    quota_storage_megabytes: usize = "0", "quota.storage_megabytes", "megabytes", None, anything,
        "Most that a service instance may keep, unless it has a limit of its own (`dictum limits`): recordings that wait to be recognised, corpora, grammars, trained models. A request that would bring more is refused (403). 0: no limit.";
    quota_jobs: usize = "0", "quota.jobs", "number", None, anything,
        "Most recognition jobs of a service instance that have not ended, unless it has a limit of its own; one more is refused (429). 0: no limit.";
    quota_results_minutes: usize = "0", "quota.results_minutes", "minutes", None, anything,
        "Longest that results of jobs are kept, whatever `results_ttl` asks for, unless the instance has a limit of its own. 0: as long as it asks for.";
    tls_cert: Option<PathBuf> = "", "tls.cert", "PEM file", Some("serve --tls-cert"), anything,
        "Certificate of the server, followed by those that lead to its authority. With it the server speaks HTTPS only. Changed files are noticed within seconds, or at once on SIGHUP.";
    tls_key: Option<PathBuf> = "", "tls.key", "PEM file", Some("serve --tls-key"), anything,
        "Private key of the certificate, not encrypted: RSA, ECDSA or Ed25519.";
    tls_self_signed: bool = "false", "tls.self_signed", "`true`, `false`", Some("serve --tls-self-signed"), anything,
        "For development: HTTPS with a certificate of the server's own making, kept as `tls/self-signed.crt` in the data directory. It is good for localhost, 127.0.0.1, ::1 and the name of the machine.";
    auth_required: bool = "true", "auth.required", "`true`, `false`", Some("serve --no-auth"), anything,
        "Whether requests must come with an API key (`dictum keys create`) or a token. `false` (`--no-auth`) serves whoever reaches the port, and is only accepted on a loopback address.";
    auth_insecure_open_to_network: bool = "false", "auth.insecure_open_to_network", "`true`, `false`", Some("serve --insecure-open-to-network"), anything,
        "Accept `auth.required = false` on any address. For networks where everybody may use the server.";
    auth_token_seconds: usize = "3600", "auth.token_seconds", "seconds", None, is_positive,
        "How long a token is good that was given for an API key.";
    model_dir: Option<PathBuf> = "/usr/share/pocketsphinx/model/en-us", "model.dir", "directory", Some("--model-dir"), anything,
        "The files of the US English default package, as Debian's `pocketsphinx-en-us` lays them out. Empty: do without.";
    model_packages: Vec<PathBuf> = "", "model.packages", "list of directories; in the environment separated by `:`", None, anything,
        "Further model packages: directories with a `package.toml`, or directories of such. Where two serve the same name the earlier wins. Those that `dictum models pull` has put into `models` in the data directory come after them, and all win over the default package.";
    model_names: BTreeMap<String, String> = "", "model.names", "table `NAME = \"PACKAGE\"`; in the environment `NAME=PACKAGE,...`", None, anything,
        "Further model names, each served by the installed package of that name. They win over what the packages say.";
    model_default: String = "en-US_BroadbandModel", "model.default", "model name", None, anything,
        "The model that answers when a request names none.";
    model_runtime: String = "rten", "model.runtime", "`rten`, `onnxruntime`", Some("--runtime"), is_runtime,
        "What runs neural models. `rten` is built in. `onnxruntime` is faster, and is a shared library that has to be installed.";
    model_onnxruntime_library: Option<PathBuf> = "", "model.onnxruntime_library", "file", None, anything,
        "The shared library of ONNX Runtime, 1.17 or later, for `model.runtime = \"onnxruntime\"`: `libonnxruntime.so.1.31.1` for one. None: what the environment variable `ORT_DYLIB_PATH` names, else the `libonnxruntime.so` that the system finds.";
    model_onnxruntime_provider: String = "cpu", "model.onnxruntime_provider", "`cpu`, `cuda`", None, is_provider,
        "Who computes for ONNX Runtime. `cuda`: the first NVIDIA GPU; it takes a library built for that, and where there is none, loading a neural model fails.";
    metrics_listen: Option<String> = "", "metrics.listen", "`HOST:PORT`", Some("serve --metrics-listen"), is_optional_address,
        "Another address, plain HTTP, for `GET /metrics` and the questions after health alone: whoever reaches it sees the figures. None: no such address.";
    metrics_shown_to: String = "loopback", "metrics.shown_to", "`loopback`, `everybody`, `nobody`", None, is_audience,
        "Who sees `GET /metrics` at the server's main address. `loopback`: clients on the same machine whose request no proxy has forwarded.";
    websocket_answer_every_start: bool = "true", "websocket.answer_every_start", "`true`, `false`", None, anything,
        "Whether each `start` on a WebSocket is answered with `listening`, or only the first: for clients that count these messages.";
    log_level: String = "info", "log.level", "`error`, `warn`, `info`, `debug`, `trace`", None, is_level,
        "How much the server writes to standard error.";
    log_format: String = "text", "log.format", "`text`, `json`", None, is_format,
        "One line of text an event, or one JSON object.";
}

fn anything<T>(_: &T) -> Result<(), String> {
    Ok(())
}

fn is_positive(number: &usize) -> Result<(), String> {
    match number {
        0 => Err("must be 1 or more".to_owned()),
        _ => Ok(()),
    }
}

fn one_of(text: &str, allowed: &[&str]) -> Result<(), String> {
    match allowed.contains(&text) {
        true => Ok(()),
        false => Err(format!("{text:?} must be one of {}", allowed.join(", "))),
    }
}

fn is_level(text: &String) -> Result<(), String> {
    one_of(text, &["error", "warn", "info", "debug", "trace"])
}

fn is_format(text: &String) -> Result<(), String> {
    one_of(text, &["text", "json"])
}

fn is_runtime(text: &String) -> Result<(), String> {
    one_of(text, &["rten", "onnxruntime"])
}

fn is_provider(text: &String) -> Result<(), String> {
    one_of(text, &["cpu", "cuda"])
}

fn is_address(text: &String) -> Result<(), String> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match good {
        true => Ok(()),
        false => Err(format!("{text:?} must be HOST:PORT, for example 127.0.0.1:8080")),
    }
}

fn is_optional_address(text: &Option<String>) -> Result<(), String> {
    text.as_ref().map_or(Ok(()), is_address)
}

fn is_audience(text: &String) -> Result<(), String> {
    one_of(text, &["loopback", "everybody", "nobody"])
}

fn is_url(url: &Option<String>) -> Result<(), String> {
    match url {
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            Err(format!("{url:?} must begin with http:// or https://"))
        }
        _ => Ok(()),
    }
}

fn is_database(url: &StoreUrl) -> Result<(), String> {
    let embedded = StoreConfig::embedded("data".as_ref());
    is_store(url.0.clone().map(|database| StoreConfig { database, ..embedded }))
}

fn is_blobs(url: &StoreUrl) -> Result<(), String> {
    let embedded = StoreConfig::embedded("data".as_ref());
    is_store(url.0.clone().map(|blobs| StoreConfig { blobs, ..embedded }))
}

fn is_store(config: Option<StoreConfig>) -> Result<(), String> {
    config.map_or(Ok(()), |config| config.check().map_err(|error| error.to_string()))
}

fn are_hosts(hosts: &Vec<String>) -> Result<(), String> {
    dictum_callbacks::Guard::new(hosts).map(drop).map_err(|error| error.to_string())
}

fn is_signature(text: &String) -> Result<(), String> {
    one_of(text, &["sha1", "sha256"])
}

fn are_paths(paths: &Vec<String>) -> Result<(), String> {
    match paths.iter().find(|path| !path.starts_with('/') || path.ends_with('/')) {
        Some(path) => Err(format!("{path:?} must begin with / and not end with it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_values_that_could_have_been_written() {
        for setting in SETTINGS {
            let mut settings = Settings::default();
            (setting.apply)(&mut settings, Value::Text(setting.default.to_owned())).unwrap();
            assert_eq!(settings, Settings::default(), "{}", setting.key);
        }
    }

    #[test]
    fn fields_variables_and_keys_agree() {
        let fields = format!("{:?}", Settings::default());
        for setting in SETTINGS {
            assert!(fields.contains(&format!("{}: ", setting.key.replace('.', "_"))), "{}", setting.key);
        }
        assert_eq!(SETTINGS[0].variable(), "DICTUM_SERVER_LISTEN");
    }
}

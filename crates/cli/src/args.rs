//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use dictum_store::OwnLimit;

use crate::config::ConfigError;
use crate::customize::args::{CustomizeArgs, weight};
use crate::limits_command::own_limit;
use crate::transfer::args::{ExportArgs, ImportArgs};

/// Speech to text on your own machine: a server that speaks the Watson Speech to Text interface, and the tools around it.
#[derive(Debug, Parser)]
#[command(name = "dictum", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Configuration file (docs/configuration.md explains the settings).
    #[arg(long, value_name = "FILE", env = "DICTUM_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Directory under which everything is kept.
    #[arg(long, value_name = "DIR", global = true)]
    pub data: Option<String>,
    /// Database, when it is not in that directory: sqlite:PATH or postgres://...
    #[arg(long, value_name = "URL", global = true)]
    pub database: Option<String>,
    /// Place for larger things, when it is not in that directory: file:DIR or s3://BUCKET/...
    #[arg(long, value_name = "URL", global = true)]
    pub blobs: Option<String>,
    /// Directory of the US English default model.
    #[arg(long, value_name = "DIR", global = true)]
    pub model_dir: Option<String>,
    /// What runs neural models: rten, or onnxruntime, whose library has to be installed.
    #[arg(long, value_name = "RUNTIME", global = true)]
    pub runtime: Option<String>,
    /// Sets any setting, for example --set log.level=debug; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", global = true)]
    pub set: Vec<String>,
}

impl ConfigArgs {
    /// The settings made on the command line; flags of their own win over `--set`.
    pub fn assignments(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut made = Vec::new();
        for text in &self.set {
            let (key, value) = text.split_once('=').ok_or_else(|| ConfigError::NotAnAssignment(text.clone()))?;
            made.push((key.trim().to_owned(), value.to_owned()));
        }
        let flags = [
            ("server.data", &self.data),
            ("store.database", &self.database),
            ("store.blobs", &self.blobs),
            ("model.dir", &self.model_dir),
            ("model.runtime", &self.runtime),
        ];
        for (key, value) in flags {
            made.extend(value.iter().map(|value| (key.to_owned(), value.clone())));
        }
        Ok(made)
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server.
    Serve(ServeArgs),
    /// Work on what servers with the same store have to do, without being one.
    Worker,
    /// Write down what is said in audio files.
    Transcribe(TranscribeArgs),
    /// Make, list and revoke the API keys of the server's clients.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Show and set what single service instances may keep and have in hand.
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Save everything that is kept, rows and blobs, into a directory, while the server goes on; or verify a backup.
    Backup(BackupArgs),
    /// Fill an empty store, of either kind, from a backup.
    Restore(RestoreArgs),
    /// Show which models are installed, and whether they are intact; fetch and remove models.
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Teach recognition words and ways of speaking: make, fill and train custom language models.
    Customize(CustomizeArgs),
    /// Save the custom models of a server, Watson's or another, by the calls of the interface alone.
    Export(ExportArgs),
    /// Make the custom models of an export on another server, and train them.
    Import(ImportArgs),
    /// Measure recognition on recordings with known transcripts.
    Eval(EvalArgs),
    /// Convert an audio file to 16-bit WAV, as the recogniser hears it.
    Decode(DecodeArgs),
    /// Print the settings in force.
    Config(ConfigCommandArgs),
    /// Print a script that completes dictum's arguments in your shell.
    Completions {
        /// Shell to complete in.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one. [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Certificate to serve HTTPS with, and those that lead to its authority.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<String>,
    /// Private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<String>,
    /// Serve HTTPS with a certificate of the server's own making, for development.
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,
    /// Another address, for figures alone (GET /metrics).
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<String>,
    /// Serve everybody who reaches the port, without API keys; on loopback addresses only.
    #[arg(long)]
    pub no_auth: bool,
    /// Let --no-auth serve everybody on the network.
    #[arg(long)]
    pub insecure_open_to_network: bool,
    /// Model to fetch first if it is not there, as by "dictum models pull"; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub pull: Vec<String>,
}

impl ServeArgs {
    /// The settings made by flags of `serve`.
    pub fn assignments(&self) -> Vec<(String, String)> {
        let flags = [
            ("metrics.listen", self.metrics_listen.clone()),
            ("server.listen", self.listen.clone()),
            ("tls.cert", self.tls_cert.clone()),
            ("tls.key", self.tls_key.clone()),
            ("tls.self_signed", self.tls_self_signed.then(|| "true".to_owned())),
            ("auth.required", self.no_auth.then(|| "false".to_owned())),
            ("auth.insecure_open_to_network", self.insecure_open_to_network.then(|| "true".to_owned())),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BackupArgs {
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// Directory to write the backup into; made when it is missing, and empty otherwise.
    #[arg(value_name = "DEST", required = true)]
    pub destination: Option<PathBuf>,
    /// Earlier backup whose files are shared, where nothing has changed, instead of written again.
    #[arg(long, value_name = "EARLIER")]
    pub since: Option<PathBuf>,
    /// Copy no more than this in a second, for a disk that others need too.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub megabytes_per_second: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Read a backup as a whole and compare it with its hashes.
    Verify {
        /// Directory of the backup.
        #[arg(value_name = "DEST")]
        source: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Directory of the backup.
    pub source: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it on standard output; it is never shown again.
    Create {
        /// What the key is for, so that you know it in the list.
        #[arg(long, value_name = "NAME", default_value = "unnamed")]
        name: String,
        /// Service instance the key belongs to; made when there is none. Instances do not see each other's models and jobs.
        #[arg(long, value_name = "NAME", default_value = dictum_service::accounts::DEFAULT_INSTANCE)]
        instance: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all keys, without the keys themselves.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key: it and the tokens it was given stop working within seconds.
    Revoke {
        /// Id of the key, as in the list: the 16 digits after "dictum-".
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// List all instances: what each may have, and has.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Set limits of one instance; what is not named stays as it is.
    Set {
        /// Name of the instance, or its id.
        #[arg(value_name = "INSTANCE")]
        instance: String,
        #[command(flatten)]
        limits: OwnLimitsArgs,
    },
}

/// Limits: a number, `none` for no limit, `usual` for what the configuration says.
#[derive(Debug, Args)]
pub struct OwnLimitsArgs {
    /// Most that it may keep: recordings that wait, corpora, grammars, trained models. A number, "none" or "usual".
    #[arg(long, value_name = "LIMIT", value_parser = own_limit)]
    pub storage_megabytes: Option<OwnLimit<u64>>,
    /// Most recognition jobs that have not ended. A number, "none" or "usual".
    #[arg(long, value_name = "LIMIT", value_parser = own_limit)]
    pub jobs: Option<OwnLimit<u64>>,
    /// Longest that results of jobs are kept. A number, "none" or "usual".
    #[arg(long, value_name = "LIMIT", value_parser = own_limit)]
    pub results_minutes: Option<OwnLimit<u64>>,
}

impl OwnLimitsArgs {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.storage_megabytes.is_none() && self.jobs.is_none() && self.results_minutes.is_none()
    }
}

#[derive(Debug, Args)]
pub struct TranscribeArgs {
    /// Audio files; - is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// What to print.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write one file for each input into this directory instead of printing.
    #[arg(long, short, value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Files to work on at the same time, each on a thread of its own; 0: one for each processor.
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// What the files are, where their first bytes do not tell, for example 'audio/l16;rate=16000'.
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
}

#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model to recognise with. Without one: the default model, or its narrowband side for audio below 16 kHz.
    #[arg(long, short, value_name = "NAME")]
    pub model: Option<String>,
    /// Custom language model to recognise with: its id or its name in the local store. Without --model, over its base model.
    #[arg(long, value_name = "ID", alias = "language-customization-id")]
    pub language_customization: Option<String>,
    /// How much the custom model weighs, 0.0 to 1.0. [default: as it was trained]
    #[arg(long, value_name = "WEIGHT", value_parser = weight, requires = "language_customization")]
    pub customization_weight: Option<f64>,
    /// Recognise what this grammar of the custom model generates, and nothing else.
    #[arg(long, value_name = "NAME", requires = "language_customization")]
    pub grammar: Option<String>,
    /// Service instance that the custom model belongs to.
    #[arg(long, value_name = "NAME", default_value = dictum_service::accounts::DEFAULT_INSTANCE)]
    pub instance: String,
}

/// How transcripts are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The words, one line for each utterance.
    Text,
    /// One line for each file: its path, a tab, the transcript.
    Tsv,
    /// One JSON object a line for each file, with times, confidences and utterances.
    Json,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// NIST word times: file, channel, start, duration, word, confidence.
    Ctm,
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the model names that are served.
    List {
        /// Also list the names that are known but not installed.
        #[arg(long)]
        all: bool,
        /// List the published models that "dictum models pull" knows by name instead.
        #[arg(long, conflicts_with = "all")]
        available: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one model name: what it takes, and which files are behind it.
    Show {
        /// Model name, for example en-US_BroadbandModel.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check that the files of the installed models are complete and unchanged, and load them.
    Check {
        /// Package to check; without any, all.
        #[arg(value_name = "PACKAGE")]
        packages: Vec<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model and install it in the data directory. A fetch that breaks off goes on with the next.
    Pull(PullArgs),
    /// Remove a model that was pulled.
    Remove(RemoveArgs),
}

#[derive(Debug, Args)]
pub struct PullArgs {
    /// A published model (dictum models list --available), the URL of an archive (.tar.bz2, .tar.gz, .zip), or
    /// hf:OWNER/REPOSITORY.
    #[arg(value_name = "NAME|URL|hf:OWNER/REPO")]
    pub source: String,
    /// What to call the package here.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Language that the model hears, where neither the list nor the package says it, for example en-US.
    #[arg(long, value_name = "TAG")]
    pub language: Option<String>,
    /// Model name to serve with it, instead of all names of the language; may be repeated.
    #[arg(long, value_name = "MODEL")]
    pub serve: Vec<String>,
    /// Fetch and install again what is there.
    #[arg(long)]
    pub replace: bool,
    /// Accept that the same URL now gives something else than the first time.
    #[arg(long)]
    pub accept_changed: bool,
    /// Hugging Face or a mirror of it. [default: that of Hugging Face itself]
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT")]
    pub hf_endpoint: Option<String>,
    /// Also fetch over plain HTTP, which anybody on the way can change.
    #[arg(long)]
    pub insecure_http: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Package, as "dictum models pull" called it.
    pub name: String,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Tab-separated file with a header line; column "path" (relative to the file) and column "transcript" are needed.
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Clips to work on at the same time, each on a thread of its own; 0: one for each processor.
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    pub jobs: usize,
    /// Also report by the value of this column; may be repeated.
    #[arg(long, value_name = "COLUMN")]
    pub by: Vec<String>,
    /// Only the first N clips.
    #[arg(long, value_name = "N")]
    pub first: Option<usize>,
    /// Put the audio through a telephone first: 300 to 3400 Hz, 8 kHz, mu-law; recognise it as narrowband.
    #[arg(long)]
    pub telephone: bool,
    /// Score these transcripts (lines of path, tab, transcript) instead of recognising.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["telephone", "model", "language_customization"])]
    pub hypotheses: Option<PathBuf>,
    /// Estimate on these recordings what makes confidences right as often as they say: a line for the model's package.toml.
    #[arg(long, conflicts_with = "hypotheses")]
    pub calibrate: bool,
    /// Write path, errors, reference and what was recognised for every clip to this tab-separated file.
    #[arg(long, value_name = "FILE")]
    pub details: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// Audio file; - is standard input.
    pub file: PathBuf,
    /// WAV file to write; - is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Samples per second of the output.
    #[arg(long, value_name = "HZ", default_value_t = 16_000, value_parser = clap::value_parser!(u32).range(1_000..=192_000))]
    pub rate: u32,
    /// What the file is, where its first bytes do not tell.
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
}

#[derive(Debug, Args)]
pub struct ConfigCommandArgs {
    /// Print docs/configuration.md instead.
    #[arg(long)]
    pub markdown: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::table::SETTINGS;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_backup_has_a_destination_or_is_verified() {
        assert!(Cli::try_parse_from(["dictum", "backup"]).is_err());
        assert!(Cli::try_parse_from(["dictum", "backup", "verify"]).is_err());
        for (line, verified) in [(["backup", "/b"].as_slice(), false), (&["backup", "verify", "/b"], true)] {
            let cli = Cli::try_parse_from([&["dictum"], line, &["--data", "/d"]].concat()).unwrap();
            let Command::Backup(args) = cli.command else { panic!("{line:?}") };
            assert_eq!((args.command.is_some(), args.destination.is_some()), (verified, !verified));
        }
    }

    #[test]
    fn flags_that_the_table_of_settings_names_exist() {
        let cli = Cli::command();
        for flag in SETTINGS.iter().filter_map(|setting| setting.flag) {
            let (command, long) = match flag.split_once(" --") {
                Some((command, long)) => (cli.find_subcommand(command).unwrap(), long),
                None => (&cli, flag.trim_start_matches("--")),
            };
            assert!(command.get_arguments().any(|argument| argument.get_long() == Some(long)), "{flag}");
        }
    }
}

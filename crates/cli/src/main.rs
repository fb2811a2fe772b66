//! The `dictum` command: the server, and the tools around it.
#![forbid(unsafe_code)]

mod accounts;
mod args;
mod backup_command;
mod clip;
mod config;
mod customize;
mod decode;
mod eval;
mod failure;
mod formats;
mod keys_command;
mod limits_command;
mod models_command;
mod output;
mod parallel;
mod progress;
mod pull_command;
mod serve;
mod taught;
mod telephone;
mod transcribe;
mod transfer;
mod usage;
mod work;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use config::{Loaded, Sources};
use dictum_models::Registry;
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.to_string().is_empty() {
                eprintln!("dictum: {failure}");
            }
            ExitCode::from(failure.status())
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    // These need no configuration, so a broken one does not stop them.
    match &cli.command {
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "dictum", &mut script);
            return output::print(&String::from_utf8_lossy(&script));
        }
        Command::Decode(args) => return decode::run(args),
        Command::Config(args) if args.markdown => return output::print(&config::document::markdown()),
        _ => {}
    }
    let mut command_line = cli.config.assignments()?;
    if let Command::Serve(serve) = &cli.command {
        command_line.extend(serve.assignments());
    }
    let file = cli.config.config.as_deref();
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let Loaded { settings, warnings } =
        config::load(&Sources { file, environment: environment.collect(), command_line })?;
    for warning in &warnings {
        eprintln!("dictum: warning: {warning}");
    }
    let registry = || Registry::open(&settings.registry());
    match &cli.command {
        Command::Serve(args) => {
            pull_command::before_serving(&args.pull, &settings)?;
            serve::run(&settings, registry()?)
        }
        Command::Worker => work::run(&settings, registry()?),
        Command::Transcribe(args) => transcribe::run(args, registry()?, &settings),
        Command::Keys(command) => keys_command::run(command, &settings),
        Command::Limits(command) => limits_command::run(command, &settings),
        Command::Backup(args) => backup_command::run(args, &settings),
        Command::Restore(args) => backup_command::restore(args, &settings),
        Command::Models(command) => models_command::run(command, &settings, registry),
        Command::Customize(args) => customize::run(args, &cli.config, &settings, registry),
        Command::Export(args) => transfer::export(args, &cli.config, &settings, registry),
        Command::Import(args) => transfer::import(args, &cli.config, &settings, registry),
        Command::Eval(args) => eval::run(args, &settings),
        Command::Config(_) => output::print(&config::document::in_force(&settings)),
        Command::Decode(_) | Command::Completions { .. } => Ok(()), // done above
    }
}

//! `dictum models pull` and `remove`, `dictum models list --available`, and `dictum serve --pull`.

use dictum_models::pull::{self, HubToken, Order, Progress, Published, PullConfig, Pulled};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::args::{PullArgs, RemoveArgs};
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::{Table, print};
use crate::progress;

/// `dictum models pull`.
pub fn pull(args: &PullArgs, settings: &Settings) -> Result<(), Failure> {
    let mut config = config(settings)?;
    config.insecure_http = args.insecure_http;
    if let Some(hub) = &args.hf_endpoint {
        config.hub.clone_from(hub);
    }
    let order = Order {
        source: args.source.clone(),
        name: args.name.clone(),
        language: args.language.clone(),
        serves: args.serve.clone(),
        replace: args.replace,
        accept_changed: args.accept_changed,
    };
    let pulled = carry_out(&config, &order)?;
    if args.json {
        return print(&format!("{:#}\n", describe(&pulled)));
    }
    let how = match pulled.fresh {
        true => format!("{} MB fetched", pulled.record.bytes.div_ceil(1_000_000)),
        false => format!("there since {}; --replace fetches it again", pulled.record.pulled),
    };
    print(&format!("{} is in {} ({how})\n", pulled.name, pulled.directory.display()))
}

/// `dictum models remove`.
pub fn remove(args: &RemoveArgs, settings: &Settings) -> Result<(), Failure> {
    let directory = pull::remove(&settings.models_directory(), &args.name)?;
    match args.json {
        true => {
            print(&format!("{:#}\n", json!({ "removed": args.name, "directory": directory.display().to_string() })))
        }
        false => print(&format!("{} is removed\n", args.name)),
    }
}

/// `dictum models list --available`.
pub fn list_available(settings: &Settings, json: bool) -> Result<(), Failure> {
    let pulled = pull::pulled(&settings.models_directory());
    let is_there = |model: &Published| pulled.iter().any(|(name, _)| *name == model.name);
    if json {
        let models: Vec<Value> = pull::published().iter().map(|model| offer(model, is_there(model))).collect();
        return print(&format!("{:#}\n", json!({ "models": models })));
    }
    let mut table = Table::new(&["NAME", "LANGUAGES", "MB", "LIVE", "LICENCE", "PULLED", "DESCRIPTION"]);
    for model in pull::published() {
        table.row([
            model.name.clone(),
            shorten(&model.languages),
            model.megabytes.map_or("?".to_owned(), |megabytes| megabytes.to_string()),
            if model.streaming { "yes" } else { "-" }.to_owned(),
            model.licence.clone().unwrap_or("?".to_owned()),
            if is_there(model) { "yes" } else { "-" }.to_owned(),
            model.description.clone(),
        ]);
    }
    print(&table.to_string())
}

/// `dictum serve --pull`: fetches what is not there yet.
pub fn before_serving(sources: &[String], settings: &Settings) -> Result<(), Failure> {
    let mut config = config(settings)?;
    if let Some(hub) = variable("HF_ENDPOINT") {
        config.hub = hub;
    }
    for source in sources {
        let pulled = carry_out(&config, &Order { source: source.clone(), ..Order::default() })?;
        if pulled.fresh {
            eprintln!("dictum: {} is in {}", pulled.name, pulled.directory.display());
        }
    }
    Ok(())
}

/// Into the data directory, as the account that the environment knows: a token in arguments would be seen by everybody on the machine.
fn config(settings: &Settings) -> Result<PullConfig, Failure> {
    let mut config = PullConfig::new(settings.models_directory());
    config.hub_token = variable("HF_TOKEN").map(|token| HubToken::new(&token)).transpose()?;
    Ok(config)
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}

fn carry_out(config: &PullConfig, order: &Order) -> Result<Pulled, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bar = Bar(progress::bytes());
    let outcome = runtime.block_on(pull::pull(config, order, &bar));
    bar.0.finish_and_clear();
    Ok(outcome?)
}

/// The bar of a pull; each file fills it once.
struct Bar(ProgressBar);

impl Progress for Bar {
    fn begin(&self, _file: &str, total: Option<u64>, there: u64) {
        self.0.set_length(total.unwrap_or(0));
        self.0.set_position(there);
        self.0.reset_eta();
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn step(&self, what: &str) {
        self.0.println(what);
    }
}

/// `en-US en-GB en-AU`: the first ones.
fn shorten(languages: &[String]) -> String {
    match languages {
        [a, b, c, rest @ ..] if !rest.is_empty() => format!("{a} {b} {c} +{}", rest.len()),
        few => few.join(" "),
    }
}

fn describe(pulled: &Pulled) -> Value {
    json!({
        "package": pulled.name,
        "directory": pulled.directory.display().to_string(),
        "fetched": pulled.fresh,
        "source": pulled.record.source,
        "pulled": pulled.record.pulled,
        "bytes": pulled.record.bytes,
        "sha256": pulled.record.fetched,
    })
}

fn offer(model: &Published, is_there: bool) -> Value {
    json!({
        "name": model.name,
        "description": model.description,
        "languages": model.languages,
        "serves": model.serves(),
        "architecture": model.architecture,
        "streaming": model.streaming,
        "cased": model.cased,
        "licence": model.licence,
        "attribution": model.attribution,
        "accuracy": model.accuracy,
        "megabytes": model.megabytes,
        "archive": model.archive,
        "sha256": model.sha256,
        "released": model.released,
        "pulled": is_there,
    })
}

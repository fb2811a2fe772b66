//! `dictum models`: what is installed, and whether it is intact. Getting more: [`crate::pull_command`].

use dictum_models::check::{FileReport, examine};
use dictum_models::{Bandwidth, CatalogueEntry, ModelEntry, ModelsError, Package, Registry, catalogue};
use serde_json::{Value, json};

use crate::args::ModelsCommand;
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::{Table, print};
use crate::pull_command;

/// Carries out `command`. The registry is opened where it is needed: getting the first model must not fail for want of one.
pub fn run(
    command: &ModelsCommand,
    settings: &Settings,
    registry: impl FnOnce() -> Result<Registry, ModelsError>,
) -> Result<(), Failure> {
    match command {
        ModelsCommand::List { available: true, json, .. } => pull_command::list_available(settings, *json),
        ModelsCommand::List { all, json, .. } => list(&registry()?, *all, *json),
        ModelsCommand::Show { name, json } => show(&registry()?, name, *json),
        ModelsCommand::Check { packages, json } => check(&registry()?, packages, *json),
        ModelsCommand::Pull(args) => pull_command::pull(args, settings),
        ModelsCommand::Remove(args) => pull_command::remove(args, settings),
    }
}

fn list(registry: &Registry, all: bool, json: bool) -> Result<(), Failure> {
    let installed = registry.installed();
    let mut rows: Vec<(&CatalogueEntry, Option<&Package>)> =
        installed.iter().map(|entry| (entry.info.as_ref(), Some(entry.package.as_ref()))).collect();
    if all {
        let served = |entry: &&CatalogueEntry| registry.resolve(&entry.name).is_err();
        rows.extend(catalogue::catalogue().iter().filter(served).map(|entry| (entry, None)));
        rows.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    }
    if json {
        let models: Vec<Value> = rows.iter().map(|(info, package)| describe(info, *package)).collect();
        return print(&format!("{:#}\n", json!({ "default": registry.default_model(), "models": models })));
    }
    let mut table = Table::new(&["NAME", "AUDIO", "PACKAGE", "DESCRIPTION"]);
    for (info, package) in rows {
        let default = if info.name == registry.default_model() { " (default)" } else { "" };
        table.row([
            format!("{}{default}", info.name),
            audio(info).to_owned(),
            package.map_or("not installed".to_owned(), |package| package.name.clone()),
            info.description.trim_end_matches('.').to_owned(),
        ]);
    }
    print(&table.to_string())
}

fn audio(info: &CatalogueEntry) -> &'static str {
    match info.bandwidth {
        Bandwidth::Broadband => "16 kHz and up",
        Bandwidth::Narrowband => "8 kHz and up",
        Bandwidth::Either => "8 or 16 kHz and up",
    }
}

fn describe(info: &CatalogueEntry, package: Option<&Package>) -> Value {
    json!({
        "name": info.name,
        "language": info.language,
        "rate": info.rate(),
        "description": info.description,
        "supported_features": {
            "custom_language_model": info.custom_language_model,
            "custom_acoustic_model": info.custom_acoustic_model,
            "low_latency": info.low_latency,
        },
        "package": package.map(|package| &package.name),
    })
}

fn show(registry: &Registry, name: &str, json: bool) -> Result<(), Failure> {
    let entry = registry
        .resolve(name)
        .map_err(|error| Failure::new(format!("{error} ({name}); \"dictum models list --all\" shows every name")))?;
    let ModelEntry { info, package } = &entry;
    let reports = examine(package);
    if json {
        let mut model = describe(info, Some(package));
        model["version"] = entry.version().into();
        model["licence"] = package.licence.as_str().into();
        model["directory"] = package.directory.display().to_string().into();
        model["files"] = reports.iter().map(report_json).collect();
        return print(&format!("{model:#}\n"));
    }
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let mut text = format!("{}: {}\n\n", info.name, info.description.trim_end_matches('.'));
    let facts = [
        ("language", format!("{} ({})", info.language_name, info.language)),
        ("audio", audio(info).to_owned()),
        ("version", entry.version()),
        ("low latency", info.low_latency.map_or("not applicable", yes).to_owned()),
        ("speaker labels", yes(info.speaker_labels).to_owned()),
        ("custom language models", yes(info.custom_language_model).to_owned()),
        ("custom acoustic models", yes(info.custom_acoustic_model).to_owned()),
        ("package", format!("{} ({})", package.name, package.description)),
        ("licence", package.licence.clone()),
        ("directory", package.directory.display().to_string()),
    ];
    for (fact, value) in facts {
        text += &format!("  {fact:<24}{value}\n");
    }
    text += "\n";
    text += &file_table(&reports).to_string();
    print(&text)
}

fn file_table(reports: &[FileReport]) -> Table {
    let mut table = Table::new(&["FILE", "BYTES", "FOUND", "PATH"]);
    for report in reports {
        table.row([
            report.role.clone(),
            report.bytes.to_string(),
            report.finding.to_string(),
            report.path.display().to_string(),
        ]);
    }
    table
}

fn report_json(report: &FileReport) -> Value {
    json!({
        "file": report.role,
        "path": report.path.display().to_string(),
        "bytes": report.bytes,
        "good": report.finding.is_good(),
        "found": report.finding.to_string(),
    })
}

/// Verifies and loads packages; fails when one of them cannot be used.
fn check(registry: &Registry, wanted: &[String], json: bool) -> Result<(), Failure> {
    let installed = registry.packages();
    if let Some(unknown) = wanted.iter().find(|name| !installed.iter().any(|package| package.name == **name)) {
        let names = installed.iter().map(|package| package.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(format!("there is no package \"{unknown}\"; installed: {names}")));
    }
    let (mut text, mut documents, mut bad) = (String::new(), Vec::new(), 0);
    for package in installed.into_iter().filter(|package| wanted.is_empty() || wanted.contains(&package.name)) {
        let reports = examine(package);
        let intact = reports.iter().all(|report| report.finding.is_good());
        let began = std::time::Instant::now();
        let loaded = match intact {
            true => registry.load_package(&package.name).map(drop).map_err(|error| error.to_string()),
            false => Err("not loaded, because its files are not in order".to_owned()),
        };
        bad += usize::from(loaded.is_err());
        let verdict = match &loaded {
            Ok(()) => format!("good; loaded in {:.1} s", began.elapsed().as_secs_f64()),
            Err(problem) => problem.clone(),
        };
        text += &format!("{} ({}): {verdict}\n\n{}\n", package.name, package.directory.display(), file_table(&reports));
        documents.push(json!({
            "package": package.name,
            "good": loaded.is_ok(),
            "verdict": verdict,
            "files": reports.iter().map(report_json).collect::<Vec<_>>(),
        }));
    }
    match json {
        true => print(&format!("{:#}\n", json!({ "packages": documents })))?,
        false => print(&text)?,
    }
    match bad {
        0 => Ok(()),
        1 => Err(Failure::new("a model package is not in order; install it again")),
        bad => Err(Failure::new(format!("{bad} model packages are not in order; install them again"))),
    }
}

//! `dictum limits`: what single service instances may keep and have in hand, where that differs from the configuration.

use std::time::Duration;

use dictum_store::{Instance, OwnLimit, OwnQuota, Quota, Store, Usage};
use serde_json::{Value, json};

use crate::accounts;
use crate::args::{LimitsCommand, OwnLimitsArgs};
use crate::config::Settings;
use crate::failure::Failure;
use crate::output::{Table, print};

const MEGABYTE: u64 = 1_000_000;

/// Carries out `command`.
pub fn run(command: &LimitsCommand, settings: &Settings) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = settings.store();
        if !config.exists() {
            return Err(Failure::new(format!(
                "there are no service instances in {}; name the server's data directory with --data DIR",
                config.database
            )));
        }
        let store = accounts::store(settings).await?;
        match command {
            LimitsCommand::List { json } => list(&store, &settings.quota(), *json).await,
            LimitsCommand::Set { instance, limits } => set(&store, &settings.quota(), instance, limits).await,
        }
    })
}

/// What an instance may have, and has.
struct Line {
    instance: Instance,
    own: OwnQuota,
    quota: Quota,
    usage: Usage,
}

impl Line {
    async fn of(store: &Store, usual: &Quota, instance: Instance) -> Result<Line, Failure> {
        let own = store.own_quota(&instance.id).await?;
        let usage = store.usage(&instance.id).await?;
        Ok(Line { own, quota: own.over(usual), usage, instance })
    }

    fn document(&self) -> Value {
        let Line { instance, own, quota, usage } = self;
        let limit = |is_own: bool, limit: Option<u64>, used: Option<u64>| json!({ "limit": limit, "own": is_own, "used": used });
        json!({
            "instance": { "id": instance.id, "name": instance.name },
            "storage_bytes": limit(own.storage != OwnLimit::Usual, quota.storage, Some(usage.storage)),
            "jobs": limit(own.jobs != OwnLimit::Usual, quota.jobs, Some(usage.jobs)),
            "results_seconds": limit(own.results != OwnLimit::Usual, quota.results.map(|time| time.as_secs()), None),
        })
    }

    fn cells(&self) -> [String; 4] {
        let Line { instance, own, quota, usage } = self;
        let cell = |used: Option<String>, limit: Option<String>, is_own: bool| {
            let used = used.map(|used| used + " of ").unwrap_or_default();
            format!("{used}{}{}", limit.as_deref().unwrap_or("no limit"), if is_own { " (own)" } else { "" })
        };
        let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / MEGABYTE as f64);
        let time = |time: Duration| humantime::format_duration(time).to_string();
        [
            instance.name.clone(),
            cell(Some(megabytes(usage.storage)), quota.storage.map(megabytes), own.storage != OwnLimit::Usual),
            cell(Some(usage.jobs.to_string()), quota.jobs.map(|jobs| jobs.to_string()), own.jobs != OwnLimit::Usual),
            cell(None, quota.results.map(time), own.results != OwnLimit::Usual),
        ]
    }
}

async fn list(store: &Store, usual: &Quota, json: bool) -> Result<(), Failure> {
    let mut lines = Vec::new();
    for instance in store.instances().await? {
        lines.push(Line::of(store, usual, instance).await?);
    }
    if json {
        let documents: Vec<Value> = lines.iter().map(Line::document).collect();
        return print(&format!("{:#}\n", json!({ "instances": documents })));
    }
    show(&lines)
}

fn show(lines: &[Line]) -> Result<(), Failure> {
    let mut table = Table::new(&["INSTANCE", "STORAGE", "JOBS", "RESULTS ARE KEPT"]);
    lines.iter().for_each(|line| table.row(line.cells()));
    print(&table.to_string())
}

/// What is not said stays as it is.
async fn set(store: &Store, usual: &Quota, name: &str, limits: &OwnLimitsArgs) -> Result<(), Failure> {
    if limits.is_empty() {
        return Err(Failure::usage("there is nothing to set: --storage-megabytes, --jobs or --results-minutes"));
    }
    let instances = store.instances().await?;
    let found = instances.into_iter().find(|instance| instance.name == name || instance.id == name);
    let instance = found.ok_or_else(|| {
        Failure::new(format!("there is no service instance {name:?}; \"dictum limits list\" shows those that are"))
    })?;
    let before = store.own_quota(&instance.id).await?;
    let minutes = |minutes: u64| Duration::from_secs(minutes.saturating_mul(60));
    let own = OwnQuota {
        storage: limits
            .storage_megabytes
            .map_or(before.storage, |limit| of(limit, |number| number.saturating_mul(MEGABYTE))),
        jobs: limits.jobs.map_or(before.jobs, |limit| of(limit, |number| number)),
        results: limits.results_minutes.map_or(before.results, |limit| of(limit, minutes)),
    };
    store.set_own_quota(&instance.id, &own).await?;
    show(&[Line::of(store, usual, instance).await?])
}

/// A limit in the units of the command line as the store has it.
fn of<T>(limit: OwnLimit<u64>, unit: impl FnOnce(u64) -> T) -> OwnLimit<T> {
    match limit {
        OwnLimit::Usual => OwnLimit::Usual,
        OwnLimit::Unlimited => OwnLimit::Unlimited,
        OwnLimit::At(number) => OwnLimit::At(unit(number)),
    }
}

/// A limit on the command line.
pub fn own_limit(text: &str) -> Result<OwnLimit<u64>, String> {
    match text.trim() {
        "usual" => Ok(OwnLimit::Usual),
        "none" => Ok(OwnLimit::Unlimited),
        number => number.parse().map(OwnLimit::At).map_err(|_| "it is no number, nor \"none\" or \"usual\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_one_of_two_words() {
        assert_eq!(own_limit("usual"), Ok(OwnLimit::Usual));
        assert_eq!(own_limit("none"), Ok(OwnLimit::Unlimited));
        assert_eq!(own_limit("0"), Ok(OwnLimit::At(0)));
        assert!(own_limit("-1").is_err() && own_limit("lots").is_err());
    }
}

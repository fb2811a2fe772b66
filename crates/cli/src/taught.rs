//! The model that a command recognises with: an installed one, or one with a custom language model of the local store.

use dictum_models::Registry;
use dictum_service::accounts::Accounts;
use dictum_service::customization::{Customizations, OUTDATED};
use dictum_service::{Service, ServiceConfig};

use crate::accounts;
use crate::args::ModelArgs;
use crate::clip::{Chosen, entry};
use crate::config::Settings;
use crate::customize::is_guid;
use crate::failure::Failure;

/// Loads the model of the arguments.
pub fn load(registry: Registry, settings: &Settings, args: &ModelArgs) -> Result<Chosen, Failure> {
    let Some(custom) = &args.language_customization else {
        return Ok(Chosen::load(&registry, args.model.as_deref())?);
    };
    let store = settings.store();
    if !store.exists() {
        return Err(Failure::new(format!(
            "there are no custom models in {}; name the server's data directory with --data DIR",
            store.database
        )));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load_custom(registry, settings, args, custom))
}

async fn load_custom(
    registry: Registry,
    settings: &Settings,
    args: &ModelArgs,
    custom: &str,
) -> Result<Chosen, Failure> {
    let store = accounts::store(settings).await?;
    let accounts = Accounts::open(store.clone(), settings.accounts()).await?;
    let instance = accounts.ensure_instance(&args.instance).await?.id;
    let service = Service::new(registry, ServiceConfig { decode_threads: 1, ..settings.service() });
    let customizations = Customizations::new(service.clone(), store);
    let model = match is_guid(custom) {
        true => customizations.model(&instance, custom).await?,
        false => {
            let all = customizations.models(&instance, None).await?;
            let mut named = all.into_iter().filter(|model| model.name == custom);
            match (named.next(), named.next()) {
                (Some(model), None) => model,
                (Some(_), Some(_)) => {
                    return Err(Failure::new(format!(
                        "several custom models are called {custom:?}; say which by its id"
                    )));
                }
                (None, _) => {
                    return Err(Failure::new(format!(
                        "there is no custom model called {custom:?}; \"dictum customize list\" shows those that are"
                    )));
                }
            }
        }
    };
    let base = entry(service.registry(), args.model.as_deref().unwrap_or(&model.base_model))?;
    let taught = customizations.taught(&instance, &model.id, &base).await?;
    let taught = taught.ok_or_else(|| Failure::new(OUTDATED))?;
    let recogniser = service.recogniser(&base).await?;
    let recogniser = taught.recogniser(&recogniser, args.customization_weight, args.grammar.as_deref())?;
    Ok(Chosen::customized(base, model.id, recogniser, args.model.is_some()))
}

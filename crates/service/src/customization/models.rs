//! Making, showing and removing custom models.

use dictum_store::{Customization, CustomizationStatus, NewCustomization, Task};

use super::{CustomizationError, Customizations, Invalid, MOST_MODELS, done};

/// Longest name of a model, characters.
const LONGEST_NAME: usize = 256;
/// Longest description of a model, characters.
const LONGEST_DESCRIPTION: usize = 128;

/// The languages that a list can be asked for (language-models.md section 4).
const LANGUAGES: [&str; 26] = [
    "ar-MS", "cs-CZ", "de-DE", "en-AU", "en-GB", "en-IN", "en-US", "en-WW", "es-AR", "es-CL", "es-CO", "es-ES",
    "es-LA", "es-MX", "es-PE", "fr-CA", "fr-FR", "hi-IN", "it-IT", "ja-JP", "ko-KR", "nl-BE", "nl-NL", "pt-BR",
    "sv-SE", "zh-CN",
];

/// What a client wants a model to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewModel {
    /// What it calls it.
    pub name: String,
    /// What it says of it.
    pub description: Option<String>,
    /// Name of the base model.
    pub base_model: String,
    /// Dialect, where it is not that of the base model.
    pub dialect: Option<String>,
}

impl Customizations {
    /// Makes a model. Its GUID.
    ///
    /// # Errors
    /// When the base model is not there or cannot be customized, or something is not as it may be.
    pub async fn create(&self, instance: &str, new: NewModel) -> Result<String, CustomizationError> {
        let unknown = || Invalid::UnknownBase(new.base_model.clone());
        let base = match self.base(&new.base_model) {
            Some(base) => base,
            // A name that is known tells by itself that it has no custom models.
            None => match dictum_models::catalogue::find(&new.base_model) {
                Some(known) if !known.custom_language_model => {
                    return Err(Invalid::NotCustomizable(new.base_model.clone()).into());
                }
                _ => return Err(unknown().into()),
            },
        };
        if !base.info.custom_language_model {
            return Err(Invalid::NotCustomizable(new.base_model).into());
        }
        let too_long = |text: &str, most: usize| text.chars().nth(most).is_some();
        if too_long(&new.name, LONGEST_NAME) {
            return Err(Invalid::TooLong { what: "name", most: LONGEST_NAME }.into());
        }
        if new.description.as_deref().is_some_and(|text| too_long(text, LONGEST_DESCRIPTION)) {
            return Err(Invalid::TooLong { what: "description", most: LONGEST_DESCRIPTION }.into());
        }
        let language = base.info.language.clone();
        let dialect = dialect(&language, base.info.generation, new.dialect.as_deref())?;
        let row = NewCustomization {
            instance: instance.to_owned(),
            name: new.name,
            description: new.description,
            base_model: base.info.name.clone(),
            language,
            dialect,
            version: base.version(),
        };
        let made = self.store.create_customization(&row, MOST_MODELS).await?;
        Ok(made.map_err(|have| Invalid::TooManyModels { most: MOST_MODELS, have })?)
    }

    /// The models of an instance, oldest first; those of a language if one is given.
    ///
    /// # Errors
    /// When there are no custom models of the language.
    pub async fn models(
        &self,
        instance: &str,
        language: Option<&str>,
    ) -> Result<Vec<Customization>, CustomizationError> {
        if let Some(language) = language.filter(|language| !LANGUAGES.contains(language)) {
            return Err(Invalid::Language(language.to_owned()).into());
        }
        Ok(self.store.customizations(instance, language).await?)
    }

    /// Removes a model with everything in it.
    ///
    /// # Errors
    /// When it is not there or busy.
    pub async fn delete(&self, instance: &str, id: &str) -> Result<(), CustomizationError> {
        let model = self.model(instance, id).await?;
        done(&model.id, self.store.delete_customization(instance, &model.id).await?)
    }

    /// Removes everything in a model.
    ///
    /// # Errors
    /// When it is not there or busy.
    pub async fn reset(&self, instance: &str, id: &str) -> Result<(), CustomizationError> {
        let model = self.model(instance, id).await?;
        done(&model.id, self.store.reset_customization(instance, &model.id).await?)
    }

    /// Begins to carry a model over to the present version of its base model.
    ///
    /// # Errors
    /// When it is not there or busy, or there is nothing to carry over or nowhere to carry it.
    pub async fn upgrade(&self, instance: &str, id: &str) -> Result<(), CustomizationError> {
        let model = self.model(instance, id).await?;
        if model.busy.is_some() {
            return Err(CustomizationError::Busy(model.id));
        }
        if model.status == CustomizationStatus::Failed {
            return Err(Invalid::UpgradeFailed.into());
        }
        if model.status == CustomizationStatus::Pending {
            return Err(Invalid::NothingToUpgrade.into());
        }
        let base = self.base(&model.base_model).ok_or_else(|| Invalid::UnknownBase(model.base_model.clone()))?;
        if model.versions.last() == Some(&base.version()) {
            return Err(Invalid::UpToDate.into());
        }
        done(&model.id, self.store.begin_task(instance, &model.id, &Task::Upgrade, None).await?)
    }
}

/// The dialect of a model (language-models.md section 3).
fn dialect(
    language: &str,
    generation: dictum_models::catalogue::Generation,
    wanted: Option<&str>,
) -> Result<String, Invalid> {
    let Some(wanted) = wanted else { return Ok(language.to_owned()) };
    let previous = generation == dictum_models::catalogue::Generation::Previous;
    let allowed = match language {
        "es-AR" | "es-CL" | "es-CO" | "es-PE" if previous => "es-LA",
        "es-MX" if previous => "es-US",
        language => language,
    };
    match wanted.eq_ignore_ascii_case(allowed) {
        true => Ok(allowed.to_owned()),
        false => Err(Invalid::Dialect { dialect: wanted.to_owned(), language: language.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use dictum_models::catalogue::Generation;

    use super::*;

    /// language-models.md section 3
    #[test]
    fn dialects_are_those_of_the_language() {
        let of = |language, generation, wanted| dialect(language, generation, wanted);
        assert_eq!(of("en-US", Generation::Previous, None).unwrap(), "en-US");
        assert_eq!(of("en-US", Generation::Large, Some("EN-us")).unwrap(), "en-US");
        assert_eq!(of("es-CO", Generation::Previous, Some("es-LA")).unwrap(), "es-LA");
        assert_eq!(of("es-MX", Generation::Previous, Some("es-us")).unwrap(), "es-US");
        let text = "Invalid dialect value 'es-LA' specified for language 'es-CO'";
        assert_eq!(of("es-CO", Generation::Next, Some("es-LA")).unwrap_err().to_string(), text);
        assert!(of("en-US", Generation::Previous, Some("en-GB")).is_err());
    }
}

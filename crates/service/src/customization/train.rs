//! Beginning a training: what it may be begun with.

use std::collections::BTreeSet;

use dictum_store::{CustomizationStatus, Resource, ResourceKind, ResourceStatus, Task};

use super::words::{definition, new_words};
use super::{CustomizationError, Customizations, Invalid, MOST_NEW_WORDS, MOST_WORDS, done};

/// How a model is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Whether only words that the user has added or changed are added to the base vocabulary.
    pub user_words_only: bool,
    /// Weight in recognitions that name none.
    pub weight: Option<f64>,
    /// Whether anything that is not right stops it.
    pub strict: bool,
    /// Whether it is trained although nothing has changed.
    pub force: bool,
}

/// Something that a training leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What kind of thing, as the API names it.
    pub code: &'static str,
    /// What it is, for people.
    pub message: String,
}

impl Warning {
    fn of(code: &'static str, what: &str, names: &[&str]) -> Option<Warning> {
        let names = names.join(", ");
        let message = format!(
            "Analysis of the following {what} has not completed successfully: [{names}]. They will be excluded from custom \
             language model training."
        );
        (!names.is_empty()).then_some(Warning { code, message })
    }
}

impl Customizations {
    /// Begins a training. What it will leave out.
    ///
    /// # Errors
    /// When the model is not there or busy, or there is nothing to train with, nothing new, too much, or something wrong in it.
    pub async fn train(
        &self,
        instance: &str,
        id: &str,
        options: &TrainOptions,
    ) -> Result<Vec<Warning>, CustomizationError> {
        let model = self.model(instance, id).await?;
        if model.busy.is_some() {
            return Err(CustomizationError::Busy(model.id));
        }
        let unchanged = model.status == CustomizationStatus::Available && !model.changed;
        if unchanged && !options.force {
            return Err(Invalid::NoData.into());
        }
        let resources = self.store.resources(&model.id, None, true).await?;
        let words = self.store.words(&model.id).await?;
        let empty = resources.is_empty() && words.iter().all(|word| word.definition.is_none());
        let found = if empty { Err(Invalid::NoData) } else { check(&resources, &words, options) };
        match found {
            Ok(warnings) => {
                let task = Task::Training { user_words_only: options.user_words_only };
                done(&model.id, self.store.begin_task(instance, &model.id, &task, options.weight).await?)?;
                Ok(warnings)
            }
            Err(refused) => {
                if !empty {
                    done(&model.id, self.store.mark_failed(instance, &model.id).await?)?;
                }
                Err(refused.into())
            }
        }
    }
}

/// language-models.md section 7
fn check(
    resources: &[Resource],
    words: &[dictum_store::WordRow],
    options: &TrainOptions,
) -> Result<Vec<Warning>, Invalid> {
    let invalid = |kind| -> Vec<&str> {
        let invalid = |resource: &&Resource| resource.kind == kind && resource.status == ResourceStatus::Undetermined;
        resources.iter().filter(invalid).map(|resource| resource.name.as_str()).collect()
    };
    let definitions: Vec<_> = words.iter().filter_map(|row| Some((row.word.as_str(), definition(row)?))).collect();
    let wrong: Vec<&str> =
        definitions.iter().filter(|(_, definition)| !definition.errors.is_empty()).map(|(word, _)| *word).collect();
    let warnings: Vec<Warning> = [
        Warning::of("invalid_corpus_files", "corpus files", &invalid(ResourceKind::Corpus)),
        Warning::of("invalid_grammar_files", "grammar files", &invalid(ResourceKind::Grammar)),
        Warning::of("invalid_words", "words", &wrong),
    ]
    .into_iter()
    .flatten()
    .collect();
    if options.strict && !wrong.is_empty() {
        return Err(Invalid::WordErrors(wrong.join(", ")));
    }
    if options.strict
        && let Some(warning) = warnings.first()
    {
        return Err(Invalid::InvalidResources(warning.message.clone()));
    }
    let valid = || resources.iter().filter(|resource| resource.status == ResourceStatus::Analyzed);
    if valid().next().is_none() && definitions.len() == wrong.len() {
        return Err(Invalid::NoData);
    }
    let total: u64 = valid().map(|resource| resource.total_words).sum();
    if total > MOST_WORDS {
        return Err(Invalid::TooManyWords(total));
    }
    let mut new: BTreeSet<String> = valid().flat_map(new_words).map(|(word, _)| word).collect();
    new.extend(definitions.iter().map(|(word, _)| (*word).to_owned()));
    let count = new.len() as u64;
    if count > MOST_NEW_WORDS {
        return Err(Invalid::TooManyNewWords { count, most: MOST_NEW_WORDS });
    }
    Ok(warnings)
}

//! The words resource of a custom model: what users have added, and what corpora and grammars hold that the base vocabulary lacks.

use std::collections::BTreeMap;

use dictum_language::check_word;
use dictum_models::customization::Mapping;
use dictum_store::{Resource, ResourceKind, ResourceStatus, WordRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CustomizationError, Customizations, Invalid, Language, MOST_NEW_WORDS, done};

/// A word as a client defines it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewWord {
    /// The word.
    pub word: String,
    /// What it sounds like.
    pub sounds_like: Option<Vec<String>>,
    /// How transcripts write it.
    pub display_as: Option<String>,
    /// As given.
    pub mapping_only: Option<Value>,
}

/// A word of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The word.
    pub word: String,
    /// What it sounds like: as given, or as it is said without that.
    pub sounds_like: Vec<String>,
    /// How transcripts write it.
    pub display_as: String,
    /// How often it is in corpora and grammars; 1 for a word that is in none.
    pub count: u64,
    /// Where it comes from: names of corpora and grammars, `user`.
    pub source: Vec<String>,
    /// What is wrong with it: a `sounds_like` and the reason.
    pub errors: Vec<(String, String)>,
    /// As given.
    pub mapping_only: Option<Value>,
}

/// Which words are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WordType {
    /// All of them.
    #[default]
    All,
    /// Those that the user has added or changed.
    User,
    /// Those of corpora.
    Corpora,
    /// Those of grammars.
    Grammars,
}

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    /// By count, and alphabetically within; else alphabetically.
    pub by_count: bool,
    /// The other way round.
    pub descending: bool,
}

/// A definition as it is kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Definition {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sounds_like: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) display_as: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mapping_only: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<(String, String)>,
}

impl Definition {
    /// Whether the word is there to be written only (section 3.4). Clients send a truth value, its name, or either in a list.
    pub(crate) fn only_maps(&self) -> bool {
        let says_so = |value: &Value| value.as_bool() == Some(true) || value.as_str() == Some("true");
        match &self.mapping_only {
            Some(Value::Array(values)) => values.iter().any(says_so),
            Some(value) => says_so(value),
            None => false,
        }
    }

    /// What is written as this word: whatever sounds like it.
    pub(crate) fn mappings(&self, word: &str) -> Vec<Mapping> {
        let display_as = self.display_as.as_deref().filter(|form| !form.is_empty()).unwrap_or(word);
        let said = |text: &String| -> Vec<String> {
            let words = text.split([' ', '-']).map(|word| word.trim_end_matches('.').to_lowercase());
            words.filter(|word| !word.is_empty()).collect()
        };
        let items = self.sounds_like.iter().flatten().map(said).filter(|said| !said.is_empty());
        items.map(|said| Mapping { said, display_as: display_as.to_owned() }).collect()
    }
}

/// The definition of a row; none when the word was deleted.
pub(crate) fn definition(row: &WordRow) -> Option<Definition> {
    serde_json::from_str(row.definition.as_deref()?).ok()
}

/// The words of a resource that the base vocabulary lacks, with counts.
pub(crate) fn new_words(resource: &Resource) -> Vec<(String, u64)> {
    resource.new_words.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// All that is known of a word.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) definition: Option<Definition>,
    count: u64,
    source: Vec<String>,
    kinds: Vec<ResourceKind>,
}

/// The words of a model, by word.
pub(crate) fn all_words(rows: &[WordRow], resources: &[Resource]) -> BTreeMap<String, Known> {
    let deleted: BTreeMap<&str, _> =
        rows.iter().filter(|row| row.definition.is_none()).map(|row| (row.word.as_str(), row.updated)).collect();
    let mut words: BTreeMap<String, Known> = BTreeMap::new();
    for resource in resources.iter().filter(|resource| resource.status == ResourceStatus::Analyzed) {
        for (word, count) in new_words(resource) {
            // CRP-10: what was deleted comes back only with a newer text.
            let gone = deleted.get(word.as_str()).is_some_and(|&when| resource.analysed.is_none_or(|it| it <= when));
            if !gone {
                let known = words.entry(word).or_default();
                known.count += count;
                known.source.push(resource.name.clone());
                known.kinds.push(resource.kind);
            }
        }
    }
    for row in rows {
        if let Some(definition) = definition(row) {
            let known = words.entry(row.word.clone()).or_default();
            known.count = known.count.max(1);
            known.definition = Some(definition);
            known.source.push("user".to_owned());
        }
    }
    words
}

impl Known {
    fn is(&self, wanted: WordType) -> bool {
        match wanted {
            WordType::All => true,
            WordType::User => self.definition.is_some(),
            WordType::Corpora => self.kinds.contains(&ResourceKind::Corpus),
            WordType::Grammars => self.kinds.contains(&ResourceKind::Grammar),
        }
    }

    /// corpora-words-grammars.md sections 3.2 and 3.3
    fn shown(self, word: String, language: Option<&Language>) -> Word {
        // Later generations show what the user has said and nothing else.
        let generates = language.is_none_or(|language| language.lists_words);
        let in_base = language.is_some_and(|language| language.knows(&word));
        let definition = self.definition.unwrap_or_default();
        let given = definition.sounds_like.filter(|items| !items.is_empty());
        let display_as = match definition.display_as {
            Some(display) => display,
            None if generates && in_base && given.is_none() => String::new(),
            None => word.clone(),
        };
        let said = || {
            let pronouncer = language?.pronouncer.as_ref()?;
            Some(pronouncer.spell_out(&word)).filter(|text| !text.is_empty())
        };
        let sounds_like = match given {
            Some(items) => items,
            None if in_base || !generates => Vec::new(),
            None => said().into_iter().collect(),
        };
        Word {
            sounds_like,
            display_as,
            count: self.count,
            source: self.source,
            errors: definition.errors,
            mapping_only: definition.mapping_only,
            word,
        }
    }
}

impl Customizations {
    /// The words of a model.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn words(
        &self,
        instance: &str,
        id: &str,
        wanted: WordType,
        order: Order,
    ) -> Result<Vec<Word>, CustomizationError> {
        let (known, language) = self.known(instance, id).await?;
        let language = language.as_deref();
        let mut words: Vec<Word> = known
            .into_iter()
            .filter(|(_, known)| known.is(wanted))
            .map(|(word, known)| known.shown(word, language))
            .collect();
        if order.by_count {
            words.sort_by(|a, b| {
                let counts = a.count.cmp(&b.count);
                if order.descending { counts.reverse() } else { counts }
            });
        } else if order.descending {
            words.reverse();
        }
        Ok(words)
    }

    /// One word of a model.
    ///
    /// # Errors
    /// When the model or the word is not there.
    pub async fn word(&self, instance: &str, id: &str, word: &str) -> Result<Word, CustomizationError> {
        let (mut known, language) = self.known(instance, id).await?;
        let found = known.remove(word).ok_or_else(|| Invalid::UnknownWord(word.to_owned()))?;
        Ok(found.shown(word.to_owned(), language.as_deref()))
    }

    async fn known(
        &self,
        instance: &str,
        id: &str,
    ) -> Result<(BTreeMap<String, Known>, Option<std::sync::Arc<Language>>), CustomizationError> {
        let model = self.model(instance, id).await?;
        let language = match self.base(&model.base_model) {
            Some(entry) => Some(self.language(&entry).await?),
            None => None,
        };
        let rows = self.store.words(&model.id).await?;
        let lists = language.as_ref().is_none_or(|language| language.lists_words);
        let resources = if lists { self.store.resources(&model.id, None, true).await? } else { Vec::new() };
        Ok((all_words(&rows, &resources), language))
    }

    /// Adds words or changes them, all or none. Those with a `sounds_like` that cannot be said are kept with the reason, or
    /// refused if that is `strict`. They are labelled with the customer, if there is one (user-data.md).
    ///
    /// # Errors
    /// When the model is not there or busy, a word cannot be one, or there are too many.
    pub async fn add_words(
        &self,
        instance: &str,
        id: &str,
        words: Vec<NewWord>,
        strict: bool,
        customer: Option<&str>,
    ) -> Result<(), CustomizationError> {
        let model = self.model(instance, id).await?;
        if model.busy.is_some() {
            return Err(CustomizationError::Busy(model.id));
        }
        let language = match self.base(&model.base_model) {
            Some(entry) => Some(self.language(&entry).await?),
            None => None,
        };
        let pronouncer = language.as_ref().and_then(|language| language.pronouncer.as_ref());
        let mut rows: BTreeMap<String, Option<String>> = BTreeMap::new();
        for new in words {
            let items = new.sounds_like.as_deref().unwrap_or_default();
            check_word(&new.word, items).map_err(Invalid::from)?;
            let mut errors = Vec::new();
            for item in items {
                let said = pronouncer.map(|pronouncer| pronouncer.check(item));
                match said {
                    Some(Err(error)) if strict => return Err(Invalid::from(error).into()),
                    Some(Err(error)) => errors.push((item.clone(), error.to_string())),
                    _ => {}
                }
            }
            let NewWord { word, sounds_like, display_as, mapping_only } = new;
            let definition = Definition { sounds_like, display_as, mapping_only, errors };
            // Strings and lists of them always serialise.
            rows.insert(word, Some(serde_json::to_string(&definition).unwrap_or_default()));
        }
        let rows: Vec<_> = rows.into_iter().collect();
        let most = MOST_NEW_WORDS;
        match done(&model.id, self.store.put_words(instance, &model.id, &rows, customer, most).await?)? {
            None => Ok(()),
            Some(count) => Err(Invalid::TooManyAdded { count, most }.into()),
        }
    }

    /// Removes a word from a model; one of the base vocabulary stays there.
    ///
    /// # Errors
    /// When the model or the word is not there, or the model is busy.
    pub async fn delete_word(&self, instance: &str, id: &str, word: &str) -> Result<(), CustomizationError> {
        let (known, _) = self.known(instance, id).await?;
        if !known.contains_key(word) {
            return Err(Invalid::UnknownWord(word.to_owned()).into());
        }
        let id = id.to_ascii_lowercase();
        let rows = [(word.to_owned(), None)];
        done(&id, self.store.put_words(instance, &id, &rows, None, u64::MAX).await?)?;
        Ok(())
    }
}

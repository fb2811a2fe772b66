//! Recognition parameters: reading them, checking them, and what they come to for a model.
//!
//! Everything is driven by the [table]: [`Given::read_query`] and [`Given::read_json`] take names and values from the
//! wire, [`plan::plan`] combines them with the model's properties, [`page::page`] writes the documentation.

pub mod page;
pub mod plan;
pub mod table;
pub mod value;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::error::ApiError;
pub use table::{Effect, PARAMETERS, Parameter, Place, Settings};
use value::{Refusal, Value};

/// Query names that every route takes: credentials and preferences of clients that cannot set headers.
const FOR_THE_GATEWAY: [&str; 4] = ["access_token", "watson-token", "x-watson-learning-opt-out", "x-watson-metadata"];

/// Most unknown names that a warning lists, and most characters of one: the answer is no echo chamber.
const MOST_UNKNOWN: usize = 20;
const LONGEST_UNKNOWN: usize = 64;

/// A request's parameters with what could not be made of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// The parameters that are known.
    pub settings: Settings,
    /// Those that ask for something that the server does not do, by name.
    pub without_effect: Vec<&'static str>,
    /// Unknown names in the query.
    pub unknown_in_query: Vec<String>,
    /// Unknown names in JSON.
    pub unknown_in_json: Vec<String>,
}

impl Given {
    /// Reads the query of a request. `place` says which parameters it may have.
    pub fn read_query(&mut self, query: &str, place: Place) -> Result<(), ApiError> {
        // A list that is given several times is one list (REC-P2).
        let mut lists: BTreeMap<&str, String> = BTreeMap::new();
        for (name, text) in form_urlencoded::parse(query.as_bytes()) {
            let name = name.as_ref();
            match known(name, place) {
                Some(parameter) => {
                    let text = match parameter.kind {
                        value::Kind::List { .. } => {
                            let list = lists.entry(parameter.name).or_default();
                            list.push(',');
                            list.push_str(&text);
                            list.as_str()
                        }
                        _ => text.as_ref(),
                    };
                    let value = parameter.kind.read_text(text).map_err(|why| refused(parameter, why, text))?;
                    self.take(parameter, value);
                }
                None if FOR_THE_GATEWAY.contains(&name) => {}
                None => note(&mut self.unknown_in_query, name),
            }
        }
        Ok(())
    }

    /// Reads a JSON object. `not_for_here` are the members that belong to somebody else.
    pub fn read_json(
        &mut self,
        members: &Map<String, Json>,
        place: Place,
        not_for_here: &[&str],
    ) -> Result<(), ApiError> {
        for (name, json) in members.iter().filter(|(name, _)| !not_for_here.contains(&name.as_str())) {
            match known(name, place) {
                Some(parameter) => {
                    let value =
                        parameter.kind.read_json(json).map_err(|why| refused(parameter, why, &json.to_string()))?;
                    self.take(parameter, value);
                }
                None if json.is_null() => {}
                None => note(&mut self.unknown_in_json, name),
            }
        }
        Ok(())
    }

    fn take(&mut self, parameter: &'static Parameter, value: Option<Value>) {
        let Some(value) = value else { return };
        if let Effect::Pending(harmless) = parameter.effect {
            self.without_effect.retain(|name| *name != parameter.name);
            if !harmless.is(&value) {
                self.without_effect.push(parameter.name);
            }
        }
        (parameter.store)(&mut self.settings, value);
    }
}

fn known(name: &str, place: Place) -> Option<&'static Parameter> {
    table::find(name).filter(|parameter| parameter.places.contains(&place))
}

fn note(unknown: &mut Vec<String>, name: &str) {
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_UNKNOWN).collect();
    if unknown.len() < MOST_UNKNOWN && !unknown.contains(&name) {
        unknown.push(name);
    }
}

fn refused(parameter: &Parameter, why: Refusal, value: &str) -> ApiError {
    let shown: String = value.chars().take(LONGEST_UNKNOWN).collect();
    let message = match (why, parameter.refusal.first()) {
        (Refusal::LongItem(item), _) => {
            // The documented text has the keyword in it; there is no use in all of it.
            let shown: String = item.chars().take(LONGEST_UNKNOWN).collect();
            let value::Kind::List { longest, .. } = parameter.kind else { unreachable!("only lists have items") };
            let item = if parameter.name == "keywords" { "keyword" } else { parameter.name };
            format!("{item} {shown} length exceeds the maximum length {longest}")
        }
        (Refusal::OutOfRange, Some(documented)) => (*documented).to_owned(),
        (Refusal::WrongType, _) if parameter.kind == value::Kind::Guid => format!("Malformed GUID: '{shown}'"),
        _ => format!("{} must be {}, not '{shown}'", parameter.name, parameter.kind.expected()),
    };
    ApiError::bad_request(message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Result<Given, String> {
        let mut given = Given::default();
        given.read_query(text, Place::Query).map_err(|error| error.message().to_owned())?;
        Ok(given)
    }

    fn metadata(members: Json) -> Result<Given, String> {
        let mut given = Given::default();
        let Json::Object(members) = members else { panic!("an object") };
        given
            .read_json(&members, Place::Metadata, &["part_content_type"])
            .map_err(|error| error.message().to_owned())?;
        Ok(given)
    }

    /// REC-P2, REC-P6
    #[test]
    fn keywords_are_split_at_commas_and_added_up() {
        let keywords =
            query("keywords=colorado%2Ctornado+tornadoes&keywords=abc%20inc,%C3%A9").unwrap().settings.keywords;
        assert_eq!(keywords.unwrap(), ["colorado", "tornado tornadoes", "abc inc", "é"]);
    }

    /// REC-P3
    #[test]
    fn unknown_names_are_noted_once_and_in_bounds() {
        let given =
            query("foo=1&bar=2&foo=3&interim_results=true&access_token=secret&processing_metrics=true").unwrap();
        assert_eq!(given.unknown_in_query, ["foo", "bar", "interim_results", "processing_metrics"]);
        let many: String = (0..100).map(|n| format!("&{}{n}=1", "x".repeat(200))).collect();
        let unknown = query(&many).unwrap().unknown_in_query;
        assert!(unknown.len() <= MOST_UNKNOWN && unknown.iter().all(|name| name.len() <= LONGEST_UNKNOWN));
        let given =
            metadata(json!({"foo": 1, "bar": null, "part_content_type": "audio/wav", "model": "en-US"})).unwrap();
        assert_eq!(given.unknown_in_json, ["foo", "model"]);
    }

    /// REC-P4
    #[test]
    fn refusals_use_the_documented_words_or_say_what_is_expected() {
        let refusal = |text: &str| query(text).unwrap_err();
        assert_eq!(
            refusal("keywords_threshold=1.1"),
            "keywords_threshold value must be between zero and one (inclusive)"
        );
        assert_eq!(
            refusal("word_alternatives_threshold=-1"),
            "word_alternatives_threshold value must be between zero and one (inclusive)"
        );
        assert_eq!(refusal("character_insertion_bias=2"), "Character insertion bias must be a value between -1 and 1.");
        assert_eq!(refusal("max_alternatives=-1"), "max_alternatives must be a whole number, 0 or more, not '-1'");
        assert_eq!(refusal("timestamps=maybe"), "timestamps must be true or false, not 'maybe'");
        assert_eq!(refusal("language_customization_id=abc"), "Malformed GUID: 'abc'");
        let long = "k".repeat(1025);
        let message = refusal(&format!("keywords={long}"));
        assert!(
            message.starts_with("keyword kkk") && message.ends_with(" length exceeds the maximum length 1024"),
            "{message}"
        );
        assert!(refusal(&format!("keywords={}", "a,".repeat(1001))).contains("at most 1000 strings"));
        assert!(metadata(json!({"keywords": "a", "timestamps": {}})).unwrap_err().starts_with("timestamps must be"));
    }

    #[test]
    fn only_values_that_ask_for_something_are_without_effect() {
        let given =
            query("profanity_filter=false&smart_formatting=true&redaction=false&character_insertion_bias=0.5").unwrap();
        assert_eq!(given.without_effect, ["smart_formatting", "character_insertion_bias"]);
        assert_eq!(query("smart_formatting=true&smart_formatting=false").unwrap().without_effect, Vec::<&str>::new());
        assert_eq!(metadata(json!({"profanity_filter": true})).unwrap().without_effect, ["profanity_filter"]);
    }

    #[test]
    fn each_parameter_is_in_the_table_once_and_says_where_it_belongs() {
        let mut names: Vec<_> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARAMETERS.len());
        for parameter in PARAMETERS {
            assert!(!parameter.places.is_empty() && !parameter.doc.trim().is_empty(), "{}", parameter.name);
            assert!(parameter.models.chars().all(|letter| "PNL".contains(letter)), "{}", parameter.name);
        }
    }
}

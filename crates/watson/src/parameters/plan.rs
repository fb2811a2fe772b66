//! What a request's parameters come to for the model it names.

use std::time::Duration;

use dictum_models::ModelEntry;
use dictum_models::recogniser::Options;

use super::{Given, PARAMETERS, Settings};
use crate::error::ApiError;

/// Most alternatives the recogniser is asked for, whatever a client says: it has no more that are worth reading.
const MOST_ALTERNATIVES: i64 = 100;

/// Inactivity timeout of a request that names none, seconds (REC-L5).
const INACTIVITY_TIMEOUT: i64 = 30;

/// Seconds between reports of processing metrics: less behaves as the least (recognize.md section 3), more than a day as never.
const LEAST_INTERVAL: f64 = 0.1;
const MOST_INTERVAL: f64 = 86_400.0;

/// What to do, and what to show of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What the recogniser is asked for.
    pub options: Options,
    /// Seconds of streamed audio without speech after which the request fails; `None`: never.
    pub inactivity_timeout: Option<f64>,
    /// How often to report how far processing has come; `None`: never.
    pub processing_metrics: Option<Duration>,
    /// What the answer shows.
    pub show: Show,
    /// The custom language model to recognise with.
    pub customization: Option<Chosen>,
    /// What the client is told about its parameters.
    pub warnings: Vec<String>,
}

/// A custom language model that a request names.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its GUID.
    pub id: String,
    /// At this weight; `None`: at that of its training.
    pub weight: Option<f64>,
    /// The grammar of it that says what is recognised.
    pub grammar: Option<String>,
}

/// Which optional members the answer has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Show {
    /// `timestamps` of the best alternative.
    pub timestamps: bool,
    /// `word_confidence` of the best alternative.
    pub word_confidence: bool,
    /// `word_alternatives` of at least this confidence.
    pub word_alternatives: Option<f64>,
    /// `end_of_utterance`.
    pub end_of_utterance: bool,
    /// `speech_begin_event`.
    pub speech_begin: bool,
    /// `audio_metrics`.
    pub audio_metrics: bool,
    /// `keywords_result`, by these keywords as the client wrote them; empty: no spotting.
    pub keywords: Vec<String>,
}

/// Combines parameters and model (recognize.md sections 3.1 and 3.2, models.md feature matrix).
pub fn plan(mut given: Given, model: &ModelEntry) -> Result<Plan, ApiError> {
    let unsupported = drop_unsupported(&mut given, model);
    refuse_unsupported(&given.settings, model)?;
    let customization = customization(&given.settings)?;
    refuse_version(&mut given, model)?;
    note_idle_detection(&mut given, model);
    forget_inapplicable(&mut given, model);

    let warnings = warnings(&given, unsupported);
    let settings = given.settings;
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    let redaction = on(settings.redaction);
    // Spotting takes both, and neither is wrong without the other.
    let spotting = settings.keywords.zip(settings.keywords_threshold).filter(|_| !redaction);
    let (keywords, keywords_threshold) = spotting.unzip();
    let keywords = keywords.unwrap_or_default();
    let defaults = Options::default();
    let options = Options {
        max_alternatives: match settings.max_alternatives {
            Some(count) if !redaction => count.clamp(1, MOST_ALTERNATIVES) as usize,
            _ => 1,
        },
        confusion_network: settings.word_alternatives_threshold.is_some(),
        keywords: keywords.clone(),
        keywords_threshold: keywords_threshold.map(|threshold| threshold as f32),
        end_of_phrase_silence_time: match settings.end_of_phrase_silence_time {
            Some(seconds) if seconds > 0.0 => seconds,
            _ if model.info.language.starts_with("zh-") => 0.6,
            _ => defaults.end_of_phrase_silence_time,
        },
        split_transcript_at_phrase_end: on(settings.split_transcript_at_phrase_end),
        speech_detector_sensitivity: settings
            .speech_detector_sensitivity
            .map_or(defaults.speech_detector_sensitivity, |sensitivity| sensitivity as f32),
        background_audio_suppression: settings
            .background_audio_suppression
            .map_or(defaults.background_audio_suppression, |suppression| suppression as f32),
        interim_results: on(settings.interim_results) && !redaction && settings.smart_formatting_version != Some(2),
        ..defaults
    };
    let interval = settings.processing_metrics_interval.unwrap_or(1.0).clamp(LEAST_INTERVAL, MOST_INTERVAL);
    let timeout = settings.inactivity_timeout.unwrap_or(INACTIVITY_TIMEOUT);
    Ok(Plan {
        options,
        inactivity_timeout: (timeout > 0).then_some(timeout as f64),
        processing_metrics: on(settings.processing_metrics).then(|| Duration::from_secs_f64(interval)),
        show: Show {
            timestamps: on(settings.timestamps) || on(settings.speaker_labels),
            word_confidence: on(settings.word_confidence),
            word_alternatives: settings.word_alternatives_threshold,
            end_of_utterance: on(settings.split_transcript_at_phrase_end),
            speech_begin: on(settings.speech_begin_event),
            audio_metrics: on(settings.audio_metrics),
            keywords,
        },
        customization,
        warnings,
    })
}

/// REC-P5: parameters that the model's generation does not know are ignored, and named in a warning.
fn drop_unsupported(given: &mut Given, model: &ModelEntry) -> Vec<&'static str> {
    let generation = model.info.generation.letter();
    let mut dropped = Vec::new();
    for parameter in PARAMETERS.iter().filter(|parameter| !parameter.models.contains(generation)) {
        if (parameter.clear)(&mut given.settings) {
            given.without_effect.retain(|name| *name != parameter.name);
            // The service calls this one by another name, which is what clients know from it.
            dropped.push(if parameter.name == "character_insertion_bias" { "lambdaBias" } else { parameter.name });
        }
    }
    dropped
}

fn refuse_unsupported(settings: &Settings, model: &ModelEntry) -> Result<(), ApiError> {
    let refuse = |feature: &str| {
        Err(ApiError::bad_request(format!("{feature} is not a supported feature for model {}", model.info.name)))
    };
    if settings.speaker_labels == Some(true) && !model.info.speaker_labels {
        return refuse("speaker_labels");
    }
    if settings.low_latency == Some(true) && model.info.low_latency != Some(true) {
        return refuse("low_latency");
    }
    Ok(())
}

/// The custom model that a request names. There are no acoustic ones yet, so every well-formed identifier of one is one that the
/// client does not own.
fn customization(settings: &Settings) -> Result<Option<Chosen>, ApiError> {
    if settings.customization_id.is_some() && settings.language_customization_id.is_some() {
        let message = "You cannot specify both 'customization_id' and 'language_customization_id' parameter!";
        return Err(ApiError::bad_request(message));
    }
    if let Some(id) = &settings.acoustic_customization_id {
        return Err(ApiError::unauthorized(format!("Invalid customization_id '{id}' for user")));
    }
    let language = settings.language_customization_id.as_ref().or(settings.customization_id.as_ref());
    match (&settings.grammar_name, language) {
        (Some(_), None) => Err(ApiError::bad_request(
            "grammar_name needs the language_customization_id of the model the grammar belongs to",
        )),
        (None, None) => Ok(None),
        (grammar, Some(id)) => {
            let (weight, grammar) = (settings.customization_weight, grammar.clone());
            Ok(Some(Chosen { id: id.clone(), weight, grammar }))
        }
    }
}

/// A version of this model, though another than the installed one, is no reason to fail: clients that pin one move here
/// from a service that had several.
fn refuse_version(given: &mut Given, model: &ModelEntry) -> Result<(), ApiError> {
    let Some(version) = given.settings.base_model_version.as_deref() else { return Ok(()) };
    let installed = model.version();
    if version == installed {
        return Ok(());
    }
    let name = &model.info.name;
    let date = version.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix(".v"));
    let well_formed = date.is_some_and(|date| {
        date.len() == 10
            && date
                .bytes()
                .enumerate()
                .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    });
    if !well_formed {
        return Err(ApiError::not_found(format!("Model {name} (version: {version}) not found")));
    }
    given.without_effect.push("base_model_version");
    Ok(())
}

/// Five models have a speech detector that cannot be adjusted.
fn note_idle_detection(given: &mut Given, model: &ModelEntry) {
    if model.info.speech_detection {
        return;
    }
    if given.settings.speech_detector_sensitivity.take().is_some() {
        given.without_effect.push("speech_detector_sensitivity");
    }
    if given.settings.background_audio_suppression.take().is_some() {
        given.without_effect.push("background_audio_suppression");
    }
}

/// A filter that is documented to do nothing for the language has nothing yet to come.
fn forget_inapplicable(given: &mut Given, model: &ModelEntry) {
    let language = model.info.language.as_str();
    if !matches!(language, "en-US" | "ja-JP") {
        given.without_effect.retain(|name| *name != "profanity_filter");
    }
    let version_alone = given.settings.smart_formatting != Some(true);
    if version_alone {
        given.without_effect.retain(|name| *name != "smart_formatting_version");
    }
}

fn warnings(given: &Given, unsupported: Vec<&'static str>) -> Vec<String> {
    let list = |names: &[&str]| names.join(", ");
    let mut warnings = Vec::new();
    let in_query: Vec<&str> = given.unknown_in_query.iter().map(String::as_str).collect();
    if !in_query.is_empty() {
        warnings.push(format!("Unknown url query arguments: {}.", list(&in_query)));
    }
    let unknown: Vec<&str> = given.unknown_in_json.iter().map(String::as_str).chain(unsupported).collect();
    if !unknown.is_empty() {
        warnings.push(format!("Unknown arguments: {}.", list(&unknown)));
    }
    if !given.without_effect.is_empty() {
        warnings.push(format!("Arguments without effect on this server: {}.", list(&given.without_effect)));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use dictum_models::{Registry, RegistryConfig};
    use serde_json::json;

    use super::*;
    use crate::parameters::Place;

    /// A registry in which one package answers to every name of the catalogue that a test asks for.
    fn model(name: &str) -> ModelEntry {
        let package = tempfile::tempdir().unwrap();
        let mut config =
            RegistryConfig { default_package: Some(package.path().to_owned()), ..RegistryConfig::default() };
        let registry = Registry::open(&config).unwrap();
        let default = registry.packages()[0].name.clone();
        config.names.insert(name.to_owned(), default);
        Registry::open(&config).unwrap().resolve(name).unwrap()
    }

    fn planned(name: &str, query: &str) -> Result<Plan, ApiError> {
        let mut given = Given::default();
        given.read_query(query, Place::Query)?;
        plan(given, &model(name))
    }

    #[test]
    fn a_request_without_parameters_gets_the_defaults() {
        let plan = planned("en-US_BroadbandModel", "").unwrap();
        assert_eq!((plan.options, plan.inactivity_timeout), (Options::default(), Some(30.0)));
        assert_eq!((plan.show, plan.warnings), (Show::default(), vec![]));
    }

    /// recognize.md 9.4
    #[test]
    fn no_alternatives_are_one() {
        let most = |query| planned("en-US", query).unwrap().options.max_alternatives;
        assert_eq!([most("max_alternatives=0"), most("max_alternatives=1"), most("max_alternatives=7")], [1, 1, 7]);
        assert_eq!(most("max_alternatives=9223372036854775807"), 100);
    }

    /// recognize.md 9.16, models.md: Chinese
    #[test]
    fn a_silence_time_of_zero_is_the_default() {
        let time = |name, query| planned(name, query).unwrap().options.end_of_phrase_silence_time;
        assert_eq!(time("en-US_Telephony", "end_of_phrase_silence_time=0"), 0.8);
        assert_eq!(time("zh-CN_Telephony", ""), 0.6);
        assert_eq!(time("zh-CN_Telephony", "end_of_phrase_silence_time=1.5"), 1.5);
    }

    /// REC-L5
    #[test]
    fn inactivity_can_be_forever() {
        assert_eq!(planned("en-US", "inactivity_timeout=-1").unwrap().inactivity_timeout, None);
        assert_eq!(planned("en-US", "inactivity_timeout=7").unwrap().inactivity_timeout, Some(7.0));
    }

    /// recognize.md 3.2: either alone is no mistake, and spots nothing; redaction forbids it
    #[test]
    fn spotting_takes_keywords_and_a_threshold() {
        let spots = |query| {
            let plan = planned("en-US_BroadbandModel", query).unwrap();
            assert_eq!(plan.options.keywords, plan.show.keywords);
            (plan.options.keywords.len(), plan.options.keywords_threshold)
        };
        assert_eq!(spots("keywords=a,b&keywords_threshold=0.5"), (2, Some(0.5)));
        for query in ["keywords=a,b", "keywords_threshold=0.5", "keywords=a&keywords_threshold=0.5&redaction=true"] {
            assert_eq!(spots(query), (0, None), "{query}");
        }
        assert_eq!(
            planned("en-US_BroadbandModel", "redaction=true&max_alternatives=5").unwrap().options.max_alternatives,
            1
        );
    }

    fn planned_start(name: &str, members: serde_json::Value) -> Plan {
        let mut given = Given::default();
        given.read_json(members.as_object().unwrap(), Place::SocketStart, &[]).unwrap();
        plan(given, &model(name)).unwrap()
    }

    /// WS-R13, WS-R15
    #[test]
    fn interim_results_go_with_anything_but_redaction_and_the_second_formatting() {
        let interim = |members| planned_start("en-US_Telephony", members).options.interim_results;
        assert!(interim(json!({"interim_results": true})));
        assert!(interim(json!({"interim_results": "True", "low_latency": false, "speaker_labels": true})));
        assert!(!interim(json!({})));
        assert!(!interim(json!({"interim_results": true, "redaction": true})));
        assert!(!interim(json!({"interim_results": true, "smart_formatting_version": 2})));
        assert!(planned("en-US_Telephony", "interim_results=true").unwrap().warnings[0].contains("interim_results"));
    }

    /// results.md 7.1
    #[test]
    fn processing_metrics_come_every_second_or_as_told() {
        let interval = |members| planned_start("en-US_BroadbandModel", members).processing_metrics;
        assert_eq!(interval(json!({"processing_metrics_interval": 3})), None);
        assert_eq!(interval(json!({"processing_metrics": true})), Some(Duration::from_secs(1)));
        let some = |seconds: f64| interval(json!({"processing_metrics": true, "processing_metrics_interval": seconds}));
        assert_eq!([some(0.25), some(0.0)], [250, 100].map(|ms| Some(Duration::from_millis(ms))));
        assert!(some(f64::MAX) > Some(Duration::from_secs(3_600)));
        let next = planned_start("en-US_Telephony", json!({"processing_metrics": true}));
        assert_eq!((next.processing_metrics, next.warnings.len()), (None, 1), "the previous generation only");
    }

    /// models.md, feature matrix
    #[test]
    fn features_that_are_refused() {
        let refusal = |name, query| planned(name, query).err().map(|error| error.message().to_owned());
        let unsupported = |feature, name| Some(format!("{feature} is not a supported feature for model {name}"));
        for name in ["en-GB_BroadbandModel", "fr-FR_NarrowbandModel", "en-WW_Medical_Telephony"] {
            assert_eq!(refusal(name, "speaker_labels=true"), unsupported("speaker_labels", name));
            assert_eq!(refusal(name, "speaker_labels=false"), None);
        }
        for name in ["en-GB_NarrowbandModel", "fr-FR_Telephony", "de-DE"] {
            assert_eq!(refusal(name, "speaker_labels=true"), None, "{name}");
        }
        assert_eq!(refusal("de-DE", "low_latency=true"), unsupported("low_latency", "de-DE"));
        assert_eq!(refusal("de-DE_Telephony", "low_latency=true"), None);
        assert_eq!(refusal("de-DE_BroadbandModel", "low_latency=true"), None);
    }

    #[test]
    fn what_has_no_effect_is_said() {
        let warnings = |name, query| planned(name, query).unwrap().warnings;
        let fixed = "speech_detector_sensitivity=0.4&background_audio_suppression=0.5";
        assert_eq!(
            warnings("de-DE_BroadbandModel", fixed),
            ["Arguments without effect on this server: speech_detector_sensitivity, background_audio_suppression."]
        );
        assert!(warnings("de-DE_Telephony", fixed).is_empty());
        // Documented to do nothing for other languages, so nothing is missing.
        assert!(warnings("fr-FR_Telephony", "profanity_filter=true").is_empty());
        assert_eq!(warnings("ja-JP", "profanity_filter=true").len(), 1);
        assert!(warnings("en-US", "smart_formatting_version=2").is_empty(), "of no formatting, any version will do");
        let both = "smart_formatting=true&smart_formatting_version=2";
        assert_eq!(
            warnings("en-US", both),
            ["Arguments without effect on this server: smart_formatting, smart_formatting_version."]
        );
        assert_eq!(warnings("en-US_BroadbandModel", "grammar_name=").len(), 0);
    }

    /// MODEL-07
    #[test]
    fn versions() {
        let model = model("en-US_BroadbandModel");
        let version = model.version();
        assert!(planned("en-US_BroadbandModel", &format!("base_model_version={version}")).unwrap().warnings.is_empty());
        for unknown in [
            "en-US",
            "en-US_BroadbandModel.v2020",
            "en-US_BroadbandModel.v2020-0a-16",
            "fr-FR_BroadbandModel.v2020-01-16",
        ] {
            let error = planned("en-US_BroadbandModel", &format!("base_model_version={unknown}")).unwrap_err();
            assert_eq!(error.message(), format!("Model en-US_BroadbandModel (version: {unknown}) not found"));
        }
    }
}

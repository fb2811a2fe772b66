//! What a request's parameters come to for the model it names.

use dictum_models::ModelEntry;
use dictum_models::recogniser::Options;

use super::{Given, PARAMETERS, Settings};
use crate::error::ApiError;

/// Most alternatives the recogniser is asked for, whatever a client says: it has no more that are worth reading.
const MOST_ALTERNATIVES: i64 = 100;

/// Inactivity timeout of a request that names none, seconds (REC-L5).
const INACTIVITY_TIMEOUT: i64 = 30;

/// What to do, and what to show of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What the recogniser is asked for.
    pub options: Options,
    /// Seconds of streamed audio without speech after which the request fails; `None`: never.
    pub inactivity_timeout: Option<f64>,
    /// What the answer shows.
    pub show: Show,
    /// What the client is told about its parameters.
    pub warnings: Vec<String>,
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
    refuse_customization(&given.settings)?;
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
        ..defaults
    };
    let timeout = settings.inactivity_timeout.unwrap_or(INACTIVITY_TIMEOUT);
    Ok(Plan {
        options,
        inactivity_timeout: (timeout > 0).then_some(timeout as f64),
        show: Show {
            timestamps: on(settings.timestamps) || on(settings.speaker_labels),
            word_confidence: on(settings.word_confidence),
            word_alternatives: settings.word_alternatives_threshold,
            end_of_utterance: on(settings.split_transcript_at_phrase_end),
            speech_begin: on(settings.speech_begin_event),
            audio_metrics: on(settings.audio_metrics),
            keywords,
        },
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

/// There are no custom models yet, so every identifier that is well-formed is one that the client does not own.
fn refuse_customization(settings: &Settings) -> Result<(), ApiError> {
    if settings.customization_id.is_some() && settings.language_customization_id.is_some() {
        let message = "You cannot specify both 'customization_id' and 'language_customization_id' parameter!";
        return Err(ApiError::bad_request(message));
    }
    let language = settings.language_customization_id.as_ref().or(settings.customization_id.as_ref());
    if settings.grammar_name.is_some() && language.is_none() {
        return Err(ApiError::bad_request(
            "grammar_name needs the language_customization_id of the model the grammar belongs to",
        ));
    }
    match language.or(settings.acoustic_customization_id.as_ref()) {
        Some(id) => Err(ApiError::unauthorized(format!("Invalid customization_id '{id}' for user"))),
        None => Ok(()),
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

//! The table of recognition parameters: one entry says all there is to know about one of them.
//!
//! From it come the struct that holds a request's values, the reading and checking of queries and JSON, the warnings about
//! parameters that have no effect, and the page `docs/api-parameters.md`.

use serde::{Deserialize, Serialize};

use super::value::{Kind, Stored, Value};

/// Where a parameter may appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Query of `POST /v1/recognize` with plain audio.
    Query,
    /// Query of `POST /v1/recognize` with a multipart body.
    MultipartQuery,
    /// Member of the `metadata` part of a multipart body.
    Metadata,
    /// Query of `POST /v1/recognitions`.
    JobQuery,
    /// Query of the WebSocket `/v1/recognize`.
    SocketQuery,
    /// Member of the WebSocket's `start` message.
    SocketStart,
}

/// Parameters that choose the model: in the query, whatever the body.
const CHOOSES_MODEL: &[Place] = &[Place::Query, Place::MultipartQuery, Place::JobQuery, Place::SocketQuery];
/// Parameters of the recognition, everywhere.
const EVERYWHERE: &[Place] = &[Place::Query, Place::Metadata, Place::JobQuery, Place::SocketStart];
/// As [`EVERYWHERE`], but not in multipart metadata.
const NOT_METADATA: &[Place] = &[Place::Query, Place::JobQuery, Place::SocketStart];
/// Parameters that mean something only while the audio comes in.
const WHILE_RUNNING: &[Place] = &[Place::JobQuery, Place::SocketStart];
/// Parameters of a job rather than of its recognition.
const OF_JOBS: &[Place] = &[Place::JobQuery];

/// What the server does about a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// What is documented.
    Works,
    /// Checked, but without effect yet: a request that asks for one is told so in its warnings. A value that asks for
    /// nothing (the field) is not worth a warning.
    Pending(Harmless),
}

/// The value of a parameter that asks for nothing which the server does not do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harmless {
    /// A switch that is off.
    Off,
    /// This number.
    Number(f64),
    /// This text.
    Text(&'static str),
    /// Any value asks for something.
    None,
}

impl Harmless {
    /// Whether `value` asks for nothing.
    pub fn is(self, value: &Value) -> bool {
        match (self, value) {
            (Harmless::Off, Value::Flag(on)) => !on,
            (Harmless::Number(harmless), Value::Number(number)) => *number == harmless,
            (Harmless::Number(harmless), Value::Integer(number)) => *number as f64 == harmless,
            (Harmless::Text(harmless), Value::Text(text)) => text == harmless,
            _ => false,
        }
    }
}

/// A recognition parameter.
pub struct Parameter {
    /// Its name on the wire; case matters.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value when it is not given, as people read it.
    pub default: &'static str,
    /// The generations of models that know it: some of `P`revious, `N`ext, `L`arge. Others ignore it with a warning.
    pub models: &'static str,
    /// Where it may appear; elsewhere it is an unknown argument.
    pub places: &'static [Place],
    /// What the server does about it.
    pub effect: Effect,
    /// The documented message for a value that is out of range; at most one.
    pub refusal: &'static [&'static str],
    /// What it does, for people.
    pub doc: &'static str,
    /// Puts a value into its field.
    pub(super) store: fn(&mut Settings, Value),
    /// Empties its field; whether there was a value in it.
    pub(super) clear: fn(&mut Settings) -> bool,
}

macro_rules! parameters {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident: $type:ty {
            $kind:expr, default $default:literal, models $models:literal, in $places:expr, $effect:expr
            $(, refused $refusal:literal)?
        }
    )+) => {
        /// The parameters of a request, as far as they were given. Jobs keep them as JSON.
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        pub struct Settings {
            $( $(#[doc = $doc])+ #[serde(default, skip_serializing_if = "Option::is_none")] pub $name: Option<$type>, )+
        }

        /// Every recognition parameter, in the order of the contract.
        pub static PARAMETERS: &[Parameter] = &[ $( Parameter {
            name: stringify!($name),
            kind: $kind,
            default: $default,
            models: $models,
            places: $places,
            effect: $effect,
            refusal: &[$($refusal)?],
            doc: concat!($($doc),+),
            store: |settings, value| settings.$name = <$type>::stored(value),
            clear: |settings| settings.$name.take().is_some(),
        } ),+ ];
    };
}

const UNIT: Kind = Kind::Number { least: 0.0, most: 1.0 };
const NAME: Kind = Kind::Text { longest: 256 };

parameters! {
    /// Name of the model, see `GET /v1/models`.
    model: String { NAME, default "`en-US_BroadbandModel` (configurable)", models "PNL", in CHOOSES_MODEL, Effect::Works }
    /// Custom language model of the same base model.
    language_customization_id: String { Kind::Guid, default "none", models "PNL", in CHOOSES_MODEL, Effect::Works }
    /// Former name of `language_customization_id`; not both.
    customization_id: String { Kind::Guid, default "none", models "PNL", in CHOOSES_MODEL, Effect::Works }
    /// Custom acoustic model of the same base model.
    acoustic_customization_id: String { Kind::Guid, default "none", models "P", in CHOOSES_MODEL, Effect::Works }
    /// Version of the base model, as `MODEL.vYYYY-MM-DD`. A server has one version of each model and uses that.
    base_model_version: String { NAME, default "the installed one", models "PNL", in CHOOSES_MODEL, Effect::Works }
    /// Weight of the custom language model against the base model. Nothing to weigh without one.
    customization_weight: f64 { UNIT, default "the one of its training", models "PNL", in EVERYWHERE, Effect::Works }
    /// Seconds of streamed audio without speech after which the request fails; -1: never.
    inactivity_timeout: i64 {
        Kind::Integer { least: -1, most: i64::MAX, except: Some(0) }, default "30", models "PNL", in EVERYWHERE, Effect::Works
    }
    /// Words and phrases to spot. Needs `keywords_threshold`; ignored with `redaction`.
    keywords: Vec<String> { Kind::List { items: 1000, longest: 1024 }, default "none", models "P", in EVERYWHERE, Effect::Works }
    /// Least confidence of a keyword that is reported. Needs `keywords`.
    keywords_threshold: f64 {
        UNIT, default "none", models "P", in EVERYWHERE, Effect::Works,
        refused "keywords_threshold value must be between zero and one (inclusive)"
    }
    /// Most alternative transcripts of an utterance; 0 is 1.
    max_alternatives: i64 {
        Kind::Integer { least: 0, most: i64::MAX, except: None }, default "1", models "PNL", in EVERYWHERE, Effect::Works
    }
    /// Least confidence of a word that is reported among `word_alternatives`; none are reported without.
    word_alternatives_threshold: f64 {
        UNIT, default "none", models "P", in EVERYWHERE, Effect::Works,
        refused "word_alternatives_threshold value must be between zero and one (inclusive)"
    }
    /// Whether to report a confidence for each word.
    word_confidence: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Works }
    /// Whether to report the time of each word. `speaker_labels` switches it on.
    timestamps: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Works }
    /// Whether to mask profane words of English and Japanese.
    profanity_filter: bool { Kind::Flag, default "true", models "PNL", in EVERYWHERE, Effect::Pending(Harmless::Off) }
    /// Whether to write dates, numbers and the like in figures.
    smart_formatting: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Pending(Harmless::Off) }
    /// Version of smart formatting.
    smart_formatting_version: i64 {
        Kind::Integer { least: 0, most: 2, except: None }, default "0", models "NL", in EVERYWHERE,
        Effect::Pending(Harmless::Number(0.0))
    }
    /// Whether to tell speakers apart. Switches `timestamps` on.
    speaker_labels: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Pending(Harmless::Off) }
    /// Grammar of the custom language model; only what it generates is recognised.
    grammar_name: String { NAME, default "none", models "PN", in EVERYWHERE, Effect::Works }
    /// Whether to mask numbers of three digits and more. One alternative, no keywords.
    redaction: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Pending(Harmless::Off) }
    /// Whether to report measurements of the signal.
    audio_metrics: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Works }
    /// Whether to report how far processing has come.
    processing_metrics: bool { Kind::Flag, default "false", models "P", in WHILE_RUNNING, Effect::Works }
    /// Seconds between such reports.
    processing_metrics_interval: f64 {
        Kind::Number { least: 0.0, most: f64::MAX }, default "1.0", models "P", in WHILE_RUNNING, Effect::Works
    }
    /// Whether to report results before they are final.
    interim_results: bool { Kind::Flag, default "false", models "PNL", in &[Place::SocketStart], Effect::Works }
    /// Pause that ends an utterance, seconds; 0 is the default. Goes before `split_transcript_at_phrase_end`.
    end_of_phrase_silence_time: f64 {
        Kind::Number { least: 0.0, most: 120.0 }, default "0.8; Chinese 0.6", models "PNL", in EVERYWHERE, Effect::Works
    }
    /// Whether utterances also end where a phrase does, and say why they ended.
    split_transcript_at_phrase_end: bool { Kind::Flag, default "false", models "PNL", in EVERYWHERE, Effect::Works }
    /// How easily sound is taken for speech: 0.0 never, 1.0 always.
    speech_detector_sensitivity: f64 { UNIT, default "0.5", models "PNL", in EVERYWHERE, Effect::Works }
    /// How much speech in the background is suppressed: 0.0 not at all, 1.0 all.
    background_audio_suppression: f64 { UNIT, default "0.0", models "PNL", in EVERYWHERE, Effect::Works }
    /// Whether to answer sooner at the price of accuracy.
    low_latency: bool { Kind::Flag, default "false", models "NL", in EVERYWHERE, Effect::Pending(Harmless::Off) }
    /// Whether to favour shorter (negative) or longer (positive) strings of characters.
    character_insertion_bias: f64 {
        Kind::Number { least: -1.0, most: 1.0 }, default "0.0", models "NL", in EVERYWHERE,
        Effect::Pending(Harmless::Number(0.0)), refused "Character insertion bias must be a value between -1 and 1."
    }
    /// Whether to report when speech begins.
    speech_begin_event: bool { Kind::Flag, default "false", models "PNL", in NOT_METADATA, Effect::Works }
    /// How easily sound raises the event of `speech_begin_event`.
    speech_event_sensitivity: f64 { UNIT, default "0.5", models "PNL", in NOT_METADATA, Effect::Pending(Harmless::Number(0.5)) }
    /// Which speech detector to use.
    sad_module: i64 {
        Kind::Integer { least: 0, most: 2, except: None }, default "1", models "PNL", in NOT_METADATA,
        Effect::Pending(Harmless::Number(1.0))
    }
    /// What to expect: `date`, `alphanum`, `number`, `email`, `phonenumber`, `strict`.
    hints: Vec<String> { Kind::List { items: 6, longest: 32 }, default "none", models "NL", in NOT_METADATA, Effect::Pending(Harmless::None) }
    /// What to add to the transcript: `punctuation`.
    enrichments: Vec<String> {
        Kind::List { items: 8, longest: 32 }, default "none", models "PNL", in NOT_METADATA, Effect::Pending(Harmless::None)
    }
    /// A set of parameters to start from: `default` or `enhanced`.
    parameter_set: String {
        Kind::Text { longest: 32 }, default "`default`", models "L", in NOT_METADATA, Effect::Pending(Harmless::Text("default"))
    }
    /// Whether to find out the language.
    language_identification: bool { Kind::Flag, default "false", models "PNL", in NOT_METADATA, Effect::Pending(Harmless::Off) }
    /// Breadth of the search.
    max_active: String { Kind::Text { longest: 32 }, default "none", models "PNL", in NOT_METADATA, Effect::Pending(Harmless::None) }
    /// Whether words that leave no trace in the transcript are reported.
    include_transparent_words: bool {
        Kind::Flag, default "false", models "PNL", in NOT_METADATA, Effect::Pending(Harmless::Off)
    }
    /// Registered URL that is told what happens to the job.
    callback_url: String { Kind::Text { longest: 2048 }, default "none", models "PNL", in OF_JOBS, Effect::Works }
    /// What it is told: some of `recognitions.started`, `recognitions.completed` or `recognitions.completed_with_results`,
    /// `recognitions.failed`.
    events: Vec<String> {
        Kind::List { items: 16, longest: 64 }, default "`recognitions.started,recognitions.completed,recognitions.failed`",
        models "PNL", in OF_JOBS, Effect::Works
    }
    /// Text that comes back with what the URL is told, and in the list of jobs.
    user_token: String { Kind::Text { longest: 1024 }, default "none", models "PNL", in OF_JOBS, Effect::Works }
    /// Minutes for which the job is kept after its end.
    results_ttl: i64 {
        Kind::Integer { least: 1, most: i64::MAX, except: None }, default "10080, a week", models "PNL", in OF_JOBS, Effect::Works
    }
}

/// The entry of a parameter.
pub fn find(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

//! The JSON documents of the recognition and model routes (results.md, models.md), and what they are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use dictum_decoder::result::{Alternative, EndOfUtterance, Utterance, Word};
use dictum_models::ModelEntry;
use dictum_service::Progress;
use dictum_service::metrics::{AudioMetrics as Measured, Bin};
use schemars::JsonSchema;
use serde::Serialize;

use crate::parameters::plan::Show;

/// `SpeechRecognitionResults`: the answer to a request.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechRecognitionResults {
    /// One per utterance.
    pub results: Vec<SpeechRecognitionResult>,
    /// Always 0 where all results come at once.
    pub result_index: u32,
    /// When speech was first heard, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_begin_event: Option<SpeechBeginEvent>,
    /// How far processing has come, if asked for; never over HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_metrics: Option<ProcessingMetrics>,
    /// Measurements of the signal, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_metrics: Option<AudioMetrics>,
    /// What was odd about the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// When speech began.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechBeginEvent {
    /// Seconds from the start of the audio.
    pub begin: f64,
}

impl SpeechBeginEvent {
    /// Speech that began at so many seconds.
    pub fn new(at: f64) -> SpeechBeginEvent {
        SpeechBeginEvent { begin: round(at) }
    }
}

/// `SpeechRecognitionResult`: one utterance.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechRecognitionResult {
    /// Whether this is the last word about the utterance.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Readings, best first; never empty.
    pub alternatives: Vec<SpeechRecognitionAlternative>,
    /// Hits by keyword as the client wrote it; absent when nothing was found (REC-M5).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keywords_result: BTreeMap<String, Vec<KeywordResult>>,
    /// The confusion network, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_alternatives: Option<Vec<WordAlternativeResults>>,
    /// Why the utterance ended, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EndOfUtteranceSchema")]
    pub end_of_utterance: Option<EndOfUtterance>,
}

/// How the decoder's reasons read on the wire.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "EndOfUtterance")]
#[expect(dead_code, reason = "there for its schema")]
enum EndOfUtteranceSchema {
    EndOfData,
    FullStop,
    Reset,
    Silence,
}

/// `SpeechRecognitionAlternative`: one reading.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechRecognitionAlternative {
    /// Words, each followed by a space.
    pub transcript: String,
    /// Of the best alternative only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// `[word, start, end]`, of the best alternative, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Vec<(String, f64, f64)>>,
    /// `[word, confidence]`, of the best alternative, if asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_confidence: Option<Vec<(String, f64)>>,
}

/// `KeywordResult`: a place where a keyword was said.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KeywordResult {
    /// As it was recognised.
    pub normalized_text: String,
    /// Seconds.
    pub start_time: f64,
    /// Seconds.
    pub end_time: f64,
    /// At least the threshold.
    pub confidence: f64,
}

/// `WordAlternativeResults`: words that compete for a stretch of time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WordAlternativeResults {
    /// Seconds.
    pub start_time: f64,
    /// Seconds.
    pub end_time: f64,
    /// Most confident first.
    pub alternatives: Vec<WordAlternativeResult>,
}

/// `WordAlternativeResult`: one of the words.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WordAlternativeResult {
    /// At least the threshold.
    pub confidence: f64,
    /// The word.
    pub word: String,
}

/// Rounds to the two decimals of the wire.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Rounds a confidence; a value just outside of `0..=1` by rounding is brought back.
fn confidence(value: f32) -> f64 {
    round(f64::from(value)).clamp(0.0, 1.0)
}

/// The result of an utterance. `show` says which optional members it has.
pub fn result(utterance: &Utterance, show: &Show) -> SpeechRecognitionResult {
    let alternatives = utterance
        .alternatives
        .iter()
        .enumerate()
        .map(|(rank, reading)| alternative(reading, rank == 0, show))
        .collect();
    let mut keywords_result: BTreeMap<String, Vec<KeywordResult>> = BTreeMap::new();
    for hit in &utterance.keywords {
        let Some(keyword) = show.keywords.get(hit.keyword) else { continue };
        keywords_result.entry(keyword.clone()).or_default().push(KeywordResult {
            normalized_text: hit.normalized_text.clone(),
            start_time: round(hit.start),
            end_time: round(hit.end),
            confidence: confidence(hit.confidence),
        });
    }
    SpeechRecognitionResult {
        is_final: true,
        alternatives,
        keywords_result,
        word_alternatives: show.word_alternatives.map(|threshold| word_alternatives(utterance, threshold)),
        end_of_utterance: show.end_of_utterance.then_some(utterance.ended_by),
    }
}

/// What has been understood of an utterance that is still open (WS-R6): its text and, if asked for, its words' times.
pub fn interim_result(words: &[Word], show: &Show) -> SpeechRecognitionResult {
    let reading = SpeechRecognitionAlternative {
        transcript: transcript(words),
        confidence: None,
        timestamps: show.timestamps.then(|| words.iter().map(timestamp).collect()),
        word_confidence: None,
    };
    SpeechRecognitionResult {
        is_final: false,
        alternatives: vec![reading],
        keywords_result: BTreeMap::new(),
        word_alternatives: None,
        end_of_utterance: None,
    }
}

/// Words, each followed by a space.
fn transcript(words: &[Word]) -> String {
    words.iter().flat_map(|word| [word.text.as_str(), " "]).collect()
}

fn timestamp(word: &Word) -> (String, f64, f64) {
    (word.text.clone(), round(word.start), round(word.end))
}

fn alternative(reading: &Alternative, best: bool, show: &Show) -> SpeechRecognitionAlternative {
    let of_words = |wanted: bool| (best && wanted).then_some(&reading.words);
    let word_confidence = |word: &Word| (word.text.clone(), confidence(word.confidence));
    SpeechRecognitionAlternative {
        transcript: transcript(&reading.words),
        confidence: best.then(|| confidence(reading.confidence)),
        timestamps: of_words(show.timestamps).map(|words| words.iter().map(timestamp).collect()),
        word_confidence: of_words(show.word_confidence).map(|words| words.iter().map(word_confidence).collect()),
    }
}

fn word_alternatives(utterance: &Utterance, threshold: f64) -> Vec<WordAlternativeResults> {
    let slots = utterance.slots.iter().map(|slot| WordAlternativeResults {
        start_time: round(slot.start),
        end_time: round(slot.end),
        alternatives: slot
            .words
            .iter()
            .filter(|(_, posterior)| f64::from(*posterior) >= threshold)
            .map(|(word, posterior)| WordAlternativeResult { confidence: confidence(*posterior), word: word.clone() })
            .collect(),
    });
    slots.filter(|slot| !slot.alternatives.is_empty()).collect()
}

/// `AudioMetrics`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AudioMetrics {
    sampling_interval: f64,
    accumulated: AudioMetricsDetails,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct AudioMetricsDetails {
    #[serde(rename = "final")]
    is_final: bool,
    end_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal_to_noise_ratio: Option<f64>,
    speech_ratio: f64,
    high_frequency_loss: f64,
    direct_current_offset: Vec<HistogramBin>,
    clipping_rate: Vec<HistogramBin>,
    speech_level: Vec<HistogramBin>,
    non_speech_level: Vec<HistogramBin>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct HistogramBin {
    begin: f64,
    end: f64,
    count: u64,
}

impl From<Measured> for AudioMetrics {
    fn from(measured: Measured) -> Self {
        let round3 = |value: f64| (value * 1000.0).round() / 1000.0;
        let bins = |bins: Vec<Bin>| {
            bins.into_iter().map(|bin| HistogramBin { begin: bin.begin, end: bin.end, count: bin.count }).collect()
        };
        AudioMetrics {
            sampling_interval: measured.sampling_interval,
            accumulated: AudioMetricsDetails {
                is_final: true,
                end_time: round3(measured.end_time),
                signal_to_noise_ratio: measured.signal_to_noise_ratio.map(round3),
                speech_ratio: round3(measured.speech_ratio),
                high_frequency_loss: round3(measured.high_frequency_loss),
                direct_current_offset: bins(measured.direct_current_offset),
                clipping_rate: bins(measured.clipping_rate),
                speech_level: bins(measured.speech_level),
                non_speech_level: bins(measured.non_speech_level),
            },
        }
    }
}

/// `ProcessingMetrics`: how far a request has come (results.md section 7.1).
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProcessingMetrics {
    processed_audio: ProcessedAudio,
    wall_clock_since_first_byte_received: f64,
    periodic: bool,
}

/// Seconds of audio, each at most the one before.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct ProcessedAudio {
    received: f64,
    seen_by_engine: f64,
    transcription: f64,
}

impl ProcessingMetrics {
    /// The report of a request whose first byte came `elapsed` ago. `periodic`: it comes by itself, not with a result.
    pub fn new(progress: Progress, elapsed: Duration, periodic: bool) -> ProcessingMetrics {
        let received = round(progress.received_seconds);
        let seen_by_engine = round(progress.heard_seconds).min(received);
        let transcription = round(progress.recognised_seconds).min(seen_by_engine);
        ProcessingMetrics {
            processed_audio: ProcessedAudio { received, seen_by_engine, transcription },
            wall_clock_since_first_byte_received: round(elapsed.as_secs_f64()),
            periodic,
        }
    }
}

/// `SpeechModels`: the answer to `GET /v1/models`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechModels {
    /// Those that are installed.
    pub models: Vec<SpeechModel>,
}

/// `SpeechModel`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SpeechModel {
    name: String,
    language: String,
    rate: u32,
    url: String,
    supported_features: SupportedFeatures,
    description: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
struct SupportedFeatures {
    custom_language_model: bool,
    custom_acoustic_model: bool,
    /// `true` for every model, whatever a request may ask of it (models.md).
    speaker_labels: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    low_latency: Option<bool>,
}

impl SpeechModel {
    /// The document of a model on a server that clients reach at `base_url`.
    pub fn new(entry: &ModelEntry, base_url: &str) -> SpeechModel {
        let info = &entry.info;
        SpeechModel {
            name: info.name.clone(),
            language: info.language.clone(),
            rate: info.rate(),
            url: format!("{base_url}/v1/models/{}", info.name),
            supported_features: SupportedFeatures {
                custom_language_model: info.custom_language_model,
                custom_acoustic_model: info.custom_acoustic_model,
                speaker_labels: true,
                low_latency: info.low_latency,
            },
            description: info.description.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dictum_decoder::result::{KeywordHit, Slot};
    use serde_json::{Value, json};

    use super::*;

    fn word(text: &str, start: f64, end: f64, confidence: f32) -> Word {
        Word { text: text.to_owned(), start, end, confidence }
    }

    fn utterance() -> Utterance {
        let best = Alternative {
            words: vec![word("several", 1.0, 1.514_9, 0.999_9), word("tornadoes", 1.515_1, 2.156, 0.5)],
            confidence: 0.963_4,
        };
        let second = Alternative { words: vec![word("several", 1.0, 1.5, 0.9)], confidence: 0.2 };
        Utterance {
            start: 1.0,
            end: 2.156,
            alternatives: vec![best, second],
            slots: vec![
                Slot {
                    start: 1.0,
                    end: 1.51,
                    words: vec![("several".into(), 0.9), ("seven".into(), 0.05)],
                    skip: 0.05,
                },
                Slot { start: 1.51, end: 1.52, words: vec![("a".into(), 0.05)], skip: 0.95 },
            ],
            keywords: vec![
                KeywordHit {
                    keyword: 1,
                    normalized_text: "tornadoes".into(),
                    start: 1.515_1,
                    end: 2.156,
                    confidence: 0.91,
                },
                KeywordHit { keyword: 1, normalized_text: "tornado".into(), start: 3.0, end: 3.5, confidence: 0.6 },
            ],
            ended_by: EndOfUtterance::EndOfData,
        }
    }

    fn shown(show: &Show) -> Value {
        serde_json::to_value(result(&utterance(), show)).unwrap()
    }

    /// results.md sections 2, 3 and 10: what is there without asking
    #[test]
    fn bare_result() {
        assert_eq!(
            shown(&Show::default()),
            json!({
                "final": true,
                "alternatives": [
                    { "transcript": "several tornadoes ", "confidence": 0.96 },
                    { "transcript": "several " }
                ]
            })
        );
    }

    /// results.md section 3: best alternative only, two decimals
    #[test]
    fn word_times_and_confidences() {
        let value = shown(&Show { timestamps: true, word_confidence: true, ..Show::default() });
        assert_eq!(value["alternatives"][0]["timestamps"], json!([["several", 1.0, 1.51], ["tornadoes", 1.52, 2.16]]));
        assert_eq!(value["alternatives"][0]["word_confidence"], json!([["several", 1.0], ["tornadoes", 0.5]]));
        assert_eq!(value["alternatives"][1], json!({ "transcript": "several " }));
    }

    /// results.md section 4, RES-K2, REC-M5
    #[test]
    fn keywords() {
        let keywords = vec!["Colorado".to_owned(), "Tornadoes".to_owned()];
        let value = shown(&Show { keywords, ..Show::default() });
        assert_eq!(
            value["keywords_result"],
            json!({ "Tornadoes": [
                { "normalized_text": "tornadoes", "start_time": 1.52, "end_time": 2.16, "confidence": 0.91 },
                { "normalized_text": "tornado", "start_time": 3.0, "end_time": 3.5, "confidence": 0.6 }
            ] })
        );
        assert!(shown(&Show { keywords: vec!["x".into()], ..Show::default() }).get("keywords_result").is_none());
    }

    /// results.md section 5
    #[test]
    fn word_alternatives_from_the_threshold_up() {
        let value = shown(&Show { word_alternatives: Some(0.06), ..Show::default() });
        assert_eq!(
            value["word_alternatives"],
            json!([{ "start_time": 1.0, "end_time": 1.51, "alternatives": [{ "confidence": 0.9, "word": "several" }] }])
        );
        let all = shown(&Show { word_alternatives: Some(0.0), ..Show::default() });
        assert_eq!(all["word_alternatives"].as_array().unwrap().len(), 2);
    }

    /// WS-R6, WS-R16, results.md section 10
    #[test]
    fn interim_results_have_text_and_times_only() {
        let words = &utterance().alternatives[0].words;
        let everything = Show {
            timestamps: true,
            word_confidence: true,
            word_alternatives: Some(0.0),
            end_of_utterance: true,
            keywords: vec!["several".to_owned()],
            ..Show::default()
        };
        assert_eq!(
            serde_json::to_value(interim_result(words, &everything)).unwrap(),
            json!({ "final": false, "alternatives": [{
                "transcript": "several tornadoes ",
                "timestamps": [["several", 1.0, 1.51], ["tornadoes", 1.52, 2.16]]
            }] })
        );
        assert_eq!(
            serde_json::to_value(interim_result(words, &Show::default())).unwrap(),
            json!({ "final": false, "alternatives": [{ "transcript": "several tornadoes " }] })
        );
    }

    /// results.md 7.1: received >= seen_by_engine >= transcription
    #[test]
    fn processing_metrics_never_run_ahead_of_themselves() {
        let progress = Progress {
            received_seconds: 7.036,
            audio_seconds: 7.0,
            heard_seconds: 7.04,
            recognised_seconds: 0.49,
            behind: Duration::ZERO,
        };
        assert_eq!(
            serde_json::to_value(ProcessingMetrics::new(progress, Duration::from_millis(324), true)).unwrap(),
            json!({
                "processed_audio": { "received": 7.04, "seen_by_engine": 7.04, "transcription": 0.49 },
                "wall_clock_since_first_byte_received": 0.32,
                "periodic": true
            })
        );
    }

    #[test]
    fn end_of_utterance_is_in_the_words_of_the_contract() {
        assert_eq!(shown(&Show { end_of_utterance: true, ..Show::default() })["end_of_utterance"], "end_of_data");
        for (ended_by, text) in [
            (EndOfUtterance::FullStop, "full_stop"),
            (EndOfUtterance::Reset, "reset"),
            (EndOfUtterance::Silence, "silence"),
        ] {
            assert_eq!(serde_json::to_value(ended_by).unwrap(), text);
        }
    }

    #[test]
    fn optional_members_are_absent() {
        let empty = SpeechRecognitionResults {
            results: vec![],
            result_index: 0,
            speech_begin_event: None,
            processing_metrics: None,
            audio_metrics: None,
            warnings: vec![],
        };
        assert_eq!(serde_json::to_string(&empty).unwrap(), r#"{"results":[],"result_index":0}"#);
    }
}

//! What a session tells, gathered into one document: where all results come at once.

use dictum_decoder::result::Utterance;
use dictum_models::recogniser::Event;
use dictum_service::metrics::Measurements;
use dictum_service::session::Summary;

use crate::documents::{
    AudioMetrics, ProcessingMetrics, SpeechBeginEvent, SpeechRecognitionResult, SpeechRecognitionResults, result,
};
use crate::parameters::plan::Show;

/// The results of one or more recordings so far.
pub(crate) struct Transcript {
    show: Show,
    results: Vec<SpeechRecognitionResult>,
    speech_began: Option<f64>,
    measurements: Option<Measurements>,
}

impl Transcript {
    /// Nothing yet. `show` says what results will have.
    pub(crate) fn new(show: Show) -> Transcript {
        Transcript { show, results: Vec::new(), speech_began: None, measurements: None }
    }

    /// Results so far.
    pub(crate) fn len(&self) -> usize {
        self.results.len()
    }

    /// Adds an event.
    pub(crate) fn add(&mut self, event: &Event) {
        match event {
            Event::Utterance(utterance) => self.add_utterance(utterance),
            Event::SpeechBegin { at } => {
                self.speech_began.get_or_insert(*at);
            }
            // Only finals are told where all results come at once.
            Event::Interim(_) => {}
        }
    }

    fn add_utterance(&mut self, utterance: &Utterance) {
        self.results.push(result(utterance, &self.show));
    }

    /// Adds what was measured of a recording at its end.
    pub(crate) fn end_recording(&mut self, summary: Summary) {
        if let Some(measured) = summary.measurements {
            match &mut self.measurements {
                Some(measurements) => measurements.merge(measured),
                None => self.measurements = Some(measured),
            }
        }
    }

    /// The document.
    pub(crate) fn into_results(
        self,
        warnings: Vec<String>,
        processing_metrics: Option<ProcessingMetrics>,
    ) -> SpeechRecognitionResults {
        let begin = self.speech_began.filter(|_| self.show.speech_begin);
        SpeechRecognitionResults {
            results: self.results,
            result_index: 0,
            speech_begin_event: begin.map(SpeechBeginEvent::new),
            processing_metrics,
            audio_metrics: self.measurements.map(|measurements| AudioMetrics::from(measurements.metrics())),
            warnings,
        }
    }
}

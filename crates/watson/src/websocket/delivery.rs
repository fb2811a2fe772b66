//! Which messages a recognition's events become (websocket.md sections 5 and 7).

use dictum_decoder::result::{Utterance, Word};
use dictum_models::recogniser::Event;
use dictum_service::metrics::Measurements;

use super::messages::ServerMessage;
use crate::documents::{
    AudioMetrics, ProcessingMetrics, SpeechBeginEvent, SpeechRecognitionResult, SpeechRecognitionResults,
    interim_result, result,
};
use crate::parameters::plan::{Plan, Show};

/// The results of one request on their way to the client.
#[derive(Debug)]
pub(super) struct Delivery {
    show: Show,
    /// One message per result as soon as it is there (section 5.2), or all finals in one at the end (section 5.1).
    live: bool,
    /// Number of the utterance that is open or comes next (WS-R8).
    index: u32,
    /// Whether that utterance has been reported on before its end.
    announced: bool,
    /// Finals that wait for the end of the request: all of them, or the last for the audio metrics (section 5.5).
    kept: Vec<SpeechRecognitionResult>,
    /// What the client is told about its parameters, until it has been told.
    warnings: Vec<String>,
}

impl Delivery {
    /// For a request under `plan`, whose warnings are told with its first results.
    pub(super) fn new(plan: &Plan, warnings: Vec<String>) -> Delivery {
        Delivery {
            show: plan.show.clone(),
            live: plan.options.interim_results,
            index: 0,
            announced: false,
            kept: Vec::new(),
            warnings,
        }
    }

    /// What an event becomes. `complete`: the client has sent all audio, so that the next final may be the last.
    pub(super) fn event(
        &mut self,
        event: &Event,
        complete: bool,
        metrics: Option<ProcessingMetrics>,
    ) -> Vec<ServerMessage> {
        match event {
            Event::SpeechBegin { at } if self.show.speech_begin => {
                vec![ServerMessage::SpeechBegin { speech_begin_event: SpeechBeginEvent::new(*at) }]
            }
            Event::SpeechBegin { .. } => Vec::new(),
            Event::Interim(interim) if self.live => {
                let mut messages = self.release(metrics.clone());
                messages.push(self.interim(&interim.words, metrics));
                messages
            }
            Event::Interim(_) => Vec::new(),
            Event::Utterance(utterance) if self.live => self.live_final(utterance, complete, metrics),
            Event::Utterance(utterance) => {
                self.kept.push(result(utterance, &self.show));
                Vec::new()
            }
        }
    }

    /// The messages at the end of the request.
    pub(super) fn finish(
        &mut self,
        measured: Option<&Measurements>,
        metrics: Option<ProcessingMetrics>,
    ) -> Vec<ServerMessage> {
        let audio_metrics = measured.map(|measured| AudioMetrics::from(measured.metrics()));
        let results = std::mem::take(&mut self.kept);
        // WS-R1, WS-4: without interim results there is one object, whatever is in it; with them, only if there was none.
        if !self.live || !results.is_empty() || self.index == 0 {
            let index = if results.is_empty() || !self.live { 0 } else { self.index - 1 };
            let mut object = self.object(index, results, metrics);
            object.audio_metrics = audio_metrics;
            return vec![ServerMessage::Results(object)];
        }
        audio_metrics.map(|audio_metrics| ServerMessage::AudioMetrics { audio_metrics }).into_iter().collect()
    }

    fn live_final(
        &mut self,
        utterance: &Utterance,
        complete: bool,
        metrics: Option<ProcessingMetrics>,
    ) -> Vec<ServerMessage> {
        let mut messages = self.release(metrics.clone());
        // WS-R9. One utterance may become several results, and the recogniser knows only of its own end.
        if !self.announced
            && let Some(best) = utterance.alternatives.first()
        {
            messages.push(self.interim(&best.words, metrics.clone()));
        }
        let last = result(utterance, &self.show);
        let index = self.index;
        self.index += 1;
        self.announced = false;
        if complete && self.show.audio_metrics {
            self.kept.push(last);
        } else {
            messages.push(self.message(index, vec![last], metrics));
        }
        messages
    }

    /// The final that was kept for being the last, when it is not.
    fn release(&mut self, metrics: Option<ProcessingMetrics>) -> Vec<ServerMessage> {
        match self.kept.is_empty() {
            true => Vec::new(),
            false => {
                let kept = std::mem::take(&mut self.kept);
                vec![self.message(self.index - 1, kept, metrics)]
            }
        }
    }

    fn interim(&mut self, words: &[Word], metrics: Option<ProcessingMetrics>) -> ServerMessage {
        self.announced = true;
        let interim = interim_result(words, &self.show);
        self.message(self.index, vec![interim], metrics)
    }

    fn message(
        &mut self,
        index: u32,
        results: Vec<SpeechRecognitionResult>,
        metrics: Option<ProcessingMetrics>,
    ) -> ServerMessage {
        ServerMessage::Results(self.object(index, results, metrics))
    }

    fn object(
        &mut self,
        index: u32,
        results: Vec<SpeechRecognitionResult>,
        processing_metrics: Option<ProcessingMetrics>,
    ) -> SpeechRecognitionResults {
        SpeechRecognitionResults {
            results,
            result_index: index,
            speech_begin_event: None,
            processing_metrics,
            audio_metrics: None,
            warnings: std::mem::take(&mut self.warnings),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dictum_decoder::result::{Alternative, EndOfUtterance, Interim};
    use dictum_models::recogniser::Options;
    use dictum_service::Progress;
    use serde_json::{Value, json};

    use super::*;

    fn words(text: &str) -> Vec<Word> {
        let word = |text: &str| Word { text: text.to_owned(), start: 0.0, end: 1.0, confidence: 0.5 };
        text.split(' ').map(word).collect()
    }

    fn interim(text: &str) -> Event {
        Event::Interim(Interim { words: words(text) })
    }

    fn utterance(text: &str) -> Event {
        Event::Utterance(Utterance {
            start: 0.0,
            end: 1.0,
            alternatives: vec![Alternative { words: words(text), confidence: 0.5 }],
            slots: vec![],
            keywords: vec![],
            ended_by: EndOfUtterance::Silence,
        })
    }

    fn plan(interim_results: bool) -> Plan {
        Plan {
            options: Options { interim_results, ..Options::default() },
            inactivity_timeout: None,
            processing_metrics: None,
            show: Show { audio_metrics: true, ..Show::default() },
            customization: None,
            warnings: vec![],
        }
    }

    /// `INDEX:TEXT` of an interim result, `INDEX=TEXT` of a final one, results joined by `+`, `*` where there are audio metrics,
    /// `?` where there are warnings.
    fn brief(message: &ServerMessage) -> String {
        let json: Value = serde_json::from_str(&message.text()).unwrap();
        let mark = |name: &str, mark: &str| if json.get(name).is_some() { mark.to_owned() } else { String::new() };
        let marks = mark("audio_metrics", "*") + &mark("warnings", "?");
        let Some(results) = json["results"].as_array() else { return marks };
        let results: Vec<String> = results
            .iter()
            .map(|result| {
                let sign = if result["final"] == true { "=" } else { ":" };
                format!("{sign}{}", result["alternatives"][0]["transcript"].as_str().unwrap().trim_end())
            })
            .collect();
        format!("{}{}{marks}", json["result_index"], results.join("+"))
    }

    fn measured() -> Option<Measurements> {
        Some(Measurements::default())
    }

    /// What events become; `complete` from the event of this number on.
    fn run(plan: &Plan, warnings: &[&str], events: &[Event], complete: usize) -> Vec<String> {
        let mut delivery = Delivery::new(plan, warnings.iter().map(|&text| text.to_owned()).collect());
        let mut messages = Vec::new();
        for (number, event) in events.iter().enumerate() {
            messages.extend(delivery.event(event, number >= complete, None));
        }
        messages.extend(delivery.finish(if plan.show.audio_metrics { measured() } else { None }.as_ref(), None));
        messages.iter().map(brief).collect()
    }

    /// WS-R1, WS-R2, WS-R18, WS-4
    #[test]
    fn without_interim_results_there_is_one_object() {
        let events = [Event::SpeechBegin { at: 0.5 }, utterance("one two"), utterance("three")];
        assert_eq!(run(&plan(false), &["odd"], &events, 0), ["0=one two+=three*?"]);
        assert_eq!(run(&plan(false), &[], &[], 0), ["0*"]);
    }

    /// WS-R5 to WS-R10
    #[test]
    fn with_interim_results_each_result_is_a_message() {
        let events = [
            Event::SpeechBegin { at: 0.5 },
            interim("one"),
            interim("one too"),
            utterance("one two"),
            interim("three"),
            utterance("three four"),
        ];
        let quiet = Plan { show: Show::default(), ..plan(true) };
        let expected = ["0:one?", "0:one too", "0=one two", "1:three", "1=three four"];
        assert_eq!(run(&quiet, &["odd"], &events, 4), expected);
        assert_eq!(run(&quiet, &[], &[interim("uh")], 0), ["0:uh", "0"], "WS-4: nothing came of it");
    }

    /// WS-R9: one utterance of the recogniser may become several results
    #[test]
    fn each_final_has_an_interim_before_it() {
        let events = [interim("a b"), utterance("a"), utterance("b")];
        let quiet = Plan { show: Show::default(), ..plan(true) };
        assert_eq!(run(&quiet, &[], &events, 9), ["0:a b", "0=a", "1:b", "1=b"]);
    }

    /// websocket.md 5.5
    #[test]
    fn audio_metrics_come_once_and_with_the_last_final_when_they_can() {
        let events = [interim("a"), utterance("a"), interim("b"), utterance("b"), interim("c"), utterance("c")];
        let last = ["0:a", "0=a", "1:b", "1=b", "2:c", "2=c*"];
        for complete in [0, 3, 5] {
            assert_eq!(run(&plan(true), &[], &events, complete), last, "{complete}");
        }
        let alone = ["0:a", "0=a", "1:b", "1=b", "2:c", "2=c", "*"];
        assert_eq!(run(&plan(true), &[], &events, 6), alone, "the last final was out when the client stopped");
        assert_eq!(run(&plan(true), &[], &[], 0), ["0*"]);
    }

    /// websocket.md section 7, SDK-17
    #[test]
    fn speech_begin_is_a_message_of_its_own_when_asked_for() {
        let mut asked = plan(false);
        asked.show.speech_begin = true;
        let mut delivery = Delivery::new(&asked, vec![]);
        let messages = delivery.event(&Event::SpeechBegin { at: 2.504 }, false, None);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].text(), json!({ "speech_begin_event": { "begin": 2.5 } }).to_string());
        assert_eq!(Delivery::new(&plan(false), vec![]).event(&Event::SpeechBegin { at: 2.5 }, false, None), []);
    }

    /// WS-R4, websocket.md 5.4
    #[test]
    fn processing_metrics_are_on_every_results_message() {
        let metrics = || Some(ProcessingMetrics::new(Progress::default(), Duration::ZERO, false));
        let mut delivery = Delivery::new(&plan(true), vec![]);
        let mut messages = delivery.event(&utterance("a"), true, metrics());
        messages.extend(delivery.finish(measured().as_ref(), metrics()));
        assert_eq!(messages.len(), 2, "an interim, and the final that was kept");
        for message in messages {
            let json: Value = serde_json::from_str(&message.text()).unwrap();
            assert_eq!(json["processing_metrics"]["periodic"], false, "{json}");
        }
    }
}

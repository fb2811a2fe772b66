//! Transcripts in the formats people and programs read.

use std::fmt::Write;
use std::path::Path;

use dictum_decoder::result::{Utterance, Word};
use serde::Serialize;

use crate::args::Format;

/// Longest subtitle, characters: two lines of the usual 42.
const CUE_CHARACTERS: usize = 84;
/// Longest subtitle, seconds.
const CUE_SECONDS: f64 = 6.0;
/// Longest line of a subtitle, characters.
const LINE_CHARACTERS: usize = 42;

/// What was recognised in one file.
#[derive(Debug, Serialize)]
pub struct Transcript {
    /// The file, as given.
    pub path: String,
    /// The model.
    pub model: String,
    /// Length of the audio, seconds.
    pub audio_seconds: f64,
    /// All words, without hesitations.
    pub transcript: String,
    /// The utterances, in order.
    pub utterances: Vec<Utterance>,
}

impl Transcript {
    /// Puts the utterances of a file together.
    pub fn new(path: &Path, model: &str, audio_seconds: f64, utterances: Vec<Utterance>) -> Transcript {
        Transcript {
            path: path.display().to_string(),
            model: model.to_owned(),
            audio_seconds,
            transcript: spoken(&utterances),
            utterances,
        }
    }

    /// The transcript in `format`. `heading`: whether a text transcript says which file it is of.
    pub fn render(&self, format: Format, heading: bool) -> String {
        match format {
            Format::Text => self.text(heading),
            Format::Tsv => format!("{}\t{}\n", one_field(&self.path), self.transcript),
            Format::Json => serde_json::to_string(self).unwrap_or_default() + "\n",
            Format::Srt => self.subtitles("", ','),
            Format::Vtt => self.subtitles("WEBVTT\n\n", '.'),
            Format::Ctm => self.ctm(),
        }
    }

    fn text(&self, heading: bool) -> String {
        let mut text = if heading { format!("{}:\n", self.path) } else { String::new() };
        for utterance in &self.utterances {
            let line = spoken(std::slice::from_ref(utterance));
            if !line.is_empty() {
                text += &line;
                text.push('\n');
            }
        }
        if heading {
            text.push('\n');
        }
        text
    }

    fn subtitles(&self, header: &str, decimal: char) -> String {
        let mut text = header.to_owned();
        let cues = self.utterances.iter().flat_map(|utterance| cues(best_words(utterance)));
        for (number, cue) in cues.enumerate() {
            let (Some(first), Some(last)) = (cue.first(), cue.last()) else { continue };
            let (start, end) = (clock(first.start, decimal), clock(last.end, decimal));
            let _ = write!(text, "{}\n{start} --> {end}\n{}\n\n", number + 1, wrap(&cue));
        }
        text
    }

    fn ctm(&self) -> String {
        let path = Path::new(&self.path);
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().replace(char::is_whitespace, "_");
        let mut text = String::new();
        for word in self.utterances.iter().flat_map(best_words) {
            let (start, duration) = (word.start, word.end - word.start);
            let _ = writeln!(text, "{name} 1 {start:.2} {duration:.2} {} {:.3}", word.text, word.confidence);
        }
        text
    }
}

/// The best reading's words, without hesitations.
pub fn best_words(utterance: &Utterance) -> Vec<&Word> {
    let words = utterance.alternatives.first().map(|best| best.words.as_slice()).unwrap_or_default();
    words.iter().filter(|word| !word.text.starts_with('%')).collect()
}

/// The words of the best readings, joined by single spaces.
pub fn spoken(utterances: &[Utterance]) -> String {
    utterances.iter().flat_map(best_words).map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// A path as a field of a tab-separated line.
fn one_field(path: &str) -> String {
    path.replace(['\t', '\n', '\r'], " ")
}

/// Words in groups short enough to be read as one subtitle.
fn cues(words: Vec<&Word>) -> Vec<Vec<&Word>> {
    let mut cues: Vec<Vec<&Word>> = Vec::new();
    let mut characters = 0;
    for word in words {
        let length = word.text.chars().count();
        match cues.last_mut() {
            Some(cue) if characters + 1 + length <= CUE_CHARACTERS && word.end - cue[0].start <= CUE_SECONDS => {
                characters += 1 + length;
                cue.push(word);
            }
            _ => {
                characters = length;
                cues.push(vec![word]);
            }
        }
    }
    cues
}

/// The words on lines of at most [`LINE_CHARACTERS`], where words allow it.
fn wrap(words: &[&Word]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in words {
        let length = word.text.chars().count();
        if column > 0 && column + 1 + length > LINE_CHARACTERS {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += &word.text;
        column += length;
    }
    text
}

/// `HH:MM:SS,mmm`
fn clock(seconds: f64, decimal: char) -> String {
    let milliseconds = (seconds.max(0.0) * 1000.0).round() as u64;
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    format!("{:02}:{:02}:{:02}{decimal}{:03}", minutes / 60, minutes % 60, rest / 1000, rest % 1000)
}

#[cfg(test)]
mod tests {
    use dictum_decoder::result::{Alternative, EndOfUtterance};

    use super::*;

    fn utterance(words: &[(&str, f64, f64)]) -> Utterance {
        let words = words.iter().map(|(text, start, end)| Word {
            text: (*text).to_owned(),
            start: *start,
            end: *end,
            confidence: 0.5,
        });
        let words: Vec<_> = words.collect();
        Utterance {
            start: words[0].start,
            end: words[words.len() - 1].end,
            alternatives: vec![Alternative { words, confidence: 0.5 }],
            slots: Vec::new(),
            keywords: Vec::new(),
            ended_by: EndOfUtterance::EndOfData,
        }
    }

    fn transcript() -> Transcript {
        let first =
            utterance(&[("seven", 0.5, 0.9), ("%HESITATION", 0.9, 1.2), ("of", 1.2, 1.3), ("clubs", 1.3, 1.75)]);
        let second = utterance(&[("queen", 3600.0, 3601.0)]);
        Transcript::new(Path::new("a dir/my card.wav"), "en-US_BroadbandModel", 3602.0, vec![first, second])
    }

    #[test]
    fn plain_formats() {
        let transcript = transcript();
        assert_eq!(transcript.render(Format::Text, false), "seven of clubs\nqueen\n");
        assert_eq!(transcript.render(Format::Text, true), "a dir/my card.wav:\nseven of clubs\nqueen\n\n");
        assert_eq!(transcript.render(Format::Tsv, true), "a dir/my card.wav\tseven of clubs queen\n");
        let json: serde_json::Value = serde_json::from_str(&transcript.render(Format::Json, false)).unwrap();
        assert_eq!(json["transcript"], "seven of clubs queen");
        assert_eq!(json["utterances"][0]["alternatives"][0]["words"][1]["text"], "%HESITATION");
        assert_eq!(json["utterances"][1]["ended_by"], "end_of_data");
    }

    #[test]
    fn timed_formats() {
        let transcript = transcript();
        assert_eq!(
            transcript.render(Format::Srt, false),
            "1\n00:00:00,500 --> 00:00:01,750\nseven of clubs\n\n2\n01:00:00,000 --> 01:00:01,000\nqueen\n\n"
        );
        assert!(transcript.render(Format::Vtt, false).starts_with("WEBVTT\n\n1\n00:00:00.500 --> 00:00:01.750\n"));
        assert_eq!(
            transcript.render(Format::Ctm, false),
            "my_card 1 0.50 0.40 seven 0.500\nmy_card 1 1.20 0.10 of 0.500\nmy_card 1 1.30 0.45 clubs 0.500\n\
             my_card 1 3600.00 1.00 queen 0.500\n"
        );
    }

    #[test]
    fn subtitles_stay_readable() {
        let words: Vec<_> =
            (0..60).map(|at| ("international", f64::from(at) * 0.5, f64::from(at) * 0.5 + 0.5)).collect();
        let utterance = utterance(&words);
        let cues = cues(best_words(&utterance));
        assert_eq!(cues.iter().map(Vec::len).sum::<usize>(), 60);
        for cue in cues {
            assert!(cue[cue.len() - 1].end - cue[0].start <= CUE_SECONDS);
            let text = wrap(&cue);
            assert!(text.lines().count() <= 2 && text.lines().all(|line| line.len() <= LINE_CHARACTERS), "{text}");
        }
    }

    #[test]
    fn nothing_said() {
        let silent = Transcript::new(Path::new("a.wav"), "m", 1.0, Vec::new());
        assert_eq!(silent.render(Format::Text, false), "");
        assert_eq!(silent.render(Format::Tsv, false), "a.wav\t\n");
        assert_eq!(silent.render(Format::Vtt, false), "WEBVTT\n\n");
    }
}

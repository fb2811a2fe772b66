//! Words as people write them down: a file with a word on each line, or an argument.

use std::path::Path;

use serde_json::{Map, Value};

use crate::failure::Failure;

/// A word that is to be added (corpora-words-grammars.md section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub word: String,
    /// How it sounds; empty: as it is spelt.
    pub sounds_like: Vec<String>,
    /// How transcripts write it, if not so.
    pub display_as: Option<String>,
}

impl Word {
    /// `WORD` or `WORD=SOUND|SOUND`.
    pub fn of_argument(text: &str) -> Result<Word, Failure> {
        let (word, sounds) = text.split_once('=').unwrap_or((text, ""));
        let word = word.trim();
        if word.is_empty() {
            return Err(Failure::usage(format!("--word {text:?} has no word; it is WORD or WORD=SOUND|SOUND")));
        }
        Ok(Word { word: word.to_owned(), sounds_like: sounds_of(sounds), display_as: None })
    }

    /// A line: word, tab, sounds, tab, display form. The latter two may be missing or empty. `None`: an empty line.
    fn of_line(line: &str) -> Result<Option<Word>, &'static str> {
        let columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        match columns[..] {
            [] | [""] => Ok(None),
            ["", ..] => Err("there is no word before the first tab"),
            [_, _, _, _, ..] => Err("there are more than three columns (word, tab, sounds, tab, display form)"),
            [word, ..] => Ok(Some(Word {
                word: word.to_owned(),
                sounds_like: columns.get(1).map(|sounds| sounds_of(sounds)).unwrap_or_default(),
                display_as: columns.get(2).filter(|form| !form.is_empty()).map(|form| (*form).to_owned()),
            })),
        }
    }

    /// The word as a request has it.
    pub fn document(&self) -> Value {
        let mut document = Map::new();
        document.insert("word".to_owned(), self.word.clone().into());
        if !self.sounds_like.is_empty() {
            document.insert("sounds_like".to_owned(), self.sounds_like.clone().into());
        }
        document.extend(self.display_as.clone().map(|form| ("display_as".to_owned(), form.into())));
        document.into()
    }
}

fn sounds_of(text: &str) -> Vec<String> {
    text.split('|').map(str::trim).filter(|sound| !sound.is_empty()).map(str::to_owned).collect()
}

/// The words of a file.
pub fn read(path: &Path) -> Result<Vec<Word>, Failure> {
    let problem = |problem: String| Failure::new(format!("{}: {problem}", path.display()));
    let bytes =
        std::fs::read(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        problem(format!("line {line} is not UTF-8 text"))
    })?;
    let mut words = Vec::new();
    // Some editors begin a file with a mark.
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        words.extend(Word::of_line(line).map_err(|why| problem(format!("line {}: {why}", at + 1)))?);
    }
    if words.is_empty() {
        return Err(problem("there are no words in it".to_owned()));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(text: &[u8]) -> Result<Vec<Value>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("words.txt");
        std::fs::write(&path, text).unwrap();
        let words = read(&path).map_err(|failure| failure.to_string())?;
        Ok(words.iter().map(Word::document).collect())
    }

    #[test]
    fn lines_have_up_to_three_columns() {
        let text =
            "\u{feff}HHonors\thilton honors | H. honors\tHHonors\r\n\nIEEE\tI. triple E.\nDictum\nNCAA\t\tN.C.A.A.\n";
        let expected = [
            json!({"word": "HHonors", "sounds_like": ["hilton honors", "H. honors"], "display_as": "HHonors"}),
            json!({"word": "IEEE", "sounds_like": ["I. triple E."]}),
            json!({"word": "Dictum"}),
            json!({"word": "NCAA", "display_as": "N.C.A.A."}),
        ];
        assert_eq!(words(text.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        assert!(words(b"one\n\ttwo\n").unwrap_err().ends_with("line 2: there is no word before the first tab"));
        assert!(words(b"one\na\tb\tc\td\n").unwrap_err().contains("line 2: there are more than three columns"));
        assert!(words(b"one\ntwo\n\xff\xfe\n").unwrap_err().ends_with("line 3 is not UTF-8 text"));
        assert!(words(b"\n\n").unwrap_err().ends_with("there are no words in it"));
    }

    #[test]
    fn arguments_have_sounds_after_an_equals_sign() {
        let word = Word::of_argument("HHonors=hilton honors|H. honors").unwrap();
        assert_eq!(word.document(), json!({"word": "HHonors", "sounds_like": ["hilton honors", "H. honors"]}));
        assert_eq!(Word::of_argument("Dictum").unwrap().document(), json!({"word": "Dictum"}));
        assert!(Word::of_argument("=so").is_err());
    }
}

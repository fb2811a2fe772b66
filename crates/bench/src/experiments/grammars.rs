//! Grammars: what is of them, and what is not.

use std::sync::Arc;

use dictum_language::Grammar;
use dictum_language::scoring::align;
use dictum_models::grammar::{GrammarNetwork, GrammarWord};
use dictum_models::recogniser::Recogniser;

use crate::Failure;
use crate::clips::Clip;
use crate::teacher::{Teacher, hear_with_confidence};

/// Digit strings of any length.
const DIGITS: &str = "#ABNF 1.0 UTF-8; language en-US; root $digits; $digits = $digit <1->; \
    $digit = zero | oh | one | two | three | four | five | six | seven | eight | nine;";

/// One or several cards, as in a game.
const CARDS: &str = "#ABNF 1.0 UTF-8; language en-US; root $cards; $cards = $card <1->; $card = [the] $rank of $suit; \
    $rank = ace | two | three | four | five | six | seven | eight | nine | ten | jack | queen | king; \
    $suit = clubs | diamonds | hearts | spades;";

/// The shortest.
const YES_NO: &str = "#ABNF 1.0 UTF-8; language en-US; root $answer; $answer = yes [please] | no [thanks];";

/// A room that listens.
const COMMANDS: &str = "#ABNF 1.0 UTF-8; language en-US; root $command; $command = turn (on | off) the $thing | \
    (open | close) the $door | play some music | stop | set the temperature to $number degrees | what time is it; \
    $thing = light | lights | radio | heating | television; $door = door | window | garage; \
    $number = eighteen | nineteen | twenty | twenty one | twenty two;";

/// What came of one grammar.
struct Outcome {
    name: &'static str,
    /// Recordings of phrases of the grammar, their words and the errors among them.
    clips: usize,
    words: usize,
    errors: usize,
    /// Of them, without a result or with a confidence under one half.
    doubted: usize,
    /// Recordings of other speech, and how many of them had a result with a confidence of one half or more.
    others: usize,
    believed: usize,
}

/// Runs the experiment: recordings of phrases of a grammar with it, and every `every`th of all others.
pub fn run(teacher: &Teacher, clips: &[Clip], every: usize) -> Result<String, Failure> {
    let mut outcomes = Vec::new();
    for (name, text) in [("digits", DIGITS), ("cards", CARDS), ("yes or no", YES_NO), ("commands", COMMANDS)] {
        let grammar = Arc::new(Grammar::parse_abnf(text.as_bytes())?);
        let say = |word: &str| GrammarWord { pronunciations: teacher.pronounce(word), display_as: None };
        let network = GrammarNetwork::new(&teacher.base, Arc::clone(&grammar), &say);
        let recogniser = teacher.base.with_grammar(&network);
        let mut outcome = Outcome { name, clips: 0, words: 0, errors: 0, doubted: 0, others: 0, believed: 0 };
        for (number, clip) in clips.iter().enumerate() {
            let inside = grammar.accepts(&clip.reference.join(" "));
            if !inside && !number.is_multiple_of(every) {
                continue;
            }
            one(&recogniser, clip, inside, &mut outcome)?;
        }
        outcomes.push(outcome);
    }
    Ok(table(&outcomes))
}

/// A table as the documents have it.
fn table(outcomes: &[Outcome]) -> String {
    let mut text = "| grammar | of it: clips | word errors | doubted | other speech: clips | believed |\n\
                    |---|---|---|---|---|---|\n"
        .to_owned();
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
    for outcome in outcomes {
        text += &format!(
            "| {} | {} | {} of {} ({:.1} %) | {} | {} | {} ({:.1} %) |\n",
            outcome.name,
            outcome.clips,
            outcome.errors,
            outcome.words,
            percent(outcome.errors, outcome.words),
            outcome.doubted,
            outcome.others,
            outcome.believed,
            percent(outcome.believed, outcome.others)
        );
    }
    text
}

fn one(recogniser: &Arc<Recogniser>, clip: &Clip, inside: bool, outcome: &mut Outcome) -> Result<(), Failure> {
    let (words, confidence) = hear_with_confidence(recogniser, &clip.samples()?);
    let believed = !words.is_empty() && confidence >= 0.5;
    if inside {
        outcome.clips += 1;
        outcome.words += clip.reference.len();
        outcome.errors += align(&clip.reference, &words).errors().total();
        outcome.doubted += usize::from(!believed);
    } else {
        outcome.others += 1;
        outcome.believed += usize::from(believed);
    }
    Ok(())
}

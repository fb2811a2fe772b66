//! Words as they are said: acronyms letter by letter, numbers as words, compounds in parts.

use crate::spoken::{spoken_form, spoken_in_pairs};

use super::sounds_like::{SoundsLike, fold};

/// Capitals that are still read as an acronym; more are a word that somebody shouts.
const LONGEST_ACRONYM: usize = 6;
/// Endings that are written in small letters after an acronym.
const ENDINGS: [&str; 7] = ["'s", "s", "es", "er", "ers", "ed", "ing"];
/// Beginnings of names that stay with what follows, though it has a capital.
const NAME_BEGINNINGS: [&str; 8] = ["Mc", "Mac", "De", "Di", "La", "Le", "Van", "Von"];

/// Whether a word has a capital inside, so that it may be said in parts though the dictionary, which knows no case, has
/// it: `US`, `SpaceX`.
pub(super) fn has_inner_capital(word: &str) -> bool {
    word.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
}

/// The texts, in the notation of `sounds_like`, that a word may be read as: the likeliest first.
pub(super) fn readings(word: &str, rules: SoundsLike) -> Vec<String> {
    let mut texts = readings_of(&spoken_form(word), rules);
    // "FY2024": said as one number, or in pairs.
    if let Some(text) = spoken_in_pairs(word).and_then(|spoken| readings_of(&spoken, rules).into_iter().next()) {
        texts.insert(1.min(texts.len()), text);
    }
    texts
}

/// The readings of a word whose numbers are spelt out.
fn readings_of(spoken: &str, rules: SoundsLike) -> Vec<String> {
    // Whatever is not a letter parts words.
    let folded = fold(&spoken.replace(|c: char| !(c.is_alphanumeric() || is_apostrophe(c) || is_mark(c)), " "));
    let parts = folded.split([' ', '-', '.']).flat_map(|run| split_case(run.trim_matches('\'')));
    // All parts by their first reading; and one text more for each other reading that a part has.
    let said = parts.filter(|(part, _)| part.contains(|c: char| c.is_ascii_alphabetic()));
    let options: Vec<Vec<String>> = said.map(|(part, ending)| part_readings(part, ending, rules)).collect();
    let most = options.iter().map(Vec::len).max().unwrap_or(0);
    let mut texts: Vec<String> = Vec::new();
    for reading in 0..most {
        let chosen: Vec<&str> = options.iter().map(|part| part[reading.min(part.len() - 1)].as_str()).collect();
        let text = chosen.join(" ");
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    // A name with a capital inside may also be one word: "LaToya".
    let one_word = folded.bytes().all(|byte| byte.is_ascii_alphabetic());
    if options.len() > 1
        && one_word
        && !folded.as_bytes().windows(2).any(|pair| pair.iter().all(u8::is_ascii_uppercase))
    {
        texts.push(folded.to_ascii_lowercase());
    }
    texts
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// Combining accents belong to the letter before them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}')
}

/// Cuts a run of letters where its case says that another word begins: `iPhone`, `YouTube`, `HHonors`. With each part,
/// the ending of an acronym.
fn split_case(run: &str) -> Vec<(&str, &str)> {
    let bytes = run.as_bytes();
    if let Some(at) = acronym_with_ending(run) {
        return vec![run.split_at(at)];
    }
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..bytes.len() {
        let upper = bytes[at].is_ascii_uppercase();
        let after_lower = bytes[at - 1].is_ascii_lowercase();
        let before_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
        let begins = upper && (after_lower || (bytes[at - 1].is_ascii_uppercase() && before_lower));
        if begins && !NAME_BEGINNINGS.contains(&&run[start..at]) {
            parts.push((&run[start..at], ""));
            start = at;
        }
    }
    parts.push((&run[start..], ""));
    parts
}

/// Where the ending begins, if a run is an acronym with one: `IBMers`, `CEOs`, `NASA's`.
fn acronym_with_ending(run: &str) -> Option<usize> {
    let capitals = run.bytes().take_while(u8::is_ascii_uppercase).count();
    (capitals >= 2 && ENDINGS.contains(&&run[capitals..])).then_some(capitals)
}

fn part_readings(part: &str, ending: &str, rules: SoundsLike) -> Vec<String> {
    let capitals = part.bytes().all(|byte| byte.is_ascii_uppercase());
    // A capital Y does not make an acronym a word.
    let vowels = part.bytes().any(|byte| b"aeiouAEIOUy".contains(&byte));
    let word = format!("{}{ending}", part.to_ascii_lowercase());
    match part.len() {
        1 => vec![letters(part, ending, rules)],
        2..=LONGEST_ACRONYM if !part.contains('\'') && (capitals || !vowels) => {
            let mut readings = vec![letters(part, ending, rules)];
            // "NASA" is a word, "IEEE" is not: nobody can tell by the spelling.
            if vowels {
                readings.push(word);
            }
            readings
        }
        _ => vec![word],
    }
}

/// A part by the names of its letters; the last takes the ending.
fn letters(part: &str, ending: &str, rules: SoundsLike) -> String {
    let names = part.chars().filter(char::is_ascii_alphabetic).map(|c| rules.letter(c));
    let text = names.collect::<Vec<String>>().join(" ");
    match ending {
        "" => text,
        "s" | "'s" => format!("{text}'s"),
        _ => format!("{text} {ending}"),
    }
}

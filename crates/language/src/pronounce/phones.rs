//! Words as phones: by the dictionary, by what the user says they sound like, and else by their spelling.
//!
//! Everything goes through one path. A word without `sounds_like` is first *spelt out* ([`spell_out`]): as a text
//! of ordinary words, letters said one by one and numbers as words, in the very notation of `sounds_like`. That text is
//! read token by token: a token is a letter name, a word of the dictionary with all its alternates, or else is converted
//! by [`G2p`].

use std::sync::Arc;

use crate::dictionary::{Dictionary, Pronunciation};
use crate::g2p::G2p;

use super::sounds_like::{SoundsLike, SoundsLikeError, Token, tokens};
use super::{MOST_PRONUNCIATIONS, spell_out};

/// Most phones of a pronunciation: more than any word has, about four seconds of speech.
pub const MOST_PHONES: usize = 64;
/// Pronunciations that are tried of a word that the dictionary lacks.
const MOST_CONVERTED: usize = 3;
/// Share of the likeliest conversion that another must have to be tried as well.
const LEAST_SHARE: f32 = 0.2;
/// Pronunciations of one token that are combined with those of its neighbours.
const MOST_OF_TOKEN: usize = 4;

/// Finds pronunciations, as phones of its dictionary.
///
/// ```no_run
/// # use std::sync::Arc;
/// use dictum_language::{Dictionary, G2p, PhonePronouncer, SoundsLike};
/// let dictionary = Arc::new(Dictionary::open("cmudict-en-us.dict")?);
/// let pronouncer = PhonePronouncer::new(dictionary, G2p::en_us(), SoundsLike::English);
/// for pronunciation in pronouncer.sounds_like("I. triple E.")? {
///     println!("{}", pronouncer.names(&pronunciation).join(" ")); // AY T R IH P AH L IY
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct PhonePronouncer {
    dictionary: Arc<Dictionary>,
    g2p: Arc<G2p>,
    /// Phone of the dictionary, by phone of the converter.
    phone_of: Vec<Option<u8>>,
    rules: SoundsLike,
}

impl PhonePronouncer {
    /// A pronouncer of a language whose dictionary and converter use the same names of phones.
    pub fn new(dictionary: Arc<Dictionary>, g2p: Arc<G2p>, rules: SoundsLike) -> Self {
        let phone_of = g2p.phones().iter().map(|name| phone(&dictionary, name)).collect();
        PhonePronouncer { dictionary, g2p, phone_of, rules }
    }

    /// The names of the phones; pronunciations index this table.
    pub fn phones(&self) -> &[String] {
        self.dictionary.phones()
    }

    /// The notation of `sounds_like`.
    pub fn rules(&self) -> SoundsLike {
        self.rules
    }

    /// A pronunciation, as names of phones.
    pub fn names(&self, pronunciation: &Pronunciation) -> Vec<&str> {
        pronunciation.iter().map(|&phone| self.phones()[usize::from(phone)].as_str()).collect()
    }

    /// What a `sounds_like` text says: up to [`MOST_PRONUNCIATIONS`], the likeliest first, all different.
    ///
    /// # Errors
    /// When the text breaks the rules of the language ([`SoundsLike::check`]), or nothing of it can be said.
    pub fn sounds_like(&self, text: &str) -> Result<Vec<Pronunciation>, SoundsLikeError> {
        self.rules.check(text)?;
        let found = self.read(text);
        if found.is_empty() { Err(SoundsLikeError::Unpronounceable { text: text.to_owned() }) } else { Ok(found) }
    }

    /// How a word is said that comes without `sounds_like`: up to [`MOST_PRONUNCIATIONS`], the likeliest first, all
    /// different. None when its spelling tells nothing: no letters or digits of a Latin alphabet.
    pub fn pronounce(&self, word: &str) -> Vec<Pronunciation> {
        let mut found: Vec<Pronunciation> = self.dictionary.pronunciations(word).to_vec();
        if !found.is_empty() && !spell_out::has_inner_capital(word) {
            found.truncate(MOST_PRONUNCIATIONS);
            return found;
        }
        // The first of each reading, then the second of each: none crowds out another by its alternates.
        let texts = spell_out::readings(word, self.rules);
        let mut readings: Vec<_> = texts.iter().map(|text| self.read(text).into_iter()).collect();
        for _ in 0..MOST_PRONUNCIATIONS {
            for pronunciation in readings.iter_mut().filter_map(Iterator::next) {
                if !found.contains(&pronunciation) {
                    found.push(pronunciation);
                }
            }
        }
        found.truncate(MOST_PRONUNCIATIONS);
        found
    }

    /// Reads a text in the notation of `sounds_like`. What cannot be read is not said.
    fn read(&self, text: &str) -> Vec<Pronunciation> {
        let mut said: Vec<(Vec<u8>, f32)> = vec![(Vec::new(), 0.0)];
        for token in tokens(text, self.rules) {
            let options = self.options(token);
            if options.is_empty() {
                return Vec::new();
            }
            let mut longer = Vec::with_capacity(said.len() * options.len());
            for (phones, cost) in &said {
                for (rank, option) in options.iter().take(MOST_OF_TOKEN).enumerate() {
                    let mut phones = phones.clone();
                    phones.extend_from_slice(option);
                    longer.push((phones, cost + rank as f32));
                }
            }
            // Stable: what the first tokens say first comes first.
            longer.sort_by(|a, b| a.1.total_cmp(&b.1));
            longer.truncate(MOST_PRONUNCIATIONS);
            if longer[0].0.len() > MOST_PHONES {
                return Vec::new();
            }
            said = longer;
        }
        let mut found: Vec<Pronunciation> = Vec::new();
        for (phones, _) in said {
            let pronunciation = Pronunciation::new(&phones);
            if !phones.is_empty() && phones.len() <= MOST_PHONES && !found.contains(&pronunciation) {
                found.push(pronunciation);
            }
        }
        found
    }

    /// How one token is said.
    fn options(&self, token: Token<'_>) -> Vec<Pronunciation> {
        match token {
            Token::Letter(letter) => self.letter(letter).into_iter().collect(),
            Token::LetterPlural(letter) => {
                self.letter(letter).and_then(|letter| self.plural(&letter)).into_iter().collect()
            }
            Token::Word(word) => self.word(word),
        }
    }

    fn word(&self, word: &str) -> Vec<Pronunciation> {
        let known = self.dictionary.pronunciations(word);
        if !known.is_empty() {
            return known.to_vec();
        }
        // "server's" as "server" with its ending: better than by the spelling of the whole.
        if let Some(stem) = word.strip_suffix("'s") {
            let known = self.dictionary.pronunciations(stem);
            if !known.is_empty() {
                return known.iter().filter_map(|stem| self.plural(stem)).collect();
            }
        }
        let converted = self.g2p.pronounce(word, MOST_CONVERTED);
        let least = converted.first().map_or(0.0, |(_, share)| share * LEAST_SHARE);
        let likely = converted.into_iter().filter(|&(_, share)| share >= least);
        likely
            .filter_map(|(pronunciation, _)| {
                let phones: Option<Vec<u8>> =
                    pronunciation.iter().map(|&phone| self.phone_of[usize::from(phone)]).collect();
                Some(Pronunciation::new(&phones?))
            })
            .collect()
    }

    /// The name of a letter: from the dictionary, where CMU's has `i.` beside `i`, or else by its phones.
    fn letter(&self, letter: char) -> Option<Pronunciation> {
        let letter = letter.to_ascii_lowercase();
        if let Some(name) = self.dictionary.pronunciations(&format!("{letter}.")).first() {
            return Some(name.clone());
        }
        let name = LETTER_NAMES.get(usize::from(u8::try_from(letter).ok()?.checked_sub(b'a')?))?;
        let phones: Option<Vec<u8>> = name.split(' ').map(|name| phone(&self.dictionary, name)).collect();
        Some(Pronunciation::new(&phones?))
    }

    /// A noun with the ending of its plural or possessive: S, Z, or a vowel and Z, after its last phone.
    fn plural(&self, stem: &Pronunciation) -> Option<Pronunciation> {
        let names = self.names(stem);
        let ending: &[&str] = match *names.last()? {
            "S" | "Z" | "SH" | "ZH" | "CH" | "JH" => &["IH", "Z"],
            "P" | "T" | "K" | "F" | "TH" => &["S"],
            _ => &["Z"],
        };
        let mut phones = stem.to_vec();
        for name in ending {
            phones.push(phone(&self.dictionary, name)?);
        }
        Some(Pronunciation::new(&phones))
    }
}

fn phone(dictionary: &Dictionary, name: &str) -> Option<u8> {
    // At most 256 phones: the dictionary's reader sees to that.
    dictionary.phones().iter().position(|phone| phone == name).map(|at| at as u8)
}

/// The names of the letters A to Z in American English, in the phones of CMU.
const LETTER_NAMES: [&str; 26] = [
    "EY",
    "B IY",
    "S IY",
    "D IY",
    "IY",
    "EH F",
    "JH IY",
    "EY CH",
    "AY",
    "JH EY",
    "K EY",
    "EH L",
    "EH M",
    "EH N",
    "OW",
    "P IY",
    "K Y UW",
    "AA R",
    "EH S",
    "T IY",
    "Y UW",
    "V IY",
    "D AH B AH L Y UW",
    "EH K S",
    "W AY",
    "Z IY",
];

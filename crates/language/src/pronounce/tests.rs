use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::dictionary::Dictionary;
use crate::g2p::G2p;

/// CMU's phones, with words enough for the examples of the contract.
fn small() -> Pronouncer {
    with(SoundsLike::English)
}

fn with(rules: SoundsLike) -> Pronouncer {
    let text = "a AH\na(2) EY\na. EY\nb. B IY\ntriple T R IH P AH L\ndouble D AH B AH L\nhilton HH IH L T AH N\n\
        honors AA N ER Z\nthree TH R IY\nphone F OW N\nus AH S\nread R EH D\nread(2) R IY D\nserver S ER V ER\n\
        nasa N AE S AH\nzone Z OW N\nchurch CH ER CH\nboy B OY\nyou Y UW\nway W EY\nsing S IH NG\nshow SH OW\n\
        put P UH T\nhow HH AW\nthey DH EY\ngive G IH V\njudge JH AH JH\nleisure L EH ZH ER\nlaw L AO\nlike L AY K\n\
        mail M EY L\nseventy S EH V AH N T IY\nfive F AY V\npoint P OY N T\nzero Z IH R OW\nand AH N D\n";
    of(Dictionary::parse(text.as_bytes()).unwrap(), rules)
}

fn of(dictionary: Dictionary, rules: SoundsLike) -> Pronouncer {
    Pronouncer::Phones(PhonePronouncer::new(Arc::new(dictionary), G2p::en_us(), rules))
}

fn said(found: &[UnitNames]) -> Vec<String> {
    found.iter().map(|names| names.join(" ")).collect()
}

/// Section 3.5: letter names, words, hyphens; the examples of the contract.
#[test]
fn sounds_like_is_said_token_by_token() {
    let pronouncer = small();
    for (text, expected) in [
        ("I. triple E.", "AY T R IH P AH L IY"),
        ("N. C. A. A.", "EH N S IY EY EY"),
        ("N. C. double A.", "EH N S IY D AH B AH L EY"),
        ("hilton honors", "HH IH L T AH N AA N ER Z"),
        ("  H. honors ", "EY CH AA N ER Z"),
        ("seventy-five", "S EH V AH N T IY F AY V"),
        ("B.'s", "B IY Z"),
        ("phishing", "F IH SH IH NG"),
        ("server's", "S ER V ER Z"),
        ("church's", "CH ER CH IH Z"),
    ] {
        let found = pronouncer.sounds_like(text).unwrap();
        assert_eq!(said(&found)[0], expected, "{text}");
    }
    let found = pronouncer.sounds_like("read a").unwrap();
    assert_eq!(said(&found), ["R EH D AH", "R EH D EY", "R IY D AH", "R IY D EY"]);
}

/// Section 3.5: what the rules of English refuse, and what they suggest.
#[test]
fn sounds_like_that_breaks_the_rules_is_refused_with_a_suggestion() {
    let error = |rules: SoundsLike, text: &str| rules.check(text).unwrap_err().to_string();
    let english = |text: &str| error(SoundsLike::English, text);
    let numbers = "Numbers are not allowed in sounds_like. You can try for example 'seventy five dollars'.";
    assert_eq!(english("75 dollars"), numbers);
    assert_eq!(english("$75"), numbers);
    assert!(english("N.C.A.A.").ends_with("You can try for example 'N. C. A. A.'."));
    assert!(english("Dr. Who").ends_with("You can try for example 'Dr Who'."));
    assert!(english("façade").starts_with("Character 'ç' is not allowed"));
    assert!(english("façade").ends_with("You can try for example 'fasade'."));
    assert!(english("hello!").starts_with("Character '!' is not allowed"));
    assert!(english("東京").starts_with("Character '東' is not allowed"));
    assert!(english(" ").contains("cannot be empty") && english("' -").contains("has no pronunciation"));
    let british = |text: &str| error(SoundsLike::BritishEnglish, text);
    assert!(british("N. C. A. A.").starts_with("Periods are not allowed"));
    assert!(british("N. C. A. A.").ends_with("'N C A A'."));
    assert!(british("seventy-five").ends_with("'seventy five'."));
    assert_eq!(SoundsLike::BritishEnglish.check("N C A A"), Ok(()));
    assert_eq!(SoundsLike::English.check("seventy-five O'Reilly N. A."), Ok(()));
}

#[test]
fn british_letters_stand_without_periods() {
    let british = with(SoundsLike::BritishEnglish);
    let found = british.sounds_like("I triple E").unwrap();
    assert_eq!(said(&found), ["AY T R IH P AH L IY"]);
    assert_eq!(british.spell_out("NCAA"), "N C A A");
    assert_eq!(SoundsLike::of_language("en-GB"), Some(SoundsLike::BritishEnglish));
    assert_eq!(SoundsLike::of_language("en-AU"), Some(SoundsLike::English));
    assert_eq!(SoundsLike::of_language("fr-FR"), None);
}

/// CustomWord: the texts of the API.
#[test]
fn words_are_checked_as_the_api_words_it() {
    let none: [&str; 0] = [];
    let error = |word: &str| check_word(word, &none).unwrap_err().to_string();
    for word in ["two words", "a/b", "a\\b", "C++", "AT&T", "what?", "tab\there", "nul\0", "a\u{202E}b", "a:b", "\"a\""]
    {
        assert_eq!(error(word), format!("Word '{word}' contains invalid character character"));
    }
    for word in ["HHonors", "75.00", "don't", "New_York", "co-op", "naïve", "שלום", "e\u{301}clair", "東京"] {
        assert_eq!(check_word(word, &none), Ok(()), "{word}");
    }
    assert!(error(&"w".repeat(10_000)).contains("longer than 128 characters"));
    assert!(error(&"w".repeat(10_000)).len() < 100);
    assert_eq!(error(""), "A word cannot be empty");
    let six = ["a"; 6];
    assert_eq!(check_word("w", &six[..5]), Ok(()));
    assert_eq!(check_word("w", &six).unwrap_err().to_string(), "Maximum number of sounds-like for a word exceeded");
    assert_eq!(check_word("w", &[format!("  {}  ", "a".repeat(40))]), Ok(()));
    assert_eq!(
        check_word("w", &["a".repeat(41)]).unwrap_err().to_string(),
        "Maximum number of allowed phones of one item of sounds_like for word 'w' exceeded"
    );
}

/// Section 3.3: the pronunciation that is generated when none is given.
#[test]
fn words_are_spelt_out() {
    let pronouncer = small();
    for (word, text) in [
        ("IEEE", "I. E. E. E."),
        ("HHonors", "H. honors"),
        ("mp3", "M. P. three"),
        ("75.00", "seventy five point zero zero"),
        ("e-mail", "E. mail"),
        ("iPhone", "I. phone"),
        ("YouTube", "you tube"),
        ("HTTPServer", "H. T. T. P. server"),
        ("CEOs", "C. E. O.'s"),
        ("IBM's", "I. B. M.'s"),
        ("IBMers", "I. B. M. ers"),
        ("AT&T", "A. T. and T."),
        ("New_York", "new york"),
        ("McIntyre", "mcintyre"),
        ("naïve", "naive"),
        ("Çelik", "selik"),
        ("o’clock", "o'clock"),
        ("html", "H. T. M. L."),
        ("blockchain", "blockchain"),
        ("TOGETHER", "together"),
        ("東京", ""),
        ("--", ""),
    ] {
        assert_eq!(pronouncer.spell_out(word), text, "{word}");
    }
}

#[test]
fn words_without_sounds_like_are_said() {
    let pronouncer = small();
    let all = |word: &str| said(&pronouncer.pronounce(word));
    assert_eq!(all("READ"), ["R EH D", "R IY D", "AA R IY EY D IY"]);
    assert_eq!(all("Read"), ["R EH D", "R IY D"]);
    // Known as a word, but it may be an acronym.
    assert_eq!(all("US"), ["AH S", "Y UW EH S"]);
    assert_eq!(all("NASA")[..2], ["N AE S AH", "EH N EY EH S EY"]);
    assert_eq!(all("IEEE")[0], "AY IY IY IY");
    assert_eq!(all("mp3"), ["EH M P IY TH R IY"]);
    // What the dictionary says of "nasa" is in doubt where the word is written in parts.
    let parts = all("nasA");
    assert!(parts[0] == "N AE S AH" && parts[1..].iter().any(|said| said.ends_with(" EY")), "{parts:?}");
    assert_eq!(all("FY"), ["EH F W AY"]);
    assert!(all("zone735").iter().any(|said| said.ends_with("TH ER D IY F AY V") && said.starts_with("Z OW N S")));
    assert_eq!(all("CEOs")[0], "S IY IY OW Z");
    assert_eq!(all("naïve")[..1], all("naive")[..1]);
    assert!(all("東京").is_empty() && all("").is_empty() && all("'").is_empty());
    assert!(all(&"ba".repeat(60)).is_empty(), "longer than anybody says");
}

/// Where the default package is installed: the whole dictionary agrees with what is built in.
#[test]
fn the_phones_of_the_program_are_those_of_the_default_package() {
    let path = Path::new("/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict");
    if !path.exists() {
        eprintln!("skipped: no {}", path.display());
        return;
    }
    let dictionary = Dictionary::open(path).unwrap();
    let phones = dictionary.phones().to_vec();
    assert!(G2p::en_us().phones().iter().all(|name| phones.contains(name)));
    let pronouncer = of(dictionary, SoundsLike::English);
    // Letters that the dictionary lists are said as the program would say them without it.
    let bare = small();
    for letter in 'C'..='Z' {
        let [listed, known] = [&pronouncer, &bare].map(|pronouncer| pronouncer.sounds_like(&format!("{letter}.")));
        assert_eq!(listed.unwrap()[0], known.unwrap()[0], "{letter}");
    }
    let found = pronouncer.sounds_like("N. C. double A.").unwrap();
    assert_eq!(said(&found), ["EH N S IY D AH B AH L EY"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_panics_and_lists_are_bounded(text in "\\PC{0,40}|[A-Za-z0-9.' &-]{0,40}") {
        let pronouncer = small();
        for found in [pronouncer.pronounce(&text), pronouncer.sounds_like(&text).unwrap_or_default()] {
            prop_assert!(found.len() <= MOST_PRONUNCIATIONS);
            for (i, one) in found.iter().enumerate() {
                prop_assert!(!one.is_empty() && one.len() <= MOST_PHONES && !found[..i].contains(one));
            }
        }
    }

    /// What is suggested, and what is generated, keeps the rules.
    #[test]
    fn suggestions_keep_the_rules(text in "[A-Za-zéçß0-9.' -]{0,24}|\\PC{0,16}", british: bool) {
        let rules = if british { SoundsLike::BritishEnglish } else { SoundsLike::English };
        let pronouncer = with(rules);
        let spelt = pronouncer.spell_out(&text);
        prop_assert!(spelt.is_empty() || rules.check(&spelt).is_ok(), "{spelt:?}: {:?}", rules.check(&spelt));
        use SoundsLikeError::*;
        if let Err(Numbers { suggestion } | Periods { suggestion } | NoPeriods { suggestion } | NoDashes { suggestion }) = rules.check(&text) {
            let again = rules.check(&suggestion);
            prop_assert!(!suggestion.contains(|c: char| c.is_numeric()), "{suggestion:?}");
            prop_assert!(
                matches!(again, Ok(()) | Err(Unpronounceable { .. } | Empty | Periods { .. })), "{suggestion:?}: {again:?}"
            );
        }
    }
}

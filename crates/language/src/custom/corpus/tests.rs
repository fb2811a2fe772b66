use proptest::prelude::*;

use super::*;
use crate::custom::counts::{Counts, NewWord, Ngram};

const KNOWN: [&str; 22] = [
    "<s>",
    "</s>",
    "the",
    "cat",
    "sat",
    "a",
    "i",
    "am",
    "so",
    "five",
    "hundred",
    "'em",
    "actors'",
    "brother-in-law",
    "j.",
    "u.",
    "s.",
    "i.",
    "a.",
    "it's",
    "one",
    "dollars",
];

fn base() -> Arc<Vocabulary> {
    let mut vocabulary = Vocabulary::new();
    for word in KNOWN {
        vocabulary.add(word);
    }
    Arc::new(vocabulary)
}

fn words(line: &str) -> String {
    let base = base();
    let known = Known::new(&base);
    let mut words = Vec::new();
    English.words(line, &|word| known.contains(word), &mut |part| match part {
        Part::Word(word) => words.push(word.to_owned()),
        Part::Gap => words.push("|".to_owned()),
    });
    words.join(" ")
}

/// The table of parsing rules for English.
#[test]
fn english_texts_are_parsed_as_published() {
    let cases = [
        ("", ""),
        ("The cat sat", "The cat sat"),
        ("500", "five hundred"),
        ("0.15", "zero point fifteen"),
        ("0.05 0.125 2.5", "zero point zero five zero point one two five two point five"),
        ("$100 €100 100%", "one hundred dollars one hundred euros one hundred percent"),
        ("a $ and a € sign, $x", "a and a sign x"),
        ("the (black) cat <b>sat</b> [sic] {here}", "the cat sat"),
        ("the (very (very) black) cat", "the cat"),
        ("the cat) sat (and", "the cat sat and"),
        ("\"The cat,\" he said; 'sat'!", "The cat he said sat"),
        ("it's rock'n'roll", "it's rock'n'roll"),
        ("it’s the actors’ cat", "it's the actors' cat"),
        ("get 'em, the dogs' 'tis", "get 'em the dogs tis"),
        ("my brother-in-law, a well-known man—yes", "my brother-in-law a well known man yes"),
        ("and/or... one,two;three", "and or one two three"),
        ("J. Smith of the U.S. Army", "j. Smith of the u. s. Army"),
        ("so am I.", "so am I"),
        ("I. am", "i. am"),
        ("Mr. Smith etc.", "Mr Smith etc"),
        ("AT&T", "AT and T"),
        ("mp3 R2D2", "mp three R two D two"),
        ("snake_case C++ #1 @home", "snake_case C one home"),
        ("naïve café Ångström", "naïve café Ångström"),
        ("cafe\u{301} שלום नमस्ते 😀 日本語。", "cafe\u{301} שלום नमस्ते 日本語"),
        ("... --- ''' .", ""),
        ("1984", "nineteen eighty four"),
    ];
    for (line, expected) in cases {
        assert_eq!(words(line), expected, "{line:?}");
    }
}

fn analysed(text: &[u8], limits: Limits) -> Result<(TextSummary, Vec<u8>), CorpusError> {
    let mut counts = Vec::new();
    analyse(text, &English, &base(), limits, &mut counts).map(|summary| (summary, counts))
}

fn read(counts: &[u8]) -> Vec<(Vec<String>, u32)> {
    let base = base();
    let mut counts = Counts::read(counts, "counts").unwrap();
    counts.check_base(&base).unwrap();
    let mut all = Vec::new();
    while let Some((ngram, count)) = counts.ngram().unwrap() {
        let text = |word: Option<u32>| match word.map(|word| (word, (word as usize).checked_sub(base.len()))) {
            None => "-".to_owned(),
            Some((word, None)) => base.word(word).to_owned(),
            Some((_, Some(new))) => counts.summary().new_words[new].word.clone(),
        };
        all.push((ngram.words().map(text).to_vec(), count));
    }
    all
}

#[test]
fn counts_hold_every_word_with_its_history() {
    let text = "The cat sat.\nthe cat sat\nThe Dog sat\n\n!?\r\n";
    let (summary, counts) = analysed(text.as_bytes(), Limits::default()).unwrap();
    let dog = NewWord { word: "Dog".to_owned(), count: 1 };
    assert_eq!(summary, TextSummary { words: 9, new_words: vec![dog] });
    let mut found: Vec<(String, u32)> = read(&counts).into_iter().map(|(words, n)| (words.join(" "), n)).collect();
    found.sort();
    let expected = [
        ("- <s> the", 3),
        ("<s> the Dog", 1),
        ("<s> the cat", 2),
        ("Dog sat </s>", 1),
        ("cat sat </s>", 2),
        ("the Dog sat", 1),
        ("the cat sat", 2),
    ];
    let mut expected: Vec<_> = expected.map(|(words, n)| (words.to_owned(), n)).to_vec();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn words_of_ten_thousand_characters_are_gaps() {
    let text = format!("the cat {} sat\n", "x".repeat(10_000));
    let (summary, counts) = analysed(text.as_bytes(), Limits::default()).unwrap();
    assert_eq!((summary.words, summary.new_words.len()), (3, 0));
    assert!(read(&counts).iter().any(|(words, _)| words.join(" ") == "- - sat"));
}

#[test]
fn texts_that_are_none_are_refused_with_the_line() {
    let why = |text: &[u8]| analysed(text, Limits::default()).unwrap_err().to_string();
    assert!(why(b"").contains("holds no words"));
    assert!(why(b"?! ...\n").contains("holds no words"));
    assert!(why(b"the\ncat \xff\xfe\n").contains("line 2 is not UTF-8"));
    assert!(why(b"t\0h\0e\0").contains("line 1 holds a control character"));
    assert!(why(b"\x7fELF\x02\x01").contains("line 1 holds a control character"));
    let mut long = b"the cat\n".to_vec();
    long.resize(LONGEST_LINE + 20, b'a');
    assert!(why(&long).contains("line 2 is longer than 1048576 bytes"));
    // A line may end a word at the limit, in the middle of a character as well.
    let mut cut = "é".repeat(LONGEST_LINE / 2 + 8).into_bytes();
    cut.push(b'\n');
    assert!(why(&cut).contains("line 1 is longer"));
    assert_eq!(words("\u{FEFF}the"), "\u{FEFF}the");
    assert_eq!(analysed("\u{FEFF}the cat".as_bytes(), Limits::default()).unwrap().0.new_words, []);
}

#[test]
fn limits_are_kept() {
    let limits = Limits { words: 4, new_words: 2, ..Limits::default() };
    assert!(analysed(b"the cat sat a", limits).is_ok());
    assert!(matches!(analysed(b"the cat sat a a", limits), Err(CorpusError::TooManyWords { limit: 4 })));
    assert!(analysed(b"x y x y", limits).is_ok());
    assert!(matches!(analysed(b"x y z", limits), Err(CorpusError::TooManyNewWords { limit: 2 })));
}

#[test]
fn languages_without_rules_are_told() {
    assert!(rules("en-US").is_some() && rules("EN-gb").is_some());
    assert!(rules("ja-JP").is_none() && rules("e").is_none() && rules("é").is_none());
}

proptest! {
    #[test]
    fn sorting_on_disk_gives_the_same_counts(text in "([a-e]{1,2} ){0,400}\n([a-e] ){1,90}\n") {
        let (summary, whole) = analysed(text.as_bytes(), Limits::default()).unwrap();
        let (same, in_runs) = analysed(text.as_bytes(), Limits { memory: 1 << 10, ..Limits::default() }).unwrap();
        prop_assert_eq!(summary, same);
        prop_assert_eq!(whole, in_runs);
    }

    #[test]
    fn any_line_is_parsed(line in "\\PC{0,60}|[a-zA-Z0-9 '.,()<>$%&-]{0,60}") {
        for word in words(&line).split(' ') {
            let wrong = |c: char| c.is_ascii_digit() || c.is_whitespace() || "()<>[]{}$%&,;".contains(c);
            prop_assert!(!word.contains(wrong), "{}", word);
        }
    }

    #[test]
    fn damaged_counts_are_refused_or_end(text in "([a-e]{1,2} ){1,40}", flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
        let (_, mut bytes) = analysed(text.as_bytes(), Limits::default()).unwrap();
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at as usize % length] = value;
        }
        if let Ok(mut counts) = Counts::read(&bytes[..], "counts") {
            while let Ok(Some((ngram, _))) = counts.ngram() {
                prop_assert!(ngram.words()[2].is_some());
            }
        }
    }

    #[test]
    fn keys_sort_by_words(left: [Option<u16>; 3], right: [Option<u16>; 3]) {
        let of = |words: [Option<u16>; 3]| words.map(|word| word.map(u32::from));
        prop_assert_eq!(Ngram::new(of(left)).words(), of(left));
        prop_assert_eq!(Ngram::new(of(left)).cmp(&Ngram::new(of(right))), of(left).cmp(&of(right)));
    }
}

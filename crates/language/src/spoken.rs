//! Numbers as US English speakers say them.

/// The text with its numbers spelt as they are spoken; everything else is unchanged.
///
/// Cardinals without "and" (`123`: one hundred twenty three), digit by digit where there is a leading zero or more than
/// fifteen digits; decimals; ordinals (`22nd`); years from 1100 to 2099 by pairs of digits; decades (`1990s`); clock times
/// (`5:30`); amounts of dollars, pounds and euros; percentages; numbers within words (`mp3`); `&` as "and".
///
/// ```
/// use dictum_language::spoken_form;
/// assert_eq!(spoken_form("flight 123"), "flight one hundred twenty three");
/// assert_eq!(spoken_form("On May 3rd, 1984."), "On May third, nineteen eighty four.");
/// ```
pub fn spoken_form(text: &str) -> String {
    spoken_with(text, digit_by_digit)
}

/// As [`spoken_form`], but two decimals are read as one number, as Watson reads corpora: `0.15` is "zero point fifteen".
pub(crate) fn spoken_corpus(text: &str) -> String {
    spoken_with(text, |decimals| match decimals.len() == 2 && !decimals.starts_with('0') {
        true => cardinal_or_digits(decimals),
        false => digit_by_digit(decimals),
    })
}

/// How the digits after the point are read.
type Decimals = fn(&str) -> String;

fn spoken_with(text: &str, decimals: Decimals) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '&' {
            push_words(&mut out, "and");
            rest = &rest[1..];
            separate(&mut out, rest);
            continue;
        }
        let (words, used) = match currency(rest, decimals) {
            Some(spoken) => spoken,
            None if first.is_ascii_digit() => number(rest, after_letter(&out), decimals),
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        push_words(&mut out, &words);
        rest = &rest[used..];
        separate(&mut out, rest);
    }
    out
}

/// The text with its runs of three and four digits as they are often said in names: in pairs. `747` is "seven forty
/// seven", `401` "four oh one", `2024` "twenty twenty four". None when there is no such run, or it is said otherwise only as a
/// cardinal (`100`, `2000`).
pub(crate) fn spoken_in_pairs(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut changed = false;
    for run in text.as_bytes().chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        // Cut between ASCII digits and other bytes: never within a character.
        let run = std::str::from_utf8(run).unwrap_or_default();
        match in_pairs(run) {
            Some(words) => {
                push_words(&mut out, &words);
                out.push(' ');
                changed = true;
            }
            None => out.push_str(run),
        }
    }
    changed.then(|| out.trim_end().to_owned())
}

fn in_pairs(digits: &str) -> Option<String> {
    if !(3..=4).contains(&digits.len()) || digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let (first, second) = digits.split_at(digits.len() - 2);
    if second == "00" {
        return None;
    }
    let second = match second.strip_prefix('0') {
        Some(digit) => format!("oh {}", digit_by_digit(digit)),
        None => cardinal(second.parse().ok()?),
    };
    Some(format!("{} {second}", cardinal(first.parse().ok()?)))
}

fn after_letter(text: &str) -> bool {
    text.chars().next_back().is_some_and(char::is_alphabetic)
}

/// Appends words, apart from a letter or digit before them.
fn push_words(out: &mut String, words: &str) {
    if out.chars().next_back().is_some_and(char::is_alphanumeric) {
        out.push(' ');
    }
    out.push_str(words);
}

/// A space where words just appended would run into what follows.
fn separate(out: &mut String, rest: &str) {
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '$' || c == '£' || c == '€') {
        out.push(' ');
    }
}

/// Digits, commas removed, and how many bytes they take with their commas.
fn integer(text: &str) -> (String, usize) {
    let plain = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut digits = text[..plain].to_owned();
    let mut used = plain;
    let group = |at: usize| {
        let bytes = text.as_bytes().get(at..at + 4)?;
        let ends = !text.as_bytes().get(at + 4).is_some_and(u8::is_ascii_digit);
        (bytes[0] == b',' && bytes[1..].iter().all(u8::is_ascii_digit) && ends).then(|| &text[at + 1..at + 4])
    };
    if (1..=3).contains(&plain) && !text.starts_with('0') {
        while let Some(group) = group(used) {
            digits.push_str(group);
            used += 4;
        }
    }
    (digits, used)
}

/// Digits after `.`, if there are any right there.
fn fraction(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('.')?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    (length > 0).then(|| &digits[..length])
}

/// Whether the text goes on with a letter or digit.
fn goes_on(text: &str) -> bool {
    text.starts_with(char::is_alphanumeric)
}

/// The words for the number at the beginning of the text, and the bytes that it takes.
fn number(text: &str, in_word: bool, read: Decimals) -> (String, usize) {
    let (digits, used) = integer(text);
    let rest = &text[used..];
    let grouped = digits.len() != used;
    if let Some(minutes) = rest.strip_prefix(':').and_then(|rest| rest.get(..2)).filter(|m| is_minutes(m))
        && digits.parse::<u8>().is_ok_and(|hour| hour < 24)
        && !goes_on(&rest[3..])
    {
        return (time(&digits, minutes), used + 3);
    }
    if let Some(decimals) = fraction(rest) {
        let used = used + 1 + decimals.len();
        let (percent, extra) = percent(&text[used..]);
        return (format!("{} point {}{percent}", cardinal_or_digits(&digits), read(decimals)), used + extra);
    }
    if let Some(suffix) = rest.get(..2).filter(|s| ["st", "nd", "rd", "th"].iter().any(|o| s.eq_ignore_ascii_case(o)))
        && !goes_on(&rest[suffix.len()..])
    {
        return (ordinal(&cardinal_or_digits(&digits)), used + 2);
    }
    let spoken = match year(&digits).filter(|_| !grouped && !in_word) {
        Some(year) => year,
        None => cardinal_or_digits(&digits),
    };
    for plural in ["s", "'s", "’s"] {
        if let Some(after) = rest.strip_prefix(plural)
            && !goes_on(after)
        {
            return (plural_of(&spoken), used + plural.len());
        }
    }
    let (percent, extra) = percent(rest);
    (spoken + percent, used + extra)
}

fn percent(rest: &str) -> (&'static str, usize) {
    if rest.starts_with('%') { (" percent", 1) } else { ("", 0) }
}

fn is_minutes(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text < "60"
}

fn time(hour: &str, minutes: &str) -> String {
    let hour = cardinal(hour.parse().unwrap_or(0));
    match minutes {
        "00" => format!("{hour} o'clock"),
        _ if minutes.starts_with('0') => format!("{hour} oh {}", digit_by_digit(&minutes[1..])),
        _ => format!("{hour} {}", cardinal(minutes.parse().unwrap_or(0))),
    }
}

/// An amount of money at the beginning of the text.
fn currency(text: &str, read: Decimals) -> Option<(String, usize)> {
    let (symbol, [one, many], [cent, cents]) = [
        ("$", ["dollar", "dollars"], ["cent", "cents"]),
        ("£", ["pound", "pounds"], ["penny", "pence"]),
        ("€", ["euro", "euros"], ["cent", "cents"]),
    ]
    .into_iter()
    .find(|(symbol, ..)| text.starts_with(symbol))?;
    let amount = &text[symbol.len()..];
    if !amount.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (digits, used) = integer(amount);
    let spoken = cardinal_or_digits(&digits);
    let used_all = symbol.len() + used;
    let unit = if digits == "1" { one } else { many };
    let rest = &amount[used..];
    match fraction(rest) {
        Some(decimals) if decimals.len() == 2 => {
            let count: u64 = decimals.parse().ok()?;
            let small = if count == 1 { cent } else { cents };
            let spoken = match (digits.as_str(), count) {
                (_, 0) => format!("{spoken} {unit}"),
                ("0", _) => format!("{} {small}", cardinal(count)),
                _ => format!("{spoken} {unit} and {} {small}", cardinal(count)),
            };
            Some((spoken, used_all + 3))
        }
        fraction => {
            let decimals = fraction.map(|digits| format!(" point {}", read(digits))).unwrap_or_default();
            let used = used_all + fraction.map_or(0, |digits| digits.len() + 1);
            // "$3 million" is three million dollars.
            let scale = ["hundred", "thousand", "million", "billion", "trillion"].into_iter().find(|scale| {
                let after = text[used..].strip_prefix(' ').and_then(|rest| rest.strip_prefix(scale));
                after.is_some_and(|after| !goes_on(after))
            });
            let many = if decimals.is_empty() && scale.is_none() { unit } else { many };
            let scale_text = scale.map(|scale| format!(" {scale}")).unwrap_or_default();
            Some((format!("{spoken}{decimals}{scale_text} {many}"), used + scale_text.len()))
        }
    }
}

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const TEENS: [&str; 10] =
    ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"];
const TENS: [&str; 10] = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALES: [(u64, &str); 4] =
    [(1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand")];

/// Longest number that is read as one; longer ones are codes.
const LONGEST: usize = 15;

fn cardinal_or_digits(digits: &str) -> String {
    match digits.parse() {
        Ok(number) if digits.len() <= LONGEST && (digits.len() == 1 || !digits.starts_with('0')) => cardinal(number),
        _ => digit_by_digit(digits),
    }
}

fn digit_by_digit(digits: &str) -> String {
    let words: Vec<&str> = digits.bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect();
    words.join(" ")
}

fn cardinal(mut number: u64) -> String {
    if number == 0 {
        return DIGITS[0].to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    for (scale, name) in SCALES {
        if number >= scale {
            words.push(cardinal(number / scale));
            words.push(name.to_owned());
            number %= scale;
        }
    }
    if number >= 100 {
        words.push(DIGITS[(number / 100) as usize].to_owned());
        words.push("hundred".to_owned());
        number %= 100;
    }
    if number >= 20 {
        words.push(TENS[(number / 10) as usize].to_owned());
        number %= 10;
    } else if number >= 10 {
        words.push(TEENS[(number - 10) as usize].to_owned());
        number = 0;
    }
    if number > 0 {
        words.push(DIGITS[number as usize].to_owned());
    }
    words.join(" ")
}

/// Four digits that are said as a year: 1984, 1905, 1900, 2024; not 2000 to 2009, which are said as numbers.
fn year(digits: &str) -> Option<String> {
    let number: u64 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    let (century, rest) = (number / 100, number % 100);
    match (number, rest) {
        (1100..=1999, 0) => Some(format!("{} hundred", cardinal(century))),
        (1100..=1999, 1..=9) => Some(format!("{} oh {}", cardinal(century), cardinal(rest))),
        (1100..=1999 | 2010..=2099, _) => Some(format!("{} {}", cardinal(century), cardinal(rest))),
        _ => None,
    }
}

fn last_word(words: &str) -> (&str, &str) {
    match words.rfind(' ') {
        Some(at) => words.split_at(at + 1),
        None => ("", words),
    }
}

fn ordinal(words: &str) -> String {
    let (before, last) = last_word(words);
    let ordinal = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        _ => match last.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{last}th"),
        },
    };
    format!("{before}{ordinal}")
}

fn plural_of(words: &str) -> String {
    let (before, last) = last_word(words);
    match last.strip_suffix('y') {
        Some(stem) => format!("{before}{stem}ies"),
        None if last.ends_with('x') => format!("{before}{last}es"),
        None => format!("{before}{last}s"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RES-K3: keywords are normalised to spoken form.
    #[test]
    fn numbers_are_spelt_as_they_are_spoken() {
        let cases = [
            ("", ""),
            ("no numbers, here", "no numbers, here"),
            ("0", "zero"),
            ("7", "seven"),
            ("10", "ten"),
            ("19", "nineteen"),
            ("20", "twenty"),
            ("123", "one hundred twenty three"),
            ("1,000", "one thousand"),
            ("1,984", "one thousand nine hundred eighty four"),
            ("2,000,001", "two million one"),
            ("12345", "twelve thousand three hundred forty five"),
            (
                "999999999999999",
                "nine hundred ninety nine trillion nine hundred ninety nine billion nine hundred ninety \
             nine million nine hundred ninety nine thousand nine hundred ninety nine",
            ),
            ("1234567890123456", "one two three four five six seven eight nine zero one two three four five six"),
            ("007", "zero zero seven"),
            ("3.14", "three point one four"),
            ("1,2", "one,two"),
            ("1,2345", "one,two thousand three hundred forty five"),
            ("1984", "nineteen eighty four"),
            ("1905.", "nineteen oh five."),
            ("1900", "nineteen hundred"),
            ("2000", "two thousand"),
            ("2009", "two thousand nine"),
            ("2024", "twenty twenty four"),
            ("1990s", "nineteen nineties"),
            ("the '60s", "the 'sixties"),
            (
                "1st 2nd 3rd 5th 8th 9th 12th 20th 22nd 101st",
                "first second third fifth eighth ninth twelfth twentieth \
             twenty second one hundred first",
            ),
            ("1900th", "one thousand nine hundredth"),
            ("5:30", "five thirty"),
            ("5:05", "five oh five"),
            ("12:00", "twelve o'clock"),
            ("5:99", "five:ninety nine"),
            ("50%", "fifty percent"),
            ("2.5%", "two point five percent"),
            ("$5", "five dollars"),
            ("$1", "one dollar"),
            ("$1,250.50", "one thousand two hundred fifty dollars and fifty cents"),
            ("$0.99", "ninety nine cents"),
            ("$3.01", "three dollars and one cent"),
            ("$2.5 million.", "two point five million dollars."),
            ("£20", "twenty pounds"),
            ("€1.00", "one euro"),
            ("$ 5", "$ five"),
            ("mp3", "mp three"),
            ("a4b", "a four b"),
            ("x1984", "x one thousand nine hundred eighty four"),
            ("4x4", "four x four"),
            ("Q&A", "Q and A"),
            ("3&4", "three and four"),
            ("é9ü", "é nine ü"),
        ];
        for (text, expected) in cases {
            assert_eq!(spoken_form(text), expected, "{text:?}");
        }
    }

    #[test]
    fn numbers_in_names_are_said_in_pairs() {
        for (text, expected) in [
            ("747", Some("seven forty seven")),
            ("401k", Some("four oh one k")),
            ("FY2024", Some("FY twenty twenty four")),
            ("é110é", Some("é one ten é")),
            ("1005", Some("ten oh five")),
            ("100", None),
            ("A4", None),
            ("007", None),
            ("12345", None),
            ("", None),
        ] {
            assert_eq!(spoken_in_pairs(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_no_digit_is_left(text in "[a-z0-9,.:$%£&' ]{0,24}|\\PC{0,24}") {
            prop_assert!(!spoken_form(&text).contains(|c: char| c.is_ascii_digit()));
        }

        #[test]
        fn different_cardinals_are_spelt_differently(left in 0u64..2_000_000, right in 0u64..2_000_000) {
            prop_assert_eq!(left == right, cardinal(left) == cardinal(right));
        }
    }
}

//! Random grammars against a generator that follows the definition, word set by word set.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Longest phrase that is compared.
const LONGEST: usize = 4;

/// A part of a rule.
#[derive(Debug, Clone)]
enum Part {
    Word(u8),
    Sequence(Vec<Part>),
    Alternatives(Vec<(u8, Part)>),
    Repeat(Box<Part>, u32, Option<u32>),
    /// The rule so many after this one, if there is one.
    Rule(usize),
    Null,
    Void,
}

/// Rules of which each refers to later ones, and, where the flag says so, to itself at the end of another alternative that
/// begins with a word.
#[derive(Debug, Clone)]
struct Rules(Vec<(Part, bool)>);

fn part(exact: bool) -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        6 => (0u8..4).prop_map(Part::Word),
        2 => (0usize..2).prop_map(Part::Rule),
        1 => Just(Part::Null),
        u32::from(!exact) => Just(Part::Void),
    ];
    leaf.prop_recursive(3, 16, 3, move |inner| {
        let most = if exact { (0u32..3).prop_map(Some).boxed() } else { prop::option::of(0u32..3).boxed() };
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Part::Sequence),
            prop::collection::vec((u8::from(exact)..4, inner.clone()), 1..4).prop_map(Part::Alternatives),
            (inner, 0u32..3, most).prop_map(|(part, least, more)| Part::Repeat(
                Box::new(part),
                least,
                more.map(|more| least + more)
            )),
        ]
    })
}

fn rules(exact: bool) -> impl Strategy<Value = Rules> {
    let itself = if exact { Just(false).boxed() } else { any::<bool>().boxed() };
    prop::collection::vec((part(exact), itself), 1..4).prop_map(Rules)
}

/// Phrases of at most [`LONGEST`] words with their probabilities.
type Phrases = BTreeMap<Vec<u8>, f64>;

fn then(left: &Phrases, right: &Phrases) -> Phrases {
    let mut both = Phrases::new();
    for (l, p) in left {
        for (r, q) in right {
            if l.len() + r.len() <= LONGEST {
                *both.entry([l.as_slice(), r].concat()).or_default() += p * q;
            }
        }
    }
    both
}

fn add(all: &mut Phrases, share: f64, phrases: &Phrases) {
    for (phrase, p) in phrases {
        *all.entry(phrase.clone()).or_default() += share * p;
    }
}

impl Rules {
    fn phrases_of_rule(&self, rule: usize, left: usize) -> Phrases {
        let (part, itself) = &self.0[rule];
        let mut all = self.phrases(part, rule);
        if *itself && left > 0 {
            let again = self.phrases_of_rule(rule, left - 1);
            add(&mut all, 1.0, &then(&Phrases::from([(vec![0], 1.0)]), &again));
        }
        all
    }

    fn phrases(&self, part: &Part, rule: usize) -> Phrases {
        let empty = Phrases::from([(Vec::new(), 1.0)]);
        match part {
            Part::Word(word) => Phrases::from([(vec![*word], 1.0)]),
            Part::Sequence(parts) => parts.iter().fold(empty, |so_far, part| then(&so_far, &self.phrases(part, rule))),
            Part::Alternatives(alternatives) => {
                let sum: f64 = alternatives.iter().map(|(weight, _)| f64::from(*weight)).sum();
                let mut all = Phrases::new();
                for (weight, part) in alternatives.iter().filter(|(weight, _)| *weight > 0) {
                    add(&mut all, f64::from(*weight) / sum, &self.phrases(part, rule));
                }
                all
            }
            Part::Repeat(part, least, most) => {
                let one = self.phrases(part, rule);
                let mut times = (0..*least).fold(empty, |so_far, _| then(&so_far, &one));
                let (mut all, mut reached) = (Phrases::new(), 1.0);
                // Each word of an endless repeat adds one: a few more rounds than words cover all phrases.
                let more = most.map_or(LONGEST as u32 + 1, |most| most - least);
                for done in 0..=more {
                    let again = match most {
                        Some(_) => f64::from(more - done) / f64::from(more - done + 1),
                        None => 0.5,
                    };
                    add(&mut all, reached * (1.0 - again), &times);
                    reached *= again;
                    times = then(&times, &one);
                }
                all
            }
            Part::Rule(ahead) => match rule + 1 + ahead {
                next if next < self.0.len() => self.phrases_of_rule(next, LONGEST),
                _ => empty,
            },
            Part::Null => empty,
            Part::Void => Phrases::new(),
        }
    }

    fn abnf(&self) -> String {
        let mut text = "#ABNF 1.0 UTF-8; language en-US; root $r0;\n".to_owned();
        for (rule, (part, itself)) in self.0.iter().enumerate() {
            let own = self.abnf_part(part, rule);
            let again = if *itself { format!(" | w0 $r{rule}") } else { String::new() };
            text.push_str(&format!("$r{rule} = {own}{again};\n"));
        }
        text
    }

    fn abnf_part(&self, part: &Part, rule: usize) -> String {
        let join = |parts: Vec<String>, by: &str| parts.join(by);
        match part {
            Part::Word(word) => format!("w{word}"),
            Part::Sequence(parts) => {
                format!("({})", join(parts.iter().map(|p| self.abnf_part(p, rule)).collect(), " "))
            }
            Part::Alternatives(all) => {
                let all = all.iter().map(|(weight, p)| format!("/{weight}/ {}", self.abnf_part(p, rule)));
                format!("({})", join(all.collect(), " | "))
            }
            Part::Repeat(part, 0, Some(1)) => format!("[{}]", self.abnf_part(part, rule)),
            Part::Repeat(part, least, most) => {
                let most = most.map_or(String::new(), |most| most.to_string());
                format!("({}) <{least}-{most}>", self.abnf_part(part, rule))
            }
            Part::Rule(ahead) if rule + 1 + ahead < self.0.len() => format!("$r{}", rule + 1 + ahead),
            Part::Rule(_) | Part::Null => "$NULL".into(),
            Part::Void => "$VOID".into(),
        }
    }

    fn xml(&self) -> String {
        let mut text = "<grammar version=\"1.0\" root=\"r0\">".to_owned();
        for (rule, (part, itself)) in self.0.iter().enumerate() {
            let own = self.xml_part(part, rule);
            let rule_text = if *itself {
                format!("<one-of><item>{own}</item><item>w0 <ruleref uri=\"#r{rule}\"/></item></one-of>")
            } else {
                own
            };
            text.push_str(&format!("<rule id=\"r{rule}\">{rule_text}</rule>"));
        }
        text + "</grammar>"
    }

    fn xml_part(&self, part: &Part, rule: usize) -> String {
        match part {
            Part::Word(word) => format!(" w{word} "),
            Part::Sequence(parts) => {
                format!("<item>{}</item>", parts.iter().map(|part| self.xml_part(part, rule)).collect::<String>())
            }
            Part::Alternatives(all) => {
                let all = all
                    .iter()
                    .map(|(weight, part)| format!("<item weight=\"{weight}\">{}</item>", self.xml_part(part, rule)));
                format!("<one-of>{}</one-of>", all.collect::<String>())
            }
            Part::Repeat(part, least, most) => {
                let most = most.map_or(String::new(), |most| most.to_string());
                format!("<item repeat=\"{least}-{most}\">{}</item>", self.xml_part(part, rule))
            }
            Part::Rule(ahead) if rule + 1 + ahead < self.0.len() => {
                format!("<ruleref uri=\"#r{}\"/>", rule + 1 + ahead)
            }
            Part::Rule(_) | Part::Null => "<ruleref special=\"NULL\"/>".into(),
            Part::Void => "<ruleref special=\"VOID\"/>".into(),
        }
    }
}

/// All phrases of at most [`LONGEST`] words that an automaton generates, with their probabilities.
fn generated(grammar: &Grammar) -> Phrases {
    let mut all = Phrases::new();
    let mut open = vec![(Vec::new(), grammar.start(), 0.0f64)];
    while let Some((phrase, state, ln)) = open.pop() {
        let end = grammar.end(state);
        if end > f32::NEG_INFINITY {
            all.insert(phrase.clone(), (ln + f64::from(end)).exp());
        }
        if phrase.len() < LONGEST {
            for (word, p, next) in grammar.followers(state) {
                let name: u8 = grammar.vocabulary().word(word)[1..].parse().unwrap();
                open.push(([phrase.as_slice(), &[name]].concat(), next, ln + f64::from(p)));
            }
        }
    }
    all
}

fn keys(phrases: &Phrases) -> BTreeSet<&Vec<u8>> {
    phrases.keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_automaton_generates_what_the_rules_do(rules in rules(false)) {
        let expected = rules.phrases_of_rule(0, LONGEST);
        for compiled in [Grammar::parse_abnf(rules.abnf().as_bytes()), Grammar::parse_xml(rules.xml().as_bytes())] {
            match compiled {
                Ok(grammar) => {
                    let found = generated(&grammar);
                    prop_assert_eq!(keys(&found), keys(&expected), "{}", rules.abnf());
                    for state in 0..grammar.state_count() as u64 {
                        let state = crate::LmState(state);
                        let sum: f32 = grammar.followers(state).map(|(_, ln, _)| ln.exp()).sum();
                        prop_assert!((sum + grammar.end(state).exp() - 1.0).abs() < 0.02, "{}", sum);
                    }
                    let again = Grammar::from_bytes(&grammar.to_bytes()).unwrap();
                    prop_assert_eq!(again.to_bytes(), grammar.to_bytes());
                    prop_assert_eq!(generated(&again), found);
                }
                // Nothing, the empty phrase alone, or phrases that are all longer than what is compared.
                Err(GrammarError::Empty) => prop_assert!(expected.keys().all(Vec::is_empty), "{}", rules.abnf()),
                Err(error) => prop_assert!(false, "{error}\n{}", rules.abnf()),
            }
        }
    }

    #[test]
    fn probabilities_are_those_of_the_rules(rules in rules(true)) {
        let expected = rules.phrases_of_rule(0, 0);
        match Grammar::parse_abnf(rules.abnf().as_bytes()) {
            Ok(grammar) => {
                let found = generated(&grammar);
                prop_assert_eq!(keys(&found), keys(&expected), "{}", rules.abnf());
                for (phrase, p) in &found {
                    let expected = expected[phrase];
                    prop_assert!((p - expected).abs() < 0.05 * expected + 1e-4, "{phrase:?}: {p}, {expected}\n{}", rules.abnf());
                }
            }
            Err(error) => prop_assert_eq!(error, GrammarError::Empty),
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[$a-c=|;()\\[\\]<>/0-9{}!\" #-]{0,60}|\\PC{0,60}") {
        let _ = Grammar::parse_abnf(format!("#ABNF 1.0; root $a; $a = {text}").as_bytes());
        let _ = Grammar::parse_xml(format!("<grammar version=\"1.0\" root=\"a\"><rule id=\"a\">{text}").as_bytes());
    }

    #[test]
    fn hostile_files_give_errors(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index) {
        let bytes = abnf("$root = a (b | /2/ c)<0-2> [$d]; $d = e f | g $d;").to_bytes();
        let damaged = |error: GrammarError| matches!(error, GrammarError::Damaged { .. });
        prop_assert!(Grammar::from_bytes(&bytes[..cut.index(bytes.len())]).is_err_and(damaged));
        let mut flipped = bytes.clone();
        for (at, value) in flips {
            *at.get_mut(&mut flipped) = value;
        }
        match Grammar::from_bytes(&flipped) {
            Ok(grammar) => {
                generated_any(&grammar);
            }
            Err(error) => prop_assert!(damaged(error)),
        }
    }
}

/// Walks what a damaged file may have left of a grammar.
fn generated_any(grammar: &Grammar) {
    let mut state = grammar.start();
    for step in 0..20 {
        let Some((word, _, next)) = grammar.followers(state).nth(step % 2) else { break };
        assert_eq!(grammar.step(state, word).0, next);
        grammar.bigrams_after(word, &mut |_, _| {});
        grammar.end(next);
        state = next;
    }
}

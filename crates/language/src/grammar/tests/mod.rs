//! Grammars: the documents of the contract, what is refused, bounds, and random grammars against a naive generator.

mod random;

use std::time::{Duration, Instant};

use super::*;
use crate::model::{Bigrams, LanguageModel};

fn abnf(rules: &str) -> Grammar {
    let text = format!("#ABNF 1.0 ISO-8859-1;\nlanguage en-US;\nmode voice;\nroot $root;\n{rules}");
    Grammar::parse_abnf(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn abnf_error(rules: &str) -> String {
    let text = format!("#ABNF 1.0; language en-US;\nroot $root;\n{rules}");
    Grammar::parse_abnf(text.as_bytes()).unwrap_err().to_string()
}

fn xml(rules: &str) -> Result<Grammar, GrammarError> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<grammar version=\"1.0\" xml:lang=\"en-US\" \
         xmlns=\"http://www.w3.org/2001/06/grammar\" root=\"root\">\n{rules}</grammar>\n"
    );
    Grammar::parse_xml(text.as_bytes())
}

fn xml_error(rules: &str) -> String {
    xml(rules).unwrap_err().to_string()
}

#[track_caller]
fn check(grammar: &Grammar, accepted: &[&str], refused: &[&str]) {
    for phrase in accepted {
        assert!(grammar.accepts(phrase), "{phrase:?} is generated");
    }
    for phrase in refused {
        assert!(!grammar.accepts(phrase), "{phrase:?} is not generated");
    }
}

/// Section 4.1: the example of the contract, and the same in XML.
#[test]
fn the_yes_or_no_grammar_says_yes_or_no() {
    let text = "#ABNF 1.0 ISO-8859-1;\nlanguage en-US;\nmode voice;\nroot $yesno;\n$yesno = yes | no ;\n";
    let grammar = Grammar::parse_abnf(text.as_bytes()).unwrap();
    check(&grammar, &["yes", "no"], &["", "maybe", "yes no", "<s>"]);
    assert_eq!(grammar.words().collect::<Vec<_>>(), [("yes", 1), ("no", 1)]);
    assert_eq!((grammar.language(), grammar.state_count(), grammar.arc_count()), (Some("en-US"), 2, 2));
    let text = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<!DOCTYPE grammar PUBLIC \"-//W3C//DTD GRAMMAR 1.0//EN\" \
        \"http://www.w3.org/TR/speech-grammar/grammar.dtd\">\n<grammar version=\"1.0\" xml:lang=\"en-US\" \
        xmlns=\"http://www.w3.org/2001/06/grammar\" mode=\"voice\" root=\"yesno\"><rule id=\"yesno\"><one-of>\
        <item>yes</item><item>no</item></one-of></rule></grammar>";
    let grammar = Grammar::parse_xml(text.as_bytes()).unwrap();
    check(&grammar, &["yes", "no"], &["", "maybe", "yes no"]);
}

#[test]
fn all_of_abnf_is_read() {
    let grammar = abnf(
        "// a comment\n/** about the rule\n @example call Ann */\npublic $root = [please] (call | /3/ dial) $who <1-2> {!{ out = \"}\"; }!};\n\
         private $who = Ann{ out='ann' } | \"New  York\"!en-US /* here */ | $first-name;\n$first-name = $NULL Bob | $VOID Eve;",
    );
    check(
        &grammar,
        &["call Ann", "please dial New York", "dial Bob Ann", "please call New York Bob"],
        &["call", "call Ann Bob Ann", "call Eve", "call New", "please", "call ann"],
    );
    let counts: Vec<(&str, u32)> = grammar.words().collect();
    let expected = ["please", "call", "dial", "Ann", "New", "York", "Bob", "Eve"].map(|word| (word, 1));
    assert_eq!(counts, expected);
    for (repeat, accepted, refused) in [
        ("<2>", &["a a"][..], &["a", "a a a"][..]),
        ("<0-1>", &["", "a"], &["a a"]),
        ("< 1 - >", &["a", "a a a a a a a a"], &[""]),
        ("<2- /0.9/>", &["a a", "a a a"], &["a"]),
        ("<0-3 /0.25/>", &["", "a", "a a a"], &["a a a a"]),
    ] {
        check(&abnf(&format!("$root = b a {repeat} | c;")), &[], refused);
        let grammar = abnf(&format!("$root = b (a {repeat}) | c;"));
        for phrase in accepted {
            assert!(grammar.accepts(&format!("b {phrase}")), "{repeat} {phrase:?}");
        }
        for phrase in refused {
            assert!(!grammar.accepts(&format!("b {phrase}")), "{repeat} {phrase:?}");
        }
    }
    let header = "\u{feff}#ABNF 1.0;language en-US;tag-format <semantics/1.0;>;meta \"a;b\" is 'c;d';base <http://x;y>;root $r;$r=été;";
    check(&Grammar::parse_abnf(header.as_bytes()).unwrap(), &["été"], &["e"]);
}

#[test]
fn all_of_xml_is_read() {
    let grammar = xml(
        "<!-- a comment --><meta name=\"author\" content=\"me\"/><metadata><x:y xmlns:x=\"z\">not said</x:y></metadata>\n\
         <rule id=\"root\" scope=\"public\"><example>call Ann</example><item repeat=\"0-1\">please</item>\n\
           <one-of><item>call</item><item weight=\"3\">dial<tag>out = 1 &lt; 2</tag></item></one-of>\n\
           <item repeat=\"1-2\" repeat-prob=\"0.25\"><ruleref uri=\"#who\"/></item><ruleref special=\"NULL\"/></rule>\n\
         <rule id=\"who\"><one-of><item>Ann</item><item><token xml:lang=\"en-us\">New  York</token></item>\
           <item>\"St. Ives\" R&amp;D &#x42;ob\\</item><item><ruleref special=\"VOID\"/>Eve</item></one-of></rule>",
    )
    .unwrap();
    check(
        &grammar,
        &["call Ann", "please dial New York", "dial St. Ives R&D Bob\\ Ann"],
        &["call", "call Ann Ann Ann", "call Eve", "not said", "call St."],
    );
    let text = "<g:grammar xmlns:g=\"http://www.w3.org/2001/06/grammar\" version=\"1.0\" root=\"r\"><g:rule id=\"r\">\
        <![CDATA[a <b>]]></g:rule></g:grammar>";
    check(&Grammar::parse_xml(text.as_bytes()).unwrap(), &["a <b>"], &["a"]);
}

#[test]
fn weights_are_probabilities() {
    let grammar = abnf("$root = /3/ a b | /1/ a c | /0/ d;");
    let probability = |phrase: &str| {
        let mut sum = 0.0;
        let mut state = grammar.start();
        for word in phrase.split(' ') {
            let (next, ln) = grammar.step(state, grammar.vocabulary().id(word).unwrap());
            sum += ln;
            state = next;
        }
        (sum + grammar.end(state)).exp()
    };
    assert!((probability("a b") - 0.75).abs() < 0.01 && (probability("a c") - 0.25).abs() < 0.01);
    assert_eq!(probability("d"), 0.0);
    let grammar = abnf("$root = a<1-3>;");
    for followers in 0..3u64 {
        let state = crate::LmState(followers);
        let sum: f32 = grammar.followers(state).map(|(_, ln, _)| ln.exp()).sum::<f32>() + grammar.end(state).exp();
        assert!((sum - 1.0).abs() < 0.01, "{sum}");
    }
    let id = grammar.vocabulary().id("a").unwrap();
    let (after, _) = grammar.step(grammar.start(), id);
    let mut pairs = Vec::new();
    grammar.bigrams_after(after.0 as u32, &mut |word, ln| pairs.push((word, ln.exp())));
    assert!(pairs.len() == 1 && pairs[0].0 == id && (pairs[0].1 - 2.0 / 3.0).abs() < 0.01, "{pairs:?}");
    grammar.bigrams_after(0, &mut |word, ln| assert_eq!((word, ln), (id, 0.0)));
    grammar.bigrams_after(u32::MAX, &mut |_, _| panic!("nothing follows the impossible"));
    assert_eq!((grammar.unigram(id), grammar.unigram(99)), (0.0, f32::NEG_INFINITY));
}

/// Section 4.1: only regular grammars can be decoded, though the syntax allows others.
#[test]
fn rules_may_refer_to_themselves_at_their_end() {
    let grammar = abnf("$root = a | b $root;");
    check(&grammar, &["a", "b a", "b b b b b a"], &["", "b", "a b", "a a"]);
    let grammar = abnf("$root = $x c; $x = a | b $y; $y = [d] $x | e;");
    check(&grammar, &["a c", "b e c", "b a c", "b d b a c"], &["a", "b c", "d a c"]);
    check(&abnf("$root = a [$root];"), &["a", "a a a"], &[""]);
    check(&abnf("$root = ([a])<0-> b | ([[c]])<0->;"), &["b", "a a a b", "", "c c c"], &["a", "c b"]);
    for rules in [
        "$root = a $root b | c;",
        "$root = $root a | b;",
        "$root = $x c; $x = a $y b; $y = $x | d;",
        "$root = (a $root)<1->;",
    ] {
        let error = abnf_error(rules);
        assert!(error.starts_with("Cannot compile grammar: rule '") && error.contains("refers to itself"), "{error}");
    }
    for rules in ["$root = a $root;", "$root = $VOID;", "$root = $NULL;", "$root = /0/ a;", "$root = a $x; $x = $x;"] {
        assert_eq!(abnf_error(rules), "Cannot compile grammar: it generates no words", "{rules}");
    }
}

#[test]
fn faults_of_abnf_are_named_with_their_place() {
    for (rules, expected) in [
        ("$root = a\n | ;", "line 4, column 4: an empty alternative; write $NULL"),
        ("$root = (a;", "line 3, column 11: ';', where ')' is expected"),
        ("$root = a\\b;", "line 3, column 10: a backslash is not allowed"),
        ("$root = \\a;", "a backslash is not allowed"),
        ("$root = \"a\\b\";", "a backslash in it"),
        ("$root = a", "the end, where ';' is expected"),
        ("$root = été $;", "line 3, column 14: a reference has the name of a rule"),
        ("$root = a*;", "'*' is reserved"),
        ("$root = a<2-1>;", "ends before it begins"),
        ("$root = a<x>;", "'x' is no repeat"),
        ("$root = a<1><2>;", "put the first in parentheses"),
        ("$root = a<9999999999>;", "is no repeat"),
        ("$root = a<1-2 /1.5/>;", "'1.5' is no probability"),
        ("$root = /-1/ a;", "'-1' is no weight"),
        ("$root = /inf/ a;", "'inf' is no weight"),
        ("$root = a {tag;", "a tag that has no end"),
        ("/* $root = a;", "a comment that has no end"),
        ("$root = a; $root = b;", "rule 'root' is defined twice"),
        ("$root = $other;", "rule 'other' is referred to but not defined"),
        ("$NULL = a;", "the name 'NULL' is reserved"),
        ("$root = $GARBAGE;", "the special rule GARBAGE is not supported"),
        ("$root = $<http://example.com/g.gram>;", "a reference to another document ($<...>) is not supported"),
        ("$root = $<file:///etc/passwd#x>;", "a reference to another document ($<...>) is not supported"),
        ("$root = bonjour!fr-FR;", "switching the language within a grammar is not supported"),
        ("root = a;", "'=', where '$' is expected"),
        ("grammar g; $root = a;", "'grammar' is no declaration"),
        ("$root = <s>;", "'<' is not expected here"),
        ("$root = \"<s>\";", "\"<s>\" is not a word"),
    ] {
        let error = abnf_error(rules);
        assert!(error.starts_with("Cannot compile grammar: ") && error.contains(expected), "{rules}: {error}");
    }
    let error = |text: &[u8]| Grammar::parse_abnf(text).unwrap_err().to_string();
    assert!(error(b"").contains("begins with '#ABNF 1.0;'"));
    assert!(error(b"#ABNF 2.0; $a = b;").contains("the version of the grammar is 1.0"));
    assert!(error(b"#ABNF 1.0; $a = b;").contains("names no root rule"));
    assert!(
        error(b"#ABNF 1.0; mode dtmf; root $a; $a = b;").contains("mode dtmf (keys of a telephone) is not supported")
    );
    assert!(error(b"#ABNF 1.0; root $a; $a = caf\xe9;").contains("byte 28 is not UTF-8"));
    assert!(abnf_error(&format!("$root = {};", "w".repeat(10_000))).contains("longer than 128 characters"));
}

/// Bombs and references to what is outside are harmless: nothing is expanded or fetched.
#[test]
fn faults_of_xml_are_named_with_their_place() {
    for (rules, expected) in [
        ("<rule id=\"root\">a</item>", "not well-formed XML"),
        ("<rule id=\"root\"><one-of>a</one-of></rule>", "line 3, column 25: a 'one-of' holds items only"),
        ("<rule id=\"root\"><one-of/></rule>", "a 'one-of' without items"),
        ("<rule>a</rule>", "a rule has a name"),
        ("<rule id=\"root\"><b>a</b></rule>", "the element 'b' does not belong into a rule"),
        ("text", "text outside of a rule"),
        ("<rule id=\"root\">a</rule><rule id=\"root\">b</rule>", "rule 'root' is defined twice"),
        ("<rule id=\"root\"><ruleref uri=\"#other\"/></rule>", "rule 'other' is referred to but not defined"),
        ("<rule id=\"root\"><ruleref uri=\"http://example.com/g.grxml#r\"/></rule>", "a reference to another document"),
        ("<rule id=\"root\"><ruleref special=\"GARBAGE\"/></rule>", "the special rule GARBAGE is not supported"),
        ("<rule id=\"root\"><ruleref/></rule>", "a 'ruleref' has either a uri"),
        ("<rule id=\"root\"><item repeat=\"-1\">a</item></rule>", "is no repeat"),
        ("<rule id=\"root\"><item repeat-prob=\"2\" repeat=\"1-\">a</item></rule>", "is no probability"),
        ("<rule id=\"root\"><one-of><item weight=\"x\">a</item></one-of></rule>", "is no weight"),
        ("<rule id=\"root\"><token xml:lang=\"fr\">a</token></rule>", "switching the language"),
        ("<rule id=\"root\"><token><b/></token></rule>", "a 'token' holds text only"),
        ("<rule id=\"root\">\"a</rule>", "a quoted token that has no end"),
        ("<rule id=\"root\">&bomb;</rule>", "the entity '&bomb;' is not supported"),
        ("<rule id=\"&bomb;\">a</rule>", "the attribute 'id'"),
        ("<rule id=\"root\">&#0;</rule>", "is not supported"),
    ] {
        let error = xml_error(rules);
        assert!(error.starts_with("Cannot compile grammar: ") && error.contains(expected), "{rules}: {error}");
    }
    let error = |text: &str| Grammar::parse_xml(text.as_bytes()).unwrap_err().to_string();
    let bomb = "<!DOCTYPE grammar [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><grammar version=\"1.0\" root=\"r\"><rule id=\"r\">&b;</rule></grammar>";
    assert!(error(bomb).contains("a document type with declarations of its own is not supported"));
    let outside = "<!DOCTYPE grammar [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><grammar version=\"1.0\" root=\"r\"><rule id=\"r\">&x;</rule></grammar>";
    assert!(error(outside).contains("a document type with declarations of its own is not supported"));
    assert!(error("<html/>").contains("an XML grammar is a 'grammar' element"));
    assert!(error("").contains("the document ends before its elements do"));
    assert!(error("<grammar version=\"1.0\"><rule id=\"r\">a</rule></grammar>").contains("names no root rule"));
    assert!(
        error("<grammar root=\"r\"><rule id=\"r\">a</rule></grammar>").contains("the version of the grammar is 1.0")
    );
    assert!(xml_error(&format!("<rule id=\"root\">{}</rule>", "<item>".repeat(100_000))).contains("nested deeper"));
    let attributes: String = (0..20_000).map(|i| format!(" a{i}=\"\"")).collect();
    assert!(xml_error(&format!("<rule id=\"root\"{attributes}>a</rule>")).contains("attributes of more than"));
}

#[track_caller]
fn in_time<T>(limit: Duration, what: impl FnOnce() -> T) -> T {
    let clock = Instant::now();
    let result = what();
    // Other tests run beside this one; the bound is ten times what it takes.
    assert!(clock.elapsed() < limit, "took {:.1?}", clock.elapsed());
    result
}

#[test]
fn large_grammars_compile_and_exploding_ones_are_refused_in_time() {
    let limit = Duration::from_secs(20);
    let phrases: Vec<String> =
        (0..100_000u64).map(|i| format!("w{} w{} w{}", i % 977, i * 7919 % 9973, i % 13)).collect();
    let grammar = in_time(limit, || abnf(&format!("$root = {};", phrases.join(" | "))));
    check(&grammar, &[&phrases[0], &phrases[99_999]], &["w0", "w1 w0 w0 w0"]);
    let items: String = phrases.iter().map(|phrase| format!("<item>{phrase}</item>")).collect();
    let read = in_time(limit, || xml(&format!("<rule id=\"root\"><one-of>{items}</one-of></rule>")).unwrap());
    assert_eq!(read.state_count(), grammar.state_count());

    // Each rule twice the one before: 2^40 words.
    let doubling: String = (0..40).map(|i| format!("$r{i} = $r{} $r{};", i + 1, i + 1)).collect();
    let error = in_time(limit, || abnf_error(&format!("$root = $r0; {doubling} $r40 = a;")));
    assert!(error.contains("it is too large: with its rules and repeats written out"), "{error}");
    let error = in_time(limit, || abnf_error("$root = ((((a<1000>)<1000>)<1000>)<1000>)<1000>;"));
    assert!(error.contains("it is too large"), "{error}");
    // The deterministic automaton has to remember the last 30 words: 2^30 states.
    let error = in_time(limit, || abnf_error("$root = (a | b)<0-> a (a | b)<30>;"));
    assert!(error.contains("it is too large") && error.contains("deterministic"), "{error}");
    let error = in_time(limit, || abnf_error(&format!("$root = {};", "[a] [b] ".repeat(20_000))));
    assert!(error.contains("it is too large"), "{error}");
    let chain: String = (0..10_000).map(|i| format!("$r{i} = $r{};", i + 1)).collect();
    let error = in_time(limit, || abnf_error(&format!("$root = $r0; {chain} $r10000 = a;")));
    assert!(error.contains("nested deeper"), "{error}");
    let error = in_time(limit, || abnf_error(&format!("$root = {}a;", "(".repeat(100_000))));
    assert!(error.contains("nested deeper"), "{error}");
    let error = in_time(limit, || abnf_error(&format!("$root = a{};", " | a".repeat(3_000_000))));
    assert!(error.contains("it has more than 2000000 words"), "{error}");
    let error = Grammar::parse_abnf(&vec![b' '; LONGEST_GRAMMAR + 1]).unwrap_err().to_string();
    assert!(error.contains("more than 16 MiB"), "{error}");
}

#[test]
fn endings_and_beginnings_are_shared() {
    // Ten first names and ten last names, written out: 100 phrases, but two arcs' worth of states.
    let phrases: Vec<String> = (0..100).map(|i| format!("f{} l{} please", i / 10, i % 10)).collect();
    let grammar = abnf(&format!("$root = {};", phrases.join(" | ")));
    assert_eq!((grammar.state_count(), grammar.arc_count()), (4, 21));
}
